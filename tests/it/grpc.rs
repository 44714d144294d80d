//! gRPC: a real service and a real client, with the balancer between them.

use support::{
    Balancer, Config, Group,
    apps::{App, Running},
    tls::Certificate,
};

use crate::tls::https;

fn before(processes: &[&Running], health_check: &str) -> Balancer {
    let addresses: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
    let mut group = Group::of("app", &addresses).line("protocol_version = \"GRPC\"").algorithm("round_robin");
    health_check.clone_into(&mut group.health_check);
    Balancer::start(&Config::with(group).http2())
}

#[test]
fn every_kind_of_call_works() {
    let Some(process) = App::Grpc.start_if_installed() else { return };
    // The default check: ALB's path, which the service does not have, and 12.
    let balancer = before(&[&process], "interval = 5\ntimeout = 2");
    assert_eq!(balancer.status().target(&process.address)["state"], "healthy");
    assert_eq!(App::Grpc.says(balancer.address, &[]), "passed 7");
    let status = balancer.status();
    assert!(status.total("grpc_requests") > 100);
    let of_group = balancer.metric("balancer_group_grpc_requests_total{target_group=\"app\"}");
    assert_eq!(of_group as u64, status.total("grpc_requests"));
    assert_eq!(status.total("target_connects"), 1, "all over one connection");
    assert_eq!(status.target(&process.address)["outstanding_requests"], 0);
}

#[test]
fn every_kind_of_call_works_over_tls_on_both_sides() {
    if App::Grpc.start_if_installed().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let main = Certificate::make(folder.path(), "main", &["example.test"]);
    let certificate = Certificate::make(folder.path(), "target", &["127.0.0.1"]);
    let process = App::Grpc.start_over_tls(&certificate);
    let mut group =
        Group::of("app", std::slice::from_ref(&process.address)).line("protocol_version = \"GRPC\"");
    "interval = 5\ntimeout = 2".clone_into(&mut group.health_check);
    let balancer = Balancer::start(&https(Config::with(group.https()), &main));
    assert_eq!(balancer.status().state(&process.address), "healthy");
    assert_eq!(App::Grpc.says_over_tls(balancer.address, &main, &[]), "passed 7");
    let status = balancer.status();
    assert!(status.total("grpc_requests") > 100);
    assert_eq!(status.total("target_connects"), 1, "all over one connection");
}

#[test]
fn calls_of_one_connection_go_to_all_targets() {
    let Some(one) = App::Grpc.start_if_installed() else { return };
    let other = App::Grpc.start();
    let balancer = before(&[&one, &other], "path = \"/test.Echo/Unary\"\nmatcher = \"0\"");
    assert_eq!(App::Grpc.says(balancer.address, &["a_hundred_at_once"]), "passed 1");
    let status = balancer.status();
    let requests = |process: &Running| status.target(&process.address)["requests"].as_u64().unwrap();
    assert_eq!((requests(&one), requests(&other)), (50, 50));
}

#[test]
fn a_dead_service_is_unavailable_to_the_client() {
    let Some(process) = App::Grpc.start_if_installed() else { return };
    let balancer = before(&[&process], "enabled = false");
    assert_eq!(App::Grpc.says(balancer.address, &["unary"]), "passed 1");
    drop(process);
    assert_eq!(App::Grpc.says(balancer.address, &["unavailable"]), "passed 1");
}

#[test]
fn a_check_of_another_status_fails() {
    let Some(process) = App::Grpc.start_if_installed() else { return };
    let balancer = before(&[&process], "interval = 5\ntimeout = 2\nmatcher = \"0\"\nunhealthy_threshold = 2");
    let status = balancer.wait_status("it is found out", 20.0, |status| {
        status.target(&process.address)["state"] == "unhealthy"
    });
    assert_eq!(status.target(&process.address)["reason"], "Target.ResponseCodeMismatch");
    assert!(status.target(&process.address)["description"].as_str().unwrap().contains("12"));
}
