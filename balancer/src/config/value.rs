//! What an attribute is set to, and how it is shown to people.
//! Must not know which attribute a value is for, or how it was come to.

use std::{borrow::Cow, fmt};

use super::{
    kinds::NATIVE,
    raw::{Number, path_text},
    source::Position,
    syntax::HUGE,
};

/// How what is known elsewhere is told, as one of several things that are allowed.
pub(super) const WAY_OUT: &str = ", or what it is here under `terraform_values` of the `balancer` block";
/// The same of a block that is elsewhere.
pub(super) const WAY_OUT_OF_BLOCKS: &str =
    " (say which it is here under `terraform_values` of the `balancer` block)";

/// The same of what a module gives out that is not there.
const WAY_OUT_OF_MODULES: &str = " (`terraform init` fetches the module; or say which it is here under `terraform_values` of the `balancer` block)";

/// What there is to do where a reference leads to a block that is elsewhere.
pub(super) fn way_out_of_block(reference: &Value) -> &'static str {
    match reference {
        Value::Reference(path) if path.first().is_some_and(|root| root == "module") => WAY_OUT_OF_MODULES,
        _ => WAY_OUT_OF_BLOCKS,
    }
}

/// What there is to say of what goes by a variable of this name, which has no value.
pub(super) fn no_value(variable: &str) -> String {
    format!(
        "`var.{variable}` has no default and no value; allowed: a default, a value in terraform.tfvars or with `-var \
         '{variable}=…'`, or a value in its place"
    )
}

/// The same of what goes by something that is not known, where that is a variable or a part of one.
pub(super) fn lacking(by: &str) -> Option<String> {
    let variable = by.strip_prefix("var.")?.split(['.', '[']).next()?;
    Some(no_value(variable))
}

/// Longest text shown in a message.
const MAX_SHOWN: usize = 60;

/// A value whose references to variables are resolved.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<(Value, Position)>),
    /// `{ key = value }`, which no attribute is looked at for its members.
    Object,
    /// `a.b.c`: a reference to a block.
    Reference(Vec<String>),
    /// What is worked out from something that is not known here, and from what.
    Unknown(String),
}

impl Value {
    /// A whole number not below zero; Terraform lets numbers be written as text.
    pub(super) fn as_whole(&self) -> Option<u64> {
        let digits =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        match self {
            Self::Number(number) => number.as_u64().or_else(|| {
                // 3e2 and 300.0 are 300.
                let float = number.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0)?;
                digits(&format!("{float:.0}"))
            }),
            Self::Text(text) => digits(text),
            _ => None,
        }
    }

    /// A truth value; Terraform lets it be written as text.
    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is what Terraform or AWS knows and this host does not: a reference, but for those to blocks of our own
    /// spelling, and to what there is only where a block is several.
    pub(super) fn is_foreign(&self) -> bool {
        let path = match self {
            Self::Reference(path) => path,
            Self::Unknown(_) => return true,
            _ => return false,
        };
        let root = path.first().map_or("", String::as_str);
        path.len() > 1 && !NATIVE.contains(&root) && !matches!(root, "each" | "count" | "self")
    }

    /// What there is to say of it where it goes by a variable that has no value.
    pub(super) fn lacking(&self) -> Option<String> {
        match self {
            Self::Reference(path) => lacking(&path_text(path)),
            Self::Unknown(by) => lacking(by),
            _ => None,
        }
    }

    /// The text, or what a number or truth value is as text.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => number_text(*number),
            Self::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// As shown in messages: shortened, and with control characters escaped.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) if is_huge(*number) => f.write_str("a number that is too large"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&shown(text)),
            Self::List(_) => f.write_str("a list"),
            Self::Object => f.write_str("a map"),
            Self::Reference(path) => f.write_str(&shortened(&path_text(path))),
            Self::Unknown(by) => write!(f, "what is made of {}", shortened(by)),
        }
    }
}

/// Whether it stands for a number that was beyond the parser.
pub(super) fn is_huge(number: Number) -> bool {
    number.as_f64().is_some_and(|number| number.abs() >= HUGE)
}

/// A number as text, in digits alone as Terraform has it; nothing for one that was beyond the parser.
pub(super) fn number_text(number: Number) -> Option<String> {
    if is_huge(number) {
        return None;
    }
    let whole = || number.as_u64().map(|whole| whole.to_string());
    let negative = || number.as_i64().map(|whole| whole.to_string());
    whole().or_else(negative).or_else(|| number.as_f64().map(|float| float.to_string()))
}

/// A user's text in quotes for a message: shortened, and with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

/// A text with an ellipsis in the place of user and password of a URL.
fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may have any of these in it, by mistake.
    let end = rest.get(end..).and_then(|after| after.rfind('@')).map_or(end, |at| end + at + 1);
    match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) => Cow::Owned(format!("{scheme}://…{}", rest.get(at..).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// A user's text for a message, shortened as [`shown`] does it, and without who asks in URLs: a password may be among that.
pub(super) fn shortened(text: &str) -> String {
    let text = &*without_credentials(text);
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
