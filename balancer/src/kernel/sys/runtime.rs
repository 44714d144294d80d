//! Descriptors that the runtime is told of and does not read itself. Must not know: what they are for.

use std::{io, os::fd::OwnedFd, rc::Rc, time::Duration};

use rustix::{
    event::Timespec,
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};

/// Has the runtime of this thread tell when `descriptor` can be read, be it one that is asked by other means than reading.
///
/// # Errors
/// The system's.
pub fn readable(descriptor: Rc<OwnedFd>) -> io::Result<AsyncFd<Rc<OwnedFd>>> {
    // SAFETY: what is registered is the descriptor that is owned along with it, which is the same one until both are dropped.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(io::Error::from)
}

/// Wakes a thread once when it is time: the runtime's own timers wake it on the way there as well.
#[derive(Debug)]
pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// One of the runtime of this thread.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned by what it is registered with, which is never taken out.
        let registered = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    /// Waits until then, by the runtime's timers where there is no other.
    pub async fn sleep_until(timer: Option<&Self>, until: Instant) {
        let span = until.saturating_duration_since(Instant::now());
        let has_waited = match timer {
            Some(timer) => timer.wait(span).await.is_ok(),
            None => false,
        };
        if !has_waited {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Waits for `span`. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The system's, at once.
    pub async fn wait(&self, span: Duration) -> io::Result<()> {
        let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Nothing at all would be never.
        let value = Timespec::try_from(span.max(Duration::from_nanos(1))).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: nothing, it_value: value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get_ref(), &mut [0_u8; 8]) {
                // It may have been announced for a time before.
                Err(Errno::AGAIN) => ready.clear_ready(),
                read => return read.map(|_| ready.clear_ready()).map_err(io::Error::from),
            }
        }
    }
}
