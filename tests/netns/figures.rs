//! Three witnesses of one truth: `bpftool`, `balancer status` and `ss` agree on the connections to each target.

use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;
use support::{Balancer, Config, Group, Target, kernel, tools, until};

const CONNECTIONS: usize = 1000;

/// Words of a row of TARGET_COUNTERS, by their names in the status document.
const WORDS: [(&str, usize); 4] = [("connecting", 1), ("open", 2), ("opened", 3), ("failed", 4)];

/// Bytes as bpftool writes them: `["0x01", "0x00", …]`, in the order of memory.
fn word(bytes: &Value, index: usize) -> u64 {
    let bytes = bytes.as_array().unwrap().iter().skip(index * 8).take(8);
    bytes.rev().fold(0, |word, byte| {
        let byte = u64::from_str_radix(byte.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        word << 8 | byte
    })
}

/// Counters of the slot, as `bpftool map dump pinned` shows them.
fn dumped(instance: &str, slot: u64) -> Value {
    let dump = tools::map_dump(instance, "TARGET_COUNTERS");
    let entry = dump.iter().find(|entry| word(&entry["key"], 0) == slot);
    entry.unwrap_or_else(|| panic!("no slot {slot} in the dump"))["value"].clone()
}

fn agree(balancer: &Balancer, targets: &[Target], total: u64) {
    let pid = balancer.pid();
    until("bpftool, status and ss agree", 20.0, || {
        let status = balancer.status();
        let mut sum = 0;
        for target in targets {
            let told = status.target(&target.address);
            let connections = &told["connections"];
            let counted = dumped(balancer.instance(), told["slot"].as_u64()?);
            if WORDS.iter().any(|&(name, index)| connections[name] != word(&counted, index)) {
                return None;
            }
            let open = connections["open"].as_u64()?;
            if tools::established_to(target.port(), pid) as u64 != open {
                return None;
            }
            sum += open;
        }
        (sum == total).then_some(())
    });
}

#[test]
fn bpftool_status_and_ss_agree_under_a_thousand_connections() {
    if !kernel::available() {
        return;
    }
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let targets: Vec<Target> = (0..4)
        .map(|_| {
            let gate = Arc::clone(&gate);
            Target::start(move |exchange| {
                let (open, changed) = &*gate;
                let open = changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap();
                drop(open);
                exchange.ok("", "done")
            })
        })
        .collect();
    let group = Group::new("app", &targets.iter().collect::<Vec<_>>());
    let mut balancer = Balancer::start(&Config::with(group).workers(2).kernel_assist("required"));
    let mut waiting: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut connection = balancer.connect();
            connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            connection
        })
        .collect();
    until("all requests are with targets", 60.0, || {
        (targets.iter().map(Target::count).sum::<usize>() == CONNECTIONS).then_some(())
    });
    agree(&balancer, &targets, CONNECTIONS as u64);
    let opened = |balancer: &Balancer| {
        let status = balancer.status();
        targets
            .iter()
            .map(|target| status.target(&target.address)["connections"]["opened"].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(opened(&balancer), CONNECTIONS as u64, "health checks are not counted");

    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for connection in &mut waiting {
        assert_eq!(connection.response().text(), "done");
    }
    drop(waiting);

    // Killed without a chance to put anything away: what was counted is still there, and nothing counts as open.
    balancer.kill_and_restart();
    agree(&balancer, &targets, 0);
    assert_eq!(opened(&balancer), CONNECTIONS as u64, "counters outlive the process");
}

#[test]
fn cleanup_refuses_while_it_runs_and_removes_the_pins_after() {
    if !kernel::available() {
        return;
    }
    let target = Target::plain();
    let mut balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("required"));
    let pins = tools::pins(balancer.instance());
    let runtime_dir = balancer.folder().join("run");
    let cleanup = |balancer: &Balancer| {
        let mut command = std::process::Command::new(support::balancer::binary());
        command.args(["cleanup", "--instance", balancer.instance(), "--runtime-dir"]).arg(&runtime_dir);
        command.output().unwrap()
    };
    let refused = cleanup(&balancer);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(balancer.connect().get("/", "").status, 200);
    balancer.kill();
    assert!(pins.exists(), "pins outlive the process");
    let done = cleanup(&balancer);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!pins.exists(), "{} is still there", pins.display());
}
