//! What the balancer says of itself: admin endpoint, status command, log.

use std::process::Command;

use support::{Balancer, Config, Group, Target, balancer::binary};

#[test]
fn the_admin_endpoint_answers() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let mut client = balancer.client();
    client.get("/");
    client.get("/");
    assert_eq!(balancer.admin_page("/healthz").status, 200);
    assert_eq!(balancer.admin_page("/nothing").status, 404);
    let label = format!("{{target_group=\"app\",target=\"{}\"}}", target.address);
    assert_eq!(balancer.metric(&format!("balancer_target_requests_total{label}")), 2.0);
    assert_eq!(
        balancer.metric("balancer_stickiness_decisions_total{target_group=\"app\",outcome=\"pinned\"}"),
        1.0
    );
    assert_eq!(balancer.metric("balancer_requests_total"), 2.0);
    let status = balancer.status();
    assert_eq!((status.total("requests"), status.decisions("absent")), (2, 1));
    assert_eq!(status.target(&target.address)["responses"]["2xx"], 2);
}

#[test]
fn the_status_command_says_the_same() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    balancer.connect().get("/", "");
    let status = |arguments: &[&str]| {
        let admin = balancer.admin.to_string();
        Command::new(binary()).arg("status").args(arguments).args(["--admin", &admin]).output().unwrap()
    };
    let json = status(&["--json"]);
    assert!(json.status.success());
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["target_groups"][0]["targets"][0]["requests"], 1);
    assert_eq!(document["listeners"][0]["name"], "web");
    let text = String::from_utf8(status(&[]).stdout).unwrap();
    assert!(text.contains(&target.address) && text.contains("healthy"), "{text}");
}

#[test]
fn status_without_a_balancer_is_exit_1() {
    let admin = format!("127.0.0.1:{}", support::ports::free());
    let output = Command::new(binary()).args(["status", "--admin", &admin]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&admin));
}

#[test]
fn secrets_and_sessions_are_not_logged() {
    let target = Target::sessions();
    let config =
        Config::with(Group::new("app", &[&target]).app_cookie("SESSIONID")).process("log_level = \"debug\"");
    let balancer = Balancer::start(&config);
    let mut client = balancer.client();
    for _ in 0..5 {
        client.get("/");
    }
    let (log, page) = (balancer.log(), balancer.admin_page("/metrics").text());
    for (name, value) in &client.jar {
        assert!(value == "_remove_" || !(log.contains(value) || page.contains(value)), "{name} is told");
    }
    let key = std::fs::read(balancer.folder().join("state/stickiness.key")).unwrap();
    let hex: String = key.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    assert!(!log.contains(&hex));
}

#[test]
fn the_log_can_be_json() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).process("log_format = \"json\""));
    let log = balancer.log();
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
