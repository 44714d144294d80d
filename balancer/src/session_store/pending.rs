//! What the store is still to be told: one entry for each session, the oldest first, and no more than there is room for.
//! Must not know: how the store is told.

use std::collections::{HashMap, VecDeque};

use crate::id::TargetId;

/// Most sessions that wait: while the store is away, and when it does not keep up.
const MOST: usize = 131_072;

/// Room that is kept when nothing waits.
const KEPT: usize = 8192;

/// A session as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// The target that it is bound to.
    pub target: TargetId,
    /// When it started, in seconds since 1970; 0: not told, since it may last for any time.
    pub started: u32,
}

/// What a write expects of the session that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// That there is none.
    Nothing,
    /// That it is on this target, or that there is none.
    Target(TargetId),
    /// That it is this one, or that there is none.
    Session(StoredSession),
}

/// A session that the store is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWrite {
    /// Its key in the session table.
    pub key: u128,
    /// What is there before.
    pub expected: Expectation,
    /// What is to be there.
    pub session: StoredSession,
    /// For how many seconds the store keeps it at least.
    pub keep_for: u32,
}

impl SessionWrite {
    /// Whether it says nothing but that the session goes on.
    fn is_renewal(&self) -> bool {
        self.expected == Expectation::Target(self.session.target)
    }

    /// What one write says that stands for this one and for `later`.
    fn followed_by(self, later: Self) -> Self {
        let expected = if self.is_renewal() { later.expected } else { self.expected };
        Self { expected, ..later }
    }
}

/// The writes that wait.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    writes: HashMap<u128, SessionWrite>,
    order: VecDeque<u128>,
}

impl PendingWrites {
    /// One more. False: there is no room for it.
    pub(super) fn add(&mut self, write: SessionWrite) -> bool {
        if let Some(waiting) = self.writes.get_mut(&write.key) {
            *waiting = waiting.followed_by(write);
            return true;
        }
        if self.writes.len() >= MOST {
            return false;
        }
        self.writes.insert(write.key, write);
        self.order.push_back(write.key);
        true
    }

    /// What was taken and not told after all waits again, before what has come since. False: there is no room for it.
    pub(super) fn add_back(&mut self, write: SessionWrite) -> bool {
        let later = self.writes.remove(&write.key);
        let merged = later.map_or(write, |later| write.followed_by(later));
        if self.writes.len() >= MOST {
            return false;
        }
        self.writes.insert(write.key, merged);
        if later.is_none() {
            self.order.push_front(write.key);
        }
        true
    }

    /// The first `most` of them, which wait no longer.
    pub(super) fn take(&mut self, most: usize) -> Vec<SessionWrite> {
        let mut taken = Vec::with_capacity(most.min(self.order.len()));
        while taken.len() < most {
            let Some(key) = self.order.pop_front() else { break };
            taken.extend(self.writes.remove(&key));
        }
        if self.order.is_empty() && self.writes.capacity() > KEPT {
            self.writes.shrink_to(KEPT);
            self.order.shrink_to(KEPT);
        }
        taken
    }

    /// Whether the store is still to be told of the session with this key.
    pub(super) fn has(&self, key: u128) -> bool {
        self.writes.contains_key(&key)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Nothing is to be told any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(target: u64) -> StoredSession {
        StoredSession { target: TargetId(target), started: 0 }
    }

    fn write(key: u128, expected: Expectation, target: u64) -> SessionWrite {
        SessionWrite { key, expected, session: session(target), keep_for: 60 }
    }

    #[test]
    fn what_is_said_of_one_session_becomes_one_write() {
        let on = |target| Expectation::Target(TargetId(target));
        for (first, second, expected) in [
            // Begun, moved.
            (write(1, Expectation::Nothing, 1), write(1, on(1), 2), Expectation::Nothing),
            // Moved twice.
            (write(1, on(1), 2), write(1, on(2), 3), on(1)),
            // Renewed, then moved.
            (write(1, on(1), 1), write(1, on(1), 2), on(1)),
            // Renewed, and then begun by somebody who does not know it.
            (write(1, on(1), 1), write(1, Expectation::Nothing, 2), Expectation::Nothing),
            (
                write(1, Expectation::Session(session(4)), 5),
                write(1, on(5), 5),
                Expectation::Session(session(4)),
            ),
        ] {
            let mut pending = PendingWrites::default();
            assert!(pending.add(first) && pending.add(second));
            assert_eq!(pending.take(10), [SessionWrite { expected, ..second }]);
            // The same when the first one comes back.
            assert!(pending.add(second) && pending.add_back(first) && pending.has(1));
            assert_eq!(pending.take(10), [SessionWrite { expected, ..second }]);
            assert_eq!(pending.len(), 0);
        }
    }

    #[test]
    fn the_oldest_goes_first_and_there_is_a_bound() {
        let mut pending = PendingWrites::default();
        let all = u128::try_from(MOST).unwrap();
        for key in 0..all {
            assert!(pending.add(write(key, Expectation::Nothing, 1)));
        }
        assert!(!pending.add(write(all, Expectation::Nothing, 1)), "there is no room");
        assert!(!pending.add_back(write(all, Expectation::Nothing, 1)));
        assert!(pending.add(write(5, Expectation::Nothing, 2)), "one that waits already takes none");
        assert_eq!(pending.take(2).iter().map(|write| write.key).collect::<Vec<_>>(), [0, 1]);
        assert!(pending.add_back(write(1, Expectation::Nothing, 1)));
        assert_eq!(pending.take(2).iter().map(|write| write.key).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(pending.take(usize::MAX).len(), MOST - 3);
        assert!(pending.writes.capacity() <= 4 * KEPT && pending.len() == 0);
    }
}
