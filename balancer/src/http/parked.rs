//! Connections of clients that have been idle for a while: what is left of each is its socket, with the session of TLS where it
//! has one, and a few words. When something comes, or they are to end, they go on as they were. Must not know: requests.

mod lot;
mod table;

use std::{
    cell::{Cell, RefCell},
    future::{Future as _, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use socket2::SockRef;
use tokio::sync::Notify;

use self::lot::{Lot, Parkable, WakeUps};
use super::connected::Connected;
use crate::{
    counters::OpenNow,
    snapshot::ListenerId,
    wire::{
        client_stream::ParkedStream,
        deadline::{Wait, Watches},
        http2::Resting,
    },
};

/// Their deadlines are looked at together, so often in milliseconds: who has been idle for that long may be so for a moment more.
const TOGETHER_MILLIS: u64 = 1000;

/// What a connection that speaks HTTP/2 has to remember while nothing is under way on it.
#[derive(Debug)]
pub(super) struct RestingHttp2 {
    /// What both sides remember.
    pub(super) resting: Resting,
    /// Requests that it has served.
    pub(super) served: u64,
    /// It is open, as its listener counts it.
    pub(super) open: OpenNow,
}

/// A parked connection.
#[derive(Debug)]
pub(super) struct ParkedClient {
    pub(super) stream: ParkedStream,
    pub(super) connected: Rc<Connected>,
    /// It is open, as its listener counts it.
    pub(super) open: OpenNow,
    /// And parked.
    pub(super) _parked: OpenNow,
    pub(super) listener: ListenerId,
    pub(super) born_millis: u64,
    pub(super) wait: Wait,
    /// Of one that speaks HTTP/2. Such a one is told that it is to end, for which it has to go on.
    pub(super) http2: Option<Box<RestingHttp2>>,
}

impl ParkedClient {
    fn until(&self) -> u64 {
        // Whole seconds pass together.
        self.wait.until_millis.checked_next_multiple_of(TOGETHER_MILLIS).unwrap_or(u64::MAX)
    }
}

impl Parkable for ParkedClient {
    fn socket(&self) -> Option<SockRef<'_>> {
        self.stream.socket()
    }
}

/// The parked connections of a worker.
#[derive(Debug)]
pub struct ParkedClients {
    pub(super) lot: Lot<ParkedClient>,
    /// No deadline of theirs is before this.
    first: Cell<u64>,
    /// Those that have to go on although nothing came.
    called: RefCell<Vec<ParkedClient>>,
    call: Notify,
}

impl Default for ParkedClients {
    fn default() -> Self {
        let (called, call) = (RefCell::default(), Notify::new());
        Self { lot: Lot::default(), first: Cell::new(u64::MAX), called, call }
    }
}

impl ParkedClients {
    /// Parks a connection.
    ///
    /// # Errors
    /// It cannot be parked.
    pub(super) fn park(&self, client: ParkedClient) -> Result<(), ParkedClient> {
        let until = client.until();
        self.lot.park(client)?;
        self.first.set(self.first.get().min(until));
        Ok(())
    }

    /// Waits until some have to go on, and puts them into `woken`: they are parked no more.
    pub(super) async fn woken(&self, alarm: &WakeUps, woken: &mut Vec<ParkedClient>) {
        {
            let mut called = pin!(self.call.notified());
            let mut by_input = pin!(self.lot.woken(alarm, woken));
            poll_fn(|cx| {
                let input = by_input.as_mut().poll(cx);
                if called.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { input }
            })
            .await;
        }
        woken.append(&mut self.called.borrow_mut());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lot.len() + self.called.borrow().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When they have to be looked at next.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.first.get()
    }

    /// Whether one of this listener is there.
    #[must_use]
    pub fn has(&self, listener: ListenerId) -> bool {
        let mut has = false;
        self.lot.each(|_, client| has |= client.listener == listener);
        has || self.called.borrow().iter().any(|client| client.listener == listener)
    }

    /// Ends those whose time is over. Gives back how many are closed.
    #[must_use]
    pub(super) fn sweep(&self, now_millis: u64) -> usize {
        if now_millis < self.first.get() {
            return 0;
        }
        let over = self.close(|client| client.until() <= now_millis);
        let mut first = u64::MAX;
        self.lot.each(|_, client| first = first.min(client.until()));
        self.first.set(first);
        over
    }

    /// Ends all, or those of one listener. `spare_new`: not those that nothing was heard of. Gives back how many are closed.
    #[must_use]
    pub(super) fn close_idle(&self, listener: Option<ListenerId>, spare_new: bool) -> usize {
        let is_meant = |client: &ParkedClient| {
            let spared = spare_new && client.wait.is_new;
            !spared && listener.is_none_or(|listener| client.listener == listener)
        };
        self.close(is_meant)
    }

    /// Ends those that are told so.
    pub(super) fn close_graceful(&self) {
        self.end(self.lot.extract(|client| client.http2.is_some()));
    }

    /// Closes all. Gives back how many.
    #[must_use]
    pub(super) fn close_all(&self) -> usize {
        self.lot.extract(|_| true).len() + self.called.take().len()
    }

    /// Closes so many idle connections, parked or not: those first that nothing was ever heard of, and of each kind those that
    /// were idle for longest. Who has sent something that nobody has read yet is not idle. Gives back how many of them were parked
    /// and are closed.
    #[must_use]
    pub(super) fn close_longest_idle(&self, watches: &Watches, count: usize, now_millis: u64) -> usize {
        let key = |wait: Wait| (!wait.is_new, wait.since_millis);
        let mut idle: Vec<_> =
            watches.idle(now_millis).map(|(place, wait)| (key(wait), false, place)).collect();
        self.lot.each(|place, client| idle.push((key(client.wait), true, place)));
        if idle.len() > count && count > 0 {
            idle.select_nth_unstable(count - 1);
        }
        let mut closed = 0;
        for (_, is_parked, place) in idle.into_iter().take(count) {
            if is_parked {
                let is_silent = |client: &ParkedClient| !client.stream.has_input_now();
                closed += self.end(self.lot.remove_if(place, is_silent).into_iter().collect());
            } else {
                watches.close_at(place);
            }
        }
        closed
    }

    /// Ends those that are meant and have sent nothing: who has is served as soon as the runtime hears of it.
    fn close(&self, is_meant: impl Fn(&ParkedClient) -> bool) -> usize {
        self.end(self.lot.extract(|client| is_meant(client) && !client.stream.has_input_now()))
    }

    /// Closes these, but for those that go on so that they are told. Gives back how many are closed.
    fn end(&self, clients: Vec<ParkedClient>) -> usize {
        let (told, closed): (Vec<_>, Vec<_>) = clients.into_iter().partition(|client| client.http2.is_some());
        if !told.is_empty() {
            let over = told.into_iter().map(|mut client| {
                client.wait.until_millis = 0;
                client
            });
            self.called.borrow_mut().extend(over);
            self.call.notify_one();
        }
        closed.len()
    }
}

#[cfg(test)]
mod tests;
