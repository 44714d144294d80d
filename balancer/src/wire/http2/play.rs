//! Any bytes as what a client sends, and as what a target does: for tests and for fuzzing, not part of the product.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{CONNECTION_WINDOW, ErrorCode, Http2Stream, TARGET_WINDOW, core::Core};
use crate::wire::{
    body::{Sink as _, Source as _},
    trailers::TrailerFilter,
};

/// Plays `bytes` in pieces of so many, does something with each request (which, `deed` says), and holds what there is to its
/// bounds.
///
/// # Panics
/// When a bound does not hold.
pub fn play(bytes: &[u8], piece: usize, deed: u8) {
    let core = Rc::new(RefCell::new(Core::new(0)));
    let mut cx = Context::from_waker(Waker::noop());
    let mut held: Vec<Http2Stream> = Vec::new();
    let mut input: Vec<u8> = Vec::new();
    for (round, part) in bytes.chunks(piece).enumerate() {
        input.extend_from_slice(part);
        let taken = core.borrow_mut().receive(&input);
        assert!(taken <= input.len());
        input.drain(..taken);
        assert!(input.len() < 16_384 + 9 + piece, "frames are taken as soon as they are whole");
        loop {
            let Some(accepted) = core.borrow_mut().accepted.pop_front() else { break };
            assert!(accepted.head.is_malformed() || accepted.head.is_well_formed());
            let mut stream = Http2Stream::new(&core, accepted.place);
            let _ = (accepted.head.lines().count(), accepted.head.path().unwrap_or_default().len());
            stream.expect(stream.is_whole(), &Arc::new(TrailerFilter::default()));
            stream.recycle(accepted.head);
            held.push(stream);
        }
        for (number, stream) in held.iter_mut().enumerate() {
            match (deed as usize + number + round) % 7 {
                0 => _ = stream.send_head(200, false, |head| head.field(b"X-Some", b"v")),
                1 => {
                    let mut rest = &[7; 300][..];
                    let _ = stream.poll_send_rest(&mut cx, &mut rest);
                }
                2 => {
                    let mut most = 20;
                    let _ = stream.poll_drop_content(&mut cx, &mut most);
                }
                3 => stream.reset(ErrorCode::Internal),
                4 => _ = stream.poll_room(&mut cx, 100),
                _ => _ = stream.poll_fault(&mut cx),
            }
            let _ = (stream.is_held_up(), stream.fault());
        }
        if round % 5 == 4 && !held.is_empty() {
            held.remove(0);
        }
        let mut core = core.borrow_mut();
        if round % 11 == 10 {
            core.leave();
        }
        core.wake_waiting();
        let length = core.output().len();
        assert!(length < 64 * 1024, "{length} bytes are to be written");
        core.wrote(length);
        let content: usize = core.streams.each().map(|stream| stream.content.len()).sum();
        assert!(content <= CONNECTION_WINDOW as usize && core.streams.open() <= 128);
    }
    drop(held);
    let mut core = core.borrow_mut();
    core.lose();
    assert_eq!((core.streams.open(), core.streams.each().count()), (0, 0), "nothing is left");
}

/// The same as what a target says to five requests, and to others that are sent when those are over.
///
/// # Panics
/// When a bound does not hold.
pub fn play_answers(bytes: &[u8], piece: usize, deed: u8) {
    let core = Rc::new(RefCell::new(Core::to_target(0)));
    let mut cx = Context::from_waker(Waker::noop());
    let ask = |is_all: bool| {
        let place = core.borrow_mut().reserve();
        let mut stream = Http2Stream::new(&core, place);
        let _ = stream.send_request((is_all, false, 0), |head| head.request(b"GET", false, b"a.test", b"/"));
        stream
    };
    let mut held: Vec<Http2Stream> = (0..5).map(|number| ask(number % 2 == 0)).collect();
    let mut input: Vec<u8> = Vec::new();
    for (round, part) in bytes.chunks(piece).enumerate() {
        input.extend_from_slice(part);
        let taken = core.borrow_mut().receive(&input);
        assert!(taken <= input.len());
        input.drain(..taken);
        assert!(input.len() < 16_384 + 9 + piece, "frames are taken as soon as they are whole");
        for (number, stream) in held.iter_mut().enumerate() {
            match (deed as usize + number + round) % 6 {
                0 | 1 => {
                    if let Poll::Ready(Err(fault)) = stream.poll_answer(&mut cx) {
                        assert!(!stream.ending(fault).to_string().is_empty());
                    }
                    if let Some(head) = stream.take_answer() {
                        assert!(head.is_well_formed() && head.status() >= 100);
                        stream.expect_answer(stream.is_whole());
                        stream.recycle(head);
                    }
                }
                2 => {
                    let mut rest = &[7; 300][..];
                    let _ = stream.poll_send_rest(&mut cx, &mut rest);
                }
                3 if round % 7 == 0 => stream.reset(ErrorCode::Cancel),
                4 => _ = stream.poll_room(&mut cx, 100),
                _ => {
                    let mut most = 1 << 20;
                    let _ = stream.poll_drop_content(&mut cx, &mut most);
                }
            }
        }
        if round % 5 == 4 {
            held.remove(0);
            held.push(ask(true));
        }
        let mut core = core.borrow_mut();
        if round % 17 == 16 {
            core.let_go();
        }
        core.wake_waiting();
        let length = core.output().len();
        assert!(length < 64 * 1024, "{length} bytes are to be written");
        core.wrote(length);
        let content: usize = core.streams.each().map(|stream| stream.content.len()).sum();
        assert!(content <= TARGET_WINDOW as usize && core.streams.open() <= 128);
    }
    drop(held);
    let mut core = core.borrow_mut();
    core.lose();
    assert_eq!((core.streams.open(), core.streams.each().count()), (0, 0), "nothing is left");
}
