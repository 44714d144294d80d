//! Flow control and the end of connections: what the balancer may send, and what it says at last.

use std::time::Duration;

use support::{
    Balancer, Config, Target,
    http2::{Connection, Outcome, PREFACE, flag, kind},
};

/// A balancer before a target whose body is ten bytes.
fn ten_bytes() -> (Target, Balancer) {
    let target = Target::start(|exchange| exchange.ok("", "0123456789"));
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    (target, balancer)
}

/// A connection with these initial windows of streams, one settings entry each.
fn with_windows(balancer: &Balancer, windows: &[u32]) -> Connection {
    let mut connection = Connection::silent(balancer.address);
    let entries: Vec<(u16, u32)> = windows.iter().map(|bytes| (4, *bytes)).collect();
    connection.send(PREFACE).settings(&[&[(1, 0)][..], &entries].concat());
    connection
}

/// The next frame of a body; nothing when a PING is answered before.
fn body(connection: &mut Connection) -> Option<Vec<u8>> {
    connection.frame(kind::PING, 0, 0, b"any body");
    loop {
        let frame = connection.read().expect("the connection goes on");
        match frame.kind {
            kind::DATA => return Some(frame.payload),
            kind::PING if frame.flags & flag::ACK != 0 => return None,
            _ => {}
        }
    }
}

fn next_body(connection: &mut Connection) -> Vec<u8> {
    connection.read_until(kind::DATA).payload
}

#[test]
fn no_more_is_sent_than_the_window_allows() {
    let (_target, balancer) = ten_bytes();
    let mut connection = with_windows(&balancer, &[1]);
    let stream = connection.get("/", &[]);
    assert_eq!(next_body(&mut connection), b"0", "9113 6.9.1: a window of one byte");
    assert_eq!(body(&mut connection), None, "the window is used up");
    connection.window(stream, 2);
    assert_eq!(next_body(&mut connection), b"12");
    connection.settings(&[(4, 4)]);
    assert_eq!(next_body(&mut connection), b"345", "9113 6.9.2: a larger initial window counts at once");
    connection.settings(&[(4, 2)]);
    connection.window(stream, 2);
    assert_eq!(body(&mut connection), None, "9113 6.9.2: a smaller one makes the window negative");
    connection.window(stream, 100);
    assert_eq!(next_body(&mut connection), b"6789");
}

#[test]
fn the_last_of_two_initial_windows_counts() {
    let (_target, balancer) = ten_bytes();
    let mut connection = with_windows(&balancer, &[100, 1]);
    connection.get("/", &[]);
    assert_eq!(next_body(&mut connection), b"0", "9113 6.5.3");
    assert_eq!(body(&mut connection), None);
}

#[test]
fn a_window_of_nothing_holds_bodies_and_nothing_else() {
    let (_target, balancer) = ten_bytes();
    let mut connection = with_windows(&balancer, &[0]);
    let stream = connection.get("/", &[]);
    assert_eq!(connection.read_until(kind::HEADERS).stream, stream, "9113 6.9: heads have no window");
    assert_eq!(body(&mut connection), None);
    connection.window(stream, 10);
    assert_eq!(next_body(&mut connection), b"0123456789");
}

#[test]
fn settings_and_pings_are_acknowledged_once() {
    let (_target, balancer) = ten_bytes();
    let mut connection = Connection::open(balancer.address);
    connection.settings(&[]).frame(kind::PING, flag::ACK, 0, b"unasked!").frame(
        kind::PING,
        0,
        0,
        b"asked...",
    );
    let mut acknowledged = 0;
    let pong = loop {
        let frame = connection.read().unwrap();
        match frame.kind {
            kind::SETTINGS if frame.flags & flag::ACK != 0 => acknowledged += 1,
            kind::PING => break frame.payload,
            _ => {}
        }
    };
    assert_eq!(acknowledged, 2, "9113 6.5.3: each of the two");
    assert_eq!(pong, b"asked...", "9113 6.7: an answer is not answered");
}

#[test]
fn an_error_of_the_connection_ends_it_after_goaway() {
    let (_target, balancer) = ten_bytes();
    let mut connection = Connection::open(balancer.address);
    let stream = connection.get("/", &[]);
    assert!(matches!(connection.outcome(stream), Outcome::Answer(200, _)));
    connection.frame(kind::PING, 0, 0, b"short");
    let goaway = connection.read_until(kind::GOAWAY);
    assert_eq!(goaway.payload[..4], stream.to_be_bytes(), "9113 6.8: the last stream that was served");
    while connection.read().is_some() {}
}

#[test]
fn a_client_that_says_goodbye_gets_what_it_asked_for() {
    let (_target, balancer) = ten_bytes();
    for code in [0, 0xff_u32] {
        let mut connection = Connection::open(balancer.address);
        connection.socket().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let stream = connection.get("/", &[]);
        connection.frame(kind::GOAWAY, 0, 0, [&[0; 4][..], &code.to_be_bytes()].concat());
        let outcome = connection.outcome(stream);
        assert_eq!(outcome, Outcome::Answer(200, b"0123456789".to_vec()), "9113 6.8, 7: code {code}");
        while connection.read().is_some() {}
    }
}
