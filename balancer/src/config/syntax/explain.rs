//! What a fault of syntax is in a user's words, and where: the parser notices many of them late, and says what it would
//! have taken instead.

use super::scan::{Oddity, scan, scan_up_to};

/// Stands for every number that is beyond the parser: as short as the shortest of them.
pub(in super::super) const HUGE: f64 = 1e300;

/// Most characters of a key that are shown.
const MAX_KEY: usize = 60;

/// One fault of syntax.
#[derive(Debug)]
pub(super) struct SyntaxFault {
    pub(super) at: usize,
    pub(super) message: String,
    /// Where reading goes on; nothing for the next line that looks like the first of a block.
    pub(super) resume: Option<usize>,
}

/// What the parser noticed at `noticed`, in text from `start` on, and called `said`.
pub(super) fn fault(text: &str, start: usize, noticed: usize, said: &str) -> SyntaxFault {
    // The parser goes back to the beginning of what it cannot make sense of, which may stand further down the line.
    let line_end =
        text.get(noticed..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| noticed + end);
    let at_end = text.get(noticed..).is_none_or(|rest| rest.trim().len() <= 1);
    let found = if at_end { scan(text, start) } else { scan_up_to(text, start, line_end) };
    if let Some(Oddity { at, message }) = found.oddity.filter(|oddity| oddity.at <= line_end) {
        return SyntaxFault { at, message, resume: None };
    }
    if let Some((Oddity { at, message }, resume)) = found.unclosed.filter(|_| at_end) {
        return SyntaxFault { at, message, resume };
    }
    if let Some(at) = lone_return(text, noticed, line_end) {
        let message =
            "the byte 0x0d is no end of a line by itself; allowed: line feeds (0x0a), or both".to_owned();
        return SyntaxFault { at, message, resume: None };
    }
    let message = in_words(text, noticed, said).unwrap_or_else(|| format!("syntax error: {said}"));
    SyntaxFault { at: noticed, message, resume: None }
}

/// Where a carriage return stands in the line of a fault that is not at its end: the parser takes some of them for blanks.
fn lone_return(text: &str, noticed: usize, line_end: usize) -> Option<usize> {
    let line_start = text.get(..noticed)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line_start..line_end)?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.find('\r').map(|at| line_start + at)
}

/// `[listener.web]` or `[[rules]]`, in a line of its own.
fn is_table_of_toml(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().trim();
    let bare = |line: &str| line.strip_prefix('[').and_then(|line| line.strip_suffix(']')).map(str::to_owned);
    let Some(name) = bare(line).map(|inner| bare(&inner).unwrap_or(inner)) else { return false };
    let is_key = |part: &str| {
        let part = part.trim();
        let quoted = |quote| part.len() > 2 && part.starts_with(quote) && part.ends_with(quote);
        let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        quoted('"') || quoted('\'') || (!part.is_empty() && part.chars().all(is_bare))
    };
    // A text or a number alone in brackets is a list of JSON.
    let is_value = name.parse::<f64>().is_ok() || name.starts_with('"') && !name.contains('.');
    !is_value && name.split('.').all(is_key)
}

/// What people write most often in the place of what is meant.
fn in_words(text: &str, at: usize, said: &str) -> Option<String> {
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line_start..at)?;
    let before = line.trim();
    let rest = text.get(at..)?;
    let rest = rest.split('\n').next().unwrap_or(rest).trim_end();
    let is_letter = |letter: char| letter.is_alphabetic() || letter == '_';
    let is_name = |word: &str| {
        word.starts_with(is_letter)
            && word.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
    };
    let begins_value =
        rest.starts_with(|first: char| first.is_alphanumeric() || matches!(first, '"' | '[' | '-' | '_'));
    if line.is_empty() && said == "unexpected token" && is_table_of_toml(rest) {
        return Some(
            "syntax error: this looks like TOML; allowed: HCL, blocks such as `name { … }`".to_owned(),
        );
    }
    if text.get(..at)?.trim().is_empty() && rest.starts_with(['{', '[']) {
        return Some(
            "syntax error: this looks like JSON; allowed: HCL, blocks with a name before their `{`"
                .to_owned(),
        );
    }
    // `port 80`, `port: 80`, `port := 80`
    let (word, sign) = match before.split_once([':', ' ']) {
        Some((word, _)) => (word, before.strip_prefix(word).unwrap_or_default().trim()),
        None => (before, ""),
    };
    if said.starts_with("invalid structure") && is_name(word) {
        if sign.starts_with(':') || rest.starts_with(':') {
            return Some(format!("syntax error: `:` gives no value; allowed: `{word} = …`"));
        }
        if sign.is_empty() && begins_value {
            return Some(format!("syntax error: a `=` is missing after `{word}`; allowed: `{word} = …`"));
        }
    }
    if said == "expected `{`" && line.starts_with(is_letter) {
        return Some(format!("syntax error: a `{{` is missing; allowed: `{word} … {{` in one line"));
    }
    // `type "forward"`, which may be meant to begin a block.
    if said == "expected `{`" && is_name(word) && sign.starts_with('"') {
        let hint = format!("allowed: `{word} = …` for a value, and for a block a `{{` in the same line");
        return Some(format!("syntax error: a `=` or a `{{` is missing after `{word}`; {hint}"));
    }
    if said.starts_with("invalid expression") && rest.starts_with('=') {
        return Some("syntax error: one `=` too many; allowed: `name = value`".to_owned());
    }
    if said.starts_with("invalid expression") && (rest.is_empty() || rest.starts_with('#')) {
        return Some(format!(
            "syntax error: the value of `{}` is missing",
            before.trim_end_matches('=').trim_end()
        ));
    }
    if said == "expected newline or eof" {
        return Some(match rest.chars().next() {
            Some(sign @ (',' | ';')) => {
                format!("syntax error: `{sign}` has no place after a value; allowed: an attribute a line")
            }
            Some(letter)
                if letter.is_alphanumeric() && line.ends_with(|last: char| last.is_ascii_digit()) =>
            {
                "syntax error: a number ends before this; allowed: digits alone, units go without saying"
                    .to_owned()
            }
            Some('}') => {
                "syntax error: the value ends before this; allowed: a `}` in a line of its own".to_owned()
            }
            _ => "syntax error: the value ends before this; allowed: an attribute a line".to_owned(),
        });
    }
    if said == "expected `]`" && begins_value {
        return Some("syntax error: a `,` is missing before this; allowed: `[a, b]`".to_owned());
    }
    if said.contains("redefined object key") {
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
        let bare = || rest.split(['=', ':', ',', '}']).next().unwrap_or_default().trim_end();
        let key: String = quoted.unwrap_or_else(bare).chars().take(MAX_KEY).collect();
        return Some(format!("syntax error: `{key}` is given several times in the map; allowed: once"));
    }
    if said.contains("redefined attribute") {
        let name: String =
            rest.chars().take_while(|letter| letter.is_alphanumeric() || "_-".contains(*letter)).collect();
        return Some(format!("syntax error: `{name}` is given twice in the block; allowed: once"));
    }
    // `targets = [10.0.0.1:80]`
    if said.starts_with("expected `]`") && rest.starts_with(['.', ':']) {
        return Some("syntax error: addresses and names are texts; allowed: `[\"a\", \"b\"]`".to_owned());
    }
    // `condition { path_pattern { … } }`
    if said == "invalid attribute; expected `=`" && line.contains('{') && rest.starts_with(['{', '"']) {
        return Some(
            "syntax error: a block cannot begin within a block of one line; allowed: each `{` at the end of its line"
                .to_owned(),
        );
    }
    // `stickiness { type = "lb_cookie" enabled = true }`
    said.starts_with("invalid block body")
        .then(|| format!("syntax error: {said} (several attributes in a block need a line each)"))
}
