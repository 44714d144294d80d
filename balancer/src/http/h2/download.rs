//! The body of an HTTP/1.1 response on its way to an HTTP/2 client. The target is read from only while the
//! client has window for what comes, so that a client that stops reading costs one buffer.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use tokio::io::AsyncRead;

use super::head;
use crate::{
    http::failure,
    telemetry::counters::{Cause, Fault},
    wire::{
        buffer::{BUFFER_SIZE, Buffer},
        chunked::{ChunkedScanner, Scan},
        head::{Framing, HeadScanner, trailers},
        pump::trailer_section,
    },
};

/// Why a body could not be moved.
#[derive(Debug)]
pub(super) enum DownloadError {
    /// The target broke off or sent what is no body.
    Target(Fault),
    /// The client reset the stream or is gone.
    Client,
}

#[derive(Debug)]
enum Mode {
    Done,
    Length(u64),
    Chunked(ChunkedScanner),
    Trailers(HeadScanner),
    UntilClose,
}

/// A body.
#[derive(Debug)]
pub(super) struct Download {
    mode: Mode,
    moved: u64,
}

impl Download {
    pub(super) fn new(framing: Framing) -> Self {
        let mode = match framing {
            Framing::Empty => Mode::Done,
            Framing::Length(n) => Mode::Length(n),
            Framing::Chunked => Mode::Chunked(ChunkedScanner::default()),
            Framing::UntilClose => Mode::UntilClose,
        };
        Self { mode, moved: 0 }
    }

    /// Bytes handed on; grows whenever there is progress.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Moves on as far as both sides allow; ready when the end is handed on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        buffer: &mut Buffer,
        sink: &mut SendStream<Bytes>,
    ) -> Poll<Result<(), DownloadError>> {
        loop {
            if matches!(self.mode, Mode::Done) {
                return Poll::Ready(Ok(()));
            }
            if !buffer.is_empty() && ready!(self.poll_digest(cx, buffer, sink))? {
                continue;
            }
            match ready!(buffer.poll_fill(cx, source, BUFFER_SIZE)) {
                Ok(0) => self.end_of_source(sink)?,
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(DownloadError::Target(failure::of_source(&error)))),
            }
        }
    }

    /// Handles the front of the buffer. False: more input is needed.
    fn poll_digest(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        sink: &mut SendStream<Bytes>,
    ) -> Poll<Result<bool, DownloadError>> {
        let available = buffer.len();
        match &mut self.mode {
            Mode::Done => Poll::Ready(Ok(false)),
            Mode::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
                let length = ready!(poll_window(cx, most, sink))?;
                let last = length as u64 == *left;
                *left -= length as u64;
                self.hand_on(length, last, buffer, sink)?;
                Poll::Ready(Ok(true))
            }
            Mode::UntilClose => {
                let length = ready!(poll_window(cx, available, sink))?;
                self.hand_on(length, false, buffer, sink)?;
                Poll::Ready(Ok(true))
            }
            Mode::Chunked(scanner) => {
                // The scanner moves past the content it is shown: no more than there is window for. What
                // frames it needs no window, nor does the end of the body.
                let window =
                    if scanner.is_in_data() { ready!(poll_window(cx, available, sink))? } else { available };
                let shown = buffer.bytes().get(..window).unwrap_or_default();
                match scanner.scan(shown).map_err(|_| invalid())? {
                    Scan::Framing(n) => buffer.consume(n),
                    Scan::Data(n) => self.hand_on(n, false, buffer, sink)?,
                    Scan::Trailers => self.mode = Mode::Trailers(HeadScanner::default()),
                }
                Poll::Ready(Ok(true))
            }
            Mode::Trailers(_) => Poll::Ready(self.digest_trailers(buffer, sink)),
        }
    }

    fn hand_on(
        &mut self,
        length: usize,
        last: bool,
        buffer: &mut Buffer,
        sink: &mut SendStream<Bytes>,
    ) -> Result<(), DownloadError> {
        let data = Bytes::copy_from_slice(buffer.bytes().get(..length).unwrap_or_default());
        buffer.consume(length);
        self.moved += length as u64;
        if last {
            self.mode = Mode::Done;
        }
        sink.send_data(data, last).map_err(|_| DownloadError::Client)
    }

    fn digest_trailers(
        &mut self,
        buffer: &mut Buffer,
        sink: &mut SendStream<Bytes>,
    ) -> Result<bool, DownloadError> {
        let Mode::Trailers(scanner) = &mut self.mode else { return Ok(false) };
        let bytes = buffer.bytes();
        let length = trailer_section(scanner, bytes).map_err(|_| invalid())?;
        let Some(length) = length else { return Ok(false) };
        let section = bytes.get(..length).unwrap_or_default();
        let fields = trailers(section).map_err(|_| invalid())?;
        let map = head::map(fields.into_iter()).ok_or_else(invalid)?;
        buffer.consume(length);
        self.mode = Mode::Done;
        self.moved += length as u64;
        let sent = if map.is_empty() { sink.send_data(Bytes::new(), true) } else { sink.send_trailers(map) };
        sent.map(|()| true).map_err(|_| DownloadError::Client)
    }

    fn end_of_source(&mut self, sink: &mut SendStream<Bytes>) -> Result<(), DownloadError> {
        if !matches!(self.mode, Mode::UntilClose) {
            return Err(DownloadError::Target(Cause::TargetClosedInBody.into()));
        }
        self.mode = Mode::Done;
        sink.send_data(Bytes::new(), true).map_err(|_| DownloadError::Client)
    }
}

#[cold]
fn invalid() -> DownloadError {
    DownloadError::Target(Cause::TargetBodyInvalid.into())
}

/// How much of `wanted` bytes (not 0) the client has window for: at least one.
pub(super) fn poll_window(
    cx: &mut Context<'_>,
    wanted: usize,
    sink: &mut SendStream<Bytes>,
) -> Poll<Result<usize, DownloadError>> {
    sink.reserve_capacity(wanted);
    loop {
        match sink.capacity().min(wanted) {
            0 => match ready!(sink.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                _ => return Poll::Ready(Err(DownloadError::Client)),
            },
            window => return Poll::Ready(Ok(window)),
        }
    }
}
