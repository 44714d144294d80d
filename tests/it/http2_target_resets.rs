//! Targets of HTTP/2 that reset requests: what their clients are told, without a word of the group and with one.

use std::sync::{Arc, Mutex};

use support::{
    Balancer, Config, Group,
    http2::{Connection, Outcome, flag, kind},
    http2_target::answering,
};

/// Codes by which a target resets: all that mean something to somebody, and one that nobody knows.
const CODES: [u32; 7] = [0, 1, 2, 7, 8, 13, 0xbad];
const INTERNAL: u32 = 2;

/// By which code the next request is reset, and whether within its answer.
type Next = Arc<Mutex<(u32, bool)>>;

/// A target that resets all of its requests.
fn resetting(next: &Next) -> String {
    let next = Arc::clone(next);
    answering(&[], move |connection, stream| {
        let (code, is_within) = *next.lock().unwrap();
        if is_within {
            connection.frame(kind::HEADERS, flag::END_HEADERS, stream, [0x88]);
            connection.frame(kind::DATA, 0, stream, b"part");
        }
        connection.frame(kind::RST_STREAM, 0, stream, code.to_be_bytes());
        true
    })
}

#[test]
fn resets_of_targets_reach_clients_where_the_group_says_so() {
    for forwards in [false, true] {
        let next = Next::default();
        let group = Group::of("app", &[resetting(&next)]).line("protocol_version = \"HTTP2\"").unchecked();
        let line = format!("routing_http2_rst_stream_error_forwarding_enabled = {forwards}");
        let balancer = Balancer::start(&Config::with(group.line(&line)).http2());
        let mut connection = Connection::open(balancer.address);
        for code in CODES {
            let mut outcome = |is_within: bool| {
                *next.lock().unwrap() = (code, is_within);
                let stream = connection.get("/", &[]);
                connection.outcome(stream)
            };
            // By the code for no error a client would take what it has for all of it.
            let is_told = forwards && code != 0;
            match outcome(false) {
                Outcome::Reset(found) if is_told => assert_eq!(found, code),
                Outcome::Answer(502, _) if !is_told => {}
                other => panic!("{forwards} {code}: {other:?}"),
            }
            let wanted = if is_told { code } else { INTERNAL };
            assert_eq!(outcome(true), Outcome::Reset(wanted), "{forwards} {code}");
        }
        // All are counted as failed by the target, and answered are those alone that were.
        let status =
            balancer.wait_status("all are over", 10.0, |status| status.total("http2_streams_active") == 0);
        assert_eq!(status.own(502), if forwards { 1 } else { 7 });
        for (cause, count) in
            [("TargetResetStream", 6.0), ("TargetRefusedStream", 1.0), ("TargetResetInBody", 7.0)]
        {
            let series = format!("balancer_failures_total{{target_group=\"app\",cause=\"{cause}\"}}");
            assert_eq!(balancer.metric(&series), count, "{cause}");
        }
    }
}
