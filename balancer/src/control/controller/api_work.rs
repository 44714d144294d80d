//! Changes that come through the API, on their way to being in force. Must not know: what is done with them.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use tokio::task::JoinHandle;

use super::pending::Pending;
use crate::{
    control::control_api::ApiCall,
    elbv2::{Store, StoreError},
};

/// Most changes that wait.
pub(super) const MOST_WAITING: usize = 1024;

/// Changes that are on their way.
#[derive(Default)]
pub(super) struct ApiWork {
    /// Since when each waits.
    pub(super) waiting: VecDeque<(ApiCall, Instant)>,
    /// When to go on with those that wait.
    pub(super) begin_at: Option<Instant>,
    /// When there were changes last.
    pub(super) applied: Option<Instant>,
    /// So many of them one by one: together they were not in order.
    pub(super) singly: usize,
    pub(super) writing: Option<Writing>,
    /// Whether files are to be read again behind what is being written.
    pub(super) reload: bool,
    /// Whether there were changes since the copy was kept, and who keeps it.
    pub(super) unkept: bool,
    pub(super) keeping: Option<JoinHandle<io::Result<()>>>,
    /// Whether the copy could not be kept the last time: a disk may have been full.
    pub(super) copy_failed: Arc<AtomicBool>,
}

/// Changes that are being written down.
pub(super) struct Writing {
    pub(super) thread: JoinHandle<(Store, Result<(), StoreError>)>,
    pub(super) pending: Pending,
}

impl ApiWork {
    /// Whether changes are written down, or wait to take effect.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Has files read again behind what is being written.
    pub(super) fn reload_after(&mut self) {
        self.reload = true;
    }

    /// When to go on with changes that wait.
    pub(super) fn due(&self) -> Option<Instant> {
        self.begin_at
    }

    /// What has become of what was written down. Dropping the future loses nothing.
    pub(super) async fn written(&mut self) -> Option<(Store, Result<(), StoreError>)> {
        match &mut self.writing {
            Some(writing) => (&mut writing.thread).await.ok(),
            None => std::future::pending().await,
        }
    }
}
