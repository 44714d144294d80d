//! The dynamic table of a coder (RFC 7541, section 2.3.2): its bytes lie in one piece of memory, the oldest in front. Must not
//! know: which side of a connection it is of.

use std::collections::VecDeque;

use super::{EXTRA, TABLE};
use crate::internal_errors::Part as _;

/// Bytes that may lie in front of the oldest entry before the others are moved there.
const SLACK: usize = TABLE;

/// One field.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    name: u16,
    value: u16,
    note: u32,
}

impl Entry {
    fn length(self) -> usize {
        usize::from(self.name) + usize::from(self.value)
    }

    fn size(self) -> usize {
        self.length() + EXTRA
    }
}

/// A field of the table, and what its coder has noted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'t> {
    pub(super) name: &'t [u8],
    pub(super) value: &'t [u8],
    pub(super) note: u32,
}

/// The table.
#[derive(Debug)]
pub(super) struct FieldTable {
    bytes: Vec<u8>,
    /// The oldest in front.
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
    /// How many were ever evicted: the number of the oldest.
    evicted: u64,
}

impl FieldTable {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), entries: VecDeque::new(), size: 0, limit: TABLE, evicted: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The entry that so many newer ones stand before.
    #[inline]
    pub(super) fn get(&self, newer: usize) -> Option<Field<'_>> {
        let place = self.entries.len().checked_sub(newer)?.checked_sub(1)?;
        self.at(place)
    }

    fn at(&self, place: usize) -> Option<Field<'_>> {
        let entry = self.entries.get(place)?;
        let bytes = self.bytes.part(entry.start..entry.start + entry.length());
        let (name, value) = bytes.split_at_checked(entry.name.into())?;
        Some(Field { name, value, note: entry.note })
    }

    /// The entry that was the so-manieth to be put in, and how many newer ones there are; nothing once it is evicted.
    #[inline]
    pub(super) fn numbered(&self, number: u64) -> Option<(Field<'_>, usize)> {
        let place = usize::try_from(number.checked_sub(self.evicted)?).ok()?;
        let newer = self.entries.len().checked_sub(place)?.checked_sub(1)?;
        Some((self.at(place)?, newer))
    }

    /// The value of the same one, and how many newer ones there are.
    #[inline]
    pub(super) fn value_numbered(&self, number: u64) -> Option<(&[u8], usize)> {
        let place = usize::try_from(number.checked_sub(self.evicted)?).ok()?;
        let entry = self.entries.get(place)?;
        let start = entry.start + usize::from(entry.name);
        let value = self.bytes.get(start..start + usize::from(entry.value))?;
        Some((value, self.entries.len() - place - 1))
    }

    /// The number that the next entry gets.
    pub(super) fn next_number(&self) -> u64 {
        self.evicted + self.entries.len() as u64
    }

    /// Puts a field in. One that is larger than the table empties it (RFC 7541, section 4.4): false.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], note: u32) -> bool {
        let length = name.len().saturating_add(value.len());
        let size = length.saturating_add(EXTRA);
        self.shrink(self.limit.saturating_sub(size));
        let (Ok(name_length), Ok(value_length)) = (u16::try_from(name.len()), u16::try_from(value.len()))
        else {
            return false;
        };
        if size > self.limit {
            return false;
        }
        if self.bytes.len() + length > TABLE + SLACK {
            self.compact();
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.size += size;
        self.entries.push_back(Entry { start, name: name_length, value: value_length, note });
        true
    }

    /// Takes no more memory than there are fields.
    pub(super) fn shrink_to_fit(&mut self) {
        self.compact();
        self.bytes.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// No more than so much from now on.
    pub(super) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink(limit);
    }

    fn shrink(&mut self, most: usize) {
        while self.size > most {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.size = self.size.saturating_sub(oldest.size());
            self.evicted += 1;
        }
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }

    fn compact(&mut self) {
        let front = self.entries.front().map_or(self.bytes.len(), |oldest| oldest.start);
        self.bytes.drain(..front.min(self.bytes.len()));
        for entry in &mut self.entries {
            entry.start -= front;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_numbers_stay() {
        let mut table = FieldTable::new();
        for round in 0..1000_u32 {
            let value = vec![b'v'; (round % 90) as usize];
            assert_eq!(table.next_number(), u64::from(round));
            assert!(table.insert(&round.to_be_bytes(), &value, round));
            let (newest, newer) = table.numbered(round.into()).unwrap();
            assert_eq!(
                (newest.name, newest.value, newest.note, newer),
                (&round.to_be_bytes()[..], &value[..], round, 0)
            );
            let mut size = 0;
            for newer in 0..table.entries.len() {
                let field = table.get(newer).unwrap();
                let number = round - u32::try_from(newer).unwrap();
                assert_eq!((field.name, field.note), (&number.to_be_bytes()[..], number));
                assert_eq!(table.numbered(number.into()), Some((field, newer)));
                assert_eq!(table.value_numbered(number.into()), Some((field.value, newer)));
                size += field.name.len() + field.value.len() + EXTRA;
            }
            assert!(size == table.size && size <= TABLE && table.bytes.len() <= TABLE + SLACK);
            assert_eq!(table.get(table.entries.len()), None);
        }
        assert_eq!((table.numbered(0), table.value_numbered(0)), (None, None));
        assert!(!table.insert(&[b'x'; TABLE], b"", 0));
        assert_eq!((table.get(0), table.size), (None, 0), "too large a field empties it");
        table.resize(40);
        assert!(table.insert(b"1234", b"5678", 0) && !table.insert(b"1234", b"56789", 0));
    }
}
