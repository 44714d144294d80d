//! What is told of sessions that are shared with other balancers. Must not know: how that is done.

use super::{Inspector, error_status};
use crate::{
    clock::monotonic_now,
    counters::{SessionStore, SessionStoreShard},
    session_store::StoreState,
    telemetry::status::SessionStoreStatus,
};

impl Inspector {
    pub(super) fn session_store(&self) -> Option<SessionStoreStatus> {
        let port = &self.session_store;
        let state = match port.state() {
            StoreState::Off => return None,
            StoreState::Away => "away",
            StoreState::Up => "up",
        };
        let (store, since) = port.place();
        let (writes_dropped, writes_waiting) = port.writes();
        let shards = self.workers.iter().map(|worker| &worker.session_store).chain([port.shard()]);
        Some(SessionStoreStatus {
            store,
            state: state.to_owned(),
            since_seconds: monotonic_now().saturating_duration_since(since).as_secs(),
            last_error: port.last_error().as_ref().map(error_status),
            figures: SessionStore {
                up: state == "up",
                writes_dropped,
                writes_waiting,
                ..SessionStoreShard::sum(shards)
            },
        })
    }
}
