//! What RFC 9113 and RFC 7541 demand of a server, case by case, frame by frame; and that nothing refused
//! reaches a target. Held against the sections of h2spec (generic, http2, hpack), two things have no case here:
//! `Upgrade: h2c` (section 3.1 has given it up, and nobody here speaks it), and pushed responses (none are sent).

mod more;
mod windows;

use std::time::Duration;

use support::{
    Balancer, Config, Target,
    http2::{Connection, Outcome, PREFACE, block, flag, frame, kind},
};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

/// What has to come of a case.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// This status on the stream.
    Status(u16),
    /// The stream is reset, by this code; or the whole connection ends for it (RFC 9113, section 5.4.2).
    Stream(u32),
    /// The connection ends, by one of these codes if any is told.
    Connection(&'static [u32]),
    /// The connection goes on: the next request is answered.
    Served,
}

use Want::{Connection as Ends, Served, Status, Stream};

type Fields<'a> = &'a [(&'a str, &'a str)];

const GET: Fields<'_> = &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];

/// A request of these fields on stream 1.
fn fields(fields: Fields<'_>) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block(fields))
}

/// A request with more fields than a plain one.
fn with(more: Fields<'_>) -> Vec<u8> {
    fields(&[GET, more].concat())
}

/// A request whose body follows.
fn open(more: Fields<'_>) -> Vec<u8> {
    let post = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];
    frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&[&post[..], more].concat()))
}

fn settings(name: u16, value: u32) -> Vec<u8> {
    frame(kind::SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

fn join(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// Plays each case on a connection of its own.
fn play(cases: &[(&str, Vec<u8>, Want)]) {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut wrong = Vec::new();
    for (name, bytes, want) in cases {
        let before = target.count();
        let mut connection = Connection::open(balancer.address);
        connection.socket().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        connection.send(bytes);
        let is_as_wanted = match *want {
            Served => {
                let stream = {
                    connection.next_stream();
                    connection.next_stream() + 100
                };
                connection.head(stream, GET, true);
                let outcome = connection.outcome(stream);
                matches!(outcome, Outcome::Answer(200, _)) || note(&mut wrong, name, &outcome)
            }
            Status(status) => {
                let outcome = connection.outcome(1);
                matches!(outcome, Outcome::Answer(found, _) if found == status)
                    || note(&mut wrong, name, &outcome)
            }
            Stream(code) => {
                let outcome = connection.outcome(1);
                matches!(outcome, Outcome::Reset(found) | Outcome::GoAway(found) if found == code)
                    || note(&mut wrong, name, &outcome)
            }
            Ends(codes) => {
                let outcome = connection.outcome(0);
                // The engine says PROTOCOL_ERROR where the RFCs have a more telling code.
                matches!(outcome, Outcome::GoAway(found) if found == PROTOCOL || codes.contains(&found))
                    || outcome == Outcome::Closed
                    || note(&mut wrong, name, &outcome)
            }
        };
        let reached = target.count() - before;
        if is_as_wanted && reached > 0 && !matches!(want, Served | Status(200) | Ends(_)) {
            wrong.push(format!("{name}: reached the target"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let mut connection = Connection::open(balancer.address);
    assert_eq!(connection.status_of("/", &[]), 200, "the balancer goes on");
}

fn note(wrong: &mut Vec<String>, name: &str, outcome: &Outcome) -> bool {
    wrong.push(format!("{name}: {outcome:?}"));
    false
}

#[test]
fn frames() {
    let big = vec![0; 16_385];
    play(&[
        ("9113 4.1: a frame of an unknown type is ignored", frame(0xbb, 0xff, 0, b"12345678"), Served),
        ("9113 4.1: unknown flags are ignored", frame(kind::PING, 0x16, 0, b"12345678"), Served),
        ("9113 4.1: the reserved bit is ignored", frame(kind::PING, 0, 0x8000_0000, b"12345678"), Served),
        (
            "9113 4.2: DATA over the size allowed",
            join(&[open(&[]), frame(kind::DATA, 0, 1, &big)]),
            Ends(&[FRAME_SIZE]),
        ),
        ("9113 4.2: HEADERS over the size allowed", frame(kind::HEADERS, 5, 1, &big), Ends(&[FRAME_SIZE])),
        (
            "9113 4.3: another frame within a header block",
            join(&[
                frame(kind::HEADERS, flag::END_STREAM, 1, &block(GET)),
                frame(kind::PING, 0, 0, b"12345678"),
            ]),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 4.3: another stream within a header block",
            join(&[
                frame(kind::HEADERS, flag::END_STREAM, 1, &block(GET)),
                frame(kind::CONTINUATION, flag::END_HEADERS, 3, &[]),
            ]),
            Ends(&[PROTOCOL]),
        ),
        ("9113 6.1: DATA on the connection", frame(kind::DATA, 1, 0, b"x"), Ends(&[PROTOCOL])),
        (
            "9113 6.1: padding longer than the frame",
            join(&[open(&[]), frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, b"\x06test")]),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 6.1: padded DATA is unpadded",
            join(&[
                open(&[("content-length", "4")]),
                frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, b"\x03test\0\0\0"),
            ]),
            Status(200),
        ),
        ("9113 6.2: HEADERS on the connection", frame(kind::HEADERS, 5, 0, &block(GET)), Ends(&[PROTOCOL])),
        (
            "9113 6.2: padded HEADERS longer than the frame",
            frame(kind::HEADERS, 0x0d, 1, b"\xff\x82"),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 6.2: HEADERS with a priority",
            frame(kind::HEADERS, 5 | flag::PRIORITY, 1, &[&[0, 0, 0, 0, 10][..], &block(GET)].concat()),
            Status(200),
        ),
        ("9113 6.3: PRIORITY is ignored", frame(kind::PRIORITY, 0, 3, &[0, 0, 0, 0, 10]), Served),
        (
            "9113 6.3: PRIORITY on the connection",
            frame(kind::PRIORITY, 0, 0, &[0, 0, 0, 0, 10]),
            Ends(&[PROTOCOL]),
        ),
        ("9113 6.4: RST_STREAM on the connection", frame(kind::RST_STREAM, 0, 0, &[0; 4]), Ends(&[PROTOCOL])),
        (
            "9113 6.4: RST_STREAM of a wrong length",
            join(&[open(&[]), frame(kind::RST_STREAM, 0, 1, &[0; 3])]),
            Ends(&[FRAME_SIZE]),
        ),
        ("9113 6.4: RST_STREAM on an idle stream", frame(kind::RST_STREAM, 0, 1, &[0; 4]), Ends(&[PROTOCOL])),
        (
            "9113 6.5: SETTINGS with ACK and a payload",
            frame(kind::SETTINGS, flag::ACK, 0, &[0; 6]),
            Ends(&[FRAME_SIZE]),
        ),
        ("9113 6.5: SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, &[]), Ends(&[PROTOCOL])),
        ("9113 6.5: SETTINGS of a wrong length", frame(kind::SETTINGS, 0, 0, &[0; 5]), Ends(&[FRAME_SIZE])),
        ("9113 6.5.2: ENABLE_PUSH of 2", settings(2, 2), Ends(&[PROTOCOL])),
        ("9113 6.5.2: INITIAL_WINDOW_SIZE over the limit", settings(4, 0x8000_0000), Ends(&[FLOW_CONTROL])),
        ("9113 6.5.2: MAX_FRAME_SIZE under the limit", settings(5, 16_383), Ends(&[PROTOCOL])),
        ("9113 6.5.2: MAX_FRAME_SIZE over the limit", settings(5, 16_777_216), Ends(&[PROTOCOL])),
        ("9113 6.5.2: unknown settings are ignored", settings(0xff, 1), Served),
        (
            "9113 6.6: PUSH_PROMISE of a client",
            frame(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2]),
            Ends(&[PROTOCOL]),
        ),
        ("9113 6.7: PING on a stream", frame(kind::PING, 0, 1, b"12345678"), Ends(&[PROTOCOL])),
        ("9113 6.7: PING of a wrong length", frame(kind::PING, 0, 0, b"1234567"), Ends(&[FRAME_SIZE])),
        ("9113 6.8: GOAWAY on a stream", frame(kind::GOAWAY, 0, 1, &[0; 8]), Ends(&[PROTOCOL])),
        ("9113 6.9: WINDOW_UPDATE of 0 for the connection", window(0, 0), Ends(&[PROTOCOL])),
        ("9113 6.9: WINDOW_UPDATE of 0 for a stream", join(&[open(&[]), window(1, 0)]), Stream(PROTOCOL)),
        (
            "9113 6.9: WINDOW_UPDATE of a wrong length",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3]),
            Ends(&[FRAME_SIZE]),
        ),
        (
            "9113 6.9.1: a window of the connection too large",
            join(&[window(0, 0x7fff_ffff), window(0, 0x7fff_ffff)]),
            Ends(&[FLOW_CONTROL]),
        ),
        (
            "9113 6.9.1: a window of a stream too large",
            join(&[open(&[]), window(1, 0x7fff_ffff), window(1, 0x7fff_ffff)]),
            Stream(FLOW_CONTROL),
        ),
        (
            "9113 6.10: CONTINUATION without HEADERS",
            frame(kind::CONTINUATION, 4, 1, &block(GET)),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 6.10: CONTINUATION after the end of headers",
            join(&[open(&[]), frame(kind::CONTINUATION, 4, 1, &block(GET))]),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 6.10: a head in many frames",
            join(&[
                frame(kind::HEADERS, flag::END_STREAM, 1, &block(&GET[..1])),
                frame(kind::CONTINUATION, 0, 1, &block(&GET[1..3])),
                frame(kind::CONTINUATION, flag::END_HEADERS, 1, &block(&GET[3..])),
            ]),
            Status(200),
        ),
    ]);
}

#[test]
fn streams() {
    let padding = "x".repeat(10);
    play(&[
        ("9113 5.1: DATA on an idle stream", frame(kind::DATA, 1, 1, b"x"), Ends(&[PROTOCOL, STREAM_CLOSED])),
        ("9113 5.1: WINDOW_UPDATE on an idle stream", window(1, 10), Ends(&[PROTOCOL])),
        (
            "9113 5.1: HEADERS on a stream that was closed",
            join(&[with(&[]), with(&[("x", &padding)])]),
            Ends(&[STREAM_CLOSED, PROTOCOL]),
        ),
        (
            "9113 5.1: DATA on a stream that was ended",
            join(&[with(&[]), frame(kind::DATA, 1, 1, b"x")]),
            Ends(&[STREAM_CLOSED]),
        ),
        (
            "9113 5.1.1: a stream of an even number",
            frame(kind::HEADERS, 5, 2, &block(GET)),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 5.1.1: a stream below the last one",
            join(&[frame(kind::HEADERS, 5, 5, &block(GET)), frame(kind::HEADERS, 5, 3, &block(GET))]),
            Ends(&[PROTOCOL, STREAM_CLOSED]),
        ),
        (
            "9113 8.1: trailers that do not end the stream",
            join(&[open(&[]), frame(kind::HEADERS, flag::END_HEADERS, 1, &block(&[("x", "y")]))]),
            Ends(&[PROTOCOL]),
        ),
    ]);
}

#[test]
fn no_more_streams_than_allowed() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let target = Target::start(move |exchange| {
        wait.lock().unwrap().recv().unwrap_or_default();
        exchange.ok("", "ok")
    });
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    let settings = connection.read_until(kind::SETTINGS);
    assert!(settings.payload.chunks(6).any(|entry| entry == [0, 3, 0, 0, 0, 128]), "128 at a time");
    let streams: Vec<u32> = (0..129).map(|_| connection.get("/", &[])).collect();
    assert_eq!(connection.outcome(streams[128]), Outcome::Reset(REFUSED));
    drop(go);
}

#[test]
fn heads_are_well_formed_or_refused() {
    let method = (":method", "GET");
    let scheme = (":scheme", "http");
    let path = (":path", "/");
    let authority = (":authority", "a.test");
    let body = |length: &str, data: &[u8]| {
        join(&[open(&[("content-length", length)]), frame(kind::DATA, 1, 1, data)])
    };
    play(&[
        ("9113 8.2: upper-case names", with(&[("X-Upper", "1")]), Stream(PROTOCOL)),
        ("9113 8.2: an empty name", with(&[("", "1")]), Ends(&[PROTOCOL, COMPRESSION])),
        ("9113 8.2.1: a space in a name", with(&[("x y", "1")]), Ends(&[PROTOCOL, COMPRESSION])),
        ("9113 8.2.1: a colon in a name", with(&[("x:y", "1")]), Ends(&[PROTOCOL, COMPRESSION])),
        ("9113 8.2.1: CR LF in a name", with(&[("x\r\ny", "1")]), Ends(&[PROTOCOL, COMPRESSION])),
        ("9113 8.2.1: NUL in a name", with(&[("x\0y", "1")]), Ends(&[PROTOCOL, COMPRESSION])),
        (
            "9113 8.2.1: CR LF in a value",
            with(&[("x", "a\r\nTransfer-Encoding: chunked")]),
            Ends(&[PROTOCOL, COMPRESSION]),
        ),
        ("9113 8.2.1: LF in a value", with(&[("x", "a\nb")]), Ends(&[PROTOCOL, COMPRESSION])),
        ("9113 8.2.1: NUL in a value", with(&[("x", "a\0b")]), Ends(&[PROTOCOL, COMPRESSION])),
        (
            "9113 8.2.1: CR LF in a path",
            fields(&[method, scheme, (":path", "/ HTTP/1.1\r\nX: y"), authority]),
            Stream(PROTOCOL),
        ),
        (
            "9113 8.2.1: a space in a path",
            fields(&[method, scheme, (":path", "/a b"), authority]),
            Stream(PROTOCOL),
        ),
        (
            "9113 8.2.1: CR LF in a method",
            fields(&[(":method", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"), scheme, path, authority]),
            Ends(&[PROTOCOL, COMPRESSION]),
        ),
        (
            "9113 8.2.1: CR LF in an authority",
            fields(&[method, scheme, path, (":authority", "a\r\nX: y")]),
            Stream(PROTOCOL),
        ),
        ("9113 8.2.2: connection", with(&[("connection", "keep-alive")]), Stream(PROTOCOL)),
        ("9113 8.2.2: keep-alive", with(&[("keep-alive", "5")]), Stream(PROTOCOL)),
        ("9113 8.2.2: proxy-connection", with(&[("proxy-connection", "x")]), Stream(PROTOCOL)),
        ("9113 8.2.2: upgrade", with(&[("upgrade", "websocket")]), Stream(PROTOCOL)),
        ("9113 8.2.2: transfer-encoding", with(&[("transfer-encoding", "chunked")]), Stream(PROTOCOL)),
        ("9113 8.2.2: te other than trailers", with(&[("te", "trailers, deflate")]), Stream(PROTOCOL)),
        ("9113 8.2.2: te", with(&[("te", "trailers")]), Status(200)),
        ("9113 8.3: an unknown pseudo-header", with(&[(":test", "x")]), Ends(&[PROTOCOL, COMPRESSION])),
        ("9113 8.3: a pseudo-header of responses", with(&[(":status", "200")]), Stream(PROTOCOL)),
        (
            "9113 8.3: a pseudo-header after a field",
            fields(&[method, scheme, authority, ("x", "y"), path]),
            Stream(PROTOCOL),
        ),
        ("9113 8.3.1: :method is missing", fields(&[scheme, path, authority]), Stream(PROTOCOL)),
        ("9113 8.3.1: :scheme is missing", fields(&[method, path, authority]), Stream(PROTOCOL)),
        ("9113 8.3.1: :path is missing", fields(&[method, scheme, authority]), Stream(PROTOCOL)),
        ("9113 8.3.1: :path is empty", fields(&[method, scheme, (":path", ""), authority]), Stream(PROTOCOL)),
        ("9113 8.3.1: :path twice", with(&[path]), Stream(PROTOCOL)),
        ("9113 8.3.1: :method twice", with(&[method]), Stream(PROTOCOL)),
        ("9113 8.3.1: :authority twice", with(&[authority]), Stream(PROTOCOL)),
        ("9113 8.3.1: Host differs from :authority", with(&[("host", "b.test")]), Status(400)),
        ("9113 8.3.1: Host is that of :authority", with(&[("host", "A.test")]), Status(200)),
        ("9113 8.3.1: two Hosts", fields(&[method, scheme, path, ("host", "a"), ("host", "b")]), Status(400)),
        ("9113 8.3.1: Host alone", fields(&[method, scheme, path, ("host", "a.test")]), Status(200)),
        ("9113 8.3.1: neither", fields(&[method, scheme, path]), Status(400)),
        ("9113 8.5: CONNECT", fields(&[(":method", "CONNECT"), (":authority", "a.test:80")]), Status(405)),
        ("9110 9.3.8: TRACE", fields(&[(":method", "TRACE"), scheme, path, authority]), Status(405)),
        ("9113 8.1.1: content-length and no body", with(&[("content-length", "5")]), Stream(PROTOCOL)),
        (
            "9113 8.1.1: content-length twice",
            join(&[open(&[("content-length", "1"), ("content-length", "2")]), frame(kind::DATA, 1, 1, b"x")]),
            Stream(PROTOCOL),
        ),
        ("9113 8.1.1: content-length is no number", body("+4", b"test"), Stream(PROTOCOL)),
        ("9113 8.1.1: the body is as long as it says", body("4", b"test"), Status(200)),
    ]);
}

#[test]
fn a_body_of_another_length_than_it_says_is_no_request() {
    let target = Target::echo();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    for data in [&b"tes"[..], b"tests"] {
        let mut connection = Connection::open(balancer.address);
        let stream = connection.post("/", &[("content-length", "4")]);
        connection.data(stream, data, true);
        assert_eq!(connection.outcome(stream), Outcome::Reset(PROTOCOL), "{data:?}");
    }
    assert_eq!(target.count(), 0, "no whole request arrived");
}

#[test]
fn heads_have_limits() {
    let long = |length: usize| "x".repeat(length);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    let path = format!("/{}", long(16_000));
    assert_eq!(connection.status_of(&path, &[]), 200, "a long path that is allowed");
    assert_eq!(connection.status_of(&format!("{path}{}", long(400)), &[]), 414);
    assert_eq!(connection.status_of("/", &[("x", &long(16_000))]), 200, "a long field that is allowed");
    assert_eq!(connection.status_of("/", &[("x", &long(16_400))]), 400);
    let field = long(15_000);
    let fields: Vec<(&str, &str)> = ["a", "b", "c", "d"].map(|name| (name, field.as_str())).to_vec();
    assert_eq!(connection.status_of("/", &fields), 200, "a long head that is allowed");
    let fields: Vec<(&str, &str)> = ["a", "b", "c", "d", "e"].map(|name| (name, field.as_str())).to_vec();
    assert_eq!(connection.status_of("/", &fields), 400);
    let many = vec![("x", "y"); 300];
    assert_eq!(connection.status_of("/", &many), 400);
    assert_eq!(target.count(), 3);
}

#[test]
fn a_head_may_come_in_any_number_of_frames() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    let value = "v".repeat(1000);
    let fields: Vec<(&str, &str)> = GET.iter().copied().chain(vec![("x", value.as_str()); 60]).collect();
    for size in [10, 1000, 16_384] {
        let stream = connection.next_stream();
        let block = block(&fields);
        let mut parts = block.chunks(size).peekable();
        let first = parts.next().unwrap();
        let mut frames = frame(kind::HEADERS, flag::END_STREAM, stream, first);
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
            frames.extend(frame(kind::CONTINUATION, flags, stream, part));
        }
        connection.send(frames);
        assert!(matches!(connection.outcome(stream), Outcome::Answer(200, _)), "in pieces of {size}");
    }
    assert_eq!(target.count(), 3);
}

#[test]
fn header_blocks() {
    let raw = |bytes: &[u8]| frame(kind::HEADERS, 5, 1, bytes);
    let get = block(GET);
    play(&[
        ("7541 2.3.3: an index beyond the tables", raw(&[&get[..], &[0xc6]].concat()), Ends(&[COMPRESSION])),
        (
            "7541 4.2: a table size change at the end",
            raw(&[&get[..], &[0x21]].concat()),
            Ends(&[COMPRESSION]),
        ),
        (
            "7541 5.1: a number without an end",
            raw(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Ends(&[COMPRESSION]),
        ),
        (
            "7541 5.2: Huffman padding of more than 7 bits",
            raw(&[&get[..], &[0, 0x81, 0x0f, 0x84, 0xff, 0xff, 0xff, 0xff]].concat()),
            Ends(&[COMPRESSION]),
        ),
        ("7541 6.1: index 0", raw(&[&get[..], &[0x80]].concat()), Ends(&[COMPRESSION])),
        (
            "7541 6.3: a table larger than allowed",
            raw(&[&[0x3f, 0xff, 0xff, 0x03][..], &get].concat()),
            Ends(&[COMPRESSION]),
        ),
        (
            "7541 6.2: a literal cut short",
            raw(&[&get[..], &[0, 5, b'a']].concat()),
            Ends(&[COMPRESSION, PROTOCOL]),
        ),
        (
            "7541 2.3.1: indexed fields",
            raw(&[&[0x82, 0x86, 0x84][..], &block(&GET[3..])].concat()),
            Status(200),
        ),
    ]);
}

#[test]
fn the_first_bytes_are_the_preface_and_settings() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    // As long as the preface, with another end: HTTP/1.1 of a version that there is not.
    let mut client = balancer.connect();
    client.send(&PREFACE[..20]).send(b"HTTP");
    assert_eq!(client.response().status, 505, "9113 3.4");
    assert!(client.is_closed());
    for first in [frame(kind::PING, 0, 0, &[0; 8]), fields(GET), frame(kind::SETTINGS, flag::ACK, 0, &[])] {
        let mut connection = Connection::silent(balancer.address);
        connection.send(PREFACE).send(first);
        assert_eq!(connection.outcome(0), Outcome::GoAway(PROTOCOL), "9113 3.4: SETTINGS come first");
        assert_eq!(connection.outcome(0), Outcome::Closed, "9113 3.4");
    }
    let mut connection = Connection::open(balancer.address);
    connection.frame(kind::PING, 0, 0, b"12345678");
    let pong = loop {
        let pong = connection.read_until(kind::PING);
        if pong.flags == flag::ACK {
            break pong;
        }
    };
    assert_eq!(pong.payload, b"12345678", "9113 6.7");
    assert_eq!(target.count(), 0);
}
