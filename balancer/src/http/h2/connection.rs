//! One HTTP/2 connection of a client (RFC 9113): its requests run side by side, each as a task of its own.
//! Must not know: how the bytes came (TLS or not), what is done with a request.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    os::fd::AsRawFd as _,
    rc::Rc,
    sync::Arc,
    time::Duration,
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
        http2::{Event, Server, Violation},
    },
};

/// Requests that a connection serves in its life (ALB: then GOAWAY).
const MOST_REQUESTS: u64 = 10_000;

/// Serves the connection to its end.
pub(crate) async fn serve(context: Rc<Context>, connection: ClientConnection) {
    let ClientConnection { stream, buffer, connected, snapshot, listener, watched, born_millis, .. } =
        connection;
    let secure = stream.is_secure();
    let socket = stream.socket().map_or(-1, |socket| socket.as_raw_fd());
    let mut server = Server::new(stream, buffer, context.clock.millis());
    let watch = Rc::clone(watched.watch());
    let session = Rc::new(SharedState {
        context,
        connected,
        secure,
        runtime: Arc::clone(&listener.runtime),
        view: RefCell::new((snapshot, listener)),
        watch: Rc::clone(&watch),
        born_millis,
        open: Cell::new(0),
        ending: Cell::new(false),
        socket,
    });
    let _open = OpenNow::begin(&session.runtime, session.context.worker, Openable::Http2Connection);
    // Whoever drains or stops listening has to reach it at any time: it ends in its own way.
    watch.set_graceful();
    session.arm();
    run(&session, &mut server).await;
    session.count(&mut server);
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

async fn run(session: &Rc<SharedState>, server: &mut Server) {
    let mut requests = 0;
    let mut ending = Parting { faulted: false, moved: 0, under_way: u32::MAX, unmoved: Duration::ZERO };
    let mut is_heard = false;
    loop {
        let next = poll_fn(|cx| {
            let context = &session.context;
            let polled = server.poll_event(cx, &context.buffers, context.clock.millis());
            let sent = server.take_sent();
            ending.moved += sent;
            session.watch.received().add(server.take_received());
            session.watch.sent().add(sent);
            if !is_heard && server.has_begun() {
                is_heard = true;
                session.watch.set_heard();
            }
            if polled.is_pending() && !session.ending.get() && server.has_to_go() {
                session.end(|| server.leave());
            }
            polled
        });
        match session.watch.within(next).await {
            Ok(Event::Request(stream, head)) => {
                panics::provoke(b"http2-connection");
                requests += 1;
                if requests >= MOST_REQUESTS || !session.may_stay() {
                    session.end(|| server.leave());
                }
                session.context.tasks.spawn(stream::serve(Rc::clone(session), stream, head));
            }
            Ok(Event::Violated(violation)) => {
                ending.faulted = true;
                session.tell(&violation);
                session.ending.set(true);
                session.watch.arm(session.context.clock.millis(), LINGER);
                if violation == Violation::Flood {
                    session.figures(|shard| shard.http2_floods.inc());
                }
            }
            Ok(Event::Over) => return,
            // Who has not begun is told nothing.
            Err(_) if !server.has_begun() => return,
            Err(Interrupt::TimedOut) if session.ending.get() => {
                if ending.is_over(session, server) {
                    return;
                }
                session.watch.arm(session.context.clock.millis(), LINGER);
            }
            Err(Interrupt::TimedOut | Interrupt::Closing) => session.end(|| server.leave()),
            Err(Interrupt::Cut | Interrupt::Silent | Interrupt::Park) => {}
        }
        session.count(server);
    }
}
