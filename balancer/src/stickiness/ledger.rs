//! How many sessions are bound to one target: a count of the cookies that are out, kept without knowing whose they
//! are. Must not know: clients, cookies, what a target is.
//!
//! A cookie tells when it was set. The ledger counts cookies by that time, in [`PARTS`] parts of the time for which
//! they count: a response that sets the first cookie of a session adds one, a response that sets a later one moves one
//! from the part of the cookie that came to the part of now. Within a part nothing is to be moved, so a session costs
//! an atomic operation or two once in a part of its duration, however many requests it makes.
//!
//! Requests that a client makes side by side bring the same cookie several times, and cookies set in the same second
//! are all alike. So whoever moves one leaves a mark of the client, a keyed hash that says nothing to anybody, and
//! what comes with the same mark moves nothing.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use crate::clock::UnixSeconds;

/// Parts that the duration of sessions is counted in: the precision with which one that ended is forgotten.
const PARTS: u32 = 64;
/// Places for parts: those that count, one that has begun, and some that clocks may be ahead.
const PLACES: usize = 128;
/// Marks that are remembered: what side by side means is moments.
const MARKS: usize = 256;

/// Cookies of one target by the time at which they were set. Written by all workers.
#[derive(Debug)]
pub struct SessionLedger {
    /// Seconds of a part; 0: nothing was counted yet.
    width: AtomicU32,
    /// From when on every cookie that was set is in here.
    since: AtomicU32,
    /// Number of the part (upper half), cookies (lower half).
    parts: [AtomicU64; PLACES],
    /// Marks left last, each in the one place that it can be in.
    marks: [AtomicU64; MARKS],
}

impl Default for SessionLedger {
    fn default() -> Self {
        Self {
            width: AtomicU32::new(0),
            since: AtomicU32::new(0),
            parts: [const { AtomicU64::new(0) }; PLACES],
            marks: [const { AtomicU64::new(0) }; MARKS],
        }
    }
}

impl SessionLedger {
    /// A session begins: its first cookie is set at `now`. Cookies count for `window` seconds.
    pub fn begin(&self, now: UnixSeconds, window: u32) {
        self.add(now.0 / self.width(now, window));
    }

    /// Whether [`Self::renew`] would change anything, and so needs a mark.
    #[must_use]
    pub fn is_due(&self, issued: UnixSeconds, now: UnixSeconds, window: u32) -> bool {
        let width = self.width(now, window);
        self.is_new_here(issued) || issued.0 / width != now.0 / width
    }

    /// The cookie of a session, set at `issued`, is replaced by one set at `now`. `mark` tells its client from others
    /// with the same cookie.
    pub fn renew(&self, issued: UnixSeconds, now: UnixSeconds, window: u32, mark: u64) {
        let width = self.width(now, window);
        let (old, new) = (issued.0 / width, now.0 / width);
        let is_new_here = self.is_new_here(issued);
        if (is_new_here || old != new) && self.leave_mark(mark, issued) && (is_new_here || self.take(old)) {
            self.add(new);
        }
    }

    /// A session whose cookie was set at `issued` goes to another target. False: it went before.
    pub fn leave(&self, issued: UnixSeconds, now: UnixSeconds, window: u32, mark: u64) -> bool {
        let is_first = self.leave_mark(mark, issued);
        if is_first {
            self.take(issued.0 / self.width(now, window));
        }
        is_first
    }

    /// A cookie of before was set by another process, or counted by other parts.
    fn is_new_here(&self, issued: UnixSeconds) -> bool {
        issued.0 < self.since.load(Relaxed)
    }

    /// False: it is there already.
    fn leave_mark(&self, mark: u64, issued: UnixSeconds) -> bool {
        let mark = (mark ^ u64::from(issued.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1;
        let place = usize::try_from(mark >> 56).unwrap_or(0) % MARKS;
        self.marks.get(place).is_none_or(|held| held.swap(mark, AcqRel) != mark)
    }

    /// The sessions whose cookies still count at `now`. One that ends is counted for up to a part of `window` more.
    #[must_use]
    pub fn count(&self, now: UnixSeconds, window: u32) -> u64 {
        let width = self.width.load(Relaxed);
        if width == 0 || width != width_of(window) {
            return 0;
        }
        let oldest = now.0.saturating_sub(window) / width;
        let parts = self.parts.iter().map(|part| split(part.load(Relaxed)));
        parts.filter(|(number, _)| *number >= oldest).map(|(_, count)| u64::from(count)).sum()
    }

    /// Seconds of a part. Another window than before begins to count anew.
    fn width(&self, now: UnixSeconds, window: u32) -> u32 {
        let wanted = width_of(window);
        let width = self.width.load(Acquire);
        if width != wanted && self.width.compare_exchange(width, wanted, AcqRel, Relaxed).is_ok() {
            self.parts.iter().for_each(|part| part.store(0, Relaxed));
            self.since.store(now.0, Relaxed);
        }
        wanted
    }

    fn add(&self, number: u32) {
        let Some(part) = self.part(number) else { return };
        let _ = part.fetch_update(AcqRel, Relaxed, |word| match split(word) {
            (held, count) if held == number => Some(join(number, count.saturating_add(1))),
            // What was there is so old that it does not count any more.
            (held, _) if held < number => Some(join(number, 1)),
            _ => None,
        });
    }

    /// Whether there was one to take.
    fn take(&self, number: u32) -> bool {
        let take = |word| match split(word) {
            (held, count) if held == number && count > 0 => Some(join(number, count - 1)),
            _ => None,
        };
        self.part(number).is_some_and(|part| part.fetch_update(AcqRel, Relaxed, take).is_ok())
    }

    fn part(&self, number: u32) -> Option<&AtomicU64> {
        self.parts.get(number as usize % PLACES)
    }
}

fn width_of(window: u32) -> u32 {
    window.div_ceil(PARTS).max(1)
}

#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn join(number: u32, count: u32) -> u64 {
    u64::from(number) << 32 | u64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 86_400;
    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    #[test]
    fn sessions_are_counted_from_their_first_cookie_to_the_end_of_their_duration() {
        let ledger = SessionLedger::default();
        assert_eq!(ledger.count(NOW, DAY), 0);
        for _ in 0..5 {
            ledger.begin(NOW, DAY);
        }
        assert_eq!(ledger.count(NOW, DAY), 5);
        assert_eq!(ledger.count(NOW.plus(DAY), DAY), 5, "they may come back until then");
        assert_eq!(ledger.count(NOW.plus(DAY + DAY / 64 + 1), DAY), 0);
    }

    #[test]
    fn a_session_that_goes_on_is_one_however_long_and_however_often() {
        let ledger = SessionLedger::default();
        ledger.begin(NOW, DAY);
        ledger.begin(NOW, DAY);
        let mut issued = NOW;
        for _ in 0..1000 {
            let now = issued.plus(DAY / 3);
            // Side by side, with one and the same cookie.
            for _ in 0..20 {
                ledger.renew(issued, now, DAY, 1);
            }
            issued = now;
        }
        assert_eq!(ledger.count(issued, DAY), 1, "and the other is over");
    }

    #[test]
    fn a_session_that_goes_elsewhere_is_counted_there() {
        let (here, there) = (SessionLedger::default(), SessionLedger::default());
        here.begin(NOW, DAY);
        let later = NOW.plus(9000);
        here.begin(NOW, DAY);
        for _ in 0..3 {
            if here.leave(NOW, later, DAY, 77) {
                there.begin(later, DAY);
            }
        }
        assert_eq!((here.count(later, DAY), there.count(later, DAY)), (1, 1));
    }

    #[test]
    fn sessions_of_another_process_are_counted_when_they_come() {
        let ledger = SessionLedger::default();
        ledger.begin(NOW, DAY);
        ledger.renew(UnixSeconds(NOW.0 - 10), NOW.plus(1), DAY, 5);
        ledger.renew(UnixSeconds(NOW.0 - 10), NOW.plus(1), DAY, 5);
        assert_eq!(ledger.count(NOW, DAY), 2);
        assert!(!ledger.is_due(NOW.plus(1), NOW.plus(2), DAY));
        ledger.renew(NOW.plus(1), NOW.plus(2), DAY, 5);
        assert_eq!(ledger.count(NOW, DAY), 2);
    }

    #[test]
    fn another_duration_counts_anew() {
        let ledger = SessionLedger::default();
        ledger.begin(NOW, DAY);
        assert_eq!(ledger.count(NOW, 60), 0);
        ledger.renew(NOW, NOW.plus(5), 60, 9);
        assert_eq!(ledger.count(NOW.plus(5), 60), 1);
        assert_eq!(ledger.count(NOW.plus(66), 60), 0);
    }

    #[test]
    fn the_shortest_duration_has_parts_too() {
        let ledger = SessionLedger::default();
        ledger.begin(NOW, 1);
        assert_eq!((ledger.count(NOW.plus(1), 1), ledger.count(NOW.plus(2), 1)), (1, 0));
    }
}
