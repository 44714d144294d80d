//! Framing, versions and methods: what arrives is what was sent.

use rustix::net::{AddressFamily, SocketType, sockopt};
use support::{Answer, Balancer, Config, Target, nginx::Nginx};

fn before(target: &Target) -> Balancer {
    Balancer::start(&Config::new(&[target]))
}

#[test]
fn bodies_of_every_size_go_both_ways() {
    let target = Target::echo();
    let balancer = before(&target);
    let mut connection = balancer.connect();
    for size in [0, 1, 1000, 16 * 1024, 65_537, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|place: usize| (place % 251) as u8).collect();
        let mut sender = connection.stream().try_clone().unwrap();
        let response = std::thread::scope(|scope| {
            scope.spawn(|| {
                use std::io::Write;
                write!(sender, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").unwrap();
                sender.write_all(&body).unwrap();
            });
            connection.response()
        });
        assert_eq!(response.status, 200);
        assert!(response.body == body, "{size} bytes came back changed");
    }
    assert_eq!(target.connections(), 1, "the connection to the target is kept");
}

#[test]
fn chunks_and_trailers_go_both_ways() {
    let target = Target::start(|exchange| {
        assert_eq!(exchange.request.body, b"hello, world");
        assert_eq!(exchange.request.trailers.get("x-request-sum"), Some("12"));
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
        exchange.send("5\r\nfirst\r\n7;note=x\r\n second\r\n0\r\nX-Sum: 12\r\n\r\n");
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    for _ in 0..2 {
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Request-Sum\r\nTE: trailers\r\n\r\n");
        connection.send("7\r\nhello, \r\n").send("5\r\nworld\r\n0\r\nX-Request-Sum: 12\r\n\r\n");
        let response = connection.response();
        assert_eq!(response.text(), "first second");
        assert_eq!(response.trailers.get("x-sum"), Some("12"));
    }
}

#[test]
fn a_chunk_is_passed_on_when_it_comes() {
    let (next, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let target = Target::start(move |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        wait.lock().unwrap().recv().unwrap();
        exchange.send("6\r\nsecond\r\n0\r\n\r\n");
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let reader = connection.reader();
    reader.response_head().unwrap().unwrap();
    support::until("the first chunk", 10.0, || {
        let is_here = String::from_utf8_lossy(&reader.buffer).contains("first");
        is_here.then_some(()).or_else(|| reader.fill().map(|_| None).unwrap())
    });
    next.send(()).unwrap();
    assert_eq!(reader.chunked().unwrap().0, b"firstsecond");
}

#[test]
fn expect_100_is_answered_before_the_body_is_sent() {
    let target = Target::echo();
    let balancer = before(&target);
    let mut connection = balancer.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let go = connection.reader().response_head().unwrap().unwrap();
    assert_eq!(go.status, 100);
    connection.send("hello");
    let response = connection.response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
}

#[test]
fn head_204_and_304_have_no_body_and_keep_the_connection() {
    let target = Target::start(|exchange| {
        match exchange.request.target.as_str() {
            "/204" => exchange.send("HTTP/1.1 204 No Content\r\n\r\n"),
            "/304" => exchange.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"x\"\r\n\r\n"),
            _ => exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        }
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    for _ in 0..2 {
        connection.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = connection.response_to("HEAD");
        assert_eq!((head.status, head.header("content-length")), (200, "1000"));
        assert_eq!(connection.get("/204", "").status, 204);
        let not_modified = connection.get("/304", "If-None-Match: \"x\"\r\n");
        assert_eq!((not_modified.status, not_modified.header("etag")), (304, "\"x\""));
    }
    assert_eq!(target.connections(), 1);
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\n\r\nall of it");
        Answer::Close
    });
    let balancer = before(&target);
    assert_eq!(balancer.connect().get("/", "").text(), "all of it");
}

#[test]
fn http_1_0_clients_are_served_in_their_way() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.0\r\n\r\n");
    let response = connection.response();
    assert_eq!(response.text(), "hello");
    assert!(response.headers.get("transfer-encoding").is_none(), "HTTP/1.0 knows no chunks");
    assert!(connection.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let target = Target::start(|exchange| {
        let path = exchange.request.target.clone();
        exchange.ok("", &path)
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    let requests: String =
        (0..20).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    connection.send(requests);
    for number in 0..20 {
        assert_eq!(connection.response().text(), format!("/{number}"));
    }
}

#[test]
fn connection_close_is_honoured() {
    let target = Target::plain();
    let balancer = before(&target);
    let mut connection = balancer.connect();
    let response = connection.get("/", "Connection: close\r\n");
    assert_eq!(response.status, 200);
    assert!(connection.is_closed());
}

#[test]
fn a_response_before_the_body_is_passed_on() {
    let target = Target::heads(|exchange| {
        exchange.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!");
        Answer::Close
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nstart");
    assert_eq!(connection.response().status, 413);
}

/// Whoever is told that the connection stays can ask again behind its body, however early the answer came.
#[test]
fn an_answer_before_the_body_is_whole_keeps_the_connection_or_says_close() {
    let target = Target::heads(|exchange| {
        let status = exchange.request.target.rsplit('/').next().unwrap().to_owned();
        let length = if ["204", "304"].contains(&status.as_str()) { "" } else { "Content-Length: 2\r\n" };
        let body = if length.is_empty() { "" } else { "ok" };
        // A target that closes says so: who does not may get the next request while it closes, and no POST is sent twice.
        exchange.send(format!(
            "HTTP/1.1 {status} Early\r\nConnection: close\r\nLocation: /\r\n{length}\r\n{body}"
        ));
        Answer::Close
    });
    let balancer = before(&target);
    let small = "x".repeat(1000);
    let framings = [
        ("Content-Length: 1000", small.clone(), true),
        ("Transfer-Encoding: chunked", format!("3E8\r\n{small}\r\n0\r\nA: b\r\n\r\n"), true),
        ("Content-Length: 900000", small.repeat(900), true),
        ("Content-Length: 2000000", small.repeat(2000), false),
    ];
    for status in [200, 201, 204, 302, 304, 400, 413, 500] {
        for (framing, body, is_small) in &framings {
            let case = format!("{status}, {framing}");
            let mut connection = balancer.connect();
            connection.send(format!("POST /{status} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
            let response = connection.response();
            assert_eq!(response.status, status, "{case}");
            let says_close = response.headers.get("connection") == Some("close");
            assert_eq!(says_close, status >= 400 || !is_small, "{case}");
            if says_close {
                continue;
            }
            connection.send(body);
            connection.send("GET /201 HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(connection.response().status, 201, "{case}: the next request");
        }
    }
}

/// Closing a socket destroys what waits to be sent as soon as anything comes for it, a line end behind a body for instance.
#[test]
fn what_a_slow_reader_sends_behind_its_last_request_destroys_no_answer() {
    use std::io::{Read as _, Write as _};

    const SIZE: usize = 400_000;
    let target = Target::start(|exchange| exchange.ok("", &"x".repeat(SIZE)));
    let balancer = before(&target);
    let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b",
    ];
    for (number, request) in (1..).zip(requests) {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        rustix::net::connect(&socket, &balancer.address).unwrap();
        let mut stream = std::net::TcpStream::from(socket);
        stream.write_all(request.as_bytes()).unwrap();
        // To the balancer the request is over: what is left of the answer is the kernel's.
        let over = "balancer_request_duration_seconds_count{load_balancer=\"main\",listener=\"web\"}";
        balancer.wait_metric(over, f64::from(number));
        stream.write_all(b"\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.len() > SIZE && answer.ends_with(b"xx"), "{} bytes of {request:?}", answer.len());
    }
}

#[test]
fn a_real_server_serves_files_and_ranges() {
    let nginx = Nginx::start("");
    let content: Vec<u8> = (0..500_000_u32).map(|place| (place % 253) as u8).collect();
    nginx.file("large.bin", &content);
    let group = support::Group::of("app", std::slice::from_ref(&nginx.address));
    let balancer = Balancer::start(&Config::with(group));
    let mut connection = balancer.connect();
    assert!(connection.get("/large.bin", "").body == content);
    let part = connection.get("/large.bin", "Range: bytes=1000-1999\r\n");
    assert_eq!(part.status, 206);
    assert!(part.body == content[1000..2000]);
    let whole = connection.get("/large.bin", "");
    let again = connection.get("/large.bin", &format!("If-None-Match: {}\r\n", whole.header("etag")));
    assert_eq!(again.status, 304);
    assert_eq!(connection.get("/missing", "").status, 404);
}
