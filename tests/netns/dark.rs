//! Hosts of targets that vanish without a word, with the kernel side and without it.

use std::process::Command;

use support::{Balancer, Config, Group, Target, kernel, until};

use crate::hosts::Host;

/// Whether this can be tried here.
fn can_be(kernel_assist: &str) -> bool {
    kernel::is_root() && (kernel_assist == "off" || kernel::available())
}

/// A host that leaves a request on a kept connection without an answer, where checks alone would take minutes.
#[test]
fn a_host_that_goes_dark_is_noticed_from_what_it_does_not_acknowledge() {
    leaves_data_unanswered("required");
}

#[test]
fn a_host_that_goes_dark_is_noticed_as_soon_without_the_kernel_side() {
    leaves_data_unanswered("off");
}

fn leaves_data_unanswered(kernel_assist: &str) {
    if !can_be(kernel_assist) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.serve(folder.path());
    let here = Target::plain();
    let far = format!("{}:8000", host.far);
    let mut group = Group::of("app", &[here.address.clone(), far.clone()]).algorithm("round_robin");
    group.health_check =
        "path = \"/healthz\"\ninterval = 120\ntimeout = 60\nunhealthy_threshold = 3".to_owned();
    let config = Config::with(group).attribute("connect_timeout = 60").attribute("idle_timeout = 600");
    let balancer = Balancer::start(&config.kernel_assist(kernel_assist));
    balancer.wait_status("both are healthy", 60.0, |status| status.state(&far) == "healthy");
    let reuses = || balancer.status().total("target_reuses");
    let mut client = balancer.connect();
    until("a connection to the far one is kept", 60.0, || {
        let before = reuses();
        (client.get("/healthz", "").text() == "far" && reuses() > before).then_some(())
    });

    host.go_dark();
    for _ in 0..4 {
        let response = client.get("/healthz", "");
        assert_eq!(response.status, 200, "{}", balancer.log());
    }
    let status = balancer.wait_status("it is unhealthy", 60.0, |status| status.state(&far) == "unhealthy");
    assert_eq!(status.target(&far)["reason"], "Target.Timeout");
    assert!(status.target(&far)["connections"]["retransmits"].as_u64() > Some(0));
    assert!(balancer.log().contains("TargetSilent"), "{}", balancer.log());
}

/// One that is connected to anew for each request, where an attempt may last for a minute.
#[test]
fn a_host_that_goes_dark_is_noticed_from_an_attempt_to_connect_that_it_does_not_answer() {
    leaves_attempts_unanswered("required");
}

#[test]
fn an_attempt_to_connect_without_an_answer_is_noticed_as_soon_without_the_kernel_side() {
    leaves_attempts_unanswered("off");
}

fn leaves_attempts_unanswered(kernel_assist: &str) {
    if !can_be(kernel_assist) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.serve_by(folder.path(), "HTTP/1.0");
    let here = Target::plain();
    let far = format!("{}:8000", host.far);
    let mut group = Group::of("app", &[here.address.clone(), far.clone()]).algorithm("round_robin");
    group.health_check =
        "path = \"/healthz\"\ninterval = 120\ntimeout = 60\nunhealthy_threshold = 2".to_owned();
    let config = Config::with(group).attribute("connect_timeout = 60").attribute("idle_timeout = 600");
    let balancer = Balancer::start(&config.kernel_assist(kernel_assist));
    balancer.wait_status("both are healthy", 60.0, |status| status.state(&far) == "healthy");
    let mut client = balancer.connect();
    until("the far one answers too", 10.0, || (client.get("/healthz", "").text() == "far").then_some(()));

    host.go_dark();
    for _ in 0..4 {
        let response = client.get("/healthz", "");
        assert_eq!(response.status, 200, "{}", balancer.log());
    }
    let status = balancer.wait_status("it is unhealthy", 60.0, |status| status.state(&far) == "unhealthy");
    assert_eq!(status.target(&far)["reason"], "Target.Timeout");
}

/// Where nobody else is there a request waits for its target.
#[test]
fn requests_to_hosts_that_vanish_for_a_moment_all_at_once_are_answered_when_they_are_back() {
    returns("required");
    returns("off");
}

fn returns(kernel_assist: &str) {
    if !can_be(kernel_assist) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut hosts = [Host::new(), Host::new()];
    hosts.iter_mut().for_each(|host| host.serve(folder.path()));
    let far = [0, 1].map(|index| format!("{}:8000", hosts[index].far));
    let mut group = Group::of("app", &far).algorithm("round_robin");
    group.health_check =
        "path = \"/healthz\"\ninterval = 120\ntimeout = 60\nunhealthy_threshold = 2".to_owned();
    let config = Config::with(group).attribute("connect_timeout = 60").attribute("idle_timeout = 600");
    let balancer = Balancer::start(&config.kernel_assist(kernel_assist));
    let all_are = |state: &str| {
        balancer.wait_status(state, 60.0, |status| far.iter().all(|far| status.state(far) == state));
    };
    all_are("healthy");
    let mut clients: Vec<_> = (0..4).map(|_| balancer.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/healthz", "").text(), "far"));

    hosts.iter().for_each(Host::go_dark);
    for client in &mut clients {
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    all_are("unhealthy");
    hosts.iter().for_each(Host::come_back);
    for client in &mut clients {
        let response = client.response();
        assert_eq!(response.status, 200, "{kernel_assist}: {}", balancer.log());
    }
}

/// How long the way to a host is, is known of connections that are open.
#[test]
fn the_round_trip_time_of_a_connection_that_is_used_is_known_without_the_kernel_side() {
    if !can_be("off") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.serve(folder.path());
    let far = format!("{}:8000", host.far);
    let group = Group::of("app", std::slice::from_ref(&far)).unchecked();
    let balancer = Balancer::start(&Config::with(group).kernel_assist("off"));
    let mut client = balancer.connect();
    let sample = format!("balancer_target_smoothed_rtt_seconds{{target=\"{far}\"}}");
    let seconds = until("it is measured", 30.0, || {
        assert_eq!(client.get("/healthz", "").text(), "far");
        Some(balancer.metric(&sample)).filter(|seconds| *seconds > 0.0)
    });
    assert!(seconds < 1.0, "{seconds}");
}

/// What `balancer maps` says, as a document and in columns.
fn maps(balancer: &Balancer) -> (serde_json::Value, String) {
    let said = |more: &[&str]| {
        let mut command = Command::new(support::balancer::binary());
        command.args(["maps", "--instance", balancer.instance(), "--admin", &balancer.admin.to_string()]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    (serde_json::from_str(&said(&["--json"])).unwrap(), said(&[]))
}

#[test]
fn how_often_a_cut_target_answered_nothing_in_time_is_counted_and_shown_everywhere() {
    counts_timeouts("required");
}

#[test]
fn how_often_a_cut_target_answered_nothing_in_time_is_counted_without_the_kernel_side() {
    counts_timeouts("off");
}

fn counts_timeouts(kernel_assist: &str) {
    if !can_be(kernel_assist) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.serve(folder.path());
    let far = format!("{}:8000", host.far);
    let group = Group::of("app", std::slice::from_ref(&far)).unchecked();
    let config = Config::with(group).attribute("idle_timeout = 600").kernel_assist(kernel_assist);
    let balancer = Balancer::start(&config);
    let mut client = balancer.connect();
    // On a connection that is kept, so that it is a request that has no answer, and no attempt to connect.
    assert_eq!(client.get("/healthz", "").text(), "far");
    let told = || balancer.status().target(&far)["connections"]["timeouts"].as_u64().unwrap();
    let sample = format!("balancer_target_retransmission_timeouts_total{{target=\"{far}\"}}");
    assert_eq!((told(), balancer.metric(&sample)), (0, 0.0));

    host.go_dark();
    client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    let first = until("the first of them is told", 60.0, || Some(told()).filter(|count| *count > 0));
    let second = until("another one is told", 60.0, || Some(told()).filter(|count| *count > first));
    assert!(balancer.metric(&sample) >= second as f64);
    if kernel_assist == "off" {
        assert!(balancer.status().target(&far)["connections"]["retransmits"].as_u64() > Some(0));
        return;
    }
    let (document, text) = maps(&balancer);
    let row = document["targets"].as_array().unwrap().iter().find(|row| row["target"] == far.as_str());
    let row = row.unwrap_or_else(|| panic!("{document}"));
    assert!(row["timeouts"].as_u64().unwrap() >= second && row["retransmits"].as_u64() > Some(0), "{row}");
    assert!(text.contains("TIMEOUTS"), "{text}");
}
