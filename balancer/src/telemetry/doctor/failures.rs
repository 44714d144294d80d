//! Requests that the balancer itself had to answer with an error. Must not know: which target it was.

use super::{
    complaint::{Complaint, Count, percent, told},
    observation::{Observation, ObservedGroup},
};
use crate::counters::{Cause, Side};

/// Requests that may fail, and this part of all.
const FEW: u64 = 5;
const FEW_PERCENT: f64 = 1.0;
/// As many causes are named.
const MOST_CAUSES: usize = 3;

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups() {
        let mut causes: Vec<(Cause, Count)> = Cause::ALL
            .into_iter()
            .filter(|cause| is_ours(*cause))
            .map(|cause| (cause, failures(&group, cause)))
            .collect();
        let failed = causes.iter().fold(Count::default(), |sum, (_, count)| sum + *count);
        let requests = group.count(|group| group.routing.requests);
        if !failed.is_many(requests, FEW, FEW_PERCENT) {
            continue;
        }
        causes.sort_by_key(|(_, count)| std::cmp::Reverse((count.meanwhile, count.all)));
        let named = causes.iter().take(MOST_CAUSES).filter(|(_, count)| count.all > 0);
        let named: Vec<String> = named
            .map(|(cause, count)| format!("{} {}, {}", count.all, cause.as_str(), cause.text()))
            .collect();
        complaints.push(
            Complaint::new(
                failed.severity(),
                "requests_fail",
                group.about(),
                format!(
                    "{} of {} requests to it since the start had no response of a target, or not all of it ({}): {}{}",
                    failed.all,
                    requests.all,
                    told(percent(failed.all, requests.all)),
                    named.join("; "),
                    failed.when()
                ),
                "docs/logs.md says what each cause means, and docs/runbooks.md (\"502 and 504\") what to do; the log names the targets.",
            )
            .about_so_many(failed.meanwhile),
        );
    }
}

/// Nothing that clients do to themselves, and nothing that is complained of otherwise.
fn is_ours(cause: Cause) -> bool {
    !matches!(cause.side(), Side::Client | Side::Unknown)
        && !matches!(cause, Cause::NoTarget | Cause::StickyTargetUnhealthy | Cause::Draining)
}

fn failures(group: &ObservedGroup<'_>, cause: Cause) -> Count {
    group.count(|group| group.answers.failures.get(cause.as_str()).copied().unwrap_or(0))
}
