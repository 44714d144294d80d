//! The two sides of an exchange. Must not know: which versions of HTTP there are.

use std::{
    future::poll_fn,
    os::fd::RawFd,
    task::{Context as TaskContext, Poll},
};

use super::{request_state::RequestState, retries::Retries};
use crate::{
    counters::{Cause, Failure},
    http::decide::plan::Plan,
    model::HeaderEdits,
    upstream::{Connection, Destination},
    wire::{
        body::{BodyError, Sink, Source},
        head::Response,
    },
};

/// The side that asks.
pub(crate) trait ClientSide: Sized {
    /// What becomes of its connection.
    type After;
    /// Its connection is over, or its request on it.
    const OVER: Self::After;
    /// What the request's body comes from, and the response's goes to.
    type Body: Source + Sink;

    /// Its request.
    fn state(&self) -> &RequestState;

    /// Its request, to be changed.
    fn state_mut(&mut self) -> &mut RequestState;

    /// Its bodies.
    fn body(&mut self) -> &mut Self::Body;

    /// The socket that what goes out waits for, if it does.
    fn socket(&self) -> Option<RawFd>;

    /// Tries the target that the plan names; `fresh`: on a new connection.
    async fn attempt(&mut self, plan: &mut Plan, tries: &Retries) -> Result<Self::After, Failure>;

    /// Ready once the client is gone. `uploading`: its body is being read, by which that shows as well.
    fn poll_gone(&mut self, cx: &mut TaskContext<'_>, uploading: bool) -> Poll<()>;

    /// What it means that the client is gone.
    #[cold]
    fn gone(&mut self) -> Failure {
        Failure::gone(self.body().is_read())
    }

    /// What it means that the request's body could not be read.
    fn body_failed(error: &BodyError<<Self::Body as Source>::Error>) -> Failure;

    /// Has a client go on that waits with its body for a word (RFC 9110, section 10.1.1). False: it is gone.
    async fn invite(&mut self, plan: &Plan) -> bool;

    /// Whether it may be given such a response. `uploaded`: the target has the whole request.
    fn check(&self, plan: &Plan, response: &Response<'_>, uploaded: bool) -> Result<(), Cause>;

    /// An interim response, sent or as it is to be sent.
    fn interim(&mut self, plan: &Plan, response: &Response<'_>) -> Result<Vec<u8>, Failure>;

    /// Sends an interim response. False: the client is gone.
    async fn send_interim(&mut self, interim: Vec<u8>) -> bool;

    /// Begins the response, changed by `edits`.
    fn respond(&mut self, plan: &Plan, response: &Response<'_>, edits: &HeaderEdits) -> Result<(), Failure>;

    /// A connection to `destination` that is its alone; see [`crate::upstream::Pool::take`].
    fn bound(&mut self, destination: &Destination, ask: bool) -> Option<Connection>;

    /// Keeps a connection that is its alone.
    fn bind(&mut self, destination: &Destination, connection: Connection);

    /// Something has moved.
    fn progressed(&mut self);

    /// Counts what came of the request.
    fn settle_received(&mut self);

    /// Counts what went out of the response.
    fn settle_returned(&mut self);

    /// The whole response is out. `uploaded`: so is the request.
    fn after(&self, uploaded: bool) -> Self::After;

    /// Tells that this is not the whole response, for which `failure` is to blame.
    async fn cut_short(&mut self, plan: &Plan, failure: &Failure);

    /// A tunnel is over; `is_whole`: both directions were ended.
    fn end_tunnel(&mut self, is_whole: bool);

    /// Answers with the page of an error, or as the group has it.
    async fn answer_error(&mut self, plan: &Plan, failure: &Failure) -> Self::After;
}

/// The side that is asked.
pub(crate) trait TargetSide<C: ClientSide>: Sized {
    /// What the response's body comes from, and the request's goes to.
    type Body: Source + Sink;

    /// The target on a connection kept, unless `tries` ask for a new one: nothing has to be waited for, and no state of waiting made.
    fn at_hand(client: &mut C, plan: &Plan, destination: &Destination, tries: &Retries) -> Option<Self>;

    /// Gets at the target where it is not at hand.
    async fn reach(
        client: &mut C,
        plan: &Plan,
        destination: &Destination,
        tries: &Retries,
    ) -> Result<Self, Failure>;

    /// Begins the request.
    fn send(&mut self, client: &C, plan: &mut Plan, destination: &Destination) -> Result<(), Failure>;

    /// Its bodies.
    fn body(&mut self) -> &mut Self::Body;

    /// The socket that what goes out waits for, if it does.
    fn socket(&self) -> Option<RawFd>;

    /// Ready when there is more of a head. There is room for so much of what is behind it.
    fn poll_heard(&mut self, cx: &mut TaskContext<'_>, room: usize) -> Poll<Result<(), Failure>>;

    /// Takes the head that has come, if one has: what `look` makes of it. It is looked at where it stands: with room for all
    /// its fields it is too large to be moved about.
    fn take_head<R>(
        &mut self,
        plan: &Plan,
        look: impl FnOnce(&Response<'_>) -> Result<R, Failure>,
    ) -> Result<Option<R>, Failure>;

    /// What it means that the response's body could not be read.
    fn body_failed(&self, error: <Self::Body as Source>::Error) -> Failure;

    /// Puts away what was used; `is_whole`: request and response have moved to their ends.
    fn finish(self, client: &mut C, plan: &mut Plan, destination: &Destination, is_whole: bool);
}

/// Awaits `future` unless the client goes away first.
pub(crate) async fn unless_gone<C: ClientSide, F: Future>(client: &mut C, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        client.poll_gone(cx, false).map(|()| None)
    })
    .await
}
