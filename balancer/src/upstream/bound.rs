//! Connections to targets that one client alone may use, because it has authenticated itself on them. They end with the
//! client's own. Must not know: how that was seen.

use super::connection::{Connection, Destination};
use crate::id::Slot;

/// Most connections of one client.
const MOST_BOUND: usize = 8;

/// One client's connections.
#[derive(Debug, Default)]
pub struct Bound(Vec<(Destination, Connection)>);

impl Bound {
    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one to the target of that row.
    #[must_use]
    pub fn is_to(&self, slot: Slot) -> bool {
        self.0.iter().any(|(destination, _)| destination.slot == slot)
    }

    /// Takes out the one to `destination`, unless the target has closed it; see [`super::Pool::take`].
    #[inline]
    pub fn take(&mut self, destination: &Destination, ask: bool) -> Option<Connection> {
        if self.is_empty() { None } else { self.find(destination, ask) }
    }

    #[cold]
    fn find(&mut self, destination: &Destination, ask: bool) -> Option<Connection> {
        let index = self.0.iter().position(|(to, _)| to.does_for(destination))?;
        let (_, mut connection) = self.0.remove(index);
        (!connection.has_news(ask)).then_some(connection)
    }

    /// Keeps `connection`; of too many the oldest goes.
    #[cold]
    pub fn give(&mut self, destination: &Destination, connection: Connection) {
        if self.0.len() >= MOST_BOUND {
            self.0.remove(0);
        }
        connection.rest();
        self.0.push((destination.clone(), connection));
    }
}
