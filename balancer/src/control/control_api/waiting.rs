//! Who waits for an answer. Must not know: connections.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Marks a connection as one that waits for an answer, until it is dropped.
pub(super) struct ApiWaiting(Arc<AtomicBool>);

impl ApiWaiting {
    pub(super) fn of(waits: &Arc<AtomicBool>) -> Self {
        Self(Arc::clone(waits))
    }

    pub(super) fn begin(&self) {
        self.0.store(true, Relaxed);
    }
}

impl Drop for ApiWaiting {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}
