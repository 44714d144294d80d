//! One entry under readers and writers: numbers one and two of the proof that stands in the head of `session_table`.

use std::sync::Arc;

use loom::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

use super::entry::{Class, EntryRead, PATIENCE, SessionEntry, Whole, stamp, veil_high, veil_low};
use crate::{check, clock::UnixSeconds};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// Two sessions that have nothing in common.
const ONE: (u128, u64) = (0x1111_2222_3333_4444_5555_6666_7777_8888, 0xA1A1_A1A1_A1A1_A1A1);
const OTHER: (u128, u64) = (0x9999_AAAA_BBBB_CCCC_DDDD_EEEE_0000_1212, 0xB2B2_B2B2_B2B2_B2B2);

#[derive(Default)]
struct Words([AtomicU64; 4]);

impl Words {
    fn entry(&self) -> SessionEntry<'_> {
        let [stamp, target, low, high] = &self.0;
        SessionEntry { stamp, target, low, high }
    }

    fn of((key, target): (u128, u64)) -> Arc<Self> {
        let words = Arc::new(Self::default());
        assert!(words.entry().write(0, key, target, NOW, Class::Returned));
        words
    }

    /// The target that a reader is given; none is a session lost, which is allowed.
    fn target(&self, key: u128, now: UnixSeconds) -> Option<u64> {
        match self.entry().read(key, now) {
            EntryRead::Mine { target, .. } => Some(target),
            EntryRead::Other | EntryRead::Changing => None,
        }
    }
}

fn seen(session: (u128, u64)) -> u64 {
    stamp(session.0, session.1, NOW, Class::Returned)
}

/// What a writer leaves.
fn whole((key, target): (u128, u64), class: Class) -> Whole {
    let halves = super::super::mix::halves(key);
    Whole {
        stamp: stamp(key, target, NOW, class),
        target,
        low: halves.0 ^ veil_low(target),
        high: halves.1 ^ veil_high(target),
    }
}

/// Number one: what is read between two equal stamps is of one write, whatever the check and the veils would say of it.
pub fn words_between_two_equal_stamps_are_of_one_write() {
    check(3, || {
        let words = Words::of(ONE);
        let writer = Arc::clone(&words);
        let writer =
            thread::spawn(move || writer.entry().write(seen(ONE), OTHER.0, OTHER.1, NOW, Class::New));
        if let Ok(read) = words.entry().read_whole(NOW) {
            let written = [whole(ONE, Class::Returned), whole(OTHER, Class::New)];
            assert!(written.contains(&read), "{read:x?}");
        }
        assert!(writer.join().unwrap());
        assert_eq!(words.entry().read_whole(NOW).unwrap(), whole(OTHER, Class::New));
    });
}

/// Number two: where words are mixed for good, the veils alone tell that they are nobody's, whatever the stamp says.
pub fn mixed_words_are_nobodys() {
    check(3, || {
        let words = Arc::new(Words::default());
        let late = NOW.plus(PATIENCE + 1);
        let sleeper = Arc::clone(&words);
        let sleeper = thread::spawn(move || sleeper.entry().write(0, ONE.0, ONE.1, NOW, Class::New));
        let seen = words.entry().stamp.load(Relaxed);
        words.entry().write(seen, OTHER.0, OTHER.1, late, Class::New);
        sleeper.join().unwrap();
        let [stamp, target, low, high] = words.0.each_ref().map(|word| word.load(Relaxed));
        let left = Whole { stamp, target, low, high };
        for (key, target) in [ONE, OTHER] {
            assert!(!left.is_of(key) || left.target == target, "{left:x?}");
        }
    });
}

/// A writer replaces one session by another: a reader of either sees the target of its own, or none.
pub fn a_session_is_never_read_half() {
    check(3, || {
        let words = Words::of(ONE);
        let writer = Arc::clone(&words);
        let writer =
            thread::spawn(move || writer.entry().write(seen(ONE), OTHER.0, OTHER.1, NOW, Class::New));
        let of_one = words.target(ONE.0, NOW);
        assert!(of_one.is_none_or(|target| target == ONE.1), "{of_one:x?}");
        let of_other = words.target(OTHER.0, NOW);
        assert!(of_other.is_none_or(|target| target == OTHER.1), "{of_other:x?}");
        assert!(writer.join().unwrap());
        assert_eq!(words.target(OTHER.0, NOW), Some(OTHER.1), "what was written is there");
        assert_eq!(words.target(ONE.0, NOW), None);
    });
}

/// The session of one key goes to another target: a reader is given one of the two, and never the first again after the
/// second.
pub fn a_session_that_moves_is_on_one_of_two_targets() {
    check(3, || {
        let words = Words::of(ONE);
        let writer = Arc::clone(&words);
        let writer = thread::spawn(move || {
            writer.entry().write(seen(ONE), ONE.0, OTHER.1, NOW.plus(1), Class::Returned)
        });
        let (first, second) = (words.target(ONE.0, NOW), words.target(ONE.0, NOW));
        for target in [first, second].into_iter().flatten() {
            assert!(target == ONE.1 || target == OTHER.1, "{target:x}");
        }
        assert!(first != Some(OTHER.1) || second == first, "{first:x?}, then {second:x?}");
        assert!(writer.join().unwrap());
        assert_eq!(words.target(ONE.0, NOW), Some(OTHER.1));
    });
}

/// Renewing changes the stamp alone: there is no moment at which a reader that looks again misses the session.
pub fn a_renewal_hides_nothing() {
    check(3, || {
        let words = Words::of(ONE);
        let writer = Arc::clone(&words);
        let writer = thread::spawn(move || {
            writer.entry().restamp(seen(ONE), stamp(ONE.0, ONE.1, NOW.plus(9), Class::Returned))
        });
        let read = match words.entry().read(ONE.0, NOW) {
            EntryRead::Changing => words.entry().read(ONE.0, NOW),
            read => read,
        };
        assert!(matches!(read, EntryRead::Mine { target, .. } if target == ONE.1));
        assert!(writer.join().unwrap());
    });
}

/// Of two writers that saw the same stamp one writes.
pub fn one_of_two_writers_has_the_entry() {
    check(3, || {
        let words = Arc::new(Words::default());
        let writer = Arc::clone(&words);
        let writer = thread::spawn(move || writer.entry().write(0, ONE.0, ONE.1, NOW, Class::New));
        let here = words.entry().write(0, OTHER.0, OTHER.1, NOW, Class::New);
        let there = writer.join().unwrap();
        assert!(here != there);
        assert_eq!(words.target(ONE.0, NOW), there.then_some(ONE.1));
        assert_eq!(words.target(OTHER.0, NOW), here.then_some(OTHER.1));
    });
}

/// A writer sleeps past its time, another one takes its claim over, and both write at once, each what it has: their words
/// mix as they like, and who reads is never sent to a target that its session was not on.
pub fn a_claim_that_is_taken_over_sends_nobody_astray() {
    check(3, || {
        let words = Arc::new(Words::default());
        let late = NOW.plus(PATIENCE + 1);
        let sleeper = Arc::clone(&words);
        let sleeper = thread::spawn(move || sleeper.entry().write(0, ONE.0, ONE.1, NOW, Class::New));
        let seen = words.entry().stamp.load(Relaxed);
        words.entry().write(seen, OTHER.0, OTHER.1, late, Class::New);
        for _ in 0..2 {
            let of_one = words.target(ONE.0, late);
            assert!(of_one.is_none_or(|target| target == ONE.1), "{of_one:x?}");
            let of_other = words.target(OTHER.0, late);
            assert!(of_other.is_none_or(|target| target == OTHER.1), "{of_other:x?}");
        }
        sleeper.join().unwrap();
        let (of_one, of_other) = (words.target(ONE.0, late), words.target(OTHER.0, late));
        assert!(
            of_one.is_none_or(|target| target == ONE.1) && of_other.is_none_or(|target| target == OTHER.1)
        );
    });
}
