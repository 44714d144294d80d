//! Tries targets until one takes the request. Must not know: what moves then.

use std::rc::Rc;

use super::{
    retries::Retries,
    sides::{ClientSide, TargetSide},
    transfer::{Transfer, Upload},
};
use crate::{
    counters::{Blame, Cause, Failure, Retry},
    http::decide::{failed::tell_shortage, plan::Plan},
    wire::{body::Source as _, interim::Interim},
};

/// Carries the request out.
pub(crate) async fn exchange<C: ClientSide>(client: &mut C, plan: &mut Plan) -> C::After {
    if plan.is_asking()
        && let Err(cause) = Box::pin(settle_session(client, plan)).await
    {
        return client.answer_error(plan, &cause.into()).await;
    }
    let mut retries = Retries::default();
    loop {
        let failure = match client.attempt(plan, &retries).await {
            Ok(after) => return after,
            Err(failure) => failure,
        };
        if goes_on(client, plan, &mut retries, &failure) {
            continue;
        }
        if failure.is_of_gone() {
            client.state_mut().client_gone(failure.cause);
            return C::OVER;
        }
        return client.answer_error(plan, &failure).await;
    }
}

/// Waits for what other balancers know of the request's session.
#[cold]
async fn settle_session<C: ClientSide>(client: &mut C, plan: &mut Plan) -> Result<(), Cause> {
    let context = Rc::clone(&client.state().context);
    let settled = plan.ask(&context).await;
    let state = client.state_mut();
    state.has_waited();
    state.entry.group(&plan.group().settings.name);
    settled
}

/// Takes note of a failure. Whether the request is tried again.
#[cold]
fn goes_on<C: ClientSide>(client: &C, plan: &mut Plan, retries: &mut Retries, failure: &Failure) -> bool {
    let state = client.state();
    // Whatever is waited for next is not for this target.
    state.watch().stay();
    if failure.is_of_gone() {
        return false;
    }
    match failure.blame() {
        Blame::Now => plan.target_failed(&state.context, failure),
        Blame::InTheEnd => plan.connection_ended(&state.context, failure),
        Blame::Nobody => tell_shortage(failure),
    }
    let most = state.listener.load_balancer.connect_timeout;
    if retries.goes_on(failure, &state.context, plan, most) {
        state.context.counters.retries.inc();
        return true;
    }
    if failure.blame() == Blame::InTheEnd {
        plan.target_failed(&state.context, failure);
    }
    plan.count_failure(&state.context, failure.cause);
    false
}

/// Tries the target that the plan names.
pub(crate) async fn attempt<C: ClientSide, T: TargetSide<C>>(
    client: &mut C,
    plan: &mut Plan,
    tries: &Retries,
) -> Result<C::After, Failure> {
    let context = Rc::clone(&client.state().context);
    let destination = plan.destination();
    let state = client.state_mut();
    state.entry.target(plan.target());
    state.watch().set_registration(Some(plan.target().registration));
    let _in_flight = context.tables.outstanding.begin(destination.slot);
    let mut target = match T::at_hand(client, plan, &destination, tries) {
        Some(target) => target,
        None => T::reach(client, plan, &destination, tries).await?,
    };
    client.state().arm_idle();
    if plan.request.expects_continue {
        client.state_mut().has_waited();
        client.state().watch().stay();
        if !client.invite(plan).await {
            return Err(Failure::gone(false));
        }
    }
    target.send(client, plan, &destination)?;
    let now = client.state_mut().now();
    plan.count_sending(&context, now);
    client.state_mut().entry.sent(now);
    // One that has lost a target already is not tried again: there it waits.
    if plan.request.is_repeatable() && !tries.is_fresh() {
        client.state().watch().set_repeatable();
    } else {
        client.state().watch().stay();
    }
    let mut transfer =
        Transfer { client, target: &mut target, plan, upload: Upload::Moving, interim: Interim::default() };
    let moved = transfer.run().await;
    let uploaded = transfer.upload == Upload::Done;
    client.settle_received();
    let is_whole = uploaded && matches!(moved, Ok(true));
    target.finish(client, plan, &destination, is_whole);
    match moved {
        Ok(true) => Ok(client.after(uploaded)),
        Ok(false) => Ok(C::OVER),
        // What was taken of the body is not there for another target.
        Err(failure) if client.body().has_begun() => Err(failure.retried(Retry::Never)),
        Err(failure) => {
            client.body().restart();
            Err(failure)
        }
    }
}
