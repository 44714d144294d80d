//! Which worker a new connection is given to: the one with least to do, where the kernel side is there, and never one that
//! stands still.

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Balancer, Config, Connection, Status, Target, kernel, ports, tools};

const WORKERS: usize = 4;

/// Connections of each worker.
fn loads(status: &Status, key: &str) -> Vec<u64> {
    let loads = status.0["worker_loads"].as_array().unwrap();
    loads.iter().map(|load| load[key].as_u64().unwrap_or_else(|| panic!("{load}"))).collect()
}

/// So many more connections, each of which has been served.
fn more(held: &mut Vec<Connection>, address: std::net::SocketAddr, count: usize) {
    for _ in 0..count {
        let mut connection = Connection::open(address);
        assert_eq!(connection.get("/", "").status, 200);
        held.push(connection);
    }
}

/// Opens connections until all workers have the same, up to a twentieth. By their addresses that would come about once in some
/// hundred times.
fn become_even(balancer: &Balancer, held: &mut Vec<Connection>, address: std::net::SocketAddr) {
    for _ in 0..10 {
        more(held, address, 100);
        let now = loads(&balancer.status(), "connections");
        let (most, least) = (*now.iter().max().unwrap(), *now.iter().min().unwrap());
        if now.len() == WORKERS && most * 20 <= least * 21 {
            return;
        }
    }
    panic!("never even: {}", balancer.status().0["worker_loads"]);
}

#[test]
fn connections_are_spread_evenly_over_the_workers() {
    if kernel::available() {
        are_spread_evenly("127.0.0.1");
    }
}

#[test]
fn and_so_they_are_at_an_address_of_ipv6() {
    if kernel::available() {
        are_spread_evenly("::1");
    }
}

fn are_spread_evenly(address: &str) {
    let target = Target::plain();
    let config = Config::new(&[&target]).workers(WORKERS).kernel_assist("required");
    let balancer = Balancer::start(&Config { address: address.to_owned(), ..config });
    let detail = balancer.status().0["kernel_assist_detail"].to_string();
    assert!(detail.contains("the worker that has least to do"), "{detail}");
    let mut held = Vec::new();
    become_even(&balancer, &mut held, balancer.address);
    // As some go, others have more: those that come make up for it.
    let mut number = 0;
    held.retain(|_| {
        number += 1;
        number % 7 < 3
    });
    balancer.wait_status("some of them are gone", 20.0, |status| {
        loads(status, "connections").iter().sum::<u64>() == held.len() as u64
    });
    become_even(&balancer, &mut held, balancer.address);
    let accepted: f64 = (0..WORKERS)
        .map(|worker| {
            balancer.metric(&format!("balancer_worker_connections_accepted_total{{worker=\"{worker}\"}}"))
        })
        .sum();
    assert!(accepted >= held.len() as f64);
}

#[test]
fn a_listener_that_a_reload_adds_is_chosen_for_as_well_and_one_that_it_removes_is_forgotten() {
    if !kernel::available() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]).workers(WORKERS).kernel_assist("required");
    let balancer = Balancer::start(&config);
    let known = || -> Vec<u64> {
        let dump = tools::map_dump(balancer.instance(), "LISTENERS");
        dump.iter().map(|entry| entry["formatted"]["key"]["port"].as_u64().unwrap()).collect()
    };
    assert_eq!(known(), [u64::from(balancer.address.port())]);
    let second = ports::free();
    let block = format!(
        "listener \"second\" {{\n address = \"127.0.0.1\"\n port = {second}\n default_action {{\n type = \"forward\"\n \
         target_group_arn = \"app\"\n }}\n}}\n"
    );
    let mut address = balancer.address;
    address.set_port(second);
    for _ in 0..3 {
        balancer.reload(&config.clone().more(&block));
        assert_eq!(known().len(), 2);
        let mut held = Vec::new();
        become_even(&balancer, &mut held, address);
        drop(held);
        balancer.reload(&config);
        assert_eq!(known(), [u64::from(balancer.address.port())]);
        balancer.wait_status("nobody is connected", 20.0, |status| {
            loads(status, "connections").iter().sum::<u64>() == 0
        });
    }
    let mut held = Vec::new();
    become_even(&balancer, &mut held, balancer.address);
}

#[test]
fn after_an_upgrade_the_workers_of_the_new_process_are_chosen() {
    if !kernel::available() {
        return;
    }
    let target = Target::plain();
    let config = |workers| Config::new(&[&target]).workers(workers).kernel_assist("required");
    let balancer = Balancer::start(&config(WORKERS));
    let mut before = Vec::new();
    become_even(&balancer, &mut before, balancer.address);
    let mut upgrades = 0;
    let mut upgrade = || {
        balancer.upgraded();
        upgrades += 1;
        balancer.wait_log_lines(&["this one finishes what it has"], upgrades);
    };
    upgrade();
    let mut held = Vec::new();
    become_even(&balancer, &mut held, balancer.address);
    // And those of the one after it, when it has fewer, more, or one alone.
    for workers in [2, 6, 1] {
        balancer.write(&config(workers));
        upgrade();
        let mut held = Vec::new();
        more(&mut held, balancer.address, 60);
        let now = loads(&balancer.status(), "connections");
        // Workers of the old one may accept until they hear of it.
        assert!(now.len() == workers && (50..=60).contains(&now.iter().sum::<u64>()), "{now:?}");
    }
}

#[test]
fn nobody_waits_for_a_worker_that_stands_still() {
    if kernel::available() {
        let balancer = newcomers_while_one_stands_still("required");
        let passed_over = loads(&balancer.status(), "passed_over");
        assert!(passed_over.iter().any(|times| *times > 0), "{passed_over:?}");
    }
}

#[test]
fn nor_without_the_kernel_side_which_sends_some_to_it_all_the_time() {
    let balancer = newcomers_while_one_stands_still("off");
    // One in four.
    let taken_over = balancer.status().total("connections_taken_over");
    assert!((5..=60).contains(&taken_over), "{taken_over}");
    assert_eq!(balancer.metric("balancer_connections_taken_over_total"), taken_over as f64);
}

/// A hundred who come one after the other while a worker stands still for ten seconds, from the very moment on. All of them
/// are answered long before it goes on.
fn newcomers_while_one_stands_still(kernel_assist: &str) -> Balancer {
    let target = Target::plain();
    let mut balancer =
        Balancer::prepare(&Config::new(&[&target]).workers(WORKERS).kernel_assist(kernel_assist));
    balancer.environment.push(("BALANCER_TEST_STALL", "/stall".to_owned()));
    balancer.run();
    balancer.wait_until_settled();
    let mut others = Vec::new();
    more(&mut others, balancer.address, 40);
    let mut stalled = others.swap_remove(0);
    stalled.send("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n");
    balancer.wait_log("standing still");
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let asked = Instant::now();
        let mut connection = Connection::open(balancer.address);
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(connection.response().status, 200);
        slowest = slowest.max(asked.elapsed());
    }
    // Where nobody else needs the processors it is some 30 ms at most: `cargo xtask lab workers` holds that.
    assert!(slowest < Duration::from_secs(3), "somebody waited for it: {slowest:?}");
    balancer.wait_log("a worker stands still");
    assert!(began.elapsed() < Duration::from_secs(9), "it has gone on: {:?}", began.elapsed());
    assert_eq!(stalled.response().status, 200, "who was served by it is served in the end");
    balancer
}

#[test]
fn without_the_kernel_side_figures_of_workers_are_told_all_the_same() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(2).kernel_assist("off"));
    let mut held = Vec::new();
    more(&mut held, balancer.address, 20);
    let status = balancer.status();
    assert_eq!(loads(&status, "connections").iter().sum::<u64>(), 20);
    assert_eq!(loads(&status, "passed_over"), [0, 0]);
    let text = std::process::Command::new(support::balancer::binary())
        .args(["status", "--admin", &balancer.admin.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("workers: ") && line.contains("% busy")), "{text}");
    drop(held);
    balancer
        .wait_status("all have gone", 20.0, |status| loads(status, "connections").iter().sum::<u64>() == 0);
    assert!(matches!(status.0["worker_loads"][0]["busy_seconds"], Value::Number(_)));
}
