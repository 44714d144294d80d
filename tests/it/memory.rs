//! Backpressure: whoever stops reading costs a bounded amount of memory and holds up nobody else.

use std::{
    io::Write,
    sync::{Mutex, mpsc},
    time::Duration,
};

use support::{Answer, Balancer, Config, Group, Target, until};

const OFFERED: usize = 256 * 1024 * 1024;
const BOUND: u64 = 16 * 1024 * 1024;

/// Writes until nothing has gone through for a second; gives back how much went.
fn fill(stream: &mut impl Write, offered: usize) -> usize {
    let block = [b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < offered {
        match stream.write(&block) {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn a_client_that_stops_reading_costs_little() {
    let (done, sent) = std::sync::mpsc::channel();
    let target = Target::start(move |exchange| {
        if exchange.request.target == "/small" {
            return exchange.ok("", "small");
        }
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n"));
        exchange.reader.stream().set_write_timeout(Some(Duration::from_secs(1)));
        done.send(fill(exchange.reader.stream(), OFFERED)).unwrap();
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let before = balancer.memory();
    let mut stalled: Vec<_> = (0..4).map(|_| balancer.connect()).collect();
    for connection in &mut stalled {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for _ in 0..stalled.len() {
        let sent = sent.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(sent < OFFERED / 2, "the balancer took {sent} bytes for a client that reads none");
    }
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < BOUND, "grew by {grown} bytes");
    assert_eq!(balancer.connect().get("/small", "").text(), "small", "others are served");
}

/// Of each the balancer has a buffer, and more of them than it keeps for those who come.
#[test]
fn what_a_peak_of_responses_took_is_given_back() {
    const CLIENTS: usize = 300;
    let (done, sent) = mpsc::channel();
    let target = Target::start(move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n"));
        exchange.reader.stream().set_write_timeout(Some(Duration::from_secs(1)));
        done.send(fill(exchange.reader.stream(), OFFERED)).unwrap_or_default();
        Answer::Close
    });
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).unchecked()));
    let before = balancer.memory();
    let mut stalled: Vec<_> = (0..CLIENTS).map(|_| balancer.connect()).collect();
    for connection in &mut stalled {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for _ in 0..CLIENTS {
        sent.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    let peak = balancer.memory().saturating_sub(before);
    // What the start took may be given back meanwhile, which is a megabyte or so less.
    assert!(peak > CLIENTS as u64 * 8 * 1024, "{peak} bytes are no peak");
    drop(stalled);
    until("four fifths are given back", 60.0, || {
        (balancer.memory().saturating_sub(before) < peak / 5).then_some(())
    });
}

#[test]
fn a_target_that_stops_reading_costs_little() {
    let (over, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let target = Target::heads(move |exchange| {
        if exchange.request.target == "/small" {
            return exchange.ok("", "small");
        }
        // Reads no body until the test is over, which drops the sender.
        wait.lock().unwrap().recv().unwrap_or_default();
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let before = balancer.memory();
    let mut stalled: Vec<_> = (0..4).map(|_| balancer.connect()).collect();
    for connection in &mut stalled {
        connection.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {OFFERED}\r\n\r\n"));
        connection.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let sent = fill(connection.stream(), OFFERED);
        assert!(sent < OFFERED / 2, "the balancer took {sent} bytes for a target that reads none");
    }
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < BOUND, "grew by {grown} bytes");
    assert_eq!(balancer.connect().get("/small", "").text(), "small", "others are served");
    drop(over);
}

#[test]
fn pipelined_requests_of_a_client_that_reads_nothing_are_not_hoarded() {
    let target = Target::start(|exchange| exchange.ok("", &"x".repeat(50_000)));
    let balancer = Balancer::start(&Config::new(&[&target]));
    let before = balancer.memory();
    let mut connection = balancer.connect();
    connection.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let batch = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let mut batches = 0;
    while batches < 2000 && connection.stream().write_all(batch.as_bytes()).is_ok() {
        batches += 1;
    }
    assert!(batches < 2000, "the balancer reads on without end");
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < BOUND, "grew by {grown} bytes");
}
