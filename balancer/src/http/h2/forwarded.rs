//! The head that an HTTP/1.1 target would get, for one of HTTP/2: by what was noted of it, or taken apart where not all of it was.
//! It is the balancer's own. Must not know: what is in it.

use memchr::memchr;

use crate::{
    http::decide::{
        forward::goes_to_http2,
        head_notes::{HeadNotes, NotedHead},
    },
    internal_errors::Part as _,
    model::HeaderField,
    wire::{
        fields::{Kind, kind},
        http2::HeadWriter,
    },
};

/// The head.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forwarded<'h> {
    /// It is known what is where in it.
    Noted(NotedHead<'h>),
    /// It was taken apart.
    Parsed(ParsedHead<'h>),
}

/// A head that was taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParsedHead<'h> {
    method: &'h [u8],
    path: &'h [u8],
    lines: ForwardedLines<'h>,
}

/// Its field lines.
#[derive(Clone, Copy, Debug)]
struct ForwardedLines<'h>(&'h [u8]);

impl<'h> Iterator for ForwardedLines<'h> {
    type Item = HeaderField<'h>;

    #[inline]
    fn next(&mut self) -> Option<HeaderField<'h>> {
        let colon = memchr(b':', self.0)?;
        let (name, rest) = self.0.split_at_checked(colon)?;
        let rest = rest.get(2..)?;
        let (value, rest) = rest.split_at_checked(memchr(b'\r', rest)?)?;
        self.0 = rest.get(2..)?;
        Some(HeaderField { name, value })
    }
}

impl<'h> Forwarded<'h> {
    /// The parts of `head`, which `notes` are of.
    pub(super) fn of(head: &'h [u8], notes: &'h HeadNotes) -> Option<Self> {
        match notes.of(head) {
            Some(noted) => Some(Self::Noted(noted)),
            None => ParsedHead::of(head).map(Self::Parsed),
        }
    }

    /// Writes it without what is of a connection of HTTP/1.1. `secure`: that to the target is inside TLS.
    #[inline]
    pub(super) fn write(&self, secure: bool, writer: &mut HeadWriter<'_>) {
        match self {
            Self::Noted(noted) => {
                writer.request(noted.method, secure, noted.host, without_fragment(noted.path));
                noted.lines().for_each(|field| writer.field(field.name, field.value));
            }
            Self::Parsed(parsed) => parsed.write(secure, writer),
        }
    }
}

/// What is behind a hash is no part of what is asked for (RFC 9113, section 8.3.1).
fn without_fragment(path: &[u8]) -> &[u8] {
    path.part(..memchr(b'#', path).unwrap_or(path.len()))
}

impl<'h> ParsedHead<'h> {
    /// Takes `head` apart.
    fn of(head: &'h [u8]) -> Option<Self> {
        let (method, rest) = head.split_at_checked(memchr(b' ', head)?)?;
        let rest = rest.get(1..)?;
        let (path, rest) = rest.split_at_checked(memchr(b' ', rest)?)?;
        let lines = rest.get(memchr(b'\n', rest)? + 1..)?;
        Some(Self { method, path, lines: ForwardedLines(lines) })
    }

    #[cold]
    fn write(&self, secure: bool, writer: &mut HeadWriter<'_>) {
        let fields = self.lines.map(|field| (field, kind(field.name)));
        let host = fields.clone().find_map(|(field, kind)| (kind == Kind::Host).then_some(field.value));
        writer.request(self.method, secure, host.unwrap_or_default(), without_fragment(self.path));
        for (field, kind) in fields {
            if goes_to_http2(kind) {
                writer.field(field.name, field.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let head = b"POST /a?b=\"c#d HTTP/1.1\r\nHost: a.test:8080\r\nempty: \r\nx: a: b\r\nConnection: close\r\n\r\n";
        let forwarded = ParsedHead::of(head).unwrap();
        assert_eq!((forwarded.method, forwarded.path), (&b"POST"[..], &b"/a?b=\"c#d"[..]));
        let lines: Vec<_> = forwarded.lines.map(|field| (field.name, field.value)).collect();
        let wanted: [(&[u8], &[u8]); 4] =
            [(b"Host", b"a.test:8080"), (b"empty", b""), (b"x", b"a: b"), (b"Connection", b"close")];
        assert_eq!(lines, wanted);
        assert_eq!(without_fragment(forwarded.path), b"/a?b=\"c");
        for end in 0..head.len() {
            // However it is cut.
            let _ = ParsedHead::of(&head[..end]).map(|forwarded| forwarded.lines.count());
        }
    }
}
