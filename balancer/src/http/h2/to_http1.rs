//! A request of an HTTP/2 client at an HTTP/1.1 target: on a connection kept or a new one, bodies both ways at
//! once.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context as TaskContext, Poll},
};

use bytes::Bytes;
use h2::SendStream;

use super::{
    download::{Download, DownloadError},
    head,
    stream::{Attempt, Stream, unless_reset},
    upload::{Upload, UploadError},
    websocket::tunnel,
};
use crate::{
    http::{
        failure,
        plan::Plan,
        reach::{self, InFlight, of_interrupt},
    },
    model::HeaderEdits,
    telemetry::counters::{Cause, Fault},
    upstream::Connection,
    wire::{
        authentication::is_challenge,
        buffer::{BUFFER_SIZE, Buffer},
        deadline::Interrupt,
        head::{Framing, MAX_RESPONSE_HEAD, Response},
        head_in_pieces::HeadInPieces,
        pump::has_bare_line_end,
    },
};

/// Tries the target that the plan names.
pub(super) async fn attempt(stream: &mut Stream, plan: &mut Plan, fresh: bool) -> Attempt {
    let context = Rc::clone(&stream.context);
    let Some(target) = plan.target() else { return Attempt::Failed(Cause::NoTarget.into()) };
    stream.entry.target(&target.endpoint);
    stream.watch().set_registration(Some(target.registration));
    let Some(destination) = plan.destination() else {
        return Attempt::Failed(Cause::NoTarget.into());
    };
    let _in_flight = InFlight::begin(&context.tables.outstanding, destination.slot);
    let ask = !(plan.wishes.idempotent && plan.wishes.framing == Framing::Empty);
    let pooled = if fresh { None } else { reach::pooled(&context, &destination, ask) };
    let reused = pooled.is_some();
    let connection = match pooled {
        Some(connection) => connection,
        None => {
            let watch = Rc::clone(stream.watch());
            let timeout = stream.listener.load_balancer.connect_timeout;
            // In a box, as all that is seldom, so that requests do not carry its room.
            let opening = Box::pin(reach::open(&context, &watch, timeout, &destination));
            match unless_reset(stream, opening).await {
                None => return stream.client_gone(plan.wishes.framing == Framing::Empty),
                Some(Ok(connection)) => connection,
                Some(Err(fault)) => {
                    plan.target_failed(&context, &fault);
                    return Attempt::Unreachable(fault);
                }
            }
        }
    };
    plan.count_sending(&context);
    stream.entry.sent();
    if !stream.invite(plan) {
        return stream.client_gone(plan.wishes.framing == Framing::Empty);
    }
    let mut sending = Upload::new(std::mem::take(&mut plan.head), plan.wishes.framing);
    sending.filter(&stream.listener.trailers);
    let mut transfer = Transfer {
        connection,
        inbound: context.buffers.take(),
        pieces: HeadInPieces::default(),
        sending,
        upload_failed: false,
        heard: false,
    };
    let outcome = transfer.run(stream, plan).await;
    let Transfer { connection, inbound, sending, upload_failed, .. } = transfer;
    stream.entry.received(sending.taken());
    let was_whole = sending.is_read();
    let sent_all = sending.is_done() && !upload_failed;
    let clean = inbound.is_empty();
    context.buffers.give(inbound);
    plan.head = sending.into_memory();
    match outcome {
        Outcome::Done { target_stays } => {
            if target_stays && sent_all && clean && !plan.wishes.apart && !context.draining.get() {
                context.pool.borrow_mut().give(&destination, connection, context.clock.millis());
            }
            Attempt::Over
        }
        Outcome::Over => Attempt::Over,
        Outcome::Gone => stream.client_gone(was_whole),
        Outcome::Ended(fault) => {
            if !reused {
                plan.target_failed(&context, &fault);
            }
            Attempt::Ended { fault, reused }
        }
        Outcome::Failed(fault) => {
            if fault.cause.is_of_target() {
                plan.target_failed(&context, &fault);
            }
            Attempt::Failed(fault)
        }
    }
}

/// How the transfer on one connection ended.
enum Outcome {
    Done {
        target_stays: bool,
    },
    Over,
    Gone,
    /// The connection ended before anything came back, and asking again does no harm.
    Ended(Fault),
    Failed(Fault),
}

/// What happens while a response head is awaited.
enum Event {
    Bytes,
    /// The target closed the connection, or broke it.
    TargetEnded(Option<io::Error>),
    ClientGone,
}

/// The response head is sent.
struct Answered {
    sink: SendStream<Bytes>,
    body: Download,
    target_stays: bool,
    switching: bool,
}

/// One request on one connection.
struct Transfer {
    connection: Connection,
    inbound: Buffer,
    pieces: HeadInPieces,
    sending: Upload,
    upload_failed: bool,
    /// Whether a byte came back.
    heard: bool,
}

impl Transfer {
    async fn run(&mut self, stream: &mut Stream, plan: &Plan) -> Outcome {
        stream.arm_idle();
        let watch = Rc::clone(stream.watch());
        loop {
            match watch.within(poll_fn(|cx| self.poll_head(cx, stream))).await {
                Ok(Event::Bytes) => self.heard = true,
                Ok(Event::TargetEnded(error)) => return self.target_ended(plan, error.as_ref()),
                Ok(Event::ClientGone) => return Outcome::Gone,
                Err(Interrupt::TimedOut) if self.sending.is_held_up() => {
                    return Outcome::Failed(Cause::TargetNotReading.into());
                }
                Err(Interrupt::TimedOut) if !self.sending.is_read() => {
                    return Outcome::Failed(Cause::RequestTimedOut.into());
                }
                Err(interrupt) => return Outcome::Failed(of_interrupt(interrupt, Cause::TargetTimedOut)),
            }
            match self.take_head(stream, plan) {
                Ok(None) => {}
                Ok(Some(answered)) if answered.switching => {
                    Box::pin(tunnel(stream, &mut self.connection, &mut self.inbound, answered.sink)).await;
                    return Outcome::Over;
                }
                Ok(Some(answered)) => return self.relay(stream, plan, answered).await,
                Err(outcome) => return outcome,
            }
        }
    }

    /// As for HTTP/1.1.
    fn target_ended(&self, plan: &Plan, error: Option<&io::Error>) -> Outcome {
        let harmless = !self.heard
            && plan.wishes.idempotent
            && plan.wishes.framing == Framing::Empty
            && !self.sending.has_begun();
        let fault = Fault::of_ended(error, !self.inbound.is_empty());
        if harmless { Outcome::Ended(fault) } else { Outcome::Failed(fault) }
    }

    /// Moves the request's body, reads the response and looks whether the client is still there.
    fn poll_head(&mut self, cx: &mut TaskContext<'_>, stream: &mut Stream) -> Poll<Event> {
        let before = self.sending.moved();
        if self.poll_upload(cx, stream) || stream.respond.poll_reset(cx).is_ready() {
            return Poll::Ready(Event::ClientGone);
        }
        if self.sending.moved() != before {
            stream.arm_idle();
        }
        let limit = MAX_RESPONSE_HEAD + BUFFER_SIZE;
        match self.inbound.poll_fill(cx, &mut self.connection, limit) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(1..)) => {
                stream.arm_idle();
                Poll::Ready(Event::Bytes)
            }
            Poll::Ready(ended) => Poll::Ready(Event::TargetEnded(ended.err())),
        }
    }

    /// Whether the client is gone.
    fn poll_upload(&mut self, cx: &mut TaskContext<'_>, stream: &mut Stream) -> bool {
        if self.upload_failed || self.sending.is_done() {
            return false;
        }
        match self.sending.poll(cx, &mut stream.body, &mut self.connection) {
            Poll::Ready(Err(UploadError::Client)) => return true,
            // The target may have answered before it stopped reading.
            Poll::Ready(Err(UploadError::Target)) => self.upload_failed = true,
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        false
    }

    /// Takes a whole head out of the buffer, if there is one. Interim responses are passed on.
    fn take_head(&mut self, stream: &mut Stream, plan: &Plan) -> Result<Option<Answered>, Outcome> {
        let bad = |cause: Cause| Outcome::Failed(cause.into());
        loop {
            if !self.pieces.is_worth_parsing(self.inbound.bytes()) {
                return Ok(None);
            }
            let Some(response) = Response::parse(self.inbound.bytes(), plan.wishes.to_head)
                .map_err(|error| Outcome::Failed(failure::of_response(error)))?
            else {
                self.pieces.are_not_all(self.inbound.len());
                return Ok(None);
            };
            if has_bare_line_end(&response, self.inbound.bytes()) {
                return Err(bad(Cause::TargetLineEndInvalid));
            }
            let (status, length) = (response.status, response.length);
            if status == 101 && !stream.key.as_ref().is_some_and(|key| key.is_accepted_by(&response)) {
                let asked = stream.key.is_some();
                return Err(bad(if asked {
                    Cause::TargetWebSocketInvalid
                } else {
                    Cause::TargetUpgradeInvalid
                }));
            }
            // To who asked for a WebSocket, 2xx would say that there is one (RFC 8441, section 4).
            if stream.key.is_some() && (200..300).contains(&status) {
                return Err(bad(Cause::TargetWebSocketInvalid));
            }
            if status < 200 && status != 101 {
                let interim = head::response(&response, &HeaderEdits::new(), &stream.context.clock)
                    .ok_or_else(|| bad(Cause::TargetHeaderInvalid))?;
                drop(response);
                self.inbound.consume(length);
                self.pieces = HeadInPieces::default();
                if status != 100 && stream.respond.send_informational(interim).is_err() {
                    return Err(Outcome::Gone);
                }
                continue;
            }
            stream.entry.answered(status);
            let mut edits = plan.respond(&stream.context, &response.view(), stream.secure);
            stream.listener.response_fields.put_into(&mut edits);
            let mut head = head::response(&response, &edits, &stream.context.clock)
                .ok_or_else(|| bad(Cause::TargetHeaderInvalid))?;
            let switching = status == 101;
            if switching {
                *head.status_mut() = http::StatusCode::OK;
                head.headers_mut().remove("sec-websocket-accept");
            }
            stream.entry.responding(head.status().as_u16());
            stream.count_head(head.headers());
            // Who shares this client's connection would share its identity.
            let private = plan.wishes.authenticates || is_challenge(&response);
            let (framing, target_stays) = (response.framing, response.keep_alive && !private);
            drop(response);
            self.inbound.consume(length);
            let sink = stream
                .respond
                .send_response(head, framing == Framing::Empty && !switching)
                .map_err(|_| Outcome::Gone)?;
            return Ok(Some(Answered { sink, body: Download::new(framing), target_stays, switching }));
        }
    }

    /// Moves the response, and what is left of the request, to the end.
    async fn relay(&mut self, stream: &mut Stream, plan: &Plan, mut answered: Answered) -> Outcome {
        let watch = Rc::clone(stream.watch());
        let moved = watch.within(poll_fn(|cx| self.poll_relay(cx, stream, &mut answered))).await;
        stream.entry.returned(answered.body.moved());
        match moved {
            Ok(Ok(())) => Outcome::Done { target_stays: answered.target_stays },
            Ok(Err(DownloadError::Client)) => Outcome::Over,
            // The head is out: only a reset tells the client that this is not the whole response.
            Ok(Err(DownloadError::Target(fault))) => {
                Box::pin(cut_short(stream, plan, answered, &fault)).await
            }
            Err(interrupt) => {
                let fault = of_interrupt(interrupt, Cause::TimedOutInBody);
                Box::pin(cut_short(stream, plan, answered, &fault)).await
            }
        }
    }

    fn poll_relay(
        &mut self,
        cx: &mut TaskContext<'_>,
        stream: &mut Stream,
        answered: &mut Answered,
    ) -> Poll<Result<(), DownloadError>> {
        let before = answered.body.moved() + self.sending.moved();
        let moved = answered.body.poll(cx, &mut self.connection, &mut self.inbound, &mut answered.sink);
        if moved.is_pending() && (self.poll_upload(cx, stream) || answered.sink.poll_reset(cx).is_ready()) {
            return Poll::Ready(Err(DownloadError::Client));
        }
        if answered.body.moved() + self.sending.moved() != before {
            stream.arm_idle();
        }
        moved
    }
}

#[cold]
async fn cut_short(stream: &mut Stream, plan: &Plan, mut answered: Answered, fault: &Fault) -> Outcome {
    stream.break_off(plan, &mut answered.sink, fault).await;
    Outcome::Over
}

impl Stream {
    /// The client reset the request or is gone while the target was awaited.
    pub(super) fn client_gone(&mut self, was_whole: bool) -> Attempt {
        let cause = Cause::of_gone(was_whole);
        self.entry.client_gone(cause);
        self.context.listener_shard(&self.listener).own(cause);
        Attempt::Over
    }
}
