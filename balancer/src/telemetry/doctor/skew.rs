//! Targets that get more than their share, and what that costs. Must not know: how a target is picked.

use super::{
    complaint::{Complaint, Severity, percent, told},
    observation::{Observation, ObservedGroup, ObservedTarget},
};
use crate::model::Algorithm;

/// Requests below which an uneven spread says nothing.
const FEW_REQUESTS: u64 = 200;
/// Times its share from which on a target has too much.
const UNEVEN: f64 = 1.5;
/// Part of the decisions from which on it is the sessions that decide where requests go.
const STICKY_PERCENT: f64 = 30.0;

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups() {
        let targets = group.routable();
        let all: u64 = targets.iter().map(ObservedTarget::requests).sum();
        let fair = group.fair_requests(&targets);
        let Some((busiest, fair)) = targets.iter().zip(fair).max_by_key(|(target, _)| target.requests())
        else {
            continue;
        };
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let (requests, share) = (percent(busiest.requests(), all), fair * 100.0 / all.max(1) as f64);
        if targets.len() < 2 || all < FEW_REQUESTS || share <= 0.0 || requests < share * UNEVEN {
            continue;
        }
        complaints.extend(complaint(&group, busiest, &targets, (requests, share)));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn complaint(
    group: &ObservedGroup<'_>,
    busiest: &ObservedTarget<'_>,
    targets: &[ObservedTarget<'_>],
    (requests, share): (f64, f64),
) -> Option<Complaint> {
    let in_flight: Vec<f64> =
        targets.iter().map(|target| group.mean_in_flight(&target.now.label())).collect();
    let (most, evenly) =
        (group.mean_in_flight(&busiest.now.label()), in_flight.iter().sum::<f64>() / in_flight.len() as f64);
    let is_crowded = most >= 1.0 && most >= evenly * UNEVEN;
    let cost = if is_crowded {
        format!(", and had {most:.1} requests in flight, where an even spread gives {evenly:.1}")
    } else {
        String::new()
    };
    let sessions = |target: &ObservedTarget<'_>| target.now.figures.sessions.unwrap_or(0);
    let all_sessions = targets.iter().map(sessions).sum();
    let (bound, of_sessions) = (sessions(busiest), percent(sessions(busiest), all_sessions));
    let is_sticky = group.now.stickiness.enabled
        && percent(group.decisions("pinned"), group.all_decisions()) >= STICKY_PERCENT;
    // By least outstanding requests the faster targets get more, which is what it is for.
    let is_meant = group.now.algorithm == Algorithm::LeastOutstandingRequests.as_str() && !is_crowded;
    if !is_sticky && is_meant {
        return None;
    }
    let (code, why, advice) = if !is_sticky {
        (
            "uneven_targets",
            String::new(),
            "It is not for sessions. Look at what keeps the others from their share (`balancer status` shows weights, failed \
             connections and requests in flight of each); least_outstanding_requests evens out what is in flight.",
        )
    } else if of_sessions >= share * UNEVEN {
        (
            "uneven_sessions",
            format!(
                ", since {} of the sessions are bound to it ({bound} of {all_sessions})",
                told(of_sessions)
            ),
            "Sessions pile up on targets that were there first, or that were the only ones while others were away: they are never \
             moved for balance. Set max_lifetime so that they end, load_factor so that requests beyond the mean go elsewhere, or \
             move the state out of the process.",
        )
    } else {
        (
            "busy_sessions",
            format!(
                ", though {} of the sessions are bound to it ({bound} of {all_sessions})",
                told(of_sessions)
            ),
            "A few of its sessions make most of the requests: one API client, a crawler, or many people behind one cookie of a proxy. \
             Lead such clients to a group without stickiness, or set load_factor so that requests beyond the mean go elsewhere.",
        )
    };
    let complaint = Complaint::new(
        Severity::Warning,
        code,
        format!("{}, target {}", group.about(), busiest.now.label()),
        format!(
            "it got {} of the requests, {:.1} times its share{why}{cost}",
            told(requests),
            requests / share
        ),
        advice,
    );
    Some(complaint.about_so_many(busiest.requests()))
}
