//! What the type of a variable makes of its value, as Terraform does: `"12"` is a number where a number is meant, `true` a text
//! where a text is, and so on in lists, sets, maps, tuples and objects. Must not know: what a variable is for, or what its type
//! adds ([`super::optional`]).

use std::collections::{HashMap, HashSet};

use super::{
    optional::key_text,
    raw::{Number, RawExpression, RawValue},
    source::Position,
    value::{is_huge, number_text},
};

/// Why a value is none of its type, and where.
pub(super) type Mismatch = (Position, String);

/// Makes the value one of this type. What is worked out, and what the type does not say, stays as it is; `null` is of any type.
///
/// # Errors
/// Terraform would not make one of it.
pub(super) fn convert(value: &mut RawValue, kind: &RawExpression) -> Result<(), Mismatch> {
    if !is_written_out(&value.expression) {
        return Ok(());
    }
    match kind {
        RawExpression::Path(words, _) => match words.as_slice() {
            [word] => simple(value, word),
            _ => Ok(()),
        },
        RawExpression::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("optional", [kind, ..]) => convert(value, kind),
            ("list", [kind]) => elements(value, kind, "list"),
            ("set", [kind]) => {
                elements(value, kind, "set")?;
                make_set(value);
                Ok(())
            }
            ("map", [kind]) => members(value, kind),
            ("tuple", [RawExpression::List(kinds)]) => tuple(value, kinds),
            ("object", [RawExpression::Object(attributes)]) => object(value, attributes),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether it is what it is by itself, as values of variables have to be.
fn is_written_out(expression: &RawExpression) -> bool {
    matches!(
        expression,
        RawExpression::Bool(_)
            | RawExpression::Number(_)
            | RawExpression::Text(_)
            | RawExpression::List(_)
            | RawExpression::Object(_)
    )
}

/// A type that is one word.
fn simple(value: &mut RawValue, word: &str) -> Result<(), Mismatch> {
    let made = match (word, &value.expression) {
        ("string", RawExpression::Text(_))
        | ("number", RawExpression::Number(_))
        | ("bool", RawExpression::Bool(_)) => return Ok(()),
        ("string", RawExpression::Bool(truth)) => Some(RawExpression::Text(truth.to_string())),
        // One that is beyond the parser is told where it is used.
        ("string", RawExpression::Number(number)) if is_huge(*number) => return Ok(()),
        ("string", RawExpression::Number(number)) => number_text(*number).map(RawExpression::Text),
        ("number", RawExpression::Text(text)) => number_of(text).map(RawExpression::Number),
        ("bool", RawExpression::Text(text)) => match text.as_str() {
            "true" | "1" => Some(RawExpression::Bool(true)),
            "false" | "0" => Some(RawExpression::Bool(false)),
            _ => None,
        },
        ("string" | "number" | "bool", _) => None,
        // As Terraform took them before types had elements.
        ("list", _) => return elements(value, &any(), "list"),
        ("map", _) => return members(value, &any()),
        _ => return Ok(()),
    };
    let allowed = match word {
        "number" => "a number, or a text that is one",
        "bool" => "true, false, or one of the texts \"true\", \"false\", \"1\" and \"0\"",
        _ => "a text, a number or a truth value",
    };
    value.expression = made.ok_or_else(|| mismatch(value, word, allowed))?;
    Ok(())
}

fn any() -> RawExpression {
    RawExpression::Path(vec!["any".to_owned()], Vec::new())
}

/// What is there is not shown: it may be a secret.
fn mismatch(value: &RawValue, kind: &str, allowed: &str) -> Mismatch {
    let found = match &value.expression {
        RawExpression::Bool(_) => "a truth value",
        RawExpression::Number(_) => "a number",
        RawExpression::Text(_) if kind == "number" => "a text that is no number",
        RawExpression::Text(_) if kind == "bool" => "a text that is no truth value",
        RawExpression::Text(_) => "a text",
        RawExpression::List(_) => "a list",
        _ => "a map",
    };
    (value.position, format!("{found} stands where the type of the variable says {kind}; allowed: {allowed}"))
}

/// Digits, with a point and an exponent as the case may be.
fn number_of(text: &str) -> Option<Number> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number = text.parse::<f64>().ok().filter(|number| is_number && number.is_finite())?;
    let digits = text.strip_prefix('+').unwrap_or(text);
    let whole =
        || digits.parse::<u64>().map(Number::from).or_else(|_| digits.parse::<i64>().map(Number::from));
    whole().ok().or_else(|| Number::from_f64(number))
}

fn elements(value: &mut RawValue, kind: &RawExpression, what: &str) -> Result<(), Mismatch> {
    let RawExpression::List(items) = &mut value.expression else {
        return Err(mismatch(value, what, &format!("a {what}: [ELEMENT, …]")));
    };
    items.iter_mut().try_for_each(|item| convert(item, kind))?;
    alike(items.iter_mut(), kind)
}

fn members(value: &mut RawValue, kind: &RawExpression) -> Result<(), Mismatch> {
    let RawExpression::Object(items) = &mut value.expression else {
        return Err(mismatch(value, "map", "a map: { KEY = VALUE }"));
    };
    items.iter_mut().try_for_each(|(_, item)| convert(item, kind))?;
    alike(items.iter_mut().map(|(_, item)| item), kind)
}

/// Elements of any one type: texts, where one of them is a text.
fn alike<'v>(items: impl Iterator<Item = &'v mut RawValue>, kind: &RawExpression) -> Result<(), Mismatch> {
    if !matches!(kind, RawExpression::Path(words, _) if words.as_slice() == ["any"]) {
        return Ok(());
    }
    let mut items: Vec<_> = items.collect();
    let has_text = items.iter().any(|item| matches!(item.expression, RawExpression::Text(_)));
    let has_parts =
        items.iter().any(|item| matches!(item.expression, RawExpression::List(_) | RawExpression::Object(_)));
    if has_text && !has_parts {
        let text = RawExpression::Path(vec!["string".to_owned()], Vec::new());
        items.iter_mut().try_for_each(|item| convert(item, &text))?;
    }
    Ok(())
}

/// Each once, and in order, as far as there is one: that of Terraform's sets.
fn make_set(value: &mut RawValue) {
    let RawExpression::List(items) = &mut value.expression else { return };
    let mut seen = HashSet::new();
    items.retain(|item| key_of(&item.expression).is_none_or(|key| seen.insert(key)));
    if items.iter().all(|item| matches!(item.expression, RawExpression::Number(_))) {
        let float = |item: &RawValue| match item.expression {
            RawExpression::Number(number) => number.as_f64().unwrap_or_default(),
            _ => 0.0,
        };
        items.sort_by(|one, other| float(one).total_cmp(&float(other)));
    } else if items.iter().all(|item| key_of(&item.expression).is_some()) {
        items.sort_by_cached_key(|item| key_of(&item.expression));
    }
}

/// What tells simple values apart.
fn key_of(expression: &RawExpression) -> Option<(u8, String)> {
    match expression {
        RawExpression::Null => Some((0, String::new())),
        RawExpression::Bool(truth) => Some((1, truth.to_string())),
        RawExpression::Number(number) => Some((2, number_text(*number)?)),
        RawExpression::Text(text) => Some((3, text.clone())),
        _ => None,
    }
}

fn tuple(value: &mut RawValue, kinds: &[RawValue]) -> Result<(), Mismatch> {
    match &mut value.expression {
        RawExpression::List(items) if items.len() == kinds.len() => {
            let mut both = items.iter_mut().zip(kinds);
            both.try_for_each(|(item, kind)| convert(item, &kind.expression))
        }
        _ => Err(mismatch(value, "tuple", &format!("a list of {} elements", kinds.len()))),
    }
}

fn object(value: &mut RawValue, attributes: &[(RawExpression, RawValue)]) -> Result<(), Mismatch> {
    let position = value.position;
    let RawExpression::Object(members) = &mut value.expression else {
        return Err(mismatch(value, "object", "a map with the attributes of the type"));
    };
    let named = members.iter_mut().map(|(key, member)| Some((key_text(key)?, member)));
    let Some(mut members) = named.collect::<Option<HashMap<String, &mut RawValue>>>() else { return Ok(()) };
    for (name, RawValue { expression: kind, .. }) in attributes {
        let Some(name) = key_text(name) else { continue };
        match members.remove(&name) {
            Some(member) => convert(member, kind)?,
            None if matches!(kind, RawExpression::Call(call, _) if call == "optional") => {}
            None => {
                let message = format!(
                    "an object lacks `{name}`, which the type of the variable says; allowed: all of its attributes, but for \
                     those in `optional(…)`"
                );
                return Err((position, message));
            }
        }
    }
    Ok(())
}
