//! What costs nothing while nothing happens: a worker with idle connections sleeps.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use support::{Balancer, Config, Connection, Target, until};

/// The worker threads of a process.
fn workers(pid: u32) -> Vec<PathBuf> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| entry.unwrap().path());
    let is_worker = |thread: &PathBuf| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.starts_with("worker-"))
    };
    threads.filter(is_worker).collect()
}

/// How often a thread has gone to sleep.
fn sleeps(thread: &Path) -> u64 {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_worker_with_idle_connections_hardly_ever_wakes_up() {
    const CONNECTIONS: usize = 300;
    let target = Target::plain();
    for kernel_assist in ["auto", "off"] {
        let balancer = Balancer::start(&Config::new(&[&target]).workers(1).kernel_assist(kernel_assist));
        let mut held: Vec<Connection> = (0..CONNECTIONS).map(|_| balancer.connect()).collect();
        for connection in &mut held {
            assert_eq!(connection.get("/", "").status, 200);
        }
        let threads = workers(balancer.pid());
        assert_eq!(threads.len(), 1);
        // Less than once a second, and not ten times; what is counted of connections that have just been used is counted before.
        until("the worker rests", 60.0, || {
            let before = sleeps(&threads[0]);
            thread::sleep(Duration::from_secs(8));
            (sleeps(&threads[0]) - before <= 8).then_some(())
        });
        // It is there at once when it is asked, and has kept the time meanwhile.
        for connection in &mut held {
            assert_eq!(connection.get("/", "").status, 200);
        }
        assert_eq!(balancer.status().total("connections_active"), CONNECTIONS as u64);
    }
}

#[test]
fn deadlines_of_connections_hold_while_their_worker_rests() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1).attribute("idle_timeout = 4"));
    // Nothing else happens for the time that it takes.
    let mut idle = balancer.connect();
    // Before its time begins: a test that waits for a processor is late to look at the clock.
    let began = std::time::Instant::now();
    assert_eq!(idle.get("/", "").status, 200);
    assert!(idle.is_closed_within(Duration::from_secs(30)));
    let after = began.elapsed();
    assert!(after > Duration::from_millis(3500), "not before its time: {after:?}");
    // One that comes to a worker that has rested for a while gets the time that is its, and no less.
    thread::sleep(Duration::from_secs(3));
    let began = std::time::Instant::now();
    let mut late = balancer.connect();
    assert!(late.is_closed_within(Duration::from_secs(30)));
    let after = began.elapsed();
    assert!(after > Duration::from_millis(3500), "not before its time: {after:?}");
}
