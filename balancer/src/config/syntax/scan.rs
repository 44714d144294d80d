//! A look at text that is no HCL, or may not be: which quotation mark, bracket or comment is not closed and where it
//! was opened, which characters only look like others, which numbers are beyond the parser.
//! Must not know what any word means, but for those that begin a block at the top of a file.

use std::ops::Range;

use super::super::{kinds::begins_a_block, source::control_character};

/// What is wrong at a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Oddity {
    pub(super) at: usize,
    pub(super) message: String,
}

/// What a look came to. Positions are byte offsets of the text.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The first thing that is wrong by itself.
    pub(super) oddity: Option<Oddity>,
    /// What is still open at the end, and where text begins that is likely not meant to be in it.
    pub(super) unclosed: Option<(Oddity, Option<usize>)>,
    /// Numbers that do not fit: whole ones from 2^64 on, others that are infinite.
    pub(super) huge: Vec<Range<usize>>,
    /// Names of blocks and attributes in quotes, which stand first in their lines: with the quotes.
    pub(super) quoted: Vec<Range<usize>>,
    /// Heredocs with a line that begins with their word and goes on: the word at the beginning, and at the end.
    pub(super) misleading: Vec<[Range<usize>; 2]>,
}

/// Looks at `text` from `start` on, where a line begins and nothing is open.
pub(super) fn scan(text: &str, start: usize) -> Scanned {
    scan_up_to(text, start, text.len())
}

/// The same for who asks for an oddity up to `last` alone: ends where none of them can be found any more.
pub(super) fn scan_up_to(text: &str, start: usize, last: usize) -> Scanned {
    let mut scanner = Scanner {
        text,
        at: start,
        indent: indent(text.get(start..).unwrap_or_default()),
        stack: Vec::new(),
        suspect: None,
        inside: None,
        found: Scanned::default(),
    };
    while scanner.at < text.len() && (scanner.at <= last || scanner.may_find_more()) {
        scanner.step();
    }
    scanner.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Brace,
    Bracket,
    Parenthesis,
    /// Between quotation marks.
    Text,
    /// Within `${ }` or `%{ }` of a text.
    Template,
}

/// What is open.
#[derive(Clone, Copy)]
struct OpenBracket {
    kind: TokenKind,
    /// Where its sign stands.
    at: usize,
    /// How far its line is indented.
    indent: usize,
    /// Whether it is a brace behind the head of a block, with nothing but such around it.
    is_body: bool,
}

/// How many levels are searched for a block: the parser goes no deeper.
const MAX_DEPTH: usize = 64;

/// Each byte is looked at a bounded number of times, whatever the text.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// How far the line is indented.
    indent: usize,
    stack: Vec<OpenBracket>,
    /// A block whose brace stands where that of a block around it would.
    suspect: Option<OpenBracket>,
    /// Where the first line within a block begins that looks like one at the top, and what was open there.
    inside: Option<(usize, OpenBracket)>,
    found: Scanned,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether there may be an oddity that begins before this position and is not found yet.
    fn may_find_more(&self) -> bool {
        self.found.oddity.is_none() && !self.stack.is_empty()
    }

    fn note(&mut self, at: usize, message: impl FnOnce(&Self) -> String) {
        if self.found.oddity.is_none() {
            self.found.oddity = Some(Oddity { at, message: message(self) });
        }
    }

    fn go_on(&mut self, length: usize) {
        let passed = self.text.as_bytes().get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        if passed.contains(&b'\n') {
            self.indent = indent(self.rest());
        }
    }

    fn step(&mut self) {
        if self.stack.last().is_some_and(|open| open.kind == TokenKind::Text) {
            self.step_in_text();
        } else {
            self.step_in_code();
        }
        if self.stack.is_empty() {
            (self.suspect, self.inside) = (None, None);
        }
    }

    fn step_in_text(&mut self) {
        let rest = self.rest();
        let length = match rest.as_bytes() {
            [b'"', ..] => {
                self.stack.pop();
                1
            }
            [b'\n', ..] => {
                self.end_text_at_line_end();
                0
            }
            [b'\\', b'\n', ..] => 1,
            [b'$', b'$', b'{', ..] | [b'%', b'%', b'{', ..] => 3,
            [b'$' | b'%', b'{', ..] => {
                self.push(TokenKind::Template);
                2
            }
            [b'\\', ..] => 1 + char_len(rest.get(1..).unwrap_or_default()),
            _ => char_len(rest),
        };
        self.go_on(length);
    }

    /// A text that its line does not close is taken to end there, with all texts around it.
    fn end_text_at_line_end(&mut self) {
        let is_text = |open: &OpenBracket| matches!(open.kind, TokenKind::Text | TokenKind::Template);
        let inner = self.stack.iter().rposition(|open| !is_text(open)).map_or(0, |index| index + 1);
        let outer = self.stack.get(inner).copied();
        let template = self.stack.iter().skip(inner).find(|open| open.kind == TokenKind::Template).copied();
        self.stack.truncate(inner);
        if let Some(OpenBracket { at, .. }) = template {
            self.note(at, |scanner| {
                let sign = scanner.text.get(at..at + 2).unwrap_or_default();
                format!("the `{sign}` that begins here is not closed in its line; a `}}` is missing")
            });
        } else if let Some(OpenBracket { at, .. }) = outer {
            self.note(at, |scanner| {
                let line = scanner.text.get(at..scanner.at).unwrap_or_default();
                match line.chars().find(|letter| is_foreign_quote(*letter) && *letter != '\'') {
                    Some(other) => {
                        format!("the text that begins here ends with {other}; allowed: the plain \"")
                    }
                    None => "the text that begins here is not closed in its line; a \" is missing".to_owned(),
                }
            });
        }
    }

    fn step_in_code(&mut self) {
        let at = self.at;
        let begins_line = at == 0 || self.text.as_bytes().get(at - 1) == Some(&b'\n');
        if begins_line
            && let Some(top) = self.stack.last().copied()
            && self.rest().lines().next().is_some_and(begins_a_block)
        {
            let open = self.suspect.unwrap_or(top);
            self.inside.get_or_insert((at, open));
        }
        let rest = self.rest();
        let length = match rest.as_bytes() {
            [b'#', ..] | [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => match rest.find("*/") {
                Some(end) => end + 2,
                None => {
                    let length = rest.len();
                    self.note(at, |_| {
                        "the comment that begins here has no end; a `*/` is missing".to_owned()
                    });
                    length
                }
            },
            [b'<', b'<', ..] => self.heredoc(),
            [b'"', ..] => {
                self.found.quoted.extend(self.quoted_name());
                self.open(TokenKind::Text)
            }
            [b'{', ..] => self.open(TokenKind::Brace),
            [b'[', ..] => self.open(TokenKind::Bracket),
            [b'(', ..] => self.open(TokenKind::Parenthesis),
            [b'}', ..] => self.close(TokenKind::Brace),
            [b']', ..] => self.close(TokenKind::Bracket),
            [b')', ..] => self.close(TokenKind::Parenthesis),
            [b'0'..=b'9', ..] => self.number(),
            [b' ' | b'\t', ..] => indent(rest),
            [b'\n' | b'\r' | b'=' | b',' | b'.', ..] => 1,
            _ => self.word_or_sign(),
        };
        self.go_on(length);
    }

    fn word_or_sign(&mut self) -> usize {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return 1 };
        if first.is_alphabetic() || first == '_' {
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            let plain = rest.bytes().take_while(is_plain).count();
            // What every word is made of is looked at as bytes, which is quicker.
            return match rest.as_bytes().get(plain) {
                Some(next) if next.is_ascii() => plain,
                _ => rest
                    .find(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '-'))
                    .unwrap_or(rest.len()),
            };
        }
        if is_foreign_quote(first) {
            self.note(self.at, |_| format!("{first} is no quotation mark here; allowed: the plain \""));
        } else if !first.is_ascii() && (first.is_whitespace() || is_unseen(first)) {
            self.note(self.at, |_| {
                let code = u32::from(first);
                format!(
                    "the character U+{code:04X} looks like a space or like nothing; allowed: plain spaces"
                )
            });
        } else if first.is_control() {
            self.note(self.at, |_| control_character(first, "HCL"));
        }
        first.len_utf8()
    }

    /// `<<WORD` or `<<-WORD`: text up to a line of that word.
    fn heredoc(&mut self) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let after = rest.get(2..).unwrap_or_default();
        let name = after.strip_prefix('-').unwrap_or(after);
        let length = name.find(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '-'));
        let word = name.get(..length.unwrap_or(name.len())).unwrap_or_default();
        if word.is_empty() {
            return 2;
        }
        let (mut end, mut is_misleading) = (0, false);
        for (number, line) in rest.split_inclusive('\n').enumerate() {
            end += line.len();
            if number > 0 && line.trim() == word {
                if is_misleading {
                    let first = self.at + rest.len() - name.len();
                    let last = self.at + end - line.trim_start().len();
                    let words = [first, last].map(|at| at..at + word.len());
                    self.found.misleading.push(words);
                }
                return end - usize::from(line.ends_with('\n'));
            }
            is_misleading |= number > 0 && line.trim_start().starts_with(word);
        }
        let (all, word) = (rest.len(), word.to_owned());
        self.note(self.at, |_| {
            format!("the text that begins here with <<{word} has no end; a line `{word}` is missing")
        });
        all
    }

    fn number(&mut self) -> usize {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
        let mut length = digits(0);
        let is_whole = |length: usize| !matches!(bytes.get(length), Some(b'.' | b'e' | b'E'));
        let whole = is_whole(length);
        if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let signed = length + 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            if digits(signed) > 0 {
                length = signed + digits(signed);
            }
        }
        let written = self.rest().get(..length).unwrap_or_default();
        let fits = if whole {
            written.parse::<u64>().is_ok()
        } else {
            written.parse::<f64>().is_ok_and(f64::is_finite)
        };
        if !fits {
            self.found.huge.push(self.at..self.at + length);
        }
        length.max(1)
    }

    fn push(&mut self, kind: TokenKind) {
        let is_body = kind == TokenKind::Brace
            && self.stack.last().is_none_or(|outer| outer.is_body)
            && self.ends_a_head();
        self.stack.push(OpenBracket { kind, at: self.at, indent: self.indent, is_body });
    }

    /// What stands before this in its line, without blanks at its end.
    fn before(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default().trim_end_matches([' ', '\t'])
    }

    /// Whether a name or a label stands right before this.
    fn ends_a_head(&self) -> bool {
        self.before().ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | '-' | '"'))
    }

    /// The text that begins here, where it is the name of a block or an attribute: first in its line, among such.
    fn quoted_name(&self) -> Option<Range<usize>> {
        let before = self.before();
        let is_first = before.is_empty() || before.ends_with('\n');
        if !is_first || self.stack.last().is_some_and(|open| !open.is_body) {
            return None;
        }
        let line = self.rest().split('\n').next()?;
        let (name, after) = line.get(1..)?.split_once('"')?;
        let after = after.trim_start_matches([' ', '\t']);
        let is_attribute = after.starts_with('=') && !after.starts_with("==");
        let is_name = !name.is_empty() && !name.contains('\\');
        (is_name && (is_attribute || after.starts_with('{'))).then(|| self.at..self.at + name.len() + 2)
    }

    fn open(&mut self, kind: TokenKind) -> usize {
        self.push(kind);
        1
    }

    /// Closes what is open. Brackets that a brace closes have lost their own.
    fn close(&mut self, kind: TokenKind) -> usize {
        let sign = self.rest().get(..1).unwrap_or_default().to_owned();
        while let Some(open) = self.stack.last().copied() {
            match (open.kind, kind) {
                (TokenKind::Template, TokenKind::Brace) => {
                    self.stack.pop();
                    return 1;
                }
                (opened, closed) if opened == closed => {
                    self.stack.pop();
                    if kind == TokenKind::Brace {
                        self.suspect_by_column(open);
                    }
                    return 1;
                }
                (TokenKind::Bracket | TokenKind::Parenthesis, TokenKind::Brace) => {
                    self.stack.pop();
                    self.note(open.at, |scanner| {
                        let hint = format!("before the `}}` in line {}", scanner.line(scanner.at));
                        scanner.not_closed(open, &hint)
                    });
                }
                _ => break,
            }
        }
        self.note(self.at, |_| {
            format!("this `{sign}` closes nothing; there is one too many, here or further up")
        });
        1
    }

    /// A brace at the beginning of its line, beneath the line of another block than the one that it closes.
    fn suspect_by_column(&mut self, closed: OpenBracket) {
        let is_first = self
            .text
            .get(..self.at)
            .is_some_and(|before| before.trim_end_matches([' ', '\t']).ends_with('\n'));
        if !is_first || self.indent == closed.indent {
            return;
        }
        let is_beneath = |open: &OpenBracket| open.kind == TokenKind::Brace && open.indent == self.indent;
        if self.stack.iter().rev().take(MAX_DEPTH).any(is_beneath) {
            self.suspect.get_or_insert(closed);
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    }

    /// The number of the line that a position is in, from 1.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// `… in line 3 is not closed; a … is missing` and where.
    fn not_closed(&self, open: OpenBracket, hint: &str) -> String {
        let line = self.text.get(self.line_start(open.at)..open.at).unwrap_or_default();
        let before = line.rsplit(['{', '[', '(']).next().unwrap_or_default().trim();
        let before: String = before.chars().take(60).collect();
        let number = self.line(open.at);
        match open.kind {
            TokenKind::Brace if !before.is_empty() && !before.contains('=') => {
                format!("the block `{before}` in line {number} is not closed; a `}}` is missing {hint}")
            }
            kind => {
                let (sign, other) = match kind {
                    TokenKind::Bracket => ('[', ']'),
                    TokenKind::Parenthesis => ('(', ')'),
                    _ => ('{', '}'),
                };
                let of = if before.is_empty() { String::new() } else { format!(" after `{before}`") };
                format!("the `{sign}`{of} in line {number} is not closed; a `{other}` is missing {hint}")
            }
        }
    }

    fn finish(mut self) -> Scanned {
        if self.stack.last().is_some_and(|open| open.kind == TokenKind::Text) {
            self.end_text_at_line_end();
        }
        if let Some(top) = self.stack.last().copied() {
            let (open, resume, hint) = match self.inside {
                Some((at, open)) => (open, Some(at), format!("before line {}", self.line(at))),
                None => (self.suspect.unwrap_or(top), None, "before the end of the file".to_owned()),
            };
            // A block is at fault where it begins, all else where its sign stands.
            let at = match open.kind {
                TokenKind::Brace => self.line_start(open.at) + open.indent,
                _ => open.at,
            };
            let message = self.not_closed(open, &hint);
            self.found.unclosed = Some((Oddity { at, message }, resume));
        }
        self.found
    }
}

/// How many bytes of white space the first line begins with.
fn indent(text: &str) -> usize {
    text.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn char_len(text: &str) -> usize {
    text.chars().next().map_or(1, char::len_utf8)
}

/// Quotation marks of word processors and of other languages.
fn is_foreign_quote(letter: char) -> bool {
    matches!(
        letter,
        '\'' | '`' | '´' | '«' | '»' | '\u{2018}'
            ..='\u{201f}' | '\u{2032}' | '\u{2033}' | '\u{2039}' | '\u{203a}' | '\u{ff02}' | '\u{ff07}'
    )
}

/// Characters that take no room, or turn the order of others around.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests;
