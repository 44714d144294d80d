//! Which protocols a client may change to by Upgrade, and that it changes to no other.

use support::{
    Answer, Balancer, Config, Target,
    http2::{Connection, Outcome},
    tls::{Certificate, curl},
};

/// A target that changes to whatever it is asked for, to something else where the path says what; the bytes that
/// follow come back.
fn obliging() -> Target {
    Target::start(|exchange| {
        let asked = exchange.request.headers.get("upgrade").map(str::to_owned);
        let Some(asked) = asked else { return exchange.ok("", "plain") };
        let answered = match exchange.request.target.strip_prefix("/to/") {
            Some(other) => other.replace('_', "/"),
            None => asked,
        };
        let line = if answered.is_empty() { String::new() } else { format!("Upgrade: {answered}\r\n") };
        exchange
            .send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{line}\r\nwelcome"));
        let early = std::mem::take(&mut exchange.reader.buffer);
        exchange.send(early);
        while matches!(exchange.reader.fill(), Ok(true)) {
            let bytes = std::mem::take(&mut exchange.reader.buffer);
            exchange.send(bytes);
        }
        Answer::Close
    })
}

/// What clients send who would rather speak HTTP/2 (Java's HttpClient, `curl --http2`), and what attackers do.
const NOT_TUNNELLED: [&str; 9] = [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "Connection: upgrade, http2-settings\r\nUpgrade: H2C\r\nhttp2-settings: AAMAAABk\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c, h2c-14\r\nUpgrade: HTTP/2.0\r\n",
    "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "Connection: Upgrade\r\nUpgrade: websockets\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c/websocket\r\n",
    "Connection: keep-alive\r\nUpgrade: websocket\r\nHTTP2-Settings: AAMAAABk\r\n",
    "Connection: Upgrade\r\nUpgrade:\r\n",
];

fn assert_plain(target: &Target, fields: &str) {
    let head = String::from_utf8(target.last().head).unwrap().to_ascii_lowercase();
    for name in ["upgrade", "http2-settings", "connection"] {
        assert!(!head.contains(&format!("\r\n{name}:")), "{fields}\n{head}");
    }
    assert!(head.contains("x-forwarded-for: 127.0.0.1"), "{head}");
}

#[test]
fn what_is_not_tunnelled_goes_on_as_plain_http() {
    let target = obliging();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    for fields in NOT_TUNNELLED {
        let response = connection.get("/", fields);
        assert_eq!((response.status, response.text().as_str()), (200, "plain"), "{fields}");
        assert_plain(&target, fields);
        connection.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 4\r\n\r\nbody"));
        assert_eq!(connection.response().status, 200, "{fields}");
        assert_eq!(target.last().body, b"body");
        assert_plain(&target, fields);
    }
    assert_eq!(balancer.status().total("tunnels_opened"), 0);
}

#[test]
fn inside_tls_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = obliging();
    let balancer = Balancer::start(&Config::new(&[&target]).https(&certificate));
    let fields = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
    let arguments: Vec<&str> =
        ["--http1.1"].into_iter().chain(fields.iter().flat_map(|field| ["-H", field])).collect();
    let body = curl(balancer.address, "example.test", &certificate, "/", &arguments).unwrap();
    assert_eq!(body, b"plain");
    assert_plain(&target, "h2c");
}

/// Asks for these protocols; gives back the status and what the target was offered.
fn ask(balancer: &Balancer, target: &Target, path: &str, protocols: &str) -> (u16, Vec<String>) {
    let mut connection = balancer.connect();
    connection.send(format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocols}\r\n\r\n"
    ));
    let status = connection.reader().response_head().unwrap().unwrap().status;
    (status, target.last().headers.all("upgrade").map(str::to_owned).collect())
}

#[test]
fn of_a_list_only_what_is_tunnelled_is_offered() {
    let target = obliging();
    let balancer = Balancer::start(&Config::new(&[&target]));
    for (asked, offered) in [
        ("websocket", "websocket"),
        ("WebSocket", "WebSocket"),
        ("websocket/13", "websocket/13"),
        ("h2c, websocket", "websocket"),
        ("websocket, h2c", "websocket"),
        ("h2c\r\nUpgrade: websocket", "websocket"),
    ] {
        assert_eq!(ask(&balancer, &target, "/", asked), (101, vec![offered.to_owned()]), "{asked}");
        assert_eq!(target.last().headers.get("connection"), Some("Upgrade"));
    }
}

#[test]
fn a_101_of_another_protocol_is_502() {
    let target = obliging();
    let balancer = Balancer::start(&Config::new(&[&target]));
    for (path, status) in [
        ("/to/websocket", 101),
        ("/to/WEBSOCKET", 101),
        ("/to/websocket_13", 101),
        ("/to/h2c", 502),
        ("/to/websocket,h2c", 502),
        ("/to/websockets", 502),
        ("/to/", 502),
    ] {
        assert_eq!(ask(&balancer, &target, path, "websocket, h2c").0, status, "{path}");
    }
    assert_eq!(ask(&balancer, &target, "/to/websocket_14", "websocket/13").0, 502);
    assert_eq!(balancer.status().total("tunnels_opened"), 3);
}

#[test]
fn a_101_of_http_1_0_is_502() {
    let target = Target::heads(|exchange| {
        exchange
            .send("HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let response = balancer.connect().get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    assert_eq!(response.status, 502);
    assert_eq!(balancer.status().total("tunnels_opened"), 0);
}

#[test]
fn within_a_body_nothing_changes() {
    // Before the request is there whole the client still speaks HTTP.
    let target = Target::heads(|exchange| {
        exchange
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while matches!(exchange.reader.fill(), Ok(true)) {}
        Answer::Close
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    connection.send(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 10\r\n\r\nfirst",
    );
    assert_eq!(connection.response().status, 502);
    assert_eq!(balancer.status().total("tunnels_opened"), 0);
}

fn extended_connect(balancer: &Balancer, protocol: &str) -> Outcome {
    let mut http2 = Connection::open(balancer.address);
    let fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a.test"),
        ("sec-websocket-version", "13"),
    ];
    let stream = http2.begin(&fields, false);
    http2.outcome(stream)
}

#[test]
fn a_setting_says_what_is_tunnelled() {
    let target = obliging();
    let config = |line: &str| Config::new(&[&target]).http2().attribute(line);
    let balancer = Balancer::start(&config("upgrade_protocols = [\"websocket\", \"Foo\"]"));
    assert_eq!(ask(&balancer, &target, "/", "h2c, foo/2").1, ["foo/2"]);
    assert_eq!(ask(&balancer, &target, "/", "websocket").0, 101);
    assert!(matches!(extended_connect(&balancer, "foo"), Outcome::Answer(501, _)));
    balancer.reload(&config("upgrade_protocols = []"));
    let response = balancer.connect().get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    assert_eq!((response.status, response.text().as_str()), (200, "plain"));
    assert!(matches!(extended_connect(&balancer, "websocket"), Outcome::Answer(501, _)));
}
