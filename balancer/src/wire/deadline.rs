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
    interrupt: Cell<Option<Interrupt>>,
    waker: RefCell<Option<Waker>>,
    idle: Cell<bool>,
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
        self.deadline.set(now_millis.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
        self.interrupt.set(self.interrupt.get().filter(|why| *why != Interrupt::TimedOut));
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

    fn interrupt(&self, why: Interrupt) {
        self.interrupt.set(Some(why));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Awaits `future` until it is ready or the wait is interrupted.
    ///
    /// # Errors
    /// The interrupt.
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

    /// Interrupts every wait whose deadline has passed.
    pub fn sweep(&self, now_millis: u64) {
        self.each(|watch| {
            if watch.deadline.get() <= now_millis {
                watch.deadline.set(u64::MAX);
                watch.interrupt(Interrupt::TimedOut);
            }
        });
    }

    /// The first deadline that has not passed.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        self.entries.borrow().iter().flatten().map(|watch| watch.deadline.get()).min().unwrap_or(u64::MAX)
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

    /// Interrupts so many connections that were idle for a moment: those first that nothing was ever heard of, and of each
    /// kind those that were idle for longest.
    pub fn close_longest_idle(&self, count: usize, now_millis: u64) {
        let entries = self.entries.borrow();
        let is_idle = |watch: &&Rc<Watch>| {
            watch.idle.get() && now_millis.saturating_sub(watch.armed.get()) >= MOMENT_MILLIS
        };
        let mut idle: Vec<&Rc<Watch>> = entries.iter().flatten().filter(is_idle).collect();
        if idle.len() > count && count > 0 {
            idle.select_nth_unstable_by_key(count - 1, |watch| (!watch.new.get(), watch.armed.get()));
        }
        for watch in idle.into_iter().take(count) {
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
mod tests {
    use std::{
        future::{pending, ready},
        task::Context,
    };

    use super::*;

    fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_passed_deadline_interrupts_once() {
        let watches = Rc::new(Watches::default());
        let watched = watches.register();
        let watch = watched.watch();
        watch.arm(1_000, Duration::from_millis(500));
        watches.sweep(1_499);
        assert!(poll_once(watch.within(pending::<()>())).is_pending());
        watches.sweep(1_500);
        assert_eq!(poll_once(watch.within(pending::<()>())), Poll::Ready(Err(Interrupt::TimedOut)));
        watches.sweep(10_000);
        assert!(poll_once(watch.within(pending::<()>())).is_pending(), "one deadline interrupts one wait");
        assert_eq!(poll_once(watch.within(ready(3))), Poll::Ready(Ok(3)));
    }

    #[test]
    fn the_first_deadline_is_known_and_who_is_not_idle() {
        let watches = Rc::new(Watches::default());
        assert_eq!((watches.next_deadline(), watches.under_way()), (u64::MAX, 0));
        let (a, b) = (watches.register(), watches.register());
        assert_eq!(watches.next_deadline(), u64::MAX);
        a.watch().arm(1_000, Duration::from_millis(500));
        b.watch().arm(1_000, Duration::from_millis(300));
        b.watch().set_idle(true);
        assert_eq!((watches.next_deadline(), watches.under_way()), (1_300, 1));
        watches.sweep(1_300);
        assert_eq!(watches.next_deadline(), 1_500);
        drop(a);
        assert_eq!((watches.next_deadline(), watches.under_way()), (u64::MAX, 0));
    }

    #[test]
    fn what_moves_is_counted_once() {
        let watches = Rc::new(Watches::default());
        let watched = watches.register();
        let watch = watched.watch();
        let counted = Cell::new((0, 0));
        let tick = |takes: bool| {
            watches.count_moved(|_, _, received, sent| {
                if takes {
                    counted.set((counted.get().0 + received, counted.get().1 + sent));
                }
                takes
            });
        };
        watch.received().show(10);
        watch.sent().show(100);
        tick(false);
        tick(true);
        tick(true);
        assert_eq!(counted.get(), (10, 100));
        watch.sent().show(150);
        tick(true);
        assert_eq!(counted.get(), (10, 150));
        assert_eq!((watch.received().settle(Some(15)), watch.sent().settle(Some(150))), (5, 0));
        tick(true);
        assert_eq!((counted.get(), watch.sent().settle(Some(7))), ((10, 150), 7));
        watch.sent().add(3);
        watch.sent().add(4);
        assert_eq!(watch.sent().settle(None), 7);
    }

    #[test]
    fn room_is_made_by_those_that_are_idle_for_longest() {
        let watches = Rc::new(Watches::default());
        let all: Vec<_> = (0..7).map(|_| watches.register()).collect();
        for (watched, (armed, idle, heard)) in all.iter().zip([
            (900, true, false),
            (300, true, false),
            (100, false, false),
            (100, true, true),
            (500, true, false),
            (200, true, true),
            (9_500, true, false),
        ]) {
            watched.watch().arm(armed, Duration::from_secs(60));
            watched.watch().set_idle(idle);
            if heard {
                watched.watch().set_heard();
            }
        }
        let closing = || {
            let closes = |watched: &Watched| poll_once(watched.watch().within(pending::<()>())).is_ready();
            all.iter().map(closes).collect::<Vec<_>>()
        };
        watches.close_longest_idle(2, 10_000);
        assert_eq!(closing(), [false, true, false, false, true, false, false]);
        watches.close_longest_idle(4, 10_000);
        assert_eq!(closing(), [true, true, false, true, true, false, false], "heard of, and for longest");
        watches.close_longest_idle(0, 10_000);
        assert_eq!(closing(), [false; 7]);
        watches.close_longest_idle(9, 10_000);
        assert_eq!(closing(), [true, true, false, true, true, true, false], "the last has had no time yet");
    }

    #[test]
    fn only_what_can_go_elsewhere_moves_away() {
        let watches = Rc::new(Watches::default());
        let all: Vec<Watched> = (0..5).map(|_| watches.register()).collect();
        for (watched, registration) in all.iter().zip([Some(7), Some(7), Some(8), None, Some(7)]) {
            watched.watch().set_registration(registration);
        }
        all[1].watch().stay();
        all[4].watch().set_repeatable();
        watches.move_away(7, false);
        let interrupted = |watched: &Watched| match poll_once(watched.watch().within(pending::<()>())) {
            Poll::Ready(Err(why)) => Some(why),
            _ => None,
        };
        let seen: Vec<_> = all.iter().map(interrupted).collect();
        assert_eq!(seen, [Some(Interrupt::Silent), None, None, None, None]);
        watches.move_away(7, true);
        let seen: Vec<_> = all.iter().map(interrupted).collect();
        let silent = Some(Interrupt::Silent);
        assert_eq!(seen, [silent, None, None, None, silent], "what does no harm twice as well");
        // What comes too late is nothing to the next wait.
        watches.move_away(7, true);
        all[0].watch().stay();
        assert_eq!(interrupted(&all[0]), None);
        watches.move_away(7, true);
        assert_eq!(interrupted(&all[0]), None, "it stays");
        all[0].watch().set_registration(Some(7));
        watches.move_away(7, true);
        all[0].watch().set_registration(Some(9));
        assert_eq!(interrupted(&all[0]), None, "it is for another one already");
    }

    #[test]
    fn cuts_and_closings_reach_only_whom_they_mean() {
        let watches = Rc::new(Watches::default());
        let (a, b) = (watches.register(), watches.register());
        a.watch().set_registration(Some(7));
        b.watch().set_idle(true);
        watches.cut(7);
        watches.close_idle(None, true);
        assert!(poll_once(b.watch().within(pending::<()>())).is_pending(), "its request may be under way");
        watches.close_idle(None, false);
        assert_eq!(poll_once(a.watch().within(pending::<()>())), Poll::Ready(Err(Interrupt::Cut)));
        assert_eq!(poll_once(b.watch().within(pending::<()>())), Poll::Ready(Err(Interrupt::Closing)));
        let heard = watches.register();
        heard.watch().set_idle(true);
        heard.watch().set_heard();
        watches.close_idle(None, true);
        assert_eq!(poll_once(heard.watch().within(pending::<()>())), Poll::Ready(Err(Interrupt::Closing)));
        drop(heard);
        watches.cut(8);
        assert!(poll_once(a.watch().within(pending::<()>())).is_pending());
        drop(a);
        assert_eq!(watches.len(), 1);
        let again = watches.register();
        assert_eq!(again.index, 0, "places are used again");
    }
}
