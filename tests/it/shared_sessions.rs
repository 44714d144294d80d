//! Several balancers with one session store: clients that return the application's cookie alone keep their target, whichever
//! balancer they come to.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use support::{Balancer, Config, Group, Redis, Target, http::Response, until};
use tempfile::TempDir;

mod council;
mod outages;
mod store_faults;
mod store_modes;
mod ways;

/// Balancers of one configuration, with one key file and one store.
struct Nodes {
    folder: TempDir,
    targets: Vec<Target>,
    balancers: Vec<Balancer>,
}

/// A secret that is the same for all.
fn key_file(folder: &Path) -> String {
    let path = folder.join("shared.key");
    let secret: Vec<u8> = (0_u8..32).map(|at| at.wrapping_mul(at).wrapping_mul(37) ^ 91).collect();
    fs::write(&path, secret).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    format!("key_file = \"{}\"", path.display())
}

/// Time enough for a machine that is busy with other tests.
fn store(lines: &str) -> String {
    let patient = if lines.contains("lookup_timeout") { "" } else { "lookup_timeout = 1000" };
    format!("session_store {{\n{lines}\n{patient}\n}}\n")
}

impl Nodes {
    fn start(count: usize, targets: Vec<Target>, store_lines: &str) -> Self {
        Self::with(count, targets, store_lines, |group| group.app_cookie("SESSIONID"))
    }

    fn with(count: usize, targets: Vec<Target>, store_lines: &str, sticky: impl Fn(Group) -> Group) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = key_file(folder.path());
        let group = sticky(Group::new("app", &targets.iter().collect::<Vec<_>>()).algorithm("round_robin"));
        let config = Config::with(group).process(&key).more(&store(store_lines)).http2();
        let balancers = (0..count).map(|_| Balancer::start(&config)).collect();
        let nodes = Self { folder, targets, balancers };
        nodes.wait_up();
        nodes
    }

    fn wait_up(&self) {
        self.balancers.iter().for_each(wait_up);
    }

    /// The configuration of a node, its group made by `sticky`.
    fn config(&self, store_lines: &str, sticky: impl Fn(Group) -> Group) -> Config {
        let group = Group::new("app", &self.targets.iter().collect::<Vec<_>>()).algorithm("round_robin");
        let config = Config::with(sticky(group)).process(&key_file(self.folder.path())).http2();
        if store_lines.is_empty() { config } else { config.more(&store(store_lines)) }
    }
}

fn wait_up(balancer: &Balancer) {
    balancer.wait_status("the store is up", 20.0, |status| status.0["session_store"]["state"] == "up");
}

fn figure(balancer: &Balancer, kind: &str, word: &str) -> u64 {
    balancer.status().0["session_store"][kind][word].as_u64().unwrap_or(0)
}

/// Waits until the store has been told of everything.
fn wait_told(balancer: &Balancer) {
    balancer.wait_status("everything is told", 20.0, |status| {
        status.0["session_store"]["writes_waiting"].as_u64() == Some(0)
    });
}

static MADE: AtomicUsize = AtomicUsize::new(0);

/// An application that takes any session for its own, and sets its cookie in every answer.
fn keeping(name: &'static str) -> Target {
    Target::start(move |exchange| {
        let id = exchange.request.cookie("SESSIONID");
        let id = id.unwrap_or_else(|| format!("made-{}", MADE.fetch_add(1, Relaxed)));
        exchange.ok(&format!("X-Target: {name}\r\nSet-Cookie: SESSIONID={id}; Path=/\r\n"), "")
    })
}

fn targets(count: usize) -> Vec<Target> {
    (0..count).map(|_| Target::sessions()).collect()
}

/// A client that returns the application's cookie and nothing else.
struct Lone {
    jar: String,
    home: String,
    seed: u64,
}

impl Lone {
    fn begin(balancer: &Balancer, seed: u64) -> Self {
        let response = balancer.connect().get("/", "");
        let jar = format!("Cookie: SESSIONID={}\r\n", response.cookie("SESSIONID").expect("a session"));
        Self { jar, home: response.header("x-target").to_owned(), seed }
    }

    fn ask(&self, balancer: &Balancer) -> Response {
        balancer.connect().get("/", &self.jar)
    }

    fn keeps(&self, response: &Response) -> bool {
        response.header("x-target") == self.home && response.headers.get("x-lost").is_none()
    }

    /// One of so many, as by chance.
    fn draw(&mut self, of: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % of
    }
}

/// So many clients, each of which has a session by the store, too.
fn begun(nodes: &Nodes, count: usize) -> Vec<Lone> {
    let mut clients = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .balancers
            .iter()
            .enumerate()
            .map(|(at, balancer)| {
                let seeds = (0..count).filter(move |seed| seed % nodes.balancers.len() == at);
                scope.spawn(move || seeds.map(|seed| Lone::begin(balancer, seed as u64)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().for_each(|thread| clients.extend(thread.join().unwrap()));
    });
    nodes.balancers.iter().for_each(wait_told);
    clients
}

/// Each client asks so often, each time at a node that is drawn. How many requests were not served by their own target.
fn lost(balancers: &[&Balancer], clients: &mut [Lone], requests: usize) -> usize {
    let share = clients.len().div_ceil(4).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .chunks_mut(share)
            .map(|clients| {
                scope.spawn(move || {
                    let mut lost = 0;
                    for client in clients.iter_mut() {
                        for _ in 0..requests {
                            let balancer = balancers[client.draw(balancers.len())];
                            lost += usize::from(!client.keeps(&client.ask(balancer)));
                        }
                    }
                    lost
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn all(nodes: &Nodes) -> Vec<&Balancer> {
    nodes.balancers.iter().collect()
}

#[test]
fn nobody_is_lost_whichever_balancer_they_come_to() {
    let redis = Redis::start("");
    let url = format!("url = \"{}\"", redis.url());
    let mut nodes = Nodes::start(3, targets(4), &url);
    let mut clients = begun(&nodes, 2000);
    assert_eq!(lost(&all(&nodes), &mut clients, 4), 0);
    let found: u64 = nodes.balancers.iter().map(|balancer| figure(balancer, "lookups", "found")).sum();
    assert!(found > 2000, "most are asked for at the two that they did not begin at: {found}");
    // Once it is known there, the store is not asked again.
    let before: u64 = nodes.balancers.iter().map(|balancer| figure(balancer, "lookups", "found")).sum();
    assert_eq!(lost(&all(&nodes), &mut clients[..200], 10), 0);
    let asked: u64 = nodes.balancers.iter().map(|balancer| figure(balancer, "lookups", "found")).sum();
    assert!(asked - before <= 200 * 3, "{asked} after {before}");
    assert_eq!(redis.sessions().len(), 2000);

    // One dies, and one comes back without anything that it knew.
    nodes.balancers[0].kill();
    let left: Vec<&Balancer> = nodes.balancers[1..].iter().collect();
    assert_eq!(lost(&left, &mut clients, 1), 0);
    let config = nodes.config(&url, |group| group.app_cookie("SESSIONID"));
    let fresh = Balancer::start(&config);
    wait_up(&fresh);
    assert_eq!(lost(&[&fresh], &mut clients, 1), 0);
    assert_eq!(figure(&fresh, "lookups", "found"), 2000);
    assert_eq!(fresh.status().decisions("pinned"), 2000);
}

#[test]
fn no_name_of_a_session_and_no_address_leaves_the_host() {
    let redis = Redis::start("");
    let nodes = Nodes::start(1, targets(2), &format!("url = \"{}\"", redis.url()));
    let client = Lone::begin(&nodes.balancers[0], 0);
    wait_told(&nodes.balancers[0]);
    let keys = redis.sessions();
    assert_eq!(keys.len(), 1);
    let value = redis.cli(&["GET", &keys[0]]);
    let name = client.jar.split('=').nth(1).unwrap().trim();
    for secret in [name, &client.home, "127.0.0.1", "app"] {
        assert!(!format!("{keys:?} {value}").contains(secret), "{secret}: {keys:?} {value}");
    }
    assert!(value.starts_with("1 ") && value.len() < 40, "{value}");
}

#[test]
fn sessions_by_a_field_are_shared_over_http2_too() {
    let application = |name: &'static str| {
        Target::start(move |exchange| match exchange.request.headers.get("mcp-session-id") {
            Some(id) if id.starts_with(name) => exchange.ok("", name),
            Some(_) => exchange.ok("X-Lost: yes\r\n", "lost"),
            None => {
                let number = MADE.fetch_add(1, Relaxed);
                exchange.ok(&format!("Mcp-Session-Id: {name}-{number}\r\n"), name)
            }
        })
    };
    let redis = Redis::start("");
    let targets = vec![application("a"), application("b"), application("c")];
    let nodes = Nodes::with(2, targets, &format!("url = \"{}\"", redis.url()), |group| {
        group.app_header("Mcp-Session-Id")
    });
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    let ids: Vec<String> =
        (0..9).map(|_| here.connect().get("/", "").header("mcp-session-id").to_owned()).collect();
    wait_told(here);
    for (at, id) in ids.iter().enumerate() {
        let text = if at % 2 == 0 {
            there.connect().get("/", &format!("Mcp-Session-Id: {id}\r\n")).text()
        } else {
            let field = format!("Mcp-Session-Id: {id}");
            let mut curl = std::process::Command::new("curl");
            curl.args(["-sS", "--max-time", "20", "--http2-prior-knowledge", "-H", &field]);
            let output = curl.arg(format!("http://{}/", there.address)).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(text, id.split('-').next().unwrap());
    }
    assert_eq!(figure(there, "lookups", "found"), 9);
}

/// What an application says of a value that nobody knows binds it: two balancers at once, to two targets.
#[test]
fn balancers_that_begin_a_session_at_once_agree() {
    let redis = Redis::start("");
    let nodes = Nodes::start(2, vec![keeping("a"), keeping("b")], &format!("url = \"{}\"", redis.url()));
    // In turn each gives another target than the other would.
    nodes.balancers[0].connect().get("/", "");
    let mut differed = 0;
    for number in 0..60 {
        let jar = format!("Cookie: SESSIONID=number-{number}\r\n");
        let mut connections: Vec<_> = nodes.balancers.iter().map(Balancer::connect).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{jar}\r\n");
        for connection in &mut connections {
            connection.send(&request);
        }
        let first: Vec<_> = connections
            .iter_mut()
            .map(|connection| connection.response().header("x-target").to_owned())
            .collect();
        differed += usize::from(first[0] != first[1]);
        nodes.balancers.iter().for_each(wait_told);
        let second: HashSet<_> = nodes
            .balancers
            .iter()
            .map(|balancer| balancer.connect().get("/", &jar).header("x-target").to_owned())
            .collect();
        assert_eq!(second.len(), 1, "{number}: {first:?}, then {second:?}");
    }
    assert!(differed > 0, "none of them was begun at two targets");
    let lost: u64 = nodes.balancers.iter().map(|balancer| figure(balancer, "writes", "lost")).sum();
    assert!(lost > 0, "one of two was first");
}

/// A target goes, and its sessions move, each once, whichever balancer sees its client first; they stay where they went when it
/// comes back.
#[test]
fn a_session_that_one_balancer_moves_is_moved_for_all() {
    let redis = Redis::start("");
    let targets = vec![keeping("a"), keeping("b"), keeping("c")];
    let nodes = Nodes::start(3, targets, &format!("url = \"{}\"", redis.url()));
    let mut clients = begun(&nodes, 90);
    assert_eq!(lost(&all(&nodes), &mut clients, 6), 0, "all know most of them");
    nodes.targets[0].set_healthy(false);
    let gone = nodes.targets[0].address.clone();
    for balancer in &nodes.balancers {
        balancer.wait_status("it is found out", 60.0, |status| status.state(&gone) == "unhealthy");
    }
    let moved: Vec<&mut Lone> = clients.iter_mut().filter(|client| client.home == "a").collect();
    assert!(moved.len() > 10);
    for (at, client) in moved.into_iter().enumerate() {
        let response = client.ask(&nodes.balancers[at % 3]);
        client.home = response.header("x-target").to_owned();
        assert_ne!(client.home, "a");
        wait_told(&nodes.balancers[at % 3]);
    }
    assert_eq!(lost(&all(&nodes), &mut clients, 4), 0, "there is one new target for each");
    nodes.targets[0].set_healthy(true);
    for balancer in &nodes.balancers {
        balancer.wait_status("it is back", 60.0, |status| status.state(&gone) == "healthy");
    }
    assert_eq!(lost(&all(&nodes), &mut clients, 6), 0, "and they stay there");
}

/// The group is drawn by a cookie, which these clients do not return: the session says which group it is in.
#[test]
fn a_session_is_found_in_the_group_that_it_is_in() {
    let redis = Redis::start("");
    let folder = tempfile::tempdir().unwrap();
    let targets = targets(4);
    let [a, b, c, d] = [&targets[0], &targets[1], &targets[2], &targets[3]];
    let group = |name: &str, targets: &[&Target]| Group::new(name, targets).app_cookie("SESSIONID");
    let forward = "type = \"forward\"\nforward {\ntarget_group {\narn = target_group.app.arn\nweight = 50\n}\ntarget_group {\narn \
                   = target_group.new.arn\nweight = 50\n}\nstickiness {\nenabled = true\nduration = 3600\n}\n}";
    let config = Config::with(group("app", &[a, b]))
        .group(group("new", &[c, d]))
        .default_action(forward)
        .process(&key_file(folder.path()))
        .more(&store(&format!("url = \"{}\"", redis.url())));
    let balancers = [Balancer::start(&config), Balancer::start(&config)];
    balancers.iter().for_each(wait_up);
    let clients: Vec<Lone> = (0..20).map(|seed| Lone::begin(&balancers[0], seed)).collect();
    wait_told(&balancers[0]);
    assert!(clients.iter().map(|client| &client.home).collect::<HashSet<_>>().len() > 2);
    for client in &clients {
        let response = client.ask(&balancers[1]);
        assert!(client.keeps(&response), "{} not {}", response.header("x-target"), client.home);
    }
    let status = balancers[1].status();
    let pinned: u64 = (0..2)
        .map(|at| {
            let group = &status.0["target_groups"][at];
            assert_eq!(
                group["requests"].as_u64(),
                group["stickiness"]["decisions"]["pinned"].as_u64(),
                "each is counted once, in its own group: {group}"
            );
            group["requests"].as_u64().unwrap()
        })
        .sum();
    assert_eq!(pinned, 20);
}

/// The store's time runs out after the last request, wherever that was.
#[test]
fn the_store_forgets_what_is_not_used() {
    let redis = Redis::start("");
    let nodes = Nodes::with(2, targets(2), &format!("url = \"{}\"", redis.url()), |group| {
        group.stickiness("type = \"app_cookie\"\ncookie_name = \"SESSIONID\"\ncookie_duration = 2")
    });
    let client = Lone::begin(&nodes.balancers[0], 0);
    wait_told(&nodes.balancers[0]);
    let expires: u64 = redis.cli(&["PTTL", &redis.sessions()[0]]).parse().unwrap();
    assert!((1000..=6000).contains(&expires), "{expires}");
    // For twice as long as one request keeps it, from the other node, which has to say so.
    let asked = until("it lives on", 30.0, || {
        assert!(client.keeps(&client.ask(&nodes.balancers[1])));
        let writes = figure(&nodes.balancers[1], "writes", "written");
        (writes >= 6).then_some(writes)
    });
    assert!(asked >= 6);
    until("it is over", 30.0, || redis.sessions().is_empty().then_some(()));
}

/// Without a store nothing of this is there, and it can come and go.
#[test]
fn a_store_comes_and_goes_with_a_reload() {
    let redis = Redis::start("");
    let url = format!("url = \"{}\"", redis.url());
    let nodes = Nodes::start(2, targets(3), &url);
    let sticky = |group: Group| group.app_cookie("SESSIONID");
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    here.reload(&nodes.config("", sticky));
    assert!(here.status().0["session_store"].is_null());
    let clients: Vec<Lone> = (0..30).map(|seed| Lone::begin(here, seed)).collect();
    assert!(redis.sessions().is_empty(), "nobody is told");
    here.wait_log("session store removed");
    here.reload(&nodes.config(&format!("{url}\nlookup_timeout = 30"), sticky));
    wait_up(here);
    until("what began meanwhile is told", 20.0, || (redis.sessions().len() == 30).then_some(()));
    for client in &clients {
        assert!(client.keeps(&client.ask(there)));
    }
    // What says nothing of where it is leaves the connection alone: nobody is without the store meanwhile.
    let connected = || here.log().matches("the session store is there").count();
    let before = connected();
    here.reload(&nodes.config(&format!("{url}\nlookup_timeout = 31"), sticky));
    here.wait_log("session store: settings (lookup_timeout)");
    assert_eq!(here.status().0["session_store"]["state"], "up");
    let lines = format!("{url}\nlookup_timeout = 31\nhealth_check_leader = true");
    here.reload(&nodes.config(&lines, sticky));
    here.wait_status("it leads", 20.0, |status| status.0["session_store"]["leads"] == true);
    here.reload(&nodes.config(&format!("{url}\nlookup_timeout = 31"), sticky));
    here.wait_status("it does not", 20.0, |status| status.0["session_store"]["leads"].is_null());
    assert_eq!(connected(), before, "{}", here.log());
}
