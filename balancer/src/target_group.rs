//! Target groups at run time: which targets a group has, in which state, and which of them may get a
//! request. A [`GroupView`] is an immutable picture that workers read; the control side keeps the
//! [`Registry`] and makes new views from it. Must not know: cookies' form, sockets, HTTP.

mod assessment;
mod checks;
mod deployment;
mod eligible;
mod group;
mod hold;
mod memory;
mod registry;
mod runtime;
mod state;
#[cfg(test)]
pub(crate) mod test_support;
mod view;
mod wanted;

pub use self::{
    checks::{CheckHistory, CheckOrigin, CheckResult},
    deployment::{Deployment, LostSessions},
    group::{TargetNames, Urgency},
    hold::{Hold, HoldChange, HoldError},
    memory::TargetMemory,
    registry::{ASSESSMENT, CheckTarget, Registry, SlotAllocator, WantedGroup},
    runtime::{GroupRuntime, TargetRuntime},
    state::{HealthReason, TargetState},
    view::{GroupView, TargetView},
    wanted::WantedTarget,
};
