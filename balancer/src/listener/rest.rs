//! The pace of a worker's ticks: ten a second while there is something to do, and one in some seconds when there was nothing for
//! a while, or as its first deadline asks for. Whatever else wakes a resting worker brings its clock up to date before anything of
//! it runs, and has it tick again soon: a deadline may have been set.
//! Must not know: what a tick does.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use tokio::task::yield_now;

use crate::{
    http::Context,
    kernel::{Timers, WorkerLoad, give_back},
};

/// How often deadlines are looked at: their precision.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Longest time between two ticks of a worker that rests. Idle connections to targets are looked at so often.
const MOST: Duration = Duration::from_secs(5);

/// Ticks with nothing between them after which a worker rests. By then everything that has moved is counted.
const QUIET: u32 = 10;

/// Ticks before it rests again when something has happened to one that rested: in the first what has moved is counted.
const AFTERWARDS: u32 = 2;

/// How often a worker wakes up for a tick alone: for its timer, and for a time that nobody waits for any more.
const WAKES: u64 = 2;

/// What a tick is at most, in moves of the worker: it wakes up, looks who else was woken, and gets on.
const OF_A_TICK: u64 = 2 * (WAKES + 1) + 2;

/// So many connections that are gone took memory worth giving back.
const MANY: usize = 64;

thread_local! {
    /// Whether the worker of this thread rests.
    static RESTS: Cell<bool> = const { Cell::new(false) };
    /// The worker that rests.
    static WHO: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
    /// Who is to know that it does not.
    static TICKER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// To be called when a worker's thread has woken up, before it runs anything.
#[inline]
pub(super) fn woken(load: &WorkerLoad) {
    load.wakes();
    if RESTS.get() {
        rouse();
    }
}

#[cold]
fn rouse() {
    RESTS.set(false);
    WHO.with_borrow(|who| who.iter().for_each(|context| context.clock.tick()));
    TICKER.take().into_iter().for_each(Waker::wake);
}

/// When the next tick is due.
pub(super) struct Pace {
    next: Instant,
    quiet: u32,
    /// Whether it went to rest, and has not seen yet that it does not any more.
    rests: bool,
    moves: u64,
    /// How many connections that are not parked there were at the most since memory was given back.
    most: usize,
    /// Whether memory was given back since there was something to do.
    has_given: bool,
}

impl Pace {
    pub(super) fn of(context: &Rc<Context>) -> Self {
        WHO.set(Some(Rc::clone(context)));
        Self { next: Instant::now(), quiet: 0, rests: false, moves: 0, most: 0, has_given: false }
    }

    /// Waits for the next tick, which comes earlier when a worker that rests gets something to do. Dropping the future loses
    /// nothing.
    pub(super) async fn due(&mut self, timers: &Timers) {
        if self.rests {
            tokio::select! {
                biased;
                // Who was roused and dropped before it could see that sees it now.
                () = roused() => {}
                () = timers.until(self.next) => return,
            }
            self.rests = false;
            self.next = self.next.min(Instant::now() + TICK);
            self.quiet = self.quiet.min(QUIET - AFTERWARDS);
        }
        timers.until(self.next).await;
    }

    /// Whether there was nothing to do for so long that everything that has moved is counted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet >= QUIET
    }

    /// Whether the worker has come to rest, or many connections have gone or were parked since it gave memory back, which may take
    /// no more than a moment or two: nobody waits now. `connections`: those that there are and that are not parked.
    fn is_peak_over(&mut self, connections: usize) -> bool {
        self.most = self.most.max(connections);
        let is_over = self.is_quiet() && (!self.has_given || self.most - connections >= MANY);
        if is_over {
            (self.most, self.has_given) = (connections, true);
        }
        is_over
    }

    /// There was a tick. `may_rest`: nothing else asks for the next one soon.
    pub(super) async fn ticked(&mut self, context: &Context, may_rest: bool) {
        let moves = context.load.moves();
        let is_quiet = moves.wrapping_sub(self.moves) <= OF_A_TICK;
        self.quiet = if is_quiet && may_rest { (self.quiet + 1).min(QUIET) } else { 0 };
        self.has_given &= self.quiet > 0;
        self.moves = moves;
        if self.is_quiet() {
            // Who was woken along with this tick may set a deadline, or be about to be parked, as many may be.
            yield_now().await;
            if context.next_due() <= context.clock.millis() {
                self.quiet = QUIET - 1;
            }
        }
        if self.is_peak_over(context.connections.get().saturating_sub(context.parked.len())) {
            context.shrink();
            give_back();
        }
        self.next = Instant::now() + TICK;
        self.rests = self.is_quiet();
        RESTS.set(self.rests);
        if self.rests {
            let left = context.next_due().saturating_sub(context.clock.millis());
            self.next = Instant::now() + Duration::from_millis(left).clamp(TICK, MOST);
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        RESTS.set(false);
        WHO.set(None);
        TICKER.set(None);
    }
}

/// Waits until the worker does not rest any more.
async fn roused() {
    poll_fn(|cx| {
        if !RESTS.get() {
            return Poll::Ready(());
        }
        TICKER.set(Some(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resting(next: Instant) -> Pace {
        Pace { next, quiet: QUIET, rests: true, moves: 0, most: 0, has_given: false }
    }

    /// What wakes the worker may be served first, by who drops the wait for its next tick.
    #[tokio::test]
    async fn who_is_roused_ticks_soon_also_where_nobody_waited_to_the_end() {
        let (soon, long) = (Duration::from_millis(10), Duration::from_secs(3600));
        let (mut pace, timers) = (resting(Instant::now() + long), Timers::new().unwrap());
        let due = async |pace: &mut Pace, most| {
            tokio::select! {
                error = timers.run() => panic!("{error}"),
                due = tokio::time::timeout(most, pace.due(&timers)) => due,
            }
        };
        RESTS.set(true);
        assert!(due(&mut pace, soon).await.is_err(), "it rests");
        rouse();
        assert!(due(&mut pace, long / 60).await.is_ok());
        assert!(pace.next < Instant::now() + long / 60);
    }

    #[test]
    fn memory_is_given_back_at_rest_and_when_many_have_gone() {
        let mut pace = resting(Instant::now());
        assert!(pace.is_peak_over(0), "it has come to rest");
        assert!(!pace.is_peak_over(0), "and rests");
        // They come and go without keeping it awake for a whole tick.
        assert!(!pace.is_peak_over(1000));
        assert!(!pace.is_peak_over(1001 - MANY));
        assert!(pace.is_peak_over(1000 - MANY) && !pace.is_peak_over(1000 - MANY));
        pace.quiet = QUIET - 1;
        pace.has_given = false;
        assert!(!pace.is_peak_over(0), "somebody may wait");
    }
}
