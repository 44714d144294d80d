//! Connections of one worker to targets that speak HTTP/2: each carries many requests at once, as many as
//! the target allows; when all are full another is opened, up to a bound. Must not know: what is asked.

mod open;
mod shared;

use std::{collections::HashSet, rc::Rc, time::Duration};

use self::shared::Shared;
pub use self::{
    open::{Driver, OpenedConnection, Opener, Opening, Patience, open},
    shared::{Lease, Room},
};
use super::connection::Destination;
use crate::{counters::Failure, id::Slot};

/// Most connections of one worker to one target: as many as HTTP/1.1 keeps.
const MOST_CONNECTIONS: usize = 1024;

/// Whether a request can have a lease.
#[derive(Debug)]
pub enum Availability {
    /// On a connection that is there.
    Now(Lease),
    /// Not before this connection is open.
    Opening(Rc<Opening>),
    /// Not before there is room: the connections are full, and another would be of no use or one too many.
    Full(Rc<Room>),
}

#[derive(Debug)]
struct TargetConnections {
    destination: Destination,
    connections: Vec<Rc<Shared>>,
    opening: Option<Rc<Opening>>,
    room: Rc<Room>,
}

impl TargetConnections {
    fn new(destination: &Destination) -> Self {
        Self { destination: destination.clone(), connections: Vec::new(), opening: None, room: Rc::default() }
    }

    /// Whether another connection may be opened. A target that allows no request on one that carries none does not
    /// on the next either. Connections before the one of the number `since` do not count.
    fn may_open(&self, since: u64) -> bool {
        self.connections.len() < MOST_CONNECTIONS && !self.since(since).any(|shared| shared.is_unused())
    }

    /// The connections from the one of this number on.
    fn since(&self, number: u64) -> impl Iterator<Item = &Rc<Shared>> {
        self.connections.iter().filter(move |shared| shared.number() >= number)
    }
}

/// The connections.
#[derive(Debug, Default)]
pub struct Multiplexed {
    /// By slot: every request looks there.
    shelves: Vec<Option<Box<TargetConnections>>>,
    opened: u64,
}

impl Multiplexed {
    fn shelf(&mut self, destination: &Destination) -> &mut TargetConnections {
        let index = destination.slot.index();
        if self.shelves.len() <= index {
            self.shelves.resize_with(index + 1, || None);
        }
        #[allow(clippy::indexing_slicing, reason = "there are as many")]
        let shelf = self.shelves[index].get_or_insert_with(|| Box::new(TargetConnections::new(destination)));
        if !shelf.destination.does_for(destination) {
            // Who waits there for room has to look here.
            let before = std::mem::replace(&mut **shelf, TargetConnections::new(destination));
            before.room.tell(usize::MAX);
        }
        shelf
    }

    /// A lease of a connection that is there.
    pub fn lease(&mut self, destination: &Destination) -> Option<Lease> {
        self.shelf(destination).connections.iter().find_map(|shared| shared.lease())
    }

    /// How many connections were opened so far, which is the number that the next gets.
    #[must_use]
    pub fn opened_so_far(&self) -> u64 {
        self.opened
    }

    /// A lease for a request on a connection from the one of the number `since` on, or what it has to wait for; `begin` is
    /// to open a connection.
    pub fn lease_since(
        &mut self,
        destination: &Destination,
        since: u64,
        begin: impl FnOnce(Opener),
    ) -> Availability {
        let shelf = self.shelf(destination);
        if let Some(lease) = shelf.since(since).find_map(Shared::lease) {
            return Availability::Now(lease);
        }
        shelf.connections.retain(|shared| !shared.is_over());
        if let Some(opening) = shelf.opening.as_ref().filter(|opening| !opening.is_over()) {
            return Availability::Opening(Rc::clone(opening));
        }
        if !shelf.may_open(since) {
            return Availability::Full(Rc::clone(&shelf.room));
        }
        let (opener, opening) = Opener::new(&shelf.room);
        shelf.opening = Some(Rc::clone(&opening));
        begin(opener);
        Availability::Opening(opening)
    }

    /// Whether there is no connection, and none comes.
    pub fn is_bare(&mut self, destination: &Destination) -> bool {
        let shelf = self.shelf(destination);
        shelf.connections.iter().all(|shared| shared.is_over())
            && shelf.opening.as_ref().is_none_or(|opening| opening.is_over())
    }

    /// Takes note of what came of opening a connection.
    pub fn opened(
        &mut self,
        slot: Slot,
        opener: Opener,
        outcome: Result<OpenedConnection, Failure>,
        now_millis: u64,
    ) {
        let failed = match outcome {
            Ok(OpenedConnection { shared, .. }) => {
                // When the target has been replaced since, nobody asks for it any more.
                let shelf = self.shelves.get_mut(slot.index()).and_then(Option::as_mut);
                let shelf = shelf.filter(|shelf| Rc::ptr_eq(&shelf.room, &opener.room));
                if let Some(shelf) = shelf {
                    shared.take_number(self.opened);
                    self.opened += 1;
                    shared.touch(now_millis);
                    shared.look_for_room();
                    shelf.connections.push(shared);
                }
                None
            }
            Err(failure) => Some(failure),
        };
        opener.end(failed);
    }

    /// What many requests took is let go on connections that none is on.
    pub fn rest(&self) {
        self.shelves.iter().flatten().flat_map(|shelf| &shelf.connections).for_each(|shared| shared.rest());
    }

    /// Drops connections that are over or were idle for `most`.
    pub fn sweep(&mut self, now_millis: u64, most: Duration) {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        for shelf in self.shelves.iter_mut().flatten() {
            shelf.connections.retain(|shared| {
                let idle = shared.is_unused() && now_millis.saturating_sub(shared.idle_since()) >= most;
                if idle {
                    shared.end();
                }
                !shared.is_over()
            });
        }
    }

    /// Drops connections to targets that are not in `used`; what is under way on them goes on.
    pub fn keep_only(&mut self, used: &HashSet<Slot>) {
        for entry in &mut self.shelves {
            if let Some(shelf) = entry.take_if(|shelf| !used.contains(&shelf.destination.slot)) {
                shelf.room.tell(usize::MAX);
            }
        }
    }
}
