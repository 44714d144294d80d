//! What the type of a variable adds to its value: attributes of objects that may be left out (`optional(TYPE, DEFAULT)`),
//! as Terraform fills them in. Must not know: what a variable is for, or what becomes of a value that is not of its type
//! ([`super::conversion`]).

use std::collections::HashMap;

use super::raw::{RawExpression, RawValue};

/// Most parts that are looked at or filled in for one variable: each element of a list gets all of them.
const MAX_FILLED: usize = 100_000;

/// The value with what its type adds to it.
///
/// # Errors
/// Says that it would be too large.
pub(super) fn filled(value: &RawValue, kind: &RawExpression) -> Result<RawValue, String> {
    let mut value = value.clone();
    let mut room = MAX_FILLED;
    fill(&mut value, kind, &mut room)
        .ok_or_else(|| {
            format!("the type of the variable fills in too much; allowed: at most {MAX_FILLED} parts")
        })
        .map(|()| value)
}

/// Nothing when there is no room for it.
fn fill(value: &mut RawValue, kind: &RawExpression, room: &mut usize) -> Option<()> {
    let RawExpression::Call(name, arguments) = kind else { return Some(()) };
    match (name.as_str(), arguments.as_slice(), &mut value.expression) {
        ("object", [RawExpression::Object(attributes)], RawExpression::Object(_)) => {
            fill_object(value, attributes, room)
        }
        ("optional", [kind, ..], _) => fill(value, kind, room),
        ("list" | "set" | "map", [kind], RawExpression::List(items)) => {
            items.iter_mut().try_for_each(|item| fill(item, kind, room))
        }
        ("list" | "set" | "map", [kind], RawExpression::Object(members)) => {
            members.iter_mut().try_for_each(|(_, member)| fill(member, kind, room))
        }
        ("tuple", [RawExpression::List(kinds)], RawExpression::List(items)) => {
            let mut both = items.iter_mut().zip(kinds);
            both.try_for_each(|(item, kind)| fill(item, &kind.expression, room))
        }
        _ => Some(()),
    }
}

/// An object has the attributes of its type, and no others.
fn fill_object(
    value: &mut RawValue,
    attributes: &[(RawExpression, RawValue)],
    room: &mut usize,
) -> Option<()> {
    let RawExpression::Object(members) = &mut value.expression else { return Some(()) };
    // What is worked out is told of elsewhere.
    if members.iter().any(|(key, _)| key_text(key).is_none()) {
        return Some(());
    }
    // Of equal keys the last one counts.
    let mut given: HashMap<String, RawValue> =
        members.drain(..).filter_map(|(key, member)| Some((key_text(&key)?, member))).collect();
    let mut whole = Vec::new();
    for (name, RawValue { expression: kind, .. }) in attributes {
        let given = key_text(name).and_then(|name| given.remove(&name));
        if given.is_none() {
            *room = room.checked_sub(1)?;
        }
        let optional = match kind {
            RawExpression::Call(call, arguments) if call == "optional" => Some(arguments),
            _ => None,
        };
        let is_null = given.as_ref().is_none_or(|given| matches!(given.expression, RawExpression::Null));
        let member = match (given, optional) {
            (_, Some(arguments)) if is_null => {
                let expression = arguments.get(1).cloned().unwrap_or(RawExpression::Null);
                *room = room.checked_sub(parts(&expression))?;
                Some(RawValue { position: value.position, expression })
            }
            (given, _) => given,
        };
        if let Some(mut member) = member {
            fill(&mut member, kind, room)?;
            whole.push((name.clone(), member));
        }
    }
    *members = whole;
    Some(())
}

/// The key of a member, where it is written out.
pub(super) fn key_text(key: &RawExpression) -> Option<String> {
    match key {
        RawExpression::Text(text) => Some(text.clone()),
        RawExpression::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn parts(expression: &RawExpression) -> usize {
    expression.inner().into_iter().fold(1, |sum, inner| sum.saturating_add(parts(inner)))
}
