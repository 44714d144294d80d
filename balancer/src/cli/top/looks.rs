//! What two looks at a balancer say of the time between them. Must not know: screens.

use std::{cmp::Ordering, time::Duration};

use crate::telemetry::{
    status::{HistogramStatus, Status, TargetStatus},
    status_text::Span,
};

/// What targets are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SortColumn {
    /// Group and address
    #[default]
    Name,
    /// Requests a second
    Rate,
    /// Requests in flight
    Outstanding,
    /// Sessions bound to it
    Sessions,
    /// Failures a second
    Failures,
    /// State, the worst first
    State,
}

impl SortColumn {
    const ALL: [Self; 6] =
        [Self::Name, Self::Rate, Self::Outstanding, Self::Sessions, Self::Failures, Self::State];

    /// The one behind it.
    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|order| *order == self).unwrap_or(0);
        Self::ALL.get(at + 1).copied().unwrap_or(Self::Name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Rate => "requests/s",
            Self::Outstanding => "in flight",
            Self::Sessions => "sessions",
            Self::Failures => "failures/s",
            Self::State => "state",
        }
    }
}

/// A target, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TargetLine {
    pub(super) group: String,
    pub(super) target: String,
    pub(super) state: String,
    pub(super) sessions: Option<u64>,
    pub(super) outstanding: u64,
    pub(super) rate: f64,
    /// Of the requests to its group, 0 to 1.
    pub(super) share: f64,
    /// Whether that is half as much again as an even one, or more.
    pub(super) is_much: bool,
    pub(super) failures: f64,
    pub(super) round_trip_micros: u64,
    /// What went wrong last, and how long ago.
    pub(super) error: String,
}

/// All listeners together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    /// Requests a second; none before there are two looks.
    pub(super) rate: Option<f64>,
    pub(super) connections: u64,
    pub(super) own_answers: Option<f64>,
    /// Upper bounds, in seconds: half of the requests took at most so long, and 99 of 100.
    pub(super) middle: Option<f64>,
    pub(super) p99: Option<f64>,
}

/// The last two.
#[derive(Debug, Default)]
pub(super) struct Looks {
    before: Option<Status>,
    now: Status,
    /// When the last one was, and how long after the one before.
    at: Option<Duration>,
    apart: Duration,
}

impl Looks {
    /// One more, so long after some moment that is the same for all.
    pub(super) fn add(&mut self, status: Status, at: Duration) {
        let before = std::mem::replace(&mut self.now, status);
        // Of another process the counters begin anew.
        let is_one_process = before.uptime_seconds <= self.now.uptime_seconds;
        self.before = (self.at.is_some() && is_one_process).then_some(before);
        self.apart = at.saturating_sub(self.at.unwrap_or(at));
        self.at = Some(at);
    }

    pub(super) fn now(&self) -> &Status {
        &self.now
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    fn a_second(&self, count: u64) -> f64 {
        // Two looks at one moment would make anything of it.
        count as f64 / self.apart.as_secs_f64().max(0.01)
    }

    fn rate(&self, counter: impl Fn(&Status) -> u64) -> Option<f64> {
        let before = self.before.as_ref().map(&counter)?;
        Some(self.a_second(counter(&self.now).saturating_sub(before)))
    }

    pub(super) fn sum(&self) -> Sum {
        let mut counts = Vec::new();
        for (status, sign) in [(Some(&self.now), 1_i64), (self.before.as_ref(), -1)] {
            for listener in status.into_iter().flat_map(|status| &status.listeners) {
                add(&mut counts, &listener.traffic.request_duration, sign);
            }
        }
        Sum {
            rate: self.rate(|status| status.totals.traffic.requests),
            connections: self.now.totals.traffic.connections_active,
            own_answers: self.rate(|status| status.totals.traffic.own_responses.values().sum()),
            middle: quantile(&counts, 0.5),
            p99: quantile(&counts, 0.99),
        }
    }

    /// Targets whose group, name or state has `filter` in it, in this order.
    pub(super) fn lines(&self, order: SortColumn, is_reversed: bool, filter: &str) -> Vec<TargetLine> {
        let filter = filter.to_lowercase();
        let mut lines: Vec<TargetLine> =
            (0..self.now.target_groups.len()).flat_map(|at| self.of_group(at)).collect();
        lines.retain(|line| {
            [&line.group, &line.target, &line.state].iter().any(|text| text.to_lowercase().contains(&filter))
        });
        lines.sort_by(|one, other| {
            let most = |ordering: Ordering| ordering.reverse();
            let by = match order {
                SortColumn::Name => Ordering::Equal,
                SortColumn::Rate => most(one.rate.total_cmp(&other.rate)),
                SortColumn::Outstanding => most(one.outstanding.cmp(&other.outstanding)),
                SortColumn::Sessions => most(one.sessions.cmp(&other.sessions)),
                SortColumn::Failures => most(one.failures.total_cmp(&other.failures)),
                SortColumn::State => badness(&one.state).cmp(&badness(&other.state)),
            };
            let by = by.then_with(|| one.group.cmp(&other.group)).then_with(|| one.target.cmp(&other.target));
            if is_reversed { by.reverse() } else { by }
        });
        lines
    }

    fn of_group(&self, at: usize) -> Vec<TargetLine> {
        let Some(group) = self.now.target_groups.get(at) else { return Vec::new() };
        let before =
            self.before.iter().flat_map(|status| &status.target_groups).find(|of| of.name == group.name);
        let rate = |target: &TargetStatus, counter: fn(&TargetStatus) -> u64| {
            let label = target.label();
            let before = before.and_then(|group| group.targets.iter().find(|target| target.label() == label));
            // A target that came meanwhile has counted since; of a first look it is not known.
            let before = match (&self.before, before) {
                (None, _) => return 0.0,
                (Some(_), before) => before.map_or(0, counter),
            };
            self.a_second(counter(target).saturating_sub(before))
        };
        let requests = |target: &TargetStatus| rate(target, |target| target.figures.requests);
        let all: f64 = group.targets.iter().map(requests).sum();
        let share = |target: &TargetStatus| if all > 0.0 { requests(target) / all } else { 0.0 };
        // What drains or fails is nobody to share with.
        let peers = group.targets.iter().filter(|target| target.figures.weight > 0.0).count();
        if group.targets.is_empty() {
            return vec![TargetLine::nobody(&group.name)];
        }
        group
            .targets
            .iter()
            .map(|target| TargetLine {
                group: group.name.clone(),
                target: target.label(),
                state: target.state.clone(),
                sessions: target.figures.sessions,
                outstanding: target.figures.outstanding_requests,
                rate: requests(target),
                share: share(target),
                is_much: is_much(share(target), peers),
                failures: rate(target, failures),
                round_trip_micros: target.connections.srtt_us.0,
                error: target
                    .check_error
                    .as_ref()
                    .or(target.last_error.as_ref())
                    .map_or_else(String::new, |error| {
                        format!("{} ({} ago)", error.error, Span(error.age_seconds))
                    }),
            })
            .collect()
    }
}

impl TargetLine {
    /// Of a group without targets.
    fn nobody(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            target: "-".to_owned(),
            state: "no targets".to_owned(),
            sessions: None,
            outstanding: 0,
            rate: 0.0,
            share: 0.0,
            is_much: false,
            failures: 0.0,
            round_trip_micros: 0,
            error: String::new(),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn is_much(share: f64, peers: usize) -> bool {
    peers > 1 && share * peers as f64 >= 1.5
}

/// Requests that a target failed: by its answers, or by none.
fn failures(target: &TargetStatus) -> u64 {
    let figures = &target.figures;
    figures.responses.get("5xx").copied().unwrap_or(0)
        + figures.connection_errors
        + figures.tls_negotiation_errors
        + figures.unanswered
        + figures.broken_responses
}

fn badness(state: &str) -> u8 {
    match state {
        "unhealthy" => 0,
        "unavailable" => 1,
        "draining" => 2,
        "initial" => 3,
        "unused" => 4,
        _ => 5,
    }
}

/// Adds the counts of a histogram, or takes them away.
fn add(counts: &mut Vec<i64>, histogram: &HistogramStatus, sign: i64) {
    counts.resize(counts.len().max(histogram.counts.len()), 0);
    for (sum, count) in counts.iter_mut().zip(&histogram.counts) {
        *sum += sign * i64::try_from(*count).unwrap_or(i64::MAX);
    }
}

/// The bound below which this part of what was counted lies; none: nothing was, or it took longer than all bounds.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn quantile(counts: &[i64], part: f64) -> Option<f64> {
    let all: i64 = counts.iter().map(|count| (*count).max(0)).sum();
    let (mut seen, wanted) = (0, (all as f64 * part).ceil());
    for (count, bound) in counts.iter().zip(HistogramStatus::bounds()) {
        seen += (*count).max(0);
        if all > 0 && seen as f64 >= wanted {
            return Some(bound);
        }
    }
    None
}
