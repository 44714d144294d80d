//! The requests of one connection, carried out side by side in the task of the connection: what one has to say is there when the
//! connection writes, and none is a task of its own. Only those are looked at that something has happened to. A panic in one ends that
//! one alone, as it would in a task. Must not know: what requests do.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::task::coop;

use crate::http::request_store::{RequestStore, StoredRequest};

/// Most requests that are looked at before other connections have their turn.
const AT_ONCE: usize = 128;
/// Places that are kept while nothing is under way.
const FEW: usize = 4;

/// Those to whom something has happened.
#[derive(Debug, Default)]
struct Called {
    places: Vec<usize>,
    /// Who looks at them, once that is not done anyway.
    task: Option<Waker>,
    is_asleep: bool,
}

/// What the wakers of all requests of a connection lead to.
#[derive(Debug, Default)]
struct Calls(Mutex<Called>);

impl Calls {
    fn called(&self) -> MutexGuard<'_, Called> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, place: usize) {
        let mut called = self.called();
        called.places.push(place);
        if std::mem::take(&mut called.is_asleep)
            && let Some(task) = called.task.clone()
        {
            drop(called);
            task.wake();
        }
    }
}

/// What wakes the request in one place.
#[derive(Debug)]
struct RequestCaller {
    calls: Arc<Calls>,
    place: usize,
    /// Whether it is among those to be looked at.
    is_called: AtomicBool,
}

impl Wake for RequestCaller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Another thread may be the one that calls: what it has left there is seen by who finds that this was set.
        if !self.is_called.swap(true, AcqRel) {
            self.calls.call(self.place);
        }
    }
}

/// Where one request after the other is.
struct RequestPlace<F: 'static> {
    request: Option<StoredRequest<F>>,
    caller: Arc<RequestCaller>,
    waker: Waker,
}

/// The requests.
pub(super) struct RequestSet<F: 'static> {
    store: Rc<RequestStore>,
    places: Vec<RequestPlace<F>>,
    free: Vec<usize>,
    calls: Arc<Calls>,
    /// Those that are looked at now.
    turn: Vec<usize>,
    under_way: usize,
}

impl<F: Future<Output = ()> + 'static> RequestSet<F> {
    /// No requests. `store` has memory for them.
    pub(super) fn new(store: &Rc<RequestStore>) -> Self {
        Self {
            store: Rc::clone(store),
            places: Vec::new(),
            free: Vec::new(),
            calls: Arc::default(),
            turn: Vec::new(),
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
            at.caller.wake_by_ref();
        }
    }

    #[cold]
    fn make_place(&mut self) -> usize {
        let place = self.places.len();
        let caller = Arc::new(RequestCaller {
            calls: Arc::clone(&self.calls),
            place,
            is_called: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&caller));
        self.places.push(RequestPlace { request: None, caller, waker });
        place
    }

    /// Carries on with those to whom something has happened. False: that was as much as others can wait for.
    pub(super) fn poll(&mut self) -> bool {
        for _ in 0..AT_ONCE {
            // Without it nothing can be read or written.
            if !coop::has_budget_remaining() {
                return false;
            }
            if self.turn.is_empty() {
                let mut called = self.calls.called();
                called.is_asleep = false;
                std::mem::swap(&mut self.turn, &mut called.places);
                drop(called);
                // Who was called first is taken first, from the end.
                self.turn.reverse();
            }
            let Some(place) = self.turn.pop() else { return true };
            self.poll_at(place);
        }
        false
    }

    fn poll_at(&mut self, place: usize) {
        let Some(RequestPlace { request: slot, caller, waker }) = self.places.get_mut(place) else { return };
        // Read as well: whoever calls from now on is heard again, and what those have left that called before is seen.
        caller.is_called.swap(false, AcqRel);
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
        }
    }

    /// Carries all of them to their ends.
    pub(super) fn poll_to_end(&mut self, cx: &Context<'_>) -> Poll<()> {
        while self.poll() {
            if self.is_empty() {
                return Poll::Ready(());
            }
            if self.sleep(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Has the task of `cx` be woken when something happens to one. False: something has.
    pub(super) fn sleep(&mut self, cx: &Context<'_>) -> bool {
        let mut called = self.calls.called();
        if !self.turn.is_empty() || !called.places.is_empty() {
            return false;
        }
        if !called.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            called.task = Some(cx.waker().clone());
        }
        called.is_asleep = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::poll_fn,
        pin::Pin,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
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
        assert!(!requests.sleep(&cx), "they are not begun");
        assert!(requests.poll() && requests.sleep(&cx));
        assert_eq!((of_one.1.get(), of_other.1.get()), (1, 1));
        wake(&of_one);
        wake(&of_one);
        assert_eq!(woken.0.load(Relaxed), 1, "once is enough");
        assert!(!requests.sleep(&cx) && requests.poll() && requests.sleep(&cx));
        assert_eq!((of_one.1.get(), of_other.1.get()), (2, 1));
        wake(&of_other);
        assert!(requests.poll() && !requests.is_empty());
        wake(&of_one);
        assert_eq!(woken.0.load(Relaxed), 2, "nobody slept the last time");
        assert!(requests.poll() && requests.is_empty());
        assert_eq!((of_one.1.get(), of_other.1.get()), (3, 2));
        // Wakers of those that are over find nobody, or whoever is in their place.
        wake(&of_one);
        assert!(requests.poll() && requests.sleep(&cx));
    }

    #[test]
    fn one_that_panics_ends_alone_and_leaves_its_place() {
        let mut requests = set();
        let (one, seen) = request(2);
        requests.add(|| one);
        requests.add(|| Box::pin(async { panic!("it is meant to") }));
        assert!(requests.poll() && !requests.is_empty());
        assert_eq!((requests.free.len(), requests.under_way), (1, 1));
        wake(&seen);
        assert!(requests.poll() && requests.is_empty());
        let (next, seen) = request(1);
        requests.add(|| next);
        assert!(requests.poll() && requests.is_empty() && seen.1.get() == 1);
    }

    #[test]
    fn those_that_never_wait_leave_others_their_turn() {
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
        assert!(!requests.poll());
        assert_eq!(seen.get(), AT_ONCE);
    }

    #[test]
    fn what_many_took_is_let_go_when_none_is_there() {
        let mut requests = set();
        (0..FEW + 1).for_each(|_| requests.add(|| request(1).0));
        assert!(requests.poll() && requests.is_empty());
        assert_eq!((requests.places.capacity(), requests.free.capacity()), (0, 0));
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
