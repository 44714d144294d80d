//! Balancers on hosts of their own that share sessions through a store on another one: the network to the store is cut, and a host
//! is gone.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use support::{Target, balancer::binary, kernel, until};

use crate::address::Site;

const HOSTS: [u8; 3] = [11, 12, 13];
/// The store's host.
const STORE: u8 = 30;
const CLIENTS: usize = 2000;
/// How many ask at a time.
const AT_ONCE: usize = 4;
const COOKIE: &str = "SESSIONID";

/// A client that returns the application's cookie and nothing else.
struct Lone {
    cookie: String,
    home: String,
    /// The host that it was at first.
    first: usize,
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Asks on a connection of its own: the whole answer.
fn ask(node: SocketAddr, cookie: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&node, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200 ").then_some(answer)
}

/// Of `all`, several at a time.
fn several<T: Send>(all: usize, each: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let each = &each;
    thread::scope(|scope| {
        let share = |at: usize| (at..all).step_by(AT_ONCE).map(each).collect::<Vec<_>>();
        let threads: Vec<_> = (0..AT_ONCE).map(|at| scope.spawn(move || share(at))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

struct Nodes {
    site: Site,
    addresses: Vec<SocketAddr>,
    store: usize,
}

impl Nodes {
    fn start(targets: &[&Target]) -> Self {
        let mut site = Site::empty();
        let store = site.add_host(STORE);
        let mut redis = site.hosts[store].inside("redis-server");
        redis.args(["--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]);
        redis.args(["--appendonly", "no"]);
        let log = site.folder_of(store).join("address.log");
        site.hosts[store].spawn(redis, &log);
        // A balancer that is quicker would tell of a store that is away.
        let listens: SocketAddr = format!("{}:6379", site.hosts[store].address).parse().unwrap();
        until("the store is up", 20.0, || TcpStream::connect(listens).ok());
        let sticky = format!("    type = \"app_cookie\"\n    cookie_name = \"{COOKIE}\"\n");
        let more = format!(
            "session_store {{\n  url = \"redis://{}.{STORE}\"\n  lookup_timeout = 500\n}}\n",
            site.network
        );
        let mut addresses = Vec::new();
        for end in HOSTS {
            let host = site.add_host(end);
            site.write_configuration(end, targets, &sticky, &more);
            site.start_balancer(host);
            addresses.push(format!("{}:{}", site.hosts[host].address, site.port).parse().unwrap());
        }
        let nodes = Self { site, addresses, store };
        nodes.wait_state("up");
        nodes
    }

    /// What the status of a balancer's session store says.
    fn sharing(&self, node: usize) -> serde_json::Value {
        let host = &self.site.hosts[self.store + 1 + node];
        let told = host.inside(binary().to_str().unwrap()).args(["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
        status["session_store"].clone()
    }

    fn wait_state(&self, state: &str) {
        for node in 0..self.addresses.len() {
            until(&format!("the store is {state}"), 30.0, || {
                (self.sharing(node)["state"] == state).then_some(())
            });
        }
    }

    fn wait_told(&self) {
        for node in 0..self.addresses.len() {
            until("all is told", 30.0, || (self.sharing(node)["writes_waiting"] == 0).then_some(()));
        }
    }

    /// New clients, each at one of the nodes.
    fn begin(&self, count: usize) -> Vec<Lone> {
        several(count, |number| {
            let first = number % self.addresses.len();
            let answer = ask(self.addresses[first], "").unwrap();
            let cookie = field(&answer, &format!("Set-Cookie: {COOKIE}=")).unwrap();
            let cookie = format!("{COOKIE}={}", cookie.split(';').next().unwrap());
            Lone { cookie, home: field(&answer, "X-Target:").unwrap().to_owned(), first }
        })
    }

    /// Whether the client's own target serves it there.
    fn keeps(&self, client: &Lone, node: usize) -> bool {
        let answer = ask(self.addresses[node], &client.cookie).unwrap();
        field(&answer, "X-Target:") == Some(&client.home) && !answer.contains("X-Lost")
    }

    /// How many clients are not served by their own targets, each at the node that is chosen for it.
    fn lost(&self, clients: &[Lone], node: impl Fn(usize, &Lone) -> usize + Sync) -> usize {
        several(clients.len(), |at| !self.keeps(&clients[at], node(at, &clients[at])))
            .into_iter()
            .filter(|lost| *lost)
            .count()
    }
}

/// Applications that keep their sessions in memory.
fn targets() -> [Target; 4] {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    std::array::from_fn(|number| {
        Target::at(&format!("{}:0", Ipv4Addr::UNSPECIFIED), false, move |exchange| {
            let own = format!("t{number}-");
            let name = format!("X-Target: target {number}\r\n");
            match exchange.request.cookie(COOKIE) {
                Some(id) if id.starts_with(&own) => exchange.ok(&name, ""),
                Some(_) => exchange.ok(&format!("{name}X-Lost: yes\r\n"), ""),
                None => {
                    let id = MADE.fetch_add(1, SeqCst);
                    exchange.ok(&format!("{name}Set-Cookie: {COOKIE}={own}{id}; Path=/\r\n"), "")
                }
            }
        })
    })
}

fn the_network_to_the_store_is_cut_for(span: Duration) {
    if !kernel::is_root() {
        return;
    }
    let targets = targets();
    let mut nodes = Nodes::start(&targets.each_ref());
    let count = nodes.addresses.len();
    let clients = nodes.begin(CLIENTS);
    nodes.wait_told();
    // Each comes to one more node, and is a stranger at the third.
    assert_eq!(nodes.lost(&clients, |_, client| (client.first + 1) % count), 0);

    let cut = Instant::now();
    nodes.site.hosts[nodes.store].silent(true);
    // Nobody has to wait for it to be found out, and nobody who is known loses anything, for as long as it lasts.
    let mut asked = 0;
    while cut.elapsed() < span || asked == 0 {
        assert_eq!(nodes.lost(&clients, |at, client| (client.first + at % 2) % count), 0);
        asked += clients.len();
    }
    nodes.wait_state("away");
    // Who comes to a node that does not know it is counted there. It is balanced anew, so one in four stays where it was.
    let away = |node: usize| nodes.sharing(node)["lookups"]["away"].as_u64().unwrap_or(0);
    let before: u64 = (0..count).map(away).sum();
    let strangers = &clients[..300];
    let lost = nodes.lost(strangers, |_, client| (client.first + 2) % count);
    assert!(lost > 100, "{lost} of {} were strangers", strangers.len());
    let counted: u64 = (0..count).map(away).sum::<u64>() - before;
    assert!(counted >= strangers.len() as u64, "{counted} were counted");
    let meanwhile = nodes.begin(60);
    assert_eq!(nodes.lost(&meanwhile, |_, client| client.first), 0);

    // It is whole again, and so is what they share: what began meanwhile, too.
    nodes.site.hosts[nodes.store].silent(false);
    nodes.wait_state("up");
    nodes.wait_told();
    assert_eq!(nodes.lost(&meanwhile, |at, _| at % count), 0);
    let known = &clients[300..];
    assert_eq!(nodes.lost(known, |at, client| (client.first + at) % count), 0);

    // A host is gone with all that was on it.
    let last = nodes.store + count;
    nodes.site.hosts[last].kill_balancer();
    nodes.site.hosts[last].silent(true);
    nodes.addresses.pop();
    assert_eq!(nodes.lost(known, |at, _| at % 2), 0);
    for host in &nodes.site.hosts[nodes.store + 1..last] {
        let log = fs::read_to_string(nodes.site.folder_of_host(host).join("log")).unwrap();
        assert_eq!(log.matches("the session store is away").count(), 1, "{log}");
        assert_eq!(log.matches("the session store is back").count(), 1, "{log}");
    }
}

#[test]
fn a_network_to_the_store_that_is_cut_costs_nobody_who_is_known() {
    the_network_to_the_store_is_cut_for(Duration::from_secs(2));
}

#[test]
#[ignore = "half a minute of waiting; .ci/run --full has it"]
fn a_network_to_the_store_that_is_cut_for_half_a_minute_costs_nobody_who_is_known() {
    the_network_to_the_store_is_cut_for(Duration::from_secs(30));
}
