//! `balancer doctor` beside a running balancer under real requests: what was planted is named first, and of what is sound
//! nothing is said.

mod planted;
mod planted_load;
mod sound;

use std::{
    fs,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{
    Balancer, Client, Config, Connection, Group, Target, balancer::binary, target::Answer, tls::Certificate,
    until,
};

/// What it says of a balancer while `requests` go on, and its exit code.
fn doctor(balancer: &Balancer, requests: impl Fn() + Sync) -> (Value, i32) {
    doctor_for(balancer, 2, requests)
}

/// The same after a look of so many seconds.
fn doctor_for(balancer: &Balancer, seconds: u64, requests: impl Fn() + Sync) -> (Value, i32) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                requests();
            }
        });
        let admin = balancer.admin.to_string();
        let output = Command::new(binary())
            .args(["doctor", "--json", "--seconds", &seconds.to_string(), "--admin", &admin])
            .output()
            .unwrap();
        over.store(true, SeqCst);
        let told = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (told, output.status.code().unwrap())
    })
}

/// What it says of a balancer that nobody asks anything.
fn doctor_alone(balancer: &Balancer) -> (Value, i32) {
    doctor_for(balancer, 1, || thread::sleep(Duration::from_millis(10)))
}

#[track_caller]
fn named_first(told: (Value, i32), code: &str, words: &[&str]) {
    let (report, exit) = told;
    let first = &report["complaints"][0];
    let wanted = if first["severity"] == "notice" { 0 } else { 3 };
    assert_eq!((first["code"].as_str(), exit), (Some(code), wanted), "{report:#}");
    assert!(
        first["seen"].as_str().unwrap().bytes().any(|byte| byte.is_ascii_digit()),
        "no figure: {report:#}"
    );
    assert!(!first["advice"].as_str().unwrap().is_empty(), "nothing to do: {report:#}");
    let text = first.to_string();
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// Where the kernel side cannot be had that is said, and nothing else.
#[track_caller]
fn nothing_named((report, exit): &(Value, i32)) {
    let complaints = report["complaints"].as_array().unwrap();
    assert!(*exit == 0 && complaints.iter().all(|one| one["code"] == "kernel_side_off"), "{report:#}");
}

fn sticky(targets: &[&Target]) -> Balancer {
    Balancer::start(&Config::with(Group::new("app", targets).lb_cookie()))
}

/// Twenty clients that keep their cookies, each with `visits` requests.
fn visitors(balancer: &Balancer, visits: usize) {
    for _ in 0..20 {
        let mut client = balancer.client();
        for _ in 0..visits {
            assert_eq!(client.get("/").status, 200);
        }
    }
}

#[test]
fn clients_without_cookies_are_named() {
    let [one, two] = [Target::plain(), Target::plain()];
    let balancer = sticky(&[&one, &two]);
    let told = doctor(&balancer, || {
        let mut connection = balancer.connect();
        for _ in 0..50 {
            assert_eq!(connection.get("/", "").status, 200);
        }
    });
    named_first(told, "cookies_not_returned", &["target group app", "100 %"]);
}

#[test]
fn one_busy_session_is_named_with_the_target_it_is_bound_to() {
    let [one, two] = [Target::plain(), Target::plain()];
    let balancer = sticky(&[&one, &two]);
    visitors(&balancer, 1);
    let mut busy = balancer.client();
    busy.get("/");
    let at = busy.get("/").header("x-target").to_owned();
    let line = busy.cookie_line();
    let told = doctor(&balancer, || {
        let mut connection = Connection::open(balancer.address);
        for _ in 0..100 {
            assert_eq!(connection.get("/", &line).header("x-target"), at);
        }
    });
    named_first(told, "busy_sessions", &[&at, "one API client"]);
}

/// A target that answers one request after the other, each after so long.
fn queue(takes: Duration) -> Target {
    let turn = Mutex::new(());
    Target::start(move |exchange| {
        let _turn = turn.lock().unwrap();
        thread::sleep(takes);
        exchange.ok("", "")
    })
}

/// What the doctor says of sticky requests to three queues, where `clients` are bound to the first for each one of the others.
fn doctor_of_queues(clients: usize) -> (Value, i32) {
    let targets = [(); 3].map(|()| queue(Duration::from_millis(4)));
    let balancer = sticky(&targets.each_ref());
    // Clients whose sessions are bound as is wanted: others are sent away.
    let mut bound: [Vec<String>; 3] = Default::default();
    while bound[0].len() < clients || bound[1].is_empty() || bound[2].is_empty() {
        let before = targets.each_ref().map(Target::count);
        let mut client = balancer.client();
        assert_eq!(client.get("/").status, 200);
        let at = (0..3).find(|&at| targets[at].count() > before[at]).unwrap();
        bound[at].push(client.cookie_line());
    }
    let cookies = bound[0].iter().take(clients).chain(bound[1].first()).chain(bound[2].first());
    let cookies: Vec<&String> = cookies.collect();
    doctor(&balancer, || {
        thread::scope(|scope| {
            for cookie in &cookies {
                scope.spawn(|| {
                    let mut connection = balancer.connect();
                    for _ in 0..20 {
                        assert_eq!(connection.get("/", cookie).status, 200);
                    }
                });
            }
        });
    })
}

#[test]
fn what_sessions_that_crowd_a_target_cost_is_told_beside_what_it_were_without() {
    let figure =
        |report: &Value, of: &str, what: &str| report["stickiness_costs"][0][of][what].as_f64().unwrap();
    let both =
        |report: &Value, what: &str| ["with_sessions", "without_sessions"].map(|of| figure(report, of, what));
    // The slowest few are up to the machine, too: once is enough.
    let mut told = doctor_of_queues(12);
    for _ in 0..3 {
        let [with, without] = both(&told.0, "p99_seconds");
        if with > without * 1.5 {
            break;
        }
        told = doctor_of_queues(12);
    }
    let (report, exit) = told;
    let [with, without] = both(&report, "p99_seconds");
    assert!(with > 0.040 && with > without * 1.5, "{report:#}");
    let [with, without] = both(&report, "most_in_flight");
    assert!((8.0..=13.0).contains(&with) && with >= without * 1.5, "{report:#}");
    let cost = &report["stickiness_costs"][0];
    assert!(cost["bound_percent"].as_f64().unwrap() > 90.0, "{report:#}");
    named_first((report, exit), "stickiness_cost", &["played again without sessions", "load_factor"]);
}

#[test]
fn nothing_is_said_of_what_sessions_cost_that_are_spread_evenly() {
    let told = doctor_of_queues(1);
    assert_eq!(told.0["stickiness_costs"].as_array().unwrap().len(), 1, "{:#}", told.0);
    nothing_named(&told);
}

#[test]
fn sessions_lost_with_a_target_are_named_with_what_would_have_kept_them() {
    let targets = [Target::plain(), Target::plain()];
    let balancer = sticky(&targets.each_ref());
    let clients: Vec<Client> = (0..20).map(|_| balancer.client()).collect();
    let clients = std::sync::Mutex::new(clients);
    // While the doctor looks one target takes the place of the other, again and again.
    let told = doctor(&balancer, || {
        for target in &targets {
            balancer.reload(&Config::with(Group::new("app", &[target]).lb_cookie()));
            for client in clients.lock().unwrap().iter_mut() {
                assert_eq!(client.get("/").header("x-target"), target.address);
            }
        }
    });
    named_first(
        told,
        "sessions_lost",
        &["since the last deployment began", "drained", "deregistration_stickiness"],
    );
    let status = balancer.status();
    let last = &status.0["target_groups"][0]["last_deployment"];
    assert_eq!(last["targets_came"], last["targets_went"].as_u64().unwrap() - 1, "two were there: {last:#}");
    assert!(last["lost_draining"].as_u64().unwrap() >= 20, "{last:#}");
}

#[test]
fn failures_that_health_checks_do_not_see_are_named() {
    let failing = Target::start(|exchange| {
        exchange.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
        Answer::KeepAlive
    });
    let sound = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&failing, &sound])));
    let told = doctor(&balancer, || {
        let mut connection = balancer.connect();
        for _ in 0..50 {
            connection.get("/", "");
        }
    });
    named_first(told, "failures_hidden", &[&failing.address, "100 %", "health checks pass"]);
}

#[test]
fn a_target_that_closes_kept_connections_is_named() {
    let hasty =
        Target::start(|exchange| if exchange.earlier % 3 == 2 { Answer::Close } else { exchange.ok("", "") });
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&hasty])));
    let told = doctor(&balancer, || assert_eq!(balancer.connect().get("/", "").status, 200));
    named_first(told, "keep_alive_race", &[&hasty.address, "keep-alive timeout"]);
}

#[test]
fn cookies_of_somebody_else_are_named() {
    let target = Target::plain();
    let balancer = sticky(&[&target]);
    let told = doctor(&balancer, || {
        let mut connection = balancer.connect();
        for _ in 0..50 {
            connection.get("/", "Cookie: AWSALB=of-another-balancer\r\n");
        }
    });
    named_first(told, "cookie_conflict", &["of another form", "cookie_prefix"]);
}

#[test]
fn a_balancer_that_is_not_there_is_told_and_a_configuration_is_explained() {
    let output = Command::new(binary())
        .args(["doctor", "--seconds", "1", "--admin", &format!("127.0.0.1:{}", support::ports::free())])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot reach the admin endpoint"));

    let target = Target::plain();
    let prepared = Balancer::prepare(&Config::with(Group::new("app", &[&target]).lb_cookie().unchecked()));
    let explain = |path: &std::path::Path| {
        let output = Command::new(binary()).args(["doctor", "--explain"]).arg(path).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (text, exit) = explain(&prepared.config_path());
    assert!(text.contains("health checks are off") && text.contains("WARNING"), "{text}");
    assert_eq!(exit, Some(3));
    // Values of variables are given as to `check`.
    let port = format!("port = {}", prepared.address.port());
    let text = fs::read_to_string(prepared.config_path()).unwrap().replace(&port, "port = var.port");
    prepared.write_text(&format!("variable \"port\" {{\n  type = number\n}}\n{text}"));
    assert_eq!(explain(&prepared.config_path()).1, Some(2), "it has no value");
    let output = Command::new(binary())
        .args(["doctor", "--var", "port=8080", "--explain"])
        .arg(prepared.config_path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    prepared.write_text("nonsense \"x\" {}\n");
    assert_eq!(explain(&prepared.config_path()).1, Some(2));
}
