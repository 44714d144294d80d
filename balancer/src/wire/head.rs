//! Message heads as received: where one ends, what it says, how its body is framed. Requests are held to
//! RFC 9112 strictly, so that no two readers of the same bytes can disagree; anything else is refused.

mod blocks;
mod error;
mod line_copier;
mod lines;
mod nominated;
mod options;
mod plain;
mod scanner;
mod syntax;

use std::{borrow::Cow, mem::MaybeUninit};

use arrayvec::ArrayVec;
use memchr::memchr_iter;

use self::plain::{RequestStart, ResponseStart};
pub use self::{
    error::HeadError,
    line_copier::LineCopier,
    lines::{Fields, MAX_FIELDS},
    nominated::Nominated,
    scanner::HeadScanner,
    syntax::{LINE_EXTRA, MAX_LINE, is_token_byte},
};
use super::{
    authority::is_authority,
    fields::{Kind, list},
    many_bytes,
    trailers::may_travel,
};
use crate::{
    internal_errors::Part as _,
    model::{HeaderField, RequestHead, ResponseHead, Version},
};

/// Longest request head (ALB: quotas, 64 K).
pub const MAX_REQUEST_HEAD: usize = 64 * 1024;
/// Longest response head (ALB: quotas, 32 K).
pub const MAX_RESPONSE_HEAD: usize = 32 * 1024;
/// Most interim responses (RFC 9110, section 15.2) before a response. All of them together are held to
/// [`MAX_RESPONSE_HEAD`].
pub const MAX_INTERIM: usize = 100;

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// The end of the connection (responses only).
    UntilClose,
}

/// Reads a Content-Length value: digits alone (RFC 9110, section 8.6), no list.
pub(super) fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    if value.is_empty() || value.len() > 20 {
        return Err(HeadError::Malformed);
    }
    let append = |length: u64, byte: &u8| match byte {
        b'0'..=b'9' => length.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    };
    value.iter().try_fold(0, append).ok_or(HeadError::Malformed)
}

/// A request head.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Request target as received.
    pub target: &'a [u8],
    /// Version.
    pub version: Version,
    /// Field lines.
    pub fields: Fields<'a>,
    /// How the body is framed.
    pub framing: Framing,
    /// The Host field's value, if there is one.
    pub host: Option<&'a [u8]>,
    /// Whether the client wants the connection kept (RFC 9112, section 9.3).
    pub keep_alive: bool,
    /// Whether it waits for a 100 before it sends the body.
    pub expects_continue: bool,
    /// The protocols it offers to change to, when it asks for that (RFC 9110, section 7.8).
    pub upgrade: Option<Cow<'a, [u8]>>,
}

impl<'a> Request<'a> {
    /// Parses the whole head `bytes`, as [`HeadScanner::find_end`] delimited it.
    ///
    /// # Errors
    /// What makes the request unacceptable.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeadError> {
        let mut request = Self::default();
        request.read(bytes).map(|()| request)
    }

    /// Becomes what [`Self::parse`] would give back, where it stands: with room for all its fields it is too large to be
    /// moved about. It has not been read yet.
    ///
    /// # Errors
    /// As with [`Self::parse`]; what it is then means nothing.
    pub fn read(&mut self, bytes: &'a [u8]) -> Result<(), HeadError> {
        let line = match plain::request(bytes, &mut self.fields) {
            Some(line) => line,
            None => Self::parse_any(bytes, &mut self.fields)?,
        };
        let version = line.version;
        (self.method, self.target, self.version) = (line.method, line.target, version);
        let fields = &mut self.fields;
        self.framing = request_framing(fields, version)?;
        self.host = single_host(fields, version)?;
        let options = fields.options();
        self.keep_alive = !options.close && (options.keep_alive || version != Version::Http10);
        self.expects_continue = version == Version::Http11 && asks_to_continue(fields);
        self.upgrade = if version == Version::Http11 && options.upgrade { fields.upgrade() } else { None };
        Ok(())
    }

    /// What the parser makes of any head.
    #[inline(never)]
    fn parse_any(bytes: &'a [u8], fields: &mut Fields<'a>) -> Result<RequestStart<'a>, HeadError> {
        let mut headers = [MaybeUninit::uninit(); MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Err(httparse::Error::Version) if names_a_version(bytes) => return Err(HeadError::Version),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
            _ => return Err(HeadError::Malformed),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HeadError::Malformed);
        };
        // What is beyond ASCII has to be percent-encoded (RFC 3986, section 2); each would read it in its own way.
        if !target.is_ascii() {
            return Err(HeadError::Malformed);
        }
        fields.fill(parsed.headers);
        let (method, target) = (method.as_bytes(), target.as_bytes());
        Ok(RequestStart { method, target, version: version(minor) })
    }

    /// A request of an engine that has no bytes of an HTTP/1.1 head (RFC 9113, section 8.3). `authority` is
    /// what the request line would have named, `bodiless` whether the head was all of it. Held to the same
    /// limits as [`HeadScanner`] and [`Self::parse`] hold theirs.
    ///
    /// # Errors
    /// What makes the request unacceptable.
    pub fn of_fields(
        method: &'a [u8],
        target: &'a [u8],
        authority: Option<&'a [u8]>,
        lines: impl Iterator<Item = HeaderField<'a>>,
        bodiless: bool,
    ) -> Result<Self, HeadError> {
        let mut request = Self::default();
        request.take_fields(method, target, authority, (lines, b""), bodiless).map(|()| request)
    }

    /// Becomes what [`Self::of_fields`] would give back, where it stands; see [`Self::read`]. Of `lines` those can be copied together
    /// that stand beside each other in `source` as they do in a head of HTTP/1.1.
    ///
    /// # Errors
    /// As with [`Self::of_fields`]; what it is then means nothing.
    pub fn take_fields(
        &mut self,
        method: &'a [u8],
        target: &'a [u8],
        authority: Option<&'a [u8]>,
        (lines, source): (impl Iterator<Item = HeaderField<'a>>, &'a [u8]),
        bodiless: bool,
    ) -> Result<(), HeadError> {
        if method.len() + target.len() > MAX_LINE {
            return Err(HeadError::LineTooLong);
        }
        // What HTTP/1.1 has no place for, and what it would have to be percent-encoded for.
        if !many_bytes::is_graphic(target) {
            return Err(HeadError::Malformed);
        }
        let fields = &mut self.fields;
        let mut size = method.len() + target.len() + authority.map_or(0, <[u8]>::len);
        for line in lines {
            let length = line.name.len() + line.value.len() + LINE_EXTRA;
            size += length;
            if length > MAX_LINE || size > MAX_REQUEST_HEAD || fields.is_full() {
                return Err(HeadError::TooLarge);
            }
            fields.push(line.name, line.value);
        }
        if fields.has(Kind::TransferEncoding) {
            return Err(HeadError::Malformed);
        }
        let named = single_host(fields, Version::Http2)?;
        let host = match (authority, named) {
            // RFC 9113, section 8.3.1: a Host that differs makes the request malformed.
            (Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => {
                return Err(HeadError::Malformed);
            }
            (Some(authority), _) if !is_authority(authority) => return Err(HeadError::Malformed),
            (authority, named) => authority.or(named).ok_or(HeadError::Malformed)?,
        };
        // Whoever decides looks for the host where HTTP/1.1 has it.
        if named.is_none() {
            if fields.is_full() {
                return Err(HeadError::TooLarge);
            }
            fields.push(b"host", host);
        }
        fields.stand_in(source, false);
        self.framing = match request_framing(fields, Version::Http2)? {
            Framing::Length(_) if bodiless => return Err(HeadError::Malformed),
            Framing::Empty if bodiless || fields.has(Kind::ContentLength) => Framing::Empty,
            Framing::Empty => Framing::Chunked,
            framing => framing,
        };
        self.expects_continue = asks_to_continue(fields);
        (self.method, self.target, self.version) = (method, target, Version::Http2);
        (self.host, self.keep_alive) = (Some(host), true);
        Ok(())
    }

    /// The view that deciding rooms get.
    #[must_use]
    pub fn view(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            target: self.target,
            version: self.version,
            headers: self.fields.lines(),
        }
    }
}

/// The version that the parser names by its second number.
fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

/// Whether the request line has three parts and the last one is a version, though not one spoken here.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ').skip(2);
    let (version, more) = (parts.next().unwrap_or_default(), parts.next());
    let number = version.strip_prefix(b"HTTP/").unwrap_or_default();
    more.is_none() && matches!(number, [b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// RFC 9112, section 6.3, with every doubtful case refused: both lengths, several lengths, codings other
/// than chunked, codings in HTTP/1.0.
fn request_framing(fields: &Fields<'_>, version: Version) -> Result<Framing, HeadError> {
    let mut lengths = fields.of(Kind::ContentLength);
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(HeadError::Malformed);
    }
    let chunked = fields.transfer_coding();
    match (chunked, length) {
        (Ok(false), None) => Ok(Framing::Empty),
        (Ok(false), Some(value)) => content_length(value).map(|n| match n {
            0 => Framing::Empty,
            n => Framing::Length(n),
        }),
        (_, Some(_)) => Err(HeadError::Malformed),
        (Ok(true), None) if version == Version::Http11 => Ok(Framing::Chunked),
        (Ok(true), None) => Err(HeadError::Malformed),
        (Err(error), None) => Err(error),
    }
}

/// Exactly one valid Host in HTTP/1.1 (RFC 9112, section 3.2), at most one in HTTP/1.0.
fn single_host<'a>(fields: &Fields<'a>, version: Version) -> Result<Option<&'a [u8]>, HeadError> {
    let mut hosts = fields.of(Kind::Host);
    let host = hosts.next();
    match host {
        Some(value) if !is_authority(value) => Err(HeadError::Malformed),
        None if version == Version::Http11 => Err(HeadError::Malformed),
        _ if hosts.next().is_some() => Err(HeadError::Malformed),
        host => Ok(host),
    }
}

/// Whether 100 is expected, alone or among other things (RFC 9110, section 10.1.1).
fn asks_to_continue(fields: &Fields<'_>) -> bool {
    fields.of(Kind::Expect).flat_map(list).any(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// A response head.
#[derive(Debug, Default)]
pub struct Response<'a> {
    /// Status code.
    pub status: u16,
    /// Reason phrase as received; may be empty.
    pub reason: &'a [u8],
    /// Field lines, without those that `Connection` keeps from going on (RFC 9110, section 7.6.1): what is done about a
    /// response is done about what its client gets.
    pub fields: Fields<'a>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the target keeps the connection.
    pub keep_alive: bool,
    /// Bytes of the head.
    pub length: usize,
}

impl<'a> Response<'a> {
    /// Parses the head at the front of `bytes`, which answers a request whose method was HEAD or not;
    /// `None` if it is not all there.
    ///
    /// # Errors
    /// It is not a response, is over a limit, or says its length in two ways that differ.
    pub fn parse(bytes: &'a [u8], to_head: bool) -> Result<Option<Self>, HeadError> {
        let mut response = Self::default();
        Ok(response.read(bytes, to_head)?.then_some(response))
    }

    /// Becomes what [`Self::parse`] would give back, where it stands; see [`Request::read`]. False: it is not all there.
    ///
    /// # Errors
    /// As with [`Self::parse`].
    pub fn read(&mut self, bytes: &'a [u8], to_head: bool) -> Result<bool, HeadError> {
        let line = match plain::response(bytes, &mut self.fields) {
            Some(line) => line,
            None => match Self::parse_any(bytes, &mut self.fields)? {
                Some(line) => line,
                None => return Ok(false),
            },
        };
        let ResponseStart { status, version, reason, length } = line;
        if length > MAX_RESPONSE_HEAD {
            return Err(HeadError::TooLarge);
        }
        let is_old = version == Version::Http10;
        // HTTP/1.0 cannot change to another protocol (RFC 9110, section 7.8).
        if status < 100 || status == 101 && is_old {
            return Err(HeadError::StatusLine);
        }
        let fields = &mut self.fields;
        let coded = fields.transfer_coding().map_err(|_| HeadError::TransferCoding)?;
        let length_given = response_length(fields)?;
        let framing = response_framing(coded, length_given, status, to_head);
        // Who says how a body is framed that there is none of, or says it twice, may send one all the same.
        let doubtful = coded && (length_given.is_some() || is_old || status == 204)
            || status == 204 && length_given.is_some_and(|length| length > 0);
        let options = fields.options();
        if fields.nominate() {
            withhold(fields);
        }
        self.keep_alive = framing != Framing::UntilClose
            && !doubtful
            && if is_old { options.keep_alive } else { !options.close };
        (self.status, self.reason, self.framing, self.length) = (status, reason, framing, length);
        Ok(true)
    }

    /// What the parser makes of any head; `None` if it is not all there.
    #[inline(never)]
    fn parse_any(bytes: &'a [u8], fields: &mut Fields<'a>) -> Result<Option<ResponseStart<'a>>, HeadError> {
        let mut headers = [MaybeUninit::uninit(); MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() <= MAX_RESPONSE_HEAD => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(HeadError::TooLarge),
            Err(error) => return Err(broken_rule(error)),
        };
        if length > MAX_RESPONSE_HEAD {
            return Err(HeadError::TooLarge);
        }
        if !are_line_ends_whole(bytes.part(..length), &parsed) {
            return Err(HeadError::LineEnd);
        }
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(HeadError::StatusLine);
        };
        fields.fill(parsed.headers);
        let reason = parsed.reason.unwrap_or_default().as_bytes();
        Ok(Some(ResponseStart { status, version: version(minor), reason, length }))
    }

    /// A response of an engine that has no bytes of an HTTP/1.1 head; see [`Request::of_fields`].
    ///
    /// # Errors
    /// It is over a limit, or its length is none.
    pub fn of_fields(
        status: u16,
        lines: impl Iterator<Item = HeaderField<'a>>,
        bodiless: bool,
    ) -> Result<Self, HeadError> {
        let mut response = Self::default();
        response.take_fields(status, lines, bodiless).map(|()| response)
    }

    /// Becomes what [`Self::of_fields`] would give back, where it stands.
    ///
    /// # Errors
    /// As with [`Self::of_fields`]; what it is then means nothing.
    pub fn take_fields(
        &mut self,
        status: u16,
        lines: impl Iterator<Item = HeaderField<'a>>,
        bodiless: bool,
    ) -> Result<(), HeadError> {
        let fields = &mut self.fields;
        let mut size = 0;
        for line in lines {
            size += line.name.len() + line.value.len() + LINE_EXTRA;
            if size > MAX_RESPONSE_HEAD {
                return Err(HeadError::TooLarge);
            }
            if fields.is_full() {
                return Err(HeadError::TooManyFields);
            }
            fields.push(line.name, line.value);
        }
        let length = response_length(fields)?;
        self.framing = match length {
            _ if bodiless => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        (self.status, self.keep_alive) = (status, true);
        Ok(())
    }

    /// Whether its Content-Length, if it has one, goes on: not where there can be no content (RFC 9110, section 8.6),
    /// nor where a transfer coding says how long it is.
    #[must_use]
    pub fn may_have_length(&self) -> bool {
        self.status >= 200
            && self.status != 204
            && matches!(self.framing, Framing::Length(_) | Framing::Empty)
            && !self.fields.has(Kind::TransferEncoding)
    }

    /// The view that deciding rooms get.
    #[must_use]
    pub fn view(&self) -> ResponseHead<'_> {
        ResponseHead { status: self.status, headers: self.fields.lines() }
    }
}

/// Drops what Connection keeps from going on.
#[cold]
fn withhold(fields: &mut Fields<'_>) {
    let nominated = Nominated::of(fields);
    fields.drop_places(|place| nominated.has(place));
}

/// What is wrong with a response head that the parser does not take.
#[cold]
fn broken_rule(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::Field,
        httparse::Error::NewLine => HeadError::LineEnd,
        httparse::Error::Status | httparse::Error::Token => HeadError::StatusLine,
        httparse::Error::Version => HeadError::Version,
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
    }
}

/// RFC 9112, section 6.3: a transfer coding overrides a length.
fn response_framing(coded: bool, length: Option<u64>, status: u16, to_head: bool) -> Framing {
    if to_head || status < 200 || status == 204 || status == 304 {
        return Framing::Empty;
    }
    match (coded, length) {
        (true, _) => Framing::Chunked,
        (false, Some(0)) => Framing::Empty,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    }
}

/// The length that a response gives; one that it gives several times, in a list or in lines, counts once (RFC 9110,
/// section 8.6).
fn response_length(fields: &Fields<'_>) -> Result<Option<u64>, HeadError> {
    let mut values = fields.of(Kind::ContentLength);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if !value.contains(&b',') => {
            content_length(value).map(Some).map_err(|_| HeadError::ContentLength)
        }
        _ => repeated_length(fields),
    }
}

#[cold]
fn repeated_length(fields: &Fields<'_>) -> Result<Option<u64>, HeadError> {
    let mut length = None;
    for value in fields.of(Kind::ContentLength).flat_map(|value| value.split(|byte| *byte == b',')) {
        let this = content_length(value.trim_ascii()).map_err(|_| HeadError::ContentLength)?;
        if length.is_some_and(|before| before != this) {
            return Err(HeadError::ContentLengthsDiffer);
        }
        length = Some(this);
    }
    Ok(length)
}

/// Whether every line of the head that a response was read from ends in CR LF. What is read has a CR only before an LF, so
/// that one look behind each part tells; where a part is empty or followed by white space, all lines are looked at.
fn are_line_ends_whole(head: &[u8], parsed: &httparse::Response<'_, '_>) -> bool {
    let is_before_cr = |part: &[u8]| {
        let end = part.as_ptr().addr().wrapping_sub(head.as_ptr().addr()).wrapping_add(part.len());
        head.get(end) == Some(&b'\r')
    };
    let is_plain = head.starts_with(b"H")
        && head.ends_with(b"\r\n")
        && parsed.reason.is_some_and(|reason| is_before_cr(reason.as_bytes()))
        && parsed.headers.iter().all(|header| is_before_cr(header.value));
    is_plain || has_whole_line_ends(head)
}

/// Whether every line of `head` ends in CR LF.
pub(super) fn has_whole_line_ends(head: &[u8]) -> bool {
    memchr_iter(b'\n', head)
        .all(|place| place.checked_sub(1).and_then(|before| head.get(before)) == Some(&b'\r'))
}

/// Trailer fields of a complete trailer section `bytes` (field lines and the empty line), without those
/// that must not travel there: framing, routing and connection fields (RFC 9110, section 6.5.1).
///
/// # Errors
/// The section is malformed.
pub fn trailers<'a>(bytes: &'a [u8]) -> Result<ArrayVec<HeaderField<'a>, MAX_FIELDS>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let Ok(httparse::Status::Complete((_, parsed))) = httparse::parse_headers(bytes, &mut headers) else {
        return Err(HeadError::Malformed);
    };
    let fields = parsed.iter().map(|header: &httparse::Header<'a>| HeaderField {
        name: header.name.as_bytes(),
        value: header.value.trim_ascii(),
    });
    Ok(fields.filter(|field| may_travel(field.name)).collect())
}

#[cfg(test)]
mod doubling_tests;
#[cfg(test)]
mod tests;
