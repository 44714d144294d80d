//! Who checks the health of targets for all: a lease that the store gives to one balancer at a time. Time comes from outside; must
//! not know: how the store is asked.

use std::time::{Duration, Instant};

use super::notice::NodeName;

/// For how long the store gives the lead.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// How often a balancer asks for it, or for it to go on.
pub(super) const CLAIMS: Duration = Duration::from_secs(1);

/// Who leads, as far as it is known here.
#[derive(Debug, Default)]
pub(super) struct HealthLead {
    /// When the store was asked that gave it to this balancer last.
    own: Option<Instant>,
    /// Who has it else, and when the store said so.
    other: Option<(NodeName, Instant)>,
}

impl HealthLead {
    /// The store, asked at `asked`, has given it to this balancer.
    pub(super) fn granted(&mut self, asked: Instant) {
        self.own = Some(asked);
        self.other = None;
    }

    /// Another one has it.
    pub(super) fn held_by(&mut self, other: NodeName, now: Instant) {
        *self = Self { own: None, other: Some((other, now)) };
    }

    /// It is not asked for any more.
    pub(super) fn give_up(&mut self) {
        *self = Self::default();
    }

    /// Whether this balancer has it. The lease began when the store got the question, which is no sooner than it was sent.
    pub(super) fn is_own(&self, now: Instant) -> bool {
        self.own.is_some_and(|asked| now.saturating_duration_since(asked) < LEASE)
    }

    /// Which other one has it.
    pub(super) fn other(&self, now: Instant) -> Option<NodeName> {
        let fresh = |(_, said): &(NodeName, Instant)| now.saturating_duration_since(*said) < LEASE;
        self.other.filter(fresh).map(|(other, _)| other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_now;

    const OTHER: NodeName = NodeName(7);

    #[test]
    fn the_lead_is_had_for_as_long_as_the_store_gave_it() {
        let (mut lead, start) = (HealthLead::default(), monotonic_now());
        assert!(!lead.is_own(start) && lead.other(start).is_none());
        lead.granted(start);
        assert!(lead.is_own(start + LEASE - Duration::from_millis(1)) && !lead.is_own(start + LEASE));
        lead.granted(start + CLAIMS);
        assert!(lead.is_own(start + LEASE), "it goes on");
        lead.held_by(OTHER, start + CLAIMS);
        assert!(!lead.is_own(start + CLAIMS) && lead.other(start + CLAIMS) == Some(OTHER));
        assert_eq!(lead.other(start + CLAIMS + LEASE), None, "nobody says so any more");
        lead.granted(start);
        lead.give_up();
        assert!(!lead.is_own(start));
    }
}
