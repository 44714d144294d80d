//! How often a request may be tried: bounds on what one request can cost its targets.
//! Must not know: what is sent, who is tried.

/// Most targets that a request is turned away from in search of one that takes it.
const MOST_UNREACHABLE: u32 = 32;

/// Connecting is given up when this many targets did not answer in time.
const MOST_TIMEOUTS: u32 = 3;

/// Connections kept, in a row, that may turn out to be at their end.
const MOST_STALE: u32 = 3;

/// What has come of trying a request so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    unreachable: u32,
    timeouts: u32,
    stale: u32,
}

impl Attempts {
    /// A target did not take the request, which it cannot have seen: whether another may be tried. `timed_out`: it has
    /// taken all of its time.
    pub(super) fn may_turn(&mut self, timed_out: bool) -> bool {
        self.unreachable += 1;
        self.timeouts += u32::from(timed_out);
        self.stale = 0;
        self.unreachable < MOST_UNREACHABLE && self.timeouts < MOST_TIMEOUTS
    }

    /// A connection kept was at its end: whether another to the same target may be tried.
    pub(super) fn may_refresh(&mut self) -> bool {
        self.stale += 1;
        self.stale <= MOST_STALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_bound() {
        let mut attempts = Attempts::default();
        assert_eq!((0..100).filter(|_| attempts.may_turn(false)).count(), 31);
        let mut attempts = Attempts::default();
        assert_eq!((0..100).filter(|_| attempts.may_turn(true)).count(), 2);
        let mut attempts = Attempts::default();
        assert_eq!((0..100).filter(|_| attempts.may_refresh()).count(), 3);
        assert!(attempts.may_turn(false) && attempts.may_refresh(), "another has not been tried so often");
    }
}
