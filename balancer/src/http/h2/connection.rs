//! One HTTP/2 connection of a client (RFC 9113): its requests run side by side, each as a task of its own.
//! Must not know: how the bytes came (TLS or not), what is done with a request.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    os::fd::AsRawFd as _,
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

use super::{
    session::{LINGER, SharedState},
    stream,
};
use crate::{
    counters::{OpenNow, Openable},
    http::{accepted::ClientConnection, context::Context},
    kernel, panics,
    wire::{
        deadline::Interrupt,
        meter::{FrameFault, Meter, Metered},
        screen::{Asides, Screened},
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
/// What the engine lets through, so that heads over the limit are answered in ALB's way: more than [`Screened`] gives it of
/// any. An entry counts 32 bytes more than its name and value (RFC 9113, section 6.5.2).
const HEAD_LIST: u32 = 256 * 1024;

/// Serves the connection to its end.
pub(crate) async fn serve(context: Rc<Context>, connection: ClientConnection) {
    let ClientConnection { stream, buffer, connected, snapshot, listener, watched, born_millis, .. } =
        connection;
    let secure = stream.is_secure();
    let socket = stream.socket().as_raw_fd();
    let stream = Metered::new(stream, buffer, context.clock.millis());
    let meter = Rc::clone(stream.meter());
    let asides = Rc::new(Asides::default());
    let stream = Screened::of_client(stream, Rc::clone(&asides));
    let watch = Rc::clone(watched.watch());
    let session = Rc::new(SharedState {
        context,
        connected,
        secure,
        runtime: Arc::clone(&listener.runtime),
        view: RefCell::new((snapshot, listener)),
        watch: Rc::clone(&watch),
        meter: Rc::clone(&meter),
        asides,
        born_millis,
        open: Cell::new(0),
        ending: Cell::new(false),
        socket,
    });
    let _open = OpenNow::begin(&session.runtime, session.context.worker, Openable::Http2Connection);
    // Whoever drains or stops listening has to reach it at any time: it ends in its own way.
    watch.set_graceful();
    session.arm();
    let opening = settings().handshake::<_, Bytes>(stream);
    if let Ok(Ok(connection)) = watch.within(opening).await {
        watch.set_heard();
        run(&session, connection, &meter).await;
    }
    session.count(&meter);
}

/// Streams that were reset here and are kept in mind, for as long as something of them may be on its way.
const MOST_RESET_STREAMS: usize = 1024;

fn settings() -> server::Builder {
    let mut settings = server::Builder::new();
    settings
        .max_concurrent_streams(MOST_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEAD_LIST)
        // Who opens requests and takes them back is charged for that by the meter.
        .max_pending_accept_reset_streams(MOST_STREAMS as usize)
        .max_concurrent_reset_streams(MOST_RESET_STREAMS)
        .enable_connect_protocol();
    settings
}

/// What a connection does next.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Event {
    Request(http::Request<h2::RecvStream>, server::SendResponse<Bytes>),
    Fault(FrameFault),
    Failed(h2::Error),
    Over,
}

async fn run<S>(session: &Rc<SharedState>, mut connection: server::Connection<S, Bytes>, meter: &Meter)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut requests = 0;
    let mut faulted = false;
    // Bytes written since it was last looked, the least that were on their way then, and for how long nothing moved.
    let (mut moved, mut under_way, mut unmoved) = (0_u64, u32::MAX, Duration::ZERO);
    loop {
        let next = poll_fn(|cx| {
            meter.pass_time(session.context.clock.millis());
            let polled = connection.poll_accept(cx);
            meter.look_for_written();
            session.watch.received().add(meter.take_received());
            let sent = meter.take_sent();
            moved += sent;
            session.watch.sent().add(sent);
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
                    FrameFault::NoSettings => Reason::PROTOCOL_ERROR,
                    FrameFault::Flood => {
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
            Err(Interrupt::TimedOut) if session.ending.get() => {
                let now_under_way = kernel::unacknowledged(session.socket).unwrap_or_default();
                // Answers to PING come and go: less than ever is on its way, or more was written of what waits.
                let progressed =
                    now_under_way < under_way || (std::mem::take(&mut moved) > 0 && !meter.is_clean());
                under_way = under_way.min(now_under_way);
                unmoved = if progressed { Duration::ZERO } else { unmoved + LINGER };
                // What requests have left to the engine, and that to the system, is still on its way: closing would cut it
                // off as soon as the client sends something.
                let is_out = meter.is_clean() && now_under_way == 0;
                if faulted || is_out || unmoved >= session.idle_timeout() {
                    return;
                }
                session.watch.arm(session.context.clock.millis(), LINGER);
            }
            Err(Interrupt::TimedOut | Interrupt::Closing) => {
                session.end(|| connection.graceful_shutdown());
            }
            Err(Interrupt::Cut | Interrupt::Silent) => {}
        }
        session.count(meter);
    }
}
