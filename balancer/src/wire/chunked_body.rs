//! Whole parts of bodies in chunked coding, looked at before anything of them goes on. Must not know: where they go.

use super::{
    buffer::BUFFER_SIZE,
    chunked::{ChunkedScanner, Scan},
    head::{Framing, HeadError, HeadScanner, Response, has_whole_line_ends, trailers},
};
use crate::internal_errors::Part as _;

/// Length of the trailer section at the front of `bytes` (RFC 9112, section 7.1.2); nothing while it is not whole.
///
/// # Errors
/// It is malformed, or does not fit into a buffer.
pub fn trailer_section(scanner: &mut HeadScanner, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    let length = if bytes.starts_with(b"\r\n") {
        Some(2)
    } else if bytes == b"\r" {
        None
    } else {
        scanner.find_end(bytes)?
    };
    if length.is_none() && bytes.len() >= BUFFER_SIZE { Err(HeadError::TooLarge) } else { Ok(length) }
}

/// Whether a line of what `bytes` have of the chunked body of `response`, whose head they begin with, ends in a bare LF,
/// as a line of the head must not either. As long as nothing has gone on, there is still another answer.
#[must_use]
pub fn has_bare_line_end(response: &Response<'_>, bytes: &[u8]) -> bool {
    if response.framing != Framing::Chunked {
        return false;
    }
    let mut scanner = ChunkedScanner::default();
    let mut rest = bytes.part(response.length..);
    while !rest.is_empty() {
        let mut before = scanner;
        let passed = match scanner.scan(rest) {
            Ok(Scan::Framing(n) | Scan::Data(n)) => n,
            Ok(Scan::Trailers) => return !has_whole_line_ends(rest),
            Err(_) => {
                let wrong = rest.iter().find(|byte| before.scan(std::slice::from_ref(byte)).is_err());
                return wrong == Some(&b'\n');
            }
        };
        rest = rest.part(passed..);
    }
    false
}

/// Whether `bytes` can be the beginning of a body in chunked coding, or all of it.
#[must_use]
pub fn can_begin_chunked(bytes: &[u8]) -> bool {
    let mut scanner = ChunkedScanner::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let passed = match scanner.scan(rest) {
            Ok(Scan::Framing(n) | Scan::Data(n)) => n,
            Ok(Scan::Trailers) => {
                let length = trailer_section(&mut HeadScanner::default(), rest);
                let section = length.map(|length| length.and_then(|length| rest.get(..length)));
                return section.is_ok_and(|section| section.is_none_or(|section| trailers(section).is_ok()));
            }
            Err(_) => return false,
        };
        rest = rest.part(passed..);
    }
    true
}
