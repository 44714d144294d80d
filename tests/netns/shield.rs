//! The shield before a balancer whose clients are on another host: who is denied, who is limited, and who is neither.

use std::{net::Ipv4Addr, process::Command};

use rustix::process::Signal;
use serde_json::Value;
use support::{Balancer, Config, Target, kernel, until};

use crate::hosts::{Host, run};

/// Seconds that a client gives a connection; one that is let in takes a few milliseconds.
const PATIENCE: &str = "2";

/// The host's own interface to the other one.
fn interface(host: &Host) -> String {
    format!("{}h", host.name)
}

/// A host that speaks from this many addresses besides its own, three at the most, and what they are: of a network of four.
fn host_with(addresses: u32) -> (Host, Vec<String>) {
    let host = Host::new();
    let first = u32::from(host.near.replace("198.18.", "198.19.").parse::<Ipv4Addr>().unwrap());
    let more: Vec<String> =
        (first..).take(addresses as usize).map(|it| Ipv4Addr::from(it).to_string()).collect();
    for address in &more {
        run(&format!("ip -n {} addr add {address}/32 dev eth0", host.name));
    }
    run(&format!("ip route add {}/30 via {}", Ipv4Addr::from(first - 1), host.far));
    (host, more)
}

fn config(host: &Host, target: &Target, shield: &str) -> Config {
    let interface = interface(host);
    let mut config = Config::new(&[target])
        .kernel_assist("required")
        .more(&format!("shield {{\n  interfaces = [\"{interface}\"]\n{shield}\n}}\n"));
    config.address.clone_from(&host.near);
    config
}

/// What `from` is answered; `000`: nothing.
fn ask(host: &Host, from: &str, balancer: &Balancer) -> String {
    let url = format!("http://{}/", balancer.address);
    let mut curl = host.inside("curl");
    curl.args(["-s", "-m", PATIENCE, "--interface", from, "-o", "/dev/null", "-w", "%{http_code}", &url]);
    String::from_utf8(curl.output().unwrap().stdout).unwrap()
}

/// One that is let in is answered, if not at once, then when this machine gets to it.
fn is_let_in(host: &Host, from: &str, balancer: &Balancer) {
    until("it is let in", 60.0, || (ask(host, from, balancer) == "200").then_some(()));
}

fn is_kept_out(host: &Host, from: &str, balancer: &Balancer) {
    let before = packets(balancer, "deny");
    assert_eq!(ask(host, from, balancer), "000", "{from} is let in");
    assert!(packets(balancer, "deny") > before, "its packets are counted");
}

fn packets(balancer: &Balancer, action: &str) -> f64 {
    balancer.metric(&format!("balancer_shield_packets_total{{action=\"{action}\"}}"))
}

fn at(balancer: &Balancer) -> Value {
    balancer.status().0["shield"]["interfaces"][0].clone()
}

/// [`Balancer::reload`] of the process that has taken another one's place.
fn reload_newest(balancer: &Balancer, config: &Config) {
    let reloads = || balancer.status().0["reloads"].as_u64().unwrap();
    let before = reloads();
    balancer.write(config);
    balancer.signal_newest(Signal::HUP);
    until("the reload", 60.0, || (reloads() > before).then_some(()));
}

/// Whether a program is on an interface.
fn has_program(interface: &str) -> bool {
    let shown = Command::new("ip").args(["link", "show", "dev", interface]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().contains("prog/xdp")
}

#[test]
fn a_denied_source_is_kept_out_and_others_are_let_in() {
    if !kernel::available() {
        return;
    }
    let (host, from) = host_with(3);
    let target = Target::plain();
    let deny = format!("  deny = [\"{}\", \"{}\"]\n", from[0], from[1]);
    let rules = format!("{deny}  allow = [\"{}\"]", from[1]);
    let mut balancer = Balancer::start(&config(&host, &target, &rules));
    assert_eq!(at(&balancer)["mode"], "native", "{}", at(&balancer));
    assert_eq!(balancer.status().0["shield"]["active"], true);
    is_kept_out(&host, &from[0], &balancer);
    is_let_in(&host, &from[1], &balancer);
    is_let_in(&host, &from[2], &balancer);
    assert!(packets(&balancer, "allow") > 0.0 && packets(&balancer, "pass") > 0.0);
    balancer.wait_log_line(&["the shield drops packets", &from[0], "deny"]);

    // A reload takes the list into use, and a dry run counts alone.
    let deny = format!("  deny = [\"{}\"]", from[2]);
    balancer.reload(&config(&host, &target, &deny));
    is_let_in(&host, &from[0], &balancer);
    is_kept_out(&host, &from[2], &balancer);
    balancer.reload(&config(&host, &target, &format!("{deny}\n  dry_run = true")));
    let before = packets(&balancer, "deny");
    is_let_in(&host, &from[2], &balancer);
    assert!(packets(&balancer, "deny") > before, "they are counted as what would become of them");
    balancer.wait_log_line(&["changed: shield: settings (dry_run)"]);

    // In another mode.
    balancer.reload(&config(&host, &target, &format!("{deny}\n  mode = \"generic\"")));
    until("it is generic", 20.0, || (at(&balancer)["mode"] == "generic").then_some(()));
    is_kept_out(&host, &from[2], &balancer);

    // With the process it is gone, however that ends; and with the next one it is back.
    balancer.kill();
    until("the program is off the interface", 20.0, || (!has_program(&interface(&host))).then_some(()));
    balancer.run();
    balancer.wait_until_settled();
    until("it is on again", 20.0, || (at(&balancer)["mode"] == "generic").then_some(()));
    is_kept_out(&host, &from[2], &balancer);
    balancer.signal(Signal::TERM);
    balancer.wait_exit(60.0);
    assert!(!has_program(&interface(&host)), "an end in good order leaves nothing");
}

#[test]
fn who_begins_too_many_connections_waits_and_others_do_not() {
    if !kernel::available() {
        return;
    }
    let (host, from) = host_with(2);
    let target = Target::plain();
    let limit = "  new_connections_per_second = 1\n  burst = 5";
    let balancer = Balancer::start(&config(&host, &target, limit));
    let script = "import socket, sys\nall = []\nfor _ in range(60):\n    s = socket.socket()\n    s.setblocking(False)\n    \
                  s.bind((sys.argv[1], 0))\n    s.connect_ex((sys.argv[2], int(sys.argv[3])))\n    all.append(s)\n";
    let port = balancer.address.port().to_string();
    let mut many = host.inside("python3");
    let begun = many.args(["-c", script, &from[0], &host.near, &port]).status().unwrap();
    assert!(begun.success());
    until("some are dropped", 20.0, || (packets(&balancer, "rate_limited") > 0.0).then_some(()));
    assert!(packets(&balancer, "pass") >= 5.0, "a burst is let in");
    is_let_in(&host, &from[1], &balancer);
    // With time it is let in again.
    is_let_in(&host, &from[0], &balancer);
}

#[test]
fn an_upgrade_hands_the_shield_over() {
    if !kernel::available() {
        return;
    }
    let (host, from) = host_with(2);
    let target = Target::plain();
    let config = |denied: &str| {
        // With the rights that are left, and without the calls that are not needed.
        config(&host, &target, &format!("  deny = [\"{denied}\"]"))
            .process("  user = \"nobody\"")
            .process("  seccomp = \"on\"")
    };
    let balancer = Balancer::start(&config(&from[0]));
    is_kept_out(&host, &from[0], &balancer);
    let counted = packets(&balancer, "deny");
    let before = balancer.pid();
    // The next process has another list.
    balancer.write(&config(&from[1]));
    let after = balancer.upgraded();
    assert_ne!(before, after);
    until("it is on in the new process", 20.0, || {
        balancer.status().0["shield"]["active"].as_bool().filter(|active| *active)
    });
    assert_eq!(at(&balancer)["mode"], "native");
    assert!(packets(&balancer, "deny") >= counted, "what was counted is there");
    is_kept_out(&host, &from[1], &balancer);
    is_let_in(&host, &from[0], &balancer);
    balancer.wait_gone(&[before], 60.0);
    is_kept_out(&host, &from[1], &balancer);

    // And a reload is taken into use as before.
    reload_newest(&balancer, &config(&from[0]));
    is_let_in(&host, &from[1], &balancer);
    is_kept_out(&host, &from[0], &balancer);

    // One that fails on the way leaves everything as it is.
    balancer.write_text("listener \"web\" {}");
    assert!(!balancer.upgrade().status.success());
    is_kept_out(&host, &from[0], &balancer);
    assert_eq!(balancer.status().0["shield"]["active"], true);
}

#[test]
fn another_program_is_left_where_it_is_and_told_by_its_name() {
    if !kernel::available() {
        return;
    }
    let (host, from) = host_with(1);
    let target = Target::plain();
    let denied = format!("  deny = [\"{}\"]", from[0]);
    let mut first = Balancer::start(&config(&host, &target, &denied));
    let second = Balancer::start(&config(&host, &target, &denied));
    let told = at(&second);
    assert_eq!(told["mode"], "off");
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("another one is there: program ") && detail.contains("\"balancer_shield\""),
        "{detail}"
    );
    assert_eq!(second.metric("balancer_shield_active"), 0.0);
    second.wait_log_line(&["the shield is off: every packet passes", "balancer_shield"]);
    is_let_in(&host, &from[0], &second);
    is_kept_out(&host, &from[0], &first);
    // When that one has gone there is room.
    first.kill();
    until("it is on", 20.0, || (at(&second)["mode"] == "native").then_some(()));
    is_kept_out(&host, &from[0], &second);
}

#[test]
fn an_interface_that_comes_later_is_waited_for_and_one_that_goes_is_told() {
    if !kernel::available() {
        return;
    }
    let (host, from) = host_with(1);
    let target = Target::plain();
    let other = format!("{}x", host.name);
    let names = format!("  deny = [\"{}\"]", from[0]);
    let mut config = config(&host, &target, &names);
    config.more = config.more.replace("interfaces = [", &format!("interfaces = [\"{other}\", "));
    let balancer = Balancer::start(&config);
    let told = at(&balancer);
    assert_eq!((&told["mode"], &told["detail"]), (&"off".into(), &"there is no such interface".into()));
    assert_eq!(balancer.status().0["shield"]["active"], false);
    is_kept_out(&host, &from[0], &balancer);
    for _ in 0..2 {
        run(&format!("ip link add {other} type veth peer name {other}2"));
        until("it is on", 30.0, || (at(&balancer)["mode"] == "native").then_some(()));
        run(&format!("ip link del {other}"));
        until("it is off", 30.0, || (at(&balancer)["mode"] == "off").then_some(()));
    }
    is_kept_out(&host, &from[0], &balancer);
}

#[test]
fn without_the_kernel_side_it_is_told_that_every_packet_passes() {
    if !kernel::is_root() {
        return;
    }
    let (host, from) = host_with(1);
    let target = Target::plain();
    let denied = format!("  deny = [\"{}\"]", from[0]);
    let balancer = Balancer::start(&config(&host, &target, &denied).kernel_assist("off"));
    is_let_in(&host, &from[0], &balancer);
    let told = balancer.status().0["shield"].clone();
    assert_eq!(told["active"], false);
    assert!(told["off"].as_str().unwrap().contains("kernel_assist"), "{told}");
    balancer.wait_log_line(&["there is no shield: every packet passes", "kernel_assist"]);
    assert!(!has_program(&interface(&host)));
}

fn deny(balancer: &Balancer, words: &[&str]) -> std::process::Output {
    let mut command = Command::new(support::balancer::binary());
    command.arg("deny").args(words).args(["--instance", balancer.instance(), "--runtime-dir"]);
    command.arg(balancer.folder().join("run")).output().unwrap()
}

fn told(output: &std::process::Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn denials_of_run_time_outlive_a_kill_and_an_upgrade_and_end() {
    if !kernel::available() {
        return;
    }
    let (host, from) = host_with(3);
    let target = Target::plain();
    let allowed = format!("  allow = [\"{}\"]", from[2]);
    let mut balancer = Balancer::start(&config(&host, &target, &allowed));
    is_let_in(&host, &from[0], &balancer);
    let done = deny(&balancer, &["add", &from[0]]);
    assert_eq!(
        (done.status.code(), told(&done)),
        (Some(0), format!("{}/32 is denied until it is taken back\n", from[0]))
    );
    assert_eq!(deny(&balancer, &["add", &from[1], "--for", "2h"]).status.code(), Some(0));
    is_kept_out(&host, &from[0], &balancer);
    assert_eq!(balancer.metric("balancer_shield_runtime_denials"), 2.0);

    // What is wrong is told, and changes nothing.
    for (words, code, wrong) in [
        (vec!["add", "192.0.2.7/24"], 2, "did you mean \"192.0.2.0/24\"?"),
        (vec!["add", "127.0.0.1"], 2, "never blocked"),
        (vec!["add", "example.com"], 2, "is no prefix"),
        (vec!["add", "192.0.2.7", "--for", "10"], 2, "10m"),
        (vec!["add", &from[0]], 1, "is denied at run time already"),
        (vec!["add", &from[1], "--for", "1m"], 1, "is denied at run time already, for "),
        (vec!["add", &from[2]], 1, "which the configuration allows"),
        (vec!["del", "192.0.2.7"], 1, "is not denied at run time"),
    ] {
        let refused = deny(&balancer, &words);
        assert_eq!(refused.status.code(), Some(code), "{words:?}: {}", told(&refused));
        assert!(told(&refused).contains(wrong), "{words:?}: {}", told(&refused));
    }

    balancer.kill_and_restart();
    until("the shield is on", 20.0, || (at(&balancer)["mode"] == "native").then_some(()));
    is_kept_out(&host, &from[0], &balancer);
    is_kept_out(&host, &from[1], &balancer);
    balancer.upgraded();
    until("the shield is on", 20.0, || (at(&balancer)["mode"] == "native").then_some(()));
    is_kept_out(&host, &from[0], &balancer);
    let listed = deny(&balancer, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["prefix"], format!("{}/32", from[0]));
    assert!(listed[0]["ends_in_seconds"].is_null());
    let left = listed[1]["ends_in_seconds"].as_u64().unwrap();
    assert!((3600..=7200).contains(&left), "{left}");

    // Taken back, and ended.
    assert_eq!(deny(&balancer, &["del", &from[0], &from[1]]).status.code(), Some(0));
    is_let_in(&host, &from[0], &balancer);
    assert_eq!(deny(&balancer, &["add", &from[1], "--for", "1s"]).status.code(), Some(0));
    is_let_in(&host, &from[1], &balancer);
    until("it is swept", 20.0, || {
        told(&deny(&balancer, &["list"])).starts_with("nothing is denied").then_some(())
    });

    // Without a balancer, and without a shield.
    let mut without = config(&host, &target, "");
    without.more.clear();
    reload_newest(&balancer, &without);
    let refused = deny(&balancer, &["add", &from[0]]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(told(&refused).contains("none is configured"), "{}", told(&refused));
    let processes = balancer.processes();
    balancer.signal_newest(Signal::KILL);
    balancer.wait_gone(&processes, 60.0);
    let refused = deny(&balancer, &["list"]);
    assert!(
        refused.status.code() == Some(1) && told(&refused).contains("is one running there?"),
        "{}",
        told(&refused)
    );
}
