//! What was looked at: the status document several times over a while. Must not know: what is wrong.

use super::complaint::Count;
use crate::telemetry::{
    arrivals::ArrivalsDocument,
    status::{GroupStatus, ListenerStatus, Status, TargetStatus},
};

/// A running balancer, looked at for a while.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// As it was in the beginning.
    pub first: Status,
    /// As it was in the end.
    pub last: Status,
    /// All looks, those two included, oldest first.
    pub looks: Vec<Status>,
    /// A sample of the requests of the last minutes, seen in the end.
    pub arrivals: ArrivalsDocument,
    /// How long it was looked at, in seconds.
    pub seconds: f64,
}

impl Observation {
    /// Of looks, oldest first, over so many seconds; none: there is nothing to tell.
    #[must_use]
    pub fn new(looks: Vec<Status>, seconds: f64) -> Option<Self> {
        Some(Self {
            first: looks.first()?.clone(),
            last: looks.last()?.clone(),
            looks,
            arrivals: ArrivalsDocument::default(),
            seconds,
        })
    }

    /// Requests that came meanwhile.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.count(|status| status.totals.traffic.requests).meanwhile
    }

    /// The same with the requests of the last minutes.
    #[must_use]
    pub fn with_arrivals(self, arrivals: ArrivalsDocument) -> Self {
        Self { arrivals, ..self }
    }

    /// Whether both ends are of one process: of another one the counters begin anew.
    pub(super) fn is_one_process(&self) -> bool {
        self.first.uptime_seconds <= self.last.uptime_seconds
    }

    /// A counter of the balancer's: of another process it began anew meanwhile.
    pub(super) fn count(&self, counter: impl Fn(&Status) -> u64) -> Count {
        let before = if self.is_one_process() { counter(&self.first) } else { 0 };
        let all = counter(&self.last);
        Count { all, meanwhile: all.saturating_sub(before) }
    }

    /// Whether a listener or a rule sends requests to a group of this name.
    pub(super) fn leads_to(&self, name: &str) -> bool {
        self.last.listeners.iter().any(|listener| leads_to(listener, name))
    }

    /// The groups, each with what it was in the beginning; one that was not there counted nothing.
    pub(super) fn groups(&self) -> impl Iterator<Item = ObservedGroup<'_>> {
        self.last.target_groups.iter().map(|now| {
            let before = self.first.target_groups.iter().find(|group| group.name == now.name);
            ObservedGroup { before: before.filter(|_| self.is_one_process()), now, observation: self }
        })
    }
}

/// Whether this listener sends requests to a group of this name.
pub(super) fn leads_to(listener: &ListenerStatus, name: &str) -> bool {
    let mut groups =
        listener.rules.iter().flat_map(|rule| &rule.target_groups).chain(&listener.target_groups);
    groups.any(|weight| weight.weight > 0 && weight.target_group == name)
}

/// A group, looked at for a while.
#[derive(Clone, Copy)]
pub(super) struct ObservedGroup<'o> {
    before: Option<&'o GroupStatus>,
    pub(super) now: &'o GroupStatus,
    observation: &'o Observation,
}

impl<'o> ObservedGroup<'o> {
    /// As complaints name it.
    pub(super) fn about(&self) -> String {
        format!("target group {}", self.now.name)
    }

    /// What a counter has gone up by meanwhile.
    pub(super) fn rise(&self, counter: impl Fn(&GroupStatus) -> u64) -> u64 {
        counter(self.now).saturating_sub(self.before.map_or(0, counter))
    }

    /// A counter since the start, and meanwhile.
    pub(super) fn count(&self, counter: impl Fn(&GroupStatus) -> u64) -> Count {
        Count { all: counter(self.now), meanwhile: self.rise(counter) }
    }

    /// How many stickiness decisions of this outcome there were, since the start and meanwhile.
    pub(super) fn outcome(&self, outcome: &str) -> Count {
        self.count(|group| group.stickiness.figures.decisions.get(outcome).copied().unwrap_or(0))
    }

    /// How many stickiness decisions of this outcome there were meanwhile.
    pub(super) fn decisions(&self, outcome: &str) -> u64 {
        self.outcome(outcome).meanwhile
    }

    /// How many there were at all.
    pub(super) fn all_decisions(&self) -> u64 {
        self.rise(|group| group.stickiness.figures.decisions.values().sum())
    }

    /// The targets that may get requests.
    pub(super) fn routable(&self) -> Vec<ObservedTarget<'o>> {
        self.targets().filter(|target| target.now.figures.weight > 0.0).collect()
    }

    /// Whether a target that was there at one look drained or was gone at a later one.
    pub(super) fn has_lost_targets(&self) -> bool {
        let stays = |label: &str| {
            self.now.targets.iter().any(|target| target.label() == label && target.state != "draining")
        };
        let mut seen = self.looks().flatten().flat_map(|look| &look.targets);
        seen.any(|target| !stays(&target.label()))
    }

    /// All of them.
    pub(super) fn targets(&self) -> impl Iterator<Item = ObservedTarget<'o>> {
        let before = self.before;
        self.now.targets.iter().map(move |now| ObservedTarget {
            before: before
                .and_then(|group| group.targets.iter().find(|target| target.label() == now.label())),
            now,
        })
    }

    /// The group at all looks, oldest first; none where it was not there.
    fn looks(&self) -> impl Iterator<Item = Option<&'o GroupStatus>> {
        let name = &self.now.name;
        self.observation
            .looks
            .iter()
            .map(move |look| look.target_groups.iter().find(|group| group.name == *name))
    }

    /// What each of its targets should have had of the requests that came meanwhile, by the weights that targets had when they
    /// came, in the order of the targets: who was there for half of the time gets half.
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(super) fn fair_requests(&self, targets: &[ObservedTarget<'o>]) -> Vec<f64> {
        let mut fair = vec![0.0; targets.len()];
        let looks: Vec<_> = self.looks().collect();
        for ends in looks.windows(2) {
            let [Some(before), Some(now)] = *ends else { continue };
            let rise = |target: &TargetStatus| {
                let label = target.label();
                let earlier = before.targets.iter().find(|earlier| earlier.label() == label);
                target.figures.requests.saturating_sub(earlier.map_or(0, |earlier| earlier.figures.requests))
            };
            let came: u64 = now.targets.iter().map(rise).sum();
            // Weights of the beginning and of the end of a stretch, half of each.
            let weights = |look: &GroupStatus| -> Vec<f64> {
                let weight = |label: &str| {
                    let target = look.targets.iter().find(|target| target.label() == label);
                    target.map_or(0.0, |target| target.figures.weight)
                };
                let all: f64 = look.targets.iter().map(|target| target.figures.weight).sum();
                let of =
                    |target: &ObservedTarget<'_>| weight(&target.now.label()) / all.max(f64::MIN_POSITIVE);
                targets.iter().map(of).collect()
            };
            for (fair, (before, now)) in fair.iter_mut().zip(weights(before).iter().zip(weights(now))) {
                *fair += came as f64 * f64::midpoint(*before, now);
            }
        }
        fair
    }

    /// Requests in flight to a target, in the mean of all looks.
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(super) fn mean_in_flight(&self, label: &str) -> f64 {
        let seen: Vec<u64> = self
            .looks()
            .flatten()
            .filter_map(|group| group.targets.iter().find(|target| target.label() == label))
            .map(|target| target.figures.outstanding_requests)
            .collect();
        if seen.is_empty() { 0.0 } else { seen.iter().sum::<u64>() as f64 / seen.len() as f64 }
    }
}

/// A target, looked at for a while.
#[derive(Clone, Copy)]
pub(super) struct ObservedTarget<'o> {
    before: Option<&'o TargetStatus>,
    pub(super) now: &'o TargetStatus,
}

impl ObservedTarget<'_> {
    /// As complaints name it.
    pub(super) fn about(&self, group: &ObservedGroup<'_>) -> String {
        format!("{}, target {}", group.about(), self.now.label())
    }

    /// What a counter has gone up by meanwhile.
    pub(super) fn rise(&self, counter: impl Fn(&TargetStatus) -> u64) -> u64 {
        counter(self.now).saturating_sub(self.before.map_or(0, counter))
    }

    /// A counter since it was registered, and meanwhile.
    pub(super) fn count(&self, counter: impl Fn(&TargetStatus) -> u64) -> Count {
        Count { all: counter(self.now), meanwhile: self.rise(counter) }
    }

    /// Time that its responses took meanwhile, all together, to their heads.
    pub(super) fn rise_of_seconds(&self) -> f64 {
        let before = self.before.map_or(0.0, |before| before.figures.response_seconds);
        (self.now.figures.response_seconds - before).max(0.0)
    }

    /// Requests that it got meanwhile.
    pub(super) fn requests(&self) -> u64 {
        self.rise(|target| target.figures.requests)
    }
}
