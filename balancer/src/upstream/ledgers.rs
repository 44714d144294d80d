//! What has moved on the open connections of one worker and is not counted yet, and which of them wait. Moving costs stores into
//! cells, and nothing where the kernel counts; a ticker looks through them. Must not know: where it is counted, who is told.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    os::fd::RawFd,
    rc::Rc,
};

use super::silence::Silence;
use crate::{
    id::Slot,
    kernel::{Delivery, ReportedBytes, SeenDelivery, TargetEvent, TargetEventKind::DataUnanswered},
};

/// In so many turns each connection is looked at once: that takes system calls.
const TURNS: usize = 10;

/// Bytes of one connection.
#[derive(Debug, Default)]
struct Cells {
    received: Cell<u64>,
    sent: Cell<u64>,
    /// Where the kernel counts.
    counted: Option<RawFd>,
    told: Cell<ReportedBytes>,
    /// Where it does not, and there is TCP.
    watched: Option<RawFd>,
    seen: Cell<SeenDelivery>,
    silence: Silence,
    /// Whether something has moved since its last turn.
    has_moved: Cell<bool>,
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
    /// A connection to the target of that row begins. `socket`: one of TCP that is about to connect. What is returned has to go
    /// before that is closed, or without a tick in between.
    pub(super) fn begin(this: &Rc<Self>, slot: Slot, socket: Option<RawFd>) -> LedgerHandle {
        let cells = Cells { watched: socket, ..Cells::default() };
        cells.silence.sent();
        Self::enter(this, slot, Rc::new(cells))
    }

    /// One begins that the kernel counts. What is returned has to go before the socket is closed.
    pub(super) fn begin_counted(this: &Rc<Self>, slot: Slot, socket: RawFd) -> LedgerHandle {
        Self::enter(this, slot, Rc::new(Cells { counted: Some(socket), ..Cells::default() }))
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
                cells.has_moved.set(true);
                count(*slot, received, sent);
            }
        }
    }

    /// Has `tell` look at some of the connections that the kernel counts: row, socket, and what was told of it before.
    pub(super) fn tell(&self, tell: impl Fn(Slot, RawFd, ReportedBytes) -> Option<ReportedBytes>) {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % TURNS);
        for (slot, cells) in self.entries.borrow().iter().skip(turn).step_by(TURNS).flatten() {
            if let Some(socket) = cells.counted
                && let Some(told) = tell(*slot, socket, cells.told.get())
            {
                cells.told.set(told);
            }
        }
    }

    /// Has `look` look at connections that the kernel does not count: at those that have waited for long, and in turns at those on
    /// which something has moved. It is given row, socket, and what was seen of it before; what it finds without an answer goes to
    /// `announce`, once of each kind for each row.
    pub(super) fn look(
        &self,
        look: impl Fn(Slot, RawFd, SeenDelivery) -> Option<Delivery>,
        announce: impl Fn(TargetEvent),
    ) {
        let (turn, mut announced) = (self.turn.get(), HashSet::new());
        for (index, entry) in self.entries.borrow().iter().enumerate() {
            let Some((slot, cells)) = entry else { continue };
            let Some(socket) = cells.watched else { continue };
            let waits = cells.silence.tick();
            let has_turn = index % TURNS == turn && cells.has_moved.take();
            // One of many is enough.
            let is_known = || announced.contains(&TargetEvent { slot: *slot, kind: DataUnanswered });
            if !has_turn && (!waits || is_known()) {
                continue;
            }
            let Some(delivery) = look(*slot, socket, cells.seen.get()) else {
                cells.silence.end();
                continue;
            };
            let seen = cells.seen.replace(delivery.seen());
            let before = cells.silence.is_known().then_some(seen);
            if delivery.is_over() {
                cells.silence.end();
            } else {
                cells.silence.goes_on();
            }
            if let Some(event) = delivery.unanswered(before).map(|kind| TargetEvent { slot: *slot, kind })
                && announced.insert(event)
            {
                announce(event);
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
        self.cells.silence.heard();
    }

    #[inline]
    pub(super) fn add_sent(&self, bytes: u64) {
        self.cells.sent.set(self.cells.sent.get() + bytes);
        self.cells.silence.sent();
    }

    /// Nobody waits for anything.
    pub(super) fn rest(&self) {
        self.cells.silence.end();
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
    use std::collections::HashMap;

    use super::*;
    use crate::kernel::TargetEventKind;

    #[test]
    fn what_moves_is_handed_over_once() {
        let ledgers = Rc::<Ledgers>::default();
        let (one, two) = (Ledgers::begin(&ledgers, Slot(1), None), Ledgers::begin(&ledgers, Slot(2), None));
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
        let three = Ledgers::begin(&ledgers, Slot(3), None);
        assert_eq!(three.index, 1, "places are used again");
        three.add_sent(2);
        assert_eq!(tick(), [(3, 0, 2)]);
    }

    #[test]
    fn those_that_the_kernel_counts_have_a_turn_each() {
        let ledgers = Rc::<Ledgers>::default();
        let _own = Ledgers::begin(&ledgers, Slot(0), None);
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

    /// What a look finds on each connection, by its descriptor.
    type Found = HashMap<RawFd, Delivery>;

    fn looked_at(ledgers: &Ledgers, found: &Found) -> (Vec<RawFd>, Vec<TargetEvent>) {
        let (looked, told) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        // As ticks have it: the turn goes on first.
        ledgers.tell(|_, _, _| None);
        let look = |_, socket, _| {
            looked.borrow_mut().push(socket);
            found.get(&socket).copied()
        };
        ledgers.look(look, |event| told.borrow_mut().push(event));
        let mut looked = looked.take();
        looked.sort_unstable();
        (looked, told.take())
    }

    #[test]
    fn who_is_answered_or_rests_is_not_looked_at_and_who_waits_is() {
        let ledgers = Rc::<Ledgers>::default();
        let begin = |socket| Ledgers::begin(&ledgers, Slot(3), Some(socket));
        let (answered, resting, waiting, _unix) =
            (begin(1), begin(2), begin(3), Ledgers::begin(&ledgers, Slot(3), None));
        let unacknowledged = Delivery::unacknowledged_for_tests(false);
        let found = Found::from([(3, unacknowledged)]);
        resting.rest();
        for tick in 0..TURNS {
            answered.add_received(0);
            let (looked, told) = looked_at(&ledgers, &found);
            assert_eq!(looked, if tick < 1 { vec![] } else { vec![3] }, "tick {tick}");
            assert!(told.is_empty(), "nothing was sent again");
            if tick == 4 {
                break;
            }
        }
        drop((waiting, answered));
        assert!(looked_at(&ledgers, &found).0.is_empty(), "they are closed");
    }

    #[test]
    fn what_is_sent_again_counts_where_it_is_sent_again_while_it_waits() {
        let ledgers = Rc::<Ledgers>::default();
        let connection = Ledgers::begin(&ledgers, Slot(3), Some(1));
        let told = |retransmits| {
            let delivery = Delivery::probed_for_tests(retransmits);
            !looked_at(&ledgers, &Found::from([(1, delivery)])).1.is_empty()
        };
        assert_eq!([told(1), told(1), told(1), told(2)], [false, false, false, true]);
        connection.add_received(1);
        assert_eq!([told(3), told(3), told(3), told(4)], [false, false, false, true], "it was heard of");
    }

    #[test]
    fn where_something_moves_there_is_a_look_once_in_all_turns() {
        let ledgers = Rc::<Ledgers>::default();
        let connection = Ledgers::begin(&ledgers, Slot(3), Some(1));
        let found = Found::from([(1, Delivery::default())]);
        let turns = |moves: bool| {
            let mut looks = 0;
            for _ in 0..TURNS {
                if moves {
                    connection.add_sent(5);
                    connection.add_received(5);
                    ledgers.count_moved(|_, _, _| {});
                }
                connection.rest();
                looks += looked_at(&ledgers, &found).0.len();
            }
            looks
        };
        assert_eq!((turns(true), turns(true), turns(false), turns(true)), (1, 1, 0, 1));
    }

    #[test]
    fn of_many_that_nobody_answers_one_is_told_for_each_row_and_kind() {
        let ledgers = Rc::<Ledgers>::default();
        let all: Vec<_> =
            (1..20).map(|socket| Ledgers::begin(&ledgers, Slot((socket % 2) as u16), Some(socket))).collect();
        let silent = |socket| (socket, Delivery::silent_for_tests(socket <= 2));
        let found: Found = (1..20).map(silent).collect();
        looked_at(&ledgers, &found);
        let (looked, told) = looked_at(&ledgers, &found);
        let (connect, data) = (TargetEventKind::ConnectUnanswered, DataUnanswered);
        let expected = [(1, connect), (0, connect), (1, data), (0, data)];
        assert_eq!(told, expected.map(|(slot, kind)| TargetEvent { slot: Slot(slot), kind }));
        assert_eq!(looked, [1, 2, 3, 4], "the others say nothing new");
        drop(all);
        assert_eq!(looked_at(&ledgers, &found), (vec![], vec![]));
    }
}
