//! A byte stream from a target whose header blocks are looked at on their way to the HTTP/2 engine: see [`super::hpack`]. A block is
//! handed on when it is there whole, as it came or written anew; so is what the peer says of the table that header blocks
//! for it may use; all else is handed on as it comes.
//! Must not know: what a response is for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    head::MAX_INTERIM,
    hpack::{HeaderBlocks, MALFORMED, Section},
};
use crate::internal_errors::Part as _;

const FRAME_HEAD: usize = 9;
/// Largest payload that the engine takes (RFC 9113, section 6.5.2).
const MOST_PAYLOAD: usize = 16 * 1024;
/// Bytes that a block may come in, heads of frames among them. For more the engine ends the connection: so many do not fit into
/// the frames that it takes.
const MOST_BLOCK: usize = 25 * (FRAME_HEAD + MOST_PAYLOAD);
/// Frames of a block that the engine gets as they came. It counts them, whatever is in them; there may be any number
/// (RFC 9113, section 6.10), and of more it gets full ones.
const AS_THEY_CAME: usize = 4;
/// Bytes read at once while a block is not there whole.
const PIECE: usize = 4096;
/// Responses under way that are kept in mind; a connection carries half as many requests.
const MOST_ANSWERED: usize = 256;

/// SETTINGS_HEADER_TABLE_SIZE (RFC 9113, section 6.5.2), and what the engine is told at most. It would fill a table of any
/// size with what is sent, and looks through it for each field: what a peer allows more is left unused, as it may be.
const TABLE_SIZE: u16 = 1;
const MOST_TABLE_SIZE: u32 = 4096;
/// Bytes of a setting.
const SETTING: usize = 6;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What tells heads from trailers.
#[derive(Debug, Default)]
struct Responses {
    /// Of these streams the final head has come, and not the end.
    answered: Vec<u32>,
    /// Of these, so many interim ones.
    interim: Vec<(u32, usize)>,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes.first_chunk::<FRAME_HEAD>()?;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        Some(Self { length, kind, flags, stream: u32::from_be_bytes([d & 0x7f, e, f, g]) })
    }

    fn write(self, payload: &[u8], out: &mut Vec<u8>) {
        let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
        out.extend_from_slice(length.part(1..));
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(payload);
    }

    /// The part of a HEADERS frame's payload that is of its block (RFC 9113, section 6.2).
    fn fragment(self, payload: &[u8]) -> Option<&[u8]> {
        let (padding, rest) = match self.flags & PADDED {
            0 => (0, payload),
            _ => payload.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        };
        let rest = rest.get(if self.flags & PRIORITY == 0 { 0 } else { 5 }..)?;
        rest.get(..rest.len().checked_sub(padding)?)
    }
}

/// What stands at the front of what has come.
enum Front {
    /// So many bytes that can be handed on.
    Sound(usize),
    /// So many bytes, and what is handed on in their place.
    Instead(usize, Vec<u8>),
    /// Something that is not there whole.
    Part,
    /// What the engine ends the connection for: nothing is looked at any more.
    Fatal,
}

#[derive(Debug, Default)]
struct Screen {
    blocks: HeaderBlocks,
    responses: Responses,
    /// Bytes of a frame's payload that are handed on as they come.
    left: usize,
    /// How far the frames of a block have been looked at that is not there whole.
    seen: Seen,
    is_over: bool,
}

/// Frames of a block behind its first one.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    frames: usize,
    /// Where the next one begins.
    end: usize,
}

impl Screen {
    fn front(&mut self, bytes: &[u8]) -> Front {
        if self.left > 0 {
            let step = bytes.len().min(self.left);
            self.left -= step;
            return Front::Sound(step);
        }
        let Some(frame) = Frame::read(bytes) else { return Front::Part };
        if frame.kind == HEADERS {
            return self.headers(frame, bytes);
        }
        if frame.kind == SETTINGS && frame.flags & ACK == 0 && frame.length <= MOST_PAYLOAD {
            return settings(frame, bytes);
        }
        // Of a stream these say nothing, and the engine puts up with so many in the life of a connection.
        if frame.kind == DATA && frame.length == 0 && frame.flags == 0 && frame.stream != 0 {
            return Front::Instead(FRAME_HEAD, Vec::new());
        }
        if frame.kind == RST_STREAM || (frame.kind == DATA && frame.flags & END_STREAM != 0) {
            forget(&mut self.responses.answered, frame.stream);
            self.responses.interim.retain(|(of, _)| *of != frame.stream);
        }
        self.left = frame.length;
        Front::Sound(FRAME_HEAD)
    }

    /// A HEADERS frame and the CONTINUATION frames behind it.
    fn headers(&mut self, head: Frame, bytes: &[u8]) -> Front {
        let end = FRAME_HEAD + head.length;
        if head.length > MOST_PAYLOAD || head.stream == 0 {
            return Front::Fatal;
        }
        let Some(payload) = bytes.get(FRAME_HEAD..end) else { return Front::Part };
        let Some(fragment) = head.fragment(payload) else { return Front::Fatal };
        if head.flags & END_HEADERS != 0 {
            return self.block(head, fragment, end);
        }
        // Only what is there whole is put together, and each frame looked at once: a client may send a byte at a time.
        self.seen.end = self.seen.end.max(end);
        loop {
            let rest = bytes.part(self.seen.end..);
            let Some(frame) = Frame::read(rest) else { return Front::Part };
            let next = self.seen.end + FRAME_HEAD + frame.length;
            let goes_on = frame.kind == CONTINUATION && frame.stream == head.stream;
            if !goes_on || frame.length > MOST_PAYLOAD || next > MOST_BLOCK {
                return Front::Fatal;
            }
            if bytes.len() < next {
                return Front::Part;
            }
            self.seen = Seen { frames: self.seen.frames + 1, end: next };
            if frame.flags & END_HEADERS != 0 {
                let Seen { frames, end: length } = std::mem::take(&mut self.seen);
                let block = together(fragment, bytes.part(end..length));
                let front = self.block(head, &block, length);
                let is_long = frames > AS_THEY_CAME && matches!(front, Front::Sound(_));
                return if is_long { Front::Instead(length, written(head, &block)) } else { front };
            }
        }
    }

    /// A whole block, which came in the first `length` bytes.
    fn block(&mut self, head: Frame, block: &[u8], length: usize) -> Front {
        let Responses { answered, interim } = &mut self.responses;
        let is_head = !answered.contains(&head.stream);
        let section = if is_head { Section::Response } else { Section::Trailers };
        let Ok(mut looked) = self.blocks.look(block, section) else {
            // What nobody can read, the engine must not read either: the first index is 1.
            let mut out = Vec::new();
            Frame { flags: END_HEADERS, ..head }.write(&[0x80], &mut out);
            self.is_over = true;
            return Front::Instead(length, out);
        };
        if looked.is_interim && is_too_many(interim, head.stream) {
            looked.instead.get_or_insert_with(|| block.to_vec()).extend_from_slice(MALFORMED);
        } else if !looked.is_interim {
            interim.retain(|(of, _)| *of != head.stream);
        }
        if head.flags & END_STREAM != 0 {
            forget(answered, head.stream);
        } else if is_head && !looked.is_interim {
            if answered.len() >= MOST_ANSWERED {
                answered.remove(0);
            }
            answered.push(head.stream);
        }
        match looked.instead {
            None => Front::Sound(length),
            Some(block) => Front::Instead(length, written(head, &block)),
        }
    }
}

/// A block whose first fragment is followed by the frames that it goes on in.
fn together(first: &[u8], frames: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(first.len() + frames.len());
    block.extend_from_slice(first);
    let mut rest = frames;
    while let Some(frame) = Frame::read(rest) {
        let end = FRAME_HEAD + frame.length;
        block.extend_from_slice(rest.part(FRAME_HEAD..end));
        rest = rest.part(end..);
    }
    block
}

/// A SETTINGS frame, which ends with its payload.
fn settings(head: Frame, bytes: &[u8]) -> Front {
    let end = FRAME_HEAD + head.length;
    let Some(payload) = bytes.get(FRAME_HEAD..end) else { return Front::Part };
    let (settings, rest) = payload.as_chunks::<SETTING>();
    let is_too_much = |setting: &[u8; SETTING]| {
        let [a, b, value @ ..] = *setting;
        u16::from_be_bytes([a, b]) == TABLE_SIZE && u32::from_be_bytes(value) > MOST_TABLE_SIZE
    };
    if !settings.iter().any(is_too_much) {
        return Front::Sound(end);
    }
    let [a, b] = TABLE_SIZE.to_be_bytes();
    let [c, d, e, f] = MOST_TABLE_SIZE.to_be_bytes();
    let within = |setting: &[u8; SETTING]| if is_too_much(setting) { [a, b, c, d, e, f] } else { *setting };
    let mut payload: Vec<u8> = settings.iter().flat_map(within).collect();
    payload.extend_from_slice(rest);
    let mut out = Vec::with_capacity(end);
    head.write(&payload, &mut out);
    Front::Instead(end, out)
}

/// Whether with one more interim response on this stream the engine would have too many. It keeps them all until they are asked
/// for; whoever asks gives up before this one. Of a stream that was reset the engine keeps none.
#[cold]
fn is_too_many(interim: &mut Vec<(u32, usize)>, stream: u32) -> bool {
    if let Some((_, number)) = interim.iter_mut().find(|(of, _)| *of == stream) {
        *number += 1;
        return *number == MAX_INTERIM + 2;
    }
    if interim.len() >= MOST_ANSWERED {
        interim.remove(0);
    }
    interim.push((stream, 1));
    false
}

fn forget(answered: &mut Vec<u32>, stream: u32) {
    if let Some(index) = answered.iter().position(|of| *of == stream) {
        answered.swap_remove(index);
    }
}

/// The frames of a block that was written anew.
fn written(head: Frame, block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len() + FRAME_HEAD);
    let mut parts = block.chunks(MOST_PAYLOAD).peekable();
    let mut frame = Frame { flags: head.flags & END_STREAM, ..head };
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            frame.flags |= END_HEADERS;
        }
        frame.write(part, &mut out);
        frame = Frame { kind: CONTINUATION, flags: 0, ..frame };
    }
    out
}

/// The stream.
#[derive(Debug)]
pub struct Screened<S> {
    stream: S,
    screen: Screen,
    /// What has come and is not there whole.
    held: Vec<u8>,
    /// What waits to be handed on, from an index on.
    out: Vec<u8>,
    handed: usize,
}

impl<S> Screened<S> {
    /// What a target sends.
    #[must_use]
    pub fn of_target(stream: S) -> Self {
        Self { stream, screen: Screen::default(), held: Vec::new(), out: Vec::new(), handed: 0 }
    }

    /// Looks through `bytes`, which come next. Gives back how many of them can be handed on as they are; the rest is
    /// put away.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut sound = 0;
        loop {
            let rest = bytes.part(sound..);
            if rest.is_empty() || self.screen.is_over {
                return bytes.len();
            }
            match self.screen.front(rest) {
                Front::Sound(length) => sound += length,
                Front::Part => {
                    self.held.extend_from_slice(rest);
                    return sound;
                }
                Front::Fatal => self.screen.is_over = true,
                Front::Instead(length, instead) => {
                    self.out.extend(instead);
                    self.digest(rest.part(length..));
                    return sound;
                }
            }
        }
    }

    /// The same for bytes that go behind what waits already.
    fn digest(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let front = if self.screen.is_over { Front::Fatal } else { self.screen.front(bytes) };
            let length = match front {
                Front::Sound(length) => {
                    self.out.extend_from_slice(bytes.part(..length));
                    length
                }
                Front::Instead(length, instead) => {
                    self.out.extend(instead);
                    length
                }
                Front::Part => return self.held.extend_from_slice(bytes),
                Front::Fatal => {
                    self.screen.is_over = true;
                    return self.out.extend_from_slice(bytes);
                }
            };
            bytes = bytes.part(length..);
        }
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let waiting = self.out.part(self.handed..);
        let length = waiting.len().min(buf.remaining());
        buf.put_slice(waiting.part(..length));
        self.handed += length;
        if self.handed == self.out.len() {
            (self.out, self.handed) = (Vec::new(), 0);
        }
    }
}

impl<S: AsyncRead + Unpin> Screened<S> {
    /// Reads more of what is not there whole.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        let mut bytes = std::mem::take(&mut self.held);
        if piece.filled().is_empty() {
            // It never will be: whoever reads sees that it is not whole.
            self.out.extend(bytes);
            self.screen.is_over = true;
        } else {
            bytes.extend_from_slice(piece.filled());
            self.digest(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Screened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.out.is_empty() {
                this.hand_on(buf);
                return Poll::Ready(Ok(()));
            }
            if !this.held.is_empty() {
                ready!(this.poll_held(cx))?;
                continue;
            }
            let start = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let came = buf.filled().part(start..);
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let sound = this.pass(came);
            buf.set_filled(start + sound);
            if sound > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Screened<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
