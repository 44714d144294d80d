//! Wakes the thread that watches workers. It costs a worker that wakes up a look at a word while that thread is awake, and a
//! system call when it sleeps. Must not know: who watches, and what for.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, Thread},
    time::Duration,
};

/// One for all workers of a process and the one who watches them.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    rests: AtomicBool,
    watcher: OnceLock<Thread>,
}

impl Alarm {
    /// A worker has something to do, as can be seen already.
    #[inline]
    pub(super) fn ring(&self) {
        if self.rests.load(Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if self.rests.swap(false, Relaxed) {
            self.watcher.get().into_iter().for_each(Thread::unpark);
        }
    }

    /// Sleeps until the alarm rings. Nothing orders what a worker writes and what it reads here: one that begins to work in this
    /// very moment may not see that it has to ring. `pause` is far longer than that can last, and `is_needed` is asked after it.
    pub(super) fn rest(&self, pause: Duration, is_needed: impl Fn() -> bool) {
        self.watcher.get_or_init(thread::current);
        self.rests.store(true, Relaxed);
        thread::park_timeout(pause);
        while self.rests.load(Relaxed) && !is_needed() {
            thread::park();
        }
        self.rests.store(false, Relaxed);
    }
}
