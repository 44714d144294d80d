//! Frames (RFC 9113, sections 4 and 6): their heads, and what is around their payloads. Must not know: streams.

use crate::internal_errors::Part as _;

/// Bytes of a head.
pub(super) const HEAD: usize = 9;
/// Largest payload that is taken, and that every client takes (RFC 9113, section 6.5.2).
pub(super) const MOST_PAYLOAD: usize = 16 * 1024;
/// Largest payload that a client may allow.
pub(super) const LARGEST_PAYLOAD: u32 = (1 << 24) - 1;

/// Types of frames.
pub(super) mod kind {
    pub(in crate::wire::http2) const DATA: u8 = 0;
    pub(in crate::wire::http2) const HEADERS: u8 = 1;
    pub(in crate::wire::http2) const PRIORITY: u8 = 2;
    pub(in crate::wire::http2) const RST_STREAM: u8 = 3;
    pub(in crate::wire::http2) const SETTINGS: u8 = 4;
    pub(in crate::wire::http2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::wire::http2) const PING: u8 = 6;
    pub(in crate::wire::http2) const GOAWAY: u8 = 7;
    pub(in crate::wire::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::wire::http2) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in crate::wire::http2) const END_STREAM: u8 = 0x1;
    pub(in crate::wire::http2) const ACK: u8 = 0x1;
    pub(in crate::wire::http2) const END_HEADERS: u8 = 0x4;
    pub(in crate::wire::http2) const PADDED: u8 = 0x8;
    pub(in crate::wire::http2) const PRIORITY: u8 = 0x20;
}

/// Names of settings (RFC 9113, section 6.5.2; RFC 8441, section 3).
pub(super) mod setting {
    pub(in crate::wire::http2) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in crate::wire::http2) const ENABLE_PUSH: u16 = 2;
    pub(in crate::wire::http2) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in crate::wire::http2) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(in crate::wire::http2) const MAX_FRAME_SIZE: u16 = 5;
    pub(in crate::wire::http2) const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub(in crate::wire::http2) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    /// The head at the front of `bytes`, if all of it is there.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes.first_chunk::<HEAD>()?;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        Some(Self { length, kind, flags, stream: u32::from_be_bytes([d & 0x7f, e, f, g]) })
    }

    #[inline]
    pub(super) fn bytes(self) -> [u8; HEAD] {
        let [_, a, b, c] = u32::try_from(self.length).unwrap_or(0).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    #[inline]
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a payload of PRIORITY, or of HEADERS with it, says that its stream depends on itself.
    #[inline]
    pub(super) fn depends_on_itself(self, payload: &[u8]) -> bool {
        let at = match self.kind {
            kind::HEADERS if !self.has(flag::PRIORITY) => return false,
            kind::HEADERS => usize::from(self.has(flag::PADDED)),
            _ => 0,
        };
        let on = payload.get(at..).and_then(<[u8]>::first_chunk);
        on.is_some_and(|on| u32::from_be_bytes(*on) & 0x7fff_ffff == self.stream)
    }

    /// What a payload of DATA or HEADERS carries, without padding and priority; nothing when they are larger than it is.
    #[inline]
    pub(super) fn content(self, payload: &[u8]) -> Option<&[u8]> {
        let (padding, rest) = match self.has(flag::PADDED) {
            false => (0, payload),
            true => payload.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        };
        let is_behind_priority = self.kind == kind::HEADERS && self.has(flag::PRIORITY);
        let rest = rest.get(if is_behind_priority { 5 } else { 0 }..)?;
        rest.get(..rest.len().checked_sub(padding)?)
    }
}

/// A header block that goes on in another frame.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The head of the first frame.
    pub(super) head: FrameHead,
    /// Bytes of all, their heads among them.
    pub(super) length: usize,
    pub(super) bytes: Vec<u8>,
}

/// Appends a frame.
pub(super) fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&FrameHead { length: payload.len(), kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

/// Appends a SETTINGS frame.
pub(super) fn write_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(name, value)| {
            let ([a, b], [c, d, e, f]) = (name.to_be_bytes(), value.to_be_bytes());
            [a, b, c, d, e, f]
        })
        .collect();
    write(out, kind::SETTINGS, 0, 0, &payload);
}

/// The settings of a payload; nothing when it has not the size of some.
pub(super) fn settings(payload: &[u8]) -> Option<impl Iterator<Item = (u16, u32)>> {
    let (settings, rest) = payload.as_chunks::<6>();
    let each = |[a, b, value @ ..]: &[u8; 6]| (u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value));
    rest.is_empty().then(|| settings.iter().map(each))
}

/// The number that a payload of four bytes is.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// Puts what is behind `start` into frames of no more than `most` bytes, the first of which has its head there already.
#[cold]
pub(super) fn split_block(out: &mut Vec<u8>, start: usize, first: FrameHead, most: usize) {
    let block = out.split_off(start.saturating_add(HEAD).min(out.len()));
    out.truncate(start);
    let mut rest = block.as_slice();
    let mut head = FrameHead { flags: first.flags & !flag::END_HEADERS, ..first };
    loop {
        let (part, more) = rest.split_at_checked(most).unwrap_or((rest, &[]));
        if more.is_empty() {
            head.flags |= flag::END_HEADERS;
        }
        write(out, head.kind, head.flags, head.stream, part);
        if more.is_empty() {
            return;
        }
        rest = more;
        head = FrameHead { kind: kind::CONTINUATION, flags: 0, ..head };
    }
}

/// Writes the head of the frame that began at `start` over what was left free for it.
#[inline]
pub(super) fn close(out: &mut [u8], start: usize, head: FrameHead) {
    if let Some(room) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *room = head.bytes();
    }
}

/// Bytes of the payload of the frame that began at `start`, where it is the last.
#[inline]
pub(super) fn payload_since(out: &[u8], start: usize) -> usize {
    out.part(start..).len().saturating_sub(HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let head = FrameHead { length: 0x01_02_03, kind: 7, flags: 9, stream: 0x7fff_fffe };
        let mut bytes = head.bytes();
        assert_eq!(FrameHead::read(&bytes), Some(head));
        bytes[5] |= 0x80;
        assert_eq!(FrameHead::read(&bytes), Some(head), "a bit that means nothing");
        assert_eq!(FrameHead::read(&bytes[..8]), None);
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let content = |kind, flags, payload| {
            FrameHead { length: 0, kind, flags, stream: 1 }.content(payload).map(<[u8]>::to_vec)
        };
        assert_eq!(content(kind::DATA, 0, b"abc"), Some(b"abc".to_vec()));
        assert_eq!(content(kind::DATA, flag::PADDED, b"\x02abc"), Some(b"a".to_vec()));
        assert_eq!(content(kind::DATA, flag::PADDED, b"\x03abc"), Some(Vec::new()));
        assert_eq!(content(kind::DATA, flag::PADDED, b"\x04abc"), None);
        assert_eq!(content(kind::DATA, flag::PADDED, b""), None);
        assert_eq!(content(kind::HEADERS, flag::PRIORITY, b"12345x"), Some(b"x".to_vec()));
        assert_eq!(content(kind::HEADERS, flag::PRIORITY, b"1234"), None);
        assert_eq!(content(kind::HEADERS, 0x28, b"\x0112345xy"), Some(b"x".to_vec()));
        assert_eq!(content(kind::DATA, flag::PRIORITY, b"12345x"), Some(b"12345x".to_vec()));
    }

    #[test]
    fn a_block_is_split_into_frames_of_the_size_allowed() {
        for length in [0_u8, 1, 9, 10, 11, 20, 25] {
            let mut out = b"before".to_vec();
            out.extend([0; HEAD]);
            out.extend(0..length);
            let head = FrameHead { length: length.into(), kind: kind::HEADERS, flags: 5, stream: 3 };
            split_block(&mut out, 6, head, 10);
            let (mut rest, mut block, mut frames) = (&out[6..], Vec::<u8>::new(), 0);
            while let Some(head) = FrameHead::read(rest) {
                let (kind, flags) = if frames == 0 { (kind::HEADERS, 1) } else { (kind::CONTINUATION, 0) };
                rest = &rest[HEAD..];
                block.extend(&rest[..head.length]);
                rest = &rest[head.length..];
                let end = if rest.is_empty() { flag::END_HEADERS } else { 0 };
                assert_eq!((head.kind, head.flags, head.stream), (kind, flags | end, 3), "{length}");
                frames += 1;
            }
            assert_eq!(block, (0..length).collect::<Vec<_>>());
            assert_eq!(frames, length.div_ceil(10).max(1));
        }
    }
}
