//! Functions on lists, sets and maps. Must not know: expressions.

use std::{collections::BTreeMap, rc::Rc};

use super::{call::Call, convert, fail::Fail, operators};
use crate::config::bindings::{Item, Val};

/// Most elements that a function makes of less.
const MAX_MADE: usize = 10_000;

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    let (least, most): (usize, usize) = match call.name {
        "keys" | "values" | "distinct" | "compact" | "flatten" | "reverse" | "sort" | "transpose" | "one"
        | "alltrue" | "anytrue" => (1, 1),
        "element" | "index" | "contains" | "chunklist" | "zipmap" | "setsubtract" => (2, 2),
        "slice" | "matchkeys" => (3, 3),
        "lookup" => (2, 3),
        "length" => (1, 1),
        "merge" | "concat" | "list" | "map" => (0, usize::MAX),
        "coalesce" | "coalescelist" | "setunion" | "setintersection" | "setproduct" => (1, usize::MAX),
        _ => return Ok(None),
    };
    call.takes(least, most)?;
    match call.name {
        "length" => length(call),
        "merge" => merge(call),
        "lookup" => lookup(call),
        "keys" => {
            Ok(Val::list(call.object(0)?.keys().map(|key| at(call, Val::text(key.as_str()))).collect()))
        }
        "values" => Ok(Val::list(call.object(0)?.values().map(|value| at(call, value.clone())).collect())),
        "element" => element(call),
        "index" => index(call),
        "contains" => contains(call),
        "concat" => concat(call),
        "coalesce" => coalesce(call),
        "coalescelist" => coalesce_list(call),
        "distinct" => distinct(call),
        "compact" => compact(call),
        "flatten" => {
            let mut flat = Vec::new();
            flatten(call.list(0)?, &mut flat)?;
            Ok(Val::list(flat))
        }
        "reverse" => Ok(Val::list(call.list(0)?.iter().rev().cloned().collect())),
        "sort" => {
            let mut texts = call.texts(0)?;
            texts.sort();
            Ok(Val::list(texts.into_iter().map(|text| at(call, Val::Text(text))).collect()))
        }
        "slice" => slice(call),
        "chunklist" => chunks(call),
        "zipmap" => zip(call),
        "transpose" => transpose(call),
        "matchkeys" => match_keys(call),
        "one" => match call.value(0)? {
            Val::Null => Ok(Val::Null),
            _ => match &**call.list(0)? {
                [] => Ok(Val::Null),
                [(one, _)] => Ok(one.clone()),
                _ => Err(call.wrong("is given more than one element", "a list of one element, or of none")),
            },
        },
        "alltrue" | "anytrue" => truths(call),
        "list" => Ok(Val::list(call.values.iter().map(|value| at(call, value.clone())).collect())),
        "map" => map(call),
        "setproduct" => product(call),
        _ => sets(call),
    }
    .map(Some)
}

fn at(call: &Call<'_>, value: Val) -> Item {
    (value, call.position)
}

fn length(call: &Call<'_>) -> Result<Val, Fail> {
    match call.value(0)? {
        Val::Object(members) => Ok(Val::whole(members.len())),
        Val::Text(text) => Ok(Val::whole(super::texts::letters(call, text)?.len())),
        _ => Ok(Val::whole(call.list(0)?.len())),
    }
}

fn merge(call: &Call<'_>) -> Result<Val, Fail> {
    let mut merged = BTreeMap::new();
    for (index, value) in call.values.iter().enumerate() {
        if !matches!(value, Val::Null) {
            merged.extend(call.object(index)?.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    Ok(Val::object(merged))
}

fn lookup(call: &Call<'_>) -> Result<Val, Fail> {
    let (members, key) = (call.object(0)?, call.text(1)?);
    match (members.get(&*key), call.values.get(2)) {
        (Some(member), _) => Ok(member.clone()),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(call.wrong("finds no such key", "a key of the map, or a default")),
    }
}

fn element(call: &Call<'_>) -> Result<Val, Fail> {
    if matches!(call.value(0)?, Val::Set(_)) {
        return Err(call.wrong("is given a set, which has no order", "a list"));
    }
    let (items, index) = (call.list(0)?, call.whole(1)?);
    let length = i128::try_from(items.len()).unwrap_or(i128::MAX);
    if length == 0 {
        return Err(call.wrong("is given an empty list", "a list with elements"));
    }
    if index < 0 {
        return Err(call.not_here("counts from the end by some versions alone", "an index from 0 on"));
    }
    let index = usize::try_from(index.rem_euclid(length)).unwrap_or_default();
    Ok(items.get(index).map_or(Val::Null, |(item, _)| item.clone()))
}

fn index(call: &Call<'_>) -> Result<Val, Fail> {
    let (items, wanted) = (call.list(0)?, call.value(1)?);
    for (index, (item, _)) in items.iter().enumerate() {
        match operators::equal(item, wanted)? {
            Some(true) => return Ok(Val::whole(index)),
            Some(false) => {}
            None => return Err(Fail::By(by(item, wanted))),
        }
    }
    Err(call.wrong("finds no such element", "an element of the list"))
}

fn by(one: &Val, other: &Val) -> Rc<str> {
    one.unknown_within().or_else(|| other.unknown_within()).unwrap_or_default()
}

fn contains(call: &Call<'_>) -> Result<Val, Fail> {
    let (items, wanted) = (call.list(0)?, call.value(1)?);
    let mut unknown = None;
    for (item, _) in items.iter() {
        match operators::equal(item, wanted)? {
            Some(true) => return Ok(Val::Bool(true)),
            Some(false) => {}
            None => unknown = Some(by(item, wanted)),
        }
    }
    unknown.map_or(Ok(Val::Bool(false)), |by| Err(Fail::By(by)))
}

fn concat(call: &Call<'_>) -> Result<Val, Fail> {
    let mut all = Vec::new();
    for value in call.values {
        if matches!(value, Val::Set(_)) {
            return Err(call.wrong("is given a set, which has no order", "lists"));
        }
        all.extend(call.as_list(value)?.iter().cloned());
    }
    Ok(Val::list(all))
}

fn coalesce(call: &Call<'_>) -> Result<Val, Fail> {
    let is_nothing =
        |value: &&Val| matches!(value, Val::Null) || matches!(value, Val::Text(text) if text.is_empty());
    match call.values.iter().find(|value| !is_nothing(value)) {
        // What any of them is a text, all are.
        Some(value) => {
            let others = call.values.iter().filter(|other| !matches!(other, Val::Null));
            others.into_iter().try_fold(value.clone(), |value, other| convert::as_arm(&value, other))
        }
        None => Err(call.wrong("is given nothing but null and empty texts", "a value among them")),
    }
}

fn coalesce_list(call: &Call<'_>) -> Result<Val, Fail> {
    for value in call.values.iter().filter(|value| !matches!(value, Val::Null)) {
        if !call.as_list(value)?.is_empty() {
            return Ok(value.clone());
        }
    }
    Err(call.wrong("is given nothing but empty lists", "a list with elements among them"))
}

fn distinct(call: &Call<'_>) -> Result<Val, Fail> {
    let items = convert::of_one_type(call.list(0)?)?;
    if items.len() > MAX_MADE / 5 {
        return Err(call.not_here("is given too many elements", "less of them"));
    }
    let mut once: Vec<Item> = Vec::new();
    for item in &items {
        if !once.iter().any(|earlier| earlier.0.is_same(&item.0)) {
            once.push(item.clone());
        }
    }
    Ok(Val::list(once))
}

fn compact(call: &Call<'_>) -> Result<Val, Fail> {
    let mut kept = Vec::new();
    for (item, at) in call.list(0)?.iter() {
        match convert::to_text(item)? {
            Val::Null => {}
            Val::Text(text) if text.is_empty() => {}
            value => kept.push((value, *at)),
        }
    }
    Ok(Val::list(kept))
}

fn flatten(items: &[Item], flat: &mut Vec<Item>) -> Result<(), Fail> {
    for item in items {
        match &item.0 {
            Val::List(inner) | Val::Set(inner) => flatten(inner, flat)?,
            // It may be a list.
            Val::Unknown(by) => return Err(Fail::By(Rc::clone(by))),
            _ => flat.push(item.clone()),
        }
    }
    Ok(())
}

fn slice(call: &Call<'_>) -> Result<Val, Fail> {
    if matches!(call.value(0)?, Val::Set(_)) {
        return Err(call.wrong("is given a set, which has no order", "a list"));
    }
    let (items, from, to) = (call.list(0)?, call.whole(1)?, call.whole(2)?);
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    let part = range.and_then(|(from, to)| items.get(from..to));
    part.map(|part| Val::list(part.to_vec()))
        .ok_or_else(|| call.wrong("goes beyond the list", "indices within the list, the first one first"))
}

fn chunks(call: &Call<'_>) -> Result<Val, Fail> {
    let (items, size) = (call.list(0)?, call.whole(1)?);
    let size = usize::try_from(size).map_err(|_| call.wrong("has a size below zero", "a size from 0 on"))?;
    // One of 0 is one for all.
    let size = if size == 0 { items.len().max(1) } else { size };
    Ok(Val::list(items.chunks(size).map(|chunk| at(call, Val::list(chunk.to_vec()))).collect()))
}

fn zip(call: &Call<'_>) -> Result<Val, Fail> {
    let (keys, values) = (call.texts(0)?, call.list(1)?);
    if keys.len() != values.len() {
        return Err(call.wrong("is given lists of different lengths", "as many values as keys"));
    }
    let both = keys.iter().zip(values.iter());
    Ok(Val::object(both.map(|(key, (value, _))| (key.to_string(), value.clone())).collect()))
}

fn transpose(call: &Call<'_>) -> Result<Val, Fail> {
    let mut swapped: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for (key, values) in call.object(0)?.iter() {
        for (value, _) in call.as_list(values)?.iter() {
            let value = call.as_text(value)?;
            swapped.entry(value.to_string()).or_default().push(at(call, Val::text(key.as_str())));
        }
    }
    Ok(Val::object(swapped.into_iter().map(|(key, items)| (key, Val::list(items))).collect()))
}

fn match_keys(call: &Call<'_>) -> Result<Val, Fail> {
    let (values, keys, wanted) = (call.list(0)?, call.list(1)?, call.list(2)?);
    if values.len() != keys.len() {
        return Err(call.wrong("is given lists of different lengths", "as many values as keys"));
    }
    if keys.len().saturating_mul(wanted.len()) > MAX_MADE {
        return Err(call.not_here("is given too many elements", "less of them"));
    }
    let mut kept = Vec::new();
    for (value, (key, _)) in values.iter().zip(keys.iter()) {
        let mut is_wanted = false;
        for (wanted, _) in wanted.iter() {
            match operators::equal(key, wanted)? {
                Some(same) => is_wanted |= same,
                None => return Err(Fail::By(by(key, wanted))),
            }
        }
        if is_wanted {
            kept.push(value.clone());
        }
    }
    Ok(Val::list(kept))
}

fn truths(call: &Call<'_>) -> Result<Val, Fail> {
    let wanted = call.name == "anytrue";
    let mut unknown = None;
    for (item, _) in call.list(0)?.iter() {
        match convert::to_truth(item)? {
            Val::Bool(truth) if truth == wanted => return Ok(Val::Bool(wanted)),
            Val::Bool(_) => {}
            // It is not true.
            Val::Null if wanted => {}
            Val::Null => return Ok(Val::Bool(false)),
            value => unknown = value.unknown(),
        }
    }
    unknown.map_or(Ok(Val::Bool(!wanted)), |by| Err(Fail::By(by)))
}

/// `map("key", value, …)` of old.
fn map(call: &Call<'_>) -> Result<Val, Fail> {
    let mut members = BTreeMap::new();
    for pair in call.values.chunks(2) {
        let [key, value] = pair else {
            return Err(call.wrong("has a key without a value", "keys and values by turns"));
        };
        members.insert(call.as_text(key)?.to_string(), value.clone());
    }
    Ok(Val::object(members))
}

fn product(call: &Call<'_>) -> Result<Val, Fail> {
    let mut rows: Vec<Vec<Item>> = vec![Vec::new()];
    for value in call.values {
        let items = call.as_list(value)?;
        if rows.len().saturating_mul(items.len()) > MAX_MADE {
            return Err(call.not_here("makes too many elements", "shorter lists"));
        }
        let longer = rows.iter().flat_map(|row| {
            items.iter().map(|item| row.iter().cloned().chain([item.clone()]).collect::<Vec<_>>())
        });
        rows = longer.collect();
    }
    let rows: Vec<Item> = rows.into_iter().map(|row| at(call, Val::list(row))).collect();
    let is_set = call.values.iter().all(|value| matches!(value, Val::Set(_)));
    Ok(if is_set { Val::set(rows) } else { Val::list(rows) })
}

fn sets(call: &Call<'_>) -> Result<Val, Fail> {
    let mut kept = call.list(0)?.to_vec();
    for value in call.values.iter().skip(1) {
        let other = call.as_list(value)?;
        if kept.len().saturating_mul(other.len()) > MAX_MADE * 100 {
            return Err(call.not_here("is given too many elements", "less of them"));
        }
        if let Some(by) = value.unknown_within().filter(|_| call.name != "setunion") {
            return Err(Fail::By(by));
        }
        let has = |item: &Item| other.iter().any(|other| other.0.is_same(&item.0));
        match call.name {
            "setunion" => kept.extend(other.iter().cloned()),
            "setintersection" => kept.retain(has),
            _ => kept.retain(|item| !has(item)),
        }
    }
    convert::set(&kept)
}
