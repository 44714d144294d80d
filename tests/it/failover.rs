//! Targets that die, fall ill and come back: who moves, when, and what the status says.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use support::{Balancer, Client, Config, Group, Target, kernel, until};

/// 64 clients ask without a pause while one of 8 targets dies. Checks come each five minutes: that the status says so within
/// half a minute is what the connections tell.
fn one_of_eight_dies(kernel_assist: &str) {
    let targets: Vec<Target> = (0..8).map(|_| Target::plain()).collect();
    let group = Group::new("app", &targets.iter().collect::<Vec<_>>()).lb_cookie();
    let check =
        "path = \"/healthz\"\ninterval = 300\ntimeout = 2\nunhealthy_threshold = 2\nhealthy_threshold = 2";
    let group = Group { health_check: check.into(), ..group };
    let balancer = Balancer::start(&Config::with(group).workers(2).kernel_assist(kernel_assist));
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut clients: Vec<Client> = (0..64).map(|_| balancer.client()).collect();
    let victim = targets[3].address.clone();
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .chunks_mut(16)
            .map(|clients| {
                let (stop, rounds, victim) = (&stop, &rounds, &victim);
                scope.spawn(move || {
                    let mut homes: Vec<Vec<String>> = vec![Vec::new(); clients.len()];
                    while !stop.load(SeqCst) {
                        for (client, homes) in clients.iter_mut().zip(&mut homes) {
                            let response = client.get("/");
                            let is_in_flight = response.status == 502 && homes.last() == Some(victim);
                            // What the victim had received when it died may have been done: it is not sent again.
                            assert!(response.status == 200 || is_in_flight, "{}", response.status);
                            let home = response.header("x-target").to_owned();
                            if response.status == 200 && homes.last() != Some(&home) {
                                homes.push(home);
                            }
                        }
                        rounds.fetch_add(1, SeqCst);
                    }
                    homes
                })
            })
            .collect();
        until("all clients have a home", 60.0, || (rounds.load(SeqCst) > 12).then_some(()));
        targets[3].kill();
        balancer
            .wait_status("the dead target is unhealthy", 30.0, |status| status.state(&victim) == "unhealthy");
        let then = rounds.load(SeqCst);
        until("clients went on", 60.0, || (rounds.load(SeqCst) > then + 12).then_some(()));
        stop.store(true, SeqCst);
        let mut moved = 0;
        for homes in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            match homes.as_slice() {
                [home] => assert_ne!(home, &victim, "stays on a dead target"),
                [first, second] => {
                    assert!(first == &victim && second != &victim, "{homes:?}");
                    moved += 1;
                }
                other => panic!("moved more than once: {other:?}"),
            }
        }
        assert!(moved > 0, "the dead target had no clients: nothing was tested");
    });
}

#[test]
fn clients_of_a_dead_target_move_once_and_stay() {
    one_of_eight_dies("off");
}

#[test]
fn clients_of_a_dead_target_move_once_and_stay_with_the_kernel_side() {
    if kernel::available() {
        one_of_eight_dies("required");
    }
}

#[test]
fn a_session_stays_where_it_moved_when_its_first_target_recovers() {
    let targets = [Target::plain(), Target::plain()];
    let group = Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin").lb_cookie();
    let balancer = Balancer::start(&Config::with(group));
    let mut client = balancer.client();
    let first = client.get("/").text();
    let ill = targets.iter().find(|target| target.address == first).unwrap();
    ill.set_healthy(false);
    balancer.wait_status("it is unhealthy", 30.0, |status| status.state(&first) == "unhealthy");
    let second = client.get("/").text();
    assert_ne!(second, first);
    assert_eq!(balancer.status().decisions("unhealthy"), 1);
    ill.set_healthy(true);
    balancer.wait_status("it is healthy again", 30.0, |status| status.state(&first) == "healthy");
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), second);
    }
}

/// A restart of the application for which its port is closed for a moment: what one client's failure brought down in an
/// instant is up again in seconds, not after so many intervals, and who did not come meanwhile stays.
#[test]
fn a_target_that_was_gone_for_a_moment_is_back_in_seconds() {
    let targets = [Target::plain(), Target::plain()];
    let group = Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin").lb_cookie();
    let check =
        "path = \"/healthz\"\ninterval = 60\ntimeout = 2\nunhealthy_threshold = 3\nhealthy_threshold = 4";
    let group = Group { health_check: check.into(), ..group };
    let balancer = Balancer::start(&Config::with(group));
    balancer.wait_status("both are healthy", 10.0, |status| {
        targets.iter().all(|target| status.state(&target.address) == "healthy")
    });
    let [gone, other] = targets;
    let mut clients: Vec<Client> = (0..4).map(|_| balancer.client()).collect();
    let homes: Vec<String> = clients.iter_mut().map(|client| client.get("/").text()).collect();
    let (address, was) = (gone.address.clone(), Instant::now());
    gone.kill();
    drop(gone);
    let first = homes.iter().position(|home| *home == address).unwrap();
    assert_eq!(clients[first].get("/").text(), other.address);
    balancer.wait_status("it is down", 10.0, |status| status.state(&address) == "unhealthy");
    let name = address.clone();
    let _back = Target::at(&address, false, move |exchange| exchange.ok("", &name));
    balancer.wait_status("it is up", 20.0, |status| status.state(&address) == "healthy");
    assert!(was.elapsed() < Duration::from_secs(20), "{:?}", was.elapsed());
    for (number, (client, home)) in clients.iter_mut().zip(&homes).enumerate() {
        let now = client.get("/").text();
        assert!(now == *home || (number == first && now == other.address), "{number}: {home} {now}");
    }
}

#[test]
fn a_group_without_healthy_targets_fails_open() {
    let targets = [Target::plain(), Target::plain()];
    for target in &targets {
        target.set_healthy(false);
    }
    let group = Group::new("app", &[&targets[0], &targets[1]]).lb_cookie();
    let balancer = Balancer::start(&Config::with(group));
    let status = balancer.wait_status("all are unhealthy", 30.0, |status| {
        status.targets().iter().all(|target| target["state"] == "unhealthy")
    });
    assert_eq!(status.target(&targets[0].address)["reason"], "Target.ResponseCodeMismatch");
    let mut client = balancer.client();
    let home = client.get("/");
    assert_eq!(home.status, 200);
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), home.text(), "stickiness holds while failing open");
    }
    let group = &balancer.status().0["target_groups"][0];
    assert_eq!((&group["failing_open"], &group["unhealthy_routing_requests"]), (&true.into(), &6.into()));
}

#[test]
fn an_unhealthy_target_gets_no_request() {
    let targets = [Target::plain(), Target::plain()];
    targets[0].set_healthy(false);
    let balancer = Balancer::start(&Config::new(&[&targets[0], &targets[1]]));
    balancer.wait_status("one is unhealthy", 30.0, |status| status.state(&targets[0].address) == "unhealthy");
    for _ in 0..10 {
        assert_eq!(balancer.connect().get("/", "").text(), targets[1].address);
    }
    assert_eq!(targets[0].count(), 0);
}
