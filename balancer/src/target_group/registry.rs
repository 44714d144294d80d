//! The control side's book of target groups: who is registered, since when, in which state, on which
//! slot. A reload or a change of addresses is applied to the book, so that what stays keeps its slot,
//! registration, health and figures; views for workers are built from it.
//! Time and slots come from outside; must not know sockets, files, or how a check is made.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    CheckOrigin, CheckResult, GroupView, HealthReason, HoldChange, HoldError, TargetRuntime, TargetState,
    assessment::{self, SlotRound},
    group::{Group, RegisteredTarget, TargetNames, Urgency},
    memory::TargetMemory,
    wanted::WantedTarget,
};
use crate::{
    clock::UnixSeconds,
    id::{Slot, TargetId},
    model::{Endpoint, TargetGroup},
    tls::TargetTls,
};

/// How often [`Registry::assess`] is to be called (ALB: weights are adjusted every five seconds).
pub const ASSESSMENT: Duration = Duration::from_secs(5);

/// Gives out the rows of the shared tables.
pub trait SlotAllocator {
    /// Why no slot could be had.
    type Error: std::error::Error + 'static;

    /// The slot of an endpoint, which none of its holders gave back yet.
    ///
    /// # Errors
    /// The tables are full, or could not be written.
    fn claim(&mut self, endpoint: &Endpoint) -> Result<Slot, Self::Error>;

    /// Gives a slot back.
    fn release(&mut self, slot: Slot);
}

/// A group as the configuration and the resolver want it.
#[derive(Debug)]
pub struct WantedGroup {
    /// Its settings.
    pub settings: Arc<TargetGroup>,
    /// Whether a listener's action leads to it.
    pub in_use: bool,
    /// TLS to its targets, made of its settings; none when they speak plain HTTP.
    pub tls: Option<Arc<TargetTls>>,
    /// What its targets resolved to; an endpoint named twice is one target, with what is said of it first.
    pub targets: Vec<WantedTarget>,
}

/// A target to be checked.
#[derive(Clone, Debug)]
pub struct CheckTarget {
    /// Its registration.
    pub registration: u64,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Settings of its group.
    pub settings: Arc<TargetGroup>,
    /// TLS to the targets of its group, when they speak it.
    pub tls: Option<Arc<TargetTls>>,
    /// Where else the same application may listen.
    pub elsewhere: Vec<SocketAddr>,
    /// Whether it has been healthy.
    pub proven: bool,
}

/// The book.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    next_registration: u64,
    slots: HashMap<Endpoint, Slot>,
    groups: Vec<Group>,
    /// Groups that the configuration no longer has, while targets of theirs drain.
    leaving: Vec<Group>,
    indices: HashMap<u64, (usize, usize)>,
    on_slot: HashMap<Slot, Vec<u64>>,
}

impl Registry {
    /// An empty book; figures get one shard for each of `workers`.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            next_registration: 1,
            slots: HashMap::new(),
            groups: Vec::new(),
            leaving: Vec::new(),
            indices: HashMap::new(),
            on_slot: HashMap::new(),
        }
    }

    /// Makes the book say what is wanted. What stays keeps slot, registration, state and figures; what is
    /// new is `initial`; what is gone drains for its group's deregistration delay, and is itself again if
    /// it comes back meanwhile, with a new initial check.
    ///
    /// # Errors
    /// A slot could not be had; nothing is changed then.
    pub fn apply<S: SlotAllocator>(
        &mut self,
        wanted: Vec<WantedGroup>,
        names: &impl TargetNames,
        slots: &mut S,
        now: Instant,
    ) -> Result<(), S::Error> {
        self.claim_all(wanted.iter().flat_map(|group| &group.targets), slots)?;
        let names_of = |groups: &[Group]| -> Vec<String> {
            groups.iter().map(|group| group.name().to_owned()).collect()
        };
        let before = names_of(&self.groups);
        let mut is_moved = !self.leaving.is_empty();
        let mut known: HashMap<String, Group> = self
            .groups
            .drain(..)
            .chain(self.leaving.drain(..))
            .map(|group| (group.name().to_owned(), group))
            .collect();
        for group in wanted {
            let mut updated = match known.remove(&group.settings.name) {
                Some(mut old) => {
                    old.reconfigure(group.settings, group.in_use);
                    old
                }
                None => Group::new(group.settings, group.in_use, self.workers),
            };
            updated.set_tls(group.tls);
            is_moved |= self.set_targets(&mut updated, group.targets, names, now);
            updated.rename(names);
            self.groups.push(updated);
        }
        // Where all of it stays nothing is found elsewhere than before.
        if !is_moved && before == names_of(&self.groups) {
            return Ok(());
        }
        self.leaving = known
            .into_values()
            .filter_map(|mut group| {
                group.leave(now);
                (!group.targets().is_empty()).then_some(group)
            })
            .collect();
        self.reindex();
        self.release_unheld(slots);
        Ok(())
    }

    /// What is known of all targets, for another process.
    #[must_use]
    pub fn remember(&self, now: Instant) -> TargetMemory {
        let mut targets = Vec::new();
        self.groups.iter().for_each(|group| group.remember(now, &mut targets));
        TargetMemory::new(targets)
    }

    /// Begins with what another process knew, of the groups that are wanted; to be followed by [`Self::apply`], by which what
    /// has changed since changes as at any other time.
    ///
    /// # Errors
    /// A slot could not be had; nothing is changed then.
    pub fn recall<S: SlotAllocator>(
        &mut self,
        memory: &TargetMemory,
        wanted: &[WantedGroup],
        names: &impl TargetNames,
        slots: &mut S,
        now: Instant,
    ) -> Result<(), S::Error> {
        let before = |group: &WantedGroup| WantedGroup {
            settings: Arc::clone(&group.settings),
            in_use: group.in_use,
            tls: group.tls.clone(),
            targets: memory.endpoints(&group.settings.name).map(Into::into).collect(),
        };
        self.apply(wanted.iter().map(before).collect(), names, slots, now)?;
        for known in &memory.targets {
            if let Some(group) = self.groups.iter_mut().find(|group| group.name() == known.group) {
                group.recall(known, now);
            }
        }
        Ok(())
    }

    /// Sets what the targets of one group are now. Returns whether anything changed. A group that
    /// is not there is left alone.
    ///
    /// # Errors
    /// A slot could not be had; nothing is changed then.
    pub fn set_targets_of<S: SlotAllocator>(
        &mut self,
        group: &str,
        targets: Vec<WantedTarget>,
        names: &impl TargetNames,
        slots: &mut S,
        now: Instant,
    ) -> Result<bool, S::Error> {
        let Some(index) = self.groups.iter().position(|known| known.name() == group) else {
            return Ok(false);
        };
        self.claim_all(targets.iter(), slots)?;
        let mut group = self.groups.remove(index);
        let changed = self.set_targets(&mut group, targets, names, now);
        self.groups.insert(index, group);
        self.reindex();
        self.release_unheld(slots);
        Ok(changed)
    }

    /// Gives every target the ids of a new set of keys.
    pub fn rename(&mut self, names: &impl TargetNames) {
        for group in &mut self.groups {
            group.rename(names);
        }
    }

    /// Takes in the result of a check. A registration that is gone or draining is ignored.
    pub fn record(
        &mut self,
        registration: u64,
        result: CheckResult,
        origin: CheckOrigin,
        now: Instant,
    ) -> Urgency {
        match self.indices.get(&registration).and_then(|&(group, target)| {
            self.groups.get_mut(group).map(|group| group.record(target, result, origin, now))
        }) {
            Some(urgency) => urgency,
            None => Urgency::None,
        }
    }

    /// Takes over what another balancer has found of a target by its checks. None: checks of this one say otherwise.
    pub fn adopt(
        &mut self,
        registration: u64,
        verdict: Option<HealthReason>,
        now: Instant,
    ) -> Option<Urgency> {
        let Some(&(group, target)) = self.indices.get(&registration) else { return Some(Urgency::None) };
        self.groups.get_mut(group)?.adopt(target, verdict, now)
    }

    /// Every id that a checked target may be named by, with its registration and how often it is checked.
    pub fn checked_ids(&self) -> impl Iterator<Item = (TargetId, u64, Duration)> {
        let checked = self.groups.iter().filter(|group| group.is_checked());
        checked.flat_map(|group| {
            let interval = group.settings().health_check.interval;
            let registered = group.targets().iter().filter(|target| target.is_registered());
            registered
                .flat_map(move |target| target.ids().map(move |id| (id, target.registration(), interval)))
        })
    }

    /// The id that values made now name a target by.
    #[must_use]
    pub fn id(&self, registration: u64) -> Option<TargetId> {
        let &(group, target) = self.indices.get(&registration)?;
        self.groups.get(group)?.targets().get(target)?.ids().next()
    }

    /// The registered targets of the group of one, itself included.
    #[must_use]
    pub fn group_of(&self, registration: u64) -> Vec<u64> {
        let group = self.indices.get(&registration).and_then(|&(group, _)| self.groups.get(group));
        let targets = group.map(Group::targets).unwrap_or_default().iter();
        targets.filter(|target| target.is_registered()).map(RegisteredTarget::registration).collect()
    }

    /// A target of a group as people name both: its sessions here, and every id that it may be named by.
    #[must_use]
    pub fn sessions(&self, group: &str, target: &str, now: UnixSeconds) -> Option<(u64, Vec<TargetId>)> {
        let group = self.groups.iter().find(|known| known.name() == group)?;
        group.settings().stickiness.as_ref()?;
        let found = group.targets().iter().find(|known| known.endpoint().to_string() == target)?;
        Some((found.runtime().sessions.count(now), found.ids().collect()))
    }

    /// Takes in what an operator says of a target of a group, both named as people name them. It holds until it is taken back or
    /// the target is taken out.
    ///
    /// # Errors
    /// [`HoldError`]; nothing is changed then.
    pub fn hold(&mut self, group: &str, target: &str, change: HoldChange) -> Result<(), HoldError> {
        let found = self.groups.iter_mut().find(|known| known.name() == group);
        found.ok_or_else(|| HoldError::Group(group.to_owned()))?.hold(target, change)
    }

    /// Whether a target is unhealthy by what triggered checks found alone.
    #[must_use]
    pub fn is_unhealthy_in_haste(&self, registration: u64) -> bool {
        let found = self.indices.get(&registration);
        found
            .and_then(|&(group, target)| self.groups.get(group)?.targets().get(target))
            .is_some_and(RegisteredTarget::is_unhealthy_in_haste)
    }

    /// Looks for targets that fail more than their peers. To be called every [`ASSESSMENT`]; `trouble` tells the
    /// resets and retransmissions of a slot so far. Returns whether anything changed, and which registrations
    /// have become anomalous (true) or normal (false).
    pub fn assess(&mut self, trouble: impl Fn(Slot) -> u64) -> (bool, Vec<(u64, bool)>) {
        let mut attempts: HashMap<Slot, u64> = HashMap::new();
        for target in self.groups.iter().chain(&self.leaving).flat_map(Group::targets) {
            *attempts.entry(target.slot()).or_default() += assessment::attempts(target.runtime());
        }
        let round = SlotRound { attempts, trouble: &trouble };
        let mut told = Vec::new();
        let mut changed = false;
        for group in &mut self.groups {
            changed |= group.assess(&round, &mut told);
        }
        (changed, told)
    }

    /// Ends slow starts that are over, and the draining of those whose delay is over: they are gone from the
    /// book, and what still runs on the registrations returned is to be cut.
    pub fn expire<S: SlotAllocator>(&mut self, slots: &mut S, now: Instant) -> Vec<u64> {
        let mut cut = Vec::new();
        for group in self.groups.iter_mut().chain(&mut self.leaving) {
            group.expire(now, &mut cut);
        }
        self.leaving.retain(|group| !group.targets().is_empty());
        if !cut.is_empty() {
            self.reindex();
            self.release_unheld(slots);
        }
        cut
    }

    /// When [`Self::expire`] has something to do next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.groups.iter().chain(&self.leaving).filter_map(Group::next_expiry).min()
    }

    /// Views of all groups in the order of the configuration; a group that did not change keeps its view.
    pub fn views(&mut self) -> Vec<Arc<GroupView>> {
        self.groups.iter_mut().map(Group::view).collect()
    }

    /// Every target that is to be checked.
    pub fn checked_targets(&self) -> impl Iterator<Item = CheckTarget> {
        self.groups.iter().filter(|group| group.is_checked()).flat_map(|group| {
            group.targets().iter().filter(|target| target.is_registered()).map(|target| CheckTarget {
                registration: target.registration(),
                endpoint: target.endpoint().clone(),
                settings: Arc::clone(group.settings()),
                tls: group.tls().cloned(),
                elsewhere: Vec::new(),
                proven: target.is_proven(),
            })
        })
    }

    /// The registrations that share a slot, draining ones included.
    #[must_use]
    pub fn registrations_on(&self, slot: Slot) -> &[u64] {
        self.on_slot.get(&slot).map_or(&[], Vec::as_slice)
    }

    /// State and reason of a registration of a group in the configuration.
    #[must_use]
    pub fn state(&self, registration: u64) -> Option<(TargetState, Option<HealthReason>)> {
        let &(group, target) = self.indices.get(&registration)?;
        self.groups.get(group)?.state(target)
    }

    /// Whether another target of its group is healthy.
    #[must_use]
    pub fn has_healthy_peer(&self, registration: u64) -> bool {
        let Some(&(group, target)) = self.indices.get(&registration) else { return false };
        self.groups.get(group).is_some_and(|group| group.has_healthy_peer(target))
    }

    /// Group and endpoint of a registration, for the log.
    #[must_use]
    pub fn describe(&self, registration: u64) -> Option<(&str, &Endpoint)> {
        let &(group, target) = self.indices.get(&registration)?;
        let group = self.groups.get(group)?;
        Some((group.name(), group.targets().get(target)?.endpoint()))
    }

    /// The figures of a registration.
    #[must_use]
    pub fn runtime(&self, registration: u64) -> Option<&TargetRuntime> {
        let &(group, target) = self.indices.get(&registration)?;
        self.groups.get(group)?.targets().get(target).map(RegisteredTarget::runtime)
    }

    fn claim_all<'a, S: SlotAllocator>(
        &mut self,
        targets: impl Iterator<Item = &'a WantedTarget>,
        slots: &mut S,
    ) -> Result<(), S::Error> {
        let mut claimed: Vec<(Endpoint, Slot)> = Vec::new();
        for WantedTarget { endpoint, .. } in targets {
            if self.slots.contains_key(endpoint) {
                continue;
            }
            match slots.claim(endpoint) {
                Ok(slot) => {
                    self.slots.insert(endpoint.clone(), slot);
                    claimed.push((endpoint.clone(), slot));
                }
                Err(error) => {
                    for (endpoint, slot) in claimed {
                        self.slots.remove(&endpoint);
                        slots.release(slot);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Every endpoint has a slot: [`Self::claim_all`] went before.
    fn set_targets(
        &mut self,
        group: &mut Group,
        targets: Vec<WantedTarget>,
        names: &impl TargetNames,
        now: Instant,
    ) -> bool {
        let slots = &self.slots;
        let next_registration = &mut self.next_registration;
        let placed = targets.into_iter().filter_map(|target| {
            let slot = *slots.get(&target.endpoint)?;
            Some((target, slot))
        });
        group.set_targets(placed, names, now, self.workers, || {
            let registration = *next_registration;
            *next_registration += 1;
            registration
        })
    }

    fn reindex(&mut self) {
        self.indices.clear();
        self.on_slot.clear();
        for (group_index, group) in self.groups.iter().enumerate() {
            for (index, target) in group.targets().iter().enumerate() {
                self.indices.insert(target.registration(), (group_index, index));
                self.on_slot.entry(target.slot()).or_default().push(target.registration());
            }
        }
    }

    fn release_unheld<S: SlotAllocator>(&mut self, slots: &mut S) {
        let held: HashSet<&Endpoint> = self
            .groups
            .iter()
            .chain(&self.leaving)
            .flat_map(Group::targets)
            .map(RegisteredTarget::endpoint)
            .collect();
        self.slots.retain(|endpoint, slot| {
            let keep = held.contains(endpoint);
            if !keep {
                slots.release(*slot);
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests;
