//! One request and its response. Tries targets until one takes the request, moves both bodies at once,
//! and sends a request again only where nothing can have been done twice.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context as TaskContext, Poll},
};

use super::{
    again::Again,
    attempts::Attempts,
    client::Client,
    failure::{self, turned_by},
    plan::Plan,
    reach::{self, InFlight, of_interrupt},
    tunnel::tunnel,
};
use crate::{
    clock::CoarseClock,
    model::{HeaderEdits, Version},
    response::compose::{self, ClientSide},
    telemetry::counters::{Cause, Fault},
    upstream::{Connection, Destination},
    wire::{
        authentication::is_challenge,
        buffer::{BUFFER_SIZE, Buffer},
        deadline::Interrupt,
        head::{Framing, MAX_RESPONSE_HEAD, Response},
        head_in_pieces::HeadInPieces,
        pump::{Pump, PumpError, has_bare_line_end},
    },
};

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It serves the next request.
    Reuse,
    /// It is closed after what was sent is read.
    Close,
    /// It is over.
    Gone,
}

/// How an attempt at a target ended.
enum Attempt {
    /// The client has its answer, or is gone.
    Over(After),
    /// The target did not take the connection.
    Unreachable(Fault),
    /// The connection, `reused` from the pool or new, ended; nothing came back and nothing was consumed.
    Ended { fault: Fault, reused: bool },
    /// The answer is the balancer's.
    Failed(Fault, Body),
}

/// Whether the request's body was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Read,
    Unread,
}

/// Carries the request out.
pub(super) async fn exchange(client: &mut Client, mut plan: Plan) -> After {
    let mut again = Again::default();
    let mut attempts = Attempts::default();
    if !client.bound.is_empty() {
        plan.prefer(|slot| client.bound.is_to(slot));
    }
    loop {
        let (fault, body) = match attempt(client, &mut plan, again.is_fresh()).await {
            Attempt::Over(after) => {
                client.scratch[0] = std::mem::take(&mut plan.head);
                return after;
            }
            Attempt::Ended { fault, reused } => {
                if again.after_end(&client.context, &mut plan, reused) {
                    continue;
                }
                (fault, Body::Read)
            }
            Attempt::Unreachable(fault) => {
                let (now, most) = (client.context.clock.millis(), client.connect_timeout());
                let reach = attempts.turn(turned_by(fault.cause), now, most);
                if plan.turn_elsewhere(&client.context, reach) {
                    client.context.counters.retries.inc();
                    continue;
                }
                (fault, if plan.wishes.framing == Framing::Empty { Body::Read } else { Body::Unread })
            }
            Attempt::Failed(fault, body) => (fault, body),
        };
        let keep = plan.wishes.keep_alive && body == Body::Read && client.may_stay();
        plan.count_failure(&client.context, fault.cause);
        return client.answer_error(fault.cause, keep, plan.wishes.to_head).await;
    }
}

async fn attempt(client: &mut Client, plan: &mut Plan, fresh: bool) -> Attempt {
    let context = Rc::clone(&client.context);
    let Some(target) = plan.target() else {
        return Attempt::Failed(Cause::NoTarget.into(), Body::Unread);
    };
    client.entry.target(&target.endpoint);
    client.watch().set_registration(Some(target.registration));
    let Some(destination) = plan.destination() else {
        return Attempt::Failed(Cause::NoTarget.into(), Body::Unread);
    };
    let _in_flight = InFlight::begin(&context.tables.outstanding, destination.slot);
    let ask = !(plan.wishes.idempotent && plan.wishes.framing == Framing::Empty);
    let own = client.bound.take(&destination, ask).filter(|_| !fresh);
    let private = own.is_some() || plan.wishes.authenticates;
    let pooled = own.or_else(|| if fresh { None } else { reach::pooled(&context, &destination, ask) });
    let reused = pooled.is_some();
    let connection = match pooled {
        Some(connection) => connection,
        None => match reach::open(&context, client.watch(), client.connect_timeout(), &destination).await {
            Ok(connection) => connection,
            Err(fault) => {
                plan.target_failed(&context, &fault);
                return Attempt::Unreachable(fault);
            }
        },
    };
    plan.count_sending(&context);
    client.entry.sent();
    let head_length = plan.head.len() as u64;
    let sending = Pump::new(
        std::mem::take(&mut plan.head),
        plan.wishes.framing,
        compose::delivery(Framing::Empty, Version::Http11),
    )
    .filtered(&client.listener.trailers);
    let mut transfer = Transfer {
        connection,
        inbound: context.buffers.take(),
        pieces: HeadInPieces::default(),
        sending,
        head_length,
        upload_failed: false,
        reused,
        private,
        heard: false,
    };
    let outcome = transfer.run(client, plan).await;
    client.settle_received(transfer.taken());
    finish(transfer, client, plan, outcome, &destination)
}

/// Puts away what the attempt used.
fn finish(
    transfer: Transfer,
    client: &mut Client,
    plan: &mut Plan,
    outcome: Outcome,
    destination: &Destination,
) -> Attempt {
    let context = &client.context;
    let Transfer { connection, inbound, sending, upload_failed, reused, .. } = transfer;
    let sent_all = sending.is_done() && !upload_failed;
    let clean = inbound.is_empty();
    context.buffers.give(inbound);
    plan.head = sending.into_memory();
    match outcome {
        Outcome::Done { target_stays, client_stays, private } => {
            let stays = client_stays && sent_all;
            if target_stays && sent_all && clean && !plan.wishes.apart && !context.draining.get() {
                if !private {
                    context.pool.borrow_mut().give(destination, connection, context.clock.millis());
                } else if stays {
                    client.bound.give(destination, connection);
                }
            }
            Attempt::Over(if stays { After::Reuse } else { After::Close })
        }
        Outcome::Over(after) => Attempt::Over(after),
        Outcome::Ended(fault) => {
            if !reused {
                plan.target_failed(&client.context, &fault);
            }
            Attempt::Ended { fault, reused }
        }
        Outcome::Failed(fault) => {
            if fault.cause.is_of_target() {
                plan.target_failed(&client.context, &fault);
            }
            Attempt::Failed(fault, if sent_all { Body::Read } else { Body::Unread })
        }
    }
}

/// How the transfer on one connection ended.
enum Outcome {
    Done {
        target_stays: bool,
        client_stays: bool,
        private: bool,
    },
    Over(After),
    /// The connection ended before anything came back, and asking again does no harm.
    Ended(Fault),
    Failed(Fault),
}

/// What moves while a response head is awaited.
enum Event {
    /// More of the target's bytes are in the buffer.
    Bytes,
    /// The target closed the connection, or broke it.
    TargetEnded(Option<io::Error>),
    /// The client is gone.
    ClientGone,
    /// The client's body is not in its coding.
    BadBody,
}

/// The response head was sent on to the client as far as this says.
struct Answered {
    pump: Pump,
    target_stays: bool,
    client_stays: bool,
    /// The target's connection is this client's alone.
    private: bool,
    switching: bool,
}

/// What the head at the front of what came is.
enum Head {
    /// Not there yet, or not whole.
    Missing,
    /// Of an interim response: what the client is told of it.
    Interim(Vec<u8>),
    /// Of the response.
    Final(Answered),
}

/// One request on one connection.
struct Transfer {
    connection: Connection,
    inbound: Buffer,
    pieces: HeadInPieces,
    sending: Pump,
    head_length: u64,
    upload_failed: bool,
    reused: bool,
    /// Whether nobody else may use the connection.
    private: bool,
    /// Whether a byte came back.
    heard: bool,
}

impl Transfer {
    /// Bytes of the request's body that have gone on.
    fn taken(&self) -> u64 {
        self.sending.moved().saturating_sub(self.head_length)
    }

    async fn run(&mut self, client: &mut Client, plan: &Plan) -> Outcome {
        client.arm_idle();
        if plan.wishes.expects_continue && client.buffer.is_empty() {
            let invited = client.send(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            if !matches!(invited, Ok(Ok(()))) {
                return self.client_gone(client);
            }
        }
        let watch = Rc::clone(client.watch());
        loop {
            match watch.within(poll_fn(|cx| self.poll_head(cx, client))).await {
                Ok(Event::Bytes) => self.heard = true,
                Ok(Event::TargetEnded(error)) => return self.target_ended(plan, error.as_ref()),
                Ok(Event::ClientGone) => return self.client_gone(client),
                Ok(Event::BadBody) => return Outcome::Failed(Cause::RequestBodyInvalid.into()),
                Err(Interrupt::TimedOut) if self.sending.is_held_up() => {
                    return Outcome::Failed(Cause::TargetNotReading.into());
                }
                Err(Interrupt::TimedOut) if !self.sending.is_read() => {
                    return Outcome::Failed(Cause::RequestTimedOut.into());
                }
                Err(interrupt) => return Outcome::Failed(of_interrupt(interrupt, Cause::TargetTimedOut)),
            }
            match self.take_head(client, plan).await {
                Ok(None) => {}
                Ok(Some(answered)) if answered.switching => {
                    let head = answered.pump;
                    tunnel(client, &mut self.connection, &mut self.inbound, head).await;
                    return Outcome::Over(After::Gone);
                }
                Ok(Some(answered)) => return self.relay(client, plan, answered).await,
                Err(outcome) => return outcome,
            }
        }
    }

    /// The connection is over (RFC 9110, section 9.2.2; RFC 9112, section 9.3.1).
    fn target_ended(&self, plan: &Plan, error: Option<&io::Error>) -> Outcome {
        let harmless = !self.heard && plan.wishes.idempotent && plan.wishes.framing == Framing::Empty;
        let fault = Fault::of_ended(error, !self.inbound.is_empty());
        if harmless { Outcome::Ended(fault) } else { Outcome::Failed(fault) }
    }

    fn client_gone(&self, client: &mut Client) -> Outcome {
        let cause = Cause::of_gone(self.sending.is_read());
        client.entry.client_gone(cause);
        client.shard().own(cause);
        Outcome::Over(After::Gone)
    }

    /// Moves the request's body, reads the response and looks whether the client is still there.
    fn poll_head(&mut self, cx: &mut TaskContext<'_>, client: &mut Client) -> Poll<Event> {
        let before = self.sending.moved();
        match self.poll_upload(cx, client) {
            Poll::Ready(Some(event)) => return Poll::Ready(event),
            Poll::Ready(None) if poll_gone(cx, client) => return Poll::Ready(Event::ClientGone),
            _ => {}
        }
        if self.sending.moved() != before {
            client.arm_idle();
            client.watch().received().show(self.taken());
        }
        let limit = MAX_RESPONSE_HEAD + BUFFER_SIZE;
        match self.inbound.poll_fill(cx, &mut self.connection, limit) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(1..)) => {
                client.arm_idle();
                Poll::Ready(Event::Bytes)
            }
            Poll::Ready(ended) => Poll::Ready(Event::TargetEnded(ended.err())),
        }
    }

    /// Ready with nothing when there is nothing more to send.
    fn poll_upload(&mut self, cx: &mut TaskContext<'_>, client: &mut Client) -> Poll<Option<Event>> {
        if self.upload_failed || self.sending.is_done() {
            return Poll::Ready(None);
        }
        let Client { stream, buffer, .. } = client;
        match self.sending.poll(cx, stream, buffer, &mut self.connection) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(None),
            // The target may have answered before it stopped reading.
            Poll::Ready(Err(PumpError::Sink(_))) => {
                self.upload_failed = true;
                Poll::Ready(None)
            }
            Poll::Ready(Err(PumpError::Malformed)) => Poll::Ready(Some(Event::BadBody)),
            Poll::Ready(Err(PumpError::Truncated)) => Poll::Ready(Some(Event::BadBody)),
            Poll::Ready(Err(PumpError::Source(_))) => Poll::Ready(Some(Event::ClientGone)),
        }
    }

    /// Takes a whole head out of the buffer, if there is one. Interim responses are passed on.
    async fn take_head(&mut self, client: &mut Client, plan: &Plan) -> Result<Option<Answered>, Outcome> {
        loop {
            match self.read_head(client, plan)? {
                Head::Missing => return Ok(None),
                Head::Final(answered) => return Ok(Some(answered)),
                Head::Interim(interim) => match client.send(&interim).await {
                    // The next head may be in the buffer already.
                    Ok(Ok(())) => client.count_returned(interim.len() as u64),
                    _ => return Err(self.client_gone(client)),
                },
            }
        }
    }

    /// What the head at the front of the buffer comes to; it is taken out. It is looked at where it stands: with room for
    /// all its fields it is too large to be moved about, or to be kept while something is awaited.
    fn read_head(&mut self, client: &mut Client, plan: &Plan) -> Result<Head, Outcome> {
        if !self.pieces.is_worth_parsing(self.inbound.bytes()) {
            return Ok(Head::Missing);
        }
        let (head, length) = {
            let parsed = Response::parse(self.inbound.bytes(), plan.wishes.to_head);
            let response = match &parsed {
                Ok(Some(response)) => response,
                Ok(None) => {
                    self.pieces.are_not_all(self.inbound.len());
                    return Ok(Head::Missing);
                }
                Err(error) => return Err(Outcome::Failed(failure::of_response(*error))),
            };
            let switching = response.status == 101;
            // Until the request is there whole it is HTTP that is spoken (RFC 9110, section 7.8).
            if switching && !(plan.is_switched_by(response) && self.sending.is_done()) {
                return Err(Outcome::Failed(Cause::TargetUpgradeInvalid.into()));
            }
            if has_bare_line_end(response, self.inbound.bytes()) {
                return Err(Outcome::Failed(Cause::TargetLineEndInvalid.into()));
            }
            let head = if response.status < 200 && !switching {
                self.pieces = HeadInPieces::default();
                Head::Interim(interim(response, plan, &client.context.clock))
            } else {
                Head::Final(self.compose(client, plan, response))
            };
            (head, response.length)
        };
        self.inbound.consume(length);
        Ok(head)
    }

    fn compose(&self, client: &mut Client, plan: &Plan, response: &Response<'_>) -> Answered {
        client.entry.answered(response.status);
        let context = &client.context;
        let mut edits = plan.respond(context, &response.view(), client.stream.is_secure());
        client.listener.response_fields.put_into(&mut edits);
        let version = plan.wishes.version;
        let early_refusal = response.status >= 400 && !self.sending.is_read();
        let client_stays = plan.wishes.keep_alive
            && compose::is_delimited(response.framing, version)
            && !early_refusal
            && client.may_stay();
        let mut head = std::mem::take(&mut client.scratch[1]);
        head.clear();
        let side = ClientSide { version, keep_alive: client_stays };
        compose::head(response, &edits, side, &context.clock, &mut head);
        client.entry.responding(response.status);
        Answered {
            pump: Pump::new(head, response.framing, compose::delivery(response.framing, version)),
            target_stays: response.keep_alive,
            client_stays,
            private: self.private || is_challenge(response),
            switching: response.status == 101,
        }
    }

    /// Moves the response, and what is left of the request, to the end.
    async fn relay(&mut self, client: &mut Client, plan: &Plan, mut answered: Answered) -> Outcome {
        let watch = Rc::clone(client.watch());
        let pump = &mut answered.pump;
        let moved = watch.within(poll_fn(|cx| self.poll_relay(cx, client, pump))).await;
        client.settle_returned(pump.moved());
        let Answered { pump, target_stays, client_stays, private, .. } = answered;
        let outcome = match moved {
            Ok(Ok(())) => Outcome::Done { target_stays, client_stays, private },
            Ok(Err(None)) => Outcome::Over(After::Gone),
            // The head is out: only an abrupt end tells the client that this is not the whole response.
            Ok(Err(Some(fault))) => Outcome::Over(cut_short(client, plan, &fault)),
            Err(interrupt) => {
                Outcome::Over(cut_short(client, plan, &of_interrupt(interrupt, Cause::TimedOutInBody)))
            }
        };
        client.scratch[1] = pump.into_memory();
        outcome
    }

    /// Fails with what went wrong; with nothing when the client is gone.
    fn poll_relay(
        &mut self,
        cx: &mut TaskContext<'_>,
        client: &mut Client,
        pump: &mut Pump,
    ) -> Poll<Result<(), Option<Fault>>> {
        let before = pump.moved() + self.sending.moved();
        let moved = pump.poll(cx, &mut self.connection, &mut self.inbound, &mut client.stream);
        if moved.is_pending() {
            match self.poll_upload(cx, client) {
                Poll::Ready(Some(Event::BadBody)) => {
                    return Poll::Ready(Err(Some(Cause::RequestBodyInvalid.into())));
                }
                Poll::Ready(Some(_)) => return Poll::Ready(Err(Some(Cause::ClientClosedInBody.into()))),
                Poll::Ready(None) if poll_gone(cx, client) => return Poll::Ready(Err(None)),
                _ => {}
            }
        }
        if pump.moved() + self.sending.moved() != before {
            client.arm_idle();
            client.watch().received().show(self.taken());
            client.watch().sent().show(pump.moved());
        }
        moved.map_err(|error| failure::of_body(&error))
    }
}

/// The client has the head of a response that does not come whole.
#[cold]
fn cut_short(client: &mut Client, plan: &Plan, fault: &Fault) -> After {
    plan.cut_short(&client.context, &mut client.entry, fault);
    client.abort()
}

/// An interim response as the client gets it: nothing of a 100, which was said already, and nothing in HTTP/1.0.
fn interim(response: &Response<'_>, plan: &Plan, clock: &CoarseClock) -> Vec<u8> {
    let mut interim = Vec::new();
    if response.status != 100 && plan.wishes.version == Version::Http11 {
        let side = ClientSide { version: Version::Http11, keep_alive: true };
        compose::head(response, &HeaderEdits::new(), side, clock, &mut interim);
    }
    interim
}

/// Whether the client closed its connection. What it sends early (pipelining) is buffered up to a bound.
fn poll_gone(cx: &mut TaskContext<'_>, client: &mut Client) -> bool {
    let Client { stream, buffer, .. } = client;
    loop {
        match buffer.poll_fill(cx, stream, BUFFER_SIZE) {
            Poll::Pending => return false,
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(_) => return true,
        }
    }
}
