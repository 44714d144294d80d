//! Lines put together in the simplest way, field by field, which those of the log have to equal byte by byte.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

/// A line's fields in order: name, text with what has to be escaped escaped as ALB does, whether it is a number.
type Field = (&'static str, String, bool);

fn escaped(text: &[u8]) -> String {
    let letter = |byte: &u8| match byte {
        b'"' | b'\\' | 0..=31 | 127.. => format!("\\x{byte:02X}"),
        plain => char::from(*plain).to_string(),
    };
    text.iter().map(letter).collect()
}

fn number(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn span(from: Option<Nanos>, to: Option<Nanos>) -> String {
    let micros = |from: Nanos, to: Nanos| to.0.saturating_sub(from.0) / 1000;
    from.zip(to).map(|(from, to)| micros(from, to).to_string()).unwrap_or_default()
}

fn fields(record: &Record) -> Vec<Field> {
    let text = |text| escaped(record.text(text));
    let tls = record.tls.as_deref();
    let server_name = tls.and_then(|tls| tls.server_name.clone()).unwrap_or_default();
    let (class, reason) = record.classification;
    vec![
        ("type", record.kind().into(), false),
        ("time", record.time().to_string(), false),
        ("elb", "app/main/default".into(), false),
        ("client:port", record.ends.client.to_string(), false),
        ("target:port", text(RecordText::Target), false),
        ("request_processing_time", span(Some(record.began), record.sent), true),
        ("target_processing_time", span(record.sent, record.answered), true),
        ("response_processing_time", span(record.answered, record.responded), true),
        ("elb_status_code", number(record.elb_status), true),
        ("target_status_code", number(record.target_status), true),
        ("received_bytes", number(Some(record.received_bytes)), true),
        ("sent_bytes", number(Some(record.sent_bytes)), true),
        ("request", text(RecordText::Request), false),
        ("user_agent", text(RecordText::UserAgent), false),
        ("ssl_cipher", tls.map(|tls| tls.cipher.to_owned()).unwrap_or_default(), false),
        ("ssl_protocol", tls.map(|tls| tls.protocol.to_owned()).unwrap_or_default(), false),
        ("target_group_arn", record.target_group.clone(), false),
        ("trace_id", text(RecordText::TraceId), false),
        ("domain_name", server_name, false),
        ("chosen_cert_arn", record.certificate().to_owned(), false),
        ("matched_rule_priority", number(record.rule_priority), true),
        ("request_creation_time", record.created.to_string(), false),
        ("actions_executed", record.actions().into(), false),
        ("redirect_url", text(RecordText::RedirectUrl), false),
        ("error_reason", record.error_reason.into(), false),
        ("target:port_list", text(RecordText::Target), false),
        ("target_status_code_list", number(record.target_status), true),
        ("classification", class.into(), false),
        ("classification_reason", reason.into(), false),
        ("conn_trace_id", record.ends.name.to_string(), false),
        ("transformed_host", text(RecordText::TransformedHost), false),
        ("transformed_uri", text(RecordText::TransformedUri), false),
        ("request_transform_status", record.transform_status.into(), false),
        ("ip_address", record.ends.node.to_string(), false),
    ]
}

/// Of microseconds, with so many decimals, halves rounded up.
fn seconds(micros: &str, decimals: usize) -> String {
    let unit = 10_u64.pow(6 - u32::try_from(decimals).unwrap());
    let rounded = (micros.parse::<u64>().unwrap() + unit / 2) / unit;
    let whole = 10_u64.pow(u32::try_from(decimals).unwrap());
    format!("{}.{:0decimals$}", rounded / whole, rounded % whole)
}

fn alb(record: &Record) -> String {
    const QUOTED: [&str; 14] = [
        "request",
        "user_agent",
        "trace_id",
        "domain_name",
        "chosen_cert_arn",
        "actions_executed",
        "redirect_url",
        "error_reason",
        "target:port_list",
        "target_status_code_list",
        "classification",
        "classification_reason",
        "transformed_host",
        "transformed_uri",
    ];
    let field = |(name, text, _): Field| match name {
        name if name.ends_with("_processing_time") && text.is_empty() => "-1".to_owned(),
        name if name.ends_with("_processing_time") => seconds(&text, 3),
        name if QUOTED.contains(&name) || name == "request_transform_status" => {
            format!("\"{}\"", if text.is_empty() { "-" } else { &text })
        }
        _ if text.is_empty() => "-".to_owned(),
        _ => text.replace(' ', "\\x20"),
    };
    fields(record).into_iter().map(field).collect::<Vec<_>>().join(" ")
}

fn json(record: &Record) -> String {
    let field = |(name, text, is_number): Field| match (text.is_empty(), is_number) {
        (true, _) => format!("\"{name}\":null"),
        (false, true) if name.ends_with("_processing_time") => format!("\"{name}\":{}", seconds(&text, 6)),
        (false, true) => format!("\"{name}\":{text}"),
        (false, false) => format!("\"{name}\":{}", serde_json::Value::from(text)),
    };
    format!("{{{}}}", fields(record).into_iter().map(field).collect::<Vec<_>>().join(","))
}

/// Nothing, text as most requests have it, or any bytes.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        "[ -~&&[^\"\\\\]]{1,70}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
    ]
}

fn endpoint() -> impl Strategy<Value = Option<Endpoint>> {
    let tcp = any::<std::net::SocketAddr>().prop_map(Endpoint::Tcp);
    let unix = "/[ -~é]{1,20}".prop_map(|path| Endpoint::Unix(path.into()));
    option::of(prop_oneof![tcp, unix])
}

fn tls() -> impl Strategy<Value = Option<Rc<TlsFacts>>> {
    let facts = (any::<bool>(), any::<bool>(), option::of(text()), option::of("[a-z0-9-]{1,9}"));
    option::of(facts.prop_map(|(known, resumed, name, certificate)| {
        Rc::new(TlsFacts {
            cipher: if known { "TLS_AES_128_GCM_SHA256" } else { "" },
            key_exchange: "",
            protocol: if known { "TLSv1.3" } else { "" },
            server_name: name.map(|name| escaped(&name)),
            certificate: certificate.map(Into::into),
            resumed,
        })
    }))
}

/// Any time until some minutes after the beginning, and seldom long after it.
fn time() -> impl Strategy<Value = Option<Nanos>> {
    option::of(prop_oneof![0..1_000_000_000_u64, 0..500_000_000_000_u64, any::<u64>()].prop_map(Nanos))
}

prop_compose! {
    fn record()(
        (created, began, version, tls) in (0..4_000_000_000_000_000_u64, 0..100_000_000_u64, 0..4_usize, tls()),
        times in [time(), time(), time(), time()],
        numbers in (option::of(any::<u16>()), option::of(any::<u16>()), any::<u64>(), any::<u64>(), option::of(any::<i32>())),
        (request, agent, trace, redirect) in (text(), text(), text(), text()),
        (endpoint, rewritten) in (endpoint(), option::of((text(), text()))),
        flags in any::<[bool; 3]>(),
        (peer, node, number) in (any::<std::net::SocketAddr>(), any::<std::net::IpAddr>(), any::<u128>()),
        action in option::of(select(vec![Executed::Forward, Executed::Redirect, Executed::FixedResponse])),
        group in "[a-z0-9-]{0,32}",
    ) -> Record {
        let ends = Rc::new(ConnectionEnds::new(peer, node, number));
        let mut record = Record::new(UnixMicros(created), Nanos(began), ends);
        if let Some(endpoint) = &endpoint {
            super::set_target(&mut record, endpoint);
        }
        [record.sent, record.answered, record.responded, record.ended] = times;
        record.version = [None, Some(Version::Http10), Some(Version::Http11), Some(Version::Http2)][version];
        [record.is_grpc, record.is_tunnel, record.is_rewritten] = flags;
        record.tls = tls;
        (record.elb_status, record.target_status, record.received_bytes, record.sent_bytes, record.rule_priority) = numbers;
        record.action = action;
        record.target_group = group;
        record.set(RecordText::Request, &request);
        record.set_user_agent(&agent);
        record.set(RecordText::TraceId, &trace);
        record.set(RecordText::RedirectUrl, &redirect);
        if flags[0] {
            record.error_reason = "TargetConnectionError";
            record.classification = ("Ambiguous", "UndefinedTransferEncodingSemantics");
        }
        if let Some((host, uri)) = rewritten {
            record.set(RecordText::TransformedHost, &host);
            record.set(RecordText::TransformedUri, &uri);
            record.transform_status = "TransformSuccess";
        }
        record
    }
}

proptest! {
    #[test]
    fn lines_are_those_of_the_simplest_way(record in record()) {
        prop_assert_eq!(line(LineFormat::Alb, &record), alb(&record));
        prop_assert_eq!(line(LineFormat::Json, &record), json(&record));
    }
}
