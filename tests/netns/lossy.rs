//! A network that loses packets on the way to a host, and what the doctor says of it.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use support::{Balancer, Config, Group, balancer::binary, kernel, until};

use super::hosts::{Host, run};

const CLIENTS: usize = 24;

/// Has others end, whatever becomes of who has it.
struct Ends<'o>(&'o AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_network_that_loses_packets_is_named_first() {
    if !kernel::available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.serve(folder.path());
    let far = format!("{}:8000", host.far);
    // Without checks: they would lose packets as well, and the host would be unhealthy.
    let group = Group::of("app", std::slice::from_ref(&far)).unchecked();
    let balancer = Balancer::start(&Config::with(group).kernel_assist("required"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Ends(&over);
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = balancer.connect();
                while !over.load(Relaxed) {
                    assert_eq!(connection.get("/healthz", "").status, 200);
                }
            });
        }
        let open = || balancer.status().target(&far)["connections"]["open"].as_u64();
        until("there is a connection for each client", 30.0, || {
            open().filter(|open| *open >= CLIENTS as u64 / 2)
        });
        let sound = doctor(&balancer);
        let lose =
            "iptables -A INPUT -p tcp --dport 8000 -m statistic --mode random --probability 0.3 -j DROP";
        run(&format!("ip netns exec {} {lose}", host.name));
        let lossy = doctor(&balancer);
        drop(ends);
        assert!(!sound.to_string().contains("lossy_network"), "{sound:#}");
        let first = &lossy["complaints"][0];
        assert_eq!(first["code"], "lossy_network", "{lossy:#}");
        assert!(first.to_string().contains(&far) && first["seen"].as_str().unwrap().contains("TCP segments"));
    });
}

fn doctor(balancer: &Balancer) -> serde_json::Value {
    let admin = balancer.admin.to_string();
    let output = Command::new(binary())
        .args(["doctor", "--json", "--seconds", "2", "--admin", &admin])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}
