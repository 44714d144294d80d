//! What the requests of one HTTP/2 connection share. Must not know: frames, what is done with a request.

use std::{
    cell::{Cell, RefCell},
    fmt,
    os::fd::RawFd,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use crate::{
    counters::{Gauge, Holder, ListenerRuntime, ListenerShard, Raised},
    http::{
        accepted::may_stay,
        connected::Connected,
        context::{Context, WorkerSnapshot},
    },
    logs::quiet::LineKind,
    snapshot::ListenerView,
    wire::{deadline::Watch, http2::Server},
};

/// How long a connection that is told to end may take once nothing is under way.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// How long a connection may be in the midst of something before it is told to go all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the requests of a connection share.
#[derive(Debug)]
pub(super) struct SharedState {
    pub(super) context: Rc<Context>,
    pub(super) connected: Rc<Connected>,
    pub(super) secure: bool,
    /// The figures of the listener that the connection began at: what is open is counted there to its end.
    pub(super) runtime: Arc<ListenerRuntime>,
    /// The listener, and the snapshot it is of: what the one names by number is in the other.
    pub(super) view: RefCell<(Rc<WorkerSnapshot>, Arc<ListenerView>)>,
    pub(super) watch: Rc<Watch>,
    pub(super) born_millis: u64,
    pub(super) open: Cell<u32>,
    pub(super) ending: Cell<bool>,
    /// When it is told to go, whatever is under way.
    pub(super) leaves_at: Cell<u64>,
    /// The socket underneath, for as long as the connection is there.
    pub(super) socket: RawFd,
}

impl SharedState {
    /// Counts what has gone over the wire.
    pub(super) fn count(&self, server: &mut Server) {
        let watch = &self.watch;
        watch.received().add(server.take_received());
        watch.sent().add(server.take_sent());
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
    pub(super) fn tell(&self, how: &dyn fmt::Display) {
        if LineKind::ClientHttp2.admits() {
            let (listener, client) = (&self.view.borrow().1, self.connected.peer);
            tracing::info!(listener = listener.name, %client, "a client violated HTTP/2: {how}");
        }
    }

    /// Counts into this worker's shard of the listener's figures.
    pub(super) fn figures(&self, count: impl FnOnce(&ListenerShard)) {
        count(self.context.listener_shard(&self.view.borrow().1));
    }

    /// Without a request under way the connection may be idle for as long as any; PING does not change that
    /// (ALB: idle timeout). Requests keep time for themselves.
    pub(super) fn arm(&self) {
        let span = match (self.open.get(), self.ending.get()) {
            (1.., _) => Duration::MAX,
            (0, true) => LINGER,
            (0, false) => self.idle_timeout(),
        };
        let now = self.context.clock.millis();
        let left = match self.leaves_at.get() {
            at if at < u64::MAX && !self.ending.get() => Duration::from_millis(at.saturating_sub(now)),
            _ => Duration::MAX,
        };
        self.watch.arm(now, span.min(left));
        self.watch.set_parks(self.may_park());
    }

    /// Whether the connection can be waited for in a cheaper way, as far as its requests go.
    pub(super) fn may_park(&self) -> bool {
        let is_at_rest = self.open.get() == 0 && !self.ending.get() && !self.context.draining.get();
        is_at_rest && self.context.parked.lot.is_open()
    }

    /// How long nothing may move.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.view.borrow().1.load_balancer.idle_timeout
    }

    /// Lets `shut_down` say so once: what is under way is finished, nothing more is taken.
    pub(super) fn end(&self, shut_down: impl FnOnce()) {
        if !self.ending.replace(true) {
            shut_down();
            // It is told once.
            self.watch.set_idle(false);
            self.arm();
        }
    }

    /// Lets `shut_down` see to it that the connection ends by and by: it is told to go in the midst of what is under way only when
    /// that has not come to an end for a while.
    pub(super) fn part(&self, shut_down: impl FnOnce()) {
        if self.leaves_at.get() == u64::MAX && !self.ending.get() {
            shut_down();
            let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
            self.leaves_at.set(self.context.clock.millis().saturating_add(patience));
            // It is told once, and can be told to end at any time all the same.
            self.watch.set_idle(false);
            self.watch.set_graceful();
            self.arm();
        }
    }

    /// As for HTTP/1.1: whether another request may follow.
    pub(super) fn may_stay(&self) -> bool {
        may_stay(&self.context, &self.view.borrow().1, &self.connected, self.born_millis)
    }

    /// Serves from the snapshot of now on, or from the last one that has the listener.
    pub(super) fn look_again(&self) {
        let id = self.view.borrow().1.id;
        if let Some(view) = self.context.view(id) {
            *self.view.borrow_mut() = view;
        }
    }

    pub(super) fn view(&self) -> (Rc<WorkerSnapshot>, Arc<ListenerView>) {
        let (snapshot, listener) = &*self.view.borrow();
        (Rc::clone(snapshot), Arc::clone(listener))
    }
}

/// A request under way, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Open(Raised<ActiveRequest>);

/// Leads to the gauge of requests over HTTP/2.
#[derive(Debug)]
struct ActiveRequest(Rc<SharedState>);

impl Holder for ActiveRequest {
    fn gauge(&self) -> &Gauge {
        &self.0.runtime.shard(self.0.context.worker).http2_streams_active
    }
}

impl Open {
    pub(super) fn begin(session: &Rc<SharedState>) -> Self {
        session.open.set(session.open.get() + 1);
        session.runtime.shard(session.context.worker).http2_streams_opened.inc();
        session.arm();
        Self(Raised::new(ActiveRequest(Rc::clone(session))))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let ActiveRequest(session) = &*self.0;
        session.open.set(session.open.get().saturating_sub(1));
        session.arm();
    }
}
