//! Keys that an object has twice. Terraform takes the last; the parser takes none, so it is given other names in their
//! place, of the same length: what the keys are called is read from the file.

use hcl_edit::{
    parser::{Error, parse_body},
    structure::Body,
};

/// Each fault that the parser reports costs it a part of what a whole run over the rest would: one in so many bytes.
const COST_OF_A_REPORT: usize = 32;
/// Most bytes that are parsed anew because of such keys, in one file.
const MAX_WORK: usize = 4 * 1024 * 1024;

/// Text whose keys are renamed as the parser finds them given twice.
pub(super) struct TextToRename {
    text: String,
    renamed: usize,
    work: usize,
}

impl TextToRename {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), renamed: 0, work: 0 }
    }

    /// The text as the parser gets it: as long as the file's, and with its lines.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Parses what begins at `start`.
    ///
    /// # Errors
    /// The first fault that is no key given twice; or such a key when there are too many.
    pub(super) fn parse(&mut self, start: usize) -> Result<Body, Error> {
        loop {
            let rest = self.text.get(start..).unwrap_or_default();
            let report = rest.len() / COST_OF_A_REPORT;
            let error = match parse_body(rest) {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let at = error.location().offset();
            self.work = self.work.saturating_add(at).saturating_add(report);
            let is_key = error.message().contains("redefined object key");
            if !is_key || self.work > MAX_WORK || !self.rename(start.saturating_add(at)) {
                return Err(error);
            }
        }
    }

    /// Gives the key at a position another name: one without quotes, which takes their place as well, and that of blanks.
    /// False when it has none that could be changed.
    fn rename(&mut self, at: usize) -> bool {
        let rest = self.text.get(at..).unwrap_or_default();
        let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
        let key = match rest.strip_prefix('"') {
            Some(quoted) => quoted_length(quoted).map_or(0, |length| length + 2),
            None => rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()),
        };
        let blanks = rest.get(key..).unwrap_or_default().bytes().take_while(|byte| *byte == b' ').count();
        let length = if key > 0 { key + blanks } else { 0 };
        let range = at..at + length;
        if length == 0 || self.text.get(range.clone()).is_none() {
            return false;
        }
        self.renamed += 1;
        let name = letters(self.renamed, length);
        self.text.replace_range(range, &name);
        true
    }
}

/// Bytes before the quote that ends a text; nothing where there is more in it than text.
fn quoted_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let length = text
        .bytes()
        .take_while(|byte| {
            let ends = !is_escaped && *byte == b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            !ends
        })
        .count();
    let quoted = text.get(..length)?;
    (!quoted.contains("${") && !quoted.contains("%{")).then_some(length)
}

/// What names begin with, and what they go on with.
const FIRST: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LATER: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/// A number as a name of this many bytes. Names that meet others are found and changed in their turn.
pub(super) fn letters(number: usize, length: usize) -> String {
    let mut left = number;
    let mut name = vec![b'a'; length];
    for (index, letter) in name.iter_mut().enumerate().rev() {
        let letters = if index == 0 { FIRST } else { LATER };
        *letter = letters.get(left % letters.len()).copied().unwrap_or(b'a');
        left /= letters.len();
    }
    String::from_utf8(name).unwrap_or_default()
}
