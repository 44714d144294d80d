//! What clients of HTTP/2 may ask for: as much as those of HTTP/1.1, and what is ill-formed ends its stream alone.

use support::{
    Balancer, Config, Target,
    http2::{Connection, Outcome},
};

const PROTOCOL_ERROR: u32 = 1;

fn before(target: &Target) -> Balancer {
    Balancer::start(&Config::new(&[target]).workers(1).http2())
}

/// What the target was asked for last.
fn asked(target: &Target) -> Vec<u8> {
    let head = target.requests().last().unwrap().head.clone();
    head.split(|byte| *byte == b' ').nth(1).unwrap().to_vec()
}

#[test]
fn every_byte_of_a_path_is_treated_as_in_http1() {
    let target = Target::plain();
    let balancer = before(&target);
    let mut http2 = Connection::open(balancer.address);
    for byte in 0..=u8::MAX {
        for place in ["path", "query"] {
            let path = [if place == "path" { &b"/a"[..] } else { b"/a?b=" }, &[byte], b"c"].concat();
            let mut http1 = balancer.connect();
            http1.send([&b"GET "[..], &path, b" HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat());
            let one = http1.response().status;
            let seen = target.count();
            let fields: [(&[u8], &[u8]); 4] =
                [(b":method", b"GET"), (b":scheme", b"http"), (b":path", &path), (b":authority", b"a.test")];
            let of_http1 = if one == 200 { asked(&target) } else { Vec::new() };
            let stream = http2.begin(&fields, true);
            let two = match http2.outcome(stream) {
                Outcome::Answer(status, _) => status,
                // Blanks and control characters are malformed (RFC 9113, section 8.3.1).
                Outcome::Reset(PROTOCOL_ERROR) if !byte.is_ascii_graphic() => 400,
                other => panic!("{byte} in the {place}: {other:?}"),
            };
            assert_eq!(one, two, "{byte} in the {place}");
            assert_eq!(target.count() - seen, usize::from(two == 200), "{byte} in the {place}");
            if two == 200 {
                assert_eq!((asked(&target), &of_http1), (path.clone(), &path), "{byte} in the {place}");
            }
        }
    }
}

#[test]
fn a_path_with_a_hash_is_matched_by_rules_as_in_http1() {
    let target = Target::plain();
    let fixed = |status: u16| {
        format!(
            "action {{\n  type = \"fixed-response\"\n  fixed_response {{\n    content_type = \"text/plain\"\n    \
             status_code = \"{status}\"\n  }}\n}}"
        )
    };
    let config = Config::new(&[&target]).workers(1).http2();
    let balancer =
        Balancer::start(&config.path_rule(1, "/admin", &fixed(403)).path_rule(2, "/b*", &fixed(404)));
    let mut http2 = Connection::open(balancer.address);
    for path in ["/admin#x", "/admin#", "/b#/admin", "/c#/admin", "/admin?x#y", "/admi#n"] {
        let one = balancer.connect().get(path, "").status;
        assert_eq!(http2.status_of(path, &[]), one, "{path}");
    }
    assert_eq!(http2.status_of("/admin#x", &[]), 403, "what is behind the hash is no part of the path");
    for path in ["#", "#/admin", "a#b"] {
        assert_eq!(http2.status_of(path, &[]), 400, "{path} begins with no slash");
        assert_eq!(balancer.connect().get(path, "").status, 400, "{path}");
    }
}

#[test]
fn what_is_ill_formed_ends_its_stream_and_no_other() {
    let target = Target::plain();
    let balancer = before(&target);
    let mut http2 = Connection::open(balancer.address);
    let head: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a.test")];
    let fields: [(&[u8], &[u8]); 10] = [
        (b"X-Upper", b"v"),
        (b"with space", b"v"),
        (b"colon:", b"v"),
        (b":unknown", b"v"),
        (b"nul\0", b"v"),
        (b"\xff", b"v"),
        (b"", b"v"),
        (b"name", b"line\nfeed"),
        (b"name", b"return\r"),
        (b"name", b"nul\0"),
    ];
    for (name, value) in fields {
        let stream = http2.begin(&[&head[..], &[(name, value)]].concat(), true);
        assert_eq!(http2.outcome(stream), Outcome::Reset(PROTOCOL_ERROR), "{name:?} {value:?}");
        assert_eq!(http2.status_of("/", &[]), 200, "after {name:?} {value:?}");
    }
    for (name, value) in [(&b":method"[..], &b"GE T"[..]), (b":status", b"200"), (b":authority", b"\xff")] {
        let fields: Vec<_> =
            head.iter().filter(|field| field.0 != name).copied().chain([(name, value)]).collect();
        let fields = [&fields[fields.len() - 1..], &fields[..fields.len() - 1]].concat();
        let stream = http2.begin(&fields, true);
        assert_eq!(http2.outcome(stream), Outcome::Reset(PROTOCOL_ERROR), "{name:?} {value:?}");
    }
    assert_eq!(target.count(), fields.len(), "none of them gets anywhere");
}

#[test]
fn trailers_have_no_pseudo_fields() {
    let target = Target::plain();
    let balancer = before(&target);
    let mut http2 = Connection::open(balancer.address);
    for (name, value) in
        [(":path", "/x"), (":method", "GET"), (":status", "200"), (":authority", "b"), (":x", "y")]
    {
        let stream = http2.post("/", &[]);
        http2.data(stream, b"body", false).head(stream, &[(name, value)], true);
        assert_eq!(http2.outcome(stream), Outcome::Reset(PROTOCOL_ERROR), "{name}");
    }
    let stream = http2.post("/", &[]);
    http2.data(stream, b"body", false).head(stream, &[("x-sum", "1")], true);
    assert!(matches!(http2.outcome(stream), Outcome::Answer(200, _)));
    assert_eq!(target.requests().last().unwrap().trailers.get("x-sum"), Some("1"));
}
