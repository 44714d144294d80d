//! Whether a request that failed is tried again, and where: bounds on what one request can cost its targets.
//! Must not know: what is sent.

use std::{cell::Cell, time::Duration};

use crate::{
    counters::{Cause, Failure, Retry},
    http::{
        context::Context,
        decide::{plan::Plan, tried::Reach},
    },
};

/// Most targets that a request is turned away from in search of one that takes it, but for those that refuse it at once.
const MOST_UNREACHABLE: u32 = 32;

/// Connecting is given up when this many targets did not answer in time.
const MOST_TIMEOUTS: u32 = 3;

/// Connections to one target, in a row, that may be for nothing: kept ones that turn out to be at their end, and new ones that the
/// target ends before the request is on them, or without a look at it.
const MOST_FUTILE: u32 = 4;

/// How a target did not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turned {
    /// At once: there is not even a connection.
    Refused,
    /// After all of its time.
    TimedOut,
    /// Otherwise.
    Away,
}

/// How a target that could not be had by `cause` turned the request away.
#[cold]
fn turned_by(cause: Cause) -> Turned {
    if cause.is_timeout() {
        Turned::TimedOut
    } else if cause.is_refusal() {
        Turned::Refused
    } else {
        Turned::Away
    }
}

/// What has come of trying a request so far.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    turns: u32,
    /// Those of `turns` that took more than a refusal takes.
    costly: u32,
    timeouts: u32,
    /// Connections to the target of the last turn that were for nothing.
    futile: Cell<u32>,
    /// When the first target did not take it; of those that took all of their time the last.
    since: Option<u64>,
    /// Whether a target was lost that may have seen the request.
    lost: bool,
}

impl Retries {
    /// Whether only a new connection will do: one that was kept could turn out dead as well.
    pub(crate) fn is_fresh(&self) -> bool {
        self.lost
    }

    /// The request failed at the target of `plan`. Whether it goes once more, which `plan` then says where. `most` is how
    /// long a target may be connected to.
    #[cold]
    pub(super) fn goes_on(
        &mut self,
        failure: &Failure,
        context: &Context,
        plan: &mut Plan,
        most: Duration,
    ) -> bool {
        let now = context.clock.millis();
        match failure.retry {
            Retry::Never => false,
            Retry::Elsewhere => {
                let reach = self.turn(turned_by(failure.cause), now, most);
                plan.turn_elsewhere(context, reach)
            }
            Retry::Unseen => {
                self.may_refresh() || {
                    let reach = self.turn(Turned::Away, now, most);
                    plan.turn_elsewhere(context, reach)
                }
            }
            // What a target may have seen goes once more and no oftener: who sends what targets die of takes two connections
            // along at most. One that was kept may have been at its end by itself, and the same target gets another chance;
            // a new one was not, and another target gets the request.
            Retry::Ended { reused } => {
                !std::mem::replace(&mut self.lost, true)
                    && ((reused && self.may_refresh()) || plan.turn_elsewhere(context, Reach::Any))
            }
        }
    }

    /// A target did not take the request, which it cannot have seen: whether another may be tried. The search lasts no
    /// longer than `most`, besides targets that take all of their time.
    fn turn(&mut self, how: Turned, now_millis: u64, most: Duration) -> Reach {
        self.turns += 1;
        self.costly += u32::from(how != Turned::Refused);
        self.timeouts += u32::from(how == Turned::TimedOut);
        self.futile.set(0);
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

    /// A connection was for nothing: whether another to the same target may be tried.
    pub(crate) fn may_refresh(&self) -> bool {
        self.futile.set(self.futile.get().saturating_add(1));
        self.futile.get() < MOST_FUTILE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(10);

    fn turns(how: Turned) -> Vec<Reach> {
        let mut retries = Retries::default();
        (0..100).map(|_| retries.turn(how, 5, MOST)).collect()
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
        let mut retries = Retries::default();
        assert_eq!((0..100).filter(|_| retries.may_refresh()).count(), 3);
        assert_eq!(retries.turn(Turned::Away, 5, MOST), Reach::Any);
        assert!(retries.may_refresh(), "another has not been tried so often");
    }

    #[test]
    fn a_search_ends_with_its_time() {
        let mut retries = Retries::default();
        assert_eq!(retries.turn(Turned::Refused, 1_000, MOST), Reach::Any);
        assert_eq!(retries.turn(Turned::Refused, 10_999, MOST), Reach::Any);
        assert_eq!(retries.turn(Turned::Refused, 11_000, MOST), Reach::Nowhere);
        let mut retries = Retries::default();
        assert_eq!(retries.turn(Turned::TimedOut, 10_000, MOST), Reach::Any);
        assert_eq!(retries.turn(Turned::TimedOut, 20_000, MOST), Reach::Any);
        assert_eq!(retries.turn(Turned::Refused, 29_999, MOST), Reach::Any);
        assert_eq!(retries.turn(Turned::Refused, 30_000, MOST), Reach::Nowhere);
        // Nobody is given up before another was tried.
        assert_eq!(Retries::default().turn(Turned::Refused, 7, Duration::ZERO), Reach::Any);
    }
}
