//! Which group a request goes to. Must not know: targets' states, cookies.

use crate::{
    model::{Action, RequestHead},
    snapshot::ListenerView,
};

/// The group that the listener's actions send this request to: an index into the snapshot's groups.
#[must_use]
pub fn route(listener: &ListenerView, _head: &RequestHead<'_>) -> usize {
    match listener.default_action {
        Action::Forward(group) => group,
    }
}
