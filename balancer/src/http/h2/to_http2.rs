//! A request of an HTTP/2 client at an HTTP/2 target: on a connection that it shares with others, bodies and
//! trailers both ways at once.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use tokio::task::spawn_local;

use super::{
    fault, head,
    relay::{Relay, RelayError},
    stream::{Attempt, Stream, unless_reset},
};
use crate::{
    http::{
        Context,
        plan::Plan,
        reach::{InFlight, TLS_HANDSHAKE, connector, of_interrupt},
    },
    telemetry::counters::{Cause, Fault},
    upstream::{
        Destination,
        multiplex::{self, Lease, Opening, Patience},
    },
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
    // Who opens the connection keeps the exact time, and knows what took it.
    let most = if destination.tls.is_some() { 2 * TLS_HANDSHAKE } else { Duration::ZERO };
    stream.arm(patience.connect + most);
    let leasing = lease(&context, patience, &destination);
    let leased = match watch.within(unless_reset(stream, leasing)).await {
        Ok(None) => return stream.client_gone(plan.wishes.framing == Framing::Empty),
        Ok(Some(leased)) => leased,
        Err(Interrupt::TimedOut) => Err(Cause::TargetConnectionTimedOut.into()),
        Err(interrupt) => return Attempt::Failed(of_interrupt(interrupt, Cause::TargetConnectionTimedOut)),
    };
    let lease = match leased {
        Ok(lease) => lease,
        Err(fault) => {
            plan.target_failed(&context, &fault);
            return Attempt::Unreachable(fault);
        }
    };
    stream.arm_idle();
    let mut sender = lease.sender();
    let bodiless = plan.wishes.framing == Framing::Empty;
    let sent = match watch.within(poll_fn(|cx| sender.poll_ready(cx))).await {
        Ok(Ok(())) => sender.send_request(request, bodiless).ok(),
        Ok(Err(_)) => None,
        Err(interrupt) => return Attempt::Failed(of_interrupt(interrupt, Cause::TargetTimedOut)),
    };
    let Some((response, sink)) = sent else {
        // The target let the connection end; nothing was sent.
        lease.retire();
        return Attempt::Stale(Cause::TargetHttp2Ended.into());
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
        Outcome::Ended(fault) => {
            lease.retire();
            Attempt::Stale(fault)
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

/// A place on a connection: one that is there, or one that is opened for all who wait for one.
async fn lease(context: &Rc<Context>, patience: Patience, destination: &Destination) -> Result<Lease, Fault> {
    let mut opened = false;
    loop {
        if let Some(mut lease) = context.multiplexed.borrow_mut().lease(destination) {
            lease.reused = !opened;
            if lease.reused {
                context.counters.target_reuses.inc();
            }
            return Ok(lease);
        }
        let opening = context.multiplexed.borrow_mut().opening(destination, |opening| {
            spawn_local(open(Rc::clone(context), patience, destination.clone(), opening));
        });
        opening.wait().await?;
        opened = true;
    }
}

/// Opens a connection for all who wait for `opening`.
async fn open(context: Rc<Context>, patience: Patience, destination: Destination, opening: Rc<Opening>) {
    context.counters.target_connects.inc();
    let connector = connector(&context, &destination);
    let outcome = multiplex::open(patience, &destination, connector, &context.counting).await;
    if let (Ok(opened), true) = (&outcome, destination.tls.is_some()) {
        context.counters.target_tls_handshakes.inc();
        if opened.resumed {
            context.counters.target_tls_resumptions.inc();
        }
    }
    let now = context.clock.millis();
    context.multiplexed.borrow_mut().opened(&destination, &opening, outcome, now);
}

/// How the transfer ended.
enum Outcome {
    Over,
    Gone,
    /// The target refused the request without looking at it (RFC 9113, section 8.7).
    Refused(Fault),
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
                    if stream.respond.send_informational(interim).is_err() {
                        return Outcome::Gone;
                    }
                }
                Ok(Event::Response(Ok(response))) => return self.answer(stream, plan, response).await,
                Ok(Event::Response(Err(error))) => return self.failed(plan, &error),
                Ok(Event::ClientGone) => return Outcome::Gone,
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
        let untouched = !self.up.has_begun();
        let refused = error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
        if refused && untouched {
            return Outcome::Refused(fault::of_head(error));
        }
        let ended = (error.is_io() || error.is_go_away()) && (self.reused || error.is_go_away());
        let harmless = plan.wishes.idempotent && plan.wishes.framing == Framing::Empty;
        let fault = fault::of_head(error);
        if ended && harmless && untouched { Outcome::Ended(fault) } else { Outcome::Failed(fault) }
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
        let Some(view) = head::response_view(&response, bodiless) else {
            return Outcome::Failed(Cause::TargetHeadTooLarge.into());
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
            // The head is out: only a reset tells the client, by what the target said where it did.
            Ok(Err(RelayError::Source(error))) => {
                let context = Rc::clone(&stream.context);
                plan.cut_short(&context, &mut stream.entry, &fault::of_body(&error));
                let told = error.reason().filter(|_| error.is_reset() && error.is_remote());
                down_sink.send_reset(told.unwrap_or(Reason::INTERNAL_ERROR));
            }
            Err(interrupt) => {
                let context = Rc::clone(&stream.context);
                let fault = of_interrupt(interrupt, Cause::TimedOutInBody);
                plan.cut_short(&context, &mut stream.entry, &fault);
                down_sink.send_reset(Reason::INTERNAL_ERROR);
            }
        }
        Outcome::Over
    }
}
