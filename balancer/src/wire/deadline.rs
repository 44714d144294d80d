//! Deadlines without timers: a connection notes until when it will wait, and its worker's ticker looks
//! through the notes. Arming one costs a store. It notes as well how far it is, so that what takes long is counted
//! while it goes on.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

/// What is not called idle yet, in milliseconds: something may be under way.
const MOMENT_MILLIS: u64 = 1000;

/// Why a wait was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Its deadline passed.
    TimedOut,
    /// The target's deregistration delay is over.
    Cut,
    /// The target answers nothing any more, and what is under way can go elsewhere.
    Silent,
    /// The connection is idle and not wanted any more.
    Closing,
    /// The connection is idle for a while and can be waited for in a cheaper way.
    Park,
}

/// How long a connection is idle before it is parked, in milliseconds: between the requests of one that is in use there is less.
const PARK_MILLIS: u64 = 1000;

/// What a parked connection has of its watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When it began, by its worker's clock.
    pub since_millis: u64,
    /// When it is over.
    pub until_millis: u64,
    /// Whether nothing was heard of who has connected.
    pub is_new: bool,
}

/// What a target may have of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stake {
    /// Nothing.
    #[default]
    Nothing,
    /// All of it, which does no harm twice; nothing has come back.
    Repeatable,
    /// What must not be sent twice, or it has begun to answer.
    Everything,
}

/// How far a wait is of which the second half begins anew as long as bytes arrive.
#[derive(Clone, Copy, Debug, Default)]
enum Halves {
    /// It is no such wait.
    #[default]
    None,
    /// The first one, which is so long.
    First(Duration),
    /// The second one, and how much was under way when it began.
    Second(Duration, u64),
}

/// Bytes that move in one direction while something is under way.
#[derive(Debug, Default)]
pub struct Moved {
    shown: Cell<u64>,
    counted: Cell<u64>,
}

impl Moved {
    /// So many have moved so far.
    #[inline]
    pub fn show(&self, so_far: u64) {
        self.shown.set(so_far);
    }

    /// So many more have moved.
    pub fn add(&self, more: u64) {
        self.shown.set(self.shown.get().saturating_add(more));
    }

    /// It is over, and so many have moved, or nothing more than was shown. Gives back how many of them are not counted.
    pub fn settle(&self, total: Option<u64>) -> u64 {
        let shown = self.shown.take();
        total.unwrap_or(shown).saturating_sub(self.counted.take())
    }

    fn uncounted(&self) -> u64 {
        self.shown.get().saturating_sub(self.counted.get())
    }

    fn count(&self) {
        self.counted.set(self.shown.get().max(self.counted.get()));
    }
}

/// What a connection shows to its worker's ticker.
#[derive(Debug, Default)]
pub struct Watch {
    deadline: Cell<u64>,
    armed: Cell<u64>,
    halves: Cell<Halves>,
    interrupt: Cell<Option<Interrupt>>,
    waker: RefCell<Option<Waker>>,
    idle: Cell<bool>,
    /// Whether it waits in such a way that it can be parked.
    parks: Cell<bool>,
    /// Whether it carries another protocol.
    tunnel: Cell<bool>,
    /// Whether it can be told to end without losing anything, at any time.
    graceful: Cell<bool>,
    /// Whether nothing was heard of who has connected.
    new: Cell<bool>,
    registration: Cell<Option<u64>>,
    /// What of it is there.
    stake: Cell<Stake>,
    listener: Cell<u32>,
    ipv6: Cell<bool>,
    received: Moved,
    sent: Moved,
}

impl Watch {
    /// Bytes from the client.
    #[must_use]
    pub fn received(&self) -> &Moved {
        &self.received
    }

    /// Bytes to the client.
    #[must_use]
    pub fn sent(&self) -> &Moved {
        &self.sent
    }

    /// Whether the client's address is of IPv6.
    pub fn set_ipv6(&self, ipv6: bool) {
        self.ipv6.set(ipv6);
    }

    /// Waits may last until `now_millis + span`.
    pub fn arm(&self, now_millis: u64, span: Duration) {
        self.armed.set(now_millis);
        self.halves.set(Halves::None);
        self.deadline.set(now_millis.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
        self.interrupt.set(self.interrupt.get().filter(|why| *why != Interrupt::TimedOut));
    }

    /// As [`arm`](Self::arm), and half of it [goes on](Self::goes_on) for as long as bytes arrive that were written before.
    pub fn arm_in_halves(&self, now_millis: u64, span: Duration) {
        self.arm(now_millis, span / 2);
        self.halves.set(Halves::First(span / 2));
    }

    /// The deadline has passed. Whether there is another: of what was written so many bytes have not arrived, which is less than
    /// half of the wait before, or nobody knows yet.
    pub fn goes_on(&self, now_millis: u64, under_way: u64) -> bool {
        let half = match self.halves.get() {
            Halves::First(half) => half,
            Halves::Second(half, before) if under_way < before => half,
            Halves::Second(..) | Halves::None => return false,
        };
        self.arm(now_millis, half);
        self.halves.set(Halves::Second(half, under_way));
        true
    }

    /// Whether the connection is between requests with nothing received.
    pub fn set_idle(&self, idle: bool) {
        self.idle.set(idle);
        if !idle {
            self.new.set(false);
        }
        if !idle && self.interrupt.get() == Some(Interrupt::Closing) {
            self.interrupt.set(None);
        }
    }

    /// What follows is of another protocol.
    pub fn set_tunnel(&self) {
        self.tunnel.set(true);
    }

    /// The connection can be told to end at any time, and ends in its own way.
    pub fn set_graceful(&self) {
        self.graceful.set(true);
        self.idle.set(true);
    }

    /// Something was heard of who has connected, though it may be idle again.
    pub fn set_heard(&self) {
        self.new.set(false);
    }

    /// Whether nothing was heard of who has connected.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new.get()
    }

    /// The registration of the target that a request is in flight to, of which nothing is sent yet.
    pub fn set_registration(&self, registration: Option<u64>) {
        self.registration.set(registration);
        self.stake.set(Stake::Nothing);
        self.interrupt.set(self.interrupt.get().filter(|i| !matches!(i, Interrupt::Cut | Interrupt::Silent)));
    }

    /// The request is sent, and does no harm twice.
    #[inline]
    pub fn set_repeatable(&self) {
        self.stake.set(Stake::Repeatable);
    }

    /// What is in flight cannot go elsewhere any more.
    #[inline]
    pub fn stay(&self) {
        self.stake.set(Stake::Everything);
        if self.interrupt.get() == Some(Interrupt::Silent) {
            self.interrupt.set(None);
        }
    }

    /// Number of the listener that accepted the connection.
    pub fn set_listener(&self, listener: u32) {
        self.listener.set(listener);
    }

    /// Whether it waits in such a way that it can be parked.
    pub fn set_parks(&self, parks: bool) {
        self.parks.set(parks);
        if !parks {
            self.interrupt.set(self.interrupt.get().filter(|why| *why != Interrupt::Park));
        }
    }

    /// What it waits for, and since when.
    #[must_use]
    pub fn wait(&self) -> Wait {
        Wait { since_millis: self.armed.get(), until_millis: self.deadline.get(), is_new: self.new.get() }
    }

    /// Goes on with a wait that had begun.
    pub fn resume(&self, wait: Wait) {
        self.armed.set(wait.since_millis);
        self.deadline.set(wait.until_millis);
        self.new.set(wait.is_new);
    }

    /// When the worker has to look at it: it is to be parked, or its deadline passes.
    fn due(&self) -> u64 {
        let park = if self.parks.get() { self.armed.get().saturating_add(PARK_MILLIS) } else { u64::MAX };
        self.deadline.get().min(park)
    }

    fn interrupt(&self, why: Interrupt) {
        self.interrupt.set(Some(why));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// As [`within`](Self::within), and ends with [`Interrupt::Park`] when it takes a while.
    ///
    /// # Errors
    /// The interrupt.
    pub async fn within_or_park<F: Future>(&self, future: F) -> Result<F::Output, Interrupt> {
        self.set_parks(true);
        let outcome = self.within(future).await;
        // It may have come along with what was waited for.
        self.set_parks(false);
        outcome
    }

    /// Awaits `future` until it is ready or the wait is interrupted.
    ///
    /// # Errors
    /// The interrupt.
    #[inline]
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output, Interrupt> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if let Some(why) = self.interrupt.take() {
                return Poll::Ready(Err(why));
            }
            let mut waker = self.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|held| held.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// The watches of one worker's connections.
#[derive(Debug, Default)]
pub struct Watches {
    entries: RefCell<Vec<Option<Rc<Watch>>>>,
    free: RefCell<Vec<usize>>,
    live: Cell<usize>,
    /// Memory of some that are over: each request over HTTP/2 has one.
    spare: RefCell<Vec<Rc<Watch>>>,
}

/// Most watches whose memory is kept.
const MOST_SPARE: usize = 256;

/// Keeps a [`Watch`] registered; dropping it ends that.
#[derive(Debug)]
pub struct Watched {
    owner: Rc<Watches>,
    watch: Rc<Watch>,
    index: usize,
}

impl Watched {
    /// The watch.
    #[must_use]
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(entry) = self.owner.entries.borrow_mut().get_mut(self.index) {
            *entry = None;
        }
        self.owner.free.borrow_mut().push(self.index);
        self.owner.live.set(self.owner.live.get().saturating_sub(1));
        let mut spare = self.owner.spare.borrow_mut();
        if spare.len() < MOST_SPARE {
            // What it would wake is over.
            self.watch.waker.replace(None);
            spare.push(Rc::clone(&self.watch));
        }
    }
}

impl Watches {
    /// A new registered watch whose deadline is far away.
    #[must_use]
    pub fn register(self: &Rc<Self>) -> Watched {
        let new = Watch { deadline: Cell::new(u64::MAX), new: Cell::new(true), ..Watch::default() };
        let mut spare = self.spare.borrow_mut().pop();
        let watch = match spare.as_mut().and_then(Rc::get_mut) {
            Some(watch) => {
                *watch = new;
                spare.unwrap_or_default()
            }
            // Somebody has it still.
            None => Rc::new(new),
        };
        let mut entries = self.entries.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            entries.push(None);
            entries.len() - 1
        });
        if let Some(entry) = entries.get_mut(index) {
            *entry = Some(Rc::clone(&watch));
        }
        self.live.set(self.live.get() + 1);
        Watched { owner: Rc::clone(self), watch, index }
    }

    /// Lets go of what those that are gone had, as far as nothing else has it.
    pub fn shrink(&self) {
        self.spare.take();
        if self.is_empty() {
            self.entries.take();
            self.free.take();
        }
    }

    /// How many are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.get()
    }

    /// Whether none is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one of `listener` is registered.
    #[must_use]
    pub fn has(&self, listener: u32) -> bool {
        self.entries.borrow().iter().flatten().any(|watch| watch.listener.get() == listener)
    }

    fn each(&self, visit: impl Fn(&Watch)) {
        for watch in self.entries.borrow().iter().flatten() {
            visit(watch);
        }
    }

    /// Interrupts every wait whose deadline has passed, and those that have taken a while and need not be waited for in a task.
    pub fn sweep(&self, now_millis: u64) {
        self.each(|watch| {
            if watch.due() > now_millis {
                return;
            }
            if watch.deadline.get() <= now_millis {
                watch.deadline.set(u64::MAX);
                watch.interrupt(Interrupt::TimedOut);
            } else {
                watch.interrupt(Interrupt::Park);
            }
        });
    }

    /// When one of them has to be looked at next.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.entries.borrow().iter().flatten().map(|watch| watch.due()).min().unwrap_or(u64::MAX)
    }

    /// How many are not idle.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.entries.borrow().iter().flatten().map(|watch| u64::from(!watch.idle.get())).sum()
    }

    /// Hands to `count` what has moved since the last call and is not settled: the listener's number, whether it is
    /// IPv6, bytes from and to the client. What `count` does not take is left.
    pub fn count_moved(&self, count: impl Fn(u32, bool, u64, u64) -> bool) {
        self.each(|watch| {
            let (received, sent) = (watch.received.uncounted(), watch.sent.uncounted());
            if received + sent > 0 && count(watch.listener.get(), watch.ipv6.get(), received, sent) {
                watch.received.count();
                watch.sent.count();
            }
        });
    }

    /// Interrupts everything in flight to `registration`.
    pub fn cut(&self, registration: u64) {
        self.each(|watch| {
            if watch.registration.get() == Some(registration) {
                watch.interrupt(Interrupt::Cut);
            }
        });
    }

    /// Interrupts what is in flight to `registration` and can go elsewhere: requests that are not sent yet; with `sent` also
    /// such that do no harm twice.
    pub fn move_away(&self, registration: u64, sent: bool) {
        self.each(|watch| {
            let can_go = match watch.stake.get() {
                Stake::Nothing => true,
                Stake::Repeatable => sent,
                Stake::Everything => false,
            };
            if can_go && watch.registration.get() == Some(registration) {
                watch.interrupt(Interrupt::Silent);
            }
        });
    }

    /// The places of those that were idle for a moment, with what is known of that.
    pub fn idle(&self, now_millis: u64) -> impl Iterator<Item = (usize, Wait)> {
        let entries = self.entries.borrow();
        let is_idle =
            |watch: &Watch| watch.idle.get() && now_millis.saturating_sub(watch.armed.get()) >= MOMENT_MILLIS;
        let places = entries.iter().enumerate().filter_map(|(place, watch)| {
            let watch = watch.as_ref().filter(|watch| is_idle(watch))?;
            Some((place, watch.wait()))
        });
        places.collect::<Vec<_>>().into_iter()
    }

    /// Interrupts the connection in this place, where it is idle.
    pub fn close_at(&self, place: usize) {
        if let Some(Some(watch)) = self.entries.borrow().get(place)
            && watch.idle.get()
        {
            watch.interrupt(Interrupt::Closing);
        }
    }

    /// Interrupts what carries other protocols: it is over.
    pub fn close_tunnels(&self) {
        self.each(|watch| {
            if watch.tunnel.get() {
                watch.interrupt(Interrupt::Closing);
            }
        });
    }

    /// Has connections that end in their own way look whether they should.
    pub fn wake_graceful(&self) {
        self.each(|watch| {
            if watch.graceful.get() {
                watch.wake();
            }
        });
    }

    /// Interrupts connections that end in their own way.
    pub fn close_graceful(&self) {
        self.each(|watch| {
            if watch.graceful.get() {
                watch.interrupt(Interrupt::Closing);
            }
        });
    }

    /// Interrupts idle connections: all, or those of one listener. `spare_new`: not those that nothing was heard of, whose
    /// first request may be under way.
    pub fn close_idle(&self, listener: Option<u32>, spare_new: bool) {
        self.each(|watch| {
            let spared = spare_new && watch.new.get();
            if watch.idle.get() && !spared && listener.is_none_or(|number| watch.listener.get() == number) {
                watch.interrupt(Interrupt::Closing);
            }
        });
    }
}

#[cfg(test)]
mod tests;
