//! One address that moves between balancers, by the recipes of `dist/address`: two hosts, a network with a switch, and clients that
//! keep their connections.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use support::{Target, balancer::binary, kernel, ports, until};
use tempfile::TempDir;

use crate::hosts::run;

static SITES: AtomicU8 = AtomicU8::new(0);

/// The longest time that clients may find nobody at the address.
const MOST: Duration = Duration::from_secs(3);
const CLIENTS: usize = 20;

/// A switch, with the test at one end of it and two hosts at others. Their numbers in its network are 11 and 12.
pub(crate) struct Site {
    pub(crate) bridge: String,
    pub(crate) network: String,
    folder: TempDir,
    pub(crate) port: u16,
    pub(crate) hosts: Vec<Node>,
}

/// A host with a balancer.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: String,
    balancer: Option<Child>,
    /// What decides about the address.
    others: Vec<Child>,
}

impl Site {
    fn new(targets: &[&Target]) -> Self {
        Self::of(&[11, 12], targets)
    }

    /// With balancers on hosts of these numbers.
    pub(crate) fn of(hosts: &[u8], targets: &[&Target]) -> Self {
        let mut site = Self::empty();
        for end in hosts {
            let host = site.add_host(*end);
            site.write_configuration(*end, targets, "    type = \"lb_cookie\"\n", "");
            site.start_balancer(host);
        }
        site
    }

    /// With nobody there yet but the test.
    pub(crate) fn empty() -> Self {
        let number = SITES.fetch_add(1, SeqCst);
        let id = std::process::id();
        // 198.18.0.0/15 is for tests between networks (RFC 2544); the other half of it is that of other tests.
        let network = format!("198.19.{}", (id.wrapping_mul(7) + u32::from(number)) % 250);
        let bridge = format!("blb{id}x{number}");
        run(&format!("ip link add {bridge} type bridge"));
        run(&format!("ip addr add {network}.1/24 dev {bridge}"));
        run(&format!("ip link set {bridge} up"));
        let site = Self {
            bridge,
            network,
            folder: tempfile::tempdir().unwrap(),
            port: ports::free(),
            hosts: Vec::new(),
        };
        let key = site.folder.path().join("key");
        let mut secret = [0; 32];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut secret).unwrap();
        fs::write(&key, secret).unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        site
    }

    /// One more host, with nothing on it. Its place among the others.
    pub(crate) fn add_host(&mut self, end: u8) -> usize {
        // What the bridge is called tells sites apart.
        let id = self.bridge.trim_start_matches("blb");
        let (name, link) = (format!("bln{id}-{end}"), format!("v{id}{end}"));
        let address = format!("{}.{end}", self.network);
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add {link} type veth peer name eth0 netns {name}"));
        run(&format!("ip link set {link} master {} up", self.bridge));
        run(&format!("ip -n {name} addr add {address}/24 dev eth0"));
        run(&format!("ip -n {name} link set eth0 up"));
        run(&format!("ip -n {name} link set lo up"));
        fs::create_dir_all(self.folder.path().join(end.to_string())).unwrap();
        self.hosts.push(Node { name, address, balancer: None, others: Vec::new() });
        self.hosts.len() - 1
    }

    /// `sticky`: what is in the group's block on stickiness; `more`: further blocks.
    pub(crate) fn write_configuration(&self, end: u8, targets: &[&Target], sticky: &str, more: &str) {
        let folder = self.folder.path().join(end.to_string());
        fs::create_dir_all(folder.join("run")).unwrap();
        let name = format!("{}-{end}", self.bridge);
        let targets: Vec<String> =
            targets.iter().map(|target| format!("\"{}.1:{}\"", self.network, target.port())).collect();
        let text = format!(
            "balancer {{\n  instance = \"{name}\"\n  workers = 1\n  kernel_assist = \"off\"\n  state_dir = \"{folder}\"\n  \
             runtime_dir = \"{folder}/run\"\n  key_file = \"{key}\"\n  admin_address = \"127.0.0.1:9900\"\n}}\n\
             listener \"web\" {{\n  port = {port}\n  default_action {{\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }}\n}}\n\
             target_group \"app\" {{\n  targets = [{targets}]\n  stickiness {{\n{sticky}  }}\n  \
             health_check {{\n    path = \"/healthz\"\n    interval = 5\n    timeout = 2\n    healthy_threshold = 2\n  }}\n}}\n{more}",
            folder = folder.display(),
            key = self.folder.path().join("key").display(),
            port = self.port,
            targets = targets.join(", "),
        );
        fs::write(folder.join("balancer.hcl"), text).unwrap();
    }

    pub(crate) fn folder_of(&self, host: usize) -> std::path::PathBuf {
        self.folder_of_host(&self.hosts[host])
    }

    pub(crate) fn folder_of_host(&self, host: &Node) -> std::path::PathBuf {
        self.folder.path().join(host.address.rsplit('.').next().unwrap())
    }

    pub(crate) fn start_balancer(&mut self, host: usize) {
        let folder = self.folder_of(host);
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = self.hosts[host].inside(binary().to_str().unwrap());
        command.args(["run", "-c"]).arg(folder.join("balancer.hcl"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.hosts[host].balancer = Some(command.spawn().unwrap());
        until("the balancer says that it serves", 30.0, || self.hosts[host].healthz().0.then_some(()));
    }

    /// The address that clients ask.
    fn service(&self) -> SocketAddr {
        format!("{}.10:{}", self.network, self.port).parse().unwrap()
    }

    /// The host that has the address on this interface, if one has.
    fn holder(&self, interface: &str) -> Option<usize> {
        let address = format!("inet {}.10/", self.network);
        self.hosts.iter().position(|host| {
            let shown = Command::new("ip")
                .args(["-n", &host.name, "addr", "show", "dev", interface])
                .output()
                .unwrap();
            String::from_utf8_lossy(&shown.stdout).contains(&address)
        })
    }
}

impl Node {
    pub(crate) fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Whether `balancer healthz` says that it serves, and what it says.
    pub(crate) fn healthz(&self) -> (bool, String) {
        let told =
            self.inside(binary().to_str().unwrap()).args(["healthz", "--timeout", "1"]).output().unwrap();
        (told.status.success(), String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned())
    }

    pub(crate) fn spawn(&mut self, mut command: Command, log: &Path) {
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        // In a group of its own: keepalived ends the whole group that it is in.
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        self.others.push(command.spawn().unwrap());
    }

    /// The balancer dies with no chance to say anything.
    pub(crate) fn kill_balancer(&mut self) {
        end(self.balancer.take().unwrap());
    }

    /// Its host falls silent, as when its cable is pulled; or is there again.
    pub(crate) fn silent(&self, silent: bool) {
        run(&format!("ip -n {} link set eth0 {}", self.name, if silent { "down" } else { "up" }));
    }
}

fn end(mut child: Child) {
    child.kill().unwrap_or_default();
    drop(child.wait());
}

impl Drop for Site {
    #[allow(clippy::print_stderr, reason = "what went on is shown where a test failed")]
    fn drop(&mut self) {
        let panicking = thread::panicking();
        for host in 0..self.hosts.len() {
            if panicking {
                let folder = self.folder_of(host);
                for log in ["log", "address.log"] {
                    let text = fs::read_to_string(folder.join(log)).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().rev().take(25).collect();
                    eprintln!("--- {log} of {} ---", self.hosts[host].name);
                    lines.iter().rev().for_each(|line| eprintln!("{line}"));
                }
            }
            let node = &mut self.hosts[host];
            // They end well, so that what they have started ends, too.
            for child in &node.others {
                let pid = rustix::process::Pid::from_child(child);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
            }
            for mut child in node.others.drain(..) {
                let deadline = Instant::now() + Duration::from_secs(5);
                while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(5));
                }
                end(child);
            }
            node.balancer.take().into_iter().for_each(end);
            drop(Command::new("ip").args(["netns", "del", &node.name]).status());
        }
        drop(Command::new("ip").args(["link", "del", &self.bridge]).status());
    }
}

/// What a client has gone through.
#[derive(Debug, Default)]
struct Story {
    /// Requests that were sent and not answered.
    lost: Vec<Instant>,
    /// When nobody was there to connect to.
    refused: Vec<Instant>,
    answered: Vec<Instant>,
    /// Answers of another target than the first.
    moved: usize,
}

/// Asks over and over on one connection, with its cookie, and makes another connection when that breaks.
fn client(service: SocketAddr, ends: &AtomicBool) -> Story {
    let mut story = Story::default();
    let (mut connection, mut cookie, mut home): (Option<TcpStream>, String, String) = Default::default();
    while !ends.load(SeqCst) {
        let Some(stream) = &mut connection else {
            match TcpStream::connect_timeout(&service, Duration::from_millis(300)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                    connection = Some(stream);
                }
                Err(_) => {
                    story.refused.push(Instant::now());
                    thread::sleep(Duration::from_millis(20));
                }
            }
            continue;
        };
        match ask(stream, &cookie) {
            Some((target, set)) => {
                cookie = set.unwrap_or(cookie);
                if home.is_empty() {
                    home.clone_from(&target);
                }
                story.moved += usize::from(home != target);
                story.answered.push(Instant::now());
            }
            None => {
                story.lost.push(Instant::now());
                connection = None;
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    story
}

/// Which target answers, and the cookie that comes along; nothing when the connection breaks, or answers anything but 200.
fn ask(stream: &mut TcpStream, cookie: &str) -> Option<(String, Option<String>)> {
    write!(stream, "GET / HTTP/1.1\r\nHost: shop\r\nCookie: {cookie}\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let length: usize =
                field("Content-Length: ").or_else(|| field("content-length: "))?.parse().ok()?;
            if body.len() >= length {
                let cookie = field("Set-Cookie: AWSALB=")
                    .map(|value| format!("AWSALB={}", value.split(';').next().unwrap_or_default()));
                return head.starts_with("HTTP/1.1 200 ").then(|| (body.to_owned(), cookie));
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// Clients that ask until they are told to end.
pub(crate) struct Crowd {
    ends: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<Story>>,
}

impl Crowd {
    pub(crate) fn begin(service: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let begin = |_| {
            let ends = Arc::clone(&ends);
            thread::spawn(move || client(service, &ends))
        };
        Self { clients: (0..CLIENTS).map(begin).collect(), ends }
    }

    /// Holds what they went through against what they may have, where something happened at each of `events`.
    pub(crate) fn judge(self, events: &[Instant]) {
        self.judge_by(events, events.len(), MOST);
    }

    /// The same where each may lose so many requests, and nobody is there for `most`.
    pub(crate) fn judge_by(self, events: &[Instant], losses: usize, most: Duration) {
        self.ends.store(true, SeqCst);
        for client in self.clients {
            let story = client.join().unwrap();
            assert_eq!(story.moved, 0, "a session was lost");
            assert!(
                story.lost.len() <= losses,
                "requests were lost on connections that had not broken: {}",
                story.lost.len()
            );
            let in_time =
                |at: &Instant| events.iter().any(|event| event <= at && at.duration_since(*event) < most);
            for (what, times) in [("lost", &story.lost), ("refused", &story.refused)] {
                let late: Vec<Duration> =
                    times.iter().filter(|at| !in_time(at)).map(|at| at.duration_since(events[0])).collect();
                assert!(late.is_empty(), "{what} when the address should have moved: {late:?}");
            }
            let last = story.answered.last().expect("it was answered");
            assert!(last.duration_since(*events.last().unwrap()) > MOST, "it is served on");
        }
    }
}

pub(crate) fn targets() -> [Target; 3] {
    let any = Ipv4Addr::UNSPECIFIED;
    std::array::from_fn(|number| {
        Target::at(&format!("{any}:0"), false, move |exchange| exchange.ok("", &format!("target {number}")))
    })
}

/// Waits until all clients must have been served again for a while.
pub(crate) fn wait_past(event: Instant) {
    until("clients have been served for a while", 10.0, || {
        (event.elapsed() > MOST + Duration::from_millis(700)).then_some(())
    });
}

/// Text of a recipe, with each of `pairs` in the place of the other.
pub(crate) fn recipe(name: &str, pairs: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("dist/address").join(name);
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in pairs {
        assert!(text.contains(from), "{from} is not in {name}");
        text = text.replace(from, to);
    }
    text
}

/// The recipe, as it stands but for names and addresses, on both hosts.
fn start_keepalived(site: &mut Site) {
    let network = site.network.clone();
    for host in 0..2 {
        let (own, other) = ([11, 12][host], [12, 11][host]);
        let script = format!("{} healthz", binary().display());
        let priority = format!("priority {}", 100 - host);
        let text = recipe(
            "keepalived.conf",
            &[
                // Of a folder that others can write to, which a test has.
                ("    script_user nobody\n    enable_script_security\n", "    script_user root\n"),
                ("/usr/bin/balancer healthz", &script),
                ("priority 100", &priority),
                ("unicast_src_ip 192.0.2.11", &format!("unicast_src_ip {network}.{own}")),
                ("        192.0.2.12\n", &format!("        {network}.{other}\n")),
                ("192.0.2.10/24", &format!("{network}.10/24")),
            ],
        );
        let folder = site.folder_of(host);
        fs::write(folder.join("keepalived.conf"), text).unwrap();
        let mut command = site.hosts[host].inside("keepalived");
        command.args(["--dont-fork", "--log-console", "--vrrp", "-f"]).arg(folder.join("keepalived.conf"));
        command.arg("-p").arg(folder.join("keepalived.pid")).arg("-r").arg(folder.join("vrrp.pid"));
        site.hosts[host].spawn(command, &folder.join("address.log"));
    }
}

#[test]
fn an_address_moves_by_vrrp_and_clients_keep_their_sessions() {
    if !kernel::is_root() {
        return;
    }
    let targets = targets();
    let mut site = Site::new(&targets.each_ref());
    start_keepalived(&mut site);
    let first = until("somebody has the address", 20.0, || site.holder("eth0"));
    until("it is served there", 10.0, || TcpStream::connect(site.service()).ok());
    let other = 1 - first;

    let crowd = Crowd::begin(site.service());
    until("clients are served", 10.0, || targets.iter().all(|target| target.count() > 50).then_some(()));
    let killed = Instant::now();
    site.hosts[first].kill_balancer();
    let (healthy, said) = site.hosts[first].healthz();
    assert!(!healthy && said.contains("cannot reach the admin endpoint"), "{said}");
    until("the address has moved", 5.0, || (site.holder("eth0") == Some(other)).then_some(()));
    wait_past(killed);
    // Who comes back does not take it back.
    site.start_balancer(first);
    let back = Instant::now();
    until("its checks are good again", 20.0, || {
        let log = fs::read_to_string(site.folder_of(first).join("address.log")).unwrap();
        let good = log.rfind("succeeded") > log.rfind("FAULT");
        (good && back.elapsed() > MOST).then_some(())
    });
    assert_eq!(site.holder("eth0"), Some(other), "nobody is moved for it");
    // A host that is gone without a word.
    let pulled = Instant::now();
    site.hosts[other].silent(true);
    until("the address has moved", 5.0, || (site.holder("eth0") == Some(first)).then_some(()));
    wait_past(pulled);
    crowd.judge(&[killed, pulled]);
    let log = fs::read_to_string(site.folder_of(first).join("address.log")).unwrap();
    let masters = log.lines().filter(|line| line.contains("Entering MASTER STATE")).count();
    assert_eq!(masters, 2, "it came and went as often as something happened:\n{log}");
}

/// A router that takes what the first host announces, in the place of the second one.
fn start_router(site: &mut Site) {
    let network = site.network.clone();
    let text = format!(
        "router id {network}.12;\nprotocol device {{ scan time 1; }}\nprotocol kernel {{ ipv4 {{ import none; export all; }}; }}\n\
         protocol bgp host {{ local {network}.12 as 65000; neighbor {network}.11 as 65010; connect retry time 1; ipv4 {{ import all; \
         export none; }}; }}\n"
    );
    start_bird(site, 1, &text);
}

/// The recipe, as it stands but for names and addresses, for the host and the router of these numbers.
pub(crate) fn announcement(network: &str, host: u8, router: u8, service: &str) -> String {
    recipe(
        "bird.conf",
        &[
            ("router id 192.0.2.11", &format!("router id {network}.{host}")),
            ("local 192.0.2.11", &format!("local {network}.{host}")),
            ("neighbor 192.0.2.1 ", &format!("neighbor {network}.{router} ")),
            ("192.0.2.10/32", service),
        ],
    )
}

/// The recipe's program, which has a host announce this address while its balancer serves.
pub(crate) fn start_announcing(site: &mut Site, host: usize, service: &str) {
    let announce = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("dist/address/announce");
    let mut command = site.hosts[host].inside(announce.to_str().unwrap());
    command.arg(service).env("BALANCER", binary());
    let log = site.folder_of(host).join("address.log");
    site.hosts[host].spawn(command, &log);
}

pub(crate) fn start_bird(site: &mut Site, host: usize, text: &str) {
    let folder = site.folder_of(host);
    fs::write(folder.join("bird.conf"), text).unwrap();
    let mut command = site.hosts[host].inside("bird");
    command.arg("-f").arg("-c").arg(folder.join("bird.conf")).arg("-s").arg(folder.join("bird.socket"));
    site.hosts[host].spawn(command, &folder.join("address.log"));
}

#[test]
fn an_address_is_announced_while_the_balancer_serves() {
    if !kernel::is_root() {
        return;
    }
    let targets = targets();
    let mut site = Site::new(&targets.each_ref());
    let network = site.network.clone();
    start_router(&mut site);
    let text = announcement(&network, 11, 12, "198.51.100.10/32");
    start_bird(&mut site, 0, &text);
    start_announcing(&mut site, 0, "198.51.100.10/32");

    let router = site.hosts[1].name.clone();
    let has_route = || {
        let shown =
            Command::new("ip").args(["-n", &router, "route", "show", "198.51.100.10"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains(&format!("via {network}.11"))
    };
    until("the router knows where the address is", 30.0, || has_route().then_some(()));
    // Over that route the balancer answers.
    let port = site.port.to_string();
    let asked = site.hosts[1]
        .inside("curl")
        .args(["-sf", "-m", "5", &format!("http://198.51.100.10:{port}/")])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&asked.stdout).starts_with("target "), "{asked:?}");

    for _ in 0..2 {
        let killed = Instant::now();
        site.hosts[0].kill_balancer();
        until("it is withdrawn", MOST.as_secs_f64(), || (!has_route()).then_some(()));
        assert!(killed.elapsed() < MOST);
        site.start_balancer(0);
        until("it is announced again", 20.0, || has_route().then_some(()));
    }
}
