//! The field lines of a head and what each is to a proxy. Must not know: requests from responses.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{error::HeadError, line_copier::LineCopier, options::ConnectionOptions};
use crate::{
    model::HeaderField,
    wire::fields::{Kind, is_plain_name, kind, list},
};

/// Most field lines of a message.
pub const MAX_FIELDS: usize = 200;
/// How many there usually are at most.
const USUAL_FIELDS: usize = 28;

/// The field lines of a message and what each is to a proxy.
///
/// Heads are moved about: there is room in them for what browsers send, and elsewhere for more.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    lines: SmallVec<[HeaderField<'a>; USUAL_FIELDS]>,
    kinds: SmallVec<[Kind; USUAL_FIELDS]>,
    /// A bit for each kind that there is: most kinds are asked for in vain.
    present: u32,
    nominates: bool,
    /// Whether all names are known to be letters, digits and hyphens.
    all_plain: bool,
    /// The bytes that they stand in, as far as they do.
    source: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Forgets all lines.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.kinds.clear();
        (self.present, self.nominates, self.all_plain, self.source) = (0, false, false, &[]);
    }

    /// All lines are there, and stand in `source`; `all_plain`: their names are letters, digits and hyphens.
    #[inline]
    pub(super) fn stand_in(&mut self, source: &'a [u8], all_plain: bool) {
        (self.source, self.all_plain) = (source, all_plain);
    }

    /// What hands them on as they stand.
    #[inline]
    pub fn copier(&self) -> LineCopier<'a> {
        LineCopier::from(self.source)
    }

    /// Takes in the lines that were parsed, in place of those that there are. Filled where they stand: they are large.
    pub(super) fn fill(&mut self, parsed: &[httparse::Header<'a>]) {
        self.clear();
        // The parser has room for no more than MAX_FIELDS, and leaves no white space around a value.
        let line =
            |header: &httparse::Header<'a>| HeaderField { name: header.name.as_bytes(), value: header.value };
        self.lines.extend(parsed.iter().map(line));
        let mut present = 0;
        self.kinds.extend(parsed.iter().map(|header| {
            let kind = kind(header.name.as_bytes());
            present |= 1 << kind as u32;
            kind
        }));
        self.present = present;
    }

    /// Adds a line whose value has no white space around it, as long as there are no more than usual. Whether it was added.
    #[inline]
    pub(super) fn put(&mut self, name: &'a [u8], value: &'a [u8]) -> bool {
        let kind = kind(name);
        let has_room = self.lines.len() < USUAL_FIELDS;
        if has_room {
            self.lines.push(HeaderField { name, value });
            self.kinds.push(kind);
            self.present |= 1 << kind as u32;
        }
        has_room
    }

    /// Adds a line; what is over [`MAX_FIELDS`] is dropped.
    pub(super) fn push(&mut self, name: &'a [u8], value: &'a [u8]) {
        if !self.is_full() {
            // Most have no white space around them, which is seen at once.
            let is_trim = matches!(value, [first, .., last] if *first > b' ' && *last > b' ');
            let value = if is_trim { value } else { value.trim_ascii() };
            self.lines.push(HeaderField { name, value });
            let kind = kind(name);
            self.kinds.push(kind);
            self.present |= 1 << kind as u32;
            self.all_plain = false;
        }
    }

    /// What Connection says besides names of fields.
    #[inline]
    pub(super) fn options(&mut self) -> ConnectionOptions {
        if self.has(Kind::Connection) { self.options_given() } else { ConnectionOptions::default() }
    }

    fn options_given(&mut self) -> ConnectionOptions {
        let options = ConnectionOptions::of(self.of(Kind::Connection));
        self.nominates = options.more;
        options
    }

    /// Whether Connection may name fields that go no further: see [`super::Nominated`].
    pub(in crate::wire) fn nominate(&self) -> bool {
        self.nominates
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= MAX_FIELDS
    }

    /// The field lines in the order received.
    #[must_use]
    pub fn lines(&self) -> &[HeaderField<'a>] {
        &self.lines
    }

    /// The field lines with their kinds.
    pub fn with_kinds(&self) -> impl Iterator<Item = (HeaderField<'a>, Kind)> {
        self.lines.iter().copied().zip(self.kinds.iter().copied())
    }

    /// Whether there is a line of `wanted` kind.
    #[must_use]
    pub fn has(&self, wanted: Kind) -> bool {
        (self.present >> wanted as u32) & 1 == 1
    }

    /// The values of the lines of `wanted` kind.
    pub fn of(&self, wanted: Kind) -> impl Iterator<Item = &'a [u8]> {
        let kinds = if self.has(wanted) { self.kinds.as_slice() } else { &[] };
        let fields = kinds.iter().zip(&self.lines).filter(move |(kind, _)| **kind == wanted);
        fields.map(|(_, field)| field.value)
    }

    /// Whether a name is none that ALB passes on with `drop_invalid_header_fields`.
    #[must_use]
    pub fn has_invalid_names(&self) -> bool {
        !self.all_plain
            && self.with_kinds().any(|(field, kind)| kind == Kind::Other && !is_plain_name(field.name))
    }

    /// Drops the lines whose names are `unwanted`.
    pub fn drop_names(&mut self, unwanted: impl Fn(&[u8]) -> bool) {
        let kept = self.lines.iter().map(|field| !unwanted(field.name)).collect();
        self.retain(&kept);
    }

    /// Drops the lines whose places are `unwanted`.
    pub(super) fn drop_places(&mut self, unwanted: impl Fn(usize) -> bool) {
        let kept = (0..self.lines.len()).map(|place| !unwanted(place)).collect();
        self.retain(&kept);
    }

    fn retain(&mut self, kept: &SmallVec<[bool; USUAL_FIELDS]>) {
        let mut of_kinds = kept.iter();
        self.kinds.retain(|_| of_kinds.next().is_none_or(|kept| *kept));
        let mut of_lines = kept.iter();
        self.lines.retain(|_| of_lines.next().is_none_or(|kept| *kept));
        self.present = self.kinds.iter().fold(0, |present, kind| present | 1 << *kind as u32);
    }

    /// The protocols of all Upgrade fields.
    #[cold]
    pub(super) fn upgrade(&self) -> Option<Cow<'a, [u8]>> {
        let mut lines = self.of(Kind::Upgrade);
        match (lines.next()?, lines.next()) {
            (only, None) => Some(Cow::Borrowed(only)),
            _ => Some(Cow::Owned(self.of(Kind::Upgrade).collect::<Vec<_>>().join(&b", "[..]))),
        }
    }

    /// Whether the body is chunked.
    #[inline]
    pub(super) fn transfer_coding(&self) -> Result<bool, HeadError> {
        if self.has(Kind::TransferEncoding) { self.coding_given() } else { Ok(false) }
    }

    #[cold]
    fn coding_given(&self) -> Result<bool, HeadError> {
        let mut codings = self.of(Kind::TransferEncoding).flat_map(list);
        let first = codings.next().ok_or(HeadError::Malformed)?;
        if !first.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadError::TransferCoding);
        }
        match codings.next() {
            None => Ok(true),
            Some(second) if second.eq_ignore_ascii_case(b"chunked") => Err(HeadError::Malformed),
            Some(_) => Err(HeadError::TransferCoding),
        }
    }
}
