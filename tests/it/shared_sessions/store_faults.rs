//! A store that is away, or is not what it should be: each balancer goes on by what it knows itself, says so, and makes up for it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use support::{Balancer, Config, Group, Redis, Relay, Target, until};

use super::{Lone, Nodes, begun, figure, key_file, store, targets, wait_told, wait_up};

fn url(redis: &Redis) -> String {
    format!("url = \"{}\"", redis.url())
}

fn wait_away(balancer: &Balancer, cause: &str) -> String {
    let status = balancer.wait_status("the store is away", 30.0, |status| {
        let store = &status.0["session_store"];
        store["state"] == "away" && store["last_error"]["cause"] == cause
    });
    status.0["session_store"]["last_error"]["error"].as_str().unwrap().to_owned()
}

/// Restarted empty, frozen and thawed: what is known on the spot stays, and is shared again afterwards.
#[test]
fn what_is_known_on_the_spot_outlives_the_store() {
    let mut redis = Redis::start("");
    let nodes = Nodes::start(2, targets(3), &url(&redis));
    let clients = begun(&nodes, 60);
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    let know_all =
        || clients.iter().all(|client| client.keeps(&client.ask(here)) && client.keeps(&client.ask(there)));
    assert!(know_all());

    redis.kill();
    for balancer in [here, there] {
        wait_away(balancer, "unreachable");
        assert_eq!(balancer.metric("balancer_session_store_up"), 0.0);
    }
    assert!(know_all(), "without the store");
    let meanwhile: Vec<Lone> = (100..120).map(|seed| Lone::begin(here, seed)).collect();
    // Nobody waits for a store that is away.
    let waited = std::time::Instant::now();
    for client in &meanwhile {
        client.ask(there);
    }
    assert!(waited.elapsed().as_secs() < 5, "lookup_timeout is a second: {:?}", waited.elapsed());
    assert!(figure(there, "lookups", "away") >= 20);

    redis.restart();
    nodes.wait_up();
    until("all is told again", 30.0, || (redis.sessions().len() >= 80).then_some(()));
    for balancer in [here, there] {
        assert_eq!(balancer.log().matches("the session store is away").count(), 1, "{}", balancer.log());
        assert_eq!(balancer.log().matches("the session store is back").count(), 1);
        assert!(balancer.status().0["session_store"]["last_error"].is_null());
    }
    let fresh = Balancer::start(&nodes.config(&url(&redis), |group| group.app_cookie("SESSIONID")));
    wait_up(&fresh);
    for client in clients.iter().chain(&meanwhile) {
        assert!(client.keeps(&client.ask(&fresh)), "the store had lost all that it has now");
    }

    // A network that swallows everything: found out by what is not answered.
    redis.freeze();
    wait_away(here, "timed_out");
    let cut: Vec<Lone> = (200..210).map(|seed| Lone::begin(here, seed)).collect();
    assert!(cut.iter().all(|client| client.keeps(&client.ask(here))));
    redis.thaw();
    nodes.wait_up();
    wait_told(here);
    for client in &cut {
        assert!(client.keeps(&client.ask(there)));
    }
}

/// Each is named in status and log, and nothing else is different from a store that is not there.
#[test]
fn what_is_wrong_with_a_store_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    let (good, bad) = ("correct-horse", "battery-staple");
    std::fs::write(&password, format!("{bad}\n")).unwrap();
    let mut closed = Redis::start(&format!(
        "requirepass admin\nuser balancer on >{good} ~balancer:s:* resetchannels &balancer:moved -@all +get +set +pttl +pexpire +publish \
         +eval +evalsha +script|load +subscribe\nuser weak on >{good} ~balancer:s:* -@all +get"
    ));
    closed.login = ["-a", "admin"].map(str::to_owned).to_vec();
    let login = |user: &str| {
        format!("{}\nusername = \"{user}\"\npassword_file = \"{}\"", url(&closed), password.display())
    };
    let target = Target::sessions();
    let config = |lines: &str| {
        let group = Group::new("app", &[&target]).app_cookie("SESSIONID");
        Config::with(group).process(&key_file(folder.path())).more(&store(lines))
    };
    let balancer = Balancer::start(&config(&login("balancer")));
    let told = wait_away(&balancer, "wrong_password");
    assert!(told.contains("does not take the user and the password"), "{told}");
    let client = Lone::begin(&balancer, 0);
    assert!(client.keeps(&client.ask(&balancer)), "it serves");

    std::fs::write(&password, good).unwrap();
    balancer.reload(&config(&login("weak")));
    let told = wait_away(&balancer, "not_permitted");
    assert!(told.contains("NOPERM"), "{told}");
    // The rights that the manual names are enough, and the password is read again.
    balancer.reload(&config(&login("balancer")));
    wait_up(&balancer);
    until("it is told", 20.0, || (closed.sessions().len() == 1).then_some(()));

    let primary = Redis::start("");
    let replica = Redis::start(&format!("replicaof 127.0.0.1 {}", primary.address.port()));
    balancer.reload(&config(&url(&replica)));
    wait_away(&balancer, "read_only");

    let garbage = garbage();
    balancer.reload(&config(&format!("url = \"redis://{garbage}\"")));
    wait_away(&balancer, "garbage");

    let node = Redis::start("cluster-enabled yes");
    balancer.reload(&config(&url(&node)));
    assert!(wait_away(&balancer, "cluster").contains("CLUSTERDOWN"));

    balancer.reload(&config("url = \"redis://no-such-host.invalid\""));
    wait_away(&balancer, "name_not_resolved");

    // Full: what it has can be asked for, and what it does not take is counted.
    let full = Redis::start("");
    assert_eq!(full.cli(&["CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"]), "OK");
    balancer.reload(&config(&url(&full)));
    wait_up(&balancer);
    Lone::begin(&balancer, 1);
    balancer.wait_status("it is refused", 20.0, |status| {
        let store = &status.0["session_store"];
        store["state"] == "up" && store["failures"]["full"].as_u64() > Some(0)
    });
    let output = std::process::Command::new(support::balancer::binary())
        .args(["status", "--admin", &balancer.admin.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("session store redis://127.0.0.1:") && text.contains("full"), "{text}");

    let log = balancer.log();
    for cause in
        ["wrong_password", "not_permitted", "read_only", "garbage", "cluster", "name_not_resolved", "full"]
    {
        assert!(log.contains(&format!("cause=\"{cause}\"")), "{cause}:\n{log}");
    }
    for secret in [good, bad] {
        assert!(!log.contains(secret) && !text.contains(secret), "{secret}");
    }
}

/// Whichever of the rights that the manual names is missing: it is named when the store is connected to, not when the first session moves.
#[test]
fn a_right_that_is_missing_is_named_at_once() {
    let rights = ["get", "set", "pttl", "pexpire", "publish", "eval", "evalsha", "script|load", "subscribe"];
    let redis = Redis::start("");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret").unwrap();
    let target = Target::sessions();
    let config = |user: &str| {
        let group = Group::new("app", &[&target]).app_cookie("SESSIONID");
        let lines =
            format!("{}\nusername = \"{user}\"\npassword_file = \"{}\"", url(&redis), password.display());
        Config::with(group).process(&key_file(folder.path())).more(&store(&lines))
    };
    let user = |name: &str, missing: &str| {
        let mut words = vec![
            "ACL",
            "SETUSER",
            name,
            "on",
            ">secret",
            "~balancer:*",
            "resetchannels",
            "&balancer:*",
            "-@all",
        ];
        let given: Vec<String> =
            rights.iter().filter(|right| **right != missing).map(|right| format!("+{right}")).collect();
        words.extend(given.iter().map(String::as_str));
        assert_eq!(redis.cli(&words), "OK");
    };
    user("whole", "");
    let balancer = Balancer::start(&config("whole"));
    wait_up(&balancer);
    for (number, missing) in rights.iter().enumerate() {
        // Another name, so that it connects anew.
        let name = format!("u{number}");
        user(&name, missing);
        balancer.reload(&config(&name));
        wait_away(&balancer, "not_permitted");
        balancer.reload(&config("whole"));
        wait_up(&balancer);
    }
}

/// A server that plays back what it hears, a password too.
fn garbage() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    if stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// What waits while the store is away is bounded, and so is the memory for it.
#[test]
fn a_store_that_is_away_takes_no_memory_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::sessions();
    let group = Group::new("app", &[&target]).app_cookie("SESSIONID");
    let nobody = SocketAddr::from(([127, 0, 0, 1], support::ports::free()));
    let config = Config::with(group).process(&key_file(folder.path()));
    let balancer = Balancer::start(&config.more(&store(&format!("url = \"redis://{nobody}\""))));
    wait_away(&balancer, "unreachable");
    let mut connection = balancer.connect();
    for _ in 0..500 {
        connection.get("/", "");
    }
    let status = balancer.wait_status("they wait", 20.0, |status| {
        status.0["session_store"]["writes_waiting"].as_u64() == Some(500)
    });
    assert_eq!(status.0["session_store"]["writes_dropped"], 0);
}

/// Its answers come late: nobody waits for longer than `lookup_timeout`, and that is counted.
#[test]
fn a_store_that_is_slow_holds_nobody_up_for_longer_than_a_lookup_may_take() {
    let redis = Redis::start("");
    let way = Relay::to(redis.address);
    let nodes =
        Nodes::start(2, targets(2), &format!("url = \"redis://{}\"\nlookup_timeout = 150", way.address));
    let clients = begun(&nodes, 20);
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    way.slow(Duration::from_millis(400));
    let begin = Instant::now();
    for client in &clients[..10] {
        assert_eq!(client.ask(there).status, 200);
    }
    assert!(begin.elapsed() < Duration::from_millis(3500), "ten waited {:?}", begin.elapsed());
    assert!(figure(there, "lookups", "timed_out") >= 9, "{}", there.status().0["session_store"]);
    // Who is known has nothing to wait for, and what begins is told once it can be.
    assert!(clients[..10].iter().all(|client| client.keeps(&client.ask(here))));
    let meanwhile: Vec<Lone> = (100..110).map(|seed| Lone::begin(here, seed)).collect();
    way.slow(Duration::ZERO);
    wait_told(here);
    until("it answers in time", 20.0, || {
        let last = Lone::begin(here, 200);
        wait_told(here);
        last.keeps(&last.ask(there)).then_some(())
    });
    assert!(meanwhile.iter().all(|client| client.keeps(&client.ask(there))));
    assert!(!here.log().contains("the session store is away"), "{}", here.log());
}

/// With the rights of a service: another user, a filter of system calls.
#[test]
fn it_works_with_the_rights_of_a_service() {
    if !rustix::process::geteuid().is_root() {
        return support::skip(&"needs root");
    }
    let redis = Redis::start("");
    let target = Target::sessions();
    let group = || Group::new("app", &[&target]).app_cookie("SESSIONID");
    let config = |url: &str| {
        let config = Config::with(group()).process("user = \"nobody\"").process("seccomp = \"on\"");
        config.more(&store(url))
    };
    // By a name, which is resolved with these rights, too.
    let by_name = format!("url = \"redis://localhost:{}\"", redis.address.port());
    let balancer = Balancer::start(&config(&by_name));
    wait_up(&balancer);
    let client = Lone::begin(&balancer, 0);
    until("it is told", 20.0, || (redis.sessions().len() == 1).then_some(()));
    balancer.reload(&config(&url(&redis)));
    wait_up(&balancer);
    assert!(client.keeps(&client.ask(&balancer)));
}

/// Writes that the store holds up are on a way of their own.
#[test]
fn a_question_does_not_wait_behind_writes() {
    let redis = Redis::start("");
    let nodes = Nodes::start(2, targets(2), &format!("{}\nlookup_timeout = 400", url(&redis)));
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    let client = Lone::begin(here, 0);
    wait_told(here);
    assert_eq!(redis.cli(&["CLIENT", "PAUSE", "900", "WRITE"]), "OK");
    let _ = Lone::begin(there, 1);
    there.wait_status("its session is on its way", 20.0, |status| {
        status.0["session_store"]["writes_waiting"].as_u64() > Some(0)
    });
    assert!(client.keeps(&client.ask(there)));
    assert_eq!((figure(there, "lookups", "found"), figure(there, "lookups", "timed_out")), (1, 0));
    wait_told(there);
}
