//! Every kind of target and listener address, and how requests are shared out.

use std::sync::{Mutex, mpsc};

use support::{Balancer, Config, Group, Target};

#[test]
fn ipv6_targets_and_listeners_work() {
    let target = Target::at("[::1]:0", false, |exchange| exchange.ok("", "six"));
    let mut config = Config::with(Group::new("app", &[&target]).lb_cookie());
    config.address = "::1".to_owned();
    let balancer = Balancer::start(&config);
    let response = balancer.connect().get("/", "");
    assert_eq!(response.text(), "six");
    assert!(response.set_cookie("AWSALB").is_some());
    assert_eq!(target.last().headers.get("x-forwarded-for"), Some("::1"));
    assert_eq!(balancer.status().state(&target.address), "healthy");
}

#[test]
fn unix_sockets_work() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::unix(&folder.path().join("app.sock"), |exchange| exchange.ok("", "unix"));
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let mut client = balancer.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "unix");
    }
    let status = balancer.status();
    assert_eq!(status.state(&target.address), "healthy");
    assert_eq!(status.target(&target.address)["requests"], 3);
    assert_eq!(status.decisions("pinned"), 2);
}

#[test]
fn host_names_are_resolved() {
    let target = Target::plain();
    let group = Group::of("app", &[format!("localhost:{}", target.port())]);
    let balancer = Balancer::start(&Config::with(group));
    balancer.wait_status("127.0.0.1 is healthy", 20.0, |status| {
        status.find(&target.address).is_some_and(|target| target["state"] == "healthy")
    });
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

#[test]
fn round_robin_goes_in_turns() {
    let targets: Vec<_> = (0..4).map(|_| Target::plain()).collect();
    let group = Group::new("app", &targets.iter().collect::<Vec<_>>()).algorithm("round_robin");
    let balancer = Balancer::start(&Config::with(group));
    let mut connection = balancer.connect();
    for _ in 0..40 {
        connection.get("/", "");
    }
    assert_eq!(targets.iter().map(Target::count).collect::<Vec<_>>(), [10; 4]);
}

#[test]
fn least_outstanding_is_exact_over_all_workers() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Arc::new(Mutex::new(wait));
    let targets: Vec<_> = (0..4)
        .map(|_| {
            let wait = std::sync::Arc::clone(&wait);
            Target::start(move |exchange| {
                wait.lock().unwrap().recv().unwrap_or_default();
                exchange.ok("", "done")
            })
        })
        .collect();
    let group = Group::new("app", &targets.iter().collect::<Vec<_>>());
    let balancer = Balancer::start(&Config::with(group).workers(4));
    let mut waiting = Vec::new();
    for number in 1..=40 {
        let mut connection = balancer.connect();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        waiting.push(connection);
        support::until("the request is with a target", 10.0, || {
            (targets.iter().map(Target::count).sum::<usize>() == number).then_some(())
        });
        let counts: Vec<_> = targets.iter().map(Target::count).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "after {number} requests: {counts:?}");
    }
    drop(go);
    for mut connection in waiting {
        assert_eq!(connection.response().text(), "done");
    }
    balancer.wait_status("nothing is in flight", 10.0, |status| {
        status.targets().iter().all(|target| target["outstanding_requests"] == 0)
    });
}
