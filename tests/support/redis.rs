//! Redis as a real store: one server, sentinels or a cluster, each in a folder of its own.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{ports, signals, until};

/// A running server, or one that was ended; cleaned up when dropped.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    child: Option<Child>,
    program: &'static str,
    /// What `redis-cli` needs to be let in.
    pub login: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it hears from the others of its cluster, if it is of one.
    bus: Option<u16>,
}

impl Redis {
    /// A server that keeps nothing on disk, with these lines more in its configuration.
    #[must_use]
    pub fn start(lines: &str) -> Self {
        let server = Self::prepare("redis-server", lines);
        server.wait_until_up();
        server
    }

    fn prepare(program: &'static str, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let port = address.port();
        let own = if program == "redis-server" {
            "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n"
        } else {
            ""
        };
        // By itself it takes the port 10,000 above, which may be somebody else's, and ends where it is.
        let bus = lines.contains("cluster-enabled yes").then(ports::free);
        let more = bus.map(|bus| format!("cluster-port {bus}\n")).unwrap_or_default();
        let text =
            format!("bind 127.0.0.1\nport {port}\ndir {}\n{own}{more}{lines}\n", folder.path().display());
        fs::write(folder.path().join("redis.conf"), text).unwrap();
        let mut server = Self { folder, child: None, program, login: Vec::new(), address, bus };
        server.spawn();
        server
    }

    /// The same, which takes some time to be there.
    #[must_use]
    pub fn begin(lines: &str) -> Self {
        Self::prepare("redis-server", lines)
    }

    /// A sentinel that watches `primary` under the name `main`, alone or with so many that have to agree.
    #[must_use]
    pub fn sentinel(primary: &Self, quorum: u32) -> Self {
        let (ip, port) = (primary.address.ip(), primary.address.port());
        let lines = format!(
            "sentinel monitor main {ip} {port} {quorum}\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\n"
        );
        let sentinel = Self::prepare("redis-sentinel", &lines);
        sentinel.wait_until_up();
        sentinel
    }

    fn spawn(&mut self) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(self.program);
        command.arg(self.folder.path().join("redis.conf")).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let spawned = command.spawn();
        let missing = format!("{} is installed (cargo xtask setup does that)", self.program);
        self.child = Some(spawned.unwrap_or_else(|error| panic!("{missing}: {error}")));
    }

    /// Waits until it can be connected to.
    pub fn wait_until_up(&self) {
        until("the store is up", 20.0, || TcpStream::connect(self.address).ok());
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of it in a configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// As `redis-cli --cluster` wants the nodes of a cluster.
    #[must_use]
    pub fn member(&self) -> String {
        self.bus.map_or_else(|| self.address.to_string(), |bus| format!("{}@{bus}", self.address))
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        signals::send(id, signal);
    }

    /// Nothing that it is sent is answered any more, and nobody is told so: a network that swallows everything.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// It answers again, also what it was sent meanwhile.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again, without anything that it had.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_until_up();
    }

    /// What `redis-cli` says to these words.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn cli(&self, words: &[&str]) -> String {
        let output = self.run_cli(words);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn run_cli(&self, words: &[&str]) -> Output {
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port, "--no-auth-warning"]).args(&self.login).args(words);
        command.output().unwrap()
    }

    /// The keys of sessions that it has.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        self.cli(&["KEYS", "balancer:s:*"]).lines().filter(|key| key.len() == 43).map(str::to_owned).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap_or_default();
            drop(child.wait());
        }
    }
}
