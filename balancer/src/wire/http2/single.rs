//! One request on a connection of its own. Must not know: who asks, and what.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    answers::{StreamEnd, Unsent},
    block::Block,
    core::{Come, Core},
    fault::StreamFault,
    outgoing::HeadWriter,
    transport::Transport,
};
use crate::{clock::monotonic_now, wire::buffer::BufferStore};

/// The connection.
#[derive(Debug)]
pub struct Single<S> {
    core: Core,
    transport: Transport<S>,
    buffers: BufferStore,
    place: usize,
    is_over: bool,
    /// A long one gets what comes with time.
    began: Instant,
}

/// What has come of the body of an answer.
#[derive(Debug)]
pub enum AnswerPart {
    /// More of it.
    Content,
    /// Its end, and its trailers.
    End(Option<Box<Block>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Single<S> {
    /// Begins with HTTP/2 on `stream`.
    #[must_use]
    pub fn new(stream: S) -> Self {
        let mut core = Core::to_target(0);
        let place = core.reserve();
        Self {
            core,
            transport: Transport::new(stream),
            buffers: BufferStore::default(),
            place,
            is_over: false,
            began: monotonic_now(),
        }
    }

    /// Has the request go out, with all of its body.
    ///
    /// # Errors
    /// It has no form in HTTP/2.
    pub fn send(&mut self, content: &[u8], head: impl FnOnce(&mut HeadWriter<'_>)) -> Result<(), Unsent> {
        self.core.send_request(self.place, (content.is_empty(), false, 0), head)?;
        if !content.is_empty() {
            self.core.send_data(self.place, content, true).map_err(|_| Unsent::Ended)?;
        }
        Ok(())
    }

    /// Has a request go out whose body goes on.
    ///
    /// # Errors
    /// It has no form in HTTP/2.
    pub fn begin(&mut self, head: impl FnOnce(&mut HeadWriter<'_>)) -> Result<(), Unsent> {
        self.core.send_request(self.place, (false, false, usize::MAX), head).map(|_| ())
    }

    /// Sends more of the body as there is room for it; `ends`: and that is all. An answer that comes before it is all out ends it.
    pub async fn say(&mut self, content: &[u8], ends: bool) {
        let mut rest = content;
        loop {
            let wanted = rest.len().max(1);
            let room = self.until(|core, place, cx| core.poll_room(place, cx, wanted).map(Ok)).await;
            let Ok(Some(room)) = room else { return };
            let (part, more) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            if self.core.send_data(self.place, part, ends && more.is_empty()).is_err() || more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    /// Appends what comes next of the body of the answer. Dropping the future loses nothing.
    ///
    /// # Errors
    /// It does not come whole.
    pub async fn content(&mut self, into: &mut Vec<u8>) -> Result<AnswerPart, StreamEnd> {
        match self.until(|core, place, cx| core.poll_come(place, cx, into, usize::MAX)).await {
            Ok(Come::Content(length)) => {
                self.core.release(self.place, length);
                Ok(AnswerPart::Content)
            }
            Ok(Come::End(trailers)) => Ok(AnswerPart::End(trailers)),
            Err(fault) => Err(self.core.ending(fault)),
        }
    }

    /// The head of the next answer: of interim ones, and of the last.
    ///
    /// # Errors
    /// None comes.
    pub async fn answer(&mut self) -> Result<Box<Block>, StreamEnd> {
        let come = self.until(|core, place, cx| core.poll_answer(place, cx)).await;
        come.map_err(|fault| self.core.ending(fault))?;
        self.core.take_answer(self.place).ok_or(StreamEnd::Closed)
    }

    /// Whether the answer is all there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.core.stream(self.place).is_some_and(|stream| {
            let is_all_taken = stream.content.is_empty() && stream.trailers.is_none();
            is_all_taken && !stream.is_receiving && stream.fault.is_none()
        })
    }

    /// The trailers behind a body that nobody wants, of no more than `most` bytes. Nothing: it has none, or is longer.
    ///
    /// # Errors
    /// It does not come whole.
    pub async fn trailers(&mut self, most: usize) -> Result<Option<Box<Block>>, StreamEnd> {
        let (mut left, mut content) = (most, Vec::new());
        loop {
            content.clear();
            match self.until(|core, place, cx| core.poll_come(place, cx, &mut content, 0)).await {
                Ok(Come::Content(length)) => {
                    let Some(rest) = left.checked_sub(length) else { return Ok(None) };
                    left = rest;
                    self.core.release(self.place, length);
                }
                Ok(Come::End(trailers)) => return Ok(trailers),
                Err(fault) => return Err(self.core.ending(fault)),
            }
        }
    }

    /// Awaits something of the core, which the connection is driven for.
    async fn until<T>(
        &mut self,
        mut poll: impl FnMut(&mut Core, usize, &mut Context<'_>) -> Poll<Result<T, StreamFault>>,
    ) -> Result<T, StreamFault> {
        poll_fn(|cx| {
            let Self { core, transport, buffers, place, is_over, began } = self;
            if !*is_over {
                let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                *is_over = transport.poll(cx, core, buffers, millis).is_ready();
            }
            poll(core, *place, cx)
        })
        .await
    }
}
