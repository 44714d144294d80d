//! Targets of HTTP/2 that take a request and not its body, told from clients that do not send it.

use support::{
    Balancer, Config, Group, Target,
    access_log::wait_for,
    http2::{Connection, Outcome, flag, frame, kind},
    http2_target::{answering, listen, speak},
};

const INITIAL_WINDOW: u16 = 4;

fn group(version: &str, target: &str) -> Group {
    Group::of("app", &[target.to_owned()]).line(&format!("protocol_version = \"{version}\"")).unchecked()
}

/// A POST of `length` bytes of which `sent` come, to a target; the status, and why.
fn post(group: Group, content_type: &str, length: usize, sent: usize) -> (u16, String) {
    let config = Config::with(group).attribute("idle_timeout = 1").http2();
    let mut balancer = Balancer::prepare(&config);
    let path = balancer.folder().join("access.log");
    let block = format!("access_logs {{\nenabled = true\npath = \"{}\"\n}}", path.display());
    balancer.write(&config.attribute(&block));
    balancer.run();
    let mut connection = Connection::open(balancer.address);
    let stream =
        connection.post("/", &[("content-length", &length.to_string()), ("content-type", content_type)]);
    let body = vec![0; sent];
    let mut parts = body.chunks(16_000).peekable();
    while let Some(part) = parts.next() {
        connection.data(stream, part, parts.peek().is_none() && sent == length);
    }
    let Outcome::Answer(status, _) = connection.outcome(stream) else { panic!("no answer") };
    let why = wait_for(&path, 1).remove(0)["error_reason"].to_owned();
    let counted =
        balancer.metric(&format!("balancer_failures_total{{target_group=\"app\",cause=\"{why}\"}}"));
    assert_eq!(counted, 1.0, "{why}");
    let own = |status| balancer.status().own(status);
    assert_eq!((own(504), own(408)), (u64::from(status == 504), u64::from(status == 408)));
    let errors = balancer.metric("balancer_target_connection_errors_total");
    assert_eq!(errors, 0.0, "its connection was there");
    (status, why)
}

#[test]
fn a_target_that_gives_no_window_is_504() {
    let not_reading = (504, "TargetNotReading".to_owned());
    for version in ["HTTP2", "GRPC"] {
        // From the start, and once its first bytes are with it.
        let none = answering(&[(INITIAL_WINDOW, 0)], |_, _| true);
        assert_eq!(post(group(version, &none), "application/grpc", 10, 10), not_reading, "{version}");
        assert_eq!(
            post(group(version, &none), "application/grpc", 10, 4),
            not_reading,
            "{version}: half of it"
        );
        let no_more = answering(&[(INITIAL_WINDOW, 1000)], |_, _| true);
        assert_eq!(
            post(group(version, &no_more), "application/grpc", 50_000, 40_000),
            not_reading,
            "{version}"
        );
    }
}

#[test]
fn who_has_taken_all_of_it_and_says_nothing_is_504_for_that() {
    let silent = answering(&[], |_, _| true);
    let timed_out = (504, "TargetTimedOut".to_owned());
    assert_eq!(post(group("HTTP2", &silent), "text/plain", 10, 10), timed_out);
}

#[test]
fn a_client_that_does_not_send_its_body_is_408_whatever_window_there_is() {
    let late = (408, "RequestTimedOut".to_owned());
    let silent = answering(&[], |_, _| true);
    assert_eq!(post(group("HTTP2", &silent), "text/plain", 10, 4), late);
    let none = answering(&[(INITIAL_WINDOW, 0)], |_, _| true);
    assert_eq!(post(group("HTTP2", &none), "text/plain", 10, 0), late, "nothing of it has come");
    let one = Target::heads(|exchange| {
        while matches!(exchange.reader.fill(), Ok(true)) {}
        support::Answer::Close
    });
    assert_eq!(post(group("HTTP1", &one.address), "text/plain", 10, 4), late);
}

#[test]
fn who_gives_window_late_gets_the_whole_body() {
    let target = listen(|stream| {
        let mut come = 0;
        speak(stream, &[(INITIAL_WINDOW, 0)], |connection, next| {
            if next.kind == kind::HEADERS {
                connection.window(next.stream, 3);
            }
            come += if next.kind == kind::DATA { next.payload.len() } else { 0 };
            if next.kind == kind::DATA && next.flags & flag::END_STREAM == 0 {
                connection.window(next.stream, 3);
            }
            if come == 10 {
                connection.send(frame(
                    kind::HEADERS,
                    flag::END_HEADERS | flag::END_STREAM,
                    next.stream,
                    &[0x88],
                ));
            }
            true
        });
    });
    let balancer = Balancer::start(&Config::with(group("HTTP2", &target)).http2());
    let mut connection = Connection::open(balancer.address);
    let stream = connection.post("/", &[]);
    connection.data(stream, b"0123456789", true);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, Vec::new()));
}
