//! What a balancer has in memory when it has started and nothing has happened: no more than it needs.

use std::fs;

use support::{Balancer, Config, Group, Status, Target, kernel, until};

const MIB: u64 = 1024 * 1024;
/// Of the session table at its default size.
const TABLE: u64 = 32 * MIB;

/// Bytes of the kernel's arrays that belong to the process.
fn mapped_arrays(pid: u32) -> u64 {
    let mut is_array = false;
    let mut kib = 0;
    for line in fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap().lines() {
        if let Some(size) = line.strip_prefix("Rss:").filter(|_| is_array) {
            kib += size.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            is_array = line.ends_with("bpf-map");
        }
    }
    kib * 1024
}

#[test]
fn what_reading_the_kernels_types_takes_is_given_back() {
    if !kernel::available() {
        return;
    }
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1).kernel_assist("required"));
    until("memory is given back", 30.0, || (balancer.memory() < 12 * MIB).then_some(()));
    assert_eq!(balancer.client().get("/").status, 200);
}

#[test]
fn the_session_table_is_mapped_when_a_group_needs_it() {
    if !kernel::available() {
        return;
    }
    let target = Target::sessions();
    let config = |group: Group| Config::with(group).workers(1).kernel_assist("required");
    let by_application = config(Group::new("app", &[&target]).app_cookie("SESSIONID"));
    let mut balancer = Balancer::start(&config(Group::new("app", &[&target]).lb_cookie()));
    assert_eq!(balancer.client().get("/").status, 200);
    // Who asks how full it is looks into it, and leaves no more of it behind.
    assert_eq!(balancer.status().0["session_table"]["entries"], 0);
    assert!(mapped_arrays(balancer.pid()) < TABLE / 4, "{}", mapped_arrays(balancer.pid()));
    balancer.reload(&by_application);
    until("the table is mapped", 30.0, || (mapped_arrays(balancer.pid()) >= TABLE).then_some(()));
    assert_eq!(balancer.client().get("/").status, 200);
    let entries = |status: &Status| status.0["session_table"]["entries"].as_u64().unwrap();
    let held =
        entries(&balancer.wait_status("a session is in the table", 30.0, |status| entries(status) > 0));
    // Who has no use for it knows what is in it.
    balancer.kill();
    balancer.write(&config(Group::new("app", &[&target]).lb_cookie()));
    balancer.run();
    assert_eq!(entries(&balancer.status()), held);
    assert!(mapped_arrays(balancer.pid()) < TABLE / 4);
}
