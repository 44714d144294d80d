//! Health checks: when a target is checked, how, and what came of it. One prober a process, on the
//! control thread. Must not know: what a result means for a target (see [`crate::target_group`]),
//! workers, requests.

pub mod check_log;
mod kernel_events;
mod probe;
mod probe_error;
mod probe_http1;
mod probe_http2;
mod schedule;

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{Id, JoinSet};

pub use self::{
    kernel_events::{Suspicion, suspects, suspicion},
    probe::{Checked, Exempt, Prober},
    schedule::{ProbeOrder, Schedule},
};
use crate::{
    clock::{monotonic_now, until},
    target_group::{CheckOrigin, CheckResult, CheckTarget},
};

/// A check that has come to an end.
#[derive(Debug)]
pub struct Finished {
    number: u64,
    /// Whose check it was.
    pub registration: u64,
    /// Why it was made.
    pub origin: CheckOrigin,
    /// What it found, or why it could not be made, which says nothing about the target.
    pub outcome: io::Result<Checked>,
    /// What was checked.
    pub target: CheckTarget,
    /// How long it took.
    pub latency: Duration,
    /// Whether the target had left data without an answer before.
    pub unheard: bool,
}

/// The checks of all targets.
#[derive(Debug)]
pub struct HealthChecks {
    schedule: Schedule,
    prober: Arc<Prober>,
    running: JoinSet<(io::Result<Checked>, Duration)>,
    orders: HashMap<Id, ProbeOrder>,
}

impl HealthChecks {
    /// No checks yet; `seed` spreads them over time.
    #[must_use]
    pub fn new(prober: Prober, seed: u64) -> Self {
        Self {
            schedule: Schedule::new(seed),
            prober: Arc::new(prober),
            running: JoinSet::new(),
            orders: HashMap::new(),
        }
    }

    /// Checks these targets from now on and no others.
    pub fn sync(&mut self, targets: impl Iterator<Item = CheckTarget>, now: Instant) {
        self.schedule.sync(targets, now);
    }

    /// Checks a target out of turn: something happened to a connection to it. `suspicion`: what is suspected of it until it
    /// passes a check.
    pub fn trigger(&mut self, registration: u64, suspicion: Option<Suspicion>, now: Instant) {
        self.schedule.trigger(registration, suspicion, now);
    }

    /// Another balancer has checked a target at `checked` and counts as who does until `until`. `healthy`: it has found nothing.
    pub fn follow(&mut self, registration: u64, checked: Instant, until: Instant, healthy: bool) {
        if healthy {
            self.schedule.settle(registration, checked);
        }
        self.schedule.follow(registration, checked, until);
    }

    /// This balancer checks for others from now on.
    pub fn lead(&mut self, now: Instant) {
        self.schedule.lead(now);
    }

    /// Makes checks as they fall due until one ends. Must be called on a tokio runtime. Cancel safe.
    pub async fn next(&mut self) -> Finished {
        loop {
            while let Some(order) = self.schedule.next(monotonic_now()) {
                self.start(order);
            }
            let due = self.schedule.next_due();
            tokio::select! {
                Some(ended) = self.running.join_next_with_id() => {
                    let (id, outcome) = match ended {
                        Ok((id, outcome)) => (id, outcome),
                        Err(error) => {
                            (error.id(), (Err(io::Error::other(error.to_string())), Duration::ZERO))
                        }
                    };
                    if let Some(order) = self.orders.remove(&id) {
                        let ProbeOrder { number, registration, origin, target, suspicion } = order;
                        let (outcome, latency) = outcome;
                        let unheard = suspicion.is_some_and(|suspicion| suspicion.unheard);
                        return Finished { number, registration, origin, outcome, target, latency, unheard };
                    }
                }
                () = until(due) => {}
                else => std::future::pending().await,
            }
        }
    }

    /// Takes note that a check has ended, before its result is used. Returns whether the result counts: that
    /// of a target which is not checked any more, or was registered anew meanwhile, does not.
    #[must_use]
    pub fn ended(&mut self, finished: &Finished) -> bool {
        self.schedule.ended(finished.number)
    }

    /// After the result was used: checks again at once what failed a triggered check and is not yet decided, and before long
    /// what was found unhealthy so (`in_haste`). With its first pass a target has its verdict, and is checked by its
    /// interval from then on.
    pub fn follow_up(&mut self, finished: &Finished, undecided: bool, in_haste: bool, now: Instant) {
        if matches!(finished.outcome, Ok(Checked { result: CheckResult::Pass, .. })) {
            self.schedule.settle(finished.registration, now);
            self.schedule.calm(finished.registration);
        }
        let failed = matches!(finished.outcome, Ok(Checked { result: CheckResult::Fail(_), .. }));
        if finished.origin == CheckOrigin::Triggered && failed && undecided {
            self.schedule.confirm(finished.registration, now);
        }
        if finished.origin == CheckOrigin::Triggered && in_haste {
            self.schedule.try_again(finished.registration, now);
        }
    }

    /// A check could not be made: one that something had triggered is tried again before long.
    pub fn make_up_for(&mut self, finished: &Finished, now: Instant) {
        if finished.origin == CheckOrigin::Triggered {
            self.schedule.try_again(finished.registration, now);
        }
    }

    fn start(&mut self, order: ProbeOrder) {
        let prober = Arc::clone(&self.prober);
        let target = order.target.clone();
        let patience = order.suspicion.map(|suspicion| suspicion.patience);
        // In a box, made in its place: a task moves its future several times, and this one is very large.
        let memory = Box::new_uninit();
        let check = Box::write(memory, async move {
            let began = monotonic_now();
            let outcome = prober.check(&target, patience).await;
            (outcome, monotonic_now().saturating_duration_since(began))
        });
        let handle = self.running.spawn(Box::into_pin(check));
        self.orders.insert(handle.id(), order);
    }
}
