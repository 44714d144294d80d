//! Targets that are not there when the balancer starts, and names of this host, at which an application may listen in
//! one of two ways.

use support::{Balancer, Config, Group, Target, ports};

/// Its interval is longer than any test waits.
fn group(targets: &[String]) -> Group {
    let mut group = Group::of("app", targets).deregistration_delay(0);
    "interval = 300\ntimeout = 2\nunhealthy_threshold = 2".clone_into(&mut group.health_check);
    group
}

/// A balancer that does not wait for its targets.
fn start(group: Group, kernel_assist: &str) -> Balancer {
    let mut balancer = Balancer::prepare(&Config::with(group).kernel_assist(kernel_assist));
    balancer.run();
    balancer
}

fn at(address: &str) -> Target {
    Target::at(address, false, |exchange| exchange.ok("", "here"))
}

fn wait_until_healthy(balancer: &Balancer, address: &str, seconds: f64) {
    balancer.wait_status(&format!("{address} is healthy"), seconds, |status| {
        status.find(address).is_some_and(|target| target["state"] == "healthy")
    });
}

#[test]
fn a_target_that_starts_after_the_balancer_is_healthy_long_before_its_interval_is_over() {
    let address = format!("127.0.0.1:{}", ports::free());
    let balancer = start(group(std::slice::from_ref(&address)), "auto");
    balancer.wait_status("the target has its first verdict", 20.0, |status| {
        status.find(&address).is_some_and(|target| target["state"] == "unhealthy")
    });
    let _target = at(&address);
    // Its checks come each second.
    wait_until_healthy(&balancer, &address, 20.0);
    assert_eq!(balancer.connect().get("/", "").text(), "here");
}

#[test]
fn localhost_is_one_target_at_ipv4() {
    let target = at("127.0.0.1:0");
    let balancer = Balancer::start(&Config::with(group(&[format!("localhost:{}", target.port())])));
    wait_until_healthy(&balancer, &target.address, 20.0);
    assert_eq!(balancer.status().targets().len(), 1, "nothing is for ever unhealthy");
    assert_eq!(balancer.connect().get("/", "").text(), "here");
}

/// With the kernel side and without it.
#[test]
fn localhost_is_one_target_at_ipv6_and_moves_with_its_application() {
    follows("auto");
    follows("off");
}

fn follows(kernel_assist: &str) {
    let port = ports::free();
    let (four, six) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    let balancer = start(group(&[format!("localhost:{port}")]), kernel_assist);
    let target = at(&six);
    wait_until_healthy(&balancer, &six, 20.0);
    balancer.wait_status("there is one target", 20.0, |status| status.targets().len() == 1);
    assert_eq!(balancer.connect().get("/", "").text(), "here");
    drop(target);
    let _target = at(&four);
    // The connection that fails has the target looked at.
    support::until("requests go where the application is now", 20.0, || {
        (balancer.connect().get("/", "").status == 200).then_some(())
    });
    wait_until_healthy(&balancer, &four, 20.0);
    balancer.wait_status("there is one target again", 20.0, |status| status.targets().len() == 1);
}
