//! The access log, line by line: what is told of each kind of request.

use std::{path::PathBuf, time::Duration};

use support::{
    Answer, Balancer, Config, Group, Target,
    access_log::{Line, lines, wait_for},
    apps::App,
    http2,
    http2::{Connection, Outcome, flag, kind},
    tls::{Certificate, Session, curl},
    until,
};

/// A balancer that logs into `access.log` of its folder.
fn logging(config: &Config) -> (Balancer, PathBuf) {
    let mut balancer = Balancer::prepare(config);
    let path = balancer.folder().join("access.log");
    let block = format!("  access_logs {{\n    enabled = true\n    path = \"{}\"\n  }}", path.display());
    balancer.write(&config.clone().attribute(&block));
    balancer.run();
    balancer.wait_until_settled();
    (balancer, path)
}

/// Runs `ask` and gives back the one line that comes of it.
fn line(config: &Config, ask: impl FnOnce(&Balancer)) -> Line {
    let (balancer, path) = logging(config);
    ask(&balancer);
    wait_for(&path, 1).remove(0)
}

#[test]
fn a_request_of_http_1_is_told_with_all_that_is_known_of_it() {
    let target = Target::start(|exchange| {
        std::thread::sleep(Duration::from_millis(30));
        exchange.ok("Set-Cookie: secret=hidden\r\n", "hello")
    });
    let config = Config::with(Group::new("app", &[&target]).lb_cookie()).rule(
        7,
        &["path_pattern { values = [\"/ruled*\"] }"],
        "app",
    );
    let (balancer, path) = logging(&config);
    let mut connection = balancer.connect();
    let fields =
        "User-Agent: test/1.0\r\nCookie: AWSALB=nothing; session=hidden\r\nAuthorization: hidden\r\n";
    let response = connection.get("/a?b=c%20d&e", fields);
    connection.post("/ruled/x", b"0123456789");
    let client = connection.stream().local_addr().unwrap().to_string();
    let lines = wait_for(&path, 2);
    let port = balancer.address.port();
    lines[0].expect(&[
        ("type", "http"),
        ("elb", &format!("app/main/{}", balancer.instance())),
        ("client:port", &client),
        ("target:port", &target.address),
        ("elb_status_code", "200"),
        ("target_status_code", "200"),
        ("request", &format!("GET http://example.test:{port}/a?b=c%20d&e HTTP/1.1")),
        ("user_agent", "test/1.0"),
        ("ssl_cipher", "-"),
        ("ssl_protocol", "-"),
        ("target_group_arn", "app"),
        ("trace_id", target.requests()[0].headers.get("x-amzn-trace-id").unwrap()),
        ("domain_name", "-"),
        ("chosen_cert_arn", "-"),
        ("matched_rule_priority", "0"),
        ("actions_executed", "forward"),
        ("redirect_url", "-"),
        ("error_reason", "-"),
        ("ip_address", "127.0.0.1"),
    ]);
    assert!(lines[0]["request_creation_time"] < lines[0]["time"], "{}", lines[0]);
    let request = format!("GET /a?b=c%20d&e HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n");
    assert_eq!(lines[0].number("received_bytes"), request.len() as f64);
    let taken = lines[0].number("target_processing_time");
    assert!((0.030..10.0).contains(&taken), "{}", lines[0]);
    for name in ["request_processing_time", "response_processing_time"] {
        assert!((0.0..10.0).contains(&lines[0].number(name)), "{name}: {}", lines[0]);
    }
    assert!(lines[0].number("sent_bytes") > response.body.len() as f64);
    lines[1].expect(&[
        ("matched_rule_priority", "7"),
        ("user_agent", "-"),
        ("conn_trace_id", &lines[0]["conn_trace_id"]),
    ]);
    let post = "POST /ruled/x HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\n0123456789";
    assert_eq!(lines[1].number("received_bytes"), post.len() as f64);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hidden") && !text.contains("AWSALB"), "{text}");
    let status = balancer.status();
    assert_eq!(status.total("bytes_received"), (request.len() + post.len()) as u64);
}

#[test]
fn the_bytes_sent_are_those_that_the_client_got() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0123456789");
        Answer::Close
    });
    let mut got = Vec::new();
    let line = line(&Config::new(&[&target]), |balancer| {
        let mut connection = balancer.connect();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        got = connection.reader().to_end().unwrap();
    });
    assert_eq!(line.number("sent_bytes"), got.len() as f64);
}

#[test]
fn a_100_of_the_balancers_own_is_among_the_bytes_sent() {
    let target = Target::echo();
    let mut got = Vec::new();
    let line = line(&Config::new(&[&target]), |balancer| {
        let mut connection = balancer.connect();
        let fields = "Host: a\r\nConnection: close\r\nContent-Length: 1\r\nExpect: 100-continue";
        connection.send(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n"));
        got = connection.reader().exactly(25).unwrap();
        connection.send("x");
        got.extend(connection.reader().to_end().unwrap());
    });
    assert!(got.starts_with(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
    assert_eq!(line.number("sent_bytes"), got.len() as f64);
}

#[test]
fn an_http_2_request_that_is_refused_by_its_head_is_one_of_http_2() {
    let target = Target::plain();
    let line = line(&Config::new(&[&target]).http2(), |balancer| {
        let mut connection = http2::Connection::open(balancer.address);
        let names: Vec<String> = (0..201).map(|number| format!("x-{number}")).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert_eq!(connection.status_of("/", &fields), 400);
    });
    line.expect(&[("type", "h2"), ("elb_status_code", "400")]);
}

/// However far over the limit it is: what is seen of it, the client's answer and the log's line are those of the others.
#[test]
fn heads_of_http_2_that_are_far_too_large_are_answered_and_told() {
    let target = Target::plain();
    let (balancer, path) = logging(&Config::new(&[&target]).workers(1).http2());
    let mut connection = Connection::open(balancer.address);
    let mut count = 0;
    let mut told = |status: &str, size: usize| {
        count += 1;
        let line = wait_for(&path, count).remove(count - 1);
        let request = format!("- http://{}- -", balancer.address);
        line.expect(&[("type", "h2"), ("elb_status_code", status), ("request", &request)]);
        let received = line.number("received_bytes");
        assert!((size as f64..size as f64 * 1.5 + 1000.0).contains(&received), "{size}: {received}");
    };
    for size in [20_000, 50_000, 65_536, 100_000, 131_072, 200_000, 300_000] {
        let long = "x".repeat(size);
        assert_eq!(connection.status_of(&format!("/{long}"), &[]), 414, "a path of {size}");
        told("414", size);
        assert_eq!(connection.status_of("/", &[("a", &long), ("b", "c")]), 400, "a field of {size}");
        told("400", size);
        let fields = vec![("name", &long[..1000]); size / 1000 + 60];
        assert_eq!(connection.status_of("/", &fields), 400, "fields of {size}");
        told("400", fields.len() * 1000);
        let many = vec![("a", "b"); size / 20];
        assert_eq!(connection.status_of("/", &many), 400, "{} fields", many.len());
        told("400", many.len() * 2);
    }
    // What enters the table of such a head is what is meant by it later.
    let mut large =
        http2::block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")]);
    for number in 10..50 {
        // Names of 6 bytes; values of 3,000, in a prefix of 7 bits.
        large.extend(
            [&b"\x40\x06name"[..], number.to_string().as_bytes(), b"\x7f\xb9\x16", &[b'v'; 3000]].concat(),
        );
    }
    let small =
        http2::block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")]);
    let stream = connection.next_stream();
    let mut parts = large.chunks(16_000).peekable();
    let (mut kind, mut end) = (kind::HEADERS, flag::END_STREAM);
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
        connection.frame(kind, end | last, stream, part);
        (kind, end) = (kind::CONTINUATION, 0);
    }
    assert!(matches!(connection.outcome(stream), Outcome::Answer(400, _)));
    told("400", 120_000);
    let stream = connection.next_stream();
    connection.frame(kind::HEADERS, 5, stream, [&small[..], b"\xbe"].concat());
    assert!(matches!(connection.outcome(stream), Outcome::Answer(200, _)));
    assert_eq!(target.count(), 1);
    let head = target.last().head;
    let head = String::from_utf8_lossy(&head);
    assert!(head.contains(&format!("name49: {}\r\n", "v".repeat(3000))), "{head}");
}

#[test]
fn requests_that_are_refused_before_a_rule_is_looked_at_are_told() {
    let target = Target::plain();
    let (balancer, path) = logging(&Config::new(&[&target]).attribute("idle_timeout = 1"));
    let unread = format!("- http://{}- -", balancer.address);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(17 * 1024));
    let trace = format!("TRACE http://a:{}/ HTTP/1.1", balancer.address.port());
    let mut count = 0;
    for (bytes, status, request) in [
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400", unread.as_str()),
        ("GET / HTTP/1.1\nHost: a\n\n", "400", &unread),
        ("GET / HTTP/1.1\r\nHost: a\r\n", "408", &unread),
        (&long, "414", &unread),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505", &unread),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501", &unread),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405", &trace),
    ] {
        let mut connection = balancer.connect();
        connection.send(bytes);
        let sent = connection.response();
        assert_eq!(sent.status.to_string(), status);
        count += 1;
        let line = wait_for(&path, count).remove(count - 1);
        line.expect(&[
            ("elb_status_code", status),
            ("target_status_code", "-"),
            ("target:port", "-"),
            ("target_group_arn", "-"),
            ("request_processing_time", "-1"),
            ("target_processing_time", "-1"),
            ("response_processing_time", "-1"),
            ("matched_rule_priority", "-"),
            ("actions_executed", "-"),
            ("request", request),
        ]);
        assert!(line.number("sent_bytes") > 100.0 && line.number("received_bytes") > 0.0, "{line}");
    }
    // What is no request is no line.
    balancer.connect().send("GET / HTTP/1.1\r\nHost: a\r\n");
    drop(balancer.connect());
    assert_eq!(balancer.connect().get("/", "").status, 200);
    wait_for(&path, count + 1)[count].expect(&[("elb_status_code", "200")]);
}

#[test]
fn requests_that_are_not_compliant_are_told_with_the_reason() {
    let target = Target::plain();
    let (balancer, path) = logging(&Config::new(&[&target]).http2());
    let mut count = 0;
    let mut check = |status: &str, class: &str, reason: &str| {
        count += 1;
        wait_for(&path, count)[count - 1].expect(&[
            ("elb_status_code", status),
            ("classification", class),
            ("classification_reason", reason),
        ]);
    };
    for (method, fields, status, class, reason) in [
        ("POST", "Content-Length: 0", "200", "-", "-"),
        ("GET", "Content-Length: 0", "200", "Acceptable", "GetHeadZeroContentLength"),
        ("POST", "Content_Length: 0", "200", "Ambiguous", "SuspiciousHeader"),
        ("POST", "Content_Length: x", "400", "Severe", "BadContentLength"),
        ("POST", "Content-Length: 0\r\nTransfer-Encoding: chunked", "400", "Ambiguous", "BothTeClPresent"),
        ("POST", "X: a\rb", "400", "Severe", "BadHeader"),
    ] {
        balancer.connect().send(format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).response();
        check(status, class, reason);
    }
    let mut connection = Connection::open(balancer.address);
    assert_eq!(connection.status_of("/", &[("content_length", "x")]), 400);
    check("400", "Severe", "BadContentLength");
    assert_eq!(connection.status_of("/", &[]), 200);
    check("200", "-", "-");
}

#[test]
fn failures_behind_the_balancer_are_told_with_what_happened() {
    let reset = Target::start(|_| Answer::Reset);
    let silent = Target::start(|exchange| {
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let dead = format!("127.0.0.1:{}", support::ports::free());
    let cases = [
        (Group::new("app", &[&reset]), "502", reset.address.clone(), true),
        (Group::new("app", &[&silent]), "504", silent.address.clone(), true),
        (Group::of("app", std::slice::from_ref(&dead)).unchecked(), "502", dead.clone(), false),
        (Group::of("app", &[]), "503", "-".to_owned(), false),
        (
            Group::new("app", &[&reset]).line("protocol_version = \"HTTP2\"").unchecked(),
            "464",
            "-".to_owned(),
            false,
        ),
    ];
    for (group, status, target, sent) in cases {
        let config = Config::with(group).attribute("idle_timeout = 1");
        let line = line(&config, |balancer| {
            assert_eq!(balancer.connect().get("/", "").status.to_string(), status);
        });
        line.expect(&[
            ("elb_status_code", status),
            ("target:port", &target),
            ("target_status_code", "-"),
            ("target_processing_time", "-1"),
            ("response_processing_time", "-1"),
            ("target_group_arn", "app"),
            ("actions_executed", "forward"),
            ("matched_rule_priority", "0"),
        ]);
        assert_eq!(&line["request_processing_time"] != "-1", sent, "{line}");
    }
}

#[test]
fn clients_that_go_away_are_told_as_460() {
    let (tell, hear) = std::sync::mpsc::channel();
    let target = Target::start(move |exchange| {
        tell.send(()).unwrap();
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let (balancer, path) = logging(&Config::new(&[&target]).http2());
    let mut first = balancer.connect();
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    hear.recv_timeout(Duration::from_secs(10)).unwrap();
    drop(first);
    let wanted = [
        ("elb_status_code", "460"),
        ("target_status_code", "-"),
        ("sent_bytes", "0"),
        ("target:port", &target.address),
    ];
    wait_for(&path, 1)[0].expect(&wanted);
    let mut second = Connection::open(balancer.address);
    let stream = second.get("/", &[]);
    hear.recv_timeout(Duration::from_secs(10)).unwrap();
    second.frame(kind::RST_STREAM, 0, stream, [0, 0, 0, 8]);
    let line = wait_for(&path, 2).remove(1);
    line.expect(&wanted);
    line.expect(&[("type", "h2")]);
    // Within its body, by an ordinary close.
    let mut third = balancer.connect();
    third.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1");
    drop(third);
    let wanted = [("elb_status_code", "400"), ("sent_bytes", "0"), ("error_reason", "ClientClosedInBody")];
    wait_for(&path, 3)[2].expect(&wanted);
    // Who is there and breaks the rules is told apart from that.
    let stream = second.post("/", &[("content-length", "10")]);
    second.data(stream, b"12345", true);
    // Its stream is reset: it was answered nothing.
    assert_eq!(second.outcome(stream), Outcome::Reset(1));
    wait_for(&path, 4)[3].expect(&[
        ("type", "h2"),
        ("elb_status_code", "-"),
        ("sent_bytes", "0"),
        ("error_reason", "RequestBodyInvalid"),
    ]);
    // That of the one before is all that is counted.
    balancer.wait_status("it is counted", 20.0, |status| status.own(400) == 1);
}

/// Whatever of it is read together: a request that its client takes back at once is one that was told of.
#[test]
fn requests_that_are_taken_back_at_once_are_told_as_460() {
    let target = Target::plain();
    let (balancer, path) = logging(&Config::new(&[&target]).workers(1).http2());
    let mut connection = Connection::open(balancer.address);
    let get = http2::block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/back"),
        (":authority", "a.test"),
    ]);
    let mut bytes = Vec::new();
    for stream in [1, 3, 5] {
        bytes.extend(http2::frame(kind::HEADERS, 5, stream, &get));
        bytes.extend(http2::frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    connection.send(bytes);
    let violated = [
        http2::frame(kind::HEADERS, 5, 7, &get),
        http2::frame(kind::DATA, 0, 9, b"on a stream that nobody has opened"),
    ];
    let told = wait_for(&path, 3);
    connection.send(violated.concat());
    let told = [told, wait_for(&path, 4).split_off(3)].concat();
    for line in &told {
        line.expect(&[
            ("type", "h2"),
            ("elb_status_code", "460"),
            ("error_reason", "ClientClosed"),
            ("classification", "-"),
            ("target_status_code", "-"),
            ("sent_bytes", "0"),
        ]);
        assert!(line["request"].contains("/back"), "{line}");
    }
    assert_eq!(target.count(), 0, "no target needs to hear of it");
    balancer.wait_status("they are counted", 20.0, |status| status.own(460) == 4);
}

#[test]
fn who_speaks_http_to_a_port_of_tls_is_told_with_what_it_has_sent() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["a.test"]);
    let target = Target::plain();
    let line = line(&Config::new(&[&target]).https(&certificate), |balancer| {
        assert_eq!(balancer.connect().get("/", "").status, 400);
    });
    line.expect(&[("elb_status_code", "400"), ("error_reason", "HttpToHttps")]);
    assert!(line.number("received_bytes") > 20.0);
}

#[test]
fn requests_of_http_2_are_told_each() {
    let target = Target::echo();
    let (balancer, path) = logging(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    let stream = connection.post("/x?y", &[("user-agent", "two")]);
    connection.data(stream, b"0123456789", true);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"0123456789".to_vec()));
    let stream = connection
        .begin(&[(":method", "TRACE"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")], true);
    assert!(matches!(connection.outcome(stream), Outcome::Answer(405, _)));
    let port = balancer.address.port();
    let found = wait_for(&path, 2);
    found[0].expect(&[
        ("type", "h2"),
        ("elb_status_code", "200"),
        ("target_status_code", "200"),
        ("target:port", &target.address),
        ("user_agent", "two"),
        ("actions_executed", "forward"),
    ]);
    let request = &found[0]["request"];
    assert!(request.starts_with("POST http://") && request.ends_with("/x?y HTTP/2.0"), "{request}");
    assert!(found[0].number("received_bytes") > 20.0 && found[0].number("sent_bytes") > 10.0);
    let request = format!("TRACE http://a.test:{port}/ HTTP/2.0");
    found[1].expect(&[("type", "h2"), ("elb_status_code", "405"), ("request", &request)]);
    assert_eq!(found[0]["conn_trace_id"], found[1]["conn_trace_id"]);
    assert!(found[1].number("sent_bytes") > 100.0, "{}", found[1]);
}

#[test]
fn heads_of_http_2_count_as_the_bytes_of_their_names_and_values() {
    let target = Target::start(|exchange| {
        if exchange.request.head.starts_with(b"GET /early ") {
            let early = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n".repeat(2);
            exchange.send(early);
        }
        exchange.ok("", "hello")
    });
    let (balancer, path) = logging(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    connection.status_of("/plain", &[]);
    connection.status_of("/early", &[("name", "value")]);
    let stream = connection.post("/again", &[("expect", "100-continue")]);
    connection.read_until(kind::HEADERS);
    connection.data(stream, b"12345", true);
    connection.outcome(stream);
    let found = wait_for(&path, 3);
    let bytes = |line: &Line| (line.number("received_bytes"), line.number("sent_bytes"));
    // The values are GET, http, a.test and a path of 6 bytes.
    let pseudo = (":method:scheme:authority:path".len() + 3 + 4 + 6 + 6) as f64;
    let (received, sent) = bytes(&found[0]);
    assert_eq!(received, pseudo, "{}", found[0]);
    let early = (":status".len() + 3 + "link".len() + "</style.css>; rel=preload".len()) as f64;
    assert_eq!(bytes(&found[1]), (pseudo + 9.0, sent + 2.0 * early), "{}", found[1]);
    let expect = "expect100-continue".len() as f64;
    assert_eq!(bytes(&found[2]), (pseudo + 1.0 + expect + 5.0, sent + 10.0), "{}", found[2]);
}

#[test]
fn calls_of_grpc_are_told_as_grpcs() {
    let Some(process) = App::Grpc.start_if_installed() else { return };
    let group = Group::of("app", std::slice::from_ref(&process.address)).line("protocol_version = \"GRPC\"");
    let (balancer, path) = logging(&Config::with(group.unchecked()).http2());
    assert_eq!(App::Grpc.says(balancer.address, &["unary"]), "passed 1");
    let found = until("calls are logged", 10.0, || Some(lines(&path)).filter(|lines| !lines.is_empty()));
    for line in found {
        line.expect(&[
            ("type", "grpcs"),
            ("elb_status_code", "200"),
            ("target_status_code", "200"),
            ("target:port", &process.address),
        ]);
        let request = &line["request"];
        assert!(request.starts_with("POST http://") && request.ends_with("/test.Echo/Unary HTTP/2.0"));
    }
}

#[test]
fn a_websocket_is_told_once_when_it_is_over() {
    let target = Target::start(|exchange| {
        exchange
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let bytes = exchange.reader.exactly(5000).unwrap();
        exchange.send(&bytes[..3000]);
        Answer::Close
    });
    let (balancer, path) = logging(&Config::new(&[&target]));
    let request = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut connection = balancer.connect();
    connection.send(request);
    assert_eq!(connection.reader().response_head().unwrap().unwrap().status, 101);
    // Another request, so that a line of this one would be there.
    assert_eq!(balancer.connect().get("/", "").status, 502);
    wait_for(&path, 1)[0].expect(&[("type", "http")]);
    connection.send(vec![7; 5000]);
    assert_eq!(connection.reader().exactly(3000).unwrap().len(), 3000);
    drop(connection);
    let line = wait_for(&path, 2).remove(1);
    line.expect(&[("type", "ws"), ("elb_status_code", "101"), ("target_status_code", "101")]);
    assert_eq!(line.number("received_bytes"), (request.len() + 5000) as f64);
    assert!(line.number("sent_bytes") > 3000.0, "{line}");
}

#[test]
fn tls_is_told_with_its_cipher_name_and_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let config = Config { protocol: "HTTPS".to_owned(), ..Config::new(&[&target]) }
        .listener("certificate_arn = certificate.main.arn")
        .more(&certificate.block("main"));
    let (balancer, path) = logging(&config);
    let ask = |arguments: &[&str]| {
        curl(balancer.address, "example.test", &certificate, "/", arguments).unwrap();
    };
    ask(&["--http1.1", "--tlsv1.2", "--tls-max", "1.2"]);
    ask(&["--http2"]);
    let lines = wait_for(&path, 2);
    lines[0].expect(&[
        ("type", "https"),
        ("ssl_cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("ssl_protocol", "TLSv1.2"),
        ("domain_name", "example.test"),
        ("chosen_cert_arn", "main"),
    ]);
    assert!(lines[0]["request"].starts_with("GET https://example.test:"), "{}", lines[0]);
    lines[1].expect(&[("type", "h2"), ("ssl_protocol", "TLSv1.3"), ("chosen_cert_arn", "main")]);
    assert!(lines[1]["ssl_cipher"].starts_with("TLS_"), "{}", lines[1]);
    // A session that is resumed, by a client that names nobody.
    let saved = folder.path().join("session");
    let saved = saved.to_str().unwrap();
    for arguments in [["-sess_out", saved], ["-sess_in", saved]] {
        let arguments = [&["-quiet", "-tls1_2", "-noservername"], &arguments[..]].concat();
        assert_eq!(Session::open(balancer.address, &arguments).get("/", "").status, 200);
    }
    let lines = wait_for(&path, 4);
    lines[2].expect(&[("domain_name", "-"), ("chosen_cert_arn", "main")]);
    lines[3].expect(&[
        ("domain_name", "-"),
        ("chosen_cert_arn", "session-reused"),
        ("ssl_protocol", "TLSv1.2"),
    ]);
    // Plain HTTP to the port of TLS.
    let plain = balancer.connect().get("/", "").status;
    assert_eq!(plain, 400);
    wait_for(&path, 5)[4].expect(&[("type", "http"), ("elb_status_code", "400"), ("ssl_cipher", "-")]);
}

#[test]
fn what_a_client_sends_ends_no_field_and_no_line() {
    let target = Target::plain();
    let (balancer, path) = logging(&Config::new(&[&target]));
    let request =
        b"GET /\"%0d%0a\"+200?q=%22<>'\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: \" \"\xff\xc3\xa9\t\\x22\r\n\r\n";
    assert_eq!(balancer.connect().send(request).response().status, 200);
    let line = wait_for(&path, 1).remove(0);
    let port = balancer.address.port();
    line.expect(&[
        ("request", &format!(r"GET http://a:{port}/\x22%0d%0a\x22+200?q=%22<>'\x5C HTTP/1.1")),
        ("user_agent", r"\x22 \x22\xFF\xC3\xA9\x09\x5Cx22"),
    ]);
}

#[test]
fn json_has_a_line_a_request_with_the_names_of_albs_fields() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let mut balancer = Balancer::prepare(&config);
    let path = balancer.folder().join("access.log");
    let block = format!(
        "  access_logs {{\n    enabled = true\n    path = \"{}\"\n    format = \"json\"\n  }}",
        path.display()
    );
    balancer.write(&config.clone().attribute(&block));
    balancer.run();
    balancer.connect().get("/a?b", "User-Agent: \"quoted\"\r\n");
    balancer.connect().send("BAD\r\n\r\n").response();
    let values: Vec<serde_json::Value> = until("two lines", 10.0, || {
        let text = std::fs::read_to_string(&path).ok()?;
        let lines: Result<Vec<_>, _> = text.lines().map(serde_json::from_str).collect();
        lines.ok().filter(|lines| lines.len() >= 2)
    });
    assert_eq!(values[0]["elb_status_code"], 200);
    assert_eq!(values[0]["target:port"], target.address);
    assert_eq!(values[0]["user_agent"], r"\x22quoted\x22");
    assert!(values[0]["target_processing_time"].as_f64().unwrap() >= 0.0);
    assert_eq!(values[1]["elb_status_code"], 400);
    assert!(values[1]["target:port"].is_null() && values[1]["target_processing_time"].is_null());
}

#[test]
fn actions_other_than_forwarding_are_told() {
    let target = Target::plain();
    let rewrite = "action {\ntype = \"forward\"\ntarget_group_arn = \"app\"\n}\n\
        transform {\ntype = \"url-rewrite\"\nurl_rewrite_config {\nrewrite {\nregex = \"^/old\"\nreplace = \"/new\"\n}\n}\n}\n\
        transform {\ntype = \"host-header-rewrite\"\nhost_header_rewrite_config {\nrewrite {\nregex = \"^a\"\nreplace = \"b\"\n}\n}\n}";
    let redirect =
        "action {\ntype = \"redirect\"\nredirect {\nstatus_code = \"HTTP_302\"\nhost = \"other.test\"\n}\n}";
    let fixed = "action {\ntype = \"fixed-response\"\nfixed_response {\nstatus_code = \"418\"\ncontent_type = \"text/plain\"\n\
        message_body = \"short\"\n}\n}";
    let weighted = "action {\ntype = \"forward\"\nforward {\ntarget_group {\narn = \"app\"\n}\ntarget_group {\narn = \"more\"\n\
        weight = 0\n}\nstickiness {\nenabled = true\nduration = 60\n}\n}\n}";
    let config = Config::new(&[&target])
        .group(Group::new("more", &[&target]))
        .path_rule(3, "/old*", rewrite)
        .path_rule(4, "/redirect*", redirect)
        .path_rule(5, "/fixed", fixed)
        .path_rule(6, "/weighted", weighted);
    let (balancer, path) = logging(&config);
    let port = balancer.address.port();
    let ask = |path: &str, fields: &str| balancer.connect().get(path, fields).status;
    let unused = [
        ("redirect_url", "-"),
        ("transformed_host", "-"),
        ("transformed_uri", "-"),
        ("request_transform_status", "-"),
    ];
    assert_eq!(balancer.connect().send("GET /old?q HTTP/1.1\r\nHost: a.test\r\n\r\n").response().status, 200);
    wait_for(&path, 1)[0].expect(&[
        ("request", &format!("GET http://a.test:{port}/old?q HTTP/1.1")),
        ("actions_executed", "rewrite,forward"),
        ("transformed_host", "b.test"),
        ("transformed_uri", "/new?q"),
        ("request_transform_status", "TransformSuccess"),
        ("matched_rule_priority", "3"),
    ]);
    assert_eq!(ask("/redirect?q", ""), 302);
    let line = wait_for(&path, 2).remove(1);
    line.expect(&unused[1..]);
    line.expect(&[
        ("actions_executed", "redirect"),
        ("redirect_url", &format!("http://other.test:{port}/redirect?q")),
        ("elb_status_code", "302"),
        ("target:port", "-"),
        ("target_status_code", "-"),
        ("target_group_arn", "-"),
        ("request_processing_time", "-1"),
        ("matched_rule_priority", "4"),
    ]);
    assert_eq!(ask("/fixed", ""), 418);
    let line = wait_for(&path, 3).remove(2);
    line.expect(&unused);
    line.expect(&[
        ("actions_executed", "fixed-response"),
        ("elb_status_code", "418"),
        ("matched_rule_priority", "5"),
    ]);
    assert_eq!(ask("/weighted", "Cookie: AWSALBTG=nonsense\r\n"), 200);
    let line = wait_for(&path, 4).remove(3);
    line.expect(&unused);
    line.expect(&[
        ("error_reason", "AWSALBTGCookieInvalid"),
        ("elb_status_code", "200"),
        ("target_group_arn", "app"),
    ]);
}
