//! Large bodies and busy tunnels between plain sockets, whose bytes go round the process: they arrive as they were sent, who
//! stands still costs little, and what breaks off is told.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::LazyLock,
    thread,
    time::Duration,
};

use support::{Answer, Balancer, Config, Target, until};

const LENGTH: usize = 24 << 20;

/// Bytes of which none can be lost, doubled or moved without it showing.
fn pattern(range: std::ops::Range<usize>) -> &'static [u8] {
    // Made once: where tests are built without optimisation, that takes longer than to send it.
    static WHOLE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..LENGTH).map(|place| (place.wrapping_mul(0x9E37_79B9) >> 13) as u8).collect());
    &WHOLE[range]
}

/// Reads what [`pattern`] gives, in pieces of `piece`.
fn read_pattern(stream: &mut impl Read, from: usize, length: usize, piece: usize) {
    let mut buffer = vec![0; piece];
    let mut place = from;
    while place < from + length {
        let most = piece.min(from + length - place);
        let read = stream.read(&mut buffer[..most]).unwrap();
        assert_ne!(read, 0, "ended at {place}");
        assert!(buffer[..read] == *pattern(place..place + read), "changed near {place}");
        place += read;
    }
}

/// Sends downloads, takes uploads, and breaks off where it is asked to.
fn target() -> Target {
    Target::heads(|exchange| {
        let asked = exchange.request.target.clone();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        match asked.as_str() {
            "/down" => {
                exchange.send(head);
                let body = pattern(0..LENGTH);
                if exchange.reader.stream().write_all(body).is_err() {
                    return Answer::Close;
                }
                Answer::KeepAlive
            }
            "/half" => {
                exchange.send(head);
                exchange.send(pattern(0..LENGTH / 2));
                Answer::Close
            }
            "/up" => {
                let length: usize = exchange.request.headers.get("content-length").unwrap().parse().unwrap();
                let early = std::mem::take(&mut exchange.reader.buffer);
                assert!(early == pattern(0..early.len()));
                read_pattern(exchange.reader.stream(), early.len(), length - early.len(), 65_536);
                exchange.ok("", "whole")
            }
            other => exchange.ok("", other),
        }
    })
}

fn pipes(balancer: &Balancer) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", balancer.pid())).unwrap();
    open.filter(|entry| {
        let link = entry.as_ref().ok().and_then(|entry| fs::read_link(entry.path()).ok());
        link.is_some_and(|link| link.to_string_lossy().starts_with("pipe:"))
    })
    .count()
}

#[test]
fn large_bodies_arrive_as_they_were_sent_and_connections_stay() {
    let target = target();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    for piece in [1 << 20, 7_001] {
        connection.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = connection.reader().response_head().unwrap().unwrap();
        assert_eq!(head.header("content-length"), LENGTH.to_string());
        let early = std::mem::take(&mut connection.reader().buffer);
        assert!(early == pattern(0..early.len()));
        read_pattern(connection.stream(), early.len(), LENGTH - early.len(), piece);
        connection.send(format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
        connection.send(pattern(0..LENGTH));
        assert_eq!(connection.response().text(), "whole");
        assert_eq!(connection.get("/next", "").text(), "/next");
    }
    assert_eq!(target.connections(), 1, "the connection to the target is kept");
    let bytes = (2 * LENGTH) as u64;
    let status = balancer.wait_status("all is counted", 20.0, |status| status.total("bytes_sent") > bytes);
    assert!(status.total("bytes_received") > bytes, "{}", status.total("bytes_received"));
    assert!(status.total("bytes_sent") < bytes + 10_000, "{}", status.total("bytes_sent"));
}

#[test]
fn who_stops_reading_holds_a_pipe_and_gets_the_rest_later() {
    let target = target();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let before = pipes(&balancer);
    let mut connection = balancer.connect();
    connection.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.reader().response_head().unwrap().unwrap();
    until("a pipe holds what the client does not take", 10.0, || (pipes(&balancer) > before).then_some(()));
    assert_eq!(balancer.connect().get("/next", "").text(), "/next", "others are served");
    let early = std::mem::take(&mut connection.reader().buffer);
    read_pattern(connection.stream(), early.len(), LENGTH - early.len(), 1 << 20);
    assert_eq!(connection.get("/next", "").text(), "/next");
    // The same pipe does for the next one.
    let kept = pipes(&balancer);
    for _ in 0..3 {
        connection.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(connection.response().body.len(), LENGTH);
    }
    assert_eq!(pipes(&balancer), kept);
}

#[test]
fn half_a_large_body_never_looks_whole() {
    let target = target();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    connection.send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(connection.try_response().is_err());
    balancer.wait_status("the target is blamed", 20.0, |status| {
        status.target(&target.address)["outstanding_requests"] == 0 && status.total("connections_active") == 0
    });
    // A client that goes in the middle takes nobody along.
    for method in ["GET /down", "PUT /up"] {
        let mut gone = balancer.connect();
        gone.send(format!("{method} HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
        let _ = gone.try_send(pattern(0..LENGTH / 8));
        gone.reset();
    }
    balancer.wait_status("nothing is left", 10.0, |status| status.total("connections_active") == 0);
    assert_eq!(balancer.connect().get("/next", "").text(), "/next");
    assert_eq!(balancer.metric("balancer_internal_errors_total"), 0.0);
}

#[test]
fn a_target_that_stands_still_in_a_large_body_is_given_up() {
    let part = pattern(0..1 << 20);
    let target = Target::heads(move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        exchange.send(part);
        // Until the balancer gives up.
        let _ = exchange.reader.to_end();
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 3"));
    let mut connection = balancer.connect();
    connection.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.reader().response_head().unwrap().unwrap();
    let early = std::mem::take(&mut connection.reader().buffer);
    read_pattern(connection.stream(), early.len(), (1 << 20) - early.len(), 65_536);
    assert!(connection.is_closed_within(Duration::from_secs(20)));
}

const TUNNEL: usize = 12 << 20;

#[test]
fn a_busy_tunnel_carries_both_ways_at_once_and_half_closes() {
    let target = Target::heads(|exchange| {
        exchange
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let early = std::mem::take(&mut exchange.reader.buffer);
        assert!(early == pattern(0..early.len()));
        let mut writer = exchange.reader.stream().try_clone().unwrap();
        let sends = thread::spawn(move || writer.write_all(pattern(0..TUNNEL)).unwrap());
        read_pattern(exchange.reader.stream(), early.len(), TUNNEL - early.len(), 65_536);
        let mut rest = Vec::new();
        exchange.reader.stream().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"the last words");
        sends.join().unwrap();
        exchange.send("and mine");
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    connection.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(connection.reader().response_head().unwrap().unwrap().status, 101);
    let early = std::mem::take(&mut connection.reader().buffer);
    let mut writer: TcpStream = connection.stream().try_clone().unwrap();
    let sends = thread::spawn(move || {
        writer.write_all(pattern(0..TUNNEL)).unwrap();
        // Little at a time is carried as well.
        for word in ["the ", "last ", "words"] {
            writer.write_all(word.as_bytes()).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    read_pattern(connection.stream(), early.len(), TUNNEL - early.len(), 65_536);
    sends.join().unwrap();
    assert_eq!(connection.reader().to_end().unwrap(), b"and mine");
    balancer.wait_status("the tunnel is over", 10.0, |status| status.total("tunnels_active") == 0);
}
