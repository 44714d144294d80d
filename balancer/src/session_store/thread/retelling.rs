//! Telling the store of the table again, since it may have lost what it had: how much of it, and when. So much in each tick, and of that a
//! piece at a time, for whoever asks is not to wait until all of it is made up. Must not know: what is told.

use std::time::Instant;

use super::super::{
    pending::{PendingWrites, SessionWrite},
    port::StorePort,
};

/// Most buckets of the table that are looked at in one tick.
const BUCKETS: usize = 8192;

/// Buckets of a piece.
const PIECE: usize = 64;

/// How far it has got.
pub(super) struct Retelling {
    begins: Instant,
    /// The first bucket that was not looked at. None: all were.
    next: Option<usize>,
    /// What is left of this tick.
    sessions: usize,
    buckets: usize,
}

impl Retelling {
    /// All that is here may be news to the store, which is told of it from `begins` on.
    pub(super) fn new(begins: Instant) -> Self {
        Self { begins, next: Some(0), sessions: 0, buckets: 0 }
    }

    /// Another tick, in which so many sessions are told again, unless as many of before still wait.
    pub(super) fn tick(&mut self, now: Instant, most: usize, waiting: usize) {
        let is_to_wait = now < self.begins || waiting > most;
        (self.sessions, self.buckets) = if is_to_wait { (0, 0) } else { (most, BUCKETS) };
    }

    /// Whether there is a piece to be told.
    pub(super) fn is_due(&self) -> bool {
        self.next.is_some() && self.sessions > 0 && self.buckets > 0
    }

    /// Puts a piece of the table to what waits to be told. `page` takes so many buckets from one on; none: there are no more.
    pub(super) fn go_on(
        &mut self,
        page: impl FnOnce(usize, usize) -> Option<Vec<SessionWrite>>,
        pending: &mut PendingWrites,
        port: &StorePort,
    ) {
        let Some(from) = self.next else { return };
        self.next = from.checked_add(PIECE);
        self.buckets = self.buckets.saturating_sub(PIECE);
        let Some(writes) = page(from, PIECE) else {
            self.next = None;
            return;
        };
        self.sessions = self.sessions.saturating_sub(writes.len());
        for write in writes {
            // What waits says more.
            if !pending.has(write.key) && pending.add(write) {
                port.shard.told_again.inc();
            }
        }
    }
}
