//! A record as one JSON object a line. Names are those of ALB's fields; a field that ALB would write `-` is null,
//! and so is a time of -1; text is escaped as in ALB's form.

use super::{
    escape::{are_plain, escape},
    record::Record,
    texts::RecordText,
};
use crate::{
    clock::Nanos,
    digits::{decimal, padded},
};

/// The value that names a load balancer.
pub(super) fn elb(load_balancer: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Line { out: &mut out, is_plain: true }.name("\"", load_balancer);
    out
}

/// Appends the line; `elb` is from [`elb`].
pub(super) fn line(elb: &[u8], record: &Record, out: &mut Vec<u8>) {
    let tls = record.tls.as_deref();
    let mut line = Line { out, is_plain: record.is_plain() };
    line.word(r#"{"type":""#, record.kind());
    line.out.extend_from_slice(br#","time":""#);
    record.time().write(line.out);
    line.out.extend_from_slice(br#"","elb":"#);
    line.out.extend_from_slice(elb);
    line.word(r#","client:port":""#, &record.ends.client);
    line.text(r#","target:port":""#, record.text(RecordText::Target));
    line.seconds(r#","request_processing_time":"#, record.request_time());
    line.seconds(r#","target_processing_time":"#, record.target_time());
    line.seconds(r#","response_processing_time":"#, record.response_time());
    line.number(r#","elb_status_code":"#, record.elb_status);
    line.number(r#","target_status_code":"#, record.target_status);
    line.number(r#","received_bytes":"#, Some(record.received_bytes));
    line.number(r#","sent_bytes":"#, Some(record.sent_bytes));
    line.text(r#","request":""#, record.text(RecordText::Request));
    line.text(r#","user_agent":""#, record.text(RecordText::UserAgent));
    match tls {
        None => line.out.extend_from_slice(br#","ssl_cipher":null,"ssl_protocol":null"#),
        Some(tls) => {
            line.word(r#","ssl_cipher":""#, tls.cipher);
            line.word(r#","ssl_protocol":""#, tls.protocol);
        }
    }
    line.word(r#","target_group_arn":""#, &record.target_group);
    line.text(r#","trace_id":""#, record.text(RecordText::TraceId));
    match tls {
        None => line.out.extend_from_slice(br#","domain_name":null,"chosen_cert_arn":null"#),
        Some(tls) => {
            line.name(r#","domain_name":""#, tls.server_name.as_deref().unwrap_or_default());
            line.name(r#","chosen_cert_arn":""#, record.certificate());
        }
    }
    line.number(r#","matched_rule_priority":"#, record.rule_priority);
    line.out.extend_from_slice(br#","request_creation_time":""#);
    record.created.write(line.out);
    line.out.push(b'"');
    line.word(r#","actions_executed":""#, record.actions());
    line.text(r#","redirect_url":""#, record.text(RecordText::RedirectUrl));
    line.word(r#","error_reason":""#, record.error_reason);
    line.text(r#","target:port_list":""#, record.text(RecordText::Target));
    line.number(r#","target_status_code_list":"#, record.target_status);
    line.end(record);
}

/// An object that is being written. What stands before a value comes along with it: comma, name, colon, and the quote
/// where it is a string.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// Whether the request's texts have nothing to be escaped.
    is_plain: bool,
}

impl Line<'_> {
    /// The last fields. Most requests have nothing in most of these.
    fn end(&mut self, record: &Record) {
        match record.classification {
            ("", "") => self.out.extend_from_slice(br#","classification":null,"classification_reason":null"#),
            (class, reason) => {
                self.word(r#","classification":""#, class);
                self.word(r#","classification_reason":""#, reason);
            }
        }
        self.word(r#","conn_trace_id":""#, &record.ends.name);
        if record.transform_status.is_empty() {
            self.out.extend_from_slice(
                br#","transformed_host":null,"transformed_uri":null,"request_transform_status":null"#,
            );
        } else {
            self.text(r#","transformed_host":""#, record.text(RecordText::TransformedHost));
            self.text(r#","transformed_uri":""#, record.text(RecordText::TransformedUri));
            self.word(r#","request_transform_status":""#, record.transform_status);
        }
        self.word(r#","ip_address":""#, &record.ends.node);
        self.out.extend_from_slice(b"}\n");
    }

    /// A word that has nothing to be escaped; null where it is empty.
    #[inline]
    fn word(&mut self, before: &str, word: &str) {
        self.plain(before, word.as_bytes());
    }

    #[inline]
    fn plain(&mut self, before: &str, text: &[u8]) {
        if text.is_empty() {
            return self.null(before);
        }
        self.out.extend_from_slice(before.as_bytes());
        self.out.extend_from_slice(text);
        self.out.push(b'"');
    }

    /// A text of the request; null where it is empty.
    #[inline]
    fn text(&mut self, before: &str, text: &[u8]) {
        if self.is_plain {
            return self.plain(before, text);
        }
        let mut escaped = Vec::new();
        escape(text, &mut escaped);
        self.odd(before, &escaped);
    }

    /// A name that may have something to be escaped as JSON escapes it.
    fn name(&mut self, before: &str, name: &str) {
        if are_plain(name.as_bytes()) { self.word(before, name) } else { self.odd(before, name.as_bytes()) }
    }

    #[cold]
    #[inline(never)]
    fn odd(&mut self, before: &str, text: &[u8]) {
        if text.is_empty() {
            return self.null(before);
        }
        self.out.extend_from_slice(before.trim_end_matches('"').as_bytes());
        // Writing a string to a vector does not fail.
        let _ = serde_json::to_writer(&mut *self.out, &String::from_utf8_lossy(text));
    }

    #[inline]
    fn null(&mut self, before: &str) {
        self.out.extend_from_slice(before.strip_suffix('"').unwrap_or(before).as_bytes());
        self.out.extend_from_slice(b"null");
    }

    #[inline]
    fn number(&mut self, before: &str, number: Option<impl itoa::Integer>) {
        let Some(number) = number else { return self.null(before) };
        self.out.extend_from_slice(before.as_bytes());
        decimal(number, self.out);
    }

    /// To the microsecond.
    fn seconds(&mut self, before: &str, span: Option<Nanos>) {
        let Some(span) = span else { return self.null(before) };
        self.out.extend_from_slice(before.as_bytes());
        let (seconds, micros) = (span.micros() / 1_000_000, span.micros() % 1_000_000);
        let [a, b, c, d, e, f] = padded(micros);
        match seconds {
            // Most requests.
            0 => self.out.extend_from_slice(&[b'0', b'.', a, b, c, d, e, f]),
            _ => {
                decimal(seconds, self.out);
                self.out.extend_from_slice(&[b'.', a, b, c, d, e, f]);
            }
        }
    }
}
