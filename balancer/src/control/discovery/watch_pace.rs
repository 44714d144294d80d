//! How soon a watch may begin after the one before. One that ends as soon as it begins and has told nothing is of a server, or of
//! something before it, that does no watches now: to ask it again at once would be to ask it all the time.
//! Time comes from outside; must not know: what is watched.

use std::time::{Duration, Instant};

/// A watch that lasts for less, and tells nothing, was in vain.
const SHORT: Duration = Duration::from_secs(1);
/// The first rest, and the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct WatchPace {
    began: Option<Instant>,
    in_vain: u32,
}

impl WatchPace {
    /// How long to wait before the next watch begins.
    pub(super) fn rest(&mut self, now: Instant) -> Duration {
        let Some(began) = self.began.take() else { return Duration::ZERO };
        let was_short = now.saturating_duration_since(began) < SHORT;
        self.in_vain = if was_short { self.in_vain.saturating_add(1) } else { 0 };
        match self.in_vain.checked_sub(1) {
            None => Duration::ZERO,
            Some(earlier) => FIRST_REST.saturating_mul(1 << earlier.min(10)).min(LONGEST_REST),
        }
    }

    /// One begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// It has told something: it is worth its while.
    pub(super) fn told(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_now;

    #[test]
    fn watches_in_vain_are_begun_less_and_less_often() {
        let (mut pace, mut now) = (WatchPace::default(), monotonic_now());
        assert_eq!(pace.rest(now), Duration::ZERO, "the first one");
        let rests: Vec<u64> = (0..7)
            .map(|_| {
                pace.begin(now);
                now += SHORT / 2;
                pace.rest(now).as_secs()
            })
            .collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
        pace.begin(now);
        assert_eq!(pace.rest(now + SHORT), Duration::ZERO, "one that lasted");
        pace.begin(now);
        pace.told();
        assert_eq!(pace.rest(now), Duration::ZERO, "one that told something");
        pace.begin(now);
        assert_eq!(pace.rest(now), FIRST_REST);
    }
}
