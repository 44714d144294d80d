//! Requests that must not be forwarded, and what they are answered.

use support::{Balancer, Config, Group, Target};

/// Sends these bytes to a balancer before a target that must see none of it.
fn refused(status: u16, bytes: impl AsRef<[u8]>) {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 2"));
    check(&balancer, &target, "request", status, bytes);
}

fn check(balancer: &Balancer, target: &Target, what: &str, status: u16, bytes: impl AsRef<[u8]>) {
    let mut connection = balancer.connect();
    connection.send(bytes);
    let response = connection.response();
    assert_eq!(response.status, status, "{what}");
    assert!(response.header("connection").eq_ignore_ascii_case("close"), "{what}: {:?}", response.headers);
    assert!(connection.is_closed(), "{what}: the connection stays open");
    assert_eq!(target.count(), 0, "{what} was forwarded");
}

#[test]
fn malformed_requests_get_400() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let long = "a".repeat(17_000);
    let cases = [
        ("no request line", "hello\r\n\r\n".to_owned()),
        ("a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned()),
        ("a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".to_owned()),
        ("a bare CR in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n".to_owned()),
        ("a NUL in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".to_owned()),
        ("a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned()),
        ("a field without a colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n".to_owned()),
        ("an empty field name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n".to_owned()),
        ("a folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n".to_owned()),
        ("a host with two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n".to_owned()),
        ("a port of letters", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n".to_owned()),
        ("a literal that does not end", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".to_owned()),
        ("two ports in a URL", "GET http://a:80:80/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        ("no host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("a bad version", "GET / HTTP/1.x\r\nHost: a\r\n\r\n".to_owned()),
        (
            "both lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
        ),
        (
            "two different Content-Lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd".to_owned(),
        ),
        (
            "two equal Content-Lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
        ),
        (
            "a list of Content-Lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc".to_owned(),
        ),
        ("a signed Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc".to_owned()),
        (
            "a Content-Length beyond 64 bits",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        ),
        (
            "a Transfer-Encoding in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        ("a field above 16 K", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")),
        (
            "fields above 64 K",
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", format!("X: {}\r\n", &long[..13_000]).repeat(6)),
        ),
    ];
    for (what, bytes) in &cases {
        check(&balancer, &target, what, 400, bytes);
    }
    assert_eq!(balancer.status().own(400), cases.len() as u64);
    // It is none the worse for it.
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

#[test]
fn an_unknown_transfer_encoding_gets_501() {
    refused(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n");
}

#[test]
fn trace_gets_405() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    let response = connection.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").response();
    assert_eq!((response.status, target.count()), (405, 0));
    assert!(response.header("allow").contains("GET"));
    // Well-formed: the connection may stay.
    assert_eq!(connection.get("/", "").status, 200);
}

#[test]
fn a_request_line_above_16_k_gets_414() {
    refused(414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)));
}

#[test]
fn another_major_version_gets_505() {
    refused(505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n");
}

#[test]
fn a_head_that_does_not_end_gets_408() {
    refused(408, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
}

#[test]
fn a_head_that_trickles_gets_408_all_the_same() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 1"));
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n");
    // A byte every 50 ms is never idle for long, and still no head within any time that a client deserves.
    let answered = support::until("an answer", 30.0, || {
        connection.send("X");
        connection.stream().set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
        connection.reader().fill().ok()
    });
    assert!(answered, "closed without an answer");
    assert!(String::from_utf8_lossy(&connection.reader().buffer).starts_with("HTTP/1.1 408"));
    assert_eq!(target.count(), 0);
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 1"));
    let mut connection = balancer.connect();
    // With or without a 408, it ends.
    let ended = connection.reader().to_end();
    assert!(ended.is_ok(), "{ended:?}");
}

#[test]
fn a_request_that_comes_with_a_bad_chunk_is_not_begun_with() {
    // Who tries to forward it answers 502.
    let dead = format!("127.0.0.1:{}", support::ports::free());
    let balancer = Balancer::start(&Config::with(Group::of("app", &[dead]).unchecked()));
    let status = |body: &str| {
        let mut connection = balancer.connect();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let status = connection.send(format!("{head}{body}")).response().status;
        assert!(connection.is_closed(), "{body:?}");
        status
    };
    for bad in [
        "x",
        "3\r\nabcd",
        "3\r\nabc\r\n3\nabc",
        "3\r\nabc\r\n0\r\nA : b\r\n\r\n",
        "0\r\n\n",
        "0\r\nA\r\n\r\n",
    ] {
        assert_eq!(status(bad), 400, "{bad:?}");
    }
    for fine in ["3\r\nab", "3\r\nabc\r\n0\r\nA: b\r\n\r\n", "0\r\nA", "0\r\n\r\n"] {
        assert_eq!(status(fine), 502, "{fine:?}");
    }
    assert_eq!(balancer.status().total("retries"), 0);
    assert_eq!(balancer.status().0["target_groups"][0]["requests"], 4);
}

#[test]
fn a_bad_chunk_is_not_passed_on() {
    let target = Target::echo();
    let balancer = Balancer::start(&Config::new(&[&target]));
    for chunk in [
        "zz\r\nab\r\n0\r\n\r\n",
        "2\r\nabX\r\n0\r\n\r\n",
        "2\nab\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
    ] {
        let mut connection = balancer.connect();
        connection.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"));
        match connection.try_response() {
            Ok(response) => assert_eq!(response.status, 400, "{chunk:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{chunk:?}"),
        }
        assert!(connection.is_closed(), "{chunk:?}");
    }
    assert_eq!(target.count(), 0, "no whole request reached the target");
}
