//! Keys of session tickets (RFC 8446, section 4.6.1; RFC 5077): what a client is given to take its session up again is sealed
//! with the present one, and what was sealed with the one before it is good still. They can be handed to the process that
//! takes this one's place, so that sessions go on there. Must not know: who asks clients for what.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    rand::{SecureRandom as _, SystemRandom},
};
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};

use crate::clock::monotonic_now;

/// How long a key seals; for as long again what it sealed is good.
const SEALS_FOR: Duration = Duration::from_secs(6 * 3600);
const NAME_LEN: usize = 16;
const SECRET_LEN: usize = 32;
/// Version of [`TicketMemory`].
const VERSION: u32 = 1;

/// The keys of all workers.
pub(super) struct TicketKeys(RwLock<Ring>);

struct Ring {
    present: TicketKey,
    before: Option<TicketKey>,
    /// When the present one began to seal.
    since: Instant,
}

struct TicketKey {
    name: [u8; NAME_LEN],
    secret: [u8; SECRET_LEN],
    key: LessSafeKey,
}

/// What another process is told.
#[derive(Default, Serialize, Deserialize)]
struct TicketMemory {
    version: u32,
    /// Name and secret of the present one, and of the one before.
    keys: Vec<String>,
    /// How long the present one has sealed.
    age: Duration,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

impl TicketKey {
    fn new(name: [u8; NAME_LEN], secret: [u8; SECRET_LEN]) -> Result<Self, Unspecified> {
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &secret)?);
        Ok(Self { name, secret, key })
    }

    fn random() -> Result<Self, Unspecified> {
        let (mut name, mut secret) = ([0; NAME_LEN], [0; SECRET_LEN]);
        let random = SystemRandom::new();
        random.fill(&mut name)?;
        random.fill(&mut secret)?;
        Self::new(name, secret)
    }

    fn tell(&self) -> String {
        BASE64.encode([&self.name[..], &self.secret[..]].concat())
    }

    fn told(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        let (name, secret) = bytes.split_first_chunk()?;
        Self::new(*name, secret.try_into().ok()?).ok()
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let with = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(with, Aad::from(self.name), &mut sealed).ok()?;
        Some([&self.name[..], &nonce[..], &sealed].concat())
    }

    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.key.open_in_place(nonce, Aad::from(self.name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

impl Ring {
    /// Has another key seal once the present one has for its time.
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age < SEALS_FOR {
            return;
        }
        // Without randomness there are no tickets, rather than such of an old key: see `encrypt`.
        let Ok(next) = TicketKey::random() else { return };
        let before = std::mem::replace(&mut self.present, next);
        self.before = (age < 2 * SEALS_FOR).then_some(before);
        self.since = now;
    }
}

impl TicketKeys {
    /// New ones.
    ///
    /// # Errors
    /// No randomness was to be had.
    pub(super) fn random() -> Result<Self, Unspecified> {
        let ring = Ring { present: TicketKey::random()?, before: None, since: monotonic_now() };
        Ok(Self(RwLock::new(ring)))
    }

    /// Those that another process has told; nothing where that is of another version, or none.
    pub(super) fn recall(known: serde_json::Value) -> Option<Self> {
        let known: TicketMemory = serde_json::from_value(known).ok()?;
        if known.version != VERSION {
            return None;
        }
        let mut keys = known.keys.iter().map(|text| TicketKey::told(text));
        let present = keys.next()??;
        let before = keys.next().flatten();
        let since = monotonic_now().checked_sub(known.age)?;
        Some(Self(RwLock::new(Ring { present, before, since })))
    }

    /// For another process.
    pub(super) fn remember(&self) -> serde_json::Value {
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let keys = std::iter::once(&ring.present).chain(&ring.before).map(TicketKey::tell).collect();
        let age = monotonic_now().saturating_duration_since(ring.since);
        serde_json::to_value(TicketMemory { version: VERSION, keys, age }).unwrap_or_default()
    }

    fn seal_at(&self, plain: &[u8], now: Instant) -> Option<Vec<u8>> {
        {
            let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if now.saturating_duration_since(ring.since) < SEALS_FOR {
                return ring.present.seal(plain);
            }
        }
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ring.turn(now);
        let is_due = now.saturating_duration_since(ring.since) >= SEALS_FOR;
        if is_due { None } else { ring.present.seal(plain) }
    }

    fn open_at(&self, ticket: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_duration_since(ring.since);
        // A key that nobody has turned since is the one before by now, and then none.
        let present = Some(&ring.present).filter(|_| age < 2 * SEALS_FOR);
        let before = ring.before.as_ref().filter(|_| age < SEALS_FOR);
        let key = present.into_iter().chain(before).find(|key| key.name == *name)?;
        key.open(*nonce, sealed)
    }
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(2 * SEALS_FOR.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal_at(plain, monotonic_now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open_at(cipher, monotonic_now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_as_long_as_its_key() {
        let keys = TicketKeys::random().unwrap();
        let (start, hour) = (monotonic_now(), Duration::from_secs(3600));
        let first = keys.seal_at(b"first", start).unwrap();
        assert_eq!(keys.open_at(&first, start).unwrap(), b"first");
        let second = keys.seal_at(b"second", start + hour * 7).unwrap();
        assert_ne!(first[..NAME_LEN], second[..NAME_LEN], "another key seals");
        for (ticket, plain) in [(&first, &b"first"[..]), (&second, b"second")] {
            assert_eq!(keys.open_at(ticket, start + hour * 12).unwrap(), plain);
        }
        keys.seal_at(b"third", start + hour * 14).unwrap();
        assert!(keys.open_at(&first, start + hour * 14).is_none());
        assert_eq!(keys.open_at(&second, start + hour * 14).unwrap(), b"second");
        assert!(keys.open_at(&second, start + hour * 40).is_none(), "nobody has sealed since");
        keys.seal_at(b"fourth", start + hour * 40).unwrap();
        assert!(keys.open_at(&second, start + hour * 40).is_none());
    }

    #[test]
    fn what_nobody_sealed_here_is_nothing() {
        let keys = TicketKeys::random().unwrap();
        let ticket = keys.encrypt(b"plain").unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(keys.decrypt(&changed).is_none(), "{at}");
            assert!(keys.decrypt(&ticket[..at]).is_none(), "{at}");
        }
        assert!(TicketKeys::random().unwrap().decrypt(&ticket).is_none());
        assert!(!format!("{keys:?}").contains('['), "secrets are not shown");
    }

    #[test]
    fn another_process_goes_on_with_them() {
        let keys = TicketKeys::random().unwrap();
        let ticket = keys.encrypt(b"plain").unwrap();
        let told = keys.remember();
        let other = TicketKeys::recall(told.clone()).unwrap();
        assert_eq!(other.decrypt(&ticket).unwrap(), b"plain");
        assert_eq!(keys.decrypt(&other.encrypt(b"back").unwrap()).unwrap(), b"back");
        let mut later = told;
        later["version"] = 2.into();
        assert!(TicketKeys::recall(later).is_none());
        for none in [serde_json::Value::Null, serde_json::json!({"version": 1, "keys": ["x"], "age": 0})] {
            assert!(TicketKeys::recall(none).is_none());
        }
    }
}
