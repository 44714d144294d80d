//! Regular expressions as Go has them. Must not know: what a text is for.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};

use super::{call::Call, fail::Fail};
use crate::config::bindings::Val;

/// Most memory of an expression.
const MAX_SIZE: usize = 1 << 20;
/// Classes that are of ASCII in Go.
const OF_ASCII: [&str; 8] = ["\\d", "\\w", "\\s", "\\b", "\\D", "\\W", "\\S", "\\B"];

/// The expression, as it is to be looked for in a text.
pub(super) fn compile(call: &Call<'_>, pattern: &str, text: &str) -> Result<Regex, Fail> {
    if !text.is_ascii() && (OF_ASCII.iter().any(|class| pattern.contains(class)) || pattern.contains("(?i")) {
        return Err(call.not_here("matches other letters by its classes", "a text in ASCII"));
    }
    RegexBuilder::new(pattern).size_limit(MAX_SIZE).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => call.not_here("has too large an expression", "a smaller one"),
        // What Go takes and this does not is not told apart.
        _ => call.not_here("has an expression that is not understood", "one without look-around"),
    })
}

pub(super) fn first(call: &Call<'_>) -> Result<Val, Fail> {
    let (pattern, text) = (call.text(0)?, call.text(1)?);
    let regex = compile(call, &pattern, &text)?;
    let found = regex.captures(&text).map(|captures| parts(call, &regex, &captures));
    found.unwrap_or_else(|| Err(call.wrong("finds nothing in the text", "a text that it matches")))
}

pub(super) fn all(call: &Call<'_>) -> Result<Val, Fail> {
    let (pattern, text) = (call.text(0)?, call.text(1)?);
    let regex = compile(call, &pattern, &text)?;
    let found = regex.captures_iter(&text);
    let found: Result<Vec<_>, Fail> =
        found.map(|captures| Ok((parts(call, &regex, &captures)?, call.position))).collect();
    Ok(Val::list(found?))
}

/// The whole, or its parts: by name where they have names, else in order.
fn parts(call: &Call<'_>, regex: &Regex, captures: &Captures<'_>) -> Result<Val, Fail> {
    let part = |found: Option<regex::Match<'_>>| found.map_or(Val::Null, |found| Val::text(found.as_str()));
    let names: Vec<Option<&str>> = regex.capture_names().skip(1).collect();
    match (names.len(), names.iter().filter(|name| name.is_some()).count()) {
        (0, _) => Ok(part(captures.get(0))),
        (all, named) if all == named => {
            let named = names.iter().flatten().map(|name| ((*name).to_owned(), part(captures.name(name))));
            Ok(Val::object(named.collect::<BTreeMap<_, _>>()))
        }
        (_, 0) => {
            let parts = captures.iter().skip(1).map(|found| (part(found), call.position));
            Ok(Val::list(parts.collect()))
        }
        _ => Err(call.wrong("names some of its parts", "names for all of them, or for none")),
    }
}
