//! HTTP/2 clients that mean harm: bounded memory, bounded work, and others are served.

use std::time::Duration;

use support::{
    Answer, Balancer, Config, Target,
    http2::{Connection, Outcome, PREFACE, block, flag, frame, kind},
};

const ENHANCE_YOUR_CALM: u32 = 11;
const BOUND: u64 = 16 * 1024 * 1024;
const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];

/// Sends batches until the balancer ends the connection, and sees it do so with GOAWAY or by closing.
fn flood(what: &str, mut batch: impl FnMut(u32) -> Vec<u8>) {
    let target = Target::heads(|exchange| {
        if exchange.request.target == "/ok" {
            return exchange.ok("", "ok");
        }
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut other = Connection::open(balancer.address);
    assert_eq!(other.status_of("/ok", &[]), 200);
    let memory = balancer.memory();
    let mut connection = Connection::open(balancer.address);
    connection.socket().set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let ended = (0..2000).any(|round| connection.try_send(batch(round)).is_err());
    let outcome = connection.outcome(0);
    let is_told = matches!(outcome, Outcome::GoAway(_) | Outcome::Closed);
    assert!(is_told, "{what}: {outcome:?}, ended: {ended}");
    let grown = balancer.memory().saturating_sub(memory);
    assert!(grown < BOUND, "{what}: grew by {grown} bytes");
    assert_eq!(other.status_of("/ok", &[]), 200, "{what}: others are served");
    balancer.wait_status("nothing is left of it", 10.0, |status| {
        status.total("http2_connections_active") == 1
            && status.target(&target.address)["outstanding_requests"] == 0
    });
}

#[test]
fn rapid_reset() {
    flood("rapid reset", |round| {
        let mut frames = Vec::new();
        for place in 0..50 {
            let stream = (round * 50 + place) * 2 + 1;
            frames.extend(frame(kind::HEADERS, 5, stream, &block(GET)));
            frames.extend(frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        frames
    });
}

#[test]
fn resets_provoked_from_the_balancer() {
    flood("provoked resets", |round| {
        let mut frames = Vec::new();
        for place in 0..50 {
            let stream = (round * 50 + place) * 2 + 1;
            frames.extend(frame(kind::HEADERS, flag::END_HEADERS, stream, &block(GET)));
            frames.extend(frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4]));
        }
        frames
    });
}

#[test]
fn continuations_without_end() {
    flood("continuations", |round| {
        let mut frames = Vec::new();
        if round == 0 {
            frames.extend(frame(kind::HEADERS, flag::END_STREAM, 1, &block(GET)));
        }
        for _ in 0..20 {
            frames.extend(frame(kind::CONTINUATION, 0, 1, &block(&[("x", "y".repeat(10_000))])));
        }
        frames
    });
    flood("empty continuations", |round| {
        let mut frames = Vec::new();
        if round == 0 {
            frames.extend(frame(kind::HEADERS, flag::END_STREAM, 1, &block(GET)));
        }
        frames.extend(frame(kind::CONTINUATION, 0, 1, &[]).repeat(1000));
        frames
    });
}

#[test]
fn settings() {
    flood("settings", |_| frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(500));
}

#[test]
fn pings() {
    flood("pings", |_| frame(kind::PING, 0, 0, &[7; 8]).repeat(500));
}

#[test]
fn priorities_and_windows() {
    flood("priorities", |_| frame(kind::PRIORITY, 0, 9, &[0, 0, 0, 0, 1]).repeat(500));
    flood("windows", |_| frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(500));
    flood("unknown frames", |_| frame(200, 0, 0, &[]).repeat(500));
}

#[test]
fn empty_frames() {
    flood("empty data", |round| {
        let mut frames = Vec::new();
        if round == 0 {
            frames.extend(frame(kind::HEADERS, flag::END_HEADERS, 1, &block(GET)));
        }
        frames.extend(frame(kind::DATA, 0, 1, &[]).repeat(500));
        frames
    });
}

/// One large field in the table, and then its index over and over (RFC 7541, section 7.3).
#[test]
fn header_bombs_are_refused() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let memory = balancer.memory();
    let mut connection = Connection::open(balancer.address);
    let mut bomb = block(GET);
    bomb.extend([0x40, 1, b'x', 0x7f]);
    // 3,000 in a prefix of 7 bits.
    bomb.extend([0xb9, 0x16]);
    bomb.extend(vec![b'y'; 3000]);
    bomb.extend(vec![0xbe; 10_000]);
    for _ in 0..20 {
        let stream = connection.next_stream();
        connection.frame(kind::HEADERS, 5, stream, &bomb);
        match connection.outcome(stream) {
            Outcome::Answer(400 | 431, _) => {}
            Outcome::GoAway(_) | Outcome::Closed => connection = Connection::open(balancer.address),
            other => panic!("{other:?}"),
        }
    }
    let grown = balancer.memory().saturating_sub(memory);
    assert!(grown < BOUND, "grew by {grown} bytes");
    assert_eq!(target.count(), 0);
    assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 200);
}

#[test]
fn a_flood_is_told_why_and_counted() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut connection = Connection::silent(balancer.address);
    connection.send(PREFACE).settings(&[(1, 0)]);
    // Few enough bytes that none is left unread, which would turn the end into a reset.
    connection.send(frame(kind::PING, flag::ACK, 0, &[7; 8]).repeat(2003));
    assert_eq!(connection.outcome(0), Outcome::GoAway(ENHANCE_YOUR_CALM));
    balancer.wait_status("it is counted", 20.0, |status| status.total("http2_floods") == 1);
}

#[test]
fn a_client_that_begins_and_goes_silent_is_let_go() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2().attribute("idle_timeout = 1"));
    for begun in [&PREFACE[..10], PREFACE, &[PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat()] {
        let mut connection = Connection::silent(balancer.address);
        connection.send(begun);
        while connection.read().is_some() {}
    }
    let mut connection = Connection::open(balancer.address);
    connection.frame(kind::HEADERS, 0, 1, block(GET));
    while connection.read().is_some() {}
    balancer.wait_status("all are gone", 10.0, |status| status.total("connections_active") == 0);
}

#[test]
fn clients_that_violate_http2_write_few_lines_that_name_them() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1).http2());
    for _ in 0..40 {
        let mut connection = Connection::open(balancer.address);
        // An index of no field.
        connection.frame(kind::HEADERS, flag::END_HEADERS, 1, [0x80]);
        assert!(matches!(connection.outcome(1), Outcome::GoAway(_)));
        let mut connection = Connection::silent(balancer.address);
        connection.send(PREFACE).frame(kind::PING, 0, 0, [0; 8]);
        assert!(matches!(connection.outcome(1), Outcome::GoAway(_) | Outcome::Closed));
    }
    let lines = balancer.wait_log_lines(&["HTTP/2"], 1);
    let log = balancer.log();
    assert!((1..=30).contains(&lines.len()), "{} lines of 80 connections", lines.len());
    assert!(
        lines.iter().all(|line| line.contains("client=127.0.0.1:") || line.contains("left out")),
        "{lines:?}"
    );
    assert!(!log.lines().any(|line| line.contains(" h2::")), "{log}");
}

#[test]
fn a_table_without_end_that_a_client_allows_is_not_filled() {
    // A value of a kilobyte for each path.
    let target = Target::start(|exchange| {
        let value = exchange.request.target[1..].repeat(1000);
        exchange.ok(&format!("X-Value: {value}\r\n"), "")
    });
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1).http2());
    let mut connection = Connection::silent(balancer.address);
    connection.send(PREFACE).settings(&[(1, u32::MAX)]);
    // By the answer to it the settings are taken.
    while connection.read_until(kind::SETTINGS).flags & flag::ACK == 0 {}
    let mut length_of = |path: &str| {
        connection.get(path, &[]);
        connection.read_until(kind::HEADERS).payload.len()
    };
    assert!(length_of("/0") > 500);
    assert!(length_of("/0") < 200, "what was said last is in the table");
    for path in ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"] {
        length_of(path);
    }
    assert!(length_of("/0") > 500, "what was said long before is not");
}
