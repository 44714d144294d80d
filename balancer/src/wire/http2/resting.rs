//! What is left of a client's connection while nothing is under way on it: what the protocol has both sides remember. What this side
//! has told of fields that come again it forgets, and says so before the next (RFC 7541, section 6.3). Must not know: its socket.

use super::{
    core::{Core, Leaving},
    credit::Credit,
    flow::{ReceiveWindow, SendWindow},
    hpack::{Decoder, Encoder, RestingEncoder},
    streams::PastStreams,
};

/// The connection.
#[derive(Debug)]
pub struct Resting {
    decoder: Decoder,
    encoder: RestingEncoder,
    credit: Credit,
    opened: u32,
    taken: u32,
    window: SendWindow,
    receive_window: ReceiveWindow,
    initial_window: u32,
    most_payload: usize,
    offered: u32,
    stream_window: u32,
    past: Option<Box<PastStreams>>,
}

impl Core {
    /// Whether nothing is under way, and nothing is to be said or done.
    pub(super) fn may_rest(&self) -> bool {
        let is_begun = self.has_begun() && self.has_settings && self.pieces.is_none();
        let is_at_end =
            self.is_leaving || self.leaving != Leaving::No || self.violation.is_some() || self.is_lost;
        let is_idle = self.streams.is_unused() && self.accepted.is_empty() && self.output().is_empty();
        is_begun && is_idle && !is_at_end && self.asking.is_none()
    }

    /// Takes out what is to be remembered.
    pub(super) fn take_rest(&mut self) -> Resting {
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::new());
        decoder.shrink();
        Resting {
            decoder,
            encoder: self.encoder.rest(),
            credit: self.credit,
            opened: self.opened,
            taken: self.taken,
            window: self.window,
            receive_window: self.receive_window,
            initial_window: self.initial_window,
            most_payload: self.most_payload,
            offered: self.offered,
            stream_window: self.stream_window,
            past: self.streams.take_past(),
        }
    }

    /// One that goes on.
    pub(super) fn resumed(resting: Resting) -> Self {
        let Resting { decoder, encoder, credit, opened, taken, window, receive_window, .. } = resting;
        let Resting { initial_window, most_payload, offered, stream_window, past, .. } = resting;
        let mut core = Self {
            has_settings: true,
            decoder,
            encoder: Encoder::resumed(encoder),
            credit,
            opened,
            taken,
            window,
            receive_window,
            initial_window,
            most_payload,
            offered,
            stream_window,
            ..Self::empty(0, 0)
        };
        core.streams.set_past(past);
        core
    }
}
