//! Targets and clients on another host: a network namespace with addresses of its own, which can fall silent.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use support::{Balancer, Config, Group, Target, kernel, until};

static HOSTS: AtomicU8 = AtomicU8::new(0);

/// Another host, at the far end of a pair of interfaces.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) near: String,
    pub(crate) far: String,
    server: Option<Child>,
}

pub(crate) fn run(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Both ends of a network of two, which no test before has used of late: what is left of one may take minutes to go.
/// 198.18.0.0/15 is for tests between networks (RFC 2544).
fn addresses(process: u32, number: u8) -> [String; 2] {
    // Of a process there are 32 hosts at the most.
    let network = (process % 512 * 32 + u32::from(number % 32)) * 4;
    [1, 2].map(|end| format!("198.18.{}.{}", network / 256, network % 256 + end))
}

impl Host {
    pub(crate) fn new() -> Self {
        let number = HOSTS.fetch_add(1, Relaxed);
        let name = format!("bl{}-{number}", std::process::id());
        let [near, far] = addresses(std::process::id(), number);
        let host = Self { near, far, server: None, name: name.clone() };
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add {name}h type veth peer name eth0 netns {name}"));
        run(&format!("ip addr add {}/30 dev {name}h", host.near));
        run(&format!("ip link set {name}h up"));
        run(&format!("ip -n {name} addr add {}/30 dev eth0", host.far));
        run(&format!("ip -n {name} link set eth0 up"));
        run(&format!("ip -n {name} link set lo up"));
        host
    }

    pub(crate) fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Serves a folder with one file `healthz` at port 8000.
    pub(crate) fn serve(&mut self, folder: &std::path::Path) {
        self.serve_by(folder, "HTTP/1.1");
    }

    /// The same by this version of HTTP: with 1.0 each connection is for one request.
    pub(crate) fn serve_by(&mut self, folder: &std::path::Path, version: &str) {
        std::fs::write(folder.join("healthz"), "far").unwrap();
        let mut python = self.inside("python3");
        python.args(["-u", "-m", "http.server", "8000", "--protocol", version, "--bind", &self.far]);
        python.arg("--directory").arg(folder);
        self.server =
            Some(python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let address = format!("{}:8000", self.far);
        until("the far server answers", 20.0, || std::net::TcpStream::connect(&address).ok());
    }

    /// Lets every packet to and from it vanish, or ends that.
    fn silent(&self, silent: bool) {
        run(&format!("ip -n {} link set eth0 {}", self.name, if silent { "down" } else { "up" }));
    }
}

impl Host {
    /// Serves on, but nothing that is sent to it reaches it from here on: as when its power is cut behind a switch.
    pub(crate) fn go_dark(&self) {
        run(&format!("ip -n {} addr del {}/30 dev eth0", self.name, self.far));
    }

    /// Is there again.
    pub(crate) fn come_back(&self) {
        run(&format!("ip -n {} addr add {}/30 dev eth0", self.name, self.far));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap_or_default();
            drop(server.wait());
        }
        // Connections that nobody answers keep the namespace for as long as the kernel tries.
        drop(Command::new("ip").args(["link", "del", &format!("{}h", self.name)]).status());
        drop(Command::new("ip").args(["netns", "del", &self.name]).status());
    }
}

#[test]
fn a_host_that_falls_silent_costs_no_request_that_can_go_elsewhere() {
    if !kernel::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.serve(folder.path());
    let here = Target::plain();
    let far = format!("{}:8000", host.far);
    let group = Group::of("app", &[here.address.clone(), far.clone()]).algorithm("round_robin");
    let balancer = Balancer::start(&Config::with(group).attribute("connect_timeout = 1"));
    balancer.wait_status("both are healthy", 20.0, |status| status.state(&far) == "healthy");
    let mut asked = 0;
    until("the far one answers too", 10.0, || {
        asked += 1;
        (balancer.connect().get("/healthz", "").text() == "far").then_some(())
    });

    host.silent(true);
    for _ in 0..4 {
        let response = balancer.connect().get("/healthz", "");
        assert_eq!(response.status, 200, "it goes to the other target within the request");
    }
    let status = balancer.wait_status("it is unhealthy", 30.0, |status| status.state(&far) == "unhealthy");
    let reason = status.target(&far)["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason == "Target.Timeout" || reason == "Target.FailedHealthChecks", "{reason}");
    let retries = balancer.status().total("retries");
    for _ in 0..4 {
        assert_eq!(balancer.connect().get("/", "").text(), here.address);
    }
    assert_eq!(balancer.status().total("retries"), retries, "it is not tried any more");

    host.silent(false);
    balancer.wait_status("it is healthy again", 40.0, |status| status.state(&far) == "healthy");
}

#[test]
fn a_silent_host_alone_is_504() {
    if !kernel::is_root() {
        return;
    }
    let host = Host::new();
    host.silent(true);
    let group = Group::of("app", &[format!("{}:8000", host.far)]).unchecked();
    let balancer = Balancer::start(&Config::with(group).attribute("connect_timeout = 1"));
    let status = balancer.connect().get("/", "").status;
    // With its interface down the kernel may also say at once that there is no way to the host.
    assert!(matches!(status, 504 | 502), "{status}");
    assert_eq!(balancer.status().own(status), 1);
}

#[test]
fn targets_learn_the_address_of_a_client_on_another_host() {
    if !kernel::is_root() {
        return;
    }
    let host = Host::new();
    let target = Target::plain();
    let mut config = Config::new(&[&target]);
    config.address = host.near.clone();
    let balancer = Balancer::start(&config);
    let url = format!("http://{}/", balancer.address);
    let output =
        host.inside("curl").args(["-s", "-H", "X-Forwarded-For: 203.0.113.9", &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), target.address);
    let expected = format!("203.0.113.9, {}", host.far);
    assert_eq!(target.last().headers.get("x-forwarded-for"), Some(expected.as_str()));
}
