//! A node is there for the others for as long as it runs, and says so again whatever becomes of what it has said.

use std::{fs, net::TcpListener};

use serde_json::Value;
use support::{Target, etcd::Etcd, until};

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
