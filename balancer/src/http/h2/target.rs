//! A target of HTTP/2: on a lease of a connection that requests share. Must not know: how leases are found.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use h2::{Reason, RecvStream, client::ResponseFuture};

use super::{body::Http2, client::Http2Client, head, lease::Leasing};
use crate::{
    counters::{Cause, Failure, Retry, causes_of},
    http::{
        decide::plan::Plan,
        exchange::{TLS_HANDSHAKE, TargetSide},
    },
    upstream::{
        Destination, http2_failure,
        multiplex::{Lease, Patience},
    },
    wire::{
        authentication::is_challenge,
        head::{Framing, Response},
    },
};

/// What has come of a response.
#[derive(Debug)]
enum ReceivedHead {
    Interim(http::Response<()>),
    Final(http::Response<RecvStream>),
}

/// One request on one stream.
#[derive(Debug)]
pub(super) struct Http2Target {
    lease: Lease,
    response: Option<ResponseFuture>,
    http2: Http2,
    heard: Option<ReceivedHead>,
    /// Whether the request can be sent once more where nothing came back.
    repeatable: bool,
}

impl Http2Target {
    #[cold]
    fn failed(&self, error: &h2::Error) -> Failure {
        let failure = http2_failure::of_head(error, Cause::TargetHttp2Invalid);
        let retry = if error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM)
        {
            // The target refused the request without looking at it (RFC 9113, section 8.7).
            Retry::Elsewhere
        } else if error.is_go_away() && error.is_remote() {
            // Requests that the target's GOAWAY (RFC 9113, section 6.8) counts as seen go on until they are answered or
            // the connection ends.
            self.lease.retire();
            Retry::Unseen
        } else if self.repeatable && (error.is_io() || error.is_go_away()) {
            self.lease.retire();
            Retry::Ended { reused: self.lease.reused }
        } else {
            Retry::Never
        };
        failure.retried(retry)
    }
}

impl TargetSide<Http2Client> for Http2Target {
    type Body = Http2;

    async fn reach(
        client: &mut Http2Client,
        plan: &Plan,
        destination: &Destination,
        fresh: bool,
    ) -> Result<Self, Failure> {
        let context = Rc::clone(&client.state.context);
        let watch = Rc::clone(client.state.watch());
        let connect = client.state.listener.load_balancer.connect_timeout;
        let patience = Patience { connect, handshake: TLS_HANDSHAKE };
        // Who authenticates may do so for all that is on the connection, and for all that follows.
        let private = plan.request.authenticates;
        let fresh = fresh || private;
        let leasing = Leasing { context: &context, watch: &watch, patience, destination, fresh };
        let lease = leasing.lease(client).await?;
        client.state.has_waited();
        if private {
            lease.close_to_others();
        }
        let repeatable = plan.request.is_repeatable();
        Ok(Self { lease, response: None, http2: Http2::default(), heard: None, repeatable })
    }

    fn send(&mut self, _: &Http2Client, plan: &mut Plan, destination: &Destination) -> Result<(), Failure> {
        let request = head::request_of(&plan.head, destination.tls.is_some()).ok_or(Cause::RequestInvalid)?;
        let bodiless = plan.request.framing == Framing::Empty;
        let Ok((response, outgoing)) = self.lease.sender.send_request(request, bodiless) else {
            // The target let the connection end; nothing was sent.
            self.lease.retire();
            return Err(Failure::from(Cause::TargetHttp2Ended).retried(Retry::Unseen));
        };
        (self.response, self.http2.outgoing) = (Some(response), Some(outgoing));
        Ok(())
    }

    fn body(&mut self) -> &mut Http2 {
        &mut self.http2
    }

    fn poll_heard(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Failure>> {
        let Some(response) = &mut self.response else { return Poll::Pending };
        if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            self.heard = Some(ReceivedHead::Interim(interim));
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => self.heard = Some(ReceivedHead::Final(response)),
            Err(error) => return Poll::Ready(Err(self.failed(&error))),
        }
        Poll::Ready(Ok(()))
    }

    fn take_head<R>(
        &mut self,
        _: &Plan,
        look: impl FnOnce(&Response<'_>) -> Result<R, Failure>,
    ) -> Result<Option<R>, Failure> {
        let (head, body) = match self.heard.take() {
            None => return Ok(None),
            Some(ReceivedHead::Interim(interim)) => (interim, None),
            Some(ReceivedHead::Final(response)) => {
                let (parts, body) = response.into_parts();
                (http::Response::from_parts(parts, ()), Some(body))
            }
        };
        // Content that comes where there is none is not read (RFC 9110, sections 15.3.5 and 15.4.5): its stream is reset.
        let bodiless = matches!(head.status().as_u16(), 204 | 304)
            || body.as_ref().is_none_or(RecvStream::is_end_stream);
        let response = Response::of_http2(&head, bodiless).map_err(|error| causes_of(error).1)?;
        if is_challenge(&response) {
            self.lease.close_to_others();
        }
        let looked = look(&response).inspect_err(|failure| {
            // What it still sends on its stream would be in the way of others.
            if failure.cause == Cause::TargetInterimTooLarge {
                self.lease.retire();
            }
        })?;
        if let Some(body) = body {
            self.http2.expect(body, bodiless);
        }
        Ok(Some(looked))
    }

    fn body_failed(error: h2::Error) -> Failure {
        http2_failure::of_body(&error)
    }

    fn finish(self, client: &mut Http2Client, _: &mut Plan, _: &Destination, _: bool) {
        self.lease.touch(client.state.context.clock.millis());
    }
}
