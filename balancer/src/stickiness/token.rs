//! The values that name a target to the balancer and nothing to anybody else: authenticated, opaque, and
//! as text fit for a cookie (base64url, RFC 4648 section 5, without padding). Must not know: HTTP, cookie
//! names, which targets there are, what time it is.
//!
//! ```text
//! duration cookie   version 6 | key id | issued u32 | target u64 | nonce u16 | tag 14 bytes  30 bytes, 40 characters
//! application map   version 2 | key id | (group u64 | issued u32 | target u64)… | tag 16 bytes
//! dated cookie      version 8 | … | target u64 | started u32 | nonce u16 | tag 14 bytes     34 bytes, 46 characters
//! group cookie      version 4 | key id | issued u32 | group u64 | tag 16 bytes               30 bytes, 40 characters
//! dated map         version 5 | key id | (group u64 | issued u32 | target u64 | started u32)… | tag 16 bytes
//! ```
//!
//! Versions 1 and 3 are those cookies without a nonce, with a tag of 16 bytes: they are read and made no more. The nonce
//! tells cookies from others that are set for the same target in the same second, so that sessions can be counted.
//!
//! Numbers are big-endian; `issued` and `started` count seconds since 1970. A value that does not tell when its session
//! started says that it started when it was issued. The tag is SipHash-2-4-128 of all the bytes before
//! it, or the first 14 bytes of that, under a key that serves this kind of value alone, so that one kind never passes for
//! the other; it is compared in constant time. Every text stands for one value and every value has one text: other
//! lengths, other alphabets, padding and stray trailing bits are refused.

use subtle::ConstantTimeEq as _;

use super::{
    base64url::{decode, encode, text_len},
    keyring::{Keyring, TokenKey},
};
use crate::{
    clock::UnixSeconds,
    id::{KeyId, TargetId},
    internal_errors::Part as _,
};

/// Without a nonce.
const DURATION_VERSION: u8 = 1;
const APPLICATION_VERSION: u8 = 2;
/// Without a nonce.
const DATED_VERSION: u8 = 3;
const GROUP_VERSION: u8 = 4;
const DATED_MAP_VERSION: u8 = 5;
const NONCED_VERSION: u8 = 6;
const NONCED_DATED_VERSION: u8 = 8;
const TAG_LEN: usize = 16;
/// Of a value with a nonce, which takes two bytes of its tag's place.
const NONCED_TAG_LEN: usize = 14;
const DURATION_SIGNED_LEN: usize = 14;
const DURATION_LEN: usize = DURATION_SIGNED_LEN + TAG_LEN;

/// Characters of a duration cookie's value.
pub(super) const DURATION_TEXT_LEN: usize = text_len(DURATION_LEN);

const DATED_SIGNED_LEN: usize = DURATION_SIGNED_LEN + 4;
const DATED_LEN: usize = DATED_SIGNED_LEN + TAG_LEN;

/// Characters of a duration cookie's value that also tells when the session started.
pub(super) const DATED_TEXT_LEN: usize = text_len(DATED_LEN);

const MAP_HEAD_LEN: usize = 2;
const MAP_ENTRY_LEN: usize = 20;
const DATED_ENTRY_LEN: usize = MAP_ENTRY_LEN + 4;

/// Most characters that an application map takes up.
pub(super) const MAP_TEXT_MAX: usize = 16_000;

/// Bytes of entries that fit into [`MAP_TEXT_MAX`].
const MAP_ENTRIES_LEN: usize = MAP_TEXT_MAX / 4 * 3 - MAP_HEAD_LEN - TAG_LEN;

/// Most groups in an application map; a dated one holds fewer.
const MAP_ENTRIES_MAX: usize = MAP_ENTRIES_LEN / MAP_ENTRY_LEN;

/// Most groups in a dated map.
const DATED_ENTRIES_MAX: usize = MAP_ENTRIES_LEN / DATED_ENTRY_LEN;

/// That a client belongs to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) target: TargetId,
    /// When that was last renewed.
    pub(super) issued: UnixSeconds,
    /// When the session began. Where that is not known: when it was last renewed.
    pub(super) started: UnixSeconds,
}

/// The session that a client has in one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapEntry {
    /// See [`TokenKey::group_id`]; of any accepted key.
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
    /// See [`TokenKey::group_id`]; of any accepted key.
    pub(super) group: u64,
    pub(super) issued: UnixSeconds,
}

/// The value of a duration cookie, which does not tell when the session started.
pub(super) fn seal(key: &TokenKey, session: Session, nonce: u16) -> [u8; DURATION_TEXT_LEN] {
    let [i0, i1, i2, i3] = session.issued.0.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = session.target.0.to_be_bytes();
    let [n0, n1] = nonce.to_be_bytes();
    let signed: [u8; DURATION_LEN - NONCED_TAG_LEN] =
        [NONCED_VERSION, key.id().0, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7, n0, n1];
    let bytes: [u8; DURATION_LEN] = join(&signed, &key.duration_tag(&signed));
    let mut text = [0; DURATION_TEXT_LEN];
    encode(&bytes, &mut text);
    text
}

/// What is signed, and of its tag as much as there is room for.
fn join<const LEN: usize, const SIGNED: usize>(signed: &[u8; SIGNED], tag: &[u8; TAG_LEN]) -> [u8; LEN] {
    const { assert!(SIGNED + NONCED_TAG_LEN == LEN) };
    let mut bytes = [0; LEN];
    let (head, tail) = bytes.split_at_mut(SIGNED);
    head.copy_from_slice(signed);
    if let (Some(tail), Some(tag)) = (tail.first_chunk_mut::<NONCED_TAG_LEN>(), tag.first_chunk()) {
        *tail = *tag;
    }
    bytes
}

/// The session in the value of a duration cookie.
pub(super) fn open(ring: &Keyring, text: &[u8]) -> Result<Session, Flaw> {
    let bytes = decoded(text)?;
    let (target, issued) = if bytes.first() == Some(&NONCED_VERSION) {
        let (signed, tag) = bytes.split_at(DURATION_LEN - NONCED_TAG_LEN);
        opened(NONCED_VERSION, ring, TokenKey::duration_tag, signed, tag)?
    } else {
        let (signed, tag) = bytes.split_at(DURATION_SIGNED_LEN);
        opened(DURATION_VERSION, ring, TokenKey::duration_tag, signed, tag)?
    };
    Ok(Session { target: TargetId(target), issued, started: issued })
}

/// The value of a group cookie.
pub(super) fn seal_group(key: &TokenKey, session: GroupSession) -> [u8; DURATION_TEXT_LEN] {
    seal_id(GROUP_VERSION, key, TokenKey::group_tag, session.group, session.issued)
}

/// The session in the value of a group cookie.
pub(super) fn open_group(ring: &Keyring, text: &[u8]) -> Result<GroupSession, Flaw> {
    let bytes = decoded(text)?;
    let (signed, tag) = bytes.split_at(DURATION_SIGNED_LEN);
    let (group, issued) = opened(GROUP_VERSION, ring, TokenKey::group_tag, signed, tag)?;
    Ok(GroupSession { group, issued })
}

/// How a kind of value is tagged.
type Tag = fn(&TokenKey, &[u8]) -> [u8; TAG_LEN];

/// A value that names one thing and when that was said.
fn seal_id(
    version: u8,
    key: &TokenKey,
    tag_of: Tag,
    id: u64,
    issued: UnixSeconds,
) -> [u8; DURATION_TEXT_LEN] {
    let mut bytes = [0; DURATION_LEN];
    let [i0, i1, i2, i3] = issued.0.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = id.to_be_bytes();
    let signed: [u8; DURATION_SIGNED_LEN] =
        [version, key.id().0, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7];
    let (head, tag) = bytes.split_at_mut(DURATION_SIGNED_LEN);
    head.copy_from_slice(&signed);
    tag.copy_from_slice(&tag_of(key, &signed));
    let mut text = [0; DURATION_TEXT_LEN];
    encode(&bytes, &mut text);
    text
}

fn decoded(text: &[u8]) -> Result<[u8; DURATION_LEN], Flaw> {
    let mut bytes = [0; DURATION_LEN];
    if text.len() != DURATION_TEXT_LEN || decode(text, &mut bytes).is_none() {
        return Err(Flaw::Malformed);
    }
    Ok(bytes)
}

/// What a value of this version names and when that was said; a nonce behind it may be anything.
fn opened(
    version: u8,
    ring: &Keyring,
    tag_of: Tag,
    signed: &[u8],
    tag: &[u8],
) -> Result<(u64, UnixSeconds), Flaw> {
    let &[found, key_id, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7, ..] = signed else {
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
pub(super) fn seal_dated(key: &TokenKey, session: Session, nonce: u16) -> [u8; DATED_TEXT_LEN] {
    let [i0, i1, i2, i3] = session.issued.0.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = session.target.0.to_be_bytes();
    let [s0, s1, s2, s3] = session.started.0.to_be_bytes();
    let [n0, n1] = nonce.to_be_bytes();
    let version = NONCED_DATED_VERSION;
    let signed: [u8; DATED_LEN - NONCED_TAG_LEN] =
        [version, key.id().0, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7, s0, s1, s2, s3, n0, n1];
    let bytes: [u8; DATED_LEN] = join(&signed, &key.duration_tag(&signed));
    let mut text = [0; DATED_TEXT_LEN];
    encode(&bytes, &mut text);
    text
}

/// The session in the value of a duration cookie of either form.
pub(super) fn open_either(ring: &Keyring, text: &[u8]) -> Result<Session, Flaw> {
    if text.len() != DATED_TEXT_LEN {
        return open(ring, text);
    }
    let mut bytes = [0; DATED_LEN];
    decode(text, &mut bytes).ok_or(Flaw::Malformed)?;
    let (version, signed_len) = match bytes.first() {
        Some(&NONCED_DATED_VERSION) => (NONCED_DATED_VERSION, DATED_LEN - NONCED_TAG_LEN),
        _ => (DATED_VERSION, DATED_SIGNED_LEN),
    };
    let (signed, tag) = bytes.split_at_checked(signed_len).ok_or(Flaw::Malformed)?;
    let (target, issued) = opened(version, ring, TokenKey::duration_tag, signed, tag)?;
    let Some(&[s0, s1, s2, s3]) = signed.get(DURATION_SIGNED_LEN..DATED_SIGNED_LEN) else {
        return Err(Flaw::Malformed);
    };
    let started = UnixSeconds(u32::from_be_bytes([s0, s1, s2, s3]));
    Ok(Session { target: TargetId(target), issued, started })
}

/// Writes the text of an application map into `text`, which it empties first: a dated one where one of the sessions
/// started at another time than it was issued. At most [`MAP_ENTRIES_MAX`] entries are taken, fewer when dated.
pub(super) fn seal_map(key: &TokenKey, entries: impl Iterator<Item = MapEntry> + Clone, text: &mut Vec<u8>) {
    let is_dated = entries.clone().any(|MapEntry { session, .. }| session.started != session.issued);
    let (version, most) = match is_dated {
        true => (DATED_MAP_VERSION, DATED_ENTRIES_MAX),
        false => (APPLICATION_VERSION, MAP_ENTRIES_MAX),
    };
    let mut bytes = Scratch::default();
    bytes.extend(&[version, key.id().0]);
    for MapEntry { group, session } in entries.take(most) {
        bytes.extend(&group.to_be_bytes());
        bytes.extend(&session.issued.0.to_be_bytes());
        bytes.extend(&session.target.0.to_be_bytes());
        if is_dated {
            bytes.extend(&session.started.0.to_be_bytes());
        }
    }
    let tag = key.application_tag(bytes.filled());
    bytes.extend(&tag);
    let bytes = bytes.filled();
    text.clear();
    text.resize(text_len(bytes.len()), 0);
    encode(bytes, text);
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
    let Some(([version, key_id], entries)) = signed.split_first_chunk::<MAP_HEAD_LEN>() else {
        return Err(Flaw::Malformed);
    };
    let length = match *version {
        APPLICATION_VERSION => MAP_ENTRY_LEN,
        DATED_MAP_VERSION => DATED_ENTRY_LEN,
        _ => return Err(Flaw::Malformed),
    };
    if entries.len() % length != 0 {
        return Err(Flaw::Malformed);
    }
    if !ring.keys_of(KeyId(*key_id)).any(|key| is_tag(tag, key.application_tag(signed))) {
        return Err(Flaw::Forged);
    }
    entries.chunks_exact(length).filter_map(entry_of).for_each(visit);
    Ok(())
}

/// The entry that these bytes stand for, of whichever form.
fn entry_of(bytes: &[u8]) -> Option<MapEntry> {
    let (plain, started) = bytes.split_first_chunk::<MAP_ENTRY_LEN>()?;
    let &[g0, g1, g2, g3, g4, g5, g6, g7, i0, i1, i2, i3, t0, t1, t2, t3, t4, t5, t6, t7] = plain;
    let issued = UnixSeconds(u32::from_be_bytes([i0, i1, i2, i3]));
    let started = match *started {
        [s0, s1, s2, s3] => UnixSeconds(u32::from_be_bytes([s0, s1, s2, s3])),
        _ => issued,
    };
    let target = TargetId(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
    Some(MapEntry {
        group: u64::from_be_bytes([g0, g1, g2, g3, g4, g5, g6, g7]),
        session: Session { target, issued, started },
    })
}

/// Whether a tag, of a length that its version has, is the one that is wanted.
fn is_tag(given: &[u8], wanted: [u8; TAG_LEN]) -> bool {
    wanted.get(..given.len()).is_some_and(|wanted| bool::from(given.ct_eq(wanted)))
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
        all.part(..self.len)
    }

    fn extend(&mut self, more: &[u8]) {
        let end = self.len + more.len();
        if self.far.is_empty() {
            if let Some(room) = self.near.get_mut(self.len..end) {
                room.copy_from_slice(more);
                self.len = end;
                return;
            }
            self.far.extend_from_slice(self.near.part(..self.len));
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
        self.len = decode(text, room)?;
        Some(self.filled())
    }
}

#[cfg(test)]
mod tests;
