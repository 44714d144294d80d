//! Several balancers with one configuration in etcd: what takes effect, where, and what becomes of it when things break.

mod presence;
mod sealed_keys;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use support::{Balancer, Client, Config, Target, balancer::binary, etcd::Etcd, ports, until};

/// A node that does not run yet.
fn prepared(etcd: &Etcd, name: &str, more: &str) -> Balancer {
    let mut node = Balancer::prepare(&Config::new(&[&Target::plain()]));
    let text = node.text(&Config::new(&[&Target::plain()]).process(more));
    let end = text.find("load_balancer").unwrap();
    let port = node.address.port();
    node.write_text(&format!("{}variable \"port\" {{\n  default = {port}\n}}\n", &text[..end]));
    let cache = node.folder().join("state/etcd.json").display().to_string();
    let words = ["--etcd", &etcd.urls(), "--prefix", "/lb", "--node", name, "--etcd-cache", &cache];
    node.arguments = words.map(str::to_owned).to_vec();
    node
}

fn started(etcd: &Etcd, name: &str) -> Balancer {
    let mut node = prepared(etcd, name, "");
    node.run();
    node
}

/// The documents that the nodes share: a listener, and a group with these targets.
fn shared(targets: &[&Target], more: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{}\"", target.address)).collect();
    format!(
        "listener \"web\" {{\n  address = \"127.0.0.1\"\n  port = var.port\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.app.arn\n  }}\n}}\ntarget_group \"app\" {{\n  health_check {{\n    \
         enabled = false\n  }}\n  targets = [{}]\n}}\n{more}",
        targets.join(", ")
    )
}

/// `balancer etcd …`.
fn etcd_command(etcd: &Etcd, words: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("etcd").args(words).args(["--etcd", &etcd.urls(), "--prefix", "/lb"]).env("USER", "ann");
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Pushes this text as the only document, with variables as nodes have them.
fn push(etcd: &Etcd, text: &str, more: &[&str]) -> Output {
    let (folder, own) = (etcd.folder().join("pushed"), etcd.folder().join("own.hcl"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("web.hcl"), text).unwrap();
    fs::write(&own, "variable \"port\" {\n  default = 8080\n}\n").unwrap();
    let mut words = vec!["push", folder.to_str().unwrap(), "-c", own.to_str().unwrap()];
    words.extend(more);
    etcd_command(etcd, &words)
}

fn pushed(etcd: &Etcd, text: &str, more: &[&str]) -> String {
    let output = push(etcd, text, more);
    assert!(output.status.success(), "{}", told(&output));
    told(&output)
}

/// What a node's status says of the configuration that it shares.
fn cluster(node: &Balancer) -> Value {
    node.status().0["cluster"].clone()
}

/// Waits until a node's status says this of the configuration that it shares.
fn wait_cluster(node: &Balancer, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = until_or(30.0, || {
        last = node.try_status().map(|status| status.0["cluster"].clone()).unwrap_or_default();
        is_so(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("{what}: {last:#}"))
}

fn until_or<T>(seconds: f64, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < deadline {
        if let Some(found) = probe() {
            return Some(found);
        }
        thread::sleep(Duration::from_millis(2));
    }
    None
}

fn in_force(node: &Balancer, revision: &Value) {
    wait_cluster(node, "the revision is in force", |cluster| {
        cluster["revision"] == *revision && cluster["state"] == "in_force" && cluster["connected"] == true
    });
}

fn targets_of(node: &Balancer) -> Vec<String> {
    node.status()
        .targets()
        .iter()
        .map(|target| format!("{}:{}", target["id"].as_str().unwrap(), target["port"]))
        .collect()
}

#[test]
fn nodes_share_a_configuration_and_a_bad_one_reaches_none() {
    let etcd = Etcd::start();
    let (one, two) = (Target::plain(), Target::plain());
    let said = pushed(&etcd, &shared(&[&one], ""), &["--note", "the first"]);
    assert!(said.contains("pushed as number 1 by ann@") && said.contains("web.hcl"), "{said}");
    let nodes: Vec<Balancer> = ["a", "b", "c"].map(|name| started(&etcd, name)).into();
    let first = cluster(&nodes[0])["revision"].clone();
    for node in &nodes {
        in_force(node, &first);
        assert!(cluster(node)["author"].as_str().unwrap().starts_with("ann@"));
        assert_eq!(Client::new(node.address).get("/").status, 200);
        assert_eq!(targets_of(node), std::slice::from_ref(&one.address));
        let text = node.status_text();
        assert!(text.contains(&format!("configuration: etcd /lb, revision {first} by ann@")), "{text}");
    }
    let said = || told(&etcd_command(&etcd, &["nodes"]));
    until("all have said so", 30.0, || (said().matches("in_force").count() == 3).then_some(()));
    // A change takes effect everywhere.
    let said = pushed(&etcd, &shared(&[&one, &two], ""), &["--wait", "30", "--author", "bob"]);
    assert!(said.contains("pushed as number 2 by bob") && said.matches("in_force").count() == 3, "{said}");
    let good = cluster(&nodes[0])["revision"].clone();
    nodes.iter().for_each(|node| in_force(node, &good));
    assert!(nodes.iter().all(|node| targets_of(node).len() == 2));

    // What is wrong is not written in the first place, and the fault names the file.
    let output = push(&etcd, &shared(&[&one], "target_grup \"x\" {}\n"), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(
        told(&output).contains("pushed/web.hcl:15:1:") && told(&output).contains("target_grup"),
        "{}",
        told(&output)
    );
    // What is written past that reaches no node, and each names the key with line and column.
    etcd.ctl(&["put", "/lb/config/zz.hcl", "\n  target_grup \"x\" {}\n"]);
    for node in &nodes {
        let refused = wait_cluster(node, "it is refused", |cluster| cluster["state"] == "refused");
        let reason = refused["reason"].as_str().unwrap();
        assert!(reason.contains("etcd:/lb/config/zz.hcl:2:3:") && reason.contains("target_grup"), "{reason}");
        assert_eq!(refused["revision"], good);
        assert!(refused["seen_author"].as_str().unwrap().contains("not written by"), "{refused}");
        assert!(node.status_text().contains("REFUSED: etcd:/lb/config/zz.hcl:2:3:"));
        assert_eq!(Client::new(node.address).get("/").status, 200);
        node.wait_log_line(&["ERROR", "etcd:/lb/config/zz.hcl:2:3:", "the running one stays"]);
    }
    let said = told(&etcd_command(&etcd, &["nodes"]));
    assert_eq!(said.matches("refused").count(), 3, "{said}");
    // Bytes that are no text, and what stands beside the documents, harm nobody either.
    let garbage = etcd.folder().join("garbage");
    fs::write(&garbage, b"a\n\xff\x00\xfe").unwrap();
    let put = format!("etcdctl --endpoints {} put /lb/config/zz.hcl < {}", etcd.urls(), garbage.display());
    assert!(Command::new("sh").args(["-c", &put]).env("ETCDCTL_API", "3").status().unwrap().success());
    etcd.ctl(&["put", "/lb/nodes/d", "garbage"]);
    etcd.ctl(&["put", "/lb/config/.push", "garbage"]);
    for node in &nodes {
        let is_told = |cluster: &Value| {
            let reason = cluster["reason"].as_str().unwrap_or_default();
            reason.contains("etcd:/lb/config/zz.hcl:2:1: byte 2 (0xff) is not text")
        };
        wait_cluster(node, "it is refused", is_told);
    }
    // Everything gone is no configuration.
    etcd.ctl(&["del", "--prefix", "/lb/config/"]);
    for node in &nodes {
        let is_told = |cluster: &Value| {
            cluster["reason"]
                .as_str()
                .unwrap_or_default()
                .contains("etcd:/lb/config/: holds no configuration")
        };
        wait_cluster(node, "it is refused", is_told);
        assert_eq!(Client::new(node.address).get("/").status, 200);
    }
    // The next good one is as any other.
    pushed(&etcd, &shared(&[&two], ""), &["--wait", "30"]);
    for node in &nodes {
        wait_cluster(node, "it is in force", |cluster| cluster["state"] == "in_force");
        assert!(!node.status_text().contains("REFUSED"), "{}", node.status_text());
    }
}

#[test]
fn what_one_node_cannot_have_none_takes_up() {
    let etcd = Etcd::start();
    let target = Target::plain();
    pushed(&etcd, &shared(&[&target], ""), &[]);
    let nodes: Vec<Balancer> = ["a", "b"].map(|name| started(&etcd, name)).into();
    nodes.iter().for_each(|node| {
        wait_cluster(node, "it is in force", |cluster| cluster["connected"] == true);
    });
    let before = cluster(&nodes[0])["revision"].clone();
    // A port of each node's own, and that of one of them is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = [ports::free(), taken.local_addr().unwrap().port()];
    for (node, port) in nodes.iter().zip(more) {
        let text = fs::read_to_string(node.config_path()).unwrap();
        node.write_text(&format!("{text}variable \"more\" {{\n  default = {port}\n}}\n"));
    }
    let listener = "listener \"more\" {\n  address = \"127.0.0.1\"\n  port = var.more\n  default_action {\n    type = \"forward\"\n    \
                    target_group_arn = target_group.app.arn\n  }\n}\n";
    etcd.ctl(&["put", "/lb/config/more.hcl", listener]);
    let refused = wait_cluster(&nodes[1], "it is refused", |cluster| cluster["state"] == "refused");
    assert!(refused["reason"].as_str().unwrap().contains("cannot listen on"), "{refused}");
    let held = wait_cluster(&nodes[0], "it is left", |cluster| cluster["state"] == "held");
    assert!(held["reason"].as_str().unwrap().contains("node b refuses it: cannot listen on"), "{held}");
    assert!(nodes.iter().all(|node| cluster(node)["revision"] == before));
    assert!(TcpListener::bind(("127.0.0.1", more[0])).is_ok(), "nobody listens there");
    // A push can wait for it, and is told.
    drop(taken);
    nodes[1].signal(Signal::HUP);
    for (node, port) in nodes.iter().zip(more) {
        wait_cluster(node, "it is in force", |cluster| {
            cluster["state"] == "in_force" && cluster["revision"] != before
        });
        assert_eq!(Client::new(([127, 0, 0, 1], port).into()).get("/").status, 200);
    }
}

#[test]
fn a_node_starts_and_serves_with_etcd_away() {
    etcd_is_away_for(Duration::ZERO);
}

#[test]
#[ignore = "five minutes of waiting; .ci/run --full has it"]
fn a_node_starts_and_serves_with_etcd_away_for_five_minutes() {
    etcd_is_away_for(Duration::from_secs(300));
}

fn etcd_is_away_for(span: Duration) {
    let mut etcd = Etcd::start();
    let (one, two) = (Target::plain(), Target::plain());
    pushed(&etcd, &shared(&[&one], ""), &[]);
    let mut node = started(&etcd, "a");
    let first =
        wait_cluster(&node, "it is there", |cluster| cluster["connected"] == true)["revision"].clone();
    let cache = node.folder().join("state/etcd.json");
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o600);
    etcd.kill(0);
    let away = wait_cluster(&node, "it is away", |cluster| cluster["connected"] == false);
    assert!(away["error"].as_str().unwrap().contains(&etcd.url(0)), "{away}");
    assert!(node.status_text().contains("ETCD IS AWAY: etcd at http://127.0.0.1:"));
    assert_eq!(Client::new(node.address).get("/").status, 200);
    node.kill();
    node.run();
    let kept = cluster(&node);
    assert_eq!((&kept["revision"], &kept["from_disk"]), (&first, &Value::Bool(true)), "{kept}");
    assert!(node.status_text().contains("as it was kept on disk"));
    node.wait_log_line(&[
        "WARN",
        "starting with the configuration of revision",
        "kept on disk",
        "cannot connect",
    ]);
    // It looks there again beside what it serves.
    node.wait_log_lines(&["etcd does not say what is there"], 2);
    let begun = Instant::now();
    loop {
        assert_eq!(Client::new(node.address).get("/").status, 200);
        if begun.elapsed() >= span {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        node.log().matches("etcd does not say what is there").count(),
        2,
        "once a process: {}",
        node.log()
    );
    // It is back, and all goes on.
    etcd.begin(0);
    etcd.wait();
    pushed(&etcd, &shared(&[&one, &two], ""), &["--wait", "30"]);
    let back = wait_cluster(&node, "it is back", |cluster| {
        cluster["connected"] == true && cluster["state"] == "in_force" && cluster["revision"] != first
    });
    assert_eq!((&back["from_disk"], &back["error"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(targets_of(&node).len(), 2);
    // What is wrong there keeps nobody from a start, and what was kept is what runs.
    etcd.ctl(&["put", "/lb/config/web.hcl", "garbage {"]);
    wait_cluster(&node, "it is refused", |cluster| cluster["state"] == "refused");
    node.kill();
    node.run();
    assert_eq!(cluster(&node)["revision"], back["revision"]);
    node.wait_log_line(&["WARN", "what stands in etcd is refused: etcd:/lb/config/web.hcl:1:"]);
    // Without either there is nothing to start with, and that is said.
    node.kill();
    fs::remove_file(&cache).unwrap();
    let ended = node.run_to_end();
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(ended.log.contains("etcd:/lb/config/web.hcl:1:"), "{}", ended.log);
    etcd.kill(0);
    let ended = node.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains("there is no configuration, and none kept in"), "{}", ended.log);
    // Nor is what somebody else has put there.
    fs::write(&cache, "{\"prefix\": 1}").unwrap();
    let ended = node.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
}

#[test]
fn a_cluster_loses_its_leader_and_nodes_restart_in_turn() {
    let mut etcd = Etcd::start_members(3, None);
    let targets = [Target::plain(), Target::plain(), Target::plain(), Target::plain()];
    pushed(&etcd, &shared(&[&targets[0]], ""), &[]);
    let mut nodes: Vec<Balancer> = ["a", "b", "c"].map(|name| started(&etcd, name)).into();
    nodes.iter().for_each(|node| {
        wait_cluster(node, "it is there", |cluster| cluster["connected"] == true);
    });
    let leader = etcd.leader();
    etcd.kill(leader);
    etcd.wait();
    pushed(&etcd, &shared(&[&targets[0], &targets[1]], ""), &["--wait", "30"]);
    // Each restarts while something changes.
    for (turn, node) in nodes.iter_mut().enumerate() {
        node.kill();
        let many: Vec<&Target> = targets.iter().take(1 + (turn + 2) % 4).collect();
        pushed(&etcd, &shared(&many, ""), &[]);
        node.run();
    }
    let all: Vec<&Target> = targets.iter().collect();
    pushed(&etcd, &shared(&all, ""), &["--wait", "30"]);
    let last = cluster(&nodes[0]);
    for node in &nodes {
        in_force(node, &last["revision"]);
        assert_eq!(cluster(node)["digest"], last["digest"]);
        assert_eq!(targets_of(node).len(), 4);
    }
    // One that stands still holds nobody up for long, and the member that was lost is not needed.
    etcd.begin(leader);
    etcd.wait();
    nodes[0].signal(Signal::STOP);
    pushed(&etcd, &shared(&[&targets[0]], ""), &[]);
    for node in &nodes[1..] {
        wait_cluster(node, "it is in force", |cluster| {
            cluster["state"] == "in_force" && cluster["revision"] != last["revision"]
        });
    }
    nodes[0].signal(Signal::CONT);
    let revision = cluster(&nodes[1])["revision"].clone();
    in_force(&nodes[0], &revision);
}

#[test]
fn what_was_pushed_is_compared_pulled_and_found_in_the_history() {
    let etcd = Etcd::start();
    let target = Target::plain();
    let (first, second) = (shared(&[&target], ""), shared(&[&target], "# more\n"));
    pushed(&etcd, &first, &["--note", "one", "--author", "ann"]);
    let folder = etcd.folder().join("pushed");
    let path = folder.to_str().unwrap();
    let same = etcd_command(&etcd, &["diff", path]);
    assert_eq!((same.status.code(), told(&same).as_str()), (Some(0), ""));
    assert!(pushed(&etcd, &first, &[]).contains("nothing to change"));
    fs::write(folder.join("web.hcl"), &second).unwrap();
    fs::write(folder.join("zz.hcl"), "# new\n").unwrap();
    let differs = etcd_command(&etcd, &["diff", path]);
    assert_eq!(differs.status.code(), Some(1), "{}", told(&differs));
    let said = told(&differs);
    assert!(
        said.contains("--- etcd:/lb/config/web.hcl\n+++ web.hcl\n") && said.contains("+# more\n"),
        "{said}"
    );
    assert!(said.contains("--- none\n+++ zz.hcl\n") && said.contains("+# new\n"), "{said}");
    let said = pushed(&etcd, &second, &["--note", "two", "--author", "bob"]);
    assert!(said.contains("number 2 by bob") && said.contains("web.hcl, zz.hcl"), "{said}");
    fs::remove_file(folder.join("zz.hcl")).unwrap();
    assert!(pushed(&etcd, &second, &[]).contains("zz.hcl (removed)"));
    let said = told(&etcd_command(&etcd, &["history"]));
    let rows: Vec<&str> = said.lines().collect();
    assert!(rows[1].starts_with('3') && rows[2].contains("bob") && rows[3].contains("one"), "{said}");
    assert!(rows[1].contains(" *") && rows[4] == "* is what stands there", "{said}");
    // Numbers go on, whatever has become of the record beside the documents.
    etcd.ctl(&["del", "/lb/config/.push"]);
    // What was there before comes back as files.
    let back = etcd.folder().join("back");
    let to = back.to_str().unwrap();
    let pulled = etcd_command(&etcd, &["pull", to, "--number", "1"]);
    assert!(pulled.status.success(), "{}", told(&pulled));
    assert_eq!(fs::read_to_string(back.join("web.hcl")).unwrap(), first);
    let pulled = etcd_command(&etcd, &["pull", to]);
    assert_eq!(pulled.status.code(), Some(1), "{}", told(&pulled));
    assert!(told(&pulled).contains("web.hcl is there and differs"), "{}", told(&pulled));
    assert!(etcd_command(&etcd, &["pull", to, "--force"]).status.success());
    assert_eq!(fs::read_to_string(back.join("web.hcl")).unwrap(), second);
    let none = etcd_command(&etcd, &["pull", to, "--number", "99"]);
    assert!(told(&none).contains("number 99 is not kept"), "{}", told(&none));
    // The history is bounded.
    for number in 0..50 {
        pushed(&etcd, &shared(&[&target], &format!("# {number}\n")), &[]);
    }
    let said = etcd_command(&etcd, &["history", "--json"]);
    let records: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((records.as_array().unwrap().len(), &records[49]["number"]), (50, &Value::from(4)));
    let left = etcd.ctl(&["get", "--prefix", "/lb/texts/", "--keys-only"]);
    assert_eq!(left.lines().filter(|line| !line.is_empty()).count(), 50);
}

#[test]
fn who_may_not_come_in_is_told_why() {
    let mut etcd = Etcd::start_tls(&["127.0.0.1"]);
    etcd.ctl(&["user", "add", "root:secret-of-root"]);
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    etcd.ctl(&["auth", "enable"]);
    etcd.user = Some("root:secret-of-root".to_owned());
    let (good, bad) = (etcd.folder().join("good"), etcd.folder().join("bad"));
    fs::write(&good, "secret-of-root\n").unwrap();
    fs::write(&bad, "something-else\n").unwrap();
    let certificate = etcd.certificate.clone().unwrap();
    let ca = certificate.certificate.to_str().unwrap();
    let with = |password: &std::path::Path, ca: &str| {
        let words = [
            "nodes",
            "--etcd-user",
            "root",
            "--etcd-password-file",
            password.to_str().unwrap(),
            "--etcd-ca",
            ca,
        ];
        etcd_command(&etcd, &words)
    };
    let output = with(&good, ca);
    assert!(output.status.success(), "{}", told(&output));
    let output = with(&bad, ca);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let said = told(&output);
    assert!(said.contains("authentication failed") && said.contains("user \"root\""), "{said}");
    assert!(!said.contains("something-else"), "{said}");
    let output = etcd_command(&etcd, &["nodes", "--etcd-ca", ca]);
    assert!(told(&output).contains("user name is empty"), "{}", told(&output));
    // Another authority's certificate, and one for another name.
    let other = support::tls::Certificate::make(etcd.folder(), "other", &["127.0.0.1"]);
    let output = with(&good, other.certificate.to_str().unwrap());
    assert!(told(&output).contains("invalid peer certificate"), "{}", told(&output));
    let name = etcd.urls().replace("127.0.0.1", "localhost");
    let mut command = Command::new(binary());
    command.args(["etcd", "nodes", "--etcd", &name, "--etcd-ca", ca]);
    let output = command.output().unwrap();
    assert!(told(&output).contains("not valid for name \"localhost\""), "{}", told(&output));
    // A node goes in and out by the same door.
    let mut node = prepared(&etcd, "a", "");
    let words = ["--etcd-user", "root", "--etcd-password-file", bad.to_str().unwrap(), "--etcd-ca", ca];
    node.arguments.extend(words.map(str::to_owned));
    let ended = node.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(
        ended.log.contains("authentication failed") && !ended.log.contains("something-else"),
        "{}",
        ended.log
    );
    let target = Target::plain();
    etcd.ctl(&["put", "/lb/config/web.hcl", &shared(&[&target], "")]);
    fs::write(&bad, "secret-of-root").unwrap();
    node.run();
    let first =
        wait_cluster(&node, "it is there", |cluster| cluster["connected"] == true)["revision"].clone();
    etcd.ctl(&["put", "/lb/config/more.hcl", "# more\n"]);
    wait_cluster(&node, "the change is seen", |cluster| {
        cluster["revision"] != first && cluster["state"] == "in_force"
    });
    let log = node.log();
    assert!(!log.contains("secret-of-root"), "{log}");
}

#[test]
fn a_node_that_has_given_root_up_keeps_what_is_in_force() {
    if !support::kernel::is_root() {
        return;
    }
    let etcd = Etcd::start();
    let (one, two) = (Target::plain(), Target::plain());
    pushed(&etcd, &shared(&[&one], ""), &[]);
    let mut node = prepared(&etcd, "a", "user = \"nobody\"\nseccomp = \"on\"");
    let seal = sealed_keys::secret_file(etcd.folder(), "seal", &[1]);
    node.arguments.extend(["--etcd-seal-file".to_owned(), seal.display().to_string()]);
    node.run();
    wait_cluster(&node, "it is there", |cluster| cluster["connected"] == true);
    pushed(&etcd, &shared(&[&one, &two], ""), &["--wait", "30"]);
    let cluster = wait_cluster(&node, "it is in force", |cluster| cluster["state"] == "in_force");
    assert_eq!(cluster["not_kept"], Value::Null, "{cluster}");
    let kept = fs::metadata(node.folder().join("state/etcd.json")).unwrap();
    assert_eq!((kept.uid(), kept.permissions().mode() & 0o777), (65534, 0o600));
    // What it has kept as that user is what it starts with as root.
    etcd.ctl(&["del", "--prefix", "/lb/config/"]);
    node.kill();
    node.run();
    assert_eq!(node.status().0["cluster"]["from_disk"], true);
    assert_eq!(targets_of(&node).len(), 2);
    // Keys are opened with what was read as root.
    let keys = sealed_keys::secret_file(etcd.folder(), "keys", &[2]);
    pushed(&etcd, &shared(&[&one], ""), &[]);
    for words in [&["put", keys.to_str().unwrap()][..], &["rotate"]] {
        sealed_keys::done(&sealed_keys::keys_command(&etcd, &seal, words));
    }
    let names = sealed_keys::key_names(&node);
    assert_eq!(names.len(), 2);
    // An upgrade follows on, under the same name.
    pushed(&etcd, &shared(&[&one], ""), &[]);
    wait_cluster(&node, "it is in force", |cluster| cluster["state"] == "in_force");
    node.upgraded();
    pushed(&etcd, &shared(&[&two], ""), &[]);
    let status = until("the new process has it", 30.0, || {
        let status = node.try_status()?;
        status.find(&two.address).is_some().then_some(status)
    });
    assert_eq!(status.0["cluster"]["rival"], Value::Null);
    assert_eq!(sealed_keys::key_names(&node), names);
}
