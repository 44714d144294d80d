//! What is pinned can be read by people: by bpftool, which names the fields, and by `balancer maps`, which names the targets.

use std::process::{Command, Output};

use serde_json::Value;
use support::{Balancer, Config, Group, Target, kernel, tools, until};

fn maps(arguments: &[&str]) -> Output {
    Command::new(support::balancer::binary()).arg("maps").args(arguments).output().unwrap()
}

/// What `balancer maps` says of an instance.
fn said(balancer: &Balancer, more: &[&str]) -> String {
    let admin = balancer.admin.to_string();
    let output = maps(&[&["--instance", balancer.instance(), "--admin", &admin], more].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bpftool_names_the_fields_of_every_table() {
    if !kernel::available() {
        return;
    }
    let target = Target::plain();
    // bpftool takes its time over a large table.
    let config =
        Config::new(&[&target]).workers(2).kernel_assist("required").process("session_table_size = 1024");
    let balancer = Balancer::start(&config);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    for (map, fields) in [
        ("TARGETS", &["/key/address", "/key/port", "/key/interface", "/value"][..]),
        ("TARGET_COUNTERS", &["/key", "/value/connects", "/value/open", "/value/srtt_us"]),
        ("OUTSTANDING", &["/key", "/value"]),
        ("STICKY", &["/key", "/value/entries/0/words"]),
        ("LISTENERS", &["/key/address", "/key/port", "/value/first_socket", "/value/workers"]),
        ("WORKER_LOAD", &["/key", "/value/connections", "/value/moves", "/value/given"]),
        ("WORKERS", &["/key", "/value"]),
    ] {
        let dump = tools::map_dump(balancer.instance(), map);
        for field in fields {
            let value = dump[0]["formatted"].pointer(field);
            assert!(value.is_some(), "{map} has no {field}: {}", dump[0]);
        }
    }
    // These cannot be listed without a socket in hand.
    for map in ["SOCKETS", "PROBES", "COUNTED"] {
        assert!(tools::map_info(balancer.instance(), map)["btf_id"].is_u64(), "{map}");
    }
    let pinned = std::fs::read_dir(tools::pins(balancer.instance())).unwrap();
    let pinned: Vec<String> = pinned.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let tables = pinned.iter().filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    // The ring of events has neither keys nor values.
    assert!(tables.clone().count() >= 11, "{pinned:?}");
    for name in tables.filter(|name| *name != "EVENTS") {
        assert!(tools::map_info(balancer.instance(), name)["btf_id"].is_u64(), "{name} has no types");
    }
}

#[test]
fn maps_shows_the_rows_in_use_with_the_names_of_targets_and_nothing_of_sessions() {
    if !kernel::available() {
        return;
    }
    let (target, other) = (Target::sessions(), Target::sessions());
    let group = Group::new("app", &[&target, &other]).app_cookie("SESSION");
    let mut balancer = Balancer::start(&Config::with(group).workers(2).kernel_assist("required"));
    let mut client = balancer.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    let session = client.cookie_line();
    let document = until("figures of both targets", 20.0, || {
        let document: Value = serde_json::from_str(&said(&balancer, &["--json"])).unwrap();
        let rows = document["targets"].as_array().unwrap().clone();
        let connects: u64 = rows.iter().map(|row| row["connects"].as_u64().unwrap()).sum();
        (rows.len() == 2 && connects > 0).then_some(document)
    });
    for row in document["targets"].as_array().unwrap() {
        let address = row["target"].as_str().unwrap();
        assert!([&target.address, &other.address].iter().any(|known| *known == address), "{row}");
        assert_eq!(row["target_groups"], serde_json::json!(["app"]));
        assert_eq!(row["slot"], balancer.status().target(address)["slot"]);
    }
    assert_eq!(document["listeners"][0]["address"], balancer.address.to_string());
    assert_eq!(document["listeners"][0]["workers"], 2);
    let text = said(&balancer, &[]);
    assert!(
        text.contains(&target.address) && text.contains("BYTES-OUT") && text.lines().count() < 25,
        "{text}"
    );
    // Whose sessions there are is nobody's business.
    let values: Vec<&str> = session.split(['=', ';', ' ']).filter(|part| part.len() > 12).collect();
    assert!(!values.is_empty(), "{session}");
    let document = document.to_string();
    for value in values {
        assert!(!text.contains(value) && !document.contains(value), "{value}");
    }
    // It outlives the process, whose names of groups are then not known.
    balancer.kill();
    let text = said(&balancer, &[]);
    assert!(text.contains(&target.address) && !text.contains(" app "), "{text}");
}

#[test]
fn where_nothing_is_pinned_it_says_so() {
    let output = maps(&["--instance", "no-such-instance"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no-such-instance") && told.lines().count() == 1, "{told}");
    assert_eq!(maps(&["--instance", "../x"]).status.code(), Some(2));
}
