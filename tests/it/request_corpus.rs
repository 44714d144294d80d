//! The requests that gunicorn's own parser is tested with, sent through the balancer: none that breaks RFC 9112 reaches
//! a target as a whole request, and each that does not is answered by one, but for those that are named here.
//!
//! Nothing at all of them does, where they come in one piece. Bodies are passed on as they come: of a chunked body that turns
//! out to be none later, the target has seen the head and the chunks before, and its connection ends within the body.

use std::collections::BTreeMap;

use support::{
    Balancer, Config, Group, Request, Target,
    corpus::{self, Case, with_host},
};

/// Requests that gunicorn refuses and that reach the target, and why that is right.
const PASSED: [(&str, &str); 17] = [
    ("003c", "`-bl` is a token, so it is a method"),
    ("006", "a request line within 16 K, over gunicorn's limit"),
    ("007", "a field within 16 K, over gunicorn's limit"),
    ("008", "fields within 64 K, over gunicorn's limit"),
    ("009", "fewer than 200 fields, over gunicorn's limit"),
    ("010", "over a limit set for gunicorn"),
    ("011", "over a limit set for gunicorn"),
    ("012", "over a limit set for gunicorn"),
    ("017", "over a limit set for gunicorn"),
    (
        "019",
        "fields about the scheme that contradict each other: they are replaced, or say nothing to the balancer",
    ),
    ("041", "two Content-Types, which say nothing of where the message ends"),
    (
        "chunked_07",
        "Transfer_Encoding is another field: classified as ambiguous, so that both connections end after it",
    ),
    ("limit_header_default_01", "a field within 16 K, over gunicorn's limit"),
    ("rfc9110_trailer_forbidden_cl_01", "trailer fields that must not be there are dropped"),
    ("rfc9110_trailer_forbidden_host_01", "trailer fields that must not be there are dropped"),
    ("rfc9110_trailer_forbidden_te_01", "trailer fields that must not be there are dropped"),
    ("rfc9112_leading_crlf_02", "any number of empty lines before a request line is ignored, not one alone"),
];

/// Requests that end within a body: what there is of it is as it should be, and the target sees that.
const BEGUN: [(&str, &str); 1] =
    [("rfc9112_chunked_missing_final_crlf_01", "the empty line behind the last chunk is yet to come")];

/// Requests that gunicorn takes and that fare otherwise, answered with this status, and why.
const REFUSED: [(&str, u16, &str); 21] = [
    ("025", 501, "a transfer coding other than chunked"),
    ("025_line", 501, "a transfer coding other than chunked"),
    ("028", 400, "a blank before the colon, which gunicorn is told to put up with"),
    ("029", 501, "a transfer coding other than chunked: identity is none any more"),
    ("030", 501, "a transfer coding other than chunked: identity is none any more"),
    ("040", 400, "Content_Length, which somebody may take for the length, and is no number: severe"),
    ("040_compat", 400, "the same, which gunicorn is told to take for the length"),
    ("099", 408, "the rest of the body that its length promises never comes"),
    ("compat_obs_fold", 400, "a folded field, which gunicorn is told to put up with"),
    ("compat_obs_fold_huge", 400, "a folded field, which gunicorn is told to put up with"),
    ("pp_01", 400, "the PROXY protocol, which is not spoken here"),
    ("pp_02", 400, "the PROXY protocol, which is not spoken here"),
    ("pp_04", 400, "the PROXY protocol, which is not spoken here"),
    ("pp_05", 400, "the PROXY protocol, which is not spoken here"),
    ("rfc9112_smuggle_gzip_chunked_01", 501, "a transfer coding other than chunked"),
    ("rfc9112_smuggle_te_identity_chunked_01", 501, "a transfer coding other than chunked"),
    ("rfc9112_target_absolute_userinfo_01", 400, "user information in an http URL (RFC 9110, section 4.2.4)"),
    ("rfc9112_target_authority_connect_01", 405, "CONNECT"),
    ("rfc9112_target_authority_ipv6_01", 405, "CONNECT"),
    // Answered, and not as gunicorn is told to.
    ("020", 200, "sent without a Host: what looks like a second head is the body"),
    ("031compat", 200, "a method that gunicorn is told to write in capitals"),
];

/// What came of some bytes.
struct Fate {
    statuses: Vec<u16>,
    seen: Vec<Request>,
}

/// Sends the bytes and reads answers until the connection ends or there are as many as wanted.
fn send(balancer: &Balancer, target: &Target, bytes: &[u8], wanted: usize) -> Fate {
    let before = target.count();
    let mut connection = balancer.connect();
    connection.send(bytes);
    let mut statuses = Vec::new();
    while statuses.len() < wanted {
        let Ok(response) = connection.try_response() else { break };
        statuses.push(response.status);
        if matches!(response.status, 400 | 408 | 501 | 505) {
            assert!(connection.is_closed(), "{response:?} to {}", bytes.escape_ascii());
        }
    }
    let seen = target.requests().split_off(before);
    assert_eq!(seen.len(), target.count() - before);
    Fate { statuses, seen }
}

fn start(target: &Target) -> Balancer {
    Balancer::start(&Config::new(&[target]).attribute("idle_timeout = 1"))
}

#[test]
fn none_that_is_invalid_reaches_a_target() {
    let Some(cases) = corpus::cases("invalid") else { return };
    let target = Target::plain();
    let balancer = start(&target);
    // Who would forward the beginning of a request here answers 502.
    let dead = format!("127.0.0.1:{}", support::ports::free());
    let nowhere =
        Balancer::start(&Config::with(Group::of("app", &[dead]).unchecked()).attribute("idle_timeout = 1"));
    let mut begun: BTreeMap<&str, &str> = BEGUN.into();
    let mut passed: BTreeMap<&str, &str> = PASSED.into();
    for Case { name, bytes, .. } in &cases {
        // As they are, and with a Host where they lack one, for whose want they would be refused.
        let fates = [bytes.clone(), with_host(bytes)].map(|bytes| send(&balancer, &target, &bytes, 1));
        for fate in &fates {
            assert_eq!(fate.statuses.len(), 1, "{name} is answered");
            assert_eq!(fate.statuses == [200], !fate.seen.is_empty(), "{name}: {:?}", fate.seen);
            let trailers = fate.seen.iter().map(|request| &request.trailers.0);
            assert!(trailers.clone().all(Vec::is_empty), "{name}: {:?}", trailers.collect::<Vec<_>>());
        }
        let forwards = |bytes: Vec<u8>| send(&nowhere, &target, &bytes, 1).statuses == [502];
        let reached = fates.iter().any(|fate| !fate.seen.is_empty());
        let forwarded = [bytes.clone(), with_host(bytes)].map(forwards).contains(&true);
        let is_begun = reached || begun.remove(name.as_str()).is_some();
        assert_eq!(forwarded, is_begun, "whether anything of {name} is forwarded");
        assert_eq!(reached, passed.remove(name.as_str()).is_some(), "whether {name} reaches the target");
    }
    assert!(passed.is_empty() && begun.is_empty(), "named and not there: {passed:?} {begun:?}");
}

#[test]
fn each_that_is_valid_reaches_a_target() {
    let Some(cases) = corpus::cases("valid") else { return };
    let target = Target::plain();
    let balancer = start(&target);
    let mut refused: BTreeMap<&str, u16> =
        REFUSED.into_iter().map(|(name, status, _)| (name, status)).collect();
    for Case { name, bytes, expected } in &cases {
        let bytes = if name == "020" { bytes.clone() } else { with_host(bytes) };
        let fate = send(&balancer, &target, &bytes, expected.len().max(1));
        let seen: Vec<_> = fate.seen.into_iter().map(|request| (request.method, request.target)).collect();
        match refused.remove(name.as_str()) {
            Some(200) => assert_eq!((fate.statuses, seen.len()), (vec![200], 1), "{name}"),
            Some(status) => assert_eq!((fate.statuses, seen), (vec![status], vec![]), "{name}"),
            None => {
                let expected: Vec<_> =
                    expected.iter().map(|(method, target)| (method.clone(), without_host(target))).collect();
                assert_eq!((fate.statuses, seen), (vec![200; expected.len()], expected), "{name}");
            }
        }
    }
    assert!(refused.is_empty(), "named and not there: {refused:?}");
}

/// A request target as targets get it: without scheme and authority.
fn without_host(target: &str) -> String {
    match target.split_once("://").and_then(|(_, rest)| rest.find('/').map(|start| &rest[start..])) {
        Some(path) => path.to_owned(),
        None => target.to_owned(),
    }
}
