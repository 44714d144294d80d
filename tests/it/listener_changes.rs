//! Listeners that change while clients are connected: one that gets TLS, and the end of the process.

use std::{fs, io::Write as _, net::TcpStream};

use rustix::process::Signal;
use support::{
    Balancer, Config, Target, ports,
    tls::{Certificate, curl},
    until,
};

use crate::tls::https;

#[test]
fn what_listens_may_come_later_and_does_not_go_altogether() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let mut balancer = Balancer::prepare(&config);
    let whole = balancer.text(&config);
    let (before, listener) = whole.split_once("listener \"web\"").unwrap();
    let without = format!("{before}{}", &listener[listener.find("target_group \"").unwrap()..]);
    balancer.write_text(&without);
    let check = std::process::Command::new(support::balancer::binary())
        .args(["check", "-c"])
        .arg(balancer.config_path())
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(0), "as a start: {check:?}");
    balancer.begin();
    balancer.wait_log_line(&["WARN", "nothing listens"]);
    balancer.wait_log("serving");
    assert_eq!(balancer.status().targets().len(), 1, "targets are known");
    let reload = |text: &str| {
        let before = balancer.status().0["reloads"].as_u64();
        balancer.write_text(text);
        balancer.signal(Signal::HUP);
        until("the reload", 10.0, || (balancer.status().0["reloads"].as_u64() > before).then_some(()));
    };
    reload(&whole);
    balancer.wait_until_settled();
    assert_eq!(balancer.connect().get("/", "").status, 200);
    // A file that was cut short takes nobody's listeners.
    for cut in [&without[..], ""] {
        let before = balancer.status().0["reload_failures"].as_u64();
        balancer.write_text(cut);
        balancer.signal(Signal::HUP);
        until("it is refused", 10.0, || {
            (balancer.status().0["reload_failures"].as_u64() > before).then_some(())
        });
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
    balancer.wait_log("no listener is left");
    balancer.signal(Signal::TERM);
    assert!(balancer.wait_exit(10.0).success());
}

/// From one address of this host to all of them and back, on the same port: nobody is refused meanwhile.
#[test]
fn a_listener_goes_to_another_address_of_its_port() {
    let target = Target::plain();
    let narrow = Config::new(&[&target]).workers(2);
    let wide = Config { address: "0.0.0.0".to_owned(), ..narrow.clone() };
    let balancer = Balancer::start(&narrow);
    let elsewhere = std::net::SocketAddr::from(([127, 0, 0, 2], balancer.address.port()));
    let is_wide = |wanted: bool| {
        until("it is at its new address", 60.0, || {
            (TcpStream::connect(elsewhere).is_ok() == wanted).then_some(())
        });
        assert_eq!(balancer.connect().get("/", "").status, 200);
    };
    for (config, wanted) in [(&wide, true), (&narrow, false)] {
        balancer.reload(config);
        is_wide(wanted);
    }
    for (config, wanted) in [(&wide, true), (&narrow, false)] {
        balancer.write(config);
        balancer.upgraded();
        is_wide(wanted);
    }
    assert_eq!(balancer.status().0["reload_failures"], 0);
}

#[test]
fn a_listener_that_gets_tls_serves_no_plain_connection_on() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let (target, go, has_arrived) = Target::gated("");
    let plain = Config::new(&[&target]);
    let secure = https(plain.clone(), &certificate);
    let balancer = Balancer::start(&plain);
    let (mut idle, mut fresh, mut busy) = (balancer.connect(), balancer.connect(), balancer.connect());
    assert_eq!(idle.get("/", "").status, 200);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    has_arrived.recv().unwrap();
    balancer.reload(&secure);
    assert!(idle.is_closed(), "an idle connection is closed");
    assert!(fresh.is_closed(), "one that has asked for nothing yet, too");
    go.send(()).unwrap();
    let response = busy.response();
    assert_eq!((response.text(), response.header("connection")), ("finished".into(), "close"));
    assert!(busy.is_closed());
    assert_eq!(balancer.connect().get("/", "").status, 400, "plain HTTP is not spoken any more");
    curl(balancer.address, "example.test", &certificate, "/", &[]).expect("HTTPS is");
    // And back: who speaks TLS has to come again, too.
    let mut session = support::tls::Session::open(balancer.address, &[]);
    assert_eq!(session.get("/", "").status, 200);
    balancer.reload(&plain);
    assert!(session.is_closed());
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

#[test]
fn a_reload_while_the_process_ends_opens_nothing() {
    let (target, go, has_arrived) = Target::gated("");
    let config = Config::new(&[&target]);
    let mut balancer = Balancer::start(&config);
    let mut busy = balancer.connect();
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    has_arrived.recv().unwrap();
    balancer.signal(Signal::TERM);
    balancer.wait_status("it is ending", 10.0, |status| status.0["draining"] == true);
    let port = ports::free();
    let more = format!(
        "listener \"more\" {{\n  port = {port}\n  address = \"127.0.0.1\"\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.app.arn\n  }}\n}}\n"
    );
    fs::write(balancer.config_path(), format!("{}\n{more}", balancer.text(&config))).unwrap();
    balancer.signal(Signal::HUP);
    let status = until("the signal is taken", 10.0, || {
        let status = balancer.status();
        (status.0["reload_failures"] == 1 || status.0["reloads"] == 1).then_some(status)
    });
    assert_eq!(status.0["reloads"], 0, "nothing is taken up");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nothing is opened");
    balancer.wait_log("the process is ending");
    go.send(()).unwrap();
    assert_eq!(busy.response().text(), "finished");
    assert_eq!(balancer.wait_exit(10.0).code(), Some(0));
}

#[test]
fn sockets_that_wait_when_the_process_ends_have_not_failed_to_negotiate() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let (target, go, has_arrived) = Target::gated("");
    let mut balancer = Balancer::start(&https(Config::new(&[&target]), &certificate));
    let mut busy = support::tls::Session::open(balancer.address, &[]);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    has_arrived.recv().unwrap();
    let mut silent = balancer.connect();
    let mut begun = balancer.connect();
    // The first bytes of a ClientHello.
    begun.stream().write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    until("both are there", 10.0, || {
        let accepted = balancer.metric("balancer_connections_accepted_total");
        (accepted >= 3.0).then_some(())
    });
    balancer.signal(Signal::TERM);
    assert!(silent.is_closed() && begun.is_closed());
    assert_eq!(balancer.metric("balancer_client_tls_negotiation_errors_total"), 0.0);
    go.send(()).unwrap();
    assert_eq!(busy.reader().response("GET").unwrap().text(), "finished");
    assert_eq!(balancer.wait_exit(10.0).code(), Some(0));
}

#[test]
fn the_figures_of_a_listener_go_on_when_it_moves() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let balancer = Balancer::start(&config);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    let requests = |status: &support::Status| status.0["listeners"][0]["requests"].as_u64().unwrap();
    let before = requests(&balancer.status());
    assert!(before > 0);
    let port = ports::free();
    let moved = balancer
        .text(&config)
        .replace(&format!("port = {}\n", balancer.address.port()), &format!("port = {port}\n"));
    balancer.write_text(&moved);
    balancer.signal(Signal::HUP);
    let status =
        balancer.wait_status("it has moved", 20.0, |status| status.0["listeners"][0]["port"] == port);
    assert_eq!(requests(&status), before);
    let there = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(support::Client::new(there).try_get("/").unwrap().status, 200);
    assert_eq!(requests(&balancer.status()), before + 1);
}
