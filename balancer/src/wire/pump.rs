//! Moves one message body (or one direction of a tunnel) from a source to a sink. It reads only when
//! what it read before is written, so a sink that stops taking costs one buffer. The head that goes
//! before the body is written together with the body's first bytes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    buffer::{BUFFER_SIZE, Buffer},
    chunked::{ChunkedScanner, Scan},
    fields::line,
    head::{Framing, HeadError, HeadScanner, Response, has_whole_line_ends, trailers},
    trailers::TrailerFilter,
};

/// Longest head and body that are written in one piece, in bytes.
const JOINED: usize = 4096;

/// Why a body could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    /// Reading failed.
    #[error("reading failed: {0}")]
    Source(io::Error),
    /// The source ended before the body did.
    #[error("the body was cut short")]
    Truncated,
    /// The body violates its coding.
    #[error("malformed body")]
    Malformed,
    /// Writing failed.
    #[error("writing failed: {0}")]
    Sink(io::Error),
}

/// How the body is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Framed as it came.
    AsIs,
    /// Without its chunked coding: for receivers that know none (HTTP/1.0).
    Unwrapped,
    /// Put into chunked coding: the source ends it by closing, the receiver's connection stays.
    Chunked,
}

#[derive(Debug)]
enum Mode {
    Done,
    Length(u64),
    Chunked(ChunkedScanner),
    Trailers(HeadScanner),
    UntilClose,
}

/// One body on its way.
#[derive(Debug)]
pub struct Pump {
    mode: Mode,
    delivery: Delivery,
    filter: Option<Arc<TrailerFilter>>,
    out: Vec<u8>,
    out_written: usize,
    verbatim: usize,
    tail: &'static [u8],
    moved: u64,
    done: bool,
}

impl Pump {
    /// A pump that writes `head` and then a body framed as `framing`.
    #[must_use]
    pub fn new(head: Vec<u8>, framing: Framing, delivery: Delivery) -> Self {
        let mode = match framing {
            Framing::Empty => Mode::Done,
            Framing::Length(n) => Mode::Length(n),
            Framing::Chunked => Mode::Chunked(ChunkedScanner::default()),
            Framing::UntilClose => Mode::UntilClose,
        };
        Self {
            mode,
            delivery,
            filter: None,
            out: head,
            out_written: 0,
            verbatim: 0,
            tail: b"",
            moved: 0,
            done: false,
        }
    }

    /// With trailers of a client, which may not say everything. Bodies that have none do without.
    #[must_use]
    pub fn filtered(mut self, filter: &Arc<TrailerFilter>) -> Self {
        if matches!(self.mode, Mode::Chunked(_)) {
            self.filter = Some(Arc::clone(filter));
        }
        self
    }

    /// Whether everything is written, and nothing of it waits in the sink: until then [`Self::poll`] has to go on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the body was taken from its source to the end.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.mode, Mode::Done)
    }

    /// Whether the sink is what is waited for: it has not taken what was read already.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        !self.is_flushed()
    }

    /// Bytes written so far; grows whenever there is progress.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Gives the head's memory back: the head itself when there is no body.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.out
    }

    fn is_flushed(&self) -> bool {
        self.out_written == self.out.len() && self.verbatim == 0 && self.tail.is_empty()
    }

    /// Moves on as far as source and sink allow; ready when all is written.
    ///
    /// # Errors
    /// See [`PumpError`]; the pump is of no further use.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        buffer: &mut Buffer,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), PumpError>> {
        loop {
            // Before anything is written, so that the head and what is there of the body go out together.
            let looked = self.wants_input() && !buffer.is_empty();
            let digested = looked && self.digest(buffer)?;
            ready!(self.poll_flush(cx, buffer, sink))?;
            if matches!(self.mode, Mode::Done) {
                // A sink inside TLS may hold what it took; others have nothing to flush.
                ready!(Pin::new(&mut *sink).poll_flush(cx)).map_err(PumpError::Sink)?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            // A write that had to wait may have left something behind it in the buffer, and nothing more may come.
            if digested || (!looked && !buffer.is_empty()) {
                continue;
            }
            if let Poll::Ready(Err(error)) = Pin::new(&mut *sink).poll_flush(cx) {
                return Poll::Ready(Err(PumpError::Sink(error)));
            }
            match ready!(buffer.poll_fill(cx, source, BUFFER_SIZE)).map_err(PumpError::Source)? {
                0 => self.end_of_source()?,
                _ => continue,
            }
        }
    }

    /// Whether nothing of the body waits to be written.
    fn wants_input(&self) -> bool {
        self.verbatim == 0 && self.tail.is_empty() && !matches!(self.mode, Mode::Done)
    }

    /// Puts what little there is of a body behind its head: copying it costs less than writing two pieces.
    fn join_small(&mut self, buffer: &mut Buffer) {
        let body = buffer.bytes().get(..self.verbatim).unwrap_or_default();
        let length = body.len() + self.tail.len();
        if length > 0 && self.out_written < self.out.len() && self.out.len() + length <= JOINED {
            self.out.extend_from_slice(body);
            self.out.extend_from_slice(std::mem::take(&mut self.tail));
            buffer.consume(std::mem::take(&mut self.verbatim));
        }
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), PumpError>> {
        self.join_small(buffer);
        while !self.is_flushed() {
            let out = self.out.get(self.out_written..).unwrap_or_default();
            let body = buffer.bytes().get(..self.verbatim).unwrap_or_default();
            let written = ready!(poll_write(cx, sink, [out, body, self.tail])).map_err(PumpError::Sink)?;
            let (out, body) = (out.len(), body.len());
            if written == 0 {
                return Poll::Ready(Err(PumpError::Sink(io::ErrorKind::WriteZero.into())));
            }
            self.moved += written as u64;
            let of_out = written.min(out);
            let of_body = (written - of_out).min(body);
            self.out_written += of_out;
            buffer.consume(of_body);
            self.verbatim -= of_body;
            self.tail = self.tail.get(written - of_out - of_body..).unwrap_or_default();
        }
        // The head of a message without a body is kept: the message can be sent again.
        if !matches!(self.mode, Mode::Done) {
            self.out.clear();
            self.out_written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Decides what of the buffer's front may be written. False: more input is needed.
    fn digest(&mut self, buffer: &mut Buffer) -> Result<bool, PumpError> {
        let available = buffer.len();
        match &mut self.mode {
            Mode::Done => Ok(false),
            Mode::Length(left) => {
                self.verbatim = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
                *left -= self.verbatim as u64;
                if *left == 0 {
                    self.mode = Mode::Done;
                }
                Ok(true)
            }
            Mode::UntilClose => {
                self.verbatim = available;
                if self.delivery == Delivery::Chunked {
                    self.out.extend_from_slice(format!("{available:x}\r\n").as_bytes());
                    self.tail = b"\r\n";
                }
                Ok(true)
            }
            Mode::Chunked(_) => self.digest_chunks(buffer),
            Mode::Trailers(_) => self.digest_trailers(buffer),
        }
    }

    fn digest_chunks(&mut self, buffer: &mut Buffer) -> Result<bool, PumpError> {
        let Mode::Chunked(scanner) = &mut self.mode else { return Ok(false) };
        if self.delivery == Delivery::Unwrapped {
            match scanner.scan(buffer.bytes()).map_err(|_| PumpError::Malformed)? {
                Scan::Framing(n) => buffer.consume(n),
                Scan::Data(n) => self.verbatim = n,
                Scan::Trailers => self.mode = Mode::Trailers(HeadScanner::default()),
            }
            return Ok(!buffer.is_empty());
        }
        while let Some(rest) = buffer.bytes().get(self.verbatim..).filter(|rest| !rest.is_empty()) {
            match scanner.scan(rest).map_err(|_| PumpError::Malformed)? {
                Scan::Framing(n) | Scan::Data(n) => self.verbatim += n,
                Scan::Trailers => {
                    self.mode = Mode::Trailers(HeadScanner::default());
                    break;
                }
            }
        }
        Ok(true)
    }

    fn digest_trailers(&mut self, buffer: &mut Buffer) -> Result<bool, PumpError> {
        let Mode::Trailers(scanner) = &mut self.mode else { return Ok(false) };
        let bytes = buffer.bytes();
        let length = trailer_section(scanner, bytes).map_err(|_| PumpError::Malformed)?;
        let Some(length) = length else { return Ok(false) };
        if self.delivery == Delivery::AsIs {
            let section = bytes.get(..length).unwrap_or_default();
            for field in trailers(section).map_err(|_| PumpError::Malformed)? {
                if self.filter.as_ref().is_none_or(|filter| filter.keeps(field.name)) {
                    line(&mut self.out, field.name, field.value);
                }
            }
            self.out.extend_from_slice(b"\r\n");
        }
        buffer.consume(length);
        self.mode = Mode::Done;
        Ok(true)
    }

    fn end_of_source(&mut self) -> Result<(), PumpError> {
        if !matches!(self.mode, Mode::UntilClose) {
            return Err(PumpError::Truncated);
        }
        if self.delivery == Delivery::Chunked {
            self.out.extend_from_slice(b"0\r\n\r\n");
        }
        self.mode = Mode::Done;
        Ok(())
    }
}

/// Writes the pieces, as many as are taken at once. What is in one piece needs no list of pieces, which is quicker.
pub fn poll_write(
    cx: &mut Context<'_>,
    sink: &mut (impl AsyncWrite + Unpin),
    pieces: [&[u8]; 3],
) -> Poll<io::Result<usize>> {
    match pieces {
        [one, [], []] | [[], one, []] | [[], [], one] => Pin::new(sink).poll_write(cx, one),
        pieces => Pin::new(sink).poll_write_vectored(cx, &pieces.map(IoSlice::new)),
    }
}

/// Length of the trailer section at the front of `bytes` (RFC 9112, section 7.1.2); nothing while it is not whole.
///
/// # Errors
/// It is malformed, or does not fit into a buffer.
pub fn trailer_section(scanner: &mut HeadScanner, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    let length = if bytes.starts_with(b"\r\n") {
        Some(2)
    } else if bytes == b"\r" {
        None
    } else {
        scanner.find_end(bytes)?
    };
    if length.is_none() && bytes.len() >= BUFFER_SIZE { Err(HeadError::TooLarge) } else { Ok(length) }
}

/// Whether a line of what `bytes` have of the chunked body of `response`, whose head they begin with, ends in a bare LF,
/// as a line of the head must not either. As long as nothing has gone on, there is still another answer.
#[must_use]
pub fn has_bare_line_end(response: &Response<'_>, bytes: &[u8]) -> bool {
    if response.framing != Framing::Chunked {
        return false;
    }
    let mut scanner = ChunkedScanner::default();
    let mut rest = bytes.get(response.length..).unwrap_or_default();
    while !rest.is_empty() {
        let mut before = scanner;
        let passed = match scanner.scan(rest) {
            Ok(Scan::Framing(n) | Scan::Data(n)) => n,
            Ok(Scan::Trailers) => return !has_whole_line_ends(rest),
            Err(_) => {
                let wrong = rest.iter().find(|byte| before.scan(std::slice::from_ref(byte)).is_err());
                return wrong == Some(&b'\n');
            }
        };
        rest = rest.get(passed..).unwrap_or_default();
    }
    false
}

/// Whether `bytes` can be the beginning of a body in chunked coding, or all of it.
#[must_use]
pub fn can_begin_chunked(bytes: &[u8]) -> bool {
    let mut scanner = ChunkedScanner::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let passed = match scanner.scan(rest) {
            Ok(Scan::Framing(n) | Scan::Data(n)) => n,
            Ok(Scan::Trailers) => {
                let length = trailer_section(&mut HeadScanner::default(), rest);
                let section = length.map(|length| length.and_then(|length| rest.get(..length)));
                return section.is_ok_and(|section| section.is_none_or(|section| trailers(section).is_ok()));
            }
            Err(_) => return false,
        };
        rest = rest.get(passed..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests;
