//! What happens to connections says of targets. Must not know: how it is told.

use super::Controller;
use crate::{clock::monotonic_now, health::suspects, kernel::TargetEvent};

impl Controller {
    /// Has the target that an event is of checked at once.
    pub(super) fn suspect(&mut self, event: TargetEvent) {
        let now = monotonic_now();
        for registration in suspects(&self.registry, event.slot) {
            self.checks.trigger(registration, now);
        }
    }
}
