//! A balancer process under test.

use std::{
    env, fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Client, Config, Connection, Response, Status, freshness::assert_fresh, ports, signals, until};

static INSTANCES: AtomicU32 = AtomicU32::new(0);

/// The program under test.
///
/// # Panics
/// When there is none, or one that is older than its sources: build it, or set `BALANCER_BIN`.
#[must_use]
pub fn binary() -> PathBuf {
    let path = env::var_os("BALANCER_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/debug/balancer"),
        PathBuf::from,
    );
    assert!(path.is_file(), "{} is missing: cargo build -p balancer, or set BALANCER_BIN", path.display());
    assert_fresh(&path);
    path
}

/// A running balancer and its folder. Ended and cleaned up when dropped; its log is shown when the test failed.
#[derive(Debug)]
pub struct Balancer {
    folder: TempDir,
    instance: String,
    child: Option<Child>,
    /// Limit on file descriptors, for the next start.
    pub descriptors: Option<u64>,
    /// Whether the next start goes without the capabilities that the kernel side needs.
    pub without_capabilities: bool,
    /// A file that the next start sees as `/etc/hosts`, in a mount namespace of its own; needs root.
    pub hosts: Option<PathBuf>,
    /// With `hosts`: the name server that the next start asks; none by default, what is asked must not leave this host.
    pub name_server: Option<IpAddr>,
    /// The path that the next start names the program by: a link to it, say, which an upgrade follows anew.
    pub program: Option<PathBuf>,
    /// Variables of the environment of the next start.
    pub environment: Vec<(&'static str, String)>,
    /// More words for the next start.
    pub arguments: Vec<String>,
    /// Where it accepts.
    pub address: SocketAddr,
    /// Its admin endpoint.
    pub admin: SocketAddr,
}

/// What a balancer that ended by itself left.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard error.
    pub log: String,
}

impl Balancer {
    /// Starts a balancer and waits until it answers and no target awaits its first check.
    #[must_use]
    pub fn start(config: &Config) -> Self {
        let mut balancer = Self::prepare(config);
        balancer.run();
        balancer.wait_until_settled();
        balancer
    }

    /// Everything but the start.
    ///
    /// # Panics
    /// When its folder cannot be made.
    #[must_use]
    pub fn prepare(config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A balancer that gives up root still has to reach what lies in here.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let instance = format!("test-{}-{}", std::process::id(), INSTANCES.fetch_add(1, Relaxed));
        let host = if config.address.contains(':') {
            format!("[{}]", config.address)
        } else {
            config.address.clone()
        };
        let address = format!("{host}:{}", ports::free()).parse().unwrap();
        let admin = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let balancer = Self {
            folder,
            instance,
            child: None,
            descriptors: None,
            without_capabilities: false,
            hosts: None,
            name_server: None,
            program: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            address,
            admin,
        };
        balancer.write(config);
        balancer
    }

    /// The text of its configuration.
    #[must_use]
    pub fn text(&self, config: &Config) -> String {
        config.text(&self.instance, self.folder.path(), self.address.port(), self.admin.port())
    }

    /// Writes its configuration.
    pub fn write(&self, config: &Config) {
        self.write_text(&self.text(config));
    }

    /// Writes this text as its configuration.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_text(&self, text: &str) {
        fs::write(self.config_path(), text).unwrap();
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("balancer.hcl")
    }

    /// The program where every user gets to, in its folder. Copied by another process: while this one writes it, a process that
    /// another test starts at that moment would keep it open, and what is open for writing cannot be started.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn program_for_all(&self) -> PathBuf {
        let program = self.folder.path().join("balancer");
        assert!(Command::new("cp").arg(binary()).arg(&program).status().unwrap().success());
        program
    }

    /// Its folder, with `state` and `run` in it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its name for what it keeps outside of its folder.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it has logged, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until it has logged `text`: a line is written some time after what it tells of is seen elsewhere.
    ///
    /// # Panics
    /// When it does not log it within a minute.
    pub fn wait_log(&self, text: &str) {
        self.wait_log_line(&[text]);
    }

    /// Waits for a line with all of `words`, and gives the first.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub fn wait_log_line(&self, words: &[&str]) -> String {
        self.wait_log_lines(words, 1).swap_remove(0)
    }

    /// Waits for `count` lines with all of `words`, and gives all that there are then.
    ///
    /// # Panics
    /// When there are not as many within a minute.
    pub fn wait_log_lines(&self, words: &[&str], count: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = self.log();
            let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < deadline, "no {count} lines with {words:?} in:\n{log}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn command(&self) -> Command {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        if let Some(limit) = self.descriptors {
            words.extend(["prlimit".into(), format!("--nofile={limit}:{limit}").into()]);
        }
        if self.without_capabilities {
            words
                .extend(["setpriv", "--bounding-set", "-bpf,-perfmon,-net_admin,-sys_admin"].map(Into::into));
        }
        if let Some(hosts) = &self.hosts {
            let resolv_conf = self.folder.path().join("resolv.conf");
            let servers = self.name_server.map(|server| format!("nameserver {server}\n"));
            fs::write(&resolv_conf, servers.unwrap_or_default()).unwrap();
            let script = "mount --bind \"$0\" /etc/hosts && mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
            words.extend(["unshare", "--mount", "sh", "-c", script].map(Into::into));
            words.extend([hosts.into(), resolv_conf.into()]);
        }
        words.push(self.program.clone().unwrap_or_else(binary).into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.arg("run").arg("-c").arg(self.config_path()).args(&self.arguments);
        command
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn begin(&mut self) {
        self.spawn();
    }

    /// Starts it and waits until its admin endpoint and its listener answer.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn run(&mut self) {
        self.spawn();
        until("the balancer answers", 60.0, || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the balancer ended with {ended:?}:\n{}", self.log());
            std::net::TcpStream::connect(self.address).is_ok().then_some(())?;
            self.try_status()
        });
    }

    /// As [`run`](Self::run), beside the process that was started before, which is returned and ends by itself.
    pub fn run_beside(&mut self) -> Option<Child> {
        let before = self.child.take();
        self.run();
        before
    }

    /// Starts it and waits until it answers, or has ended by itself.
    ///
    /// # Panics
    /// When it does neither.
    pub fn run_or_end(&mut self) -> Option<Ended> {
        self.spawn();
        let ended = until("the balancer answers or ends", 60.0, || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return Some(Some(status));
            }
            std::net::TcpStream::connect(self.address).is_ok().then_some(())?;
            self.try_status().map(|_| None)
        });
        let status = ended?;
        self.child = None;
        Some(Ended { code: status.code(), log: self.log() })
    }

    /// Starts it and waits for it to end by itself.
    #[must_use]
    pub fn run_to_end(&mut self) -> Ended {
        self.spawn();
        let status = self.wait_exit(60.0);
        Ended { code: status.code(), log: self.log() }
    }

    /// Waits until no target awaits its first check.
    pub fn wait_until_settled(&self) {
        until("first health checks", 60.0, || {
            let status = self.try_status()?;
            status.targets().iter().all(|target| target["state"] != "initial").then_some(())
        });
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Has it put a new process in its place, as an operator does.
    ///
    /// # Panics
    /// When the command cannot be run.
    #[must_use]
    pub fn upgrade(&self) -> Output {
        let mut command = Command::new(binary());
        command.args(["upgrade", "--instance", &self.instance, "--runtime-dir"]);
        command.arg(self.folder().join("run")).output().unwrap()
    }

    /// Upgrades it, and gives the process that serves from then on.
    ///
    /// # Panics
    /// When it is not upgraded.
    pub fn upgraded(&self) -> u32 {
        let done = self.upgrade();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{told}\n{}", self.log());
        let told = String::from_utf8(done.stdout).unwrap();
        told.split(' ').nth(1).and_then(|pid| pid.parse().ok()).expect("the process is told")
    }

    /// All of its processes that serve, or finish what they have.
    ///
    /// # Panics
    /// When they cannot be seen.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.all_processes().into_iter().filter(|(_, words)| words[1] == "run").map(|(pid, _)| pid).collect()
    }

    /// Programs that were started with its words beside the process that the test has started.
    #[must_use]
    pub fn others(&self) -> Vec<u32> {
        let is_other = |(pid, words): &(u32, Vec<String>)| {
            *pid != self.pid()
                && words.iter().any(|word| word == "run")
                && !words.iter().any(|word| word == "starter")
        };
        self.all_processes().into_iter().filter(is_other).map(|(pid, _)| pid).collect()
    }

    /// Processes that have its configuration among their words.
    fn all_processes(&self) -> Vec<(u32, Vec<String>)> {
        let config = self.config_path().display().to_string();
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let words = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let words: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            (words.contains(&config) && words.len() > 1).then_some((pid, words))
        };
        pids.filter_map(words).collect()
    }

    /// Waits until these are gone.
    ///
    /// # Panics
    /// When they do not go.
    pub fn wait_gone(&self, pids: &[u32], seconds: f64) {
        until("processes are gone", seconds, || pids.iter().all(|pid| is_over(*pid)).then_some(()));
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        signals::send(self.pid(), signal);
    }

    /// Sends a signal to the process that serves now.
    ///
    /// # Panics
    /// When there is none.
    pub fn signal_newest(&self, signal: Signal) {
        let pid = self.status().0["generations"][0]["pid"].as_u64().unwrap();
        signals::send(u32::try_from(pid).unwrap(), signal);
    }

    /// Waits for it to end.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_exit(&mut self, seconds: f64) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let ended = until_or_kill(&mut child, seconds);
        ended.unwrap_or_else(|| panic!("the balancer did not end within {seconds} s:\n{}", self.log()))
    }

    /// SIGKILL: no chance to put anything away.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait_exit(10.0);
    }

    /// SIGKILL, then a new start.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.run();
        self.wait_until_settled();
    }

    /// Writes a configuration, reloads, and waits until it is in force.
    pub fn reload(&self, config: &Config) {
        let before = self.status().0["reloads"].as_u64().unwrap();
        self.write(config);
        self.signal(Signal::HUP);
        until("the reload", 60.0, || (self.status().0["reloads"].as_u64().unwrap() > before).then_some(()));
    }

    /// The status document.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn status(&self) -> Status {
        self.try_status().unwrap_or_else(|| panic!("no status; log:\n{}", self.log()))
    }

    /// The status document, if it comes.
    #[must_use]
    pub fn try_status(&self) -> Option<Status> {
        let response = Client::asking("localhost", self.admin).try_get("/status").ok()?;
        Some(Status(serde_json::from_slice(&response.body).ok()?))
    }

    /// What `balancer status` prints.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn status_text(&self) -> String {
        let output =
            Command::new(binary()).args(["status", "--admin", &self.admin.to_string()]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the status is as wanted.
    pub fn wait_status(&self, what: &str, seconds: f64, wanted: impl Fn(&Status) -> bool) -> Status {
        until(what, seconds, || Some(self.status()).filter(|status| wanted(status)))
    }

    /// A page of the admin endpoint.
    #[must_use]
    pub fn admin_page(&self, path: &str) -> Response {
        Client::asking("localhost", self.admin).get(path)
    }

    /// The sum of the series of this name that have these labels (`name{label="value",…}`) among others.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.admin_page("/metrics").text();
        let (name, wanted) = match sample.trim_end_matches('}').split_once('{') {
            Some((name, labels)) => (name, labels.split(',').collect()),
            None => (sample, Vec::new()),
        };
        let values: Vec<f64> = page
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '))
            .filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'))
            .filter(|(labels, _)| wanted.iter().all(|label| labels.contains(label)))
            .map(|(_, value)| value.parse().unwrap())
            .collect();
        assert!(!values.is_empty(), "no {sample} in:\n{page}");
        values.iter().sum()
    }

    /// Waits until a metric has come up to `value`, which it must not pass.
    ///
    /// # Panics
    /// When it does not, or does.
    pub fn wait_metric(&self, sample: &str, value: f64) {
        let seen = until(sample, 60.0, || Some(self.metric(sample)).filter(|seen| *seen >= value));
        assert_eq!(seen, value, "{sample}");
    }

    /// A connection to its listener.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// A client with a cookie jar.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Memory in use, bytes.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Open file descriptors.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn descriptors_open(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }
}

fn until_or_kill(child: &mut Child, seconds: f64) -> Option<ExitStatus> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs_f64(seconds);
    while std::time::Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap_or_default();
            drop(child.wait());
        }
        // Those that took its place are nobody's children.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.all_processes();
            if left.is_empty() || Instant::now() > deadline {
                break;
            }
            for (pid, _) in left {
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                pid.map(|pid| kill_process(pid, Signal::KILL));
            }
            thread::sleep(Duration::from_millis(2));
        }
        let mut command = Command::new(binary());
        command
            .args(["cleanup", "--instance", &self.instance, "--runtime-dir"])
            .arg(self.folder.path().join("run"));
        drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- log of {} ---", self.instance);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Whether a process is over with all its threads. What it had open it has until then, its locks among it, while its words
/// are gone before.
fn is_over(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.filter_map(Result::ok).all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // Behind the name, which may have anything in it.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}
