//! What has moved on the open connections of one worker and is not counted yet. Moving costs stores into cells; a ticker
//! looks through them. Must not know: where it is counted.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::id::Slot;

/// Bytes of one connection.
#[derive(Debug, Default)]
struct Cells {
    received: Cell<u64>,
    sent: Cell<u64>,
}

impl Cells {
    fn take(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }
}

/// A connection and where it leads.
type Entry = (Slot, Rc<Cells>);

/// The connections.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
}

impl Ledgers {
    /// A connection to the target of that row begins.
    pub(super) fn begin(this: &Rc<Self>, slot: Slot) -> Moved {
        let cells = Rc::<Cells>::default();
        let mut entries = this.entries.borrow_mut();
        let entry = Some((slot, Rc::clone(&cells)));
        let place = match this.free.borrow_mut().pop() {
            Some(place) => place,
            None => {
                entries.push(None);
                entries.len() - 1
            }
        };
        if let Some(free) = entries.get_mut(place) {
            *free = entry;
        }
        drop(entries);
        Moved { owner: Rc::clone(this), cells, place }
    }

    /// Hands to `count` what has moved since it was last asked for: row, bytes received and sent.
    pub(super) fn count_moved(&self, count: impl Fn(Slot, u64, u64)) {
        for (slot, cells) in self.entries.borrow().iter().flatten() {
            let (received, sent) = cells.take();
            if received + sent > 0 {
                count(*slot, received, sent);
            }
        }
    }
}

/// What has moved on a connection; it is looked at until this is dropped.
#[derive(Debug)]
pub(super) struct Moved {
    owner: Rc<Ledgers>,
    cells: Rc<Cells>,
    place: usize,
}

impl Moved {
    #[inline]
    pub(super) fn add_received(&self, bytes: u64) {
        self.cells.received.set(self.cells.received.get() + bytes);
    }

    #[inline]
    pub(super) fn add_sent(&self, bytes: u64) {
        self.cells.sent.set(self.cells.sent.get() + bytes);
    }

    /// Bytes received and sent that nobody has counted; whoever asks does.
    pub(super) fn take_uncounted(&self) -> (u64, u64) {
        self.cells.take()
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        if let Some(entry) = self.owner.entries.borrow_mut().get_mut(self.place) {
            *entry = None;
        }
        self.owner.free.borrow_mut().push(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_handed_over_once() {
        let ledgers = Rc::<Ledgers>::default();
        let (one, two) = (Ledgers::begin(&ledgers, Slot(1)), Ledgers::begin(&ledgers, Slot(2)));
        let counted = RefCell::new(Vec::new());
        let tick = || {
            ledgers.count_moved(|slot, received, sent| counted.borrow_mut().push((slot.0, received, sent)));
            counted.take()
        };
        assert!(tick().is_empty());
        one.add_received(3);
        one.add_received(4);
        two.add_sent(5);
        assert_eq!(tick(), [(1, 7, 0), (2, 0, 5)]);
        assert!(tick().is_empty());
        two.add_sent(1);
        assert_eq!(two.take_uncounted(), (0, 1));
        drop(two);
        assert!(tick().is_empty());
        let three = Ledgers::begin(&ledgers, Slot(3));
        assert_eq!(three.place, 1, "places are used again");
        three.add_sent(2);
        assert_eq!(tick(), [(3, 0, 2)]);
    }
}
