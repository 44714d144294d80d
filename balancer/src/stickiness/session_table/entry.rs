//! One entry of the session table: its four words, how they are read whole, and how they are written. Must not know:
//! buckets, which entry is for whom.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::super::mix::{halves, mix};
use crate::{
    atomics::{AtomicU64, fence},
    clock::{CLOCK_SKEW, UnixSeconds},
};

/// Words of one entry.
pub(super) const ENTRY_WORDS: usize = 4;

/// The lower half of the stamp of an entry that a writer is at work on.
const CLAIMED: u32 = u32::MAX;

/// Bits of a stamp that the class takes up.
const CLASS_BITS: u32 = 2;

/// Seconds after which a claimed entry is its writer's no more. Writing takes nanoseconds; a writer that was
/// put to sleep in the middle is back within moments, so one that took this long is dead or stopped.
pub(super) const PATIENCE: u32 = 10;

/// Whether the client of a session is known to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Class {
    /// It has not come back with this value.
    #[default]
    New,
    /// It has.
    Returned,
    /// It had come back, and was given another value since, which has taken over what that is worth.
    Spent,
}

pub(super) const fn veil_low(target: u64) -> u64 {
    mix(target ^ 0x9E37_79B9_7F4A_7C15)
}

pub(super) const fn veil_high(target: u64) -> u64 {
    mix(target ^ 0xD1B5_4A32_D192_ED03)
}

/// Issue time, check and class in one word; never 0 and never a claim.
pub(super) fn stamp(key: u128, target: u64, issued: UnixSeconds, class: Class) -> u64 {
    let (low, high) = halves(key);
    let most = (u64::from(CLAIMED) >> CLASS_BITS) - 1;
    let check =
        (mix(low ^ mix(high ^ mix(target ^ u64::from(issued.0)))) >> (32 + CLASS_BITS)).clamp(1, most);
    let class = match class {
        Class::New => 0,
        Class::Returned => 1,
        Class::Spent => 2,
    };
    u64::from(issued.0) << 32 | check << CLASS_BITS | class
}

/// The same stamp with this class.
pub(super) fn with_class(stamp: u64, class: Class) -> u64 {
    (stamp >> CLASS_BITS) << CLASS_BITS
        | match class {
            Class::New => 0,
            Class::Returned => 1,
            Class::Spent => 2,
        }
}

/// The class that a stamp tells. Tables that were written before there were classes tell any.
pub(super) fn class_of(stamp: u64) -> Class {
    match stamp & ((1 << CLASS_BITS) - 1) {
        0 => Class::New,
        1 => Class::Returned,
        _ => Class::Spent,
    }
}

pub(super) fn claim(now: UnixSeconds) -> u64 {
    (u64::from(now.0) << 32) | u64::from(CLAIMED)
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits has 32")]
pub(super) fn issued_of(stamp: u64) -> UnixSeconds {
    UnixSeconds((stamp >> 32) as u32)
}

pub(super) fn is_claim(stamp: u64) -> bool {
    stamp & u64::from(CLAIMED) == u64::from(CLAIMED)
}

/// Whether this is the claim of a writer that is not coming back: too old, or of a time that is yet to come.
pub(super) fn is_abandoned(stamp: u64, now: UnixSeconds) -> bool {
    let (claimed, now) = (u64::from(issued_of(stamp).0), u64::from(now.0));
    is_claim(stamp) && (claimed + u64::from(PATIENCE) < now || claimed > now + u64::from(CLOCK_SKEW))
}

/// One entry's words.
#[derive(Clone, Copy)]
pub(super) struct SessionEntry<'t> {
    pub(super) stamp: &'t AtomicU64,
    pub(super) target: &'t AtomicU64,
    pub(super) low: &'t AtomicU64,
    pub(super) high: &'t AtomicU64,
}

/// What a reader sees of an entry.
#[derive(Debug)]
pub(super) enum EntryRead {
    /// Empty, or another key's.
    Other,
    /// A writer is at work.
    Changing,
    /// The session of the key, with the stamp it was read under.
    Mine { stamp: u64, target: u64 },
}

/// The words of an entry as one writer left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) stamp: u64,
    pub(super) target: u64,
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Whole {
    /// Whether the halves are those of `key`, as who wrote this target veils them.
    pub(super) fn is_of(&self, key: u128) -> bool {
        (self.low ^ veil_low(self.target), self.high ^ veil_high(self.target)) == halves(key)
    }

    /// Whether the stamp is that of `key` on this target.
    fn is_checked(&self, key: u128) -> bool {
        with_class(self.stamp, Class::New) == stamp(key, self.target, issued_of(self.stamp), Class::New)
    }
}

impl SessionEntry<'_> {
    pub(super) fn read(&self, key: u128, now: UnixSeconds) -> EntryRead {
        match self.read_whole(now) {
            Ok(whole) if whole.is_of(key) && whole.is_checked(key) => {
                EntryRead::Mine { stamp: whole.stamp, target: whole.target }
            }
            Ok(_) => EntryRead::Other,
            Err(seen) => seen,
        }
    }

    /// The session of whichever key is there: key, stamp and target.
    pub(super) fn read_any(&self, now: UnixSeconds) -> Option<(u128, u64, u64)> {
        let whole = self.read_whole(now).ok()?;
        let (low, high) = (whole.low ^ veil_low(whole.target), whole.high ^ veil_high(whole.target));
        let key = u128::from(high) << 64 | u128::from(low);
        whole.is_checked(key).then_some((key, whole.stamp, whole.target))
    }

    /// The words between two looks at the stamp that saw the same.
    pub(super) fn read_whole(&self, now: UnixSeconds) -> Result<Whole, EntryRead> {
        let before = self.stamp.load(Acquire);
        if before == 0 || is_abandoned(before, now) {
            return Err(EntryRead::Other);
        }
        if is_claim(before) {
            return Err(EntryRead::Changing);
        }
        let target = self.target.load(Relaxed);
        let (low, high) = (self.low.load(Relaxed), self.high.load(Relaxed));
        fence(Acquire);
        if self.stamp.load(Relaxed) != before {
            return Err(EntryRead::Changing);
        }
        Ok(Whole { stamp: before, target, low, high })
    }

    /// Changes the stamp alone. False: another writer was quicker.
    pub(super) fn restamp(&self, seen: u64, stamp: u64) -> bool {
        self.stamp.compare_exchange(seen, stamp, AcqRel, Relaxed).is_ok()
    }

    /// Takes the entry, whose stamp was `seen`, and writes the session into it. False: another writer was quicker.
    pub(super) fn write(&self, seen: u64, key: u128, target: u64, now: UnixSeconds, class: Class) -> bool {
        let claimed = claim(now);
        if seen == claimed || !self.restamp(seen, claimed) {
            return false;
        }
        fence(Release);
        let (low, high) = halves(key);
        self.target.store(target, Relaxed);
        self.low.store(low ^ veil_low(target), Relaxed);
        self.high.store(high ^ veil_high(target), Relaxed);
        // Refused when this writer slept so long that another one took the claim over.
        let published = stamp(key, target, now, class);
        let _ = self.stamp.compare_exchange(claimed, published, Release, Relaxed);
        true
    }
}
