//! Changes that come through the API, on their way to being in force. Must not know: what is done with them.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    examiner::{Examined, Examiner},
    pending::Pending,
};
use crate::{
    control::control_api::ApiCall,
    elbv2::{Element, Records, Store, StoreError},
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
    /// Who validates configurations, once there was a change.
    pub(super) examiner: Option<Examiner>,
    pub(super) examining: Option<Examining>,
    pub(super) writing: Option<Writing>,
    /// Whether files are to be read again behind what is being written.
    pub(super) reload: bool,
    /// Whether there were changes since the copy was kept, and who keeps it.
    pub(super) unkept: bool,
    pub(super) keeping: Option<JoinHandle<io::Result<()>>>,
    /// Whether the copy could not be kept the last time: a disk may have been full.
    pub(super) copy_failed: Arc<AtomicBool>,
}

/// Changes whose configuration is being validated.
pub(super) struct Examining {
    pub(super) examined: oneshot::Receiver<Examined>,
    /// What there is with them.
    pub(super) records: Records,
    /// Who asked for them, and since when they wait.
    pub(super) answers: Vec<(ApiCall, Element)>,
    pub(super) since: Vec<Instant>,
}

/// What has become of changes; nothing of them where a thread has ended by a bug.
pub(super) enum Progress {
    Examined(Option<Examined>),
    Written(Option<StoreBack>),
}

/// The database back from who wrote to it, and whether that could be done.
pub(super) type StoreBack = (Store, Result<(), StoreError>);

/// Changes that are being written down.
pub(super) struct Writing {
    pub(super) thread: JoinHandle<StoreBack>,
    pub(super) pending: Pending,
}

impl ApiWork {
    /// Whether changes are validated, written down, or wait to take effect.
    pub(super) fn is_writing(&self) -> bool {
        self.examining.is_some() || self.writing.is_some()
    }

    /// Has files read again behind what is being written.
    pub(super) fn reload_after(&mut self) {
        self.reload = true;
    }

    /// When to go on with changes that wait.
    pub(super) fn due(&self) -> Option<Instant> {
        self.begin_at
    }

    /// What has become of changes that are under way. Dropping the future loses nothing.
    pub(super) async fn progress(&mut self) -> Progress {
        match (&mut self.examining, &mut self.writing) {
            (Some(examining), _) => Progress::Examined((&mut examining.examined).await.ok()),
            (None, Some(writing)) => Progress::Written((&mut writing.thread).await.ok()),
            (None, None) => std::future::pending().await,
        }
    }
}
