//! Figures of groups and targets that outlive reloads, sharded by worker.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::deployment::{DeploymentNote, LostSessions};
use crate::{
    clock::monotonic_now,
    counters::{GroupShard, LastErrorNote, Outcome, StickinessShard, TargetShard},
    model::Endpoint,
    stickiness::{KeyedHash, Marks, SessionLedger},
};

/// How long a target that refused a connection is left alone by requests that others turned away.
const LATELY: Duration = Duration::from_secs(1);

/// When a target last refused a connection.
#[derive(Debug)]
pub struct Refusals {
    begun: Instant,
    /// Milliseconds after `begun`, and one; 0: never.
    last: AtomicU64,
}

impl Refusals {
    fn new(now: Instant) -> Self {
        Self { begun: now, last: AtomicU64::new(0) }
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begun);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1).saturating_add(1)
    }

    /// It has refused one.
    pub fn note(&self, now: Instant) {
        self.last.store(self.millis(now), Relaxed);
    }

    /// Whether that is so short a time ago that another is likely to be refused.
    #[must_use]
    pub fn is_lately(&self, now: Instant) -> bool {
        let last = self.last.load(Relaxed);
        last != 0 && u128::from(self.millis(now).saturating_sub(last)) < LATELY.as_millis()
    }
}

/// Until when a target is not checked because another balancer does that.
#[derive(Debug, Default)]
pub struct FollowedUntil(Mutex<Option<Instant>>);

impl FollowedUntil {
    /// Until then; none: it is checked here.
    pub fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Whether it is so.
    #[must_use]
    pub fn is_so(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }
}

/// Figures of a target, one shard a worker.
#[derive(Debug)]
pub struct TargetRuntime {
    /// Its endpoint as logs have it, worked out once.
    pub name: Box<str>,
    shards: Box<[TargetShard]>,
    /// The sessions bound to the target.
    pub sessions: SessionLedger,
    /// When it refused a connection.
    pub refusals: Refusals,
    /// How it failed a request last.
    pub last_error: LastErrorNote,
    /// How it failed its last health check; nothing once it passed one.
    pub check_error: LastErrorNote,
    /// Until when what another balancer has found of it counts.
    pub followed: FollowedUntil,
}

impl TargetRuntime {
    /// Of the target at `endpoint`, for `workers` workers.
    #[must_use]
    pub fn new(endpoint: &Endpoint, workers: usize) -> Self {
        Self {
            name: endpoint.to_string().into(),
            shards: (0..workers).map(|_| TargetShard::default()).collect(),
            sessions: SessionLedger::default(),
            refusals: Refusals::new(monotonic_now()),
            last_error: LastErrorNote::default(),
            check_error: LastErrorNote::default(),
            followed: FollowedUntil::default(),
        }
    }

    /// The shard that worker number `worker` writes.
    #[must_use]
    pub fn shard(&self, worker: usize) -> Option<&TargetShard> {
        self.shards.get(worker)
    }

    /// All shards, for adding up.
    #[must_use]
    pub fn shards(&self) -> &[TargetShard] {
        &self.shards
    }
}

/// Figures of a group, one shard a worker, and the turn that all workers share so that round robin is
/// in sequence over all of them.
#[derive(Debug)]
pub struct GroupRuntime {
    /// Why a request was last refused for want of a target.
    pub refused: LastErrorNote,
    /// When its targets changed last.
    pub deployment: DeploymentNote,
    turn: AtomicU32,
    shards: Box<[GroupShard]>,
    /// Marks of clients whose sessions move, of groups that have been sticky.
    marks: OnceLock<Marks>,
    /// Of hashes that tell clients from others.
    key: u64,
}

impl GroupRuntime {
    /// For `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            refused: LastErrorNote::default(),
            deployment: DeploymentNote::default(),
            turn: AtomicU32::new(0),
            shards: (0..workers).map(|_| GroupShard::default()).collect(),
            marks: OnceLock::new(),
            key: RandomState::new().hash_one(()),
        }
    }

    /// Targets came and went.
    pub(super) fn note_deployment(&self, targets: (u64, u64), now: Instant, drains: Duration) {
        self.deployment.note(targets, now, drains, self.lost_sessions());
    }

    /// What sessions have lost their targets so far.
    #[must_use]
    pub fn lost_sessions(&self) -> LostSessions {
        let figures = StickinessShard::sum(self.shards.iter().map(|shard| &shard.stickiness));
        let of = |outcome: Outcome| figures.decisions.get(outcome.as_str()).copied().unwrap_or(0);
        LostSessions {
            unhealthy: of(Outcome::Unhealthy),
            draining: of(Outcome::Draining),
            unknown_target: of(Outcome::UnknownTarget),
        }
    }

    /// For what tells a client from others, for [`SessionLedger`]: a hash under a key of this process.
    #[must_use]
    pub fn keyed_hash(&self) -> KeyedHash {
        KeyedHash::new(self.key)
    }

    /// Marks of clients, for the [`SessionLedger`]s of the group's targets. The control side asks for them first, since that takes
    /// memory.
    pub fn marks(&self) -> &Marks {
        self.marks.get_or_init(Marks::default)
    }

    /// The next turn: counts up by one each call and wraps.
    pub fn next_turn(&self) -> u32 {
        self.turn.fetch_add(1, Relaxed)
    }

    /// The shard that worker number `worker` writes.
    #[must_use]
    pub fn shard(&self, worker: usize) -> Option<&GroupShard> {
        self.shards.get(worker)
    }

    /// All shards, for adding up.
    #[must_use]
    pub fn shards(&self) -> &[GroupShard] {
        &self.shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_kept_in_mind_for_a_second() {
        let begun = monotonic_now();
        let refusals = Refusals::new(begun);
        assert!(!refusals.is_lately(begun));
        refusals.note(begun);
        assert!(refusals.is_lately(begun) && refusals.is_lately(begun + Duration::from_millis(999)));
        assert!(!refusals.is_lately(begun + Duration::from_secs(1)));
        refusals.note(begun + Duration::from_secs(5));
        assert!(refusals.is_lately(begun + Duration::from_secs(5)));
    }
}
