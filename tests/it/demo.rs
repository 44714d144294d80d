//! `balancer demo`: what its screen says to try does what it says, and Ctrl-C leaves nothing.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Client, balancer::binary, ports, until};

struct Demo {
    child: Child,
    screen: String,
    folder: tempfile::TempDir,
}

impl Demo {
    /// Starts it and reads its screen, which ends with what Ctrl-C does.
    fn start() -> (Self, SocketAddr) {
        let folder = tempfile::tempdir().unwrap();
        let port = ports::free();
        let mut child = Command::new(binary())
            .args(["demo", "--port", &port.to_string()])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut screen = String::new();
        while !screen.contains("Ctrl-C") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended:\n{screen}")).unwrap();
            screen.push_str(&line);
            screen.push('\n');
        }
        (Self { child, screen, folder }, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn targets(&self) -> Vec<SocketAddr> {
        let words = self.screen.split_whitespace();
        let urls = words.filter_map(|word| word.strip_prefix("http://")?.strip_suffix('/'));
        let all: Vec<SocketAddr> = urls.filter_map(|address| address.parse().ok()).collect();
        all.into_iter().skip(1).take(3).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

#[test]
fn the_demo_shows_stickiness_survives_a_killed_target_and_cleans_up() {
    let (mut demo, address) = Demo::start();
    let targets = demo.targets();
    assert_eq!(targets.len(), 3, "{}", demo.screen);
    assert!(
        demo.screen.contains(&address.to_string()) && demo.screen.contains("kernel side"),
        "{}",
        demo.screen
    );

    // 1. A client that returns its cookies stays.
    let mut client = Client::new(address);
    let answers: Vec<String> = (0..4).map(|_| client.get("/").text()).collect();
    let home =
        |text: &str| ["alpha", "bravo", "charlie"].into_iter().find(|name| text.contains(name)).unwrap();
    assert!(answers.iter().all(|text| home(text) == home(&answers[0])), "{answers:?}");
    assert_eq!(answers.iter().collect::<HashSet<_>>().len(), 4, "it counts visits: {answers:?}");

    // 2. A forged cookie counts as none, and a good one is set.
    let mut forger = Client::new(address);
    forger.jar.insert("AWSALB".to_owned(), "A".repeat(58));
    let response = forger.get("/");
    assert!(response.status == 200 && response.cookie("AWSALB").is_some());

    // 3. Killing the home costs the session once and no error.
    let place = ["alpha", "bravo", "charlie"].iter().position(|name| *name == home(&answers[0])).unwrap();
    assert_eq!(support::Connection::open(targets[place]).post("/kill", b"").status, 200);
    until("the target is gone", 10.0, || std::net::TcpStream::connect(targets[place]).is_err().then_some(()));
    let after: Vec<_> = (0..4).map(|_| client.get("/")).collect();
    assert!(after.iter().all(|response| response.status == 200));
    let homes: HashSet<_> = after.iter().map(|response| home(&response.text())).collect();
    assert!(homes.len() == 1 && !homes.contains(home(&answers[0])), "{homes:?}");

    // What the screen says to type does what it says, as it stands.
    let mut commands: Vec<&str> = demo
        .screen
        .lines()
        .filter(|line| line.starts_with("   ") && line.contains("curl "))
        .map(str::trim)
        .collect();
    commands.extend(demo.screen.lines().filter_map(|line| line.strip_prefix("  status ")).map(str::trim));
    assert_eq!(commands.len(), 4, "{}", demo.screen);
    let typed_in = tempfile::tempdir().unwrap();
    for command in commands {
        let output = Command::new("sh").args(["-c", command]).current_dir(typed_in.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // The target that 3. ends may be gone already.
        let ended = command.contains("/kill") && output.status.code() == Some(7);
        assert!(output.status.success() || ended, "{command}: {output:?}");
        assert!(!said.is_empty() || ended, "{command}: {output:?}");
        if command.starts_with("for ") {
            assert_eq!(said.lines().count(), 4, "{command}: {said}");
        }
    }

    // Ctrl-C.
    kill_process(Pid::from_raw(demo.child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let status = until("it ends", 20.0, || demo.child.try_wait().unwrap());
    let mut errors = String::new();
    demo.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(std::fs::read_dir(demo.folder.path()).unwrap().count(), 0, "its folder is gone");
    let pins = format!("/sys/fs/bpf/balancer/demo-{}", demo.child.id());
    assert!(!std::path::Path::new(&pins).exists(), "nothing stays pinned");
}
