//! The target of a request that is bound to none: asks the algorithm of its group.

use super::Context;
use crate::{
    balance::{least_outstanding, round_robin},
    model::Algorithm,
    target_group::GroupView,
};

/// One of the targets of `group` that may get a request and are not in `excluded`, if there is one.
pub(super) fn pick(context: &Context, group: &GroupView, turn: u32, excluded: &[usize]) -> Option<usize> {
    match (group.settings.algorithm, &group.slow_start, &group.weights) {
        (Algorithm::RoundRobin, Some(slow_start), _) => {
            slow_start.pick(&group.routable, turn, context.clock.instant(), excluded)
        }
        (Algorithm::WeightedRandom, _, Some(weights)) => {
            weights.pick(context.random.borrow_mut().draw(), excluded)
        }
        (Algorithm::RoundRobin | Algorithm::WeightedRandom, _, _) => {
            round_robin(&group.routable, turn, excluded)
        }
        (Algorithm::LeastOutstandingRequests, _, _) => {
            let outstanding = context.tables.outstanding.view();
            let load = |place: usize| {
                group.targets.get(place).map_or(u64::MAX, |target| outstanding.get(target.slot))
            };
            least_outstanding(&group.routable, load, turn, excluded)
        }
    }
}
