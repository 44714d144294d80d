//! What Terraform makes of a value where it needs one of another type, and what types several values have together.
//! Must not know: expressions, or what a value is for.

use std::{collections::BTreeMap, rc::Rc};

use super::fail::Fail;
use crate::config::{
    bindings::{Item, Val},
    decimal::Decimal,
    raw::Number,
    source::Position,
};

/// A type, as far as values of one are made into another.
#[derive(Clone, Debug, PartialEq)]
enum ValueKind {
    Any,
    Bool,
    Number,
    Text,
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<Self>),
    Tuple(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// A text, or what a number or truth value is as text; null and what is unknown stay what they are.
pub(super) fn to_text(value: &Val) -> Result<Val, Fail> {
    match value {
        Val::Number(number) => number.digits().map(Val::text).ok_or_else(|| {
            Fail::NotHere(format!(
                "the number {number} has no end of digits and is no text here; allowed: a number that is rounded"
            ))
        }),
        Val::Bool(truth) => Ok(Val::text(truth.to_string())),
        Val::Huge(_) => Err(huge()),
        Val::List(_) | Val::Set(_) | Val::Object(_) => {
            Err(Fail::Wrong(format!("{} is no text; allowed: text", value.kind())))
        }
        value => Ok(value.clone()),
    }
}

/// A truth value, or what a text is as one.
pub(super) fn to_truth(value: &Val) -> Result<Val, Fail> {
    match value {
        Val::Text(text) => match &**text {
            "true" | "1" => Ok(Val::Bool(true)),
            "false" | "0" => Ok(Val::Bool(false)),
            _ => Err(Fail::Wrong(
                "a text is no truth value; allowed: true, false, \"true\" or \"false\"".to_owned(),
            )),
        },
        Val::Bool(_) | Val::Null | Val::Reference(_) | Val::Unknown(_) => Ok(value.clone()),
        value => Err(Fail::Wrong(format!("{} is no truth value; allowed: true or false", value.kind()))),
    }
}

/// A number, or what a text is as one.
pub(super) fn to_number(value: &Val) -> Result<Val, Fail> {
    match value {
        Val::Text(text) => Decimal::parse(text)
            .map(Val::Number)
            .ok_or_else(|| Fail::Wrong("a text is no number; allowed: a number".to_owned())),
        Val::Number(_) | Val::Null | Val::Reference(_) | Val::Unknown(_) => Ok(value.clone()),
        Val::Huge(_) => Err(huge()),
        value => Err(Fail::Wrong(format!("{} is no number; allowed: a number", value.kind()))),
    }
}

pub(super) fn huge() -> Fail {
    Fail::NotHere("a number is too large to be worked with; allowed: numbers below 2^64".to_owned())
}

/// A number as attributes are given it.
pub(super) fn to_parsed(number: Decimal) -> Option<Number> {
    match number.as_whole() {
        Some(whole) => u64::try_from(whole)
            .map(Number::from)
            .or_else(|_| i64::try_from(whole).map(Number::from))
            .ok()
            .or_else(|| Number::from_f64(number.as_float()?)),
        None => Number::from_f64(number.as_float()?),
    }
}

/// Elements with their keys, or what they go by where that is unknown.
pub(super) type Elements = Result<Vec<(Val, Item)>, Rc<str>>;

/// The elements of a list, a set, or a map with their keys, as `for` and `for_each` go through them; what they go by
/// where that is unknown.
pub(super) fn elements(value: &Val, position: Position) -> Result<Elements, Fail> {
    Ok(Ok(match value {
        Val::List(items) => {
            items.iter().enumerate().map(|(index, item)| (Val::whole(index), item.clone())).collect()
        }
        Val::Set(items) => items.iter().map(|item| (item.0.clone(), item.clone())).collect(),
        Val::Object(members) => members
            .iter()
            .map(|(key, member)| (Val::text(key.as_str()), (member.clone(), position)))
            .collect(),
        Val::Reference(_) | Val::Unknown(_) => return Ok(Err(value.unknown().unwrap_or_default())),
        value => {
            let wrong = format!("{} has no elements; allowed: a list, a set or a map", value.kind());
            return Err(Fail::Wrong(wrong));
        }
    }))
}

/// A set of these: each once, all of one type, in order.
pub(super) fn set(items: &[Item]) -> Result<Val, Fail> {
    let mut items = of_one_type(items)?;
    let is_simple =
        |(item, _): &Item| matches!(item, Val::Text(_) | Val::Number(_) | Val::Bool(_) | Val::Null);
    if items.iter().all(is_simple) {
        items.sort_by(|one, other| compare(&one.0, &other.0));
        items.dedup_by(|one, other| compare(&one.0, &other.0).is_eq());
        return Ok(Val::set(items));
    }
    let mut once: Vec<Item> = Vec::new();
    for item in items {
        if !once.iter().any(|earlier| earlier.0.is_same(&item.0)) {
            once.push(item);
        }
        if once.len() > MAX_COMPARED {
            let wrong = "a set has too many elements that are no texts; allowed: less of them";
            return Err(Fail::NotHere(wrong.to_owned()));
        }
    }
    Ok(Val::set(once))
}

/// Most elements of a set that are compared with each other.
const MAX_COMPARED: usize = 2000;

/// The order of Terraform's sets.
fn compare(one: &Val, other: &Val) -> std::cmp::Ordering {
    let rank = |value: &Val| match value {
        Val::Bool(truth) => u8::from(*truth),
        Val::Number(_) => 2,
        Val::Text(_) => 3,
        _ => 4,
    };
    match (one, other) {
        (Val::Text(one), Val::Text(other)) => one.cmp(other),
        (Val::Number(one), Val::Number(other)) => one.compare(*other),
        (one, other) => rank(one).cmp(&rank(other)),
    }
}

/// Elements of one type, as those of lists, sets and maps are.
pub(super) fn of_one_type(items: &[Item]) -> Result<Vec<Item>, Fail> {
    let kind = common(items.iter().map(|(item, _)| kind_of(item))).ok_or_else(|| {
        Fail::Wrong("the elements are of different types; allowed: elements of one type".to_owned())
    })?;
    items.iter().map(|(item, at)| Ok((convert(item, &kind)?, *at))).collect()
}

/// The same of the members of a map.
pub(super) fn members_of_one_type(members: &BTreeMap<String, Val>) -> Result<BTreeMap<String, Val>, Fail> {
    let kind = common(members.values().map(kind_of)).ok_or_else(|| {
        Fail::Wrong("the members are of different types; allowed: members of one type".to_owned())
    })?;
    members.iter().map(|(key, member)| Ok((key.clone(), convert(member, &kind)?))).collect()
}

/// The arm of a conditional that was taken, as of the type that both have together.
pub(super) fn as_arm(chosen: &Val, left: &Val) -> Result<Val, Fail> {
    let kind = unified(kind_of(chosen), kind_of(left)).ok_or_else(|| {
        Fail::Wrong(format!(
            "the results of a conditional are of different types, {} and {}; allowed: results of one type",
            chosen.kind(),
            left.kind()
        ))
    })?;
    convert(chosen, &kind)
}

fn kind_of(value: &Val) -> ValueKind {
    match value {
        Val::Null | Val::Reference(_) | Val::Unknown(_) => ValueKind::Any,
        Val::Bool(_) => ValueKind::Bool,
        Val::Number(_) | Val::Huge(_) => ValueKind::Number,
        Val::Text(_) => ValueKind::Text,
        Val::List(items) => ValueKind::Tuple(items.iter().map(|(item, _)| kind_of(item)).collect()),
        Val::Set(items) => ValueKind::Set(Box::new(
            common(items.iter().map(|(item, _)| kind_of(item))).unwrap_or(ValueKind::Any),
        )),
        Val::Object(members) => {
            ValueKind::Object(members.iter().map(|(key, member)| (key.clone(), kind_of(member))).collect())
        }
    }
}

fn common(kinds: impl Iterator<Item = ValueKind>) -> Option<ValueKind> {
    let mut all = ValueKind::Any;
    for kind in kinds {
        all = unified(all, kind)?;
    }
    Some(all)
}

/// The type that values of both can be made of.
fn unified(one: ValueKind, other: ValueKind) -> Option<ValueKind> {
    use ValueKind::{Any, Bool, List, Map, Number, Object, Set, Text, Tuple};
    Some(match (one, other) {
        (one, other) if one == other => one,
        (Any, kind) | (kind, Any) => kind,
        (Text, Bool | Number) | (Bool | Number, Text) => Text,
        (Tuple(one), Tuple(other)) if one.len() == other.len() => {
            let both = one.into_iter().zip(other);
            Tuple(both.map(|(one, other)| unified(one, other)).collect::<Option<_>>()?)
        }
        (Tuple(one), Tuple(other)) => List(Box::new(common(one.into_iter().chain(other))?)),
        (Tuple(kinds), List(kind)) | (List(kind), Tuple(kinds)) => {
            List(Box::new(common(kinds.into_iter().chain([*kind]))?))
        }
        (Tuple(kinds), Set(kind)) | (Set(kind), Tuple(kinds)) => {
            Set(Box::new(common(kinds.into_iter().chain([*kind]))?))
        }
        (List(one), List(other)) => List(Box::new(unified(*one, *other)?)),
        (List(one), Set(other)) | (Set(one), List(other)) | (Set(one), Set(other)) => {
            Set(Box::new(unified(*one, *other)?))
        }
        (Object(one), Object(other)) if one.keys().eq(other.keys()) => {
            let both = one.into_iter().zip(other.into_values());
            Object(both.map(|((key, one), other)| Some((key, unified(one, other)?))).collect::<Option<_>>()?)
        }
        (Object(one), Object(other)) => Map(Box::new(common(one.into_values().chain(other.into_values()))?)),
        (Object(members), Map(kind)) | (Map(kind), Object(members)) => {
            Map(Box::new(common(members.into_values().chain([*kind]))?))
        }
        (Map(one), Map(other)) => Map(Box::new(unified(*one, *other)?)),
        _ => return None,
    })
}

/// A value as one of a type that it can be made of.
fn convert(value: &Val, kind: &ValueKind) -> Result<Val, Fail> {
    match (kind, value) {
        (ValueKind::Text, value) => to_text(value),
        (ValueKind::List(kind), Val::List(items) | Val::Set(items)) => Ok(Val::list(
            items.iter().map(|(item, at)| Ok((convert(item, kind)?, *at))).collect::<Result<_, Fail>>()?,
        )),
        (ValueKind::Set(kind), Val::List(items) | Val::Set(items)) => {
            let items: Vec<Item> = items
                .iter()
                .map(|(item, at)| Ok((convert(item, kind)?, *at)))
                .collect::<Result<_, Fail>>()?;
            set(&items)
        }
        (ValueKind::Tuple(kinds), Val::List(items)) => {
            let both = items.iter().zip(kinds);
            let items = both.map(|((item, at), kind)| Ok((convert(item, kind)?, *at)));
            Ok(Val::list(items.collect::<Result<_, Fail>>()?))
        }
        (ValueKind::Map(kind), Val::Object(members)) => {
            let members = members.iter().map(|(key, member)| Ok((key.clone(), convert(member, kind)?)));
            Ok(Val::object(members.collect::<Result<_, Fail>>()?))
        }
        (ValueKind::Object(kinds), Val::Object(members)) => {
            let members = members.iter().map(|(key, member)| {
                let kind = kinds.get(key).unwrap_or(&ValueKind::Any);
                Ok((key.clone(), convert(member, kind)?))
            });
            Ok(Val::object(members.collect::<Result<_, Fail>>()?))
        }
        _ => Ok(value.clone()),
    }
}
