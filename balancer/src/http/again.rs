//! Whether a request goes once more to a target after one may have seen it: its connection ended before any byte of
//! the response, and repeating it is harmless (RFC 9110, section 9.2.2). Must not know: how it is sent.

use super::{Context, attempts::Reach, plan::Plan};

/// What a request has met with so far.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Place of the first target that was lost after it was sent the request.
    lost: Option<usize>,
}

impl Again {
    /// Whether only a new connection will do: one that was kept could turn out dead as well.
    pub(super) fn is_fresh(&self) -> bool {
        self.lost.is_some()
    }

    /// The connection to the target of `plan` ended without an answer. Whether the request goes once more, which
    /// `plan` then says where: a connection that was kept may have been at its end by itself, and the same target gets
    /// another chance; a new one was not, and another target does, unless one was lost before: who sends what
    /// targets die of brings down two at most.
    pub(super) fn after_end(&mut self, context: &Context, plan: &mut Plan, reused: bool) -> bool {
        let lost_elsewhere = self.lost.is_some_and(|lost| lost != plan.place());
        self.lost.get_or_insert(plan.place());
        let again = reused || (!lost_elsewhere && plan.turn_elsewhere(context, Reach::Any));
        if again {
            context.counters.retries.inc();
        }
        again
    }
}
