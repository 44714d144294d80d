//! Sessions that are shared with other balancers, as the control side has them. Must not know: how a store is spoken to.

use std::sync::Arc;

use super::Controller;
use crate::{
    clock::unix_now,
    id::TargetId,
    kernel::LateWords,
    session_store::{LocalSessions, SessionWrite, StoredSession},
    stickiness::{SessionTable, adopt, follow, page},
    target_group::TargetView,
    telemetry::inspect::CurrentSnapshot,
};

/// The session table, for who speaks to the store.
pub struct SharedTable {
    table: SessionTable<LateWords>,
    current: Arc<CurrentSnapshot>,
}

impl SharedTable {
    /// The table of these words, whose sessions are of the groups of `current`.
    #[must_use]
    pub fn new(words: LateWords, current: Arc<CurrentSnapshot>) -> Self {
        Self { table: SessionTable::new(words), current }
    }
}

impl LocalSessions for SharedTable {
    fn adopt(&self, key: u128, session: StoredSession, is_returned: bool) {
        adopt(&self.table, key, session, is_returned, unix_now());
    }

    fn moved(&self, key: u128, session: StoredSession) {
        follow(&self.table, key, session, unix_now());
    }

    fn page(&self, from: usize, buckets: usize) -> Option<Vec<SessionWrite>> {
        let (snapshot, now) = (self.current.get(), unix_now());
        let found = page(&self.table, from, buckets, now)?;
        let write = |(key, target, issued)| {
            // Ids are keyed hashes of the group, too: no two groups have the same.
            let group = snapshot.groups.iter().find(|group| group.find(target).is_some())?;
            group.stickiness.as_ref()?.told_again(key, (target, issued), &self.table, now)
        };
        Some(found.into_iter().filter_map(write).collect())
    }

    fn counts(&self) -> Vec<(TargetId, u64)> {
        let (snapshot, now) = (self.current.get(), unix_now());
        let sticky = snapshot.groups.iter().filter(|group| group.stickiness.is_some());
        let targets = sticky.flat_map(|group| &group.targets);
        let count = |target: &TargetView| {
            target.runtime.sessions.share();
            (target.id, target.runtime.sessions.count(now))
        };
        targets.map(count).collect()
    }
}

impl Controller {
    /// Takes the settings of the configuration in force into use.
    pub(super) fn share_sessions(&mut self) {
        self.join_council();
        let settings = self.configuration.session_store.as_ref();
        if let Some(sharing) = &mut self.sharing
            && let Err(error) = sharing.apply(settings)
        {
            tracing::error!(%error, "sessions are not shared: there is no thread for it to be had");
        }
    }

    /// The process ends: what is left to be told to other balancers is told.
    pub fn end_sharing(&mut self) {
        if let Some(sharing) = self.sharing.take() {
            sharing.end();
        }
    }
}
