//! The count of sessions under workers that count at the same moment.

use std::sync::Arc;

use loom::thread;

use super::ledger::{Mark, Marks, SessionLedger};
use crate::{check, clock::UnixSeconds, id::TargetId};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const DAY: u32 = 86_400;
/// In another part of the duration.
const LATER: UnixSeconds = UnixSeconds(NOW.0 + DAY / 2);

/// A ledger, and marks of which the places are few.
struct Ledger(SessionLedger, Marks);

impl Ledger {
    fn begun(at: UnixSeconds) -> Arc<Self> {
        let ledger = SessionLedger::default();
        ledger.count_for(DAY, at);
        Arc::new(Self(ledger, Marks::with_places(4, 1)))
    }

    fn mark(&self, client: u64) -> Mark<'_> {
        self.1.of(client, TargetId(1))
    }

    fn renew(&self, issued: UnixSeconds, client: u64) {
        self.0.renew(issued, LATER, Some(self.mark(client)));
    }

    fn count(&self, now: UnixSeconds) -> u64 {
        self.0.count(now)
    }
}

/// A ledger that counts since long ago.
fn ledger() -> Arc<Ledger> {
    Ledger::begun(UnixSeconds(NOW.0 - 2 * DAY))
}

fn beside(ledger: &Arc<Ledger>, work: impl FnOnce(&Ledger) + Send + 'static) -> thread::JoinHandle<()> {
    let ledger = Arc::clone(ledger);
    thread::spawn(move || work(&ledger))
}

/// Two sessions begin at once: they are two, also when they are the first of all.
pub fn none_that_begins_is_lost() {
    check(3, || {
        let ledger = Ledger::begun(NOW);
        let other = beside(&ledger, |ledger| ledger.0.begin(NOW));
        ledger.0.begin(NOW);
        other.join().unwrap();
        assert_eq!(ledger.count(NOW), 2);
    });
}

/// The first two of all begin at once, by clocks that differ by a second: they are two, also when they come back.
pub fn clocks_that_differ_count_nobody_twice() {
    check(3, || {
        let ledger = Ledger::begun(NOW);
        let ahead = UnixSeconds(NOW.0 + 1);
        let other = beside(&ledger, move |ledger| ledger.0.begin(ahead));
        ledger.0.begin(NOW);
        other.join().unwrap();
        ledger.renew(NOW, 7);
        ledger.renew(ahead, 8);
        assert_eq!(ledger.count(LATER), 2);
    });
}

/// Requests side by side bring one cookie and each would renew it: the session stays one.
pub fn side_by_side_one_session_stays_one() {
    check(3, || {
        let ledger = ledger();
        ledger.0.begin(NOW);
        ledger.0.begin(NOW);
        let other = beside(&ledger, |ledger| ledger.renew(NOW, 7));
        ledger.renew(NOW, 7);
        other.join().unwrap();
        assert_eq!(ledger.count(LATER), 2, "it and the other one");
        assert_eq!(ledger.count(UnixSeconds(NOW.0 + DAY + DAY / 4)), 1, "it alone goes on");
    });
}

/// The cookies of two clients of the same second are renewed at once: they stay two.
pub fn two_clients_of_one_second_stay_two() {
    check(3, || {
        let ledger = ledger();
        ledger.0.begin(NOW);
        ledger.0.begin(NOW);
        let other = beside(&ledger, |ledger| ledger.renew(NOW, 7));
        ledger.renew(NOW, 8);
        other.join().unwrap();
        assert_eq!(ledger.count(LATER), 2);
        assert_eq!(ledger.count(UnixSeconds(NOW.0 + DAY + DAY / 4)), 2, "both go on");
    });
}

/// Of requests side by side one goes to another target: the session is counted there or here, and nowhere twice.
pub fn a_session_that_leaves_is_counted_once() {
    check(3, || {
        let (here, there) = (ledger(), ledger());
        here.0.begin(NOW);
        let other = beside(&here, |ledger| ledger.renew(NOW, 7));
        if here.0.leave(NOW, LATER, here.mark(7)) {
            there.0.begin(LATER);
        }
        other.join().unwrap();
        assert_eq!(here.count(LATER) + there.count(LATER), 1);
    });
}

/// The duration changes while a session begins: it is counted all the same.
pub fn a_new_duration_loses_nobody() {
    check(3, || {
        let ledger = ledger();
        ledger.0.begin(NOW);
        let control = beside(&ledger, |ledger| ledger.0.count_for(DAY / 4, NOW));
        ledger.0.begin(NOW);
        control.join().unwrap();
        assert_eq!(ledger.count(NOW), 2);
    });
}
