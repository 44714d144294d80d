//! Where a head ends that comes in pieces.

use memchr::memchr;

use super::{HeadError, MAX_LINE, MAX_REQUEST_HEAD, is_token_byte, plain::is_one_head};
use crate::internal_errors::Part as _;

/// Finds the end of a request head in a growing buffer, looking at each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScanner {
    pub(super) line_start: usize,
    /// How much of the line was searched for its end before.
    pub(super) searched: usize,
    lines: u32,
}

impl HeadScanner {
    /// The length of the head at the front of `bytes` with its empty line, if it is all there.
    ///
    /// # Errors
    /// A line end without CR, a limit passed, or a first byte that no method starts with.
    #[inline]
    pub fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        if self.line_start == 0 && self.searched == 0 && is_one_head(bytes) {
            self.line_start = bytes.len();
            return Ok(Some(bytes.len()));
        }
        self.find_end_by_lines(bytes)
    }

    /// As [`Self::find_end`], line by line.
    pub(super) fn find_end_by_lines(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        let mut searched = std::mem::take(&mut self.searched);
        loop {
            let rest = bytes.part(self.line_start..);
            if self.lines == 0 && rest.first().is_some_and(|byte| !is_token_byte(*byte)) {
                return Err(HeadError::Malformed);
            }
            let end = memchr(b'\n', rest.part(searched..)).map(|index| searched + index);
            searched = 0;
            // With its CR, which may be the last that has come.
            let length = end.unwrap_or(rest.len());
            if length > MAX_LINE + 1 {
                return Err(if self.lines == 0 { HeadError::LineTooLong } else { HeadError::TooLarge });
            }
            // An LF comes in any case.
            if self.line_start + length + 1 > MAX_REQUEST_HEAD {
                return Err(HeadError::TooLarge);
            }
            let Some(end) = end else {
                self.searched = length;
                return Ok(None);
            };
            if end.checked_sub(1).and_then(|before| rest.get(before)) != Some(&b'\r') {
                return Err(HeadError::Malformed);
            }
            self.line_start += end + 1;
            self.lines += 1;
            if end == 1 {
                return Ok(Some(self.line_start));
            }
        }
    }
}
