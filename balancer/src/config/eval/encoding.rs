//! Functions that write values in another form: JSON, base64, URLs, digests. Must not know: expressions.

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{call::Call, digests, fail::Fail};
use crate::config::{
    bindings::Val,
    decimal::Decimal,
    json::{self, Json, Node},
};

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    if call.name == "uuidv5" {
        call.takes(2, 2)?;
        let space = digests::namespace(&call.text(0)?).ok_or_else(|| {
            call.wrong("is given no namespace", "\"dns\", \"url\", \"oid\", \"x500\" or a UUID")
        })?;
        return Ok(Some(Val::text(digests::uuid(space, call.text(1)?.as_bytes()))));
    }
    if !matches!(call.name, "jsonencode" | "jsondecode" | "base64encode" | "base64decode" | "urlencode")
        && !digests::is_of_text(call.name)
    {
        return Ok(None);
    }
    call.takes(1, 1)?;
    match call.name {
        "jsonencode" => {
            let value = call.value(0)?;
            if let Some(by) = value.unknown_within() {
                return Err(Fail::By(by));
            }
            json(call, value).map(Val::text)
        }
        "jsondecode" => {
            let text = call.text(0)?;
            let node = json::parse(&text).map_err(|error| {
                call.wrong(&format!("is given what is no JSON (expected {})", error.expected), "JSON")
            })?;
            decoded(call, &node)
        }
        "base64encode" => Ok(Val::text(STANDARD.encode(call.text(0)?.as_bytes()))),
        "base64decode" => {
            let bytes = STANDARD
                .decode(call.text(0)?.as_bytes())
                .map_err(|_| call.wrong("is given what is no base64", "base64"))?;
            String::from_utf8(bytes)
                .map(Val::text)
                .map_err(|_| call.wrong("comes to what is no text", "base64 of text in UTF-8"))
        }
        "urlencode" => Ok(Val::text(url(&call.text(0)?))),
        name => Ok(Val::text(digests::digest(name, call.text(0)?.as_bytes()))),
    }
    .map(Some)
}

/// As Go's QueryEscape writes it.
fn url(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            b' ' => escaped.push('+'),
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

/// A value as JSON: no blanks, members sorted by name, `<`, `>` and `&` escaped.
pub(super) fn json(call: &Call<'_>, value: &Val) -> Result<String, Fail> {
    let mut text = String::new();
    write_json(call, value, &mut text)?;
    Ok(text)
}

fn write_json(call: &Call<'_>, value: &Val, text: &mut String) -> Result<(), Fail> {
    match value {
        Val::Null => text.push_str("null"),
        Val::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Val::Number(number) => text.push_str(&number.digits().ok_or_else(|| {
            call.not_here("is given a number without an end of digits", "a number that is rounded")
        })?),
        Val::Huge(_) => return Err(super::convert::huge()),
        Val::Text(content) => json::write_text(content, text),
        Val::List(items) | Val::Set(items) => {
            text.push('[');
            for (index, (item, _)) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                write_json(call, item, text)?;
            }
            text.push(']');
        }
        Val::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                json::write_text(name, text);
                text.push(':');
                write_json(call, member, text)?;
            }
            text.push('}');
        }
        Val::Reference(_) | Val::Unknown(_) => return Err(Fail::By(value.unknown().unwrap_or_default())),
    }
    Ok(())
}

fn decoded(call: &Call<'_>, node: &Node) -> Result<Val, Fail> {
    Ok(match &node.json {
        Json::Null => Val::Null,
        Json::Bool(truth) => Val::Bool(*truth),
        Json::Number(number) => {
            let whole = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
            let decimal =
                whole.map(Decimal::from).or_else(|| Decimal::of_float(number.as_f64().unwrap_or_default()));
            Val::Number(decimal.ok_or_else(super::convert::huge)?)
        }
        Json::Text(text) => Val::text(text.as_str()),
        Json::List(items) => {
            let items = items.iter().map(|item| Ok((decoded(call, item)?, call.position)));
            Val::list(items.collect::<Result<_, Fail>>()?)
        }
        Json::Object(members) => {
            let members =
                members.iter().map(|member| Ok((member.name.clone(), decoded(call, &member.node)?)));
            Val::object(members.collect::<Result<BTreeMap<_, _>, Fail>>()?)
        }
    })
}
