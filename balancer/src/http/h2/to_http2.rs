//! A request of an HTTP/2 client at an HTTP/2 target: on a connection that it shares with others, bodies and
//! trailers both ways at once.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context as TaskContext, Poll},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};

use super::{
    fault, head,
    lease::{Leasing, Unleased},
    relay::{Relay, RelayError},
    stream::{Attempt, Stream},
};
use crate::{
    http::{
        failure,
        plan::Plan,
        reach::{InFlight, TLS_HANDSHAKE, of_interrupt},
    },
    telemetry::counters::{Cause, Fault},
    upstream::multiplex::Patience,
    wire::{deadline::Interrupt, head::Framing},
};

/// Tries the target that the plan names.
pub(super) async fn attempt(stream: &mut Stream, plan: &mut Plan) -> Attempt {
    let context = Rc::clone(&stream.context);
    let Some(target) = plan.target() else { return Attempt::Failed(Cause::NoTarget.into()) };
    stream.entry.target(&target.endpoint);
    stream.watch().set_registration(Some(target.registration));
    let Some(destination) = plan.destination() else {
        return Attempt::Failed(Cause::NoTarget.into());
    };
    let _in_flight = InFlight::begin(&context.tables.outstanding, destination.slot);
    let Some(request) = head::request_of(&plan.head, destination.tls.is_some()) else {
        return Attempt::Failed(Cause::RequestInvalid.into());
    };
    let watch = Rc::clone(stream.watch());
    let patience =
        Patience { connect: stream.listener.load_balancer.connect_timeout, handshake: TLS_HANDSHAKE };
    let leasing = Leasing { context: &context, watch: &watch, patience, destination: &destination };
    let mut lease = match leasing.lease(stream).await {
        Ok(lease) => lease,
        Err(Unleased::ClientGone) => return stream.client_gone(plan.wishes.framing == Framing::Empty),
        Err(Unleased::Interrupted(fault)) => return Attempt::Failed(fault),
        Err(Unleased::Fault(fault)) => {
            plan.target_failed(&context, &fault);
            return Attempt::Unreachable(fault);
        }
    };
    stream.arm_idle();
    if !stream.invite(plan) {
        return stream.client_gone(plan.wishes.framing == Framing::Empty);
    }
    let bodiless = plan.wishes.framing == Framing::Empty;
    let Ok((response, sink)) = lease.sender.send_request(request, bodiless) else {
        // The target let the connection end; nothing was sent.
        lease.retire();
        return Attempt::Unseen(Cause::TargetHttp2Ended.into());
    };
    plan.count_sending(&context);
    stream.entry.sent();
    let up = Relay::new(bodiless).filtered(&stream.listener.trailers);
    let mut transfer = Transfer { response, sink, up, reused: lease.reused };
    let outcome = transfer.run(stream, plan).await;
    stream.entry.received(transfer.up.moved());
    lease.touch(context.clock.millis());
    match outcome {
        Outcome::Over => Attempt::Over,
        Outcome::Gone => stream.client_gone(transfer.up.is_done()),
        Outcome::Unseen(fault) => {
            lease.retire();
            Attempt::Unseen(fault)
        }
        Outcome::Ended(fault) => {
            lease.retire();
            if !transfer.reused {
                plan.target_failed(&context, &fault);
            }
            Attempt::Ended { fault, reused: transfer.reused }
        }
        Outcome::Refused(fault) => {
            plan.target_failed(&context, &fault);
            Attempt::Unreachable(fault)
        }
        Outcome::Failed(fault) => {
            if fault.cause.is_of_target() {
                plan.target_failed(&context, &fault);
            }
            Attempt::Failed(fault)
        }
    }
}

/// How the transfer ended.
enum Outcome {
    Over,
    Gone,
    /// The target refused the request without looking at it (RFC 9113, section 8.7).
    Refused(Fault),
    /// The target ends the connection and says that it has not looked at the request (RFC 9113, section 6.8).
    Unseen(Fault),
    /// The connection ended before anything came back, and asking again does no harm.
    Ended(Fault),
    Failed(Fault),
}

/// What happens while the response is awaited.
enum Event {
    Interim(http::Response<()>),
    Response(Result<http::Response<RecvStream>, h2::Error>),
    ClientGone,
}

/// One request on one connection.
struct Transfer {
    response: ResponseFuture,
    sink: SendStream<Bytes>,
    up: Relay,
    reused: bool,
}

impl Transfer {
    async fn run(&mut self, stream: &mut Stream, plan: &Plan) -> Outcome {
        let watch = Rc::clone(stream.watch());
        loop {
            match watch.within(poll_fn(|cx| self.poll_head(cx, stream))).await {
                Ok(Event::Interim(interim)) => {
                    stream.arm_idle();
                    match interim.status() {
                        // It was said already.
                        http::StatusCode::CONTINUE => {}
                        // There is none in HTTP/2 (RFC 9113, section 8.6).
                        http::StatusCode::SWITCHING_PROTOCOLS => {
                            return Outcome::Failed(Cause::TargetUpgradeInvalid.into());
                        }
                        _ if stream.respond.send_informational(interim).is_err() => return Outcome::Gone,
                        _ => {}
                    }
                }
                Ok(Event::Response(Ok(response))) => return self.answer(stream, plan, response).await,
                Ok(Event::Response(Err(error))) => return self.failed(plan, &error),
                Ok(Event::ClientGone) => return Outcome::Gone,
                Err(Interrupt::TimedOut) if self.up.is_held_up() => {
                    return Outcome::Failed(Cause::TargetNotReading.into());
                }
                Err(Interrupt::TimedOut) if !self.up.is_done() => {
                    return Outcome::Failed(Cause::RequestTimedOut.into());
                }
                Err(interrupt) => return Outcome::Failed(of_interrupt(interrupt, Cause::TargetTimedOut)),
            }
        }
    }

    fn poll_head(&mut self, cx: &mut TaskContext<'_>, stream: &mut Stream) -> Poll<Event> {
        let before = self.up.moved();
        if self.poll_up(cx, stream) || stream.respond.poll_reset(cx).is_ready() {
            return Poll::Ready(Event::ClientGone);
        }
        if self.up.moved() != before {
            stream.arm_idle();
        }
        if let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(cx) {
            return Poll::Ready(Event::Interim(interim));
        }
        std::pin::Pin::new(&mut self.response).poll(cx).map(Event::Response)
    }

    /// Whether the client is gone. A target that takes no more of the body may have answered.
    fn poll_up(&mut self, cx: &mut TaskContext<'_>, stream: &mut Stream) -> bool {
        if self.up.is_done() {
            return false;
        }
        matches!(self.up.poll(cx, &mut stream.body, &mut self.sink), Poll::Ready(Err(RelayError::Source(_))))
    }

    fn failed(&self, plan: &Plan, error: &h2::Error) -> Outcome {
        let fault = fault::of_head(error);
        if self.up.has_begun() {
            return Outcome::Failed(fault);
        }
        if error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
            return Outcome::Refused(fault);
        }
        // Requests that the target's GOAWAY counts as seen go on until they are answered or the connection ends.
        if error.is_go_away() && error.is_remote() {
            return Outcome::Unseen(fault);
        }
        let ended = error.is_io() || error.is_go_away();
        let harmless = plan.wishes.idempotent && plan.wishes.framing == Framing::Empty;
        if ended && harmless { Outcome::Ended(fault) } else { Outcome::Failed(fault) }
    }

    async fn answer(
        &mut self,
        stream: &mut Stream,
        plan: &Plan,
        response: http::Response<RecvStream>,
    ) -> Outcome {
        let (parts, mut body) = response.into_parts();
        let response = http::Response::from_parts(parts, ());
        let bodiless = body.is_end_stream();
        let view = match head::response_view(&response, bodiless) {
            Ok(view) => view,
            Err(error) => return Outcome::Failed(failure::of_response(error)),
        };
        stream.entry.answered(view.status);
        let mut edits = plan.respond(&stream.context, &view.view(), stream.secure);
        stream.listener.response_fields.put_into(&mut edits);
        let Some(head) = head::response(&view, &edits, &stream.context.clock) else {
            return Outcome::Failed(Cause::TargetHeaderInvalid.into());
        };
        drop(view);
        stream.arm_idle();
        stream.entry.responding(head.status().as_u16());
        stream.count_head(head.headers());
        let Ok(mut down_sink) = stream.respond.send_response(head, bodiless) else { return Outcome::Gone };
        let mut down = Relay::new(bodiless);
        let watch = Rc::clone(stream.watch());
        let moving = poll_fn(|cx| {
            let before = self.up.moved() + down.moved();
            let moved = down.poll(cx, &mut body, &mut down_sink);
            if moved.is_pending() && (self.poll_up(cx, stream) || down_sink.poll_reset(cx).is_ready()) {
                return Poll::Ready(Err(RelayError::Sink));
            }
            if self.up.moved() + down.moved() != before {
                stream.arm_idle();
            }
            moved
        });
        let moved = watch.within(moving).await;
        stream.entry.returned(down.moved());
        match moved {
            Ok(Ok(()) | Err(RelayError::Sink)) => {}
            // The head is out: only a reset tells the client. Not by the code that the target gave: some of them have
            // clients take what they have for the whole.
            Ok(Err(RelayError::Source(error))) => {
                stream.break_off(plan, &mut down_sink, &fault::of_body(&error)).await;
            }
            Err(interrupt) => {
                let fault = of_interrupt(interrupt, Cause::TimedOutInBody);
                stream.break_off(plan, &mut down_sink, &fault).await;
            }
        }
        Outcome::Over
    }
}
