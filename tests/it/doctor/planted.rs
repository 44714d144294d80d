//! One thing is wrong with each of these balancers, and that is what is named first.

use std::{
    io::{self, Write as _},
    net::{Shutdown, TcpStream},
};

use rustix::process::Signal;

use super::*;

/// Somebody who asks once in a while.
fn a_few(balancer: &Balancer) {
    let mut connection = balancer.connect();
    for _ in 0..20 {
        connection.get("/", "");
    }
    thread::sleep(Duration::from_millis(5));
}

/// A target that answers with these bytes.
fn answering(bytes: &'static str) -> Target {
    Target::start(move |exchange| {
        exchange.send(bytes);
        Answer::KeepAlive
    })
}

#[test]
fn an_unhealthy_target() {
    let [sound, dying] = [Target::plain(), Target::plain()];
    let balancer = sticky(&[&sound, &dying]);
    dying.set_healthy(false);
    balancer.wait_status("it is unhealthy", 60.0, |status| status.state(&dying.address) == "unhealthy");
    let told = doctor_for(&balancer, 1, || visitors(&balancer, 10));
    named_first(told, "unhealthy_target", &[&dying.address, "health checks", "500"]);
}

#[test]
fn a_group_without_a_healthy_target() {
    let targets = [(); 5].map(|()| Target::plain());
    let balancer = sticky(&targets.each_ref());
    targets.iter().for_each(|target| target.set_healthy(false));
    balancer.wait_status("all are unhealthy", 60.0, |status| {
        targets.iter().all(|target| status.state(&target.address) == "unhealthy")
    });
    let told = doctor_for(&balancer, 1, || visitors(&balancer, 10));
    let targets: Vec<_> = told.0["complaints"].as_array().unwrap().iter().skip(1).take(3).collect();
    assert!(targets.iter().all(|one| one["code"] == "unhealthy_target"), "{:#}", told.0);
    assert_eq!(targets[2]["more"], 2, "{:#}", told.0);
    named_first(told, "failing_open", &["critical", "none of its 5 targets"]);
}

#[test]
fn a_group_without_targets() {
    let target = Target::plain();
    let config = Config::with(Group::new("app", &[&target])).group(Group::of("empty", &[]));
    let mut balancer =
        Balancer::prepare(&config.rule(10, &["path_pattern { values = [\"/empty/*\"] }"], "empty"));
    balancer.run();
    let told = doctor_for(&balancer, 1, || assert_eq!(balancer.connect().get("/empty/", "").status, 503));
    named_first(told, "no_targets", &["critical", "target group empty", "503"]);
}

#[test]
fn a_reload_that_was_refused() {
    let target = Target::plain();
    let balancer = sticky(&[&target]);
    balancer.write_text("nonsense \"x\" {}\n");
    balancer.signal(Signal::HUP);
    balancer.wait_status("it is told", 10.0, |status| !status.0["refused_reload"].is_null());
    named_first(doctor_alone(&balancer), "reload_refused", &["nonsense", "balancer check", "balancer.hcl:1"]);
}

#[test]
fn a_certificate_that_is_over_and_one_that_ends_soon() {
    let target = Target::plain();
    let folder = tempfile::tempdir().unwrap();
    let group = || Group::new("app", &[&target]).lb_cookie().stickiness("cookie_secure = true");
    let told_of = |certificate: &Certificate| {
        let mut balancer = Balancer::prepare(&Config::with(group()).https(certificate));
        balancer.run();
        doctor_alone(&balancer)
    };
    let old = Certificate::until(folder.path(), "old", &["example.test"], 2020);
    named_first(
        told_of(&old),
        "certificate_expired",
        &["critical", "certificate main of listener web", "2020-12-31"],
    );
    let soon = Certificate::for_days(folder.path(), "soon", &["example.test"], 10);
    named_first(told_of(&soon), "certificate_expires", &["warning", "expires in 9 d", "SIGHUP"]);
    let now = Certificate::for_days(folder.path(), "now", &["example.test"], 2);
    named_first(told_of(&now), "certificate_expires", &["critical", "expires in 1 d"]);
}

#[test]
fn cookies_without_secure() {
    let target = Target::plain();
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "web", &["example.test"]);
    let balancer =
        Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()).https(&certificate));
    let (report, exit) = doctor_alone(&balancer);
    let first = &report["complaints"][0];
    assert_eq!((first["code"].as_str(), exit), (Some("cookie_not_secure"), 0), "{report:#}");
    assert!(first["advice"].as_str().unwrap().contains("cookie_secure = true"), "{report:#}");
}

#[test]
fn health_checks_that_are_off_and_what_they_would_have_seen() {
    let [failing, sound] =
        [answering("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), Target::plain()];
    let mut balancer = Balancer::prepare(&Config::with(Group::new("app", &[&sound]).unchecked()));
    balancer.run();
    let (report, exit) = doctor_for(&balancer, 1, || a_few(&balancer));
    let first = &report["complaints"][0];
    assert_eq!((first["code"].as_str(), exit), (Some("health_checks_off"), 3), "{report:#}");
    balancer.reload(&Config::with(Group::new("app", &[&sound, &failing]).unchecked()));
    let told = doctor_for(&balancer, 1, || a_few(&balancer));
    named_first(told, "failures_hidden", &[&failing.address, "100 %", "its health is not checked"]);
}

#[test]
fn a_target_whose_checks_pass_at_another_port() {
    let [sound, checked] = [Target::plain(), Target::plain()];
    let closed = format!("127.0.0.1:{}", support::ports::free());
    let mut group = Group::of("app", &[sound.address.clone(), closed.clone()]);
    group.health_check.push_str(&format!("\nport = \"{}\"", checked.port()));
    let balancer = Balancer::start(&Config::with(group.algorithm("round_robin")));
    let told = doctor_for(&balancer, 1, || a_few(&balancer));
    named_first(told, "connections_fail", &[&closed, "ECONNREFUSED", "it is healthy now"]);
}

#[test]
fn targets_whose_answers_are_none() {
    let target = answering("HTTP/1.1 200 OK\r\nContent Length: 0\r\n\r\n");
    let balancer = Balancer::start(&Config::new(&[&target]));
    let told = doctor_for(&balancer, 1, || {
        assert_eq!(balancer.connect().get("/", "").status, 502);
    });
    named_first(told, "requests_fail", &["TargetHeaderInvalid", "docs/logs.md"]);
}

#[test]
fn a_target_that_is_slower_than_its_peers() {
    let slow = Target::start(|exchange| {
        thread::sleep(Duration::from_millis(30));
        exchange.ok("", "")
    });
    let sound = Target::plain();
    let balancer =
        Balancer::start(&Config::with(Group::new("app", &[&slow, &sound]).algorithm("round_robin")));
    let told = doctor(&balancer, || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| a_few(&balancer));
            }
        });
    });
    named_first(told, "slow_target", &[&slow.address, "the others of its group"]);
}

#[test]
fn sessions_that_piled_up_while_a_target_was_alone() {
    let [early, late] = [Target::plain(), Target::plain()];
    let config = |targets: &[&Target]| Config::with(Group::new("app", targets).lb_cookie());
    let balancer = Balancer::start(&config(&[&early]));
    let clients: Vec<Mutex<Client>> = (0..20).map(|_| Mutex::new(balancer.client())).collect();
    let all_ask = || {
        for client in &clients {
            let mut client = client.lock().unwrap();
            (0..5).for_each(|_| assert_eq!(client.get("/").header("x-target"), early.address));
        }
    };
    all_ask();
    balancer.reload(&config(&[&early, &late]));
    balancer.wait_until_settled();
    named_first(doctor(&balancer, all_ask), "uneven_sessions", &[&early.address, "20 of 20", "max_lifetime"]);
}

#[test]
fn two_groups_of_one_host_with_one_cookie() {
    let targets = [(); 4].map(|()| Target::plain());
    let [shop, api] = [&targets[..2], &targets[2..]].map(|targets| targets.iter().collect::<Vec<_>>());
    let config = |prefix: &str| {
        let api = Group::new("api", &api).lb_cookie().stickiness(prefix);
        Config::with(Group::new("shop", &shop).lb_cookie()).group(api).rule(
            10,
            &["path_pattern { values = [\"/api/*\"] }"],
            "api",
        )
    };
    let balancer = Balancer::start(&config(""));
    let both = || {
        let mut client = balancer.client();
        for _ in 0..10 {
            assert_eq!(client.get("/").status, 200);
            assert_eq!(client.get("/api/").status, 200);
        }
    };
    let told = doctor_for(&balancer, 1, both);
    named_first(told, "shared_cookie", &["AWSALB that names none of its targets", "cookie_prefix"]);
    balancer.reload(&config("cookie_prefix = \"API\""));
    balancer.wait_until_settled();
    let (report, _) = doctor_for(&balancer, 1, both);
    let codes: Vec<_> = report["complaints"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert!(!codes.iter().any(|code| *code == "shared_cookie"), "{report:#}");
}

#[test]
fn a_session_table_that_is_too_small() {
    let target = Target::sessions();
    let group = Group::new("app", &[&target]).app_cookie("SESSIONID");
    let balancer = Balancer::start(&Config::with(group).process("session_table_size = 1024"));
    // Each comes back twice with what it was given, and never again.
    let visits = || {
        let mut connection = balancer.connect();
        for _ in 0..100 {
            let first = connection.get("/", "");
            let cookie = format!("Cookie: SESSIONID={}\r\n", first.cookie("SESSIONID").unwrap());
            (0..2).for_each(|_| assert_eq!(connection.get("/", &cookie).status, 200));
        }
    };
    let gone = "balancer_session_table_evicted_total{kind=\"returned\"}";
    until("somebody gave way", 30.0, || {
        visits();
        (balancer.metric(gone) > 0.0).then_some(())
    });
    let told = doctor(&balancer, visits);
    named_first(told, "session_table_small", &["session_table_size", "had come back"]);
}

#[test]
fn a_session_store_that_is_not_there() {
    let target = Target::plain();
    let store = format!("session_store {{\n  url = \"redis://127.0.0.1:{}\"\n}}\n", support::ports::free());
    let group = Group::new("app", &[&target]).app_cookie("SESSIONID");
    let mut balancer = Balancer::prepare(&Config::with(group).more(&store));
    balancer.run();
    balancer.wait_status("it is away", 20.0, |status| status.0["session_store"]["state"] == "away");
    named_first(doctor_alone(&balancer), "session_store_away", &["127.0.0.1:", "refused", "Mend the store"]);
}

#[test]
fn a_list_of_targets_that_is_gone() {
    let target = Target::plain();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("shop.json");
    fs::write(&list, format!("[{{\"targets\": [\"{}\"]}}]", target.address)).unwrap();
    let group = Group::of("app", &[]).line(&format!("targets_from = \"file:{}\"", list.display()));
    let balancer = Balancer::start(&Config::with(group));
    fs::remove_file(&list).unwrap();
    balancer.wait_status("it is missed", 20.0, |status| {
        !status.0["target_groups"][0]["source"]["error"].is_null()
    });
    named_first(doctor_alone(&balancer), "targets_source_fails", &["shop.json", "stay meanwhile"]);
}

#[test]
fn a_log_that_nobody_takes_lines_from() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let mut balancer = Balancer::prepare(&config);
    let path = balancer.folder().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // Open, and never read.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let log = format!("  access_logs {{\n    enabled = true\n    path = \"{}\"\n  }}", path.display());
    balancer.write(&config.attribute(&log));
    balancer.run();
    balancer.wait_until_settled();
    let long = format!("/{}", "p".repeat(8000));
    let ask = || {
        let mut connection = balancer.connect();
        (0..50).for_each(|_| assert_eq!(connection.get(&long, "").status, 200));
    };
    until("lines are lost", 30.0, || {
        ask();
        (balancer.status().total("log_lines_dropped") > 0).then_some(())
    });
    named_first(doctor_for(&balancer, 1, ask), "log_lines_lost", &["warning", "lines of its access logs"]);
}

#[test]
fn too_few_descriptors() {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]));
    balancer.descriptors = Some(128);
    balancer.run();
    balancer.wait_until_settled();
    let many: Vec<_> = (0..200).map(|_| balancer.connect()).collect();
    balancer.wait_status("the pause is counted", 10.0, |status| status.total("accept_pauses") > 0);
    let told = doctor_alone(&balancer);
    drop(many);
    named_first(told, "descriptors_short", &["LimitNOFILE"]);
}

#[test]
fn a_connection_that_keeps_one_worker_of_two_busy() {
    let fixed = "type = \"fixed-response\"\nfixed_response {\n  content_type = \"text/plain\"\n  status_code = \"200\"\n}";
    let config = Config { groups: Vec::new(), ..Config::new(&[]).default_action(fixed) };
    let mut balancer = Balancer::prepare(&config.workers(2));
    balancer.run();
    // Many requests at once on one connection, whose answers are read as they come: whoever has it has no rest.
    let ask = "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n".repeat(1000);
    let stream = TcpStream::connect(balancer.address).unwrap();
    let mut reader = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || io::copy(&mut reader, &mut io::sink()).unwrap_or_default());
        let told = doctor(&balancer, || (&stream).write_all(ask.as_bytes()).unwrap());
        stream.shutdown(Shutdown::Both).unwrap();
        named_first(told, "uneven_workers", &["the other 1", "More workers do not help"]);
    });
}
