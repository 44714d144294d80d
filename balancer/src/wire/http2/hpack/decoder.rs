//! Reads header blocks (RFC 7541, section 6).

use super::{
    TABLE, huffman,
    integer::{Unreadable, integer},
    names::{FieldClass, FieldName},
    static_table::{self, StaticField},
    table::{Field, FieldTable},
};
use crate::{internal_errors::Part as _, wire::http2::block::Block};

/// Reads the blocks of one connection.
#[derive(Debug)]
pub(in crate::wire::http2) struct Decoder {
    table: FieldTable,
}

/// A field of either table.
enum Found<'t> {
    Static(&'static StaticField),
    Dynamic(Field<'t>),
}

impl Decoder {
    pub(in crate::wire::http2) fn new() -> Self {
        Self { table: FieldTable::new() }
    }

    /// Lets go of memory that it does not need for what it has to remember.
    pub(in crate::wire::http2) fn shrink(&mut self) {
        self.table.shrink_to_fit();
    }

    /// Reads the next block.
    ///
    /// # Errors
    /// It cannot be read, and no other after it.
    pub(in crate::wire::http2) fn read(&mut self, block: &[u8], into: &mut Block) -> Result<(), Unreadable> {
        let mut rest = block;
        let mut has_begun = false;
        while let Some(first) = rest.first() {
            match *first {
                0x80.. => match self.find(integer(&mut rest, 7)?)? {
                    Found::Static(field) => {
                        into.copy(field.name, field.value, field.class);
                    }
                    Found::Dynamic(field) => {
                        into.copy(field.name, field.value, FieldClass::noted(field.note));
                    }
                },
                0x40..=0x7f => self.literal(&mut rest, 6, true, into)?,
                0x20..=0x3f => {
                    let size = integer(&mut rest, 5)?;
                    // Only in front of a block, and no larger than this side allows (RFC 7541, section 4.2).
                    if has_begun || size > TABLE {
                        return Err(Unreadable);
                    }
                    self.table.resize(size);
                    continue;
                }
                _ => self.literal(&mut rest, 4, false, into)?,
            }
            has_begun = true;
        }
        Ok(())
    }

    #[inline]
    fn find(&self, index: usize) -> Result<Found<'_>, Unreadable> {
        match index.checked_sub(static_table::LENGTH + 1) {
            Some(newer) => self.table.get(newer).map(Found::Dynamic),
            None => static_table::get(index).map(Found::Static),
        }
        .ok_or(Unreadable)
    }

    /// A field that is written out, at the front of `rest`.
    fn literal(
        &mut self,
        rest: &mut &[u8],
        prefix: u32,
        enters: bool,
        into: &mut Block,
    ) -> Result<(), Unreadable> {
        let index = integer(rest, prefix)?;
        // Most are of a name that all coders know, and neither is coded: they are looked at where they stand.
        if let Some(StaticField { name, class, .. }) = static_table::get(index)
            && let Some(value) = plain_string(rest)?
        {
            let class = FieldClass::of(class.name, value);
            if enters {
                self.table.insert(name, value, class.note());
            }
            into.add(name, value, class);
            return Ok(());
        }
        self.any_literal(rest, index, enters, into)
    }

    /// The same, whose name has this index or, if that is 0, is written out.
    fn any_literal(
        &mut self,
        rest: &mut &[u8],
        index: usize,
        enters: bool,
        into: &mut Block,
    ) -> Result<(), Unreadable> {
        let start = into.bytes().len();
        let name = match index {
            0 => {
                string(rest, into.bytes())?;
                FieldName::of(into.bytes().part(start..))
            }
            index => match self.find(index)? {
                Found::Static(field) => {
                    into.bytes().extend_from_slice(field.name);
                    field.class.name
                }
                Found::Dynamic(field) => {
                    into.bytes().extend_from_slice(field.name);
                    FieldClass::noted(field.note).name
                }
            },
        };
        let end = into.bytes().len();
        let middle = into.end_name();
        string(rest, into.bytes())?;
        let bytes: &[u8] = into.bytes();
        let value = bytes.part(middle..);
        let class = FieldClass::of(name, value);
        if enters {
            self.table.insert(bytes.part(start..end), value, class.note());
        }
        into.close(start, middle, class);
        Ok(())
    }
}

/// The string at the front of `rest` (RFC 7541, section 5.2), unless it is coded: then it is still there.
#[inline]
fn plain_string<'b>(rest: &mut &'b [u8]) -> Result<Option<&'b [u8]>, Unreadable> {
    if rest.first().ok_or(Unreadable)? & 0x80 != 0 {
        return Ok(None);
    }
    let length = integer(rest, 7)?;
    let (bytes, more) = rest.split_at_checked(length).ok_or(Unreadable)?;
    *rest = more;
    Ok(Some(bytes))
}

/// Appends the string at the front of `rest`.
#[inline]
fn string(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
    if let Some(bytes) = plain_string(rest)? {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let length = integer(rest, 7)?;
    let (bytes, more) = rest.split_at_checked(length).ok_or(Unreadable)?;
    *rest = more;
    huffman::decode_into(bytes, out).ok_or(Unreadable)
}
