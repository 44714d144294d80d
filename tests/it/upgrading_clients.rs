//! Real clients that would rather change to HTTP/2, before real servers that would do so: they are served, and the rules
//! hold.

use std::{path::Path, process::Command};

use support::{
    Balancer, Config, Group,
    apps::{App, Running, has_java},
};

const FORBIDDEN: &str = "action {\ntype = \"fixed-response\"\nfixed_response {\ncontent_type = \"text/plain\"\n\
                         status_code = \"403\"\n}\n}";

/// A balancer before one of them, which is asked in this version.
fn before_one(app: App, version: &str) -> Option<(Balancer, Running)> {
    let running = app.start_if_installed()?;
    let group = Group::of("app", std::slice::from_ref(&running.address));
    let group = group.line(&format!("protocol_version = \"{version}\""));
    let config = Config::with(group).http2().path_rule(1, "/forbidden", FORBIDDEN);
    Some((Balancer::start(&config), running))
}

fn before(app: App) -> Option<(Balancer, Running)> {
    before_one(app, "HTTP1")
}

/// What the application was asked: in this version, and without a word of changing that.
fn assert_asked_in(version: &str, answer: &str, method: &str, body: &str) {
    let said: serde_json::Value = serde_json::from_str(answer).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(
        (&said["version"], &said["method"], &said["body"]),
        (&version.into(), &method.into(), &body.into())
    );
    let fields: Vec<&str> =
        said["fields"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(fields.contains(&"x-forwarded-for"), "{answer}");
    for withheld in ["upgrade", "http2-settings", "connection"] {
        assert!(!fields.contains(&withheld), "{answer}");
    }
}

fn assert_asked(answer: &str, method: &str, body: &str) {
    assert_asked_in("1.1", answer, method, body);
}

/// What curl gets, and the status and version of it.
fn curl(balancer: &Balancer, path: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "-w", "\n%{http_code} %{http_version}"])
        .args(arguments)
        .arg(format!("http://{}{path}", balancer.address))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (body.to_owned(), status.to_owned())
}

fn serves_curl(app: App) {
    let Some((balancer, _running)) = before(app) else { return };
    let (body, status) = curl(&balancer, "/", &["--http2"]);
    assert_eq!(status, "200 1.1");
    assert_asked(&body, "GET", "");
    let (body, status) = curl(&balancer, "/", &["--http2", "--data", "hello"]);
    assert_eq!(status, "200 1.1");
    assert_asked(&body, "POST", "hello");
    assert_eq!(curl(&balancer, "/forbidden", &["--http2"]).1, "403 1.1");
    assert_eq!(balancer.status().total("tunnels_opened"), 0);
}

#[test]
fn curl_that_asks_for_http_2_is_served_before_hypercorn() {
    serves_curl(App::Hypercorn);
}

#[test]
fn curl_that_asks_for_http_2_is_served_before_jetty() {
    serves_curl(App::Jetty);
}

fn holds_offers_to_the_rules(app: App) {
    let Some((balancer, _running)) = before(app) else { return };
    let mut connection = balancer.connect();
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    for _ in 0..3 {
        let response = connection.get("/", offer);
        assert_eq!(response.status, 200);
        assert_asked(&response.text(), "GET", "");
        assert_eq!(connection.get("/forbidden", offer).status, 403);
    }
    // What would be a request of HTTP/2 in a tunnel is none here.
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(connection.response().status >= 400);
}

#[test]
fn what_follows_an_offer_of_h2c_is_held_to_the_rules() {
    holds_offers_to_the_rules(App::Hypercorn);
    holds_offers_to_the_rules(App::Jetty);
}

fn serves_java(app: App) {
    if !has_java() {
        return;
    }
    let Some((balancer, _running)) = before(app) else { return };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/clients/Upgrading.java");
    let urls = ["/", "/forbidden"].map(|path| format!("http://{}{path}", balancer.address));
    let output = Command::new("java").arg(source).args(urls).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let [get, post, forbidden @ ..] = lines.as_slice() else { panic!("{text}") };
    for (line, method, body) in [(get, "GET", ""), (post, "POST", "hello")] {
        assert_asked(line.strip_prefix("200 HTTP_1_1 ").unwrap_or_else(|| panic!("{line}")), method, body);
    }
    assert_eq!(forbidden.iter().map(|line| line.trim_end()).collect::<Vec<_>>(), ["403 HTTP_1_1"; 2]);
}

#[test]
fn javas_client_is_served_before_hypercorn() {
    serves_java(App::Hypercorn);
}

#[test]
fn javas_client_is_served_before_jetty() {
    serves_java(App::Jetty);
}

#[test]
fn jetty_is_asked_in_http_2_where_its_group_says_so() {
    let Some((balancer, _running)) = before_one(App::Jetty, "HTTP2") else { return };
    for (arguments, method, body) in [(&[][..], "GET", ""), (&["--data", "hello"], "POST", "hello")] {
        let arguments = [&["--http2-prior-knowledge"], arguments].concat();
        let (answer, status) = curl(&balancer, "/", &arguments);
        assert_eq!(status, "200 2");
        assert_asked_in("2.0", &answer, method, body);
        assert_eq!(curl(&balancer, "/forbidden", &arguments).1, "403 2");
    }
    // Who does not begin with it has it not, and the targets speak nothing else.
    assert_eq!(curl(&balancer, "/", &["--http2"]).1, "464 1.1");
    assert_eq!(balancer.status().total("target_connects"), 1);
}
