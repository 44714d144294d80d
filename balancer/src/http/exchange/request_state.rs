//! What is held while a request is under way, whichever version of HTTP its client speaks. Must not know: its bytes.

use std::{os::fd::RawFd, rc::Rc, sync::Arc, time::Duration};

use crate::{
    clock::Nanos,
    counters::{Cause, ListenerShard},
    http::{context::Context, entry::AccessEntry},
    kernel::unacknowledged,
    snapshot::ListenerView,
    wire::deadline::{Watch, Watched},
};

/// State of the request that is under way; with HTTP/1.1 of all requests of a connection, one after the other.
#[derive(Debug)]
pub(crate) struct RequestState {
    /// The worker's.
    pub(crate) context: Rc<Context>,
    /// The listener that it came by.
    pub(crate) listener: Arc<ListenerView>,
    /// Whether its connection is encrypted.
    pub(crate) secure: bool,
    /// Its entry in the access log.
    pub(crate) entry: AccessEntry,
    /// When it began; nothing once it is a tunnel.
    pub(crate) began: Option<Nanos>,
    /// The time, as long as nothing was waited for since it was read.
    pub(crate) now: Option<Nanos>,
    /// Its deadlines.
    pub(crate) watched: Watched,
}

impl RequestState {
    pub(crate) fn watch(&self) -> &Rc<Watch> {
        self.watched.watch()
    }

    /// The time, which is read once for all that is done without waiting.
    pub(crate) fn now(&mut self) -> Nanos {
        *self.now.get_or_insert_with(Nanos::now)
    }

    /// Something was waited for.
    pub(crate) fn has_waited(&mut self) {
        self.now = None;
    }

    /// Waits may last for `span` from now.
    pub(crate) fn arm(&self, span: Duration) {
        self.watch().arm(self.context.clock.millis(), span);
    }

    /// Waits may last for the idle timeout from now.
    pub(crate) fn arm_idle(&self) {
        self.arm(self.listener.load_balancer.idle_timeout);
    }

    /// As [`Self::arm_idle`], where something has moved and more is to.
    pub(crate) fn arm_moving(&self) {
        self.watch().arm_in_halves(self.context.clock.millis(), self.listener.load_balancer.idle_timeout);
    }

    /// Nothing was read or written for a while. Whether all the same something has moved: what these sockets were given arrives. The
    /// system takes more of it when much of what it holds has arrived, which takes a slow reader longer than it may be idle.
    #[cold]
    pub(super) fn goes_on(&self, sockets: [Option<RawFd>; 2]) -> bool {
        let under_way = sockets.into_iter().flatten().filter_map(unacknowledged).map(u64::from).sum();
        self.watch().goes_on(self.context.clock.millis(), under_way)
    }

    /// This worker's shard of the listener's figures.
    pub(crate) fn shard(&self) -> &ListenerShard {
        self.context.listener_shard(&self.listener)
    }

    /// The client is gone, by `cause`, before it had an answer.
    #[cold]
    pub(crate) fn client_gone(&mut self, cause: Cause) {
        self.entry.client_gone(cause);
        self.shard().own(cause);
    }

    /// The request is over.
    pub(crate) fn end(&mut self) {
        self.entry = AccessEntry::default();
        if let Some(began) = self.began.take() {
            let took = self.now().since(began);
            self.shard().request_duration.observe(took);
        }
        self.has_waited();
    }
}
