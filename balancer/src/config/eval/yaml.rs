//! YAML as `yamldecode` reads it and `yamlencode` writes it. What is plain means what Terraform takes it for: mostly YAML 1.2, with
//! the truth values of 1.1. Must not know: expressions.

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};

use super::{call::Call, convert, fail::Fail};
use crate::config::{
    bindings::{Item, Val},
    decimal::Decimal,
};

/// Deepest nesting, as in JSON.
const MAX_DEPTH: usize = 64;
/// Most nodes of a document, what is named again counted again.
const MAX_NODES: usize = 100_000;
/// What merges another map into the one that it stands in.
const MERGE: &str = "<<";
/// The tag of plain text.
const TEXT: &str = "str";

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    match call.name {
        "yamldecode" => {
            call.takes(1, 1)?;
            decoded(call).map(Some)
        }
        "yamlencode" => {
            call.takes(1, 1)?;
            let value = call.value(0)?;
            match value.unknown_within() {
                Some(by) => Err(Fail::By(by)),
                None => encoded(call, value).map(|text| Some(Val::text(text))),
            }
        }
        _ => Ok(None),
    }
}

fn decoded(call: &Call<'_>) -> Result<Val, Fail> {
    let text = call.text(0)?;
    let mut options = Options::default();
    options.emit_comments = false;
    let parser = Parser::new_from_str_with_options(&text, options);
    let mut reader = YamlReader { call, parser, named: BTreeMap::new(), left: MAX_NODES };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd => return Err(call.wrong("is given no document", "a YAML document")),
            event => {
                let value = reader.value(event, 0)?;
                return match (reader.next()?, reader.next()?) {
                    (Event::DocumentEnd, Event::StreamEnd) => Ok(value),
                    _ => Err(call.wrong("is given more than one document", "one document")),
                };
            }
        }
    }
}

struct YamlReader<'r, 'c, 'i> {
    call: &'r Call<'c>,
    parser: Parser<'i, granit_parser::StrInput<'i>>,
    /// What anchors name.
    named: BTreeMap<usize, Val>,
    left: usize,
}

impl<'i> YamlReader<'_, '_, 'i> {
    /// What Terraform's parser makes of what this one does not take is not told apart.
    fn next(&mut self) -> Result<Event<'i>, Fail> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(_)) => Err(self.call.not_here("is given what is not understood as YAML", "YAML")),
            None => Ok(Event::StreamEnd),
        }
    }

    fn untagged(&self, tag: Option<&Cow<'_, Tag>>) -> Result<(), Fail> {
        match tag {
            None => Ok(()),
            Some(_) => Err(self.call.not_here("is given a tag", "values without tags, or `!!str`")),
        }
    }

    fn value(&mut self, event: Event<'i>, depth: usize) -> Result<Val, Fail> {
        self.left = match self.left.checked_sub(1) {
            Some(left) if depth < MAX_DEPTH => left,
            _ => return Err(self.call.not_here("is given too much", "a smaller document")),
        };
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let value = self.named.get(&anchor).cloned();
                let value = value.ok_or_else(|| self.call.wrong("names what is not there", "an anchor"))?;
                self.left = self.left.saturating_sub(value.weight());
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.suffix() == TEXT);
                if !is_text {
                    self.untagged(tag.as_ref())?;
                }
                let is_plain = style == ScalarStyle::Plain && !is_text;
                (anchor, if is_plain { self.plain(&text)? } else { Val::text(text) })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.untagged(tag.as_ref())?;
                (anchor, self.list(depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.untagged(tag.as_ref())?;
                (anchor, self.map(depth)?)
            }
            _ => return Err(self.call.not_here("is given what is not understood as YAML", "YAML")),
        };
        if anchor > 0 {
            self.named.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Val, Fail> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Val::list(items)),
                event => items.push((self.value(event, depth + 1)?, self.call.position)),
            }
        }
    }

    /// Of equal keys the last one counts; what is merged counts where nothing is written.
    fn map(&mut self, depth: usize) -> Result<Val, Fail> {
        let (mut written, mut merged) = (BTreeMap::new(), BTreeMap::new());
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                event => self.value(event, depth + 1)?,
            };
            let key = match convert::to_text(&key) {
                Ok(Val::Text(key)) => key.to_string(),
                _ => return Err(self.call.wrong("has a key that is none", "text")),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            match value {
                Val::Object(members) if key == MERGE => {
                    merged.extend(members.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                _ if key == MERGE => {
                    return Err(self.call.not_here("merges what is no map", "a map behind `<<`"));
                }
                value => drop(written.insert(key, value)),
            }
        }
        merged.extend(written);
        Ok(Val::object(merged))
    }

    /// What stands without quotes.
    fn plain(&self, text: &str) -> Result<Val, Fail> {
        let number = |number: Option<Decimal>| number.map(Val::Number).ok_or_else(convert::huge);
        let radix = |digits: &str, radix: u32| {
            let is_sound = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
            is_sound.then(|| i128::from_str_radix(digits, radix).ok().map(Decimal::from))
        };
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Ok(Val::Null),
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
                return Ok(Val::Bool(true));
            }
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
                return Ok(Val::Bool(false));
            }
            _ => {}
        }
        if is_date(text) {
            return Err(self.call.not_here("is given a date without quotes", "the date in quotes"));
        }
        let lower = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
        if matches!(lower.as_str(), ".inf" | ".nan") {
            return Err(convert::huge());
        }
        let based = [("0x", 16), ("0o", 8)];
        let based = based.iter().find_map(|(start, base)| radix(text.strip_prefix(start)?, *base));
        match based {
            Some(found) => number(found),
            None if is_number(text) => {
                let unsigned = text.trim_start_matches(['+', '-']);
                // As it is written in full.
                let (digits, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
                let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
                let sign = if text.starts_with('-') { "-" } else { "" };
                number(Decimal::parse(&format!("{sign}0{whole}.{part}0e{exponent}")))
            }
            None => Ok(Val::text(text)),
        }
    }
}

/// Whether it begins as a date does.
fn is_date(text: &str) -> bool {
    let digits = |part: Option<&str>, lengths: std::ops::RangeInclusive<usize>| {
        part.is_some_and(|part| {
            let count = part.bytes().take_while(u8::is_ascii_digit).count();
            lengths.contains(&count)
        })
    };
    let mut parts = text.splitn(3, '-');
    digits(parts.next(), 4..=4) && digits(parts.next(), 1..=2) && digits(parts.next(), 1..=2)
}

/// Digits with a sign, a point and an exponent as the case may be.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && part.is_empty())
        && is_digits(whole)
        && is_digits(part)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && is_digits(exponent))
}

/// Longest line of a text that is written in one; Terraform folds longer ones.
const MAX_LINE: usize = 60;

fn encoded(call: &Call<'_>, value: &Val) -> Result<String, Fail> {
    let mut text = String::new();
    write(call, value, 0, &mut text)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // The end of a plain value that is all there is.
    if matches!(value, Val::Null | Val::Bool(_) | Val::Number(_)) {
        text.push_str("...\n");
    }
    Ok(text)
}

/// Writes a value where a line has been begun, so deep.
fn write(call: &Call<'_>, value: &Val, depth: usize, text: &mut String) -> Result<(), Fail> {
    if depth > MAX_DEPTH {
        return Err(call.not_here("is given too deep a value", "a flatter one"));
    }
    match value {
        Val::List(items) | Val::Set(items) if items.is_empty() => text.push_str("[]"),
        Val::Object(members) if members.is_empty() => text.push_str("{}"),
        Val::List(items) | Val::Set(items) => {
            for (index, (item, _)) in items.iter().enumerate() {
                begin(index, depth, text);
                text.push_str("- ");
                write(call, item, depth + 1, text)?;
            }
        }
        Val::Object(members) => {
            for (index, (name, member)) in members.iter().enumerate() {
                begin(index, depth, text);
                quoted(call, name, text)?;
                text.push(':');
                match member {
                    Val::List(items) | Val::Set(items) if !items.is_empty() => {
                        // As deep as the map itself.
                        begin(1, depth, text);
                        write(call, member, depth, text)?;
                    }
                    Val::Object(inner) if !inner.is_empty() => {
                        begin(1, depth + 1, text);
                        write(call, member, depth + 1, text)?;
                    }
                    member => {
                        text.push(' ');
                        write(call, member, depth + 1, text)?;
                    }
                }
            }
        }
        Val::Text(content) if content.contains('\n') => lines(call, content, depth.max(1), text)?,
        Val::Text(content) => quoted(call, content, text)?,
        // Numbers and the rest are as in JSON.
        value => text.push_str(&super::encoding::json(call, value)?),
    }
    Ok(())
}

/// A line of its own, but for the first.
fn begin(index: usize, depth: usize, text: &mut String) {
    if index > 0 {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.extend(std::iter::repeat_n("  ", depth));
    }
}

fn quoted(call: &Call<'_>, content: &str, text: &mut String) -> Result<(), Fail> {
    let is_odd = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if content.chars().any(is_odd) || content.chars().count() > MAX_LINE {
        return Err(call.not_here("is given text that is written otherwise", "text of a short line"));
    }
    text.push('"');
    text.push_str(&content.replace('\\', "\\\\").replace('"', "\\\""));
    text.push('"');
    Ok(())
}

/// Text of several lines, in a block of them.
fn lines(call: &Call<'_>, content: &str, depth: usize, text: &mut String) -> Result<(), Fail> {
    let is_odd = |line: &str| {
        line.ends_with(' ') || line.starts_with([' ', '\t']) || line.chars().any(char::is_control)
    };
    let body = content.trim_end_matches('\n');
    if body.is_empty() || body.starts_with('\n') || body.lines().any(is_odd) || content.contains('\r') {
        return Err(
            call.not_here("is given text that is written otherwise", "lines without blanks at their ends")
        );
    }
    let ends = content.len() - body.len();
    text.push_str(match ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            text.extend(std::iter::repeat_n("  ", depth));
            text.push_str(line);
        }
    }
    text.extend(std::iter::repeat_n('\n', ends.max(1)));
    Ok(())
}
