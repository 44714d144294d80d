//! Counts of cookies by when they were set, in parts of one width: a ring of so many parts that those which count are in
//! it together, and some that clocks may be ahead. Must not know: which cookies count.

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Relaxed},
};

use crate::{
    atomics::{AtomicU32, AtomicU64},
    clock::UnixSeconds,
};

/// Parts that the duration of sessions is counted in at least: the precision with which one that ended is forgotten.
pub(super) const PARTS: u32 = 64;
/// Slots for parts: those that count, fewer than twice [`PARTS`], one that has begun, and some that clocks may be ahead.
const PLACES: usize = 3 * PARTS as usize;

/// Cookies by the time at which they were set.
#[derive(Debug)]
pub(super) struct Era {
    /// A part is two to the power of this many seconds.
    scale: u32,
    /// The last second of which cookies are in here; [`u32::MAX`] while it counts what is set now.
    last: AtomicU32,
    /// Number of the part (upper half), cookies (lower half).
    parts: [AtomicU64; PLACES],
}

impl Era {
    pub(super) fn of(scale: u32) -> Self {
        Self { scale, last: AtomicU32::new(u32::MAX), parts: array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// From here on it counts what is set.
    pub(super) fn open(&self) {
        self.last.store(u32::MAX, Relaxed);
    }

    /// What is set later than at `last` is counted elsewhere: its last part is over then, however long it would be.
    pub(super) fn close(&self, last: UnixSeconds) {
        self.last.store(last.0, Relaxed);
    }

    pub(super) fn add(&self, at: UnixSeconds) {
        let number = self.number(at);
        let Some(part) = self.part(number) else { return };
        let add = |word| match split(word) {
            (held, count) if held == number => Some(join(number, count.saturating_add(1))),
            // What was there is so old that it does not count any more, or of a clock that was set back.
            _ => Some(join(number, 1)),
        };
        let _ = part.fetch_update(AcqRel, Relaxed, add);
    }

    /// Whether there was one to take.
    pub(super) fn take(&self, at: UnixSeconds) -> bool {
        let number = self.number(at);
        let take = |word| match split(word) {
            (held, count) if held == number && count > 0 => Some(join(number, count - 1)),
            _ => None,
        };
        self.part(number).is_some_and(|part| part.fetch_update(AcqRel, Relaxed, take).is_ok())
    }

    /// Those that were set at `oldest` or later, and those of the same part, if any of that part can have been.
    pub(super) fn count(&self, oldest: UnixSeconds) -> u64 {
        self.parts_from(oldest).map(|(_, count)| u64::from(count)).sum()
    }

    /// A time in the first part with any, of those that [`Self::count`] counts.
    pub(super) fn first_after(&self, oldest: UnixSeconds) -> Option<UnixSeconds> {
        let number =
            self.parts_from(oldest).filter(|(_, count)| *count > 0).map(|(number, _)| number).min()?;
        Some(UnixSeconds(number << self.scale))
    }

    fn parts_from(&self, oldest: UnixSeconds) -> impl Iterator<Item = (u32, u32)> {
        let is_over = self.last.load(Relaxed) < oldest.0;
        let oldest = self.number(oldest);
        let parts = self.parts.iter().map(|part| split(part.load(Relaxed)));
        parts.filter(move |(number, _)| *number >= oldest && !is_over)
    }

    fn number(&self, at: UnixSeconds) -> u32 {
        at.0 >> self.scale
    }

    fn part(&self, number: u32) -> Option<&AtomicU64> {
        self.parts.get(number as usize % PLACES)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn join(number: u32, count: u32) -> u64 {
    u64::from(number) << 32 | u64::from(count)
}
