//! Targets by host name: a balancer in a mount namespace of its own, with a hosts file under the test's control.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, kernel};

fn hosts(address: &str) -> String {
    format!("127.0.0.1 localhost\n{address} app.test\n")
}

/// A target on each of two loopback addresses, at one port.
fn pair() -> (Target, Target) {
    loop {
        let first = Target::at("127.0.0.1:0", false, |exchange| exchange.ok("", "first"));
        let port = first.port();
        if std::net::TcpListener::bind(("127.0.0.2", port)).is_ok() {
            let second =
                Target::at(&format!("127.0.0.2:{port}"), false, |exchange| exchange.ok("", "second"));
            return (first, second);
        }
    }
}

fn start(file: &str, targets: &[String]) -> (Balancer, PathBuf) {
    let mut balancer = Balancer::prepare(&Config::with(Group::of("app", targets).deregistration_delay(0)));
    let path = balancer.folder().join("hosts");
    fs::write(&path, file).unwrap();
    balancer.hosts = Some(path.clone());
    balancer.run();
    balancer.wait_until_settled();
    (balancer, path)
}

#[test]
fn a_name_that_moves_takes_its_requests_along() {
    if !kernel::is_root() {
        return;
    }
    let (first, second) = pair();
    let (balancer, file) = start(&hosts("127.0.0.1"), &[format!("app.test:{}", first.port())]);
    assert_eq!(balancer.connect().get("/", "").text(), "first");
    fs::write(&file, hosts("127.0.0.2")).unwrap();
    balancer.wait_status("the new address is healthy and the old one gone", 20.0, |status| {
        status.find(&first.address).is_none()
            && status.find(&second.address).is_some_and(|target| target["state"] == "healthy")
    });
    for _ in 0..5 {
        assert_eq!(balancer.connect().get("/", "").text(), "second");
    }
    fs::write(&file, hosts("127.0.0.2") + "127.0.0.1 app.test\n").unwrap();
    balancer.wait_status("all addresses of a name are targets", 20.0, |status| {
        status.targets().iter().filter(|target| target["state"] == "healthy").count() == 2
    });
}

#[test]
fn a_name_that_is_lost_keeps_its_last_addresses() {
    if !kernel::is_root() {
        return;
    }
    let (first, _second) = pair();
    let (balancer, file) = start(&hosts("127.0.0.1"), &[format!("app.test:{}", first.port())]);
    fs::write(&file, "127.0.0.1 localhost\n").unwrap();
    support::until("the failure is logged", 30.0, || {
        balancer.log().contains("host name cannot be resolved").then_some(())
    });
    assert_eq!(balancer.connect().get("/", "").text(), "first");
}

#[test]
fn a_reload_with_a_name_that_does_not_resolve_holds_nothing_up() {
    if !kernel::is_root() {
        return;
    }
    let (first, _second) = pair();
    let known = format!("app.test:{}", first.port());
    let (balancer, _) = start(&hosts("127.0.0.1"), std::slice::from_ref(&known));
    let more =
        Config::with(Group::of("app", &[known, "no-such-host.test:80".to_owned()]).deregistration_delay(0));
    balancer.write(&more);
    balancer.signal(Signal::HUP);
    balancer.wait_status("the reload took effect", 30.0, |status| status.0["reloads"] == 1);
    assert_eq!(balancer.status().targets().len(), 1);
    assert_eq!(balancer.connect().get("/", "").text(), "first");
}
