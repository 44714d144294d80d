//! How soon a watch may begin after the one before. One that ends as soon as it begins and has told nothing is of a server, or of
//! something before it, that does no watches now: to ask it again at once would be to ask it all the time.
//! Time comes from outside; must not know: what is watched.

use std::time::{Duration, Instant};

/// A watch that lasts for less, and tells nothing, was in vain.
pub(super) const SHORT: Duration = Duration::from_secs(1);
/// The first rest, and the longest, where nothing else is said.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct WatchPace {
    first: Duration,
    longest: Duration,
    began: Option<Instant>,
    in_vain: u32,
}

impl Default for WatchPace {
    fn default() -> Self {
        Self::between(FIRST_REST, LONGEST_REST)
    }
}

impl WatchPace {
    /// With rests that begin with `first` and get no longer than `longest`.
    pub(super) const fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, began: None, in_vain: 0 }
    }

    /// How long to wait before the next watch begins.
    pub(super) fn rest(&mut self, now: Instant) -> Duration {
        let Some(began) = self.began.take() else { return Duration::ZERO };
        let was_short = now.saturating_duration_since(began) < SHORT;
        self.in_vain = if was_short { self.in_vain.saturating_add(1) } else { 0 };
        self.in_vain.checked_sub(1).map_or(Duration::ZERO, |earlier| self.after(earlier))
    }

    /// How long to wait after something has failed, a watch that has begun or what comes before one: there is always some rest.
    pub(super) fn rest_of_failure(&mut self, now: Instant) -> Duration {
        let lasted = self.began.take().is_some_and(|began| now.saturating_duration_since(began) >= SHORT);
        let earlier = if lasted { 0 } else { self.in_vain };
        self.in_vain = earlier.saturating_add(1);
        self.after(earlier)
    }

    fn after(&self, earlier: u32) -> Duration {
        self.first.saturating_mul(1 << earlier.min(10)).min(self.longest)
    }

    /// One begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// It has told something: it is worth its while.
    pub(super) fn told(&mut self) {
        (self.began, self.in_vain) = (None, 0);
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
    #[test]
    fn after_a_failure_there_is_always_a_rest() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(3));
        let (mut pace, mut now) = (WatchPace::between(first, longest), monotonic_now());
        // Some of them fail before there is a watch, others soon after.
        let rests: Vec<u128> = (0..5)
            .map(|turn| {
                if turn % 2 == 1 {
                    pace.begin(now);
                }
                now += SHORT / 2;
                pace.rest_of_failure(now).as_millis()
            })
            .collect();
        assert_eq!(rests, [500, 1000, 2000, 3000, 3000]);
        pace.begin(now);
        assert_eq!(pace.rest_of_failure(now + SHORT), first, "one that lasted");
        assert_eq!(pace.rest_of_failure(now), 2 * first);
        pace.begin(now);
        pace.told();
        assert_eq!(pace.rest_of_failure(now), first, "one that told something");
    }
}
