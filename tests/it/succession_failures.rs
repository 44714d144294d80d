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

use balancer_common::ABI_VERSION;
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
    let (text, new) = (link.with_extension("text"), link.with_extension("new"));
    fs::write(&text, script).unwrap();
    // By another process: what this one has open to write, a child that another test has just forked has, too, and what
    // somebody has open to write cannot be run.
    assert!(Command::new("cp").args([&text, &new]).status().unwrap().success());
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

/// Speaks as a new process does.
fn stranger(abi: u32, hangs: bool) -> String {
    let script = include_str!("../support/stranger.pl");
    script.replace("@ABI@", &abi.to_string()).replace("@HANGS@", if hangs { "1" } else { "0" })
}

fn has_connected(pid: u32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut leads_to = files.filter_map(|file| fs::read_link(file.path()).ok());
    leads_to.any(|path| path.to_string_lossy().starts_with("socket:"))
}

#[test]
fn a_program_that_spoke_and_fails_leaves_the_old_one_serving() {
    for assist in ["off", "auto"] {
        let target = Target::plain();
        let (balancer, link) = by_link(&Config::new(&[&target]).kernel_assist(assist));
        replace(&link, &stranger(ABI_VERSION + 1, false));
        let done = balancer.upgrade();
        let why = format!("its tables are of version {}", ABI_VERSION + 1);
        assert!(done.status.code() == Some(1) && told(&done).contains(&why), "{}", told(&done));
        serves_on(&balancer);

        replace(&link, &stranger(ABI_VERSION, true));
        let done = std::thread::scope(|scope| {
            let upgrade = scope.spawn(|| balancer.upgrade());
            let others = || balancer.others().into_iter().find(|pid| has_connected(*pid));
            let new = until("it has spoken", 60.0, others);
            kill_process(Pid::from_raw(new.cast_signed()).unwrap(), Signal::KILL).unwrap();
            upgrade.join().unwrap()
        });
        assert!(done.status.code() == Some(1) && told(&done).contains("signal: 9"), "{}", told(&done));
        serves_on(&balancer);
        if assist == "off" {
            let done = balancer.upgrade();
            let why = "was not ready within 60 s, and was ended";
            assert!(done.status.code() == Some(1) && told(&done).contains(why), "{}", told(&done));
            serves_on(&balancer);
        }
        fs::remove_file(&link).unwrap();
        symlink(binary(), &link).unwrap();
        assert_ne!(balancer.upgraded(), balancer.pid());
    }
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
fn who_is_ended_during_an_upgrade_ends_it() {
    for assist in ["off", "auto"] {
        let (hangs, held) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (is_held, count) = (Arc::clone(&hangs), Arc::clone(&held));
        let target = Target::plain();
        // The new process has to check it, as the old one does not know it.
        let newcomer = Target::start(move |exchange| {
            let is_check = exchange.request.target == "/ready" && is_held.load(SeqCst);
            count.fetch_add(usize::from(is_check), SeqCst);
            while is_check && is_held.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
            exchange.ok("", "")
        });
        let config = |targets: &[&Target]| {
            let check = "path = \"/ready\"\ninterval = 120\ntimeout = 60";
            let group = Group { health_check: check.into(), ..Group::new("app", targets) };
            Config::with(group).kernel_assist(assist)
        };
        let mut balancer = Balancer::start(&config(&[&target]));
        balancer.write(&config(&[&target, &newcomer]));
        let tell =
            |pid: u32, signal| kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();

        for (signal, why) in [(Signal::TERM, "asked to end"), (Signal::KILL, "signal: 9")] {
            let done = while_the_new_one_gets_ready(&balancer, &held, |new| tell(new, signal));
            assert_eq!(done.status.code(), Some(1), "{}", told(&done));
            assert!(told(&done).contains(why), "{}", told(&done));
            serves_on(&balancer);
        }

        let old = balancer.pid();
        let done = while_the_new_one_gets_ready(&balancer, &held, |_| tell(old, Signal::TERM));
        let said = "balancer: not upgraded: the running process was asked to end\n";
        assert_eq!((done.status.code(), &*told(&done)), (Some(1), said));
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

/// What a process had open that is killed while it finishes what it has is open no more.
#[test]
fn connections_of_a_killed_process_are_written_off() {
    for assist in ["off", "auto"] {
        let target = Target::start(|exchange| {
            if exchange.request.target == "/wait" {
                std::thread::sleep(Duration::from_secs(600));
            }
            exchange.ok("", "")
        });
        let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist(assist));
        let mut waiting = balancer.connect();
        waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
        until("the request is there", 60.0, || (target.count() == 1).then_some(()));
        balancer.upgraded();
        let open = |status: &support::Status| status.target(&target.address)["connections"]["open"].as_u64();
        assert_eq!(open(&balancer.status()), Some(1));
        balancer.signal(Signal::KILL);
        balancer.wait_status("both are written off", 60.0, |status| {
            open(status) == Some(0) && status.target(&target.address)["outstanding_requests"] == 0
        });
    }
}

/// The process that starts others, and whether it is gone but for its number.
fn starter(of: u32) -> Option<(u32, bool)> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().find_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        Some((pid.parse().ok()?, fields.starts_with('Z')))
    })
}

#[test]
fn a_starter_that_is_gone_is_replaced_or_told() {
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    for gives_up_root in [false, true] {
        if gives_up_root && !support::kernel::is_root() {
            continue;
        }
        let config = if gives_up_root { config.clone().process("user = \"nobody\"") } else { config.clone() };
        let balancer = Balancer::start(&config);
        let (first, _) = until("there is one", 60.0, || starter(balancer.pid()));
        kill_process(Pid::from_raw(first.cast_signed()).unwrap(), Signal::KILL).unwrap();
        if gives_up_root {
            until("nothing is left of it", 60.0, || starter(balancer.pid()).is_none().then_some(()));
            let status =
                balancer.wait_status("it is told", 60.0, |status| !status.0["no_upgrades"].is_null());
            let why = status.0["no_upgrades"]["error"].as_str().unwrap().to_owned();
            assert!(why.contains("signal: 9") && why.contains("a restart is what is left"), "{why}");
            let done = balancer.upgrade();
            assert!(done.status.code() == Some(1) && told(&done).contains(&why), "{}", told(&done));
            assert_eq!(balancer.connect().get("/", "").status, 200);
        } else {
            until("there is another one, and nothing left of the first", 60.0, || {
                starter(balancer.pid()).filter(|(pid, is_gone)| *pid != first && !is_gone)
            });
            balancer.upgraded();
            assert!(balancer.status().0["no_upgrades"].is_null());
        }
    }
}

#[test]
fn starters_that_go_one_after_the_other_are_not_replaced_for_ever() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("off"));
    let mut gone = Vec::new();
    let status = until("it is told", 60.0, || {
        if let Some((pid, false)) = starter(balancer.pid()).filter(|(pid, _)| !gone.contains(pid)) {
            // It may be gone by itself.
            let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
            gone.push(pid);
        }
        let status = balancer.status();
        (!status.0["no_upgrades"].is_null()).then_some(status)
    });
    let why = status.0["no_upgrades"]["error"].as_str().unwrap();
    assert!(why.contains("so were the 3 before it"), "{why}");
    assert!(gone.len() <= 4 && starter(balancer.pid()).is_none(), "{gone:?}");
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

/// The newest process is killed while the one before has a client still: that one serves nobody new, and keeps nobody from it.
#[test]
fn a_start_beside_a_process_that_only_finishes_what_it_has_serves() {
    for assist in ["off", "auto"] {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let target = Target::start(move |exchange| {
            if exchange.request.target == "/wait" {
                let _ = wait.lock().unwrap().recv();
            }
            exchange.ok("", "")
        });
        let mut balancer = Balancer::start(&Config::new(&[&target]).kernel_assist(assist));
        let mut waiting = balancer.connect();
        waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
        until("the request is there", 10.0, || (target.count() == 1).then_some(()));
        let finishes = balancer.pid();
        let newest = balancer.upgraded();
        balancer.signal_newest(Signal::KILL);
        balancer.wait_gone(&[newest], 20.0);
        let mut before = balancer.run_beside().unwrap();
        balancer.wait_until_settled();
        assert_eq!(balancer.connect().get("/", "").status, 200);
        // The killed one is seen to be gone within a second.
        let both = [balancer.pid(), finishes];
        balancer.wait_status("who serves, and who finishes its request", 20.0, |status| {
            let generations = status.0["generations"].as_array().unwrap();
            // The answer is there before its request is counted as over.
            generations.iter().map(|it| &it["pid"]).eq(&both)
                && status.target(&target.address)["outstanding_requests"] == 1
        });
        // Beside one that serves there is none.
        let mut second = Command::new(binary());
        let second = second.args(["run", "-c"]).arg(balancer.config_path()).output().unwrap();
        assert_eq!(second.status.code(), Some(1));
        let named = format!("already running as process {}", balancer.pid());
        assert!(told(&second).contains(&named), "{}", told(&second));
        go.send(()).unwrap();
        assert_eq!(waiting.response().status, 200);
        drop(waiting);
        assert!(before.wait().unwrap().success());
        balancer.wait_status("one process", 20.0, |status| {
            status.0["generations"].as_array().unwrap().len() == 1
        });
        // And it can be upgraded.
        balancer.upgraded();
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
}
