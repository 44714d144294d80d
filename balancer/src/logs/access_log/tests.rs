mod simple;

use std::{path::PathBuf, rc::Rc};

use super::{record::MOST_USER_AGENT, *};
use crate::{
    clock::{Nanos, UnixMicros},
    logs::sink::Output,
    model::{Endpoint, LogDestination, Version},
};

fn log(format: LineFormat) -> AccessLog {
    let output = Output::open(&LogDestination::Stdout, None).unwrap();
    let sink = LogSink::start(output, 0, Arc::default()).unwrap();
    AccessLog::new(sink, format, "app/main/default")
}

fn line(format: LineFormat, record: &Record) -> String {
    let mut out = Vec::new();
    log(format).line(record, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    text.trim_end().to_owned()
}

fn ends(number: u128) -> Rc<ConnectionEnds> {
    Rc::new(ConnectionEnds::new("192.168.131.39:2817".parse().unwrap(), [10, 0, 0, 1].into(), number))
}

fn set_target(record: &mut Record, endpoint: &Endpoint) {
    record.set_target(endpoint, &endpoint.to_string());
}

const BEGAN: Nanos = Nanos(7_000_000_000);

/// So many microseconds later.
fn later(micros: u64) -> Option<Nanos> {
    Some(Nanos(BEGAN.0 + micros * 1000))
}

fn empty() -> Record {
    let created = UnixMicros(1_530_570_180_186_641);
    Record::new(created, BEGAN, ends(0))
}

fn full() -> Record {
    let mut record = Record {
        version: Some(Version::Http11),
        tls: Some(Rc::new(TlsFacts {
            cipher: "ECDHE-RSA-AES128-GCM-SHA256",
            key_exchange: "x25519",
            protocol: "TLSv1.2",
            server_name: Some("www.example.com".into()),
            certificate: Some("www".into()),
            resumed: false,
        })),
        sent: later(86_499),
        answered: later(134_999),
        responded: later(200_499),
        ended: later(2_000_000),
        elb_status: Some(200),
        target_status: Some(201),
        received_bytes: 34,
        sent_bytes: 57,
        target_group: "app".into(),
        rule_priority: Some(1),
        action: Some(Executed::Forward),
        error_reason: "AWSALBTGCookieInvalid",
        classification: ("Acceptable", "SpaceInUri"),
        ends: ends(0xdead),
        transform_status: "TransformSuccess",
        ..empty()
    };
    record.set_user_agent(b"curl/7.46.0");
    let sent = record.sent;
    set_target(&mut record, &Endpoint::Tcp("10.0.0.1:80".parse().unwrap()));
    record.sent = sent;
    for (text, bytes) in [
        (RecordText::Request, &b"GET https://www.example.com:443/a?b=1 HTTP/1.1"[..]),
        (RecordText::TraceId, b"Root=1-58337281-1d84f3d73c47ec4e58577259"),
        (RecordText::RedirectUrl, b"https://example.com:80/"),
        (RecordText::TransformedHost, b"b.example"),
        (RecordText::TransformedUri, b"/new"),
    ] {
        record.set(text, bytes);
    }
    record
}

#[test]
fn every_field_has_its_place_in_albs_line() {
    assert_eq!(
        line(LineFormat::Alb, &full()),
        "https 2018-07-02T22:23:00.387140Z app/main/default 192.168.131.39:2817 10.0.0.1:80 0.086 0.049 0.066 \
         200 201 34 57 \"GET https://www.example.com:443/a?b=1 HTTP/1.1\" \"curl/7.46.0\" \
         ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 app \"Root=1-58337281-1d84f3d73c47ec4e58577259\" \
         \"www.example.com\" \"www\" 1 2018-07-02T22:23:00.186641Z \"forward\" \"https://example.com:80/\" \
         \"AWSALBTGCookieInvalid\" \"10.0.0.1:80\" \"201\" \"Acceptable\" \"SpaceInUri\" \
         TID_0000000000000000000000000000dead \"b.example\" \"/new\" \"TransformSuccess\" 10.0.0.1"
    );
}

#[test]
fn what_is_not_known_is_a_dash_or_minus_one() {
    assert_eq!(
        line(LineFormat::Alb, &empty()),
        "http 2018-07-02T22:23:00.186641Z app/main/default 192.168.131.39:2817 - -1 -1 -1 - - 0 0 \"-\" \"-\" - - - \
         \"-\" \"-\" \"-\" - 2018-07-02T22:23:00.186641Z \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \
         TID_00000000000000000000000000000000 \"-\" \"-\" \"-\" 10.0.0.1"
    );
}

#[test]
fn json_has_the_same_fields_by_name() {
    let value: serde_json::Value = serde_json::from_str(&line(LineFormat::Json, &full())).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 34);
    for (name, wanted) in [
        ("type", serde_json::json!("https")),
        ("time", "2018-07-02T22:23:00.387140Z".into()),
        ("target:port", "10.0.0.1:80".into()),
        ("request_processing_time", 0.086_499.into()),
        ("elb_status_code", 200.into()),
        ("target_status_code_list", 201.into()),
        ("request", "GET https://www.example.com:443/a?b=1 HTTP/1.1".into()),
        ("chosen_cert_arn", "www".into()),
        ("matched_rule_priority", 1.into()),
        ("actions_executed", "forward".into()),
        ("ip_address", "10.0.0.1".into()),
    ] {
        assert_eq!(value[name], wanted, "{name}");
    }
    let value: serde_json::Value = serde_json::from_str(&line(LineFormat::Json, &empty())).unwrap();
    let nulls: Vec<_> = value.as_object().unwrap().iter().filter(|(_, value)| value.is_null()).collect();
    assert_eq!(nulls.len(), 25, "{nulls:?}");
}

#[test]
fn types_are_albs() {
    let tls = || Some(Rc::new(TlsFacts::default()));
    for (version, secure, is_grpc, is_tunnel, wanted) in [
        (None, false, false, false, "http"),
        (None, true, false, false, "https"),
        (Some(Version::Http10), false, false, false, "http"),
        (Some(Version::Http11), true, false, false, "https"),
        (Some(Version::Http2), true, false, false, "h2"),
        (Some(Version::Http2), true, true, false, "grpcs"),
        (Some(Version::Http11), false, false, true, "ws"),
        (Some(Version::Http2), true, false, true, "wss"),
    ] {
        let tls = if secure { tls() } else { None };
        let record = Record { version, tls, is_grpc, is_tunnel, ..empty() };
        assert_eq!(record.kind(), wanted);
    }
}

#[test]
fn a_resumed_session_was_shown_no_certificate() {
    let tls = TlsFacts { resumed: true, ..TlsFacts::default() };
    let record = Record { tls: Some(Rc::new(tls)), ..empty() };
    assert!(line(LineFormat::Alb, &record).contains(" \"session-reused\" "));
}

#[test]
fn the_time_of_a_tunnel_is_its_end() {
    let record = Record { is_tunnel: true, ..full() };
    assert!(line(LineFormat::Alb, &record).starts_with("wss 2018-07-02T22:23:02.186641Z "));
}

#[test]
fn what_lasts_long_is_told_in_seconds_too() {
    let record = Record { responded: later(1_037_134_999), ..full() };
    assert!(line(LineFormat::Alb, &record).contains(" 0.086 0.049 1037.000 200 "));
    assert!(line(LineFormat::Json, &record).contains(r#""response_processing_time":1037.000000,"elb"#));
}

#[test]
fn nothing_from_outside_breaks_a_line() {
    let mut record = full();
    record.set(RecordText::Request, b"GET http://a:80/\" \"x\r\nhttp HTTP/1.1");
    record.set_user_agent(&[b"\xff\"\n".to_vec(), b"u".repeat(20_000)].concat());
    let sent = record.sent;
    set_target(&mut record, &Endpoint::Unix(PathBuf::from("/run/a b")));
    record.sent = sent;
    let text = line(LineFormat::Alb, &record);
    assert!(text.contains(r#" "GET http://a:80/\x22 \x22x\x0D\x0Ahttp HTTP/1.1" "\xFF\x22\x0Auu"#), "{text}");
    assert!(text.contains(r" unix:/run/a\x20b 0.086 "), "{text}");
    assert!(text.contains(r#" "unix:/run/a b" "201" "#), "{text}");
    let agent = "u".repeat(MOST_USER_AGENT - 3);
    assert!(text.contains(&format!("{agent}\"")) && !text.contains(&format!("{agent}u")));
    let value: serde_json::Value = serde_json::from_str(&line(LineFormat::Json, &record)).unwrap();
    assert_eq!(value["request"], r"GET http://a:80/\x22 \x22x\x0D\x0Ahttp HTTP/1.1");
    assert_eq!(value["target:port"], "unix:/run/a b");
}

#[test]
fn a_renewed_record_is_a_new_one() {
    let mut record = full();
    let empty = empty();
    record.renew(empty.created, empty.began, Rc::clone(&empty.ends));
    assert_eq!(format!("{record:?}"), format!("{empty:?}"));
}
