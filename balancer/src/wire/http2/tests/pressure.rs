//! How much is held when somebody does not read, and what is done about it when that is much.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::{harness::Taken, states::Peer};
use crate::wire::{
    body::{Sink as _, poll_move},
    http2::{
        ErrorCode, FEW_STREAMS, Http2Stream, LEAST_WINDOW, MOST_STREAMS, READER_WINDOW, STREAM_WINDOW,
        StreamFault, TIGHT_WINDOW,
        budget::{Budget, BudgetShare, Pressure},
        core::Core,
        flow::INITIAL,
        frame::{flag, kind, setting},
    },
};

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn budget(bytes: u64) -> &'static Budget {
    Box::leak(Box::new(Budget::new(bytes)))
}

/// A client's connection within this budget.
fn within(budget: &'static Budget) -> Peer {
    Peer::begun(Core::within(budget, 0))
}

/// Sends so much content.
pub(super) fn fill(peer: &Peer, stream: u32, length: usize) {
    vec![7; length].chunks(16_384).for_each(|part| peer.send(kind::DATA, 0, stream, part));
}

fn granted(peer: &Peer, stream: u32) -> u32 {
    let said = peer.said().into_iter().filter(|(of, id, _)| (*of, *id) == (kind::WINDOW_UPDATE, stream));
    said.map(|(_, _, payload)| u32::from_be_bytes(payload.try_into().unwrap())).sum()
}

/// A request to a target; there is `room` for so much of its answer.
fn ask_on(target: &Peer, room: usize) -> Http2Stream {
    let place = target.core.borrow_mut().reserve();
    let mut stream = Http2Stream::new(&target.core, place);
    stream.send_request((true, false, room), |head| head.request(b"GET", false, b"a.test", b"/")).unwrap();
    stream
}

/// What a client's stream has room for is what a target may be ahead, and that is little where there is none.
#[test]
fn a_target_gets_window_for_what_a_client_takes() {
    let target = Peer::of_target();
    let ask = |room| ask_on(&target, room);
    for (id, room, given) in
        [(1, 0, 0), (3, 10_000, 10_000 - LEAST_WINDOW), (5, usize::MAX, READER_WINDOW - LEAST_WINDOW)]
    {
        drop(ask(room));
        assert_eq!(granted(&target, id), given);
    }
    let target = Peer::of_target();
    let mut stream = ask_on(&target, 0);
    target.said();
    target.send(kind::HEADERS, flag::END_HEADERS, 1, &[0x88]);
    stream.take_answer();
    // A client without room for it: the target has sent what it may, and gets no more.
    let client = Peer::new();
    client.send(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    client.ask(1, true);
    let mut sink = client.take().unwrap();
    target.send(kind::DATA, 0, 1, &vec![7; LEAST_WINDOW as usize]);
    assert!(poll_move(&mut cx(), &mut stream, &mut sink).is_pending());
    assert_eq!(granted(&target, 1), 0);
    // Room for all of that and 30,000 more.
    let room = LEAST_WINDOW + 30_000;
    client.send(kind::WINDOW_UPDATE, 0, 1, &room.to_be_bytes());
    assert!(poll_move(&mut cx(), &mut stream, &mut sink).is_pending());
    assert_eq!(granted(&target, 1), 30_000);
    // A reader that takes all gets as much as there can be.
    target.send(kind::DATA, 0, 1, &[7; 10_000]);
    assert!(poll_move(&mut cx(), &mut stream, &mut Taken::default()).is_pending());
    assert_eq!(granted(&target, 1), READER_WINDOW - 20_000);
}

/// A target with Nagle's algorithm holds back what is less than a segment, 65,483 bytes over loopback: a window of 64 KiB was all out
/// when that was acknowledged, by the kernel's timer for acknowledgements.
#[test]
fn a_target_is_further_ahead_of_a_client_that_keeps_up_than_a_segment_is_long() {
    let client = within(budget(1 << 20));
    client.ask(1, true);
    let mut streams = vec![client.take().unwrap()];
    assert_eq!(streams[0].room_ahead(), INITIAL as usize, "so much it is known to have room for");
    let give = |stream: &[u8; 4]| {
        client.send(kind::WINDOW_UPDATE, 0, 0, stream);
        client.send(kind::WINDOW_UPDATE, 0, 1, stream);
    };
    let send = |length: usize| {
        client.core.borrow_mut().send_data(0, &vec![7; length], false).unwrap();
        client.said();
    };
    for sent in (0..256 * 1024_u32).step_by(32 * 1024) {
        assert!(streams[0].room_ahead() <= INITIAL as usize, "{sent}");
        send(32 * 1024);
        give(&(32_u32 * 1024).to_be_bytes());
    }
    // However little of its window is left.
    send(60_000);
    assert_eq!(streams[0].room_ahead(), READER_WINDOW as usize);
    // All of the connection share it.
    client.ask(3, true);
    streams.push(client.take().unwrap());
    let both = |streams: &[Http2Stream]| {
        // What one leaves the others have when they look again.
        streams.iter().for_each(|it| _ = it.room_ahead());
        streams.iter().map(|it| it.room_ahead()).collect::<Vec<_>>()
    };
    assert_eq!(both(&streams), [READER_WINDOW as usize / 2; 2]);
    streams.pop();
    assert_eq!(both(&streams), [READER_WINDOW as usize]);
    // And there is none of it while the process holds much.
    let much = within(budget(1));
    much.ask(1, false);
    fill(&much, 1, 8192);
    much.core.borrow_mut().settle();
    much.core.borrow_mut().content_sent = u64::from(READER_WINDOW) * 1024;
    let stream = much.take().unwrap();
    assert!(stream.room_ahead() <= INITIAL as usize);
}

#[test]
fn all_streams_of_a_client_together_are_ahead_by_so_much_and_share_it() {
    let client = Peer::new();
    client.send(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    client.send(kind::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
    let mut streams = Vec::new();
    let mut sum = 0;
    for number in 0..MOST_STREAMS {
        client.ask(2 * number + 1, true);
        let stream = client.take().unwrap();
        sum += stream.room_ahead();
        streams.push(stream);
    }
    assert!((100 * 1024..=128 * 1024).contains(&sum), "{sum}");
    // Looked at again, all have the same.
    let again: Vec<usize> =
        (0..3).flat_map(|_| streams.iter().map(|it| it.room_ahead()).collect::<Vec<_>>()).collect();
    assert!(again[2 * streams.len()..].iter().all(|ahead| *ahead == 128 * 1024 / 128), "{again:?}");
    // Who has taken more than sockets hold reads, and gets more.
    let sum_of = |streams: &[Http2Stream]| {
        let rounds = (0..3).map(|_| streams.iter().map(Http2Stream::room_ahead).sum::<usize>());
        rounds.max().unwrap_or_default()
    };
    client.core.borrow_mut().content_sent = 16 * 1024 * 1024 - 1;
    assert_eq!(sum_of(&streams), 128 * 1024);
    let mut out = Vec::new();
    while client.core.borrow().content_sent < 16 * 1024 * 1024 {
        let place = client.core.borrow().streams.find(1).unwrap();
        client.core.borrow_mut().send_data(place, b"x", false).unwrap();
        out = client.said();
    }
    assert!(!out.is_empty());
    assert_eq!(sum_of(&streams), 512 * 1024);
    // What is over leaves its part to the others.
    streams.truncate(1);
    assert_eq!(streams[0].room_ahead(), 128 * 1024);
    streams.clear();
    assert_eq!(client.core.borrow().content_sent, 0, "it begins anew");
}

#[test]
fn little_window_is_given_and_few_requests_are_offered_while_much_is_held() {
    let budget = budget(16 * u64::from(STREAM_WINDOW));
    let (first, other) = (within(budget), within(budget));
    let fill = |peer: &Peer, stream: u32, length: usize| {
        peer.ask(stream, false);
        fill(peer, stream, length);
        peer.core.borrow_mut().settle();
    };
    let window = STREAM_WINDOW as usize;
    (0..8).for_each(|number| fill(&first, 2 * number + 1, window));
    assert_eq!(budget.pressure(), Pressure::Tight);
    let offer = |streams: u32| {
        let setting = [&setting::MAX_CONCURRENT_STREAMS.to_be_bytes()[..], &streams.to_be_bytes()].concat();
        (kind::SETTINGS, 0, setting)
    };
    other.core.borrow_mut().settle();
    assert_eq!((first.said().pop(), other.said()), (Some(offer(FEW_STREAMS)), vec![offer(FEW_STREAMS)]));
    assert!(!other.core.borrow().has_to_go() && !first.core.borrow().has_to_go());
    // Who comes now begins with that.
    let third = Core::within(budget, 0);
    assert_eq!(third.stream_window, TIGHT_WINDOW);
    // What is used up gives little back.
    let mut streams: Vec<Http2Stream> = std::iter::from_fn(|| first.take()).collect();
    let mut most = usize::MAX;
    assert!(streams[0].poll_drop_content(&mut cx(), &mut most).is_pending());
    assert_eq!(granted(&first, 1), TIGHT_WINDOW);
    // Above three quarters those go that hold some; those that hold nothing stay.
    (8..13).for_each(|number| fill(&first, 2 * number + 1, window));
    assert_eq!(budget.pressure(), Pressure::High);
    assert!(first.core.borrow().has_to_go() && !other.core.borrow().has_to_go());
    first.core.borrow_mut().leave();
    assert!(!first.core.borrow().has_to_go(), "once");
    first.said();
    // What comes until the client knows that is served; at the very end it is not.
    (13..16).for_each(|number| fill(&first, 2 * number + 1, window));
    assert_eq!(budget.pressure(), Pressure::Severe);
    first.ask(33, true);
    assert_eq!(first.said(), [super::states::reset(33, ErrorCode::Refused)]);
    other.ask(1, false);
    let stream = other.take().expect("the first of a connection is served");
    // And content beyond the least is not taken.
    streams.extend(std::iter::from_fn(|| first.take()));
    budget.limit_to(budget.held());
    other.send(kind::DATA, 0, 1, &vec![7; TIGHT_WINDOW as usize]);
    assert_eq!(stream.fault(), None);
    other.send(kind::DATA, 0, 1, &[7]);
    assert_eq!(stream.fault(), Some(StreamFault::Given));
    assert_eq!(budget.refused(), 2);
    // When it is used up, all is as before.
    drop((stream, streams));
    for peer in [&first, &other] {
        peer.said();
        peer.core.borrow_mut().settle();
    }
    assert_eq!((budget.held(), budget.pressure()), (0, Pressure::Low));
    other.core.borrow_mut().settle();
    assert_eq!(other.said(), [offer(MOST_STREAMS)]);
}

#[test]
fn a_stream_goes_on_with_small_windows() {
    let budget = budget(1);
    let peer = within(budget);
    peer.ask(1, false);
    let mut stream = peer.take().unwrap();
    let mut window = TIGHT_WINDOW;
    for _ in 0..100 {
        peer.send(kind::DATA, 0, 1, &vec![7; window as usize]);
        let mut most = usize::MAX;
        assert_eq!(stream.poll_drop_content(&mut cx(), &mut most), Poll::Pending);
        window = granted(&peer, 1);
        assert_eq!(window, TIGHT_WINDOW);
    }
    assert_eq!(stream.fault(), None);
}

#[test]
fn what_a_connection_holds_is_given_back_with_it() {
    let budget = budget(1 << 30);
    let core = Rc::new(RefCell::new(Core::within(budget, 0)));
    let held = || budget.held();
    let peer = Peer { core };
    peer.core.borrow_mut().receive(crate::wire::http2::PREFACE);
    peer.send(kind::SETTINGS, 0, 0, &[]);
    peer.ask(1, false);
    (0..3).for_each(|_| peer.send(kind::DATA, 0, 1, &[7; 16_384]));
    peer.core.borrow_mut().settle();
    assert!(held() >= 3 * 16_384);
    drop(peer);
    assert_eq!(held(), 0);
}

/// Small servers never look at SETTINGS_INITIAL_WINDOW_SIZE, and what they believe that they may send is borne.
#[test]
fn a_target_that_knows_nothing_of_small_windows_is_borne_with_and_no_further() {
    let target = Peer::of_target();
    let [mut stream, other] = [(); 2].map(|()| ask_on(&target, 0));
    for id in [1, 3] {
        target.send(kind::HEADERS, flag::END_HEADERS, id, &[0x88]);
    }
    stream.take_answer();
    fill(&target, 1, INITIAL as usize);
    let mut taken = Taken::default();
    assert!(poll_move(&mut cx(), &mut stream, &mut taken).is_pending());
    assert_eq!((stream.fault(), taken.content.len()), (None, INITIAL as usize));
    // It goes on with what it is given from then on.
    target.said();
    fill(&target, 1, READER_WINDOW as usize);
    assert!(poll_move(&mut cx(), &mut stream, &mut taken).is_pending());
    assert_eq!((stream.fault(), granted(&target, 1)), (None, READER_WINDOW));
    fill(&target, 1, READER_WINDOW as usize + 1);
    assert_eq!(stream.fault(), Some(StreamFault::Malformed));
    assert_eq!(target.said(), [super::states::reset(1, ErrorCode::FlowControl)]);
    assert_eq!((target.violation(), other.fault()), (None, None), "it is an error of that stream");
}

#[test]
fn nothing_beyond_windows_is_borne_of_a_target_when_all_is_held_that_may_be() {
    let budget = budget(u64::from(STREAM_WINDOW));
    let target = Peer::of_target();
    target.core.borrow_mut().account = BudgetShare::new(budget);
    let [known, unknown] = [(); 2].map(|()| ask_on(&target, 0));
    for id in [1, 3] {
        target.send(kind::HEADERS, flag::END_HEADERS, id, &[0x88]);
    }
    fill(&target, 3, LEAST_WINDOW as usize + 1);
    assert_eq!(unknown.fault(), None);
    target.said();
    budget.limit_to(0);
    fill(&target, 1, LEAST_WINDOW as usize);
    fill(&target, 3, 1);
    assert_eq!((known.fault(), unknown.fault()), (None, Some(StreamFault::Malformed)));
    assert_eq!(target.said(), [super::states::reset(3, ErrorCode::FlowControl)]);
}

/// Clients send before they know how large windows are.
#[test]
fn a_client_that_comes_while_much_is_held_may_begin_with_the_usual_window() {
    let peer = within(budget(8 * u64::from(STREAM_WINDOW)));
    peer.core.borrow_mut().stream_window = TIGHT_WINDOW;
    peer.ask(1, false);
    let stream = peer.take().unwrap();
    fill(&peer, 1, INITIAL as usize);
    assert_eq!(stream.fault(), None);
    fill(&peer, 1, 1);
    assert_eq!(stream.fault(), Some(StreamFault::Malformed));
}

#[test]
fn what_many_requests_to_a_target_took_is_let_go_when_there_is_none() {
    let target = Peer::of_target();
    let mut streams: Vec<Http2Stream> = (0..100).map(|_| ask_on(&target, 0)).collect();
    let shrunk = || {
        let mut core = target.core.borrow_mut();
        core.shrink();
        core.streams.is_bare() && core.asking.as_ref().is_some_and(|asking| asking.answers.is_empty())
    };
    streams.truncate(1);
    assert!(!shrunk(), "one is under way");
    target.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &[0x88]);
    assert!(streams[0].take_answer().is_some_and(|head| head.status() == 200));
    streams.clear();
    assert!(shrunk());
    let mut next = ask_on(&target, 0);
    target.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 201, &[0x88]);
    assert!(next.take_answer().is_some_and(|head| head.status() == 200));
}
