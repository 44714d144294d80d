//! Header blocks of HTTP/2 (RFC 7541) from targets, looked at before the `h2` crate does, which is the engine towards them: it
//! takes a field that is ill-formed for the end of the connection, and passes over pseudo-fields in trailers. A block with one
//! of these is written anew, so that the engine resets the one stream, and keeps its own table right. So is the head of
//! a response whose length the engine would take for something else: it holds the body to the length of an interim
//! response, and takes no list of equal lengths. And so is the head of a response that is far too large, which the engine
//! would answer itself: it gets enough of it for whoever reads it to see that. The code of strings and numbers is what
//! `http2` reads with, too.
//! Must not know: frames.

mod field;
pub mod huffman;
pub mod integer;
mod table;

pub use self::integer::Unreadable;
use self::{
    field::{Name, StringLiteral},
    integer::integer,
    table::{DynamicTable, TableField},
};

use super::head::{MAX_LINE, MAX_RESPONSE_HEAD};
use crate::internal_errors::Part as _;

/// What a block is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The head of a response.
    Response,
    /// Trailers.
    Trailers,
}

/// What a block is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// What the engine is to get in its place.
    pub instead: Option<Vec<u8>>,
    /// Bytes of names and values of a head that the engine does not get: it is far too large.
    pub left_out: usize,
    /// Whether it is the head of an interim response.
    pub is_interim: bool,
}

/// A field that makes the engine reset the stream, and enters no table: `te: x` (RFC 9113, section 8.2.2).
pub const MALFORMED: &[u8] = b"\x00\x02te\x01x";

/// What the engine gets of the head of a response, in bytes as it counts them (RFC 9113, section 6.5.2), before fields are
/// left out. A head of as many bytes is refused in any case: it has more fields or more bytes than it may have.
const MOST_OF_RESPONSE: usize = 60 * 1024;
/// As much again may enter tables, and is not left out: what is said later may mean it.
const MOST_MORE: usize = 96 * 1024;
/// Trailers above this are malformed. The engine would leave fields out.
const MOST_OF_TRAILERS: usize = 60 * 1024;
/// Of blocks up to this size it does not matter much how many bytes a string in code has: fewer than 8 for 5
/// (RFC 7541, appendix B).
const ESTIMATED: usize = 16 * 1024;

/// Bytes of the name of a length.
const LENGTH: &[u8] = b"content-length";
/// A name of as many bytes, of a field that ends at the next hop (RFC 9113, section 3.1): in the engine's table it has the
/// place of a length that the engine is not to get.
const IN_ITS_PLACE: &[u8] = b"http2-settings";

/// The blocks of one direction of a connection.
#[derive(Debug, Default)]
pub struct HeaderBlocks {
    table: DynamicTable,
}

/// What is written in the place of a block, from the first field on that the engine is not to get.
struct Rewriting<'b> {
    block: &'b [u8],
    out: Option<Vec<u8>>,
    malformed: bool,
    /// Bytes of all fields so far, as the engine counts them, and how many a head may have; and of those above that it gets all
    /// the same.
    size: usize,
    most: usize,
    more: usize,
}

impl<'b> Rewriting<'b> {
    fn new(block: &'b [u8], section: Section) -> Self {
        let most = match section {
            Section::Response => MOST_OF_RESPONSE,
            Section::Trailers => usize::MAX,
        };
        Self { block, out: None, malformed: false, size: 0, most, more: 0 }
    }

    /// How many bytes a string has, or a little more.
    fn measure(&self, text: &StringLiteral<'_>) -> Result<usize, Unreadable> {
        if self.block.len() > ESTIMATED { text.length() } else { Ok(text.length_at_most()) }
    }

    /// Counts a field of `size` bytes. Whether it belongs to what makes a head far too large.
    fn is_over(&mut self, size: usize) -> bool {
        self.size += size;
        self.size > self.most
    }

    /// In the place of a string of `length` bytes, which follows what is written from `start` to `end`, the engine gets one
    /// that is too long for its field. Gives back how many bytes it does not get.
    #[cold]
    fn shorten(&mut self, start: usize, end: usize, length: usize) -> usize {
        let head = self.block.part(start..end);
        let out = self.out(start);
        out.extend_from_slice(head);
        field::write_filler(out, b'x', MAX_LINE + 1);
        length.saturating_sub(MAX_LINE + 1)
    }

    /// The engine does not get the field at `start`. One that is larger than the table would empty it (RFC 7541, section
    /// 4.4): what the engine then has more than it should is older than all that can be meant, and goes first.
    #[cold]
    fn leave_out(&mut self, start: usize) {
        self.out(start);
    }

    /// The block up to `start`, for what differs from there on.
    fn out(&mut self, start: usize) -> &mut Vec<u8> {
        let block = self.block;
        self.out.get_or_insert_with(|| block.part(..start).to_vec())
    }

    /// The field from `start` to `end` stands as it is.
    fn keep(&mut self, start: usize, end: usize) {
        if let Some(out) = &mut self.out {
            out.extend_from_slice(self.block.part(start..end));
        }
    }

    /// In the place of the field at `start` the engine gets `length`, if it is to get one.
    #[cold]
    fn length(&mut self, start: usize, length: Option<&[u8]>) {
        let out = self.out(start);
        if let Some(length) = length {
            field::write_field(out, 0, LENGTH, length);
        }
    }
}

impl HeaderBlocks {
    /// Looks at the next block.
    ///
    /// # Errors
    /// It cannot be read, and no other after it.
    pub fn look(&mut self, block: &[u8], section: Section) -> Result<Looked, Unreadable> {
        let mut looked = Looked::default();
        let mut rewriting = Rewriting::new(block, section);
        let mut rest = block;
        while let Some(first) = rest.first() {
            let start = block.len() - rest.len();
            match *first {
                0x80.. => {
                    let index = integer(&mut rest, 7)?;
                    let entry = self.table.get(index)?;
                    rewriting.malformed |=
                        entry.is_bad || (section == Section::Trailers && entry.name.is_pseudo());
                    looked.is_interim |= entry.is_interim;
                    if rewriting.is_over(entry.size()) && !entry.name.is_pseudo() {
                        looked.left_out += entry.length();
                        rewriting.leave_out(start);
                    } else if entry.name == Name::Length && (looked.is_interim || entry.meant.is_some()) {
                        rewriting.length(start, entry.meant.as_deref().filter(|_| !looked.is_interim));
                    } else {
                        rewriting.keep(start, block.len() - rest.len());
                    }
                }
                0x20..=0x3f => {
                    let size = integer(&mut rest, 5)?;
                    self.table.resize(size)?;
                    rewriting.keep(start, block.len() - rest.len());
                }
                0x40..=0x7f => {
                    if let Some(entry) = self.literal(&mut rest, section, &mut rewriting, &mut looked)? {
                        self.table.insert(entry);
                    }
                }
                _ => {
                    self.literal(&mut rest, section, &mut rewriting, &mut looked)?;
                }
            }
        }
        if looked.left_out > 0 && section == Section::Response {
            // Whoever reads it has to see that it is too large.
            field::write_field(rewriting.out(block.len()), 0, b"x", &[b'x'; MAX_RESPONSE_HEAD]);
        }
        let is_too_much = section == Section::Trailers && rewriting.size > MOST_OF_TRAILERS;
        if rewriting.malformed || is_too_much || rewriting.more > MOST_MORE {
            rewriting.out(block.len()).extend_from_slice(MALFORMED);
        }
        looked.instead = rewriting.out;
        Ok(looked)
    }

    /// A field that is written out, at the front of `rest`; gives back what enters the table, where it does.
    fn literal(
        &self,
        rest: &mut &[u8],
        section: Section,
        rewriting: &mut Rewriting<'_>,
        looked: &mut Looked,
    ) -> Result<Option<TableField>, Unreadable> {
        let block = rewriting.block;
        let start = block.len() - rest.len();
        let first = rest.first().copied().unwrap_or_default();
        let enters = first & 0x40 != 0;
        // Whether it enters tables, or must never: the other bits are of the name.
        let mode = if enters { 0x40 } else { first & 0x10 };
        let index = integer(rest, if enters { 6 } else { 4 })?;
        let (name, name_length, is_known) = match index {
            0 => {
                let text = StringLiteral::read(rest)?;
                let name = Name::of(&text)?;
                let is_exact = enters || name == Name::Bad;
                (name, if is_exact { text.length()? } else { rewriting.measure(&text)? }, true)
            }
            index => {
                let entry = self.table.get(index)?;
                (entry.name, entry.name_length, entry.name != Name::Length || entry.meant.is_none())
            }
        };
        let value_start = block.len() - rest.len();
        let value = StringLiteral::read(rest)?;
        let is_sound = name.suits(&value)?;
        let value_length = if enters || !is_sound { value.length()? } else { rewriting.measure(&value)? };
        let meant = match name {
            Name::Length if is_sound => match value.listed_length()? {
                None if looked.is_interim || !is_known => Some(value.bytes()?),
                listed => listed,
            },
            _ => None,
        };
        let mut entry = TableField {
            name,
            name_length,
            value_length,
            is_bad: name == Name::Bad || !is_sound,
            is_interim: name == Name::Status && value.begins_with_one(),
            meant,
        };
        let end = block.len() - rest.len();
        let is_over = rewriting.is_over(entry.size());
        // A name that is replaced in the table already stands there as another.
        let is_named_anew = (name == Name::Bad && index == 0) || (!is_sound && !name.takes_any(value_length));
        if is_named_anew {
            entry.name = Name::Bad;
            // What enters no table may have any size.
            let (name_length, value_length) = if enters { (name_length, value_length) } else { (1, 0) };
            field::write_anew(rewriting.out(start), mode, name_length, value_length)?;
        } else if !is_sound {
            let head = block.part(start..value_start);
            let out = rewriting.out(start);
            out.extend_from_slice(head);
            field::write_filler(out, b'x', value_length);
        } else if is_over && name.is_pseudo() && value_length > MAX_LINE + 1 {
            looked.left_out += rewriting.shorten(start, value_start, value_length);
        } else if is_over && !name.is_pseudo() && !(enters && entry.size() <= table::MOST) {
            looked.left_out += entry.length();
            rewriting.leave_out(start);
        } else if let (Name::Length, Some(length)) = (name, &entry.meant) {
            if enters {
                let filler = vec![b'x'; value_length];
                field::write_field(rewriting.out(start), mode, IN_ITS_PLACE, &filler);
            }
            rewriting.length(start, Some(&**length).filter(|_| !looked.is_interim));
        } else {
            rewriting.keep(start, end);
        }
        rewriting.more += if is_over && enters && entry.size() <= table::MOST { entry.size() } else { 0 };
        rewriting.malformed |= entry.is_bad || (section == Section::Trailers && name.is_pseudo());
        looked.is_interim |= entry.is_interim;
        Ok(enters.then_some(entry))
    }
}

#[cfg(test)]
mod tests;
