//! Which targets of a group may get new requests: the good ones of the lowest rank that has any, or all for want of good ones.
//! Must not know: how a target is found to be good, sessions.

use crate::model::{MinimumHealthy, TargetShare};

/// A registered target of a group that is in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutingCandidate {
    /// Its index among the targets of its group.
    pub(super) index: u32,
    /// Whether it is healthy, or not checked at all.
    pub(super) is_good: bool,
    /// Whether it counts as good although it has not been checked yet.
    pub(super) is_unproven: bool,
    /// Whether an operator drains it: it is as healthy as it was, and gets requests for want of others alone.
    pub(super) is_drained: bool,
    /// What it gets by its source.
    pub(super) share: TargetShare,
}

/// The indices, ascending, and whether they hold targets that are not healthy, for want of healthy ones.
pub(super) fn routable(candidates: &[RoutingCandidate], minimum: MinimumHealthy) -> (Vec<u32>, bool) {
    // Those that are about to go are nobody whose health says something of the group, unless there is nobody else.
    let has_others = candidates.iter().any(|candidate| !candidate.share.is_last_resort());
    let counted = || candidates.iter().filter(|candidate| !has_others || !candidate.share.is_last_resort());
    let good = counted().filter(|candidate| candidate.is_good).count();
    let registered = counted().count();
    let failing_open = registered > 0 && minimum.is_breached(good, registered);
    // A last resort that is healthy is better than nobody healthy at all.
    let is_eligible = |candidate: &&RoutingCandidate| candidate.is_good || candidate.is_unproven;
    if failing_open && (good > 0 || !candidates.iter().any(|candidate| candidate.is_good)) {
        let takes = |candidate: &&RoutingCandidate| {
            !candidate.is_drained || !counted().any(|other| !other.is_drained)
        };
        return (counted().filter(takes).map(|candidate| candidate.index).collect(), true);
    }
    let first = |candidate: &RoutingCandidate| (candidate.is_drained, candidate.share.rank());
    let lowest = candidates.iter().filter(is_eligible).map(first).min();
    let chosen = candidates.iter().filter(is_eligible).filter(|candidate| Some(first(candidate)) == lowest);
    (chosen.map(|candidate| candidate.index).collect(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `priority`, `weight`, `leaving`, `is_good` of each.
    fn of(targets: &[(u32, u32, bool, bool)]) -> (Vec<u32>, bool) {
        let each = |(index, &(priority, weight, leaving, is_good)): (u32, &(u32, u32, bool, bool))| {
            RoutingCandidate {
                index,
                is_good,
                is_unproven: false,
                is_drained: false,
                share: TargetShare { priority, weight, leaving },
            }
        };
        routable(&(0..).zip(targets).map(each).collect::<Vec<_>>(), MinimumHealthy::default())
    }

    #[test]
    fn the_good_ones_of_the_lowest_rank_that_has_any() {
        for (targets, expected) in [
            (&[(0, 1, false, true), (0, 1, false, true)][..], (vec![0, 1], false)),
            (&[(1, 1, false, true), (0, 1, false, true), (1, 1, false, true)], (vec![1], false)),
            (&[(1, 1, false, true), (0, 1, false, false), (1, 1, false, true)], (vec![0, 2], false)),
            (&[(0, 0, false, true), (0, 5, false, true)], (vec![1], false)),
            (&[(0, 1, true, true), (9, 1, false, true)], (vec![1], false)),
            // For want of others.
            (&[(0, 0, false, true), (0, 0, false, true)], (vec![0, 1], false)),
            (&[(0, 1, true, true), (0, 1, false, false)], (vec![0], false)),
            // For want of healthy ones.
            (&[(0, 1, false, false), (1, 1, false, false), (0, 0, false, false)], (vec![0, 1], true)),
            (&[(0, 1, true, false)], (vec![0], true)),
            (&[], (vec![], false)),
        ] {
            assert_eq!(of(targets), expected, "{targets:?}");
        }
    }

    #[test]
    fn those_that_are_about_to_go_are_not_missed() {
        let minimum = MinimumHealthy { count: 1, percentage: Some(100) };
        let one = |index, is_good, leaving| RoutingCandidate {
            index,
            is_good,
            is_unproven: false,
            is_drained: false,
            share: TargetShare { leaving, ..TargetShare::default() },
        };
        assert_eq!(routable(&[one(0, true, false), one(1, false, true)], minimum), (vec![0], false));
        assert_eq!(routable(&[one(0, true, false), one(1, false, false)], minimum), (vec![0, 1], true));
    }
}
