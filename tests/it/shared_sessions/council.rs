//! What balancers of one store know together: sessions of a target over all of them, and health that one finds out for all.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    time::{Duration, Instant},
};

use support::{Balancer, Config, Group, Redis, Target, until};

use super::{Nodes, figure, key_file, store, targets, wait_up};

const TOKEN: &str = "a-token-that-is-long-enough-for-all-of-this";

/// So many balancers of one group, with these lines in the store's block.
fn nodes(count: usize, redis: &Redis, lines: &str, group: impl Fn(&[&Target]) -> Group) -> Nodes {
    let (folder, targets) = (tempfile::tempdir().unwrap(), targets(2));
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let group = group(&targets.iter().collect::<Vec<_>>());
    let config = Config::with(group)
        .process(&key_file(folder.path()))
        .process(&format!("admin_token_file = \"{}\"", token.display()))
        .more(&store(&format!("url = \"{}\"\n{lines}", redis.url())));
    let balancers = (0..count).map(|_| Balancer::start(&config)).collect();
    let nodes = Nodes { folder, targets, balancers };
    nodes.wait_up();
    nodes
}

/// Of a target at a balancer: sessions there, on all, and how many balancers these are.
fn sessions(balancer: &Balancer, target: &Target) -> (u64, Option<u64>, Option<u64>) {
    let status = balancer.status();
    let told = status.target(&target.address);
    let all = &told["sessions_everywhere"];
    (told["sessions"].as_u64().unwrap(), all["sessions"].as_u64(), all["balancers"].as_u64())
}

fn drain(balancer: &Balancer, target: &Target) -> String {
    let body = format!(r#"{{"action":"drain","group":"app","target":"{}"}}"#, target.address);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "20", "-H", "Content-Type: application/json", "--data", &body]);
    curl.args(["-H", &format!("Authorization: Bearer {TOKEN}")]);
    let output = curl.arg(format!("http://{}/actions", balancer.admin)).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn sessions_of_a_target_are_summed_over_all_balancers() {
    let redis = Redis::start("");
    let mut nodes = nodes(3, &redis, "", |targets| Group::new("app", targets).lb_cookie());
    let mut begun = [0_u64; 2];
    let clients: Vec<_> = (0..12)
        .map(|at| {
            let mut client = nodes.balancers[at % 3].client();
            let home = client.get("/").header("x-target").to_owned();
            begun[usize::from(home == nodes.targets[1].address)] += 1;
            client
        })
        .collect();
    assert_eq!(begun.iter().sum::<u64>(), 12);
    for balancer in &nodes.balancers {
        for (target, begun) in nodes.targets.iter().zip(begun) {
            until("all have told", 20.0, || (sessions(balancer, target).1 == Some(begun)).then_some(()));
            let (own, _, balancers) = sessions(balancer, target);
            assert!(own < begun && balancers == Some(3), "{own} {balancers:?}");
        }
        let metric = format!(
            "balancer_target_sessions_everywhere{{target_group=\"app\",target=\"{}\"}}",
            nodes.targets[0].address
        );
        assert_eq!(balancer.metric(&metric), begun[0] as f64);
        assert_eq!(balancer.metric("balancer_session_store_balancers"), 3.0);
        let text = balancer.status_text();
        assert!(
            text.contains(&format!(" of {}", begun[1])) && text.contains("of those on 3 balancers"),
            "{text}"
        );
    }
    let (own, ..) = sessions(&nodes.balancers[0], &nodes.targets[0]);
    let said = drain(&nodes.balancers[0], &nodes.targets[0]);
    let left = format!("sessions left: {own} here, {} on 3 balancers", begun[0]);
    assert!(said.contains(&left), "{said} not {left}");
    drop(clients);

    // One that ends is not waited for.
    nodes.balancers[2].signal(rustix::process::Signal::TERM);
    nodes.balancers[2].wait_exit(20.0);
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    let left = || [here, there].map(|balancer| sessions(balancer, &nodes.targets[1]).0).iter().sum();
    until("two are left", 10.0, || {
        (sessions(here, &nodes.targets[1]) == (sessions(here, &nodes.targets[1]).0, Some(left()), Some(2)))
            .then_some(())
    });
    // While nobody can be asked, it is not known: not 0.
    drop(redis);
    here.wait_status("the store is away", 30.0, |status| status.0["session_store"]["state"] == "away");
    assert_eq!(sessions(here, &nodes.targets[1]).1, None);
    assert!(drain(here, &nodes.targets[0]).contains("elsewhere it is not known"));
}

/// A session that begins at one balancer and goes on at another is never missing from the sum.
#[test]
fn a_session_that_goes_from_one_balancer_to_another_stays_in_the_sum() {
    let redis = Redis::start("");
    let nodes = nodes(2, &redis, "", |targets| {
        Group::new("app", targets).stickiness("type = \"lb_cookie\"\ncookie_duration = 4")
    });
    let [here, there] = [&nodes.balancers[0], &nodes.balancers[1]];
    let mut client = here.client();
    let home = client.get("/").header("x-target").to_owned();
    let target = nodes
        .targets
        .iter()
        .find(|target| target.address == home || target.address.ends_with(&home))
        .unwrap();
    until("it is counted", 20.0, || (sessions(there, target).1 == Some(1)).then_some(()));
    // It goes on at the other one, for longer than the first remembers it.
    let mut jar = client.cookie_line();
    until("the first has forgotten it", 30.0, || {
        let response = there.connect().get("/", &jar);
        assert_eq!(response.header("x-target"), home);
        jar = format!("Cookie: AWSALB={}\r\n", response.cookie("AWSALB").unwrap());
        assert!(sessions(there, target).1.is_none_or(|sum| sum >= 1), "{:?}", sessions(there, target));
        (sessions(here, target).0 == 0).then_some(())
    });
    assert!(sessions(there, target).0 >= 1);
}

/// Checked each five seconds, held to be unhealthy after two failures.
fn led(redis: &Redis, count: usize) -> Nodes {
    nodes(count, redis, "health_check_leader = true", |targets| {
        Group::new("app", targets).app_cookie("SESSIONID")
    })
}

fn leads(balancer: &Balancer) -> bool {
    balancer.status().0["session_store"]["leads"] == true
}

fn checked_by(balancer: &Balancer) -> String {
    balancer.status().0["target_groups"][0]["checked_by"].as_str().unwrap_or_default().to_owned()
}

/// Waits until one of them leads and the others go by it; its index.
fn leader(nodes: &Nodes) -> usize {
    until("one leads and the others follow", 30.0, || {
        let who: Vec<String> = nodes.balancers.iter().map(checked_by).collect();
        let leader = who.iter().position(|who| who == "this_balancer")?;
        let follow = who.iter().enumerate().all(|(at, who)| at == leader || who == "leader");
        (follow && leads(&nodes.balancers[leader])).then_some(leader)
    })
}

#[test]
fn one_balancer_checks_for_all_and_another_one_when_it_dies() {
    let redis = Redis::start("");
    let mut nodes = led(&redis, 3);
    let first = leader(&nodes);
    let name = nodes.balancers[first].status().0["session_store"]["node"].clone();
    for balancer in &nodes.balancers {
        assert_eq!(balancer.status().0["session_store"]["health_check_leader"], name);
    }
    // Three that check would need a third of the time.
    let (target, other) = (&nodes.targets[0], &nodes.targets[1]);
    let (before, began) = (target.checks(), Instant::now());
    until("it is checked twice more", 30.0, || (target.checks() >= before + 3).then_some(()));
    assert!(began.elapsed() > Duration::from_secs(7), "{:?}", began.elapsed());

    // What is found is found for all, by as many checks as one needs.
    let before = other.checks();
    other.set_healthy(false);
    for balancer in &nodes.balancers {
        balancer.wait_status("it is out", 30.0, |status| {
            let told = status.target(&other.address);
            told["state"] == "unhealthy" && told["reason"] == "Target.ResponseCodeMismatch"
        });
    }
    let checks = other.checks() - before;
    assert!(checks <= 4, "{checks} checks");
    let follower = (first + 1) % 3;
    nodes.balancers[follower].wait_log_line(&[
        "the balancer that checks for all says so",
        "from=\"healthy\"",
        "to=\"unhealthy\"",
    ]);
    assert!(figure_of(&nodes.balancers[follower], "verdicts_taken") > 0);

    nodes.balancers[first].kill();
    let left: Vec<usize> = (0..3).filter(|at| *at != first).collect();
    let states = || {
        left.iter().map(|at| nodes.balancers[*at].log().matches("target state").count()).collect::<Vec<_>>()
    };
    let before = states();
    let second =
        until("another one leads", 30.0, || left.iter().copied().find(|at| leads(&nodes.balancers[*at])));
    let checks = target.checks();
    until("it checks", 30.0, || (target.checks() > checks).then_some(()));
    let third = left.iter().copied().find(|at| *at != second).unwrap();
    nodes.balancers[third].wait_status("the third goes by it", 30.0, |status| {
        status.0["session_store"]["health_check_leader"]
            == nodes.balancers[second].status().0["session_store"]["node"]
            && status.0["target_groups"][0]["checked_by"] == "leader"
    });
    assert_eq!(states(), before, "no state has changed");
    other.set_healthy(true);
    for at in &left {
        nodes.balancers[*at]
            .wait_status("it is back", 60.0, |status| status.state(&other.address) == "healthy");
    }

    // Without the store each is for itself again.
    drop(redis);
    for at in left {
        // Sooner than what it was told last is too old.
        until("it checks by itself", 8.0, || {
            (checked_by(&nodes.balancers[at]) == "this_balancer").then_some(())
        });
        assert!(!leads(&nodes.balancers[at]));
    }
    let (before, began) = (target.checks(), Instant::now());
    until("both check", 30.0, || (target.checks() >= before + 4).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
}

fn figure_of(balancer: &Balancer, name: &str) -> u64 {
    balancer.status().0["session_store"][name].as_u64().unwrap_or(0)
}

/// The process that was succeeded finishes what it has, and neither checks for others nor is one of them.
#[test]
fn an_upgrade_hands_the_lead_over() {
    let redis = Redis::start("");
    let nodes = led(&redis, 1);
    let balancer = &nodes.balancers[0];
    until("it leads", 30.0, || leads(balancer).then_some(()));
    let name = balancer.status().0["session_store"]["node"].clone();
    // Somebody is in the middle of a request.
    let mut connection = balancer.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhel");
    balancer.wait_status("it is under way", 20.0, |status| {
        nodes.targets.iter().any(|target| status.target(&target.address)["outstanding_requests"] == 1)
    });
    let _ = balancer.upgraded();
    let status = balancer.wait_status("the new one leads", 30.0, |status| {
        let store = &status.0["session_store"];
        store["leads"] == true && store["node"] != name && store["balancers"] == 1
    });
    assert_eq!(status.0["generations"].as_array().unwrap().len(), 2, "the old one is there");
    connection.send("lo");
    assert_eq!(connection.response().status, 200);
}

/// A balancer that cannot connect to a target goes by that, whatever the one that checks says.
#[test]
fn what_a_balancer_finds_by_its_own_connections_counts_for_it() {
    let redis = Redis::start("");
    let nodes = led(&redis, 2);
    let first = leader(&nodes);
    let (own, gone) = (&nodes.balancers[1 - first], &nodes.targets[0]);
    gone.kill();
    let began = Instant::now();
    until("it is found out", 30.0, || {
        own.connect().get("/", "");
        (own.status().state(&gone.address) == "unhealthy").then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(4), "sooner than two intervals: {:?}", began.elapsed());
    assert_eq!(own.status().target(&gone.address)["reason"], "Target.FailedHealthChecks");
}

/// One that has lost the way to all targets does not take them from the others.
#[test]
fn verdicts_that_leave_no_target_are_looked_into() {
    let redis = Redis::start("");
    let nodes = led(&redis, 1);
    until("it leads", 30.0, || leads(&nodes.balancers[0]).then_some(()));
    // Another process has the lead, and says that nobody is there.
    let key = redis.cli(&["KEYS", "balancer:lead:*"]);
    let balancer = &nodes.balancers[0];
    until("the lead is another's", 20.0, || {
        let _ = redis.cli(&["SET", &key, "00000000000000aa", "PX", "60000"]);
        (balancer.status().0["session_store"]["health_check_leader"] == "00000000000000aa").then_some(())
    });
    let healthy = || nodes.targets.iter().all(|target| balancer.status().state(&target.address) == "healthy");
    assert!(healthy());
    // Their names, as this balancer tells them.
    let ids = told_ids(&redis);
    assert_eq!(ids.len(), 2);
    let before = nodes.targets.iter().map(Target::checks).sum::<usize>();
    let all: Vec<String> = ids.iter().map(|id| format!("{id}:ut:0")).collect();
    let message = format!("1 00000000000000aa v {}", all.join(" "));
    until("it looks for itself", 20.0, || {
        let _ = redis.cli(&["PUBLISH", "balancer:nodes", &message]);
        (nodes.targets.iter().map(Target::checks).sum::<usize>() >= before + 2).then_some(())
    });
    assert!(healthy(), "they are there");
    let refused = &balancer.status().0["session_store"]["verdicts_refused"];
    assert!(refused["leaves_none"].as_u64() > Some(0), "{refused}");
    // Nor what one says that does not lead.
    let _ = redis.cli(&["PUBLISH", "balancer:nodes", &format!("1 00000000000000bb v {}:u503:0", ids[0])]);
    balancer.wait_status("it is refused", 20.0, |status| {
        status.0["session_store"]["verdicts_refused"]["not_leading"].as_u64() > Some(0)
    });
    assert!(healthy(), "{}", balancer.log());
    // One of them is taken; one that nobody here has, or an old one, is not.
    let message = format!(
        "1 00000000000000aa v {}:u503:0 {}:h:0 00000000000000ff:h:0 {}:ut:60000",
        ids[0], ids[1], ids[1]
    );
    let _ = redis.cli(&["PUBLISH", "balancer:nodes", &message]);
    let status = balancer.wait_status("one is out", 20.0, |status| {
        nodes.targets.iter().any(|target| {
            let told = status.target(&target.address);
            told["state"] == "unhealthy"
                && told["description"] == "Health checks failed with these codes: [503]"
        })
    });
    let refused = &status.0["session_store"]["verdicts_refused"];
    assert!(refused["stale"].as_u64() > Some(0) && refused["unknown_target"].as_u64() > Some(0), "{refused}");
    // It is silent from now on: two intervals later this one has found out that all are there.
    until("they are there again", 60.0, || healthy().then_some(()));
    assert_eq!(checked_by(balancer), "this_balancer");
}

/// What a balancer calls its targets where all hear it.
fn told_ids(redis: &Redis) -> Vec<String> {
    let mut listener = Command::new("timeout");
    listener.args(["20", "redis-cli", "-h", "127.0.0.1", "-p", &redis.address.port().to_string()]);
    let mut child =
        listener.args(["SUBSCRIBE", "balancer:nodes"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    // All are told now and then, whether they have changed or not.
    let told = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("1 ") && line.contains(" s ") && line.matches(':').count() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let told = told.expect("sessions are told");
    told.split(' ').skip(3).map(|word| word.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn what_no_balancer_would_say_is_named_and_left() {
    let redis = Redis::start("");
    let nodes = led(&redis, 1);
    let balancer = &nodes.balancers[0];
    until("it leads", 30.0, || leads(balancer).then_some(()));
    for message in ["", "hunter2", "1 00000000000000aa s 127.0.0.1:80", "1 00000000000000aa v x:h:1"] {
        let before = figure_of(balancer, "notices_refused");
        let _ = redis.cli(&["PUBLISH", "balancer:nodes", message]);
        balancer.wait_status("it is counted", 20.0, |status| {
            status.0["session_store"]["notices_refused"].as_u64() > Some(before)
        });
    }
    let said = balancer.status().0["session_store"]["last_error"]["error"].as_str().unwrap().to_owned();
    assert!(said.contains("in their channel"), "{said}");
    let key = redis.cli(&["KEYS", "balancer:lead:*"]);
    until("the leader is nobody", 30.0, || {
        let _ = redis.cli(&["SET", &key, "hunter2", "PX", "5000"]);
        balancer.log().contains("under the key of who leads").then_some(())
    });
    assert!(!balancer.log().contains("hunter2") && !balancer.status_text().contains("hunter2"));
    assert_eq!(balancer.status().0["session_store"]["state"], "up");
    // It runs out.
    until("it leads again", 30.0, || leads(balancer).then_some(()));
}

/// A user with the rights of before shares sessions, and is told what it lacks for the rest.
#[test]
fn without_the_right_to_the_channel_sessions_are_shared_all_the_same() {
    let redis = Redis::start(
        "user balancer on >secret-of-the-store ~balancer:s:* resetchannels &balancer:moved -@all +get +set +pttl +pexpire +publish +eval \
         +evalsha +script|load +subscribe",
    );
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret-of-the-store\n").unwrap();
    let lines = format!(
        "username = \"balancer\"\npassword_file = \"{}\"\nhealth_check_leader = true",
        password.display()
    );
    let nodes = nodes(2, &redis, &lines, |targets| Group::new("app", targets).app_cookie("SESSIONID"));
    let client = super::Lone::begin(&nodes.balancers[0], 0);
    super::wait_told(&nodes.balancers[0]);
    assert!(client.keeps(&client.ask(&nodes.balancers[1])));
    for balancer in &nodes.balancers {
        wait_up(balancer);
        let status = balancer.status();
        assert_eq!(status.0["session_store"]["last_error"]["cause"], "not_permitted");
        assert_eq!(sessions(balancer, &nodes.targets[0]).1, None);
        assert_eq!(checked_by(balancer), "this_balancer");
    }
    assert_eq!(figure(&nodes.balancers[1], "lookups", "found"), 1);
}
