//! Where the parts of a head for an HTTP/1.1 target are, noted while it is written, so that it need not be taken apart again for a
//! target of HTTP/2. Must not know: what is in it, and who reads it.

use std::ops::Range;

use arrayvec::ArrayVec;

use crate::model::HeaderField;

/// Most field lines that are noted: more than most requests have.
const MOST_LINES: usize = 24;

/// Bits that lengths of names and values have in what is noted of a line; where it is has those above.
const BITS: u32 = 16;
const MOST: usize = (1 << BITS) - 1;

/// Where the parts of a head are.
#[derive(Debug, Default)]
pub(crate) struct HeadNotes {
    /// Whether nothing is missing.
    is_whole: bool,
    method: usize,
    path: usize,
    host: Range<usize>,
    /// Where each line is, and how long its name and its value are.
    lines: ArrayVec<usize, MOST_LINES>,
}

/// The parts of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotedHead<'h> {
    /// The method.
    pub(crate) method: &'h [u8],
    /// Path and query.
    pub(crate) path: &'h [u8],
    /// The value of Host.
    pub(crate) host: &'h [u8],
    notes: &'h HeadNotes,
    head: &'h [u8],
}

impl HeadNotes {
    /// Notes of a head that is going to be written; `is_wanted`: it may be asked for its parts.
    pub(crate) fn begin(is_wanted: bool) -> Self {
        Self { is_whole: is_wanted, ..Self::default() }
    }

    /// Whether it may be asked for its parts.
    pub(super) fn are_wanted(&self) -> bool {
        self.is_whole
    }

    /// It will not be asked for its parts.
    pub(super) fn leave_off(&mut self) {
        self.is_whole = false;
    }

    /// The method is at the front, and behind it, and a space, so much is the path.
    pub(super) fn start(&mut self, method: usize, path: usize) {
        (self.method, self.path) = (method, path);
    }

    /// There is the value of Host.
    pub(super) fn host(&mut self, place: Range<usize>) {
        self.host = place;
    }

    /// At `start` there is a field line of which so much is its name, and so much, behind a colon and a space, its value.
    #[inline]
    pub(super) fn line(&mut self, start: usize, name: usize, value: usize) {
        if self.is_whole {
            let fits = (name | value) <= MOST && start <= usize::MAX >> (2 * BITS);
            self.is_whole = fits && self.lines.try_push(start << (2 * BITS) | name << BITS | value).is_ok();
        }
    }

    /// The parts of `head`, which these are notes of. None: they are not all noted.
    pub(crate) fn of<'h>(&'h self, head: &'h [u8]) -> Option<NotedHead<'h>> {
        if !self.is_whole {
            return None;
        }
        let (method, rest) = head.split_at_checked(self.method)?;
        let path = rest.get(1..)?.get(..self.path)?;
        let host = head.get(self.host.clone())?;
        Some(NotedHead { method, path, host, notes: self, head })
    }
}

impl<'h> NotedHead<'h> {
    /// Its field lines, without Host and what is of a connection of HTTP/1.1.
    pub(crate) fn lines(self) -> impl Iterator<Item = HeaderField<'h>> {
        let Self { notes, head, .. } = self;
        notes.lines.iter().map_while(|line| {
            let (name, rest) = head.get(line >> (2 * BITS)..)?.split_at_checked(line >> BITS & MOST)?;
            Some(HeaderField { name, value: rest.get(2..)?.get(..line & MOST)? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_noted_whole_or_not_at_all() {
        let head = b"GET /a HTTP/1.1\r\nHost: h\r\nb: cd\r\n\r\n";
        let mut notes = HeadNotes::begin(true);
        notes.start(3, 2);
        notes.host(23..24);
        notes.line(26, 1, 2);
        let noted = notes.of(head).unwrap();
        assert_eq!((noted.method, noted.path, noted.host), (&b"GET"[..], &b"/a"[..], &b"h"[..]));
        let lines: Vec<_> = noted.lines().map(|line| (line.name, line.value)).collect();
        assert_eq!(lines, [(&b"b"[..], &b"cd"[..])]);
        assert!(notes.of(&head[..20]).is_none(), "it is another one");
        (0..MOST_LINES - 1).for_each(|_| notes.line(26, 1, 2));
        assert!(notes.of(head).is_some());
        notes.line(26, 1, 2);
        assert!(notes.of(head).is_none(), "there are too many");
        let mut notes = HeadNotes::begin(true);
        notes.line(0, MOST + 1, 1);
        assert!(notes.of(head).is_none(), "it is too large");
        assert!(HeadNotes::begin(false).of(head).is_none());
        let mut notes = HeadNotes::begin(true);
        assert!(notes.are_wanted());
        notes.leave_off();
        notes.line(26, 1, 2);
        assert!(!notes.are_wanted() && notes.lines.is_empty() && notes.of(head).is_none());
    }
}
