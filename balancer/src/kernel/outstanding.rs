//! Requests in flight per endpoint, exact over all workers and all processes of the instance.
//!
//! A word per slot and generation: a worker changes the word of its own process, and the figure is the sum
//! over the generations that are alive. Must not know: how a generation comes to be alive or dead.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use balancer_common::{GENERATIONS, LIVE_GENERATIONS, MAX_SLOTS, OUTSTANDING_WORDS};

use super::{Words, file_lock::FileLock, truncation};
use crate::{id::Slot, internal_errors::Part as _};

/// Slots, and words of one generation's row.
pub(super) const SLOTS: usize = MAX_SLOTS as usize;
/// Rows.
pub(super) const ROWS: usize = GENERATIONS as usize;
/// Words of the table.
pub(super) const WORDS: usize = OUTSTANDING_WORDS as usize;
/// Which word says what rows count.
pub(super) const LIVE: usize = LIVE_GENERATIONS as usize;

/// Handle of one process on the table of requests in flight. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outstanding {
    words: Words,
    own: usize,
    /// The lock on the own row: it is held for as long as anybody can count in the row.
    _row: Option<Arc<FileLock>>,
}

impl Outstanding {
    /// `words` as seen by the process that owns generation `own`, by virtue of the lock on `row`.
    pub(super) fn new(words: Words, own: usize, row: Arc<FileLock>) -> Self {
        debug_assert!(own < ROWS && words.len() == WORDS);
        Self { words, own, _row: Some(row) }
    }

    /// A table in the memory of this process alone.
    ///
    /// # Errors
    /// The system's, when there is no memory.
    pub fn in_memory() -> io::Result<Self> {
        let words = Words::in_memory(WORDS)?;
        set_live(&words, 0, true);
        Ok(Self { words, own: 0, _row: None })
    }

    /// A request to the endpoint is in flight for as long as what is given back lives.
    #[inline]
    pub fn begin(&self, slot: Slot) -> InFlight<'_> {
        if let Some(word) = self.own_word(slot) {
            word.fetch_add(1, Relaxed);
        }
        InFlight { outstanding: self, slot }
    }

    #[inline]
    fn end(&self, slot: Slot) {
        if let Some(word) = self.own_word(slot) {
            let before = word.fetch_sub(1, Relaxed);
            debug_assert!(before > 0 || truncation::happened(), "end without begin on {slot:?}");
        }
    }

    /// Requests in flight to the endpoint, of all processes of the instance.
    #[inline]
    #[must_use]
    pub fn get(&self, slot: Slot) -> u64 {
        self.view().get(slot)
    }

    /// The table for several reads in a row, as a picker makes them: which rows count is looked up once.
    #[inline]
    #[must_use]
    pub fn view(&self) -> OutstandingView<'_> {
        let live = self.words.get(LIVE).map_or(0, |word| word.load(Relaxed));
        let mut others = [&[][..]; ROWS];
        let mut others_len = 0;
        if live & !(1 << self.own) != 0 {
            for row in (0..ROWS).filter(|&row| row != self.own && live & (1 << row) != 0) {
                if let Some(other) = others.get_mut(others_len) {
                    *other = row_of(&self.words, row);
                    others_len += 1;
                }
            }
        }
        OutstandingView { own: row_of(&self.words, self.own), others, others_len }
    }

    /// After the table was lost in part: counts what is told of as over and was begun before as not begun.
    pub(super) fn mend(&self) {
        set_live(&self.words, self.own, true);
        for word in row_of(&self.words, self.own) {
            let found = word.load(Relaxed);
            if found.cast_signed() < 0 {
                // Somebody may have counted meanwhile: then the next time.
                let _ = word.compare_exchange(found, 0, Relaxed, Relaxed);
            }
        }
    }

    #[inline]
    fn own_word(&self, slot: Slot) -> Option<&AtomicU64> {
        row_of(&self.words, self.own).get(slot.index())
    }
}

/// A request in flight to an endpoint.
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub struct InFlight<'a> {
    outstanding: &'a Outstanding,
    slot: Slot,
}

impl Drop for InFlight<'_> {
    #[inline]
    fn drop(&mut self) {
        self.outstanding.end(self.slot);
    }
}

/// The table at one moment's choice of rows; the figures themselves are read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct OutstandingView<'a> {
    own: &'a [AtomicU64],
    others: [&'a [AtomicU64]; ROWS],
    others_len: usize,
}

impl OutstandingView<'_> {
    /// Requests in flight to the endpoint: one load while one process is alive.
    #[inline]
    #[must_use]
    pub fn get(&self, slot: Slot) -> u64 {
        let read = |row: &[AtomicU64]| row.get(slot.index()).map_or(0, |word| word.load(Relaxed));
        let mut sum = read(self.own);
        if self.others_len > 0 {
            sum = self.others.iter().take(self.others_len).fold(sum, |sum, row| sum.wrapping_add(read(row)));
        }
        sum
    }
}

/// The words of generation `row`.
#[inline]
pub(super) fn row_of(words: &Words, row: usize) -> &[AtomicU64] {
    words.part(row * SLOTS..(row + 1) * SLOTS)
}

/// Makes the row count, or not.
pub(super) fn set_live(words: &Words, row: usize, live: bool) {
    if let Some(word) = words.get(LIVE) {
        if live {
            word.fetch_or(1 << row, Relaxed);
        } else {
            word.fetch_and(!(1 << row), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::forget;

    use super::*;

    #[test]
    fn a_figure_is_the_sum_over_live_rows() {
        let table = Outstanding::in_memory().unwrap();
        let slot = Slot(16_383);
        let one = table.begin(slot);
        let _other = table.begin(slot);
        row_of(&table.words, 2)[slot.index()].store(5, Relaxed);
        row_of(&table.words, 3)[slot.index()].store(50, Relaxed);
        assert_eq!(table.get(slot), 2, "rows that are not alive do not count");
        set_live(&table.words, 2, true);
        assert_eq!(table.get(slot), 7);
        drop(one);
        assert_eq!(table.view().get(slot), 6);
        set_live(&table.words, 2, false);
        assert_eq!(table.get(slot), 1);
        assert_eq!(table.get(Slot(0)), 0);
    }

    #[test]
    fn what_was_lost_is_counted_as_not_begun() {
        let table = Outstanding::in_memory().unwrap();
        let _in_flight = table.begin(Slot(2));
        row_of(&table.words, 0)[1].store(u64::MAX - 3, Relaxed);
        table.mend();
        assert_eq!((table.get(Slot(1)), table.get(Slot(2))), (0, 1));
    }

    #[test]
    fn a_slot_out_of_range_counts_nowhere() {
        let table = Outstanding::in_memory().unwrap();
        let _nowhere = [table.begin(Slot(16_384)), table.begin(Slot(u16::MAX))];
        assert_eq!(table.get(Slot(16_384)), 0);
        assert!(table.words.iter().take(LIVE).all(|word| word.load(Relaxed) == 0));
    }

    #[test]
    fn workers_count_exactly() {
        // What interprets each instruction takes a minute for a few hundred.
        const ROUNDS: u64 = if cfg!(miri) { 100 } else { 10_000 };
        let table = Outstanding::in_memory().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let table = table.clone();
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        let in_flight = table.begin(Slot(3));
                        forget(table.begin(Slot(4)));
                        drop(in_flight);
                    }
                });
            }
        });
        assert_eq!((table.get(Slot(3)), table.get(Slot(4))), (0, 4 * ROUNDS));
    }
}
