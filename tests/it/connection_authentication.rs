//! Targets that authenticate the connection and not the request (NTLM, Negotiate): nobody gets the identity of another.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection as Http2, Outcome, block, flag, kind},
    http2_target::{listen, speak},
    stream::Stream,
    target::Exchange,
};

/// The far end of the connection, which names it.
fn connection(exchange: &mut Exchange) -> SocketAddr {
    match exchange.reader.stream() {
        Stream::Tcp(stream) => stream.peer_addr().unwrap(),
        Stream::Unix(_) => unreachable!("it is at a TCP port"),
    }
}

fn challenge(exchange: &mut Exchange, field: &str) -> Answer {
    exchange.send(format!("HTTP/1.1 401 Unauthorized\r\n{field}\r\nContent-Length: 0\r\n\r\n"));
    Answer::KeepAlive
}

/// A target that believes `Negotiate NAME` at once and `NTLM NAME` the second time it is said on a connection. Who has
/// said so is who asks from then on, whoever that is.
fn target() -> Target {
    let users: Arc<Mutex<HashMap<SocketAddr, (String, bool)>>> = Arc::default();
    Target::start(move |exchange| {
        let from = connection(exchange);
        let said = exchange.request.headers.get("authorization").unwrap_or_default().to_owned();
        let mut users = users.lock().unwrap();
        if exchange.earlier == 0 {
            users.remove(&from);
        }
        if let Some(name) = said.strip_prefix("Negotiate ") {
            users.insert(from, (name.to_owned(), true));
        } else if let Some(name) = said.strip_prefix("NTLM ") {
            let asked = users.contains_key(&from);
            users.insert(from, (name.to_owned(), asked));
            if !asked {
                return challenge(exchange, "WWW-Authenticate: NTLM VGhlIGNoYWxsZW5nZQ==");
            }
        }
        match users.get(&from) {
            Some((name, true)) => exchange.ok("", name),
            _ => challenge(
                exchange,
                "WWW-Authenticate: Basic realm=\"a\", Negotiate\r\nWWW-Authenticate: NTLM",
            ),
        }
    })
}

fn group(targets: &[&Target]) -> Group {
    Group::new("app", targets).algorithm("round_robin")
}

/// What strangers are told, over both versions of HTTP.
fn assert_strangers_are_nobody(balancer: &Balancer) {
    for _ in 0..5 {
        assert_eq!(balancer.connect().get("/", "").status, 401);
        assert_eq!(Http2::open(balancer.address).status_of("/", &[]), 401);
    }
}

#[test]
fn a_connection_that_is_authenticated_belongs_to_its_client() {
    let target = target();
    let balancer = Balancer::start(&Config::with(group(&[&target])).http2());
    let mut alice = balancer.connect();
    assert_eq!(alice.get("/", "").status, 401);
    assert_strangers_are_nobody(&balancer);
    assert_eq!(alice.get("/", "Authorization: NTLM alice\r\n").status, 401);
    assert_strangers_are_nobody(&balancer);
    assert_eq!(alice.get("/", "Authorization: NTLM alice\r\n").text(), "alice");
    for _ in 0..5 {
        assert_strangers_are_nobody(&balancer);
        assert_eq!(alice.get("/", "").text(), "alice", "without saying it again");
        assert_eq!(alice.post("/", b"body").text(), "alice");
    }
    // With its client the connection goes.
    drop(alice);
    assert_strangers_are_nobody(&balancer);
    let mut again = balancer.connect();
    assert_eq!(again.get("/", "").status, 401);
}

#[test]
fn who_says_who_he_is_unasked_shares_no_connection_either() {
    let target = target();
    let balancer = Balancer::start(&Config::with(group(&[&target])).http2());
    let mut bob = balancer.connect();
    assert_eq!(bob.get("/", "Authorization: Negotiate bob\r\n").text(), "bob");
    assert_strangers_are_nobody(&balancer);
    assert_eq!(bob.get("/", "").text(), "bob");
    let mut carol = Http2::open(balancer.address);
    let stream = carol.get("/", &[("authorization", "Negotiate carol")]);
    assert_eq!(carol.outcome(stream), Outcome::Answer(200, b"carol".to_vec()));
    assert_strangers_are_nobody(&balancer);
    // Over HTTP/2 what is said holds for the request alone.
    assert_eq!(carol.status_of("/", &[]), 401);
}

#[test]
fn nobody_comes_behind_who_authenticates_a_shared_connection() {
    let challenges = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (challenging, taking, met) = (challenges.clone(), taken.clone(), AtomicUsize::new(0));
    let target = listen(move |stream| {
        let number = met.fetch_add(1, Relaxed);
        speak(stream, &[], |connection, frame| {
            if frame.kind == kind::HEADERS {
                taking.lock().unwrap().push(number);
                let head = match challenging.load(Relaxed) {
                    true => block(&[(":status", "401"), ("www-authenticate", "Negotiate")]),
                    false => vec![0x88],
                };
                connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, frame.stream, head);
            }
            true
        });
    });
    let group = Group::of("app", &[target]).line("protocol_version = \"HTTP2\"").unchecked();
    let balancer = Balancer::start(&Config::with(group).workers(1).http2());
    let mut client = Http2::open(balancer.address);
    let says = [("authorization", "NTLM alice")];
    for more in [&[][..], &says, &[], &says, &[]] {
        assert_eq!(client.status_of("/", more), 200);
    }
    challenges.store(true, Relaxed);
    assert_eq!(client.status_of("/", &[]), 401);
    challenges.store(false, Relaxed);
    assert_eq!(client.status_of("/", &[]), 200);
    assert_eq!(client.status_of("/", &[]), 200);
    assert_eq!(*taken.lock().unwrap(), [0, 1, 0, 2, 0, 0, 3, 3], "connections");
}

#[test]
fn the_target_that_has_asked_is_the_one_that_is_answered() {
    let targets = [target(), target(), target()];
    let balancer = Balancer::start(&Config::with(group(&targets.each_ref())));
    for name in ["alice", "bob", "carol", "dave"] {
        let mut client = balancer.connect();
        let line = format!("Authorization: NTLM {name}\r\n");
        assert_eq!(client.get("/", "").status, 401);
        assert_eq!(client.get("/", &line).status, 401);
        assert_eq!(client.get("/", &line).text(), name);
        for _ in 0..4 {
            assert_eq!(client.get("/", "").text(), name);
        }
    }
}

#[test]
fn what_is_of_the_request_leaves_connections_to_all() {
    let target = Target::start(|exchange| match exchange.request.headers.get("authorization") {
        Some(_) => exchange.ok("", "hello"),
        None => challenge(exchange, "WWW-Authenticate: Basic realm=\"NTLM\""),
    });
    let balancer = Balancer::start(&Config::with(group(&[&target])));
    for _ in 0..5 {
        assert_eq!(balancer.connect().get("/", "").status, 401);
        assert_eq!(balancer.connect().get("/", "Authorization: Basic YTpi\r\n").text(), "hello");
    }
    assert_eq!(target.connections(), 1);
}
