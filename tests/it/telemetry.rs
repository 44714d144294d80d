//! What the balancer says of itself: admin endpoint, status command, log.

use std::process::Command;

use support::{Answer, Balancer, Config, Group, Target, balancer::binary, http2, until};

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

const WEB: &str = "{load_balancer=\"main\",listener=\"web\"}";
const APP: &str = "{target_group=\"app\"}";

#[test]
fn listeners_and_groups_have_figures_of_their_own() {
    let target = Target::start(|exchange| {
        if exchange.request.headers.get("upgrade").is_some() {
            exchange.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            );
            return Answer::Close;
        }
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let status = exchange.request.target.trim_start_matches('/').to_owned();
        exchange.send(format!("HTTP/1.1 {status} Fine\r\nContent-Length: 0\r\n\r\n"));
        Answer::KeepAlive
    });
    let config = Config::new(&[&target]).http2();
    let balancer = Balancer::start(&config);
    let accepted =
        |balancer: &Balancer| balancer.metric(&format!("balancer_connections_accepted_total{WEB}"));
    let before = accepted(&balancer);
    let mut connection = balancer.connect();
    for status in [200, 204, 404] {
        assert_eq!(connection.get(&format!("/{status}"), "").status, status);
    }
    assert_eq!(http2::Connection::open(balancer.address).status_of("/500", &[]), 500);
    balancer.connect().send("BAD\r\n\r\n").response();
    let mut upgraded = balancer.connect();
    upgraded.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(upgraded.reader().response_head().unwrap().unwrap().status, 101);
    assert!(upgraded.is_closed());
    drop(upgraded);
    let count = |name: &str, labels: &str| balancer.metric(&format!("{name}{labels}"));
    until("all requests are over", 10.0, || {
        (count("balancer_request_duration_seconds_count", WEB) == 5.0).then_some(())
    });
    assert_eq!(accepted(&balancer) - before, 4.0);
    until("ended connections are not counted", 10.0, || {
        (count("balancer_connections_active", WEB) == 1.0).then_some(())
    });
    let up_to = |family: &str, labels: &str, bound: &str| {
        let labels = labels.trim_end_matches('}');
        balancer.metric(&format!("{family}_bucket{{le=\"{bound}\",{}}}", labels.trim_start_matches('{')))
    };
    assert_eq!(up_to("balancer_request_duration_seconds", WEB, "1.0"), 1.0, "the one that was refused");
    assert_eq!(
        up_to("balancer_target_response_time_seconds", APP, "1.0"),
        1.0,
        "the one that became a tunnel"
    );
    assert_eq!(up_to("balancer_target_response_time_seconds", APP, "+Inf"), 5.0);
    assert!(count("balancer_target_response_time_seconds_sum", APP) >= 4.4);
    assert_eq!(count("balancer_group_requests_with_target_total", APP), 5.0);
    let class = |class: &str| {
        count("balancer_group_responses_total", &format!("{{target_group=\"app\",class=\"{class}\"}}"))
    };
    assert_eq!(["1xx", "2xx", "3xx", "4xx", "5xx"].map(class), [1.0, 2.0, 0.0, 1.0, 1.0]);
    assert_eq!(count("balancer_healthy_host_count", APP), 1.0);
    // The figures of a group outlive its targets, and reloads.
    let other = Target::plain();
    balancer.reload(&Config::new(&[&other]).http2());
    assert_eq!(class("2xx"), 2.0);
    assert_eq!(count("balancer_request_duration_seconds_count", WEB), 5.0);
}

/// A redirect for all but paths that begin with `/app`.
fn second_listener(port: u16) -> String {
    format!(
        "listener \"second\" {{\n  port = {port}\n  protocol = \"HTTP\"\n  http2_prior_knowledge = true\n  default_action {{\n    \
         type = \"redirect\"\n    redirect {{\n      status_code = \"HTTP_302\"\n      path = \"/elsewhere\"\n    }}\n  }}\n}}\n\
         listener_rule \"app\" {{\n  listener_arn = listener.second.arn\n  priority = 1\n  action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.app.arn\n  }}\n  condition {{\n    path_pattern {{\n      values = [\"/app*\"]\n    \
         }}\n  }}\n}}\n"
    )
}

#[test]
fn what_clients_do_is_counted_by_listener() {
    let target = Target::plain();
    let port = support::ports::free();
    let second: std::net::SocketAddr = ([127, 0, 0, 1], port).into();
    let both = Config::new(&[&target]).more(&second_listener(port));
    let balancer = Balancer::start(&both);
    let figure = |name: &str, listener: &str, more: &str| {
        balancer.metric(&format!("{name}{{load_balancer=\"main\",listener=\"{listener}\"{more}}}")) as u64
    };
    let before = ["web", "second"].map(|name| figure("balancer_connections_accepted_total", name, ""));
    for path in ["/", "/app", "/app/2"] {
        balancer.connect().get(path, "");
    }
    let mut connection = support::Connection::open(second);
    assert_eq!(connection.get("/app", "X_Odd: 1\r\n").status, 200);
    assert_eq!(connection.get("/", "").status, 302);
    assert_eq!(
        connection
            .send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
            .response()
            .status,
        400
    );
    let mut http2 = http2::Connection::open(second);
    assert_eq!(http2.status_of("/", &[]), 302);
    assert_eq!(http2.status_of("/app", &[("content-type", "application/grpc")]), 464);
    drop(http2);
    let ended = |name| figure("balancer_connections_active", name, "") == 0;
    until("all connections are closed", 10.0, || (ended("web") && ended("second")).then_some(()));
    for (name, more, [web, other]) in [
        ("balancer_requests_total", "", [3, 4]),
        ("balancer_rule_evaluations_total", "", [0, 4]),
        ("balancer_redirects_total", "", [0, 2]),
        ("balancer_responses_total", ",status=\"400\"", [0, 1]),
        ("balancer_responses_total", ",status=\"464\"", [0, 1]),
        ("balancer_forwarded_invalid_header_requests_total", "", [0, 1]),
        ("balancer_desync_mitigation_non_compliant_requests_total", ",classification=\"Severe\"", [0, 1]),
        ("balancer_http2_connections_opened_total", "", [0, 1]),
        ("balancer_http2_connections_active", "", [0, 0]),
        ("balancer_http2_streams_opened_total", "", [0, 2]),
        ("balancer_http2_streams_active", "", [0, 0]),
    ] {
        assert_eq!(
            ["web", "second"].map(|listener| figure(name, listener, more)),
            [web, other],
            "{name}{more}"
        );
    }
    let accepted = ["web", "second"].map(|name| figure("balancer_connections_accepted_total", name, ""));
    assert_eq!([accepted[0] - before[0], accepted[1] - before[1]], [3, 2]);
    let status = balancer.status();
    for name in ["requests", "bytes_received", "bytes_sent"] {
        let each = |place: usize| status.0["listeners"][place][name].as_u64().unwrap();
        assert!(each(0) > 0 && each(1) > 0, "{name}");
        assert_eq!(each(0) + each(1), status.total(name), "{name}");
    }
    // What a listener counted stays with the process when a reload removes it, and is told again when it is back.
    balancer.reload(&Config::new(&[&target]));
    assert_eq!(balancer.metric("balancer_requests_total"), 3.0);
    assert_eq!(balancer.status().total("requests"), 7);
    balancer.reload(&both);
    assert_eq!(figure("balancer_requests_total", "second", ""), 4);
}

#[test]
fn clients_at_ipv6_addresses_are_counted_apart() {
    let target = Target::plain();
    let config = Config { address: "::1".to_owned(), ..Config::new(&[&target]) };
    let balancer = Balancer::start(&config);
    balancer.connect().get("/", "");
    assert_eq!(balancer.metric("balancer_ipv6_requests_total"), 1.0);
    // What was sent is counted once it is out.
    until("both count the same bytes", 20.0, || {
        let status = balancer.status();
        let bytes = status.total("bytes_received") + status.total("bytes_sent");
        let counted = balancer.metric("balancer_ipv6_processed_bytes_total");
        (bytes > 100 && counted == bytes as f64).then_some(())
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    balancer.connect().get("/", "");
    assert_eq!(balancer.metric("balancer_ipv6_requests_total"), 0.0);
    assert_eq!(balancer.metric("balancer_ipv6_processed_bytes_total"), 0.0);
}
