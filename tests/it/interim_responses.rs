//! Interim responses have no end of their own: a target that goes on with them is given up, whoever reads or does not.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};

use support::{
    Answer, Balancer, Config, Group, Target,
    access_log::wait_for,
    http2::{Connection, Outcome, block, flag, frame, kind},
    http2_target::answering,
};

/// Most of them before one response.
const MOST: usize = 100;
/// What one adds to memory that is not to be added: of these that a target offers, few are taken.
const LINK: usize = 1500;
const OFFERED: usize = 64 * 1024 * 1024;
const BOUND: u64 = 16 * 1024 * 1024;

fn hints(length: usize) -> String {
    format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "a".repeat(length))
}

/// The same as a frame; it enters no table.
fn framed_hints(stream: u32, length: usize) -> Vec<u8> {
    let fields = block(&[(":status", "103"), ("link", &"a".repeat(length))]);
    frame(kind::HEADERS, flag::END_HEADERS, stream, &fields)
}

/// A target that goes on with interim responses until nobody takes them, and says how many bytes were taken.
fn endless(version: &str) -> (String, mpsc::Receiver<usize>, Option<Target>) {
    let (done, taken) = mpsc::channel();
    let offer = |bytes: &[u8], write: &mut dyn FnMut(&[u8]) -> bool| {
        let mut sent = 0;
        while sent < OFFERED && write(bytes) {
            sent += bytes.len();
        }
        sent
    };
    if version == "HTTP1" {
        let target = Target::start(move |exchange| {
            let stream = exchange.reader.stream();
            stream.set_write_timeout(Some(Duration::from_secs(5)));
            let _ = done.send(offer(hints(LINK).as_bytes(), &mut |bytes| stream.write_all(bytes).is_ok()));
            Answer::Close
        });
        return (target.address.clone(), taken, Some(target));
    }
    let target = answering(&[(3, 1)], move |connection, stream| {
        connection.socket().set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let sent = offer(&framed_hints(stream, LINK), &mut |bytes| connection.try_send(bytes).is_ok());
        let _ = done.send(sent);
        false
    });
    (target, taken, None)
}

fn before(version: &str, target: &str) -> (Balancer, PathBuf) {
    let group =
        Group::of("app", &[target.to_owned()]).line(&format!("protocol_version = \"{version}\"")).unchecked();
    let config = Config::with(group).workers(1).http2();
    let mut balancer = Balancer::prepare(&config);
    let path = balancer.folder().join("access.log");
    let block = format!("access_logs {{\nenabled = true\npath = \"{}\"\n}}", path.display());
    balancer.write(&config.attribute(&block));
    balancer.run();
    (balancer, path)
}

#[test]
fn a_client_that_reads_nothing_costs_little_however_many_its_target_sends() {
    for version in ["HTTP1", "HTTP2"] {
        let (target, taken, _target) = endless(version);
        let (balancer, path) = before(version, &target);
        let memory = balancer.memory();
        let mut connection = Connection::open(balancer.address);
        for _ in 0..8 {
            connection.get("/", &[]);
        }
        for line in wait_for(&path, 8) {
            line.expect(&[("elb_status_code", "502"), ("error_reason", "TargetInterimTooLarge")]);
        }
        let grown = balancer.memory().saturating_sub(memory);
        assert!(grown < BOUND, "{version}: grew by {grown} bytes");
        let labels = "{target_group=\"app\",cause=\"TargetInterimTooLarge\"}";
        assert_eq!(balancer.metric(&format!("balancer_failures_total{labels}")), 8.0, "{version}");
        drop(connection);
        if version == "HTTP1" {
            // Its connection ended there.
            let taken = taken.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(taken < OFFERED, "{taken} bytes");
        }
    }
}

#[test]
fn so_many_are_passed_on_and_no_more() {
    for (version, count, status) in
        [("HTTP1", MOST, 200), ("HTTP1", MOST + 1, 502), ("HTTP2", MOST, 200), ("HTTP2", MOST + 1, 502)]
    {
        let interim = |bytes: &[u8]| bytes.repeat(count);
        let (http1, http2);
        let address = if version == "HTTP1" {
            let bytes = interim(b"HTTP/1.1 102 Processing\r\n\r\n");
            http1 = Target::start(move |exchange| {
                exchange.send(&bytes);
                exchange.ok("", "whole")
            });
            http1.address.clone()
        } else {
            http2 = answering(&[], move |connection, stream| {
                let head = frame(kind::HEADERS, flag::END_HEADERS, stream, b"\x08\x03102");
                connection.send(head.repeat(count)).frame(kind::HEADERS, flag::END_HEADERS, stream, [0x88]);
                connection.data(stream, b"whole", true);
                true
            });
            http2
        };
        let (balancer, _) = before(version, &address);
        let mut connection = Connection::open(balancer.address);
        for _ in 0..3 {
            let stream = connection.get("/", &[]);
            let (mut heads, mut last) = (Vec::new(), None);
            while last.is_none_or(|flags| flags & flag::END_STREAM == 0) {
                let frame = connection.read().unwrap();
                if frame.stream == stream && frame.kind == kind::HEADERS {
                    heads.push(support::http2::status(&frame.payload));
                }
                if frame.stream == stream && frame.kind <= kind::HEADERS {
                    last = Some(frame.flags);
                }
            }
            assert_eq!(heads.pop(), Some(status), "{version} {count}");
            assert!(heads.len() <= MOST && heads.iter().all(|status| *status == 102), "{version} {count}");
            assert!(status == 502 || heads.len() == MOST, "{version} {count}: {}", heads.len());
        }
    }
}

#[test]
fn clients_of_http_1_1_get_502_behind_those_that_were_passed_on() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(MOST + 5));
        exchange.ok("", "late")
    });
    let (balancer, path) = before("HTTP1", &target.address);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut connection = balancer.connect();
        let mut text = String::new();
        connection.send(request).stream().read_to_string(&mut text).unwrap();
        let passed_on = if request.contains("1.1") { MOST } else { 0 };
        assert_eq!(text.matches("HTTP/1.1 102 Processing\r\n\r\n").count(), passed_on, "{text}");
        assert!(text.contains("HTTP/1.1 502 ") && !text.contains("late"), "{text}");
    }
    for line in wait_for(&path, 2) {
        line.expect(&[("elb_status_code", "502"), ("error_reason", "TargetInterimTooLarge")]);
    }
}

#[test]
fn large_ones_are_fewer() {
    let target = Target::start(|exchange| {
        let mut all = String::new();
        for _ in 0..exchange.request.target[1..].parse().unwrap() {
            write!(all, "{}", hints(4000)).unwrap();
        }
        exchange.send(all);
        exchange.ok("", "whole")
    });
    let (balancer, _) = before("HTTP1", &target.address);
    let mut connection = Connection::open(balancer.address);
    for (count, outcome) in [(8, Some(Outcome::Answer(200, b"whole".to_vec()))), (9, None)] {
        let stream = connection.get(&format!("/{count}"), &[]);
        let came = connection.outcome(stream);
        match outcome {
            Some(outcome) => assert_eq!(came, outcome),
            None => assert!(matches!(came, Outcome::Answer(502, _)), "{came:?}"),
        }
    }
}
