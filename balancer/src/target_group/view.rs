//! The immutable picture of a group that workers read.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
    time::Instant,
};

use super::{GroupRuntime, HealthReason, Hold, TargetRuntime, TargetState};
use crate::{
    balance::{PARITY, SlowStart, TargetParts, WeightedTargets, anomaly::AnomalyState},
    id::{Slot, TargetId},
    model::{Algorithm, Endpoint, TargetGroup, TargetShare},
    stickiness::{GroupStickiness, Standing, TargetLookup},
    tls::TargetTls,
};

/// One target of a group.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// What to connect to.
    pub endpoint: Endpoint,
    /// Its row in the shared tables.
    pub slot: Slot,
    /// Its id in stickiness values that are issued now.
    pub id: TargetId,
    /// Number of this registration, never used twice in a process: what a cut names.
    pub registration: u64,
    /// Its state.
    pub state: TargetState,
    /// Why; none when healthy.
    pub reason: Option<HealthReason>,
    /// Whether a new request may go to it: it is among the group's `routable`.
    pub routable: bool,
    /// Whether the sessions bound to it stay, though nobody new may come: until its delay ends where it drains, until
    /// its checks have come to a result where they begin anew.
    pub keeps_sessions: bool,
    /// Since when it is in slow start; none: it is not.
    pub slow_since: Option<Instant>,
    /// Whether it fails more than its peers, and what it gets for that.
    pub watch: AnomalyState,
    /// What it gets by its source.
    pub share: TargetShare,
    /// What an operator has said of it.
    pub hold: Hold,
    /// Figures that outlive reloads.
    pub runtime: Arc<TargetRuntime>,
}

/// One group.
#[derive(Debug)]
pub struct GroupView {
    /// Its settings.
    pub settings: Arc<TargetGroup>,
    /// Every target, draining ones included.
    pub targets: Vec<TargetView>,
    /// Indices into `targets`, ascending, that a new request may go to: the healthy ones (`unavailable` ones
    /// count as healthy, and so do those that a group began with until their first check), or every
    /// registered one when none is healthy (fail-open). Empty: none is registered, or the group is unused.
    pub routable: Vec<u32>,
    /// Whether `routable` holds targets that are not healthy, for want of healthy ones.
    pub failing_open: bool,
    /// How turns are taken while some of `routable` are in slow start; none: in turn.
    pub slow_start: Option<SlowStart>,
    /// The weights of `routable`; none unless the algorithm goes by weights, or a source gives some targets more than others.
    pub weights: Option<WeightedTargets>,
    /// What of all requests each target gets by its source; none where that is as much for each of `routable`.
    pub parts: Option<TargetParts>,
    /// TLS to its targets; none when they speak plain HTTP.
    pub tls: Option<Arc<TargetTls>>,
    /// How its cookies are read and made; none when it is not sticky.
    pub stickiness: Option<Arc<GroupStickiness>>,
    /// Figures that outlive reloads.
    pub runtime: Arc<GroupRuntime>,
    by_id: HashMap<TargetId, u32, BuildHasherDefault<IdHasher>>,
}

impl GroupView {
    /// A view; `ids` gives every id that a stickiness value may name a target by, with the target's index.
    /// Sets [`TargetView::routable`] by `routable`, and compiles slow start and weights from the targets' own.
    #[must_use]
    pub fn new(
        settings: Arc<TargetGroup>,
        mut targets: Vec<TargetView>,
        routable: Vec<u32>,
        failing_open: bool,
        ids: impl IntoIterator<Item = (TargetId, u32)>,
        stickiness: Option<Arc<GroupStickiness>>,
        runtime: Arc<GroupRuntime>,
    ) -> Self {
        for target in &mut targets {
            target.routable = false;
        }
        for index in &routable {
            if let Some(target) = usize::try_from(*index).ok().and_then(|index| targets.get_mut(index)) {
                target.routable = true;
            }
        }
        let by_id = ids.into_iter().collect();
        let target = |index: u32| usize::try_from(index).ok().and_then(|index| targets.get(index));
        let in_turn = settings.algorithm == Algorithm::RoundRobin;
        // A group that fails open has nobody to spare a target for.
        let slow_start = settings.slow_start.filter(|_| in_turn && !failing_open).and_then(|duration| {
            SlowStart::new(&routable, |index| target(index).and_then(|target| target.slow_since), duration)
        });
        let own_weight = |index: u32| target(index).map_or(1, |target| target.share.weight.max(1));
        let parts = TargetParts::new(targets.len(), &routable, own_weight);
        let weights = (settings.algorithm == Algorithm::WeightedRandom || parts.is_some()).then(|| {
            let watched =
                |index| target(index).map_or(0, |target| u64::from(target.hold.of(target.watch.weight())));
            let weight = |index: u32| match &parts {
                None => watched(index),
                Some(parts) => (watched(index) * parts.share(index as usize) / u64::from(PARITY)).max(1),
            };
            WeightedTargets::new(routable.iter().map(|&index| (index, weight(index))))
        });
        let tls = None;
        Self {
            settings,
            targets,
            routable,
            failing_open,
            slow_start,
            weights,
            parts,
            tls,
            stickiness,
            runtime,
            by_id,
        }
    }

    /// The same, its targets reached over `tls`.
    #[must_use]
    pub fn over(self, tls: Option<Arc<TargetTls>>) -> Self {
        Self { tls, ..self }
    }

    /// The indices, ascending, of targets that refused a connection a short time before `now`.
    pub fn refusing(&self, now: Instant) -> impl Iterator<Item = usize> {
        let lately = move |target: &TargetView| target.runtime.refusals.is_lately(now);
        self.targets.iter().enumerate().filter(move |(_, target)| lately(target)).map(|(index, _)| index)
    }

    /// Every id that a stickiness value may name a target by, with the target's index.
    pub fn ids(&self) -> impl Iterator<Item = (TargetId, usize)> {
        self.by_id.iter().filter_map(|(id, index)| Some((*id, usize::try_from(*index).ok()?)))
    }

    /// The target that a stickiness value names, with its index; none when it is not of this group.
    #[must_use]
    pub fn find(&self, id: TargetId) -> Option<(usize, &TargetView)> {
        let index = usize::try_from(*self.by_id.get(&id)?).ok()?;
        Some((index, self.targets.get(index)?))
    }
}

impl TargetLookup for GroupView {
    fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
        let (index, target) = Self::find(self, id)?;
        let standing = match target.state {
            _ if target.routable || target.keeps_sessions => Standing::Routable,
            TargetState::Draining => Standing::Draining,
            _ => Standing::Unhealthy,
        };
        Some((index, standing))
    }
}

/// Takes an id for its own hash: it is a keyed hash already, and one that is looked up came out of an
/// authenticated value, so nobody can choose ids that collide.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}
