//! The immutable picture of a group that workers read.

use std::sync::Arc;

use super::{GroupRuntime, Reason, TargetRuntime, TargetState};
use crate::{
    id::{Slot, TargetId},
    model::{Endpoint, TargetGroup},
};

/// One target of a group.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// What to connect to.
    pub endpoint: Endpoint,
    /// Its row in the shared tables.
    pub slot: Slot,
    /// Its id in stickiness values that are issued now.
    pub id: TargetId,
    /// Number of this registration, never used twice in a process: what a cut names.
    pub registration: u64,
    /// Its state.
    pub state: TargetState,
    /// Why; none when healthy.
    pub reason: Option<Reason>,
    /// Figures that outlive reloads.
    pub runtime: Arc<TargetRuntime>,
}

/// One group.
#[derive(Debug)]
pub struct GroupView {
    /// Its settings.
    pub settings: Arc<TargetGroup>,
    /// Every target, draining ones included.
    pub targets: Vec<TargetView>,
    /// Indices into `targets` that a new request may go to: the healthy ones (`unavailable` ones count as
    /// healthy), or every registered one when none is healthy (fail-open). Empty: none is registered.
    pub routable: Vec<u32>,
    /// Whether `routable` holds targets that are not healthy, for want of healthy ones.
    pub failing_open: bool,
    /// Figures that outlive reloads.
    pub runtime: Arc<GroupRuntime>,
}
