//! What is made of a target that failed a request: counted by cause, and told.
//! Must not know: what the client is answered.

use super::{plan::Plan, refusal::tell_refusal};
use crate::{
    clock::monotonic_now,
    counters::{Cause, Fault},
    http::{context::Context, entry::AccessEntry},
    logs::quiet::LineKind,
};

impl Plan {
    /// The target failed the request by `fault`, whether it is tried elsewhere or not.
    #[cold]
    pub(crate) fn target_failed(&self, context: &Context, fault: &Fault) {
        let (group, Some(target)) = (self.group(), self.target()) else { return };
        let cause = fault.cause;
        if cause.is_refusal() {
            target.runtime.refusals.note(monotonic_now());
        }
        if let Some(shard) = context.target_shard(target) {
            if cause.is_unconnected() {
                shard.connection_errors.inc();
            } else if cause.is_tls() {
                shard.tls_negotiation_errors.inc();
            } else if cause.is_of_target() && cause != Cause::TargetDeregistered {
                shard.unanswered.inc();
            }
        }
        if let (Some(shard), true) = (context.group_shard(group), cause.is_unconnected()) {
            shard.answers.connection_errors.inc();
        }
        self.tell_failure(fault);
    }

    /// Shows what a target failed by.
    fn tell_failure(&self, fault: &Fault) {
        let (group, Some(target)) = (self.group(), self.target()) else { return };
        let is_news = target.runtime.last_error.set(fault.cause.as_str(), fault.to_string().into());
        if !is_news {
            return LineKind::TargetFailure.leave_out();
        }
        if !LineKind::TargetFailure.admits() {
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
    pub(crate) fn count_failure(&self, context: &Context, cause: Cause) {
        tell_refusal(self.group(), cause);
        if let Some(shard) = context.group_shard(self.group()) {
            shard.answers.failures.count(cause);
        }
    }

    /// The client has the head of a response that does not come whole.
    #[cold]
    pub(crate) fn cut_short(&self, context: &Context, entry: &mut AccessEntry, fault: &Fault) {
        entry.failed(fault.cause);
        self.count_failure(context, fault.cause);
        if fault.cause.is_of_target() {
            let shard = self.target().and_then(|target| context.target_shard(target));
            if let Some(shard) = shard.filter(|_| fault.cause != Cause::TargetDeregistered) {
                shard.broken_responses.inc();
            }
            self.tell_failure(fault);
        }
    }
}
