//! Root is given up by every thread, whatever the process does: no thread keeps a right that another has let go.

use std::{collections::BTreeMap, fs};

use support::{Balancer, Config, Group, Target, until};

const NOBODY: &str = "65534";

/// What proc says of each thread.
fn threads(pid: u32) -> Vec<BTreeMap<String, String>> {
    let status = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("status")).ok()?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        let words = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(fields.map(|(key, value)| (key.to_owned(), words(value))).collect())
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks.filter_map(|task| status(task.path())).collect()
}

#[test]
fn every_thread_has_given_root_up() {
    if !support::kernel::is_root() {
        return;
    }
    for assist in ["off", "auto"] {
        let target = Target::plain();
        let config = Config::with(Group::new("app", &[&target]).lb_cookie())
            .kernel_assist(assist)
            .workers(3)
            .process("user = \"nobody\"")
            .process("seccomp = \"on\"")
            .attribute("access_logs {\nenabled = true\npath = \"stdout\"\n}")
            .attribute("health_check_logs {\nenabled = true\npath = \"/dev/null\"\n}");
        let balancer = Balancer::start(&config);
        let allowed = if balancer.status().kernel_assist() { [10, 12, 39].as_slice() } else { &[10] };
        let mask: u64 = allowed.iter().map(|bit| 1 << bit).sum();
        // A reload starts threads of its own.
        let mut other = config.clone();
        other.load_balancer_lines = other.load_balancer_lines.replace("stdout", "/dev/zero");
        balancer.reload(&other);
        // A thread has its name a moment after it is there.
        let threads = until("both logs have their threads", 10.0, || {
            let threads = threads(balancer.pid());
            (threads.iter().filter(|thread| thread["Name"] == "log-file").count() == 2).then_some(threads)
        });
        for thread in &threads {
            let name = &thread["Name"];
            assert_eq!(thread["NoNewPrivs"], "1", "{name}");
            assert_eq!(thread["Seccomp"], "2", "{name}: system calls are filtered");
            for ids in ["Uid", "Gid"] {
                assert!(thread[ids].split(' ').all(|id| id == NOBODY), "{name}: {ids} {}", thread[ids]);
            }
            assert_eq!(thread["Groups"], NOBODY, "{name}");
            for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
                let found = u64::from_str_radix(&thread[set], 16).unwrap();
                assert_eq!(found & !mask, 0, "{name}: {set} {}", thread[set]);
            }
        }
    }
}
