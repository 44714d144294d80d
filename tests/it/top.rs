//! `balancer top` beside a running balancer: in a pipe, and in a terminal of 80 by 24 by tmux.

use std::process::{Command, Output};

use support::{Balancer, Config, Group, Target, balancer::binary, until};

fn top(balancer: &Balancer, arguments: &[&str]) -> Output {
    let admin = balancer.admin.to_string();
    Command::new(binary()).arg("top").args(arguments).args(["--admin", &admin]).output().unwrap()
}

#[test]
fn into_a_pipe_it_prints_one_picture_without_colours() {
    let [one, two] = [Target::plain(), Target::plain()];
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&one, &two]).lb_cookie()));
    assert_eq!(balancer.client().get("/").status, 200);
    for arguments in [&["--once"][..], &[]] {
        let output = top(&balancer, arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\x1b'), "{text:?}");
        for word in [balancer.instance(), "GROUP", "SESSIONS", &one.address, &two.address, "healthy"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    let filtered = String::from_utf8(top(&balancer, &["--once", "--filter", &one.address]).stdout).unwrap();
    assert!(filtered.contains(&one.address) && !filtered.contains(&two.address), "{filtered}");
}

#[test]
fn a_balancer_that_is_not_there_is_told_in_one_line() {
    let admin = format!("127.0.0.1:{}", support::ports::free());
    let output = Command::new(binary()).args(["top", "--admin", &admin]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains(&admin), "{told}");
}

/// A terminal that understands no more than text gets a picture, and nothing that moves a cursor.
#[test]
fn a_terminal_of_text_alone_gets_one_picture() {
    let one = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&one]));
    let terminal = Terminal::run(&format!(
        "TERM=dumb {} top --admin {}; echo ENDED; sleep 60",
        binary().display(),
        balancer.admin
    ));
    let screen = terminal.wait("it ends by itself", |screen| screen.contains("ENDED"));
    assert!(screen.contains(&one.address), "{screen}");
}

/// A terminal of its own, gone with the test.
struct Terminal {
    socket: tempfile::TempDir,
}

impl Terminal {
    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.socket.path().join("s")).args(arguments).env_remove("TMUX");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    fn run(command: &str) -> Self {
        let terminal = Self { socket: tempfile::tempdir().unwrap() };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command]);
        terminal
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "t"])
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "t"], keys].concat());
    }

    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        until(what, 20.0, || Some(self.screen()).filter(|screen| wanted(screen)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn in_a_terminal_it_follows_what_happens_and_does_what_keys_say() {
    let [one, two] = [Target::plain(), Target::plain()];
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&one, &two])));
    let command = format!("{} top --admin {}; echo ENDED-$?; cat", binary().display(), balancer.admin);
    let terminal = Terminal::run(&command);
    let screen =
        terminal.wait("it is drawn", |screen| screen.contains(&one.address) && screen.contains("q ends"));
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");

    two.set_healthy(false);
    terminal.wait("it follows", |screen| {
        screen.lines().any(|line| line.contains(&two.address) && line.contains("unhealthy"))
    });
    terminal.press(&["/"]);
    terminal.press(&["-l", &one.address]);
    terminal.press(&["Enter"]);
    terminal.wait("it is filtered", |screen| screen.contains(&one.address) && !screen.contains(&two.address));
    terminal.press(&["?"]);
    terminal.wait("it helps", |screen| screen.contains("sorts by the next column"));
    terminal.press(&["q"]);
    let screen = terminal.wait("it ends", |screen| screen.contains("ENDED-0"));
    // What was there before is there again.
    assert!(!screen.contains("q ends"), "{screen}");
}

/// What was seen last stays on the screen, and that it is old is said.
#[test]
fn a_balancer_that_ends_meanwhile_is_told_of() {
    let target = Target::plain();
    let mut balancer = Balancer::start(&Config::with(Group::new("app", &[&target])));
    let terminal = Terminal::run(&format!("{} top --admin {}", binary().display(), balancer.admin));
    terminal.wait("it is drawn", |screen| screen.contains(&target.address));
    balancer.signal(rustix::process::Signal::TERM);
    balancer.wait_exit(20.0);
    let screen = terminal.wait("it is told", |screen| screen.contains("NO NEWER LOOK"));
    assert!(screen.contains(&target.address), "{screen}");
}
