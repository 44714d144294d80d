//! Desync mitigation: what each mode does with requests that are not compliant, over HTTP/1.1 and HTTP/2.

use support::{Balancer, Config, Target, http2};

const ACCEPTABLE: &str = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const AMBIGUOUS: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer~Encoding: chunked\r\n\r\n",
];
const SEVERE: [&str; 4] = [
    "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 9\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer.Encoding: xchunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length-: three\r\n\r\n",
];
/// What cannot be framed for sure.
const UNSOUND: [&str; 3] = [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];
const COMPLIANT: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It is answered by the target and both connections serve the next.
    Passed,
    /// It is answered by the target and both connections end.
    Parted,
    /// It never reaches the target; the client's connection ends.
    Refused,
}

fn start(target: &Target, mode: &str) -> Balancer {
    let config = Config::new(&[target]).http2();
    Balancer::start(&config.attribute(&format!("desync_mitigation_mode = \"{mode}\"")))
}

/// Sends the request after a compliant one, and if it can be, one more after it.
fn fate(balancer: &Balancer, target: &Target, bytes: &str) -> Fate {
    let mut connection = balancer.connect();
    assert_eq!(connection.send(COMPLIANT).response().status, 200);
    let (requests, connections) = (target.count(), target.connections());
    let response = connection.send(bytes).response();
    if response.status == 400 {
        assert_eq!((response.header("connection"), target.count()), ("close", requests), "{bytes}");
        assert!(connection.is_closed(), "{bytes}");
        return Fate::Refused;
    }
    assert_eq!((response.status, target.count()), (200, requests + 1), "{bytes}");
    let parted = response.header("connection") == "close";
    if parted {
        assert!(connection.is_closed(), "{bytes}");
        connection = balancer.connect();
    }
    assert_eq!(connection.send(COMPLIANT).response().status, 200);
    let opened = target.connections() - connections;
    assert_eq!(opened, usize::from(parted), "connections to the target after {bytes}");
    if parted { Fate::Parted } else { Fate::Passed }
}

#[test]
fn modes_are_those_of_alb() {
    use Fate::{Parted, Passed, Refused};
    for (mode, acceptable, ambiguous, severe) in [
        ("monitor", Passed, Passed, Passed),
        ("defensive", Passed, Parted, Refused),
        ("strictest", Refused, Refused, Refused),
    ] {
        let target = Target::plain();
        let balancer = start(&target, mode);
        assert_eq!(fate(&balancer, &target, COMPLIANT), Passed, "{mode}");
        assert_eq!(fate(&balancer, &target, ACCEPTABLE), acceptable, "{mode}");
        for bytes in AMBIGUOUS {
            assert_eq!(fate(&balancer, &target, bytes), ambiguous, "{mode}: {bytes}");
        }
        for bytes in SEVERE {
            assert_eq!(fate(&balancer, &target, bytes), severe, "{mode}: {bytes}");
        }
        let count = |class: &str| {
            let family = "balancer_desync_mitigation_non_compliant_requests_total";
            balancer.metric(&format!("{family}{{classification=\"{class}\"}}"))
        };
        assert_eq!((count("Acceptable"), count("Ambiguous"), count("Severe")), (1.0, 4.0, 4.0), "{mode}");
        // These are refused in every mode, and count as what they are: ambiguous.
        for bytes in UNSOUND {
            assert_eq!(fate(&balancer, &target, bytes), Refused, "{mode}: {bytes}");
        }
        assert_eq!((count("Acceptable"), count("Ambiguous"), count("Severe")), (1.0, 7.0, 4.0), "{mode}");
    }
}

#[test]
fn requests_are_defended_against_unless_the_mode_says_otherwise() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    assert_eq!(fate(&balancer, &target, AMBIGUOUS[0]), Fate::Parted);
    assert_eq!(fate(&balancer, &target, SEVERE[0]), Fate::Refused);
}

#[test]
fn modes_hold_for_http_2() {
    let underscored = [("content_length", "3")];
    let severe = [("content_length", "three")];
    for (mode, acceptable, ambiguous, refused) in
        [("monitor", 200, 200, 200), ("defensive", 200, 200, 400), ("strictest", 400, 400, 400)]
    {
        let target = Target::plain();
        let balancer = start(&target, mode);
        let mut connection = http2::Connection::open(balancer.address);
        assert_eq!(connection.status_of("/", &[]), 200, "{mode}");
        assert_eq!(connection.status_of("/", &[("content-length", "0")]), acceptable, "{mode}");
        assert_eq!(target.connections(), 1, "{mode}");
        assert_eq!(connection.status_of("/", &underscored), ambiguous, "{mode}");
        assert_eq!(connection.status_of("/", &severe), refused, "{mode}");
        // The client's connection frames by itself and stays; the one to the target went with the ambiguous request.
        assert_eq!(connection.status_of("/", &[]), 200, "{mode}");
        assert_eq!(target.connections(), if mode == "defensive" { 2 } else { 1 }, "{mode}");
    }
}

#[test]
fn a_body_of_http_2_that_targets_would_not_expect_parts_from_the_target() {
    let target = Target::plain();
    let balancer = start(&target, "defensive");
    let mut connection = http2::Connection::open(balancer.address);
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];
    let stream = connection.begin(&fields, false);
    connection.data(stream, b"abc", true);
    assert!(matches!(connection.outcome(stream), http2::Outcome::Answer(200, _)));
    assert_eq!(target.last().body, b"abc");
    assert_eq!(connection.status_of("/", &[]), 200);
    assert_eq!(target.connections(), 2);
}

#[test]
fn a_target_beyond_ascii_is_refused() {
    let target = Target::plain();
    let balancer = start(&target, "monitor");
    let mut connection = balancer.connect();
    let response = connection.send("GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n").response();
    assert_eq!((response.status, target.count()), (400, 0));
    assert!(connection.is_closed());
    assert_eq!(http2::Connection::open(balancer.address).status_of("/caf\u{e9}", &[]), 400);
    assert_eq!(target.count(), 0);
}
