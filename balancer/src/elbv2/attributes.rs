//! Attributes of load balancers, target groups and listeners: their keys, what their values may be, and their defaults.
//! Must not know: what they do, and which of them exclude each other.

pub(super) mod listener;
pub(super) mod load_balancer;
pub(super) mod packet_group;
pub(super) mod target_group;

use std::collections::BTreeMap;

use super::{
    call::shown,
    failure::ApiFailure,
    params::{Params, truth, whole},
    xml::Element,
};
use crate::config;

/// Attributes that were set, by their keys.
pub(super) type SetAttributes = BTreeMap<String, String>;

/// What the value of an attribute may be.
#[derive(Clone, Copy)]
pub(super) enum Allowed {
    /// A whole number within these.
    Whole(i64, i64),
    /// A word, or a whole number within these.
    WholeOr(&'static str, i64, i64),
    /// `true` or `false`.
    Truth,
    /// One of these.
    Choice(&'static [&'static str]),
    /// These alone, for what the rest would be is not done here: whose it is, and what to do instead.
    Only(&'static [&'static str], &'static str),
    /// Text of this many visible ASCII characters and spaces.
    Text(usize),
    /// The name of a header field.
    FieldName,
    /// The name of a cookie of the application.
    CookieName,
}

/// An attribute.
#[derive(Clone, Copy)]
pub(super) struct AttributeRule {
    key: &'static str,
    default: &'static str,
    allowed: Allowed,
    /// Whether it is told where it was not set.
    is_told: bool,
}

const fn attribute(key: &'static str, default: &'static str, allowed: Allowed) -> AttributeRule {
    AttributeRule { key, default, allowed, is_told: true }
}

/// One of another kind of load balancer or group, which is taken with its neutral value.
const fn other(key: &'static str, neutral: &'static [&'static str], why: &'static str) -> AttributeRule {
    AttributeRule { key, default: "", allowed: Allowed::Only(neutral, why), is_told: false }
}

/// The value that an attribute has: as set, or its default.
pub(super) fn value<'s>(rules: &[AttributeRule], set: &'s SetAttributes, key: &str) -> &'s str {
    let default = || rules.iter().find(|rule| rule.key == key).map_or("", |rule| rule.default);
    set.get(key).map_or_else(default, String::as_str)
}

/// A key whose value is that of another one, of those that begin so; case and underscores do not count.
pub(super) fn same_value(rules: &[AttributeRule], set: &SetAttributes, start: &str) -> Option<&'static str> {
    let mut seen = Vec::new();
    rules.iter().filter(|rule| rule.key.starts_with(start)).map(|rule| rule.key).find(|key| {
        let folded = value(rules, set, key).to_ascii_lowercase().replace('_', "-");
        let is_again = seen.contains(&folded);
        seen.push(folded);
        is_again
    })
}

/// All attributes as they are told.
pub(super) fn told(rules: &[AttributeRule], set: &SetAttributes) -> Vec<Element> {
    let is_told = |rule: &&AttributeRule| rule.is_told || set.contains_key(rule.key);
    let element =
        |rule: &AttributeRule| pair(rule.key, set.get(rule.key).map_or(rule.default, String::as_str));
    rules.iter().filter(is_told).map(element).collect()
}

/// Those of these keys as they are told.
pub(super) fn told_of<'k>(set: &SetAttributes, keys: impl IntoIterator<Item = &'k String>) -> Vec<Element> {
    keys.into_iter().map(|key| pair(key, set.get(key).map_or("", String::as_str))).collect()
}

fn pair(key: &str, value: &str) -> Element {
    Element::new("member").text("Key", key).text("Value", value)
}

/// The attributes that a call sets, in its order; `kind` is whose they are in messages.
///
/// # Errors
/// A key is none, comes twice, or may not have its value.
pub(super) fn given(
    kind: &str,
    rules: &'static [AttributeRule],
    params: &Params,
) -> Result<Vec<(String, String)>, ApiFailure> {
    let mut given: Vec<(String, String)> = Vec::new();
    for attribute in params.list("Attributes") {
        let (key, rule) = known(kind, rules, &attribute)?;
        if given.iter().any(|(earlier, _)| earlier == key) {
            let message = format!("{kind} attribute key '{key}' was specified more than once");
            return Err(ApiFailure::validation(message));
        }
        let value = attribute.given("Value").unwrap_or_default();
        given.push((key.to_owned(), rule.checked(value)?));
    }
    if given.is_empty() {
        return Err(ApiFailure::validation(format!("{kind} attributes must be specified")));
    }
    Ok(given)
}

/// Whether there are all the attributes that a call sets.
///
/// # Errors
/// The first that there is not.
pub(super) fn check_keys(
    kind: &str,
    rules: &'static [AttributeRule],
    params: &Params,
) -> Result<(), ApiFailure> {
    params.list("Attributes").iter().try_for_each(|attribute| known(kind, rules, attribute).map(|_| ()))
}

/// The key of an attribute that a call sets, and what it may be.
fn known<'p>(
    kind: &str,
    rules: &'static [AttributeRule],
    attribute: &'p Params,
) -> Result<(&'p str, &'static AttributeRule), ApiFailure> {
    let key = attribute.text("Key").unwrap_or_default();
    rules.iter().find(|rule| rule.key == key).map(|rule| (key, rule)).ok_or_else(|| {
        // Terraform's provider goes by these words: it leaves the key out and asks again.
        ApiFailure::validation(format!("{kind} attribute key '{}' is not recognized", shown(key)))
    })
}

/// The value of an attribute as it is kept; nothing where there is no such attribute.
pub(super) fn kept(rules: &[AttributeRule], key: &str, value: &str) -> Option<Result<String, ApiFailure>> {
    rules.iter().find(|rule| rule.key == key).map(|rule| rule.checked(value))
}

impl AttributeRule {
    /// Its key.
    pub(super) const fn key(&self) -> &'static str {
        self.key
    }

    /// The value as it is kept.
    fn checked(&self, value: &str) -> Result<String, ApiFailure> {
        let key = self.key;
        let wrong =
            |why: String| Err(ApiFailure::validation(format!("'{key}' value '{}' {why}", shown(value))));
        match self.allowed {
            Allowed::Whole(least, most) => {
                match whole(value).filter(|number| (least..=most).contains(number)) {
                    Some(number) => Ok(number.to_string()),
                    None => wrong(format!("must be between '{least}-{most}' inclusive")),
                }
            }
            Allowed::WholeOr(word, least, most) => match whole(value) {
                _ if value == word => Ok(value.to_owned()),
                Some(number) if (least..=most).contains(&number) => Ok(number.to_string()),
                _ => wrong(format!("must be '{word}' or between '{least}-{most}' inclusive")),
            },
            Allowed::Truth => match truth(value) {
                Some(value) => Ok(value.to_string()),
                None => wrong("must be one of '[true, false]'".to_owned()),
            },
            Allowed::Choice(words) => match words.contains(&value) {
                true => Ok(value.to_owned()),
                false => wrong(format!("must be one of '[{}]'", words.join(", "))),
            },
            Allowed::Only(words, why) => match words.iter().find(|word| is_word(word, value)) {
                Some(word) => Ok((*word).to_owned()),
                None => {
                    let message = format!("'{key}' value '{}' is not done here: {why}", shown(value));
                    Err(ApiFailure::new("InvalidConfigurationRequest", message))
                }
            },
            Allowed::Text(most) => {
                let is_text = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
                match value.len() <= most && is_text && value.trim() == value {
                    true => Ok(value.to_owned()),
                    false => wrong(format!(
                        "must have up to '{most}' visible ASCII characters and spaces between them"
                    )),
                }
            }
            // None is the one that it has by default.
            Allowed::FieldName if value.is_empty() => Ok(self.default.to_owned()),
            Allowed::FieldName => match config::is_tls_field_name(value) {
                true => Ok(value.to_owned()),
                false => wrong(
                    "must be the name of a header: 1 to 64 letters, digits, '-' and '_', and none that is treated in a way \
                     of its own"
                        .to_owned(),
                ),
            },
            Allowed::CookieName => cookie_name(value),
        }
    }
}

/// Whether a value is a word: truths in any case, as everywhere.
fn is_word(word: &str, value: &str) -> bool {
    word == value || truth(word).is_some_and(|word| truth(value) == Some(word))
}

/// Longest name of a cookie.
const LONGEST_COOKIE: usize = 256;

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn cookie_name(value: &str) -> Result<String, ApiFailure> {
    let reserved = ["AWSALBAPP", "AWSALBTG", "AWSALB"];
    if let Some(prefix) = reserved.iter().find(|prefix| value.starts_with(**prefix)) {
        let message = format!(
            "The application cookie name '{}' cannot begin with '{prefix}': names that begin with AWSALB, AWSALBAPP and \
             AWSALBTG are reserved for the load balancer",
            shown(value)
        );
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    if value.len() > LONGEST_COOKIE || !value.bytes().all(is_token_byte) {
        let message = format!(
            "The application cookie name '{}' must have up to '{LONGEST_COOKIE}' letters, digits and !#$%&'*+-.^_`|~",
            shown(value)
        );
        return Err(ApiFailure::validation(message));
    }
    Ok(value.to_owned())
}
