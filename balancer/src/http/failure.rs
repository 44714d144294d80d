//! What is made of a target that failed a request: counted by cause, and told.
//! Must not know: what the client is answered.

use std::io;

use super::{Context, attempts::Turned, entry::Entry, plan::Plan};
use crate::{
    clock::monotonic_now,
    target_group::GroupView,
    telemetry::{
        counters::{Cause, Fault},
        quiet::Kind,
    },
    wire::{head::HeadError, pump::PumpError},
};

impl Plan {
    /// The target failed the request by `fault`, whether it is tried elsewhere or not.
    #[cold]
    pub(super) fn target_failed(&self, context: &Context, fault: &Fault) {
        let (Some(group), Some(target)) = (self.group(), self.target()) else { return };
        if fault.cause.is_refusal() {
            target.runtime.refusals.note(monotonic_now());
        }
        if let Some(shard) = context.target_shard(target) {
            if fault.cause.is_unconnected() {
                shard.connection_errors.inc();
            } else if fault.cause.is_tls() {
                shard.tls_negotiation_errors.inc();
            }
        }
        if let (Some(shard), true) = (context.group_shard(group), fault.cause.is_unconnected()) {
            shard.answers.connection_errors.inc();
        }
        let is_news = target.runtime.last_error.set(fault.cause.as_str(), fault.to_string().into());
        if !is_news {
            return Kind::TargetFailure.leave_out();
        }
        if !Kind::TargetFailure.admits() {
            return;
        }
        tracing::warn!(
            target_group = %group.settings.name,
            target = %target.endpoint,
            cause = fault.cause.as_str(),
            "a target failed a request: {fault}"
        );
    }

    /// The client is not given what the target should have answered: that is the end of it.
    #[cold]
    pub(super) fn count_failure(&self, context: &Context, cause: Cause) {
        if let Some(group) = self.group() {
            tell_refusal(group, cause);
        }
        if let Some(shard) = self.group().and_then(|group| context.group_shard(group)) {
            shard.answers.failures.count(cause);
        }
    }

    /// The client has the head of a response that does not come whole.
    #[cold]
    pub(super) fn cut_short(&self, context: &Context, entry: &mut Entry, fault: &Fault) {
        entry.failed(fault.cause);
        self.count_failure(context, fault.cause);
        if fault.cause.is_of_target() {
            self.target_failed(context, fault);
        }
    }
}

/// How a target that could not be had by `cause` turned the request away.
#[cold]
pub(super) fn turned_by(cause: Cause) -> Turned {
    if cause.is_timeout() || cause == Cause::TargetBusy {
        Turned::TimedOut
    } else if cause.is_refusal() {
        Turned::Refused
    } else {
        Turned::Away
    }
}

/// Tells of a group that no target of takes a request: of a target that fails one the target's own line tells.
#[cold]
pub(super) fn tell_refusal(group: &GroupView, cause: Cause) {
    if !matches!(cause, Cause::NoTarget | Cause::StickyTargetUnhealthy) {
        return;
    }
    let fault = Fault::from(cause);
    if !group.runtime.refused.set(cause.as_str(), fault.to_string().into()) {
        return Kind::NoTarget.leave_out();
    }
    if Kind::NoTarget.admits() {
        tracing::warn!(
            target_group = %group.settings.name,
            cause = cause.as_str(),
            "a request was answered 503: {fault}"
        );
    }
}

/// The same of an action none of whose groups takes clients.
#[cold]
pub(super) fn tell_refusal_by_weight(listener: &str) {
    let cause = Cause::NoTargetGroup;
    if Kind::NoTarget.admits() {
        tracing::warn!(
            listener,
            cause = cause.as_str(),
            "a request was answered 503: {}",
            Fault::from(cause)
        );
    }
}

/// What ended the body of a response; nothing: the client is gone.
#[cold]
pub(super) fn of_body(error: &PumpError) -> Option<Fault> {
    match error {
        PumpError::Sink(_) => None,
        PumpError::Truncated => Some(Cause::TargetClosedInBody.into()),
        PumpError::Malformed => Some(Cause::TargetBodyInvalid.into()),
        PumpError::Source(error) => Some(of_source(error)),
    }
}

/// Reading the body of a response failed.
#[cold]
pub(super) fn of_source(error: &io::Error) -> Fault {
    let closed = error.kind() == io::ErrorKind::UnexpectedEof;
    Fault::with(if closed { Cause::TargetClosedInBody } else { Cause::TargetResetInBody }, error)
}

/// Which rule the head of a target's response breaks.
#[cold]
pub(super) fn of_response(error: HeadError) -> Fault {
    Fault::from(match error {
        HeadError::StatusLine | HeadError::Version => Cause::TargetStatusLineInvalid,
        HeadError::Field => Cause::TargetHeaderInvalid,
        HeadError::LineEnd => Cause::TargetLineEndInvalid,
        HeadError::TooLarge | HeadError::LineTooLong => Cause::TargetHeadTooLarge,
        HeadError::TooManyFields => Cause::TargetHeaderCountTooLarge,
        HeadError::ContentLength => Cause::TargetContentLengthInvalid,
        HeadError::ContentLengthsDiffer => Cause::TargetContentLengthsDiffer,
        HeadError::TransferCoding => Cause::TargetTransferEncodingInvalid,
        HeadError::Malformed => Cause::TargetResponseInvalid,
    })
}
