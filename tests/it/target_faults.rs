//! What a client sees when a target does not behave.

use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome},
    ports,
};

/// An answer to every request, whatever it is.
fn always(bytes: &'static str, then: Answer) -> Target {
    Target::start(move |exchange| {
        exchange.send(bytes);
        then
    })
}

fn behind(target: &Target) -> Config {
    Config::with(Group::new("app", &[target]).unchecked())
}

fn before(target: &Target) -> Balancer {
    Balancer::start(&behind(target))
}

fn answers(bytes: &'static str, then: Answer, status: u16) {
    let target = always(bytes, then);
    let balancer = before(&target);
    assert_eq!(balancer.connect().get("/", "").status, status, "{bytes:?}");
    assert_eq!(balancer.status().own(status), 1);
    assert_eq!(target.count(), 1, "nothing is sent twice");
}

#[test]
fn a_refused_connection_goes_to_another_target_within_the_request() {
    let alive = Target::plain();
    let dead = format!("127.0.0.1:{}", ports::free());
    let group =
        Group::of("app", &[dead, alive.address.clone()]).unchecked().algorithm("round_robin").lb_cookie();
    let balancer = Balancer::start(&Config::with(group));
    for number in 0..10 {
        // A POST too: nothing of it has reached anybody.
        let response = balancer.connect().post("/", b"body");
        assert_eq!((response.status, response.text()), (200, alive.address.clone()), "request {number}");
        let cookie = response.cookie("AWSALB").expect("a cookie for the target that answered").to_owned();
        assert_eq!(balancer.connect().get("/", &format!("Cookie: AWSALB={cookie}\r\n")).status, 200);
    }
    assert_eq!(alive.count(), 20);
    assert!(
        alive
            .requests()
            .iter()
            .filter(|request| request.method == "POST")
            .all(|request| request.body == b"body")
    );
    assert!(balancer.status().total("retries") > 0);
}

#[test]
fn nobody_to_connect_to_is_502_and_no_target_503() {
    let group = Group::of("app", &[format!("127.0.0.1:{}", ports::free())]).unchecked();
    assert_eq!(Balancer::start(&Config::with(group)).connect().get("/", "").status, 502);
    let balancer = Balancer::start(&Config::with(Group::of("app", &[])));
    let response = balancer.connect().get("/", "");
    assert_eq!(response.status, 503);
    assert_eq!(balancer.status().own(503), 1);
}

#[test]
fn a_reset_before_the_first_byte_is_502() {
    answers("", Answer::Reset, 502);
}

#[test]
fn an_end_before_the_first_byte_is_502() {
    answers("", Answer::Close, 502);
}

#[test]
fn an_end_within_the_head_is_502() {
    answers("HTTP/1.1 200 OK\r\nContent-", Answer::Close, 502);
}

#[test]
fn garbage_is_502() {
    answers("SSH-2.0-OpenSSH_9.2\r\n\r\n", Answer::Close, 502);
}

#[test]
fn two_lengths_are_502() {
    answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", Answer::Close, 502);
}

#[test]
fn of_both_lengths_only_the_chunks_are_passed_on() {
    // RFC 9112 section 6.3: the coding overrides the length, which must go no further.
    let target = always(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Answer::KeepAlive,
    );
    let balancer = before(&target);
    let mut connection = balancer.connect();
    for _ in 0..2 {
        let response = connection.get("/", "");
        assert_eq!((response.status, response.text().as_str()), (200, "hello"));
        assert_eq!(response.headers.get("content-length"), None);
    }
    assert_eq!(target.connections(), 2, "who frames like that is not trusted with a second request");
}

#[test]
fn a_head_above_32_k_is_502() {
    let target = Target::start(|exchange| {
        let fields = format!("X-Long: {}\r\n", "a".repeat(10_000)).repeat(4);
        exchange.ok(&fields, "x")
    });
    let balancer = before(&target);
    assert_eq!(balancer.connect().get("/", "").status, 502);
}

#[test]
fn no_answer_is_504() {
    let target = Target::start(|exchange| {
        // Waits for the balancer to give up.
        drop(exchange.reader.fill());
        Answer::Close
    });
    let balancer = Balancer::start(&behind(&target).attribute("idle_timeout = 1"));
    assert_eq!(balancer.connect().get("/", "").status, 504);
    assert_eq!(balancer.status().own(504), 1);
}

#[test]
fn an_end_within_the_body_ends_the_clients_connection() {
    for (bytes, then) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", Answer::Close),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", Answer::Reset),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", Answer::Close),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nnonsense\r\n", Answer::Close),
    ] {
        let target = always(bytes, then);
        let balancer = before(&target);
        let mut connection = balancer.connect();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(connection.try_response().is_err(), "{bytes:?}: half a body must not look whole");
        assert!(connection.is_closed());
        assert_eq!(target.count(), 1);
    }
}

#[test]
fn a_response_that_stops_within_its_body_ends_after_the_idle_timeout() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 1").http2());
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(connection.try_response().is_err(), "half a body must not look whole");
    assert!(connection.is_closed());
    let mut http2 = Connection::open(balancer.address);
    let stream = http2.get("/", &[]);
    assert_eq!(http2.outcome(stream), Outcome::Reset(2), "INTERNAL_ERROR");
    balancer.wait_status("both are over", 20.0, |status| {
        status.target(&target.address)["outstanding_requests"] == 0
    });
}

/// A target that keeps one connection and ends it, unanswered, when it is used again.
fn closes_when_reused() -> Target {
    Target::start(|exchange| if exchange.earlier == 0 { exchange.ok("", "fresh") } else { Answer::Close })
}

#[test]
fn a_pooled_connection_that_turns_out_dead_is_no_fault_of_a_get() {
    let target = closes_when_reused();
    let balancer = before(&target);
    for _ in 0..3 {
        assert_eq!(balancer.connect().get("/", "").text(), "fresh");
    }
    assert!(balancer.status().total("retries") >= 2);
}

/// However many connections were kept and are at their end, a request meets one of them.
#[test]
fn of_stale_connections_a_request_tries_one() {
    const KEPT: u64 = 4;
    let all_are_there = std::sync::Barrier::new(KEPT as usize);
    let target = Target::start(move |exchange| match (exchange.earlier, exchange.request.target.as_str()) {
        (0, "/held") => {
            all_are_there.wait();
            exchange.ok("", "held")
        }
        (0, _) => exchange.ok("", "fresh"),
        _ => Answer::Close,
    });
    for version in [1, 2] {
        let balancer = Balancer::start(&Config::new(&[&target]).http2());
        let mut held: Vec<_> = (0..KEPT).map(|_| balancer.connect()).collect();
        for connection in &mut held {
            connection.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        for connection in &mut held {
            assert_eq!(connection.response().text(), "held");
        }
        let connects = balancer.status().total("target_connects");
        assert_eq!(connects, KEPT);
        match version {
            1 => assert_eq!(balancer.connect().get("/", "").text(), "fresh"),
            _ => assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 200),
        }
        let status = balancer.status();
        assert_eq!((status.total("retries"), status.total("target_connects")), (1, KEPT + 1), "{version}");
    }
}

#[test]
fn only_what_may_be_done_twice_is_sent_again() {
    for (method, again) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
    ] {
        let target = closes_when_reused();
        let balancer = before(&target);
        assert_eq!(balancer.connect().get("/", "").status, 200);
        let mut connection = balancer.connect();
        connection.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        let status = connection.response_to(method).status;
        assert_eq!(status, if again { 200 } else { 502 }, "{method} without a body");
        let sent = target.requests().iter().filter(|request| request.method == method).count();
        assert_eq!(sent, if method == "GET" { 3 } else { 1 + usize::from(again) }, "{method} without a body");

        let target = closes_when_reused();
        let balancer = before(&target);
        assert_eq!(balancer.connect().get("/", "").status, 200);
        let mut connection = balancer.connect();
        connection.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"));
        let status = connection.response_to(method).status;
        assert_eq!(status, 502, "{method} with a body");
    }
}

#[test]
fn a_post_with_a_body_is_never_sent_twice() {
    let target = closes_when_reused();
    let balancer = before(&target);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    assert_eq!(balancer.connect().post("/", b"pay 100").status, 502);
    let posts = target.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 1);
}

#[test]
fn a_pooled_connection_that_the_target_closed_is_not_used() {
    let target = Target::plain();
    let balancer = before(&target);
    for _ in 0..5 {
        assert_eq!(balancer.connect().post("/", b"x").status, 200);
        target.drop_connections();
        // The balancer sees the end, or meets it: for a body nothing is left but not to use the connection.
        let port = target.port();
        support::until("the pooled connection is gone", 10.0, || {
            (support::tools::established_to(port, balancer.pid()) == 0).then_some(())
        });
    }
}

#[test]
fn what_follows_a_response_unasked_is_nobodys_answer() {
    let target = always(
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        Answer::KeepAlive,
    );
    let balancer = before(&target);
    for _ in 0..5 {
        assert_eq!(balancer.connect().get("/", "").text(), "mine");
    }
    assert_eq!(target.connections(), 5, "no second request goes where more was said than asked");
}

#[test]
fn interim_responses_do_not_end_a_request() {
    let target = always(
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
        Answer::KeepAlive,
    );
    let balancer = before(&target);
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut response = connection.response();
    if response.status == 103 {
        response = connection.response();
    }
    assert_eq!((response.status, response.text().as_str()), (200, "final"));
}
