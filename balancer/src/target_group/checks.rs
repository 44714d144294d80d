//! How check results move one target between `initial`, `healthy` and `unhealthy` (ALB: health checks
//! for target groups). Pure: knows neither time nor how a check is made.

use super::{
    HealthReason, TargetState,
    memory::{KnownHistory, KnownReason, KnownState},
};
use crate::model::HealthCheck;

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// The target answered with a code of the matcher, in time.
    Pass,
    /// It did not, for this reason.
    Fail(HealthReason),
}

/// Why a check was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOrigin {
    /// Its turn had come.
    Scheduled,
    /// A connection of a client failed, or an earlier triggered check did. A pass of such a check brings an unhealthy
    /// target closer to recovery only when such checks alone have found it unhealthy: the thresholds are meant in intervals,
    /// but what fell in milliseconds need not stay down for minutes.
    Triggered,
}

/// What is known of a target from its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckHistory {
    state: TargetState,
    reason: Option<HealthReason>,
    ever_healthy: bool,
    checked: bool,
    passes: u8,
    failures: u8,
    /// Whether triggered checks alone say so, as far as it fails or is unhealthy.
    hasty: bool,
}

impl Default for CheckHistory {
    fn default() -> Self {
        Self::new()
    }
}

impl CheckHistory {
    /// A target that was never checked: `initial`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: TargetState::Initial,
            reason: Some(HealthReason::InitialHealthChecking),
            ever_healthy: false,
            checked: false,
            passes: 0,
            failures: 0,
            hasty: true,
        }
    }

    /// `Initial`, `Healthy` or `Unhealthy`.
    #[must_use]
    pub const fn state(&self) -> TargetState {
        self.state
    }

    /// Why; none when healthy.
    #[must_use]
    pub const fn reason(&self) -> Option<HealthReason> {
        self.reason
    }

    /// What another process knew.
    pub(super) fn recall(known: &KnownHistory) -> Self {
        Self {
            state: match known.state {
                KnownState::Initial => TargetState::Initial,
                KnownState::Healthy => TargetState::Healthy,
                KnownState::Unhealthy => TargetState::Unhealthy,
            },
            reason: known.reason.map(KnownReason::reason),
            ever_healthy: known.ever_healthy,
            checked: known.checked,
            passes: known.passes,
            failures: known.failures,
            hasty: known.hasty,
        }
    }

    pub(super) const fn ever_healthy(&self) -> bool {
        self.ever_healthy
    }

    /// For another process.
    pub(super) fn remember(&self) -> KnownHistory {
        KnownHistory {
            state: match self.state {
                TargetState::Healthy => KnownState::Healthy,
                TargetState::Unhealthy => KnownState::Unhealthy,
                _ => KnownState::Initial,
            },
            reason: self.reason.and_then(KnownReason::of),
            ever_healthy: self.ever_healthy,
            checked: self.checked,
            passes: self.passes,
            failures: self.failures,
            hasty: self.hasty,
        }
    }

    /// Whether any check has come to an end.
    #[must_use]
    pub const fn checked(&self) -> bool {
        self.checked
    }

    /// Whether it is unhealthy by what triggered checks found alone: more of them may undo that.
    #[must_use]
    pub fn is_unhealthy_in_haste(&self) -> bool {
        self.state == TargetState::Unhealthy && self.hasty
    }

    /// Takes in a result. Returns whether state, reason or [`Self::checked`] changed.
    ///
    /// A target that was never healthy becomes healthy with its first pass, whatever the threshold; from
    /// then on as many results in a row as the thresholds say decide, both ways.
    pub fn record(&mut self, result: CheckResult, origin: CheckOrigin, settings: &HealthCheck) -> bool {
        let before = (self.state, self.reason, self.checked);
        self.checked = true;
        match result {
            CheckResult::Pass => self.pass(origin, settings),
            CheckResult::Fail(reason) => self.fail(reason, origin, settings),
        }
        before != (self.state, self.reason, self.checked)
    }

    /// Takes over what another balancer has found by its checks: nothing, or why the target is unhealthy. None: own checks that
    /// something here had triggered say otherwise, and they have to be passed first. Else whether anything changed.
    pub fn adopt(&mut self, verdict: Option<HealthReason>) -> Option<bool> {
        if verdict.is_none() && self.is_unhealthy_in_haste() {
            return None;
        }
        let before = (self.state, self.reason, self.checked);
        self.checked = true;
        (self.passes, self.failures) = (0, 0);
        self.reason = verdict;
        match verdict {
            None => {
                (self.state, self.ever_healthy, self.hasty) = (TargetState::Healthy, true, true);
            }
            Some(_) => (self.state, self.hasty) = (TargetState::Unhealthy, false),
        }
        Some(before != (self.state, self.reason, self.checked))
    }

    fn pass(&mut self, origin: CheckOrigin, settings: &HealthCheck) {
        self.failures = 0;
        if self.state == TargetState::Healthy {
            self.hasty = true;
            return;
        }
        if self.ever_healthy && origin == CheckOrigin::Triggered && !self.is_unhealthy_in_haste() {
            return;
        }
        self.passes = self.passes.saturating_add(1);
        if !self.ever_healthy || self.passes >= settings.healthy_threshold {
            self.ever_healthy = true;
            self.state = TargetState::Healthy;
            self.reason = None;
            self.passes = 0;
            self.hasty = true;
        }
    }

    fn fail(&mut self, reason: HealthReason, origin: CheckOrigin, settings: &HealthCheck) {
        self.passes = 0;
        self.hasty &= origin == CheckOrigin::Triggered;
        self.failures = self.failures.saturating_add(1);
        if self.state == TargetState::Unhealthy || self.failures >= settings.unhealthy_threshold {
            self.state = TargetState::Unhealthy;
            self.reason = Some(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_group::test_support::health_check;

    const FAIL: CheckResult = CheckResult::Fail(HealthReason::Timeout);
    const PASS: CheckResult = CheckResult::Pass;

    /// Thresholds: 3 passes, 2 failures.
    fn walk(history: &mut CheckHistory, origin: CheckOrigin, results: &[CheckResult]) -> Vec<TargetState> {
        let settings = health_check(3, 2);
        results
            .iter()
            .map(|result| {
                history.record(*result, origin, &settings);
                history.state()
            })
            .collect()
    }

    #[test]
    fn states_follow_results_by_the_thresholds() {
        use TargetState::{Healthy as H, Initial as I, Unhealthy as U};
        let table: &[(&[CheckResult], &[TargetState])] = &[
            (&[PASS], &[H]),
            (&[FAIL, PASS], &[I, H]),
            (&[FAIL, FAIL, PASS], &[I, U, H]),
            (&[PASS, FAIL, PASS, FAIL, FAIL], &[H, H, H, H, U]),
            (&[PASS, FAIL, FAIL, PASS, PASS, PASS], &[H, H, U, U, U, H]),
            (&[PASS, FAIL, FAIL, PASS, PASS, FAIL, PASS, PASS, PASS], &[H, H, U, U, U, U, U, U, H]),
        ];
        for (results, states) in table {
            let walked = walk(&mut CheckHistory::new(), CheckOrigin::Scheduled, results);
            assert_eq!(&walked, states, "{results:?}");
        }
    }

    #[test]
    fn triggered_passes_help_a_new_target_and_undo_what_triggered_failures_did() {
        use CheckOrigin::{Scheduled, Triggered};
        use TargetState::{Healthy as H, Unhealthy as U};
        let mut history = CheckHistory::new();
        assert_eq!(walk(&mut history, Triggered, &[PASS]), [H]);
        assert_eq!(walk(&mut history, Triggered, &[FAIL, FAIL]), [H, U]);
        assert!(history.is_unhealthy_in_haste());
        assert_eq!(walk(&mut history, Triggered, &[PASS, PASS, FAIL, PASS, PASS, PASS]), [U, U, U, U, U, H]);
        assert!(!history.is_unhealthy_in_haste());
        // A failure in its turn makes it a matter of intervals, before or after.
        for turns in [[Scheduled, Triggered], [Triggered, Scheduled]] {
            let mut history = history.clone();
            for origin in turns {
                walk(&mut history, origin, &[FAIL]);
            }
            assert_eq!((history.state(), history.is_unhealthy_in_haste()), (U, false), "{turns:?}");
            assert_eq!(walk(&mut history, Triggered, &[PASS, PASS, PASS, PASS]), [U, U, U, U]);
            assert_eq!(walk(&mut history, Scheduled, &[PASS, PASS, PASS]), [U, U, H]);
        }
        walk(&mut history, Triggered, &[FAIL, FAIL]);
        walk(&mut history, Scheduled, &[FAIL]);
        assert_eq!(walk(&mut history, Triggered, &[PASS, PASS, PASS, PASS]), [U, U, U, U]);
        // What was overcome counts no more.
        walk(&mut history, Scheduled, &[PASS, PASS, PASS, FAIL, PASS]);
        walk(&mut history, Triggered, &[FAIL, FAIL]);
        assert!(history.is_unhealthy_in_haste());
    }

    #[test]
    fn a_change_of_the_reason_is_a_change() {
        let settings = health_check(3, 2);
        let mut history = CheckHistory::new();
        assert!(history.record(FAIL, CheckOrigin::Scheduled, &settings), "checked for the first time");
        assert_eq!(history.reason(), Some(HealthReason::InitialHealthChecking));
        assert!(history.record(FAIL, CheckOrigin::Scheduled, &settings));
        assert!(!history.record(FAIL, CheckOrigin::Scheduled, &settings));
        let mismatch = CheckResult::Fail(HealthReason::ResponseCodeMismatch(500));
        assert!(history.record(mismatch, CheckOrigin::Scheduled, &settings));
        assert_eq!(history.reason(), Some(HealthReason::ResponseCodeMismatch(500)));
        assert!(history.record(PASS, CheckOrigin::Scheduled, &settings));
        assert_eq!(history.reason(), None);
    }

    #[test]
    fn what_another_balancer_has_found_is_taken_unless_own_connections_say_otherwise() {
        use CheckOrigin::{Scheduled, Triggered};
        use TargetState::{Healthy as H, Unhealthy as U};
        let mut history = CheckHistory::new();
        assert_eq!(history.adopt(None), Some(true));
        assert_eq!((history.state(), history.reason(), history.checked()), (H, None, true));
        assert_eq!(history.adopt(None), Some(false), "nothing has changed");
        assert_eq!(history.adopt(Some(HealthReason::Timeout)), Some(true));
        assert_eq!((history.state(), history.reason()), (U, Some(HealthReason::Timeout)));
        // It was not found in haste: what connections trigger does not undo it, and checks in their turn do by the threshold.
        assert_eq!(walk(&mut history, Triggered, &[PASS, PASS, PASS, PASS]), [U, U, U, U]);
        assert_eq!(walk(&mut history.clone(), Scheduled, &[PASS, PASS, PASS]), [U, U, H]);
        assert_eq!(history.adopt(None), Some(true));
        // A failure of one's own begins at none: nothing of before counts.
        assert_eq!(walk(&mut history, Scheduled, &[FAIL]), [H]);
        assert_eq!(history.adopt(None), Some(false));
        assert_eq!(walk(&mut history, Scheduled, &[FAIL, PASS]), [H, H]);
        // What connections here have shown has to be undone here.
        walk(&mut history, Triggered, &[FAIL, FAIL]);
        assert_eq!((history.adopt(None), history.state()), (None, U));
        walk(&mut history, Triggered, &[PASS, PASS, PASS]);
        assert_eq!((history.adopt(None), history.state()), (Some(false), H));
    }
}
