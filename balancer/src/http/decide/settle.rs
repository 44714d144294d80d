//! What becomes of a request that has waited for what other balancers know of its session.
//! Must not know: how they are asked.

use super::{
    asking::{AlreadyKnown, Question, wait},
    pick::spill,
    plan::{Plan, count_routed, fails},
    session_moves::{client_mark, count_session, fields_of, moves},
};
use crate::{
    clock::Nanos,
    counters::Cause,
    http::context::{Context, WorkerTarget},
    stickiness::Outcome,
    target_group::GroupView,
};

impl Plan {
    /// Whether others are asked for the request's session.
    #[inline]
    pub(crate) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Waits for what others know, as long as that may take, and goes by it.
    ///
    /// # Errors
    /// What the client is to be told instead.
    pub(crate) async fn ask(&mut self, context: &Context) -> Result<(), Cause> {
        let Some(asking) = self.asking.take() else { return Ok(()) };
        let is_grpc = asking.is_grpc;
        let began = Nanos::now();
        let (known, lookup) = wait(&context.timers, *asking).await;
        context.counters.session_store.lookups.count(lookup);
        context.counters.session_store.lookup_duration.observe(Nanos::now().since(began));
        if let Some(known) = known {
            self.go_by(context, known);
        }
        let shard = context.group_shard(self.group());
        count_routed(shard, self.decision.as_ref(), is_grpc);
        let outcome = self.decision.as_ref().map(|decision| decision.outcome);
        if outcome == Some(Outcome::Unhealthy) && fails(self.group()) {
            shard.inspect(|shard| shard.stickiness.refused_requests.inc());
            self.count_failure(context, Cause::StickyTargetUnhealthy);
            return Err(Cause::StickyTargetUnhealthy);
        }
        shard.inspect(|shard| shard.answers.requests_with_target.inc());
        Ok(())
    }

    /// Goes where another balancer has put the session. Without its target the request goes on as it would have.
    fn go_by(&mut self, context: &Context, AlreadyKnown { question, key, session }: AlreadyKnown) {
        let Question { index, group, decision: before, keys, .. } = question;
        let (now, mut decision) = (context.clock.unix(), before.clone());
        let targets: &GroupView = &group;
        let answered = group
            .stickiness
            .as_ref()
            .is_some_and(|sticky| sticky.answered(&mut decision, (&keys, key), session, targets, now));
        if !answered {
            return;
        }
        let Some(home) = decision.target else {
            if self.group_choice.as_ref().is_none_or(|choice| choice.index == index) {
                self.decision = Some(decision);
            }
            return;
        };
        let elsewhere = spill(context, targets, home);
        let Some(target) = WorkerTarget::new(&group, elsewhere.unwrap_or(home)) else { return };
        let mark = client_mark(targets, fields_of(&self.head), self.peer());
        if let Some(home) = targets.targets.get(home) {
            // One more on this host, or one that has moved.
            count_session(targets, home, &before, (now, mark));
        }
        let is_marked = elsewhere.is_some() || moves(targets, Some(&decision), now);
        self.client = if is_marked { mark } else { 0 };
        if let (Some(_), Some(shard)) = (elsewhere, context.group_shard(targets)) {
            shard.stickiness.spilled_requests.inc();
        }
        self.spilled = elsewhere.is_some();
        self.decision = Some(decision);
        self.bind_to(target, index);
    }
}
