//! The response side of a plan: what the head of a target's response is given on its way to the client, and what is
//! counted of it. Must not know: which version of HTTP carries it.

use super::{
    plan::{GroupChoice, Plan},
    session_moves::count_session,
};
use crate::{
    clock::Nanos,
    http::context::Context,
    model::{HeaderEdits, ResponseHead},
    rules::Act,
    stickiness::{Answered, Outcome, Renewal},
    target_group::TargetState,
};

impl Plan {
    /// Adds to `edits` what the head of the target's response, which came `at`, is given on its way to the client. Counts
    /// the response.
    pub(crate) fn respond(
        &self,
        context: &Context,
        response: &ResponseHead<'_>,
        secure: bool,
        at: Nanos,
        edits: &mut HeaderEdits,
    ) {
        let (group, target) = (self.group(), self.target());
        self.keep_group(context, response, secure, edits);
        if let (Some(decision), Some(sticky)) = (&self.decision, &group.stickiness) {
            let (sessions, now) = (&context.sessions, context.clock.unix());
            // Being busy for a moment is no reason to move a session.
            let home = decision.target.filter(|_| self.spilled).and_then(|home| group.targets.get(home));
            let home = home.unwrap_or(target);
            let [high, low, ..] = context.random.borrow_mut().draw().to_be_bytes();
            let nonce = u16::from_be_bytes([high, low]);
            let ledger = &home.runtime.sessions;
            let uncounted = decision.proved().is_some_and(|(_, issued)| ledger.may_be_missing(issued, now));
            let answered = Answered { by: target.id, home: home.id, nonce, uncounted };
            let renewal = sticky.respond(decision, answered, response, secure, sessions, now, edits);
            if let Renewal::Bound(bound) = renewal {
                let bound = if bound == home.id { home } else { target };
                count_session(group, bound, decision, (now, self.client));
            }
        }
        self.count_response(context, at, response.status);
    }

    fn count_response(&self, context: &Context, at: Nanos, status: u16) {
        let (group, target) = (self.group(), self.target());
        let class = usize::from(status / 100).saturating_sub(1);
        let span = self.sent.get().map(|sent| at.since(sent));
        if let Some(shard) = context.target_shard(target) {
            if let Some(counter) = shard.responses.get(class) {
                counter.inc();
            }
            if let Some(span) = span {
                shard.response_seconds.add(span);
            }
        }
        let Some(shard) = context.group_shard(group) else { return };
        if let Some(counter) = shard.answers.responses.get(class) {
            counter.inc();
        }
        if let Some(span) = span {
            shard.answers.response_time.observe(span);
            if let Some(decision) = &self.decision {
                let bound = decision.outcome == Outcome::Pinned && !self.spilled;
                let others = || context.tables.outstanding.view().get(target.slot).saturating_sub(1);
                context.counters.arrivals.count(at, span, (target.registration, bound), others);
            }
        }
    }

    /// Binds the client to the group that answered, where the action says so.
    fn keep_group(
        &self,
        context: &Context,
        response: &ResponseHead<'_>,
        secure: bool,
        edits: &mut HeaderEdits,
    ) {
        let Some(GroupChoice { snapshot, listener, action, index, decision }) = &self.group_choice else {
            return;
        };
        let act = snapshot.listener(*listener).and_then(|listener| listener.rules.act(*action));
        if let Some(Act::Forward(forward)) = act
            && let Some(cookie) = forward.cookie()
        {
            cookie.respond(decision, *index, response, secure, context.clock.unix(), edits);
        }
    }

    /// Counts a request that is sent to a target that is not healthy for want of healthy ones.
    pub(crate) fn count_sending(&self, context: &Context, at: Nanos) {
        self.sent.set(Some(at));
        let (group, target) = (self.group(), self.target());
        if let Some(shard) = context.target_shard(target) {
            shard.requests.inc();
        }
        let healthy = matches!(target.state, TargetState::Healthy | TargetState::Unavailable);
        if let (Some(shard), true) = (context.group_shard(group), group.failing_open && !healthy) {
            shard.routing.unhealthy_routing_requests.inc();
        }
    }
}
