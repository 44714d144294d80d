//! HTTP/2 with clients (RFC 9113): an accepted byte stream is served as a connection whose requests run side
//! by side, each as a task of its own that is decided as HTTP/1.1's are. The engine's types stay in here.
//! Must not know: how the bytes came (TLS or not).

mod download;
mod fault;
mod head;
mod lease;
mod relay;
mod stream;
mod to_http1;
mod to_http2;
mod upload;
mod websocket;

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, server};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_local,
};

use super::{Context, connected::Connected, context::Taken};
use crate::{
    panics,
    snapshot::ListenerView,
    telemetry::{
        counters::{Gauge, Holder, ListenerRuntime, ListenerShard, OpenNow, Openable, Raised},
        quiet::Kind,
    },
    wire::{
        buffer::Buffer,
        deadline::{Interrupt, Watch, Watched},
        meter::{Fault, Meter, Metered},
        screen::{Paths, Screened},
    },
};

/// Requests of one connection at a time (ALB: HTTP/2, 128 streams).
const MOST_STREAMS: u32 = 128;
/// Requests that a connection serves in its life (ALB: then GOAWAY).
const MOST_REQUESTS: u64 = 10_000;
/// What a request's body may be ahead of its target.
const STREAM_WINDOW: u32 = 64 * 1024;
/// As much for each request at once, so that one whose target does not read holds up no other.
const CONNECTION_WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;
/// What a response may be ahead of the client's connection.
const SEND_BUFFER: usize = 64 * 1024;
/// What the engine lets through, so that heads over the limit are answered in ALB's way; an entry counts 32
/// bytes more than its name and value (RFC 9113, section 10.5.1).
const HEAD_LIST: u32 = 128 * 1024;
/// How long a connection that is told to end may take once nothing is under way.
const LINGER: Duration = Duration::from_secs(2);

/// What the requests of a connection share.
#[derive(Debug)]
struct Session {
    context: Rc<Context>,
    connected: Rc<Connected>,
    secure: bool,
    /// The figures of the listener that the connection began at: what is open is counted there to its end.
    runtime: Arc<ListenerRuntime>,
    /// The listener, and the snapshot it is of: what the one names by number is in the other.
    view: RefCell<(Rc<Taken>, Arc<ListenerView>)>,
    watch: Rc<Watch>,
    meter: Rc<Meter>,
    paths: Rc<Paths>,
    born_millis: u64,
    open: Cell<u32>,
    ending: Cell<bool>,
}

/// A connection as it is handed over.
#[derive(Debug)]
pub(super) struct Handover<S> {
    /// The byte stream.
    pub(super) stream: S,
    /// Whether it is encrypted.
    pub(super) secure: bool,
    /// What was read of it already.
    pub(super) before: Buffer,
    /// The client's connection.
    pub(super) connected: Rc<Connected>,
    /// The snapshot that the listener is of.
    pub(super) snapshot: Rc<Taken>,
    /// The listener that accepted it.
    pub(super) listener: Arc<ListenerView>,
    /// Its deadlines.
    pub(super) watched: Watched,
    /// When it was accepted, by the worker's clock.
    pub(super) born_millis: u64,
}

/// Serves the connection to its end.
pub(super) async fn serve<S>(context: Rc<Context>, handover: Handover<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Handover { stream, secure, before, connected, snapshot, listener, watched, born_millis } = handover;
    let stream = Metered::new(stream, before, context.clock.millis());
    let meter = Rc::clone(stream.meter());
    let paths = Rc::new(Paths::default());
    let stream = Screened::of_client(stream, Rc::clone(&paths));
    let watch = Rc::clone(watched.watch());
    let session = Rc::new(Session {
        context,
        connected,
        secure,
        runtime: Arc::clone(&listener.runtime),
        view: RefCell::new((snapshot, listener)),
        watch: Rc::clone(&watch),
        meter: Rc::clone(&meter),
        paths,
        born_millis,
        open: Cell::new(0),
        ending: Cell::new(false),
    });
    let _open = OpenNow::begin(&session.runtime, session.context.worker, Openable::Http2Connection);
    // Whoever drains or stops listening has to reach it at any time: it ends in its own way.
    watch.set_idle(true);
    session.arm();
    let opening = settings().handshake::<_, Bytes>(stream);
    if let Ok(Ok(connection)) = watch.within(opening).await {
        run(&session, connection, &meter).await;
    }
    session.count(&meter);
}

fn settings() -> server::Builder {
    let mut settings = server::Builder::new();
    settings
        .max_concurrent_streams(MOST_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEAD_LIST)
        .enable_connect_protocol();
    settings
}

/// What a connection does next.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Event {
    Request(http::Request<h2::RecvStream>, server::SendResponse<Bytes>),
    Fault(Fault),
    Failed(h2::Error),
    Over,
}

async fn run<S>(session: &Rc<Session>, mut connection: server::Connection<S, Bytes>, meter: &Meter)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut requests = 0;
    let mut faulted = false;
    loop {
        let next = poll_fn(|cx| {
            meter.pass_time(session.context.clock.millis());
            let polled = connection.poll_accept(cx);
            meter.look_for_written();
            session.watch.received().add(meter.take_received());
            session.watch.sent().add(meter.take_sent());
            if let Some(fault) = meter.fault()
                && !faulted
            {
                return Poll::Ready(Event::Fault(fault));
            }
            if polled.is_pending() {
                meter.before_sleep(cx);
            }
            polled.map(|accepted| match accepted {
                Some(Ok((request, respond))) => Event::Request(request, respond),
                Some(Err(error)) => Event::Failed(error),
                None => Event::Over,
            })
        });
        match session.watch.within(next).await {
            Ok(Event::Request(request, respond)) => {
                panics::provoke(b"http2-connection");
                requests += 1;
                if requests >= MOST_REQUESTS || !session.may_stay() {
                    session.end(|| connection.graceful_shutdown());
                }
                // In a box: a task moves its future several times, and this one is large.
                spawn_local(Box::pin(stream::serve(Rc::clone(session), request, respond)));
            }
            Ok(Event::Fault(fault)) => {
                faulted = true;
                session.tell(&fault);
                session.ending.set(true);
                session.watch.arm(session.context.clock.millis(), LINGER);
                connection.abrupt_shutdown(match fault {
                    Fault::NoSettings => Reason::PROTOCOL_ERROR,
                    Fault::Flood => {
                        session.figures(|shard| shard.http2_floods.inc());
                        Reason::ENHANCE_YOUR_CALM
                    }
                });
            }
            Ok(Event::Failed(error)) => {
                if !error.is_io() && !error.is_remote() {
                    session.tell(&error);
                }
                return;
            }
            Ok(Event::Over) => return,
            Err(Interrupt::TimedOut) if session.ending.get() => return,
            Err(Interrupt::TimedOut | Interrupt::Closing) => {
                session.end(|| connection.graceful_shutdown());
            }
            Err(Interrupt::Cut) => {}
        }
        session.count(meter);
    }
}

impl Session {
    /// Counts what has gone over the wire.
    fn count(&self, meter: &Meter) {
        let watch = &self.watch;
        watch.received().add(meter.take_received());
        watch.sent().add(meter.take_sent());
        let (received, sent) = (watch.received().settle(None), watch.sent().settle(None));
        self.figures(|shard| {
            shard.bytes_received.add(received);
            shard.bytes_sent.add(sent);
            if self.connected.is_ipv6() {
                shard.ipv6_bytes.add(received + sent);
            }
        });
    }

    /// Tells of a client that has violated HTTP/2, which ends its connection.
    #[cold]
    fn tell(&self, how: &dyn fmt::Display) {
        if Kind::ClientHttp2.admits() {
            let (listener, client) = (&self.view.borrow().1, self.connected.peer);
            tracing::info!(listener = listener.name, %client, "a client violated HTTP/2: {how}");
        }
    }

    /// Counts into this worker's shard of the listener's figures.
    fn figures(&self, count: impl FnOnce(&ListenerShard)) {
        count(self.context.listener_shard(&self.view.borrow().1));
    }

    /// Without a request under way the connection may be idle for as long as any; PING does not change that
    /// (ALB: idle timeout). Requests keep time for themselves.
    fn arm(&self) {
        let span = match (self.open.get(), self.ending.get()) {
            (1.., _) => Duration::MAX,
            (0, true) => LINGER,
            (0, false) => self.view.borrow().1.load_balancer.idle_timeout,
        };
        self.watch.arm(self.context.clock.millis(), span);
    }

    /// Lets `shut_down` say so once: what is under way is finished, nothing more is taken.
    fn end(&self, shut_down: impl FnOnce()) {
        if !self.ending.replace(true) {
            shut_down();
            // It is told once.
            self.watch.set_idle(false);
            self.arm();
        }
    }

    /// As for HTTP/1.1: whether another request may follow.
    fn may_stay(&self) -> bool {
        let age = self.context.clock.millis().saturating_sub(self.born_millis);
        let listener = &self.view.borrow().1;
        u128::from(age) < listener.load_balancer.client_keep_alive.as_millis()
            && !self.context.draining.get()
            && self.context.snapshot().listener(listener.id).is_some_and(|now| self.connected.suits(now))
    }

    /// Serves from the snapshot of now on, unless the listener is gone from it.
    fn look_again(&self) {
        let snapshot = self.context.snapshot();
        let id = self.view.borrow().1.id;
        if let Some(listener) = snapshot.listener(id).map(Arc::clone) {
            *self.view.borrow_mut() = (snapshot, listener);
        }
    }

    fn view(&self) -> (Rc<Taken>, Arc<ListenerView>) {
        let (snapshot, listener) = &*self.view.borrow();
        (Rc::clone(snapshot), Arc::clone(listener))
    }
}

/// A request under way, counted for as long as this lives.
#[derive(Debug)]
struct Open(Raised<Stream>);

/// Leads to the gauge of requests over HTTP/2.
#[derive(Debug)]
struct Stream(Rc<Session>);

impl Holder for Stream {
    fn gauge(&self) -> &Gauge {
        &self.0.runtime.shard(self.0.context.worker).http2_streams_active
    }
}

impl Open {
    fn begin(session: &Rc<Session>) -> Self {
        session.open.set(session.open.get() + 1);
        session.runtime.shard(session.context.worker).http2_streams_opened.inc();
        session.arm();
        Self(Raised::new(Stream(Rc::clone(session))))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Stream(session) = &*self.0;
        session.open.set(session.open.get().saturating_sub(1));
        session.arm();
    }
}
