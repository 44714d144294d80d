//! Marks that clients leave when their sessions move: what tells requests that a client makes side by side from those of
//! several clients. Must not know: what is counted.

use std::{
    array,
    sync::atomic::Ordering::{AcqRel, Relaxed},
};

use crate::{atomics::AtomicU64, clock::UnixSeconds};

/// Marks that are remembered: what side by side means is moments.
const MARKS: usize = 256;

/// Seconds within which what is done with a cookie is taken for side by side with something else that was done with it.
const MOMENT: u16 = 16;

/// What becomes of the cookie that a request came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is replaced by one of now.
    Renewed,
    /// Its session goes elsewhere, or is over.
    Left,
}

/// Marks left last, each in the one place that it can be in: a hash of client and cookie (47 bits), what was done (one), and
/// when (the lower half of the seconds).
#[derive(Debug)]
pub struct Marks([AtomicU64; MARKS]);

impl Default for Marks {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Marks {
    /// Leaves the mark of a client that came with a cookie set at `issued`. False: it is there already. Who goes on sending
    /// one and the same cookie does one thing with it once, and another not before a moment has passed.
    pub fn leave(&self, mark: u64, issued: UnixSeconds, done: Done, now: UnixSeconds) -> bool {
        // What tells two apart may be in the lower bits, for which there is no room: the upper ones of a product hold them, too.
        let mixed = (mark ^ u64::from(issued.0).wrapping_mul(SPREAD)).wrapping_mul(SPREAD);
        let hash = mixed | 1 << KIND_AND_TIME;
        let left = hash >> KIND_AND_TIME << KIND_AND_TIME | u64::from(done == Done::Left) << TIME | time(now);
        let index = usize::try_from(hash >> 56).unwrap_or(0) % MARKS;
        let is_new = |held: u64| {
            let is_same = held >> KIND_AND_TIME == left >> KIND_AND_TIME;
            let is_done = held >> TIME == left >> TIME;
            (!is_same || (!is_done && since(held, left) >= MOMENT)).then_some(left)
        };
        self.0.get(index).is_none_or(|place| place.fetch_update(AcqRel, Relaxed, is_new).is_ok())
    }
}

/// Spreads what it is multiplied with over the bits above (Fibonacci hashing).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Bits of the time.
const TIME: u32 = 16;
/// Bits beside the hash.
const KIND_AND_TIME: u32 = TIME + 1;

fn time(now: UnixSeconds) -> u64 {
    u64::from(now.0 & 0xFFFF)
}

/// Seconds between two marks. A clock that is behind by a little has nothing pass.
#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn since(earlier: u64, later: u64) -> u16 {
    let seconds = (later as u16).wrapping_sub(earlier as u16);
    if seconds > u16::MAX - MOMENT { 0 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stickiness::mix::mix;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    #[test]
    fn a_thing_is_done_once_and_another_after_a_moment() {
        let (marks, client) = (Marks::default(), mix(1));
        assert!(marks.leave(client, NOW, Done::Renewed, NOW.plus(5)));
        assert!(!marks.leave(client, NOW, Done::Renewed, NOW.plus(5)));
        assert!(!marks.leave(client, NOW, Done::Left, NOW.plus(20)), "side by side");
        assert!(!marks.leave(client, NOW, Done::Left, NOW.plus(4)), "by a clock that is behind");
        assert!(marks.leave(client, NOW, Done::Left, NOW.plus(21)));
        assert!(!marks.leave(client, NOW, Done::Left, NOW.plus(1000)));
        assert!(marks.leave(client, NOW, Done::Renewed, NOW.plus(1001)), "it has come back");
    }

    #[test]
    fn clients_and_cookies_are_told_apart() {
        let marks = Marks::default();
        assert!(marks.leave(mix(1), NOW, Done::Left, NOW));
        assert!(marks.leave(mix(2), NOW, Done::Left, NOW));
        assert!(marks.leave(mix(1), NOW.plus(1), Done::Left, NOW));
        assert!(marks.leave(7, NOW, Done::Left, NOW) && marks.leave(8, NOW, Done::Left, NOW));
        assert!(
            Marks::default().leave(0, UnixSeconds(0), Done::Renewed, UnixSeconds(0)),
            "no mark is one of nobody"
        );
    }
}
