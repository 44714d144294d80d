//! Figures of groups and targets that outlive reloads, sharded by worker.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{
    stickiness::SessionLedger,
    telemetry::{
        counters::{GroupShard, TargetShard},
        notes::LastErrorNote,
    },
};

/// Figures of a target, one shard a worker.
#[derive(Debug)]
pub struct TargetRuntime {
    shards: Box<[TargetShard]>,
    /// The sessions bound to the target.
    pub sessions: SessionLedger,
    /// How it failed a request last.
    pub last_error: LastErrorNote,
    /// How it failed its last health check; nothing once it passed one.
    pub check_error: LastErrorNote,
}

impl TargetRuntime {
    /// For `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers).map(|_| TargetShard::default()).collect(),
            sessions: SessionLedger::default(),
            last_error: LastErrorNote::default(),
            check_error: LastErrorNote::default(),
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
    turn: AtomicU32,
    shards: Box<[GroupShard]>,
    marks: RandomState,
}

impl GroupRuntime {
    /// For `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            turn: AtomicU32::new(0),
            shards: (0..workers).map(|_| GroupShard::default()).collect(),
            marks: RandomState::new(),
        }
    }

    /// What tells a client from others, for [`SessionLedger`]: a hash of `features` under a key of this process.
    pub fn mark<'a>(&self, features: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut hasher = self.marks.build_hasher();
        features.for_each(|feature| feature.hash(&mut hasher));
        hasher.finish()
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
