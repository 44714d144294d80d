//! Since when has the session with this key been going on? Kept in the session table beside the session, under a key
//! of its own, so that the table stays as it is: what stands for the target there is the start. Only sessions that have a
//! lifetime have such an entry. Must not know: what a key is made of, how long sessions last.
//!
//! The entry is renewed just before that of its session, whenever that is. One that is older than the session's was
//! left behind, by a session that had the key before or by settings that have changed since, and says nothing. So does
//! one that gave way to others: whoever asks has to make do with when the session was last renewed.

use std::{ops::Deref, sync::atomic::AtomicU64};

use super::{
    mix::{halves, mix},
    session_table::{Class, Expected, KnownSession, SessionTable},
};
use crate::{
    clock::{CLOCK_SKEW, UnixSeconds},
    id::TargetId,
};

/// The key of the start of the session with this key. No two keys have the same, and since keys are keyed hashes,
/// none that is met is also the key of a session.
fn start_key(key: u128) -> u128 {
    let (low, high) = halves(key);
    let (low, high) = (mix(low ^ 0x6A09_E667_F3BC_C908), mix(high ^ 0xBB67_AE85_84CA_A73B));
    u128::from(high) << 64 | u128::from(low)
}

/// Notes that the session with this key, which is about to be renewed at `now`, started at `started`. It gives way to
/// others as its session does.
pub(super) fn keep<W: Deref<Target = [AtomicU64]>>(
    table: &SessionTable<W>,
    key: u128,
    started: UnixSeconds,
    now: UnixSeconds,
    class: Class,
) {
    let (key, started) = (start_key(key), TargetId(u64::from(started.0)));
    // Who sees a clock that is behind by a little must not date back what another has noted, and is about to renew.
    let is_noted = |held: &KnownSession| held.target == started && held.issued <= now.plus(CLOCK_SKEW);
    let noted = table.lookup(key, now).filter(is_noted).map_or(now, |held| held.issued.max(now));
    table.put(key, Expected::Anything, KnownSession { target: started, issued: noted, class });
}

/// The session with this key has gone over to another one.
pub(super) fn spend<W: Deref<Target = [AtomicU64]>>(table: &SessionTable<W>, key: u128, now: UnixSeconds) {
    table.spend(start_key(key), now);
}

/// When the session with this key started, which was last renewed at `renewed`; none: not known.
pub(super) fn find<W: Deref<Target = [AtomicU64]>>(
    table: &SessionTable<W>,
    key: u128,
    renewed: UnixSeconds,
    now: UnixSeconds,
) -> Option<UnixSeconds> {
    let KnownSession { target: TargetId(started), issued: kept, .. } = table.lookup(start_key(key), now)?;
    u32::try_from(started).ok().filter(|_| kept >= renewed).map(UnixSeconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn table(words: usize) -> SessionTable<Vec<AtomicU64>> {
        SessionTable::new((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    fn key(n: u64) -> u128 {
        u128::from(mix(n)) << 64 | u128::from(mix(!n))
    }

    #[test]
    fn a_start_stays_while_its_session_is_renewed() {
        let table = table(1024);
        assert_eq!(find(&table, key(1), NOW, NOW), None);
        for later in [0, 10, 500] {
            keep(&table, key(1), NOW, NOW.plus(later), Class::New);
            table.insert(key(1), TargetId(7), NOW.plus(later));
            assert_eq!(find(&table, key(1), NOW.plus(later), NOW.plus(later)), Some(NOW));
        }
        assert_eq!(find(&table, key(2), NOW, NOW), None, "another session");
        assert_eq!(table.found(key(1), NOW), Some((TargetId(7), NOW.plus(500))), "the session is untouched");
        assert_eq!(table.occupied().entries, 2);
    }

    /// Two requests of a session are answered side by side by workers whose clocks differ: each notes the start, and then both
    /// renew the session.
    #[test]
    fn a_start_is_known_whoever_notes_it_last() {
        for (noted, renewed) in [([4, 5], [4, 5]), ([4, 5], [5, 4]), ([5, 4], [4, 5]), ([5, 4], [5, 4])] {
            let table = table(1024);
            for second in noted {
                keep(&table, key(1), NOW, NOW.plus(second), Class::Returned);
            }
            for second in renewed {
                table.insert(key(1), TargetId(7), NOW.plus(second));
            }
            let (_, last) = table.found(key(1), NOW.plus(5)).unwrap();
            assert_eq!(find(&table, key(1), last, NOW.plus(5)), Some(NOW), "{noted:?} {renewed:?}");
        }
    }

    #[test]
    fn a_start_that_was_left_behind_says_nothing() {
        let table = table(1024);
        keep(&table, key(1), NOW, NOW.plus(10), Class::New);
        assert_eq!(find(&table, key(1), NOW.plus(10), NOW.plus(20)), Some(NOW));
        assert_eq!(find(&table, key(1), NOW.plus(11), NOW.plus(20)), None, "the session went on without it");
    }

    #[test]
    fn a_start_gives_way_like_a_session_and_is_then_not_known() {
        let table = table(32);
        keep(&table, key(1), NOW, NOW, Class::New);
        for n in 2..10 {
            table.insert(key(n), TargetId(n), NOW.plus(1));
        }
        assert_eq!(find(&table, key(1), NOW, NOW.plus(1)), None);
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        let table = table(1024);
        table.insert(start_key(key(1)), TargetId(u64::from(u32::MAX) + 1), NOW);
        assert_eq!(find(&table, key(1), NOW, NOW), None);
    }

    proptest! {
        #[test]
        fn keys_of_starts_are_no_sessions_and_differ_as_these_do(one: u128, other: u128) {
            prop_assert_ne!(start_key(one), one);
            prop_assert_ne!(start_key(one), other);
            prop_assert_eq!(start_key(one) == start_key(other), one == other);
        }

        #[test]
        fn starts_and_sessions_stand_side_by_side(
            steps in proptest::collection::vec((0_u64..40, 0_u64..4, 0_u32..100), 1..100),
        ) {
            let table = table(256 * 32);
            let mut model = std::collections::HashMap::new();
            for (now, (n, target, age)) in (NOW.0..).map(UnixSeconds).zip(steps) {
                let started = UnixSeconds(now.0 - age);
                keep(&table, key(n), started, now, Class::New);
                table.insert(key(n), TargetId(target), now);
                model.insert(n, (TargetId(target), now, started));
            }
            for (n, (target, renewed, started)) in model {
                prop_assert_eq!(table.found(key(n), NOW), Some((target, renewed)));
                prop_assert_eq!(find(&table, key(n), renewed, NOW), Some(started));
            }
        }
    }
}
