//! What was found → a configuration in the native words. What AWS knows alone is a comment with its place; what this version
//! does not do is written as it is, so that the configuration is refused and never does less than it says.
//! Must not know: where what is imported comes from.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

use super::resource::{Haul, Lead, Resource};
use crate::config::{
    attachment::TARGET_GROUP_ATTACHMENT,
    kinds::spellings,
    listener_rule::LISTENER_RULE,
    listener_table::LISTENER,
    listener_tls::LISTENER_CERTIFICATE,
    load_balancer::LOAD_BALANCER,
    schema::{Attribute, AttributeKind, Child, Table},
    target_group::TARGET_GROUP,
};

/// The tables of what is written, in the order in which it is.
const TABLES: [&Table; 6] = [
    &LOAD_BALANCER,
    &TARGET_GROUP,
    &TARGET_GROUP_ATTACHMENT,
    &LISTENER,
    &LISTENER_CERTIFICATE,
    &LISTENER_RULE,
];

/// What is written though it is not looked at: what keeps somebody out on AWS is told of when it is loaded.
const KEPT: [&str; 2] = ["internal", "security_groups"];
/// What an empty text means something for.
const MAY_BE_EMPTY: [&str; 2] = ["query", "message_body"];

/// A configuration, and what could not be taken along.
pub(super) fn write(found: &Haul) -> (String, Vec<String>) {
    let mut writer =
        BlockWriter { found, text: String::new(), left: found.left.clone(), certificates: BTreeMap::new() };
    let mut blocks = String::new();
    for table in TABLES {
        for resource in found.resources.iter().filter(|resource| resource.kind == table.name) {
            writer.text.clear();
            writer.resource(resource, table);
            blocks.push_str(&writer.text);
        }
    }
    let mut text = String::from("# Written by `balancer import`; `balancer check` says what would run.\n");
    for left in &writer.left {
        let _ = writeln!(text, "# NOT TAKEN ALONG: {}", one_line(left));
    }
    text.push('\n');
    for (label, place) in &writer.certificates {
        let _ = write!(
            text,
            "# {}: its key stays with ACM; put a certificate for the same names here.\ncertificate \"{label}\" {{\n  \
             certificate_file = \"{label}.pem\"\n  private_key_file = \"{label}.key\"\n}}\n\n",
            one_line(place)
        );
    }
    text.push_str(&blocks);
    (text, writer.left)
}

struct BlockWriter<'f> {
    found: &'f Haul,
    text: String,
    left: Vec<String>,
    /// Certificates that are needed, by label: what they are on AWS.
    certificates: BTreeMap<String, String>,
}

impl BlockWriter<'_> {
    fn resource(&mut self, resource: &Resource, table: &Table) {
        let _ = writeln!(self.text, "# {}", one_line(&resource.place));
        let _ = writeln!(self.text, "{} \"{}\" {{", table.name, resource.label);
        self.body(resource, table, &resource.values, "", 1);
        self.text.push_str("}\n\n");
    }

    fn body(
        &mut self,
        resource: &Resource,
        table: &Table,
        values: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) {
        let indent = "  ".repeat(depth);
        for attribute in table.attributes {
            let name = attribute.name;
            let value = values.get(name).filter(|value| !is_nothing(name, value));
            let lead = resource.leads.get(&format!("{path}{name}"));
            let written = match (value, lead) {
                (Some(value), _) => self.value(resource, attribute, value, values),
                (None, Some(lead)) => self.led(resource, attribute, lead, path),
                (None, None) => None,
            };
            if let Some(written) = written {
                let _ = writeln!(self.text, "{indent}{name} = {written}");
            }
        }
        for child in table.blocks {
            let blocks = values.get(child.name()).and_then(Value::as_array);
            for (index, block) in blocks.into_iter().flatten().enumerate() {
                let Some(block) = block.as_object() else { continue };
                let (name, path) = (child.name(), format!("{path}{}.{index}.", child.name()));
                match child {
                    Child::Block(table) | Child::Repeated(table) => {
                        if says_nothing(name, block) {
                            continue;
                        }
                        let _ = writeln!(self.text, "{indent}{name} {{");
                        self.body(resource, table, block, &path, depth + 1);
                        let _ = writeln!(self.text, "{indent}}}");
                    }
                    Child::Unsupported(name) => {
                        self.left.push(format!("{}: `{name}` is not done here", resource.place));
                        let _ = writeln!(self.text, "{indent}{name} {{\n{indent}}}");
                    }
                    Child::Ignored(_) => {}
                }
            }
        }
    }

    fn value(
        &mut self,
        resource: &Resource,
        attribute: &Attribute,
        value: &Value,
        values: &Map<String, Value>,
    ) -> Option<String> {
        match &attribute.kind {
            AttributeKind::Ignored if !KEPT.contains(&attribute.name) => None,
            // Beside a block of its kind it says the same once more.
            AttributeKind::Former { .. } if values.values().any(is_block) => None,
            AttributeKind::Map { .. } => None,
            // A group alone is written twice when it is read back.
            AttributeKind::Reference { .. }
                if attribute.name == "target_group_arn" && !is_empty(values.get("forward")) =>
            {
                None
            }
            AttributeKind::Reference { to, .. } => {
                value.as_str().map(|text| self.reference(resource, attribute.name, to, text))
            }
            AttributeKind::Only { allowed } if allowed.iter().any(|word| *word == plain(value)) => None,
            _ if attribute.name == "target_id" => {
                let text = plain(value);
                let address = self.found.addresses.get(&text).cloned();
                if address.is_none() && text.starts_with("i-") {
                    self.left.push(format!(
                        "{}: the address of {text} is not known here; give it in the place of the id",
                        resource.place
                    ));
                }
                Some(quoted(&address.unwrap_or(text)))
            }
            _ if plain(value) == attribute.kind.default_words().trim_matches('"') => None,
            _ => Some(literal(value)),
        }
    }

    /// A reference to a block that is imported as well, or the ARN as it is, which is refused where it leads nowhere.
    fn reference(&mut self, resource: &Resource, name: &str, to: &str, text: &str) -> String {
        if to == "certificate" {
            return self.certificate(resource, text);
        }
        let is_it = |other: &&Resource| {
            other.kind == to && (other.text("arn") == Some(text) || other.text("id") == Some(text))
        };
        match self.found.resources.iter().find(is_it) {
            Some(other) => format!("{to}.{}.arn", other.label),
            None => {
                self.left.push(format!(
                    "{}: `{name}` leads to {text}, which is not among what is imported",
                    resource.place
                ));
                quoted(text)
            }
        }
    }

    fn certificate(&mut self, resource: &Resource, of_aws: &str) -> String {
        let id = of_aws.rsplit('/').next().unwrap_or(of_aws);
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let label: String = id.chars().map(plain).collect();
        let label = if label.starts_with(|first: char| first.is_ascii_alphabetic()) {
            label
        } else {
            format!("c_{label}")
        };
        let place = self.certificates.entry(label.clone()).or_insert_with(|| of_aws.to_owned());
        let _ = write!(place, " of {}", resource.place);
        format!("certificate.{label}.arn")
    }

    fn led(&mut self, resource: &Resource, attribute: &Attribute, lead: &Lead, path: &str) -> Option<String> {
        let name = attribute.name;
        match lead {
            Lead::Lost(_) if matches!(attribute.kind, AttributeKind::Reference { to: "certificate", .. }) => {
                Some(self.certificate(resource, &resource.label))
            }
            Lead::Lost(why) => {
                let why = format!("{}: `{path}{name}`: {why}", resource.place);
                let _ = writeln!(self.text, "  # {}", one_line(&why));
                self.left.push(why);
                None
            }
            Lead::To(place) | Lead::ByNumber(place) => {
                if matches!(lead, Lead::ByNumber(_)) {
                    let _ = writeln!(
                        self.text,
                        "  # {}: {place}, of the same count.index; a plan does not say whether it counts otherwise",
                        one_line(&format!("{path}{name}"))
                    );
                }
                if let Some(address) = self.found.addresses.get(place).filter(|_| name == "target_id") {
                    return Some(quoted(address));
                }
                let AttributeKind::Reference { to, .. } = &attribute.kind else {
                    self.left.push(format!(
                        "{}: `{name}` is {place}, whose address is not known before it is applied",
                        resource.place
                    ));
                    return None;
                };
                let other =
                    self.found.resources.iter().find(|other| other.place == *place && other.kind == *to);
                match other {
                    Some(other) => Some(format!("{to}.{}.arn", other.label)),
                    None if *to == "certificate" => Some(self.certificate(resource, place)),
                    None => {
                        self.left.push(format!(
                            "{}: `{name}` leads to {place}, which is not among what is imported (allowed: {})",
                            resource.place,
                            spellings(to).join(", ")
                        ));
                        None
                    }
                }
            }
        }
    }
}

/// What modules and providers write for nothing.
fn is_nothing(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() && !MAY_BE_EMPTY.contains(&name),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => true,
        Value::Bool(truth) => name == "internal" && !truth,
        Value::Number(_) => false,
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    value.and_then(Value::as_array).is_none_or(Vec::is_empty)
}

fn is_block(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

/// A block that is read back and asks for nothing.
fn says_nothing(name: &str, block: &Map<String, Value>) -> bool {
    let is_off = |name: &str| matches!(block.get(name), None | Some(Value::Null | Value::Bool(false)));
    match name {
        "stickiness" => is_off("enabled") && block.contains_key("enabled"),
        "access_logs" | "connection_logs" | "health_check_logs" => is_off("enabled"),
        "mutual_authentication" => block.get("mode").and_then(Value::as_str).is_none_or(|mode| mode == "off"),
        _ => false,
    }
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => quoted(text),
        value => value.to_string(),
    }
}

/// A text as HCL has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted.replace("${", "$${").replace("%{", "%%{")
}

/// A text for a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
