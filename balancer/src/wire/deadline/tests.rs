use std::{
    future::{pending, ready},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
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
    assert_eq!((watches.next_due(), watches.under_way()), (u64::MAX, 0));
    let (a, b) = (watches.register(), watches.register());
    assert_eq!(watches.next_due(), u64::MAX);
    a.watch().arm(1_000, Duration::from_millis(500));
    b.watch().arm(1_000, Duration::from_millis(300));
    b.watch().set_idle(true);
    assert_eq!((watches.next_due(), watches.under_way()), (1_300, 1));
    watches.sweep(1_300);
    assert_eq!(watches.next_due(), 1_500);
    drop(a);
    assert_eq!((watches.next_due(), watches.under_way()), (u64::MAX, 0));
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
fn who_was_idle_for_a_moment_is_named_and_can_be_closed() {
    let watches = Rc::new(Watches::default());
    let all: Vec<_> = (0..4).map(|_| watches.register()).collect();
    for (watched, (armed, idle, heard)) in
        all.iter().zip([(900, true, false), (100, false, false), (200, true, true), (9_500, true, false)])
    {
        watched.watch().arm(armed, Duration::from_secs(60));
        watched.watch().set_idle(idle);
        if heard {
            watched.watch().set_heard();
        }
    }
    let idle: Vec<_> = watches.idle(10_000).collect();
    let wait = |since_millis, is_new| Wait { since_millis, until_millis: since_millis + 60_000, is_new };
    assert_eq!(idle, [(0, wait(900, true)), (2, wait(200, false))], "the last has had no time yet");
    (1..9).for_each(|place| watches.close_at(place));
    let closes = |watched: &Watched| poll_once(watched.watch().within(pending::<()>())).is_ready();
    assert_eq!(
        all.iter().map(closes).collect::<Vec<_>>(),
        [false, false, true, true],
        "who is not idle stays"
    );
}

#[test]
fn a_wait_that_takes_a_while_ends_where_it_can_go_on_elsewhere() {
    let watches = Rc::new(Watches::default());
    let (parks, stays) = (watches.register(), watches.register());
    for watched in [&parks, &stays] {
        watched.watch().arm(1_000, Duration::from_secs(60));
    }
    let mut parking = pin!(parks.watch().within_or_park(pending::<()>()));
    let mut staying = pin!(stays.watch().within(pending::<()>()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(parking.as_mut().poll(&mut cx).is_pending() && staying.as_mut().poll(&mut cx).is_pending());
    assert_eq!(watches.next_due(), 1_000 + PARK_MILLIS);
    watches.sweep(999 + PARK_MILLIS);
    assert!(parking.as_mut().poll(&mut cx).is_pending());
    watches.sweep(1_000 + PARK_MILLIS);
    assert_eq!(parking.as_mut().poll(&mut cx), Poll::Ready(Err(Interrupt::Park)));
    assert!(staying.as_mut().poll(&mut cx).is_pending());
    assert_eq!(watches.next_due(), 61_000, "it waits no more in such a way");
    // A wait that goes on is as far as it was.
    let wait = parks.watch().wait();
    let again = watches.register();
    again.watch().resume(wait);
    assert_eq!((again.watch().wait(), wait.until_millis), (wait, 61_000));
    watches.sweep(61_000);
    assert_eq!(
        poll_once(again.watch().within_or_park(pending::<()>())),
        Poll::Ready(Err(Interrupt::TimedOut))
    );
}

#[test]
fn what_has_come_goes_before_being_parked() {
    let watches = Rc::new(Watches::default());
    let watched = watches.register();
    let watch = watched.watch();
    watch.arm(0, Duration::from_secs(60));
    let (come, mut ready) = (Cell::new(false), 0);
    let arrives = std::future::poll_fn(|_| if come.get() { Poll::Ready(()) } else { Poll::Pending });
    let mut waiting = pin!(watch.within_or_park(arrives));
    let mut cx = Context::from_waker(Waker::noop());
    ready += usize::from(waiting.as_mut().poll(&mut cx).is_ready());
    watches.sweep(PARK_MILLIS);
    come.set(true);
    assert_eq!((waiting.as_mut().poll(&mut cx), ready), (Poll::Ready(Ok(())), 0));
    assert!(
        poll_once(watch.within(pending::<()>())).is_pending(),
        "what came too late is nothing to the next wait"
    );
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
    watches.shrink();
    assert_eq!((watches.len(), watches.entries.borrow().len()), (2, 3), "those that are there stay");
    drop((again, b));
    watches.shrink();
    assert!(watches.is_empty() && watches.entries.borrow().capacity() == 0);
    assert_eq!(watches.register().index, 0, "it begins anew");
}

#[test]
fn who_ends_in_its_own_way_is_woken_to_look_and_is_not_interrupted() {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl std::task::Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let watches = Rc::new(Watches::default());
    for graceful in [true, false] {
        let watched = watches.register();
        if graceful {
            watched.watch().set_graceful();
        }
        let mut wait = pin!(watched.watch().within(pending::<()>()));
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        watches.wake_graceful();
        assert_eq!(woken.0.load(Relaxed), graceful);
        assert!(wait.poll(&mut cx).is_pending());
    }
}

#[test]
fn a_wait_goes_on_for_as_long_as_bytes_arrive() {
    let watches = Rc::new(Watches::default());
    let watched = watches.register();
    let watch = watched.watch();
    watch.arm_in_halves(1_000, Duration::from_millis(500));
    let passes = |at: u64, under_way: u64| {
        watches.sweep(at - 1);
        assert!(poll_once(watch.within(pending::<()>())).is_pending(), "not before {at}");
        watches.sweep(at);
        assert_eq!(poll_once(watch.within(pending::<()>())), Poll::Ready(Err(Interrupt::TimedOut)));
        watch.goes_on(at, under_way)
    };
    assert!(passes(1_250, 900), "how much there is to arrive is seen after half of the time");
    assert!(passes(1_500, 899) && passes(1_750, 5));
    assert!(!passes(2_000, 5), "nothing has arrived");
    watch.arm_in_halves(3_000, Duration::from_millis(500));
    assert!(passes(3_250, 0) && !passes(3_500, 0), "all has");
    watch.arm_in_halves(4_000, Duration::from_millis(500));
    watch.arm(4_000, Duration::from_millis(500));
    assert!(!passes(4_500, 0), "it is another wait");
}
