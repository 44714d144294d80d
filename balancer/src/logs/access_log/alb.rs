//! A record as ALB writes it: 34 fields, separated by spaces, some in quotes.

use std::time::Duration;

use super::{escape::bare, record::Record};
use crate::digits::{decimal, padded};

/// Appends the line.
pub(super) fn line(load_balancer: &str, record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(record.kind().as_bytes());
    out.push(b' ');
    record.time().write(out);
    out.push(b' ');
    bare(load_balancer.as_bytes(), out);
    out.push(b' ');
    out.extend_from_slice(record.ends.client.as_bytes());
    out.push(b' ');
    bare(&record.target, out);
    for span in [record.request_time, record.target_time, record.response_time] {
        out.push(b' ');
        seconds(span, out);
    }
    for status in [record.elb_status, record.target_status] {
        out.push(b' ');
        number(status, out);
    }
    for bytes in [record.received_bytes, record.sent_bytes] {
        out.push(b' ');
        decimal(bytes, out);
    }
    quoted(&record.request, out);
    quoted(&record.user_agent, out);
    let tls = record.tls.as_deref();
    match tls {
        Some(tls) => [tls.cipher, tls.protocol].into_iter().for_each(|text| {
            out.push(b' ');
            bare(text.as_bytes(), out);
        }),
        None => out.extend_from_slice(b" - -"),
    }
    out.push(b' ');
    bare(record.target_group.as_bytes(), out);
    quoted(&record.trace_id, out);
    let server_name = tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or_default();
    seldom([server_name.as_bytes(), record.certificate().as_bytes()], br#" "-" "-""#, out);
    out.push(b' ');
    number(record.rule_priority, out);
    out.push(b' ');
    record.created.write(out);
    quoted(record.actions().as_bytes(), out);
    seldom([&record.redirect_url, record.error_reason.as_bytes()], br#" "-" "-""#, out);
    quoted(&record.target, out);
    out.extend_from_slice(b" \"");
    number(record.target_status, out);
    out.push(b'"');
    let (class, reason) = record.classification;
    seldom([class.as_bytes(), reason.as_bytes()], br#" "-" "-""#, out);
    out.push(b' ');
    out.extend_from_slice(record.ends.name.as_bytes());
    let status = record.transform_status.as_bytes();
    seldom([&record.transformed_host, &record.transformed_uri, status], br#" "-" "-" "-""#, out);
    out.push(b' ');
    out.extend_from_slice(record.ends.node.as_bytes());
    out.push(b'\n');
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        return out.extend_from_slice(b" \"-\"");
    }
    out.extend_from_slice(b" \"");
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Fields of which most requests have none.
fn seldom<const N: usize>(texts: [&[u8]; N], none: &[u8], out: &mut Vec<u8>) {
    if texts.iter().all(|text| text.is_empty()) {
        return out.extend_from_slice(none);
    }
    texts.into_iter().for_each(|text| quoted(text, out));
}

fn number(number: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    match number {
        Some(number) => decimal(number, out),
        None => out.push(b'-'),
    }
}

/// With milliseconds; -1 for what did not happen.
fn seconds(span: Option<Duration>, out: &mut Vec<u8>) {
    let Some(span) = span else { return out.extend_from_slice(b"-1") };
    let span = span.saturating_add(Duration::from_micros(500));
    decimal(span.as_secs(), out);
    out.push(b'.');
    out.extend_from_slice(&padded::<3>(u64::from(span.subsec_millis())));
}
