//! Why a request failed: one word in access log and metrics, and a line in the log that names group, target and what the
//! system said.

use std::path::PathBuf;

use support::{
    Answer, Balancer, Config, Group, Target,
    access_log::{Line, wait_for},
    http2::Connection,
    ports, until,
};

/// What a target answers to a path, how it goes on, what the client gets, and why.
const FAULTS: [(&str, &str, Answer, u16, &str); 14] = [
    ("/closed", "", Answer::Close, 502, "TargetClosedBeforeHead"),
    ("/reset", "", Answer::Reset, 502, "TargetResetBeforeHead"),
    ("/closed-in-head", "HTTP/1.1 200 OK\r\nContent-", Answer::Close, 502, "TargetClosedInHead"),
    ("/reset-in-head", "HTTP/1.1 200 OK\r\nContent-", Answer::Reset, 502, "TargetResetInHead"),
    ("/ssh", "SSH-2.0-OpenSSH_9.2\r\n\r\n", Answer::Close, 502, "TargetStatusLineInvalid"),
    ("/status", "HTTP/1.1 20 OK\r\n\r\n", Answer::Close, 502, "TargetStatusLineInvalid"),
    ("/field", "HTTP/1.1 200 OK\r\nNo Name: 1\r\n\r\n", Answer::Close, 502, "TargetHeaderInvalid"),
    (
        "/length",
        "HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n",
        Answer::Close,
        502,
        "TargetContentLengthInvalid",
    ),
    (
        "/lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        Answer::Close,
        502,
        "TargetContentLengthsDiffer",
    ),
    (
        "/upgrade",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        Answer::Close,
        502,
        "TargetUpgradeInvalid",
    ),
    ("/short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Answer::Close, 200, "TargetClosedInBody"),
    ("/cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Answer::Reset, 200, "TargetResetInBody"),
    (
        "/chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
        Answer::Close,
        200,
        "TargetBodyInvalid",
    ),
    ("/late", "", Answer::KeepAlive, 504, "TargetTimedOut"),
];

fn faulty() -> Target {
    Target::start(|exchange| {
        let path = exchange.request.target.clone();
        match path.as_str() {
            "/large" => exchange.ok(&format!("X-Long: {}\r\n", "a".repeat(10_000)).repeat(4), ""),
            "/fields" => exchange.ok(&"X-Field: 1\r\n".repeat(201), ""),
            path => {
                let (_, bytes, then, ..) = FAULTS.iter().find(|fault| fault.0 == path).unwrap();
                exchange.send(bytes);
                if path == "/late" {
                    // Waits for the balancer to give up.
                    drop(exchange.reader.fill());
                }
                *then
            }
        }
    })
}

fn logging(config: &Config, format: &str) -> (Balancer, PathBuf) {
    let mut balancer = Balancer::prepare(config);
    let path = balancer.folder().join("access.log");
    let block = format!(
        "  access_logs {{\n    enabled = true\n    path = \"{}\"\n    format = \"{format}\"\n  }}",
        path.display()
    );
    balancer.write(&config.clone().attribute(&block));
    balancer.run();
    balancer.wait_until_settled();
    (balancer, path)
}

/// Each fault once: path, what the client gets, why.
fn faults() -> Vec<(&'static str, u16, &'static str)> {
    let mut all: Vec<_> = FAULTS.iter().map(|(path, _, _, status, cause)| (*path, *status, *cause)).collect();
    all.push(("/large", 502, "TargetHeadTooLarge"));
    all.push(("/fields", 502, "TargetHeaderCountTooLarge"));
    all
}

fn every_fault_is_told(config: &Config, ask: impl Fn(&Balancer, &str)) {
    let (balancer, path) = logging(config, "alb");
    let faults = faults();
    for (number, (request, status, cause)) in faults.iter().enumerate() {
        ask(&balancer, request);
        let line: Line = wait_for(&path, number + 1).remove(number);
        line.expect(&[("elb_status_code", &status.to_string()), ("error_reason", cause)]);
        assert!(line["request"].contains(request), "{line}");
    }
    for (_, _, cause) in &faults {
        let times = faults.iter().filter(|fault| fault.2 == *cause).count();
        let labels = format!("{{target_group=\"app\",cause=\"{cause}\"}}");
        assert_eq!(balancer.metric(&format!("balancer_failures_total{labels}")), times as f64, "{cause}");
    }
    // Each of those connections was there: what CloudWatch calls connection errors are others.
    assert_eq!(balancer.metric("balancer_group_connection_errors_total{target_group=\"app\"}"), 0.0);
    assert_eq!(balancer.metric("balancer_target_connection_errors_total"), 0.0);
}

#[test]
fn every_fault_of_a_target_is_told_by_its_cause() {
    let target = faulty();
    let config = Config::with(Group::new("app", &[&target]).unchecked()).attribute("idle_timeout = 1");
    every_fault_is_told(&config, |balancer, path| {
        let mut connection = balancer.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let _ = connection.try_response();
    });
}

#[test]
fn http_2_clients_change_nothing_of_that() {
    let target = faulty();
    let group = Group::new("app", &[&target]).unchecked();
    let config = Config::with(group).attribute("idle_timeout = 1").http2();
    every_fault_is_told(&config, |balancer, path| {
        let mut connection = Connection::open(balancer.address);
        let stream = connection.get(path, &[]);
        connection.outcome(stream);
    });
}

#[test]
fn a_refused_connection_is_told_with_its_target_and_what_the_system_said() {
    let dead = format!("127.0.0.1:{}", ports::free());
    let config = Config::with(Group::of("app", std::slice::from_ref(&dead)).unchecked());
    let (balancer, path) = logging(&config, "json");
    assert_eq!(balancer.connect().get("/", "").status, 502);
    let line = until("the line is written", 10.0, || {
        let text = std::fs::read_to_string(&path).ok()?;
        serde_json::from_str::<serde_json::Value>(text.lines().next()?).ok()
    });
    assert_eq!(line["error_reason"], "TargetConnectionRefused");
    assert_eq!(
        balancer.metric("balancer_failures_total{target_group=\"app\",cause=\"TargetConnectionRefused\"}"),
        1.0
    );
    assert_eq!(
        balancer.metric("balancer_errors_total{listener=\"web\",cause=\"TargetConnectionRefused\"}"),
        1.0
    );
    assert_eq!(balancer.metric("balancer_group_connection_errors_total{target_group=\"app\"}"), 1.0);
    let told = balancer.wait_log_line(&["TargetConnectionRefused"]);
    assert!(told.contains("WARN") && told.contains("target_group=app") && told.contains(&dead), "{told}");
    assert_eq!(told.matches("Connection refused").count(), 1, "{told}");
    assert_eq!(told.matches("os error 111").count(), 1, "{told}");
    let status = balancer.status();
    let error = &status.target(&dead)["last_error"];
    assert_eq!(error["cause"], "TargetConnectionRefused");
    assert!(error["age_seconds"].as_u64().unwrap() < 60, "{error}");
    // However often: the same failure of a target is told once in a while.
    for _ in 0..200 {
        balancer.connect().get("/", "");
    }
    let lines = balancer.log().lines().filter(|line| line.contains("TargetConnectionRefused")).count();
    assert!(lines <= 20, "{lines} lines for 201 failures");
    assert!(balancer.metric("balancer_log_suppressed_total{kind=\"target_failure\"}") >= 180.0);
}

#[test]
fn the_balancers_own_refusals_have_a_cause_too() {
    let target = Target::plain();
    let config = Config::new(&[&target]).attribute("idle_timeout = 1");
    let (balancer, path) = logging(&config, "alb");
    let many = vec!["192.0.2.1"; 31].join(", ");
    let requests = [
        ("BAD\r\n\r\n".to_owned(), "RequestInvalid"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "MethodNotAllowed"),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {many}\r\n\r\n"),
            "TooManyForwardedAddresses",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\n".to_owned(), "RequestTimedOut"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)), "RequestLineTooLong"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(17_000)), "RequestHeadTooLarge"),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), "HttpVersionUnknown"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
            "RequestInvalid",
        ),
    ];
    for (number, (request, cause)) in requests.iter().enumerate() {
        let mut connection = balancer.connect();
        let _ = connection.try_send(request);
        let _ = connection.try_response();
        wait_for(&path, number + 1).remove(number).expect(&[("error_reason", cause)]);
    }
    assert_eq!(balancer.metric("balancer_errors_total{listener=\"web\",cause=\"RequestInvalid\"}"), 2.0);
}

#[test]
fn nobody_to_send_to_is_told_apart_from_nobody_who_answers() {
    let (balancer, path) = logging(&Config::with(Group::of("app", &[])), "alb");
    assert_eq!(balancer.connect().get("/", "").status, 503);
    wait_for(&path, 1).remove(0).expect(&[("elb_status_code", "503"), ("error_reason", "NoTarget")]);
    assert_eq!(balancer.metric("balancer_failures_total{target_group=\"app\",cause=\"NoTarget\"}"), 1.0);
    let told = || balancer.log().lines().filter(|line| line.contains("cause=\"NoTarget\"")).count();
    let line = balancer.wait_log_line(&["cause=\"NoTarget\""]);
    assert!(line.contains("WARN") && line.contains("target_group=app") && line.contains("503"), "{line}");
    for _ in 0..200 {
        assert_eq!(balancer.connect().get("/", "").status, 503);
    }
    assert!(told() <= 3, "{}", balancer.log());
    assert!(balancer.metric("balancer_log_suppressed_total{kind=\"no_target\"}") >= 190.0);
}
