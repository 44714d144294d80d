//! Plays requests again: with the targets that they had, and with those that the group's algorithm alone gives them. The picks
//! are those of `balance`; how long a request takes where other requests are in flight than there were is taken from what such
//! requests of the same group took (see [`Curve`]). Pure. Must not know: where requests come from, what is made of it.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{
    balance::{TargetParts, WeightedTargets, at_turn, least_outstanding, round_robin},
    model::Algorithm,
};

/// A request that was answered. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PastRequest {
    pub(super) at: u64,
    pub(super) took: u64,
    pub(super) target: usize,
    /// How many others it met there.
    pub(super) met: u64,
}

/// How a group picks.
#[derive(Debug)]
pub(super) struct Picks {
    algorithm: Algorithm,
    candidates: Vec<u32>,
    parts: Option<TargetParts>,
    weights: Option<WeightedTargets>,
}

impl Picks {
    /// By the targets' weights in thousandths; 0: it gets nothing.
    pub(super) fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        let weight = |index: u32| weights.get(index as usize).copied().unwrap_or(0);
        let all = 0..u32::try_from(weights.len()).unwrap_or(u32::MAX);
        let candidates: Vec<u32> = all.filter(|&index| weight(index) > 0).collect();
        let parts = TargetParts::new(weights.len(), &candidates, weight);
        let by_weight = parts
            .as_ref()
            .map(|parts| candidates.iter().map(|&index| (index, parts.share(index as usize))))
            .map(WeightedTargets::new);
        Self { algorithm, candidates, parts, weights: by_weight }
    }

    /// How many targets get anything.
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    fn pick(&self, turn: u32, loads: &[u64]) -> Option<usize> {
        let load = |index: usize| loads.get(index).copied().unwrap_or(u64::MAX);
        match (self.algorithm, &self.parts, &self.weights) {
            (Algorithm::LeastOutstandingRequests, None, _) => {
                least_outstanding(&self.candidates, load, turn, &[])
            }
            (Algorithm::LeastOutstandingRequests, Some(parts), _) => {
                least_outstanding(&self.candidates, |index| parts.burden(index, load(index)), turn, &[])
            }
            (_, _, Some(weights)) => weights.pick(at_turn(turn), &[]),
            (..) => round_robin(&self.candidates, turn, &[]),
        }
    }
}

/// What came of playing them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    /// How many others each met at its target.
    pub(super) met: Vec<u64>,
    /// How long each took.
    pub(super) took: Vec<u64>,
    /// How long all that a target had took together, by target.
    pub(super) busy: Vec<u64>,
}

impl Outcomes {
    /// The target that had most in flight, and how many that were in the mean over so many microseconds.
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(super) fn most_in_flight(&self, span: u64) -> (f64, usize) {
        let most = self.busy.iter().enumerate().max_by_key(|(_, busy)| **busy);
        most.map_or((0.0, 0), |(target, busy)| (*busy as f64 / span.max(1) as f64, target))
    }

    /// What 99 of 100 took no longer than.
    pub(super) fn p99(&self) -> u64 {
        let mut took = self.took.clone();
        let at = (took.len() * 99).div_ceil(100).saturating_sub(1);
        if took.is_empty() { 0 } else { *took.select_nth_unstable(at).1 }
    }
}

/// Plays requests, in the order of their times. `choose` gives the target of one by what is in flight to each, `span` how long
/// one takes that meets so many others.
fn play(
    requests: &[PastRequest],
    targets: usize,
    mut choose: impl FnMut(&PastRequest, &[u64]) -> Option<usize>,
    span: impl Fn(&PastRequest, u64) -> u64,
) -> Outcomes {
    let mut loads = vec![0_u64; targets];
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut outcomes = Outcomes { busy: vec![0; targets], ..Outcomes::default() };
    for request in requests {
        while let Some(&Reverse((end, target))) = ends.peek()
            && end <= request.at
        {
            ends.pop();
            if let Some(load) = loads.get_mut(target) {
                *load = load.saturating_sub(1);
            }
        }
        let target = choose(request, &loads).unwrap_or(request.target);
        let (Some(load), Some(busy)) = (loads.get_mut(target), outcomes.busy.get_mut(target)) else {
            continue;
        };
        let (met, took) = (*load, span(request, *load));
        *load += 1;
        *busy = busy.saturating_add(took);
        outcomes.met.push(met);
        outcomes.took.push(took);
        ends.push(Reverse((request.at.saturating_add(took), target)));
    }
    outcomes
}

/// As they were.
pub(super) fn as_it_was(requests: &[PastRequest], targets: usize) -> Outcomes {
    let mut outcomes = Outcomes { busy: vec![0; targets], ..Outcomes::default() };
    for request in requests {
        outcomes.met.push(request.met);
        outcomes.took.push(request.took);
        if let Some(busy) = outcomes.busy.get_mut(request.target) {
            *busy = busy.saturating_add(request.took);
        }
    }
    outcomes
}

/// As they would be if no session said where to. `were`: what [`as_it_was`] says of them.
pub(super) fn without_sessions(
    requests: &[PastRequest],
    targets: usize,
    were: &Outcomes,
    picks: &Picks,
) -> Outcomes {
    let curve = Curve::of(were);
    let mut turn = 0_u32;
    let choose = |_: &PastRequest, loads: &[u64]| {
        turn = turn.wrapping_add(1);
        picks.pick(turn, loads)
    };
    play(requests, targets, choose, |request, met| curve.brought_to(request.took, request.met, met))
}

/// How long requests took in the mean by how many others they met, which never goes down: a target is not faster for having more to
/// do. It knows of no difference between targets, nor between requests.
#[derive(Debug, Default)]
struct Curve {
    /// Loads, ascending, with the microseconds at each.
    points: Vec<(f64, f64)>,
}

/// Requests that are taken together.
#[derive(Clone, Copy, Debug, Default)]
struct Bunch {
    count: f64,
    met: f64,
    took: f64,
}

impl Bunch {
    fn with(self, other: Self) -> Self {
        Self { count: self.count + other.count, met: self.met + other.met, took: self.took + other.took }
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures of which three digits count")]
impl Curve {
    fn of(were: &Outcomes) -> Self {
        let mut by_load: Vec<Bunch> = Vec::new();
        for (&met, &took) in were.met.iter().zip(&were.took) {
            let at = bucket(met);
            if by_load.len() <= at {
                by_load.resize(at + 1, Bunch::default());
            }
            if let Some(bunch) = by_load.get_mut(at) {
                *bunch = bunch.with(Bunch { count: 1.0, met: met as f64, took: took as f64 });
            }
        }
        // One in a hundred is the least that says something.
        let few = were.met.len() as f64 / 100.0;
        let mut bunches: Vec<Bunch> = Vec::new();
        for bunch in by_load.into_iter().filter(|bunch| bunch.count > 0.0) {
            match bunches.last_mut() {
                Some(last) if last.count < few || bunch.count < few => *last = last.with(bunch),
                _ => bunches.push(bunch),
            }
            // Where more would be faster both are the same.
            while let [.., before, last] = bunches.as_slice()
                && last.took / last.count < before.took / before.count
            {
                let both = before.with(*last);
                bunches.truncate(bunches.len() - 2);
                bunches.push(both);
            }
        }
        let points =
            bunches.iter().map(|bunch| (bunch.met / bunch.count, (bunch.took / bunch.count).max(1.0)));
        Self { points: points.collect() }
    }

    /// At this load; between two loads that are known in a straight line.
    fn at(&self, met: u64) -> f64 {
        let met = met as f64;
        let next = self.points.partition_point(|(load, _)| *load < met);
        let before = next.checked_sub(1).and_then(|before| self.points.get(before));
        match (before, self.points.get(next)) {
            (Some(&(low, fast)), Some(&(high, slow))) => fast + (slow - fast) * (met - low) / (high - low),
            (Some(&(_, took)), None) | (None, Some(&(_, took))) => took,
            (None, None) => 1.0,
        }
    }

    /// What a request that took so long and met `then` others takes where it meets `now`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are not below 0")]
    fn brought_to(&self, took: u64, then: u64, now: u64) -> u64 {
        if then == now {
            return took;
        }
        (took as f64 * self.at(now) / self.at(then)) as u64
    }
}

/// Loads that are taken together: each below 8 by itself, then four for each doubling.
fn bucket(met: u64) -> usize {
    if met < 8 {
        return usize::try_from(met).unwrap_or(0);
    }
    let doublings = met.ilog2();
    let quarter = (met >> (doublings - 2)) & 3;
    usize::try_from(u64::from(doublings - 3) * 4 + quarter + 8).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: [u32; 3] = [1000; 3];

    fn request(at: u64, took: u64, target: usize) -> PastRequest {
        PastRequest { at, took, target, met: 0 }
    }

    /// With what each meets, when they are played as they were.
    fn with_met(requests: Vec<PastRequest>) -> Vec<PastRequest> {
        let played = play(&requests, 3, |request, _| Some(request.target), |request, _| request.took);
        requests.into_iter().zip(played.met).map(|(request, met)| PastRequest { met, ..request }).collect()
    }

    const LAST: u64 = 5_000_000;

    /// Of targets that do one request after the other, each in 5 ms: clients bound to `targets`, each of which sends the next
    /// request 1 ms after the answer to the one before.
    fn queues(targets: &[usize]) -> Vec<PastRequest> {
        let (mut free, mut requests) = ([0_u64; 3], Vec::new());
        let mut next: BinaryHeap<_> = targets.iter().enumerate().map(|it| Reverse((0_u64, it))).collect();
        while let Some(Reverse((at, client))) = next.pop()
            && at < LAST
        {
            let end = free[*client.1].max(at) + 5_000;
            free[*client.1] = end;
            requests.push(request(at, end - at, *client.1));
            next.push(Reverse((end + 1_000, client)));
        }
        with_met(requests)
    }

    fn both(requests: &[PastRequest], algorithm: Algorithm) -> (Outcomes, Outcomes) {
        let with = as_it_was(requests, 3);
        let without = without_sessions(requests, 3, &with, &Picks::new(algorithm, &EVEN));
        (with, without)
    }

    #[test]
    fn what_was_is_told_as_it_was() {
        let requests =
            with_met(vec![request(0, 10, 1), request(5, 10, 1), request(10, 10, 1), request(16, 1, 0)]);
        let was = as_it_was(&requests, 3);
        assert_eq!(
            (was.met.as_slice(), was.busy.as_slice()),
            ([0, 1, 1, 0].as_slice(), [1, 30, 0].as_slice())
        );
        assert_eq!((was.took.as_slice(), was.p99()), ([10, 10, 10, 1].as_slice(), 10));
        assert_eq!(was.most_in_flight(20), (1.5, 1));
        assert_eq!((Outcomes::default().p99(), Outcomes::default().most_in_flight(0)), (0, (0.0, 0)));
    }

    #[test]
    fn sessions_that_crowd_one_target_cost_what_they_wait_for_each_other() {
        let crowded = queues(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        for algorithm in [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests] {
            let (with, without) = both(&crowded, algorithm);
            let [(most, busiest), (evenly, _)] = [&with, &without].map(|of| of.most_in_flight(LAST));
            assert!(busiest == 0 && (9.0..10.5).contains(&most), "{most} at {busiest}");
            assert!(evenly < 5.0, "{algorithm:?}: {evenly}");
            assert!(with.p99() > 45_000 && without.p99() < 30_000, "{} {}", with.p99(), without.p99());
        }
    }

    #[test]
    fn of_sessions_that_are_spread_evenly_nothing_is_said() {
        let (with, without) = both(&queues(&[0, 1, 2, 0, 1, 2]), Algorithm::LeastOutstandingRequests);
        let [(with_most, _), (without_most, _)] = [&with, &without].map(|of| of.most_in_flight(LAST));
        assert!((with_most - without_most).abs() < 0.5, "{with_most} {without_most}");
        assert!(with.p99().abs_diff(without.p99()) < 3_000, "{} {}", with.p99(), without.p99());
    }

    #[test]
    fn what_takes_long_wherever_it_is_stays_so() {
        // The busy target is as fast as the others: load does nothing.
        let mut requests: Vec<_> = (0..3_000).map(|n| request(n * 1_000, 4_000, 0)).collect();
        requests.extend((0..300).map(|n| request(n * 10_000, 4_000, 1)));
        requests.sort_by_key(|request| request.at);
        let (with, without) = both(&with_met(requests), Algorithm::RoundRobin);
        assert_eq!((with.p99(), without.p99()), (4_000, 4_000));
        let [(with, _), (without, _)] = [&with, &without].map(|of| of.most_in_flight(3_000_000));
        assert!((3.9..4.1).contains(&with) && (1.4..1.6).contains(&without), "{with} {without}");
    }

    #[test]
    fn targets_get_by_their_weights_and_those_of_none_get_nothing() {
        let requests = with_met((0..600).map(|n| request(n, 1_000_000, 0)).collect());
        let with = as_it_was(&requests, 3);
        // However long requests take that meet others.
        let were = Outcomes { met: vec![0; 600], ..as_it_was(&requests, 3) };
        for algorithm in [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests] {
            let picks = Picks::new(algorithm, &[0, 1000, 500]);
            assert_eq!(picks.len(), 2);
            let busy = without_sessions(&requests, 3, &were, &picks).busy;
            assert!(busy[0] == 0 && busy[1].abs_diff(400_000_000) < 10_000_000, "{busy:?}");
        }
        // Nobody to go to: they go where they went.
        let none = Picks::new(Algorithm::RoundRobin, &[]);
        assert_eq!(without_sessions(&requests, 3, &with, &none), with);
    }

    #[test]
    fn a_curve_never_goes_down() {
        let took = [9, 7, 8, 5, 30, 20, 40];
        let were = Outcomes { met: (0..7).collect(), took: took.to_vec(), busy: Vec::new() };
        let curve = Curve::of(&were);
        let told: Vec<f64> = (0..40).map(|met| curve.at(met)).collect();
        assert!(told.is_sorted() && told[0] > 6.0 && told[39] < 41.0, "{told:?}");
        assert_eq!(curve.brought_to(100, 3, 3), 100);
        assert!(curve.brought_to(100, 0, 6) > 400);
        assert_eq!(Curve::default().brought_to(100, 0, 6), 100);
        assert_eq!([0, 7, 8, 10, 15, 16, 31].map(bucket), [0, 7, 8, 9, 11, 12, 15]);
        assert!(bucket(u64::MAX) < 300);
    }
}
