//! What is counted per endpoint: read by everybody, written by the kernel program or, for what the kernel
//! does not see, by the workers. Must not know: which endpoint a slot belongs to.

use std::{
    io,
    os::fd::RawFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use balancer_common::{COUNTER_WORDS, MAX_SLOTS, TargetCounters as Layout};

use super::{
    Words,
    delivery::{Delivery, SeenDelivery},
    open_bytes::{OpenBytes, ReportedBytes},
};
use crate::id::Slot;

/// Words of the table.
pub(super) const WORDS: usize = COUNTER_WORDS * MAX_SLOTS as usize;

/// Index of a word within a row.
macro_rules! word {
    ($field:ident) => {
        std::mem::offset_of!(Layout, $field) / size_of::<u64>()
    };
}

/// The figures of one endpoint, read one after the other: each is exact, the set is not a snapshot.
/// They outlive reloads and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterValues {
    /// Connection attempts begun.
    pub connects: u64,
    /// Attempts without an outcome yet.
    pub connecting: u64,
    /// Connections established now (as `ss state established` shows them).
    pub open: u64,
    /// Attempts that became connections.
    pub opened: u64,
    /// Attempts that did not: refused, unreachable, timed out, given up.
    pub failed: u64,
    /// Those of `failed` that were refused; 0 without the kernel side.
    pub refused: u64,
    /// Resets received on connections that had been established.
    pub resets: u64,
    /// Connections that ended without a FIN of either side.
    pub aborted: u64,
    /// Segments sent again; without the kernel side those that looks at open connections found.
    pub retransmits: u64,
    /// Times that nothing was answered for as long as an answer may take; without the kernel side found in the same way.
    pub timeouts: u64,
    /// Smoothed round-trip time in microseconds; 0: none is known.
    pub srtt_us: u64,
    /// Payload bytes received from the endpoint.
    pub bytes_in: u64,
    /// Payload bytes the endpoint got.
    pub bytes_out: u64,
    /// Connections that are gone altogether.
    pub closed: u64,
}

impl CounterValues {
    /// Connections that something may still be counted of: attempts, open ones, closing ones.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.connects.wrapping_sub(self.failed).wrapping_sub(self.closed)
    }
}

/// The table of counters. Cheap to clone.
///
/// The counting methods are for what the kernel does not count: connections over Unix sockets always, and
/// all connections when [`Self::kernel_counts`] says no.
#[derive(Clone, Debug)]
pub struct TargetCounters {
    words: Words,
    /// Where the kernel counts TCP connections.
    open_bytes: Option<Arc<OpenBytes>>,
    /// Attempts and connections of this process alone, by slot, as far as it counts them itself.
    own: Option<Words>,
}

/// Words of a slot of [`TargetCounters::own`].
const OWN_WORDS: usize = 2;

/// Attempts and connections that stand in the table and are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Excess {
    connecting: u64,
    open: u64,
}

impl TargetCounters {
    /// `words`, in which the kernel counts TCP connections, and is told by `open_bytes` what is counted before their
    /// end; without it nobody counts but the workers.
    pub(super) fn new(words: Words, open_bytes: Option<OpenBytes>) -> Self {
        debug_assert!(words.len() == WORDS);
        // Without memory for it what a process leaves that is killed stands there until a start.
        let own = Words::in_memory(OWN_WORDS * MAX_SLOTS as usize).ok();
        Self { words, open_bytes: open_bytes.map(Arc::new), own }
    }

    /// A table in the memory of this process alone.
    ///
    /// # Errors
    /// The system's, when there is no memory.
    pub fn in_memory() -> io::Result<Self> {
        Ok(Self::new(Words::in_memory(WORDS)?, None))
    }

    /// Whether the kernel counts TCP connections. If so, workers must not.
    #[must_use]
    pub fn kernel_counts(&self) -> bool {
        self.open_bytes.is_some()
    }

    /// The endpoint's figures now.
    #[must_use]
    pub fn read(&self, slot: Slot) -> CounterValues {
        let row = self.row(slot);
        let read = |word: usize| row.get(word).map_or(0, |word| word.load(Relaxed));
        CounterValues {
            connects: read(word!(connects)),
            connecting: read(word!(connecting)),
            open: read(word!(open)),
            opened: read(word!(opened)),
            failed: read(word!(failed)),
            refused: read(word!(refused)),
            resets: read(word!(resets)),
            aborted: read(word!(aborted)),
            retransmits: read(word!(retransmits)),
            timeouts: read(word!(timeouts)),
            srtt_us: read(word!(srtt_us)),
            bytes_in: read(word!(bytes_in)),
            bytes_out: read(word!(bytes_out)),
            closed: read(word!(closed)),
        }
    }

    /// A connection attempt begins; it has failed unless it says that it is [`Attempt::opened`].
    pub fn attempt(&self, slot: Slot) -> Attempt<'_> {
        self.connecting(slot);
        Attempt { counters: self, slot }
    }

    /// What other processes count of a slot that processes count, or were counting when they were killed.
    pub(super) fn excess(&self, slot: Slot) -> Excess {
        let Some(own) = &self.own else { return Excess::default() };
        let now = self.read(slot);
        let own =
            |which: usize| own.get(slot.index() * OWN_WORDS + which).map_or(0, |word| word.load(Relaxed));
        Excess { connecting: now.connecting.wrapping_sub(own(0)), open: now.open.wrapping_sub(own(1)) }
    }

    /// Closes the books on what a process was counting that was killed.
    pub(super) fn write_off(&self, slot: Slot, excess: Excess) {
        let Excess { connecting, open } = excess;
        self.add(slot, word!(failed), connecting);
        self.add(slot, word!(closed), open);
        self.add(slot, word!(connecting), connecting.wrapping_neg());
        self.add(slot, word!(open), open.wrapping_neg());
    }

    /// This process has so many more attempts and connections.
    fn own(&self, slot: Slot, connecting: u64, open: u64) {
        let Some(own) = &self.own else { return };
        for (which, more) in [connecting, open].into_iter().enumerate() {
            if let Some(word) = own.get(slot.index() * OWN_WORDS + which) {
                word.fetch_add(more, Relaxed);
            }
        }
    }

    fn connecting(&self, slot: Slot) {
        self.own(slot, 1, 0);
        self.add(slot, word!(connects), 1);
        self.add(slot, word!(connecting), 1);
    }

    fn opened(&self, slot: Slot) {
        self.own(slot, MINUS_ONE, 1);
        self.add(slot, word!(connecting), MINUS_ONE);
        self.add(slot, word!(opened), 1);
        self.add(slot, word!(open), 1);
    }

    fn unmade(&self, slot: Slot) {
        self.own(slot, MINUS_ONE, 0);
        self.add(slot, word!(connecting), MINUS_ONE);
        self.add(slot, word!(connects), MINUS_ONE);
    }

    fn failed(&self, slot: Slot) {
        self.own(slot, MINUS_ONE, 0);
        self.add(slot, word!(connecting), MINUS_ONE);
        self.add(slot, word!(failed), 1);
    }

    /// So many payload bytes have come from the endpoint and gone to it.
    pub fn moved(&self, slot: Slot, bytes_in: u64, bytes_out: u64) {
        self.add(slot, word!(bytes_in), bytes_in);
        self.add(slot, word!(bytes_out), bytes_out);
    }

    /// Counts the bytes of an open TCP connection, which the kernel counts, that have moved since `before` was known of
    /// it. Gives back what is known now; nothing when there is nothing new. Takes system calls.
    #[must_use]
    pub fn count_open(&self, slot: Slot, socket: RawFd, before: ReportedBytes) -> Option<ReportedBytes> {
        let now = self.open_bytes.as_ref()?.tell(socket, before)?;
        let (received, acknowledged) = now.since(before);
        self.moved(slot, received, acknowledged);
        Some(now)
    }

    /// Counts what a look at a TCP connection, which the kernel does not count, has found since `seen` was known of it.
    pub fn count_look(&self, slot: Slot, delivery: &Delivery, seen: SeenDelivery) {
        let (retransmits, timeouts) = delivery.since(seen);
        self.add(slot, word!(retransmits), retransmits);
        self.add(slot, word!(timeouts), timeouts);
        let sample = delivery.srtt_us();
        if sample != 0
            && let Some(word) = self.row(slot).get(word!(srtt_us))
        {
            // 7 parts old, 1 part new, as the kernel program has it. Of two workers at once one may lose its sample.
            let old = word.load(Relaxed);
            word.store(if old == 0 { sample } else { (old * 7 + sample) >> 3 }, Relaxed);
        }
    }

    /// The connection is closed, after so many more payload bytes from and to the endpoint; `reset`: by the endpoint's
    /// reset.
    fn closed(&self, slot: Slot, bytes_in: u64, bytes_out: u64, reset: bool) {
        self.own(slot, 0, MINUS_ONE);
        self.add(slot, word!(open), MINUS_ONE);
        self.moved(slot, bytes_in, bytes_out);
        if reset {
            self.add(slot, word!(resets), 1);
            self.add(slot, word!(aborted), 1);
        }
        self.add(slot, word!(closed), 1);
    }

    /// The fingerprint of the endpoint that owns the row; zero: free.
    pub(super) fn owner(&self, slot: Slot) -> u64 {
        self.row(slot).get(word!(endpoint)).map_or(0, |word| word.load(Relaxed))
    }

    /// Gives the row to the endpoint of this fingerprint; its figures start from zero.
    pub(super) fn assign(&self, slot: Slot, fingerprint: u64) {
        let row = self.row(slot);
        row.iter().for_each(|word| word.store(0, Relaxed));
        if let Some(word) = row.get(word!(endpoint)) {
            word.store(fingerprint, Relaxed);
        }
    }

    /// Closes the books on connections that were open when whoever counted them went away.
    pub(super) fn settle(&self, slot: Slot) {
        let now = self.read(slot);
        self.add(slot, word!(failed), now.connecting);
        self.add(slot, word!(closed), now.live().wrapping_sub(now.connecting));
        self.add(slot, word!(connecting), now.connecting.wrapping_neg());
        self.add(slot, word!(open), now.open.wrapping_neg());
    }

    /// After the table was lost in part: the row is the endpoint's of this fingerprint, and its figures add up again.
    /// What is counted at the same moment may be missed.
    pub(super) fn mend(&self, slot: Slot, fingerprint: u64) {
        let row = self.row(slot);
        let at_least = |word: usize, least: u64| {
            if let Some(word) = row.get(word)
                && word.load(Relaxed).wrapping_sub(least).cast_signed() < 0
            {
                word.store(least, Relaxed);
            }
        };
        at_least(word!(connecting), 0);
        at_least(word!(open), 0);
        let now = self.read(slot);
        at_least(word!(opened), now.open.wrapping_add(now.closed));
        let opened = self.read(slot).opened;
        at_least(word!(connects), now.connecting.wrapping_add(opened).wrapping_add(now.failed));
        if let Some(word) = row.get(word!(endpoint)) {
            word.store(fingerprint, Relaxed);
        }
    }

    #[inline]
    fn add(&self, slot: Slot, word: usize, amount: u64) {
        if let Some(word) = self.row(slot).get(word) {
            word.fetch_add(amount, Relaxed);
        }
    }

    #[inline]
    fn row(&self, slot: Slot) -> &[AtomicU64] {
        let start = slot.index() * COUNTER_WORDS;
        self.words.get(start..start + COUNTER_WORDS).unwrap_or_default()
    }
}

/// A connection attempt that has no outcome yet: dropped, it has failed or was given up.
#[derive(Debug)]
#[must_use = "dropped, it has failed"]
pub struct Attempt<'a> {
    counters: &'a TargetCounters,
    slot: Slot,
}

impl Attempt<'_> {
    /// It has become a connection.
    pub fn opened(self) -> OpenConnection {
        let Self { counters, slot } = self;
        // What would count it as failed.
        std::mem::forget(self);
        counters.opened(slot);
        OpenConnection { counters: counters.clone(), slot, reset: false }
    }

    /// It was none: this host had no socket for it. Nothing is counted.
    pub fn unmade(self) {
        let Self { counters, slot } = self;
        std::mem::forget(self);
        counters.unmade(slot);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.counters.failed(self.slot);
    }
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
#[must_use = "dropped, it is closed"]
pub struct OpenConnection {
    counters: TargetCounters,
    slot: Slot,
    reset: bool,
}

impl OpenConnection {
    /// The endpoint's row.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// So many more payload bytes have come from the endpoint and gone to it.
    pub fn moved(&self, bytes_in: u64, bytes_out: u64) {
        self.counters.moved(self.slot, bytes_in, bytes_out);
    }

    /// The endpoint has reset it. Whether that is news.
    pub fn reset(&mut self) -> bool {
        !std::mem::replace(&mut self.reset, true)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.counters.closed(self.slot, 0, 0, self.reset);
    }
}

/// Added to a word, takes one away.
const MINUS_ONE: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_connections_adds_up() {
        let counters = TargetCounters::in_memory().unwrap();
        let slot = Slot(7);
        for _ in 0..4 {
            counters.connecting(slot);
        }
        counters.opened(slot);
        counters.opened(slot);
        counters.failed(slot);
        counters.closed(slot, 10, 20, false);
        counters.closed(slot, 1, 2, true);
        let seen = counters.read(slot);
        let expected = CounterValues {
            connects: 4,
            connecting: 1,
            opened: 2,
            failed: 1,
            resets: 1,
            aborted: 1,
            bytes_in: 11,
            bytes_out: 22,
            closed: 2,
            ..CounterValues::default()
        };
        assert_eq!(seen, expected);
        assert_eq!(seen.live(), 1);
        assert_eq!(counters.read(Slot(8)), CounterValues::default());
    }

    #[test]
    fn whatever_ends_an_attempt_or_a_connection_is_counted() {
        let counters = TargetCounters::in_memory().unwrap();
        counters.attempt(Slot(9)).unmade();
        assert_eq!(counters.read(Slot(9)), CounterValues::default(), "this host had no socket");
        drop(counters.attempt(Slot(1)));
        let mut connection = counters.attempt(Slot(1)).opened();
        connection.moved(3, 4);
        assert!(connection.reset() && !connection.reset());
        assert_eq!(counters.read(Slot(1)).open, 1);
        drop(connection);
        let seen = counters.read(Slot(1));
        assert_eq!((seen.connects, seen.connecting, seen.failed, seen.opened), (2, 0, 1, 1));
        assert_eq!((seen.open, seen.closed, seen.resets, seen.live()), (0, 1, 1, 0));
        assert_eq!((seen.bytes_in, seen.bytes_out), (3, 4));
    }

    #[test]
    fn round_trip_times_that_looks_find_are_smoothed() {
        let (counters, slot) = (TargetCounters::in_memory().unwrap(), Slot(2));
        let look = |srtt_us, seen| {
            counters.count_look(slot, &Delivery::of_round_trip_for_tests(srtt_us), seen);
            counters.read(slot).srtt_us
        };
        assert_eq!(look(0, SeenDelivery::default()), 0, "none is known");
        assert_eq!(look(800, SeenDelivery::default()), 800);
        assert_eq!(look(1600, SeenDelivery::default()), 900);
        assert_eq!(look(0, SeenDelivery::default()), 900);
        let silent = Delivery::silent_for_tests(false);
        counters.count_look(slot, &silent, SeenDelivery::default());
        counters.count_look(slot, &silent, silent.seen());
        assert_eq!(counters.read(slot).timeouts, 1, "each is counted once");
    }

    #[test]
    fn settling_leaves_nothing_live() {
        let counters = TargetCounters::in_memory().unwrap();
        let slot = Slot(0);
        for _ in 0..5 {
            counters.connecting(slot);
        }
        for _ in 0..3 {
            counters.opened(slot);
        }
        counters.closed(slot, 0, 0, false);
        counters.settle(slot);
        let seen = counters.read(slot);
        assert_eq!((seen.open, seen.connecting, seen.live()), (0, 0, 0));
        assert_eq!((seen.connects, seen.opened, seen.failed, seen.closed), (5, 3, 2, 3));
    }

    #[test]
    fn figures_add_up_after_a_part_was_lost() {
        let counters = TargetCounters::in_memory().unwrap();
        let slot = Slot(3);
        for _ in 0..3 {
            counters.connecting(slot);
        }
        counters.opened(slot);
        counters.row(slot).iter().for_each(|word| word.store(0, Relaxed));
        counters.closed(slot, 5, 6, false);
        counters.opened(slot);
        counters.failed(slot);
        counters.mend(slot, 42);
        let seen = counters.read(slot);
        assert_eq!((seen.connecting, seen.open, seen.live(), counters.owner(slot)), (0, 0, 0, 42));
        assert_eq!(seen.connects, seen.connecting + seen.opened + seen.failed);
    }

    #[test]
    fn a_new_owner_starts_from_zero() {
        let counters = TargetCounters::in_memory().unwrap();
        let last = Slot(16_383);
        counters.connecting(last);
        counters.assign(last, 99);
        assert_eq!(counters.read(last), CounterValues::default());
        assert_eq!(counters.owner(last), 99);
        counters.assign(last, 0);
        assert_eq!(counters.owner(last), 0);
    }

    #[test]
    fn a_slot_out_of_range_reads_as_nothing() {
        let counters = TargetCounters::in_memory().unwrap();
        counters.connecting(Slot(16_384));
        counters.connecting(Slot(u16::MAX));
        assert_eq!(counters.read(Slot(16_384)), CounterValues::default());
        assert!(counters.words.iter().all(|word| word.load(Relaxed) == 0));
    }
}
