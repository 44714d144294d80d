//! A record as ALB writes it: 34 fields, separated by spaces, some in quotes.

use std::{io::Write, time::Duration};

use super::{escape::bare, record::Record};

/// Appends the line.
pub(super) fn line(load_balancer: &str, record: &Record, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{} {} ", record.kind(), record.time());
    bare(load_balancer.as_bytes(), out);
    let _ = write!(out, " {} ", record.client);
    bare(&record.target, out);
    for span in [record.request_time, record.target_time, record.response_time] {
        out.push(b' ');
        seconds(span, out);
    }
    for status in [record.elb_status, record.target_status] {
        out.push(b' ');
        code(status, out);
    }
    let _ = write!(out, " {} {}", record.received_bytes, record.sent_bytes);
    quoted(&record.request, out);
    quoted(&record.user_agent, out);
    let tls = record.tls.as_deref();
    for text in [tls.map_or("", |tls| tls.cipher), tls.map_or("", |tls| tls.protocol), &record.target_group] {
        out.push(b' ');
        bare(text.as_bytes(), out);
    }
    quoted(&record.trace_id, out);
    quoted(tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or_default().as_bytes(), out);
    quoted(record.certificate().as_bytes(), out);
    let _ = match record.rule_priority {
        Some(priority) => write!(out, " {priority} {}", record.created),
        None => write!(out, " - {}", record.created),
    };
    quoted(record.actions().as_bytes(), out);
    quoted(&record.redirect_url, out);
    quoted(record.error_reason.as_bytes(), out);
    quoted(&record.target, out);
    out.extend_from_slice(b" \"");
    code(record.target_status, out);
    out.push(b'"');
    quoted(record.classification.0.as_bytes(), out);
    quoted(record.classification.1.as_bytes(), out);
    let _ = write!(out, " TID_{:032x}", record.connection);
    quoted(&record.transformed_host, out);
    quoted(&record.transformed_uri, out);
    quoted(record.transform_status.as_bytes(), out);
    let _ = writeln!(out, " {}", record.node);
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b" \"");
    out.extend_from_slice(if text.is_empty() { b"-" } else { text });
    out.push(b'"');
}

fn code(status: Option<u16>, out: &mut Vec<u8>) {
    let _ = match status {
        Some(status) => write!(out, "{status}"),
        None => write!(out, "-"),
    };
}

/// With milliseconds; -1 for what did not happen.
fn seconds(span: Option<Duration>, out: &mut Vec<u8>) {
    let Some(span) = span else { return out.extend_from_slice(b"-1") };
    let millis = (span.as_micros() + 500) / 1000;
    let _ = write!(out, "{}.{:03}", millis / 1000, millis % 1000);
}
