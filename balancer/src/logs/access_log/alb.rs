//! A record as ALB writes it: 34 fields, separated by spaces, some in quotes.

use super::{
    escape::{bare, escape},
    record::Record,
    texts::RecordText,
};
use crate::{
    clock::Nanos,
    digits::{decimal, padded},
};

/// What stands between two fields of which the second has quotes, and behind that one.
const QUOTES: [&[u8]; 2] = [b" \"", b"\""];

/// The field that names a load balancer, with spaces around it.
pub(super) fn elb(load_balancer: &str) -> Vec<u8> {
    let mut out = vec![b' '];
    word(load_balancer.as_bytes(), &mut out);
    out.push(b' ');
    out
}

/// Appends the line; `elb` is from [`elb`].
pub(super) fn line(elb: &[u8], record: &Record, out: &mut Vec<u8>) {
    let is_plain = record.is_plain();
    let text = |text, out: &mut Vec<u8>| match record.text(text) {
        plain if is_plain => quoted(plain, out),
        odd => quoted_odd(odd, out),
    };
    out.extend_from_slice(record.kind().as_bytes());
    out.push(b' ');
    record.time().write(out);
    out.extend_from_slice(elb);
    out.extend_from_slice(record.ends.client.as_bytes());
    out.push(b' ');
    match record.text(RecordText::Target) {
        plain if is_plain && record.target_is_word() => word(plain, out),
        odd => odd_word(odd, out),
    }
    numbers(record, out);
    text(RecordText::Request, out);
    text(RecordText::UserAgent, out);
    let tls = record.tls.as_deref();
    match tls {
        Some(tls) => {
            out.push(b' ');
            word(tls.cipher.as_bytes(), out);
            out.push(b' ');
            word(tls.protocol.as_bytes(), out);
            out.push(b' ');
        }
        None => out.extend_from_slice(b" - - "),
    }
    word(record.target_group.as_bytes(), out);
    text(RecordText::TraceId, out);
    match tls {
        Some(tls) => {
            quoted(tls.server_name.as_deref().unwrap_or_default().as_bytes(), out);
            quoted(record.certificate().as_bytes(), out);
            out.push(b' ');
        }
        None => out.extend_from_slice(br#" "-" "-" "#),
    }
    number(record.rule_priority, out);
    out.push(b' ');
    record.created.write(out);
    quoted(record.actions().as_bytes(), out);
    if record.error_reason.is_empty() && record.text(RecordText::RedirectUrl).is_empty() {
        out.extend_from_slice(br#" "-" "-""#);
    } else {
        text(RecordText::RedirectUrl, out);
        quoted(record.error_reason.as_bytes(), out);
    }
    text(RecordText::Target, out);
    end(record, is_plain, out);
}

/// From the first time to the last count of bytes.
fn numbers(record: &Record, out: &mut Vec<u8>) {
    let times = [record.request_time(), record.target_time(), record.response_time()];
    let statuses = [record.elb_status, record.target_status];
    match usual_numbers(times, statuses) {
        Some(usual) => out.extend_from_slice(&usual),
        None => {
            times.into_iter().for_each(|span| seconds(span, out));
            for status in statuses {
                out.push(b' ');
                number(status, out);
            }
        }
    }
    for bytes in [record.received_bytes, record.sent_bytes] {
        out.push(b' ');
        decimal(bytes, out);
    }
}

/// What nearly all requests have, in one piece: three times below a second and two statuses.
#[inline]
fn usual_numbers(times: [Option<Nanos>; 3], statuses: [Option<u16>; 2]) -> Option<[u8; 26]> {
    let ([Some(first), Some(second), Some(third)], [Some(own), Some(of_target)]) = (times, statuses) else {
        return None;
    };
    let all = [first, second, third].map(millis);
    let are_usual =
        all.iter().all(|millis| *millis < 1000) && [own, of_target].iter().all(|it| (100..1000).contains(it));
    if !are_usual {
        return None;
    }
    let [[a, b, c], [d, e, f], [g, h, i]] = all.map(padded::<3>);
    let [[j, k, l], [m, n, o]] = [own, of_target].map(|status| padded::<3>(u64::from(status)));
    let (s, z, p) = (b' ', b'0', b'.');
    Some([s, z, p, a, b, c, s, z, p, d, e, f, s, z, p, g, h, i, s, j, k, l, s, m, n, o])
}

/// The last fields, from the status that the target answered with. Most requests have nothing in most of these.
fn end(record: &Record, is_plain: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b" \"");
    number(record.target_status, out);
    match record.classification {
        ("", "") => out.extend_from_slice(br#"" "-" "-" "#),
        (class, reason) => {
            out.push(b'"');
            quoted(class.as_bytes(), out);
            quoted(reason.as_bytes(), out);
            out.push(b' ');
        }
    }
    out.extend_from_slice(record.ends.name.as_bytes());
    if record.transform_status.is_empty() {
        out.extend_from_slice(br#" "-" "-" "-" "#);
    } else {
        for text in [RecordText::TransformedHost, RecordText::TransformedUri] {
            match record.text(text) {
                plain if is_plain => quoted(plain, out),
                odd => quoted_odd(odd, out),
            }
        }
        quoted(record.transform_status.as_bytes(), out);
        out.push(b' ');
    }
    out.extend_from_slice(record.ends.node.as_bytes());
    out.push(b'\n');
}

#[inline]
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        return out.extend_from_slice(b" \"-\"");
    }
    let [before, behind] = QUOTES;
    out.extend_from_slice(before);
    out.extend_from_slice(text);
    out.extend_from_slice(behind);
}

/// A text that may have something to be escaped.
#[cold]
#[inline(never)]
fn quoted_odd(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() {
        return quoted(text, out);
    }
    let [before, behind] = QUOTES;
    out.extend_from_slice(before);
    escape(text, out);
    out.extend_from_slice(behind);
}

/// A field without quotes, of nothing that could end it.
#[inline]
fn word(word: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(if word.is_empty() { b"-" } else { word });
}

/// A field without quotes.
#[cold]
#[inline(never)]
fn odd_word(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() { word(text, out) } else { bare(text, out) }
}

#[inline]
fn number(number: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    match number {
        Some(number) => decimal(number, out),
        None => out.push(b'-'),
    }
}

/// Rounded, as times are told.
#[inline]
fn millis(span: Nanos) -> u64 {
    span.micros().saturating_add(500) / 1000
}

/// With milliseconds, and a space before; -1 for what did not happen.
fn seconds(span: Option<Nanos>, out: &mut Vec<u8>) {
    let Some(span) = span else { return out.extend_from_slice(b" -1") };
    let millis = millis(span);
    let [a, b, c] = padded(millis % 1000);
    out.push(b' ');
    decimal(millis / 1000, out);
    out.extend_from_slice(&[b'.', a, b, c]);
}
