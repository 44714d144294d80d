//! Functions on texts. Must not know: expressions.

use std::rc::Rc;

use super::{call::Call, fail::Fail, format, regexes};
use crate::config::bindings::Val;

/// Longest text that a function makes.
const MAX_MADE: usize = 262_144;

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    let (least, most) = match call.name {
        "upper" | "lower" | "title" | "trimspace" | "chomp" | "strrev" | "basename" | "dirname" => (1, 1),
        "split" | "trim" | "trimprefix" | "trimsuffix" | "indent" | "startswith" | "endswith"
        | "strcontains" | "regex" | "regexall" => (2, 2),
        "substr" | "replace" => (3, 3),
        "join" => (2, usize::MAX),
        "format" | "formatlist" => (1, usize::MAX),
        _ => return Ok(None),
    };
    call.takes(least, most)?;
    let is = |test: fn(&str, &str) -> bool| Ok(Val::Bool(test(&call.text(0)?, &call.text(1)?)));
    let made = |text: String| Ok(Val::text(text));
    match call.name {
        "upper" => made(call.text(0)?.chars().map(|letter| one(letter, letter.to_uppercase())).collect()),
        "lower" => made(call.text(0)?.chars().map(|letter| one(letter, letter.to_lowercase())).collect()),
        "title" => made(title(&call.text(0)?)),
        "trimspace" => made(call.text(0)?.trim().to_owned()),
        "chomp" => made(call.text(0)?.trim_end_matches(['\r', '\n']).to_owned()),
        "strrev" => made(letters(call, &call.text(0)?)?.into_iter().rev().collect()),
        "basename" => made(base(&call.text(0)?)),
        "dirname" => made(folder(&call.text(0)?)),
        "split" => split(call),
        "join" => join(call),
        "trim" => {
            let (text, cut) = (call.text(0)?, call.text(1)?);
            made(text.trim_matches(|letter| cut.contains(letter)).to_owned())
        }
        "trimprefix" => {
            let (text, cut) = (call.text(0)?, call.text(1)?);
            made(text.strip_prefix(&*cut).unwrap_or(&text).to_owned())
        }
        "trimsuffix" => {
            let (text, cut) = (call.text(0)?, call.text(1)?);
            made(text.strip_suffix(&*cut).unwrap_or(&text).to_owned())
        }
        "indent" => indent(call),
        "startswith" => is(|text, part| text.starts_with(part)),
        "endswith" => is(|text, part| text.ends_with(part)),
        "strcontains" => is(|text, part| text.contains(part)),
        "substr" => substr(call),
        "replace" => replace(call),
        "regex" => regexes::first(call),
        "regexall" => regexes::all(call),
        "format" => made(format::format(call, call.values)?),
        _ => format::list(call),
    }
    .map(Some)
}

/// The letter in another case where that is one letter, as Go has it.
fn one(letter: char, mut other: impl Iterator<Item = char>) -> char {
    match (other.next(), other.next()) {
        (Some(other), None) => other,
        _ => letter,
    }
}

/// The letters that Terraform counts: what is put together of several is not told apart here.
pub(super) fn letters(call: &Call<'_>, text: &str) -> Result<Vec<char>, Fail> {
    const FIRST_OF_SEVERAL: char = '\u{300}';
    if text.contains("\r\n") || text.chars().any(|letter| letter >= FIRST_OF_SEVERAL) {
        return Err(call.not_here("counts letters of this text otherwise", "a text of Latin letters"));
    }
    Ok(text.chars().collect())
}

fn title(text: &str) -> String {
    let mut before = ' ';
    let raised = |letter: char| {
        let is_first = !(before.is_alphanumeric() || before == '_');
        before = letter;
        if is_first { one(letter, letter.to_uppercase()) } else { letter }
    };
    text.chars().map(raised).collect()
}

fn base(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".".to_owned(),
        (_, "") => "/".to_owned(),
        _ => trimmed.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

fn folder(path: &str) -> String {
    match path.rsplit_once('/') {
        None => ".".to_owned(),
        Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => folder.trim_end_matches('/').to_owned(),
    }
}

fn split(call: &Call<'_>) -> Result<Val, Fail> {
    let (separator, text) = (call.text(0)?, call.text(1)?);
    let item = |part: &str| (Val::text(part), call.position);
    if text.is_empty() {
        return Ok(Val::list(vec![item("")]));
    }
    if separator.is_empty() {
        return Ok(Val::list(letters(call, &text)?.iter().map(|letter| item(&letter.to_string())).collect()));
    }
    Ok(Val::list(text.split(&*separator).map(item).collect()))
}

fn join(call: &Call<'_>) -> Result<Val, Fail> {
    let mut parts = Vec::new();
    for value in call.values.iter().skip(1) {
        parts.extend(call.as_list(value)?.iter().map(|(item, _)| item));
    }
    // One alone is what it is, also where it is the name of a block.
    if let [only @ (Val::Reference(_) | Val::Unknown(_))] = parts.as_slice() {
        return Ok((*only).clone());
    }
    let separator = call.text(0)?;
    let texts: Vec<Rc<str>> = parts.into_iter().map(|part| call.as_text(part)).collect::<Result<_, _>>()?;
    let length = texts.iter().map(|text| text.len() + separator.len()).fold(0, usize::saturating_add);
    bounded(call, length)?;
    Ok(Val::text(texts.join(&*separator)))
}

fn bounded(call: &Call<'_>, length: usize) -> Result<(), Fail> {
    match length <= MAX_MADE {
        true => Ok(()),
        false => Err(call.not_here("makes too long a text", &format!("at most {MAX_MADE} bytes"))),
    }
}

fn indent(call: &Call<'_>) -> Result<Val, Fail> {
    let (width, text) = (call.whole(0)?, call.text(1)?);
    let width =
        usize::try_from(width).map_err(|_| call.wrong("is given a width below zero", "one from 0 on"))?;
    let lines = text.matches('\n').count();
    bounded(call, width.saturating_mul(lines).saturating_add(text.len()))?;
    Ok(Val::text(text.replace('\n', &format!("\n{:width$}", ""))))
}

fn substr(call: &Call<'_>) -> Result<Val, Fail> {
    let text = call.text(0)?;
    let letters = letters(call, &text)?;
    let (offset, length) = (call.whole(1)?, call.whole(2)?);
    let count = i128::try_from(letters.len()).unwrap_or(i128::MAX);
    let start = if offset < 0 { (count + offset.max(-count)).max(0) } else { offset.min(count) };
    let rest = count - start;
    let length = if length < 0 { rest } else { length.min(rest) };
    let start = usize::try_from(start).unwrap_or_default();
    let length = usize::try_from(length).unwrap_or_default();
    Ok(Val::text(letters.into_iter().skip(start).take(length).collect::<String>()))
}

fn replace(call: &Call<'_>) -> Result<Val, Fail> {
    let (text, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if from.len() > 1 && from.starts_with('/') && from.ends_with('/') {
        let pattern = from.get(1..from.len() - 1).unwrap_or_default();
        let regex = regexes::compile(call, pattern, &text)?;
        let matches = regex.find_iter(&text).count();
        bounded(call, matches.saturating_mul(to.len() + text.len()).saturating_add(text.len()))?;
        return Ok(Val::text(regex.replace_all(&text, &*to).into_owned()));
    }
    let matches = if from.is_empty() { text.len() + 1 } else { text.matches(&*from).count() };
    bounded(call, matches.saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(Val::text(text.replace(&*from, &to)))
}
