//! Terraform's functions by name. Must not know: expressions.

use super::{
    call::Call, charsets, collections, convert, csv, dates, encoding, fail::Fail, network, numbers, texts,
    yaml,
};
use crate::config::{bindings::Val, suggest};

/// What they are a value of, at the time of the call.
const OF_THE_MOMENT: [&str; 4] = ["bcrypt", "plantimestamp", "timestamp", "uuid"];

/// Those of Terraform that are not done here: what they come to decides nothing of a load balancer.
const NOT_DONE: [&str; 2] = ["base64gzip", "rsadecrypt"];

/// What a function comes to.
pub(super) fn call(call: &Call<'_>) -> Result<Val, Fail> {
    if OF_THE_MOMENT.contains(&call.name) {
        return Err(Fail::By(format!("{}()", call.name).into()));
    }
    if matches!(call.name, "sensitive" | "nonsensitive" | "ephemeralasnull") {
        call.takes(1, 1)?;
        return call.value(0).cloned();
    }
    let rooms = [
        collections::call,
        texts::call,
        numbers::call,
        encoding::call,
        charsets::call,
        network::call,
        yaml::call,
        csv::call,
        dates::call,
        conversions,
    ];
    for room in rooms {
        if let Some(value) = room(call)? {
            return Ok(value);
        }
    }
    if NOT_DONE.contains(&call.name) {
        return Err(call.not_here(
            "is a function that is not worked out here",
            "a value in its place, or `balancer import --plan`",
        ));
    }
    if call.name.is_empty() {
        let wrong = "a function of a provider is not worked out here; allowed: Terraform's own, or `balancer import --plan`";
        return Err(Fail::NotHere(wrong.to_owned()));
    }
    let known =
        ["coalesce", "concat", "element", "format", "join", "length", "lookup", "merge", "replace", "toset"];
    let hint = suggest::hint(call.name, known);
    Err(Fail::NotHere(format!(
        "there is no function `{}`{hint}; allowed: Terraform's own, or `balancer import --plan`",
        call.name
    )))
}

/// Functions that make a value one of a type.
fn conversions(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    if !call.name.starts_with("to") {
        return Ok(None);
    }
    let make: fn(&Call<'_>, &Val) -> Result<Val, Fail> = match call.name {
        "tostring" => |_, value| convert::to_text(value),
        "tonumber" => |_, value| convert::to_number(value),
        "tobool" => |_, value| convert::to_truth(value),
        "toset" => |call, value| convert::set(call.as_list(value)?),
        "tolist" => |call, value| Ok(Val::list(convert::of_one_type(call.as_list(value)?)?)),
        "tomap" => |call, _| Ok(Val::object(convert::members_of_one_type(call.object(0)?)?)),
        _ => return Ok(None),
    };
    call.takes(1, 1)?;
    let value = call.value(0)?;
    match value {
        Val::Null => Ok(Some(Val::Null)),
        value if value.unknown().is_some() => Ok(Some(value.clone())),
        value => make(call, value).map(Some),
    }
}
