//! Whatever becomes of a new process, the old one serves on and says why; and there is a bound on how many there are.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Balancer, Config, Group, Target, balancer::binary, until};

/// A balancer that was started by a link, which may come to lead elsewhere.
fn by_link(config: &Config) -> (Balancer, PathBuf) {
    let mut balancer = Balancer::prepare(config);
    let link = balancer.folder().join("program");
    symlink(binary(), &link).unwrap();
    balancer.program = Some(link.clone());
    balancer.run();
    balancer.wait_until_settled();
    (balancer, link)
}

/// Puts another program where the link was.
fn replace(link: &Path, script: &str) {
    let new = link.with_extension("new");
    fs::write(&new, script).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, link).unwrap();
}

fn told(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// The same process serves as before, and can be upgraded when there is nothing wrong any more.
fn serves_on(balancer: &Balancer) {
    let status = balancer.status();
    assert_eq!(status.0["generations"][0]["pid"], balancer.pid());
    assert_eq!(status.0["generations"].as_array().unwrap().len(), 1);
    assert_eq!(balancer.processes(), [balancer.pid()], "nothing is left of the other one");
    for _ in 0..20 {
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
}

#[test]
fn a_program_that_fails_leaves_the_old_one_serving() {
    for assist in ["off", "auto"] {
        let target = Target::plain();
        let (mut balancer, link) = by_link(&Config::new(&[&target]).kernel_assist(assist));
        let real = binary();
        let real = real.display();
        for (script, why) in [
            ("#!/bin/sh\nexit 3\n".to_owned(), "exit status: 3"),
            ("#!/bin/sh\nkill -KILL $$\n".to_owned(), "signal: 9"),
            ("no program\n".to_owned(), "cannot be started"),
            // It has claimed everything when it is gone.
            (format!("#!/bin/sh\nexec {real} run -c /nonexistent.hcl\n"), "/nonexistent.hcl"),
            (format!("#!/bin/sh\n{real} \"$@\" &\nexec sleep 1000\n"), "was not heard of within 20 s"),
        ] {
            // Which says nothing of tables, and takes its time.
            if why.contains("20 s") && assist != "off" {
                continue;
            }
            replace(&link, &script);
            let done = balancer.upgrade();
            let told = told(&done);
            assert!(
                matches!(done.status.code(), Some(1 | 2)) && told.contains(why),
                "{told}\n{}",
                balancer.log()
            );
            assert!(told.contains("the running process serves on"), "{told}");
            // A process that was not asked for is refused by itself.
            until("the other one is gone", 20.0, || (balancer.processes() == [balancer.pid()]).then_some(()));
            serves_on(&balancer);
        }
        fs::remove_file(&link).unwrap();
        symlink(binary(), &link).unwrap();
        let old = balancer.pid();
        assert_ne!(balancer.upgraded(), old);
        assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_and_changes_nothing() {
    for assist in ["off", "auto"] {
        let target = Target::plain();
        let config = Config::new(&[&target]).kernel_assist(assist);
        let balancer = Balancer::start(&config);
        let good = balancer.text(&config);
        for (text, code, why) in [
            (format!("{good}listener \"x\" {{\n"), 2, "balancer.hcl"),
            (
                good.replace("balancer {\n", "balancer {\n  session_table_size = 4096\n"),
                1,
                "session_table_size",
            ),
            (good.replace("kernel_assist = \"auto\"", "kernel_assist = \"off\""), 1, "kernel_assist"),
            (good.replace(balancer.instance(), "another"), 1, "instance"),
            (good.replace("balancer {\n", "balancer {\n  user = \"no-such-user\"\n"), 1, "no-such-user"),
        ] {
            // Where there is no kernel side it makes no difference.
            if text == good || (why == "kernel_assist" && !support::kernel::available()) {
                continue;
            }
            balancer.write_text(&text);
            let done = balancer.upgrade();
            let told = told(&done);
            assert_eq!(done.status.code(), Some(code), "{told}\n{}", balancer.log());
            assert!(told.contains(why), "{why}: {told}");
            until("the other one is gone", 20.0, || (balancer.processes() == [balancer.pid()]).then_some(()));
            serves_on(&balancer);
        }
        balancer.write_text(&good);
        balancer.upgraded();
    }
}

/// A request in flight keeps a process; with four of them there is no fifth.
#[test]
fn there_are_no_more_processes_than_rows() {
    let target = Target::start(|exchange| {
        if exchange.request.target == "/wait" {
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        exchange.ok("", "")
    });
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("off"));
    let mut waiting = Vec::new();
    for served in 1..=4 {
        let mut connection = balancer.connect();
        connection.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
        waiting.push(connection);
        until("the request is there", 10.0, || (target.count() == served).then_some(()));
        if served < 4 {
            balancer.upgraded();
        }
    }
    assert_eq!(balancer.status().target(&target.address)["outstanding_requests"], 4, "over all processes");
    let fifth = balancer.upgrade();
    assert_eq!(fifth.status.code(), Some(1));
    assert!(told(&fifth).contains("4 processes of the instance run already"), "{}", told(&fifth));
    assert_eq!(balancer.connect().get("/", "").status, 200);
    // One that has lost its client ends, and there is room.
    drop(waiting.remove(0));
    balancer.wait_gone(&[balancer.pid()], 20.0);
    balancer.wait_status("three processes", 20.0, |status| {
        status.0["generations"].as_array().unwrap().len() == 3
    });
    balancer.upgraded();

    // Nobody tidies up after those that finish what they have, even when the newest is gone.
    let newest = balancer.status().0["generations"][0]["pid"].as_u64().unwrap();
    balancer.signal_newest(rustix::process::Signal::KILL);
    balancer.wait_gone(&[u32::try_from(newest).unwrap()], 20.0);
    let mut cleanup = Command::new(binary());
    cleanup.args(["cleanup", "--instance", balancer.instance(), "--runtime-dir"]);
    let cleanup = cleanup.arg(balancer.folder().join("run")).output().unwrap();
    assert_eq!(cleanup.status.code(), Some(1));
    assert!(told(&cleanup).contains("already running as process"), "{}", told(&cleanup));
}

/// A balancer whose new process waits for the first check of a target, and what became of the upgrade once `then` was done
/// to the new one's number.
fn while_the_new_one_gets_ready(balancer: &Balancer, held: &AtomicUsize, then: impl FnOnce(u32)) -> Output {
    let before = held.load(SeqCst);
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| balancer.upgrade());
        let other = || balancer.processes().into_iter().find(|pid| *pid != balancer.pid());
        let new = until("there is a new one", 60.0, other);
        until("it checks", 60.0, || (held.load(SeqCst) > before).then_some(()));
        then(new);
        upgrade.join().unwrap()
    })
}

#[test]
fn who_is_asked_to_end_during_an_upgrade_ends_it() {
    for assist in ["off", "auto"] {
        let (hangs, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_held, count) = (Arc::clone(&hangs), Arc::clone(&held));
        let target = Target::start(move |exchange| {
            let is_check = exchange.request.target == "/ready" && is_held.load(SeqCst);
            count.fetch_add(usize::from(is_check), SeqCst);
            while is_check && is_held.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
            exchange.ok("", "")
        });
        let group = Group::new("app", &[&target]);
        let check = "path = \"/ready\"\ninterval = 120\ntimeout = 60";
        let group = Group { health_check: check.into(), ..group };
        let mut balancer = Balancer::start(&Config::with(group).kernel_assist(assist));
        let tell = |pid: u32| kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::TERM).unwrap();

        hangs.store(true, SeqCst);
        let done = while_the_new_one_gets_ready(&balancer, &held, tell);
        assert_eq!(done.status.code(), Some(1), "{}", told(&done));
        assert!(told(&done).contains("asked to end"), "{}", told(&done));
        serves_on(&balancer);

        let old = balancer.pid();
        let done = while_the_new_one_gets_ready(&balancer, &held, |_| tell(old));
        assert_eq!(done.status.code(), Some(1), "{}", told(&done));
        assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
        until("both are gone", 20.0, || balancer.processes().is_empty().then_some(()));
        hangs.store(false, SeqCst);
        balancer.run();
        balancer.wait_until_settled();
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
}

/// It would hold whatever it was given, with the rights of the start.
#[test]
fn a_program_that_hangs_does_not_outlive_who_started_it() {
    let target = Target::plain();
    let (mut balancer, link) = by_link(&Config::new(&[&target]).kernel_assist("off"));
    let number = balancer.folder().join("number");
    replace(&link, &format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", number.display()));
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| balancer.upgrade());
        let pid: u32 = until("it is there", 60.0, || fs::read_to_string(&number).ok()?.trim().parse().ok());
        balancer.signal(Signal::KILL);
        until("it is gone", 20.0, || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
        assert_eq!(upgrade.join().unwrap().status.code(), Some(1));
    });
    fs::remove_file(&link).unwrap();
    symlink(binary(), &link).unwrap();
    balancer.kill_and_restart();
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

#[test]
fn nobody_to_upgrade_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(["upgrade", "--instance", "nobody-here", "--runtime-dir"]).arg(folder.path());
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(
        told(&done).contains("nobody-here") && told(&done).contains("is one running there?"),
        "{}",
        told(&done)
    );
}
