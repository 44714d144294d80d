//! The head that an HTTP/1.1 target would get, taken apart for one of HTTP/2. It is the balancer's own. Must not know: what is in
//! it.

use memchr::memchr;

use crate::{
    internal_errors::Part as _,
    model::HeaderField,
    wire::{
        fields::{Kind, kind},
        http2::HeadWriter,
    },
};

/// The head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forwarded<'h> {
    method: &'h [u8],
    path: &'h [u8],
    lines: ForwardedLines<'h>,
}

/// Its field lines.
#[derive(Clone, Copy, Debug)]
struct ForwardedLines<'h>(&'h [u8]);

/// Where the name at the front of `lines` ends. Names are short: eight bytes at a time are looked at where they stand.
#[inline]
fn end_of_name(lines: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    for (number, chunk) in lines.as_chunks::<8>().0.iter().enumerate() {
        let colons = u64::from_le_bytes(*chunk) ^ (ONES * b':' as u64);
        // The lowest bit that is set is of the first byte that is nothing.
        let is_colon = colons.wrapping_sub(ONES) & !colons & (ONES << 7);
        if is_colon != 0 {
            return Some(number * 8 + is_colon.trailing_zeros() as usize / 8);
        }
    }
    memchr(b':', lines)
}

impl<'h> Iterator for ForwardedLines<'h> {
    type Item = HeaderField<'h>;

    #[inline]
    fn next(&mut self) -> Option<HeaderField<'h>> {
        let colon = end_of_name(self.0)?;
        let (name, rest) = self.0.split_at_checked(colon)?;
        let rest = rest.get(2..)?;
        let (value, rest) = rest.split_at_checked(memchr(b'\r', rest)?)?;
        self.0 = rest.get(2..)?;
        Some(HeaderField { name, value })
    }
}

impl<'h> Forwarded<'h> {
    /// Takes `head` apart.
    pub(super) fn of(head: &'h [u8]) -> Option<Self> {
        let (method, rest) = head.split_at_checked(memchr(b' ', head)?)?;
        let rest = rest.get(1..)?;
        let (path, rest) = rest.split_at_checked(memchr(b' ', rest)?)?;
        let lines = rest.get(memchr(b'\n', rest)? + 1..)?;
        // What is behind a hash is no part of what is asked for (RFC 9113, section 8.3.1).
        let path = path.part(..memchr(b'#', path).unwrap_or(path.len()));
        Some(Self { method, path, lines: ForwardedLines(lines) })
    }

    /// Writes it without what is of a connection of HTTP/1.1. `secure`: that to the target is inside TLS.
    pub(super) fn write(&self, secure: bool, writer: &mut HeadWriter<'_>) {
        let fields = self.lines.map(|field| (field, kind(field.name)));
        let host = fields.clone().find_map(|(field, kind)| (kind == Kind::Host).then_some(field.value));
        writer.request(self.method, secure, host.unwrap_or_default(), self.path);
        for (field, kind) in fields {
            match kind {
                Kind::Connection | Kind::HopByHop | Kind::TransferEncoding | Kind::Upgrade | Kind::Host => {}
                _ => writer.field(field.name, field.value),
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
        let forwarded = Forwarded::of(head).unwrap();
        assert_eq!((forwarded.method, forwarded.path), (&b"POST"[..], &b"/a?b=\"c"[..]));
        let lines: Vec<_> = forwarded.lines.map(|field| (field.name, field.value)).collect();
        let wanted: [(&[u8], &[u8]); 4] =
            [(b"Host", b"a.test:8080"), (b"empty", b""), (b"x", b"a: b"), (b"Connection", b"close")];
        assert_eq!(lines, wanted);
        for end in 0..head.len() {
            // However it is cut.
            let _ = Forwarded::of(&head[..end]).map(|forwarded| forwarded.lines.count());
        }
    }
}
