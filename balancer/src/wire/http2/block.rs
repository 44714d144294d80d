//! What a header block says, in one piece of memory, and whether it is the head of a message or its trailers (RFC 9113, section 8).
//! Of a head that is far too large there is enough for whoever reads it to see that. Must not know: how blocks are coded.

use super::hpack::{EXTRA, FieldClass, FieldName};
use crate::{
    internal_errors::Part as _,
    model::HeaderField,
    wire::head::{MAX_LINE, content_length},
};

/// What is kept of a head, in bytes as tables count them (RFC 9113, section 6.5.2). A head of as many bytes is
/// refused in any case: it has more fields or more bytes than it may have.
const MOST_OF_HEAD: usize = 96 * 1024;
/// Trailers above this are malformed.
const MOST_OF_TRAILERS: usize = 60 * 1024;
/// Most memory that is kept for another block, and as much for where its fields are.
const MOST_KEPT: usize = 4 * 1024;

/// What stands between a name and its value, and behind that: so do they in a head of HTTP/1.1, and can be copied into one as they
/// are.
const BETWEEN: &[u8] = b": ";
const BEHIND: &[u8] = b"\r\n";

/// What a block is read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BlockSection {
    /// The head of a request.
    #[default]
    Request,
    /// The head of a response.
    Response,
    /// Trailers.
    Trailers,
}

/// A part of the memory.
#[derive(Clone, Copy, Debug)]
struct BlockSpan {
    start: u32,
    end: u32,
}

impl BlockSpan {
    fn new(start: usize, end: usize) -> Self {
        // Blocks are far smaller than that.
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Self { start: number(start), end: number(end) }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.part(self.start as usize..self.end as usize)
    }
}

/// A field: where its value begins.
#[derive(Clone, Copy, Debug)]
struct BlockField {
    field: BlockSpan,
    middle: u32,
    is_cookie: bool,
}

/// The pseudo-fields of a request (RFC 9113, section 8.3.1; RFC 8441, section 4).
#[derive(Clone, Copy, Debug, Default)]
struct Pseudo {
    method: Option<BlockSpan>,
    path: Option<BlockSpan>,
    scheme: Option<BlockSpan>,
    authority: Option<BlockSpan>,
    protocol: Option<BlockSpan>,
}

impl Pseudo {
    fn of(&self, name: FieldName) -> Option<BlockSpan> {
        match name {
            FieldName::Method => self.method,
            FieldName::Path => self.path,
            FieldName::Scheme => self.scheme,
            FieldName::Authority => self.authority,
            _ => self.protocol,
        }
    }

    fn of_mut(&mut self, name: FieldName) -> &mut Option<BlockSpan> {
        match name {
            FieldName::Method => &mut self.method,
            FieldName::Path => &mut self.path,
            FieldName::Scheme => &mut self.scheme,
            FieldName::Authority => &mut self.authority,
            _ => &mut self.protocol,
        }
    }
}

/// The number that so few digits are.
fn number(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0')))
}

/// A header block that was read.
#[derive(Debug, Default)]
pub struct Block {
    section: BlockSection,
    bytes: Vec<u8>,
    lines: Vec<BlockField>,
    pseudo: Pseudo,
    /// Of a response; 0: none has come.
    status: u16,
    has_fields: bool,
    cookies: u32,
    length: Option<u64>,
    /// As tables count it.
    size: usize,
    left_out: usize,
    is_malformed: bool,
    /// Whether it is all of its message.
    is_all: bool,
}

impl Block {
    /// Nothing, to be read as `section`.
    pub(super) fn begin(&mut self, section: BlockSection) {
        self.bytes.clear();
        self.lines.clear();
        let (bytes, lines) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.lines));
        *self = Self { section, bytes, lines, ..Self::default() };
    }

    /// Whether its memory may be kept for another.
    pub(super) fn is_small(&self) -> bool {
        self.bytes.capacity() <= MOST_KEPT && self.lines.capacity() * size_of::<BlockField>() <= MOST_KEPT
    }

    /// Bytes of memory that it holds for names and values.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Where strings are appended, to be made a field with [`Self::close`].
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes a field of a table.
    #[inline]
    pub(super) fn copy(&mut self, name: &[u8], value: &[u8], class: FieldClass) {
        if self.has_no_use_for(class) {
            return self.count(name.len() + value.len(), class);
        }
        self.add(name, value, class);
    }

    /// What is small on the wire can be large here: nothing is copied that is of no use.
    #[inline]
    fn has_no_use_for(&self, class: FieldClass) -> bool {
        (self.size > MOST_OF_HEAD && !class.name.is_pseudo()) || self.is_misplaced(class.name)
    }

    /// Nothing of the field is kept.
    #[cold]
    fn count(&mut self, length: usize, class: FieldClass) {
        self.size = self.size.saturating_add(length + EXTRA);
        self.left_out = self.left_out.saturating_add(length);
        self.is_malformed |= !class.is_sound || self.is_misplaced(class.name);
    }

    /// Whether it is a pseudo-field that is there already, or where there can be none.
    #[inline]
    fn is_misplaced(&self, name: FieldName) -> bool {
        name.is_pseudo()
            && (self.has_fields
                || match self.section {
                    BlockSection::Request => name == FieldName::Status || self.pseudo.of(name).is_some(),
                    BlockSection::Response => name != FieldName::Status || self.status != 0,
                    BlockSection::Trailers => true,
                })
    }

    /// Takes a field.
    #[inline]
    pub(super) fn add(&mut self, name: &[u8], value: &[u8], class: FieldClass) {
        if class.name.is_pseudo() {
            return self.add_pseudo(name.len(), value, class);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let middle = self.end_name();
        self.bytes.extend_from_slice(value);
        self.close(start, middle, class);
    }

    /// Takes a pseudo-field; nobody reads its name, which has so many bytes, but in its class.
    #[inline]
    fn add_pseudo(&mut self, name: usize, value: &[u8], class: FieldClass) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.size = self.size.saturating_add(name + value.len() + EXTRA);
        self.close_other(start, start, class);
    }

    /// What was appended is a name. Where its value begins, which is appended next.
    #[inline]
    pub(super) fn end_name(&mut self) -> usize {
        self.bytes.extend_from_slice(BETWEEN);
        self.bytes.len()
    }

    /// What was appended from `start` on is a field, whose value begins at `middle`.
    #[inline]
    pub(super) fn close(&mut self, start: usize, middle: usize, class: FieldClass) {
        let length = self.bytes.len() - start - BETWEEN.len();
        self.size = self.size.saturating_add(length + EXTRA);
        if class.is_sound && class.name == FieldName::Regular && self.size <= MOST_OF_HEAD {
            self.has_fields = true;
            return self.line(start, middle, false);
        }
        self.close_other(start, middle, class);
    }

    /// There is a field that goes on.
    #[inline]
    fn line(&mut self, start: usize, middle: usize, is_cookie: bool) {
        let field = BlockSpan::new(start, self.bytes.len());
        let middle = u32::try_from(middle).unwrap_or(u32::MAX);
        self.lines.push(BlockField { field, middle, is_cookie });
        self.bytes.extend_from_slice(BEHIND);
    }

    /// Closes a field that means something here, or is too much or none.
    fn close_other(&mut self, start: usize, middle: usize, class: FieldClass) {
        let end = self.bytes.len();
        if !class.is_sound || self.is_misplaced(class.name) {
            self.is_malformed = true;
            return self.bytes.truncate(start);
        }
        if class.name == FieldName::Status {
            self.status = number(self.bytes.part(middle..));
            return self.bytes.truncate(start);
        }
        if class.name.is_pseudo() {
            return self.pseudo(middle, end, class.name);
        }
        self.has_fields = true;
        if self.size > MOST_OF_HEAD {
            self.left_out = self.left_out.saturating_add(end - start - BETWEEN.len());
            return self.bytes.truncate(start);
        }
        match class.name {
            // Of one that says nothing, and of several that say the same, whoever reads the head says what is wrong.
            FieldName::Length if self.section == BlockSection::Request && end > middle => {
                let length = content_length(self.bytes.part(middle..end)).ok();
                self.is_malformed |= length.is_none() || self.length.is_some_and(|said| Some(said) != length);
                self.length = length;
            }
            FieldName::Length if self.section == BlockSection::Response && end > middle => {
                self.response_length(middle);
            }
            FieldName::Cookie => self.cookies += 1,
            _ => {}
        }
        self.line(start, middle, class.name == FieldName::Cookie);
    }

    /// Takes note of a length that a response says, in a list it may be several times (RFC 9110, section 8.6). Of an interim one
    /// it means nothing.
    fn response_length(&mut self, middle: usize) {
        if self.status < 200 {
            return;
        }
        for member in self.bytes.part(middle..).split(|byte| *byte == b',') {
            let length = content_length(member.trim_ascii()).ok();
            self.is_malformed |= length.is_none() || self.length.is_some_and(|said| Some(said) != length);
            self.length = length;
        }
    }

    fn pseudo(&mut self, middle: usize, end: usize, name: FieldName) {
        // One that is too long is so whatever it says.
        let most = middle + MAX_LINE + 1;
        if end > most {
            self.left_out = self.left_out.saturating_add(end - most);
            self.bytes.truncate(most);
        }
        *self.pseudo.of_mut(name) = Some(BlockSpan::new(middle, end.min(most)));
    }

    /// Whether it is what it was read as (RFC 9113, sections 8.1 and 8.3.1; RFC 8441, section 4).
    pub(super) fn is_well_formed(&self) -> bool {
        if self.is_malformed {
            return false;
        }
        match self.section {
            BlockSection::Request => {}
            BlockSection::Response => return self.status != 0,
            BlockSection::Trailers => return self.size <= MOST_OF_TRAILERS,
        }
        let Pseudo { path, scheme, protocol, .. } = &self.pseudo;
        match (self.method(), protocol) {
            (b"", _) => false,
            (b"CONNECT", None) => path.is_none() && scheme.is_none(),
            (b"CONNECT", Some(_)) | (_, None) => path.is_some() && scheme.is_some(),
            (_, Some(_)) => false,
        }
    }

    /// It is malformed for what stands around it.
    pub(super) fn spoil(&mut self) {
        self.is_malformed = true;
    }

    /// Whether it is no request (RFC 9113, section 8.1.1): what it says is not to be gone by.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// It is all of its message.
    pub(super) fn end(&mut self) {
        self.is_all = true;
    }

    /// Whether it is all of its message: no body comes, whatever becomes of the stream.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// The length that the head says the body to have.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// Makes one field of all cookies (RFC 9113, section 8.2.3).
    pub fn join_cookies(&mut self) {
        if self.cookies < 2 {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(b"cookie");
        let middle = self.end_name();
        for line in self.lines.iter().filter(|line| line.is_cookie) {
            if self.bytes.len() > middle {
                self.bytes.extend_from_slice(b"; ");
            }
            self.bytes.extend_from_within(line.middle as usize..line.field.end as usize);
        }
        self.lines.retain(|line| !line.is_cookie);
        self.line(start, middle, true);
    }

    fn text(&self, span: Option<BlockSpan>) -> Option<&[u8]> {
        span.map(|span| span.of(&self.bytes))
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of its fields as tables count them.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.text(self.pseudo.method).unwrap_or_default()
    }

    /// The path, of most requests.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.text(self.pseudo.path)
    }

    /// The authority.
    #[must_use]
    pub fn authority(&self) -> Option<&[u8]> {
        self.text(self.pseudo.authority)
    }

    /// The protocol that is asked for (RFC 8441).
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.text(self.pseudo.protocol)
    }

    /// The fields; cookies are one.
    pub fn lines(&self) -> impl Iterator<Item = HeaderField<'_>> + Clone {
        self.lines.iter().map(|line| HeaderField {
            name: self.bytes.part(line.field.start as usize..line.middle as usize - BETWEEN.len()),
            value: self.bytes.part(line.middle as usize..line.field.end as usize),
        })
    }

    /// What [`Self::lines`] stand in, as they would in a head of HTTP/1.1.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of its names and values, however few of them it took to say it.
    #[must_use]
    pub fn length(&self) -> u64 {
        let Pseudo { method, path, scheme, authority, protocol } = &self.pseudo;
        let pseudo = [
            (":method", method),
            (":path", path),
            (":scheme", scheme),
            (":authority", authority),
            (":protocol", protocol),
        ];
        let length = |span: &BlockSpan| (span.end - span.start) as usize;
        let pseudo = pseudo.iter().filter_map(|(name, value)| Some(name.len() + length((*value).as_ref()?)));
        let fields = self.lines.iter().map(|line| length(&line.field) - BETWEEN.len());
        (pseudo.sum::<usize>() + fields.sum::<usize>() + self.left_out) as u64
    }

    /// Bytes of names and values that are left out: the head is far too large.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}
