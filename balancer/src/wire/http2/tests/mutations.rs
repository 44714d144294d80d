//! Bytes of a valid conversation with changes, and frames of any kind.

use std::{cell::RefCell, rc::Rc};

use proptest::prelude::*;

use crate::wire::http2::{
    PREFACE,
    core::Core,
    frame::{self, flag, kind},
    play::play,
};

/// A block of literals, and of indexes.
pub(super) fn block(fields: &[(&str, &str)], indexes: &[u8]) -> Vec<u8> {
    let mut out = indexes.to_vec();
    for (name, value) in fields {
        out.push(if name.len() % 2 == 0 { 0x40 } else { 0 });
        out.push(u8::try_from(name.len()).unwrap());
        out.extend(name.bytes());
        out.push(u8::try_from(value.len()).unwrap());
        out.extend(value.bytes());
    }
    out
}

fn conversation() -> Vec<u8> {
    let mut out = PREFACE.to_vec();
    let mut put = |kind, flags, stream, payload: &[u8]| frame::write(&mut out, kind, flags, stream, payload);
    put(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0, 0, 1, 0, 0, 0, 100]);
    let head = block(
        &[(":authority", "a.test"), ("x-other", "v"), ("cookie", "a=1"), ("cookie", "b=2")],
        &[0x82, 0x86, 0x84],
    );
    put(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &head);
    put(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 64, 0]);
    let post =
        block(&[(":authority", "a.test"), ("content-length", "30"), ("te", "trailers")], &[0x83, 0x86, 0x85]);
    put(kind::HEADERS, flag::END_HEADERS, 3, &post);
    put(kind::DATA, 0, 3, &[b'x'; 10]);
    put(kind::DATA, flag::PADDED, 3, b"\x055555555555abcde");
    put(kind::DATA, flag::END_STREAM, 3, &[b'z'; 10]);
    put(kind::HEADERS, flag::PRIORITY, 5, &[&[0, 0, 0, 0, 1][..], &post[..9]].concat());
    put(kind::CONTINUATION, 0, 5, &post[9..20]);
    put(kind::CONTINUATION, flag::END_HEADERS, 5, &post[20..]);
    put(kind::PING, 0, 0, b"12345678");
    put(kind::WINDOW_UPDATE, 0, 3, &[0, 0, 0, 9]);
    put(kind::DATA, 0, 5, &[b'y'; 30]);
    put(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 5, &block(&[("x-sum", "1")], &[]));
    put(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 7, &block(&[], &[0x82, 0x86, 0x84, 0xbe, 0xbf]));
    put(kind::RST_STREAM, 0, 7, &[0, 0, 0, 8]);
    put(kind::SETTINGS, flag::ACK, 0, &[]);
    put(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]);
    put(kind::PRIORITY, 0, 9, &[0, 0, 0, 0, 1]);
    put(99, 7, 3, b"unknown");
    put(kind::GOAWAY, 0, 0, &[0; 8]);
    out
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Byte(usize, u8),
    Drop(usize, usize),
    Repeat(usize, usize),
    Put(usize, Vec<u8>),
    Cut(usize),
}

pub(super) fn change(length: usize, from: usize) -> impl Strategy<Value = Change> {
    let place = move || from..length;
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        1 => (place(), 1..40_usize).prop_map(|(place, length)| Change::Drop(place, length)),
        2 => (place(), 1..200_usize).prop_map(|(place, length)| Change::Repeat(place, length)),
        1 => (place(), proptest::collection::vec(any::<u8>(), 1..30)).prop_map(|(place, bytes)| Change::Put(place, bytes)),
        1 => place().prop_map(Change::Cut),
    ]
}

pub(super) fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let within = |place: usize| place.min(bytes.len());
        match change {
            Change::Byte(place, byte) => {
                if let Some(at) = bytes.get_mut(*place) {
                    *at = *byte;
                }
            }
            Change::Drop(place, length) => _ = bytes.drain(within(*place)..within(place + length)),
            Change::Repeat(place, length) => {
                let part = bytes[within(*place)..within(place + length)].to_vec();
                let at = within(*place);
                bytes.splice(at..at, part);
            }
            Change::Put(place, put) => {
                let at = within(*place);
                bytes.splice(at..at, put.clone());
            }
            Change::Cut(place) => bytes.truncate(*place),
        }
    }
    bytes
}

#[test]
fn the_conversation_is_a_valid_one() {
    let core = Rc::new(RefCell::new(Core::new(0)));
    let bytes = conversation();
    let mut core = core.borrow_mut();
    assert_eq!(core.receive(&bytes), bytes.len());
    let are_malformed: Vec<_> = core.accepted.iter().map(|accepted| accepted.head.is_malformed()).collect();
    assert_eq!((core.violation, core.is_leaving), (None, true));
    assert_eq!(are_malformed, [false, false, false, true]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_changed_panics_or_grows(
        changes in proptest::collection::vec(change(conversation().len(), 20), 0..6), piece in 1..300_usize, deed in any::<u8>(),
    ) {
        play(&changed(conversation(), &changes), piece, deed);
    }

    #[test]
    fn nothing_at_all_panics_or_grows(
        frames in proptest::collection::vec((0_u8..12, any::<u8>(), 0_u32..12, proptest::collection::vec(any::<u8>(), 0..20)), 0..60),
        piece in 1..300_usize, deed in any::<u8>(),
    ) {
        let mut bytes = PREFACE.to_vec();
        frame::write(&mut bytes, kind::SETTINGS, 0, 0, &[]);
        for (kind, flags, stream, payload) in frames {
            frame::write(&mut bytes, kind, flags, stream, &payload);
        }
        play(&bytes, piece, deed);
    }
}

#[test]
fn what_the_fuzzer_begins_with_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/http2");
    let mut count = 0;
    for seed in std::fs::read_dir(folder).unwrap() {
        let data = std::fs::read(seed.unwrap().path()).unwrap();
        play(&[&PREFACE[..], &data[2..]].concat(), usize::from(data[0]) + 1, data[1]);
        count += 1;
    }
    assert!(count > 3);
}
