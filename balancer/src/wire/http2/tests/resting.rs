use std::{cell::RefCell, rc::Rc};

use super::states::{Peer, reset};
use crate::wire::http2::{
    ErrorCode,
    core::Core,
    flow::INITIAL,
    frame::{flag, kind},
};

/// What is left of the connection goes on.
fn rested(peer: &Peer) -> Peer {
    assert!(peer.core.borrow().may_rest());
    let resting = peer.core.borrow_mut().take_rest();
    Peer { core: Rc::new(RefCell::new(Core::resumed(resting))) }
}

/// The fields of a request whose block is this, asked and answered.
fn fields_of(peer: &Peer, id: u32, block: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    peer.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, block);
    let accepted = peer.core.borrow_mut().accepted.pop_front().unwrap();
    let fields = accepted.head.lines().map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
    let answer = |head: &mut crate::wire::http2::HeadWriter<'_>| head.field(b"x-answer", b"the same");
    peer.core.borrow_mut().send_block(accepted.place, Some(200), true, answer).unwrap();
    peer.core.borrow_mut().close(accepted.place);
    fields
}

/// The header block that was said.
fn said(peer: &Peer) -> Vec<u8> {
    let [(kind::HEADERS, _, block)] = &peer.said()[..] else { panic!("one block is said") };
    block.clone()
}

const ASKED: &[u8] = &[0x82, 0x86, 0x84];

#[test]
fn what_the_other_side_was_told_of_fields_is_told_anew_and_what_it_told_is_known() {
    let mut peer = Peer::new();
    // "x-a: 1" enters the table, and is its 62nd field.
    let first = [ASKED, &[0x40, 3], b"x-a", &[1], b"1"].concat();
    let told = vec![(b"x-a".to_vec(), b"1".to_vec())];
    assert_eq!(fields_of(&peer, 1, &first), told);
    let in_full = [&[0x88, 0x40, 8][..], b"x-answer", &[8], b"the same"].concat();
    assert_eq!(said(&peer), in_full);
    assert_eq!(fields_of(&peer, 3, &[ASKED, &[0xbe]].concat()), told);
    assert_eq!(said(&peer), [0x88, 0xbe]);
    for round in 1..4 {
        peer = rested(&rested(&peer));
        assert_eq!(fields_of(&peer, 3 + 4 * round, &[ASKED, &[0xbe]].concat()), told);
        // The table is emptied, and is as large as it was then.
        assert_eq!(said(&peer), [&[0x20, 0x3f, 0xe1, 0x1f], &in_full[..]].concat());
        assert_eq!(fields_of(&peer, 5 + 4 * round, &[ASKED, &[0xbe]].concat()), told);
        assert_eq!(said(&peer), [0x88, 0xbe]);
    }
}

#[test]
fn a_table_that_nothing_is_in_needs_no_word() {
    let peer = Peer::new();
    peer.send(kind::SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
    peer.said();
    fields_of(&peer, 1, ASKED);
    let first = said(&peer);
    assert_eq!(first[0], 0x20, "it has become smaller: {first:02x?}");
    let peer = rested(&peer);
    fields_of(&peer, 3, ASKED);
    assert_eq!(said(&peer), first[1..]);
}

#[test]
fn windows_settings_and_numbers_of_streams_are_as_they_were() {
    let peer = Peer::new();
    peer.send(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 100, 0, 5, 0, 0, 0x80, 0]);
    peer.send(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]);
    peer.ask(7, true);
    drop(peer.take());
    peer.said();
    let before = format!("{:?}", peer.core.borrow().receive_window);
    let peer = rested(&peer);
    assert_eq!(format!("{:?}", peer.core.borrow().receive_window), before);
    {
        let core = peer.core.borrow();
        assert_eq!(core.window.room(), INITIAL as usize + 9);
        assert_eq!((core.initial_window, core.most_payload), (100, 0x8000));
        assert_eq!((core.opened, core.taken, core.output()), (7, 7, &b""[..]));
    }
    // Streams that were passed over stay so.
    peer.ask(5, true);
    assert!(peer.violation().is_some());
}

#[test]
fn what_still_comes_on_a_stream_that_was_reset_means_nothing() {
    let peer = Peer::new();
    peer.ask(1, false);
    peer.take().unwrap().reset(ErrorCode::Cancel);
    assert_eq!(peer.said(), [reset(1, ErrorCode::Cancel)]);
    let peer = rested(&peer);
    peer.send(kind::DATA, flag::END_STREAM, 1, b"late");
    assert_eq!((peer.violation(), peer.said()), (None, Vec::new()));
}

#[test]
fn there_is_no_rest_while_anything_is_under_way() {
    let may_rest = |peer: &Peer| peer.core.borrow().may_rest();
    let peer = Peer { core: Rc::new(RefCell::new(Core::new(0))) };
    assert!(!may_rest(&peer), "it has not begun");
    let peer = Peer::new();
    assert!(may_rest(&peer));
    peer.ask(1, true);
    assert!(!may_rest(&peer), "nobody has taken it");
    let stream = peer.take();
    assert!(!may_rest(&peer));
    peer.core.borrow_mut().reset(0, ErrorCode::Cancel, crate::wire::http2::StreamFault::Given);
    peer.said();
    assert!(!may_rest(&peer), "somebody has it");
    drop(stream);
    assert!(may_rest(&peer));
    peer.send(kind::PING, 0, 0, &[7; 8]);
    assert!(!may_rest(&peer), "it is to be answered");
    peer.said();
    assert!(may_rest(&peer));
    peer.send(kind::HEADERS, flag::END_STREAM, 3, ASKED);
    assert!(!may_rest(&peer), "a head goes on");
    peer.send(kind::CONTINUATION, flag::END_HEADERS, 3, &[]);
    drop(peer.take());
    peer.said();
    assert!(may_rest(&peer));
    peer.core.borrow_mut().leave();
    peer.said();
    assert!(!may_rest(&peer), "it ends");
}

#[test]
fn little_is_left() {
    assert!(size_of::<crate::wire::http2::Resting>() <= 256);
}
