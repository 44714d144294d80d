//! The pace of a worker's ticks: ten a second while there is something to do, and one when there was nothing for a while, or as
//! its first deadline asks for. Whatever wakes a resting worker brings its clock up to date before anything else of it runs.
//! Deadlines are set for a second or more, so that one that is set meanwhile does not pass before the next tick.
//! Must not know: what a tick does.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use crate::{
    http::Context,
    kernel::{WorkerLoad, give_back},
};

/// How often deadlines are looked at: their precision.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Longest time between two ticks. Idle connections to targets are looked at so often, and no deadline is set for less.
const MOST: Duration = Duration::from_secs(1);

/// Ticks with nothing between them after which a worker rests. By then everything that has moved is counted.
const QUIET: u32 = 10;

/// How often a worker wakes up for a tick alone: the runtime's timers wake it when they are set, and on the way.
const WAKES: u32 = 4;

/// What a tick is at most, in moves of the worker: it wakes up, looks who else was woken, and gets on.
const OF_A_TICK: u64 = 2 * (WAKES as u64 + 1) + 2;

/// So many connections that are gone took memory worth giving back.
const MANY: usize = 64;

thread_local! {
    /// How often the worker of this thread may still wake up until it does not rest any more.
    static RESTS: Cell<u32> = const { Cell::new(0) };
    /// The worker that rests.
    static WHO: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
    /// Who is to know that it does not.
    static TICKER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// To be called when a worker's thread has woken up, before it runs anything.
#[inline]
pub(super) fn woken(load: &WorkerLoad) {
    load.wakes();
    let rests = RESTS.get();
    if rests > 0 {
        rouse(rests - 1);
    }
}

#[cold]
fn rouse(rests: u32) {
    RESTS.set(rests);
    WHO.with_borrow(|who| who.iter().for_each(|context| context.clock.tick()));
    if rests == 0 {
        TICKER.take().into_iter().for_each(Waker::wake);
    }
}

/// When the next tick is due.
pub(super) struct Pace {
    next: Instant,
    quiet: u32,
    moves: u64,
    /// How many connections there were at the most since memory was given back.
    most: usize,
}

impl Pace {
    pub(super) fn of(context: &Rc<Context>) -> Self {
        WHO.set(Some(Rc::clone(context)));
        Self { next: Instant::now(), quiet: 0, moves: 0, most: 0 }
    }

    /// Waits for the next tick, which comes earlier when a worker that rests gets something to do. Dropping the future loses
    /// nothing.
    pub(super) async fn due(&mut self) {
        if RESTS.get() > 0 {
            tokio::select! {
                () = sleep_until(self.next) => return,
                () = roused() => self.next = self.next.min(Instant::now() + TICK),
            }
        }
        sleep_until(self.next).await;
    }

    /// Whether there was nothing to do for so long that everything that has moved is counted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet >= QUIET
    }

    /// Whether the worker has come to rest, or many connections have gone since it gave memory back, which may take no more than a
    /// moment or two: nobody waits now. `connections`: those that there are.
    fn is_peak_over(&mut self, was_quiet: bool, connections: usize) -> bool {
        self.most = self.most.max(connections);
        let is_over = self.is_quiet() && (!was_quiet || self.most - connections >= MANY);
        if is_over {
            self.most = connections;
        }
        is_over
    }

    /// There was a tick. `may_rest`: nothing else asks for the next one soon.
    pub(super) async fn ticked(&mut self, context: &Context, may_rest: bool) {
        let moves = context.load.moves();
        let is_quiet = moves.wrapping_sub(self.moves) <= OF_A_TICK;
        let was_quiet = self.is_quiet();
        self.quiet = if is_quiet && may_rest { (self.quiet + 1).min(QUIET) } else { 0 };
        if self.is_peak_over(was_quiet, context.connections.get()) {
            give_back();
        }
        self.moves = moves;
        self.next = Instant::now() + TICK;
        RESTS.set(0);
        if self.is_quiet() {
            // Who was woken along with this tick may set a deadline.
            yield_now().await;
            let left = context.watches.next_deadline().saturating_sub(context.clock.millis());
            self.next = Instant::now() + Duration::from_millis(left).clamp(TICK, MOST);
            RESTS.set(WAKES);
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        RESTS.set(0);
        WHO.set(None);
        TICKER.set(None);
    }
}

/// Waits until the worker does not rest any more.
async fn roused() {
    poll_fn(|cx| {
        if RESTS.get() == 0 {
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

    #[test]
    fn memory_is_given_back_at_rest_and_when_many_have_gone() {
        let mut pace = Pace { next: Instant::now(), quiet: QUIET, moves: 0, most: 0 };
        assert!(pace.is_peak_over(false, 0), "it has come to rest");
        assert!(!pace.is_peak_over(true, 0), "and rests");
        // They come and go without keeping it awake for a whole tick.
        assert!(!pace.is_peak_over(true, 1000));
        assert!(!pace.is_peak_over(true, 1001 - MANY));
        assert!(pace.is_peak_over(true, 1000 - MANY) && !pace.is_peak_over(true, 1000 - MANY));
        pace.quiet = QUIET - 1;
        assert!(!pace.is_peak_over(false, 0), "somebody may wait");
    }
}
