//! Values from seal to open, their forms told apart, and everything else refused.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn ring(secrets: &[u8]) -> Keyring {
    Keyring::from_bytes(&secrets.iter().flat_map(|&byte| [byte; 32]).collect::<Vec<_>>()).unwrap()
}

const SESSION: Session = Session {
    target: TargetId(0x0123_4567_89ab_cdef),
    issued: UnixSeconds(1_700_000_000),
    started: UnixSeconds(1_700_000_000),
};
const NONCE: u16 = 0xb0b1;
const STARTED: UnixSeconds = UnixSeconds(1_600_000_000);

fn map_of(count: usize) -> Vec<MapEntry> {
    let entry = |n: u64| MapEntry {
        group: n.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        session: Session { target: TargetId(!n), ..SESSION },
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
    let text = seal(ring(&[1]).signing(), SESSION, NONCE);
    assert!(is_cookie_value(&text));
    for secrets in [&[1][..], &[1, 2], &[2, 1], &[2, 3, 4, 5, 6, 7, 8, 1]] {
        assert_eq!(open(&ring(secrets), &text), Ok(SESSION));
    }
    assert_eq!(open(&ring(&[2, 3]), &text), Err(Flaw::Forged));
}

/// Cookies of the same second for the same target differ, and say the same.
#[test]
fn a_nonce_makes_another_text_of_the_same_session() {
    let ring = ring(&[1]);
    let (key, dated) = (ring.signing(), Session { started: STARTED, ..SESSION });
    let texts: std::collections::HashSet<_> = (0..=u16::MAX).map(|nonce| seal(key, SESSION, nonce)).collect();
    assert_eq!(texts.len(), 1 << 16);
    for nonce in [0, 1, 0xff, 0x100, u16::MAX] {
        assert_eq!(open(&ring, &seal(key, SESSION, nonce)), Ok(SESSION));
        assert_eq!(open_either(&ring, &seal_dated(key, dated, nonce)), Ok(dated));
    }
    assert_ne!(seal_dated(key, dated, 0), seal_dated(key, dated, 1));
}

/// What was set by a balancer of before is a session still.
#[test]
fn values_without_a_nonce_are_read() {
    let ring = ring(&[1, 2]);
    let text =
        seal_id(DURATION_VERSION, ring.signing(), TokenKey::duration_tag, SESSION.target.0, SESSION.issued);
    assert_eq!(open(&ring, &text), Ok(SESSION));
    assert_eq!(open_either(&ring, &text), Ok(SESSION));
    assert_eq!(open(&super::tests::ring(&[3]), &text), Err(Flaw::Forged));
    for (from, to) in [(DURATION_VERSION, NONCED_VERSION), (NONCED_VERSION, DURATION_VERSION)] {
        let text = if from == NONCED_VERSION { seal(ring.signing(), SESSION, NONCE) } else { text };
        let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        assert_eq!(bytes[0], from);
        bytes[0] = to;
        assert_eq!(open(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Err(Flaw::Forged));
    }
    let mut signed = URL_SAFE_NO_PAD.decode(text).unwrap()[..DURATION_SIGNED_LEN].to_vec();
    signed[0] = DATED_VERSION;
    signed.extend(STARTED.0.to_be_bytes());
    let tag = ring.signing().duration_tag(&signed);
    let dated = URL_SAFE_NO_PAD.encode([&signed[..], &tag].concat());
    assert_eq!(open_either(&ring, dated.as_bytes()), Ok(Session { started: STARTED, ..SESSION }));
}

#[test]
fn a_value_tells_when_its_session_started() {
    let (ring, session) = (ring(&[1, 2]), Session { started: STARTED, ..SESSION });
    let text = seal_dated(ring.signing(), session, NONCE);
    assert!(is_cookie_value(&text) && text.len() == 46);
    assert_eq!(open_either(&ring, &text), Ok(session));
    assert_eq!(open_either(&ring, &seal(ring.signing(), session, NONCE)), Ok(SESSION), "an old one");
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
    let target = seal(ring.signing(), SESSION, NONCE);
    assert_eq!(open_group(&ring, &target), Err(Flaw::Malformed));
    for (text, version) in [(text, DURATION_VERSION), (text, NONCED_VERSION), (target, GROUP_VERSION)] {
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
    let text = seal(Keyring::from_bytes(&second).unwrap().signing(), SESSION, NONCE);
    assert_eq!(open(&both, &text), Ok(SESSION));
}

#[test]
fn what_has_not_the_form_is_malformed() {
    let ring = ring(&[1]);
    let good = seal(ring.signing(), SESSION, NONCE);
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
    assert!(opened(&ring, &seal(ring.signing(), SESSION, NONCE)).is_err());
    // A map without entries has the right length for nothing else, and the tags have different keys.
    let mut bytes = URL_SAFE_NO_PAD.decode(seal(ring.signing(), SESSION, NONCE)).unwrap();
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

/// A map in which the session at `index` is older than its entry.
fn dated_map_of(count: usize, index: usize) -> Vec<MapEntry> {
    let mut entries = map_of(count);
    entries[index].session.started = STARTED;
    entries
}

#[test]
fn a_map_tells_when_sessions_started_where_one_is_older_than_its_entry() {
    let ring = ring(&[1, 2]);
    for count in [1, 2, 9, 10, 11, 100, DATED_ENTRIES_MAX] {
        let entries = dated_map_of(count, count - 1);
        let text = sealed(&ring, &entries);
        assert!(is_cookie_value(&text) && text.len() <= MAP_TEXT_MAX);
        assert_eq!(opened(&ring, &text), Ok(entries), "{count}");
    }
    assert_eq!(sealed(&ring, &dated_map_of(1, 0)).len(), 56);
    let full = dated_map_of(DATED_ENTRIES_MAX, 0);
    let more = dated_map_of(DATED_ENTRIES_MAX + 1, 0);
    assert_eq!(opened(&ring, &sealed(&ring, &more)), Ok(full), "one too many is left out");
}

#[test]
fn a_form_of_map_never_passes_for_the_other() {
    let ring = ring(&[1]);
    // Both lengths are those of whole entries of either form.
    for (entries, version) in [(dated_map_of(5, 0), APPLICATION_VERSION), (map_of(6), DATED_MAP_VERSION)] {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed(&ring, &entries)).unwrap();
        assert_ne!(bytes[0], version);
        bytes[0] = version;
        assert_eq!(opened(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Err(Flaw::Forged));
    }
}

#[test]
fn a_map_that_is_cut_is_refused() {
    let ring = ring(&[1]);
    for text in [sealed(&ring, &map_of(3)), sealed(&ring, &dated_map_of(3, 1))] {
        for length in 0..text.len() {
            assert!(opened(&ring, &text[..length]).is_err());
        }
    }
    assert_eq!(opened(&ring, &[b'A'; MAP_TEXT_MAX + 1]), Err(Flaw::Malformed));
}

#[test]
fn ten_thousand_mutations_of_a_valid_value_are_all_refused() {
    let ring = ring(&[1, 2]);
    let (cookie, map) = (seal(ring.signing(), SESSION, NONCE), sealed(&ring, &map_of(2)));
    let dated = sealed(&ring, &dated_map_of(2, 0));
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    };
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for valid in [&cookie[..], &map, &dated] {
        let (mut tried, mut forged) = (0, 0);
        while tried < 10_000 {
            let mut text = valid.to_vec();
            for _ in 0..=random(3) {
                if text.is_empty() {
                    break;
                }
                let index = random(text.len());
                match random(8) {
                    0 => _ = text.remove(index),
                    1 => text.insert(index, alphabet[random(64)]),
                    2 => text.truncate(index + 1),
                    3 => text[index] ^= 1 << random(8),
                    4 => text.swap(index, 0),
                    _ => text[index] = alphabet[random(64)],
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
    fn any_session_comes_back(target: u64, issued: u32, started: u32, secret: [u8; 32]) {
        let ring = Keyring::from_bytes(&secret).unwrap();
        let (issued, started) = (UnixSeconds(issued), UnixSeconds(started));
        let session = Session { target: TargetId(target), issued, started };
        let undated = Session { started: issued, ..session };
        prop_assert_eq!(open(&ring, &seal(ring.signing(), session, NONCE)), Ok(undated));
        prop_assert_eq!(open_either(&ring, &seal_dated(ring.signing(), session, NONCE)), Ok(session));
        let entries = [undated, session].map(|session| MapEntry { group: target, session });
        prop_assert_eq!(opened(&ring, &sealed(&ring, &entries)), Ok(entries.to_vec()));
    }

    #[test]
    fn no_text_of_any_kind_is_accepted_or_panics(
        text: Vec<u8>,
        letters in "[A-Za-z0-9_-]{40}|[A-Za-z0-9_-]{46}|[A-Za-z0-9_-]{51}|[A-Za-z0-9_-]{56}",
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
        let mut bytes = URL_SAFE_NO_PAD.decode(seal(ring.signing(), SESSION, NONCE)).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flaw = if bit < 8 { Flaw::Malformed } else { Flaw::Forged };
        prop_assert_eq!(open(&ring, URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Err(flaw));
    }
}
