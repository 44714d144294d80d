//! How often a request may be tried: bounds on what one request can cost its targets.
//! Must not know: what is sent, who is tried.

use std::time::Duration;

/// Most targets that a request is turned away from in search of one that takes it, but for those that refuse it at once.
const MOST_UNREACHABLE: u32 = 32;

/// Connecting is given up when this many targets did not answer in time.
const MOST_TIMEOUTS: u32 = 3;

/// Connections kept, in a row, that may turn out to be at their end.
const MOST_STALE: u32 = 3;

/// How a target did not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// At once: there is not even a connection.
    Refused,
    /// After all of its time.
    TimedOut,
    /// Otherwise.
    Away,
}

/// Where a request that was turned away may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To any that was not tried, those first that have not refused others lately.
    Any,
    /// Only to one that has not refused others lately: of those each is asked once, however many requests there are.
    Promising,
    /// Nowhere.
    Nowhere,
}

/// What has come of trying a request so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    turns: u32,
    /// Those of `turns` that took more than a refusal takes.
    costly: u32,
    timeouts: u32,
    stale: u32,
    /// When the first target did not take it; of those that took all of their time the last.
    since: Option<u64>,
}

impl Attempts {
    /// A target did not take the request, which it cannot have seen: whether another may be tried. The search lasts no
    /// longer than `most`, besides targets that take all of their time.
    pub(super) fn turn(&mut self, how: Turned, now_millis: u64, most: Duration) -> Reach {
        self.turns += 1;
        self.costly += u32::from(how != Turned::Refused);
        self.timeouts += u32::from(how == Turned::TimedOut);
        self.stale = 0;
        // One that took its time leaves the others theirs.
        let since = self.since.filter(|_| how != Turned::TimedOut).unwrap_or(now_millis);
        self.since = Some(since);
        let is_late = u128::from(now_millis.saturating_sub(since)) >= most.as_millis() && since != now_millis;
        if self.costly >= MOST_UNREACHABLE || self.timeouts >= MOST_TIMEOUTS || is_late {
            Reach::Nowhere
        } else if self.turns < MOST_UNREACHABLE {
            Reach::Any
        } else {
            Reach::Promising
        }
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

    const MOST: Duration = Duration::from_secs(10);

    fn turns(how: Turned) -> Vec<Reach> {
        let mut attempts = Attempts::default();
        (0..100).map(|_| attempts.turn(how, 5, MOST)).collect()
    }

    #[test]
    fn each_kind_has_its_bound() {
        let any = |turns: &[Reach]| turns.iter().filter(|reach| **reach == Reach::Any).count();
        let away = turns(Turned::Away);
        assert_eq!((any(&away), away[31]), (31, Reach::Nowhere));
        let timed_out = turns(Turned::TimedOut);
        assert_eq!((any(&timed_out), timed_out[2]), (2, Reach::Nowhere));
        let refused = turns(Turned::Refused);
        assert_eq!((any(&refused), refused[31], refused[99]), (31, Reach::Promising, Reach::Promising));
        let mut attempts = Attempts::default();
        assert_eq!((0..100).filter(|_| attempts.may_refresh()).count(), 3);
        assert_eq!(attempts.turn(Turned::Away, 5, MOST), Reach::Any);
        assert!(attempts.may_refresh(), "another has not been tried so often");
    }

    #[test]
    fn a_search_ends_with_its_time() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.turn(Turned::Refused, 1_000, MOST), Reach::Any);
        assert_eq!(attempts.turn(Turned::Refused, 10_999, MOST), Reach::Any);
        assert_eq!(attempts.turn(Turned::Refused, 11_000, MOST), Reach::Nowhere);
        let mut attempts = Attempts::default();
        assert_eq!(attempts.turn(Turned::TimedOut, 10_000, MOST), Reach::Any);
        assert_eq!(attempts.turn(Turned::TimedOut, 20_000, MOST), Reach::Any);
        assert_eq!(attempts.turn(Turned::Refused, 29_999, MOST), Reach::Any);
        assert_eq!(attempts.turn(Turned::Refused, 30_000, MOST), Reach::Nowhere);
        // Nobody is given up before another was tried.
        assert_eq!(Attempts::default().turn(Turned::Refused, 7, Duration::ZERO), Reach::Any);
    }
}
