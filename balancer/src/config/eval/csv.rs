//! `csvdecode` (RFC 4180, as Go reads it). Must not know: expressions.

use std::collections::{BTreeMap, BTreeSet};

use super::{call::Call, fail::Fail};
use crate::config::bindings::Val;

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    if call.name != "csvdecode" {
        return Ok(None);
    }
    call.takes(1, 1)?;
    let text = call.text(0)?;
    let wrong = |what: &str| call.wrong(what, "lines of as many fields as the first has names");
    let rows = rows(&text).ok_or_else(|| wrong("has a quote where none may be"))?;
    let mut rows = rows.into_iter();
    let names = rows.next().ok_or_else(|| wrong("has no line of names"))?;
    if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
        return Err(wrong("has a name twice"));
    }
    let mut items = Vec::new();
    for row in rows {
        if row.len() != names.len() {
            return Err(wrong("has a line of another length"));
        }
        let members = names.iter().cloned().zip(row.into_iter().map(Val::text));
        items.push((Val::object(members.collect::<BTreeMap<_, _>>()), call.position));
    }
    Ok(Some(Val::list(items)))
}

/// The fields of each line; empty lines are none. Nothing where a quote is out of place.
fn rows(text: &str) -> Option<Vec<Vec<String>>> {
    let text = text.replace("\r\n", "\n");
    let mut rows = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('\n') {
            rest = behind;
            continue;
        }
        let mut row = Vec::new();
        loop {
            let (field, behind) = field(rest)?;
            row.push(field);
            if let Some(behind) = behind.strip_prefix(',') {
                rest = behind;
                continue;
            }
            rest = behind.strip_prefix('\n').unwrap_or(behind);
            break;
        }
        rows.push(row);
    }
    Some(rows)
}

/// A field, and what stands behind it.
fn field(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let (field, behind) = text.split_at_checked(text.find([',', '\n']).unwrap_or(text.len()))?;
        return (!field.contains('"')).then(|| (field.to_owned(), behind));
    };
    let mut field = String::new();
    loop {
        let (part, behind) = rest.split_once('"')?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None if behind.is_empty() || behind.starts_with([',', '\n']) => return Some((field, behind)),
            None => return None,
        }
    }
}
