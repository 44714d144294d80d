//! The table of one bucket: who begins, renews and moves sessions at the same moment.

use std::sync::Arc;

use loom::{sync::atomic::AtomicU64, thread};

use super::session_table::{Class, Expected, KnownSession, SessionTable};
use crate::{check, clock::UnixSeconds, id::TargetId};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const KEY: u128 = 0x1111_2222_3333_4444_5555_6666_7777_8888;
const HERE: TargetId = TargetId(0xA1A1_A1A1_A1A1_A1A1);
const THERE: TargetId = TargetId(0xB2B2_B2B2_B2B2_B2B2);

type Table = Arc<SessionTable<Vec<AtomicU64>>>;

/// A bucket, in which nothing is.
fn empty() -> Table {
    Arc::new(SessionTable::new((0..32).map(|_| AtomicU64::new(0)).collect()))
}

/// A bucket with the session, on [`HERE`].
fn begun() -> Table {
    let table = empty();
    put(&table, Expected::Anything, HERE, NOW);
    table
}

fn put(table: &Table, expected: Expected, target: TargetId, issued: UnixSeconds) {
    table.put(KEY, expected, KnownSession { target, issued, class: Class::New });
}

fn found(table: &Table) -> Option<(TargetId, UnixSeconds)> {
    table.lookup(KEY, NOW).map(|held| (held.target, held.issued))
}

/// A session is renewed where it is: every reader finds it all the while.
pub fn a_session_that_is_renewed_is_never_missed() {
    check(3, || {
        let table = begun();
        let writer = Arc::clone(&table);
        let writer = thread::spawn(move || put(&writer, Expected::Target(HERE), HERE, NOW.plus(5)));
        assert_eq!(found(&table).map(|(target, _)| target), Some(HERE));
        writer.join().unwrap();
        assert_eq!(found(&table), Some((HERE, NOW.plus(5))));
    });
}

/// Two responses begin one session at once, on two targets: afterwards all readers agree, and the next writer leaves one.
pub fn two_that_begin_one_session_agree() {
    check(2, || {
        let table = empty();
        let writer = Arc::clone(&table);
        let writer = thread::spawn(move || put(&writer, Expected::Anything, HERE, NOW));
        put(&table, Expected::Anything, THERE, NOW.plus(1));
        writer.join().unwrap();
        let agreed = found(&table);
        assert!(agreed == Some((HERE, NOW)) || agreed == Some((THERE, NOW.plus(1))), "{agreed:?}");
        put(&table, Expected::Anything, THERE, NOW.plus(2));
        assert_eq!(found(&table), Some((THERE, NOW.plus(2))));
        assert_eq!(table.occupied().entries, 1, "the others are emptied");
    });
}

/// One response moves the session to another target, a late one of the first target would renew it there: the move stays.
pub fn a_late_renewal_does_not_undo_a_move() {
    check(2, || {
        let table = begun();
        let writer = Arc::clone(&table);
        let writer = thread::spawn(move || put(&writer, Expected::Exactly(HERE, NOW), THERE, NOW.plus(1)));
        put(&table, Expected::Target(HERE), HERE, NOW);
        writer.join().unwrap();
        assert_eq!(found(&table), Some((THERE, NOW.plus(1))));
        assert_eq!(table.occupied().entries, 1, "nobody has begun a second one");
    });
}

/// A client comes back while its session is renewed: that it has come back is not forgotten.
pub fn who_has_come_back_stays_so() {
    check(2, || {
        let table = begun();
        let writer = Arc::clone(&table);
        let writer = thread::spawn(move || put(&writer, Expected::Target(HERE), HERE, NOW.plus(5)));
        table.put(
            KEY,
            Expected::Target(HERE),
            KnownSession { target: HERE, issued: NOW, class: Class::Returned },
        );
        writer.join().unwrap();
        let held = table.lookup(KEY, NOW).unwrap();
        assert_eq!((held.target, held.class), (HERE, Class::Returned));
    });
}
