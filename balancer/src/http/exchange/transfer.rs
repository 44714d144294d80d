//! One request on one connection: both bodies move at once, heads are passed on. Must not know: why it is this target.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use super::{
    connect::of_interrupt,
    sides::{ClientSide, TargetSide},
    tunnel::tunnel,
};
use crate::{
    counters::{Cause, Failure, Retry},
    http::decide::plan::Plan,
    wire::{
        body::{BodyError, Sink as _, Source as _, poll_move},
        deadline::Interrupt,
        head::Response,
        interim::Interim,
    },
};

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    /// It moves.
    Moving,
    /// The target has it.
    Done,
    /// The target takes no more of it. It may have answered before.
    Refused,
}

/// What the head of a response is.
enum PassedHead {
    /// An interim response, as it is to be sent.
    Interim(Vec<u8>),
    /// The response.
    Final,
    /// A change to another protocol.
    Switching,
}

/// One request under way.
pub(super) struct Transfer<'a, C, T> {
    pub(super) client: &'a mut C,
    pub(super) target: &'a mut T,
    pub(super) plan: &'a mut Plan,
    pub(super) upload: Upload,
    pub(super) interim: Interim,
}

impl<C: ClientSide, T: TargetSide<C>> Transfer<'_, C, T> {
    /// To the end of the response: true. False: the client has what there is, or is gone.
    pub(super) async fn run(&mut self) -> Result<bool, Failure> {
        let watch = Rc::clone(self.client.state().watch());
        loop {
            match watch.within(poll_fn(|cx| self.poll_head(cx))).await {
                // What the target has begun to answer is not asked of another.
                Ok(heard) => heard.inspect(|()| watch.stay())?,
                Err(Interrupt::TimedOut) if self.goes_on() => continue,
                Err(interrupt) => return Err(self.interrupted(interrupt)),
            }
            loop {
                let Self { client, target, plan, upload, interim } = self;
                let uploaded = *upload == Upload::Done;
                match target.take_head(plan, |response| hear(*client, plan, response, uploaded, interim))? {
                    None => break,
                    Some(PassedHead::Final) => {
                        // Nobody else is asked: its memory is for others, however long this takes.
                        let head = std::mem::take(&mut self.plan.head);
                        self.client.state().context.heads.give(head);
                        return Ok(self.relay().await);
                    }
                    // The next head may be there already.
                    Some(PassedHead::Interim(interim)) => {
                        self.client.state_mut().has_waited();
                        if !self.client.send_interim(interim).await {
                            return Err(self.gone());
                        }
                    }
                    Some(PassedHead::Switching) => {
                        // In a box, as all that is seldom, so that requests do not carry its room.
                        Box::pin(tunnel(self.client, self.target, self.plan.is_websocket())).await;
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// The time for something to move is over. Whether there is more.
    fn goes_on(&self) -> bool {
        self.client.state().goes_on([self.client.socket(), self.target.socket()])
    }

    fn gone(&mut self) -> Failure {
        self.client.gone()
    }

    /// Who is to blame that the head of the response did not come in time.
    #[cold]
    fn interrupted(&mut self, interrupt: Interrupt) -> Failure {
        if interrupt == Interrupt::Silent {
            // Its host is not heard of: another connection to it would not be either.
            return Failure::from(Cause::TargetSilent).retried(Retry::Ended { reused: false });
        }
        let (source, sink) = (self.client.body(), self.target.body());
        let cause = if source.is_held_up() || !sink.is_clear() {
            Cause::TargetNotReading
        } else if !source.is_read() {
            Cause::RequestTimedOut
        } else {
            Cause::TargetTimedOut
        };
        of_interrupt(interrupt, cause)
    }

    /// Moves the request's body, reads the response and looks whether the client is still there.
    fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Failure>> {
        let before = self.target.body().progress();
        let uploading = match self.poll_upload(cx) {
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            other => other.is_pending(),
        };
        if self.target.body().progress() != before {
            self.client.progressed();
        }
        let heard = self.target.poll_heard(cx, self.client.body().room_now());
        // Who hears something is told; where there is nothing to tell it matters whether the client is there.
        if !matches!(heard, Poll::Ready(Ok(()))) {
            self.client.state_mut().has_waited();
            if self.client.poll_gone(cx, uploading).is_ready() {
                return Poll::Ready(Err(self.gone()));
            }
        }
        ready!(heard)?;
        self.client.state().arm_moving();
        Poll::Ready(Ok(()))
    }

    /// Ready when there is nothing more to send.
    fn poll_upload(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Failure>> {
        if self.upload != Upload::Moving {
            return Poll::Ready(Ok(()));
        }
        self.upload = match ready!(poll_move(cx, self.client.body(), self.target.body())) {
            Ok(()) => Upload::Done,
            Err(BodyError::Sink) => Upload::Refused,
            Err(error) => return Poll::Ready(Err(C::body_failed(&error))),
        };
        Poll::Ready(Ok(()))
    }

    /// Moves the response, and what is left of the request, to the end. False: it did not come to that.
    async fn relay(&mut self) -> bool {
        let watch = Rc::clone(self.client.state().watch());
        let moved = loop {
            match watch.within(poll_fn(|cx| self.poll_relay(cx))).await {
                Err(Interrupt::TimedOut) if self.goes_on() => {}
                moved => break moved,
            }
        };
        self.client.settle_returned();
        let failure = match moved {
            Ok(Ok(())) => return true,
            Ok(Err(None)) => return false,
            Ok(Err(Some(failure))) => failure,
            Err(interrupt) => of_interrupt(interrupt, Cause::TimedOutInBody),
        };
        // The head is out: only an abrupt end tells the client that this is not the whole response.
        let state = self.client.state_mut();
        self.plan.cut_short(&state.context, &mut state.entry, &failure);
        Box::pin(self.client.cut_short(self.plan, &failure)).await;
        false
    }

    /// Fails with what went wrong; with nothing when the client is gone.
    fn poll_relay(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Option<Failure>>> {
        let before = self.client.body().progress() + self.target.body().progress();
        let moved = poll_move(cx, self.target.body(), self.client.body());
        if let Poll::Ready(Err(BodyError::Malformed)) = moved {
            self.let_out(cx);
        }
        if moved.is_pending() {
            self.client.state_mut().has_waited();
            let upload = self.poll_upload(cx);
            if self.client.poll_gone(cx, !matches!(upload, Poll::Ready(Ok(())))).is_ready() {
                return Poll::Ready(Err(None));
            }
            if let Poll::Ready(Err(failure)) = upload {
                return Poll::Ready(Err(Some(failure)));
            }
        }
        if self.client.body().progress() + self.target.body().progress() != before {
            self.client.progressed();
        }
        moved.map_err(|error| match error {
            BodyError::Sink => None,
            BodyError::Truncated => Some(Cause::TargetClosedInBody.into()),
            BodyError::Malformed => Some(Cause::TargetBodyInvalid.into()),
            BodyError::Source(error) => Some(self.target.body_failed(error)),
        })
    }

    /// What stands before the fault goes out, the head of the response at least, as far as the client takes it at once.
    #[cold]
    fn let_out(&mut self, cx: &mut TaskContext<'_>) {
        if let Poll::Ready(Ok(())) = self.client.body().poll_take(cx, self.target.body()) {
            let _ = self.client.body().poll_flush(cx);
        }
    }
}

/// Passes the head of a response on.
fn hear<C: ClientSide>(
    client: &mut C,
    plan: &Plan,
    response: &Response<'_>,
    uploaded: bool,
    interim: &mut Interim,
) -> Result<PassedHead, Failure> {
    client.check(plan, response, uploaded)?;
    let switching = response.status == 101;
    if response.status < 200 && !switching {
        if !interim.admits(response) {
            return Err(Cause::TargetInterimTooLarge.into());
        }
        return client.interim(plan, response).map(PassedHead::Interim);
    }
    let state = client.state_mut();
    let now = state.now();
    state.entry.answered(response.status, now);
    let mut edits = state.context.edits.take();
    plan.respond(&state.context, &response.view(), state.secure, now, &mut edits);
    state.listener.response_fields.put_into(&mut edits);
    let begun = client.respond(plan, response, &edits);
    edits.clear();
    client.state().context.edits.replace(edits);
    begun.map(|()| if switching { PassedHead::Switching } else { PassedHead::Final })
}
