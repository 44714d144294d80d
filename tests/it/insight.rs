//! What an operator is told without asking for it, and finds where things are not as expected: start, reload, health,
//! floods of log lines, the admin endpoint under idle connections and foreign names.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use support::{
    Balancer, Config, Connection, Group, Target, balancer::binary, http2, ports, tls::Certificate, until,
};

#[test]
fn the_start_tells_what_runs_where() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let version = balancer.status().0["version"].as_str().unwrap().to_owned();
    let line = |words: &[&str]| _ = balancer.wait_log_line(words);
    line(&["starts", &version, &balancer.config_path().display().to_string()]);
    line(&["listening", "web", &balancer.address.to_string()]);
    line(&["admin", &balancer.admin.to_string()]);
    line(&["kernel_assist"]);
}

#[test]
fn a_reload_tells_what_it_changes() {
    let [first, second] = [Target::plain(), Target::plain()];
    let balancer = Balancer::start(&Config::new(&[&first]));
    let condition = ["path_pattern { values = [\"/x\"] }"];
    balancer.reload(&Config::new(&[&second]).rule(7, &condition, "app").attribute("idle_timeout = 7"));
    let changes = balancer.wait_log_lines(&["changed: "], 3);
    let told = |words: &[&str]| changes.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told(&["target group app", "removed", &first.address, "added", &second.address]), "{changes:?}");
    assert!(told(&["listener web", "rule", "added"]), "{changes:?}");
    assert!(told(&["load balancer main", "settings (idle_timeout)"]), "{changes:?}");
    assert_eq!(changes.len(), 3, "{changes:?}");
    let sticky = Group::new("app", &[&second]).lb_cookie();
    balancer.reload(&Config::with(sticky).rule(7, &condition, "app").attribute("idle_timeout = 7"));
    balancer.wait_log("changed: target group app: settings (stickiness)");
}

#[test]
fn a_refused_reload_is_seen_until_one_is_taken_up() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let balancer = Balancer::start(&config);
    assert!(balancer.status().0["refused_reload"].is_null());
    balancer.write_text("nonsense \"x\" {}\n");
    balancer.signal(Signal::HUP);
    let status = balancer.wait_status("it is told", 10.0, |status| !status.0["refused_reload"].is_null());
    let why = status.0["refused_reload"]["error"].as_str().unwrap();
    assert!(why.contains("balancer.hcl:1:1") && why.contains("nonsense"), "{why}");
    let text = text_status(&balancer);
    assert!(text.contains("RELOAD REFUSED") && text.contains("nonsense"), "{text}");
    balancer.reload(&config);
    assert!(balancer.status().0["refused_reload"].is_null());
}

fn text_status(balancer: &Balancer) -> String {
    let admin = balancer.admin.to_string();
    let output = Command::new(binary()).args(["status", "--admin", &admin]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_target_that_becomes_unhealthy_is_a_warning_with_the_cause() {
    let dead = format!("127.0.0.1:{}", ports::free());
    let mut balancer = Balancer::prepare(&Config::with(Group::of("app", std::slice::from_ref(&dead))));
    balancer.run();
    let status = balancer.wait_status("it is unhealthy", 60.0, |status| status.state(&dead) == "unhealthy");
    let error = &status.target(&dead)["check_error"];
    assert_eq!(error["cause"], "TargetConnectionRefused");
    assert_eq!(error["error"].as_str().unwrap().matches("Connection refused (os error 111)").count(), 1);
    // ALB's words stay as they are.
    assert_eq!(status.target(&dead)["description"], "Health checks failed");
    let line = balancer.wait_log_line(&["target state"]);
    assert!(line.contains("WARN") && line.contains("Connection refused (os error 111)"), "{line}");
    let text = text_status(&balancer);
    assert!(text.contains("health check") && text.contains("Connection refused"), "{text}");
}

#[test]
fn what_gets_no_requests_has_no_weight() {
    let target = Target::plain();
    let dead = format!("127.0.0.1:{}", ports::free());
    let group = Group::of("app", &[target.address.clone(), dead.clone()]);
    let mut balancer = Balancer::prepare(&Config::with(group));
    balancer.run();
    let weights = |status: &support::Status| {
        [&target.address, &dead].map(|address| status.target(address)["weight"].as_f64().unwrap())
    };
    balancer.wait_status("one has a weight", 60.0, |status| {
        status.state(&dead) == "unhealthy" && weights(status) == [1.0, 0.0]
    });
    // One that is not healthy gets requests where no other one does.
    balancer.reload(&Config::with(Group::of("app", std::slice::from_ref(&dead))));
    balancer.wait_status("it has a weight", 60.0, |status| {
        status.find(&dead).is_some_and(|dead| dead["weight"] == 1.0)
    });
}

#[test]
fn names_that_do_not_resolve_are_shown() {
    let target = Target::plain();
    let group = Group::of("app", &[target.address.clone(), "no-such-host.invalid:80".to_owned()]);
    let balancer = Balancer::start(&Config::with(group));
    let status = balancer.wait_status("the name is told", 20.0, |status| {
        !status.0["unresolved_names"]["no-such-host.invalid"].is_null()
    });
    let error = &status.0["unresolved_names"]["no-such-host.invalid"];
    assert!(!error["error"].as_str().unwrap().is_empty(), "{error}");
    assert!(text_status(&balancer).contains("no-such-host.invalid cannot be resolved"));
}

#[test]
fn a_certificate_that_stands_twice_at_a_listener_is_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let config = Config::new(&[&target]).https(&certificate);
    let mut balancer = Balancer::prepare(&config);
    let again = "listener_certificate \"again\" {\nlistener_arn = listener.web.arn\ncertificate_arn = certificate.main.arn\n}\n";
    balancer.write_text(&(balancer.text(&config) + again));
    balancer.run();
    balancer.wait_until_settled();
    assert_eq!(balancer.status().0["certificates"].as_array().unwrap().len(), 1);
    let series = balancer.admin_page("/metrics").text();
    let series = series.lines().filter(|line| line.starts_with("balancer_certificate_not_after"));
    assert_eq!(series.count(), 1);
}

#[test]
fn certificates_are_shown_with_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).https(&certificate));
    let status = balancer.status();
    let shown = &status.0["certificates"][0];
    assert_eq!((&shown["name"], &shown["listener"]), (&"main".into(), &"web".into()));
    assert!(shown["expires_in_seconds"].as_i64().unwrap() > 0, "{shown}");
    let seconds = balancer.metric("balancer_certificate_not_after_timestamp_seconds{certificate=\"main\"}");
    assert_eq!(shown["not_after_seconds"].as_f64().unwrap(), seconds);
    assert!(text_status(&balancer).contains("certificate main of listener web: expires in"));
}

#[test]
fn clients_cannot_fill_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).https(&certificate));
    let before = balancer.log().lines().count();
    let flood = 300;
    for _ in 0..flood {
        let mut stream = TcpStream::connect(balancer.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00").unwrap();
        // Until the balancer ends it.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let failed = "balancer_client_tls_negotiation_errors_total";
    until("all are counted", 10.0, || (balancer.metric(failed) >= f64::from(flood)).then_some(()));
    let told = balancer.wait_log_line(&["TLS handshake"]);
    let log = balancer.log();
    let lines = log.lines().count() - before;
    assert!(lines <= 60, "{lines} lines for {flood} handshakes:\n{log}");
    assert!(told.contains("client=127.0.0.1:") && told.contains("listener="), "{told}");
    assert!(!log.lines().any(|line| line.contains("rustls")), "{log}");
    let suppressed = || balancer.metric("balancer_log_suppressed_total{kind=\"client_tls\"}");
    assert!(suppressed() >= f64::from(flood) - 60.0, "{}", suppressed());
    until("what was left out is told", 30.0, || balancer.log().contains("left_out=").then_some(()));
}

#[test]
fn violations_of_http_2_are_told_with_their_client_and_few_at_a_time() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let before = balancer.log().lines().count();
    for _ in 0..100 {
        let mut connection = http2::Connection::open(balancer.address);
        // DATA belongs to a stream (RFC 9113, section 6.1).
        connection.frame(http2::kind::DATA, 0, 0, "x");
        while connection.read().is_some() {}
    }
    let told = balancer.wait_log_line(&["violated HTTP/2"]);
    let log = balancer.log();
    let lines = log.lines().count() - before;
    assert!((1..=40).contains(&lines), "{lines} lines for 100 violations:\n{log}");
    assert!(told.contains("client=127.0.0.1:") && told.contains("listener="), "{told}");
    assert!(balancer.metric("balancer_log_suppressed_total{kind=\"client_http2\"}") >= 60.0);
}

#[test]
fn idle_connections_do_not_hold_up_the_admin_endpoint() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let idle: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(balancer.admin).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            }
            stream
        })
        .collect();
    for page in ["/healthz", "/metrics", "/status"] {
        let began = Instant::now();
        assert_eq!(balancer.admin_page(page).status, 200);
        // Who says nothing has 10 s there, or until somebody else wants the place.
        assert!(began.elapsed() < Duration::from_secs(9), "{page} took {:?}", began.elapsed());
    }
    drop(idle);
}

#[test]
fn the_admin_endpoint_is_asked_by_its_own_names_alone() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).process("admin_hosts = [\"metrics.example\"]"));
    let ask = |host: &str| {
        let mut connection = Connection::open(balancer.admin);
        connection.send(format!("GET /status HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        connection.response()
    };
    let port = balancer.admin.port();
    for host in ["localhost", "127.0.0.1", "[::1]", "metrics.example", "Metrics.Example."] {
        assert_eq!(ask(host).status, 200, "{host}");
        assert_eq!(ask(&format!("{host}:{port}")).status, 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "example", "192.0.2.1"] {
        let response = ask(&format!("{host}:{port}"));
        assert_eq!(response.status, 421, "{host}");
        assert!(response.text().contains("admin_hosts"), "{}", response.text());
    }
}

/// Asks for the metrics by this Accept field.
fn metrics(balancer: &Balancer, accept: &str) -> (String, String) {
    let mut connection = Connection::open(balancer.admin);
    let field = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    connection.send(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{field}\r\n"));
    let response = connection.response();
    assert_eq!(response.status, 200);
    (response.header("content-type").to_owned(), response.text())
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    balancer.connect().get("/", "");
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                      q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for accept in [prometheus, "application/openmetrics-text"] {
        let (kind, text) = metrics(&balancer, accept);
        assert!(kind.starts_with("application/openmetrics-text"), "{accept}: {kind}");
        assert!(text.ends_with("# EOF\n") && text.contains("# TYPE balancer_build info"), "{text}");
    }
    for accept in ["", "*/*", "text/plain", "text/plain;version=0.0.4;q=1,*/*;q=0.1"] {
        let (kind, text) = metrics(&balancer, accept);
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{accept}: {kind}");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
        assert!(text.contains("# TYPE balancer_build_info gauge\n"), "{text}");
        assert!(text.contains("# TYPE balancer_requests_total counter\n"), "{text}");
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "untyped"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        }
    }
}

#[test]
fn promtool_reads_the_metrics() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    balancer.connect().get("/", "");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there");
    let (_, text) = metrics(&balancer, "text/plain");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(said.is_empty() && output.status.success(), "{:?} {said}", output.status);
}
