//! Clients that go away, and too many of them.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, mpsc},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome},
    until,
};

/// A target whose handler waits until the balancer ends the connection, and then says so.
fn waits_for_the_end() -> (Target, mpsc::Receiver<()>, Arc<Mutex<usize>>) {
    let (ended, wait) = mpsc::channel();
    let started = Arc::new(Mutex::new(0));
    let count = Arc::clone(&started);
    let target = Target::heads(move |exchange| {
        *count.lock().unwrap() += 1;
        while matches!(exchange.reader.fill(), Ok(true)) {}
        ended.send(()).unwrap_or_default();
        Answer::Close
    });
    (target, wait, started)
}

#[test]
fn a_client_that_goes_away_is_counted_as_460_and_its_request_ends() {
    let (target, ended, started) = waits_for_the_end();
    let balancer = Balancer::start(&Config::new(&[&target]));
    for way in ["close", "reset"] {
        let before = *started.lock().unwrap();
        let mut connection = balancer.connect();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        until("the request is with the target", 10.0, || (*started.lock().unwrap() > before).then_some(()));
        if way == "reset" {
            connection.reset()
        } else {
            drop(connection)
        }
        ended
            .recv_timeout(std::time::Duration::from_secs(10))
            .unwrap_or_else(|_| panic!("{way}: the target waits on"));
    }
    balancer.wait_status("both are counted", 20.0, |status| status.own(460) == 2);
    balancer.wait_status("nothing is left in flight", 20.0, |status| {
        status.target(&target.address)["outstanding_requests"] == 0 && status.total("connections_active") == 0
    });
}

/// The target is not accepted by anybody: connecting to it takes all the time that a handshake may, a minute here.
#[test]
fn a_client_that_goes_away_while_its_target_is_connected_to_is_let_go() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for (version, of_client) in [("HTTP1", 1), ("HTTP1", 2), ("HTTP2", 2)] {
        let group = Group::of("app", std::slice::from_ref(&address)).https().unchecked();
        let group = group.line(&format!("protocol_version = \"{version}\""));
        let balancer = Balancer::start(&Config::with(group).http2().attribute("connect_timeout = 60"));
        let outstanding = |count: u64| {
            balancer.wait_status("it waits, or does not", 20.0, |status| {
                status.target(&address)["outstanding_requests"] == count
            });
        };
        if of_client == 1 {
            let mut connection = balancer.connect();
            connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            outstanding(1);
        } else {
            let mut connection = Connection::open(balancer.address);
            connection.get("/", &[]);
            outstanding(1);
        }
        outstanding(0);
        balancer.wait_status("it is counted", 20.0, |status| status.own(460) == 1);
    }
}

#[test]
fn a_client_that_goes_away_within_its_body_leaves_nothing_behind() {
    let (target, ended, _) = waits_for_the_end();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let descriptors = balancer.descriptors_open();
    for number in 0..20 {
        let mut connection = balancer.connect();
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf");
        until("the request is with the target", 10.0, || {
            (balancer.status().target(&target.address)["outstanding_requests"] == 1).then_some(())
        });
        if number % 2 == 0 {
            drop(connection)
        } else {
            connection.reset()
        }
        ended.recv_timeout(std::time::Duration::from_secs(10)).expect("the target's connection ends");
        until("the request is over", 10.0, || {
            (balancer.status().target(&target.address)["outstanding_requests"] == 0).then_some(())
        });
    }
    let status = balancer.status();
    assert_eq!(
        (status.own(400), status.own(460)),
        (20, 0),
        "as on ALB: it closed before the whole body was there"
    );
    until("descriptors are given back", 10.0, || {
        (balancer.descriptors_open() <= descriptors + 2).then_some(())
    });
}

#[test]
fn a_body_that_stops_gets_408() {
    let (target, ended, _) = waits_for_the_end();
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 1").http2());
    let mut connection = balancer.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf");
    assert_eq!(connection.response().status, 408);
    assert!(connection.is_closed());
    ended.recv_timeout(std::time::Duration::from_secs(10)).expect("the target's connection ends");
    let mut http2 = Connection::open(balancer.address);
    let stream = http2.post("/", &[]);
    http2.data(stream, b"half", false);
    assert!(matches!(http2.outcome(stream), Outcome::Answer(408, _)));
    ended.recv_timeout(std::time::Duration::from_secs(10)).expect("the target's connection ends");
    assert_eq!(balancer.status().own(408), 2);
    // The same before a target of HTTP/2, which is another balancer here.
    let far = Balancer::start(&Config::new(&[&target]).http2());
    let behind =
        Group::of("app", &[far.address.to_string()]).line("protocol_version = \"HTTP2\"").unchecked();
    let first = Balancer::start(&Config::with(behind).attribute("idle_timeout = 1").http2());
    let mut http2 = Connection::open(first.address);
    let stream = http2.post("/", &[]);
    http2.data(stream, b"half", false);
    assert!(matches!(http2.outcome(stream), Outcome::Answer(408, _)));
}

/// What is logged.
const PAUSE: &str = "accepting connections pauses";

/// Who connects and says nothing takes nothing from those who ask: descriptors are left for their targets and the admin
/// endpoint, and silent connections make room.
#[test]
fn idle_clients_do_not_use_up_the_descriptors() {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]).workers(2));
    balancer.descriptors = Some(200);
    balancer.run();
    balancer.wait_until_settled();
    let idle: Vec<_> = (0..300).map(|_| balancer.connect()).collect();
    balancer.wait_log(PAUSE);
    let mut served = 0;
    for (number, mut connection) in idle.into_iter().enumerate().skip(200) {
        // Those that were accepted and silent for long have made room.
        if let Ok(response) =
            connection.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").and_then(|()| connection.try_response())
        {
            assert_eq!(response.status, 200, "{number}");
            served += 1;
        }
        assert_eq!(balancer.admin_page("/healthz").status, 200);
    }
    assert!(served > 50, "{served}");
    assert_eq!(balancer.status().own(502), 0);
}

#[test]
fn running_out_of_descriptors_pauses_accepting_and_nothing_else() {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]));
    balancer.descriptors = Some(128);
    balancer.run();
    balancer.wait_until_settled();
    let mut served = balancer.connect();
    assert_eq!(served.get("/", "").status, 200);
    // One that is idle for a second may have to make room.
    served.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let many: Vec<_> = (0..200).map(|_| balancer.connect()).collect();
    until("the pause is logged", 10.0, || balancer.log().contains(PAUSE).then_some(()));
    served.send("\r\n");
    assert_eq!(served.response().status, 200, "a connection that is there goes on");
    drop(many);
    // Who waited is served, and so are new ones.
    assert_eq!(balancer.connect().get("/", "").status, 200);
    let status =
        balancer.wait_status("the pause is counted", 10.0, |status| status.total("accept_pauses") > 0);
    assert!(status.total("connections_accepted") > 128);
    let lines = balancer.log().lines().filter(|line| line.contains(PAUSE)).count();
    // Once a spell: it may recover and run out again before the last of them is gone.
    assert!(lines <= 3, "logged {lines} times");
}

/// Also where there is no descriptor left before there are as many clients as there may be: something else has taken them.
#[test]
fn idle_clients_make_room_where_no_descriptor_is_left() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1));
    let served = || {
        let mut client = balancer.connect();
        assert_eq!(client.get("/", "").status, 200);
        client
    };
    let mut first = served();
    let pid = Pid::from_raw(i32::try_from(balancer.pid()).unwrap());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(balancer.descriptors_open() as u64 + 10);
    prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).unwrap();
    // There may be some more between those that are open.
    let mut idle = Vec::new();
    while !balancer.log().contains(PAUSE) {
        idle.push(served());
        assert!(idle.len() < 200, "there is no end of descriptors");
    }
    assert!(first.is_closed(), "the one that was idle for longest");
}
