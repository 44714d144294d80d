//! Keys that the store did not know a moment ago: who asks again and again for one is not passed on each time. A fixed array of
//! words that all workers share; what falls into one place pushes out what was there. Must not know: who asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many keys are remembered at most.
const PLACES: usize = 8192;

/// For how long, in milliseconds.
const REMEMBERED: u64 = 500;

/// The lower bits of a word, which hold the time in steps of [`STEP`] milliseconds.
const TIME_BITS: u32 = 24;
const STEP: u64 = 64;

/// The keys.
#[derive(Debug)]
pub(super) struct AbsentKeys(Box<[AtomicU64]>);

impl Default for AbsentKeys {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn word(key: u128, millis: u64) -> (usize, u64) {
    let (low, high) = (key as u64, (key >> 64) as u64);
    // Never 0, which is an empty place.
    let name = (high | 1 << 63) >> TIME_BITS << TIME_BITS;
    (low as usize % PLACES, name | (millis / STEP) & ((1 << TIME_BITS) - 1))
}

impl AbsentKeys {
    /// The store did not know `key` just now.
    pub(super) fn note(&self, key: u128, millis: u64) {
        let (place, word) = word(key, millis);
        if let Some(held) = self.0.get(place) {
            held.store(word, Relaxed);
        }
    }

    /// It may know it from now on.
    pub(super) fn forget(&self, key: u128) {
        let (place, word) = word(key, 0);
        if let Some(held) = self.0.get(place)
            && held.load(Relaxed) >> TIME_BITS == word >> TIME_BITS
        {
            held.store(0, Relaxed);
        }
    }

    /// Whether the store did not know it a moment ago.
    pub(super) fn has(&self, key: u128, millis: u64) -> bool {
        let (place, word) = word(key, millis);
        let held = self.0.get(place).map_or(0, |held| held.load(Relaxed));
        let mask = (1 << TIME_BITS) - 1;
        let age = (word & mask).wrapping_sub(held & mask) & mask;
        held >> TIME_BITS == word >> TIME_BITS && age <= REMEMBERED / STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_for_a_moment() {
        let (absent, key) = (AbsentKeys::default(), u128::MAX / 3);
        assert!(!absent.has(key, 10_000));
        absent.note(key, 10_000);
        assert!(absent.has(key, 10_000) && absent.has(key, 10_000 + REMEMBERED - STEP));
        assert!(!absent.has(key, 10_000 + REMEMBERED + 2 * STEP));
        assert!(!absent.has(key ^ 1 << 100, 10_000), "another key of the place");
        absent.forget(key ^ 1 << 100);
        assert!(absent.has(key, 10_000));
        absent.forget(key);
        assert!(!absent.has(key, 10_000));
    }

    #[test]
    fn time_may_wrap_around() {
        let (absent, key) = (AbsentKeys::default(), 7 << 90 | 5);
        let end = (STEP << TIME_BITS) - 1;
        absent.note(key, end);
        assert!(absent.has(key, end + STEP) && !absent.has(key, end + 20 * STEP));
        absent.note(0, 0);
        assert!(absent.has(0, 0) && !AbsentKeys::default().has(0, 0));
    }
}
