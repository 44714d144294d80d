//! Autobahn's cases (the PyPI package kosoku) against a real WebSocket server, directly and through the balancer: the
//! balancer carries bytes and adds no verdict of its own, so that each case has to end as it does without it.

use support::{
    Balancer, Config, Group,
    apps::{App, Running, client},
    tls::Certificate,
};

/// All but those of sizes, which differ in nothing here and take minutes: 9 in its three smallest sizes, and of
/// compression, 12 and 13, one case of each kind of message.
const CASES: [&str; 15] = [
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*.1", "9.*.2", "9.*.3", "10.*", "12.1.1", "12.2.1",
    "12.3.1", "13.1.1",
];

/// How each case ended, a line each. Whether a server that fails a connection has sent its last echo before (OK) or not
/// (NON-STRICT) is a matter of time and no difference here.
fn verdicts(address: &str, way: &str) -> Vec<String> {
    let said = client("websocket.py", &[&[address, way][..], &CASES].concat());
    said.lines().map(|line| line.replacen("NON-STRICT", "OK", 1)).collect()
}

/// Plays the cases directly and through a balancer, and compares.
fn compare(way: &str, listener: impl Fn(Config) -> Config) {
    let Some(server) = App::WebSocket.start_if_installed() else { return };
    let direct = verdicts(&server.address, "plain");
    assert!(direct.len() > 250, "{} cases", direct.len());
    let fine =
        direct.iter().filter(|line| line.contains(" OK OK ") || line.contains(" NON-STRICT OK ")).count();
    assert!(fine > direct.len() * 9 / 10, "the server itself is fine: {direct:?}");
    let balancer = Balancer::start(&listener(before(&server)));
    let through = verdicts(&balancer.address.to_string(), way);
    let differ: Vec<_> = direct.iter().zip(&through).filter(|(direct, through)| direct != through).collect();
    assert!(differ.is_empty() && direct.len() == through.len(), "direct and through: {differ:#?}");
    let status =
        balancer.wait_status("no tunnel is left", 10.0, |status| status.total("tunnels_active") == 0);
    assert_eq!(status.total("tunnels_opened"), direct.len() as u64);
    assert_eq!(status.target(&server.address)["outstanding_requests"], 0);
}

fn before(server: &Running) -> Config {
    Config::with(Group::of("app", std::slice::from_ref(&server.address)).unchecked())
}

#[test]
fn every_case_ends_as_without_the_balancer() {
    compare("plain", |config| config);
}

#[test]
fn every_case_ends_as_without_the_balancer_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    compare("tls", |config| config.https(&certificate));
}

#[test]
fn every_case_ends_as_without_the_balancer_over_http2() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    compare("http2", |config| config.https(&certificate));
}
