use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Waker},
};

use super::mutations::block;
use crate::wire::{
    body::{Sink as _, Source as _},
    http2::{
        ErrorCode, Http2Stream, MOST_STREAMS, PREFACE, StreamFault, Violation,
        core::{Core, FAREWELL},
        frame::{self, FrameHead, HEAD, flag, kind},
    },
};

/// A connection that has begun.
pub(super) struct Peer {
    pub(super) core: Rc<RefCell<Core>>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self::begun(Core::new(0))
    }

    /// One of a client that has begun with this core.
    pub(super) fn begun(core: Core) -> Self {
        let peer = Self { core: Rc::new(RefCell::new(core)) };
        peer.core.borrow_mut().receive(PREFACE);
        peer.send(kind::SETTINGS, 0, 0, &[]);
        peer.said();
        peer
    }

    pub(super) fn send(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, kind, flags, stream, payload);
        let mut core = self.core.borrow_mut();
        assert_eq!(core.receive(&bytes), bytes.len());
    }

    /// One to a target.
    pub(super) fn of_target() -> Self {
        let peer = Self { core: Rc::new(RefCell::new(Core::to_target(0))) };
        peer.send(kind::SETTINGS, 0, 0, &[]);
        peer.core.borrow_mut().drop_output();
        peer.core.borrow_mut().is_leaving = false;
        peer
    }

    pub(super) fn ask(&self, stream: u32, ends: bool) {
        let head = block(&[(":authority", "a.test")], &[0x82, 0x86, 0x84]);
        let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
        self.send(kind::HEADERS, flags, stream, &head);
    }

    pub(super) fn take(&self) -> Option<Http2Stream> {
        let accepted = self.core.borrow_mut().accepted.pop_front()?;
        Some(Http2Stream::new(&self.core, accepted.place))
    }

    /// What the other side is told: types, streams and payloads.
    pub(super) fn said(&self) -> Vec<(u8, u32, Vec<u8>)> {
        let mut core = self.core.borrow_mut();
        let (mut rest, mut said) = (core.output(), Vec::new());
        while let Some(head) = FrameHead::read(rest) {
            said.push((head.kind, head.stream, rest[HEAD..HEAD + head.length].to_vec()));
            rest = &rest[HEAD + head.length..];
        }
        let length = core.output().len();
        core.wrote(length);
        said
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.core.borrow().violation
    }
}

pub(super) fn reset(stream: u32, code: ErrorCode) -> (u8, u32, Vec<u8>) {
    (kind::RST_STREAM, stream, (code as u32).to_be_bytes().to_vec())
}

fn goaway(last: u32) -> (u8, u32, Vec<u8>) {
    (kind::GOAWAY, 0, [last.to_be_bytes(), [0; 4]].concat())
}

#[test]
fn a_request_that_was_taken_back_before_anybody_looked_is_not_whole() {
    let peer = Peer::new();
    peer.ask(1, false);
    let stream = peer.take().unwrap();
    peer.send(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    assert!(!stream.is_whole() && stream.is_unread());
    assert_eq!(stream.fault(), Some(StreamFault::Reset(8)));
    // One that nobody has looked at yet is a request all the same: somebody has to tell of it.
    peer.ask(3, false);
    peer.send(kind::RST_STREAM, 0, 3, &[0, 0, 0, 8]);
    assert_eq!(peer.take().and_then(|stream| stream.fault()), Some(StreamFault::Reset(8)));
    drop(stream);
    assert_eq!((peer.said(), peer.core.borrow().streams.open()), (Vec::new(), 0));
}

#[test]
fn what_has_come_before_a_violation_is_told_of() {
    let peer = Peer::new();
    peer.ask(1, true);
    peer.send(kind::DATA, 0, 3, b"x");
    assert!(peer.violation().is_some());
    assert_eq!(peer.take().and_then(|stream| stream.fault()), Some(StreamFault::Lost));
}

#[test]
fn whether_a_head_is_all_does_not_change_with_what_becomes_of_the_stream() {
    let peer = Peer::new();
    for (stream, ends) in [(1, true), (3, false)] {
        peer.ask(stream, ends);
        peer.send(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        assert_eq!(peer.core.borrow_mut().accepted.pop_front().unwrap().head.is_all(), ends);
    }
}

#[test]
fn trailers_that_are_no_end_reset_their_stream_alone() {
    let peer = Peer::new();
    peer.ask(1, true);
    peer.ask(3, false);
    let [_other, stream] = [(); 2].map(|()| peer.take().unwrap());
    peer.said();
    peer.send(kind::HEADERS, flag::END_HEADERS, 3, &block(&[("x-sum", "1")], &[]));
    assert_eq!((peer.said(), peer.violation()), (vec![reset(3, ErrorCode::Protocol)], None));
    assert_eq!(stream.fault(), Some(StreamFault::Malformed));
}

#[test]
fn lengths_in_trailers_mean_nothing() {
    let peer = Peer::new();
    for (stream, fields) in [(1, &[("content-length", "none")][..]), (3, &[("content-length", "1"); 2])] {
        peer.ask(stream, false);
        let taken = peer.take().unwrap();
        let ends = flag::END_HEADERS | flag::END_STREAM;
        peer.send(kind::HEADERS, ends, stream, &block(fields, &[]));
        assert_eq!((taken.fault(), peer.violation()), (None, None));
    }
}

#[test]
fn settings_change_windows_of_streams_that_are_there_alone() {
    let peer = Peer::new();
    peer.ask(1, true);
    peer.ask(3, true);
    let _streams = [(); 2].map(|()| peer.take().unwrap());
    peer.send(kind::WINDOW_UPDATE, 0, 3, &(0x7fff_ffff_u32 - 65_535).to_be_bytes());
    peer.send(kind::RST_STREAM, 0, 3, &[0, 0, 0, 8]);
    peer.send(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    assert_eq!(peer.violation(), None);
    peer.send(kind::WINDOW_UPDATE, 0, 1, &(0x7fff_ffff_u32 - 65_536).to_be_bytes());
    peer.send(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 1]);
    assert_eq!(peer.violation(), Some(Violation::FlowControl), "one that is there");
}

#[test]
fn a_stream_that_was_passed_over_cannot_be_opened() {
    let peer = Peer::new();
    peer.ask(5, true);
    peer.ask(7, true);
    peer.ask(3, true);
    assert!(matches!(peer.violation(), Some(Violation::Protocol(_))), "{:?}", peer.violation());
    let peer = Peer::new();
    peer.ask(1, true);
    peer.take().unwrap().send_head(200, true, |_| {}).unwrap();
    peer.ask(1, true);
    assert_eq!(peer.violation(), Some(Violation::StreamClosed), "one that is over");
}

#[test]
fn a_client_that_leaves_is_told_up_to_where_it_was_served() {
    let peer = Peer::new();
    peer.ask(1, true);
    peer.take().unwrap().send_head(200, true, |_| {}).unwrap();
    peer.send(kind::GOAWAY, 0, 0, &[0; 8]);
    peer.said();
    let mut core = peer.core.borrow_mut();
    assert!(core.is_done() && core.says_farewell() && !core.says_farewell());
    drop(core);
    assert_eq!(peer.said(), [goaway(1)]);
}

#[test]
fn little_that_stands_for_much_takes_no_memory() {
    let long = "/".repeat(3900);
    for name in [":path", "cookie", "x"] {
        let peer = Peer::new();
        let mut bomb = block(&[(":authority", "a.test")], &[0x82, 0x86]);
        bomb.extend([0x40, u8::try_from(name.len()).unwrap()]);
        bomb.extend(name.bytes());
        // 3,900 in a prefix of 7 bits.
        bomb.extend([0x7f, 0xbd, 0x1d]);
        bomb.extend(long.bytes());
        bomb.extend([0xbe; 12_000]);
        peer.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &bomb);
        let core = peer.core.borrow();
        assert_eq!(core.violation, None, "{name}");
        let held = core.accepted.front().map_or(0, |accepted| accepted.head.capacity());
        let spare: usize = core.blocks.iter().map(|block| block.capacity()).sum();
        assert!(held + spare < 300 << 10, "{name}: {held} and {spare}");
    }
}

#[test]
fn who_lets_go_of_a_stream_tells_why() {
    let peer = Peer::new();
    [1, 3, 5, 7].iter().for_each(|stream| peer.ask(*stream, *stream == 7));
    let mut streams: Vec<_> = (0..4).map(|_| peer.take().unwrap()).collect();
    streams[1].send_head(200, true, |_| {}).unwrap();
    streams[2].reset(ErrorCode::Internal);
    streams[3].send_head(200, true, |_| {}).unwrap();
    streams.into_iter().for_each(drop);
    let resets: Vec<_> = peer.said().into_iter().filter(|said| said.0 == kind::RST_STREAM).collect();
    assert_eq!(
        resets,
        [reset(5, ErrorCode::Internal), reset(1, ErrorCode::Cancel), reset(3, ErrorCode::NoError)]
    );
}

#[test]
fn what_comes_late_means_nothing_after_a_reset_and_is_a_violation_after_an_end() {
    let peer = Peer::new();
    peer.ask(1, false);
    drop(peer.take());
    peer.said();
    peer.send(kind::DATA, 0, 1, &[7; 100]);
    peer.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block(&[("x-sum", "1")], &[]));
    peer.send(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
    assert_eq!((peer.said(), peer.violation()), (Vec::new(), None));
    peer.ask(3, true);
    peer.send(kind::DATA, 0, 3, b"x");
    assert_eq!(peer.violation(), Some(Violation::StreamClosed));
}

/// Clients in Python make an error of whatever comes behind a GOAWAY, and of what came with it.
#[test]
fn a_client_that_is_to_go_by_and_by_has_its_answers_before_it_is_told() {
    let peer = Peer::new();
    peer.core.borrow_mut().leave_if_due();
    peer.ask(1, true);
    let mut first = peer.take().unwrap();
    let leave_if_due = || peer.core.borrow_mut().leave_if_due();
    peer.core.borrow_mut().leave_behind_answers();
    leave_if_due();
    peer.ask(3, true);
    let mut second = peer.take().expect("it may ask for more meanwhile");
    first.send_head(200, true, |_| {}).unwrap();
    leave_if_due();
    assert!(peer.said().iter().all(|said| said.0 == kind::HEADERS), "there is another request");
    second.send_head(200, true, |_| {}).unwrap();
    leave_if_due();
    leave_if_due();
    let said = peer.said();
    let wanted = [(kind::PING, 0, FAREWELL.to_vec()), goaway(0x7fff_ffff)];
    assert_eq!((said[0].0, &said[1..]), (kind::HEADERS, &wanted[..]), "with the last answer");
    peer.core.borrow_mut().leave();
    assert_eq!(peer.said(), [], "it is told once");
    peer.send(kind::PING, flag::ACK, 0, FAREWELL);
    assert_eq!(peer.said(), [goaway(3)]);
    // Who has asked for nothing is told with the next answer.
    let peer = Peer::new();
    let leave_if_due = || peer.core.borrow_mut().leave_if_due();
    peer.core.borrow_mut().leave_behind_answers();
    leave_if_due();
    assert_eq!(peer.said(), []);
    peer.ask(1, true);
    leave_if_due();
    peer.take().unwrap().send_head(200, true, |_| {}).unwrap();
    leave_if_due();
    assert_eq!(peer.said()[1..], wanted);
    // Who cannot be waited for is told at once.
    let peer = Peer::new();
    peer.ask(1, true);
    peer.core.borrow_mut().leave_behind_answers();
    peer.core.borrow_mut().leave();
    peer.core.borrow_mut().leave_if_due();
    assert_eq!(peer.said(), [goaway(0x7fff_ffff), (kind::PING, 0, FAREWELL.to_vec())]);
}

#[test]
fn the_client_is_told_to_go_in_two_steps() {
    let peer = Peer::new();
    peer.ask(1, true);
    let mut first = peer.take().unwrap();
    peer.core.borrow_mut().leave();
    assert_eq!(peer.said(), [goaway(0x7fff_ffff), (kind::PING, 0, FAREWELL.to_vec())]);
    peer.ask(3, true);
    let mut second = peer.take().expect("it was on its way");
    peer.send(kind::PING, flag::ACK, 0, FAREWELL);
    assert_eq!(peer.said(), [goaway(3)]);
    peer.ask(5, true);
    peer.send(kind::RST_STREAM, 0, 5, &[0, 0, 0, 8]);
    peer.ask(7, false);
    peer.send(kind::DATA, 0, 7, b"x");
    assert!(peer.take().is_none() && peer.violation().is_none(), "these come too late");
    for stream in [&mut first, &mut second] {
        assert!(!peer.core.borrow().is_done());
        stream.send_head(200, true, |_| {}).unwrap();
    }
    assert!(peer.core.borrow().is_done());
}

#[test]
fn one_stream_too_many_is_refused_and_one_that_is_over_makes_room() {
    let peer = Peer::new();
    let most = 2 * MOST_STREAMS;
    (1..most).step_by(2).for_each(|stream| peer.ask(stream, true));
    peer.ask(most + 1, true);
    assert_eq!(peer.said(), [reset(most + 1, ErrorCode::Refused)]);
    drop(peer.take());
    peer.said();
    peer.ask(most + 3, true);
    assert_eq!(peer.said(), []);
}

#[test]
fn room_is_given_in_turn_and_no_more_than_there_is() {
    let peer = Peer::new();
    let mut cx = Context::from_waker(Waker::noop());
    [1, 3].iter().for_each(|stream| peer.ask(*stream, true));
    let mut streams: Vec<_> = (0..2).map(|_| peer.take().unwrap()).collect();
    let body = vec![7; 200_000];
    let mut rests = [&body[..], &body[..]];
    let mut send = |number: usize| {
        let is_over = streams[number].poll_send_rest(&mut cx, &mut rests[number]).is_ready();
        assert!(!is_over);
        body.len() - rests[number].len()
    };
    assert_eq!((send(0), send(1)), (65_535, 0), "the window of the connection");
    peer.send(kind::WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]);
    assert_eq!((send(0), send(1)), (65_535, 0), "what was said has not gone out");
    let sent: usize = peer.said().iter().map(|said| said.2.len()).sum();
    assert_eq!(sent, 65_535);
    assert!(!peer.core.borrow_mut().wake_waiting());
    assert_eq!((send(0), send(1)), (65_535, 65_535), "the window of the stream");
    assert!(!streams[0].is_held_up() && streams[0].is_clear());
}
