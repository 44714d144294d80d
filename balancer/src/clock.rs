//! The only caller of the system clock. Everything else takes time as an argument.
//!
//! Workers keep a [`CoarseClock`] that their ticker moves on: a request reads two cells and makes no
//! system call. Must not know: requests, targets, configuration.

mod nanos;
mod seconds;
#[cfg(test)]
pub(crate) mod test_support;

use std::{
    cell::{Cell, RefCell},
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::time::ClockId;

pub use self::{
    nanos::Nanos,
    seconds::{CLOCK_SKEW, UnixSeconds},
};
use crate::digits::padded;

/// The wall clock now. A clock before 1970 reads as 0, one after 2106 as the maximum.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn unix_now() -> UnixSeconds {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UnixSeconds(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// Microseconds since the Unix epoch: when something happened, for a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    /// Appends it as its `Display` has it. All of a second but its end is worked out once.
    pub fn write(self, out: &mut Vec<u8>) {
        thread_local! {
            static LAST: Cell<(u64, [u8; 20])> = const { Cell::new((u64::MAX, [0; 20])) };
        }
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (last, mut text) = LAST.get();
        if last != seconds {
            text = second_text(seconds);
            LAST.set((seconds, text));
        }
        let mut whole = [b'Z'; 27];
        if let Some((front, [micros_text @ .., _])) = whole.split_first_chunk_mut::<20>() {
            *front = text;
            micros_text.copy_from_slice(&padded::<6>(micros));
        }
        out.extend_from_slice(&whole);
    }

    /// `self` moved on by `span`.
    #[must_use]
    pub fn plus(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.micros()))
    }
}

/// ISO 8601 with microseconds, as `2018-07-02T22:23:00.186641Z`.
impl fmt::Display for UnixMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(32);
        self.write(&mut text);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// `2018-07-02T22:23:00.`, of a year before 10000.
fn second_text(seconds: u64) -> [u8; 20] {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let [a, b, c, d] = padded(year);
    let [[e, f], [g, h]] = [month, day].map(padded);
    let [[i, j], [k, l], [m, n]] = [second / 3600, second / 60 % 60, second % 60].map(padded);
    [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.']
}

/// Year, month and day of the Gregorian calendar, so many days after the first of January 1970. Counted in eras
/// of 400 years, which are all alike, with years that begin in March, so that a leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let since_march_0 = days + 719_468;
    let (era, day) = (since_march_0 / ERA, since_march_0 % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, day)
}

/// The wall clock now. A clock before 1970 reads as 0.
#[must_use]
pub fn unix_micros_now() -> UnixMicros {
    let (seconds, nanos) = reading(ClockId::CLOCK_REALTIME);
    UnixMicros(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000))
}

/// A monotonic reading, for measuring spans.
#[must_use]
pub fn monotonic_now() -> Instant {
    Instant::now()
}

/// The same in nanoseconds since the system's start, as the kernel reckons them (`CLOCK_MONOTONIC`).
#[must_use]
pub fn monotonic_nanos() -> u64 {
    let (seconds, nanos) = reading(ClockId::CLOCK_MONOTONIC);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

impl Nanos {
    /// The monotonic clock now.
    #[must_use]
    pub fn now() -> Self {
        Self(monotonic_nanos())
    }
}

/// Seconds and nanoseconds by one of the system's clocks, which are there on every system. By the C library: what goes past it
/// cannot be run under valgrind.
fn reading(clock: ClockId) -> (u64, u64) {
    let whole = |part: i64| u64::try_from(part).unwrap_or(0);
    clock.now().map_or((0, 0), |now| (whole(now.tv_sec()), whole(now.tv_nsec())))
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
    /// What the wall clock is before the monotonic one, in microseconds.
    ahead: Cell<u64>,
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
            ahead: Cell::new(ahead()),
            date: RefCell::new((unix, imf_date(unix))),
        }
    }

    /// Reads the system clock and keeps the readings for [`Self::millis`] and [`Self::unix`].
    pub fn tick(&self) {
        self.millis.set(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.unix.set(unix_now());
        self.ahead.set(ahead());
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

    /// The wall clock at a reading of the monotonic one: as far before it as at the last tick.
    #[must_use]
    pub fn unix_micros(&self, at: Nanos) -> UnixMicros {
        UnixMicros(self.ahead.get().saturating_add(at.micros()))
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

/// What the wall clock is before the monotonic one, in microseconds.
fn ahead() -> u64 {
    unix_micros_now().0.saturating_sub(Nanos::now().micros())
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
    fn times_are_iso_8601_with_microseconds() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (784_111_777_000_001, "1994-11-06T08:49:37.000001Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_709_251_199_999_999, "2024-02-29T23:59:59.999999Z"),
            (4_102_444_799_186_641, "2099-12-31T23:59:59.186641Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(UnixMicros(micros).to_string(), text);
        }
        assert_eq!(UnixMicros(5).plus(Nanos(2_000_999)), UnixMicros(2005));
        // Day by day, as the other calendar here has it.
        for day in (0..40_000).step_by(7) {
            let date = imf_date(UnixSeconds(day * 86_400));
            let text = UnixMicros(u64::from(day) * 86_400_000_000).to_string();
            assert_eq!((&date[12..16], &date[5..7]), (&text[0..4], &text[8..10]), "{date} {text}");
        }
    }

    #[test]
    fn spans_never_go_negative() {
        let before = Nanos::now();
        assert!(Nanos::now() >= before && before > Nanos(0));
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
        let (earliest, now, latest) = (unix_micros_now(), Nanos::now(), unix_micros_now());
        // As exact as its last tick was quick.
        let told = clock.unix_micros(now).0;
        assert!(told + 100_000 > earliest.0 && told < latest.0 + 100_000, "{told} is not {earliest}");
        assert_eq!(clock.unix_micros(Nanos(now.0 + 5_000)).0, told + 5);
        clock.with_date(|date| assert!(date.ends_with(" GMT") && date.len() == 29));
    }
}
