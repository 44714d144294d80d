//! From something that happened to a connection to the targets that deserve a look. An event ejects
//! nobody: it brings a check forward. Must not know: where events come from.

use crate::{
    id::Slot,
    target_group::{Registry, TargetState},
};

/// The registrations to check at once when a connection to this slot failed or was reset. Those that are
/// known to be unhealthy get no extra checks: a group that fails open would have them checked all the time.
pub fn suspects(registry: &Registry, slot: Slot) -> impl Iterator<Item = u64> {
    registry.registrations_on(slot).iter().copied().filter(|registration| {
        matches!(registry.state(*registration), Some((TargetState::Healthy | TargetState::Initial, _)))
    })
}
