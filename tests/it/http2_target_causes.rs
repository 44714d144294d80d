//! Why requests to targets of HTTP/2 fail: the status, one word in access log and metrics, and the last error in the
//! status.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    process::Command,
};

use support::{
    Balancer, Config, Group,
    access_log::wait_for,
    balancer::binary,
    http2::{Connection, block, flag, frame, kind},
    http2_target::{answering, listen},
    ports,
    tls::Certificate,
};

const END: u8 = flag::END_HEADERS | flag::END_STREAM;
/// `:status: 200`.
const OK: &[u8] = &[0x88];

/// A fault: its name, where a target has it, what the client gets, why, and what the last error says besides.
struct Fault {
    name: String,
    target: String,
    status: u16,
    cause: &'static str,
    says: String,
}

fn fault(name: &str, target: String, status: u16, cause: &'static str, says: &str) -> Fault {
    Fault { name: name.to_owned(), target, status, cause, says: says.to_owned() }
}

/// Closes the connection by a reset.
fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO)).unwrap();
}

/// Closes the connection by its end alone: what has come and is not read would make the system reset it.
fn close(connection: &Connection) -> bool {
    let _ = connection.socket().shutdown(Shutdown::Write);
    read_on(connection.socket());
    false
}

fn read_on(mut stream: &TcpStream) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|length| length > 0) {}
}

/// A target that answers each request with these frames, made for its stream, and reads on.
fn frames(made: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> String {
    answering(&[], move |connection, stream| {
        connection.send(made(stream));
        true
    })
}

/// Answers of this header block and nothing more.
fn head(block: Vec<u8>) -> String {
    frames(move |stream| frame(kind::HEADERS, END, stream, &block))
}

/// A head of so many fields of 2,000 bytes, in as many frames as it takes.
fn with_fields(fields: usize) -> String {
    let mut all = vec![(":status".to_owned(), "200".to_owned())];
    all.extend((0..fields).map(|number| (format!("x-{number}"), "v".repeat(2000))));
    let block = block(&all);
    frames(move |stream| {
        let mut parts = block.chunks(16_000).peekable();
        let (mut bytes, mut of, mut flags) = (Vec::new(), kind::HEADERS, flag::END_STREAM);
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
            bytes.extend(frame(of, flags | last, stream, part));
            (of, flags) = (kind::CONTINUATION, 0);
        }
        bytes
    })
}

fn goaway(last: u32, code: u32, words: &[u8]) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &code.to_be_bytes(), words].concat())
}

fn without_a_connection() -> Vec<Fault> {
    let failed = "TargetHttp2Failed";
    vec![
        fault(
            "refused",
            format!("127.0.0.1:{}", ports::free()),
            502,
            "TargetConnectionRefused",
            "Connection refused (os error 111)",
        ),
        fault(
            "closed-at-once",
            listen(|stream| {
                let _ = stream.shutdown(Shutdown::Write);
                read_on(&stream);
            }),
            502,
            failed,
            "it closed the connection",
        ),
        fault(
            "reset-at-once",
            listen(|mut stream| {
                let _ = stream.read_exact(&mut [0; 24]);
                reset(&stream);
            }),
            502,
            failed,
            "connection reset",
        ),
        fault(
            "http1",
            listen(|mut stream| {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                read_on(&stream);
            }),
            502,
            failed,
            "",
        ),
        fault("silent", listen(|stream| read_on(&stream)), 504, "TargetHttp2TimedOut", ""),
    ]
}

fn without_a_response() -> Vec<Fault> {
    let mut faults = vec![
        fault("closed", answering(&[], |connection, _| close(connection)), 502, "TargetClosedBeforeHead", ""),
        fault(
            "reset",
            answering(&[], |connection, _| {
                reset(connection.socket());
                false
            }),
            502,
            "TargetResetBeforeHead",
            "connection reset",
        ),
        fault("mute", answering(&[], |_, _| true), 504, "TargetTimedOut", ""),
        fault(
            "refused-stream",
            frames(|stream| frame(kind::RST_STREAM, 0, stream, &7_u32.to_be_bytes())),
            502,
            "TargetRefusedStream",
            "REFUSED_STREAM",
        ),
        fault(
            "goaway-unseen",
            frames(|_| goaway(0, 11, b"too many")),
            502,
            "TargetHttp2Ended",
            "GOAWAY, ENHANCE_YOUR_CALM (\"too many\")",
        ),
        fault(
            "goaway-seen",
            answering(&[], |connection, stream| {
                connection.send(goaway(stream, 2, b""));
                close(connection)
            }),
            502,
            "TargetClosedBeforeHead",
            "",
        ),
        fault("busy", answering(&[(3, 0)], |_, _| true), 503, "TargetBusy", ""),
    ];
    for (code, says) in [
        (0, "NO_ERROR"),
        (1, "PROTOCOL_ERROR"),
        (2, "INTERNAL_ERROR"),
        (5, "STREAM_CLOSED"),
        (8, "CANCEL"),
        (11, "ENHANCE_YOUR_CALM"),
        (13, "HTTP_1_1_REQUIRED"),
        (0xbad, "code 0xbad"),
    ] {
        faults.push(fault(
            &format!("rst-{code}"),
            frames(move |stream| frame(kind::RST_STREAM, 0, stream, &u32::to_be_bytes(code))),
            502,
            "TargetResetStream",
            says,
        ));
    }
    faults
}

fn with_an_invalid_response() -> Vec<Fault> {
    let invalid = "TargetHttp2Invalid";
    let fields = |fields: &[(&str, &str)]| [OK, &block(fields)].concat();
    let many: Vec<(&str, &str)> = vec![("x-field", "1"); 201];
    let long = "a".repeat(8000);
    let large: Vec<(&str, &str)> = vec![("x-long", long.as_str()); 5];
    let large = [OK, &block(&large)].concat();
    vec![
        fault("no-status", head(block(&[("x", "1")])), 502, invalid, ""),
        fault("upper-case", head(fields(&[("X-Upper", "1")])), 502, invalid, ""),
        fault("connection", head(fields(&[("connection", "close")])), 502, invalid, ""),
        fault("lengths", head(fields(&[("content-length", "2"), ("content-length", "3")])), 502, invalid, ""),
        fault("list", head(fields(&[("content-length", "2, 3")])), 502, invalid, ""),
        fault("length", head(fields(&[("content-length", "some")])), 502, invalid, ""),
        fault("length-empty", head(fields(&[("content-length", "")])), 502, "TargetContentLengthInvalid", ""),
        fault("compression", head(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 502, invalid, ""),
        fault("data-first", frames(|stream| frame(kind::DATA, 1, stream, b"x")), 502, invalid, ""),
        fault("fields", head(fields(&many)), 502, "TargetHeaderCountTooLarge", ""),
        fault(
            "large",
            frames(move |stream| {
                let mut bytes = Vec::new();
                let parts: Vec<&[u8]> = large.chunks(16_000).collect();
                for (place, part) in parts.iter().enumerate() {
                    let last = if place + 1 == parts.len() { flag::END_HEADERS } else { 0 };
                    match place {
                        0 => bytes.extend(frame(kind::HEADERS, flag::END_STREAM | last, stream, part)),
                        _ => bytes.extend(frame(kind::CONTINUATION, last, stream, part)),
                    }
                }
                bytes
            }),
            502,
            "TargetHeadTooLarge",
            "",
        ),
        fault("huge", with_fields(60), 502, "TargetHeadTooLarge", ""),
        fault("huger", with_fields(200), 502, "TargetHeadTooLarge", ""),
        fault("upgrade", head(block(&[(":status", "101")])), 502, "TargetUpgradeInvalid", ""),
    ]
}

fn within_the_body() -> Vec<Fault> {
    let part = |stream| {
        [frame(kind::HEADERS, flag::END_HEADERS, stream, OK), frame(kind::DATA, 0, stream, b"part")].concat()
    };
    vec![
        fault(
            "body-closed",
            answering(&[], move |connection, stream| {
                connection.send(part(stream));
                close(connection)
            }),
            200,
            "TargetClosedInBody",
            "",
        ),
        fault(
            "body-reset",
            frames(move |stream| {
                [part(stream), frame(kind::RST_STREAM, 0, stream, &2_u32.to_be_bytes())].concat()
            }),
            200,
            "TargetResetInBody",
            "INTERNAL_ERROR",
        ),
        fault(
            "body-long",
            frames(move |stream| {
                let head = [OK, &block(&[("content-length", "2")])].concat();
                [frame(kind::HEADERS, flag::END_HEADERS, stream, &head), frame(kind::DATA, 1, stream, b"abc")]
                    .concat()
            }),
            200,
            "TargetHttp2Invalid",
            "",
        ),
        fault("body-late", frames(part), 200, "TimedOutInBody", ""),
    ]
}

/// A balancer before all of them, each a group of its own behind the path of its name, and its access log.
fn before(faults: &[Fault]) -> (Balancer, PathBuf) {
    let group = |fault: &Fault| {
        Group::of(&fault.name, std::slice::from_ref(&fault.target))
            .line("protocol_version = \"HTTP2\"")
            .unchecked()
    };
    let mut config = Config::with(group(&faults[0])).http2();
    for (fault, priority) in faults.iter().zip(1..) {
        if priority > 1 {
            config = config.group(group(fault));
        }
        let path = format!("path_pattern {{\nvalues = [\"/{}\"]\n}}", fault.name);
        config = config.rule(priority, &[&path], &fault.name);
    }
    let config = config.attribute("idle_timeout = 1").attribute("connect_timeout = 1");
    let mut balancer = Balancer::prepare(&config);
    let path = balancer.folder().join("access.log");
    let block = format!("access_logs {{\nenabled = true\npath = \"{}\"\n}}", path.display());
    balancer.write(&config.attribute(&block));
    balancer.run();
    (balancer, path)
}

fn each_is_told(faults: &[Fault]) {
    let (balancer, path) = before(faults);
    for (number, fault) in faults.iter().enumerate() {
        let mut connection = Connection::open(balancer.address);
        let stream = connection.get(&format!("/{}", fault.name), &[]);
        connection.outcome(stream);
        let line = wait_for(&path, number + 1).remove(number);
        line.expect(&[("elb_status_code", &fault.status.to_string()), ("error_reason", fault.cause)]);
        assert!(line["request"].contains(&format!("/{} ", fault.name)), "{line}");
    }
    let text = Command::new(binary())
        .args(["status", "--admin", &balancer.admin.to_string()])
        .output()
        .map(|output| String::from_utf8(output.stdout).unwrap())
        .unwrap();
    let (status, log) = (balancer.status(), balancer.log());
    for (number, Fault { name, target, cause, says, .. }) in faults.iter().enumerate() {
        let labels = format!("{{target_group=\"{name}\",cause=\"{cause}\"}}");
        assert_eq!(balancer.metric(&format!("balancer_failures_total{labels}")), 1.0, "{name}");
        let all = balancer.metric(&format!("balancer_failures_total{{target_group=\"{name}\"}}"));
        assert_eq!(all, 1.0, "{name}: nothing else");
        let unconnected =
            balancer.metric(&format!("balancer_group_connection_errors_total{{target_group=\"{name}\"}}"));
        assert_eq!(unconnected, f64::from(u8::from(*cause == "TargetConnectionRefused")), "{name}");
        if *cause == "TimedOutInBody" {
            continue;
        }
        let error = &status.target(target)["last_error"];
        assert_eq!(error["cause"], *cause, "{name}: {error}");
        let why = error["error"].as_str().unwrap();
        assert!(why.contains(says), "{name}: {why}");
        assert_eq!(why.matches("os error").count(), usize::from(why.contains("(os error")), "{name}: {why}");
        assert!(text.contains(why), "{name}: {why} in {text}");
        // Of too many lines at once some are left out.
        let told = |line: &str| line.contains(cause) && line.contains(target) && line.contains("WARN");
        assert!(number >= 5 || log.lines().any(told), "{name}: {log}");
    }
}

#[test]
fn why_there_is_no_connection() {
    each_is_told(&without_a_connection());
}

#[test]
fn why_there_is_no_response() {
    each_is_told(&without_a_response());
}

#[test]
fn what_is_wrong_with_a_response() {
    each_is_told(&with_an_invalid_response());
}

#[test]
fn what_ends_a_response_within_its_body() {
    each_is_told(&within_the_body());
}

#[test]
fn why_a_check_fails_is_told_in_the_same_words() {
    let faults = without_a_response();
    let names = ["closed", "reset", "refused-stream", "goaway-unseen", "rst-2", "rst-8", "mute"];
    let faults: Vec<&Fault> = faults.iter().filter(|fault| names.contains(&fault.name.as_str())).collect();
    assert_eq!(faults.len(), names.len());
    let targets: Vec<String> = faults.iter().map(|fault| fault.target.clone()).collect();
    let mut balancer =
        Balancer::prepare(&Config::with(Group::of("app", &targets).line("protocol_version = \"HTTP2\"")));
    balancer.run();
    for Fault { name, target, cause, says, .. } in faults {
        let status = balancer.wait_status(&format!("{name} is unhealthy"), 60.0, |status| {
            status.state(target) == "unhealthy" && !status.target(target)["check_error"].is_null()
        });
        let error = &status.target(target)["check_error"];
        assert_eq!(error["cause"], *cause, "{name}: {error}");
        assert!(error["error"].as_str().unwrap().contains(says), "{name}: {error}");
    }
}

#[test]
fn tls_without_http_2_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "target", &["127.0.0.1"]);
    let nginx = support::nginx::Nginx::tls(&certificate, "");
    let plain = listen(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        read_on(&stream);
    });
    for (target, says) in [(&nginx.address, "NoApplicationProtocol"), (&plain, "")] {
        let group = Group::of("app", std::slice::from_ref(target));
        let group = group.line("protocol_version = \"HTTP2\"").https().unchecked();
        let balancer = Balancer::start(&Config::with(group).http2());
        assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 502);
        let status = balancer.status();
        let error = &status.target(target)["last_error"];
        assert_eq!(error["cause"], "TargetTlsFailed", "{error}");
        assert!(error["error"].as_str().unwrap().contains(says), "{error}");
        assert_eq!(status.target(target)["tls_negotiation_errors"], 1);
        assert_eq!(
            balancer.metric("balancer_failures_total{target_group=\"app\",cause=\"TargetTlsFailed\"}"),
            1.0
        );
    }
}
