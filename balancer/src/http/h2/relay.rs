//! One direction of a request between two HTTP/2 connections: data and trailers are handed on as they come,
//! and window is given back as the other side takes them.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream};

use super::{download::poll_window, head::filter_trailers};
use crate::wire::trailers::TrailerFilter;

/// Why a body could not be moved.
#[derive(Debug)]
pub(super) enum RelayError {
    /// Where it comes from broke off.
    Source(h2::Error),
    /// Where it goes to takes no more.
    Sink,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Relay {
    pending: Bytes,
    done: bool,
    begun: bool,
    moved: u64,
    filter: Option<Arc<TrailerFilter>>,
}

impl Relay {
    /// `done`: there is nothing but the head.
    pub(super) fn new(done: bool) -> Self {
        Self { pending: Bytes::new(), done, begun: false, moved: 0, filter: None }
    }

    /// With trailers of a client, which may not say everything.
    pub(super) fn filtered(self, filter: &Arc<TrailerFilter>) -> Self {
        Self { filter: (!self.done).then(|| Arc::clone(filter)), ..self }
    }

    /// Whether the end is handed on.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the side that it goes to is what is waited for: it has given no window for what was taken already.
    pub(super) fn is_held_up(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether anything was taken from the source.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Grows whenever there is progress.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Moves on as far as both sides allow; ready when the end is handed on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut RecvStream,
        sink: &mut SendStream<Bytes>,
    ) -> Poll<Result<(), RelayError>> {
        while !self.done {
            if !self.pending.is_empty() {
                let length =
                    ready!(poll_window(cx, self.pending.len(), sink)).map_err(|_| RelayError::Sink)?;
                let part = self.pending.split_to(length);
                self.done = self.pending.is_empty() && source.is_end_stream();
                sink.send_data(part, self.done).map_err(|_| RelayError::Sink)?;
                let _ = source.flow_control().release_capacity(length);
                self.moved += length as u64;
                continue;
            }
            match ready!(source.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.begun = true;
                    self.pending = data;
                }
                Some(Err(error)) => return Poll::Ready(Err(RelayError::Source(error))),
                None => {
                    let mut trailers = ready!(source.poll_trailers(cx)).map_err(RelayError::Source)?;
                    if let (Some(trailers), Some(filter)) = (&mut trailers, &self.filter) {
                        filter_trailers(trailers, filter);
                    }
                    let sent = match trailers.filter(|trailers| !trailers.is_empty()) {
                        Some(trailers) => sink.send_trailers(trailers),
                        None => sink.send_data(Bytes::new(), true),
                    };
                    sent.map_err(|_| RelayError::Sink)?;
                    self.begun = true;
                    self.done = true;
                    self.moved += 1;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
