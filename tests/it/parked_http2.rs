//! Client connections of HTTP/2 that have been idle for a while are parked as those of HTTP/1.1 are, and go on as the connections
//! that they were; they are told when they are to end.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{
    Balancer, Config, Target,
    http2::{Connection, Frame, Outcome, flag, kind},
    tls::Certificate,
    until,
};

/// Waits until so many connections are parked.
fn parked(balancer: &Balancer, wanted: u64) {
    balancer.wait_status("so many are parked", 30.0, |status| status.total("connections_parked") == wanted);
}

/// The status of a request whose header block is this.
fn asked(client: &mut Connection, block: &[u8]) -> u16 {
    let stream = client.next_stream();
    client.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, block);
    match client.outcome(stream) {
        Outcome::Answer(status, _) => status,
        other => panic!("no answer but {other:?}"),
    }
}

/// GET, http, "/" and an authority that enters the table, as has a field (RFC 7541, section 6.2.1).
const IN_FULL: &[u8] = b"\x82\x86\x84\x41\x06a.test\x40\x03x-a\x041234";
/// The same by what is in the table.
const BY_INDEX: &[u8] = b"\x82\x86\x84\xbf\xbe";

/// Reads until the connection is told to end; the last stream of that.
fn told_to_end(client: &mut Connection) -> u32 {
    let told: Frame = client.read_until(kind::GOAWAY);
    assert_eq!(told.payload[4..8], [0; 4], "no error: {told:?}");
    u32::from_be_bytes(told.payload[..4].try_into().unwrap())
}

/// Answers the last PING, as clients do, and reads to the end.
fn ends(client: &mut Connection) {
    while let Some(frame) = client.read() {
        if frame.kind == kind::PING && frame.flags & flag::ACK == 0 {
            client.frame(kind::PING, flag::ACK, 0, &frame.payload);
        }
    }
}

#[test]
fn one_that_is_parked_goes_on_as_the_connection_that_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["a.test"]);
    for secure in [false, true] {
        let target = Target::plain();
        let config = Config::new(&[&target]);
        let config = if secure { config.https(&certificate) } else { config.http2() };
        let balancer = Balancer::start(&config);
        let mut client = match secure {
            false => Connection::open(balancer.address),
            true => Connection::open_over_tls(balancer.address, &["-servername", "a.test"]),
        };
        assert_eq!(asked(&mut client, IN_FULL), 200);
        for round in 0..3_u8 {
            parked(&balancer, 1);
            assert_eq!(asked(&mut client, BY_INDEX), 200);
            // What needs no request is done, and it is parked again.
            parked(&balancer, 1);
            client.frame(kind::PING, 0, 0, [round; 8]);
            assert_eq!(client.read_until(kind::PING).payload, [round; 8]);
        }
        parked(&balancer, 1);
        let requests = target.requests();
        assert_eq!(requests.len(), 4);
        for request in &requests {
            assert_eq!(request.headers.get("x-a"), Some("1234"));
            assert!(request.headers.get("host").is_some_and(|host| host.starts_with("a.test")));
        }
        let status = balancer.status();
        let figures = ["http2_connections_opened", "http2_connections_active", "http2_streams_opened"];
        assert_eq!(figures.map(|name| status.total(name)), [1, 1, 4]);
        drop(client);
        // The program that speaks TLS for the test stays.
        if !secure {
            balancer.wait_status("it is gone", 30.0, |status| {
                ["connections_active", "http2_connections_active"].map(|name| status.total(name)) == [0, 0]
            });
        }
    }
}

#[test]
fn a_frame_that_comes_in_pieces_is_whole() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut client = Connection::open(balancer.address);
    assert_eq!(client.status_of("/", &[]), 200);
    parked(&balancer, 1);
    client.send([0, 0]);
    parked(&balancer, 0);
    client.send([8, kind::PING, 0, 0, 0, 0, 0]).send([9; 8]);
    assert_eq!(client.read_until(kind::PING).payload, [9; 8]);
    assert_eq!(client.status_of("/", &[]), 200);
    parked(&balancer, 1);
}

/// PING does not make the time longer that a connection may be idle for, parked or not.
#[test]
fn one_whose_time_is_over_is_told_so() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2().attribute("idle_timeout = 4"));
    let mut client = Connection::open(balancer.address);
    assert_eq!(client.status_of("/", &[]), 200);
    let began = Instant::now();
    parked(&balancer, 1);
    client.frame(kind::PING, 0, 0, [1; 8]);
    parked(&balancer, 1);
    assert!(told_to_end(&mut client) > 1);
    let after = began.elapsed();
    assert!(after > Duration::from_millis(3500) && after < Duration::from_secs(20), "{after:?}");
    ends(&mut client);
    balancer.wait_status("it is gone", 30.0, |status| status.total("connections_active") == 0);
}

#[test]
fn they_are_told_to_go_when_the_process_ends_or_is_succeeded() {
    let target = Target::plain();
    for succeeded in [false, true] {
        let mut balancer = Balancer::start(&Config::new(&[&target]).http2());
        let mut held: Vec<Connection> = (0..5).map(|_| Connection::open(balancer.address)).collect();
        for client in &mut held {
            assert_eq!(client.status_of("/", &[]), 200);
        }
        parked(&balancer, 5);
        let old = balancer.pid();
        if succeeded {
            balancer.upgraded();
        } else {
            balancer.signal(Signal::TERM);
        }
        for client in &mut held {
            assert!(told_to_end(client) > 1);
            // What is on its way is served.
            assert_eq!(client.status_of("/", &[]), 200);
            ends(client);
        }
        if succeeded {
            balancer.wait_gone(&[old], 20.0);
        } else {
            assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
        }
    }
}

/// What is there is measured between two numbers of connections: what a process needs by itself is in both.
#[test]
fn an_idle_connection_takes_little_more_than_one_of_http1() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("off").http2());
    let mut held: Vec<Connection> = Vec::new();
    let mut until_there_are = |count: usize| {
        held.extend((held.len()..count).map(|_| Connection::open(balancer.address)));
        // Many at a time, so that each has been large.
        for client in &mut held {
            (0..4).for_each(|_| _ = client.get("/", &[]));
            let mut answered = 0;
            while answered < 4 {
                let frame = client.read().expect("all are answered");
                let is_of_answer = matches!(frame.kind, kind::HEADERS | kind::DATA);
                answered += usize::from(is_of_answer && frame.flags & flag::END_STREAM != 0);
            }
        }
        parked(&balancer, count as u64);
        balancer.memory()
    };
    let few = until_there_are(300);
    let least = |memory: u64| (memory.saturating_sub(few)) / 1500;
    until_there_are(1800);
    let each =
        until("memory is given back", 30.0, || Some(least(balancer.memory())).filter(|each| *each <= 1500));
    println!("an idle connection: {each} bytes");
}
