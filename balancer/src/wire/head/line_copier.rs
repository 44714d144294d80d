//! Field lines on their way from one head into another. Most go on as they stand, one after the other: those are copied
//! together. Must not know: which lines go on.

use std::ops::Range;

use super::syntax::LINE_EXTRA;
use crate::wire::fields::line;

/// Copies field lines of a head, and others between them.
///
/// What is put has not been written before [`Self::finish`].
#[must_use]
#[derive(Debug)]
pub struct LineCopier<'a> {
    /// The head.
    source: &'a [u8],
    /// What of it is to be copied next.
    run: Range<usize>,
}

impl<'a> LineCopier<'a> {
    /// Of a head that lines stand in, or of nothing.
    #[inline]
    pub(super) fn from(source: &'a [u8]) -> Self {
        Self { source, run: 0..0 }
    }

    /// Appends a field line, wherever it stands.
    #[inline]
    pub fn put(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        match self.place(name, value) {
            Some(place) if place.start == self.run.end => self.run.end = place.end,
            Some(place) => {
                self.copy(out);
                self.run = place;
            }
            None => {
                self.copy(out);
                line(out, name, value);
            }
        }
    }

    /// Where in `out` the next line will stand.
    #[inline]
    #[must_use]
    pub fn end(&self, out: &[u8]) -> usize {
        out.len() + self.run.len()
    }

    /// Appends what is left.
    #[inline]
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.copy(out);
    }

    /// Where in the head the line stands that [`line`] would write, byte for byte.
    #[inline]
    fn place(&self, name: &[u8], value: &[u8]) -> Option<Range<usize>> {
        let start = name.as_ptr().addr().wrapping_sub(self.source.as_ptr().addr());
        let end = start.checked_add(name.len() + value.len() + LINE_EXTRA)?;
        let (_, behind) = self.source.get(start..end)?.split_at_checked(name.len())?;
        let (colon, behind) = behind.split_first_chunk()?;
        let is_next = behind.as_ptr() == value.as_ptr();
        (colon == b": " && is_next && behind.ends_with(b"\r\n")).then_some(start..end)
    }

    #[inline]
    fn copy(&mut self, out: &mut Vec<u8>) {
        if self.run.is_empty() {
            return;
        }
        let run = std::mem::take(&mut self.run);
        out.extend_from_slice(self.source.get(run).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Request;
    use super::*;

    /// Of the lines of `head` those that `keeps` keeps, by way of the copier and one by one.
    fn both(head: &[u8], mut keeps: impl FnMut(usize) -> bool) -> (Vec<u8>, Vec<u8>) {
        let request = Request::parse(head).expect("a request");
        let (mut copied, mut written) = (Vec::new(), Vec::new());
        let mut copier = request.fields.copier();
        for (place, field) in request.fields.lines().iter().enumerate() {
            if keeps(place) {
                assert_eq!(copier.end(&copied), written.len());
                copier.put(field.name, field.value, &mut copied);
                line(&mut written, field.name, field.value);
            }
            if place % 3 == 1 {
                // Not of the head, as a whole and in part.
                copier.put(b"X-Ours", b"here", &mut copied);
                line(&mut written, b"X-Ours", b"here");
                copier.put(b"X-Other", field.value, &mut copied);
                line(&mut written, b"X-Other", field.value);
                let part = field.value.get(..field.value.len() / 2).unwrap_or_default();
                copier.put(field.name, part, &mut copied);
                line(&mut written, field.name, part);
            }
        }
        copier.finish(&mut copied);
        (copied, written)
    }

    #[test]
    fn a_line_that_does_not_stand_as_it_is_written_is_written() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nC:  d \r\nE: \r\nF:\r\nG: h\r\n\r\n";
        let (copied, written) = both(head, |_| true);
        assert_eq!(copied.escape_ascii().to_string(), written.escape_ascii().to_string());
        assert!(written.starts_with(b"Host: a\r\nA: b\r\n"));
    }

    proptest! {
        #[test]
        fn what_is_copied_is_what_would_be_written(
            lines in prop::collection::vec(("[a-zA-Z_-]{1,20}", " ?", "[a-z,;=\"]{0,40}", " {0,2}"), 0..40),
            kept in any::<u64>(),
        ) {
            let lines: String = lines
                .iter()
                .filter(|(name, ..)| !["host", "te"].contains(&name.to_lowercase().as_str()))
                .map(|(name, before, value, after)| format!("{name}:{before}{value}{after}\r\n"))
                .collect();
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            prop_assume!(Request::parse(head.as_bytes()).is_ok());
            let (copied, written) = both(head.as_bytes(), |place| (kept >> (place % 64)) & 1 == 1);
            prop_assert_eq!(copied, written);
        }
    }
}
