//! One group of the registry: its targets and the view of it that workers get.
//! Must not know: other groups, where slots and ids come from.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    CheckHistory, CheckOrigin, CheckResult, GroupRuntime, GroupView, Reason, TargetNames, TargetRuntime,
    TargetState, TargetView, Urgency,
};
use crate::{
    id::{Slot, TargetId},
    model::{Endpoint, TargetGroup},
    stickiness::GroupStickiness,
};

#[derive(Debug)]
enum Life {
    Registered {
        history: CheckHistory,
        /// Registered when no other target was known to be good, so that not having been checked yet says
        /// nothing against it; see [`Group::build_view`].
        founder: bool,
    },
    Draining {
        until: Instant,
    },
}

/// One registration.
#[derive(Debug)]
pub(super) struct Target {
    endpoint: Endpoint,
    slot: Slot,
    id: TargetId,
    accepted: Vec<TargetId>,
    registration: u64,
    runtime: Arc<TargetRuntime>,
    life: Life,
}

impl Target {
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

    pub(super) fn drains_until(&self) -> Option<Instant> {
        match self.life {
            Life::Draining { until } => Some(until),
            Life::Registered { .. } => None,
        }
    }

    fn drain(&mut self, now: Instant, delay: Duration) -> bool {
        if self.is_registered() {
            self.life = Life::Draining { until: now + delay };
            return true;
        }
        false
    }
}

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    settings: Arc<TargetGroup>,
    in_use: bool,
    runtime: Arc<GroupRuntime>,
    targets: Vec<Target>,
    view: Option<Arc<GroupView>>,
    stickiness: Option<Arc<GroupStickiness>>,
}

impl Group {
    pub(super) fn new(settings: Arc<TargetGroup>, in_use: bool, workers: usize) -> Self {
        let runtime = Arc::new(GroupRuntime::new(workers));
        Self { settings, in_use, runtime, targets: Vec::new(), view: None, stickiness: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(super) fn settings(&self) -> &Arc<TargetGroup> {
        &self.settings
    }

    pub(super) fn targets(&self) -> &[Target] {
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
        if self.is_checked() != was_checked {
            for target in &mut self.targets {
                if let Life::Registered { history, founder } = &mut target.life {
                    *history = CheckHistory::new();
                    *founder = true;
                }
            }
        }
    }

    /// Registers what is given and not registered yet, brings back what drains, drains the rest. Returns
    /// whether anything changed.
    pub(super) fn set_targets(
        &mut self,
        endpoints: impl Iterator<Item = (Endpoint, Slot)>,
        names: &impl TargetNames,
        now: Instant,
        workers: usize,
        mut next_registration: impl FnMut() -> u64,
    ) -> bool {
        let founder = !self.targets.iter().any(|target| self.state_of(target).0 == TargetState::Healthy);
        let fresh = || Life::Registered { history: CheckHistory::new(), founder };
        let order_before: Vec<u64> = self.targets.iter().map(Target::registration).collect();
        let mut changed = false;
        let mut old: HashMap<Endpoint, Target> =
            self.targets.drain(..).map(|target| (target.endpoint.clone(), target)).collect();
        let mut registered: HashSet<Endpoint> = HashSet::new();
        let mut targets = Vec::new();
        for (endpoint, slot) in endpoints {
            if !registered.insert(endpoint.clone()) {
                continue;
            }
            targets.push(match old.remove(&endpoint) {
                Some(mut target) => {
                    if !target.is_registered() {
                        target.life = fresh();
                        changed = true;
                    }
                    target
                }
                None => Target {
                    id: names.issued(self.name(), &endpoint),
                    accepted: names.accepted(self.name(), &endpoint),
                    endpoint,
                    slot,
                    registration: next_registration(),
                    runtime: Arc::new(TargetRuntime::new(workers)),
                    life: fresh(),
                },
            });
        }
        let mut gone: Vec<Target> = old.into_values().collect();
        gone.sort_by_key(Target::registration);
        for mut target in gone {
            changed |= target.drain(now, self.settings.deregistration_delay);
            targets.push(target);
        }
        self.targets = targets;
        changed |= !self.targets.iter().map(Target::registration).eq(order_before);
        if changed {
            self.view = None;
        }
        changed
    }

    /// The whole group goes: every target drains.
    pub(super) fn leave(&mut self, now: Instant) {
        self.view = None;
        let delay = self.settings.deregistration_delay;
        for target in &mut self.targets {
            target.drain(now, delay);
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

    pub(super) fn record(&mut self, target: usize, result: CheckResult, origin: CheckOrigin) -> Urgency {
        if !self.is_checked() {
            return Urgency::None;
        }
        let Some(Life::Registered { history, founder }) =
            self.targets.get_mut(target).map(|target| &mut target.life)
        else {
            return Urgency::None;
        };
        let before = history.state();
        if !history.record(result, origin, &self.settings.health_check) {
            return Urgency::None;
        }
        *founder = false;
        self.view = None;
        match history.state() {
            TargetState::Unhealthy if before != TargetState::Unhealthy => Urgency::Now,
            _ => Urgency::Soon,
        }
    }

    pub(super) fn expire(&mut self, now: Instant, cut: &mut Vec<u64>) {
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

    pub(super) fn state(&self, target: usize) -> Option<(TargetState, Option<Reason>)> {
        self.targets.get(target).map(|target| self.state_of(target))
    }

    fn state_of(&self, target: &Target) -> (TargetState, Option<Reason>) {
        match &target.life {
            Life::Draining { .. } => (TargetState::Draining, Some(Reason::DeregistrationInProgress)),
            Life::Registered { .. } if !self.in_use => (TargetState::Unused, Some(Reason::NotInUse)),
            Life::Registered { .. } if !self.settings.health_check.enabled => {
                (TargetState::Unavailable, Some(Reason::HealthCheckDisabled))
            }
            Life::Registered { history, .. } => (history.state(), history.reason()),
        }
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
        let mut views = Vec::with_capacity(self.targets.len());
        let mut good = Vec::new();
        let mut unproven = Vec::new();
        let mut registered = Vec::new();
        for (place, target) in (0_u32..).zip(&self.targets) {
            let (state, reason) = self.state_of(target);
            match state {
                TargetState::Healthy | TargetState::Unavailable => good.push(place),
                _ => {}
            }
            // A balancer that was just started knows nothing of any target. Were the first one to pass its
            // check to get everything, each restart would move the sessions of all others; so the others
            // count until they have been checked once. One that joins healthy targets has to pass first.
            if let Life::Registered { history, founder: true } = &target.life
                && state == TargetState::Initial
                && !history.checked()
            {
                unproven.push(place);
            }
            if target.is_registered() && state != TargetState::Unused {
                registered.push(place);
            }
            views.push(TargetView {
                endpoint: target.endpoint.clone(),
                slot: target.slot,
                id: target.id,
                registration: target.registration,
                state,
                reason,
                routable: false,
                runtime: Arc::clone(&target.runtime),
            });
        }
        let failing_open = good.is_empty() && !registered.is_empty();
        let routable = if failing_open {
            registered
        } else {
            good.append(&mut unproven);
            good.sort_unstable();
            good
        };
        let ids = (0_u32..)
            .zip(&self.targets)
            .flat_map(|(place, target)| target.accepted.iter().map(move |id| (*id, place)));
        GroupView::new(
            Arc::clone(&self.settings),
            views,
            routable,
            failing_open,
            ids,
            self.stickiness.clone(),
            Arc::clone(&self.runtime),
        )
    }
}
