//! Whether a connection's socket may have something to be read. Whoever drives the connection is woken for many reasons, and asks the
//! socket again only when it is the socket that has called. Must not know: what is read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

/// What the socket calls.
#[derive(Debug, Default)]
struct InputCall {
    has_come: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl InputCall {
    fn follow(&self, driver: &Waker) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver.clone());
    }
}

impl Wake for InputCall {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Relaxed);
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

/// What is known of the socket.
#[derive(Debug)]
pub(super) struct Input {
    call: Arc<InputCall>,
    waker: Waker,
    driver: Option<Waker>,
    /// Whether it had nothing when it was asked last.
    is_waited_for: bool,
}

impl Input {
    pub(super) fn new() -> Self {
        let call = Arc::<InputCall>::default();
        let waker = Waker::from(Arc::clone(&call));
        Self { call, waker, driver: None, is_waited_for: false }
    }

    /// Reads by `read` where there may be something, which is told whether the socket has called: then there is, most likely. `cx`
    /// is of who drives the connection.
    #[inline]
    pub(super) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        read: impl FnOnce(&mut Context<'_>, bool) -> Poll<T>,
    ) -> Poll<T> {
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            self.call.follow(cx.waker());
            self.driver = Some(cx.waker().clone());
        }
        if self.is_waited_for && !self.call.has_come.load(Relaxed) {
            return Poll::Pending;
        }
        // Before it is asked: what comes while it is asked calls again.
        self.call.has_come.store(false, Relaxed);
        let polled = read(&mut Context::from_waker(&self.waker), self.is_waited_for);
        self.is_waited_for = polled.is_pending();
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_socket_is_asked_again_when_it_has_called() {
        let (woken, other) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (waker, other_waker) = (Waker::from(Arc::clone(&woken)), Waker::from(Arc::clone(&other)));
        let (cx, other_cx) = (Context::from_waker(&waker), Context::from_waker(&other_waker));
        let mut input = Input::new();
        let mut held = None;
        assert!(
            input.poll(&cx, |_, called| Poll::Ready(called)) == Poll::Ready(false),
            "nobody has asked it"
        );
        for _ in 0..2 {
            let asked = input.poll(&cx, |cx, _| {
                held = Some(cx.waker().clone());
                Poll::<u32>::Pending
            });
            assert!(asked.is_pending());
            assert_eq!(input.poll(&cx, |_, _| Poll::Ready(2)), Poll::Pending);
            held.take().unwrap().wake_by_ref();
        }
        assert_eq!(woken.0.load(Relaxed), 2);
        assert_eq!(input.poll(&cx, |_, called| Poll::Ready(called)), Poll::Ready(true));
        assert_eq!(input.poll(&cx, |_, called| Poll::Ready(called)), Poll::Ready(false), "there may be more");
        // What comes while it is asked is not missed, and whoever drives it now is woken.
        let asked = input.poll(&other_cx, |cx, _| {
            cx.waker().wake_by_ref();
            Poll::<u32>::Pending
        });
        assert!(asked.is_pending());
        assert_eq!((woken.0.load(Relaxed), other.0.load(Relaxed)), (2, 1));
        assert_eq!(input.poll(&other_cx, |_, _| Poll::Ready(5)), Poll::Ready(5));
    }
}
