//! Connections of clients that have been idle for a while: what is left of each is its socket, with the session of TLS where it
//! has one, and a few words. When something comes, or they are to end, they go on as they were. Must not know: requests.

mod lot;
mod table;

use std::{cell::Cell, rc::Rc};

use socket2::SockRef;

use self::lot::{Lot, Parkable};
use super::connected::Connected;
use crate::{
    counters::OpenNow,
    snapshot::ListenerId,
    wire::{
        client_stream::ParkedStream,
        deadline::{Wait, Watches},
    },
};

/// Their deadlines are looked at together, so often in milliseconds: who has been idle for that long may be so for a moment more.
const TOGETHER_MILLIS: u64 = 1000;

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
}

impl Default for ParkedClients {
    fn default() -> Self {
        Self { lot: Lot::default(), first: Cell::new(u64::MAX) }
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

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lot.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lot.is_empty()
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
        has
    }

    /// Closes those whose time is over. Gives back how many.
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

    /// Closes all, or those of one listener. `spare_new`: not those that nothing was heard of. Gives back how many.
    #[must_use]
    pub(super) fn close_idle(&self, listener: Option<ListenerId>, spare_new: bool) -> usize {
        let is_meant = |client: &ParkedClient| {
            let spared = spare_new && client.wait.is_new;
            !spared && listener.is_none_or(|listener| client.listener == listener)
        };
        self.close(is_meant)
    }

    /// Closes all. Gives back how many.
    #[must_use]
    pub(super) fn close_all(&self) -> usize {
        self.lot.extract(|_| true).len()
    }

    /// Closes so many idle connections, parked or not: those first that nothing was ever heard of, and of each kind those that
    /// were idle for longest. Who has sent something that nobody has read yet is not idle. Gives back how many of them were parked.
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
                closed += usize::from(self.lot.remove_if(place, is_silent).is_some());
            } else {
                watches.close_at(place);
            }
        }
        closed
    }

    /// Closes those that are meant and have sent nothing: who has is served as soon as the runtime hears of it.
    fn close(&self, is_meant: impl Fn(&ParkedClient) -> bool) -> usize {
        self.lot.extract(|client| is_meant(client) && !client.stream.has_input_now()).len()
    }
}

#[cfg(test)]
mod tests;
