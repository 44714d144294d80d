//! Health of targets that one balancer finds out for all: what this one tells of its checks, and what it takes from the one that checks.
//! Must not know: how balancers speak to each other.

use std::{collections::HashMap, time::Instant};

use super::Controller;
use crate::{
    clock::monotonic_now,
    counters::VerdictRefusal,
    model::Endpoint,
    session_store::{Ailment, CouncilNews, HealthVerdict, HeardVerdict},
    target_group::{HealthReason, TargetNames as _, TargetState, Urgency},
};

/// So many intervals after it was checked the word of another balancer on a target does not count any more.
const SILENCE: u32 = 2;

fn reason(ailment: Ailment) -> HealthReason {
    match ailment {
        Ailment::Status(status) => HealthReason::ResponseCodeMismatch(status),
        Ailment::Timeout => HealthReason::Timeout,
        Ailment::Failed => HealthReason::FailedHealthChecks,
    }
}

/// What others are told of a state; none: there is no verdict yet.
fn verdict(state: TargetState, reason: Option<HealthReason>) -> Option<HealthVerdict> {
    match (state, reason) {
        (TargetState::Healthy, _) => Some(None),
        (TargetState::Unhealthy, Some(HealthReason::ResponseCodeMismatch(status))) => {
            Some(Some(Ailment::Status(status)))
        }
        (TargetState::Unhealthy, Some(HealthReason::Timeout)) => Some(Some(Ailment::Timeout)),
        (TargetState::Unhealthy, _) => Some(Some(Ailment::Failed)),
        _ => None,
    }
}

impl Controller {
    /// Balancers with the same secrets check for each other: what names them is a hash under these, of what no group is called.
    pub(super) fn join_council(&self) {
        let nowhere = Endpoint::Tcp(([0, 0, 0, 0], 0).into());
        self.names.1.council().be_of(self.names.issued("", &nowhere));
    }

    /// A check has ended.
    pub(super) fn tell_council(&self, registration: u64) {
        let council = self.names.1.council();
        if let Some((state, why)) = self.registry.state(registration).filter(|_| council.shares_checks())
            && let Some(verdict) = verdict(state, why)
            && let Some(target) = self.registry.id(registration)
        {
            council.note(target, verdict, monotonic_now());
        }
    }

    pub(super) fn hear_council(&mut self, news: CouncilNews) {
        let now = monotonic_now();
        match news {
            CouncilNews::Leads | CouncilNews::Alone => {
                self.checks.lead(now);
                for registration in std::mem::take(&mut self.council.heard).into_keys() {
                    if let Some(runtime) = self.registry.runtime(registration) {
                        runtime.followed.set(None);
                    }
                }
            }
            CouncilNews::Heard(heard) => {
                let council = self.names.1.council();
                if council.shares_checks() && !council.leads(now) && !self.succession.is_over() {
                    self.take_verdicts(&heard, now);
                }
            }
        }
    }

    fn refuse_verdict(&self, why: VerdictRefusal) {
        self.names.1.shard().verdicts_refused.count(why);
    }

    fn take_verdicts(&mut self, heard: &[HeardVerdict], now: Instant) {
        let known: HashMap<_, _> = self
            .registry
            .checked_ids()
            .map(|(id, registration, every)| (id, (registration, every)))
            .collect();
        let mut fresh: Vec<(u64, HeardVerdict, Instant, bool)> = Vec::new();
        for heard in heard {
            let Some((registration, interval)) = known.get(&heard.target).copied() else {
                self.refuse_verdict(VerdictRefusal::UnknownTarget);
                continue;
            };
            let until = heard.checked + interval * SILENCE;
            if until <= now {
                self.refuse_verdict(VerdictRefusal::Stale);
                continue;
            }
            let before = self.council.heard.insert(registration, (heard.verdict, until));
            let is_new = before.is_none_or(|(verdict, _)| verdict != heard.verdict);
            fresh.push((registration, *heard, until, is_new));
        }
        if self.council.heard.len() > known.len() {
            let registry = &self.registry;
            self.council.heard.retain(|registration, _| registry.state(*registration).is_some());
        }
        let mut urgency = Urgency::None;
        for (registration, heard, until, is_new) in fresh {
            urgency = urgency.max(self.take_verdict(registration, &heard, until, is_new));
        }
        match urgency {
            Urgency::None => {}
            Urgency::Soon => self.publish_soon(),
            Urgency::Now => self.publish_now(),
        }
    }

    fn take_verdict(
        &mut self,
        registration: u64,
        heard: &HeardVerdict,
        until: Instant,
        is_new: bool,
    ) -> Urgency {
        let now = monotonic_now();
        let before = self.registry.state(registration);
        let is_unhealthy = before.is_some_and(|(state, _)| state == TargetState::Unhealthy);
        if heard.verdict.is_some() && !is_unhealthy && self.leaves_none(registration, now) {
            self.refuse_verdict(VerdictRefusal::LeavesNone);
            self.check_again(registration, is_new, now);
            return Urgency::None;
        }
        let Some(urgency) = self.registry.adopt(registration, heard.verdict.map(reason), now) else {
            self.refuse_verdict(VerdictRefusal::OwnFinding);
            self.check_again(registration, false, now);
            return Urgency::None;
        };
        self.names.1.shard().verdicts_taken.inc();
        self.checks.follow(registration, heard.checked, until, heard.verdict.is_none());
        if let Some(runtime) = self.registry.runtime(registration) {
            runtime.followed.set(Some(until));
            if heard.verdict.is_none() {
                runtime.check_error.clear();
            }
        }
        self.log_state(registration, before, "the balancer that checks for all says so");
        urgency
    }

    /// This balancer looks for itself: at once, or when it is time.
    fn check_again(&mut self, registration: u64, at_once: bool, now: Instant) {
        if let Some(runtime) = self.registry.runtime(registration) {
            runtime.followed.set(None);
        }
        if at_once {
            self.checks.trigger(registration, None, now);
        }
    }

    /// Whether by the word of another balancer no target of the group is left. Who has lost the way to all of them would take them
    /// from everybody.
    fn leaves_none(&self, registration: u64, now: Instant) -> bool {
        let is_out = |registration: &u64| {
            let heard = self.council.heard.get(registration);
            heard.is_some_and(|(verdict, until)| verdict.is_some() && now < *until)
        };
        self.registry.group_of(registration).iter().all(is_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_state_is_taken_for_the_same() {
        for why in
            [HealthReason::ResponseCodeMismatch(503), HealthReason::Timeout, HealthReason::FailedHealthChecks]
        {
            let told = verdict(TargetState::Unhealthy, Some(why));
            assert_eq!(told.and_then(|verdict| verdict.map(reason)), Some(why));
        }
        let internal = verdict(TargetState::Unhealthy, Some(HealthReason::InternalError));
        assert_eq!(internal, Some(Some(Ailment::Failed)));
        assert_eq!(verdict(TargetState::Healthy, None), Some(None));
        for state in [TargetState::Initial, TargetState::Draining, TargetState::Unused] {
            assert_eq!(verdict(state, Some(HealthReason::NotInUse)), None);
        }
    }
}
