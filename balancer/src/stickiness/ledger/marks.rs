//! Marks that clients leave when their sessions move: what tells requests that a client makes side by side, and those of
//! one that goes on sending one and the same cookie, from requests of several clients. Must not know: what is counted.
//!
//! A mark that was left has one place that it can be in and gives way to the next one there: side by side means moments. Who
//! comes again with the same cookie when these are over took no other one, so its mark gets a place among those that
//! only others of the kind replace, the oldest first, whose cookies are the next to be over. A mark that is lost all the
//! same is as if it had not been left.

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Relaxed},
};

use crate::{atomics::AtomicU64, clock::UnixSeconds, id::TargetId, stickiness::mix::mix};

/// Places for marks left last.
const PLACES: usize = 4096;

/// Places for marks of clients that go on sending one cookie: sets, each of so many.
const SETS: usize = 512;
const WAYS: usize = 8;

/// Seconds within which what is done with a cookie is taken for side by side with something else that was done with it.
const MOMENT: u32 = 16;

/// Seconds after which somebody that comes with the same cookie is taken for one that goes on sending it.
const LATER: u32 = 4;

/// What becomes of the cookie that a request came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is replaced by one of now.
    Renewed,
    /// Its session goes elsewhere, or is over.
    Left,
    /// The same, and its target is gone: what was done with it there is of no account any more.
    Stranded,
}

/// What was done with a cookie before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing that is remembered.
    Nothing,
    /// The same, or something else a moment ago.
    Same,
    /// Something else, then.
    Other(UnixSeconds),
}

/// Marks of the clients of a group: a hash of client and cookie (43 bits), what was done (one), and when (the lower 20 of the
/// seconds: twelve days, longer than any cookie counts).
#[derive(Debug)]
pub struct Marks {
    last: Box<[AtomicU64]>,
    steady: Box<[[AtomicU64; WAYS]]>,
}

impl Default for Marks {
    fn default() -> Self {
        Self::with_places(PLACES, SETS)
    }
}

/// The mark of one client that came with a session of one target.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'m> {
    marks: &'m Marks,
    hash: u64,
}

impl Marks {
    /// Room for the last `places` marks, and for eight times `sets` of clients that go on sending one cookie.
    #[must_use]
    pub fn with_places(places: usize, sets: usize) -> Self {
        let empty = |_| AtomicU64::new(0);
        Self {
            last: (0..places).map(empty).collect(),
            steady: (0..sets).map(|_| array::from_fn(empty)).collect(),
        }
    }

    /// The mark of a client, which a hash tells from others, that came with a session of `target`.
    #[must_use]
    pub fn of(&self, client: u64, target: TargetId) -> Mark<'_> {
        Mark { marks: self, hash: mix(client ^ target.0) }
    }

    fn last(&self, mark: u64) -> Option<&AtomicU64> {
        self.last.get(place(mark >> 52, self.last.len())?)
    }

    fn steady(&self, mark: u64) -> &[AtomicU64] {
        let set = place(mark >> 40, self.steady.len()).and_then(|set| self.steady.get(set));
        set.map_or(&[], |set| set)
    }

    /// Keeps a mark of a client that goes on sending its cookie, in place of the oldest.
    #[cold]
    fn keep(&self, mark: u64, now: u64) {
        let seen = self.steady(mark).iter().map(|place| (place.load(Relaxed), place));
        let age = |held: u64| if held == 0 { u32::MAX } else { since(held, now) };
        if let Some((held, place)) = seen.max_by_key(|(held, _)| age(*held)) {
            // Whoever is quicker may have kept the very same.
            let _ = place.compare_exchange(held, mark, AcqRel, Relaxed);
        }
    }
}

impl Mark<'_> {
    /// Leaves the mark: this is done with a cookie set at `issued`. Says what was done with it before, in the last `memory`
    /// seconds. Who goes on sending one and the same cookie does one thing with it once, and another not before a
    /// moment has passed.
    pub fn leave(self, issued: UnixSeconds, done: Done, now: UnixSeconds, memory: u32) -> Before {
        // What tells two apart may be in the lower bits, for which there is no room: the upper ones of a product hold them, too.
        let mixed = (self.hash ^ u64::from(issued.0).wrapping_mul(SPREAD)).wrapping_mul(SPREAD);
        let hash = (mixed | 1 << KIND_AND_TIME) >> KIND_AND_TIME << KIND_AND_TIME;
        let mark = hash | u64::from(done != Done::Renewed) << TIME | u64::from(now.0) & TIMES;
        let moment = if done == Done::Stranded { 0 } else { MOMENT };
        let judge = |held: u64| match since(held, mark) {
            _ if held >> KIND_AND_TIME != mark >> KIND_AND_TIME => Before::Nothing,
            age if age > memory => Before::Nothing,
            _ if held >> TIME == mark >> TIME => Before::Same,
            age if age < moment => Before::Same,
            age => Before::Other(UnixSeconds(now.0.saturating_sub(age))),
        };
        let change = |place: &AtomicU64, is_changed: fn(Before) -> bool| {
            let held = place.fetch_update(AcqRel, Relaxed, |held| is_changed(judge(held)).then_some(mark));
            let held = held.unwrap_or_else(|held| held);
            (judge(held), held)
        };
        let known = self.marks.steady(mark).iter();
        let is_other = |before| matches!(before, Before::Other(_));
        if let Some(before) =
            known.map(|place| change(place, is_other).0).find(|before| *before != Before::Nothing)
        {
            return before;
        }
        let Some(place) = self.marks.last(mark) else { return Before::Nothing };
        let (before, held) = change(place, |before| before != Before::Same);
        match before {
            Before::Same if since(held, mark) >= LATER => self.marks.keep(held, mark),
            Before::Other(_) => self.marks.keep(mark, mark),
            Before::Same | Before::Nothing => {}
        }
        before
    }
}

/// Spreads what it is multiplied with over the bits above (Fibonacci hashing).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Bits of the time.
const TIME: u32 = 20;
const TIMES: u64 = (1 << TIME) - 1;
/// Bits beside the hash.
const KIND_AND_TIME: u32 = TIME + 1;

fn place(bits: u64, places: usize) -> Option<usize> {
    usize::try_from(bits).unwrap_or(0).checked_rem(places)
}

/// Seconds between two marks. A clock that is behind by a little has nothing pass.
fn since(earlier: u64, later: u64) -> u32 {
    let seconds = u32::try_from(later.wrapping_sub(earlier) & TIMES).unwrap_or(0);
    if u64::from(seconds) > TIMES - u64::from(MOMENT) { 0 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
    const ONE: TargetId = TargetId(1);
    const EVER: u32 = u32::MAX;

    #[test]
    fn a_thing_is_done_once_and_another_after_a_moment() {
        let marks = Marks::default();
        let at = |seconds: u32, done| marks.of(mix(1), ONE).leave(NOW, done, NOW.plus(seconds), EVER);
        assert_eq!(at(5, Done::Renewed), Before::Nothing);
        assert_eq!(at(5, Done::Renewed), Before::Same);
        assert_eq!(at(20, Done::Left), Before::Same, "side by side");
        assert_eq!(at(4, Done::Left), Before::Same, "by a clock that is behind");
        assert_eq!(at(21, Done::Left), Before::Other(NOW.plus(5)));
        assert_eq!(at(1000, Done::Left), Before::Same);
        assert_eq!(at(1001, Done::Renewed), Before::Other(NOW.plus(21)), "it has come back");
        assert_eq!(at(1002, Done::Stranded), Before::Other(NOW.plus(1001)), "whatever was done a moment ago");
        assert_eq!(at(1003, Done::Left), Before::Same);
        assert_eq!(at(1_046_000, Done::Stranded), Before::Same, "as long as cookies count");
    }

    #[test]
    fn clients_cookies_and_targets_are_told_apart() {
        let marks = Marks::default();
        let leave = |client, target, issued| marks.of(client, target).leave(issued, Done::Left, NOW, EVER);
        for (client, target, issued) in [
            (mix(1), ONE, NOW),
            (mix(2), ONE, NOW),
            (mix(1), ONE, NOW.plus(1)),
            (mix(1), TargetId(2), NOW),
            (7, ONE, NOW),
            (8, ONE, NOW),
            (ONE.0, ONE, UnixSeconds(0)),
        ] {
            assert_eq!(leave(client, target, issued), Before::Nothing);
            assert_eq!(leave(client, target, issued), Before::Same);
        }
    }

    #[test]
    fn what_was_done_before_a_ledger_was_begun_is_forgotten() {
        let marks = Marks::default();
        let at = |seconds, memory| marks.of(9, ONE).leave(NOW, Done::Renewed, NOW.plus(seconds), memory);
        assert_eq!(at(0, EVER), Before::Nothing);
        assert_eq!(at(10, 10), Before::Same);
        assert_eq!(at(20, 9), Before::Nothing);
        assert_eq!(at(25, 9), Before::Same);
        assert_eq!(at(45, 30), Before::Same, "and is known from then on");
    }

    /// However many others leave theirs meanwhile, and though there is but one place for all of them.
    #[test]
    fn who_goes_on_sending_one_cookie_is_known_for_as_long() {
        let marks = Marks::with_places(1, 1);
        let leave = |client, done, seconds| marks.of(client, ONE).leave(NOW, done, NOW.plus(seconds), EVER);
        for client in 0..8_u32 {
            assert_eq!(leave(mix(client.into()), Done::Renewed, client), Before::Nothing);
            assert_eq!(leave(mix(client.into()), Done::Renewed, client + LATER), Before::Same);
        }
        for other in 100..10_000 {
            assert_eq!(leave(mix(other), Done::Renewed, 100), Before::Nothing);
        }
        for client in 0..8_u32 {
            assert_eq!(leave(mix(client.into()), Done::Renewed, 100), Before::Same);
            assert_eq!(leave(mix(client.into()), Done::Left, 100), Before::Other(NOW.plus(client)));
            assert_eq!(leave(mix(client.into()), Done::Left, 500_000), Before::Same);
        }
        // One more, and that goes which would be over first.
        assert_eq!(leave(mix(8), Done::Renewed, 600), Before::Nothing);
        assert_eq!(leave(mix(8), Done::Renewed, 610), Before::Same);
        assert_eq!(leave(mix(9), Done::Renewed, 620), Before::Nothing);
        let known = (0..9).filter(|client| leave(mix(*client), Done::Renewed, 630) != Before::Nothing);
        assert_eq!(known.count(), 8);
    }

    #[test]
    fn no_room_is_no_harm() {
        let marks = Marks::with_places(0, 0);
        assert_eq!(marks.of(1, ONE).leave(NOW, Done::Left, NOW, EVER), Before::Nothing);
    }
}
