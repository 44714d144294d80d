//! How it ends: SIGTERM and SIGINT finish what is in flight, a second SIGINT ends at once.

use std::{
    net::TcpStream,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use support::{Answer, Balancer, Config, Target, until};

struct Busy {
    balancer: Balancer,
    connection: support::Connection,
    go: mpsc::Sender<()>,
    _target: Target,
}

/// A balancer with one request in flight.
fn busy() -> Busy {
    busy_of(|config| config)
}

fn busy_of(settings: fn(Config) -> Config) -> Busy {
    let (go, wait) = mpsc::channel::<()>();
    let (arrived, has_arrived) = mpsc::channel();
    let wait = Mutex::new(wait);
    let target = Target::start(move |exchange| {
        arrived.send(()).unwrap();
        if wait.lock().unwrap().recv().is_err() {
            return Answer::Close;
        }
        exchange.ok("", "finished")
    });
    let balancer = Balancer::start(&settings(Config::new(&[&target])));
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    has_arrived.recv().unwrap();
    Busy { balancer, connection, go, _target: target }
}

/// The one that has nothing to do ends at once, and is nobody's concern while the other one finishes what it has.
#[test]
fn a_worker_that_has_ended_is_not_told_to_stand_still() {
    let mut busy = busy_of(|config| config.workers(2));
    let one_has_ended = |name: &str| {
        let threads = std::fs::read_dir(format!("/proc/{}/task", busy.balancer.pid())).unwrap();
        let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")));
        names.filter(|it| it.as_ref().is_ok_and(|it| it.starts_with(name))).count() == 1
    };
    busy.balancer.signal(Signal::TERM);
    until("one worker has ended", 10.0, || one_has_ended("worker-").then_some(()));
    let ended = Instant::now();
    // It was told after a second.
    until("two seconds", 10.0, || (ended.elapsed() > Duration::from_secs(2)).then_some(()));
    busy.go.send(()).unwrap();
    assert_eq!(busy.connection.response().text(), "finished");
    assert_eq!(busy.balancer.wait_exit(10.0).code(), Some(0));
    assert!(!busy.balancer.log().contains("stands still"), "{}", busy.balancer.log());
}

fn drains(signal: Signal) {
    let mut busy = busy();
    let mut idle = busy.balancer.connect();
    busy.balancer.signal(signal);
    assert!(idle.is_closed(), "an idle connection is closed");
    until("no new connection", 10.0, || TcpStream::connect(busy.balancer.address).is_err().then_some(()));
    busy.go.send(()).unwrap();
    let response = busy.connection.response();
    assert_eq!(response.text(), "finished");
    assert!(busy.connection.is_closed());
    assert_eq!(busy.balancer.wait_exit(10.0).code(), Some(0));
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    drains(Signal::TERM);
}

#[test]
fn sigint_finishes_what_is_in_flight() {
    drains(Signal::INT);
}

/// Processes that `parent` has started and that are there, or that it has not taken note of the end of.
fn children(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let of = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
    };
    let all: String = threads.map(|thread| of(thread.unwrap())).collect();
    all.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn nothing_is_left_of_the_starter_while_a_process_finishes_what_is_in_flight() {
    let mut busy = busy();
    let pid = busy.balancer.pid();
    assert_eq!(children(pid).len(), 1, "it starts the program for upgrades");
    busy.balancer.signal(Signal::TERM);
    until("nothing is left of it", 60.0, || children(pid).is_empty().then_some(()));
    busy.go.send(()).unwrap();
    assert_eq!(busy.connection.response().text(), "finished", "the process was there all the time");
    assert_eq!(busy.balancer.wait_exit(60.0).code(), Some(0));
}

#[test]
fn a_second_sigint_ends_at_once() {
    let mut busy = busy();
    busy.balancer.signal(Signal::INT);
    until("it drains", 10.0, || TcpStream::connect(busy.balancer.address).is_err().then_some(()));
    busy.balancer.signal(Signal::INT);
    busy.balancer.wait_exit(20.0);
    assert!(busy.connection.try_response().is_err(), "the request was cut");
}

#[test]
fn without_traffic_it_ends_at_once() {
    let target = Target::plain();
    let mut balancer = Balancer::start(&Config::new(&[&target]));
    balancer.connect().get("/", "");
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
}

/// Who has connected, or sent a request on a kept connection, while the processor was elsewhere is served; requests of new
/// connections may come when the end has begun.
#[test]
fn what_has_come_before_the_end_is_served() {
    let target = Target::plain();
    let plain = Config::new(&[&target]);
    for (config, workers) in [(plain.clone(), 1), (plain.clone().workers(3), 3), (plain.http2(), 1)] {
        let mut balancer = Balancer::start(&config);
        let mut idle = balancer.connect();
        idle.get("/", "");
        let mut kept: Vec<_> = (0..50).map(|_| balancer.connect()).collect();
        for connection in &mut kept {
            connection.get("/", "");
        }
        balancer.signal(Signal::STOP);
        let mut waiting = kept;
        waiting.extend((0..300).map(|_| balancer.connect()));
        let (prompt, late) = waiting.split_at_mut(200);
        for connection in &mut *prompt {
            connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        }
        balancer.signal(Signal::TERM);
        let began = Instant::now();
        balancer.signal(Signal::CONT);
        assert!(idle.is_closed(), "the end has begun");
        for connection in late {
            // One that is closed already takes nothing.
            let _ = connection.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        // Who is late has a second.
        let is_late = began.elapsed() > Duration::from_millis(500);
        for (number, connection) in waiting.iter_mut().enumerate() {
            let response = match connection.try_response() {
                Ok(response) => response,
                Err(_) if is_late && number >= 200 => continue,
                Err(error) => panic!("{number}: {error}"),
            };
            assert_eq!(response.status, 200, "{number}");
            // Other workers than that of the idle one, and this one a moment before, may not have heard of the end yet.
            if number >= 200 && workers == 1 {
                assert_eq!(response.header("connection"), "close", "{number}");
            }
        }
        assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
    }
}

/// Who connects and says nothing does not hold the end up.
#[test]
fn silent_connections_are_waited_for_a_moment_alone() {
    let target = Target::plain();
    let mut balancer = Balancer::start(&Config::new(&[&target]));
    let mut silent = balancer.connect();
    balancer.signal(Signal::TERM);
    assert!(silent.is_closed());
    assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
}
