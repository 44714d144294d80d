//! The values that name a target to the balancer and nothing to anybody else: authenticated, opaque, and
//! as text fit for a cookie (base64url, RFC 4648 section 5, without padding). Must not know: HTTP, cookie
//! names, which targets there are, what time it is.
//!
//! ```text
//! duration cookie   version 1 | key id | issued u32 | target u64 | tag 16 bytes              30 bytes, 40 characters
//! application map   version 2 | key id | (group u64 | issued u32 | target u64)… | tag 16 bytes
//! dated cookie      version 3 | key id | issued u32 | target u64 | started u32 | tag   34 bytes, 46 characters
//! group cookie      version 4 | key id | issued u32 | group u64 | tag 16 bytes               30 bytes, 40 characters
//! ```
//!
//! Numbers are big-endian; `issued` counts seconds since 1970. The tag is SipHash-2-4-128 of all the bytes before
//! it, under a key that serves this kind of value alone, so that one kind never passes for the other; it is
//! compared in constant time. Every text stands for one value and every value has one text: other
//! lengths, other alphabets, padding and stray trailing bits are refused.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use super::keyring::{Key, Keyring};
use crate::{
    clock::UnixSeconds,
    id::{KeyId, TargetId},
};

const DURATION_VERSION: u8 = 1;
const APPLICATION_VERSION: u8 = 2;
const DATED_VERSION: u8 = 3;
const GROUP_VERSION: u8 = 4;
const TAG_LEN: usize = 16;
const DURATION_SIGNED_LEN: usize = 14;
const DURATION_LEN: usize = DURATION_SIGNED_LEN + TAG_LEN;

/// Characters of a duration cookie's value.
pub(super) const DURATION_TEXT_LEN: usize = DURATION_LEN / 3 * 4;

const DATED_SIGNED_LEN: usize = DURATION_SIGNED_LEN + 4;
const DATED_LEN: usize = DATED_SIGNED_LEN + TAG_LEN;

/// Characters of a duration cookie's value that also tells when the session started.
pub(super) const DATED_TEXT_LEN: usize = (DATED_LEN * 4).div_ceil(3);

const MAP_HEAD_LEN: usize = 2;
const MAP_ENTRY_LEN: usize = 20;

/// Most characters that an application map takes up.
pub(super) const MAP_TEXT_MAX: usize = 16_000;

/// Most groups in an application map: what fits into [`MAP_TEXT_MAX`].
pub(super) const MAP_ENTRIES_MAX: usize = (MAP_TEXT_MAX / 4 * 3 - MAP_HEAD_LEN - TAG_LEN) / MAP_ENTRY_LEN;

/// That a client belongs to a target, and since when that was last renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) target: TargetId,
    pub(super) issued: UnixSeconds,
}

/// The session that a client has in one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapEntry {
    /// See [`Key::group_id`]; of any accepted key.
    pub(super) group: u64,
    pub(super) session: Session,
}

/// Why a text is not one of our values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It has not the form of one.
    Malformed,
    /// It has the form, but no accepted key made it.
    Forged,
}

/// That a client belongs to a group of an action, and since when that was last renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupSession {
    /// See [`Key::group_id`]; of any accepted key.
    pub(super) group: u64,
    pub(super) issued: UnixSeconds,
}

/// The value of a duration cookie.
pub(super) fn seal(key: &Key, session: Session) -> [u8; DURATION_TEXT_LEN] {
    seal_id(DURATION_VERSION, key, Key::duration_tag, session.target.0, session.issued)
}

/// The session in the value of a duration cookie.
pub(super) fn open(ring: &Keyring, text: &[u8]) -> Result<Session, Flaw> {
    let (target, issued) = open_id(DURATION_VERSION, ring, Key::duration_tag, text)?;
    Ok(Session { target: TargetId(target), issued })
}

/// The value of a group cookie.
pub(super) fn seal_group(key: &Key, session: GroupSession) -> [u8; DURATION_TEXT_LEN] {
    seal_id(GROUP_VERSION, key, Key::group_tag, session.group, session.issued)
}

/// The session in the value of a group cookie.
pub(super) fn open_group(ring: &Keyring, text: &[u8]) -> Result<GroupSession, Flaw> {
    let (group, issued) = open_id(GROUP_VERSION, ring, Key::group_tag, text)?;
    Ok(GroupSession { group, issued })
}

/// How a kind of value is tagged.
type Tag = fn(&Key, &[u8]) -> [u8; TAG_LEN];

/// A value that names one thing and when that was said.
fn seal_id(version: u8, key: &Key, tag_of: Tag, id: u64, issued: UnixSeconds) -> [u8; DURATION_TEXT_LEN] {
    let mut bytes = [0; DURATION_LEN];
    let [i0, i1, i2, i3] = issued.0.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = id.to_be_bytes();
    let signed: [u8; DURATION_SIGNED_LEN] =
        [version, key.id().0, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7];
    let (head, tag) = bytes.split_at_mut(DURATION_SIGNED_LEN);
    head.copy_from_slice(&signed);
    tag.copy_from_slice(&tag_of(key, &signed));
    let mut text = [0; DURATION_TEXT_LEN];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(DURATION_TEXT_LEN));
    text
}

fn open_id(version: u8, ring: &Keyring, tag_of: Tag, text: &[u8]) -> Result<(u64, UnixSeconds), Flaw> {
    let mut bytes = [0; DURATION_LEN];
    if text.len() != DURATION_TEXT_LEN || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).is_err() {
        return Err(Flaw::Malformed);
    }
    let (signed, tag) = bytes.split_at(DURATION_SIGNED_LEN);
    let &[found, key_id, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7] = signed else {
        return Err(Flaw::Malformed);
    };
    if found != version {
        return Err(Flaw::Malformed);
    }
    if !ring.keys_of(KeyId(key_id)).any(|key| is_tag(tag, tag_of(key, signed))) {
        return Err(Flaw::Forged);
    }
    let id = u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
    Ok((id, UnixSeconds(u32::from_be_bytes([i0, i1, i2, i3]))))
}

/// The value of a duration cookie that also tells when the session started. Its tag has the key of duration cookies:
/// the version in the first byte, and the length, keep the two forms apart.
pub(super) fn seal_dated(key: &Key, session: Session, started: UnixSeconds) -> [u8; DATED_TEXT_LEN] {
    let mut bytes = [0; DATED_LEN];
    let [i0, i1, i2, i3] = session.issued.0.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = session.target.0.to_be_bytes();
    let [s0, s1, s2, s3] = started.0.to_be_bytes();
    let signed: [u8; DATED_SIGNED_LEN] =
        [DATED_VERSION, key.id().0, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7, s0, s1, s2, s3];
    let (head, tag) = bytes.split_at_mut(DATED_SIGNED_LEN);
    head.copy_from_slice(&signed);
    tag.copy_from_slice(&key.duration_tag(&signed));
    let mut text = [0; DATED_TEXT_LEN];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(DATED_TEXT_LEN));
    text
}

/// The session in the value of a duration cookie of either form, and when it started. Where the value does not
/// tell, that is taken to be when it was issued.
pub(super) fn open_either(ring: &Keyring, text: &[u8]) -> Result<(Session, UnixSeconds), Flaw> {
    if text.len() != DATED_TEXT_LEN {
        return open(ring, text).map(|session| (session, session.issued));
    }
    // The decoder asks for room in whole groups of three bytes.
    let mut room = [0; DATED_LEN.div_ceil(3) * 3];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut room).map_err(|_| Flaw::Malformed)?;
    let bytes = room.get(..length).ok_or(Flaw::Malformed)?;
    let (signed, tag) = bytes.split_at_checked(DATED_SIGNED_LEN).ok_or(Flaw::Malformed)?;
    let &[DATED_VERSION, key_id, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7, s0, s1, s2, s3] = signed
    else {
        return Err(Flaw::Malformed);
    };
    if !ring.keys_of(KeyId(key_id)).any(|key| is_tag(tag, key.duration_tag(signed))) {
        return Err(Flaw::Forged);
    }
    let session = Session {
        target: TargetId(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
        issued: UnixSeconds(u32::from_be_bytes([i0, i1, i2, i3])),
    };
    Ok((session, UnixSeconds(u32::from_be_bytes([s0, s1, s2, s3]))))
}

/// Writes the text of an application map into `text`, which it empties first. At most
/// [`MAP_ENTRIES_MAX`] entries are taken.
pub(super) fn seal_map(key: &Key, entries: impl Iterator<Item = MapEntry>, text: &mut Vec<u8>) {
    let mut bytes = Scratch::default();
    bytes.extend(&[APPLICATION_VERSION, key.id().0]);
    for entry in entries.take(MAP_ENTRIES_MAX) {
        bytes.extend(&entry.group.to_be_bytes());
        bytes.extend(&entry.session.issued.0.to_be_bytes());
        bytes.extend(&entry.session.target.0.to_be_bytes());
    }
    let tag = key.application_tag(bytes.filled());
    bytes.extend(&tag);
    let bytes = bytes.filled();
    text.clear();
    text.resize(bytes.len().div_ceil(3) * 4, 0);
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, text).unwrap_or(0);
    text.truncate(written);
}

/// Hands every entry of the application map with this text to `visit`, in the order they were sealed. Nothing
/// is handed over unless the whole map verifies.
pub(super) fn open_map(ring: &Keyring, text: &[u8], visit: impl FnMut(MapEntry)) -> Result<(), Flaw> {
    if text.len() > MAP_TEXT_MAX {
        return Err(Flaw::Malformed);
    }
    let mut scratch = Scratch::default();
    let bytes = scratch.decode(text).ok_or(Flaw::Malformed)?;
    let (signed, tag) = bytes.split_last_chunk::<TAG_LEN>().ok_or(Flaw::Malformed)?;
    let Some(([APPLICATION_VERSION, key_id], entries)) = signed.split_first_chunk::<MAP_HEAD_LEN>() else {
        return Err(Flaw::Malformed);
    };
    let (entries, []) = entries.as_chunks::<MAP_ENTRY_LEN>() else {
        return Err(Flaw::Malformed);
    };
    if !ring.keys_of(KeyId(*key_id)).any(|key| is_tag(tag, key.application_tag(signed))) {
        return Err(Flaw::Forged);
    }
    entries.iter().map(entry_of).for_each(visit);
    Ok(())
}

fn entry_of(bytes: &[u8; MAP_ENTRY_LEN]) -> MapEntry {
    let &[g0, g1, g2, g3, g4, g5, g6, g7, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7] = bytes;
    MapEntry {
        group: u64::from_be_bytes([g0, g1, g2, g3, g4, g5, g6, g7]),
        session: Session {
            issued: UnixSeconds(u32::from_be_bytes([i0, i1, i2, i3])),
            target: TargetId(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
        },
    }
}

fn is_tag(given: &[u8], wanted: [u8; TAG_LEN]) -> bool {
    bool::from(given.ct_eq(&wanted))
}

/// Room for the bytes of a map: on the stack for the few groups that a host has, on the heap beyond.
struct Scratch {
    near: [u8; Self::NEAR],
    far: Vec<u8>,
    len: usize,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { near: [0; Self::NEAR], far: Vec::new(), len: 0 }
    }
}

impl Scratch {
    /// Eleven groups and the rest of the map.
    const NEAR: usize = 240;

    fn filled(&self) -> &[u8] {
        let all = if self.far.is_empty() { &self.near[..] } else { &self.far };
        all.get(..self.len).unwrap_or_default()
    }

    fn extend(&mut self, more: &[u8]) {
        let end = self.len + more.len();
        if self.far.is_empty() {
            if let Some(room) = self.near.get_mut(self.len..end) {
                room.copy_from_slice(more);
                self.len = end;
                return;
            }
            self.far.extend_from_slice(self.near.get(..self.len).unwrap_or_default());
        }
        self.far.extend_from_slice(more);
        self.len = end;
    }

    /// The bytes that `text` stands for.
    fn decode(&mut self, text: &[u8]) -> Option<&[u8]> {
        let most = text.len().div_ceil(4) * 3;
        let room = if most <= Self::NEAR {
            &mut self.near[..]
        } else {
            self.far.resize(most, 0);
            &mut self.far
        };
        self.len = URL_SAFE_NO_PAD.decode_slice(text, room).ok()?;
        Some(self.filled())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(secrets: &[u8]) -> Keyring {
        Keyring::from_bytes(&secrets.iter().flat_map(|&byte| [byte; 32]).collect::<Vec<_>>()).unwrap()
    }

    const SESSION: Session =
        Session { target: TargetId(0x0123_4567_89ab_cdef), issued: UnixSeconds(1_700_000_000) };

    fn map_of(count: usize) -> Vec<MapEntry> {
        let entry = |n: u64| MapEntry {
            group: n.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            session: Session { target: TargetId(!n), issued: UnixSeconds(1_700_000_000) },
        };
        (0..count as u64).map(entry).collect()
    }

    fn sealed(ring: &Keyring, entries: &[MapEntry]) -> Vec<u8> {
        let mut text = b"left over".to_vec();
        seal_map(ring.signing(), entries.iter().copied(), &mut text);
        text
    }

    fn opened(ring: &Keyring, text: &[u8]) -> Result<Vec<MapEntry>, Flaw> {
        let mut entries = Vec::new();
        open_map(ring, text, |entry| entries.push(entry)).map(|()| entries)
    }

    fn is_cookie_value(text: &[u8]) -> bool {
        text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }

    #[test]
    fn a_sealed_session_opens_under_every_ring_that_accepts_its_key() {
        let text = seal(ring(&[1]).signing(), SESSION);
        assert!(is_cookie_value(&text));
        for secrets in [&[1][..], &[1, 2], &[2, 1], &[2, 3, 4, 5, 6, 7, 8, 1]] {
            assert_eq!(open(&ring(secrets), &text), Ok(SESSION));
        }
        assert_eq!(open(&ring(&[2, 3]), &text), Err(Flaw::Forged));
    }

    #[test]
    fn a_value_tells_when_its_session_started() {
        let (ring, started) = (ring(&[1, 2]), UnixSeconds(1_600_000_000));
        let text = seal_dated(ring.signing(), SESSION, started);
        assert!(is_cookie_value(&text) && text.len() == 46);
        assert_eq!(open_either(&ring, &text), Ok((SESSION, started)));
        assert_eq!(
            open_either(&ring, &seal(ring.signing(), SESSION)),
            Ok((SESSION, SESSION.issued)),
            "an old one"
        );
        assert_eq!(open_either(&super::tests::ring(&[3]), &text), Err(Flaw::Forged));
        assert!(open(&ring, &text).is_err() && opened(&ring, &text).is_err());
        for length in 0..text.len() {
            assert!(open_either(&ring, &text[..length]).is_err());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flaw = if bit < 8 { Flaw::Malformed } else { Flaw::Forged };
            assert_eq!(open_either(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Err(flaw), "bit {bit}");
        }
        // The last character has bits to spare; only the text that was made is accepted.
        let accepted = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .iter()
            .filter(|&&last| open_either(&ring, &[&text[..45], &[last]].concat()).is_ok())
            .count();
        assert_eq!(accepted, 1);
    }

    #[test]
    fn a_group_is_told_and_never_passes_for_a_target() {
        let ring = ring(&[1, 2]);
        let session = GroupSession { group: SESSION.target.0, issued: SESSION.issued };
        let text = seal_group(ring.signing(), session);
        assert!(is_cookie_value(&text));
        assert_eq!(open_group(&ring, &text), Ok(session));
        assert_eq!(open_group(&super::tests::ring(&[3]), &text), Err(Flaw::Forged));
        assert_eq!(open(&ring, &text), Err(Flaw::Malformed));
        let target = seal(ring.signing(), SESSION);
        assert_eq!(open_group(&ring, &target), Err(Flaw::Malformed));
        for (text, version) in [(text, DURATION_VERSION), (target, GROUP_VERSION)] {
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            bytes[0] = version;
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            let flaws = (open(&ring, text.as_bytes()).err(), open_group(&ring, text.as_bytes()).err());
            assert!(flaws.0.is_some() && flaws.1.is_some(), "the tags have different keys");
        }
    }

    #[test]
    fn keys_that_share_an_id_are_all_tried() {
        let by_id = |secret: u16| {
            let bytes: Vec<u8> = secret.to_le_bytes().repeat(16);
            (Keyring::from_bytes(&bytes).unwrap().signing().id(), bytes)
        };
        let (first_id, first) = by_id(0);
        let (_, second) = (1..=u16::MAX).map(by_id).find(|(id, _)| *id == first_id).unwrap();
        let both = Keyring::from_bytes(&[first, second.clone()].concat()).unwrap();
        let text = seal(Keyring::from_bytes(&second).unwrap().signing(), SESSION);
        assert_eq!(open(&both, &text), Ok(SESSION));
    }

    #[test]
    fn what_has_not_the_form_is_malformed() {
        let ring = ring(&[1]);
        let good = seal(ring.signing(), SESSION);
        assert_eq!(open(&ring, b""), Err(Flaw::Malformed));
        assert_eq!(open(&ring, &good[..39]), Err(Flaw::Malformed));
        assert_eq!(open(&ring, &[&good[..], b"A"].concat()), Err(Flaw::Malformed));
        assert_eq!(open(&ring, &[b'A'; 16_000]), Err(Flaw::Malformed));
        for stray in [b'+', b'/', b'=', b'%', b' ', 0, 0xff] {
            let mut text = good;
            text[7] = stray;
            assert_eq!(open(&ring, &text), Err(Flaw::Malformed), "{stray}");
        }
        let other_version = URL_SAFE_NO_PAD.encode([9; 30]);
        assert_eq!(open(&ring, other_version.as_bytes()), Err(Flaw::Malformed));
    }

    #[test]
    fn one_kind_of_value_never_passes_for_the_other() {
        let ring = ring(&[1]);
        let map = sealed(&ring, &map_of(1));
        assert!(open(&ring, &map).is_err());
        assert!(opened(&ring, &seal(ring.signing(), SESSION)).is_err());
        // A map without entries has the right length for nothing else, and the tags have different keys.
        let mut bytes = URL_SAFE_NO_PAD.decode(seal(ring.signing(), SESSION)).unwrap();
        bytes[0] = APPLICATION_VERSION;
        assert!(opened(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes()).is_err());
    }

    #[test]
    fn maps_of_every_size_open_again() {
        let (ring, other) = (ring(&[1, 2]), ring(&[3]));
        for count in [0, 1, 2, 10, 11, 12, 13, 100, MAP_ENTRIES_MAX] {
            let entries = map_of(count);
            let text = sealed(&ring, &entries);
            assert!(is_cookie_value(&text) && text.len() <= MAP_TEXT_MAX);
            assert_eq!(opened(&ring, &text), Ok(entries), "{count}");
            assert_eq!(opened(&other, &text), Err(Flaw::Forged));
        }
        assert_eq!(sealed(&ring, &map_of(1)).len(), 51);
        let full = sealed(&ring, &map_of(MAP_ENTRIES_MAX));
        assert_eq!(sealed(&ring, &map_of(MAP_ENTRIES_MAX + 1)), full, "one too many is left out");
        assert!(full.len() > MAP_TEXT_MAX - 40);
    }

    #[test]
    fn a_map_that_is_cut_is_refused() {
        let ring = ring(&[1]);
        let text = sealed(&ring, &map_of(3));
        for length in 0..text.len() {
            assert!(opened(&ring, &text[..length]).is_err());
        }
        assert_eq!(opened(&ring, &[b'A'; MAP_TEXT_MAX + 1]), Err(Flaw::Malformed));
    }

    #[test]
    fn ten_thousand_mutations_of_a_valid_value_are_all_refused() {
        let ring = ring(&[1, 2]);
        let (cookie, map) = (seal(ring.signing(), SESSION), sealed(&ring, &map_of(2)));
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as usize % below
        };
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for valid in [&cookie[..], &map] {
            let (mut tried, mut forged) = (0, 0);
            while tried < 10_000 {
                let mut text = valid.to_vec();
                for _ in 0..=random(3) {
                    if text.is_empty() {
                        break;
                    }
                    let place = random(text.len());
                    match random(8) {
                        0 => _ = text.remove(place),
                        1 => text.insert(place, alphabet[random(64)]),
                        2 => text.truncate(place + 1),
                        3 => text[place] ^= 1 << random(8),
                        4 => text.swap(place, 0),
                        _ => text[place] = alphabet[random(64)],
                    }
                }
                if text == valid {
                    continue;
                }
                tried += 1;
                let flaws = (open(&ring, &text).err(), opened(&ring, &text).err());
                assert!(flaws.0.is_some() && flaws.1.is_some(), "accepted: {text:?}");
                forged += usize::from(flaws.0 == Some(Flaw::Forged) || flaws.1 == Some(Flaw::Forged));
            }
            assert!(forged > 2_000, "most mutations should reach the tag: {forged}");
        }
    }

    proptest! {
        #[test]
        fn any_session_comes_back(target: u64, issued: u32, secret: [u8; 32]) {
            let ring = Keyring::from_bytes(&secret).unwrap();
            let session = Session { target: TargetId(target), issued: UnixSeconds(issued) };
            prop_assert_eq!(open(&ring, &seal(ring.signing(), session)), Ok(session));
        }

        #[test]
        fn no_text_of_any_kind_is_accepted_or_panics(
            text: Vec<u8>,
            letters in "[A-Za-z0-9_-]{40}|[A-Za-z0-9_-]{46}|[A-Za-z0-9_-]{51}",
        ) {
            let ring = ring(&[1]);
            for text in [&text[..], letters.as_bytes()] {
                prop_assert!(open(&ring, text).is_err() && opened(&ring, text).is_err());
                prop_assert!(open_either(&ring, text).is_err());
            }
        }

        #[test]
        fn a_bit_flipped_in_the_bytes_is_forged_or_malformed(bit in 0_usize..240) {
            let ring = ring(&[1]);
            let mut bytes = URL_SAFE_NO_PAD.decode(seal(ring.signing(), SESSION)).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flaw = if bit < 8 { Flaw::Malformed } else { Flaw::Forged };
            prop_assert_eq!(open(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Err(flaw));
        }
    }
}
