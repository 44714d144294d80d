//! One request of an HTTP/2 connection: decided, carried out by the leg that its target's version asks for,
//! answered. Sends a request again only where nothing can have been done twice.

use std::{
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};

use super::{LINGER, Open, Session, head, head::Head, to_http1, to_http2, websocket::Key};
use crate::{
    clock::monotonic_now,
    http::{
        Context,
        again::Again,
        attempts::{Attempts, Turned},
        entry::Entry,
        failure::turned_by,
        forward::Route,
        plan::{Plan, Refusal},
    },
    model::ProtocolVersion,
    response::answer::Answer,
    snapshot::ListenerView,
    telemetry::counters::{Cause, Fault},
    wire::{
        deadline::{Watch, Watched},
        meter::Meter,
    },
};

/// How much of a body that nobody wants is taken.
const LINGER_BYTES: usize = 1 << 20;

/// How an attempt at a target ended.
pub(super) enum Attempt {
    /// The client has its answer, or is gone.
    Over,
    /// The target did not take the connection.
    Unreachable(Fault),
    /// The target ended a connection, kept or new, and has not seen the request, of which nothing was consumed.
    Unseen(Fault),
    /// The connection ended before anything came back: the target may have seen the request, which does no harm twice
    /// and of which nothing was consumed.
    Ended {
        /// How.
        fault: Fault,
        /// It was kept, and not new.
        reused: bool,
    },
    /// The answer is the balancer's.
    Failed(Fault),
}

/// Awaits `future` unless the client resets the request first.
pub(super) async fn unless_reset<F: Future>(stream: &mut Stream, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        stream.respond.poll_reset(cx).map(|_| None)
    })
    .await
}

/// Room for the head that a target usually gets, in one piece, in bytes.
const USUAL_HEAD: usize = 1024;

/// One request.
pub(super) struct Stream {
    pub(super) context: Rc<Context>,
    pub(super) body: RecvStream,
    pub(super) respond: SendResponse<Bytes>,
    /// The key of the handshake, of a request for a WebSocket.
    pub(super) key: Option<Key>,
    pub(super) listener: Arc<ListenerView>,
    pub(super) secure: bool,
    /// Its entry in the access log.
    pub(super) entry: Entry,
    /// When it began; nothing once it is a tunnel.
    pub(super) began: Option<Instant>,
    /// Whether it was asked for its body.
    invited: bool,
    meter: Rc<Meter>,
    watched: Watched,
}

/// Serves one request to its end.
pub(super) async fn serve(
    session: Rc<Session>,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let _open = Open::begin(&session);
    let context = Rc::clone(&session.context);
    let began = monotonic_now();
    session.look_again();
    let (snapshot, listener) = session.view();
    // Who has not shown what is asked for now has to come again, with this request too.
    if !session.connected.suits(&listener) {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let mut entry = Entry::begin(&context, &listener, &session.connected);
    let path = session.paths.take(respond.stream_id().into());
    let (head, body) = Head::new(request, path);
    if entry.is_open() {
        entry.received(head.size());
    }
    let route = Route {
        load_balancer: &listener.load_balancer,
        port: listener.port,
        secure: session.secure,
        connected: &session.connected,
        tls_fields: &listener.tls_fields,
        body: b"",
    };
    let planned = head.request().map_err(Refusal::from).and_then(|mut request| {
        Plan::decide(
            &context,
            snapshot,
            &listener,
            &route,
            &mut request,
            Vec::with_capacity(USUAL_HEAD),
            &mut entry,
        )
    });
    let key = head.key();
    drop(head);
    let watched = context.watches.register();
    watched.watch().set_listener(listener.id.0);
    let mut stream = Stream {
        context,
        body,
        respond,
        key,
        listener: Arc::clone(&listener),
        secure: session.secure,
        entry,
        began: Some(began),
        invited: false,
        meter: Rc::clone(&session.meter),
        watched,
    };
    match planned {
        Ok(plan) => exchange(&mut stream, plan).await,
        Err(Refusal { answer, wishes }) => {
            stream.answer(&answer, wishes.is_some_and(|wishes| wishes.to_head))
        }
    }
    stream.entry = Entry::default();
    if let Some(began) = stream.began {
        let shard = stream.context.listener_shard(&listener);
        shard.request_duration.observe(monotonic_now().saturating_duration_since(began));
    }
    if !stream.body.is_end_stream() {
        Box::pin(stream.linger()).await;
    }
}

async fn exchange(stream: &mut Stream, mut plan: Plan) {
    let mut again = Again::default();
    let mut attempts = Attempts::default();
    loop {
        let attempt = match plan.group().map(|group| group.settings.protocol_version) {
            Some(ProtocolVersion::Http2 | ProtocolVersion::Grpc) if plan.wishes.upgrade => {
                Attempt::Failed(Cause::ProtocolsIncompatible.into())
            }
            Some(ProtocolVersion::Http2 | ProtocolVersion::Grpc) => {
                // In a box, so that requests for HTTP/1.1 do not carry its room.
                Box::pin(to_http2::attempt(stream, &mut plan)).await
            }
            _ => to_http1::attempt(stream, &mut plan, again.is_fresh()).await,
        };
        let context = Rc::clone(&stream.context);
        let most = stream.listener.load_balancer.connect_timeout;
        // A connection that has served others ends some day: it is the target's fault when that is all that comes of it.
        let mut is_told = true;
        let (goes_on, fault) = match attempt {
            Attempt::Over => return,
            Attempt::Unseen(fault) => {
                is_told = false;
                let fresh = attempts.may_refresh();
                let mut turn = || attempts.turn(Turned::Away, context.clock.millis(), most);
                (fresh || plan.turn_elsewhere(&context, turn()), fault)
            }
            Attempt::Ended { fault, reused } => {
                is_told = !reused;
                // Of shared connections one after the other can be at its end.
                let reused = reused && attempts.may_refresh();
                if again.after_end(&context, &mut plan, reused) {
                    continue;
                }
                (false, fault)
            }
            Attempt::Unreachable(fault) => {
                let reach = attempts.turn(turned_by(fault.cause), context.clock.millis(), most);
                (plan.turn_elsewhere(&context, reach), fault)
            }
            Attempt::Failed(fault) => (false, fault),
        };
        if !goes_on {
            if !is_told {
                plan.target_failed(&context, &fault);
            }
            plan.count_failure(&context, fault.cause);
            return stream.answer(&Answer::error(fault.cause), plan.wishes.to_head);
        }
        context.counters.retries.inc();
    }
}

impl Stream {
    pub(super) fn watch(&self) -> &Rc<Watch> {
        self.watched.watch()
    }

    pub(super) fn arm_idle(&self) {
        self.arm(self.listener.load_balancer.idle_timeout);
    }

    pub(super) fn arm(&self, span: Duration) {
        self.watch().arm(self.context.clock.millis(), span);
    }

    /// Has a client go on that waits with its body for a word (RFC 9110, section 10.1.1): once its target is found.
    /// False: it is gone.
    pub(super) fn invite(&mut self, plan: &Plan) -> bool {
        if !plan.wishes.expects_continue || std::mem::replace(&mut self.invited, true) {
            return true;
        }
        let mut invitation = http::Response::new(());
        *invitation.status_mut() = http::StatusCode::CONTINUE;
        self.respond.send_informational(invitation).is_ok()
    }

    /// Tells the client that this is not the whole response. What there is of it goes first: a reset would destroy what
    /// still waits to be written, the head along with it.
    pub(super) async fn break_off(&mut self, plan: &Plan, sink: &mut SendStream<Bytes>, fault: &Fault) {
        let context = Rc::clone(&self.context);
        plan.cut_short(&context, &mut self.entry, fault);
        self.arm(LINGER);
        let _ = self.watch().within(self.meter.written()).await;
        sink.send_reset(Reason::INTERNAL_ERROR);
    }

    /// Takes what the client still sends of its body once it has its answer, for a while and up to a bound, as with
    /// HTTP/1.1. Then the stream is reset without an error (RFC 9113, section 8.1), which some clients take for a failure
    /// of what they have received whole.
    async fn linger(&mut self) {
        self.arm(LINGER);
        let watch = Rc::clone(self.watch());
        let body = &mut self.body;
        let mut taken = 0;
        let drain = poll_fn(|cx| {
            loop {
                match ready!(body.poll_data(cx)) {
                    Some(Ok(data)) if taken < LINGER_BYTES => {
                        taken += data.len();
                        let _ = body.flow_control().release_capacity(data.len());
                    }
                    _ => return Poll::Ready(()),
                }
            }
        });
        let _ = watch.within(drain).await;
    }

    /// Notes the size of a head that is sent, where that is logged.
    pub(super) fn count_head(&mut self, fields: &http::HeaderMap) {
        if self.entry.is_open() {
            self.entry.returned(head::size(fields));
        }
    }

    /// Sends an answer of the balancer's own and counts it. It is short: the engine holds it until the client
    /// takes it.
    fn answer(&mut self, answer: &Answer, to_head: bool) {
        self.context.count_answer(&self.listener, answer);
        self.entry.own(answer);
        let to_head = to_head || answer.body.is_empty();
        let fields = &self.listener.response_fields;
        let answer = self.context.clock.with_date(|date| head::own(answer, fields, date));
        let (head, body) = answer.into_parts();
        let length = if to_head { 0 } else { body.len() as u64 };
        self.entry.returned(head::size(&head.headers) + length);
        let sent = self.respond.send_response(http::Response::from_parts(head, ()), to_head);
        if let (Ok(mut sending), false) = (sent, to_head) {
            let _ = sending.send_data(body, true);
        }
    }
}
