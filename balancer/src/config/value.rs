//! What values mean: literals, `var.x` from the defaults of `variable` blocks, `local.x` from `locals`, and text
//! put together from them. References to blocks are passed on as they are.
//! Must not know which attribute a value is for.

use std::{cell::Cell, collections::HashMap, fmt};

use super::{
    raw::{Number, RawBody, RawExpression, RawValue},
    source::Place,
    suggest,
    syntax::HUGE,
};

/// How often a variable may lead to another.
const MAX_DEPTH: usize = 16;
/// Most values one attribute may be made of; stops text that doubles itself by references.
const MAX_PARTS: usize = 10_000;
/// Longest text a value may be.
const MAX_TEXT: usize = 4096;
/// Longest text shown in a message.
const MAX_SHOWN: usize = 60;

/// A value whose references to variables are resolved.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<(Value, Place)>),
    /// `a.b.c`: a reference to a block.
    Reference(Vec<String>),
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
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The text, or what a number or truth value is as text.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) if !is_huge(*number) => Some(number.to_string()),
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
            Self::Reference(path) => f.write_str(&shortened(&path.join("."))),
        }
    }
}

/// Whether it stands for a number that was beyond the parser.
pub(super) fn is_huge(number: Number) -> bool {
    number.as_f64().is_some_and(|number| number.abs() >= HUGE)
}

/// A user's text in quotes for a message: shortened, and with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

/// A user's text for a message, shortened as [`shown`] does it.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The variables and locals of all files.
pub(super) struct Scope<'a> {
    variables: HashMap<&'a str, Option<&'a RawValue>>,
    locals: HashMap<&'a str, &'a RawValue>,
}

impl<'a> Scope<'a> {
    /// Gathers `variable` and `locals` blocks.
    pub(super) fn collect(bodies: &'a [RawBody]) -> Self {
        let mut scope = Self { variables: HashMap::new(), locals: HashMap::new() };
        for block in bodies.iter().flat_map(|body| &body.blocks) {
            match (block.kind.as_str(), block.labels.first()) {
                ("variable", Some((name, _))) => {
                    let default = block.body.attributes.iter().find(|attribute| attribute.name == "default");
                    scope.variables.insert(name, default.map(|default| &default.value));
                }
                ("locals", _) => {
                    scope
                        .locals
                        .extend(block.body.attributes.iter().map(|local| (&*local.name, &local.value)));
                }
                _ => {}
            }
        }
        scope
    }

    /// What a value is.
    ///
    /// # Errors
    /// Says why it cannot be known, for whoever wrote it.
    pub(super) fn resolve(&self, value: &RawValue) -> Result<Value, String> {
        Resolution { scope: self, parts: Cell::new(0) }.value(&value.expression, 0)
    }

    fn lookup(&self, path: &[String]) -> Result<&'a RawExpression, String> {
        match path {
            [kind, name] if kind == "var" => match self.variables.get(name.as_str()) {
                Some(Some(default)) => Ok(&default.expression),
                Some(None) => Err(format!(
                    "`var.{name}` has no default; allowed: a variable with a default, or a value"
                )),
                None => Err(format!(
                    "there is no variable `{name}`{}; allowed: a variable with a default, or a value",
                    suggest::hint(name, self.variables.keys().copied())
                )),
            },
            [kind, name] if kind == "local" => {
                self.locals.get(name.as_str()).map(|local| &local.expression).ok_or_else(|| {
                    let hint = suggest::hint(name, self.locals.keys().copied());
                    format!("there is no local `{name}`{hint}; allowed: a local that is given, or a value")
                })
            }
            _ => Err(format!(
                "`{}` goes into a part of a variable; allowed: var.NAME, local.NAME or a value",
                shortened(&path.join("."))
            )),
        }
    }
}

/// The resolution of one attribute's value, with a bound on its size.
struct Resolution<'s, 'a> {
    scope: &'s Scope<'a>,
    parts: Cell<usize>,
}

impl Resolution<'_, '_> {
    fn value(&self, expression: &RawExpression, depth: usize) -> Result<Value, String> {
        self.parts.set(self.parts.get() + 1);
        if depth > MAX_DEPTH || self.parts.get() > MAX_PARTS {
            return Err(format!(
                "the value leads through too many variables or parts; allowed: {MAX_DEPTH} levels, {MAX_PARTS} parts"
            ));
        }
        match expression {
            RawExpression::Null => Ok(Value::Null),
            RawExpression::Bool(value) => Ok(Value::Bool(*value)),
            RawExpression::Number(number) => Ok(Value::Number(*number)),
            RawExpression::Text(text) => text_value(text.clone()),
            RawExpression::Template(pieces) => self.template(pieces, depth),
            RawExpression::List(items) => items
                .iter()
                .map(|item| Ok((self.value(&item.expression, depth)?, item.place)))
                .collect::<Result<_, String>>()
                .map(Value::List),
            RawExpression::Path(path) => match path.first().map(String::as_str) {
                Some("var" | "local") => self.value(self.scope.lookup(path)?, depth + 1),
                _ => Ok(Value::Reference(path.clone())),
            },
            RawExpression::Other(what) => Err(format!(
                "{what} is not understood here; allowed: a value, var.NAME, local.NAME, a reference to a block, or text of these"
            )),
        }
    }

    fn template(&self, pieces: &[RawExpression], depth: usize) -> Result<Value, String> {
        if let [single] = pieces {
            // "${x}" is x, whatever x is.
            return self.value(single, depth);
        }
        let mut text = String::new();
        for piece in pieces {
            let value = self.value(piece, depth)?;
            let piece = value.as_text().ok_or_else(|| {
                format!(
                    "{value} cannot be a part of a text; allowed: text, numbers, and variables that are these"
                )
            })?;
            text.push_str(&piece);
            if text.len() > MAX_TEXT {
                break;
            }
        }
        text_value(text)
    }
}

fn text_value(text: String) -> Result<Value, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the text is too long; allowed: at most {MAX_TEXT} bytes"));
    }
    Ok(Value::Text(text))
}
