//! Deregistration: no new request, requests in flight finish, and are cut when the delay is over.

use std::sync::mpsc;

use support::{Balancer, Client, Config, Group, Target};

/// Two targets of which a sticky client lives on the one that is about to leave.
struct Leaving {
    leaving: Target,
    staying: Target,
    go: mpsc::Sender<()>,
    arrived: mpsc::Receiver<()>,
    balancer: Balancer,
    client: Client,
}

fn start(delay: u32) -> (Leaving, Config) {
    let (leaving, go, arrived) = Target::gated("X-Target: leaving\r\n");
    let staying = Target::plain();
    let group = |targets: &[&Target]| {
        Group::new("app", targets).algorithm("round_robin").lb_cookie().deregistration_delay(delay)
    };
    let balancer = Balancer::start(&Config::with(group(&[&leaving, &staying])));
    let mut client = balancer.client();
    while client.get("/").header("x-target") != "leaving" {
        client.jar.clear();
    }
    let without = Config::with(group(&[&staying]));
    (Leaving { leaving, staying, go, arrived, balancer, client }, without)
}

#[test]
fn requests_in_flight_finish_and_new_ones_go_elsewhere() {
    let (mut scene, without) = start(300);
    let mut slow = scene.balancer.connect();
    slow.send(format!("GET /slow HTTP/1.1\r\nHost: a\r\n{}\r\n", scene.client.cookie_line()));
    scene.arrived.recv().unwrap();
    scene.balancer.reload(&without);
    let status = scene.balancer.status();
    let leaving = status.target(&scene.leaving.address);
    assert_eq!(
        (&leaving["state"], &leaving["reason"]),
        (&"draining".into(), &"Target.DeregistrationInProgress".into())
    );
    let before = scene.leaving.count();
    for _ in 0..5 {
        assert_eq!(scene.client.get("/").text(), scene.staying.address, "sticky or not, no new request");
    }
    assert_eq!(scene.leaving.count(), before);
    assert_eq!(scene.balancer.status().decisions("draining"), 1, "it moved once");
    scene.go.send(()).unwrap();
    assert_eq!(slow.response().text(), "finished");
}

#[test]
fn requests_in_flight_are_cut_when_the_delay_is_over() {
    let (scene, without) = start(1);
    let mut slow = scene.balancer.connect();
    slow.send(format!("GET /slow HTTP/1.1\r\nHost: a\r\n{}\r\n", scene.client.cookie_line()));
    scene.arrived.recv().unwrap();
    scene.balancer.reload(&without);
    assert_eq!(slow.response().status, 502);
    scene.balancer.wait_status("it is gone", 10.0, |status| status.find(&scene.leaving.address).is_none());
}

#[test]
fn a_target_that_comes_back_is_used_again() {
    let (mut scene, without) = start(300);
    scene.balancer.reload(&without);
    assert_eq!(scene.client.get("/").text(), scene.staying.address);
    let group = Group::new("app", &[&scene.leaving, &scene.staying]).algorithm("round_robin").lb_cookie();
    scene.balancer.reload(&Config::with(group));
    scene.balancer.wait_status("it is healthy", 20.0, |status| {
        status.targets().iter().filter(|target| target["state"] == "healthy").count() == 2
    });
    let before = scene.leaving.count();
    for _ in 0..4 {
        scene.balancer.connect().get("/", "");
    }
    assert!(scene.leaving.count() > before);
}

#[test]
fn a_drained_targets_connections_are_closed_and_not_kept() {
    let (scene, without) = start(300);
    let port = scene.leaving.port();
    let mut slow = scene.balancer.connect();
    slow.send(format!("GET /slow HTTP/1.1\r\nHost: a\r\n{}\r\n", scene.client.cookie_line()));
    scene.arrived.recv().unwrap();
    scene.balancer.reload(&without);
    scene.go.send(()).unwrap();
    assert_eq!(slow.response().text(), "finished");
    support::until("nothing is connected to it", 10.0, || {
        (support::tools::established_to(port, scene.balancer.pid()) == 0).then_some(())
    });
}
