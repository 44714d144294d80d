//! Which target has the session with this key? A set-associative table in a fixed array of words that several
//! threads of several processes share, read and written with plain atomics. Must not know: what a
//! key is made of, how the words are mapped, what a target is.
//!
//! # Layout
//!
//! A bucket is 8 entries, an entry 4 words; a key can only be in the one bucket that its upper half names.
//!
//! ```text
//! stamp    issued (u32, upper half) | check (u32, lower half)
//! target   the target's id
//! low      lower half of the key, exclusive or `veil_low(target)`
//! high     upper half of the key, exclusive or `veil_high(target)`
//! ```
//!
//! A stamp of 0 is an empty entry, so a zeroed array is an empty table. Otherwise the check is a mix of key,
//! target and time, or `CLAIMED`, which says that a writer is at work since that time.
//!
//! # Writing
//!
//! Renewing a session that stays on its target changes the stamp alone, by one compare-exchange: there is
//! no moment at which a reader misses it. Everything else claims the entry (compare-exchange of the stamp it
//! saw), fills the other words, and publishes (compare-exchange of its claim). A claim that is older than
//! `PATIENCE` belongs to a writer that died: readers pass it over, and it may be taken over. A new session takes an
//! empty entry, or a dead writer's, or one dated in the future by a clock that was set back since, or the stalest
//! of its bucket: memory is bounded, and who was away longest goes first.
//!
//! Two writers that begin one session at the same moment may each take an entry. Of several entries of one key the
//! newest counts, for every reader alike, and the next writer of the key empties the others.
//!
//! # Why no reader ever gets a wrong answer
//!
//! Let a reader look for key *k* and load the four words, each maybe from another write. It accepts only when
//! `low ^ veil_low(target)` and `high ^ veil_high(target)` are the halves of *k*, and the check fits *k*, target and time.
//!
//! 1. While writers keep to the claims, the words of an accepted read are of one write: the reader loads the
//!    stamp first and once more last, and takes the others only between two equal, unclaimed stamps (a seqlock:
//!    the writer's claim comes before its first word, its publication after its last). Equal stamps of
//!    different writes would have the same time and the same check.
//! 2. A writer that sleeps past `PATIENCE` and wakes up beside the one that took its claim over may mix its words
//!    with theirs, and then the entry stays mixed. Say `target` is of write *i*, `low` of *j*, `high` of *l*.
//!    If *j* wrote *k* itself, `low` fits only when the veils of the targets of *i* and *j* are equal, and since
//!    `veil_low` is a bijection, only when the targets are: then `target` is what *j* wrote. The same holds for *l*.
//!    If *j* wrote another key, `low` fits only when two 64-bit halves of keyed hashes differ by exactly what two
//!    veils do: one chance in 2^64. So a target that is accepted is one that *k* was given to. And a stamp of
//!    yet another write passes the check with one chance in 2^32, on top of all that had to happen before.
//!
//! What does not fit reads as absent: a session lost, never a session sent astray.

use std::{
    ops::Deref,
    sync::atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
        fence,
    },
};

use super::decision::CLOCK_SKEW;
use crate::{clock::UnixSeconds, id::TargetId};

/// Words of one entry.
const ENTRY_WORDS: usize = 4;

/// Entries of one bucket: 256 bytes, four cache lines that a processor fetches together.
const BUCKET_ENTRIES: usize = 8;

/// Words of one bucket.
const BUCKET_WORDS: usize = ENTRY_WORDS * BUCKET_ENTRIES;

/// The check of an entry that a writer is at work on.
const CLAIMED: u32 = u32::MAX;

/// Seconds after which a claimed entry is its writer's no more. Writing takes nanoseconds; a writer that was
/// put to sleep in the middle is back within moments, so one that took this long is dead or stopped.
const PATIENCE: u32 = 10;

/// How often a reader looks again at a bucket in which a writer is at work.
const LOOKS: usize = 64;

/// How often a writer starts anew when others are quicker.
const ATTEMPTS: usize = 16;

/// Buckets that [`SessionTable::occupied`] looks at, at most.
const SAMPLED_BUCKETS: usize = 4096;

/// The table over words that somebody else keeps. A table of less than one bucket remembers nothing.
#[derive(Clone, Copy, Debug)]
pub struct SessionTable<W> {
    words: W,
}

/// The finalizer of SplitMix64: a bijection whose every output bit hangs on every input bit.
pub(super) const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

const fn veil_low(target: u64) -> u64 {
    mix(target ^ 0x9E37_79B9_7F4A_7C15)
}

const fn veil_high(target: u64) -> u64 {
    mix(target ^ 0xD1B5_4A32_D192_ED03)
}

/// The halves of a key: lower, upper.
#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
pub(super) const fn halves(key: u128) -> (u64, u64) {
    (key as u64, (key >> 64) as u64)
}

/// Issue time and check in one word; never 0 and never a claim.
fn stamp(key: u128, target: u64, issued: UnixSeconds) -> u64 {
    let (low, high) = halves(key);
    let check =
        (mix(low ^ mix(high ^ mix(target ^ u64::from(issued.0)))) >> 32).clamp(1, u64::from(CLAIMED) - 1);
    (u64::from(issued.0) << 32) | check
}

fn claim(now: UnixSeconds) -> u64 {
    (u64::from(now.0) << 32) | u64::from(CLAIMED)
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits has 32")]
fn issued_of(stamp: u64) -> UnixSeconds {
    UnixSeconds((stamp >> 32) as u32)
}

fn is_claim(stamp: u64) -> bool {
    stamp & u64::from(CLAIMED) == u64::from(CLAIMED)
}

/// Whether this is the claim of a writer that is not coming back: too old, or of a time that is yet to come.
fn is_abandoned(stamp: u64, now: UnixSeconds) -> bool {
    let (claimed, now) = (u64::from(issued_of(stamp).0), u64::from(now.0));
    is_claim(stamp) && (claimed + u64::from(PATIENCE) < now || claimed > now + u64::from(CLOCK_SKEW))
}

/// How early an entry gives way to a new session of its bucket: the lower, the earlier.
fn rank(stamp: u64, now: UnixSeconds) -> u64 {
    let issued = u64::from(issued_of(stamp).0);
    match stamp {
        0 => 0,
        stamp if is_claim(stamp) => 1,
        _ if issued > u64::from(now.0) + u64::from(CLOCK_SKEW) => 2,
        _ => 3 + issued,
    }
}

/// One entry's words.
#[derive(Clone, Copy)]
struct Entry<'t> {
    stamp: &'t AtomicU64,
    target: &'t AtomicU64,
    low: &'t AtomicU64,
    high: &'t AtomicU64,
}

/// What a reader sees of an entry.
enum Seen {
    /// Empty, or another key's.
    Other,
    /// A writer is at work.
    Changing,
    /// The session of the key, with the stamp it was read under.
    Mine { stamp: u64, target: u64 },
}

impl Entry<'_> {
    fn read(&self, key: u128, now: UnixSeconds) -> Seen {
        let before = self.stamp.load(Acquire);
        if before == 0 || is_abandoned(before, now) {
            return Seen::Other;
        }
        if is_claim(before) {
            return Seen::Changing;
        }
        let target = self.target.load(Relaxed);
        let (low, high) = (self.low.load(Relaxed), self.high.load(Relaxed));
        fence(Acquire);
        if self.stamp.load(Relaxed) != before {
            return Seen::Changing;
        }
        let mine = (low ^ veil_low(target), high ^ veil_high(target)) == halves(key)
            && before == stamp(key, target, issued_of(before));
        if mine { Seen::Mine { stamp: before, target } } else { Seen::Other }
    }

    /// Takes the entry, whose stamp was `seen`, and writes the session into it. False: another writer was quicker.
    fn write(&self, seen: u64, key: u128, target: u64, now: UnixSeconds) -> bool {
        let claimed = claim(now);
        if seen == claimed || self.stamp.compare_exchange(seen, claimed, AcqRel, Relaxed).is_err() {
            return false;
        }
        fence(Release);
        let (low, high) = halves(key);
        self.target.store(target, Relaxed);
        self.low.store(low ^ veil_low(target), Relaxed);
        self.high.store(high ^ veil_high(target), Relaxed);
        // Refused when this writer slept so long that another one took the claim over.
        let _ = self.stamp.compare_exchange(claimed, stamp(key, target, now), Release, Relaxed);
        true
    }
}

impl<W: Deref<Target = [AtomicU64]>> SessionTable<W> {
    /// A table over `words`; what they hold is taken for sessions.
    pub fn new(words: W) -> Self {
        Self { words }
    }

    fn bucket(&self, key: u128) -> impl Iterator<Item = Entry<'_>> + Clone {
        let buckets = (self.words.len() / BUCKET_WORDS) as u64;
        let place = halves(key).1.checked_rem(buckets).and_then(|place| usize::try_from(place).ok());
        let start = place.map_or(self.words.len(), |place| place * BUCKET_WORDS);
        Self::entries(self.words.get(start..start.saturating_add(BUCKET_WORDS)).unwrap_or_default())
    }

    fn entries(words: &[AtomicU64]) -> impl Iterator<Item = Entry<'_>> + Clone {
        let (entries, _) = words.as_chunks::<ENTRY_WORDS>();
        entries.iter().map(|[stamp, target, low, high]| Entry { stamp, target, low, high })
    }

    /// The target of the session with this key, and when the session was last renewed.
    pub fn lookup(&self, key: u128, now: UnixSeconds) -> Option<(TargetId, UnixSeconds)> {
        for _ in 0..LOOKS {
            let mut changing = false;
            let mut newest: Option<(UnixSeconds, u64)> = None;
            for entry in self.bucket(key) {
                match entry.read(key, now) {
                    Seen::Mine { stamp, target } => newest = newest.max(Some((issued_of(stamp), target))),
                    Seen::Changing => changing = true,
                    Seen::Other => {}
                }
            }
            if newest.is_some() || !changing {
                return newest.map(|(issued, target)| (TargetId(target), issued));
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Binds the session with this key to `target`, renewed at `now`; replaces what it was bound to, and in a
    /// full bucket the stalest session. When many writers fight for one bucket it may give up: a session lost.
    pub fn insert(&self, key: u128, target: TargetId, now: UnixSeconds) {
        for _ in 0..ATTEMPTS {
            if self.try_insert(key, target.0, now) {
                return;
            }
            std::hint::spin_loop();
        }
    }

    fn try_insert(&self, key: u128, target: u64, now: UnixSeconds) -> bool {
        let mut mine: Option<(UnixSeconds, u64, u64, Entry<'_>)> = None;
        let mut victim: Option<(u64, u64, Entry<'_>)> = None;
        for entry in self.bucket(key) {
            if let Seen::Mine { stamp: seen, target: bound } = entry.read(key, now) {
                let found = (issued_of(seen), bound, seen, entry);
                match &mut mine {
                    None => mine = Some(found),
                    Some(kept) => {
                        let older = if (found.0, found.1) > (kept.0, kept.1) {
                            std::mem::replace(kept, found)
                        } else {
                            found
                        };
                        let _ = older.3.stamp.compare_exchange(older.2, 0, AcqRel, Relaxed);
                    }
                }
                continue;
            }
            let seen = entry.stamp.load(Relaxed);
            if is_claim(seen) && !is_abandoned(seen, now) {
                continue;
            }
            if victim.as_ref().is_none_or(|(best, ..)| rank(seen, now) < *best) {
                victim = Some((rank(seen, now), seen, entry));
            }
        }
        match (mine, victim) {
            (Some((_, bound, seen, entry)), _) if bound == target => {
                let renewed = stamp(key, target, now);
                entry.stamp.compare_exchange(seen, renewed, AcqRel, Relaxed).is_ok()
            }
            (Some((_, _, seen, entry)), _) | (None, Some((_, seen, entry))) => {
                entry.write(seen, key, target, now)
            }
            (None, None) => true,
        }
    }

    /// About how many sessions the table holds, expired ones included: counted over a sample of its buckets.
    /// Not for the request path.
    pub fn occupied(&self) -> u64 {
        let buckets = self.words.len() / BUCKET_WORDS;
        let step = buckets.div_ceil(SAMPLED_BUCKETS).max(1);
        let sampled = self.words.chunks_exact(BUCKET_WORDS).step_by(step);
        let looked_at = sampled.len() as u64;
        let used =
            sampled.flat_map(Self::entries).filter(|entry| entry.stamp.load(Relaxed) != 0).count() as u64;
        (used * buckets as u64).checked_div(looked_at).unwrap_or(0)
    }

    /// How many sessions the table has room for.
    pub fn capacity(&self) -> u64 {
        (self.words.len() / BUCKET_WORDS * BUCKET_ENTRIES) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc, thread};

    use proptest::prelude::*;

    use super::*;

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
        assert_eq!(table.lookup(key(1), NOW), None);
        table.insert(key(1), TargetId(7), NOW);
        assert_eq!(table.lookup(key(1), NOW), Some((TargetId(7), NOW)));
        table.insert(key(1), TargetId(7), NOW.plus(5));
        assert_eq!(table.lookup(key(1), NOW), Some((TargetId(7), NOW.plus(5))));
        table.insert(key(1), TargetId(8), NOW.plus(6));
        assert_eq!(table.lookup(key(1), NOW), Some((TargetId(8), NOW.plus(6))));
        assert_eq!(table.occupied(), 1);
        assert_eq!(SessionTable::new(words(0)).lookup(key(1), NOW), None);
    }

    #[test]
    fn a_full_bucket_gives_up_its_stalest_session() {
        let table = SessionTable::new(words(1));
        for n in 0..8 {
            table.insert(key(n), TargetId(n), NOW.plus(if n == 3 { 0 } else { 10 }));
        }
        table.insert(key(100), TargetId(100), NOW.plus(20));
        assert_eq!(table.lookup(key(3), NOW), None, "the stalest went");
        assert_eq!(table.lookup(key(100), NOW), Some((TargetId(100), NOW.plus(20))));
        assert_eq!((0..8).filter(|n| table.lookup(key(*n), NOW).is_some()).count(), 7);
    }

    #[test]
    fn a_dead_writers_claim_is_taken_over() {
        let table = SessionTable::new(words(1));
        for word in table.words.iter().step_by(ENTRY_WORDS) {
            word.store(claim(NOW), Relaxed);
        }
        table.insert(key(1), TargetId(1), NOW.plus(PATIENCE));
        assert_eq!(table.lookup(key(1), NOW), None, "still its writer's");
        table.insert(key(1), TargetId(1), NOW.plus(PATIENCE + 1));
        assert_eq!(table.lookup(key(1), NOW).map(|(target, _)| target), Some(TargetId(1)));
    }

    #[test]
    fn readers_wait_for_no_writer_that_died() {
        let table = SessionTable::new(words(1));
        let entry = table.bucket(key(1)).next().unwrap();
        entry.stamp.store(claim(NOW), Relaxed);
        assert!(matches!(entry.read(key(1), NOW.plus(PATIENCE)), Seen::Changing));
        assert!(matches!(entry.read(key(1), NOW.plus(PATIENCE + 1)), Seen::Other));
        entry.stamp.store(claim(NOW.plus(1000)), Relaxed);
        assert!(matches!(entry.read(key(1), NOW), Seen::Other), "a claim of the future");
    }

    /// Two entries of one key, as two writers leave them that begin a session at the same moment.
    #[test]
    fn of_two_entries_the_newest_counts_and_the_next_writer_leaves_one() {
        for places in [[1, 5], [5, 1]] {
            let table = SessionTable::new(words(1));
            for (place, (target, later)) in places.into_iter().zip([(7, 0), (8, 3)]) {
                let entry = table.bucket(key(1)).nth(place).unwrap();
                assert!(entry.write(0, key(1), target, NOW.plus(later)));
            }
            assert_eq!(table.lookup(key(1), NOW), Some((TargetId(8), NOW.plus(3))));
            table.insert(key(1), TargetId(9), NOW.plus(4));
            assert_eq!(table.lookup(key(1), NOW), Some((TargetId(9), NOW.plus(4))));
            assert_eq!(table.occupied(), 1);
        }
    }

    #[test]
    fn sessions_dated_in_the_future_give_way_first() {
        let table = SessionTable::new(words(1));
        for n in 0..8 {
            table.insert(key(n), TargetId(n), if n == 5 { NOW.plus(100_000) } else { NOW });
        }
        table.insert(key(100), TargetId(100), NOW);
        assert_eq!(table.lookup(key(5), NOW), None);
        assert_eq!((0..8).filter(|n| table.lookup(key(*n), NOW).is_some()).count(), 7);
    }

    /// Every mixture of the words of two sessions in one entry, as interrupted writers could leave it.
    #[test]
    fn a_torn_entry_reads_as_absent_or_as_one_of_its_writes() {
        let sessions = [(key(1), 7, NOW), (key(2), 9, NOW.plus(1)), (key(1), 9, NOW.plus(2))];
        let written = sessions.map(|(key, target, issued)| {
            let (low, high) = halves(key);
            [stamp(key, target, issued), target, low ^ veil_low(target), high ^ veil_high(target)]
        });
        for mixture in 0..81_usize {
            let table = SessionTable::new(words(1));
            let mut rest = mixture;
            for (place, word) in table.words.iter().take(ENTRY_WORDS).enumerate() {
                word.store(written[rest % 3][place], Relaxed);
                rest /= 3;
            }
            for (key, _, _) in sessions {
                if let Some((target, issued)) = table.lookup(key, NOW) {
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
                            table.insert(key(n), TargetId(n * 2 + (state >> 60) % 2), NOW.plus(round / 1000));
                        } else if let Some((target, issued)) = table.lookup(key(n), NOW) {
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
                prop_assert_eq!(table.lookup(key(*n), NOW), Some(*session));
            }
        }
    }
}
