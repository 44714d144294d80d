//! One HTTP/2 connection of a client (RFC 9113): its requests run side by side, in its task.
//! Must not know: how the bytes came (TLS or not), what is done with a request.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    os::fd::AsRawFd as _,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use tokio::task::spawn_local;

use super::{
    request_set::RequestSet,
    session::{LINGER, SharedState},
    stream,
};
use crate::{
    counters::{OpenNow, Openable},
    http::{accepted::ClientConnection, context::Context, parked::RestingHttp2},
    kernel, panics,
    wire::{
        buffer::Buffer,
        deadline::Interrupt,
        http2::{Block, Event, Http2Stream, Server, Violation},
    },
};

/// Requests that a connection serves in its life (ALB: then GOAWAY).
const MOST_REQUESTS: u64 = 10_000;

/// How serving a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http2Ended {
    Over,
    /// It has been idle for a while.
    Parks,
}

/// Serves the connection in `slot` to its end, or until it has been idle for a while: then it is there again.
pub(crate) async fn serve(context: &Rc<Context>, slot: &mut Option<ClientConnection>) {
    let Some(connection) = slot.take() else { return };
    let ClientConnection {
        stream, buffer, connected, snapshot, listener, watched, born_millis, http2, ..
    } = connection;
    let secure = stream.is_secure();
    let socket = stream.socket().map_or(-1, |socket| socket.as_raw_fd());
    let runtime = Arc::clone(&listener.runtime);
    let is_new = http2.is_none();
    let (mut server, mut served, open) = match http2 {
        Some(http2) => (Server::resumed(stream, http2.resting), http2.served, http2.open),
        None => {
            let open = OpenNow::begin(&runtime, context.worker, Openable::Http2Connection);
            (Server::new(stream, buffer, context.clock.millis()), 0, open)
        }
    };
    let session = Rc::new(SharedState {
        context: Rc::clone(context),
        connected,
        secure,
        runtime,
        view: RefCell::new((snapshot, listener)),
        watch: Rc::clone(watched.watch()),
        born_millis,
        open: Cell::new(0),
        ending: Cell::new(false),
        leaves_at: Cell::new(u64::MAX),
        socket,
    });
    // Whoever drains or stops listening has to reach it at any time: it ends in its own way.
    session.watch.set_graceful();
    if is_new {
        session.arm();
    } else {
        // Its time goes on.
        session.watch.set_parks(session.may_park());
    }
    let mut requests = RequestSet::new(&context.requests);
    let begin = |stream, head| stream::serve(Rc::clone(&session), stream, head);
    let ended = run(&session, &mut server, &mut requests, &mut served, begin).await;
    session.count(&mut server);
    if ended == Http2Ended::Parks {
        let (stream, resting) = server.rest();
        let http2 = Some(Box::new(RestingHttp2 { resting, served, open }));
        // Requests that have it there are none.
        let Ok(SharedState { connected, view, .. }) = Rc::try_unwrap(session) else { return };
        let ((snapshot, listener), buffer) = (view.into_inner(), Buffer::default());
        *slot = Some(ClientConnection {
            stream,
            buffer,
            connected,
            snapshot,
            listener,
            watched,
            born_millis,
            armed: true,
            http2,
        });
        return;
    }
    drop(server);
    if !requests.is_empty() {
        // They see that the client is gone, and end.
        spawn_local(poll_fn(move |cx| requests.poll_to_end(cx)));
    }
}

/// How a connection that is told to end is getting on.
struct Parting {
    faulted: bool,
    /// Bytes written since it was last looked, the least that were on their way then, and for how long nothing moved.
    moved: u64,
    under_way: u32,
    unmoved: Duration,
}

impl Parting {
    /// Some time has passed. Whether nothing more is to be waited for.
    #[cold]
    fn is_over(&mut self, session: &SharedState, server: &Server) -> bool {
        let now_under_way = kernel::unacknowledged(session.socket).unwrap_or_default();
        // Answers to PING come and go: less than ever is on its way, or more was written of what waits.
        let progressed =
            now_under_way < self.under_way || (std::mem::take(&mut self.moved) > 0 && !server.is_clean());
        self.under_way = self.under_way.min(now_under_way);
        self.unmoved = if progressed { Duration::ZERO } else { self.unmoved + LINGER };
        // What requests have left to the connection, and that to the system, is still on its way: closing would cut it off as
        // soon as the client sends something.
        let is_out = server.is_clean() && now_under_way == 0;
        self.faulted || is_out || self.unmoved >= session.idle_timeout()
    }
}

/// What happens on a connection that is no request.
#[derive(Clone, Copy, Debug)]
enum OtherEvent {
    Violated(Violation),
    Over,
}

/// Moves what there is: requests go on, what they say goes out, and what comes is taken in. Those that come are handed to `take`.
fn poll_event<F: Future<Output = ()> + 'static>(
    cx: &mut TaskContext<'_>,
    context: &Context,
    server: &mut Server,
    requests: &mut RequestSet<F>,
    mut take: impl FnMut(&mut Server, &mut RequestSet<F>, Http2Stream, Box<Block>),
) -> Poll<OtherEvent> {
    loop {
        server.wake_up();
        let is_turn_over = !requests.poll(cx);
        match server.poll_event(cx, &context.buffers, context.clock.millis()) {
            Poll::Ready(Event::Request(stream, head)) => {
                take(server, requests, stream, head);
                continue;
            }
            Poll::Ready(Event::Violated(violation)) => return Poll::Ready(OtherEvent::Violated(violation)),
            Poll::Ready(Event::Over) => return Poll::Ready(OtherEvent::Over),
            Poll::Pending => {}
        }
        if is_turn_over {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if requests.sleep() {
            return Poll::Pending;
        }
    }
}

async fn run<F: Future<Output = ()> + 'static>(
    session: &Rc<SharedState>,
    server: &mut Server,
    requests: &mut RequestSet<F>,
    served: &mut u64,
    begin: impl Fn(Http2Stream, Box<Block>) -> F,
) -> Http2Ended {
    let mut ending = Parting { faulted: false, moved: 0, under_way: u32::MAX, unmoved: Duration::ZERO };
    let mut is_heard = server.has_begun();
    loop {
        let next = poll_fn(|cx| {
            let mut has_taken = false;
            let take = |server: &mut Server, requests: &mut RequestSet<F>, stream, head| {
                panics::provoke(b"http2-connection");
                has_taken = true;
                *served += 1;
                if *served >= MOST_REQUESTS || !session.may_stay() {
                    session.part(|| server.leave_behind_answers());
                }
                requests.add(|| begin(stream, head));
            };
            let polled = poll_event(cx, &session.context, server, requests, take);
            let sent = server.take_sent();
            ending.moved += sent;
            session.watch.received().add(server.take_received());
            session.watch.sent().add(sent);
            if has_taken {
                session.count(server);
            }
            if !is_heard && server.has_begun() {
                is_heard = true;
                session.watch.set_heard();
            }
            if polled.is_pending() && !session.ending.get() && (server.is_leaving() || server.has_to_go()) {
                session.end(|| server.leave());
            }
            polled
        });
        match session.watch.within(next).await {
            Ok(OtherEvent::Violated(violation)) => {
                ending.faulted = true;
                session.tell(&violation);
                session.ending.set(true);
                session.watch.arm(session.context.clock.millis(), LINGER);
                if violation == Violation::Flood {
                    session.figures(|shard| shard.http2_floods.inc());
                }
            }
            Ok(OtherEvent::Over) => return Http2Ended::Over,
            // Who has not begun is told nothing.
            Err(_) if !server.has_begun() => return Http2Ended::Over,
            Err(Interrupt::TimedOut) if session.ending.get() => {
                if ending.is_over(session, server) {
                    return Http2Ended::Over;
                }
                session.watch.arm(session.context.clock.millis(), LINGER);
            }
            // Another process takes its place, and there is time.
            Err(Interrupt::Closing) if session.context.hands_over.get() => {
                session.part(|| server.leave_behind_answers());
            }
            Err(Interrupt::TimedOut | Interrupt::Closing) => session.end(|| server.leave()),
            Err(Interrupt::Park) => {
                let is_alone = requests.is_empty() && Rc::strong_count(session) == 1;
                if is_alone && session.may_park() && server.may_rest() {
                    return Http2Ended::Parks;
                }
                // When it has had another request it is looked at again.
                session.watch.set_parks(false);
            }
            Err(Interrupt::Cut | Interrupt::Silent) => {}
        }
        session.count(server);
    }
}
