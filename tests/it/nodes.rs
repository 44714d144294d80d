//! Several balancers in one table, and whether one takes new work, as scripts ask.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Command, Output},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, balancer::binary, ports, until};

fn balancer(words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(binary()).args(words).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn healthz_is_an_exit_code_with_words() {
    let (target, go, arrived) = Target::gated("");
    let mut running = Balancer::start(&Config::new(&[&target]));
    let admin = running.admin.to_string();
    let ask = || balancer(&["healthz", "--admin", &admin, "--timeout", "1"]);
    assert_eq!(ask(), (Some(0), "ok\n".to_owned(), String::new()));
    // It finishes what it has, and takes nothing new.
    let mut connection = running.connect();
    connection.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    arrived.recv().unwrap();
    running.signal(Signal::TERM);
    let (code, out, err) =
        until("it says that it ends", 10.0, || Some(ask()).filter(|(code, ..)| *code != Some(0)));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("is ending and takes no new work"), "{err}");
    go.send(()).unwrap();
    running.wait_exit(30.0);
    let (code, _, err) = ask();
    assert!(code == Some(1) && err.contains("cannot reach the admin endpoint"), "{err}");
    // Somebody who listens and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let (code, _, err) =
        balancer(&["healthz", "--admin", &silent.local_addr().unwrap().to_string(), "--timeout", "1"]);
    assert!(
        code == Some(1) && err.contains("within 1 s") && begun.elapsed() < Duration::from_secs(10),
        "{err}"
    );
    // And somebody who is something else.
    target.set_healthy(false);
    let (code, _, err) = balancer(&["healthz", "--admin", &target.address]);
    assert!(code == Some(1) && err.contains("not a balancer's admin endpoint"), "{err}");
}

#[test]
fn all_balancers_are_shown_and_one_that_is_away_holds_up_none() {
    let target = Target::plain();
    let start = || Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let (first, second) = (start(), start());
    for (running, clients) in [(&first, 2), (&second, 3)] {
        (0..clients).for_each(|_| drop(running.client().get("/")));
        running.wait_status("its sessions are counted", 10.0, |status| {
            status.target(&target.address)["sessions"] == clients
        });
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let names =
        [first.admin, silent.local_addr().unwrap(), second.admin, away].map(|admin| admin.to_string());
    let both = format!("{},{}", names[0], names[2]);
    let all = names.join(",");

    let (code, out, err) = balancer(&["status", "--all", &both]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let begun = Instant::now();
    let (code, out, err) = balancer(&["status", "--all", &all]);
    assert!(begun.elapsed() < Duration::from_secs(10), "they are asked at the same time");
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("2 of 4 balancers did not answer: {}, {}", names[1], names[3])), "{err}");
    let line = |word: &str| {
        out.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word} in\n{out}"))
    };
    assert!(line(&names[0]).contains("serves") && line(&names[2]).contains("1/1"));
    assert!(line(&names[1]).contains("AWAY") && line(&names[1]).contains("no answer within 3 s"));
    assert!(line(&names[3]).contains("AWAY") && line(&names[3]).contains("cannot reach"));
    let sums: Vec<&str> = line("app").split_whitespace().collect();
    assert_eq!(sums, ["app", target.address.as_str(), "2/2", "5", "0", "5"], "{out}");

    let (code, out, _) = balancer(&["status", "--json", "--all", &all]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["targets"][0]["sessions"]), (Some(1), &serde_json::json!(5)));
    assert_eq!(document["nodes"][0]["status"]["instance"], first.instance());
    assert!(document["nodes"][1]["status"].is_null() && document["nodes"][1]["error"].is_string());
}
