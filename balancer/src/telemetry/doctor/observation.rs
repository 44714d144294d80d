//! What was looked at: the status document several times over a while. Must not know: what is wrong.

use crate::telemetry::{
    arrivals::ArrivalsDocument,
    status::{GroupStatus, Status, TargetStatus},
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
}

impl Observation {
    /// Of looks, oldest first; none: there is nothing to tell.
    #[must_use]
    pub fn new(looks: Vec<Status>) -> Option<Self> {
        Some(Self {
            first: looks.first()?.clone(),
            last: looks.last()?.clone(),
            looks,
            arrivals: ArrivalsDocument::default(),
        })
    }

    /// The same with the requests of the last minutes.
    #[must_use]
    pub fn with_arrivals(self, arrivals: ArrivalsDocument) -> Self {
        Self { arrivals, ..self }
    }

    /// Whether both ends are of one process: of another one the counters begin anew.
    fn is_one_process(&self) -> bool {
        self.first.uptime_seconds <= self.last.uptime_seconds
    }

    /// The groups, each with what it was in the beginning; one that was not there counted nothing.
    pub(super) fn groups(&self) -> impl Iterator<Item = ObservedGroup<'_>> {
        self.last.target_groups.iter().map(|now| {
            let before = self.first.target_groups.iter().find(|group| group.name == now.name);
            ObservedGroup { before: before.filter(|_| self.is_one_process()), now, observation: self }
        })
    }
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

    /// How many stickiness decisions of this outcome there were meanwhile.
    pub(super) fn decisions(&self, outcome: &str) -> u64 {
        self.rise(|group| group.stickiness.figures.decisions.get(outcome).copied().unwrap_or(0))
    }

    /// How many there were at all.
    pub(super) fn all_decisions(&self) -> u64 {
        self.rise(|group| group.stickiness.figures.decisions.values().sum())
    }

    /// The targets that may get requests.
    pub(super) fn routable(&self) -> Vec<ObservedTarget<'o>> {
        self.targets().filter(|target| target.now.figures.weight > 0.0).collect()
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

    /// Requests in flight to a target, in the mean of all looks.
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(super) fn mean_in_flight(&self, label: &str) -> f64 {
        let looks = self.observation.looks.iter();
        let seen: Vec<u64> = looks
            .filter_map(|look| look.target_groups.iter().find(|group| group.name == self.now.name))
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
    /// What a counter has gone up by meanwhile.
    pub(super) fn rise(&self, counter: impl Fn(&TargetStatus) -> u64) -> u64 {
        counter(self.now).saturating_sub(self.before.map_or(0, counter))
    }

    /// Requests that it got meanwhile.
    pub(super) fn requests(&self) -> u64 {
        self.rise(|target| target.figures.requests)
    }
}
