//! Files of access logs: rotated, changed by reloads, written by another user, not read by anybody, and whole at
//! the end.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use rustix::process::Signal;
use support::{
    Answer, Balancer, Config, Target,
    access_log::{Line, lines, wait_for},
    until,
};

fn log_to(config: &Config, path: &Path) -> Config {
    let block = format!("  access_logs {{\n    enabled = true\n    path = \"{}\"\n  }}", path.display());
    config.clone().attribute(&block)
}

/// A balancer that logs into this file of its folder.
fn logging(config: &Config, file: &str) -> (Balancer, PathBuf) {
    let mut balancer = Balancer::prepare(config);
    let path = balancer.folder().join(file);
    balancer.write(&log_to(config, &path));
    balancer.run();
    balancer.wait_until_settled();
    (balancer, path)
}

/// The paths that were asked for.
fn asked(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line["request"].split(['/', ' ']).rev().nth(2).unwrap().to_owned()).collect()
}

/// Sends requests for `/0`, `/1` and so on until told to stop; gives back how many there were.
fn ask_until(balancer: &Balancer, stop: &AtomicBool, next: &AtomicU32) {
    let mut connection = balancer.connect();
    while !stop.load(SeqCst) {
        let number = next.fetch_add(1, SeqCst);
        assert_eq!(connection.get(&format!("/{number}"), "").status, 200);
    }
}

#[test]
fn a_rotated_file_is_left_at_the_signal_and_no_line_is_lost() {
    let target = Target::plain();
    let (balancer, path) = logging(&Config::new(&[&target]).workers(2), "access.log");
    let (stop, next) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut rotated = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask_until(&balancer, &stop, &next));
        }
        for turn in 0..5 {
            until("something is logged", 10.0, || (!lines(&path).is_empty()).then_some(()));
            let old = balancer.folder().join(format!("access.log.{turn}"));
            fs::rename(&path, &old).unwrap();
            balancer.signal(Signal::USR1);
            until("the file is opened anew", 10.0, || path.exists().then_some(()));
            rotated.push(old);
        }
        stop.store(true, SeqCst);
    });
    rotated.push(path);
    let count = next.load(SeqCst) as usize;
    let all = until("every line", 10.0, || {
        let all: Vec<String> = rotated.iter().flat_map(|path| asked(&lines(path))).collect();
        (all.len() >= count).then_some(all)
    });
    let distinct: BTreeSet<u32> = all.iter().map(|number| number.parse().unwrap()).collect();
    assert_eq!((all.len(), distinct.len(), distinct.last().copied()), (count, count, Some(count as u32 - 1)));
    assert_eq!(balancer.metric("balancer_log_lines_total"), count as f64);
}

#[test]
fn another_user_writes_and_rotates() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]).process("user = \"nobody\"");
    let mut balancer = Balancer::prepare(&config);
    let folder = balancer.folder().join("logs");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).unwrap();
    let path = folder.join("access.log");
    balancer.write(&log_to(&config, &path));
    balancer.run();
    balancer.connect().get("/0", "");
    assert_eq!(wait_for(&path, 1).len(), 1);
    let owner = |path: &Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    assert_eq!(owner(&path), 65534, "the file that root opened is handed over");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
    fs::rename(&path, folder.join("old")).unwrap();
    balancer.signal(Signal::USR1);
    until("the file is opened anew", 10.0, || path.exists().then_some(()));
    balancer.connect().get("/1", "");
    assert_eq!(asked(&wait_for(&path, 1)), ["1"]);
    assert_eq!(asked(&lines(&folder.join("old"))), ["0"]);
}

#[test]
fn a_reload_changes_turns_off_and_turns_on() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let (balancer, first) = logging(&config, "first");
    let second = balancer.folder().join("second");
    let mut connection = balancer.connect();
    connection.get("/0", "");
    balancer.reload(&log_to(&config, &second));
    connection.get("/1", "");
    balancer.reload(&config);
    connection.get("/2", "");
    balancer.reload(&log_to(&config, &first));
    connection.get("/3", "");
    let found = wait_for(&first, 2);
    // The writer of before may still have its line when the next one begins: lines tell their time, not their order.
    let mut both = asked(&found);
    both.sort_unstable();
    assert_eq!(both, ["0", "3"]);
    assert_eq!(asked(&wait_for(&second, 1)), ["1"]);
    assert_eq!(found[0]["conn_trace_id"], found[1]["conn_trace_id"]);
    // A file that cannot be had leaves everything as it is.
    balancer.write(&log_to(&config, &balancer.folder().join("no/such/folder/log")));
    balancer.signal(Signal::HUP);
    until("the reload is refused", 10.0, || (balancer.status().0["reload_failures"] == 1).then_some(()));
    until("the log says which", 10.0, || balancer.log().contains("no/such/folder/log").then_some(()));
    connection.get("/4", "");
    assert_eq!(asked(&wait_for(&first, 3))[2], "4");
}

#[test]
fn a_file_that_cannot_be_opened_keeps_the_balancer_from_starting() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let mut balancer = Balancer::prepare(&config);
    balancer.write(&log_to(&config, Path::new("/no/such/folder/access.log")));
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.log.contains("/no/such/folder/access.log"), "{}", ended.log);
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_nothing_else() {
    const REQUESTS: u64 = 2000;
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let mut balancer = Balancer::prepare(&config);
    let path = balancer.folder().join("pipe");
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    );
    made.unwrap();
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    balancer.write(&log_to(&config, &path));
    balancer.run();
    balancer.wait_until_settled();
    let mut connection = balancer.connect();
    let fields = format!("User-Agent: {}\r\n", "u".repeat(8000));
    let path = format!("/{}", "p".repeat(8000));
    let before = balancer.memory();
    for _ in 0..REQUESTS {
        // One that waited for the pipe would wait for ever.
        assert_eq!(connection.get(&path, &fields).status, 200);
    }
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < REQUESTS * 12_000, "grew by {grown} bytes, of lines with {}", REQUESTS * 16_000);
    let lost = || balancer.metric("balancer_log_lines_lost_total{reason=\"queue_full\"}") as u64;
    until("drops are counted", 10.0, || (lost() > REQUESTS / 2).then_some(()));
    // What was kept comes whole once somebody reads.
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let mut bytes = Vec::new();
    let found = until("the rest of the lines", 20.0, || {
        while matches!(reader.read_to_end(&mut bytes), Ok(1..)) {}
        let text = std::str::from_utf8(&bytes).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        (whole.lines().count() as u64 >= REQUESTS - lost()).then(|| whole.to_owned())
    });
    assert_eq!(found.lines().map(Line::parse).count() as u64, REQUESTS - lost());
}

#[test]
fn lines_reach_standard_output_whole() {
    let target = Target::plain();
    let config = Config::new(&[&target])
        .attribute("access_logs {\nenabled = true\nbucket = \"any\"\nprefix = \"p\"\n}");
    let balancer = Balancer::start(&config);
    for number in 0..10 {
        balancer.connect().get(&format!("/{number}"), "");
    }
    let found = until("ten lines", 10.0, || {
        let log = balancer.log();
        // What is being written may be seen in part.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let found: Vec<Line> =
            whole.lines().filter(|line| line.starts_with("http 20")).map(Line::parse).collect();
        (found.len() == 10).then_some(found)
    });
    assert_eq!(asked(&found), (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn the_end_of_the_process_loses_no_line() {
    let (tell, hear) = std::sync::mpsc::channel();
    let target = Target::start(move |exchange| {
        if exchange.request.target == "/slow" {
            tell.send(()).unwrap();
            while matches!(exchange.reader.fill(), Ok(true)) {}
            return Answer::Close;
        }
        exchange.ok("", "")
    });
    let (mut balancer, path) = logging(&Config::new(&[&target]), "access.log");
    let mut connection = balancer.connect();
    for number in 0..100 {
        connection.get(&format!("/{number}"), "");
    }
    balancer.signal(Signal::TERM);
    assert!(balancer.wait_exit(10.0).success());
    assert_eq!(lines(&path).len(), 100);
    // What is cut off is told, too.
    balancer.run();
    let mut slow = balancer.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    hear.recv_timeout(Duration::from_secs(10)).unwrap();
    balancer.signal(Signal::TERM);
    balancer.wait_status("it is ending", 10.0, |status| status.0["draining"] == true);
    balancer.signal(Signal::TERM);
    balancer.wait_exit(10.0);
    let found = lines(&path);
    assert_eq!(found.len(), 101);
    found[100].expect(&[("elb_status_code", "-"), ("target:port", &target.address)]);
}
