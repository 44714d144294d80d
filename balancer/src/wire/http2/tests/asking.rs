use std::task::{Context, Poll, Waker};

use super::{
    mutations::block,
    states::{Peer, reset},
};
use crate::wire::{
    body::{Sink as _, poll_move},
    http2::{
        Client, ErrorCode, Http2Stream, LEAST_WINDOW, PREFACE, READER_WINDOW, Requester, StreamEnd,
        StreamFault, Unsent, Violation,
        answers::GREETING,
        core::Core,
        flow::INITIAL,
        frame::{self, flag, kind},
    },
};

mod changed;

const END: u8 = flag::END_HEADERS | flag::END_STREAM;

impl Peer {
    fn reserve(&self) -> Http2Stream {
        let place = self.core.borrow_mut().reserve();
        Http2Stream::new(&self.core, place)
    }

    /// Asks for `/`.
    fn get(&self, ends: bool) -> Http2Stream {
        let mut stream = self.reserve();
        stream.send_request((ends, false, usize::MAX), get).unwrap();
        stream
    }

    fn settings(&self, name: u16, value: u32) {
        self.send(kind::SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
    }

    fn resets(&self) -> Vec<(u8, u32, Vec<u8>)> {
        self.said().into_iter().filter(|said| said.0 == kind::RST_STREAM).collect()
    }
}

fn get(head: &mut crate::wire::http2::HeadWriter<'_>) {
    head.request(b"GET", false, b"a.test", b"/");
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The status of the answer that is there, and what follows it; how the stream ended early.
fn come(stream: &mut Http2Stream) -> Result<(u16, Vec<u8>), Option<StreamEnd>> {
    let answer = match stream.poll_answer(&mut cx()) {
        Poll::Pending => return Err(None),
        Poll::Ready(Err(fault)) => return Err(Some(stream.ending(fault))),
        Poll::Ready(Ok(())) => stream.take_answer().unwrap(),
    };
    let mut body = super::harness::Taken::default();
    stream.expect_answer(stream.is_whole());
    match poll_move(&mut cx(), stream, &mut body) {
        Poll::Ready(Ok(())) => Ok((answer.status(), body.content)),
        Poll::Ready(Err(crate::wire::body::BodyError::Source(fault))) => Err(Some(stream.ending(fault))),
        Poll::Ready(Err(other)) => panic!("{other}"),
        Poll::Pending => Err(None),
    }
}

#[test]
fn the_beginning_is_told_and_a_target_that_answers_speaks_it() {
    let mut core = Core::to_target(0);
    core.greet();
    assert!(core.output().starts_with(PREFACE));
    let mut said = Vec::new();
    frame::write(&mut said, kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0]);
    assert_eq!(core.output()[PREFACE.len() + 9..][..6], said[9..], "nothing is to be promised");
    let mut bytes = Vec::new();
    frame::write(&mut bytes, kind::SETTINGS, 0, 0, &[]);
    core.receive(&bytes);
    assert!(!core.is_greeted());
    let mut bytes = Vec::new();
    frame::write(&mut bytes, kind::PING, flag::ACK, 0, GREETING);
    core.receive(&bytes);
    assert!(core.is_greeted());
    for garbage in [&[0xff; 100][..], b"HTTP/1.1 400 Bad Request\r\n\r\n", &bytes] {
        let mut core = Core::to_target(0);
        core.receive(garbage);
        assert_eq!(core.violation, Some(Violation::NoSettings));
    }
}

#[test]
fn what_is_wrong_with_one_answer_ends_its_stream_and_no_other() {
    let head = |fields: &[(&str, &str)]| (kind::HEADERS, flag::END_HEADERS, block(fields, &[0x88]));
    let bad: Vec<Vec<(u8, u8, Vec<u8>)>> = vec![
        vec![head(&[("X-Upper", "1")])],
        vec![head(&[("x", "a\nb")])],
        vec![head(&[("x", "\0")])],
        vec![head(&[("", "v")])],
        vec![head(&[(":other", "1")])],
        vec![head(&[(":path", "/")])],
        vec![head(&[(":status", "200")])],
        vec![head(&[("x", "1"), (":status", "200")])],
        vec![head(&[("connection", "close")])],
        vec![head(&[("transfer-encoding", "chunked")])],
        vec![head(&[("content-length", "1"), ("content-length", "2")])],
        vec![head(&[("content-length", "1, 2")])],
        vec![head(&[("content-length", "-1")])],
        vec![head(&[("content-length", "99999999999999999999")])],
        vec![(kind::HEADERS, END, block(&[("content-length", "1")], &[0x88]))],
        vec![(kind::HEADERS, flag::END_HEADERS, block(&[("x", "1")], &[]))],
        vec![(kind::HEADERS, flag::END_HEADERS, block(&[(":status", "20")], &[]))],
        vec![(kind::HEADERS, flag::END_HEADERS, block(&[(":status", "2000")], &[]))],
        vec![(kind::HEADERS, flag::END_HEADERS, block(&[(":status", "0 1")], &[]))],
        vec![(kind::HEADERS, END, block(&[(":status", "103")], &[]))],
        vec![(kind::DATA, 0, b"x".to_vec())],
        vec![(kind::DATA, flag::END_STREAM, Vec::new())],
        vec![head(&[("content-length", "2")]), (kind::DATA, 0, b"abc".to_vec())],
        vec![head(&[("content-length", "2")]), (kind::DATA, flag::END_STREAM, b"a".to_vec())],
        vec![head(&[]), (kind::HEADERS, flag::END_HEADERS, block(&[("x-sum", "1")], &[]))],
        vec![head(&[]), (kind::HEADERS, END, block(&[(":status", "200")], &[]))],
        vec![head(&[]), (kind::HEADERS, END, block(&[(":path", "/")], &[]))],
        vec![head(&[]), (kind::HEADERS, END, block(&[("Upper", "1")], &[]))],
        vec![head(&[]), (kind::WINDOW_UPDATE, 0, vec![0; 4])],
    ];
    for frames in bad {
        let peer = Peer::of_target();
        let mut streams: Vec<_> = (0..3).map(|_| peer.get(false)).collect();
        peer.said();
        peer.send(kind::HEADERS, flag::END_HEADERS, 1, &[0x88]);
        for (kind, flags, payload) in &frames {
            peer.send(*kind, *flags, 3, payload);
        }
        peer.send(kind::DATA, flag::END_STREAM, 1, b"one");
        peer.send(kind::HEADERS, END, 5, &block(&[("x-upper", "1")], &[0x88]));
        assert_eq!(peer.violation(), None, "{frames:?}");
        assert_eq!(come(&mut streams[0]).unwrap(), (200, b"one".to_vec()), "{frames:?}");
        assert!(matches!(come(&mut streams[1]), Err(Some(StreamEnd::Malformed))), "{frames:?}");
        assert_eq!(come(&mut streams[2]).unwrap(), (200, Vec::new()), "{frames:?}");
        let resets = peer.resets();
        assert!(
            matches!(&resets[..], [(_, 3, code)] if code[3] == 1 || code[3] == 3),
            "{frames:?}: {resets:?}"
        );
        assert!(peer.core.borrow().is_open());
    }
}

#[test]
fn lengths_are_those_of_content_where_there_is_some() {
    for (is_head, status, length, content, is_good) in [
        (true, "200", "5", &b""[..], true),
        (true, "200", "5", b"12345", false),
        (false, "200", "5, 5", b"12345", true),
        (false, "200", "05", b"12345", true),
        (false, "204", "5", b"", true),
        (false, "304", "5", b"", true),
        (false, "304", "5", b"1234567", true),
        (false, "200", "0", b"", true),
        (false, "200", "0", b"x", false),
    ] {
        let peer = Peer::of_target();
        let mut stream = peer.reserve();
        stream.send_request((true, is_head, usize::MAX), get).unwrap();
        let interim = block(&[(":status", "103"), ("content-length", "nothing")], &[]);
        peer.send(kind::HEADERS, flag::END_HEADERS, 1, &interim);
        assert_eq!(stream.take_answer().unwrap().status(), 103);
        let head = block(&[(":status", status), ("content-length", length)], &[]);
        let flags = if content.is_empty() { END } else { flag::END_HEADERS };
        peer.send(kind::HEADERS, flags, 1, &head);
        if !content.is_empty() {
            peer.send(kind::DATA, flag::END_STREAM, 1, content);
        }
        let came = come(&mut stream);
        assert_eq!(came.is_ok(), is_good, "{is_head} {status} {length} {content:?}: {came:?}");
    }
}

#[test]
fn a_target_whose_state_is_lost_loses_the_connection() {
    let settings = |name: u16, value: u32| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let ways: Vec<(u8, u8, u32, Vec<u8>)> = vec![
        (kind::HEADERS, END, 1, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (kind::HEADERS, END, 1, vec![0xbe]),
        (kind::HEADERS, END, 3, vec![0x88]),
        (kind::HEADERS, END, 2, vec![0x88]),
        (kind::CONTINUATION, END, 1, vec![0x88]),
        (kind::PUSH_PROMISE, flag::END_HEADERS, 1, vec![0, 0, 0, 2, 0x88]),
        (kind::SETTINGS, 0, 0, settings(2, 1)),
        (kind::SETTINGS, 0, 0, settings(4, 1 << 31)),
        (kind::SETTINGS, 0, 0, settings(5, 1)),
        (kind::SETTINGS, 0, 0, vec![0; 5]),
        (kind::DATA, 0, 3, b"x".to_vec()),
        (kind::DATA, 0, 0, b"x".to_vec()),
        (kind::RST_STREAM, 0, 3, vec![0; 4]),
        (kind::RST_STREAM, 0, 1, vec![0; 3]),
        (kind::WINDOW_UPDATE, 0, 0, vec![0; 4]),
        (kind::WINDOW_UPDATE, 0, 0, vec![0x7f, 0xff, 0xff, 0xff]),
        (kind::PING, 0, 0, vec![0; 7]),
        (kind::GOAWAY, 0, 0, vec![0; 7]),
    ];
    for (kind, flags, stream, payload) in ways {
        let peer = Peer::of_target();
        let mut asked = peer.get(true);
        let mut bytes = Vec::new();
        frame::write(&mut bytes, kind, flags, stream, &payload);
        peer.core.borrow_mut().receive(&bytes);
        assert!(peer.violation().is_some(), "{kind} {payload:?}");
        assert!(matches!(come(&mut asked), Err(Some(StreamEnd::Violated(_)))), "{kind} {payload:?}");
        assert!(peer.said().iter().any(|said| said.0 == kind::GOAWAY), "it is told");
        assert_eq!(peer.reserve().send_request((true, false, usize::MAX), get), Err(Unsent::Ended));
    }
}

#[test]
fn what_a_target_sets_holds_from_then_on() {
    let peer = Peer::of_target();
    let streams: Vec<_> = (0..3).map(|_| peer.get(true)).collect();
    assert_eq!(peer.core.borrow().most_requests(), 128);
    for most in [0, 3] {
        peer.settings(3, most);
        assert_eq!(peer.core.borrow().most_requests(), most as usize);
        assert_eq!(peer.reserve().send_request((true, false, usize::MAX), get), Err(Unsent::Full));
    }
    peer.settings(3, 4);
    let mut fourth = peer.get(false);
    assert_eq!(
        peer.reserve().send_request((true, false, usize::MAX), get),
        Err(Unsent::Full),
        "those that are open count"
    );
    drop(streams);
    assert_eq!(peer.resets(), [1, 3, 5].map(|stream| reset(stream, ErrorCode::Cancel)));
    peer.settings(3, u32::MAX);
    assert_eq!(peer.core.borrow().most_requests(), 128);
    // Windows of streams that are open change with it, below nothing, too.
    let sends = |stream: &mut Http2Stream| {
        let mut rest = &[7; 300_000][..];
        let _ = stream.poll_send_rest(&mut cx(), &mut rest);
        peer.said();
        300_000 - rest.len()
    };
    assert_eq!(sends(&mut fourth), 65_535);
    peer.send(kind::WINDOW_UPDATE, 0, 0, &[0, 2, 0, 0]);
    peer.settings(4, 10_000);
    peer.send(kind::WINDOW_UPDATE, 0, 7, &55_535_u32.to_be_bytes());
    assert_eq!(sends(&mut fourth), 0, "it is at nothing");
    peer.settings(4, 10_100);
    assert_eq!(sends(&mut fourth), 100);
    let mut fifth = peer.get(false);
    assert_eq!(sends(&mut fifth), 10_100);
}

#[test]
fn heads_are_no_larger_than_a_target_takes() {
    let peer = Peer::of_target();
    let long = [b'v'; 500];
    let large = |head: &mut crate::wire::http2::HeadWriter<'_>| {
        get(head);
        head.field(b"x-long", &long);
    };
    peer.settings(6, 600);
    assert_eq!(peer.reserve().send_request((true, false, usize::MAX), large), Err(Unsent::TooLarge));
    let formless = |head: &mut crate::wire::http2::HeadWriter<'_>| {
        get(head);
        head.field(b"x", b"\0");
    };
    assert_eq!(peer.reserve().send_request((true, false, usize::MAX), formless), Err(Unsent::Malformed));
    peer.settings(6, 100_000);
    peer.settings(1, 100);
    peer.said();
    // What was not sent has left nothing in any table.
    let mut decoder = crate::wire::http2::hpack::Decoder::new();
    for _ in 0..3 {
        let _stream = peer.reserve().send_request((true, false, usize::MAX), large);
        let (.., bytes) = peer.said().into_iter().find(|said| said.0 == kind::HEADERS).unwrap();
        let mut head = peer.core.borrow_mut().block();
        head.begin(crate::wire::http2::block::BlockSection::Request);
        decoder.read(&bytes, &mut head).unwrap();
        assert!(head.is_well_formed());
        assert_eq!(
            (head.method(), head.path(), head.authority()),
            (&b"GET"[..], Some(&b"/"[..]), Some(&b"a.test"[..]))
        );
        assert_eq!(head.lines().map(|field| field.value.to_vec()).collect::<Vec<_>>(), [long.to_vec()]);
    }
}

#[test]
fn requests_that_come_again_are_a_few_bytes() {
    let peer = Peer::of_target();
    let length = || {
        let mut stream = peer.reserve();
        let head = |head: &mut crate::wire::http2::HeadWriter<'_>| {
            head.request(b"GET", true, b"www.example.test", b"/");
            for (name, value) in
                [("user-agent", "curl/8.0.0"), ("accept", "*/*"), ("x-forwarded-proto", "https")]
            {
                head.field(name.as_bytes(), value.as_bytes());
            }
        };
        stream.send_request((true, false, usize::MAX), head).unwrap();
        peer.said().into_iter().find(|said| said.0 == kind::HEADERS).unwrap().2.len()
    };
    assert!(length() > 40);
    assert_eq!((length(), length()), (7, 7), "an index each");
}

#[test]
fn a_target_that_goes_has_not_seen_what_is_above_its_last_stream() {
    let peer = Peer::of_target();
    let mut streams: Vec<_> = (0..3).map(|_| peer.get(true)).collect();
    let words = [&3_u32.to_be_bytes()[..], &11_u32.to_be_bytes(), b"too many\n"].concat();
    peer.send(kind::GOAWAY, 0, 0, &words);
    assert!(!peer.core.borrow().is_open() && peer.core.borrow().most_requests() == 0);
    let Err(Some(ending)) = come(&mut streams[2]) else { panic!("it was not seen") };
    assert!(matches!(ending, StreamEnd::Unseen(_)));
    assert_eq!(ending.to_string(), "GOAWAY, ENHANCE_YOUR_CALM (\"too many\\n\")");
    assert_eq!(peer.reserve().send_request((true, false, usize::MAX), get), Err(Unsent::Ended));
    for stream in [1, 3] {
        peer.send(kind::HEADERS, END, stream, &[0x88]);
    }
    assert!(peer.core.borrow().is_done());
    assert_eq!((come(&mut streams[0]).unwrap().0, come(&mut streams[1]).unwrap().0), (200, 200));
    assert!(peer.core.borrow_mut().says_farewell());
}

#[test]
fn a_reset_leaves_what_came_before_it() {
    let peer = Peer::of_target();
    let mut streams: Vec<_> = (0..4).map(|_| peer.get(false)).collect();
    for stream in [1, 3, 5] {
        peer.send(kind::HEADERS, flag::END_HEADERS, stream, &[0x88]);
        peer.send(kind::DATA, if stream == 1 { flag::END_STREAM } else { 0 }, stream, b"part");
    }
    [1, 3, 7].iter().for_each(|stream| peer.send(kind::RST_STREAM, 0, *stream, &[0; 4]));
    assert_eq!(come(&mut streams[0]).unwrap(), (200, b"part".to_vec()), "no more of the request is wanted");
    assert!(matches!(streams[0].poll_room(&mut cx(), 1), Poll::Ready(Err(_))));
    assert_eq!(streams[1].take_answer().unwrap().status(), 200);
    let mut taken = super::harness::Taken::default();
    let Poll::Ready(Err(error)) = poll_move(&mut cx(), &mut streams[1], &mut taken) else {
        panic!("it is no whole")
    };
    assert!(matches!(error, crate::wire::body::BodyError::Source(StreamFault::Reset(0))));
    assert_eq!(taken.content, b"part");
    assert!(matches!(come(&mut streams[3]), Err(Some(StreamEnd::Reset(0)))));
    assert!(matches!(come(&mut streams[2]), Err(None)), "others go on");
    assert_eq!(peer.core.borrow().streams.open(), 1);
}

#[test]
fn what_was_answered_whole_stands_when_the_connection_is_lost() {
    for error in [None, Some(std::io::Error::from_raw_os_error(104))] {
        let says = if error.is_some() { "connection reset" } else { "the connection was closed" };
        let peer = Peer::of_target();
        let mut streams: Vec<_> = (0..3).map(|_| peer.get(false)).collect();
        peer.send(kind::HEADERS, flag::END_HEADERS, 1, &[0x88]);
        peer.send(kind::DATA, flag::END_STREAM, 1, b"whole");
        peer.send(kind::HEADERS, flag::END_HEADERS, 3, &[0x88]);
        peer.core.borrow_mut().end_by(error);
        assert_eq!(come(&mut streams[0]).unwrap(), (200, b"whole".to_vec()));
        for stream in &mut streams[1..] {
            let Err(Some(ending)) = come(stream) else { panic!("it is lost") };
            assert_eq!(ending.to_string(), says);
        }
    }
}

#[test]
fn interim_answers_come_in_order_and_are_bounded() {
    let peer = Peer::of_target();
    let mut stream = peer.get(true);
    for status in ["102", "103"] {
        peer.send(kind::HEADERS, flag::END_HEADERS, 1, &block(&[(":status", status)], &[]));
    }
    peer.send(kind::HEADERS, END, 1, &[0x88]);
    let statuses: Vec<_> = std::iter::from_fn(|| stream.take_answer()).map(|head| head.status()).collect();
    assert_eq!(statuses, [102, 103, 200]);
    let mut stream = peer.get(true);
    peer.send(kind::HEADERS, END, 3, &block(&[(":status", "101")], &[]));
    assert_eq!(come(&mut stream).unwrap(), (101, Vec::new()), "who asked says what that is");
    let mut stream = peer.get(true);
    let large = block(&[(":status", "103"), ("link", &"l".repeat(120))], &[]);
    peer.said();
    for _ in 0..60_000 {
        peer.send(kind::HEADERS, flag::END_HEADERS, 5, &large);
    }
    assert_eq!(peer.said(), [reset(5, ErrorCode::Cancel)]);
    assert_eq!(std::iter::from_fn(|| stream.take_answer()).count(), 102, "more than anybody takes");
    assert!(matches!(come(&mut stream), Err(Some(StreamEnd::Malformed))));
    // Others go on.
    let mut stream = peer.get(true);
    peer.send(kind::HEADERS, END, 7, &[0x88]);
    assert_eq!(come(&mut stream).unwrap(), (200, Vec::new()));
}

#[test]
fn a_stream_that_nobody_reads_holds_up_no_other() {
    let peer = Peer::of_target();
    let [mut stalled, mut other] = [(); 2].map(|()| peer.get(true));
    for stream in [1, 3] {
        peer.send(kind::HEADERS, flag::END_HEADERS, stream, &[0x88]);
    }
    let fill = |stream: u32| {
        (0..READER_WINDOW / 16_384).for_each(|_| peer.send(kind::DATA, 0, stream, &[7; 16_384]));
    };
    fill(1);
    peer.said();
    for _ in 0..1000 {
        fill(3);
        let mut taken = super::harness::Taken::default();
        other.take_answer();
        assert!(poll_move(&mut cx(), &mut other, &mut taken).is_pending());
        assert_eq!(taken.content.len(), READER_WINDOW as usize);
        let given: Vec<_> = peer.said().into_iter().map(|said| said.1).collect();
        assert!(given.contains(&3) && !given.contains(&1), "{given:?}");
    }
    assert_eq!(peer.violation(), None);
    // What a target may believe that does not know how small windows begin.
    super::pressure::fill(&peer, 1, (INITIAL - LEAST_WINDOW) as usize);
    assert_eq!(stalled.fault(), None);
    peer.send(kind::DATA, 0, 1, b"x");
    assert!(
        peer.violation().is_none() && matches!(come(&mut stalled), Err(Some(StreamEnd::Malformed))),
        "no window"
    );
    assert_eq!(peer.resets(), [reset(1, ErrorCode::FlowControl)]);
}

#[test]
fn what_comes_for_a_request_that_was_taken_back_means_nothing() {
    let peer = Peer::of_target();
    for round in 0..5000_u32 {
        let id = 2 * round + 1;
        drop(peer.get(false));
        assert_eq!(peer.resets(), [reset(id, ErrorCode::Cancel)]);
        peer.send(kind::HEADERS, flag::END_HEADERS, id, &block(&[("x-new", &round.to_string())], &[0x88]));
        peer.send(kind::DATA, 0, id, &[7; 100]);
        peer.send(kind::DATA, flag::END_STREAM, 1, &[7; 1000]);
    }
    assert_eq!(peer.violation(), None);
    assert!(peer.core.borrow().receive_window.owed() < READER_WINDOW * 128, "its window is given back");
    // Of a reserve that was never sent nobody hears.
    drop(peer.reserve());
    assert_eq!(peer.said(), []);
}

#[test]
fn a_target_cannot_make_more_work_than_it_is_asked_for() {
    let flood = |count: usize, (kind, flags, stream): (u8, u8, u32), payload: &[u8]| {
        let peer = Peer::of_target();
        let _asked = peer.get(true);
        let mut bytes = Vec::new();
        (0..count).for_each(|_| frame::write(&mut bytes, kind, flags, stream, payload));
        peer.core.borrow_mut().receive(&bytes);
        assert!(peer.core.borrow().output().len() < 64 << 10);
        peer.violation()
    };
    for (kind, flags, stream, payload) in [
        (kind::PING, 0, 0, &[0; 8][..]),
        (kind::SETTINGS, 0, 0, &[]),
        (kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        (kind::RST_STREAM, 0, 1, &[0; 4]),
        (kind::PRIORITY, 0, 1, &[0; 5]),
        (99, 0, 0, &[]),
    ] {
        assert_eq!(flood(5000, (kind, flags, stream), payload), Some(Violation::Flood), "{kind}");
    }
    let late = (kind::HEADERS, END, 1);
    assert_eq!((flood(60_000, late, &[0x88]), flood(70_000, late, &[0x88])), (None, Some(Violation::Flood)));
    let peer = Peer::of_target();
    for round in 0..5000_u32 {
        let mut stream = peer.get(true);
        peer.send(kind::RST_STREAM, 0, 2 * round + 1, &7_u32.to_be_bytes());
        assert!(matches!(come(&mut stream), Err(Some(StreamEnd::Reset(7)))));
        peer.said();
    }
    assert_eq!(peer.violation(), None, "each request may be refused");
}

fn driven() -> (Client<tokio::io::DuplexStream>, Requester, tokio::io::DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (client, requester) = Client::new(near, 0);
    (client, requester, far)
}

#[tokio::test]
async fn what_a_target_said_before_it_closed_is_heard_by_who_writes() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut client, requester, mut far) = driven();
    let buffers = crate::wire::buffer::BufferStore::default();
    let mut stream = requester.reserve();
    assert!(client.poll(&mut cx(), &buffers, 0).is_pending());
    stream.send_request((false, false, usize::MAX), get).unwrap();
    assert!(client.poll(&mut cx(), &buffers, 0).is_pending());
    far.read_exact(&mut [0; 60]).await.unwrap();
    let mut bytes = Vec::new();
    frame::write(&mut bytes, kind::SETTINGS, 0, 0, &[]);
    frame::write(&mut bytes, kind::HEADERS, END, 1, &[0x88]);
    far.write_all(&bytes).await.unwrap();
    drop(far);
    let mut rest = &[7; 1000][..];
    let _ = stream.poll_send_rest(&mut cx(), &mut rest);
    assert!(client.poll(&mut cx(), &buffers, 0).is_ready());
    assert_eq!(come(&mut stream).unwrap(), (200, Vec::new()));
    assert!(matches!(client.ending(), StreamEnd::Closed));
    assert!(!requester.is_open());
}

#[tokio::test]
async fn a_connection_that_nobody_asks_on_any_more_is_closed_behind_its_last_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut client, requester, mut far) = driven();
    let buffers = crate::wire::buffer::BufferStore::default();
    let mut stream = requester.reserve();
    stream.send_request((true, false, usize::MAX), get).unwrap();
    drop(requester);
    assert!(client.poll(&mut cx(), &buffers, 0).is_pending());
    let mut bytes = Vec::new();
    frame::write(&mut bytes, kind::SETTINGS, 0, 0, &[]);
    frame::write(&mut bytes, kind::HEADERS, END, 1, &[0x88]);
    far.write_all(&bytes).await.unwrap();
    std::future::poll_fn(|cx| client.poll(cx, &buffers, 0)).await;
    assert_eq!(come(&mut stream).unwrap(), (200, Vec::new()));
    drop(client);
    let mut said = Vec::new();
    far.read_to_end(&mut said).await.unwrap();
    let mut farewell = Vec::new();
    frame::write(&mut farewell, kind::GOAWAY, 0, 0, &[0; 8]);
    assert!(said.ends_with(&farewell));
}
