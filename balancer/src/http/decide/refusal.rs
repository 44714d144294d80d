//! Why a request goes nowhere: the answer of the balancer's own, and what is told of it.
//! Must not know: how it is sent.

use super::request_traits::RequestTraits;
use crate::{
    counters::{Cause, Side, causes_of},
    logs::quiet::LineKind,
    response::answer::Answer,
    target_group::GroupView,
    wire::head::HeadError,
};

/// Why there is no plan.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The answer.
    pub(crate) answer: Answer,
    /// What is known of the request: without it the connection is closed.
    pub(crate) traits: Option<RequestTraits>,
}

impl Refusal {
    /// The page of an error.
    pub(crate) fn error(cause: Cause, traits: RequestTraits) -> Self {
        Self { answer: Answer::error(cause), traits: Some(traits) }
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        Self { answer: Answer::error(causes_of(error).0), traits: None }
    }
}

/// Tells of a group that no target of takes a request: of a target that fails one the target's own line tells.
#[cold]
pub(crate) fn tell_refusal(group: &GroupView, cause: Cause) {
    if cause.side() != Side::Group {
        return;
    }
    if !group.runtime.refused.set(cause.as_str(), cause.text().into()) {
        return LineKind::NoTarget.leave_out();
    }
    if LineKind::NoTarget.admits() {
        tracing::warn!(
            target_group = %group.settings.name,
            cause = cause.as_str(),
            "a request was answered 503: {}",
            cause.text()
        );
    }
}

/// The same of an action none of whose groups takes clients.
#[cold]
pub(crate) fn tell_refusal_by_weight(listener: &str) {
    let cause = Cause::NoTargetGroup;
    if LineKind::NoTarget.admits() {
        tracing::warn!(listener, cause = cause.as_str(), "a request was answered 503: {}", cause.text());
    }
}
