//! The table alone: layout, fights of writers, and who gives way.

use std::{collections::HashMap, sync::Arc, thread};

use proptest::prelude::*;

use super::{
    super::mix::mix,
    entry::{PATIENCE, claim, veil_high, veil_low},
    *,
};

impl<W: Deref<Target = [AtomicU64]>> SessionTable<W> {
    /// Begins or renews a session, whatever is there.
    pub(in super::super) fn insert(&self, key: u128, target: TargetId, now: UnixSeconds) {
        self.put(key, Expected::Anything, KnownSession { target, issued: now, class: Class::New });
    }

    /// Where the session is, and since when.
    pub(in super::super) fn found(&self, key: u128, now: UnixSeconds) -> Option<(TargetId, UnixSeconds)> {
        self.lookup(key, now).map(|held| (held.target, held.issued))
    }
}

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

fn words(buckets: usize) -> Vec<AtomicU64> {
    (0..buckets * BUCKET_WORDS).map(|_| AtomicU64::new(0)).collect()
}

fn key(n: u64) -> u128 {
    (u128::from(mix(n)) << 64) | u128::from(mix(!n))
}

#[test]
fn what_is_inserted_is_found_renewed_and_moved() {
    let table = SessionTable::new(words(4));
    assert_eq!(table.found(key(1), NOW), None);
    table.insert(key(1), TargetId(7), NOW);
    assert_eq!(table.found(key(1), NOW), Some((TargetId(7), NOW)));
    table.insert(key(1), TargetId(7), NOW.plus(5));
    assert_eq!(table.found(key(1), NOW), Some((TargetId(7), NOW.plus(5))));
    table.insert(key(1), TargetId(8), NOW.plus(6));
    assert_eq!(table.found(key(1), NOW), Some((TargetId(8), NOW.plus(6))));
    assert_eq!(table.occupied(), Occupancy { entries: 1, error: 0 });
    assert_eq!(SessionTable::new(words(0)).found(key(1), NOW), None);
}

#[test]
fn a_full_bucket_gives_up_its_stalest_session() {
    let table = SessionTable::new(words(1));
    for n in 0..8 {
        table.insert(key(n), TargetId(n), NOW.plus(if n == 3 { 0 } else { 10 }));
    }
    table.insert(key(100), TargetId(100), NOW.plus(20));
    assert_eq!(table.found(key(3), NOW), None, "the stalest went");
    assert_eq!(table.found(key(100), NOW), Some((TargetId(100), NOW.plus(20))));
    assert_eq!((0..8).filter(|n| table.found(key(*n), NOW).is_some()).count(), 7);
}

#[test]
fn a_dead_writers_claim_is_taken_over() {
    let table = SessionTable::new(words(1));
    for word in table.words.iter().step_by(ENTRY_WORDS) {
        word.store(claim(NOW), Relaxed);
    }
    table.insert(key(1), TargetId(1), NOW.plus(PATIENCE));
    assert_eq!(table.found(key(1), NOW), None, "still its writer's");
    table.insert(key(1), TargetId(1), NOW.plus(PATIENCE + 1));
    assert_eq!(table.found(key(1), NOW).map(|(target, _)| target), Some(TargetId(1)));
}

#[test]
fn readers_wait_for_no_writer_that_died() {
    let table = SessionTable::new(words(1));
    let entry = table.bucket(key(1)).next().unwrap();
    entry.stamp.store(claim(NOW), Relaxed);
    assert!(matches!(entry.read(key(1), NOW.plus(PATIENCE)), EntryRead::Changing));
    assert!(matches!(entry.read(key(1), NOW.plus(PATIENCE + 1)), EntryRead::Other));
    entry.stamp.store(claim(NOW.plus(1000)), Relaxed);
    assert!(matches!(entry.read(key(1), NOW), EntryRead::Other), "a claim of the future");
}

/// Two entries of one key, as two writers leave them that begin a session at the same moment.
#[test]
fn of_two_entries_the_newest_counts_and_the_next_writer_leaves_one() {
    for indices in [[1, 5], [5, 1]] {
        let table = SessionTable::new(words(1));
        for (index, (target, later)) in indices.into_iter().zip([(7, 0), (8, 3)]) {
            let entry = table.bucket(key(1)).nth(index).unwrap();
            assert!(entry.write(0, key(1), target, NOW.plus(later), Class::New));
        }
        assert_eq!(table.found(key(1), NOW), Some((TargetId(8), NOW.plus(3))));
        table.insert(key(1), TargetId(9), NOW.plus(4));
        assert_eq!(table.found(key(1), NOW), Some((TargetId(9), NOW.plus(4))));
        assert_eq!(table.occupied(), Occupancy { entries: 1, error: 0 });
    }
}

#[test]
fn sessions_dated_in_the_future_give_way_first() {
    let table = SessionTable::new(words(1));
    for n in 0..8 {
        table.insert(key(n), TargetId(n), if n == 5 { NOW.plus(100_000) } else { NOW });
    }
    table.insert(key(100), TargetId(100), NOW);
    assert_eq!(table.found(key(5), NOW), None);
    assert_eq!((0..8).filter(|n| table.found(key(*n), NOW).is_some()).count(), 7);
}

/// Every mixture of the words of two sessions in one entry, as interrupted writers could leave it.
#[test]
fn a_torn_entry_reads_as_absent_or_as_one_of_its_writes() {
    let sessions = [(key(1), 7, NOW), (key(2), 9, NOW.plus(1)), (key(1), 9, NOW.plus(2))];
    let written = sessions.map(|(key, target, issued)| {
        let (low, high) = halves(key);
        [stamp(key, target, issued, Class::New), target, low ^ veil_low(target), high ^ veil_high(target)]
    });
    for mixture in 0..81_usize {
        let table = SessionTable::new(words(1));
        let mut rest = mixture;
        for (index, word) in table.words.iter().take(ENTRY_WORDS).enumerate() {
            word.store(written[rest % 3][index], Relaxed);
            rest /= 3;
        }
        for (key, _, _) in sessions {
            if let Some((target, issued)) = table.found(key, NOW) {
                assert!(sessions.contains(&(key, target.0, issued)), "mixture {mixture}");
            }
        }
    }
}

#[test]
fn many_writers_over_few_buckets_never_make_a_reader_see_another_target() {
    let table = Arc::new(SessionTable::new(words(2)));
    let threads: Vec<_> = (0..4_u64)
        .map(|seed| {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let mut state = seed + 1;
                for round in 0..200_000_u32 {
                    state = mix(state.wrapping_add(0x9E37_79B9_7F4A_7C15));
                    let n = state % 40;
                    if state & (1 << 50) == 0 {
                        let target = TargetId(n * 2 + (state >> 60) % 2);
                        let class = [Class::New, Class::Returned][(state >> 40) as usize % 2];
                        let to = KnownSession { target, issued: NOW.plus(round / 1000), class };
                        table.put(key(n), Expected::Anything, to);
                    } else if state & (1 << 51) == 0 {
                        table.spend(key(n), NOW);
                    } else if let Some((target, issued)) = table.found(key(n), NOW) {
                        assert_eq!(target.0 / 2, n, "a session led astray");
                        assert!(issued >= NOW && issued <= NOW.plus(200));
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn put(table: &SessionTable<Vec<AtomicU64>>, n: u64, class: Class, later: u32) {
    table.put(
        key(n),
        Expected::Anything,
        KnownSession { target: TargetId(n), issued: NOW.plus(later), class },
    );
}

#[test]
fn a_flood_of_new_sessions_replaces_itself() {
    let counters = Arc::new(WorkerCounters::default());
    let table = SessionTable::new(words(1)).counting(Arc::clone(&counters));
    for n in 0..7 {
        put(&table, n, Class::New, 0);
        put(&table, n, Class::Returned, 0);
    }
    for n in 100..200 {
        put(&table, n, Class::New, 50);
        assert_eq!(table.found(key(n), NOW), Some((TargetId(n), NOW.plus(50))), "the newest has its place");
    }
    assert_eq!((0..7).filter(|n| table.found(key(*n), NOW).is_some()).count(), 7);
    let evicted = || Evicted::ALL.map(|kind| counters.session_table.evicted.of(kind));
    assert_eq!(evicted(), [99, 0, 0]);
    // All eight have come back: the stalest makes room for somebody new, once.
    put(&table, 199, Class::Returned, 60);
    put(&table, 3, Class::Returned, 60);
    for n in [0, 1, 2, 4, 5] {
        put(&table, n, Class::Returned, 60);
    }
    for n in 300..400 {
        put(&table, n, Class::New, 70);
    }
    assert_eq!(table.found(key(6), NOW), None);
    assert_eq!((0..6).filter(|n| table.found(key(*n), NOW).is_some()).count(), 6);
    assert_eq!(evicted(), [198, 1, 0]);
    // One that comes back replaces the new one, too.
    put(&table, 500, Class::Returned, 80);
    assert_eq!((table.found(key(399), NOW), evicted()), (None, [199, 1, 0]));
}

#[test]
fn what_no_group_counts_any_more_gives_way_whoever_came_back() {
    let counters = Arc::new(WorkerCounters::default());
    let table = SessionTable::new(words(1)).counting(Arc::clone(&counters));
    table.count_for(100, NOW);
    for n in 0..8 {
        put(&table, n, if n == 3 { Class::Returned } else { Class::New }, if n == 3 { 0 } else { 90 });
    }
    put(&table, 100, Class::New, 100);
    assert!(table.found(key(3), NOW).is_some(), "as old as it may be");
    put(&table, 101, Class::New, 101);
    assert_eq!(table.found(key(3), NOW), None);
    assert_eq!(Evicted::ALL.map(|kind| counters.session_table.evicted.of(kind)), [1, 0, 1]);
}

#[test]
fn who_came_back_is_known_until_the_value_is_spent() {
    let table = SessionTable::new(words(1));
    let class = |n| table.lookup(key(n), NOW).map(|held| held.class);
    put(&table, 1, Class::New, 0);
    assert_eq!(class(1), Some(Class::New));
    put(&table, 1, Class::Returned, 1);
    put(&table, 1, Class::New, 2);
    assert_eq!(class(1), Some(Class::Returned), "and stays so");
    table.insert(key(1), TargetId(9), NOW.plus(3));
    assert_eq!(class(1), Some(Class::Returned), "on another target, too");
    table.spend(key(1), NOW);
    assert_eq!((class(1), table.found(key(1), NOW)), (Some(Class::Spent), Some((TargetId(9), NOW.plus(3)))));
    for n in 2..9 {
        put(&table, n, Class::New, 4);
    }
    put(&table, 10, Class::New, 5);
    assert_eq!(class(1), None, "a spent one gives way like a new one, by age");
}

#[test]
fn a_writer_replaces_what_it_expects_and_nothing_else() {
    let table = SessionTable::new(words(1));
    let to =
        |target, later| KnownSession { target: TargetId(target), issued: NOW.plus(later), class: Class::New };
    table.put(key(1), Expected::Target(TargetId(7)), to(7, 0));
    assert_eq!(table.found(key(1), NOW), Some((TargetId(7), NOW)), "nothing is there");
    table.put(key(1), Expected::Target(TargetId(8)), to(9, 1));
    table.put(key(1), Expected::Exactly(TargetId(7), NOW.plus(1)), to(9, 1));
    assert_eq!(table.found(key(1), NOW), Some((TargetId(7), NOW)));
    table.put(key(1), Expected::Target(TargetId(7)), to(8, 2));
    table.put(key(1), Expected::Exactly(TargetId(8), NOW.plus(2)), to(9, 3));
    assert_eq!(table.found(key(1), NOW), Some((TargetId(9), NOW.plus(3))));
}

/// Whoever moves the session first wins: all others expected it where it was.
#[test]
fn of_many_writers_that_expect_the_same_one_moves_the_session() {
    let table = Arc::new(SessionTable::new(words(1)));
    for round in 0..2_000_u64 {
        table.insert(key(1), TargetId(0), NOW);
        let start = Arc::new(std::sync::Barrier::new(3));
        let threads: Vec<_> = (1..=3_u64)
            .map(|target| {
                let (table, start) = (Arc::clone(&table), Arc::clone(&start));
                thread::spawn(move || {
                    let to = KnownSession {
                        target: TargetId(target),
                        issued: NOW.plus(1),
                        class: Class::Returned,
                    };
                    start.wait();
                    table.put(key(1), Expected::Target(TargetId(0)), to);
                    table.found(key(1), NOW).map(|(target, _)| target)
                })
            })
            .collect();
        let seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let last = table.found(key(1), NOW).map(|(target, _)| target);
        // A reader that met a writer asleep for long has seen nothing.
        let agree = seen.iter().flatten().all(|seen| Some(*seen) == last);
        assert!(last.is_some_and(|last| last != TargetId(0)) && agree, "{round}: {seen:?}");
    }
}

/// Entries as versions without classes wrote them: a check of 32 bits.
#[test]
fn entries_of_before_there_were_classes_are_read() {
    for n in 0..100 {
        let table = SessionTable::new(words(1));
        let (low, high) = halves(key(n));
        let check = mix(low ^ mix(high ^ mix(n ^ u64::from(NOW.0)))) >> 32;
        let entry = table.bucket(key(n)).nth(5).unwrap();
        let written = [u64::from(NOW.0) << 32 | check, n, low ^ veil_low(n), high ^ veil_high(n)];
        for (word, value) in [entry.stamp, entry.target, entry.low, entry.high].into_iter().zip(written) {
            word.store(value, Relaxed);
        }
        assert_eq!(table.found(key(n), NOW), Some((TargetId(n), NOW)), "{n}");
        put(&table, n, Class::Returned, 1);
        assert_eq!(table.lookup(key(n), NOW).map(|held| held.class), Some(Class::Returned));
    }
}

#[test]
fn a_table_of_the_default_size_is_counted_and_a_larger_one_judged_with_its_error() {
    let table = SessionTable::new(words(COUNTED_BUCKETS));
    for n in 0..10 {
        table.insert(key(n), TargetId(n), NOW);
    }
    assert_eq!(table.occupied(), Occupancy { entries: 10, error: 0 });
    let table = SessionTable::new(words(COUNTED_BUCKETS * 2));
    for held in [0_u64, 10, 1_000, 40_000] {
        (0..held).for_each(|n| table.insert(key(n), TargetId(n), NOW));
        let Occupancy { entries, error } = table.occupied();
        assert!(entries.abs_diff(held) <= error, "{entries} give or take {error}, of {held}");
        assert!(error >= 6 && error < 6 + held / 10 + 20, "{error} of {held}");
    }
}

proptest! {
    #[test]
    fn behaves_like_a_map_while_there_is_room(
        steps in proptest::collection::vec((0_u64..50, 0_u64..4, 0_u32..100), 1..200),
    ) {
        let table = SessionTable::new(words(256));
        let mut model = HashMap::new();
        for (n, target, later) in steps {
            table.insert(key(n), TargetId(target), NOW.plus(later));
            model.insert(n, (TargetId(target), NOW.plus(later)));
        }
        for (n, session) in &model {
            prop_assert_eq!(table.found(key(*n), NOW), Some(*session));
        }
    }
}
