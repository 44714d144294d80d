//! When the store's thread does what it does beside sessions. Time comes from outside; must not know: how it is done.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::id::TargetId;

/// How often others are told of sessions at most, and how often of all of them, changed or not.
const COUNTS: Duration = Duration::from_secs(1);
const ALL_COUNTS: Duration = Duration::from_secs(5);

/// How often others are told of all verdicts.
pub(super) const ALL_VERDICTS: Duration = Duration::from_millis(500);

/// When what is to be done next, over one connection.
pub(super) struct Errands {
    counts_at: Instant,
    all_counts_at: Instant,
    /// What was told of each target.
    told: HashMap<TargetId, u64>,
    pub(super) claim_at: Instant,
    pub(super) verdicts_at: Instant,
    pub(super) has_asked: bool,
    pub(super) has_ended: bool,
}

impl Errands {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            counts_at: now,
            all_counts_at: now,
            told: HashMap::new(),
            claim_at: now,
            verdicts_at: now,
            has_asked: false,
            has_ended: false,
        }
    }

    /// Of these sessions those that others are to be told of now; none: it is not time.
    pub(super) fn counts(
        &mut self,
        counts: impl FnOnce() -> Vec<(TargetId, u64)>,
        asked: impl FnOnce() -> bool,
        now: Instant,
    ) -> Option<Vec<(TargetId, u64)>> {
        if now < self.counts_at {
            return None;
        }
        self.counts_at = now + COUNTS;
        let all = asked() || now >= self.all_counts_at;
        if all {
            self.all_counts_at = now + ALL_COUNTS;
        }
        let counts = counts();
        let has_changed = |(target, count): &&(TargetId, u64)| self.told.get(target) != Some(count);
        let told: Vec<_> = counts.iter().filter(|count| all || has_changed(count)).copied().collect();
        self.told = counts.into_iter().collect();
        // That there is nothing to tell tells that this balancer is there.
        (all || !told.is_empty()).then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_now;

    #[test]
    fn others_are_told_once_a_second_of_what_has_changed_and_now_and_then_of_all() {
        let start = monotonic_now();
        let mut errands = Errands::new(start);
        let (one, two) = (TargetId(1), TargetId(2));
        let mut at = |millis, asked: bool, first, second| {
            let counts = || vec![(one, first), (two, second)];
            errands.counts(counts, || asked, start + Duration::from_millis(millis))
        };
        assert_eq!(at(0, false, 1, 0), Some(vec![(one, 1), (two, 0)]), "all at first");
        assert_eq!(at(900, false, 2, 0), None, "not so soon");
        assert_eq!(at(1000, false, 2, 0), Some(vec![(one, 2)]));
        assert_eq!(at(2000, false, 2, 0), None, "nothing has changed");
        assert_eq!(at(3000, true, 2, 0), Some(vec![(one, 2), (two, 0)]), "somebody asks");
        assert_eq!(at(7000, false, 2, 0), None);
        assert_eq!(at(8000, false, 2, 0), Some(vec![(one, 2), (two, 0)]), "it is time for all");
    }

    #[test]
    fn a_balancer_without_sessions_says_that_it_is_there() {
        let start = monotonic_now();
        let mut errands = Errands::new(start);
        assert_eq!(errands.counts(Vec::new, || false, start), Some(Vec::new()));
        assert_eq!(errands.counts(Vec::new, || false, start + COUNTS), None);
    }
}
