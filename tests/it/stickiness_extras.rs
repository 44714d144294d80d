//! Stickiness beyond ALB: draining that keeps sessions, sessions that rather fail, bounded load, a lifetime.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    mpsc,
};

use support::{Answer, Balancer, Client, Config, Group, Target, until};

/// A client that is bound to `home`.
fn bound_to(balancer: &Balancer, home: &Target) -> Client {
    let mut client = balancer.client();
    while client.get("/").header("x-target") != home.address {
        client.jar.clear();
    }
    client
}

fn group(targets: &[&Target]) -> Group {
    Group::new("app", targets).algorithm("round_robin").lb_cookie()
}

fn figure(balancer: &Balancer, name: &str) -> u64 {
    balancer.status().0["target_groups"][0]["stickiness"][name].as_u64().unwrap()
}

#[test]
fn sessions_stay_on_a_target_that_drains_until_its_delay_ends() {
    let (leaving, staying) = (Target::plain(), Target::plain());
    let keeping = |targets: &[&Target]| {
        Config::with(group(targets).line("deregistration_stickiness = \"keep\"").deregistration_delay(4))
    };
    let balancer = Balancer::start(&keeping(&[&leaving, &staying]));
    let mut client = bound_to(&balancer, &leaving);
    balancer.reload(&keeping(&[&staying]));
    assert_eq!(balancer.status().state(&leaving.address), "draining");
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), leaving.address, "it stays");
        assert_eq!(balancer.connect().get("/", "").text(), staying.address, "nobody new");
    }
    until("the delay is over", 20.0, || (client.get("/").text() == staying.address).then_some(()));
    assert!(balancer.status().find(&leaving.address).is_none(), "only then did it move");
    assert_eq!(balancer.status().decisions("draining"), 0);
}

#[test]
fn a_session_on_a_draining_target_that_dies_moves() {
    for failover in ["move", "fail"] {
        let (leaving, staying) = (Target::plain(), Target::plain());
        let keeping = |targets: &[&Target]| {
            let group = group(targets).line("deregistration_stickiness = \"keep\"");
            Config::with(group.line(&format!("stickiness_failover = \"{failover}\"")))
        };
        let balancer = Balancer::start(&keeping(&[&leaving, &staying]));
        let mut client = bound_to(&balancer, &leaving);
        balancer.reload(&keeping(&[&staying]));
        leaving.kill();
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), staying.address, "{failover}");
        }
    }
}

#[test]
fn a_target_that_is_put_back_while_it_drains_keeps_its_sessions() {
    for failover in ["move", "fail"] {
        let (leaving, staying) = (Target::plain(), Target::plain());
        let keeping = |targets: &[&Target]| {
            let mut group = group(targets).line("deregistration_stickiness = \"keep\"");
            group.health_check =
                group.health_check.replace("unhealthy_threshold = 2", "unhealthy_threshold = 10");
            Config::with(group.line(&format!("stickiness_failover = \"{failover}\"")))
        };
        let balancer = Balancer::start(&keeping(&[&leaving, &staying]));
        let mut client = bound_to(&balancer, &leaving);
        balancer.reload(&keeping(&[&staying]));
        assert_eq!(client.get("/").text(), leaving.address);
        leaving.set_healthy(false);
        balancer.reload(&keeping(&[&leaving, &staying]));
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), leaving.address, "{failover}");
            assert_eq!(balancer.connect().get("/", "").text(), staying.address, "nobody new yet");
        }
        assert_eq!(balancer.status().state(&leaving.address), "initial");
        leaving.set_healthy(true);
        balancer.wait_status("it is good", 30.0, |status| status.state(&leaving.address) == "healthy");
        assert_eq!(client.get("/").text(), leaving.address);
    }
}

#[test]
fn a_failed_check_after_a_restart_moves_no_session() {
    let (checks, ill) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (checked, is_ill) = (Arc::clone(&checks), Arc::clone(&ill));
    let home = Target::start(move |exchange| {
        if exchange.request.target == "/check" {
            checked.fetch_add(1, SeqCst);
            if is_ill.load(SeqCst) {
                exchange.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
                return Answer::KeepAlive;
            }
        }
        exchange.ok("X-Target: home\r\n", "home")
    });
    let other = Target::plain();
    let mut group = group(&[&home, &other]);
    group.health_check = group.health_check.replace("/healthz", "/check");
    group.health_check = group.health_check.replace("unhealthy_threshold = 2", "unhealthy_threshold = 10");
    let mut balancer = Balancer::start(&Config::with(group));
    let mut client = balancer.client();
    while client.get("/").text() != "home" {
        client.jar.clear();
    }
    balancer.kill();
    client.disconnect();
    ill.store(true, SeqCst);
    let before = checks.load(SeqCst);
    balancer.run();
    // The second one begins when the result of the first has been taken in.
    until("it was checked twice", 20.0, || (checks.load(SeqCst) >= before + 2).then_some(()));
    balancer.wait_status("the other is healthy", 20.0, |status| status.state(&other.address) == "healthy");
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "home");
        assert_eq!(balancer.connect().get("/", "").text(), other.address, "nobody new");
    }
    assert_eq!(balancer.status().state(&home.address), "initial", "else nothing was tested");
}

#[test]
fn sessions_that_rather_fail_get_503_and_come_back_to_their_target() {
    let (home, other) = (Target::plain(), Target::plain());
    let config = Config::with(group(&[&home, &other]).line("stickiness_failover = \"fail\""));
    let balancer = Balancer::start(&config);
    let mut client = bound_to(&balancer, &home);
    home.set_healthy(false);
    balancer.wait_status("it is unhealthy", 30.0, |status| status.state(&home.address) == "unhealthy");
    for _ in 0..2 {
        let refused = client.get("/");
        assert_eq!(refused.status, 503);
        assert_eq!(refused.headers.all("set-cookie").count(), 0);
    }
    assert_eq!(figure(&balancer, "refused_requests"), 2);
    assert_eq!(balancer.metric("balancer_stickiness_refused_requests_total{target_group=\"app\"}"), 2.0);
    assert_eq!(balancer.connect().get("/", "").text(), other.address, "who is bound to nothing is served");
    home.set_healthy(true);
    balancer.wait_status("it is healthy again", 30.0, |status| status.state(&home.address) == "healthy");
    assert_eq!(client.get("/").text(), home.address);
}

#[test]
fn a_busy_target_has_requests_done_elsewhere_and_keeps_its_sessions() {
    let (go, wait) = mpsc::channel::<()>();
    let (arrived, has_arrived) = mpsc::channel();
    let wait = Mutex::new(wait);
    let home = Target::start(move |exchange| {
        let name = "home".to_owned();
        if exchange.request.target == "/slow" {
            arrived.send(()).unwrap();
            let _ = wait.lock().unwrap().recv();
            return Answer::Close;
        }
        exchange.ok(&format!("X-Target: {name}\r\n"), &name)
    });
    let other = Target::plain();
    let balancer = Balancer::start(&Config::with(group(&[&home, &other]).stickiness("load_factor = 125")));
    let mut client = balancer.client();
    while client.get("/").text() != "home" {
        client.jar.clear();
    }
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut connection = balancer.connect();
            connection.send(format!("GET /slow HTTP/1.1\r\nHost: a\r\n{}\r\n", client.cookie_line()));
            has_arrived.recv().unwrap();
            connection
        })
        .collect();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), other.address, "eight in flight are more than 125 % of the mean");
    }
    assert_eq!(figure(&balancer, "spilled_requests"), 3);
    let skew = &balancer.status().0["target_groups"][0]["load_skew"];
    assert_eq!(skew["outstanding_requests"], 2.0, "all of it on one of two");
    assert_eq!(
        balancer.metric("balancer_group_load_skew{target_group=\"app\",of=\"outstanding_requests\"}"),
        2.0
    );
    drop(go);
    balancer.wait_status("it is not busy any more", 20.0, |status| {
        status.target(&home.address)["outstanding_requests"] == 0
    });
    drop(slow);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "home", "the session did not move");
    }
    assert_eq!(figure(&balancer, "spilled_requests"), 3);
}

#[test]
fn a_busy_session_ends_with_its_lifetime() {
    let targets = [Target::plain(), Target::plain()];
    let config = Config::with(group(&[&targets[0], &targets[1]]).stickiness("max_lifetime = 2"));
    let balancer = Balancer::start(&config);
    let mut client = balancer.client();
    let home = client.get("/").text();
    until("the session has ended", 20.0, || {
        let here = client.get("/").text();
        let ended = balancer.status().decisions("expired") > 0;
        assert!(ended || here == home, "it moved before its end");
        ended.then_some(())
    });
    let share = balancer.status().0["target_groups"][0]["stickiness"]["pinned_share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0, "{share}");
}
