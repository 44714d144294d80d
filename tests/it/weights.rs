//! What a target gets beside its peers: slow start, random picks, anomalies, thresholds of the group's health.

use std::process::Command;

use support::{Answer, Balancer, Config, Group, Target, balancer::binary};

/// A target that answers every request with this status.
fn answering(status: &'static str) -> Target {
    Target::start(move |exchange| {
        exchange.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        Answer::KeepAlive
    })
}

fn status_text(balancer: &Balancer) -> String {
    let output =
        Command::new(binary()).args(["status", "--admin", &balancer.admin.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_target_that_joins_starts_slowly() {
    let (old, new) = (Target::plain(), Target::plain());
    let group =
        |targets: &[&Target]| Group::new("app", targets).algorithm("round_robin").line("slow_start = 900");
    let balancer = Balancer::start(&Config::with(group(&[&old])));
    balancer.reload(&Config::with(group(&[&old, &new])));
    let status = balancer.wait_status("it is healthy", 20.0, |status| {
        status.find(&new.address).is_some_and(|target| target["state"] == "healthy")
    });
    assert_eq!(status.target(&old.address)["weight"], 1.0);
    assert!(status.target(&new.address)["weight"].as_f64().unwrap() < 0.1);
    assert!(status_text(&balancer).contains("slow start: weight 0.0"), "{}", status_text(&balancer));
    let mut connection = balancer.connect();
    for _ in 0..40 {
        connection.get("/", "");
    }
    assert_eq!(old.count() + new.count(), 40);
    assert!(new.count() < 4, "the new target got {} of 40", new.count());
}

#[test]
fn random_picks_spread_over_all_targets() {
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let group = Group::new("app", &[&targets[0], &targets[1], &targets[2]]).algorithm("weighted_random");
    let balancer = Balancer::start(&Config::with(group).workers(2));
    let mut homes = Vec::new();
    for _ in 0..3 {
        let mut connection = balancer.connect();
        homes.extend((0..100).map(|_| connection.get("/", "").text()));
    }
    for target in &targets {
        // Below 50 of 300 is less likely than one in a hundred million.
        assert!(target.count() > 50, "{}", target.count());
    }
    let in_turn = homes.windows(4).filter(|four| four[0] == four[3]).count();
    assert!(in_turn < 250, "that is round robin");
    assert_eq!(balancer.status().0["target_groups"][0]["algorithm"], "weighted_random");
}

#[test]
fn a_target_that_fails_more_than_its_peers_is_found_and_gets_less() {
    let good: Vec<Target> = (0..3).map(|_| answering("200 OK")).collect();
    let bad = answering("500 Internal Server Error");
    let targets: Vec<&Target> = good.iter().chain([&bad]).collect();
    let group = Group::new("app", &targets)
        .algorithm("weighted_random")
        .line("load_balancing_anomaly_mitigation = \"on\"");
    let balancer = Balancer::start(&Config::with(group));
    let mut connection = balancer.connect();
    let status = balancer.wait_status("it is anomalous", 30.0, |status| {
        let mut connection = balancer.connect();
        (0..50).for_each(|_| _ = connection.get("/", ""));
        status.target(&bad.address)["anomaly"]["result"] == "anomalous"
    });
    let told = status.target(&bad.address);
    assert_eq!((&told["state"], &told["anomaly"]["mitigation_in_effect"]), (&"healthy".into(), &true.into()));
    assert!(told["weight"].as_f64().unwrap() <= 0.1);
    let group = &status.0["target_groups"][0];
    assert_eq!((&group["anomalous_hosts"], &group["mitigated_hosts"]), (&1.into(), &1.into()));
    assert_eq!(balancer.metric("balancer_anomalous_host_count{target_group=\"app\"}"), 1.0);
    assert_eq!(balancer.metric("balancer_mitigated_host_count{target_group=\"app\"}"), 1.0);
    assert!(status_text(&balancer).contains("anomalous, mitigated: weight 0."));
    // The next snapshot is on its way to the worker: from then on it gets a tenth of the others' share at most.
    let before = bad.count();
    (0..300).for_each(|_| _ = connection.get("/", ""));
    let got = bad.count() - before;
    assert!(got < 40, "{got} of 300: an equal share would be 75");
}

/// Health checks pass; what clients ask for is answered with nothing at all.
#[test]
fn a_target_that_closes_what_it_is_asked_on_is_found_and_gets_less() {
    let good: Vec<Target> = (0..3).map(|_| answering("200 OK")).collect();
    let bad = Target::start(|_| Answer::Close);
    let targets: Vec<&Target> = good.iter().chain([&bad]).collect();
    let group = Group::new("app", &targets)
        .algorithm("weighted_random")
        .line("load_balancing_anomaly_mitigation = \"on\"");
    let balancer = Balancer::start(&Config::with(group));
    balancer.wait_status("it is anomalous", 30.0, |status| {
        (0..50).for_each(|_| _ = balancer.connect().post("/", b"x"));
        let told = status.target(&bad.address);
        told["anomaly"]["result"] == "anomalous" && told["weight"].as_f64() <= Some(0.1)
    });
    let label = format!("{{target_group=\"app\",target=\"{}\"}}", bad.address);
    assert!(balancer.metric(&format!("balancer_target_unanswered_requests_total{label}")) >= 10.0);
}

#[test]
fn too_few_healthy_targets_open_the_group_to_all() {
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    targets[0].set_healthy(false);
    let group = Group::new("app", &[&targets[0], &targets[1], &targets[2]]).algorithm("round_robin").line(
        "target_group_health {\n unhealthy_state_routing {\n minimum_healthy_targets_percentage = 80\n }\n \
         dns_failover {\n minimum_healthy_targets_count = 3\n }\n }",
    );
    let balancer = Balancer::start(&Config::with(group));
    balancer.wait_status("one is unhealthy", 30.0, |status| status.state(&targets[0].address) == "unhealthy");
    for _ in 0..6 {
        balancer.connect().get("/", "");
    }
    assert_eq!(targets[0].count(), 2, "two of three are less than 80 %");
    let status = balancer.status();
    assert_eq!(status.0["target_groups"][0]["failing_open"], true);
    assert_eq!(status.0["target_groups"][0]["unhealthy_routing_requests"], 2);
}
