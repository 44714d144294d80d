//! One connection that speaks HTTP/1.1, whichever side of it: a message comes in and one goes out. The head that goes before
//! a body is written together with the body's first bytes. Must not know: what heads say.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    body::{BodyError, Sink, Source, Trailers, Untaken},
    buffer::{BUFFER_SIZE, Buffer},
    chunked::{ChunkedScanner, Scan},
    chunked_body::trailer_section,
    fields::line,
    head::{Framing, HeadScanner, trailers},
    splice::{Bare, Pipe},
    trailers::TrailerFilter,
};
use crate::internal_errors::Part as _;

/// Longest head and body that are written in one piece, in bytes.
const JOINED: usize = 4096;

/// How much of a body of known length has to be left for a pipe to pay, in bytes.
const LEAST_LEFT: u64 = 64 * 1024;

/// What comes at once when a pipe pays no more, in bytes.
const LITTLE: usize = 4096;

/// What is read at least where the other side has less room, or none: who does not read costs no more than that.
pub const LEAST_READ: usize = 1024;

/// What is read next of a body.
#[derive(Debug)]
enum Mode {
    Over,
    Length(u64),
    Chunked(ChunkedScanner),
    Trailers(HeadScanner),
    UntilClose,
}

/// The body that comes in.
#[derive(Debug)]
struct Incoming {
    mode: Mode,
    filter: Option<Arc<TrailerFilter>>,
    given: usize,
    taken: u64,
    /// Whether so much comes at a time that a pipe pays.
    is_bulk: bool,
}

/// The message that goes out.
#[derive(Debug, Default)]
struct Outgoing {
    /// The head, and what frames content.
    framing: Vec<u8>,
    written: usize,
    /// What goes behind the content that is given out.
    tail: &'static [u8],
    chunked: bool,
    moved: u64,
    /// What goes out next.
    pipe: Option<Pipe>,
}

impl Outgoing {
    fn is_clear(&self) -> bool {
        self.written == self.framing.len() && self.tail.is_empty() && self.pipe.is_none()
    }
}

/// A connection.
#[derive(Debug)]
pub struct Http1<S> {
    /// Its byte stream.
    pub stream: S,
    /// What was read and belongs to no body yet.
    pub buffer: Buffer,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<S> Http1<S> {
    /// One on which no message is under way; `buffer` is what was read of `stream`.
    #[must_use]
    pub fn new(stream: S, buffer: Buffer) -> Self {
        let incoming = Incoming { mode: Mode::Over, filter: None, given: 0, taken: 0, is_bulk: false };
        Self { stream, buffer, incoming, outgoing: Outgoing::default() }
    }

    /// A request comes in, whose body is framed as `framing`: nothing goes out yet.
    pub fn start(&mut self, framing: Framing, filter: &Arc<TrailerFilter>) {
        self.expect(framing, Some(filter));
        let memory = self.take_memory();
        self.begin(memory, false);
        self.outgoing.framing.clear();
    }

    /// A body framed as `framing` comes in. Of its trailers those go on that keep to `filter`.
    pub fn expect(&mut self, framing: Framing, filter: Option<&Arc<TrailerFilter>>) {
        let mode = match framing {
            Framing::Empty => Mode::Over,
            Framing::Length(n) => Mode::Length(n),
            Framing::Chunked => Mode::Chunked(ChunkedScanner::default()),
            Framing::UntilClose => Mode::UntilClose,
        };
        let filter = filter.filter(|_| framing == Framing::Chunked).map(Arc::clone);
        self.incoming = Incoming { mode, filter, given: 0, taken: 0, is_bulk: false };
    }

    /// A message goes out: `head`, and then a body, `chunked` or as it comes.
    pub fn begin(&mut self, head: Vec<u8>, chunked: bool) {
        self.outgoing = Outgoing { framing: head, chunked, ..Outgoing::default() };
    }

    /// The memory of the head that went out: the head itself when the body that came in has not begun to be given out.
    pub fn take_memory(&mut self) -> Vec<u8> {
        self.outgoing.written = 0;
        std::mem::take(&mut self.outgoing.framing)
    }

    /// Bytes that were taken of the body that comes in, with what frames it.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.incoming.taken
    }

    /// Whether more than `most` bytes of the body that comes in are still to come, as far as that is known.
    #[must_use]
    pub fn lacks_more_than(&self, most: usize) -> bool {
        matches!(self.incoming.mode, Mode::Length(left) if left > most as u64)
    }

    /// Bytes written of the message that goes out.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.outgoing.moved
    }

    fn consume_input(&mut self, length: usize) {
        self.buffer.consume(length);
        self.incoming.taken += length as u64;
    }
}

impl<S: AsyncRead + Unpin> Http1<S> {
    /// Content of chunks, or chunks as they are.
    fn give_chunks(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<io::Error>> {
        let Mode::Chunked(scanner) = &mut self.incoming.mode else { return Ok(false) };
        let given = &mut self.incoming.given;
        let bytes = self.buffer.bytes();
        if sink.is_chunked() {
            while let Some(rest) = bytes.get(*given..).filter(|rest| !rest.is_empty()) {
                match scanner.scan(rest).map_err(|_| BodyError::Malformed)? {
                    Scan::Framing(n) | Scan::Data(n) => *given += n,
                    Scan::Trailers => {
                        self.incoming.mode = Mode::Trailers(HeadScanner::default());
                        break;
                    }
                }
            }
            return Ok(true);
        }
        // The scanner moves past the content it is shown: no more than there is room for. What frames it needs none.
        let shown = if scanner.is_in_data() { room } else { bytes.len() };
        match scanner.scan(bytes.part(..shown)).map_err(|_| BodyError::Malformed)? {
            Scan::Framing(n) => self.consume_input(n),
            Scan::Data(n) => {
                *given = n;
                sink.begin(n, false);
            }
            Scan::Trailers => self.incoming.mode = Mode::Trailers(HeadScanner::default()),
        }
        Ok(true)
    }

    fn give_trailers(&mut self, sink: &mut impl Sink) -> Result<bool, BodyError<io::Error>> {
        let Mode::Trailers(scanner) = &mut self.incoming.mode else { return Ok(false) };
        let bytes = self.buffer.bytes();
        let length = trailer_section(scanner, bytes).map_err(|_| BodyError::Malformed)?;
        let Some(length) = length else { return Ok(false) };
        let section = bytes.part(..length);
        let mut fields = trailers(section).map_err(|_| BodyError::Malformed)?;
        if let Some(filter) = &self.incoming.filter {
            fields.retain(|field| filter.keeps(field.name));
        }
        sink.end(Trailers::Fields(&fields), sink.is_chunked())?;
        drop(fields);
        self.consume_input(length);
        self.incoming.mode = Mode::Over;
        Ok(true)
    }
}

impl<S: AsyncRead + Bare + Unpin> Http1<S> {
    /// Has what comes next go into a pipe. Nothing: it has to be read.
    fn poll_fill_pipe(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Option<Poll<Result<usize, BodyError<io::Error>>>> {
        let most = match self.incoming.mode {
            Mode::Length(left) if left >= LEAST_LEFT => left,
            Mode::UntilClose => u64::MAX,
            _ => return None,
        };
        let socket = self.stream.bare().filter(|_| self.buffer.is_empty())?;
        let (place, mut pipe) = (sink.pipe()?, Pipe::get()?);
        let Poll::Ready(filled) = pipe.poll_fill(cx, socket, most) else {
            pipe.put_back();
            return Some(Poll::Pending);
        };
        self.stream.has_given(&filled);
        Some(Poll::Ready(match filled {
            Ok(0) => {
                pipe.put_back();
                Ok(0)
            }
            Ok(filled) => {
                *place = Some(pipe);
                self.incoming.taken += filled as u64;
                self.incoming.is_bulk = filled >= LITTLE;
                if let Mode::Length(left) = &mut self.incoming.mode {
                    *left = left.saturating_sub(filled as u64);
                    if *left == 0 {
                        self.incoming.mode = Mode::Over;
                    }
                }
                Ok(filled)
            }
            Err(error) => Err(BodyError::Source(error)),
        }))
    }
}

impl<S: AsyncRead + Bare + Unpin> Source for Http1<S> {
    type Error = io::Error;

    #[inline]
    fn is_read(&self) -> bool {
        matches!(self.incoming.mode, Mode::Over)
    }

    fn has_begun(&self) -> bool {
        self.incoming.taken > 0 || self.incoming.given > 0
    }

    #[inline]
    fn has_input(&self) -> bool {
        !self.buffer.is_empty()
    }

    #[inline]
    fn content(&self) -> usize {
        let available = self.buffer.len();
        match &self.incoming.mode {
            Mode::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX).min(available),
            Mode::UntilClose => available,
            Mode::Chunked(scanner) if scanner.is_in_data() => available,
            Mode::Over | Mode::Chunked(_) | Mode::Trailers(_) => 0,
        }
    }

    #[inline]
    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<io::Error>> {
        match &mut self.incoming.mode {
            Mode::Over => Ok(false),
            Mode::Length(left) => {
                *left = left.saturating_sub(room as u64);
                let last = *left == 0;
                if last {
                    self.incoming.mode = Mode::Over;
                }
                self.incoming.given = room;
                sink.begin(room, last);
                Ok(true)
            }
            Mode::UntilClose => {
                self.incoming.given = room;
                sink.begin(room, false);
                Ok(true)
            }
            Mode::Chunked(_) => self.give_chunks(room, sink),
            Mode::Trailers(_) => self.give_trailers(sink),
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<io::Error>>> {
        let read = match self.incoming.is_bulk.then(|| self.poll_fill_pipe(cx, sink)).flatten() {
            Some(filled) => ready!(filled),
            None => {
                ready!(sink.poll_space(cx));
                let most = sink.room_now().max(LEAST_READ);
                let read = ready!(self.buffer.poll_fill_part(cx, &mut self.stream, BUFFER_SIZE, most));
                self.incoming.is_bulk = self.buffer.len() == BUFFER_SIZE;
                read.map_err(BodyError::Source)
            }
        };
        match read {
            Ok(1..) => Poll::Ready(Ok(())),
            Ok(0) if matches!(self.incoming.mode, Mode::UntilClose) => {
                self.incoming.mode = Mode::Over;
                Poll::Ready(sink.end(Trailers::None, false).map_err(BodyError::from))
            }
            Ok(0) => Poll::Ready(Err(BodyError::Truncated)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn rest(&mut self) {
        self.buffer.let_go();
    }

    #[inline]
    fn given(&self) -> &[u8] {
        self.buffer.bytes().part(..self.incoming.given)
    }

    #[inline]
    fn consume(&mut self, length: usize) {
        self.incoming.given -= length;
        self.consume_input(length);
    }

    fn is_held_up(&self) -> bool {
        self.incoming.given > 0
    }

    fn switch(&mut self) {
        self.expect(Framing::UntilClose, None);
        self.outgoing.chunked = false;
    }
}

impl<S: AsyncWrite + Bare + Unpin> Http1<S> {
    /// Ready when nothing is in the pipe.
    fn poll_empty_pipe(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        while let Some(pipe) = self.outgoing.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            let Some(socket) = self.stream.bare() else { return Poll::Ready(Err(Untaken::Closed)) };
            let emptied = ready!(pipe.poll_empty(cx, socket));
            self.stream.has_taken(&emptied);
            match emptied {
                Ok(emptied @ 1..) => self.outgoing.moved += emptied as u64,
                Ok(0) | Err(_) => return Poll::Ready(Err(Untaken::Closed)),
            }
        }
        if let Some(pipe) = self.outgoing.pipe.take() {
            pipe.put_back();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Bare + Unpin> Sink for Http1<S> {
    #[inline]
    fn is_chunked(&self) -> bool {
        self.outgoing.chunked
    }

    #[inline]
    fn is_ready(&self) -> bool {
        self.outgoing.tail.is_empty()
    }

    #[inline]
    fn poll_room(&mut self, _: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>> {
        Poll::Ready(Ok(wanted))
    }

    #[inline]
    fn begin(&mut self, length: usize, last: bool) {
        let Outgoing { framing, tail, chunked, .. } = &mut self.outgoing;
        if *chunked {
            framing.extend_from_slice(format!("{length:x}\r\n").as_bytes());
            *tail = if last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
        }
    }

    #[inline]
    fn poll_take(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>> {
        if self.outgoing.pipe.is_some() {
            ready!(self.poll_empty_pipe(cx))?;
        }
        let Self { stream, outgoing, .. } = self;
        outgoing.join_small(source);
        while !(outgoing.is_clear() && source.given().is_empty()) {
            let framing = outgoing.framing.part(outgoing.written..);
            let body = source.given();
            let written = match ready!(poll_write(cx, stream, [framing, body, outgoing.tail])) {
                Ok(written @ 1..) => written,
                Ok(0) | Err(_) => return Poll::Ready(Err(Untaken::Closed)),
            };
            let of_framing = written.min(framing.len());
            let of_body = (written - of_framing).min(body.len());
            outgoing.moved += written as u64;
            outgoing.written += of_framing;
            source.consume(of_body);
            outgoing.tail = outgoing.tail.part(written - of_framing - of_body..);
        }
        // The head of a message without a body is kept: the message can be sent again.
        if !source.is_read() {
            outgoing.framing.clear();
            outgoing.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Trailers<'_>, is_framed: bool) -> Result<(), Untaken> {
        let Outgoing { framing, chunked, .. } = &mut self.outgoing;
        if *chunked {
            if !is_framed {
                framing.extend_from_slice(b"0\r\n");
            }
            match trailers {
                Trailers::None => {}
                Trailers::Fields(fields) => {
                    fields.iter().for_each(|field| line(framing, field.name, field.value));
                }
            }
            framing.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|_| Untaken::Closed)
    }

    fn is_clear(&self) -> bool {
        self.outgoing.is_clear()
    }

    #[inline]
    fn progress(&self) -> u64 {
        self.outgoing.moved
    }

    fn pipe(&mut self) -> Option<&mut Option<Pipe>> {
        let takes = !self.outgoing.chunked && self.outgoing.is_clear() && self.stream.bare().is_some();
        takes.then_some(&mut self.outgoing.pipe)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.stream).poll_shutdown(cx).map(|_| ())
    }
}

impl Outgoing {
    /// Puts what little there is of a body behind its head: copying it costs less than writing two pieces.
    #[inline]
    fn join_small(&mut self, source: &mut impl Source) {
        let body = source.given();
        let length = body.len() + self.tail.len();
        if length > 0 && self.written < self.framing.len() && self.framing.len() + length <= JOINED {
            self.framing.extend_from_slice(body);
            self.framing.extend_from_slice(std::mem::take(&mut self.tail));
            let length = body.len();
            source.consume(length);
        }
    }
}

/// Writes the pieces, as many as are taken at once. What is in one piece needs no list of pieces, which is quicker.
fn poll_write(
    cx: &mut Context<'_>,
    sink: &mut (impl AsyncWrite + Unpin),
    pieces: [&[u8]; 3],
) -> Poll<io::Result<usize>> {
    match pieces {
        [one, [], []] | [[], one, []] | [[], [], one] => Pin::new(sink).poll_write(cx, one),
        pieces => Pin::new(sink).poll_write_vectored(cx, &pieces.map(IoSlice::new)),
    }
}

#[cfg(test)]
mod tests;
