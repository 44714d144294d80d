//! Big groups of which many targets refuse connections: a request finds one that does not, and what it costs the others
//! has a bound.

use std::time::Instant;

use support::{
    Balancer, Config, Group, Target,
    http2::{Connection, Outcome, flag, kind},
    http2_target::answering,
    ports,
};

/// Most that a request asks of those that have refused others lately.
const MOST: u64 = 32;

/// Nobody listens at these.
fn dead(count: usize) -> Vec<String> {
    let port = ports::free();
    (0..count).map(|number| format!("127.9.{}.{}:{port}", number / 200, number % 200 + 1)).collect()
}

fn before(targets: &[String], version: &str, algorithm: &str) -> Balancer {
    let group = Group::of("app", targets).line(&format!("protocol_version = \"{version}\""));
    let config = Config::with(group.algorithm(algorithm).unchecked());
    Balancer::start(&config.workers(1).http2())
}

/// The status of a POST by a client of this version.
fn post(balancer: &Balancer, version: u8) -> u16 {
    if version == 1 {
        return balancer.connect().post("/", b"body").status;
    }
    let mut connection = Connection::open(balancer.address);
    let stream = connection.post("/", &[]);
    connection.data(stream, b"body", true);
    match connection.outcome(stream) {
        Outcome::Answer(status, _) => status,
        other => panic!("no answer but {other:?}"),
    }
}

#[test]
fn the_one_that_lives_is_found_however_many_refuse() {
    let one = Target::plain();
    let two = answering(&[], |connection, stream| {
        connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, [0x88]);
        true
    });
    for (version, client, alive) in
        [("HTTP1", 1, &one.address), ("HTTP1", 2, &one.address), ("HTTP2", 2, &two)]
    {
        for algorithm in ["round_robin", "least_outstanding_requests", "weighted_random"] {
            let targets = [dead(100), vec![alive.clone()]].concat();
            let balancer = before(&targets, version, algorithm);
            for number in 0..10 {
                assert_eq!(post(&balancer, client), 200, "{version} {client} {algorithm}: request {number}");
            }
            assert_eq!(balancer.status().own(502), 0);
        }
    }
}

/// How many connections were asked for in vain.
fn refused(balancer: &Balancer) -> u64 {
    let status = balancer.status();
    assert_eq!(status.total("target_connects"), 0, "none was had");
    status.targets().iter().map(|target| target["connections"]["failed"].as_u64().unwrap()).sum()
}

#[test]
fn who_refused_others_lately_is_not_asked_again_by_each() {
    const REQUESTS: u64 = 10;
    let nobody = dead(100);
    for (version, client) in [("HTTP1", 1), ("HTTP1", 2), ("HTTP2", 2)] {
        let balancer = before(&nobody, version, "round_robin");
        let begun = Instant::now();
        assert_eq!(post(&balancer, client), 502);
        let tried = refused(&balancer);
        assert_eq!(tried, 100, "{version}: each once");
        for _ in 0..REQUESTS {
            assert_eq!(post(&balancer, client), 502);
        }
        let tried = refused(&balancer);
        // A second later each is worth another look.
        let looks = 1 + begun.elapsed().as_secs();
        assert!(tried <= 100 * looks + REQUESTS * MOST, "{version}: {tried} in {looks} s");
    }
}
