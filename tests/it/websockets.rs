//! Autobahn's cases (the PyPI package kosoku) against a real WebSocket server through the balancer, which carries bytes and
//! adds no verdict of its own: each case has to end as it should, or as it does without the balancer.

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
/// All cases of compression; with [`MOST`], these are all there are.
const COMPRESSION: [&str; 2] = ["12.*", "13.*"];

/// How each case ended, a line each. Whether a server that fails a connection has sent its last echo before (OK) or not
/// (NON-STRICT) is a matter of time and no difference here.
fn verdicts(address: &str, way: &str, cases: &[&str]) -> Vec<String> {
    let said = client("websocket.py", &[&[address, way][..], cases].concat());
    said.lines().map(|line| line.replacen("NON-STRICT", "OK", 1)).collect()
}

fn case(verdict: &str) -> &str {
    verdict.split(' ').next().unwrap()
}

/// The cases that did not end as they should, for whatever reason.
fn not_in_order(verdicts: &[String]) -> Vec<&str> {
    let rest = |verdict: &str| verdict.split_once(' ').is_some_and(|(_, rest)| rest.starts_with("OK OK "));
    verdicts.iter().filter(|verdict| !rest(verdict)).map(|verdict| case(verdict)).collect()
}

/// The cases that ended in two ways, and those that the server itself has failed, but for 7.1.5.
fn doubtful<'a>(direct: &'a [String], through: &[String]) -> Vec<&'a str> {
    assert_eq!(direct.len(), through.len());
    let pairs = direct.iter().zip(through).map(|(direct, through)| {
        let case = case(direct);
        (case, direct != through || (direct.contains(" FAILED ") && case != "7.1.5"))
    });
    pairs.filter(|(_, is_doubtful)| *is_doubtful).map(|(case, _)| case).collect()
}

/// Plays the cases through a balancer. Those that do not end as they should, some of which the server leaves so, are played
/// again and at the same time directly, before a server of its own, and have to end alike. Many cases give the server a
/// second, which is not much on a busy machine: what is still doubtful is played once more.
fn compare(way: &str, cases: &[&str], count: usize, listener: impl Fn(Config) -> Config) {
    let Some(behind) = App::WebSocket.start_if_installed() else { return };
    let server = App::WebSocket.start();
    let balancer = Balancer::start(&listener(before(&behind)));
    let play = |cases: &[&str]| verdicts(&balancer.address.to_string(), way, cases);
    let first = play(cases);
    assert_eq!(first.len(), count);
    let mut opened = count;
    let (mut direct, mut through) = (first.clone(), first.clone());
    let mut again = not_in_order(&first);
    for _ in 0..3 {
        if again.is_empty() {
            break;
        }
        (direct, through) = thread::scope(|scope| {
            let direct = scope.spawn(|| verdicts(&server.address, "plain", &again));
            let through = play(&again);
            (direct.join().unwrap(), through)
        });
        opened += through.len();
        let left = doubtful(&direct, &through);
        again.retain(|case| left.contains(case));
    }
    assert!(again.is_empty(), "{again:?}: direct: {direct:#?}, through: {through:#?}");
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
fn every_case_of_compression_ends_as_without_the_balancer() {
    compare("plain", &COMPRESSION, 216, |config| config);
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
