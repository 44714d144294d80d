//! Reloads: what stays, what changes, and what a bad file does, namely nothing.

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, until};

#[test]
fn connections_counters_states_and_sessions_outlive_a_reload() {
    let targets = [Target::plain(), Target::plain()];
    let added = Target::plain();
    let group = |targets: &[&Target]| Group::new("app", targets).algorithm("round_robin").lb_cookie();
    let balancer = Balancer::start(&Config::with(group(&[&targets[0], &targets[1]])).workers(2));
    let mut clients: Vec<_> = (0..20).map(|_| balancer.client()).collect();
    let homes: Vec<_> = clients.iter_mut().map(|client| client.get("/").text()).collect();
    let mut connection = balancer.connect();
    connection.get("/", "");
    let before = balancer.status();
    let requests = before.target(&targets[0].address)["requests"].as_u64().unwrap();
    assert!(requests > 0);

    balancer.reload(&Config::with(group(&[&added, &targets[0], &targets[1]])).workers(2));
    let after = balancer.status();
    assert_eq!(after.target(&targets[0].address)["requests"], requests, "counters go on");
    assert_eq!(after.state(&targets[0].address), "healthy", "and so do health states");
    assert_eq!(connection.get("/", "").status, 200, "the connection is the same");
    for (client, home) in clients.iter_mut().zip(&homes) {
        assert_eq!(&client.get("/").text(), home);
    }
    balancer
        .wait_status("the new target is healthy", 20.0, |status| status.state(&added.address) == "healthy");
    for _ in 0..6 {
        balancer.connect().get("/", "");
    }
    assert!(added.count() > 0, "it gets its share");
}

#[test]
fn a_bad_file_changes_nothing_and_is_counted() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let balancer = Balancer::start(&config);
    for (number, bad) in ["listener {", "", "nonsense \"x\" {}\n", "\u{0}\u{1}\u{2}"].into_iter().enumerate()
    {
        balancer.write_text(bad);
        balancer.signal(Signal::HUP);
        let status = balancer.wait_status("the failure is counted", 10.0, |status| {
            status.0["reload_failures"] == number as u64 + 1
        });
        assert_eq!(status.0["reloads"], 0);
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
    // One line each, which names the file.
    balancer.wait_log_lines(&["balancer.hcl", "reload"], 4);
    // A good one is taken up again.
    balancer.reload(&config);
}

#[test]
fn a_listener_can_be_added_and_taken_away() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let balancer = Balancer::start(&config);
    let port = support::ports::free();
    let more = format!(
        "{}\nlistener \"more\" {{\n  address = \"127.0.0.1\"\n  port = {port}\n  load_balancer_arn = load_balancer.main.arn\n  \
         default_action {{\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }}\n}}\n",
        balancer.text(&config)
    );
    balancer.write_text(&more);
    balancer.signal(Signal::HUP);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    until("the new listener answers", 10.0, || support::Client::new(address).try_get("/").ok());
    balancer.reload(&config);
    until("the new listener is gone", 10.0, || std::net::TcpStream::connect(address).is_err().then_some(()));
    assert_eq!(balancer.connect().get("/", "").status, 200);
}
