//! Writes header blocks (RFC 7541, section 6). Strings are written as they are: coding them (section 5.2) costs more than it
//! saves, once fields that come again are an index each.

use super::{
    TABLE,
    integer::write_integer,
    known::KnownNames,
    names::SMALL,
    static_table::{self, LENGTH},
    table::FieldTable,
    text::{hash, is_same, is_value},
};
use crate::wire::many_bytes::is_equal;

/// The number of no field, as numbers of fields are kept.
const NOT_THERE: u64 = u64::MAX;
/// Places where fields of the table are looked for.
const PLACES: usize = 64;

/// A field has no form in HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::http2) struct Formless;

/// Writes the blocks of one connection.
#[derive(Debug)]
pub(in crate::wire::http2) struct Encoder {
    table: FieldTable,
    /// By a part of its hash, the number of the field that was put into the table last, and one more.
    places: [u64; PLACES],
    known: KnownNames,
    /// The same number of the authority that was written last.
    authority: u64,
    /// The size that the other side was told last, and the smallest that the table has had since then.
    told: usize,
    smallest: usize,
}

/// What has to be remembered of one that forgets all fields: what the other side knows of its table.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire::http2) struct RestingEncoder {
    limit: u16,
    told: u16,
    smallest: u16,
}

impl Encoder {
    pub(in crate::wire::http2) fn new() -> Self {
        Self {
            table: FieldTable::new(),
            places: [0; PLACES],
            known: KnownNames::new(),
            authority: 0,
            told: TABLE,
            smallest: TABLE,
        }
    }

    /// What has to be remembered of it.
    pub(in crate::wire::http2) fn rest(&self) -> RestingEncoder {
        // No table is larger than [`TABLE`].
        let small = |size: usize| u16::try_from(size).unwrap_or(u16::MAX);
        let smallest = if self.table.is_empty() { self.smallest } else { 0 };
        RestingEncoder { limit: small(self.table.limit()), told: small(self.told), smallest: small(smallest) }
    }

    /// One that goes on. The other side is told that it has forgotten all fields before it is told new ones.
    pub(in crate::wire::http2) fn resumed(resting: RestingEncoder) -> Self {
        let RestingEncoder { limit, told, smallest } = resting;
        let mut table = FieldTable::new();
        table.resize(limit.into());
        Self { table, told: told.into(), smallest: smallest.into(), ..Self::new() }
    }

    /// The other side allows the table so much; no more than is usual is used.
    pub(in crate::wire::http2) fn allow(&mut self, size: u32) {
        let size = usize::try_from(size).unwrap_or(TABLE).min(TABLE);
        self.table.resize(size);
        self.smallest = self.smallest.min(size);
    }

    /// Begins a block.
    #[inline]
    pub(in crate::wire::http2) fn begin(&mut self, out: &mut Vec<u8>) {
        if self.smallest < self.told || self.table.limit() != self.told {
            self.tell(out);
        }
    }

    /// Changes of the size stand before all else (RFC 7541, section 4.2).
    #[cold]
    fn tell(&mut self, out: &mut Vec<u8>) {
        let size = self.table.limit();
        if self.smallest < size.min(self.told) {
            write_integer(out, 0x20, 5, self.smallest);
        }
        write_integer(out, 0x20, 5, size);
        (self.told, self.smallest) = (size, size);
    }

    /// The block that was begun is not sent: what entered the table with it is taken out again, and so is all else.
    #[cold]
    pub(in crate::wire::http2) fn abandon(&mut self) {
        let size = self.table.limit();
        self.table.resize(0);
        self.table.resize(size);
        self.smallest = 0;
    }

    /// Writes the status of a response.
    #[inline]
    pub(in crate::wire::http2) fn status(status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |divisor: u16| b'0' + u8::try_from(status / divisor % 10).unwrap_or_default();
                return out.extend_from_slice(&[0x08, 3, digit(100), digit(10), digit(1)]);
            }
        };
        out.push(0x80 | index);
    }

    /// Writes the method of a request.
    ///
    /// # Errors
    /// It has no form: nothing is written.
    #[inline]
    pub(in crate::wire::http2) fn method(method: &[u8], out: &mut Vec<u8>) -> Result<(), Formless> {
        match method {
            b"GET" => out.push(0x82),
            b"POST" => out.push(0x83),
            _ => return literal(0, 4, Some(2), b":method", method, out),
        }
        Ok(())
    }

    /// Writes the scheme of a request.
    #[inline]
    pub(in crate::wire::http2) fn scheme(is_secure: bool, out: &mut Vec<u8>) {
        out.push(if is_secure { 0x87 } else { 0x86 });
    }

    /// Writes the path of a request, which is another most times.
    ///
    /// # Errors
    /// It has no form: nothing is written.
    #[inline]
    pub(in crate::wire::http2) fn path(path: &[u8], out: &mut Vec<u8>) -> Result<(), Formless> {
        if path == b"/" {
            out.push(0x84);
            return Ok(());
        }
        literal(0, 4, Some(4), b":path", path, out)
    }

    /// Writes the authority of a request.
    ///
    /// # Errors
    /// It has no form: nothing is written.
    #[inline]
    pub(in crate::wire::http2) fn authority(
        &mut self,
        authority: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Formless> {
        if self.table.limit() == 0 {
            return literal(0, 4, Some(1), b":authority", authority, out);
        }
        if self.is_last(self.authority, authority, out) {
            return Ok(());
        }
        self.authority = self.indexed(Some(1), b":authority", authority, out)?;
        Ok(())
    }

    /// Writes a field; its name may be in any case.
    ///
    /// # Errors
    /// It has none: nothing is written.
    #[inline]
    pub(in crate::wire::http2) fn field(
        &mut self,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Formless> {
        let Some(known) = self.known.get_mut(name) else { return self.unknown(name, value, out) };
        let (index, last) = (known.index(), known.last);
        if last == 0 || self.table.limit() == 0 {
            return known_literal(index, known.small(), value, out);
        }
        if self.is_last(last, value, out) {
            return Ok(());
        }
        let last = self.indexed(index, name, value, out)?;
        if let Some(known) = self.known.get_mut(name) {
            known.last = last;
        }
        Ok(())
    }

    /// Writes a field of a name that was not written lately.
    fn unknown(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Formless> {
        let index = static_table::index_of(name);
        if index.is_some_and(is_ever_new) || is_ever_new_name(name) {
            literal(0, 4, index, name, value, out)?;
            self.known.add(name, index, 0);
            return Ok(());
        }
        if self.table.limit() == 0 {
            return literal(0, 4, index, name, value, out);
        }
        let last = self.indexed(index, name, value, out)?;
        self.known.add(name, index, last);
        Ok(())
    }

    /// Writes a field by its index if it is the one of its name that was written last, whose number this is less one.
    #[inline]
    fn is_last(&self, last: u64, value: &[u8], out: &mut Vec<u8>) -> bool {
        let written = last.checked_sub(1).and_then(|number| self.table.value_numbered(number));
        let Some((_, newer)) = written.filter(|(written, _)| is_equal(written, value)) else { return false };
        write_integer(out, 0x80, 7, LENGTH + 1 + newer);
        true
    }

    /// Writes a field by its index, or so that it gets one. Gives back its number in the table and one more, or
    /// [`NOT_THERE`].
    fn indexed(
        &mut self,
        index: Option<u8>,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, Formless> {
        let hash = hash(name, value);
        let number = self.places.get(hash as usize % PLACES).copied().unwrap_or_default();
        if let Some((field, newer)) = number.checked_sub(1).and_then(|number| self.table.numbered(number))
            && field.note == hash
            && field.value == value
            && index.map_or_else(|| is_same(field.name, name), |index| is_named(field.name, index))
        {
            write_integer(out, 0x80, 7, LENGTH + 1 + newer);
            return Ok(number);
        }
        self.add(index, name, value, hash, out)
    }

    fn add(
        &mut self,
        index: Option<u8>,
        name: &[u8],
        value: &[u8],
        hash: u32,
        out: &mut Vec<u8>,
    ) -> Result<u64, Formless> {
        literal(0x40, 6, index, name, value, out)?;
        let number = self.table.next_number();
        let mut small = [0; 64];
        let is_in = match small.get_mut(..name.len()) {
            Some(small) => {
                small.copy_from_slice(name);
                small.make_ascii_lowercase();
                self.table.insert(small, value, hash)
            }
            None => self.table.insert(&name.to_ascii_lowercase(), value, hash),
        };
        if let (true, Some(place)) = (is_in, self.places.get_mut(hash as usize % PLACES)) {
            *place = number + 1;
        }
        Ok(if is_in { number + 1 } else { NOT_THERE })
    }
}

/// Whether `name` is that of an index.
#[inline]
fn is_named(name: &[u8], index: u8) -> bool {
    static_table::get(index.into()).is_some_and(|field| field.name == name)
}

/// Whether the value of a field is another most times, by the index of its name: age, authorization, content-length,
/// content-range, cookie, date, etag, if-modified-since, if-none-match, last-modified, location, set-cookie.
fn is_ever_new(index: u8) -> bool {
    matches!(index, 21 | 23 | 28 | 30 | 32 | 33 | 34 | 40 | 41 | 44 | 46 | 55)
}

/// The same of those that have no index.
fn is_ever_new_name(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 3] = [b"x-amzn-trace-id", b"x-forwarded-for", b"x-amzn-requestid"];
    matches!(name.len(), 15 | 16) && NAMES.iter().any(|other| is_same(other, name))
}

/// A field that is written out, of a name in small letters that is sound.
#[inline]
fn known_literal(index: Option<u8>, small: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Formless> {
    if !is_value(value) {
        return Err(Formless);
    }
    write_integer(out, 0, 4, index.unwrap_or(0).into());
    if index.is_none() {
        write_integer(out, 0, 7, small.len());
        out.extend_from_slice(small);
    }
    write_integer(out, 0, 7, value.len());
    out.extend_from_slice(value);
    Ok(())
}

/// A field that is written out.
#[inline]
fn literal(
    mode: u8,
    prefix: u32,
    index: Option<u8>,
    name: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Formless> {
    let start = out.len();
    if !is_value(value) {
        return Err(Formless);
    }
    write_integer(out, mode, prefix, index.unwrap_or(0).into());
    if index.is_none() {
        write_integer(out, 0, 7, name.len());
        let named = out.len();
        out.extend(name.iter().map(|byte| SMALL.get(usize::from(*byte)).copied().unwrap_or_default()));
        if name.is_empty() || out.get(named..).is_none_or(|name| name.contains(&0)) {
            out.truncate(start);
            return Err(Formless);
        }
    }
    write_integer(out, 0, 7, value.len());
    out.extend_from_slice(value);
    Ok(())
}
