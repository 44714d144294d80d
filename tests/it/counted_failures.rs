//! What counts as a failure of a target, and how often: once for a connection that many requests wait for, and not at all
//! for what this host is short of.

use std::sync::{Condvar, Mutex};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::{
    Balancer, Config, Group, Status, Target,
    http2::{Connection, Outcome},
    http2_target::listen,
    ports,
};

const FIXED: &str = "  action {\n    type = \"fixed-response\"\n    fixed_response {\n      content_type = \"text/plain\"\n      \
                     status_code = \"202\"\n    }\n  }";
const REQUESTS: u64 = 20;

/// Of a group of HTTP/2, without checks.
fn group(targets: &[String]) -> Group {
    Group::of("app", targets).line("protocol_version = \"HTTP2\"").unchecked()
}

/// Sends requests that all wait for one connection; when they do, `fail` has it fail.
fn all_fail(balancer: &Balancer, target: &str, fail: impl FnOnce()) -> Status {
    let mut connection = Connection::open(balancer.address);
    let streams: Vec<u32> = (0..REQUESTS).map(|_| connection.get("/", &[])).collect();
    fail();
    let mut left = streams.len();
    while left > 0 {
        let frame = connection.read_until(support::http2::kind::HEADERS);
        assert_eq!(support::http2::status(&frame.payload), 502);
        left -= 1;
    }
    let status = balancer.status();
    assert_eq!(status.own(502), REQUESTS, "each has its answer");
    let failed = &status.target(target)["last_error"];
    assert!(failed["cause"].is_string(), "{failed}");
    status
}

fn wait_for_all(balancer: &Balancer, target: &str) {
    balancer
        .wait_status("all wait", 20.0, |status| status.target(target)["outstanding_requests"] == REQUESTS);
}

#[test]
fn a_connection_that_many_wait_for_fails_once() {
    static MAY_END: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());
    for (round, (group_of, counted)) in [
        (group as fn(&[String]) -> Group, "unanswered"),
        (|targets| group(targets).https().unchecked(), "tls_negotiation_errors"),
    ]
    .into_iter()
    .enumerate()
    {
        let round = u32::try_from(round).unwrap() + 1;
        let target = listen(move |stream| {
            let ends = MAY_END.0.lock().unwrap();
            drop(MAY_END.1.wait_while(ends, |ends| *ends < round).unwrap());
            drop(stream);
        });
        let config = Config::with(group_of(std::slice::from_ref(&target))).http2();
        let balancer = Balancer::start(&config.attribute("connect_timeout = 60"));
        let status = all_fail(&balancer, &target, || {
            wait_for_all(&balancer, &target);
            *MAY_END.0.lock().unwrap() = round;
            MAY_END.1.notify_all();
        });
        let found = status.target(&target);
        assert_eq!(found[counted], 1, "{found}");
        assert_eq!(found["connections"]["opened"], 1, "{found}");
    }
}

#[test]
fn refused_connections_are_as_many_failures_as_there_were_connections() {
    let target = format!("127.0.0.1:{}", ports::free());
    let balancer = Balancer::start(&Config::with(group(std::slice::from_ref(&target))).http2());
    all_fail(&balancer, &target, || {});
    let status = balancer.wait_status("the failures", 20.0, |status| {
        status.target(&target)["connections"]["failed"].as_u64() > Some(0)
    });
    let found = status.target(&target);
    assert_eq!(found["connection_errors"], found["connections"]["failed"], "{found}");
    let of_group = balancer.metric("balancer_group_connection_errors_total");
    assert_eq!(Some(of_group), found["connection_errors"].as_f64());
}

/// Leaves the balancer no file descriptor more than it has while `what` is done.
fn without_descriptors(balancer: &Balancer, what: impl FnOnce()) {
    let pid = Pid::from_raw(i32::try_from(balancer.pid()).unwrap());
    // Those of the standard streams are taken.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let usual = prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), maximum }).unwrap();
    what();
    prlimit(pid, Resource::Nofile, usual).unwrap();
}

#[test]
fn what_this_host_is_short_of_is_no_fault_of_a_target() {
    for (assist, http2) in [("auto", false), ("off", false), ("off", true)] {
        let targets = [Target::plain(), Target::plain()];
        let addresses: Vec<String> = targets.iter().map(|target| target.address.to_string()).collect();
        // Checks of targets that speak HTTP/1.1 alone would fail.
        let group = if http2 { group(&addresses) } else { Group::of("app", &addresses) };
        let config = Config::with(group).kernel_assist(assist).http2();
        let balancer = Balancer::start(&config.path_rule(1, "/here", FIXED));
        let mut client = Connection::open(balancer.address);
        let mut old = balancer.connect();
        // Both are accepted; no target is asked.
        assert_eq!((old.get("/here", "").status, client.status_of("/here", &[])), (202, 202));
        without_descriptors(&balancer, || {
            // HTTP/1.1 does not go to targets of HTTP/2.
            assert_eq!(old.get("/", "").status, if http2 { 464 } else { 502 });
            let streams: Vec<u32> = (0..REQUESTS).map(|_| client.get("/", &[])).collect();
            for _ in &streams {
                let frame = client.read_until(support::http2::kind::HEADERS);
                assert_eq!(support::http2::status(&frame.payload), 502);
            }
        });
        let status = balancer.status();
        for target in &addresses {
            let found = status.target(target);
            for counted in ["connection_errors", "unanswered", "tls_negotiation_errors"] {
                assert_eq!(found[counted], 0, "{counted}: {found}");
            }
            assert_eq!(found["connections"]["failed"], 0, "{found}");
            assert!(found["last_error"].is_null(), "{found}");
        }
        assert_eq!(balancer.metric("balancer_group_connection_errors_total"), 0.0);
        let failures = "balancer_failures_total{cause=\"OutOfSockets\"}";
        assert_eq!(balancer.metric(failures), (REQUESTS + u64::from(!http2)) as f64);
        balancer.wait_log("a target was not asked: this host has no file descriptor");
        if !http2 {
            let stream = client.get("/", &[]);
            assert!(matches!(client.outcome(stream), Outcome::Answer(200, _)));
        }
    }
}
