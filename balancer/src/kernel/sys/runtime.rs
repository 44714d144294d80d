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
        self.set(span)?;
        self.fired().await
    }

    /// It fires once, in `span` from now, and not when it would have before.
    ///
    /// # Errors
    /// The system's.
    pub fn set(&self, span: Duration) -> io::Result<()> {
        let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Nothing at all would be never.
        let value = Timespec::try_from(span.max(Duration::from_nanos(1))).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: nothing, it_value: value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Waits until it fires. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The system's, at once.
    pub async fn fired(&self) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timer_wakes_once_when_it_is_time_and_can_be_set_anew() {
        let timer = Timer::new().unwrap();
        let began = Instant::now();
        for span in [50, 0, 20] {
            timer.wait(Duration::from_millis(span)).await.unwrap();
        }
        assert!(began.elapsed() >= Duration::from_millis(70));
        // One that was not waited for to its end.
        let long = Duration::from_secs(3600);
        assert!(tokio::time::timeout(Duration::from_millis(10), timer.wait(long)).await.is_err());
        timer.wait(Duration::from_millis(1)).await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(10), timer.wait(long)).await.is_err(),
            "it passed once"
        );
    }
}
