//! What has moved on the open connections of one worker and is not counted yet. Moving costs stores into cells, and
//! nothing where the kernel counts; a ticker looks through them. Must not know: where it is counted.

use std::{
    cell::{Cell, RefCell},
    os::fd::RawFd,
    rc::Rc,
};

use crate::{id::Slot, kernel::ReportedBytes};

/// In so many turns each connection that the kernel counts is looked at once: that takes system calls.
const TURNS: usize = 10;

/// Bytes of one connection.
#[derive(Debug, Default)]
struct Cells {
    received: Cell<u64>,
    sent: Cell<u64>,
    /// Where the kernel counts.
    socket: Option<RawFd>,
    told: Cell<ReportedBytes>,
}

impl Cells {
    fn take(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }
}

/// A connection and where it leads.
type LedgerEntry = (Slot, Rc<Cells>);

/// The connections.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    entries: RefCell<Vec<Option<LedgerEntry>>>,
    free: RefCell<Vec<usize>>,
    turn: Cell<usize>,
}

impl Ledgers {
    /// A connection to the target of that row begins.
    pub(super) fn begin(this: &Rc<Self>, slot: Slot) -> LedgerHandle {
        Self::enter(this, slot, Rc::default())
    }

    /// One begins that the kernel counts. What is returned has to go before the socket is closed.
    pub(super) fn begin_counted(this: &Rc<Self>, slot: Slot, socket: RawFd) -> LedgerHandle {
        Self::enter(this, slot, Rc::new(Cells { socket: Some(socket), ..Cells::default() }))
    }

    fn enter(this: &Rc<Self>, slot: Slot, cells: Rc<Cells>) -> LedgerHandle {
        let mut entries = this.entries.borrow_mut();
        let entry = Some((slot, Rc::clone(&cells)));
        let index = match this.free.borrow_mut().pop() {
            Some(index) => index,
            None => {
                entries.push(None);
                entries.len() - 1
            }
        };
        if let Some(free) = entries.get_mut(index) {
            *free = entry;
        }
        drop(entries);
        LedgerHandle { owner: Rc::clone(this), cells, index }
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

    /// Has `tell` look at some of the connections that the kernel counts: row, socket, and what was told of it before.
    pub(super) fn tell(&self, tell: impl Fn(Slot, RawFd, ReportedBytes) -> Option<ReportedBytes>) {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % TURNS);
        for (slot, cells) in self.entries.borrow().iter().skip(turn).step_by(TURNS).flatten() {
            if let Some(socket) = cells.socket
                && let Some(told) = tell(*slot, socket, cells.told.get())
            {
                cells.told.set(told);
            }
        }
    }
}

/// What has moved on a connection; it is looked at until this is dropped.
#[derive(Debug)]
pub(super) struct LedgerHandle {
    owner: Rc<Ledgers>,
    cells: Rc<Cells>,
    index: usize,
}

impl LedgerHandle {
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

impl Drop for LedgerHandle {
    fn drop(&mut self) {
        if let Some(entry) = self.owner.entries.borrow_mut().get_mut(self.index) {
            *entry = None;
        }
        self.owner.free.borrow_mut().push(self.index);
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
        assert_eq!(three.index, 1, "places are used again");
        three.add_sent(2);
        assert_eq!(tick(), [(3, 0, 2)]);
    }

    #[test]
    fn those_that_the_kernel_counts_have_a_turn_each() {
        let ledgers = Rc::<Ledgers>::default();
        let _own = Ledgers::begin(&ledgers, Slot(0));
        let counted: Vec<_> =
            (1..25).map(|socket| Ledgers::begin_counted(&ledgers, Slot(7), socket)).collect();
        let seen = RefCell::new(Vec::new());
        let tick = || {
            ledgers.tell(|slot, socket, told| {
                assert_eq!((slot, told), (Slot(7), ReportedBytes::default()));
                seen.borrow_mut().push(socket);
                Some(told)
            });
            seen.borrow().len()
        };
        let lengths: Vec<usize> = (0..TURNS).map(|_| tick()).collect();
        assert!(lengths.windows(2).all(|pair| pair[1] - pair[0] <= 3), "{lengths:?}");
        let mut all = seen.take();
        all.sort_unstable();
        assert_eq!(all, (1..25).collect::<Vec<_>>());
        drop(counted);
        assert!((0..TURNS).all(|_| tick() == 0));
    }
}
