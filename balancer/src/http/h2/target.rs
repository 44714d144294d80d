//! A target of HTTP/2: on a lease of a connection that requests share. Must not know: how leases are found.

use std::{
    os::fd::RawFd,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use super::{client::Http2Client, forwarded::Forwarded, lease::Leasing};
use crate::{
    counters::{Cause, Failure, Retry, causes_of},
    http::{
        decide::plan::Plan,
        exchange::{Retries, TLS_HANDSHAKE, TargetSide},
    },
    upstream::{
        Destination, http2_failure,
        multiplex::{Lease, Patience},
    },
    wire::{
        authentication::is_challenge,
        body::Sink as _,
        head::{Framing, HeadError, Response},
        http2::{Block, ErrorCode, Http2Stream, StreamEnd, StreamFault, Unsent},
    },
};

/// One request on one stream.
#[derive(Debug)]
pub(super) struct Http2Target {
    lease: Lease,
    /// Whether anything came back.
    is_heard: bool,
    /// Whether the request can be sent once more where nothing came back.
    repeatable: bool,
}

impl Http2Target {
    #[cold]
    fn failed(&self, fault: StreamFault) -> Failure {
        let ending = self.lease.stream.ending(fault);
        let failure = http2_failure::of_head(&ending, Cause::TargetHttp2Invalid);
        let retry = match ending {
            _ if self.is_heard => Retry::Never,
            // The target refused the request without looking at it (RFC 9113, section 8.7).
            StreamEnd::Reset(code) if code == ErrorCode::Refused as u32 => Retry::Elsewhere,
            // Requests that the target's GOAWAY (RFC 9113, section 6.8) counts as seen go on until they are answered or
            // the connection ends.
            StreamEnd::Unseen(_) => {
                self.lease.retire();
                Retry::Unseen
            }
            StreamEnd::Closed | StreamEnd::Broken(_) | StreamEnd::Violated(_) if self.repeatable => {
                self.lease.retire();
                Retry::Ended { reused: self.lease.reused }
            }
            _ => Retry::Never,
        };
        failure.retried(retry)
    }

    /// A request that did not go out: nothing of it was seen.
    #[cold]
    fn unsent(&self, why: Unsent) -> Failure {
        match why {
            Unsent::Ended => {
                self.lease.retire();
                Failure::from(Cause::TargetHttp2Ended).retried(Retry::Unseen)
            }
            Unsent::Full => Failure::from(Cause::TargetBusy).retried(Retry::Unseen),
            Unsent::Malformed => Cause::RequestInvalid.into(),
            Unsent::TooLarge => Cause::RequestHeadTooLarge.into(),
        }
    }

    fn look<R>(
        &mut self,
        head: &Block,
        look: impl FnOnce(&Response<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let of_target = |error: HeadError| Failure::from(causes_of(error).1);
        if head.left_out() > 0 {
            return Err(of_target(HeadError::TooLarge));
        }
        let status = head.status();
        // Content that comes where there is none is not read (RFC 9110, sections 15.3.5 and 15.4.5): its stream is reset.
        let is_bodiless = matches!(status, ..200 | 204 | 304) || self.lease.stream.is_whole();
        let mut response = Response::default();
        response.take_fields(status, head.lines(), is_bodiless).map_err(of_target)?;
        if is_challenge(&response) {
            self.lease.close_to_others();
        }
        let looked = look(&response).inspect_err(|failure| {
            // What it still sends on its stream would be in the way of others.
            if failure.cause == Cause::TargetInterimTooLarge {
                self.lease.retire();
            }
        })?;
        if status >= 200 {
            self.lease.stream.expect_answer(is_bodiless);
        }
        Ok(looked)
    }
}

impl TargetSide<Http2Client> for Http2Target {
    type Body = Http2Stream;

    /// Connections are shared: whoever wants one is given a place on it by who keeps them.
    fn at_hand(_: &mut Http2Client, _: &Plan, _: &Destination, _: &Retries) -> Option<Self> {
        None
    }

    async fn reach(
        client: &mut Http2Client,
        plan: &Plan,
        destination: &Destination,
        tries: &Retries,
    ) -> Result<Self, Failure> {
        let context = Rc::clone(&client.state.context);
        let watch = Rc::clone(client.state.watch());
        let connect = client.state.listener.load_balancer.connect_timeout;
        let patience = Patience { connect, handshake: TLS_HANDSHAKE };
        // Who authenticates may do so for all that is on the connection, and for all that follows.
        let private = plan.request.authenticates;
        let fresh = tries.is_fresh() || private;
        let leasing = Leasing { context: &context, watch: &watch, patience, destination, fresh, tries };
        let lease = leasing.lease(client).await?;
        client.state.has_waited();
        if private {
            lease.close_to_others();
        }
        let repeatable = plan.request.is_repeatable();
        Ok(Self { lease, is_heard: false, repeatable })
    }

    fn send(
        &mut self,
        client: &Http2Client,
        plan: &mut Plan,
        destination: &Destination,
    ) -> Result<(), Failure> {
        let forwarded = Forwarded::of(&plan.head, &client.notes).ok_or(Cause::RequestInvalid)?;
        let is_all = plan.request.framing == Framing::Empty;
        let secure = destination.tls.is_some();
        let how = (is_all, plan.request.to_head, client.stream.room_ahead());
        let sent = self.lease.stream.send_request(how, |writer| forwarded.write(secure, writer));
        sent.map(|_| ()).map_err(|why| self.unsent(why))
    }

    fn socket(&self) -> Option<RawFd> {
        self.lease.stream.waits_for_connection().then(|| self.lease.socket())
    }

    fn body(&mut self) -> &mut Http2Stream {
        &mut self.lease.stream
    }

    fn poll_heard(&mut self, cx: &mut TaskContext<'_>, _: usize) -> Poll<Result<(), Failure>> {
        let heard = ready!(self.lease.stream.poll_answer(cx)).map_err(|fault| self.failed(fault));
        self.is_heard = true;
        Poll::Ready(heard)
    }

    fn take_head<R>(
        &mut self,
        _: &Plan,
        look: impl FnOnce(&Response<'_>) -> Result<R, Failure>,
    ) -> Result<Option<R>, Failure> {
        let Some(head) = self.lease.stream.take_answer() else { return Ok(None) };
        let looked = self.look(&head, look);
        self.lease.stream.recycle(head);
        looked.map(Some)
    }

    fn body_failed(&self, fault: StreamFault) -> Failure {
        http2_failure::of_body(&self.lease.stream.ending(fault))
    }

    fn finish(self, client: &mut Http2Client, _: &mut Plan, _: &Destination, _: bool) {
        self.lease.touch(client.state.context.clock.millis());
    }
}
