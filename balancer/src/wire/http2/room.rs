//! Who may send how much: windows of streams, what all of them share of the connection, and what all connections share of the
//! process's memory. Must not know: what is sent.

use std::task::{Context, Poll};

use super::{
    FEW_STREAMS, MOST_STREAMS, READER_WINDOW, STREAM_WINDOW, TIGHT_WINDOW,
    budget::Pressure,
    core::{Core, Leaving},
    frame::{self, kind, setting},
};

/// How much may wait to be written before streams add no more content.
const MOST_AHEAD: usize = 64 * 1024;
/// How far targets may be ahead with answers to all requests of a connection, but for what each may at least: of a client that may
/// not read at all, and of one that does.
const MOST_OF_ALL_AHEAD: usize = 2 * MOST_AHEAD;
const MOST_OF_ALL_AHEAD_OF_A_READER: usize = 8 * MOST_AHEAD;
/// Who has taken so much has given window for it: what a stream may be ahead does not wait for the windows of its client then.
const KEEPS_UP_WITH: u64 = 256 * 1024;
/// Who has taken so much reads: sockets at both ends hold less (tcp(7): 4 MiB to be sent, 6 MiB that have come).
const A_READER_HAS_TAKEN: u64 = 16 * 1024 * 1024;
/// Streams that are woken at once when there is room.
const WOKEN_AT_ONCE: usize = 4;

impl Core {
    /// Tells what it holds now. The client is offered fewer requests while all connections together hold much, and as many as ever
    /// when they do no more.
    #[inline]
    pub(super) fn settle(&mut self) {
        let of_pieces = self.pieces.as_ref().map_or(0, |pieces| pieces.bytes.len());
        let waiting = self.out.len() - self.written + of_pieces;
        self.account.settle(waiting + self.receive_window.held() as usize);
        let offered = match self.account.budget.pressure() {
            Pressure::Low => MOST_STREAMS,
            Pressure::Falling => self.offered,
            _ => FEW_STREAMS,
        };
        if offered != self.offered {
            self.offer(offered);
        }
    }

    #[cold]
    fn offer(&mut self, streams: u32) {
        if self.asking.is_none() && self.has_begun() && !self.is_lost && self.violation.is_none() {
            self.offered = streams;
            frame::write_settings(&mut self.out, &[(setting::MAX_CONCURRENT_STREAMS, streams)]);
            self.stir();
        }
    }

    /// Whether the client is to be told to go, as one of those that hold much.
    pub(super) fn has_to_go(&self) -> bool {
        self.account.holds_some()
            && matches!(self.leaving, Leaving::No | Leaving::Due(_))
            && self.violation.is_none()
            && self.account.budget.sends_away()
    }

    /// Wakes those first that have waited longest for room. Whether there is room for more of them.
    pub(super) fn wake_waiting(&mut self) -> bool {
        for _ in 0..WOKEN_AT_ONCE {
            if !self.has_room() {
                return false;
            }
            let Some(place) = self.waiting.pop_front() else { return false };
            if let Some(stream) = self.streams.get_mut(place) {
                stream.is_queued = false;
                stream.wake();
            }
        }
        self.has_room() && !self.waiting.is_empty()
    }

    fn has_room(&self) -> bool {
        self.window.room() > 0 && self.out.len() - self.written < MOST_AHEAD
    }

    /// Ready when what was said before does not wait to be written. Whoever has no window may look how a body goes on all the same:
    /// its end needs none.
    #[inline]
    pub(super) fn poll_space(&mut self, place: usize, cx: &Context<'_>) -> Poll<()> {
        let is_full = self.out.len() - self.written >= MOST_AHEAD && self.window.room() > 0;
        let Some(stream) = self.streams.get_mut(place).filter(|stream| is_full && stream.is_sending) else {
            return Poll::Ready(());
        };
        stream.wait(cx);
        if !std::mem::replace(&mut stream.is_queued, true) {
            self.waiting.push_back(place);
        }
        Poll::Pending
    }

    /// How much there is room for on a stream now.
    #[inline]
    pub(super) fn room_now(&self, place: usize) -> usize {
        if self.has_room() { self.room_of_windows(place) } else { 0 }
    }

    /// How much the windows of a stream and of the connection have room for.
    #[inline]
    fn room_of_windows(&self, place: usize) -> usize {
        let room = self.streams.get(place).map_or(0, |stream| stream.window.room());
        room.min(self.window.room()).min(MOST_AHEAD)
    }

    /// How far all streams together may be ahead. With little, many large answers at a time come in small pieces, each of which the
    /// target has to be asked for; who does not read is held to little all the same, and so are all while the process holds much.
    #[inline]
    fn most_ahead(&self) -> usize {
        let reads =
            self.content_sent >= A_READER_HAS_TAKEN && self.account.budget.pressure() < Pressure::Tight;
        if reads { MOST_OF_ALL_AHEAD_OF_A_READER } else { MOST_OF_ALL_AHEAD }
    }

    /// How far what goes out on a stream may be ahead where it comes from: no further than its part of what all streams may send,
    /// and those not further together than [`Self::most_ahead`].
    #[inline]
    pub(super) fn room_ahead(&mut self, place: usize) -> usize {
        let most = self.most_ahead();
        // A target that hears of room when a client gives window, or when what waits is written, hears of it too late for a client
        // that reads.
        let keeps_up = self.content_sent >= KEEPS_UP_WITH && self.account.budget.pressure() < Pressure::Tight;
        let (room, of_all) = match keeps_up {
            true => (READER_WINDOW as usize, most),
            false => (self.room_now(place), self.window.room().min(most)),
        };
        let open = usize::try_from(self.streams.open()).unwrap_or(usize::MAX).max(1);
        let Some(stream) = self.streams.get_mut(place) else { return 0 };
        let others = self.ahead.saturating_sub(stream.ahead);
        stream.ahead = room.min(of_all / open).min(of_all.saturating_sub(others));
        self.ahead = others + stream.ahead;
        stream.ahead
    }

    /// How much of `wanted` bytes may be sent on a stream now.
    #[inline]
    pub(super) fn poll_room(&mut self, place: usize, cx: &Context<'_>, wanted: usize) -> Poll<Option<usize>> {
        let has_room = self.has_room();
        let Some(stream) = self.streams.get_mut(place).filter(|stream| stream.is_sending) else {
            return Poll::Ready(None);
        };
        let room = stream.window.room().min(wanted).min(MOST_AHEAD);
        if room > 0 && has_room {
            return Poll::Ready(Some(room.min(self.window.room())));
        }
        stream.wait(cx);
        // Who waits for its own window alone is woken by that.
        if room > 0 && !std::mem::replace(&mut stream.is_queued, true) {
            self.waiting.push_back(place);
        }
        Poll::Pending
    }

    /// So much of what came on a stream is used up.
    pub(super) fn release(&mut self, place: usize, length: usize) {
        let Some(stream) = self.streams.get_mut(place) else { return };
        let length = stream.receive_window.release(u32::try_from(length).unwrap_or(u32::MAX));
        // A target gets more when it is known how much there is room for.
        if self.asking.is_none() {
            let is_tight = self.account.budget.pressure() >= Pressure::Tight;
            stream.receive_window.resize(if is_tight { TIGHT_WINDOW } else { STREAM_WINDOW });
            self.grant(place);
        }
        self.release_connection(length);
    }

    /// Gives the other side window for a stream, as far as it is worth a frame.
    #[inline]
    pub(super) fn grant(&mut self, place: usize) {
        let Some(stream) = self.streams.get_mut(place).filter(|stream| stream.is_receiving) else { return };
        let Some(more) = stream.receive_window.grant() else { return };
        let id = stream.id;
        frame::write(&mut self.out, kind::WINDOW_UPDATE, 0, id, &more.to_be_bytes());
        self.stir();
    }

    /// The same for what came on no stream that there is.
    pub(super) fn release_connection(&mut self, length: u32) {
        self.receive_window.release(length);
        if let Some(more) = self.receive_window.grant() {
            frame::write(&mut self.out, kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
            self.stir();
        }
        self.settle();
    }
}
