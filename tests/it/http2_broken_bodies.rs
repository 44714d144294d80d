//! Responses that break off on their way to clients of HTTP/2, and what comes before a response.

use std::{
    io::Write as _,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome, flag, frame, kind, status},
    http2_target::answering,
};

const INTERNAL_ERROR: u32 = 2;

/// A target that answers the first frame of each request with `answer`, made for its stream.
fn target(answer: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> String {
    answering(&[], move |connection, stream| {
        let _ = connection.socket().write_all(&answer(stream));
        true
    })
}

fn before(target: String) -> Balancer {
    let group = Group::of("app", &[target]).line("protocol_version = \"HTTP2\"").unchecked();
    Balancer::start(&Config::with(group).workers(1).http2())
}

/// What comes of a request: the status of its head, if one came, its body and how it ended.
fn taken(connection: &mut Connection, stream: u32) -> (Option<u16>, Vec<u8>, Outcome) {
    let (mut head, mut body) = (None, Vec::new());
    loop {
        let Some(frame) = connection.read() else { return (head, body, Outcome::Closed) };
        match frame.kind {
            kind::HEADERS if frame.stream == stream => head = Some(status(&frame.payload)),
            kind::DATA if frame.stream == stream => body.extend(&frame.payload),
            kind::RST_STREAM if frame.stream == stream => {
                let code = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                return (head, body, Outcome::Reset(code));
            }
            kind::GOAWAY => return (head, body, Outcome::GoAway(frame.payload[7].into())),
            _ => {}
        }
        if frame.stream == stream && frame.kind <= kind::HEADERS && frame.flags & flag::END_STREAM != 0 {
            return (head, body, Outcome::Answer(head.unwrap_or_default(), Vec::new()));
        }
    }
}

#[test]
fn a_body_that_its_target_resets_is_never_whole() {
    for code in (0..=13).chain([0xff, u32::MAX]) {
        for parts in [&b""[..], b"part"] {
            let address = target(move |stream| {
                let mut bytes = frame(kind::HEADERS, flag::END_HEADERS, stream, &[0x88]);
                if !parts.is_empty() {
                    bytes.extend(frame(kind::DATA, 0, stream, parts));
                }
                bytes.extend(frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes()));
                bytes
            });
            let balancer = before(address);
            let mut connection = Connection::open(balancer.address);
            for _ in 0..3 {
                let stream = connection.get("/", &[]);
                let came = taken(&mut connection, stream);
                // In one flight: the head and what there is of the body arrive all the same.
                assert_eq!(came, (Some(200), parts.to_vec(), Outcome::Reset(INTERNAL_ERROR)), "code {code}");
            }
        }
    }
}

#[test]
fn a_whole_body_that_its_target_resets_after_its_end_is_whole() {
    let address = target(|stream| {
        [
            frame(kind::HEADERS, flag::END_HEADERS, stream, &[0x88]),
            frame(kind::DATA, flag::END_STREAM, stream, b"whole"),
            frame(kind::RST_STREAM, 0, stream, &0_u32.to_be_bytes()),
        ]
        .concat()
    });
    let balancer = before(address);
    let mut connection = Connection::open(balancer.address);
    let stream = connection.post("/", &[]);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"whole".to_vec()));
}

#[test]
fn a_body_that_an_http1_target_breaks_off_gives_the_client_its_beginning() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nnonsense\r\n",
    ] {
        let target = Target::start(move |exchange| {
            exchange.send(bytes);
            Answer::Close
        });
        let balancer = Balancer::start(&Config::new(&[&target]).workers(1).http2());
        let mut connection = Connection::open(balancer.address);
        let stream = connection.get("/", &[]);
        let came = taken(&mut connection, stream);
        assert_eq!(came, (Some(200), b"part".to_vec(), Outcome::Reset(INTERNAL_ERROR)), "{bytes}");
    }
}

/// Nothing waits to be written then: who has what there is of the body is told at once that there is no more.
#[test]
fn a_body_that_breaks_off_later_ends_at_once() {
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let target = Target::start(move |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        let _ = gate.lock().unwrap().recv();
        Answer::Close
    });
    let balancer =
        Balancer::start(&Config::with(Group::new("app", &[&target]).unchecked()).workers(1).http2());
    let mut connection = Connection::open(balancer.address);
    let waits = (0..3).map(|_| {
        let stream = connection.get("/", &[]);
        while connection.read().unwrap().kind != kind::DATA {}
        let started = Instant::now();
        go_on.send(()).unwrap();
        assert_eq!(taken(&mut connection, stream).2, Outcome::Reset(INTERNAL_ERROR));
        started.elapsed()
    });
    let least = waits.min().unwrap();
    assert!(least < Duration::from_secs(1), "{least:?}");
}

#[test]
fn a_client_that_expects_100_gets_it_once() {
    let one = Target::plain();
    let two = target(|stream| {
        // Its own 100 comes on top of the balancer's; the answer does not wait for the body.
        [
            frame(kind::HEADERS, flag::END_HEADERS, stream, b"\x08\x03100"),
            frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &[0x88]),
        ]
        .concat()
    });
    for (version, address) in [("HTTP1", one.address.clone()), ("HTTP2", two)] {
        let group =
            Group::of("app", &[address]).line(&format!("protocol_version = \"{version}\"")).unchecked();
        let config = Config::with(group).workers(1).http2();
        let balancer = Balancer::start(&config.path_rule(
            1,
            "/fixed",
            "action {\n  type = \"fixed-response\"\n  fixed_response {\n    content_type = \"text/plain\"\n    \
             status_code = \"403\"\n  }\n}",
        ));
        let mut connection = Connection::open(balancer.address);
        let heads = |connection: &mut Connection, stream: u32, body: bool| {
            let mut heads = Vec::new();
            loop {
                let frame = connection.read().unwrap();
                if frame.stream == stream && frame.kind == kind::HEADERS {
                    heads.push(status(&frame.payload));
                    if heads == [100] && body {
                        connection.data(stream, b"body", true);
                    }
                }
                if frame.stream == stream && frame.kind <= 1 && frame.flags & flag::END_STREAM != 0 {
                    return heads;
                }
            }
        };
        let stream = connection.post("/", &[("expect", "100-continue"), ("content-length", "4")]);
        assert_eq!(heads(&mut connection, stream, true), [100, 200], "{version}");
        let stream = connection.get("/", &[("expect", "100-continue")]);
        assert_eq!(heads(&mut connection, stream, false), [200], "{version}: there is no body to wait for");
        let stream = connection.post("/fixed", &[("expect", "100-continue")]);
        assert_eq!(heads(&mut connection, stream, false), [403], "{version}: nobody wants its body");
        let stream = connection.post("/", &[("content-length", "4")]);
        connection.data(stream, b"body", true);
        assert_eq!(heads(&mut connection, stream, false), [200], "{version}: nobody waits");
    }
    assert!(one.requests().iter().all(|request| request.headers.get("expect").is_none()));
}

#[test]
fn a_target_of_http2_cannot_switch_protocols() {
    let address = target(|stream| {
        [
            frame(kind::HEADERS, flag::END_HEADERS, stream, b"\x08\x03101"),
            frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &[0x88]),
        ]
        .concat()
    });
    let balancer = before(address);
    let mut connection = Connection::open(balancer.address);
    let stream = connection.get("/", &[]);
    assert_eq!(taken(&mut connection, stream).0, Some(502));
}

#[test]
fn other_interim_responses_of_http2_targets_reach_the_client() {
    let address = target(|stream| {
        [
            frame(kind::HEADERS, flag::END_HEADERS, stream, b"\x08\x03103"),
            frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &[0x88]),
        ]
        .concat()
    });
    let balancer = before(address);
    let mut connection = Connection::open(balancer.address);
    let stream = connection.get("/", &[]);
    assert_eq!(status(&connection.read_until(kind::HEADERS).payload), 103);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, Vec::new()));
}
