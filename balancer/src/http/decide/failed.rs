//! What is made of a target that failed a request: counted by cause, and told.
//! Must not know: what the client is answered.

use super::{plan::Plan, refusal::tell_refusal};
use crate::{
    clock::monotonic_now,
    counters::{Cause, ConnectErrno, Failure, Phase, Retry, Side},
    http::{context::Context, entry::AccessEntry},
    logs::quiet::LineKind,
};

/// Tells of what this host is short of, which is no target's fault.
#[cold]
pub(crate) fn tell_shortage(failure: &Failure) {
    if failure.cause == Cause::OutOfSockets && LineKind::TargetFailure.admits() {
        tracing::warn!(cause = failure.cause.as_str(), "a target was not asked: {failure}");
    }
}

/// What the system said, or would have in the end.
#[cold]
fn errno(cause: Cause) -> ConnectErrno {
    match cause {
        Cause::TargetConnectionRefused => ConnectErrno::Refused,
        Cause::TargetConnectionTimedOut => ConnectErrno::TimedOut,
        Cause::TargetUnreachable => ConnectErrno::Unreachable,
        _ => ConnectErrno::Other,
    }
}

impl Plan {
    /// The target failed the request by `failure`, whether it is tried elsewhere or not.
    #[cold]
    pub(crate) fn target_failed(&self, context: &Context, failure: &Failure) {
        let (group, target) = (self.group(), self.target());
        let cause = failure.cause;
        if cause.is_refusal() {
            target.runtime.refusals.note(monotonic_now());
        }
        let (of_target, of_group) = (context.target_shard(target), context.group_shard(group));
        match cause.phase() {
            Phase::Connect => {
                if let Some(shard) = of_target {
                    shard.connection_errors.inc();
                    shard.connect_failures.count(errno(cause));
                }
                of_group.inspect(|shard| shard.answers.connection_errors.inc());
            }
            Phase::Tls => _ = of_target.inspect(|shard| shard.tls_negotiation_errors.inc()),
            _ if cause.is_answer() => _ = of_target.inspect(|shard| shard.unanswered.inc()),
            _ => {}
        }
        self.tell_failure(failure);
    }

    /// A connection that was kept has ended when it was needed: the target's time for idle ones may be shorter than ours.
    #[cold]
    pub(crate) fn connection_ended(&self, context: &Context, failure: &Failure) {
        if failure.retry == (Retry::Ended { reused: true }) {
            context.target_shard(self.target()).inspect(|shard| shard.stale_connections.inc());
        }
    }

    /// Shows what a target failed by.
    fn tell_failure(&self, failure: &Failure) {
        let (group, target) = (self.group(), self.target());
        let is_news = target.runtime.last_error.set(failure.cause.as_str(), failure.to_string().into());
        if !is_news {
            return LineKind::TargetFailure.leave_out();
        }
        if !LineKind::TargetFailure.admits() {
            return;
        }
        tracing::warn!(
            target_group = %group.settings.name,
            target = %target.endpoint,
            cause = failure.cause.as_str(),
            "a target failed a request: {failure}"
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

    /// The code by which the target reset the request, where the group has clients told of it.
    #[cold]
    pub(crate) fn forwarded_reset(&self, failure: &Failure) -> Option<u32> {
        failure.reset.filter(|_| self.group().settings.forwards_resets)
    }

    /// The client has the head of a response that does not come whole.
    #[cold]
    pub(crate) fn cut_short(&self, context: &Context, entry: &mut AccessEntry, failure: &Failure) {
        entry.failed(failure.cause);
        self.count_failure(context, failure.cause);
        if failure.cause.side() == Side::Target {
            if failure.cause.is_answer() {
                context.target_shard(self.target()).inspect(|shard| shard.broken_responses.inc());
            }
            self.tell_failure(failure);
        }
    }
}
