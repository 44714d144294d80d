//! What checks find, and what brings them forward: into the book of targets, to the workers, into logs.
//! Must not know: how a check is made.

use std::time::Duration;

use super::Controller;
use crate::{
    clock::{monotonic_now, unix_micros_now},
    counters::Cause,
    health::{Checked, Finished, check_log::CheckRecord, suspects, suspicion},
    kernel::TargetEvent,
    logs::quiet::LineKind,
    model::HealthCheckPort,
    snapshot::WorkerMessage,
    target_group::{CheckResult, CheckTarget, HealthReason, TargetState, Urgency},
};

/// State of a target, and why.
pub(super) type StateAndReason = (TargetState, Option<HealthReason>);

impl Controller {
    /// Writes a line into the log of every load balancer that the group serves. `checked` is nothing where the
    /// check could not be made.
    fn log_check(&mut self, target: &CheckTarget, checked: Option<&Checked>, latency: Duration) {
        let group = &target.settings.name;
        let Some(logs) = self.logs.checks(group) else { return };
        let record = CheckRecord {
            ended: unix_micros_now(),
            latency,
            endpoint: &target.endpoint,
            settings: &target.settings.health_check,
            group,
            result: checked.map(|checked| checked.result),
            status: checked.and_then(|checked| checked.status),
            failure: checked.and_then(|checked| checked.failure.as_ref()),
        };
        for log in logs {
            let dropped = self.check_lines.add(&log.sink, |out| log.line(&record, out));
            self.counters.log_lines_dropped.add(dropped);
        }
    }

    pub(super) fn suspect(&mut self, event: TargetEvent) {
        let now = monotonic_now();
        let srtt = Duration::from_micros(self.kernel.tables().counters.read(event.slot).srtt_us);
        let suspicion = suspicion(event.kind, srtt);
        for registration in suspects(&self.registry, event.slot) {
            self.checks.trigger(registration, suspicion, now);
        }
    }

    pub(super) fn take_check(&mut self, finished: &Finished) {
        if !self.checks.ended(finished) {
            return;
        }
        // What it finds is told by the process that runs the instance alone.
        let is_told = !self.succession.is_over();
        if is_told {
            self.log_check(&finished.target, finished.outcome.as_ref().ok(), finished.latency);
        }
        let registration = finished.registration;
        let result = match &finished.outcome {
            Ok(checked) => checked.result,
            Err(error) => {
                if is_told && LineKind::HealthCheck.admits() {
                    let (group, target) = (&finished.target.settings.name, &finished.target.endpoint);
                    tracing::warn!(group, %target, %error, "a health check could not be made");
                }
                self.checks.make_up_for(finished, monotonic_now());
                return;
            }
        };
        let why = self.note_check(registration, finished.outcome.as_ref().ok());
        let before = self.registry.state(registration);
        let urgency = self.registry.record(registration, result, finished.origin, monotonic_now());
        let after = self.registry.state(registration);
        self.tell_council(registration);
        let undecided = !matches!(after, Some((TargetState::Unhealthy, _)));
        let in_haste = self.registry.is_unhealthy_in_haste(registration);
        self.checks.follow_up(finished, undecided, in_haste, monotonic_now());
        if let Ok(Checked { elsewhere: Some(address), .. }) = finished.outcome {
            for host in self.loopback.moved_to(&finished.target.settings, address) {
                self.readdress(&host);
            }
        }
        if is_told {
            self.log_state(registration, before, &why);
        }
        match urgency {
            Urgency::None => {}
            Urgency::Soon => self.publish_soon(),
            // Who is to go elsewhere has to know first that it is not this target. Where nobody else is there, waiting is better than
            // an error: its host may come back, or take the connection when it gets to it.
            Urgency::Now
                if takes_no_connections(finished) && self.registry.has_healthy_peer(registration) =>
            {
                self.publish();
                let sent = finished.unheard;
                self.tell(|| WorkerMessage::MoveAway { registration, sent });
            }
            Urgency::Now => self.publish_now(),
        }
    }

    /// Tells of a target whose state is not what it was `before`.
    pub(super) fn log_state(&self, registration: u64, before: Option<StateAndReason>, why: &str) {
        if let (Some((old, _)), Some((new, reason))) = (before, self.registry.state(registration))
            && old != new
            && let Some((group, endpoint)) = self.registry.describe(registration)
        {
            let reason = reason.map_or("", |reason| reason.code());
            let (from, to) = (old.as_str(), new.as_str());
            if new == TargetState::Unhealthy {
                tracing::warn!(group, target = %endpoint, from, to, reason, why, "target state");
            } else {
                tracing::info!(group, target = %endpoint, from, to, reason, "target state");
            }
        }
    }

    /// Keeps why the last check failed where the status shows it. Gives it back; empty: it passed.
    fn note_check(&self, registration: u64, checked: Option<&Checked>) -> String {
        let (Some(checked), Some(runtime)) = (checked, self.registry.runtime(registration)) else {
            return String::new();
        };
        let CheckResult::Fail(reason) = checked.result else {
            runtime.check_error.clear();
            return String::new();
        };
        let (cause, text) = match &checked.failure {
            Some(failure) => (failure.cause.as_str(), failure.to_string()),
            None => (reason.code(), reason.description()),
        };
        runtime.check_error.set(cause, text.as_str().into());
        text
    }
}

/// Whether a check found that its target takes no connections where requests go, by not so much as a refusal.
fn takes_no_connections(finished: &Finished) -> bool {
    if finished.target.settings.health_check.port != HealthCheckPort::Traffic {
        return false;
    }
    let failure = finished.outcome.as_ref().ok().and_then(|checked| checked.failure.as_ref());
    let cause = failure.map(|failure| failure.cause);
    matches!(cause, Some(Cause::TargetConnectionTimedOut | Cause::TargetUnreachable))
}
