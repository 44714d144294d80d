//! What is told of sessions that are shared with other balancers. Must not know: how that is done.

use super::{Inspector, error_status};
use crate::{
    clock::{monotonic_now, unix_now},
    counters::{SessionStore, SessionStoreShard, SessionsEverywhere},
    id::TargetId,
    session_store::StoreState,
    target_group::{GroupView, TargetState, TargetView},
    telemetry::status::SessionStoreStatus,
};

impl Inspector {
    /// Sessions of each target over all balancers that share the store, where that is known.
    pub(super) fn sessions_everywhere(&self, group: &GroupView) -> Vec<Option<SessionsEverywhere>> {
        let (council, now) = (self.session_store.council(), monotonic_now());
        if group.stickiness.is_none() || self.session_store.state() != StoreState::Up {
            return vec![None; group.targets.len()];
        }
        let mut ids = vec![Vec::new(); group.targets.len()];
        for (id, index) in group.ids() {
            if let Some(ids) = ids.get_mut(index) {
                ids.push(id);
            }
        }
        let of = |(target, ids): (&TargetView, Vec<TargetId>)| {
            let elsewhere = council.elsewhere(&ids, now)?;
            Some(elsewhere.with(target.runtime.sessions.count(unix_now())))
        };
        group.targets.iter().zip(ids).map(of).collect()
    }

    /// Who checks the targets of a group, where balancers do that for each other.
    pub(super) fn checked_by(&self, group: &GroupView) -> Option<String> {
        let is_shared = self.session_store.is_on() && self.session_store.council().shares_checks();
        if !is_shared || !group.settings.health_check.enabled {
            return None;
        }
        let now = monotonic_now();
        let mut targets = group.targets.iter().filter(|target| target.state != TargetState::Draining);
        let followed = targets.clone().filter(|target| target.runtime.followed.is_so(now)).count();
        let who = match followed {
            0 => "this_balancer",
            some if some == targets.by_ref().count() => "leader",
            _ => "both",
        };
        Some(who.to_owned())
    }

    pub(super) fn session_store(&self) -> Option<SessionStoreStatus> {
        let port = &self.session_store;
        let state = match port.state() {
            StoreState::Off => return None,
            StoreState::Away => "away",
            StoreState::Up => "up",
        };
        let (council, now) = (port.council(), monotonic_now());
        let (store, since) = port.place();
        let (writes_dropped, writes_waiting) = port.writes();
        let shards = self.workers.iter().map(|worker| &worker.session_store).chain([port.shard()]);
        Some(SessionStoreStatus {
            store,
            state: state.to_owned(),
            since_seconds: now.saturating_duration_since(since).as_secs(),
            last_error: port.last_error().as_ref().map(error_status),
            node: council.name().to_string(),
            health_check_leader: council.leader(now).map(|leader| leader.to_string()),
            figures: SessionStore {
                up: state == "up",
                balancers: council.others(now) as u64 + 1,
                leads: council.shares_checks().then(|| council.leads(now)),
                writes_dropped,
                writes_waiting,
                ..SessionStoreShard::sum(shards)
            },
        })
    }
}
