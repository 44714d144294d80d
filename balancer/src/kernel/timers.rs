//! The times that one thread waits for, by one timer of the kernel's. A runtime's own timers read the clock four times whenever the
//! thread wakes up, whatever for; here that costs nothing, and setting a time or letting it pass a system call or two.
//! Must not know: what is waited for.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::Timer;
use crate::{clock::monotonic_now, internal_errors};

/// Who waits for what time on a thread. Somebody has to [`run`](Self::run) it.
#[derive(Debug)]
pub struct Timers {
    timer: Timer,
    /// By when they are due, and in which order they came.
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    came: Cell<u64>,
    /// When the kernel's timer fires.
    set: Cell<Option<Instant>>,
}

impl Timers {
    /// Those of the thread whose runtime this is called in.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Self> {
        let (waiting, came, set) = (RefCell::default(), Cell::new(0), Cell::new(None));
        Ok(Self { timer: Timer::new()?, waiting, came, set })
    }

    /// Wakes who is due, for ever. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The system's: nobody is woken any more.
    pub async fn run(&self) -> io::Error {
        loop {
            if let Err(error) = self.timer.fired().await {
                return error;
            }
            self.set.set(None);
            let now = monotonic_now();
            let later = self.waiting.borrow_mut().split_off(&(now, u64::MAX));
            let due = self.waiting.replace(later);
            due.into_values().for_each(Waker::wake);
            if let Some(((next, _), _)) = self.waiting.borrow().first_key_value() {
                self.fire_by(*next, now);
            }
        }
    }

    /// Waits until then.
    pub fn until(&self, until: Instant) -> Sleep<'_> {
        Sleep { timers: self, until, number: None }
    }

    /// Waits so long.
    pub fn sleep(&self, span: Duration) -> Sleep<'_> {
        self.until(monotonic_now() + span)
    }

    /// What the future comes to by then; nothing when it takes longer.
    pub async fn within<F: Future>(&self, until: Instant, future: F) -> Option<F::Output> {
        let (mut future, mut over) = (pin!(future), pin!(self.until(until)));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            over.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// The kernel's timer fires then, or before.
    fn fire_by(&self, until: Instant, now: Instant) {
        if self.set.get().is_some_and(|set| set <= until) {
            return;
        }
        match self.timer.set(until.saturating_duration_since(now)) {
            Ok(()) => self.set.set(Some(until)),
            Err(_) => internal_errors::note("a timer can be set to any time to come"),
        }
    }
}

/// A wait for a time.
#[derive(Debug)]
pub struct Sleep<'a> {
    timers: &'a Timers,
    until: Instant,
    /// Where it waits, once it does.
    number: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (now, until, timers) = (monotonic_now(), self.until, self.timers);
        if until <= now {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            timers.came.set(timers.came.get().wrapping_add(1));
            timers.came.get()
        });
        timers.waiting.borrow_mut().insert((until, number), cx.waker().clone());
        timers.fire_by(until, now);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.timers.waiting.borrow_mut().remove(&(self.until, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// `future`, on a thread whose runtime keeps no time.
    fn with_timers(future: impl AsyncFnOnce(&Timers)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let timers = Timers::new().unwrap();
            tokio::select! {
                error = timers.run() => panic!("{error}"),
                () = future(&timers) => {}
            }
            assert!(timers.waiting.borrow().is_empty(), "who is gone does not wait");
        });
    }

    #[test]
    fn who_waits_is_woken_in_the_order_of_their_times_and_not_before() {
        with_timers(async |timers| {
            let (began, order) = (Instant::now(), RefCell::new(Vec::new()));
            let wait = async |span| {
                timers.sleep(millis(span)).await;
                assert!(began.elapsed() >= millis(span));
                order.borrow_mut().push(span);
            };
            // The first to come is not the first to be due, and two are due at the same time.
            tokio::join!(wait(60), wait(20), wait(0), wait(40), wait(20));
            assert_eq!(order.take(), [0, 20, 20, 40, 60]);
        });
    }

    #[test]
    fn what_takes_too_long_is_given_up_and_what_does_not_is_not() {
        with_timers(async |timers| {
            let began = Instant::now();
            assert_eq!(timers.within(began + millis(30), pending::<()>()).await, None);
            assert!(began.elapsed() >= millis(30));
            let long = Instant::now() + Duration::from_secs(3600);
            assert_eq!(timers.within(long, async { 7 }).await, Some(7));
            // It was waited for, and nobody does any more: a shorter wait after it comes to its end.
            assert_eq!(timers.within(long, timers.sleep(millis(10))).await, Some(()));
            timers.sleep(millis(10)).await;
        });
    }

    #[test]
    fn who_is_given_up_leaves_others_their_time() {
        with_timers(async |timers| {
            let mut first = Box::pin(timers.sleep(millis(20)));
            let mut second = Box::pin(timers.sleep(millis(50)));
            let waits = poll_fn(|cx| {
                Poll::Ready(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending())
            });
            assert!(waits.await);
            drop(first);
            second.await;
        });
    }
}
