//! Real clients that would rather change to HTTP/2, before a real server that would do so: they are served, and the rules
//! hold.

use std::{path::Path, process::Command};

use support::{Balancer, Config, Group, apps::App};

const FORBIDDEN: &str = "action {\ntype = \"fixed-response\"\nfixed_response {\ncontent_type = \"text/plain\"\n\
                         status_code = \"403\"\n}\n}";

fn before_hypercorn() -> Option<(Balancer, support::apps::Running)> {
    let running = App::Hypercorn.start_if_installed()?;
    let group = Group::of("app", std::slice::from_ref(&running.address));
    let config = Config::with(group).path_rule(1, "/forbidden", FORBIDDEN);
    Some((Balancer::start(&config), running))
}

/// What the application was asked: in HTTP/1.1, and without a word of changing that.
fn assert_asked(answer: &str, method: &str, body: &str) {
    let said: serde_json::Value = serde_json::from_str(answer).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(
        (&said["version"], &said["method"], &said["body"]),
        (&"1.1".into(), &method.into(), &body.into())
    );
    let fields: Vec<&str> =
        said["fields"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(fields.contains(&"x-forwarded-for"), "{answer}");
    for withheld in ["upgrade", "http2-settings", "connection"] {
        assert!(!fields.contains(&withheld), "{answer}");
    }
}

#[test]
fn curl_that_asks_for_http_2_is_served_before_hypercorn() {
    let Some((balancer, _running)) = before_hypercorn() else { return };
    let curl = |path: &str, arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "--http2", "-w", "\n%{http_code} %{http_version}"])
            .args(arguments)
            .arg(format!("http://{}{path}", balancer.address))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (body.to_owned(), status.to_owned())
    };
    let (body, status) = curl("/", &[]);
    assert_eq!(status, "200 1.1");
    assert_asked(&body, "GET", "");
    let (body, status) = curl("/", &["--data", "hello"]);
    assert_eq!(status, "200 1.1");
    assert_asked(&body, "POST", "hello");
    assert_eq!(curl("/forbidden", &[]).1, "403 1.1");
    assert_eq!(balancer.status().total("tunnels_opened"), 0);
}

#[test]
fn what_follows_an_offer_of_h2c_is_held_to_the_rules() {
    let Some((balancer, _running)) = before_hypercorn() else { return };
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
fn javas_client_is_served_before_hypercorn() {
    if !Path::new("/usr/bin/javac").exists() {
        eprintln!("skipped: there is no /usr/bin/javac, Debian's default-jdk-headless has it");
        return;
    }
    let Some((balancer, _running)) = before_hypercorn() else { return };
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
