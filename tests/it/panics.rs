//! A bug that panics ends what it is in, is counted, and leaves the worker serving with its figures right. The places
//! are there in builds with debug assertions alone.

use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome, kind},
    ports,
};

fn before(config: &Config, place: &str) -> Balancer {
    let mut balancer = Balancer::prepare(config);
    balancer.environment.push(("BALANCER_TEST_PANIC", place.to_owned()));
    balancer.run();
    balancer.wait_until_settled();
    balancer
}

/// Nothing is open, and so many panics there were.
fn settles(balancer: &Balancer, panics: u64) {
    balancer.wait_status("nothing is left open", 10.0, |status| {
        let open =
            ["connections_active", "tunnels_active", "http2_connections_active", "http2_streams_active"];
        open.iter().all(|name| status.total(name) == 0)
            && status.targets().iter().all(|target| target["outstanding_requests"] == 0)
            && status.total("panics") == panics
    });
    assert!((balancer.metric("balancer_panics_total") - panics as f64).abs() < 0.5);
}

#[test]
fn within_a_request_it_ends_that_clients_connection_or_stream() {
    let target = Target::plain();
    let balancer = before(&Config::new(&[&target]).workers(1).http2(), "/panic");
    let mut other = balancer.connect();
    assert_eq!(other.get("/", "").status, 200);
    let mut connection = balancer.connect();
    connection.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(connection.is_closed());
    let mut http2 = Connection::open(balancer.address);
    let stream = http2.get("/panic", &[]);
    assert!(matches!(http2.outcome(stream), Outcome::Reset(_)));
    assert_eq!(http2.status_of("/", &[]), 200, "the connection goes on");
    assert_eq!(other.get("/", "").status, 200, "and so does everybody else");
    drop((other, http2));
    settles(&balancer, 2);
}

#[test]
fn within_a_connection_of_http2_it_ends_that() {
    let target = Target::plain();
    let balancer = before(&Config::new(&[&target]).workers(1).http2(), "http2-connection");
    let mut http2 = Connection::open(balancer.address);
    let stream = http2.get("/", &[]);
    assert_eq!(http2.outcome(stream), Outcome::Closed);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    settles(&balancer, 1);
}

#[test]
fn within_a_tunnel_it_ends_that() {
    let target = Target::start(|exchange| {
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let balancer = before(&Config::new(&[&target]).workers(1).http2(), "tunnel");
    let mut connection = balancer.connect();
    connection.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(connection.is_closed());
    settles(&balancer, 1);
}

#[test]
fn while_a_connection_is_opened_it_fails_who_waits_for_it() {
    let group = Group::of("app", &[format!("127.0.0.1:{}", ports::free())]);
    let group = group.line("protocol_version = \"HTTP2\"").unchecked();
    let config = Config::with(group).workers(1).http2().attribute("connect_timeout = 60");
    let balancer = before(&config, "open-http2");
    let mut http2 = Connection::open(balancer.address);
    let streams: Vec<u32> = (0..3).map(|_| http2.get("/", &[])).collect();
    for _ in streams {
        http2.read_until(kind::HEADERS);
    }
    // Nobody has waited for that time to run out: our client would not have. The next request finds the target as open to it as before.
    assert_eq!(http2.status_of("/", &[]), 502);
    drop(http2);
    let panics = balancer.status().total("panics");
    assert!((2..=4).contains(&panics), "{panics}");
    settles(&balancer, panics);
}
