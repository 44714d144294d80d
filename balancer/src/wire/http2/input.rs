//! Whether a connection's socket may have something to be read. Whoever drives the connection is woken for many reasons, and asks the
//! socket again only when it is the socket that has called. Must not know: what is read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

/// What the socket calls. It is made for one driver, so that calling takes no lock: another driver has another one.
#[derive(Debug)]
struct InputCall {
    has_come: AtomicBool,
    driver: Waker,
}

impl Wake for InputCall {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Relaxed);
        self.driver.wake_by_ref();
    }
}

/// How a driver waits for the socket.
#[derive(Debug)]
struct InputWait {
    call: Arc<InputCall>,
    waker: Waker,
    /// Whether the socket had nothing when it was asked last.
    is_waited_for: bool,
}

impl InputWait {
    fn of(driver: &Waker) -> Self {
        let call = Arc::new(InputCall { has_come: AtomicBool::new(false), driver: driver.clone() });
        let waker = Waker::from(Arc::clone(&call));
        Self { call, waker, is_waited_for: false }
    }
}

/// What is known of the socket.
#[derive(Debug, Default)]
pub(super) struct Input(Option<InputWait>);

impl Input {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Reads by `read` where there may be something, which is told whether the socket has called: then there is, most likely. `cx`
    /// is of who drives the connection.
    #[inline]
    pub(super) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        read: impl FnOnce(&mut Context<'_>, bool) -> Poll<T>,
    ) -> Poll<T> {
        let driver = cx.waker();
        // One that has not asked the socket yet is called by nobody.
        let wait = match &mut self.0 {
            Some(wait) if wait.call.driver.will_wake(driver) => wait,
            other => other.insert(InputWait::of(driver)),
        };
        if wait.is_waited_for && !wait.call.has_come.load(Relaxed) {
            return Poll::Pending;
        }
        // Before it is asked: what comes while it is asked calls again.
        wait.call.has_come.store(false, Relaxed);
        let polled = read(&mut Context::from_waker(&wait.waker), wait.is_waited_for);
        wait.is_waited_for = polled.is_pending();
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
