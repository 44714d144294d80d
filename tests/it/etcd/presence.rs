//! A node is there for the others for as long as it runs, and says so again whatever becomes of what it has said.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Target, balancer::binary, etcd::Etcd, until};

use super::{
    cluster, etcd_command, in_force, prepared, pushed, shared, started, told, until_or, wait_cluster,
};

const NOTE: &str = "/lb/nodes/a";

/// What stands under the node's name.
fn note(etcd: &Etcd) -> Option<Value> {
    let value = etcd.ctl(&["get", NOTE, "--print-value-only"]);
    (!value.trim().is_empty()).then(|| serde_json::from_str(&value).unwrap_or_default())
}

#[test]
fn a_node_whose_key_is_taken_away_puts_it_there_again() {
    let etcd = Etcd::start();
    let target = Target::plain();
    pushed(&etcd, &shared(&[&target], ""), &[]);
    let node = started(&etcd, "a");
    let revision =
        wait_cluster(&node, "it is there", |cluster| cluster["connected"] == true)["revision"].clone();
    let run = until("it has said so", 20.0, || note(&etcd))["run"].clone();
    etcd.ctl(&["del", NOTE]);
    until("it is there again", 20.0, || note(&etcd).filter(|note| note["run"] == run));

    // Another process with its name takes its place, is told of, and ends.
    let lease = etcd.ctl(&["lease", "grant", "600"]);
    let lease = lease.split_whitespace().nth(1).unwrap();
    etcd.ctl(&["put", &format!("--lease={lease}"), NOTE, "{\"node\": \"a\", \"run\": \"other\"}"]);
    wait_cluster(&node, "it is told of", |cluster| cluster["rival"].is_string());
    assert_eq!(note(&etcd).unwrap()["run"], "other", "the two do not write one over the other");
    etcd.ctl(&["lease", "revoke", lease]);
    until("it is there again", 20.0, || note(&etcd).filter(|note| note["run"] == run));
    wait_cluster(&node, "nobody else is", |cluster| cluster["rival"].is_null());
    in_force(&node, &revision);
    assert!(told(&etcd_command(&etcd, &["nodes"])).contains("in_force"));
}

/// A source of targets may take a minute to answer for the first time, and a lease is of ten seconds.
#[test]
fn a_node_is_there_while_a_configuration_takes_its_time() {
    let etcd = Etcd::start();
    let target = Target::plain();
    pushed(&etcd, &shared(&[&target], ""), &[]);
    let node = started(&etcd, "a");
    let before =
        wait_cluster(&node, "it is there", |cluster| cluster["connected"] == true)["revision"].clone();
    until("it has said so", 20.0, || note(&etcd));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "target_group \"late\" {{\n  port = 80\n  targets_from = \"http://{}/\"\n  target_discovery {{\n    timeout = 14\n  }}\n}}\n",
        silent.local_addr().unwrap()
    );
    pushed(&etcd, &shared(&[&target], &more), &[]);
    let is_there = until_or(40.0, || {
        assert!(note(&etcd).is_some(), "its lease has run out:\n{}", node.log());
        let now = cluster(&node);
        (now["revision"] != before && now["state"] == "in_force").then_some(())
    });
    assert!(is_there.is_some(), "{}", node.log());
    assert!(!node.log().contains("has run out"), "{}", node.log());
}

#[test]
fn what_could_not_be_kept_on_disk_is_kept_once_it_can() {
    let etcd = Etcd::start();
    let target = Target::plain();
    pushed(&etcd, &shared(&[&target], ""), &[]);
    let mut node = prepared(&etcd, "a", "");
    // A file is where a folder is needed.
    let folder = node.folder().join("cache");
    let cache = folder.join("etcd.json");
    fs::write(&folder, "").unwrap();
    *node.arguments.last_mut().unwrap() = cache.display().to_string();
    node.run();
    let told = wait_cluster(&node, "it is told", |cluster| cluster["not_kept"].is_string());
    assert!(told["not_kept"].as_str().unwrap().contains(&folder.display().to_string()), "{told}");
    fs::remove_file(&folder).unwrap();
    wait_cluster(&node, "it is kept", |cluster| cluster["not_kept"].is_null());
    assert!(fs::read_to_string(&cache).unwrap().contains("etcd:/lb/config/web.hcl"));
    assert_eq!(node.log().matches("is not kept on disk").count(), 1, "{}", node.log());
}

/// Before an etcd, something that answers for it and ends its watches, as long as it is told so.
#[derive(Default)]
struct Gateway {
    ends_watches: AtomicBool,
    begun: AtomicUsize,
    watches: Mutex<Vec<TcpStream>>,
}

impl Gateway {
    fn to(etcd: SocketAddr) -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, gateway) = (listener.local_addr().unwrap(), Arc::new(Self::default()));
        let own = Arc::clone(&gateway);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(etcd) else { continue };
                let (back, there) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(back, there, |_| true));
                let (own, whole) = (Arc::clone(&own), client.try_clone().unwrap());
                thread::spawn(move || {
                    pass(client, server, |bytes| {
                        let is_watch = bytes.windows(18).any(|word| word == b"etcdserverpb.Watch");
                        !is_watch || own.goes_on(whole.try_clone().unwrap())
                    });
                });
            }
        });
        (gateway, address)
    }

    fn goes_on(&self, watch: TcpStream) -> bool {
        let mut watches = self.watches.lock().unwrap();
        self.begun.fetch_add(1, SeqCst);
        watches.push(watch);
        !self.ends_watches.load(SeqCst)
    }

    /// Watches that there are end, and those that begin from now on.
    fn end_watches(&self) {
        let mut watches = self.watches.lock().unwrap();
        self.ends_watches.store(true, SeqCst);
        watches.drain(..).for_each(|watch| drop(watch.shutdown(Shutdown::Both)));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !passes(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

/// It is asked less and less often, is told of once, and whatever it says in between takes effect all the same.
#[test]
fn an_etcd_that_ends_each_watch_at_once_is_not_asked_all_the_time() {
    let etcd = Etcd::start();
    let (one, other) = (Target::plain(), Target::plain());
    pushed(&etcd, &shared(&[&one], ""), &[]);
    let (gateway, address) = Gateway::to(etcd.url(0).strip_prefix("http://").unwrap().parse().unwrap());
    let mut node = prepared(&etcd, "a", "");
    node.arguments[1] = format!("http://{address}");
    node.run();
    let first =
        wait_cluster(&node, "it is there", |cluster| cluster["connected"] == true)["revision"].clone();
    let began = Instant::now();
    gateway.end_watches();
    let before = gateway.begun.load(SeqCst);
    until("it is asked again", 60.0, || (gateway.begun.load(SeqCst) >= before + 4).then_some(()));
    // After 0.5, 1, 2 and 3 seconds; half a second each without longer rests.
    assert!(began.elapsed() > Duration::from_secs(6), "{:?}\n{}", began.elapsed(), node.log());
    let told = cluster(&node);
    assert!(told["connected"] == false && told["error"].is_string(), "{told}");
    assert!(note(&etcd).is_some(), "it is there for the others");
    // What stands there is looked at all the same.
    pushed(&etcd, &shared(&[&other], ""), &[]);
    wait_cluster(&node, "it is in force", |cluster| {
        cluster["state"] == "in_force" && cluster["revision"] != first
    });
    gateway.ends_watches.store(false, SeqCst);
    wait_cluster(&node, "all is well", |cluster| cluster["connected"] == true && cluster["error"].is_null());
    let log = node.log();
    for line in ["etcd does not say what is there", "etcd answers again"] {
        assert_eq!(log.matches(line).count(), 1, "{line}:\n{log}");
    }
}

#[test]
fn documents_that_lack_what_nodes_have_of_their_own_are_told_how_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.hcl"), shared(&[&Target::plain()], "")).unwrap();
    // Nobody is asked: what is wrong is wrong with the files.
    let push = |words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["etcd", "push"]).arg(folder.path().join("web.hcl"));
        let output = command.args(["--etcd", "http://127.0.0.1:1"]).args(words).output().unwrap();
        (output.status.code(), told(&output))
    };
    let (code, text) = push(&[]);
    assert!(
        code == Some(2) && text.contains("there is no variable `port`") && text.contains("by `-c`"),
        "{text}"
    );
    fs::write(folder.path().join("own.hcl"), "variable \"other\" {\n  default = 1\n}\n").unwrap();
    let (code, text) = push(&["-c", folder.path().join("own.hcl").to_str().unwrap()]);
    assert!(
        code == Some(2) && text.contains("there is no variable `port`") && !text.contains("by `-c`"),
        "{text}"
    );
}
