//! The last deployment of a group: a run of changes of its targets, and the sessions that had lost their targets when it began.
//! Must not know: what changes targets, clocks.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long after a change another one belongs to the same deployment, besides the time that a target drains.
const PAUSE: Duration = Duration::from_secs(60);

/// Requests that have found the target of their session gone, by why it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostSessions {
    /// It failed its checks.
    pub unhealthy: u64,
    /// It drained.
    pub draining: u64,
    /// It was none of the group's.
    pub unknown_target: u64,
}

/// A run of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// When the first of them was made.
    pub began: Instant,
    /// And the last one.
    pub changed: Instant,
    /// Targets that were registered.
    pub came: u64,
    /// Targets that were taken out.
    pub went: u64,
    /// What had been lost before it.
    pub before: LostSessions,
}

/// The last one, if there was any.
#[derive(Debug, Default)]
pub struct DeploymentNote(Mutex<Option<Deployment>>);

impl DeploymentNote {
    /// So many targets came and went. `drains`: how long one that goes takes; `lost`: what has been lost so far.
    pub fn note(&self, (came, went): (u64, u64), now: Instant, drains: Duration, lost: LostSessions) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |last: &Deployment| now.saturating_duration_since(last.changed) <= drains + PAUSE;
        let begun = Deployment { began: now, changed: now, came: 0, went: 0, before: lost };
        let known = last.filter(goes_on).unwrap_or(begun);
        *last = Some(Deployment { changed: now, came: known.came + came, went: known.went + went, ..known });
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<Deployment> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_follow_each_other_are_one_deployment() {
        let (note, begun, drains) = (DeploymentNote::default(), Instant::now(), Duration::from_secs(300));
        let at = |seconds| begun + Duration::from_secs(seconds);
        let lost = |draining| LostSessions { draining, ..LostSessions::default() };
        assert_eq!(note.last(), None);
        note.note((1, 0), at(0), drains, lost(5));
        note.note((0, 1), at(10), drains, lost(6));
        note.note((1, 1), at(370), drains, lost(9));
        let whole = Deployment { began: at(0), changed: at(370), came: 2, went: 2, before: lost(5) };
        assert_eq!(note.last(), Some(whole));
        note.note((3, 3), at(731), drains, lost(12));
        let next = Deployment { began: at(731), changed: at(731), came: 3, went: 3, before: lost(12) };
        assert_eq!(note.last(), Some(next), "a second after it could have belonged to the one before");
    }
}
