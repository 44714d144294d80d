//! How many sessions are bound to one target: a count of the cookies that are out, kept without knowing whose they
//! are. Must not know: clients, cookies, what a target is.
//!
//! A cookie tells when it was set. The ledger counts cookies by that time, in parts of the time for which
//! they count: a response that sets the first cookie of a session adds one, a response that sets a later one moves one
//! from the part of the cookie that came to the part of now. Within a part nothing is to be moved, so a session costs
//! an atomic operation or two once in a part of its duration, however many requests it makes.
//!
//! Requests that a client makes side by side bring the same cookie several times, and a client may go on sending its first
//! one, and here cookies set in the same second are all alike. So whoever moves one leaves a mark of the client, a keyed hash
//! that says nothing to anybody, and what comes with the same mark moves nothing. A mark may be forgotten, a client may be
//! like another one, and one that was answered late has a cookie of a part that it was not moved to, so that one moves what is
//! another's: then that one, when it comes or goes, moves the oldest there is. **The sum over all ledgers stays right:
//! what leaves is counted elsewhere if something was taken out here for it, and not otherwise.**
//!
//! A cookie of before the ledger was begun is another process's: its session is counted when it comes. Of the second in
//! which it was begun cookies may be of either, so it is known how many are of here: so many of those that come back are
//! taken for these, and the rest for others. Where a clock is set back behind the beginning, counting begins anew there.
//! What was done before that is of no account, so marks of then do not count. Of these cookies nothing but the mark tells
//! that they have been counted.
//!
//! Where several balancers count, each has ledgers of its own, and a client may come to any of them. What is not found then is taken
//! for what another one counts, and nothing is taken out for it. What is found in a part may be another client's of that part,
//! whose own entry is at the other balancer and in that part as well: **the sum over all balancers is never less than there are
//! sessions**, and what is counted twice is over when its cookie would have been.
//!
//! Parts are a power of two of seconds long, and there is an [`Era`] for each length that was ever asked for. When the
//! duration changes, what was counted by other parts stays where it is, however often, and counts as long as the new one says;
//! what is over by that counts again when the duration is made longer again, since its cookie does, unless its client came and
//! was given another. Only the control side changes it: what is left of requests that began before has no say in it.

mod era;
mod marks;

use std::{
    array,
    sync::{
        OnceLock,
        atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

pub use self::marks::{Before, Done, Mark, Marks};

use self::era::{Era, PARTS};
use crate::{atomics::AtomicU32, clock::UnixSeconds};

/// What clocks of threads differ by, in seconds.
const SKEW: u32 = 1;
/// Seconds of which it cannot be told whether a cookie is of this process: that in which counting began, and those before and
/// after it that another thread may have been in.
const OVERLAP: usize = 1 + 2 * SKEW as usize;

/// Lengths of parts: powers of two up to that of the longest duration, 2^13 seconds. A longer one is counted by these, too,
/// as far as they reach.
const SCALES: usize = 14;

/// Cookies of one target by the time at which they were set. Written by all workers.
#[derive(Debug)]
pub struct SessionLedger {
    /// Seconds for which a cookie counts.
    window: AtomicU32,
    /// From when on every cookie that was set here is in here; 0: nothing is counted yet.
    begun: AtomicU32,
    /// Cookies that are in here of each second from then on.
    early: [AtomicU32; OVERLAP],
    /// Which of the eras counts what is set now, and how long its parts are: two to the power of it.
    scale: AtomicU32,
    /// 1: other balancers set cookies of the target as well.
    shared: AtomicU32,
    eras: [OnceLock<Box<Era>>; SCALES],
}

impl Default for SessionLedger {
    fn default() -> Self {
        Self {
            window: AtomicU32::new(1),
            begun: AtomicU32::new(0),
            early: array::from_fn(|_| AtomicU32::new(0)),
            scale: AtomicU32::new(0),
            shared: AtomicU32::new(0),
            eras: Default::default(),
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
    /// From `now` on cookies count for `window` seconds, those that are out included. For the control side alone, before
    /// anything else is done with the ledger, and whenever it likes.
    pub fn count_for(&self, window: u32, now: UnixSeconds) {
        let _ = self.begun.compare_exchange(0, first_second(now), AcqRel, Relaxed);
        self.window.store(window, Relaxed);
        let scale = scale_of(window);
        let Some(era) = self.eras.get(scale as usize) else { return };
        era.get_or_init(|| Box::new(Era::of(scale))).open();
        let before = self.scale.swap(scale, AcqRel);
        if before != scale
            && let Some(era) = self.era(before)
        {
            era.close(now.plus(SKEW));
        }
    }

    /// From now on other balancers set cookies of the target as well. One that nothing is counted for may be theirs.
    pub fn share(&self) {
        self.shared.store(1, Relaxed);
    }

    /// A session begins: its first cookie is set at `now`.
    pub fn begin(&self, now: UnixSeconds) {
        self.enter(now);
    }

    /// Whether [`Self::renew`] may change anything by the time that the response comes, and so needs a mark.
    #[must_use]
    pub fn is_due(&self, issued: UnixSeconds, now: UnixSeconds) -> bool {
        match self.origin(issued, now) {
            SetBy::Elsewhere | SetBy::Early(_) => true,
            SetBy::Here => !self.is_one_part(issued, now),
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
    pub fn renew(&self, issued: UnixSeconds, now: UnixSeconds, mark: Option<Mark<'_>>) {
        let (origin, is_one_part) = (self.origin(issued, now), self.is_one_part(issued, now));
        match (origin, mark) {
            (SetBy::Here, _) if is_one_part => {}
            (SetBy::Early(_), _) if issued == now => {}
            (SetBy::Here, None) => {
                if self.take(issued) {
                    self.enter(now);
                }
            }
            (SetBy::Elsewhere | SetBy::Early(_), None) => {}
            (origin, Some(mark)) => match self.leave_mark(mark, issued, Done::Renewed, now) {
                Before::Same => {}
                // What was counted of it went with it when it left.
                Before::Other(_) => self.enter(now),
                Before::Nothing if !is_in_here(origin) => self.enter(now),
                Before::Nothing if is_one_part => self.enter_early(now),
                Before::Nothing => {
                    let _ = self.take(issued) || self.take_another(now);
                    self.enter(now);
                }
            },
        }
    }

    /// A session whose cookie was set at `issued` goes to another target. False: it is counted there already, since it
    /// went before, or what was counted of it here was taken for another that did.
    pub fn leave(&self, issued: UnixSeconds, now: UnixSeconds, mark: Mark<'_>) -> bool {
        match self.leave_mark(mark, issued, Done::Left, now) {
            Before::Same => false,
            Before::Other(renewed) => self.take(renewed) || self.take_another(now) || self.is_shared(),
            Before::Nothing => {
                let is_elsewhere = !is_in_here(self.origin(issued, now));
                is_elsewhere || self.take(issued) || self.take_another(now) || self.is_shared()
            }
        }
    }

    /// The client of a cookie that does not count any more is given another one, of a new session. False: it was given one
    /// before.
    pub fn replace(&self, issued: UnixSeconds, now: UnixSeconds, mark: Mark<'_>) -> bool {
        let before = self.leave_mark(mark, issued, Done::Left, now);
        let _ = match before {
            Before::Same => false,
            Before::Other(renewed) => self.take(renewed),
            Before::Nothing => is_in_here(self.origin(issued, now)) && self.take(issued),
        };
        before != Before::Same
    }

    /// Marks of before the ledger was begun are of one before it.
    fn leave_mark(&self, mark: Mark<'_>, issued: UnixSeconds, done: Done, now: UnixSeconds) -> Before {
        let begun = UnixSeconds(self.begun.load(Relaxed));
        mark.leave(issued, done, now, now.since(begun))
    }

    /// The sessions whose cookies still count at `now`. One that ends is counted for up to a part of the duration more.
    #[must_use]
    pub fn count(&self, now: UnixSeconds) -> u64 {
        let oldest = self.oldest(now);
        self.all().map(|era| era.count(oldest)).sum()
    }

    /// When cookies were set that are just still good.
    fn oldest(&self, now: UnixSeconds) -> UnixSeconds {
        UnixSeconds(now.0.saturating_sub(self.window.load(Relaxed)))
    }

    fn era(&self, scale: u32) -> Option<&Era> {
        self.eras.get(scale as usize)?.get().map(|era| &**era)
    }

    /// All eras in which there is anything.
    fn all(&self) -> impl Iterator<Item = &Era> {
        self.eras.iter().filter_map(|era| era.get().map(|era| &**era))
    }

    fn is_one_part(&self, one: UnixSeconds, other: UnixSeconds) -> bool {
        (one.0 ^ other.0).checked_shr(self.scale.load(Relaxed)).unwrap_or(0) == 0
    }

    /// Whose a cookie is that was set at `issued`.
    fn origin(&self, issued: UnixSeconds, now: UnixSeconds) -> SetBy<'_> {
        let begun = self.begun.load(Relaxed);
        match issued.0.checked_sub(begun) {
            None => self.before(begun, issued, now),
            Some(second) => self.early.get(second as usize).map_or(SetBy::Here, SetBy::Early),
        }
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
        if let Some(era) = self.era(self.scale.load(Acquire)) {
            era.add(now);
        }
    }

    fn enter_early(&self, now: UnixSeconds) {
        if let SetBy::Early(cookies) = self.origin(now, now) {
            cookies.fetch_add(1, AcqRel);
        }
    }

    /// Takes one out that was set at `issued`. False: there is none.
    fn take(&self, issued: UnixSeconds) -> bool {
        let current = self.era(self.scale.load(Acquire));
        current.is_some_and(|era| era.take(issued)) || self.all().any(|era| era.take(issued))
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Relaxed) != 0
    }

    /// Takes another one's for one that is not found. Not where that may be counted by another balancer: see the head of this file.
    fn take_another(&self, now: UnixSeconds) -> bool {
        !self.is_shared() && self.take_oldest(now)
    }

    /// Takes one out of those that are good no longer than all others. False: there is none.
    #[cold]
    fn take_oldest(&self, now: UnixSeconds) -> bool {
        let oldest = self.oldest(now);
        loop {
            let found = self.all().filter_map(|era| Some((era.first_after(oldest)?, era)));
            match found.min_by_key(|(at, _)| *at) {
                None => return false,
                Some((at, era)) if era.take(at) => return true,
                // Another thread has taken the last of that part.
                Some(_) => {}
            }
        }
    }
}

/// The longest parts, two to the power of it in seconds, of which [`PARTS`] at least make up so many seconds.
fn scale_of(window: u32) -> u32 {
    let most = u32::try_from(SCALES - 1).unwrap_or(0);
    (window / PARTS).checked_ilog2().unwrap_or(0).min(most)
}

/// The first of the seconds that other threads may be in.
fn first_second(now: UnixSeconds) -> u32 {
    now.0.saturating_sub(SKEW).max(1)
}

/// Whether a cookie is one that was counted when it was set. Of those of which it cannot be told so many are as there were.
fn is_in_here(origin: SetBy<'_>) -> bool {
    match origin {
        SetBy::Elsewhere => false,
        SetBy::Early(cookies) => {
            cookies.fetch_update(AcqRel, Relaxed, |cookies| cookies.checked_sub(1)).is_ok()
        }
        SetBy::Here => true,
    }
}

#[cfg(test)]
mod tests;
