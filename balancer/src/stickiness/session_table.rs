//! Which target has the session with this key? A set-associative table in a fixed array of words that several
//! threads of several processes share, read and written with plain atomics. Must not know: what a
//! key is made of, how the words are mapped, what a target is.
//!
//! # Layout
//!
//! A bucket is 8 entries, an entry 4 words; a key can only be in the one bucket that its upper half names.
//!
//! ```text
//! stamp    issued (u32, upper half) | check (30 bits) | class (2 bits)
//! target   the target's id
//! low      lower half of the key, exclusive or `veil_low(target)`
//! high     upper half of the key, exclusive or `veil_high(target)`
//! ```
//!
//! A stamp of 0 is an empty entry, so a zeroed array is an empty table. A lower half of nothing but ones says that a
//! writer is at work since that time. Otherwise the check is a mix of key, target and time, and the class says whether
//! the client has come back. (Before there were classes the check had 32 bits, of which the upper 30 are the same: such
//! entries are read as they are, with classes as it happens.)
//!
//! # Writing
//!
//! Renewing a session that stays on its target, or telling that its client has come back, changes the stamp alone, by one
//! compare-exchange: there is no moment at which a reader misses it. Everything else claims the entry
//! (compare-exchange of the stamp it saw), fills the other words, and publishes (compare-exchange of its claim). A claim
//! that is older than `PATIENCE` belongs to a writer that died: readers pass it over, and it may be taken over.
//!
//! A writer may say what it expects to replace. Since a stamp stands for one key, target and time, its compare-exchange of
//! the stamp under which it saw that is the comparison: what another writer has done meanwhile is left as it is.
//!
//! Two writers that begin one session at the same moment may each take an entry. Of several entries of one key the
//! newest counts, for every reader alike, and the next writer of the key empties the others.
//!
//! # Who gives way
//!
//! A new session takes an empty entry, or a dead writer's, or one dated in the future by a clock that was set back since, or
//! one that no group counts any more. Failing that it replaces the stalest session whose client has not come back yet. So
//! who asks for session after session and never comes back pushes out others of the kind, and one entry of a bucket at
//! most: only where all eight have come back does the stalest of these give way, that somebody new can begin at all.
//!
//! # Why no reader ever gets a wrong answer
//!
//! Let a reader look for key *k* and load the four words, each maybe from another write. It accepts only when
//! `low ^ veil_low(target)` and `high ^ veil_high(target)` are the halves of *k*, and the check fits *k*, target and time.
//!
//! 1. While writers keep to the claims, the words of an accepted read are of one write: the reader loads the
//!    stamp first and once more last, and takes the others only between two equal, unclaimed stamps (a seqlock:
//!    the writer's claim comes before its first word, its publication after its last). Equal stamps of
//!    different writes would have the same time and the same check. That the class may change in between and change back
//!    does no harm: such a change leaves the other words alone.
//! 2. A writer that sleeps past `PATIENCE` and wakes up beside the one that took its claim over may mix its words
//!    with theirs, and then the entry stays mixed. Say `target` is of write *i*, `low` of *j*, `high` of *l*.
//!    If *j* wrote *k* itself, `low` fits only when the veils of the targets of *i* and *j* are equal, and since
//!    `veil_low` is a bijection, only when the targets are: then `target` is what *j* wrote. The same holds for *l*.
//!    If *j* wrote another key, `low` fits only when two 64-bit halves of keyed hashes differ by exactly what two
//!    veils do: one chance in 2^64. So a target that is accepted is one that *k* was given to. And a stamp of
//!    yet another write passes the check with one chance in 2^30, on top of all that had to happen before.
//!
//! What does not fit reads as absent: a session lost, never a session sent astray. The class decides on nothing but who
//! gives way first.

mod entry;

use std::{ops::Deref, sync::Arc, sync::atomic::Ordering::Relaxed};

pub(super) use self::entry::Class;
use self::entry::{
    ENTRY_WORDS, EntryRead, SessionEntry, class_of, is_abandoned, is_claim, issued_of, stamp, with_class,
};
use super::mix::halves;
use crate::{
    atomics::{AtomicU32, AtomicU64, spin_loop},
    clock::{CLOCK_SKEW, UnixSeconds},
    counters::{Evicted, WorkerCounters},
    id::TargetId,
};

/// Entries of one bucket: 256 bytes, four cache lines that a processor fetches together.
const BUCKET_ENTRIES: usize = 8;

/// Words of one bucket.
const BUCKET_WORDS: usize = ENTRY_WORDS * BUCKET_ENTRIES;

/// How often a reader looks again at a bucket in which a writer is at work.
const LOOKS: usize = 64;

/// How often a writer starts anew when others are quicker.
const ATTEMPTS: usize = 16;

/// Buckets up to which [`SessionTable::occupied`] looks at all, which takes some milliseconds: those of the default size.
const COUNTED_BUCKETS: usize = 131_072;

/// The table over words that somebody else keeps. A table of less than one bucket remembers nothing.
#[derive(Debug)]
pub struct SessionTable<W> {
    words: W,
    /// Seconds after which no group counts a session.
    longest: AtomicU32,
    /// When this process began to use the table; 0: not told.
    started: AtomicU32,
    counters: Option<Arc<WorkerCounters>>,
}

/// What the table knows of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownSession {
    pub(super) target: TargetId,
    /// When it was last renewed.
    pub(super) issued: UnixSeconds,
    pub(super) class: Class,
}

/// What a writer expects of the session that it is going to replace. A session that is not there any more is no reason
/// against it: it gave way to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Anything,
    /// That it is on this target.
    Target(TargetId),
    /// That it is on this target and was last renewed then.
    Exactly(TargetId, UnixSeconds),
}

impl Expected {
    pub(super) fn admits(self, held: &KnownSession) -> bool {
        match self {
            Self::Anything => true,
            Self::Target(target) => held.target == target,
            Self::Exactly(target, issued) => (held.target, held.issued) == (target, issued),
        }
    }
}

/// How many entries are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// So many.
    pub entries: u64,
    /// Give or take so many, in 19 cases of 20; 0: they were all counted.
    pub error: u64,
}

/// An entry as a writer saw it.
struct SeenEntry<'t> {
    entry: SessionEntry<'t>,
    stamp: u64,
    target: u64,
}

impl SeenEntry<'_> {
    fn held(&self) -> KnownSession {
        KnownSession {
            target: TargetId(self.target),
            issued: issued_of(self.stamp),
            class: class_of(self.stamp),
        }
    }

    /// Of two entries of one key the newer counts.
    fn age(&self) -> (UnixSeconds, u64) {
        (issued_of(self.stamp), self.target)
    }
}

/// What a writer finds in the bucket of a key.
#[derive(Default)]
struct BucketScan<'t> {
    mine: Option<SeenEntry<'t>>,
    /// The entry that gives way first, with the stamp that it was seen under.
    room: Option<(Rank, u64, SessionEntry<'t>)>,
    /// Whether another writer is at work.
    changing: bool,
}

impl<'t> BucketScan<'t> {
    /// Of several entries of the key the newest stays.
    fn take_mine(&mut self, found: SeenEntry<'t>) {
        match &mut self.mine {
            None => self.mine = Some(found),
            Some(kept) => {
                let older = if found.age() > kept.age() { std::mem::replace(kept, found) } else { found };
                older.entry.restamp(older.stamp, 0);
            }
        }
    }
}

impl<W: Deref<Target = [AtomicU64]>> SessionTable<W> {
    /// A table over `words`; what they hold is taken for sessions.
    pub fn new(words: W) -> Self {
        Self { words, longest: AtomicU32::new(u32::MAX), started: AtomicU32::new(0), counters: None }
    }

    /// The same, counting in `counters` what gives way. For their one writer.
    #[must_use]
    pub fn counting(self, counters: Arc<WorkerCounters>) -> Self {
        Self { counters: Some(counters), ..self }
    }

    /// From `now` on no group counts a session that was last renewed more than so many seconds ago.
    pub fn count_for(&self, longest: u32, now: UnixSeconds) {
        self.longest.store(longest, Relaxed);
        let _ = self.started.compare_exchange(0, now.0, Relaxed, Relaxed);
    }

    /// Whether a session that was last renewed then may have been so by a process before this one.
    pub(super) fn is_inherited(&self, issued: UnixSeconds) -> bool {
        issued.0 <= self.started.load(Relaxed)
    }

    fn bucket(&self, key: u128) -> impl Iterator<Item = SessionEntry<'_>> + Clone {
        let buckets = (self.words.len() / BUCKET_WORDS) as u64;
        let index = halves(key).1.checked_rem(buckets).and_then(|index| usize::try_from(index).ok());
        let start = index.map_or(self.words.len(), |index| index * BUCKET_WORDS);
        Self::entries(self.words.get(start..start.saturating_add(BUCKET_WORDS)).unwrap_or_default())
    }

    fn entries(words: &[AtomicU64]) -> impl Iterator<Item = SessionEntry<'_>> + Clone {
        let (entries, _) = words.as_chunks::<ENTRY_WORDS>();
        entries.iter().map(|[stamp, target, low, high]| SessionEntry { stamp, target, low, high })
    }

    /// What is known of the session with this key.
    pub(super) fn lookup(&self, key: u128, now: UnixSeconds) -> Option<KnownSession> {
        for _ in 0..LOOKS {
            let mut changing = false;
            let mut newest: Option<SeenEntry<'_>> = None;
            for entry in self.bucket(key) {
                match entry.read(key, now) {
                    EntryRead::Mine { stamp, target } => {
                        let found = SeenEntry { entry, stamp, target };
                        if newest.as_ref().is_none_or(|newest| found.age() > newest.age()) {
                            newest = Some(found);
                        }
                    }
                    EntryRead::Changing => changing = true,
                    EntryRead::Other => {}
                }
            }
            if newest.is_some() || !changing {
                return newest.map(|found| found.held());
            }
            spin_loop();
        }
        None
    }

    /// Binds the session with this key as `to` says, unless it is there and not as `expected`. A session that is known to
    /// be returned stays so when `to` is a new one. When many writers fight for one bucket it may give up: a session lost,
    /// or renewed by a later response.
    pub(super) fn put(&self, key: u128, expected: Expected, to: KnownSession) {
        for _ in 0..ATTEMPTS {
            if self.try_put(key, expected, to) {
                return;
            }
            spin_loop();
        }
    }

    /// The client of the session with this key has been given another value, which is known to be returned in its place.
    pub(super) fn spend(&self, key: u128, now: UnixSeconds) {
        for entry in self.bucket(key) {
            if let EntryRead::Mine { stamp, .. } = entry.read(key, now) {
                // Whoever is quicker has renewed it: it counts until it is stale.
                entry.restamp(stamp, with_class(stamp, Class::Spent));
            }
        }
    }

    fn try_put(&self, key: u128, expected: Expected, to: KnownSession) -> bool {
        let (now, target) = (to.issued, to.target.0);
        let BucketScan { mine, room, changing } = self.scan(key, now);
        let Some(mine) = mine else {
            if changing && expected != Expected::Anything {
                // Maybe the session itself, on its way elsewhere: a second one beside it might win.
                return false;
            }
            let Some((rank, seen, entry)) = room else { return true };
            let written = entry.write(seen, key, target, now, to.class);
            if written {
                self.count(rank.evicted());
            }
            return written;
        };
        if !expected.admits(&mine.held()) {
            return true;
        }
        let class = if to.class == Class::New { mine.held().class } else { to.class };
        if mine.target == target {
            mine.entry.restamp(mine.stamp, stamp(key, target, now, class))
        } else {
            mine.entry.write(mine.stamp, key, target, now, class)
        }
    }

    /// The entry of the key, others of it emptied, and that which gives way first to a new one.
    fn scan(&self, key: u128, now: UnixSeconds) -> BucketScan<'_> {
        let longest = self.longest.load(Relaxed);
        let mut scan = BucketScan::default();
        for entry in self.bucket(key) {
            match entry.read(key, now) {
                EntryRead::Mine { stamp, target } => {
                    scan.take_mine(SeenEntry { entry, stamp, target });
                    continue;
                }
                EntryRead::Changing => scan.changing = true,
                EntryRead::Other => {}
            }
            let seen = entry.stamp.load(Relaxed);
            if is_claim(seen) && !is_abandoned(seen, now) {
                continue;
            }
            let rank = Rank::of(seen, longest, now);
            if scan.room.as_ref().is_none_or(|(first, ..)| rank < *first) {
                scan.room = Some((rank, seen, entry));
            }
        }
        scan
    }

    /// A session began, and this gave way to it.
    fn count(&self, evicted: Option<Evicted>) {
        let Some(all) = &self.counters else { return };
        match evicted {
            None => all.sessions_begun.inc(),
            Some(evicted) => all.session_table.evicted.count(evicted),
        }
    }

    /// The sessions of so many buckets from the one of number `from` on, with their keys; none: there are no such buckets.
    pub(super) fn page(
        &self,
        from: usize,
        buckets: usize,
        now: UnixSeconds,
    ) -> Option<Vec<(u128, KnownSession)>> {
        let start = from.checked_mul(BUCKET_WORDS).filter(|start| *start < self.words.len())?;
        let end = start.saturating_add(buckets.saturating_mul(BUCKET_WORDS)).min(self.words.len());
        let entries = Self::entries(self.words.get(start..end)?);
        Some(
            entries
                .filter_map(|entry| {
                    let (key, stamp, target) = entry.read_any(now)?;
                    Some((key, SeenEntry { entry, stamp, target }.held()))
                })
                .collect(),
        )
    }

    /// How many entries are in use, expired ones included. A table beyond the default size is not counted but judged by
    /// as many of its buckets, spread over it. Not for the request path.
    pub fn occupied(&self) -> Occupancy {
        let buckets = self.words.len() / BUCKET_WORDS;
        let step = buckets.div_ceil(COUNTED_BUCKETS).max(1);
        let (mut looked_at, mut used) = (0_u64, 0_u64);
        // A million entries: loops that are quick without an optimiser, too.
        for bucket in self.words.chunks_exact(BUCKET_WORDS).step_by(step) {
            looked_at += 1;
            let (entries, _) = bucket.as_chunks::<ENTRY_WORDS>();
            for [stamp, ..] in entries {
                used += u64::from(stamp.load(Relaxed) != 0);
            }
        }
        let entries = (used * buckets as u64).checked_div(looked_at).unwrap_or(0);
        // Keys are keyed hashes, so entries are spread as by chance: twice the standard deviation of a count of so many,
        // and at least what may be there when none was seen (the rule of three).
        let deviation = if step == 1 { 0 } else { (2 * used.isqrt() + 3) * step as u64 };
        Occupancy { entries, error: deviation }
    }

    /// How many sessions the table has room for.
    pub fn capacity(&self) -> u64 {
        (self.words.len() / BUCKET_WORDS * BUCKET_ENTRIES) as u64
    }
}

/// How early an entry gives way to a new session of its bucket, and within that the stalest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Empty,
    Abandoned,
    OfTheFuture,
    Expired(UnixSeconds),
    New(UnixSeconds),
    Returned(UnixSeconds),
}

impl Rank {
    fn of(stamp: u64, longest: u32, now: UnixSeconds) -> Self {
        let issued = issued_of(stamp);
        match (stamp, class_of(stamp)) {
            (0, _) => Self::Empty,
            (stamp, _) if is_claim(stamp) => Self::Abandoned,
            _ if issued > now.plus(CLOCK_SKEW) => Self::OfTheFuture,
            _ if now.since(issued) > longest => Self::Expired(issued),
            (_, Class::Returned) => Self::Returned(issued),
            (_, Class::New | Class::Spent) => Self::New(issued),
        }
    }

    /// What is lost with such an entry.
    const fn evicted(self) -> Option<Evicted> {
        match self {
            Self::Empty | Self::Abandoned | Self::OfTheFuture => None,
            Self::Expired(_) => Some(Evicted::Expired),
            Self::New(_) => Some(Evicted::New),
            Self::Returned(_) => Some(Evicted::Returned),
        }
    }
}

#[cfg(test)]
mod tests;
