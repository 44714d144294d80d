//! The target of a request that is bound to none: asks the algorithm of its group.

use crate::{
    balance::{at_turn, is_too_busy, least_outstanding, round_robin},
    http::context::Context,
    model::Algorithm,
    target_group::GroupView,
};

/// One of the targets of `group` that may get a request and are not in `excluded`, which is in order, if there is
/// one.
pub(crate) fn pick(context: &Context, group: &GroupView, turn: u32, excluded: &[usize]) -> Option<usize> {
    match (group.settings.algorithm, &group.slow_start, &group.weights) {
        (Algorithm::RoundRobin, Some(slow_start), Some(weights)) => {
            slow_start.pick_by_weight(weights, turn, context.clock.instant(), excluded)
        }
        (Algorithm::RoundRobin, Some(slow_start), None) => {
            slow_start.pick(&group.routable, turn, context.clock.instant(), excluded)
        }
        (Algorithm::RoundRobin, None, Some(weights)) => weights.pick(at_turn(turn), excluded),
        (Algorithm::WeightedRandom, _, Some(weights)) => {
            weights.pick(context.random.borrow_mut().draw(), excluded)
        }
        (Algorithm::RoundRobin | Algorithm::WeightedRandom, _, _) => {
            round_robin(&group.routable, turn, excluded)
        }
        (Algorithm::LeastOutstandingRequests, _, _) => {
            let outstanding = context.tables.outstanding.view();
            let load = |index: usize| {
                group.targets.get(index).map_or(u64::MAX, |target| outstanding.get(target.slot))
            };
            match &group.parts {
                None => least_outstanding(&group.routable, load, turn, excluded),
                Some(parts) => {
                    let burden = |index: usize| parts.burden(index, load(index));
                    least_outstanding(&group.routable, burden, turn, excluded)
                }
            }
        }
    }
}

/// Where a request of a session goes whose target `home` is too busy to take it: the target with least load. None:
/// it is not too busy, or there is no bound, or nowhere else to go. The table of loads is looked at only where there
/// is a bound.
pub(crate) fn spill(context: &Context, group: &GroupView, home: usize) -> Option<usize> {
    let percent = group.settings.stickiness.as_ref()?.extras.load_factor?;
    let outstanding = context.tables.outstanding.view();
    let load =
        |index: usize| group.targets.get(index).map_or(u64::MAX, |target| outstanding.get(target.slot));
    // One that drains has no others to be compared with: those get what it does not.
    group.targets.get(home).filter(|target| target.routable)?;
    let own = load(home);
    let total = || group.routable.iter().map(|&index| load(index as usize)).sum();
    let even = || (1, u64::try_from(group.routable.len()).unwrap_or(u64::MAX));
    let part = group.parts.as_ref().map_or_else(even, |parts| parts.of_all(home));
    if !is_too_busy(own, own, part, percent) || !is_too_busy(own, total(), part, percent) {
        return None;
    }
    let burden = |index: usize| {
        group.parts.as_ref().map_or_else(|| load(index), |parts| parts.burden(index, load(index)))
    };
    least_outstanding(&group.routable, burden, group.runtime.next_turn(), &[home])
}
