//! How many sessions are bound to one target: a count of the cookies that are out, kept without knowing whose they
//! are. Must not know: clients, cookies, what a target is.
//!
//! A cookie tells when it was set. The ledger counts cookies by that time, in parts of the time for which
//! they count: a response that sets the first cookie of a session adds one, a response that sets a later one moves one
//! from the part of the cookie that came to the part of now. Within a part nothing is to be moved, so a session costs
//! an atomic operation or two once in a part of its duration, however many requests it makes.
//!
//! Requests that a client makes side by side bring the same cookie several times, and here cookies set in the same
//! second are all alike. So whoever moves one leaves a mark of the client, a keyed hash that says nothing to anybody, and
//! what comes with the same mark moves nothing. A mark may be forgotten, a client may be like another one, and one that was
//! answered late has a cookie of a part that it was not moved to, so that one moves what is another's: then that one, when
//! it comes or goes, moves the oldest there is. The sum stays right, and who comes back is never counted as nobody.
//!
//! A cookie of before the ledger was begun is another process's: its session is counted when it comes. Of the second in
//! which it was begun cookies may be of either, so it is known how many are of here: so many of those that come back are
//! taken for these, and the rest for others. Where a clock is set back behind the beginning, counting begins anew there.
//!
//! When the duration changes, what was counted by parts of the duration before stays where it is and counts as long as
//! the new one says; what is over by that counts again when the duration is made longer again, since its cookie does, unless
//! its client came and was given another. Only the control side changes it: what is left of requests that began before has no say in it.

mod era;
mod marks;

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

pub use self::marks::{Done, Marks};

use self::era::{Era, PARTS};
use crate::{
    atomics::{AtomicU32, AtomicUsize},
    clock::UnixSeconds,
};

/// What clocks of threads differ by, in seconds.
const SKEW: u32 = 1;
/// Seconds of which it cannot be told whether a cookie is of this process: that in which counting began, and those before and
/// after it that another thread may have been in.
const OVERLAP: usize = 1 + 2 * SKEW as usize;

/// Cookies of one target by the time at which they were set. Written by all workers.
#[derive(Debug)]
pub struct SessionLedger {
    /// Seconds for which a cookie counts.
    window: AtomicU32,
    /// From when on every cookie that was set here is in here; 0: nothing was counted yet.
    begun: AtomicU32,
    /// Cookies that are in here of each second from then on.
    early: [AtomicU32; OVERLAP],
    /// Which of the eras counts what is set now.
    current: AtomicUsize,
    eras: [Era; 2],
    marks: Marks,
}

impl Default for SessionLedger {
    fn default() -> Self {
        Self {
            window: AtomicU32::new(1),
            begun: AtomicU32::new(0),
            early: array::from_fn(|_| AtomicU32::new(0)),
            current: AtomicUsize::new(0),
            eras: Default::default(),
            marks: Marks::default(),
        }
    }
}

/// What is known of a cookie by when it was set.
#[derive(Clone, Copy)]
enum SetBy<'l> {
    /// Another process has set it.
    Elsewhere,
    /// This one or another: so many of that second are in here.
    Early(&'l AtomicU32),
    /// This one.
    Here,
}

impl SessionLedger {
    /// From `now` on cookies count for `window` seconds, those that are out included. For the control side alone.
    pub fn count_for(&self, window: u32, now: UnixSeconds) {
        self.window.store(window, Relaxed);
        let width = window.div_ceil(PARTS).max(1);
        let (current, other) = self.eras();
        if current.width() == width {
            return;
        }
        if other.width() != width {
            // Two changes ago: what is left goes over to the last one, and this one begins anew.
            other.move_into(current, now);
            other.set_width(width);
        }
        other.open();
        current.close(now.plus(SKEW));
        self.current.fetch_xor(1, Release);
    }

    /// A session begins: its first cookie is set at `now`.
    pub fn begin(&self, now: UnixSeconds) {
        self.enter(now);
    }

    /// Whether [`Self::renew`] would change anything, and so needs a mark.
    #[must_use]
    pub fn is_due(&self, issued: UnixSeconds, now: UnixSeconds) -> bool {
        match self.origin(issued, now) {
            SetBy::Elsewhere => true,
            SetBy::Early(_) => issued != now,
            SetBy::Here => !self.eras().0.is_one_part(issued, now),
        }
    }

    /// Whether a session whose cookie was set at `issued` may be one that is not counted, since another process set it.
    #[must_use]
    pub fn may_be_missing(&self, issued: UnixSeconds, now: UnixSeconds) -> bool {
        match self.origin(issued, now) {
            SetBy::Elsewhere => true,
            SetBy::Early(_) => issued != now,
            SetBy::Here => false,
        }
    }

    /// The cookie of a session, set at `issued`, is replaced by one set at `now`. `mark` tells its client from others
    /// with the same cookie; there is none where this was not due yet when the request came.
    pub fn renew(&self, issued: UnixSeconds, now: UnixSeconds, mark: Option<u64>) {
        let is_another = |mark| !self.marks.leave(mark, issued, Done::Renewed, now);
        if !self.is_due(issued, now) || mark.is_some_and(is_another) {
            return;
        }
        let is_counted = match self.origin(issued, now) {
            SetBy::Elsewhere => false,
            SetBy::Early(cookies) => take_early(cookies),
            SetBy::Here => true,
        };
        match (is_counted, mark) {
            (true, _) if self.eras().0.is_one_part(issued, now) => self.enter_early(now),
            (true, None) if !self.take(issued) => {}
            (true, None) => self.enter(now),
            (true, Some(_)) => {
                let _ = self.take(issued) || self.take_oldest(now);
                self.enter(now);
            }
            // Of requests side by side without marks one has done it.
            (false, None) => {}
            (false, Some(_)) => self.enter(now),
        }
    }

    /// A session whose cookie was set at `issued` goes to another target. False: it went before.
    pub fn leave(&self, issued: UnixSeconds, now: UnixSeconds, mark: u64) -> bool {
        let take = || self.take(issued) || self.take_oldest(now);
        self.let_go(issued, now, mark, take)
    }

    /// The client of a cookie that does not count any more is given another one, of a new session. False: it was given one
    /// before.
    pub fn replace(&self, issued: UnixSeconds, now: UnixSeconds, mark: u64) -> bool {
        self.let_go(issued, now, mark, || self.take(issued))
    }

    fn let_go(&self, issued: UnixSeconds, now: UnixSeconds, mark: u64, take: impl FnOnce() -> bool) -> bool {
        let is_first = self.marks.leave(mark, issued, Done::Left, now);
        if is_first {
            let _ = match self.origin(issued, now) {
                SetBy::Elsewhere => false,
                SetBy::Early(cookies) => take_early(cookies) && take(),
                SetBy::Here => take(),
            };
        }
        is_first
    }

    /// The sessions whose cookies still count at `now`. One that ends is counted for up to a part of the duration more.
    #[must_use]
    pub fn count(&self, now: UnixSeconds) -> u64 {
        let oldest = self.oldest(now);
        self.eras.iter().map(|era| era.count(oldest)).sum()
    }

    /// When cookies were set that are just still good.
    fn oldest(&self, now: UnixSeconds) -> UnixSeconds {
        UnixSeconds(now.0.saturating_sub(self.window.load(Relaxed)))
    }

    /// The era that counts now, and the one before.
    fn eras(&self) -> (&Era, &Era) {
        let [first, second] = &self.eras;
        if self.current.load(Acquire).is_multiple_of(2) { (first, second) } else { (second, first) }
    }

    /// Whose a cookie is that was set at `issued`. Counting begins now if it was not begun.
    fn origin(&self, issued: UnixSeconds, now: UnixSeconds) -> SetBy<'_> {
        let begun = match self.begun.load(Relaxed) {
            0 => self.begin_counting(now),
            begun => begun,
        };
        match issued.0.checked_sub(begun) {
            None => self.before(begun, issued, now),
            Some(second) => self.early.get(second as usize).map_or(SetBy::Here, SetBy::Early),
        }
    }

    #[cold]
    fn begin_counting(&self, now: UnixSeconds) -> u32 {
        let first = first_second(now);
        self.begun.compare_exchange(0, first, AcqRel, Relaxed).err().unwrap_or(first)
    }

    /// Whose a cookie is that was set before `begun`.
    #[cold]
    fn before(&self, begun: u32, issued: UnixSeconds, now: UnixSeconds) -> SetBy<'_> {
        if now.plus(SKEW).0 >= begun {
            return SetBy::Elsewhere;
        }
        // By more than clocks of threads differ by: it was set back.
        let first = first_second(now);
        if self.begun.compare_exchange(begun, first, AcqRel, Relaxed).is_ok() {
            self.early.iter().for_each(|cookies| cookies.store(0, Release));
        }
        match issued.0.checked_sub(first) {
            None => SetBy::Elsewhere,
            Some(second) => self.early.get(second as usize).map_or(SetBy::Here, SetBy::Early),
        }
    }

    /// Counts a cookie that is set now.
    fn enter(&self, now: UnixSeconds) {
        self.enter_early(now);
        self.eras().0.add(now);
    }

    fn enter_early(&self, now: UnixSeconds) {
        if let SetBy::Early(cookies) = self.origin(now, now) {
            cookies.fetch_add(1, AcqRel);
        }
    }

    /// Takes one out that was set at `issued`. False: there is none.
    fn take(&self, issued: UnixSeconds) -> bool {
        let (current, other) = self.eras();
        current.take(issued) || other.take(issued)
    }

    /// Takes one out of those that are good no longer than all others. False: there is none.
    #[cold]
    fn take_oldest(&self, now: UnixSeconds) -> bool {
        let oldest = self.oldest(now);
        let found = self.eras.iter().filter_map(|era| Some((era.first_after(oldest)?, era)));
        found.min_by_key(|(at, _)| *at).is_some_and(|(at, era)| era.take(at))
    }
}

/// The first of the seconds that other threads may be in.
fn first_second(now: UnixSeconds) -> u32 {
    now.0.saturating_sub(SKEW).max(1)
}

/// Whether there was one to take.
fn take_early(cookies: &AtomicU32) -> bool {
    cookies.fetch_update(AcqRel, Relaxed, |cookies| cookies.checked_sub(1)).is_ok()
}

#[cfg(test)]
mod tests;
