//! Conditions of rules: read, checked, and told (ALB: rule condition types).

use std::collections::HashSet;

use crate::{
    config::{MAX_VALUES, MAX_WILDCARDS, condition_value},
    elbv2::{call::shown, failure::ApiFailure, params::Params, records::ConditionRecord, xml::Element},
    rules::check_regex,
};

/// Longest name of a header, and longest regular expression.
const MAX_HEADER: usize = 40;
const MAX_REGEX: usize = 128;

/// A field of conditions, where its values stand, and whether a rule has no more than one on it.
struct ConditionField {
    name: &'static str,
    config: &'static str,
    is_once: bool,
    has_regex: bool,
}

const fn field(name: &'static str, config: &'static str, is_once: bool, has_regex: bool) -> ConditionField {
    ConditionField { name, config, is_once, has_regex }
}

static FIELDS: [ConditionField; 6] = [
    field("path-pattern", "PathPatternConfig", true, true),
    field("host-header", "HostHeaderConfig", true, true),
    field("http-header", "HttpHeaderConfig", false, true),
    field("http-request-method", "HttpRequestMethodConfig", true, false),
    field("query-string", "QueryStringConfig", false, false),
    field("source-ip", "SourceIpConfig", true, false),
];

/// Reads the conditions of a rule.
///
/// # Errors
/// They cannot be so.
pub(super) fn read(members: &[Params]) -> Result<Vec<ConditionRecord>, ApiFailure> {
    if members.is_empty() {
        return Err(ApiFailure::validation("A condition must be specified"));
    }
    // Each has a value at least: what is too much is not looked at.
    if members.len() > MAX_VALUES {
        return Err(too_many_values());
    }
    let mut conditions: Vec<ConditionRecord> = Vec::new();
    for member in members {
        let field = known_field(member)?;
        let is_again = conditions.iter().any(|earlier| earlier.field == field.name);
        if field.is_once && is_again {
            let message = format!("A rule can only have one '{}' condition", field.name);
            return Err(ApiFailure::validation(message));
        }
        conditions.push(condition(field, member)?);
    }
    check_amounts(&conditions)?;
    Ok(conditions)
}

fn known_field(member: &Params) -> Result<&'static ConditionField, ApiFailure> {
    let name =
        member.text("Field").ok_or_else(|| ApiFailure::validation("A condition field must be specified"))?;
    FIELDS.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        let message = format!("Condition field '{}' must be one of '[{}]'", shown(name), names.join(", "));
        ApiFailure::validation(message)
    })
}

fn condition(field: &ConditionField, member: &Params) -> Result<ConditionRecord, ApiFailure> {
    if let Some(other) =
        FIELDS.iter().find(|other| other.config != field.config && !member.part(other.config).is_empty())
    {
        let message = format!("A condition with the field '{}' cannot have a {}", field.name, other.config);
        return Err(ApiFailure::validation(message));
    }
    // Hosts and paths alone may have their values beside the field.
    let beside = ["Values", "RegexValues"].iter().any(|name| !member.texts(name).is_empty());
    if !is_old_field(field) && !member.has(field.config) && !beside {
        let message = format!("A '{}' must be specified with '{}'", field.config, field.name);
        return Err(ApiFailure::validation(message));
    }
    let config = member.part(field.config);
    let mut record = ConditionRecord {
        field: field.name.to_owned(),
        old_form: config.is_empty(),
        ..ConditionRecord::default()
    };
    if field.name == "query-string" {
        record.query = query(&config)?;
        return Ok(record);
    }
    if field.name == "http-header" {
        record.header_name = Some(header_name(&config)?);
    }
    if config.text("IpAddressType").is_some() {
        let message = "IpAddressType of a source-ip condition is of Network Load Balancers: leave it out";
        return Err(ApiFailure::validation(message));
    }
    record.values = unique(one_of(member, &config, field, "Values")?);
    record.regex_values = unique(one_of(member, &config, field, "RegexValues")?);
    check_values(field, &record)?;
    Ok(record)
}

/// Whether conditions on it were there before each field had a configuration of its own.
fn is_old_field(field: &ConditionField) -> bool {
    matches!(field.name, "host-header" | "path-pattern")
}

/// Values of a condition, which stand beside its field or in its configuration.
fn one_of(
    member: &Params,
    config: &Params,
    field: &ConditionField,
    name: &str,
) -> Result<Vec<String>, ApiFailure> {
    let (beside, inside) = (member.texts(name), config.texts(name));
    // What is described has both, and is given back so.
    if !beside.is_empty() && !inside.is_empty() && beside != inside {
        let message = format!("A condition can have either {name} or {}, but not both", field.config);
        return Err(ApiFailure::validation(message));
    }
    Ok(if inside.is_empty() { beside } else { inside })
}

fn unique(values: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    values.into_iter().filter(|value| seen.insert(value.clone())).collect()
}

fn check_values(field: &ConditionField, record: &ConditionRecord) -> Result<(), ApiFailure> {
    let name = field.name;
    if record.values.is_empty() && record.regex_values.is_empty() {
        return Err(ApiFailure::validation(match is_old_field(field) {
            true => "A condition value must be specified".to_owned(),
            false => format!("A '{name}' value must be specified"),
        }));
    }
    if !record.regex_values.is_empty() && (!field.has_regex || !record.values.is_empty()) {
        let message = match field.has_regex {
            true => format!("A '{name}' condition can have either Values or RegexValues, but not both"),
            false => format!("A '{name}' condition cannot have RegexValues"),
        };
        return Err(ApiFailure::validation(message));
    }
    if record.values.len().max(record.regex_values.len()) > MAX_VALUES {
        return Err(too_many_values());
    }
    for value in &record.values {
        check_value(name, value)?;
    }
    for value in &record.regex_values {
        check_length(name, value, MAX_REGEX)?;
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            let message = format!("The '{name}' regular expression '{}' must be visible ASCII", shown(value));
            return Err(ApiFailure::validation(message));
        }
        if let Err(wrong) = check_regex(value) {
            let message =
                format!("The '{name}' regular expression '{}' is not valid: it {wrong}", shown(value));
            return Err(ApiFailure::validation(message));
        }
    }
    Ok(())
}

fn check_length(name: &str, value: &str, most: usize) -> Result<(), ApiFailure> {
    if value.is_empty() {
        return Err(ApiFailure::validation("A condition value must be specified"));
    }
    if value.chars().count() > most {
        return Err(ApiFailure::validation(format!("The '{name}' value is too long; the limit is '{most}'")));
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<(), ApiFailure> {
    let (is_allowed, most) = condition_value(name, value);
    check_length(name, value, most)?;
    if is_allowed {
        return Ok(());
    }
    Err(ApiFailure::validation(match name {
        "http-request-method" => {
            format!("The '{name}' value is invalid; the allowed characters are A-Z, hyphen and underscore")
        }
        _ => format!("The '{name}' value '{}' is not valid", shown(value)),
    }))
}

fn header_name(config: &Params) -> Result<String, ApiFailure> {
    let name = config
        .text("HttpHeaderName")
        .ok_or_else(|| ApiFailure::validation("An HTTP header name must be specified"))?;
    check_length("HttpHeaderName", name, MAX_HEADER)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) || name.eq_ignore_ascii_case("host") {
        let message = format!(
            "The HTTP header name '{}' is not valid; a condition on the host has the field 'host-header'",
            shown(name)
        );
        return Err(ApiFailure::validation(message));
    }
    Ok(name.to_owned())
}

fn query(config: &Params) -> Result<Vec<(Option<String>, String)>, ApiFailure> {
    let mut pairs: Vec<(Option<String>, String)> = Vec::new();
    for pair in config.list("Values") {
        let key = pair.text("Key").map(str::to_owned);
        let value = pair.text("Value").map(str::to_owned).ok_or_else(|| {
            ApiFailure::validation("A 'Value' must be specified in 'QueryStringKeyValuePair'")
        })?;
        for (name, text) in [("Key", key.as_ref()), ("Value", Some(&value))] {
            let Some(text) = text else { continue };
            check_length(name, text, condition_value("query-string", text).1)?;
            check_value("query-string", text)?;
        }
        if !pairs.contains(&(key.clone(), value.clone())) {
            pairs.push((key, value));
        }
        if pairs.len() > MAX_VALUES {
            return Err(too_many_values());
        }
    }
    if pairs.is_empty() {
        return Err(ApiFailure::validation("A 'query-string' value must be specified"));
    }
    Ok(pairs)
}

fn too_many_values() -> ApiFailure {
    ApiFailure::validation(format!("A rule can only have '{MAX_VALUES}' condition values"))
}

/// Quotas of a rule.
fn check_amounts(conditions: &[ConditionRecord]) -> Result<(), ApiFailure> {
    let wild = |text: &String| text.bytes().filter(|byte| matches!(byte, b'*' | b'?')).count();
    let amount = |condition: &ConditionRecord| {
        condition.values.len() + condition.regex_values.len() + condition.query.len()
    };
    let wildcards = |condition: &ConditionRecord| -> usize {
        let is_plain = matches!(condition.field.as_str(), "http-request-method" | "source-ip");
        let values: usize = if is_plain { 0 } else { condition.values.iter().map(wild).sum() };
        let query: usize =
            condition.query.iter().map(|(key, value)| key.as_ref().map_or(0, wild) + wild(value)).sum();
        values + query
    };
    if conditions.iter().map(amount).sum::<usize>() > MAX_VALUES {
        return Err(too_many_values());
    }
    if conditions.iter().map(wildcards).sum::<usize>() > MAX_WILDCARDS {
        return Err(ApiFailure::validation(format!(
            "A rule can only have '{MAX_WILDCARDS}' condition wildcards"
        )));
    }
    Ok(())
}

/// Conditions as they are told. Hosts and paths stand beside their field, too.
pub(super) fn elements(conditions: &[ConditionRecord]) -> Vec<Element> {
    conditions.iter().map(element).collect()
}

fn element(condition: &ConditionRecord) -> Element {
    let lists = |element: Element| {
        let element = match condition.values.is_empty() {
            true => element,
            false => element.texts("Values", &condition.values),
        };
        match condition.regex_values.is_empty() {
            true => element,
            false => element.texts("RegexValues", &condition.regex_values),
        }
    };
    let member = Element::new("member").text("Field", &condition.field);
    let config =
        FIELDS.iter().find(|field| field.name == condition.field).map_or("Config", |field| field.config);
    let config = Element::new(config);
    match condition.field.as_str() {
        "host-header" | "path-pattern" => lists(member).with(lists(config)),
        "http-header" => member.with(lists(config.text_if("HttpHeaderName", condition.header_name.as_ref()))),
        "query-string" => {
            let pairs = condition
                .query
                .iter()
                .map(|(key, value)| Element::new("member").text_if("Key", key.as_ref()).text("Value", value));
            member.with(config.list("Values", pairs))
        }
        _ => member.with(lists(config)),
    }
}
