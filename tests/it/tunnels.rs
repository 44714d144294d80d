//! Upgrades: stickiness for the request, then bytes both ways until both sides have ended.

use std::{
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use support::{Answer, Balancer, Client, Config, Connection, Group, Target};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A target that switches protocols and then sends back all it gets, its first words with the 101 itself.
fn echo_tunnel() -> Target {
    Target::start(|exchange| {
        if exchange.request.headers.get("upgrade").is_none() {
            let name = exchange.request.headers.get("host").unwrap_or_default().to_owned();
            return exchange.ok("", &name);
        }
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nwelcome",
        );
        let early = std::mem::take(&mut exchange.reader.buffer);
        exchange.send(early);
        let mut buffer = [0; 16 * 1024];
        while let Ok(length) = exchange.reader.stream().read(&mut buffer) {
            if length == 0 {
                exchange.send("bye");
                break;
            }
            exchange.send(&buffer[..length]);
        }
        Answer::Close
    })
}

fn open(balancer: &Balancer, fields: &str) -> Connection {
    let mut connection = balancer.connect();
    connection.send(format!("GET /chat HTTP/1.1\r\nHost: a\r\n{UPGRADE}{fields}\r\n"));
    let response = connection.reader().response_head().unwrap().unwrap();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("upgrade"), "websocket");
    assert!(response.header("connection").eq_ignore_ascii_case("upgrade"));
    assert_eq!(response.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(connection.reader().exactly(7).unwrap(), b"welcome");
    connection
}

#[test]
fn a_tunnel_carries_bytes_and_half_closes() {
    let target = echo_tunnel();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = open(&balancer, "");
    for size in [1, 125, 70_000] {
        let message = vec![7; size];
        connection.send(&message);
        assert!(connection.reader().exactly(size).unwrap() == message);
    }
    let status = balancer.status();
    assert_eq!((status.total("tunnels_opened"), status.total("tunnels_active")), (1, 1));
    connection.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(connection.reader().to_end().unwrap(), b"bye", "the other direction goes on");
    balancer.wait_status("the tunnel is over", 10.0, |status| {
        status.total("tunnels_active") == 0 && status.target(&target.address)["outstanding_requests"] == 0
    });
}

#[test]
fn bytes_sent_along_with_the_upgrade_are_not_lost() {
    let target = echo_tunnel();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    connection.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nearly"));
    connection.reader().response_head().unwrap().unwrap();
    let text = connection.reader().exactly(12).unwrap();
    assert_eq!(text, b"welcomeearly");
}

#[test]
fn stickiness_counts_for_the_upgrade() {
    let targets: Vec<_> = (0..4).map(|_| echo_tunnel()).collect();
    let group = Group::new("app", &targets.iter().collect::<Vec<_>>()).algorithm("round_robin").lb_cookie();
    let balancer = Balancer::start(&Config::with(group));
    let mut client = Client::new(balancer.address);
    client.get("/");
    let home = targets.iter().position(|target| target.count() == 1).unwrap();
    for _ in 0..4 {
        drop(open(&balancer, &client.cookie_line()));
    }
    assert_eq!(targets[home].count(), 5);
}

#[test]
fn a_refused_upgrade_is_an_ordinary_response() {
    let target = Target::start(|exchange| {
        let upgrade = if exchange.request.target == "/" { "Upgrade: websocket\r\n" } else { "" };
        exchange.send(format!("HTTP/1.1 426 Upgrade Required\r\n{upgrade}Content-Length: 2\r\n\r\nno"));
        Answer::KeepAlive
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    for (path, more, told) in [
        ("/", UPGRADE, Some("Upgrade")),
        ("/", "", Some("Upgrade")),
        ("/none", "", None),
        ("/", "Connection: close\r\n", Some("Upgrade, close")),
    ] {
        let response = connection.get(path, more);
        assert_eq!((response.status, response.headers.get("connection")), (426, told), "{path} {more}");
    }
    assert_eq!(balancer.status().total("tunnels_opened"), 0);
}

#[test]
fn a_101_that_nobody_asked_for_is_502() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        Answer::KeepAlive
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    assert_eq!(balancer.connect().get("/", "").status, 502);
}

#[test]
fn an_idle_tunnel_ends_and_a_busy_one_does_not() {
    let target = echo_tunnel();
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 4"));
    // The busy one is the older of the two: with nothing but its age it would be the first to end.
    let mut busy = open(&balancer, "");
    let mut idle = open(&balancer, "");
    let ended = std::thread::spawn(move || idle.is_closed_within(Duration::from_secs(30)));
    let mut tick = || {
        busy.send("tick");
        assert_eq!(busy.reader().exactly(4).unwrap(), b"tick");
    };
    while !ended.is_finished() {
        tick();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(ended.join().unwrap(), "the idle one is still open");
    tick();
}

#[test]
fn a_tunnel_whose_client_stops_reading_costs_little() {
    const OFFERED: usize = 128 * 1024 * 1024;
    let (done, sent) = std::sync::mpsc::channel();
    let target = Target::start(move |exchange| {
        exchange
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        exchange.reader.stream().set_write_timeout(Some(Duration::from_secs(1)));
        let block = [0; 64 * 1024];
        let mut total = 0;
        while total < OFFERED {
            match exchange.reader.stream().write(&block) {
                Ok(length) => total += length,
                Err(_) => break,
            }
        }
        done.send(total).unwrap();
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let before = balancer.memory();
    let mut connection = balancer.connect();
    connection.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n"));
    let total = sent.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(total < OFFERED / 2, "took {total} bytes");
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "grew by {grown} bytes");
}
