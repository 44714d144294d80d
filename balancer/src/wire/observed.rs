//! One direction of a tunnel whose frames are followed as they pass, and a last one that is put behind them. What goes through
//! a pipe is not seen, and then it is not known any more where frames end. Must not know: what frames are for.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use super::{
    body::{BodyError, Sink, Source, Trailers, Untaken},
    splice::Pipe,
    websocket::Frames,
};
use crate::internal_errors::Part as _;

/// A source whose bytes are followed.
#[derive(Debug)]
pub struct Observed<'a, S> {
    /// The source.
    pub source: &'a mut S,
    /// How far it is.
    pub frames: &'a mut Frames,
}

impl<S: Source> Source for Observed<'_, S> {
    type Error = S::Error;

    fn is_read(&self) -> bool {
        self.source.is_read()
    }

    fn has_begun(&self) -> bool {
        self.source.has_begun()
    }

    fn restart(&mut self) {
        self.source.restart();
    }

    fn has_input(&self) -> bool {
        self.source.has_input()
    }

    fn content(&self) -> usize {
        self.source.content()
    }

    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<S::Error>> {
        self.source.give(room, sink)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<S::Error>>> {
        let mut seen = PipeTracker { sink, piped: false };
        let read = self.source.poll_read(cx, &mut seen);
        if seen.piped && read.is_ready() {
            self.frames.lose();
        }
        read
    }

    fn rest(&mut self) {
        self.source.rest();
    }

    fn given(&self) -> &[u8] {
        self.source.given()
    }

    fn consume(&mut self, length: usize) {
        self.frames.pass(self.source.given().part(..length));
        self.source.consume(length);
    }

    fn is_held_up(&self) -> bool {
        self.source.is_held_up()
    }

    fn switch(&mut self) {
        self.source.switch();
    }
}

/// A sink that is seen to be asked for its pipe.
struct PipeTracker<'a, K> {
    sink: &'a mut K,
    piped: bool,
}

impl<K: Sink> Sink for PipeTracker<'_, K> {
    fn is_chunked(&self) -> bool {
        self.sink.is_chunked()
    }

    fn is_ready(&self) -> bool {
        self.sink.is_ready()
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>> {
        self.sink.poll_room(cx, wanted)
    }

    fn poll_space(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_space(cx)
    }

    fn room_now(&self) -> usize {
        self.sink.room_now()
    }

    fn room_ahead(&self) -> usize {
        self.sink.room_ahead()
    }

    fn begin(&mut self, length: usize, last: bool) {
        self.sink.begin(length, last);
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>> {
        self.sink.poll_take(cx, source)
    }

    fn end(&mut self, trailers: Trailers<'_>, is_framed: bool) -> Result<(), Untaken> {
        self.sink.end(trailers, is_framed)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        self.sink.poll_flush(cx)
    }

    fn is_clear(&self) -> bool {
        self.sink.is_clear()
    }

    fn progress(&self) -> u64 {
        self.sink.progress()
    }

    fn pipe(&mut self) -> Option<&mut Option<Pipe>> {
        self.piped = true;
        self.sink.pipe()
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_shutdown(cx)
    }
}

/// These bytes, and nothing after them.
#[derive(Debug)]
pub struct Last {
    bytes: Vec<u8>,
    given: bool,
}

impl Last {
    /// All of `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, given: false }
    }
}

impl Source for Last {
    type Error = Infallible;

    fn is_read(&self) -> bool {
        self.given && self.bytes.is_empty()
    }

    fn has_begun(&self) -> bool {
        self.given
    }

    fn has_input(&self) -> bool {
        !self.given
    }

    fn content(&self) -> usize {
        if self.given { 0 } else { self.bytes.len() }
    }

    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<Infallible>> {
        if self.given || room < self.bytes.len() {
            return Ok(false);
        }
        sink.begin(self.bytes.len(), false);
        self.given = true;
        Ok(true)
    }

    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        _: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<Infallible>>> {
        // There is nothing more: a sink without the room for it does not get it.
        Poll::Ready(Err(BodyError::Truncated))
    }

    fn given(&self) -> &[u8] {
        if self.given { &self.bytes } else { &[] }
    }

    fn consume(&mut self, length: usize) {
        self.bytes.drain(..length.min(self.bytes.len()));
    }

    fn is_held_up(&self) -> bool {
        self.given && !self.bytes.is_empty()
    }

    fn switch(&mut self) {}
}
