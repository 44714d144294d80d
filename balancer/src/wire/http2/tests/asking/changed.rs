use std::{cell::RefCell, rc::Rc};

use proptest::prelude::*;

use super::{super::mutations, *};
use crate::wire::http2::play::play_answers;

/// What a target says to five requests.
fn said() -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |kind, flags, stream, payload: &[u8]| frame::write(&mut out, kind, flags, stream, payload);
    put(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0, 0, 1, 0, 0, 0, 100, 0, 3, 0, 0, 0, 5]);
    put(kind::SETTINGS, flag::ACK, 0, &[]);
    put(kind::PING, flag::ACK, 0, GREETING);
    put(kind::HEADERS, flag::END_HEADERS, 1, &block(&[(":status", "103"), ("link", "</a>")], &[]));
    put(kind::HEADERS, flag::END_HEADERS, 1, &block(&[("content-length", "30"), ("server", "s")], &[0x88]));
    put(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 64, 0]);
    put(kind::DATA, 0, 1, &[b'x'; 10]);
    put(kind::DATA, flag::PADDED, 1, b"\x055555555555abcde");
    put(kind::HEADERS, END, 3, &block(&[], &[0x89, 0xbe]));
    put(kind::DATA, flag::END_STREAM, 1, &[b'z'; 10]);
    put(kind::RST_STREAM, 0, 1, &[0; 4]);
    put(kind::HEADERS, flag::PRIORITY, 5, &[0, 0, 0, 0, 1, 0x88]);
    put(kind::CONTINUATION, 0, 5, &[0xbe]);
    put(kind::CONTINUATION, flag::END_HEADERS, 5, &[]);
    put(kind::DATA, 0, 5, &[b'y'; 30]);
    put(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1, 0, 6, 0, 0, 1, 0]);
    put(kind::HEADERS, END, 5, &block(&[("grpc-status", "0")], &[]));
    put(kind::PING, 0, 0, b"12345678");
    put(kind::RST_STREAM, 0, 7, &[0, 0, 0, 7]);
    put(99, 7, 3, b"unknown");
    put(kind::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0, b'b', b'y', b'e']);
    out
}

#[test]
fn the_conversation_is_a_valid_one() {
    let peer = Peer { core: Rc::new(RefCell::new(Core::to_target(0))) };
    let mut streams: Vec<_> = (0..5).map(|_| peer.get(false)).collect();
    let bytes = said();
    assert_eq!(peer.core.borrow_mut().receive(&bytes), bytes.len());
    assert_eq!((peer.violation(), peer.core.borrow().is_greeted()), (None, true));
    assert_eq!(streams[0].take_answer().unwrap().status(), 103);
    let statuses: Vec<_> = streams[..3].iter_mut().map(|stream| come(stream).unwrap().0).collect();
    assert_eq!(statuses, [200, 204, 200]);
    assert!(matches!(come(&mut streams[3]), Err(Some(StreamEnd::Reset(7)))));
    assert!(matches!(come(&mut streams[4]), Err(Some(StreamEnd::Unseen(_)))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_changed_panics_or_grows(
        changes in proptest::collection::vec(mutations::change(said().len(), 0), 0..6),
        piece in 1..300_usize, deed in any::<u8>(),
    ) {
        play_answers(&mutations::changed(said(), &changes), piece, deed);
    }

    #[test]
    fn nothing_at_all_panics_or_grows(
        frames in proptest::collection::vec((0_u8..12, any::<u8>(), 0_u32..12, proptest::collection::vec(any::<u8>(), 0..20)), 0..60),
        piece in 1..300_usize, deed in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, kind::SETTINGS, 0, 0, &[]);
        for (kind, flags, stream, payload) in frames {
            frame::write(&mut bytes, kind, flags, stream, &payload);
        }
        play_answers(&bytes, piece, deed);
    }
}
