//! A record as one JSON object a line. Names are those of ALB's fields; a field that ALB would write `-` is null,
//! and so is a time of -1; text is escaped as in ALB's form.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use super::record::Record;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    elb: &'a str,
    #[serde(rename = "client:port")]
    client: String,
    #[serde(rename = "target:port")]
    target: Option<Cow<'a, str>>,
    request_processing_time: Option<f64>,
    target_processing_time: Option<f64>,
    response_processing_time: Option<f64>,
    elb_status_code: Option<u16>,
    target_status_code: Option<u16>,
    received_bytes: u64,
    sent_bytes: u64,
    request: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    ssl_cipher: Option<&'a str>,
    ssl_protocol: Option<&'a str>,
    target_group_arn: Option<&'a str>,
    trace_id: Option<Cow<'a, str>>,
    domain_name: Option<&'a str>,
    chosen_cert_arn: Option<&'a str>,
    matched_rule_priority: Option<i32>,
    request_creation_time: String,
    actions_executed: Option<&'static str>,
    redirect_url: Option<Cow<'a, str>>,
    error_reason: Option<&'static str>,
    #[serde(rename = "target:port_list")]
    target_list: Option<Cow<'a, str>>,
    target_status_code_list: Option<u16>,
    classification: Option<&'static str>,
    classification_reason: Option<&'static str>,
    conn_trace_id: String,
    transformed_host: Option<Cow<'a, str>>,
    transformed_uri: Option<Cow<'a, str>>,
    request_transform_status: Option<&'static str>,
    ip_address: String,
}

/// Appends the line.
pub(super) fn line(load_balancer: &str, record: &Record, out: &mut Vec<u8>) {
    let tls = record.tls.as_deref();
    let line = Line {
        kind: record.kind(),
        time: record.time().to_string(),
        elb: load_balancer,
        client: record.client.to_string(),
        target: bytes(&record.target),
        request_processing_time: record.request_time.map(seconds),
        target_processing_time: record.target_time.map(seconds),
        response_processing_time: record.response_time.map(seconds),
        elb_status_code: record.elb_status,
        target_status_code: record.target_status,
        received_bytes: record.received_bytes,
        sent_bytes: record.sent_bytes,
        request: bytes(&record.request),
        user_agent: bytes(&record.user_agent),
        ssl_cipher: tls.map(|tls| tls.cipher),
        ssl_protocol: tls.map(|tls| tls.protocol),
        target_group_arn: text(&record.target_group),
        trace_id: bytes(&record.trace_id),
        domain_name: tls.and_then(|tls| tls.server_name.as_deref()),
        chosen_cert_arn: text(record.certificate()),
        matched_rule_priority: record.rule_priority,
        request_creation_time: record.created.to_string(),
        actions_executed: text(record.actions()),
        redirect_url: bytes(&record.redirect_url),
        error_reason: text(record.error_reason),
        target_list: bytes(&record.target),
        target_status_code_list: record.target_status,
        classification: text(record.classification.0),
        classification_reason: text(record.classification.1),
        conn_trace_id: format!("TID_{:032x}", record.connection),
        transformed_host: bytes(&record.transformed_host),
        transformed_uri: bytes(&record.transformed_uri),
        request_transform_status: text(record.transform_status),
        ip_address: record.node.to_string(),
    };
    let before = out.len();
    if serde_json::to_writer(&mut *out, &line).is_err() {
        // Nothing in a line can fail to be written; half a line must not stay.
        out.truncate(before);
        out.extend_from_slice(b"{}");
    }
    out.push(b'\n');
}

fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn bytes(text: &[u8]) -> Option<Cow<'_, str>> {
    Some(String::from_utf8_lossy(text)).filter(|text| !text.is_empty())
}

/// To the microsecond: a reader of JSON needs no fixed width.
fn seconds(span: Duration) -> f64 {
    // Micros fit a double exactly up to 285 years.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    let micros = span.as_micros() as f64;
    micros / 1e6
}
