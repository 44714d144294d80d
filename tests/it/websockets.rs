//! Autobahn's cases (the PyPI package kosoku) against a real WebSocket server, directly and through the balancer: the
//! balancer carries bytes and adds no verdict of its own, so that each case has to end as it does without it.

use std::thread;

use support::{
    Balancer, Config, Group,
    apps::{App, Running, client},
    tls::Certificate,
};

/// All cases but most of those of compression, which are minutes of packing and unpacking at both ends: of each kind of
/// data (12) and of each offer (13), the case of the shortest messages.
const MOST: [&str; 21] = [
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.1.1", "12.2.1", "12.3.1", "12.4.1",
    "12.5.1", "13.1.1", "13.2.1", "13.3.1", "13.4.1", "13.5.1", "13.6.1", "13.7.1",
];
const ALL: [&str; 1] = ["*"];

/// How each case ended, a line each. Whether a server that fails a connection has sent its last echo before (OK) or not
/// (NON-STRICT) is a matter of time and no difference here.
fn verdicts(address: &str, way: &str, cases: &[&str]) -> Vec<String> {
    let said = client("websocket.py", &[&[address, way][..], cases].concat());
    said.lines().map(|line| line.replacen("NON-STRICT", "OK", 1)).collect()
}

/// The cases that ended in two ways, and those that the server itself has failed, but for 7.1.5.
fn doubtful<'a>(direct: &'a [String], through: &[String]) -> Vec<&'a str> {
    assert_eq!(direct.len(), through.len());
    let pairs = direct.iter().zip(through).map(|(direct, through)| {
        let case = direct.split(' ').next().unwrap();
        (case, direct != through || (direct.contains(" FAILED ") && case != "7.1.5"))
    });
    pairs.filter(|(_, is_doubtful)| *is_doubtful).map(|(case, _)| case).collect()
}

/// Plays the cases directly and through a balancer at the same time, each before a server of its own, and compares.
/// Many cases give the server a second, which is not much on a busy machine: what is doubtful is played again.
fn compare(way: &str, cases: &[&str], count: usize, listener: impl Fn(Config) -> Config) {
    let Some(server) = App::WebSocket.start_if_installed() else { return };
    let behind = App::WebSocket.start();
    let balancer = Balancer::start(&listener(before(&behind)));
    let play = |cases: &[&str]| {
        thread::scope(|scope| {
            let direct = scope.spawn(|| verdicts(&server.address, "plain", cases));
            let through = verdicts(&balancer.address.to_string(), way, cases);
            (direct.join().unwrap(), through)
        })
    };
    let (mut direct, mut through) = play(cases);
    assert_eq!(direct.len(), count);
    let mut opened = through.len();
    for _ in 0..3 {
        let again = doubtful(&direct, &through);
        if again.is_empty() {
            break;
        }
        (direct, through) = play(&again);
        opened += through.len();
    }
    assert!(doubtful(&direct, &through).is_empty(), "direct: {direct:#?}, through: {through:#?}");
    let status =
        balancer.wait_status("no tunnel is left", 10.0, |status| status.total("tunnels_active") == 0);
    assert_eq!(status.total("tunnels_opened"), opened as u64);
    assert_eq!(status.target(&behind.address)["outstanding_requests"], 0);
}

fn before(server: &Running) -> Config {
    Config::with(Group::of("app", std::slice::from_ref(&server.address)).unchecked())
}

#[test]
fn most_cases_end_as_without_the_balancer() {
    compare("plain", &MOST, 313, |config| config);
}

#[test]
#[ignore = "takes minutes; .ci/run asks for it"]
fn every_case_ends_as_without_the_balancer() {
    compare("plain", &ALL, 517, |config| config);
}

#[test]
fn most_cases_end_as_without_the_balancer_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    compare("tls", &MOST, 313, |config| config.https(&certificate));
}

#[test]
fn most_cases_end_as_without_the_balancer_over_http2() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    compare("http2", &MOST, 313, |config| config.https(&certificate));
}
