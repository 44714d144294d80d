//! HTTP/2 clients before HTTP/1.1 targets.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome, flag, kind},
    until,
};

fn before(target: &Target) -> Balancer {
    Balancer::start(&Config::new(&[target]).http2())
}

fn open(balancer: &Balancer) -> Connection {
    Connection::open(balancer.address)
}

/// What a program says on standard output.
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn curl(balancer: &Balancer, arguments: &[&str]) -> Vec<u8> {
    let url = format!("http://{}/a?b=c", balancer.address);
    output(
        Command::new("curl")
            .args(["-sS", "--max-time", "20", "--http2-prior-knowledge"])
            .args(arguments)
            .arg(url),
    )
}

#[test]
fn curl_is_served_in_http_2() {
    let target =
        Target::start(|exchange| exchange.ok("X-Answer: yes\r\nConnection: X-Hop\r\nX-Hop: 1\r\n", "hello"));
    let balancer = before(&target);
    let text = String::from_utf8(curl(&balancer, &["-i", "-H", "X-Mine: 1"])).unwrap();
    assert!(text.starts_with("HTTP/2 200"), "{text}");
    assert!(text.contains("x-answer: yes\r\n") && text.ends_with("hello") && !text.contains("hop"), "{text}");
    let request = target.last();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a?b=c"));
    assert_eq!(request.version, "HTTP/1.1");
    let head = String::from_utf8(request.head.clone()).unwrap();
    for line in [
        format!("Host: {}\r\n", balancer.address),
        "x-mine: 1\r\n".to_owned(),
        "X-Forwarded-For: 127.0.0.1\r\n".to_owned(),
        "X-Forwarded-Proto: http\r\n".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} is not in {head}");
    }
    let status = balancer.status();
    assert_eq!((status.total("http2_connections_opened"), status.total("http2_streams_opened")), (1, 1));
}

#[test]
fn bodies_go_both_ways_whole_with_a_length_and_without() {
    let target = Target::echo();
    let balancer = before(&target);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let body: Vec<u8> = (0..3_000_000_usize).map(|place| (place % 251) as u8).collect();
    file.write_all(&body).unwrap();
    let path = format!("@{}", file.path().display());
    assert!(curl(&balancer, &["--data-binary", &path]) == body);
    assert_eq!(target.last().headers.get("content-length"), Some("3000000"));
    assert!(curl(&balancer, &["--data-binary", &path, "-H", "Content-Length:"]) == body);
    assert_eq!(target.last().headers.get("transfer-encoding"), Some("chunked"));
    assert_eq!(target.last().headers.get("content-length"), None);
    assert_eq!(target.connections(), 1, "the connection to the target is kept");
}

#[test]
fn without_the_setting_http_2_is_not_spoken() {
    let target = Target::plain();
    for config in [Config::new(&[&target]), Config::new(&[&target]).http2().attribute("enable_http2 = false")]
    {
        let balancer = Balancer::start(&config);
        let mut connection = balancer.connect();
        connection.send(support::http2::PREFACE);
        assert_eq!(connection.response().status, 505);
    }
}

#[test]
fn http_1_is_spoken_beside_it_however_slowly_it_comes() {
    let target = Target::plain();
    let balancer = before(&target);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    let mut connection = balancer.connect();
    // The first letters are those of the preface.
    for byte in b"P" {
        connection.send([*byte]);
    }
    connection.send("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(connection.response().status, 200);
    let mut slow = Connection::silent(balancer.address);
    for part in support::http2::PREFACE.chunks(5) {
        slow.send(part);
    }
    assert_eq!(slow.settings(&[(1, 0)]).status_of("/", &[]), 200);
}

#[test]
fn cookie_crumbs_are_joined_and_stick() {
    let targets = [Target::plain(), Target::plain()];
    let group = Group::new("app", &[&targets[0], &targets[1]]).lb_cookie().algorithm("round_robin");
    let balancer = Balancer::start(&Config::with(group).http2());
    let text = String::from_utf8(curl(&balancer, &["-i"])).unwrap();
    let cookie = text.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("AWSALB="), "{cookie}");
    let first = targets.iter().position(|target| target.count() == 1).unwrap();
    let mut connection = open(&balancer);
    for _ in 0..5 {
        assert_eq!(
            connection.status_of("/", &[("cookie", "a=1"), ("cookie", &cookie), ("cookie", "b=2")]),
            200
        );
    }
    assert_eq!(targets[first].count(), 6, "streams of one connection go where they belong");
    let request = targets[first].last();
    assert_eq!(request.headers.all("cookie").collect::<Vec<_>>(), [format!("a=1; {cookie}; b=2")]);
    for _ in 0..4 {
        assert_eq!(connection.status_of("/", &[]), 200);
    }
    assert!(targets[1 - first].count() >= 2, "and those that belong nowhere go to all targets");
}

#[test]
fn trailers_go_both_ways() {
    let target = Target::start(|exchange| {
        assert_eq!(exchange.request.body, b"hello");
        assert_eq!(exchange.request.trailers.get("x-sum"), Some("5"));
        assert_eq!(exchange.request.trailers.get("content-type"), None);
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Out\r\n\r\n");
        exchange.send("3\r\nabc\r\n0\r\nX-Out: 3\r\n\r\n");
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = open(&balancer);
    let stream = connection.post("/", &[("te", "trailers")]);
    connection.data(stream, b"hello", false).head(stream, &[("x-sum", "5"), ("content-type", "x")], true);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"abc".to_vec()));
    assert_eq!(target.last().headers.get("te"), Some("trailers"));
}

#[test]
fn grpc_does_not_reach_a_group_of_http_1_targets() {
    let target = Target::plain();
    let balancer = before(&target);
    let mut connection = open(&balancer);
    for (kind, status) in [
        ("application/grpc", 464),
        ("application/grpc+proto", 464),
        ("application/grpc; charset=utf-8", 464),
        ("application/grpc-web", 200),
        ("application/json", 200),
    ] {
        let stream = connection.post("/service/Method", &[("content-type", kind)]);
        connection.data(stream, &[0; 5], true);
        let outcome = connection.outcome(stream);
        assert!(matches!(outcome, Outcome::Answer(found, _) if found == status), "{kind}: {outcome:?}");
    }
    assert_eq!(target.count(), 2);
    assert_eq!(balancer.status().own(464), 3);
    // Only over HTTP/2 is it gRPC.
    assert_eq!(balancer.connect().get("/", "Content-Type: application/grpc\r\n").status, 200);
}

#[test]
fn interim_responses_head_204_and_304() {
    let target = Target::start(|exchange| {
        match exchange.request.target.as_str() {
            "/103" => exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            "/204" => exchange.send("HTTP/1.1 204 No Content\r\n\r\n"),
            "/304" => exchange.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
            "/close" => {
                exchange.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
                return Answer::Close;
            }
            _ => exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        }
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = open(&balancer);
    let stream = connection.get("/103", &[]);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"ok".to_vec()));
    for status in [204, 304] {
        let stream = connection.get(&format!("/{status}"), &[]);
        assert_eq!(connection.outcome(stream), Outcome::Answer(status, Vec::new()));
    }
    let stream = connection.get("/close", &[]);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"until the end".to_vec()));
    let stream = connection
        .begin(&[(":method", "HEAD"), (":scheme", "http"), (":path", "/"), (":authority", "a")], true);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, Vec::new()));
    let text = String::from_utf8(curl(&balancer, &["-I"])).unwrap();
    assert!(text.contains("content-length: 1000"), "{text}");
}

#[test]
fn a_reset_ends_the_request_at_the_target_and_counts_as_460_or_within_the_body_as_400() {
    let (ended, wait) = mpsc::channel();
    let target = Target::heads(move |exchange| {
        if exchange.request.target == "/ok" {
            return exchange.ok("", "ok");
        }
        while matches!(exchange.reader.fill(), Ok(true)) {}
        ended.send(()).unwrap_or_default();
        Answer::Close
    });
    let balancer = before(&target);
    let mut connection = open(&balancer);
    let stream = connection.get("/", &[]);
    until("the request is with the target", 10.0, || (target.count() == 1).then_some(()));
    assert_eq!(balancer.status().target(&target.address)["outstanding_requests"], 1);
    connection.frame(kind::RST_STREAM, 0, stream, 8_u32.to_be_bytes());
    wait.recv_timeout(Duration::from_secs(10)).expect("the target's connection ends");
    balancer.wait_status("it is counted", 20.0, |status| status.own(460) == 1);
    assert_eq!(connection.status_of("/ok", &[]), 200, "the others are not touched");
    connection.post("/", &[("content-length", "100")]);
    until("the next is with the target", 10.0, || (target.count() == 3).then_some(()));
    drop(connection);
    wait.recv_timeout(Duration::from_secs(10)).expect("the target's connection ends");
    balancer.wait_status("nothing is left", 20.0, |status| {
        status.own(460) == 1
            && status.own(400) == 1
            && status.target(&target.address)["outstanding_requests"] == 0
            && status.total("http2_streams_active") == 0
            && status.total("http2_connections_active") == 0
    });
}

#[test]
fn targets_that_fail_are_told_by_status_or_by_reset() {
    let target = Target::start(|exchange| {
        match exchange.request.target.as_str() {
            "/garbage" => exchange.send("nonsense\r\n\r\n"),
            "/short" => exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            "/bad-chunks" => exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            "/101" => {
                exchange.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
            }
            _ => {}
        }
        Answer::Close
    });
    let balancer = before(&target);
    let mut connection = open(&balancer);
    for path in ["/nothing", "/garbage", "/101"] {
        assert_eq!(connection.status_of(path, &[]), 502, "{path}");
    }
    for path in ["/short", "/bad-chunks"] {
        let stream = connection.get(path, &[]);
        assert_eq!(connection.outcome(stream), Outcome::Reset(2), "{path}");
    }
}

#[test]
fn a_dead_target_is_left_for_another_and_a_stale_connection_for_a_fresh_one() {
    let dead = Target::plain();
    let live = Target::plain();
    let group = Group::new("app", &[&dead, &live]).algorithm("round_robin").unchecked();
    let balancer = Balancer::start(&Config::with(group).http2());
    dead.kill();
    let mut connection = open(&balancer);
    for _ in 0..6 {
        let stream = connection.post("/", &[]);
        connection.data(stream, b"body", true);
        assert!(matches!(connection.outcome(stream), Outcome::Answer(200, _)));
    }
    live.drop_connections();
    assert_eq!(connection.status_of("/", &[]), 200);
    assert_eq!(live.count(), 7);
}

#[test]
fn many_streams_of_many_clients_are_all_answered() {
    let target = Target::start(|exchange| exchange.ok("", &"x".repeat(20_000)));
    let balancer = Balancer::start(&Config::new(&[&target]).http2().workers(2));
    let url = format!("http://{}/", balancer.address);
    let text = output(Command::new("h2load").args(["-n", "3000", "-c", "6", "-m", "20"]).arg(url));
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("3000 succeeded, 0 failed, 0 errored"), "{text}");
}

#[test]
fn a_stalled_stream_holds_up_no_other_and_costs_little() {
    const OFFERED: usize = 64 * 1024 * 1024;
    let (over, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let target = Target::heads(move |exchange| match exchange.request.target.as_str() {
        "/small" => exchange.ok("", "small"),
        "/large" => {
            exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n"));
            exchange.reader.stream().set_write_timeout(Some(Duration::from_secs(1)));
            let block = vec![b'x'; 65_536];
            let mut sent = 0;
            while sent < OFFERED && exchange.reader.stream().write_all(&block).is_ok() {
                sent += block.len();
            }
            assert!(sent < OFFERED / 2, "the balancer took {sent} bytes for a client that reads none");
            Answer::Close
        }
        _ => {
            // Reads no body until the test is over, which drops the sender.
            wait.lock().unwrap().recv().unwrap_or_default();
            Answer::Close
        }
    });
    let balancer = before(&target);
    let memory = balancer.memory();
    let mut connection = open(&balancer);
    // Responses that nobody gives window for, and a body that nobody takes.
    for _ in 0..20 {
        connection.get("/large", &[]);
    }
    let stalled = connection.post("/never", &[]);
    for _ in 0..3 {
        connection.data(stalled, &[b'y'; 16_000], false);
    }
    connection.window(0, 4 << 20);
    for _ in 0..20 {
        assert_eq!(connection.status_of("/small", &[]), 200);
    }
    let grown = balancer.memory().saturating_sub(memory);
    assert!(grown < 16 * 1024 * 1024, "grew by {grown} bytes");
    drop(over);
}

#[test]
fn at_ten_thousand_requests_the_client_is_told_to_go() {
    let target = Target::start(|exchange| exchange.ok("", ""));
    let balancer = before(&target);
    let mut connection = open(&balancer);
    for round in 1..=100 {
        let streams: Vec<u32> = (0..100).map(|_| connection.get("/", &[])).collect();
        let mut left = streams.len();
        while left > 0 {
            let frame = connection.read().unwrap();
            left -= usize::from(
                frame.flags & flag::END_STREAM != 0 && matches!(frame.kind, kind::DATA | kind::HEADERS),
            );
            assert_ne!(frame.kind, kind::GOAWAY, "told in round {round}, before all is answered");
        }
    }
    connection.read_until(kind::GOAWAY);
    // The end: what was begun is answered, and then the connection is over.
    connection.frame(kind::PING, flag::ACK, 0, [0; 8]);
    assert_eq!(connection.outcome(0), Outcome::Closed);
    assert_eq!(target.count(), 10_000);
}

#[test]
fn an_ending_balancer_finishes_what_is_under_way() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let target = Target::start(move |exchange| {
        wait.lock().unwrap().recv().unwrap();
        exchange.ok("", "finished")
    });
    let mut balancer = before(&target);
    let mut connection = open(&balancer);
    let stream = connection.get("/", &[]);
    until("the request is with the target", 10.0, || (target.count() == 1).then_some(()));
    balancer.signal(rustix::process::Signal::TERM);
    connection.read_until(kind::GOAWAY);
    go.send(()).unwrap();
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"finished".to_vec()));
    assert!(balancer.wait_exit(10.0).success());
}

#[test]
fn silence_ends_a_connection_and_ping_is_silence() {
    let target = Target::heads(|exchange| {
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]).http2().attribute("idle_timeout = 1"));
    let mut connection = open(&balancer);
    let stream = connection.get("/", &[]);
    connection.socket().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut statuses = Vec::new();
    until("the request is given up", 10.0, || {
        connection.frame(kind::PING, 0, 0, [1; 8]);
        while let Some(frame) = connection.read() {
            if frame.kind == kind::HEADERS && frame.stream == stream {
                statuses.push(frame);
            }
        }
        (!statuses.is_empty()).then_some(())
    });
    balancer.wait_status("it is counted", 20.0, |status| status.own(504) == 1);
    until("the connection ends", 10.0, || {
        connection.frame(kind::PING, 0, 0, [1; 8]);
        (balancer.status().total("http2_connections_active") == 0).then_some(())
    });
}

/// All at the same time; who were idle a second time would take twice as long.
#[test]
fn who_says_nothing_or_half_a_beginning_is_idle_once() {
    const IDLE: f64 = 6.0;
    let target = Target::plain();
    let config = Config::new(&[&target]).workers(1).http2();
    let balancer = Balancer::start(&config.attribute(&format!("idle_timeout = {IDLE}")));
    let is_idle_once = |sent: &[u8], answer: &str| {
        let began = Instant::now();
        let mut stream = TcpStream::connect(balancer.address).unwrap();
        stream.write_all(sent).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with(answer) && said.is_empty() == answer.is_empty(), "{sent:?}: {said}");
        let took = began.elapsed().as_secs_f64();
        assert!((IDLE - 0.5..2.0 * IDLE - 0.5).contains(&took), "{sent:?}: {took} s");
    };
    thread::scope(|scope| {
        let waits = [
            (&b""[..], ""),
            (b"PRI * HTTP/2.0\r\n", "HTTP/1.1 408"),
            (b"PRI * HT", "HTTP/1.1 408"),
            (b"P", "HTTP/1.1 408"),
            (b"GET / HT", "HTTP/1.1 408"),
            (b"GET / HTTP/1.1\r\n", "HTTP/1.1 408"),
        ];
        for (sent, answer) in waits {
            scope.spawn(move || is_idle_once(sent, answer));
        }
    });
}
