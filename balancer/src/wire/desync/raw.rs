//! A head taken apart as a lenient reader would: lines end with LF, a request line is what lies between its first and its
//! last word, a line that begins with a blank continues the one before.

use super::{
    Reason,
    analysis::{RequestLine, Verdict},
};
use crate::{internal_errors::Part as _, wire::head::is_token_byte};

/// The line at the front, without its end, and what follows; nothing follows a line that has no end.
pub(super) fn next_line<'a>(bytes: &'a [u8], verdict: &mut Verdict) -> (&'a [u8], Option<&'a [u8]>) {
    let (line, rest) = match memchr::memchr(b'\n', bytes) {
        Some(end) => (bytes.part(..end), bytes.get(end + 1..)),
        None => (bytes, None),
    };
    match line {
        [line @ .., b'\r'] => (line, rest),
        line => {
            verdict.raise(Reason::NonCrLfLineTermination);
            (line, rest)
        }
    }
}

/// The parts of a request line.
pub(super) fn request_line<'a>(line: &'a [u8], verdict: &mut Verdict) -> RequestLine<'a> {
    let (method, rest) = cut(line, line.iter().position(|byte| *byte == b' '));
    // The last word begins after the last space that has something of a word behind it.
    let word = rest.iter().rposition(|byte| is_token_byte(*byte));
    let before = rest.get(..word.unwrap_or(1)).unwrap_or_default();
    let (target, version) = match before.iter().rposition(|byte| *byte == b' ') {
        Some(space) => cut(rest, Some(space)),
        None if rest.starts_with(b"HTTP/1.") => {
            verdict.raise(Reason::MissingUri);
            (&[][..], rest)
        }
        None => (rest, &[][..]),
    };
    if target.is_empty() && version.is_empty() {
        verdict.raise(Reason::MissingUri);
    }
    RequestLine { method, target, version }
}

/// What is before and what is after an index; all is before none.
fn cut(text: &[u8], index: Option<usize>) -> (&[u8], &[u8]) {
    let index = index.unwrap_or(text.len());
    (text.part(..index), text.get(index + 1..).unwrap_or_default())
}

/// Names and values of the lines up to the empty one.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: Option<&'a [u8]>,
    verdict: Verdict,
    /// The name of the field that a folded line continues.
    continued: Option<&'a [u8]>,
    /// Whether that is Content-Type, which alone may be folded.
    may_fold: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(lines: Option<&'a [u8]>) -> Self {
        let rest = Some(lines.unwrap_or_default());
        Self { rest, verdict: Verdict::default(), continued: None, may_fold: false }
    }

    /// What was found in the lines so far.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (line, rest) = next_line(self.rest.take()?, &mut self.verdict);
        let is_folded = matches!(line.first()?, b' ' | b'\t');
        let colon = memchr::memchr(b':', line);
        let (name, value) = cut(line, colon);
        if !is_folded && colon.is_some() {
            self.may_fold = name.eq_ignore_ascii_case(b"content-type");
            self.continued = Some(name);
        }
        let field = match self.continued {
            Some(continued) if is_folded && (self.may_fold || colon.is_none()) => (continued, name),
            _ => (name, value),
        };
        if !is_folded && colon.is_none() {
            self.verdict.raise(Reason::MissingHeaderColon);
        }
        if is_folded && !self.may_fold {
            self.verdict.raise(Reason::MultilineHeader);
        }
        match rest {
            None => self.verdict.raise(Reason::PartialHeaderLine),
            Some([]) => self.verdict.raise(Reason::MissingLastEmptyLine),
            rest => self.rest = rest,
        }
        Some(field)
    }
}
