//! One stream of an HTTP/2 connection to a target: a body comes in and one goes out, as frames. Window is given back to the
//! sender as its bytes are taken. Must not know: what heads say.

use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::HeaderMap;

use super::head;
use crate::internal_errors::Part as _;
use crate::wire::{
    body::{BodyError, Sink, Source, Trailers, Untaken},
    trailers::may_travel,
};

/// A stream. What does not come or cannot go out yet is not there.
#[derive(Debug, Default)]
pub(super) struct Http2 {
    /// What comes in.
    pub(super) incoming: Option<RecvStream>,
    /// What goes out.
    pub(super) outgoing: Option<SendStream<Bytes>>,
    /// What was read, of which the first `given` bytes are given out.
    pending: Bytes,
    given: usize,
    read: bool,
    begun: bool,
    /// Why there is no more than what was read ahead.
    failed: Option<h2::Error>,
    /// Whether what is given out is the end of the body that goes out.
    last: bool,
    ended: bool,
    moved: u64,
}

impl Http2 {
    /// A body comes in, unless the head was all (`bodiless`).
    pub(super) fn expect(&mut self, incoming: RecvStream, bodiless: bool) {
        (self.incoming, self.read) = (Some(incoming), bodiless);
    }

    fn release(&mut self, length: usize) {
        if let Some(incoming) = &mut self.incoming {
            let _ = incoming.flow_control().release_capacity(length);
        }
    }
}

/// The same bytes where more can be put behind them; a copy, unless they were that before.
fn growing(bytes: &mut Bytes) -> BytesMut {
    std::mem::take(bytes).try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared))
}

impl Source for Http2 {
    type Error = h2::Error;

    fn is_read(&self) -> bool {
        self.read
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    fn has_input(&self) -> bool {
        self.given == 0 && !self.pending.is_empty()
    }

    fn content(&self) -> usize {
        self.pending.len()
    }

    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<h2::Error>> {
        self.given = room;
        self.read =
            room == self.pending.len() && self.incoming.as_ref().is_none_or(RecvStream::is_end_stream);
        sink.begin(room, self.read);
        Ok(true)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<h2::Error>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(BodyError::Source(error)));
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Pending };
        match ready!(incoming.poll_data(cx)) {
            Some(Ok(data)) => {
                self.pending = data;
            }
            Some(Err(error)) => return Poll::Ready(Err(BodyError::Source(error))),
            None => {
                let trailers = ready!(incoming.poll_trailers(cx)).map_err(BodyError::Source)?;
                self.read = true;
                let trailers = trailers.map_or(Trailers::None, |mut map| {
                    head::filter_trailers(&mut map, may_travel);
                    Trailers::Map(map)
                });
                sink.end(trailers, false)?;
            }
        }
        self.begun = true;
        Poll::Ready(Ok(()))
    }

    /// The engine keeps each frame for itself, and puts up with so many small ones on a connection: those of a stream whose
    /// sink stands still are put together here. What they hold is bounded by the window, which is not given back yet.
    fn read_ahead(&mut self, cx: &mut Context<'_>) {
        if self.pending.is_empty() || self.failed.is_some() {
            return;
        }
        let Some(incoming) = &mut self.incoming else { return };
        let mut ahead: Option<BytesMut> = None;
        loop {
            match incoming.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    let pending = &mut self.pending;
                    ahead.get_or_insert_with(|| growing(pending)).extend_from_slice(&data);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.failed = Some(error);
                    break;
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if let Some(ahead) = ahead {
            self.pending = ahead.freeze();
        }
    }

    fn given(&self) -> &[u8] {
        self.pending.part(..self.given)
    }

    fn consume(&mut self, length: usize) {
        self.pending.advance(length);
        self.given -= length;
        self.release(length);
    }

    fn take(&mut self) -> Bytes {
        let given = std::mem::take(&mut self.given);
        self.release(given);
        self.pending.split_to(given)
    }

    fn is_held_up(&self) -> bool {
        !self.pending.is_empty()
    }

    fn switch(&mut self) {
        self.read = false;
    }
}

impl Sink for Http2 {
    fn is_chunked(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>> {
        let Some(outgoing) = &mut self.outgoing else { return Poll::Ready(Err(Untaken::Closed)) };
        outgoing.reserve_capacity(wanted);
        loop {
            match outgoing.capacity().min(wanted) {
                0 => match ready!(outgoing.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    _ => return Poll::Ready(Err(Untaken::Closed)),
                },
                room => return Poll::Ready(Ok(room)),
            }
        }
    }

    fn begin(&mut self, _: usize, last: bool) {
        self.last = last;
    }

    fn poll_take(&mut self, _: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>> {
        if !source.given().is_empty() {
            let data = source.take();
            self.moved += data.len() as u64;
            let last = self.last;
            self.ended = last;
            self.send(|outgoing| outgoing.send_data(data, last))?;
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Trailers<'_>, _: bool) -> Result<(), Untaken> {
        let map = match trailers {
            Trailers::None => HeaderMap::new(),
            Trailers::Fields(fields) => head::map(fields.iter().copied()).ok_or(Untaken::Malformed)?,
            Trailers::Map(map) => map,
        };
        self.ended = true;
        self.send(|outgoing| match map.is_empty() {
            true => outgoing.send_data(Bytes::new(), true),
            false => outgoing.send_trailers(map),
        })
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        Poll::Ready(Ok(()))
    }

    fn is_clear(&self) -> bool {
        true
    }

    fn progress(&self) -> u64 {
        self.moved + u64::from(self.ended)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Http2 {
    fn send(
        &mut self,
        send: impl FnOnce(&mut SendStream<Bytes>) -> Result<(), h2::Error>,
    ) -> Result<(), Untaken> {
        let outgoing = self.outgoing.as_mut().ok_or(Untaken::Closed)?;
        send(outgoing).map_err(|_| Untaken::Closed)
    }
}
