//! What stickiness costs a group now: its requests of the last minutes, played with their sessions and without (see `replay`).
//! Must not know: how a target is picked, where the sample comes from.

use serde::Serialize;

use super::{
    complaint::{Complaint, Severity, percent},
    observation::Observation,
    replay::{Outcomes, PastRequest, Picks, as_it_was, without_sessions},
};
use crate::{
    balance::Random,
    counters::REACH,
    model::Algorithm,
    telemetry::{
        arrivals::{GroupArrivals, SampledRequest},
        status::GroupStatus,
    },
};

/// How far back requests are played, in microseconds.
const LAST: u64 = REACH.as_secs() * 1_000_000;
/// Most that are played: the newest.
const MOST: u64 = 500_000;
/// Rows of the sample below which they say nothing.
const FEW_ROWS: usize = 100;
/// Part of the requests from which on it is sessions that decide where they go, in percent.
const STICKY_PERCENT: f64 = 30.0;
/// Times of what it is without, and so much more, from which on the slowest requests are worth a complaint.
const SLOWER: f64 = 1.5;
const SLOWER_BY: f64 = 0.010;
/// Times of what it is without, and so many, from which on requests in flight are.
const MORE: f64 = 2.0;
const MANY: f64 = 5.0;
/// Requests before and after one that another is drawn from which it stands for.
const NEAR: usize = 32;

/// What stickiness costs a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StickinessCost {
    /// The group.
    pub target_group: String,
    /// How far back its requests were played, in seconds.
    pub seconds: f64,
    /// How many were.
    pub requests: u64,
    /// How many of them are known; each stands for others.
    pub sampled: usize,
    /// Part of them that a session bound to a target, in percent.
    pub bound_percent: f64,
    /// As they were.
    pub with_sessions: PlayedFigures,
    /// As balancing alone would have it.
    pub without_sessions: PlayedFigures,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlayedFigures {
    /// What 99 of 100 requests took no longer than, to the head of the response.
    pub p99_seconds: f64,
    /// How many requests the busiest target had in flight, in the mean.
    pub most_in_flight: f64,
    /// That target.
    pub target: String,
}

/// Of all sticky groups of which enough is known.
#[must_use]
pub fn costs(observation: &Observation) -> Vec<StickinessCost> {
    let groups = &observation.last.target_groups;
    let group = |name: &str| groups.iter().find(|group| group.name == name);
    let known = observation.arrivals.target_groups.iter();
    known.filter_map(|arrivals| cost(group(&arrivals.name)?, arrivals)).collect()
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn cost(group: &GroupStatus, arrivals: &GroupArrivals) -> Option<StickinessCost> {
    let algorithm = algorithm(&group.algorithm)?;
    let picks = Picks::new(algorithm, &weights(group, arrivals));
    let sampled = latest(&arrivals.requests);
    if sampled.len() < FEW_ROWS || picks.len() < 2 {
        return None;
    }
    let targets = arrivals.targets.len();
    let requests = spread(&sampled, targets);
    let were = as_it_was(&requests, targets);
    let would_be = without_sessions(&requests, targets, &were, &picks);
    let stand_for = |requests: &mut dyn Iterator<Item = &SampledRequest>| {
        requests.map(|request| request.stands_for).sum::<u64>()
    };
    let span = requests.last()?.at - requests.first()?.at;
    let figures = |outcomes: &Outcomes| {
        let (most_in_flight, target) = outcomes.most_in_flight(span);
        PlayedFigures {
            p99_seconds: outcomes.p99() as f64 / 1e6,
            most_in_flight,
            target: arrivals.targets.get(target).cloned().unwrap_or_default(),
        }
    };
    Some(StickinessCost {
        target_group: group.name.clone(),
        seconds: span as f64 / 1e6,
        requests: requests.len() as u64,
        sampled: sampled.len(),
        bound_percent: percent(
            stand_for(&mut sampled.iter().filter(|request| request.bound)),
            stand_for(&mut sampled.iter()),
        ),
        with_sessions: figures(&were),
        without_sessions: figures(&would_be),
    })
}

fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests, Algorithm::WeightedRandom]
        .into_iter()
        .find(|algorithm| algorithm.as_str() == name)
}

/// In thousandths, by target of the sample.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and 1000")]
fn weights(group: &GroupStatus, arrivals: &GroupArrivals) -> Vec<u32> {
    let weight = |label: &String| {
        let target = group.targets.iter().find(|target| target.label() == *label);
        target.map_or(0, |target| (target.figures.weight.clamp(0.0, 1.0) * 1000.0).ceil() as u32)
    };
    arrivals.targets.iter().map(weight).collect()
}

/// The newest of them, newest first, that are not too old and do not stand for too many.
fn latest(requests: &[SampledRequest]) -> Vec<SampledRequest> {
    let mut latest: Vec<_> = requests.iter().filter(|request| request.ago <= LAST).copied().collect();
    latest.sort_by_key(|request| request.ago);
    let mut sum = 0_u64;
    latest.retain(|request| {
        sum = sum.saturating_add(request.stands_for.max(1));
        sum <= MOST
    });
    latest
}

/// As many as they stand for, spread evenly over the time in which these came. What they were is drawn from those that are
/// known and near: to have one as often as it stands for would make heaps that were not there.
fn spread(sampled: &[SampledRequest], targets: usize) -> Vec<PastRequest> {
    let start = LAST + sampled.iter().map(|request| request.within).max().unwrap_or(0);
    let known: Vec<_> = sampled.iter().filter(|request| request.target < targets).collect();
    let (mut random, mut requests) = (Random::new(1), Vec::new());
    for (at, request) in known.iter().enumerate() {
        let near = known.get(at.saturating_sub(NEAR)..known.len().min(at + NEAR + 1)).unwrap_or_default();
        let many = request.stands_for.max(1);
        for number in 0..many {
            let drawn = ((random.draw() >> 32) * near.len() as u64) >> 32;
            let other = usize::try_from(drawn).ok().and_then(|drawn| near.get(drawn));
            let SampledRequest { took, target, others: met, .. } =
                **other.filter(|_| number > 0).unwrap_or(request);
            // Of large numbers nothing has to be exact.
            let before = request.ago + request.within / many * number;
            requests.push(PastRequest { at: start.saturating_sub(before), took, target, met });
        }
    }
    requests.sort_by_key(|request| request.at);
    requests
}

pub(super) fn examine(costs: &[StickinessCost], complaints: &mut Vec<Complaint>) {
    complaints.extend(costs.iter().filter(|cost| cost.is_clear()).map(complaint));
}

impl StickinessCost {
    fn is_clear(&self) -> bool {
        let (with, without) = (&self.with_sessions, &self.without_sessions);
        let is_slower = with.p99_seconds >= without.p99_seconds * SLOWER
            && with.p99_seconds >= without.p99_seconds + SLOWER_BY;
        let is_more = with.most_in_flight >= MANY && with.most_in_flight >= without.most_in_flight * MORE;
        self.bound_percent >= STICKY_PERCENT && (is_slower || is_more)
    }
}

fn complaint(cost: &StickinessCost) -> Complaint {
    let StickinessCost { with_sessions: with, without_sessions: without, .. } = cost;
    Complaint::new(
        Severity::Warning,
        "stickiness_cost",
        format!("target group {}", cost.target_group),
        format!(
            "of its last {} requests ({:.0} s, {:.0} % of them bound to a target, {} known) 99 % took up to {} and a target ({}) had {:.1} \
             in flight in the mean; played again without sessions they take {} and a target has {:.1} at most, if its targets are alike",
            cost.requests,
            cost.seconds,
            cost.bound_percent,
            cost.sampled,
            span(with.p99_seconds),
            with.target,
            with.most_in_flight,
            span(without.p99_seconds),
            without.most_in_flight,
        ),
        "Set load_factor so that requests beyond the mean go elsewhere, max_lifetime so that sessions end, or move the state out of \
         the process (docs/should-i-stick.md) and turn stickiness off.",
    )
}

/// As people say it.
pub(super) fn span(seconds: f64) -> String {
    if seconds >= 1.0 { format!("{seconds:.1} s") } else { format!("{:.1} ms", seconds * 1e3) }
}
