//! One group of the registry: its targets and the view of it that workers get.
//! Must not know: other groups, where slots and ids come from.

mod known;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    CheckHistory, CheckOrigin, CheckResult, GroupRuntime, GroupView, HealthReason, Hold, HoldChange,
    HoldError, TargetRuntime, TargetState, TargetView,
    assessment::{SlotRound, TargetAssessment},
    eligible::{self, RoutingCandidate},
    wanted::WantedTarget,
};
use crate::{
    balance::anomaly::{self, AnomalyState},
    clock::unix_now,
    id::{Slot, TargetId},
    model::{Algorithm, Endpoint, HealthCheck, TargetGroup, TargetShare},
    stickiness::GroupStickiness,
    tls::TargetTls,
};

/// Gives targets the ids that stickiness values name them by.
pub trait TargetNames {
    /// The id of an endpoint within a group, as values made now carry it.
    fn issued(&self, group: &str, endpoint: &Endpoint) -> TargetId;

    /// Every id that values made earlier may carry, the issued one included.
    fn accepted(&self, group: &str, endpoint: &Endpoint) -> Vec<TargetId>;

    /// The group's stickiness under the same keys; none when it is not sticky.
    fn stickiness(&self, settings: &TargetGroup) -> Option<Arc<GroupStickiness>>;
}

/// How soon workers should hear of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nothing changed.
    #[default]
    None,
    /// With others of its kind.
    Soon,
    /// At once: a target must not get more requests.
    Now,
}

#[derive(Debug)]
enum Life {
    Registered {
        history: CheckHistory,
        /// Registered when no other target was known to be good, so that not having been checked yet says
        /// nothing against it; see [`Group::build_view`].
        founder: bool,
        /// Put back while it drained, and good when it had been taken out.
        returned: bool,
        /// Registered so, and not healthy since: its first health is no reason for slow start.
        exempt: bool,
        slow_since: Option<Instant>,
    },
    Draining {
        until: Instant,
        /// Whether it was good when it was taken out.
        sound: bool,
    },
}

/// One registration.
#[derive(Debug)]
pub(super) struct RegisteredTarget {
    endpoint: Endpoint,
    slot: Slot,
    id: TargetId,
    accepted: Vec<TargetId>,
    registration: u64,
    runtime: Arc<TargetRuntime>,
    life: Life,
    share: TargetShare,
    hold: Hold,
    assessment: TargetAssessment,
}

impl RegisteredTarget {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn registration(&self) -> u64 {
        self.registration
    }

    pub(super) fn is_registered(&self) -> bool {
        matches!(self.life, Life::Registered { .. })
    }

    /// Whether it is unhealthy by what triggered checks found alone.
    pub(super) fn is_unhealthy_in_haste(&self) -> bool {
        matches!(&self.life, Life::Registered { history, .. } if history.is_unhealthy_in_haste())
    }

    /// Whether it has been healthy.
    pub(super) fn is_proven(&self) -> bool {
        matches!(&self.life, Life::Registered { history, .. } if history.ever_healthy())
    }

    /// Every id that it may be named by, the one in values made now first.
    pub(super) fn ids(&self) -> impl Iterator<Item = TargetId> {
        std::iter::once(self.id).chain(self.accepted.iter().copied())
    }

    pub(super) fn drains_until(&self) -> Option<Instant> {
        match self.life {
            Life::Draining { until, .. } => Some(until),
            Life::Registered { .. } => None,
        }
    }

    fn slow_since(&self) -> Option<Instant> {
        match self.life {
            Life::Registered { slow_since, .. } => slow_since,
            Life::Draining { .. } => None,
        }
    }

    /// What it served and what went wrong so far.
    pub(super) fn runtime(&self) -> &TargetRuntime {
        &self.runtime
    }

    /// Whether it counts although it has not been checked, being in this state. A balancer that was just started knows
    /// nothing of any target. Were the first one to pass its check to get everything, each restart would move the sessions
    /// of all others; so the others count until they have been checked once, and keep their sessions until they have
    /// failed as often as makes a target unhealthy. One that joins healthy targets has to pass first.
    fn is_unproven(&self, state: TargetState) -> bool {
        let Life::Registered { history, founder: true, .. } = &self.life else { return false };
        state == TargetState::Initial && !history.checked()
    }

    /// Whether it is taken to be as good as it was, while its checks have not come to a result yet.
    fn is_trusted(&self) -> bool {
        match self.life {
            Life::Registered { founder, returned, .. } => founder || returned,
            Life::Draining { sound, .. } => sound,
        }
    }

    fn drain(&mut self, now: Instant, delay: Duration, sound: bool) -> bool {
        if self.is_registered() {
            self.life = Life::Draining { until: now + delay, sound };
            self.hold = Hold::default();
            return true;
        }
        false
    }
}

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    settings: Arc<TargetGroup>,
    tls: Option<Arc<TargetTls>>,
    in_use: bool,
    runtime: Arc<GroupRuntime>,
    targets: Vec<RegisteredTarget>,
    view: Option<Arc<GroupView>>,
    stickiness: Option<Arc<GroupStickiness>>,
}

impl Group {
    pub(super) fn new(settings: Arc<TargetGroup>, in_use: bool, workers: usize) -> Self {
        let runtime = Arc::new(GroupRuntime::new(workers));
        Self { settings, tls: None, in_use, runtime, targets: Vec::new(), view: None, stickiness: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(super) fn settings(&self) -> &Arc<TargetGroup> {
        &self.settings
    }

    pub(super) fn tls(&self) -> Option<&Arc<TargetTls>> {
        self.tls.as_ref()
    }

    /// Takes on TLS to the targets; what is equal is left, so that what holds it need not change.
    pub(super) fn set_tls(&mut self, tls: Option<Arc<TargetTls>>) {
        if self.tls != tls {
            self.tls = tls;
            self.view = None;
        }
    }

    pub(super) fn targets(&self) -> &[RegisteredTarget] {
        &self.targets
    }

    /// Whether its targets get checks: only those of a group in use do (ALB: health checks).
    pub(super) fn is_checked(&self) -> bool {
        self.in_use && self.settings.health_check.enabled
    }

    /// Takes on new settings; states are kept unless checks end or begin.
    pub(super) fn reconfigure(&mut self, settings: Arc<TargetGroup>, in_use: bool) {
        let was_checked = self.is_checked();
        self.settings = settings;
        self.in_use = in_use;
        self.view = None;
        let checks_changed = self.is_checked() != was_checked;
        let has_weights = self.settings.algorithm == Algorithm::WeightedRandom;
        for target in &mut self.targets {
            target.hold.percent = target.hold.percent.filter(|_| has_weights);
            let Life::Registered { history, founder, exempt, slow_since, .. } = &mut target.life else {
                continue;
            };
            if checks_changed {
                (*history, *founder, *exempt) = (CheckHistory::new(), true, true);
            }
            if checks_changed || self.settings.slow_start.is_none() {
                *slow_since = None;
            }
        }
    }

    /// Registers what is given and not registered yet, brings back what drains, drains the rest. Returns
    /// whether anything changed.
    pub(super) fn set_targets(
        &mut self,
        wanted: impl Iterator<Item = (WantedTarget, Slot)>,
        names: &impl TargetNames,
        now: Instant,
        workers: usize,
        mut next_registration: impl FnMut() -> u64,
    ) -> bool {
        let wanted: Vec<(WantedTarget, Slot)> = wanted.collect();
        if self.has_just(&wanted) {
            return false;
        }
        let founder = !self.targets.iter().any(|target| self.state_of(target).0 == TargetState::Healthy);
        let fresh = |returned| Life::Registered {
            history: CheckHistory::new(),
            founder,
            returned,
            exempt: founder,
            slow_since: None,
        };
        let (is_first, mut came, mut went) = (self.targets.is_empty(), 0, 0);
        let order_before: Vec<u64> = self.targets.iter().map(RegisteredTarget::registration).collect();
        let mut changed = false;
        let mut old: HashMap<Endpoint, RegisteredTarget> =
            self.targets.drain(..).map(|target| (target.endpoint.clone(), target)).collect();
        let mut registered: HashSet<Endpoint> = HashSet::new();
        let mut targets = Vec::new();
        for (WantedTarget { endpoint, share }, slot) in wanted {
            if !registered.insert(endpoint.clone()) {
                continue;
            }
            targets.push(match old.remove(&endpoint) {
                Some(mut target) => {
                    if !target.is_registered() {
                        target.life = fresh(target.is_trusted());
                        changed = true;
                        came += 1;
                    }
                    changed |= std::mem::replace(&mut target.share, share) != share;
                    target
                }
                None => RegisteredTarget {
                    id: names.issued(self.name(), &endpoint),
                    accepted: names.accepted(self.name(), &endpoint),
                    runtime: Arc::new(TargetRuntime::new(&endpoint, workers)),
                    endpoint,
                    slot,
                    registration: next_registration(),
                    life: fresh(false),
                    share,
                    hold: Hold::default(),
                    assessment: TargetAssessment::default(),
                },
            });
        }
        let mut gone: Vec<RegisteredTarget> = old.into_values().collect();
        gone.sort_by_key(RegisteredTarget::registration);
        for mut target in gone {
            let sound = match self.health_of(&target).0 {
                TargetState::Healthy | TargetState::Unavailable => true,
                TargetState::Initial => target.is_trusted(),
                _ => false,
            };
            let is_out = target.drain(now, self.settings.deregistration_delay, sound);
            changed |= is_out;
            went += u64::from(is_out);
            targets.push(target);
        }
        self.targets = targets;
        if !is_first && came + went > 0 {
            self.runtime.note_deployment((came, went), now, self.settings.deregistration_delay);
        }
        changed |= !self.targets.iter().map(RegisteredTarget::registration).eq(order_before);
        if changed {
            self.view = None;
        }
        changed
    }

    /// Whether these are its targets already, in this order, and none is on its way out.
    fn has_just(&self, wanted: &[(WantedTarget, Slot)]) -> bool {
        self.targets.len() == wanted.len()
            && self.targets.iter().zip(wanted).all(|(target, (wanted, _))| {
                target.is_registered() && target.share == wanted.share && target.endpoint == wanted.endpoint
            })
    }

    /// Takes in what an operator says of a target, which is named as people name it.
    pub(super) fn hold(&mut self, named: &str, change: HoldChange) -> Result<(), HoldError> {
        let settings = &self.settings;
        let target = self.targets.iter_mut().find(|target| target.endpoint.to_string() == named);
        let target = target.ok_or_else(|| HoldError::target(settings, named))?;
        if !target.is_registered() {
            return Err(HoldError::Leaving(named.to_owned()));
        }
        target.hold.change(change, settings)?;
        self.view = None;
        Ok(())
    }

    /// The whole group goes: every target drains.
    pub(super) fn leave(&mut self, now: Instant) {
        self.view = None;
        let delay = self.settings.deregistration_delay;
        for target in &mut self.targets {
            target.drain(now, delay, false);
        }
    }

    pub(super) fn rename(&mut self, names: &impl TargetNames) {
        for target in &mut self.targets {
            target.id = names.issued(&self.settings.name, &target.endpoint);
            target.accepted = names.accepted(&self.settings.name, &target.endpoint);
        }
        self.stickiness = names.stickiness(&self.settings);
        self.view = None;
    }

    pub(super) fn record(
        &mut self,
        target: usize,
        result: CheckResult,
        origin: CheckOrigin,
        now: Instant,
    ) -> Urgency {
        self.learn(target, now, |history, settings| history.record(result, origin, settings))
    }

    /// Takes over what another balancer has found. None: checks of this one say otherwise.
    pub(super) fn adopt(
        &mut self,
        target: usize,
        verdict: Option<HealthReason>,
        now: Instant,
    ) -> Option<Urgency> {
        let mut is_taken = true;
        let urgency = self.learn(target, now, |history, _| {
            let adopted = history.adopt(verdict);
            is_taken = adopted.is_some();
            adopted.unwrap_or(false)
        });
        is_taken.then_some(urgency)
    }

    /// `learns` says whether it has changed anything.
    fn learn(
        &mut self,
        target: usize,
        now: Instant,
        learns: impl FnOnce(&mut CheckHistory, &HealthCheck) -> bool,
    ) -> Urgency {
        if !self.is_checked() {
            return Urgency::None;
        }
        let can_be_spared = self.settings.slow_start.is_some() && self.has_peer_at_full_share(target);
        let Some(Life::Registered { history, exempt, slow_since, .. }) =
            self.targets.get_mut(target).map(|target| &mut target.life)
        else {
            return Urgency::None;
        };
        let before = history.state();
        if !learns(history, &self.settings.health_check) {
            return Urgency::None;
        }
        match (before, history.state()) {
            (TargetState::Healthy, TargetState::Healthy) => {}
            (_, TargetState::Healthy) => {
                *slow_since = (can_be_spared && !*exempt).then_some(now);
                *exempt = false;
            }
            _ => *slow_since = None,
        }
        self.view = None;
        match history.state() {
            TargetState::Unhealthy if before != TargetState::Unhealthy => Urgency::Now,
            _ => Urgency::Soon,
        }
    }

    /// Whether a target other than this one is healthy and not in slow start (ALB: slow start mode).
    fn has_peer_at_full_share(&self, target: usize) -> bool {
        self.targets.iter().enumerate().any(|(index, peer)| {
            index != target && peer.slow_since().is_none() && self.state_of(peer).0 == TargetState::Healthy
        })
    }

    /// When [`Self::expire`] has something to do next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let slow_start = self.settings.slow_start.unwrap_or_default();
        let ends = |target: &RegisteredTarget| {
            let slow_ends = target.slow_since().map(|since| since + slow_start);
            target.drains_until().into_iter().chain(slow_ends)
        };
        self.targets.iter().flat_map(ends).min()
    }

    /// Ends what is over: slow starts, and draining; the registrations that are gone go into `cut`.
    pub(super) fn expire(&mut self, now: Instant, cut: &mut Vec<u64>) {
        let slow_start = self.settings.slow_start.unwrap_or_default();
        for target in &mut self.targets {
            if let Life::Registered { slow_since, .. } = &mut target.life
                && slow_since.is_some_and(|since| since + slow_start <= now)
            {
                *slow_since = None;
                self.view = None;
            }
        }
        let before = self.targets.len();
        self.targets.retain(|target| {
            let over = target.drains_until().is_some_and(|until| until <= now);
            if over {
                cut.push(target.registration);
            }
            !over
        });
        if self.targets.len() != before {
            self.view = None;
        }
    }

    pub(super) fn state(&self, target: usize) -> Option<(TargetState, Option<HealthReason>)> {
        self.targets.get(target).map(|target| self.state_of(target))
    }

    /// Whether a target besides that one is healthy.
    pub(super) fn has_healthy_peer(&self, target: usize) -> bool {
        let is_healthy = |target: &RegisteredTarget| self.state_of(target).0 == TargetState::Healthy;
        self.targets.iter().enumerate().any(|(index, peer)| index != target && is_healthy(peer))
    }

    fn state_of(&self, target: &RegisteredTarget) -> (TargetState, Option<HealthReason>) {
        match self.health_of(target) {
            // By its source it is about to go; its checks go on meanwhile.
            (TargetState::Healthy | TargetState::Unavailable, _) if target.share.leaving => {
                (TargetState::Draining, Some(HealthReason::DeregistrationInProgress))
            }
            found => found,
        }
    }

    /// Its state, whatever its source says of it.
    fn health_of(&self, target: &RegisteredTarget) -> (TargetState, Option<HealthReason>) {
        match &target.life {
            Life::Draining { .. } => (TargetState::Draining, Some(HealthReason::DeregistrationInProgress)),
            Life::Registered { .. } if !self.in_use => (TargetState::Unused, Some(HealthReason::NotInUse)),
            Life::Registered { .. } if !self.settings.health_check.enabled => {
                (TargetState::Unavailable, Some(HealthReason::HealthCheckDisabled))
            }
            Life::Registered { history, .. } => (history.state(), history.reason()),
        }
    }

    /// Takes in a round of what happened at its targets; see [`super::Registry::assess`].
    pub(super) fn assess(&mut self, round: &SlotRound<'_>, told: &mut Vec<(u64, bool)>) -> bool {
        let healthy = |state| matches!(state, TargetState::Healthy | TargetState::Unavailable);
        let states: Vec<bool> = self.targets.iter().map(|target| healthy(self.state_of(target).0)).collect();
        let mut watched = Vec::new();
        let mut changed = false;
        for (target, healthy) in self.targets.iter_mut().zip(states) {
            let round = target.assessment.round(&target.runtime, target.slot, round);
            if healthy {
                let before = target.assessment.watch.is_anomalous();
                watched.push((target.registration, before, &mut target.assessment.watch, round));
            } else {
                changed |= target.assessment.watch != AnomalyState::default();
                target.assessment.watch = AnomalyState::default();
            }
        }
        let mitigate =
            self.settings.anomaly_mitigation && self.settings.algorithm == Algorithm::WeightedRandom;
        let mut rounds: Vec<_> =
            watched.iter_mut().map(|(_, _, watch, round)| (&mut **watch, *round)).collect();
        changed |= anomaly::assess(&mut rounds, mitigate);
        let now_anomalous = watched.iter().filter_map(|(registration, before, watch, _)| {
            (watch.is_anomalous() != *before).then_some((*registration, watch.is_anomalous()))
        });
        told.extend(now_anomalous);
        if changed {
            self.view = None;
        }
        changed
    }

    pub(super) fn view(&mut self) -> Arc<GroupView> {
        if let Some(view) = &self.view {
            return Arc::clone(view);
        }
        let view = Arc::new(self.build_view());
        self.view = Some(Arc::clone(&view));
        view
    }

    fn build_view(&self) -> GroupView {
        let keeps_draining =
            self.settings.stickiness.as_ref().is_some_and(|sticky| sticky.extras.keeps_draining);
        if let Some(sticky) = &self.stickiness {
            let now = unix_now();
            self.runtime.marks();
            for target in &self.targets {
                target.runtime.sessions.count_for(sticky.remembers_for(), now);
            }
        }
        let mut views = Vec::with_capacity(self.targets.len());
        let mut candidates = Vec::new();
        for (index, target) in (0_u32..).zip(&self.targets) {
            let (state, reason) = self.state_of(target);
            let (health, _) = self.health_of(target);
            let is_good = matches!(health, TargetState::Healthy | TargetState::Unavailable);
            if target.is_registered() && state != TargetState::Unused {
                let is_unproven = target.is_unproven(health);
                let is_drained = target.hold.drained;
                candidates.push(RoutingCandidate {
                    index,
                    is_good,
                    is_unproven,
                    is_drained,
                    share: target.share,
                });
            }
            let keeps_sessions = match target.life {
                Life::Draining { sound, .. } => keeps_draining && sound,
                // Where others come first, by what its source or an operator says, it gets nobody new and loses nobody.
                Life::Registered { founder, returned, .. } => {
                    is_good || health == TargetState::Initial && (founder || returned && keeps_draining)
                }
            };
            views.push(TargetView {
                endpoint: target.endpoint.clone(),
                slot: target.slot,
                id: target.id,
                registration: target.registration,
                state,
                reason,
                routable: false,
                keeps_sessions,
                slow_since: target.slow_since(),
                watch: target.assessment.watch,
                share: target.share,
                hold: target.hold,
                runtime: Arc::clone(&target.runtime),
            });
        }
        let (routable, failing_open) = eligible::routable(&candidates, self.settings.minimum_healthy);
        let ids = (0_u32..)
            .zip(&self.targets)
            .flat_map(|(index, target)| target.accepted.iter().map(move |id| (*id, index)));
        GroupView::new(
            Arc::clone(&self.settings),
            views,
            routable,
            failing_open,
            ids,
            self.stickiness.clone(),
            Arc::clone(&self.runtime),
        )
        .over(self.tls.clone())
    }
}
