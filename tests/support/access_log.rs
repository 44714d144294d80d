//! Access logs, read strictly: 34 fields, each with or without quotes as ALB has it, nothing else in a line.

use std::{fmt, fs, ops::Index, path::Path};

use crate::until;

/// ALB's fields in order; those that stand in quotes are marked.
const FIELDS: [(&str, bool); 34] = [
    ("type", false),
    ("time", false),
    ("elb", false),
    ("client:port", false),
    ("target:port", false),
    ("request_processing_time", false),
    ("target_processing_time", false),
    ("response_processing_time", false),
    ("elb_status_code", false),
    ("target_status_code", false),
    ("received_bytes", false),
    ("sent_bytes", false),
    ("request", true),
    ("user_agent", true),
    ("ssl_cipher", false),
    ("ssl_protocol", false),
    ("target_group_arn", false),
    ("trace_id", true),
    ("domain_name", true),
    ("chosen_cert_arn", true),
    ("matched_rule_priority", false),
    ("request_creation_time", false),
    ("actions_executed", true),
    ("redirect_url", true),
    ("error_reason", true),
    ("target:port_list", true),
    ("target_status_code_list", true),
    ("classification", true),
    ("classification_reason", true),
    ("conn_trace_id", false),
    ("transformed_host", true),
    ("transformed_uri", true),
    ("request_transform_status", true),
    ("ip_address", false),
];

/// One line.
#[derive(Clone, Debug)]
pub struct Line(Vec<String>);

impl Line {
    /// Reads a line without its end.
    ///
    /// # Panics
    /// When it is not as ALB would write it.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
        let mut fields = Vec::new();
        let mut rest = line;
        for (place, (name, quoted)) in FIELDS.into_iter().enumerate() {
            if place > 0 {
                rest = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no {name} in {line}"));
            }
            let field;
            (field, rest) = if quoted {
                let inner = rest.strip_prefix('"').unwrap_or_else(|| panic!("{name} has no quotes: {line}"));
                inner.split_once('"').unwrap_or_else(|| panic!("{name} has no end: {line}"))
            } else {
                assert!(!rest.starts_with('"'), "{name} has quotes: {line}");
                rest.split_at(rest.find(' ').unwrap_or(rest.len()))
            };
            assert!(!field.is_empty(), "{name} is empty: {line}");
            fields.push(field.to_owned());
        }
        assert_eq!(rest, "", "too much: {line}");
        let line = Self(fields);
        line.check();
        line
    }

    fn check(&self) {
        for time in ["time", "request_creation_time"] {
            let (shape, wanted) = (shape(&self[time]), "0000-00-00T00:00:00.000000Z");
            assert_eq!(shape, wanted, "{self}");
        }
        for span in ["request_processing_time", "target_processing_time", "response_processing_time"] {
            let millis = self[span].split_once('.').map(|(_, digits)| digits.len());
            assert!(&self[span] == "-1" || millis == Some(3), "{span}: {self}");
        }
        for bytes in ["received_bytes", "sent_bytes"] {
            let _: u64 = self[bytes].parse().unwrap_or_else(|_| panic!("{bytes}: {self}"));
        }
        let _: std::net::SocketAddr = self["client:port"].parse().unwrap();
        let _: std::net::IpAddr = self["ip_address"].parse().unwrap();
        assert_eq!(self["conn_trace_id"].len(), "TID_".len() + 32, "{self}");
        assert_eq!(
            (&self["target:port"], &self["target_status_code"]),
            (&self["target:port_list"], &self["target_status_code_list"])
        );
    }

    /// A field as a number.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        self[name].parse().unwrap_or_else(|_| panic!("{name}: {self}"))
    }

    /// Fields that have to be so.
    ///
    /// # Panics
    /// When one is not.
    pub fn expect(&self, wanted: &[(&str, &str)]) {
        for (name, value) in wanted {
            assert_eq!(&self[name], *value, "{name} of {self}");
        }
    }
}

/// Digits as zeros.
fn shape(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect()
}

impl Index<&str> for Line {
    type Output = str;

    fn index(&self, name: &str) -> &str {
        let place = FIELDS.iter().position(|(field, _)| *field == name);
        &self.0[place.unwrap_or_else(|| panic!("{name} is no field"))]
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = FIELDS.iter().zip(&self.0).map(|((name, _), value)| format!("{name}={value}"));
        f.write_str(&fields.collect::<Vec<_>>().join(", "))
    }
}

/// The whole lines of a file; none when there is no file.
#[must_use]
pub fn lines(path: &Path) -> Vec<Line> {
    let text = fs::read(path).map(|bytes| String::from_utf8(bytes).unwrap()).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n') || text.contains('\n'), "half a line: {text}");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(Line::parse).collect()
}

/// Waits until there are so many lines, and no more.
#[must_use]
pub fn wait_for(path: &Path, count: usize) -> Vec<Line> {
    let found = until(&format!("{count} lines in {}", path.display()), 10.0, || {
        Some(lines(path)).filter(|lines| lines.len() >= count)
    });
    assert_eq!(found.len(), count, "{}", found.last().unwrap());
    found
}
