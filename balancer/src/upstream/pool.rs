//! Idle connections of one worker, by the target's slot; the one used last goes out first.

use std::{collections::HashSet, time::Duration};

use super::connection::{Connection, Destination};
use crate::id::Slot;

/// Most idle connections kept to one target by one worker.
const MOST_IDLE: usize = 1024;

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since_millis: u64,
}

#[derive(Debug)]
struct IdleConnections {
    destination: Destination,
    idle: Vec<Idle>,
}

/// The idle connections.
#[derive(Debug, Default)]
pub struct Pool {
    shelves: Vec<Option<IdleConnections>>,
    /// Of each slot, whether its connections may be kept.
    wanted: Vec<bool>,
}

impl Pool {
    /// An idle connection to `destination`, if there is one that the target has not closed. With `ask` the kernel
    /// is asked whether it has, for requests that cannot be sent again.
    pub fn take(&mut self, destination: &Destination, ask: bool) -> Option<Connection> {
        let shelf = self.shelves.get_mut(destination.slot.index())?.as_mut()?;
        if !shelf.destination.does_for(destination) {
            shelf.idle.clear();
            return None;
        }
        while let Some(mut idle) = shelf.idle.pop() {
            if !idle.connection.has_news(ask) {
                return Some(idle.connection);
            }
        }
        None
    }

    /// Keeps `connection` for later, unless its target gets no requests any more (see [`Self::keep_only`]).
    pub fn give(&mut self, destination: &Destination, connection: Connection, now_millis: u64) {
        let index = connection.slot().index();
        if !self.wanted.get(index).is_some_and(|wanted| *wanted) {
            return;
        }
        if self.shelves.len() <= index {
            self.shelves.resize_with(index + 1, || None);
        }
        let Some(entry) = self.shelves.get_mut(index) else { return };
        let empty = || IdleConnections { destination: destination.clone(), idle: Vec::new() };
        let shelf = entry.get_or_insert_with(empty);
        if !shelf.destination.does_for(destination) {
            *shelf = empty();
        }
        if shelf.idle.len() < MOST_IDLE {
            connection.rest();
            shelf.idle.push(Idle { connection, since_millis: now_millis });
        }
    }

    /// Drops connections that the target closed or that were idle for `most`.
    pub fn sweep(&mut self, now_millis: u64, most: Duration) {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        for shelf in self.shelves.iter_mut().flatten() {
            shelf.idle.retain_mut(|idle| {
                now_millis.saturating_sub(idle.since_millis) < most && !idle.connection.has_news(false)
            });
        }
    }

    /// Drops connections to targets that are not in `used`, and takes no more of theirs.
    pub fn keep_only(&mut self, used: &HashSet<Slot>) {
        let most = used.iter().map(|slot| slot.index() + 1).max().unwrap_or(0);
        self.wanted.clear();
        self.wanted.resize(most, false);
        for slot in used {
            if let Some(wanted) = self.wanted.get_mut(slot.index()) {
                *wanted = true;
            }
        }
        for (index, entry) in self.shelves.iter_mut().enumerate() {
            let in_use = u16::try_from(index).is_ok_and(|slot| used.contains(&Slot(slot)));
            if !in_use {
                *entry = None;
            }
        }
    }
}
