use std::{rc::Rc, time::Duration};

use super::{record::MOST_USER_AGENT, *};
use crate::{clock::UnixMicros, model::Version};

use crate::{logs::sink::Output, model::LogDestination};

fn log(format: LineFormat) -> AccessLog {
    let output = Output::open(&LogDestination::Stdout, None).unwrap();
    let sink = LogSink::start(output, 0, Arc::default()).unwrap();
    AccessLog { sink, format, load_balancer: "app/main/default".into() }
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

fn empty() -> Record {
    let created = UnixMicros(1_530_570_180_186_641);
    Record::new(created, ends(0))
}

fn full() -> Record {
    let mut record = Record {
        version: Some(Version::Http11),
        tls: Some(Rc::new(TlsFacts {
            cipher: "ECDHE-RSA-AES128-GCM-SHA256",
            protocol: "TLSv1.2",
            server_name: Some("www.example.com".into()),
            certificate: Some("www".into()),
            resumed: false,
        })),
        request: b"GET https://www.example.com:443/a?b=1 HTTP/1.1".to_vec(),
        target: b"10.0.0.1:80".to_vec(),
        request_time: Some(Duration::from_micros(86_499)),
        target_time: Some(Duration::from_micros(48_500)),
        response_time: Some(Duration::from_secs(1037)),
        answered_after: Some(Duration::from_millis(200)),
        whole_time: Duration::from_secs(2),
        elb_status: Some(200),
        target_status: Some(201),
        received_bytes: 34,
        sent_bytes: 57,
        target_group: "app".into(),
        trace_id: b"Root=1-58337281-1d84f3d73c47ec4e58577259".to_vec(),
        rule_priority: Some(1),
        action: Some(Executed::Forward),
        redirect_url: b"https://example.com:80/".to_vec(),
        error_reason: "AWSALBTGCookieInvalid",
        classification: ("Acceptable", "SpaceInUri"),
        ends: ends(0xdead),
        transformed_host: b"b.example".to_vec(),
        transformed_uri: b"/new".to_vec(),
        transform_status: "TransformSuccess",
        ..empty()
    };
    record.set_user_agent(b"curl/7.46.0");
    record
}

#[test]
fn every_field_has_its_place_in_albs_line() {
    assert_eq!(
        line(LineFormat::Alb, &full()),
        "https 2018-07-02T22:23:00.386641Z app/main/default 192.168.131.39:2817 10.0.0.1:80 0.086 0.049 1037.000 \
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
        ("time", "2018-07-02T22:23:00.386641Z".into()),
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
fn nothing_from_outside_breaks_a_line() {
    let mut record = full();
    record.request.clear();
    escape(b"GET http://a:80/\" \"x\r\nhttp HTTP/1.1", &mut record.request);
    record.set_user_agent(&[b"\xff\"\n".to_vec(), b"u".repeat(20_000)].concat());
    record.target = br"unix:/run/a b".to_vec();
    let text = line(LineFormat::Alb, &record);
    assert!(text.contains(r#" "GET http://a:80/\x22 \x22x\x0D\x0Ahttp HTTP/1.1" "\xFF\x22\x0Auu"#), "{text}");
    assert!(text.contains(r" unix:/run/a\x20b 0.086 "), "{text}");
    assert_eq!(text.matches('u').count(), full_u() + MOST_USER_AGENT - 3);
    let value: serde_json::Value = serde_json::from_str(&line(LineFormat::Json, &record)).unwrap();
    assert_eq!(value["request"], r"GET http://a:80/\x22 \x22x\x0D\x0Ahttp HTTP/1.1");
}

/// How often the letter is elsewhere in the line of that test.
fn full_u() -> usize {
    let mut record = full();
    record.request.clear();
    record.user_agent.clear();
    record.target = br"unix:/run/a b".to_vec();
    line(LineFormat::Alb, &record).matches('u').count()
}

#[test]
fn a_renewed_record_is_a_new_one() {
    let mut record = full();
    let empty = empty();
    record.renew(empty.created, Rc::clone(&empty.ends));
    assert_eq!(format!("{record:?}"), format!("{empty:?}"));
}
