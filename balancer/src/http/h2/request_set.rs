//! The requests of one connection, carried out side by side in the task of the connection: what one has to say is there when the
//! connection writes, and none is a task of its own. Only those are looked at that something has happened to. A panic in one ends that
//! one alone, as it would in a task. Must not know: what requests do.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::task::coop;

use crate::http::request_store::{RequestStore, StoredRequest};

/// Most requests that are looked at before other connections have their turn.
const AT_ONCE: usize = 128;
/// Places that are kept while nothing is under way.
const FEW: usize = 4;
/// How many requests say in one word that something has happened to them.
const OF_WORD: usize = u64::BITS as usize;

/// The turn before that of the first word.
const BEGINNING: (usize, u64) = (usize::MAX, 0);

/// Who is called when something happens to a request. It is made for one task, so that calling takes no lock: another task has another
/// one.
#[derive(Debug)]
struct Called {
    task: Waker,
    /// Whether the task has to be woken: it does not look at requests anyway.
    is_asleep: AtomicBool,
}

/// Those to whom something has happened, of as many as there are bits.
#[derive(Debug)]
struct Calls {
    bits: AtomicU64,
    called: Arc<Called>,
}

/// What wakes the request in one place.
#[derive(Debug)]
struct RequestCaller {
    calls: Arc<Calls>,
    bit: u64,
}

impl Wake for RequestCaller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Self { calls, bit } = &**self;
        // Another thread may be the one that calls: what it has left there is seen by who finds the bit. It finds that, or has said that
        // it sleeps before this asks whether it does.
        if calls.bits.fetch_or(*bit, SeqCst) & bit == 0
            && calls.called.is_asleep.load(SeqCst)
            && calls.called.is_asleep.swap(false, SeqCst)
        {
            calls.called.task.wake_by_ref();
        }
    }
}

/// Where one request after the other is.
struct RequestPlace<F: 'static> {
    request: Option<StoredRequest<F>>,
    waker: Waker,
}

/// The requests.
pub(super) struct RequestSet<F: 'static> {
    store: Rc<RequestStore>,
    places: Vec<RequestPlace<F>>,
    free: Vec<usize>,
    called: Arc<Called>,
    calls: Vec<Arc<Calls>>,
    /// Those that are looked at now: of which word, and which of that are left.
    turn: (usize, u64),
    under_way: usize,
}

impl<F: Future<Output = ()> + 'static> RequestSet<F> {
    /// No requests. `store` has memory for them.
    pub(super) fn new(store: &Rc<RequestStore>) -> Self {
        Self {
            store: Rc::clone(store),
            places: Vec::new(),
            free: Vec::new(),
            called: Arc::new(Called { task: Waker::noop().clone(), is_asleep: AtomicBool::new(false) }),
            calls: Vec::new(),
            turn: BEGINNING,
            under_way: 0,
        }
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way == 0
    }

    /// Adds the one that `begin` gives, which is begun with the next [`Self::poll`].
    pub(super) fn add(&mut self, begin: impl FnOnce() -> F) {
        let request = Some(self.store.begin(begin));
        self.under_way += 1;
        let place = match self.free.pop() {
            Some(place) => place,
            None => self.make_place(),
        };
        if let Some(at) = self.places.get_mut(place) {
            at.request = request;
        }
        self.call(place);
    }

    /// The one in this place is looked at with the next [`Self::poll`].
    fn call(&self, place: usize) {
        if let Some(calls) = self.calls.get(place / OF_WORD) {
            calls.bits.fetch_or(1 << (place % OF_WORD), Relaxed);
        }
    }

    #[cold]
    fn make_place(&mut self) -> usize {
        let place = self.places.len();
        let waker = self.waker_of(place);
        self.places.push(RequestPlace { request: None, waker });
        place
    }

    fn waker_of(&mut self, place: usize) -> Waker {
        let new = || Arc::new(Calls { bits: AtomicU64::new(0), called: Arc::clone(&self.called) });
        let word = place / OF_WORD;
        if self.calls.len() <= word {
            self.calls.resize_with(word + 1, new);
        }
        let calls = self.calls.get(word).map_or_else(new, Arc::clone);
        Waker::from(Arc::new(RequestCaller { calls, bit: 1 << (place % OF_WORD) }))
    }

    /// Another task looks at them from now on, at all of them first: what calls them has to call that.
    #[cold]
    fn call_from_now(&mut self, task: &Waker) {
        self.called = Arc::new(Called { task: task.clone(), is_asleep: AtomicBool::new(false) });
        (self.calls, self.turn) = (Vec::new(), BEGINNING);
        for place in 0..self.places.len() {
            let waker = self.waker_of(place);
            if let Some(at) = self.places.get_mut(place) {
                at.waker = waker;
                if at.request.is_some() {
                    self.call(place);
                }
            }
        }
    }

    /// Carries on with those to whom something has happened, in the task of `cx`. False: that was as much as others can wait for.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> bool {
        if !self.called.task.will_wake(cx.waker()) {
            self.call_from_now(cx.waker());
        }
        self.called.is_asleep.store(false, Relaxed);
        for _ in 0..AT_ONCE {
            // Without it nothing can be read or written.
            if !coop::has_budget_remaining() {
                return false;
            }
            let Some(place) = self.next_called() else { return true };
            self.poll_at(place);
        }
        false
    }

    /// The place of the next one, which is not among those any more to whom something has happened. Who is called again meanwhile has to
    /// wait until all others were.
    fn next_called(&mut self) -> Option<usize> {
        let (mut word, mut left) = self.turn;
        for _ in 0..=self.calls.len() {
            if left != 0 {
                let bit = left & left.wrapping_neg();
                self.turn = (word, left & !bit);
                // Read as well: whoever calls from now on is heard again, and what those have left that called before is seen.
                self.calls.get(word)?.bits.fetch_and(!bit, AcqRel);
                return Some(word * OF_WORD + bit.trailing_zeros() as usize);
            }
            word = Some(word.wrapping_add(1)).filter(|word| *word < self.calls.len()).unwrap_or(0);
            left = self.calls.get(word)?.bits.load(Relaxed);
        }
        None
    }

    fn poll_at(&mut self, place: usize) {
        let Some(RequestPlace { request: slot, waker }) = self.places.get_mut(place) else { return };
        let Some(request) = slot else { return };
        let mut cx = Context::from_waker(waker);
        // What it held is given back by destructors, as it is where a task panics.
        if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(|| request.poll(&mut cx))) {
            return;
        }
        *slot = None;
        self.under_way -= 1;
        self.free.push(place);
        if self.under_way == 0 && self.places.len() > FEW {
            (self.places, self.free) = (Vec::new(), Vec::new());
            (self.calls, self.turn) = (Vec::new(), BEGINNING);
        }
    }

    /// Carries all of them to their ends.
    pub(super) fn poll_to_end(&mut self, cx: &Context<'_>) -> Poll<()> {
        while self.poll(cx) {
            if self.is_empty() {
                return Poll::Ready(());
            }
            if self.sleep() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Has the task that looked at them last be woken when something happens to one. False: something has.
    pub(super) fn sleep(&mut self) -> bool {
        // Before it looks: who calls later finds that it sleeps.
        self.called.is_asleep.store(true, SeqCst);
        !self.calls.iter().any(|calls| calls.bits.load(SeqCst) != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::poll_fn,
        pin::Pin,
        sync::atomic::AtomicUsize,
    };

    use super::*;

    type Request = Pin<Box<dyn Future<Output = ()>>>;

    /// How often somebody was woken.
    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Who was to be woken for a request last, and how often it was looked at.
    type Looks = Rc<(RefCell<Option<Waker>>, Cell<u32>)>;

    /// A request that takes so many turns; its waker and how often it was looked at.
    fn request(turns: u32) -> (Request, Looks) {
        let seen = Rc::new((RefCell::new(None), Cell::new(0)));
        let shown = Rc::clone(&seen);
        let request = poll_fn(move |cx| {
            shown.0.replace(Some(cx.waker().clone()));
            shown.1.set(shown.1.get() + 1);
            if shown.1.get() >= turns { Poll::Ready(()) } else { Poll::Pending }
        });
        (Box::pin(request), seen)
    }

    fn wake(seen: &Looks) {
        seen.0.borrow().as_ref().unwrap().wake_by_ref();
    }

    fn set() -> RequestSet<Request> {
        RequestSet::new(&Rc::default())
    }

    #[test]
    fn only_those_are_looked_at_that_something_has_happened_to() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        let mut requests = set();
        let (one, of_one) = request(3);
        let (other, of_other) = request(2);
        requests.add(|| one);
        requests.add(|| other);
        assert!(!requests.sleep(), "they are not begun");
        assert!(requests.poll(&cx) && requests.sleep());
        assert_eq!((of_one.1.get(), of_other.1.get()), (1, 1));
        wake(&of_one);
        wake(&of_one);
        assert_eq!(woken.0.load(Relaxed), 1, "once is enough");
        assert!(!requests.sleep() && requests.poll(&cx) && requests.sleep());
        assert_eq!((of_one.1.get(), of_other.1.get()), (2, 1));
        wake(&of_other);
        assert!(requests.poll(&cx) && !requests.is_empty());
        wake(&of_one);
        assert_eq!(woken.0.load(Relaxed), 2, "nobody slept the last time");
        assert!(requests.poll(&cx) && requests.is_empty());
        assert_eq!((of_one.1.get(), of_other.1.get()), (3, 2));
        // Wakers of those that are over find nobody, or whoever is in their place.
        wake(&of_one);
        assert!(requests.poll(&cx) && requests.sleep());
    }

    #[test]
    fn one_that_panics_ends_alone_and_leaves_its_place() {
        let cx = Context::from_waker(Waker::noop());
        let mut requests = set();
        let (one, seen) = request(2);
        requests.add(|| one);
        requests.add(|| Box::pin(async { panic!("it is meant to") }));
        assert!(requests.poll(&cx) && !requests.is_empty());
        assert_eq!((requests.free.len(), requests.under_way), (1, 1));
        wake(&seen);
        assert!(requests.poll(&cx) && requests.is_empty());
        let (next, seen) = request(1);
        requests.add(|| next);
        assert!(requests.poll(&cx) && requests.is_empty() && seen.1.get() == 1);
    }

    #[test]
    fn those_that_never_wait_leave_others_their_turn() {
        let cx = Context::from_waker(Waker::noop());
        let mut requests = set();
        let seen = Rc::new(Cell::new(0));
        let shown = Rc::clone(&seen);
        requests.add(|| {
            Box::pin(poll_fn(move |cx| {
                shown.set(shown.get() + 1);
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        });
        assert!(!requests.poll(&cx));
        assert_eq!(seen.get(), AT_ONCE);
    }

    #[test]
    fn what_many_took_is_let_go_when_none_is_there() {
        let cx = Context::from_waker(Waker::noop());
        let mut requests = set();
        (0..FEW + 1).for_each(|_| requests.add(|| request(1).0));
        assert!(requests.poll(&cx) && requests.is_empty());
        let capacities = (requests.places.capacity(), requests.free.capacity(), requests.calls.capacity());
        assert_eq!(capacities, (0, 0, 0));
    }

    #[test]
    fn of_many_each_is_looked_at_in_turn() {
        // One that is known again: of that which does nothing there may be several.
        let waker = Waker::from(Arc::new(Woken::default()));
        let cx = Context::from_waker(&waker);
        let mut requests = set();
        let many = 3 * OF_WORD + 1;
        let seen: Vec<Looks> = (0..many)
            .map(|_| {
                let (one, seen) = request(3);
                requests.add(|| one);
                seen
            })
            .collect();
        assert!(!requests.poll(&cx) && requests.poll(&cx), "no more than so many at a time");
        assert!(seen.iter().all(|seen| seen.1.get() == 1) && requests.sleep());
        // Each calls the next, and one itself: nobody is looked at twice before all others are.
        (0..many).rev().for_each(|number| wake(&seen[number]));
        assert!(!requests.sleep() && !requests.poll(&cx));
        wake(&seen[0]);
        assert!(requests.poll(&cx) && requests.sleep());
        assert_eq!(seen[0].1.get(), 3);
        assert!(seen.iter().skip(1).all(|seen| seen.1.get() == 2));
        seen.iter().for_each(wake);
        assert!(!requests.poll(&cx) && requests.poll(&cx) && requests.is_empty());
        assert_eq!(seen.iter().map(|seen| seen.1.get()).sum::<u32>() as usize, 3 * many);
    }

    #[test]
    fn another_task_looks_at_all_and_is_called_from_then_on() {
        let woken = [(); 2].map(|()| Arc::new(Woken::default()));
        let wakers = woken.each_ref().map(|woken| Waker::from(Arc::clone(woken)));
        let [cx, other_cx] = wakers.each_ref().map(Context::from_waker);
        let mut requests = set();
        let (one, seen) = request(4);
        requests.add(|| one);
        assert!(requests.poll(&cx) && requests.sleep());
        let of_before = seen.0.borrow().clone().unwrap();
        assert!(requests.poll(&other_cx) && requests.sleep());
        assert_eq!(seen.1.get(), 2, "what it waits for has to know whom to call");
        of_before.wake_by_ref();
        assert!(requests.poll(&other_cx) && requests.sleep() && seen.1.get() == 2);
        wake(&seen);
        assert_eq!(woken.each_ref().map(|woken| woken.0.load(Relaxed)), [1, 1]);
        assert!(requests.poll(&other_cx) && seen.1.get() == 3);
    }

    /// Wakes a thread that is parked.
    struct Unparks(std::thread::Thread);

    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    #[test]
    fn no_call_of_another_thread_is_missed() {
        const ROUNDS: usize = 5000;
        let waker = Waker::from(Arc::new(Unparks(std::thread::current())));
        let cx = Context::from_waker(&waker);
        let (rounds, seen) = (Arc::new(AtomicUsize::new(0)), Rc::new(Cell::new(0)));
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let (counted, shown) = (Arc::clone(&rounds), Rc::clone(&seen));
        let mut requests = set();
        requests.add(|| {
            Box::pin(poll_fn(move |cx| {
                assert!(counted.load(Relaxed) >= shown.get(), "what was done before the call is seen");
                shown.set(shown.get() + 1);
                if shown.get() >= ROUNDS {
                    return Poll::Ready(());
                }
                sender.send(cx.waker().clone()).unwrap();
                Poll::Pending
            }))
        });
        let other = std::thread::spawn(move || {
            for waker in receiver {
                rounds.fetch_add(1, Relaxed);
                waker.wake();
            }
        });
        while requests.poll_to_end(&cx).is_pending() {
            std::thread::park();
        }
        assert_eq!(seen.get(), ROUNDS);
        drop(requests);
        other.join().unwrap();
    }

    #[tokio::test]
    async fn they_are_carried_to_their_ends_by_who_sleeps_meanwhile() {
        let mut requests = set();
        let (one, seen) = request(2);
        requests.add(|| one);
        let waking = async {
            tokio::task::yield_now().await;
            wake(&seen);
        };
        tokio::join!(poll_fn(|cx| requests.poll_to_end(cx)), waking);
        assert_eq!(seen.1.get(), 2);
    }
}
