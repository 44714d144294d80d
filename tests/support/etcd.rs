//! etcd as the tests run it: members on loopback, and its own client beside them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{ports, signals, tls::Certificate, until};

/// A member.
#[derive(Debug)]
struct Member {
    name: String,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

/// Its members, ended and cleaned up when dropped.
#[derive(Debug)]
pub struct Etcd {
    folder: TempDir,
    members: Vec<Member>,
    /// What its clients are served with over TLS; none over plain TCP.
    pub certificate: Option<Certificate>,
    /// User and password that its own client gives.
    pub user: Option<String>,
}

impl Etcd {
    /// One member.
    #[must_use]
    pub fn start() -> Self {
        Self::start_members(1, None)
    }

    /// One member that clients speak TLS to; its certificate is for these names.
    ///
    /// # Panics
    /// When the certificate cannot be made.
    #[must_use]
    pub fn start_tls(names: &[&str]) -> Self {
        Self::start_members(1, Some(names))
    }

    /// So many members of one cluster.
    ///
    /// # Panics
    /// When they do not start.
    #[must_use]
    pub fn start_members(count: usize, names: Option<&[&str]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = names.map(|names| Certificate::make(folder.path(), "etcd", names));
        let members = (0..count).map(|number| Member {
            name: format!("m{number}"),
            client: ports::free(),
            peer: ports::free(),
            process: None,
        });
        let mut etcd = Self { members: members.collect(), folder, certificate, user: None };
        (0..count).for_each(|number| etcd.begin(number));
        etcd.wait();
        etcd
    }

    fn scheme(&self) -> &str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// The URL of a member.
    #[must_use]
    pub fn url(&self, member: usize) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.members[member].client)
    }

    /// The URLs of all members, with commas between them.
    #[must_use]
    pub fn urls(&self) -> String {
        (0..self.members.len()).map(|member| self.url(member)).collect::<Vec<_>>().join(",")
    }

    /// Where a file can be put that goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.members[member].name))
    }

    /// Starts a member that does not run, with what it has on disk.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn begin(&mut self, number: usize) {
        let peer = |member: &Member| format!("http://127.0.0.1:{}", member.peer);
        let all: Vec<String> =
            self.members.iter().map(|member| format!("{}={}", member.name, peer(member))).collect();
        let member = &self.members[number];
        let mut command = Command::new("etcd");
        command.args(["--name", &member.name, "--data-dir"]).arg(self.folder.path().join(&member.name));
        command.args([
            "--listen-client-urls",
            &self.url(number),
            "--advertise-client-urls",
            &self.url(number),
        ]);
        command.args(["--listen-peer-urls", &peer(member), "--initial-advertise-peer-urls", &peer(member)]);
        command.args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"]);
        command.args(["--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap"]);
        if let Some(certificate) = &self.certificate {
            command.arg("--cert-file").arg(&certificate.certificate).arg("--key-file").arg(&certificate.key);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log(number)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.members[number].process = Some(command.spawn().unwrap());
    }

    /// Waits until it takes writes.
    pub fn wait(&self) {
        until("etcd takes writes", 60.0, || {
            self.try_ctl(&["put", "ready", "yes"]).status.success().then_some(())
        });
    }

    /// Ends a member at once.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self, number: usize) {
        let mut process = self.members[number].process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Has a member stand still, or go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self, number: usize, pause: bool) {
        let pid = self.members[number].process.as_ref().expect("it runs").id();
        signals::send(pid, if pause { Signal::STOP } else { Signal::CONT });
    }

    /// The member that leads.
    #[must_use]
    pub fn leader(&self) -> usize {
        until("there is a leader", 30.0, || {
            (0..self.members.len()).find(|member| {
                let output = self.command(&self.url(*member), &["endpoint", "status", "-w", "json"]).output();
                let status: serde_json::Value =
                    serde_json::from_slice(&output.unwrap().stdout).unwrap_or_default();
                let status = &status[0]["Status"];
                !status.is_null() && status["leader"] == status["header"]["member_id"]
            })
        })
    }

    fn command(&self, urls: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", urls, "--command-timeout", "5s"])
            .args(arguments);
        if let Some(certificate) = &self.certificate {
            command.arg("--cacert").arg(&certificate.certificate);
        }
        if let Some(user) = &self.user {
            command.args(["--user", user]);
        }
        command.stdin(Stdio::null());
        command
    }

    /// What its own client does.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn try_ctl(&self, arguments: &[&str]) -> Output {
        self.command(&self.urls(), arguments).output().unwrap()
    }

    /// The same, which has to go well: what it prints.
    ///
    /// # Panics
    /// When it does not.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.try_ctl(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for (number, member) in self.members.iter_mut().enumerate() {
            if let Some(mut process) = member.process.take() {
                process.kill().unwrap_or_default();
                drop(process.wait());
            }
            if std::thread::panicking() {
                let log = fs::read_to_string(self.folder.path().join(format!("{}.log", member.name)));
                let log = log.unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                eprintln!("--- log of etcd's member {number} ---");
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}
