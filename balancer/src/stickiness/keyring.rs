//! The secrets that stickiness values are made and checked with. Several are accepted, the first signs, so that
//! keys rotate without losing sessions: put the new secret behind the old one on every host, then before it,
//! then take the old one away once its last value is out of date.
//!
//! A secret is 32 random bytes and is never used itself: each purpose has a key of its own, the SipHash-2-4-128
//! of the purpose's name under the secret's first half, hashed again with that name under the second half. A
//! sub-key is thus no easier to guess than either half and tells nothing of the others, and halves that
//! happen to be equal do no harm. Must not know: HTTP, cookies, time.

mod fault;
mod file;
mod sealed;
mod sheet;

use std::{fmt, hash::Hasher as _, net::SocketAddr};

use siphasher::{
    sip::SipHasher24,
    sip128::{Hasher128 as _, SipHasher24 as SipHasher24x128},
};

pub use self::{
    fault::{KeyFileFault, KeyringError},
    sealed::{KeySeal, SealFault},
    sheet::{KeySheet, RotationFault, SheetKey},
};
use crate::{
    id::{KeyId, TargetId},
    model::Endpoint,
};

/// Bytes of one secret.
pub const SECRET_LEN: usize = 32;

/// Most secrets that a ring holds.
pub const MAX_SECRETS: usize = 8;

/// Bytes that tell a secret from others where it is spoken of.
const MARK_LEN: usize = 8;

/// One secret, in its two halves.
type Secret = [[u8; SECRET_LEN / 2]; 2];

/// What one secret is turned into.
pub(super) struct TokenKey {
    id: KeyId,
    mark: [u8; MARK_LEN],
    duration_tag: SipHasher24x128,
    application_tag: SipHasher24x128,
    group_tag: SipHasher24x128,
    session: SipHasher24x128,
    target: SipHasher24,
    group: SipHasher24,
}

impl TokenKey {
    fn new(secret: &Secret) -> Self {
        let [first, second] = secret.each_ref().map(SipHasher24x128::new_with_key);
        let sub_key = |purpose: &[u8]| {
            let mut outer = second;
            outer.write(&first.hash(purpose).as_bytes());
            outer.write(purpose);
            outer.finish128().as_bytes()
        };
        let [id, ..] = sub_key(b"balancer: key id");
        let mut mark = [0; MARK_LEN];
        mark.iter_mut().zip(sub_key(b"balancer: key mark")).for_each(|(mark, byte)| *mark = byte);
        Self {
            id: KeyId(id),
            mark,
            duration_tag: SipHasher24x128::new_with_key(&sub_key(b"balancer: duration cookie tag")),
            application_tag: SipHasher24x128::new_with_key(&sub_key(b"balancer: application cookie tag")),
            group_tag: SipHasher24x128::new_with_key(&sub_key(b"balancer: group cookie tag")),
            session: SipHasher24x128::new_with_key(&sub_key(b"balancer: session table key")),
            target: SipHasher24::new_with_key(&sub_key(b"balancer: target id")),
            group: SipHasher24::new_with_key(&sub_key(b"balancer: group id")),
        }
    }

    /// One byte that names this key in the values it made: the first of a sub-key of its own.
    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    /// What this key is called where people and other balancers speak of it. Whoever knows it knows nothing of the secret.
    fn mark(&self) -> String {
        self.mark.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The tag of a duration cookie's other bytes.
    pub(super) fn duration_tag(&self, bytes: &[u8]) -> [u8; 16] {
        self.duration_tag.hash(bytes).as_bytes()
    }

    /// The tag of an application map's other bytes.
    pub(super) fn application_tag(&self, bytes: &[u8]) -> [u8; 16] {
        self.application_tag.hash(bytes).as_bytes()
    }

    /// The tag of a group cookie's other bytes.
    pub(super) fn group_tag(&self, bytes: &[u8]) -> [u8; 16] {
        self.group_tag.hash(bytes).as_bytes()
    }

    /// What names a group in application maps and group cookies.
    pub(super) fn group_id(&self, group: &str) -> u64 {
        self.group.hash(group.as_bytes())
    }

    /// The start of a session table key: whoever goes on with the cookie's value has the whole.
    pub(super) fn session_hasher(&self, group: &str, cookie_name: &str) -> SessionHasher {
        let mut hasher = self.session;
        for part in [group, cookie_name] {
            hasher.write(part.as_bytes());
            hasher.write(&[0]);
        }
        SessionHasher(hasher)
    }

    fn target_id(&self, group: &str, endpoint: &Endpoint) -> TargetId {
        let mut hasher = self.target;
        hasher.write(group.as_bytes());
        match endpoint {
            Endpoint::Tcp(SocketAddr::V4(address)) => {
                hasher.write(&[0, 4]);
                hasher.write(&address.ip().octets());
                hasher.write(&address.port().to_le_bytes());
            }
            Endpoint::Tcp(SocketAddr::V6(address)) => {
                hasher.write(&[0, 6]);
                hasher.write(&address.ip().octets());
                hasher.write(&address.port().to_le_bytes());
                hasher.write(&address.scope_id().to_le_bytes());
            }
            Endpoint::Unix(path) => {
                hasher.write(&[0, b'u']);
                hasher.write(path.as_os_str().as_encoded_bytes());
            }
        }
        TargetId(hasher.finish())
    }
}

/// The keyed hash of group and cookie name, waiting for a cookie value. No value is kept anywhere.
#[derive(Clone)]
pub(super) struct SessionHasher(SipHasher24x128);

impl SessionHasher {
    /// The session table key of the cookie with this value.
    pub(super) fn key(&self, value: &[u8]) -> u128 {
        let mut hasher = self.0;
        hasher.write(value);
        hasher.finish128().as_u128()
    }
}

/// The accepted secrets, 1 to 8; the first one signs.
pub struct Keyring {
    signing: TokenKey,
    others: Vec<TokenKey>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("key_ids", &self.keys().map(TokenKey::id).collect::<Vec<_>>())
            .finish()
    }
}

impl Keyring {
    /// Whether its secrets are those of `other`, in the same order.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let marks = |ring: &Self| ring.keys().map(|key| key.duration_tag(b"which key")).collect::<Vec<_>>();
        marks(self) == marks(other)
    }

    /// What its keys are called where people and other balancers speak of them, the signing one first.
    #[must_use]
    pub fn marks(&self) -> Vec<String> {
        self.keys().map(TokenKey::mark).collect()
    }

    /// A ring of the secrets that stand one after the other in `bytes`; the first signs.
    ///
    /// # Errors
    /// When `bytes` is not 1 to 8 times 32 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyringError> {
        let (halves, odd_bytes) = bytes.as_chunks();
        let (secrets, odd_half) = halves.as_chunks();
        match secrets.split_first() {
            Some((signing, others))
                if odd_bytes.is_empty() && odd_half.is_empty() && others.len() < MAX_SECRETS =>
            {
                Ok(Self {
                    signing: TokenKey::new(signing),
                    others: others.iter().map(TokenKey::new).collect(),
                })
            }
            _ => Err(KeyringError::Size(bytes.len())),
        }
    }

    /// The key that makes new values.
    pub(super) fn signing(&self) -> &TokenKey {
        &self.signing
    }

    /// Every accepted key, the signing one first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &TokenKey> {
        std::iter::once(&self.signing).chain(&self.others)
    }

    /// The accepted keys of this id: mostly one or none, but two secrets may share an id.
    pub(super) fn keys_of(&self, id: KeyId) -> impl Iterator<Item = &TokenKey> {
        self.keys().filter(move |key| key.id() == id)
    }

    /// The id that values issued now name this target by.
    #[must_use]
    pub fn target_id(&self, group: &str, endpoint: &Endpoint) -> TargetId {
        self.signing.target_id(group, endpoint)
    }

    /// The ids that accepted values may name this target by: one under every accepted key, that of
    /// [`Self::target_id`] first.
    pub fn target_ids(&self, group: &str, endpoint: &Endpoint) -> impl Iterator<Item = TargetId> {
        self.keys().map(move |key| key.target_id(group, endpoint))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn tcp(address: &str) -> Endpoint {
        Endpoint::Tcp(address.parse().unwrap())
    }

    fn ring(secrets: &[u8]) -> Keyring {
        Keyring::from_bytes(&secrets.iter().flat_map(|&byte| [byte; SECRET_LEN]).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn only_one_to_eight_whole_secrets_are_taken() {
        for length in [0, 1, 31, 33, 63, 65, 257, 288] {
            let error = Keyring::from_bytes(&vec![1; length]).unwrap_err();
            assert!(matches!(error, KeyringError::Size(size) if size == length));
            assert!(error.to_string().contains("32, 64, … or 256"), "{error}");
        }
        for count in 1..=8 {
            assert_eq!(Keyring::from_bytes(&vec![1; 32 * count]).unwrap().keys().count(), count);
        }
    }

    #[test]
    fn target_ids_differ_by_group_address_port_kind_and_key() {
        let (a, b) = (ring(&[1]), ring(&[2]));
        let endpoints = [
            tcp("10.0.0.1:80"),
            tcp("10.0.0.1:81"),
            tcp("10.0.0.2:80"),
            tcp("[::1]:80"),
            tcp("[fe80::1%3]:80"),
            tcp("[fe80::1]:80"),
            Endpoint::Unix("/run/a".into()),
            Endpoint::Unix("/run/b".into()),
        ];
        let mut seen = HashSet::new();
        for ring in [&a, &b] {
            for group in ["app", "web"] {
                for endpoint in &endpoints {
                    assert!(seen.insert(ring.target_id(group, endpoint)));
                }
            }
        }
        assert_eq!(seen.len(), 32);
        assert_eq!(a.target_id("app", &endpoints[0]), ring(&[1]).target_id("app", &endpoints[0]));
    }

    #[test]
    fn a_target_is_known_under_every_accepted_key() {
        let target = tcp("10.0.0.1:80");
        let ids: Vec<_> = ring(&[3, 1, 2]).target_ids("app", &target).collect();
        assert_eq!(ids, [3, 1, 2].map(|secret| ring(&[secret]).target_id("app", &target)));
    }

    #[test]
    fn every_part_of_the_secret_matters_to_every_sub_key() {
        let facts = |secret: &Secret| {
            let key = TokenKey::new(secret);
            (
                key.duration_tag(b"x"),
                key.application_tag(b"x"),
                key.group_id("x"),
                key.session_hasher("x", "y").key(b"z"),
                key.target_id("x", &tcp("[::1]:1")),
            )
        };
        let base = facts(&[[7; 16]; 2]);
        assert_ne!(base.0, base.1, "purposes have different keys");
        for index in 0..32 {
            let mut secret = [[7; 16]; 2];
            secret[index / 16][index % 16] ^= 1;
            let other = facts(&secret);
            assert!(base.0 != other.0 && base.1 != other.1 && base.2 != other.2);
            assert!(base.3 != other.3 && base.4 != other.4);
        }
    }

    #[test]
    fn session_keys_are_bound_to_group_name_and_value() {
        let key = TokenKey::new(&[[9; 16]; 2]);
        let all = [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("a", "b", "c"), ("", "", "abcd")];
        let keys: HashSet<_> =
            all.iter().map(|(g, n, v)| key.session_hasher(g, n).key(v.as_bytes())).collect();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let secret: Vec<u8> = (100..132).collect();
        let text = format!("{:?}", Keyring::from_bytes(&secret).unwrap());
        assert!(text.starts_with("Keyring { key_ids: [KeyId("), "{text}");
        assert!(!text.contains("100, 101") && text.len() < 60, "{text}");
    }
}
