//! What other balancers have told of their sessions, until it is too old. Time comes from outside; must not know: how it is told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::notice::NodeName;
use crate::{counters::SessionsEverywhere, id::TargetId};

/// For how long what a balancer has told counts.
pub(super) const KEPT: Duration = Duration::from_secs(15);

/// Most balancers that are listened to, and most targets of each.
const MOST_NODES: usize = 256;
const MOST_TARGETS: usize = 16_384;

/// Sessions of a target at other balancers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionsElsewhere {
    /// All of them.
    pub sessions: u64,
    /// How many balancers have told of the target.
    pub balancers: u64,
    /// How old the oldest of these figures is.
    pub age: Duration,
}

impl SessionsElsewhere {
    /// With so many at this balancer.
    #[must_use]
    pub fn with(self, own: u64) -> SessionsEverywhere {
        SessionsEverywhere {
            sessions: self.sessions.saturating_add(own),
            balancers: self.balancers + 1,
            age_seconds: self.age.as_secs(),
        }
    }
}

#[derive(Debug)]
struct OtherNode {
    heard: Instant,
    sessions: HashMap<TargetId, (u64, Instant)>,
}

/// The other balancers.
#[derive(Debug, Default)]
pub(super) struct OtherNodes(HashMap<NodeName, OtherNode>);

impl OtherNodes {
    /// One has told so many sessions of these targets. False: there is no room for all of it.
    pub(super) fn hear(&mut self, from: NodeName, counts: &[(TargetId, u64)], now: Instant) -> bool {
        if !self.0.contains_key(&from) && self.0.len() >= MOST_NODES {
            return false;
        }
        let node = self.0.entry(from).or_insert_with(|| OtherNode { heard: now, sessions: HashMap::new() });
        node.heard = now;
        let mut has_room = true;
        for (target, count) in counts {
            if node.sessions.len() < MOST_TARGETS || node.sessions.contains_key(target) {
                node.sessions.insert(*target, (*count, now));
            } else {
                has_room = false;
            }
        }
        has_room
    }

    /// One has ended.
    pub(super) fn end(&mut self, node: NodeName) {
        self.0.remove(&node);
    }

    /// Drops what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        let counts = |at: Instant| now.saturating_duration_since(at) < KEPT;
        self.0.retain(|_, node| {
            node.sessions.retain(|_, (_, at)| counts(*at));
            counts(node.heard)
        });
    }

    /// How many have told something that is not too old.
    pub(super) fn count(&self, now: Instant) -> usize {
        self.0.values().filter(|node| now.saturating_duration_since(node.heard) < KEPT).count()
    }

    /// The sessions of the target that has any of these ids.
    pub(super) fn of(&self, ids: &[TargetId], now: Instant) -> SessionsElsewhere {
        let mut sum = SessionsElsewhere::default();
        for node in self.0.values() {
            let known = ids.iter().filter_map(|id| node.sessions.get(id));
            let fresh = known.filter(|(_, at)| now.saturating_duration_since(*at) < KEPT);
            // Where a key was changed it may be told under both ids for a while: what is told last counts.
            let Some((count, at)) = fresh.max_by_key(|(_, at)| *at) else { continue };
            sum.sessions += count;
            sum.balancers += 1;
            sum.age = sum.age.max(now.saturating_duration_since(*at));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_now;

    const A: NodeName = NodeName(1);
    const B: NodeName = NodeName(2);
    const ONE: TargetId = TargetId(11);

    #[test]
    fn what_others_told_is_summed_until_it_is_too_old() {
        let (mut others, start) = (OtherNodes::default(), monotonic_now());
        assert_eq!(others.of(&[ONE], start), SessionsElsewhere::default());
        assert!(others.hear(A, &[(ONE, 3), (TargetId(12), 9)], start));
        let later = start + KEPT / 2;
        assert!(others.hear(B, &[(ONE, 4)], later));
        let both = SessionsElsewhere { sessions: 7, balancers: 2, age: KEPT / 2 };
        assert_eq!((others.of(&[ONE], later), others.count(later)), (both, 2));
        // Another figure takes the place of the first.
        assert!(others.hear(B, &[(ONE, 0)], later));
        assert_eq!(others.of(&[ONE], later).sessions, 3);
        let end = start + KEPT;
        assert_eq!(others.of(&[ONE], end), SessionsElsewhere { sessions: 0, balancers: 1, age: KEPT / 2 });
        assert_eq!(
            others.count(end),
            1,
            "also where nobody drops what is too old, as long as the store is away"
        );
        others.expire(end);
        assert_eq!((others.0.len(), others.count(end)), (1, 1));
        others.end(B);
        assert_eq!((others.count(end), others.of(&[ONE], end)), (0, SessionsElsewhere::default()));
    }

    #[test]
    fn a_target_that_is_told_under_two_ids_counts_once() {
        let (mut others, start) = (OtherNodes::default(), monotonic_now());
        assert!(others.hear(A, &[(ONE, 3)], start));
        assert!(others.hear(A, &[(TargetId(12), 5)], start + KEPT / 4));
        assert_eq!(others.of(&[ONE, TargetId(12)], start + KEPT / 4).sessions, 5);
    }

    #[test]
    fn there_is_a_bound() {
        let (mut others, start) = (OtherNodes::default(), monotonic_now());
        for name in 0..MOST_NODES as u64 {
            assert!(others.hear(NodeName(name), &[], start));
        }
        assert!(!others.hear(NodeName(u64::MAX), &[(ONE, 1)], start) && others.count(start) == MOST_NODES);
        let many: Vec<_> = (0..=MOST_TARGETS as u64).map(|id| (TargetId(id), 1)).collect();
        assert!(!others.hear(NodeName(0), &many, start));
        assert!(others.hear(NodeName(0), &many[..9], start), "those that are there are told anew");
    }
}
