//! Stores of other kinds than one plain server: TLS, sentinels with a primary that dies, a cluster.

use std::thread;

use support::{Balancer, Hole, Redis, tls::Certificate, until};

use super::{Nodes, all, begun, figure, lost, targets, wait_up};

#[test]
fn over_tls_and_not_to_a_store_of_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "store", &["store.test"]);
    let port = support::ports::free();
    let redis = Redis::begin(&format!(
        "tls-port {port}\ntls-cert-file {0}\ntls-key-file {1}\ntls-ca-cert-file {0}\ntls-auth-clients no",
        certificate.certificate.display(),
        certificate.key.display()
    ));
    redis.wait_until_up();
    let authority = certificate.certificate.display();
    let lines = |name: &str| {
        format!(
            "url = \"rediss://127.0.0.1:{port}\"\ntls_ca_file = \"{authority}\"\ntls_server_name = \"{name}\""
        )
    };
    let nodes = Nodes::start(2, targets(2), &lines("store.test"));
    let mut clients = begun(&nodes, 10);
    assert_eq!(lost(&all(&nodes), &mut clients, 4), 0);
    let sticky = |group: support::Group| group.app_cookie("SESSIONID");
    nodes.balancers[0].reload(&nodes.config(&lines("other.test"), sticky));
    let status = nodes.balancers[0].wait_status("it is another one", 20.0, |status| {
        status.0["session_store"]["last_error"]["cause"] == "tls"
    });
    let told = status.0["session_store"]["last_error"]["error"].as_str().unwrap().to_owned();
    assert!(told.contains("certificate"), "{told}");
}

#[test]
fn a_primary_that_dies_is_followed_by_what_sentinels_say() {
    let mut primary = Redis::start("");
    let replica = Redis::start(&format!("replicaof 127.0.0.1 {}", primary.address.port()));
    until("the replica follows", 20.0, || {
        replica.cli(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    });
    let sentinel = Redis::sentinel(&primary, 1);
    until("the sentinel knows both", 30.0, || {
        sentinel
            .cli(&["SENTINEL", "REPLICAS", "main"])
            .contains(&replica.address.port().to_string())
            .then_some(())
    });
    let folder = tempfile::tempdir().unwrap();
    // Two are on hosts that are off, one is nobody: the next one is asked in time.
    let (nobody, off) = (support::ports::free(), [Hole::dig(), Hole::dig()]);
    let lines = |service: &str| {
        let [first, second] = &off;
        format!(
            "url = \"redis://{},{},127.0.0.1:{nobody},{}\"\nmode = \"sentinel\"\nsentinel_service = \"{service}\"",
            first.address, second.address, sentinel.address
        )
    };
    let nodes = Nodes::start(2, targets(3), &lines("main"));
    let mut clients = begun(&nodes, 40);
    until("the replica has them", 20.0, || (replica.sessions().len() == 40).then_some(()));
    primary.kill();
    for balancer in &nodes.balancers {
        balancer.wait_log("the session store is away");
    }
    nodes.wait_up();
    assert!(replica.cli(&["ROLE"]).starts_with("master"), "it was promoted");
    assert_eq!(lost(&all(&nodes), &mut clients, 4), 0);
    let mut later = begun(&nodes, 10);
    let sticky = |group: support::Group| group.app_cookie("SESSIONID");
    let fresh = Balancer::start(&nodes.config(&lines("main"), sticky));
    wait_up(&fresh);
    assert_eq!(lost(&[&fresh], &mut clients, 1) + lost(&[&fresh], &mut later, 1), 0);

    // Sentinels that ask for a password have one of their own.
    assert_eq!(sentinel.cli(&["ACL", "SETUSER", "default", ">watchword"]), "OK");
    let password = folder.path().join("password");
    let with_password = |text: &str| {
        std::fs::write(&password, text).unwrap();
        format!("{}\nsentinel_password_file = \"{}\"", lines("main"), password.display())
    };
    for lines in [lines("main").replace("main", "main2"), with_password("battery")] {
        fresh.reload(&nodes.config(&lines, sticky));
        let status = fresh.wait_status("it is told", 20.0, |status| {
            status.0["session_store"]["last_error"]["cause"] == "wrong_password"
        });
        let told = status.0["session_store"]["last_error"]["error"].as_str().unwrap().to_owned();
        assert!(told.contains(&format!("the sentinel {} does not take", sentinel.address)), "{told}");
        assert!(!told.contains("battery"), "{told}");
    }
    fresh.reload(&nodes.config(&with_password("watchword"), sticky));
    wait_up(&fresh);
    assert_eq!(lost(&[&fresh], &mut clients, 1), 0);
    let other = with_password("watchword").replace("\"main\"", "\"other\"");
    fresh.reload(&nodes.config(&other, sticky));
    let status = fresh.wait_status("nobody knows it", 20.0, |status| {
        status.0["session_store"]["last_error"]["cause"] == "no_primary"
    });
    assert!(status.0["session_store"]["last_error"]["error"].as_str().unwrap().contains("other"));
}

/// Three servers that are one cluster.
fn cluster(lines: &str) -> Vec<Redis> {
    let lines = format!("cluster-enabled yes\ncluster-node-timeout 2000\n{lines}");
    let servers: Vec<Redis> = (0..3).map(|_| Redis::start(&lines)).collect();
    let mut words = vec!["--cluster", "create"];
    let members: Vec<String> = servers.iter().map(Redis::member).collect();
    words.extend(members.iter().map(String::as_str));
    words.push("--cluster-yes");
    let said = servers[0].cli(&words);
    assert!(said.contains("All 16384 slots covered"), "{said}");
    until("the cluster is whole", 30.0, || {
        let whole = |server: &Redis| server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        servers.iter().all(whole).then_some(())
    });
    servers
}

/// Slots with their sessions go from one node to another while clients come to any balancer, each of which has no more rights there than the
/// manual says.
#[test]
fn slots_of_a_cluster_move_and_nobody_is_lost() {
    let rights = "user balancer on >secret ~balancer:* &balancer:* -@all +get +set +pttl +pexpire +publish +eval +evalsha \
                  +script|load +subscribe +ping +cluster|slots +asking";
    let servers = cluster(rights);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret").unwrap();
    let lines = format!(
        "url = \"redis://{}\"\nmode = \"cluster\"\nusername = \"balancer\"\npassword_file = \"{}\"",
        servers[0].address,
        password.display()
    );
    let nodes = Nodes::start(3, targets(3), &lines);
    let mut clients = begun(&nodes, 120);
    let id = servers[0].cli(&["CLUSTER", "MYID"]);
    let moved = servers[0].address.to_string();
    let held = || servers[0].sessions().len();
    let before = held();
    let (lost, said) = thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let others: Vec<String> =
                servers[1..].iter().map(|server| server.cli(&["CLUSTER", "MYID"])).collect();
            let words = ["--cluster", "reshard", &moved, "--cluster-from", &id, "--cluster-to", &others[0]];
            servers[0].cli(&[&words[..], &["--cluster-slots", "2000", "--cluster-yes"]].concat())
        });
        let mut lost = 0;
        while !mover.is_finished() {
            lost += super::lost(&all(&nodes), &mut clients, 1);
        }
        (lost, mover.join().unwrap())
    });
    assert!(
        (1..before).contains(&held()) && said.contains("Moving slot 1999"),
        "{before} {}: {said}",
        held()
    );
    let mut later = begun(&nodes, 60);
    assert_eq!(
        lost + super::lost(&all(&nodes), &mut clients, 2) + super::lost(&all(&nodes), &mut later, 2),
        0
    );
    let fresh = Balancer::start(&nodes.config(&lines, |group| group.app_cookie("SESSIONID")));
    wait_up(&fresh);
    assert_eq!(super::lost(&[&fresh], &mut clients, 1), 0);
    for balancer in &nodes.balancers {
        assert!(!balancer.log().contains("is away"), "{}", balancer.log());
    }
}

#[test]
fn sessions_are_spread_over_a_cluster() {
    let servers = cluster("");
    let addresses: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    let lines = format!("url = \"redis://{},{}\"\nmode = \"cluster\"", addresses[0], addresses[1]);
    let nodes = Nodes::start(2, targets(3), &lines);
    let mut clients = begun(&nodes, 60);
    assert_eq!(lost(&all(&nodes), &mut clients, 4), 0);
    let held: Vec<usize> = servers.iter().map(|server| server.sessions().len()).collect();
    assert_eq!(held.iter().sum::<usize>(), 60);
    assert!(held.iter().all(|held| *held > 0), "{held:?}");
    assert!(figure(&nodes.balancers[0], "lookups", "found") > 0);
    // Every one is asked for by who has no table, and knows no script.
    for server in &servers {
        assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");
    }
    let mut later = begun(&nodes, 20);
    assert_eq!(lost(&all(&nodes), &mut later, 2), 0);
    // A node of it that is taken for a server of its own sends away whom it has not.
    let alone = format!("url = \"redis://{}\"", addresses[0]);
    nodes.balancers[0].reload(&nodes.config(&alone, |group| group.app_cookie("SESSIONID")));
    begun_at(&nodes.balancers[0], 12);
    let status = nodes.balancers[0].wait_status("it is said", 30.0, |status| {
        let store = &status.0["session_store"];
        store["failures"]["cluster"].as_u64() > Some(0)
    });
    nodes.balancers[0].wait_log_line(&["cause=\"cluster\"", "(MOVED)"]);
    assert!(!status.0["session_store"].is_null());
}

/// Clients that begin there.
fn begun_at(balancer: &Balancer, count: u64) {
    (0..count).for_each(|seed| drop(super::Lone::begin(balancer, 1000 + seed)));
}
