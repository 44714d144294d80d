//! One address that several balancers announce by BGP while they serve, and a router that spreads connections over them: the recipes
//! of `dist/address`, with bird on both sides.

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use support::{balancer::binary, kernel, until};

use crate::{
    address::{Crowd, Site, announcement, recipe, start_announcing, start_bird, targets},
    hosts::run,
};

/// The router's number.
const ROUTER: u8 = 20;
/// The numbers of hosts.
const HOSTS: [u8; 3] = [11, 12, 13];
/// As long as a host that falls silent is not missed (`hold time`), and a client waits for what it has asked it.
const MOST: Duration = Duration::from_secs(5);

/// A router that spreads connections by both ends of them, over all hosts that announce the address.
fn start_router(site: &mut Site, address: &str) -> usize {
    let network = site.network.clone();
    let router = site.add_host(ROUTER);
    for (setting, value) in [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.fib_multipath_hash_policy", "1"),
        // All are in one network here: who is told of a shorter way asks nobody any more.
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.conf.eth0.send_redirects", "0"),
    ] {
        let path = format!("/proc/sys/{}", setting.replace('.', "/"));
        let set = site.hosts[router].inside("sh").args(["-c", &format!("echo {value} > {path}")]).status();
        assert!(set.unwrap().success(), "{setting}");
    }
    let text = recipe(
        "router.conf",
        &[
            ("router id 192.0.2.1;", &format!("router id {network}.{ROUTER};")),
            ("local 192.0.2.1 ", &format!("local {network}.{ROUTER} ")),
            ("192.0.2.10/32", &format!("{address}/32")),
            ("neighbor 192.0.2.", &format!("neighbor {network}.")),
        ],
    );
    start_bird(site, router, &text);
    router
}

/// The hosts that the router sends connections to.
fn ways(site: &Site, router: usize, address: &str) -> Vec<u8> {
    let shown =
        Command::new("ip").args(["-n", &site.hosts[router].name, "route", "show", address]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let leads_to = |host: &&u8| shown.contains(&format!("via {}.{host} ", site.network));
    HOSTS.iter().filter(leads_to).copied().collect()
}

/// How many requests a host's balancer has had.
fn requests(site: &Site, host: usize) -> u64 {
    let told =
        site.hosts[host].inside(binary().to_str().unwrap()).args(["status", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    status["target_groups"][0]["requests"].as_u64().unwrap()
}

#[test]
fn connections_are_spread_over_all_hosts_and_those_of_one_that_dies_go_to_the_others() {
    if !kernel::is_root() {
        return;
    }
    let targets = targets();
    let mut site = Site::of(&HOSTS, &targets.each_ref());
    let network = site.network.clone();
    // Of 203.0.113.0/24, which is for documentation, and of this test alone.
    let address = format!("203.0.113.{}", 1 + std::process::id() % 250);
    let service: SocketAddr = format!("{address}:{}", site.port).parse().unwrap();
    let router = start_router(&mut site, &address);
    for (host, number) in HOSTS.into_iter().enumerate() {
        start_bird(&mut site, host, &announcement(&network, number, ROUTER, &format!("{address}/32")));
        start_announcing(&mut site, host, &format!("{address}/32"));
    }
    run(&format!("ip route add {address}/32 via {network}.{ROUTER}"));
    until("the router spreads over all", 30.0, || (ways(&site, router, &address) == HOSTS).then_some(()));

    let crowd = Crowd::begin(service);
    until("all hosts are at work", 20.0, || (0..3).all(|host| requests(&site, host) > 20).then_some(()));
    // A balancer dies.
    let killed = Instant::now();
    site.hosts[0].kill_balancer();
    until("it is announced no more", 3.0, || (ways(&site, router, &address) == HOSTS[1..]).then_some(()));
    let before = [1, 2].map(|host| requests(&site, host));
    until("the others have its clients", 10.0, || {
        let now = [1, 2].map(|host| requests(&site, host));
        (now[0] > before[0] + 100 && now[1] > before[1] + 100 && killed.elapsed() > MOST).then_some(())
    });
    // A host falls silent.
    let pulled = Instant::now();
    site.hosts[1].silent(true);
    until("the router misses it", 5.0, || (ways(&site, router, &address) == HOSTS[2..]).then_some(()));
    let before = requests(&site, 2);
    until("the last one has them all", 20.0, || {
        let is_past = pulled.elapsed() > MOST + Duration::from_secs(1);
        (requests(&site, 2) > before + 200 && is_past).then_some(())
    });
    // A route that goes may move connections of the others, too: a request for the host, and one for the move.
    crowd.judge_by(&[killed, pulled], 4, MOST);
    let log = fs::read_to_string(site.folder_of(2).join("log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
