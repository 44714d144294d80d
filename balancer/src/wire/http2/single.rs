//! One request on a connection of its own. Must not know: who asks, and what.

use std::{
    future::poll_fn,
    task::{Context, Poll},
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
use crate::wire::buffer::BufferStore;

/// The connection.
#[derive(Debug)]
pub struct Single<S> {
    core: Core,
    transport: Transport<S>,
    buffers: BufferStore,
    place: usize,
    is_over: bool,
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
        }
    }

    /// Has the request go out, with all of its body.
    ///
    /// # Errors
    /// It has no form in HTTP/2.
    pub fn send(&mut self, content: &[u8], head: impl FnOnce(&mut HeadWriter<'_>)) -> Result<(), Unsent> {
        self.core.send_request(self.place, (content.is_empty(), false), head)?;
        if !content.is_empty() {
            self.core.send_data(self.place, content, true).map_err(|_| Unsent::Ended)?;
        }
        Ok(())
    }

    /// The head of the next answer: of interim ones, and of the last.
    ///
    /// # Errors
    /// None comes.
    pub async fn answer(&mut self) -> Result<Block, StreamEnd> {
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
    pub async fn trailers(&mut self, most: usize) -> Result<Option<Block>, StreamEnd> {
        let (mut left, mut content) = (most, Vec::new());
        loop {
            content.clear();
            match self.until(|core, place, cx| core.poll_come(place, cx, &mut content)).await {
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
            let Self { core, transport, buffers, place, is_over } = self;
            if !*is_over {
                *is_over = transport.poll(cx, core, buffers, 0).is_ready();
            }
            poll(core, *place, cx)
        })
        .await
    }
}
