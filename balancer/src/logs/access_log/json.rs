//! A record as one JSON object a line. Names are those of ALB's fields; a field that ALB would write `-` is null,
//! and so is a time of -1; text is escaped as in ALB's form.

use std::time::Duration;

use super::{escape::are_plain, record::Record};
use crate::digits::{decimal, padded};

/// Appends the line.
pub(super) fn line(load_balancer: &str, record: &Record, out: &mut Vec<u8>) {
    let tls = record.tls.as_deref();
    out.extend_from_slice(b"{\"type\":");
    let mut line = Line(out);
    line.word("", record.kind());
    line.plain(r#","time":"#, |out| record.time().write(out));
    line.text(r#","elb":"#, load_balancer.as_bytes());
    line.word(r#","client:port":"#, &record.ends.client);
    line.text(r#","target:port":"#, &record.target);
    line.seconds(r#","request_processing_time":"#, record.request_time);
    line.seconds(r#","target_processing_time":"#, record.target_time);
    line.seconds(r#","response_processing_time":"#, record.response_time);
    line.number(r#","elb_status_code":"#, record.elb_status);
    line.number(r#","target_status_code":"#, record.target_status);
    line.number(r#","received_bytes":"#, Some(record.received_bytes));
    line.number(r#","sent_bytes":"#, Some(record.sent_bytes));
    line.text(r#","request":"#, &record.request);
    line.text(r#","user_agent":"#, &record.user_agent);
    line.word(r#","ssl_cipher":"#, tls.map_or("", |tls| tls.cipher));
    line.word(r#","ssl_protocol":"#, tls.map_or("", |tls| tls.protocol));
    line.text(r#","target_group_arn":"#, record.target_group.as_bytes());
    line.text(r#","trace_id":"#, &record.trace_id);
    let server_name = tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or_default();
    line.text(r#","domain_name":"#, server_name.as_bytes());
    line.text(r#","chosen_cert_arn":"#, record.certificate().as_bytes());
    line.number(r#","matched_rule_priority":"#, record.rule_priority);
    line.plain(r#","request_creation_time":"#, |out| record.created.write(out));
    line.word(r#","actions_executed":"#, record.actions());
    line.text(r#","redirect_url":"#, &record.redirect_url);
    line.word(r#","error_reason":"#, record.error_reason);
    line.text(r#","target:port_list":"#, &record.target);
    line.number(r#","target_status_code_list":"#, record.target_status);
    line.word(r#","classification":"#, record.classification.0);
    line.word(r#","classification_reason":"#, record.classification.1);
    line.word(r#","conn_trace_id":"#, &record.ends.name);
    line.text(r#","transformed_host":"#, &record.transformed_host);
    line.text(r#","transformed_uri":"#, &record.transformed_uri);
    line.word(r#","request_transform_status":"#, record.transform_status);
    line.word(r#","ip_address":"#, &record.ends.node);
    out.extend_from_slice(b"}\n");
}

/// An object that is being written. What stands before a value comes along with it: comma, name, colon.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    /// A string that has nothing to be escaped.
    fn plain(&mut self, before: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.extend_from_slice(before.as_bytes());
        self.0.push(b'"');
        write(self.0);
        self.0.push(b'"');
    }

    /// A word that has nothing to be escaped; null where it is empty.
    fn word(&mut self, before: &str, word: &str) {
        if word.is_empty() {
            self.null(before);
        } else {
            self.plain(before, |out| out.extend_from_slice(word.as_bytes()));
        }
    }

    /// A string; null where it is empty.
    fn text(&mut self, before: &str, text: &[u8]) {
        if text.is_empty() {
            self.null(before);
        } else if are_plain(text) {
            self.plain(before, |out| out.extend_from_slice(text));
        } else {
            self.0.extend_from_slice(before.as_bytes());
            // Writing a string to a vector does not fail.
            let _ = serde_json::to_writer(&mut *self.0, &String::from_utf8_lossy(text));
        }
    }

    fn null(&mut self, before: &str) {
        self.0.extend_from_slice(before.as_bytes());
        self.0.extend_from_slice(b"null");
    }

    fn number(&mut self, before: &str, number: Option<impl itoa::Integer>) {
        let Some(number) = number else { return self.null(before) };
        self.0.extend_from_slice(before.as_bytes());
        decimal(number, self.0);
    }

    /// To the microsecond.
    fn seconds(&mut self, before: &str, span: Option<Duration>) {
        self.number(before, span.map(|span| span.as_secs()));
        if let Some(span) = span {
            self.0.push(b'.');
            self.0.extend_from_slice(&padded::<6>(u64::from(span.subsec_micros())));
        }
    }
}
