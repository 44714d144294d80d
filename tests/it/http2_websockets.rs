//! WebSockets over HTTP/2 (RFC 8441) before targets that know them over HTTP/1.1.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use support::{
    Answer, Balancer, Config, Group, Target, access_log,
    http2::{Connection, Outcome, flag, kind},
    nginx::Nginx,
    tls::Certificate,
    until,
};

/// What a server has to answer to a key (RFC 6455, section 4.2.2).
fn accept(key: &str) -> String {
    let script = "openssl dgst -sha1 -binary | openssl base64 -A";
    let mut command = Command::new("sh");
    let mut child =
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    write!(input, "{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").unwrap();
    drop(input);
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// A target that takes up WebSockets and sends back what it gets, in upper case; or errs in the way that the path says.
fn target() -> Target {
    Target::start(|exchange| {
        let path = exchange.request.target.clone();
        let key = exchange.request.headers.get("sec-websocket-key").unwrap().to_owned();
        match path.as_str() {
            "/forbidden" => {
                exchange.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                return Answer::KeepAlive;
            }
            "/plain" => return exchange.ok("", "hello"),
            _ => {}
        }
        let accept = if path == "/wrong" { "AAAA".to_owned() } else { accept(&key) };
        exchange.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        ));
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = exchange.reader.stream().read(&mut bytes) {
            let answer = bytes[..length].to_ascii_uppercase();
            exchange.reader.stream().write_all(&answer).unwrap();
        }
        Answer::Close
    })
}

fn connect(connection: &mut Connection, protocol: &str, path: &str) -> u32 {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a.test"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-key", "ours-does-not-count"),
    ];
    connection.begin(&fields, false)
}

#[test]
fn a_websocket_goes_through_both_ways() {
    let target = target();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    let settings = connection.read_until(kind::SETTINGS);
    assert!(settings.payload.chunks(6).any(|entry| entry == [0, 8, 0, 0, 0, 1]), "it is offered");
    let stream = connect(&mut connection, "websocket", "/chat");
    let head = connection.read_until(kind::HEADERS);
    assert_eq!((head.stream, head.payload.contains(&0x88)), (stream, true), "200");
    // The name is number 33 of the static table (RFC 7541, appendix A), in a field that enters no table.
    let has_date = head.payload.windows(2).any(|bytes| matches!(bytes, [0x0f | 0x1f, 0x12]));
    assert!(has_date, "a response without Date gets one: {:02x?}", head.payload);
    assert_eq!(balancer.status().total("tunnels_active"), 1);
    for text in ["hello", "again"] {
        connection.data(stream, text.as_bytes(), false);
        assert_eq!(connection.read_until(kind::DATA).payload, text.to_uppercase().into_bytes());
    }
    let request = target.last();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/chat"));
    for (name, value) in
        [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13")]
    {
        assert_eq!(request.headers.get(name), Some(value));
    }
    assert_eq!(request.headers.all("sec-websocket-key").count(), 1);
    assert_ne!(request.headers.get("sec-websocket-key"), Some("ours-does-not-count"));
    // The end of one direction reaches the target, which then ends the other.
    connection.data(stream, b"", true);
    until("the end comes back", 10.0, || {
        let frame = connection.read().unwrap();
        (frame.stream == stream && frame.flags & flag::END_STREAM != 0).then_some(())
    });
    balancer.wait_status("the tunnel is over", 20.0, |status| {
        status.total("tunnels_active") == 0 && status.target(&target.address)["outstanding_requests"] == 0
    });
    let stream = connect(&mut connection, "websocket", "/chat");
    connection.read_until(kind::HEADERS);
    connection.frame(kind::RST_STREAM, 0, stream, 8_u32.to_be_bytes());
    balancer.wait_status("a reset ends it too", 20.0, |status| {
        status.total("tunnels_active") == 0 && status.total("tunnels_opened") == 2
    });
}

#[test]
fn a_websocket_reaches_a_target_that_speaks_https() {
    let folder = tempfile::tempdir().unwrap();
    let main = Certificate::make(folder.path(), "main", &["example.test"]);
    let certificate = Certificate::make(folder.path(), "target", &["127.0.0.1"]);
    let echo = target();
    let nginx = Nginx::tls(
        &certificate,
        &format!(
            "location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
             proxy_set_header Connection $http_connection; }}",
            echo.address
        ),
    );
    let log = folder.path().join("access.log");
    let group = Group::of("app", std::slice::from_ref(&nginx.address)).https();
    let block = format!("  access_logs {{\n    enabled = true\n    path = \"{}\"\n  }}", log.display());
    let balancer = Balancer::start(&Config::with(group).https(&main).attribute(&block));
    let mut connection = Connection::open_over_tls(balancer.address, &["-servername", "example.test"]);
    let stream = connect(&mut connection, "websocket", "/chat");
    let head = connection.read_until(kind::HEADERS);
    assert_eq!((head.stream, head.payload.contains(&0x88)), (stream, true), "200");
    let text = vec![b'x'; 5000];
    connection.data(stream, &text, false);
    let mut back = Vec::new();
    while back.len() < text.len() {
        back.extend(connection.read_until(kind::DATA).payload);
    }
    assert_eq!(back, text.to_ascii_uppercase());
    assert_eq!(balancer.status().total("tunnels_active"), 1);
    assert!(access_log::lines(&log).is_empty(), "it is told when it is over");
    connection.data(stream, b"", true);
    let line = access_log::wait_for(&log, 1).remove(0);
    line.expect(&[
        ("type", "wss"),
        ("target:port", &nginx.address),
        ("elb_status_code", "200"),
        ("target_status_code", "101"),
        ("ssl_protocol", "TLSv1.3"),
        ("domain_name", "example.test"),
        ("target_group_arn", "app"),
        ("actions_executed", "forward"),
        ("error_reason", "-"),
    ]);
    let request = &line["request"];
    assert!(request.starts_with("GET https://a.test:") && request.ends_with("/chat HTTP/2.0"), "{line}");
    assert!(line.number("received_bytes") > 5000.0 && line.number("sent_bytes") > 5000.0, "{line}");
    balancer.wait_status("the tunnel is over", 20.0, |status| {
        status.total("tunnels_active") == 0 && status.target(&nginx.address)["outstanding_requests"] == 0
    });
}

#[test]
fn what_is_no_websocket_is_told() {
    let target = target();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut connection = Connection::open(balancer.address);
    for (protocol, path, status) in [
        ("websocket", "/forbidden", 403),
        ("websocket", "/wrong", 502),
        ("websocket", "/plain", 502),
        ("connect-udp", "/", 501),
    ] {
        let stream = connect(&mut connection, protocol, path);
        let outcome = connection.outcome(stream);
        assert!(matches!(outcome, Outcome::Answer(found, _) if found == status), "{path}: {outcome:?}");
    }
    let group = Group::new("app", &[&target]).line("protocol_version = \"HTTP2\"").unchecked();
    let balancer = Balancer::start(&Config::with(group).http2());
    let mut connection = Connection::open(balancer.address);
    let stream = connect(&mut connection, "websocket", "/");
    assert!(matches!(connection.outcome(stream), Outcome::Answer(464, _)));
}
