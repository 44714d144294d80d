//! `condition` blocks of a listener rule: what each may say, within ALB's limits (ALB: rule condition types).

mod former;

use std::collections::HashSet;

use self::former::Form;
use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Child, Table},
    source::Position,
    value::{Value, shown},
};
use crate::{
    model::{Condition, IpRange, QueryPattern, TextPattern},
    rules::check_regex,
};

const MAX_VALUE: usize = 128;
const MAX_HEADER_NAME: usize = 40;
const MAX_METHOD: usize = 40;
/// Most values over all conditions of a rule (ALB: quotas).
pub const MAX_VALUES: usize = 5;
/// Most wildcards over all conditions of a rule (ALB: quotas).
pub const MAX_WILDCARDS: usize = 6;

const REGEX_VALUES: Attribute = Attribute::new(
    "regex_values",
    AttributeKind::List {
        allowed: "regular expressions of 1 to 128 characters, without look-around and back-references",
    },
    "The same as expressions, found anywhere in it unless they say `^` and `$`.",
);

pub(super) static CONDITION: Table = Table {
    name: "condition",
    top: false,
    attributes: &[former::FIELD, former::VALUES],
    blocks: &[
        Child::Block(&HOST_HEADER),
        Child::Block(&PATH_PATTERN),
        Child::Block(&HTTP_REQUEST_METHOD),
        Child::Block(&SOURCE_IP),
        Child::Block(&HTTP_HEADER),
        Child::Repeated(&QUERY_STRING),
    ],
};

pub(super) static HOST_HEADER: Table = Table {
    name: "host_header",
    top: false,
    attributes: &[
        Attribute::new(
            "values",
            AttributeKind::List {
                allowed: "1 to 128 of A-Z, a-z, 0-9, - . * ?, with a `.` and only letters, * and ? after the last one",
            },
            "What the host, without its port and a dot at its end, may be; case does not count, `*` is any run of characters, `?` any one.",
        ),
        REGEX_VALUES,
    ],
    blocks: &[],
};

pub(super) static PATH_PATTERN: Table = Table {
    name: "path_pattern",
    top: false,
    attributes: &[
        Attribute::new(
            "values",
            AttributeKind::List { allowed: "1 to 128 of A-Z, a-z, 0-9, _ - . $ / ~ \" ' @ : + & * ?" },
            "What the path may be; case counts. It is matched without needless percent-encoding and dot segments.",
        ),
        REGEX_VALUES,
    ],
    blocks: &[],
};

pub(super) static HTTP_REQUEST_METHOD: Table = Table {
    name: "http_request_method",
    top: false,
    attributes: &[Attribute::new(
        "values",
        AttributeKind::List { allowed: "1 to 40 of A-Z, - and _" },
        "The methods, exactly.",
    )],
    blocks: &[],
};

pub(super) static SOURCE_IP: Table = Table {
    name: "source_ip",
    top: false,
    attributes: &[Attribute::new(
        "values",
        AttributeKind::List {
            allowed: "ranges such as \"192.0.2.0/24\" or \"2001:db8::/32\", not 255.255.255.255/32",
        },
        "Where the connection comes from; X-Forwarded-For does not count.",
    )],
    blocks: &[],
};

pub(super) static HTTP_HEADER: Table = Table {
    name: "http_header",
    top: false,
    attributes: &[
        Attribute::new(
            "http_header_name",
            AttributeKind::Text { allowed: "1 to 40 token characters, and not Host", default: "" },
            "The header; case does not count. Needed.",
        ),
        Attribute::new(
            "values",
            AttributeKind::List { allowed: "1 to 128 visible ASCII characters" },
            "What its value may be; case does not count, `*` and `?` are wildcards. Each line of the header is tried.",
        ),
        REGEX_VALUES,
    ],
    blocks: &[],
};

pub(super) static QUERY_STRING: Table = Table {
    name: "query_string",
    top: false,
    attributes: &[
        Attribute::new(
            "key",
            AttributeKind::Text { allowed: "1 to 128 visible ASCII characters", default: "any" },
            "The parameter's key; case does not count, `*` and `?` are wildcards, `\\` makes them literal.",
        ),
        Attribute::new(
            "value",
            AttributeKind::Text { allowed: "1 to 128 visible ASCII characters", default: "" },
            "Its value, likewise. Needed.",
        ),
    ],
    blocks: &[],
};

/// The kinds of conditions, in the order of their table.
const KINDS: [&Table; 6] =
    [&HOST_HEADER, &PATH_PATTERN, &HTTP_REQUEST_METHOD, &SOURCE_IP, &HTTP_HEADER, &QUERY_STRING];

/// Reads the conditions of a rule.
pub(super) fn build_all(rule: &BlockFields<'_>) -> Vec<Condition> {
    let blocks = rule.open_children(&CONDITION);
    if blocks.is_empty() && !rule.is_meant(CONDITION.name) {
        rule.fault("A condition must be specified; allowed: 1 to 5 `condition` blocks");
    }
    let mut conditions = Vec::new();
    let mut given: Vec<(&str, Position)> = Vec::new();
    for block in &blocks {
        let kinds: Vec<&Table> =
            KINDS.into_iter().filter(|table| block.child(table.name).is_some()).collect();
        let is_meant = kinds.is_empty() && KINDS.iter().any(|table| block.is_meant(table.name));
        let form = if is_meant { Form::Block } else { former::form(block, &KINDS, !kinds.is_empty()) };
        let kind = match (kinds.as_slice(), &form) {
            (&[kind], _) => kind,
            ([], Form::Former(kind)) => kind,
            // What is written may be meant to be it, and is a fault of its own.
            ([], _) if is_meant || matches!(form, Form::Refused) => continue,
            (kinds, _) => {
                let names: Vec<&str> = KINDS.iter().map(|table| table.name).collect();
                block.fault(format!(
                    "a condition holds {}; allowed: one of {}",
                    if kinds.is_empty() { "nothing" } else { "several kinds" },
                    names.join(", ")
                ));
                continue;
            }
        };
        let once = !matches!(kind.name, "http_header" | "query_string");
        let earlier = given.iter().find(|(name, _)| once && *name == kind.name);
        if let (Some((_, first)), Some(position)) = (earlier, block.position()) {
            block.fault_again(position, kind.name, *first);
        }
        given.extend(block.position().map(|position| (kind.name, position)));
        conditions.push(match form {
            Form::Former(kind) => patterns_of(&block.seen_as(kind)),
            _ => condition(block, kind),
        });
    }
    check_amounts(rule, &conditions);
    conditions
}

fn condition(block: &BlockFields<'_>, kind: &'static Table) -> Condition {
    if kind.name == QUERY_STRING.name {
        // They are a set.
        let mut parameters: Vec<_> = block.open_children(kind).iter().map(parameter).collect();
        let mut seen = HashSet::new();
        parameters.retain(|QueryPattern { key, value }| seen.insert((key.clone(), value.clone())));
        return Condition::QueryString(parameters);
    }
    let fields = block.open_child(kind);
    match kind.name {
        "host_header" | "path_pattern" => patterns_of(&fields),
        "http_request_method" => Condition::RequestMethod(texts(&fields, "values", MAX_METHOD, is_method)),
        "source_ip" => {
            let ranges = texts(&fields, "values", MAX_VALUE, |text| range(text).is_some());
            Condition::SourceIp(ranges.iter().filter_map(|text| range(text)).collect())
        }
        _ => Condition::HttpHeader { name: header_name(&fields), values: patterns(&fields, is_visible) },
    }
}

/// A condition of patterns on what every request has.
fn patterns_of(fields: &BlockFields<'_>) -> Condition {
    if fields.name() == HOST_HEADER.name {
        Condition::HostHeader(patterns(fields, is_host))
    } else {
        Condition::PathPattern(patterns(fields, is_path))
    }
}

/// `values` or `regex_values`: one of them.
fn patterns(fields: &BlockFields<'_>, is_pattern: fn(&str) -> bool) -> Vec<TextPattern> {
    // An empty list beside the other is what modules write for none.
    let is_empty =
        |name: &str| matches!(fields.value(name), Some((Value::List(items), _)) if items.is_empty());
    let has_values = fields.is_given("values") && !is_empty("values");
    let has_regex =
        fields.is_given("regex_values") && !(is_empty("regex_values") && fields.is_given("values"));
    if has_values && has_regex {
        let message = "`regex_values` stands beside `values`; allowed: one of them, or a rule for each";
        fields.fault_at("regex_values", message);
    }
    let written =
        if has_regex && !has_values { Vec::new() } else { texts(fields, "values", MAX_VALUE, is_pattern) };
    let mut patterns: Vec<TextPattern> = written.into_iter().map(TextPattern::Wildcard).collect();
    if has_regex {
        for (text, position) in entries(fields, "regex_values", MAX_VALUE, is_visible) {
            match check_regex(&text) {
                Ok(()) => patterns.push(TextPattern::Regex(text)),
                Err(wrong) => {
                    let message =
                        format!("{} {wrong}; allowed: {}", shown(&text), fields.allowed("regex_values"));
                    fields.fault_in(position, message);
                }
            }
        }
    }
    patterns
}

fn texts(
    fields: &BlockFields<'_>,
    name: &str,
    most: usize,
    is_allowed: impl Fn(&str) -> bool,
) -> Vec<String> {
    entries(fields, name, most, is_allowed).into_iter().map(|(text, _)| text).collect()
}

/// The texts of a list that must not be empty, each as it may be.
fn entries(
    fields: &BlockFields<'_>,
    name: &str,
    most: usize,
    is_allowed: impl Fn(&str) -> bool,
) -> Vec<(String, Position)> {
    let items = fields.list(name);
    let is_empty = match fields.value(name) {
        Some((Value::List(items), _)) => items.is_empty(),
        Some(_) => false,
        None => fields.is_unset(name) && !fields.is_meant(name),
    };
    if is_empty {
        fields.fault_at(
            name,
            format!(
                "A condition value must be specified; allowed: `{name}` = a list of {}",
                fields.allowed(name)
            ),
        );
    }
    let mut texts = Vec::new();
    for (value, position) in items {
        let text = value.as_text().unwrap_or_default();
        if text.len() > most {
            fields.fault_in(
                position,
                format!(
                    "The '{}' value is too long; the limit is '{most}'; allowed: {}",
                    fields.name().replace('_', "-"),
                    fields.allowed(name)
                ),
            );
        } else if text.is_empty() || !is_allowed(&text) {
            fields.fault_in(position, format!("`{name}` holds {value}; allowed: {}", fields.allowed(name)));
        } else {
            texts.push((text, position));
        }
    }
    // It is a set.
    let mut seen = HashSet::new();
    texts.retain(|(text, _)| seen.insert(text.clone()));
    texts
}

fn header_name(fields: &BlockFields<'_>) -> String {
    fields.require("http_header_name");
    let name = fields.text("http_header_name").unwrap_or_default();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fits = (1..=MAX_HEADER_NAME).contains(&name.len()) && name.bytes().all(is_token);
    if fields.is_given("http_header_name") && (!fits || name.eq_ignore_ascii_case("host")) {
        let message =
            format!("`http_header_name` = {}; allowed: {}", shown(&name), fields.allowed("http_header_name"));
        fields.fault_at("http_header_name", message);
    }
    name
}

fn parameter(fields: &BlockFields<'_>) -> QueryPattern {
    fields.require("value");
    let part = |name: &str| {
        let text = fields.text(name)?;
        if !(1..=MAX_VALUE).contains(&text.len()) || !is_visible(&text) {
            fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(&text), fields.allowed(name)));
        }
        Some(text)
    };
    // An empty key is what Terraform's provider takes for none.
    let has_key = fields.value("key").is_some_and(|(value, _)| value.as_text().as_deref() != Some(""));
    QueryPattern { key: if has_key { part("key") } else { None }, value: part("value").unwrap_or_default() }
}

/// ALB's quotas of a rule.
fn check_amounts(rule: &BlockFields<'_>, conditions: &[Condition]) {
    let wild = |text: &String| text.bytes().filter(|byte| matches!(byte, b'*' | b'?')).count();
    let (mut values, mut wildcards) = (0, 0);
    for condition in conditions {
        match condition {
            Condition::HostHeader(patterns)
            | Condition::PathPattern(patterns)
            | Condition::HttpHeader { values: patterns, .. } => {
                values += patterns.len();
                wildcards += patterns
                    .iter()
                    .map(|pattern| match pattern {
                        TextPattern::Wildcard(text) => wild(text),
                        TextPattern::Regex(_) => 0,
                    })
                    .sum::<usize>();
            }
            Condition::RequestMethod(methods) => values += methods.len(),
            Condition::SourceIp(ranges) => values += ranges.len(),
            Condition::QueryString(parameters) => {
                values += parameters.len();
                let both =
                    |pattern: &QueryPattern| pattern.key.as_ref().map_or(0, wild) + wild(&pattern.value);
                wildcards += parameters.iter().map(both).sum::<usize>();
            }
        }
    }
    for (what, amount, most) in [("values", values, MAX_VALUES), ("wildcards", wildcards, MAX_WILDCARDS)] {
        if amount > most {
            rule.fault(format!("the conditions of the rule have {amount} {what}; allowed: at most {most}"));
        }
    }
}

/// Whether a value, not a regular expression, may be one of a condition on this field, by ALB's name of it; and the most
/// characters that one may have.
#[must_use]
pub fn condition_value(field: &str, text: &str) -> (bool, usize) {
    match field {
        "host-header" => (is_host(text), MAX_VALUE),
        "path-pattern" => (is_path(text), MAX_VALUE),
        "http-request-method" => (is_method(text), MAX_METHOD),
        "source-ip" => (range(text).is_some(), MAX_VALUE),
        _ => (is_visible(text), MAX_VALUE),
    }
}

fn is_host(text: &str) -> bool {
    let (front, end) = text.rsplit_once('.').unwrap_or_default();
    !front.is_empty()
        && !end.is_empty()
        // ALB's guide says letters; it takes wildcards there, and `api.*` is much used.
        && end.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'*' | b'?'))
        && front.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.*?".contains(&byte))
}

fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _-.$/~\"'@:+&*?".contains(&byte))
}

fn is_method(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn range(text: &str) -> Option<IpRange> {
    IpRange::parse(text).filter(|_| text != "255.255.255.255/32")
}
