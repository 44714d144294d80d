//! The files behind the shared tables are cut short while the process runs: it goes on, says so, and makes them whole.

use std::{
    fs::{self, OpenOptions},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use support::{Balancer, Config, Group, Target, until};

fn tables(balancer: &Balancer) -> Vec<PathBuf> {
    let run = balancer.folder().join("run").join(balancer.instance());
    let folder = fs::read_dir(run).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap().path();
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 3);
    files
}

#[test]
fn tables_that_are_cut_short_end_no_process_and_are_whole_again() {
    let target = Target::start(|exchange| exchange.ok("Set-Cookie: SESSION=of-a-client; Path=/\r\n", ""));
    let other = Target::start(|exchange| exchange.ok("Set-Cookie: SESSION=of-a-client; Path=/\r\n", ""));
    let group = Group::new("app", &[&target, &other]).app_cookie("SESSION");
    let mut balancer = Balancer::start(&Config::with(group).kernel_assist("off").workers(2));
    let files = tables(&balancer);
    let sizes: Vec<u64> = files.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    let stop = AtomicBool::new(false);
    let cut = |turn: usize, length: u64| {
        for file in &files {
            OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
        }
        until("the files are whole again", 20.0, || {
            let now: Vec<u64> = files.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
            (now == sizes && balancer.log().matches("cut short").count() >= 3 * (turn + 1)).then_some(())
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = balancer.connect();
                while !stop.load(Relaxed) {
                    let status = connection.get("/", "Cookie: SESSION=of-a-client\r\n").status;
                    assert_eq!(status, 200);
                }
            });
        }
        for (turn, length) in [0, 4096, 100].into_iter().enumerate() {
            cut(turn, length);
        }
        stop.store(true, Relaxed);
    });
    // What is counted adds up once nothing is in flight any more.
    balancer.wait_status("no request is in flight", 10.0, |status| {
        status.targets().iter().all(|target| target["outstanding_requests"] == 0)
    });
    // A session of later on outlives the process, as ever.
    let ask = |balancer: &Balancer| balancer.connect().get("/", "Cookie: SESSION=of-a-client\r\n").status;
    let counts = || (target.count(), other.count());
    ask(&balancer);
    let before = counts();
    ask(&balancer);
    let is_first = counts().0 > before.0;
    balancer.kill_and_restart();
    let before = counts();
    for _ in 0..4 {
        assert_eq!(ask(&balancer), 200);
    }
    assert_eq!(counts().0 - before.0, if is_first { 4 } else { 0 }, "the session stayed where it was");
}

#[test]
fn the_service_user_does_not_get_at_the_tables() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off").process("user = \"nobody\"");
    let balancer = Balancer::start(&config);
    for file in tables(&balancer) {
        assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
        let mut command = Command::new("truncate");
        let cut = command.args(["--size=0"]).arg(&file).uid(65534).gid(65534).output().unwrap();
        assert!(!cut.status.success());
        // Root can, and the process goes on.
        OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    }
    assert_eq!(balancer.connect().get("/", "").status, 200);
    until("the files are whole again", 20.0, || {
        tables(&balancer).iter().all(|file| fs::metadata(file).unwrap().len() > 0).then_some(())
    });
    assert_eq!(balancer.connect().get("/", "").status, 200);
}
