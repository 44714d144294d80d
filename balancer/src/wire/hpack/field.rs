//! Names and values as header blocks have them (RFC 7541, section 5), and whether they are well-formed
//! (RFC 9113, section 8.2.1).

use super::{
    huffman,
    integer::{Unreadable, integer, write_integer},
};
use crate::wire::head::{content_length, is_token_byte};

/// A string of one byte, over and over.
pub(super) fn write_filler(out: &mut Vec<u8>, byte: u8, length: usize) {
    write_integer(out, 0, 7, length);
    out.resize(out.len() + length, byte);
}

/// A field, written out.
pub(super) fn write_field(out: &mut Vec<u8>, mode: u8, name: &[u8], value: &[u8]) {
    out.push(mode);
    for text in [name, value] {
        write_integer(out, 0, 7, text.len());
        out.extend_from_slice(text);
    }
}

/// A regular field of the same size in tables.
///
/// # Errors
/// There is none: a name cannot be empty.
pub(super) fn write_anew(
    out: &mut Vec<u8>,
    mode: u8,
    name_length: usize,
    value_length: usize,
) -> Result<(), Unreadable> {
    let borrowed = usize::from(name_length == 0);
    let value_length = value_length.checked_sub(borrowed).ok_or(Unreadable)?;
    out.push(mode);
    write_filler(out, b'x', name_length + borrowed);
    write_filler(out, b'x', value_length);
    Ok(())
}

/// A string as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct StringLiteral<'b> {
    bytes: &'b [u8],
    is_coded: bool,
}

impl<'b> StringLiteral<'b> {
    /// Takes the string at the front of `rest` (RFC 7541, section 5.2).
    pub(super) fn read(rest: &mut &'b [u8]) -> Result<Self, Unreadable> {
        let is_coded = rest.first().ok_or(Unreadable)? & 0x80 != 0;
        let length = integer(rest, 7)?;
        let (bytes, more) = rest.split_at_checked(length).ok_or(Unreadable)?;
        *rest = more;
        Ok(Self { bytes, is_coded })
    }

    /// Its bytes as they are meant.
    fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Result<T, Unreadable> {
        if !self.is_coded {
            return Ok(look(self.bytes));
        }
        huffman::decode(self.bytes).map(|bytes| look(&bytes)).ok_or(Unreadable)
    }

    /// How many they are.
    pub(super) fn length(&self) -> Result<usize, Unreadable> {
        self.with(<[u8]>::len)
    }

    /// As many as they can be: no letter is of fewer than five bits (RFC 7541, appendix B).
    pub(super) fn length_at_most(&self) -> usize {
        if self.is_coded { self.bytes.len() * 8 / 5 } else { self.bytes.len() }
    }

    /// Whether all bytes are `sound`, among which are all that no word of so many ones is of.
    fn is_all(&self, ones: u32, sound: impl Fn(u8) -> bool) -> Result<bool, Unreadable> {
        if self.is_coded && huffman::has_no_words_of(ones, self.bytes) {
            return Ok(true);
        }
        self.with(|bytes| bytes.iter().all(|byte| sound(*byte)))
    }

    /// The one length that it says several times in a list (RFC 9110, section 8.6).
    pub(super) fn listed_length(&self) -> Result<Option<Box<[u8]>>, Unreadable> {
        if self.is_coded && huffman::is_of_digits(self.bytes) {
            return Ok(None);
        }
        self.with(|bytes| {
            memchr::memchr(b',', bytes)?;
            let mut members = bytes.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let first = members.next()?;
            let length = content_length(first).ok()?;
            members.all(|member| content_length(member) == Ok(length)).then(|| first.into())
        })
    }

    /// Its bytes as they are written.
    pub(super) fn bytes(&self) -> Result<Box<[u8]>, Unreadable> {
        self.with(|bytes| bytes.into())
    }

    /// Whether the first byte is a `1`.
    pub(super) fn begins_with_one(&self) -> bool {
        let first = self.bytes.first().copied().unwrap_or_default();
        if self.is_coded { first >> 3 == 1 && !self.bytes.is_empty() } else { first == b'1' }
    }
}

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Of a field.
    Regular,
    Authority,
    /// Of Content-Length.
    Length,
    Method,
    Path,
    Protocol,
    Scheme,
    Status,
    /// None.
    Bad,
}

impl Name {
    /// What a name that is written out is.
    pub(super) fn of(text: &StringLiteral<'_>) -> Result<Self, Unreadable> {
        text.with(|name| match name {
            b":authority" => Self::Authority,
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b":scheme" => Self::Scheme,
            b":status" => Self::Status,
            b"content-length" => Self::Length,
            [] => Self::Bad,
            _ if name.iter().all(|byte| is_token_byte(*byte) && !byte.is_ascii_uppercase()) => Self::Regular,
            _ => Self::Bad,
        })
    }

    /// Whether it is one that trailers must not have.
    pub(super) fn is_pseudo(self) -> bool {
        !matches!(self, Self::Regular | Self::Length | Self::Bad)
    }

    /// Whether the engine takes `value` for a field of this name.
    pub(super) fn suits(self, value: &StringLiteral<'_>) -> Result<bool, Unreadable> {
        match self {
            Self::Regular | Self::Length | Self::Bad => {
                value.is_all(9, |byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
            }
            Self::Method => {
                value.with(|bytes| !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte)))
            }
            Self::Status => value.with(|bytes| matches!(bytes, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'])),
            Self::Authority | Self::Path | Self::Protocol | Self::Scheme => {
                if value.is_coded && huffman::has_no_words_of(9, value.bytes) {
                    return Ok(true);
                }
                value.with(|bytes| std::str::from_utf8(bytes).is_ok())
            }
        }
    }

    /// Whether a value of this length and any letters is one that the engine takes.
    pub(super) fn takes_any(self, length: usize) -> bool {
        match self {
            Self::Status => false,
            Self::Method => length > 0,
            _ => true,
        }
    }
}
