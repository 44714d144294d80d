//! The small list of edits that a decision asks for; an engine applies it in whatever form it has.
//! One buffer, reused from message to message: an edit costs no allocation once it has grown.

use std::ops::Range;

use crate::internal_errors::Part as _;

/// What to do with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOp {
    /// Replace every field line of the name by one.
    Set,
    /// Add a field line.
    Append,
    /// Drop every field line of the name.
    Remove,
}

/// One edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderEdit<'a> {
    /// What to do.
    pub op: EditOp,
    /// Field name, in the case it is written in.
    pub name: &'static str,
    /// Field value; empty for [`EditOp::Remove`].
    pub value: &'a [u8],
}

#[derive(Clone, Debug)]
struct Edit {
    op: EditOp,
    name: &'static str,
    value: Range<usize>,
}

/// Room for the values of the edits that a sticky response gets, in one piece.
const USUAL_BYTES: usize = 512;

/// Edits to one message head, in the order asked for.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    bytes: Vec<u8>,
    entries: Vec<Edit>,
}

impl HeaderEdits {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an edit whose value `write` appends to the buffer it is given. It must write no CR, LF or NUL.
    pub fn push_with(&mut self, op: EditOp, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        if self.entries.capacity() == 0 {
            self.bytes.reserve(USUAL_BYTES);
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        debug_assert!(end >= start && !self.bytes.iter().skip(start).any(|b| matches!(b, b'\r' | b'\n' | 0)));
        self.entries.push(Edit { op, name, value: start..end });
    }

    /// Replaces every field line of `name` by one with `value`.
    pub fn set(&mut self, name: &'static str, value: &[u8]) {
        self.push_with(EditOp::Set, name, |bytes| bytes.extend_from_slice(value));
    }

    /// Adds a field line.
    pub fn append(&mut self, name: &'static str, value: &[u8]) {
        self.push_with(EditOp::Append, name, |bytes| bytes.extend_from_slice(value));
    }

    /// Drops every field line of `name`.
    pub fn remove(&mut self, name: &'static str) {
        self.push_with(EditOp::Remove, name, |_| {});
    }

    /// The edits, in order.
    pub fn iter(&self) -> impl Iterator<Item = HeaderEdit<'_>> {
        self.entries.iter().map(|entry| HeaderEdit {
            op: entry.op,
            name: entry.name,
            value: self.bytes.part(entry.value.clone()),
        })
    }

    /// Whether field lines of `name` as received are to be dropped (set or removed).
    #[must_use]
    pub fn drops(&self, name: &[u8]) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.op != EditOp::Append && entry.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_come_back_in_order_and_clear_keeps_nothing() {
        let mut edits = HeaderEdits::new();
        edits.set("Host", b"a");
        edits.append("Set-Cookie", b"x=1");
        edits.remove("Forwarded");
        let seen: Vec<_> = edits.iter().map(|e| (e.op, e.name, e.value.to_vec())).collect();
        assert_eq!(
            seen,
            [
                (EditOp::Set, "Host", b"a".to_vec()),
                (EditOp::Append, "Set-Cookie", b"x=1".to_vec()),
                (EditOp::Remove, "Forwarded", Vec::new())
            ]
        );
        assert!(edits.drops(b"host") && edits.drops(b"FORWARDED") && !edits.drops(b"set-cookie"));
        edits.clear();
        assert!(edits.is_empty() && edits.iter().next().is_none());
    }
}
