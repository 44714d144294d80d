//! Telling the store of the table again, since it may have lost what it had: how much of it, and when. So much in each tick, and of that a
//! piece at a time, for whoever asks is not to wait until all of it is made up. Must not know: what is told.

use super::super::{
    pending::{PendingWrites, SessionWrite},
    port::StorePort,
};

/// Most sessions of the table that the store is told of again in one tick, and most buckets that are looked at for that.
const TOLD: usize = 2048;
const BUCKETS: usize = 8192;

/// Buckets of a piece.
const PIECE: usize = 64;

/// How far it has got.
pub(super) struct Retelling {
    /// The first bucket that was not looked at. None: all were.
    next: Option<usize>,
    /// What is left of this tick.
    sessions: usize,
    buckets: usize,
}

impl Retelling {
    /// All that is here may be news to the store.
    pub(super) fn new() -> Self {
        Self { next: Some(0), sessions: 0, buckets: 0 }
    }

    /// Another tick, in which as much is told again, unless that of before still waits.
    pub(super) fn tick(&mut self, waiting: usize) {
        (self.sessions, self.buckets) = if waiting > TOLD { (0, 0) } else { (TOLD, BUCKETS) };
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
