//! The only caller of the system clock. Everything else takes time as an argument.
//!
//! Workers keep a [`CoarseClock`] that their ticker moves on: a request reads two cells and makes no
//! system call. Must not know: requests, targets, configuration.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Seconds since the Unix epoch, as stickiness values carry them. Good until the year 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u32);

impl UnixSeconds {
    /// Seconds from `earlier` to `self`; zero when `earlier` lies in the future (clocks differ between hosts).
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved on by `seconds`, held at the end of the range.
    #[must_use]
    pub fn plus(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// The wall clock now. A clock before 1970 reads as 0, one after 2106 as the maximum.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn unix_now() -> UnixSeconds {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UnixSeconds(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// A monotonic reading, for measuring spans off the request path.
#[must_use]
pub fn monotonic_now() -> Instant {
    Instant::now()
}

/// Waits until `due`; for ever when there is nothing to wait for.
pub async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Time of one worker thread: read by every request, moved on by the worker's ticker.
#[derive(Debug)]
pub struct CoarseClock {
    started: Instant,
    millis: Cell<u64>,
    unix: Cell<UnixSeconds>,
    date: RefCell<(UnixSeconds, String)>,
}

impl Default for CoarseClock {
    fn default() -> Self {
        Self::new()
    }
}

impl CoarseClock {
    /// A clock that reads the present.
    #[must_use]
    pub fn new() -> Self {
        let unix = unix_now();
        Self {
            started: monotonic_now(),
            millis: Cell::new(0),
            unix: Cell::new(unix),
            date: RefCell::new((unix, imf_date(unix))),
        }
    }

    /// Reads the system clock and keeps the readings for [`Self::millis`] and [`Self::unix`].
    pub fn tick(&self) {
        self.millis.set(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.unix.set(unix_now());
    }

    /// Milliseconds since this clock was made, as of the last tick.
    #[must_use]
    pub fn millis(&self) -> u64 {
        self.millis.get()
    }

    /// The monotonic clock as of the last tick.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.started + Duration::from_millis(self.millis.get())
    }

    /// The wall clock as of the last tick.
    #[must_use]
    pub fn unix(&self) -> UnixSeconds {
        self.unix.get()
    }

    /// Hands the IMF-fixdate (RFC 9110, section 5.6.7) of the last tick to `use_date`; formatted once a second.
    pub fn with_date<T>(&self, use_date: impl FnOnce(&str) -> T) -> T {
        let now = self.unix.get();
        let mut date = self.date.borrow_mut();
        if date.0 != now {
            *date = (now, imf_date(now));
        }
        use_date(&date.1)
    }
}

/// `at` as an IMF-fixdate, as `Date` and `Expires` want it (RFC 9110, section 5.6.7).
#[must_use]
pub fn imf_date(at: UnixSeconds) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(u64::from(at.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_imf_fixdates() {
        assert_eq!(imf_date(UnixSeconds(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn spans_never_go_negative() {
        assert_eq!(UnixSeconds(10).since(UnixSeconds(20)), 0);
        assert_eq!(UnixSeconds(20).since(UnixSeconds(10)), 10);
        assert_eq!(UnixSeconds(u32::MAX).plus(5), UnixSeconds(u32::MAX));
    }

    #[test]
    fn a_coarse_clock_moves_only_when_ticked() {
        let clock = CoarseClock::new();
        let before = clock.unix();
        assert_eq!(clock.millis(), 0);
        clock.tick();
        assert!(clock.unix() >= before);
        clock.with_date(|date| assert!(date.ends_with(" GMT") && date.len() == 29));
    }
}
