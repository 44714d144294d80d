//! A sample of the requests to sticky groups that were answered lately: when each was sent, how long it took, to which target
//! and whether its session said so. One in so many, so that the rows of a worker reach back for [`REACH`] however busy it is, and at
//! least one a second; how many is drawn anew each time, since targets that take turns would else keep step with it.
//! Must not know: what is made of it (see `telemetry::doctor`).

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
    time::Duration,
};

use crate::clock::Nanos;

/// How far back the rows of a busy worker reach.
pub const REACH: Duration = Duration::from_mins(2);
/// Rows of a worker: 64 KiB.
const ROWS: usize = 2048;
/// Time from one row to the next, in microseconds, of a busy worker.
const BETWEEN: u64 = REACH.as_secs() * 1_000_000 / ROWS as u64;
/// Most that may be between two, where there are requests.
const LONGEST: u64 = 1_000_000;
/// Most requests that one row stands for.
const MOST: u64 = 1 << 20;
/// Rows that may be written while others are read: they are left out.
const UNDER_WAY: u64 = 8;

/// When it was sent, in microseconds since the system's start; twice the registration of the target, and one if the session
/// decided; microseconds to the head of the response, above those since the row before; how many others its target had then, above how many
/// requests it stands for.
type ArrivalRow = [AtomicU64; 4];

/// The sample of one worker.
#[derive(Debug)]
pub struct Arrivals {
    /// Requests since the last row.
    passed: AtomicU64,
    /// How many of them make a row.
    due: AtomicU64,
    /// How many a row stands for in the mean, four times.
    pace: AtomicU64,
    /// When the last row was written, in microseconds since the system's start, and when the next one is at the latest.
    last: AtomicU64,
    late: AtomicU64,
    /// How many rows have been written.
    written: AtomicU64,
    rows: Box<[ArrivalRow]>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// How long ago it was sent.
    pub ago: Duration,
    /// From there to the head of the response.
    pub took: Duration,
    /// The registration of the target that it was sent to.
    pub registration: u64,
    /// Whether its session said which.
    pub bound: bool,
    /// How many others that target had in flight when it answered.
    pub others: u64,
    /// For how many requests it stands.
    pub stands_for: u64,
    /// In how much time those came.
    pub within: Duration,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            passed: AtomicU64::new(0),
            due: AtomicU64::new(1),
            pace: AtomicU64::new(4),
            last: AtomicU64::new(Nanos::now().micros()),
            late: AtomicU64::new(0),
            written: AtomicU64::new(0),
            rows: (0..ROWS).map(|_| ArrivalRow::default()).collect(),
        }
    }
}

impl Arrivals {
    /// A request was answered `at`, `took` after it was sent. `others` looks how many others its target has. Only the owning worker may
    /// call this.
    #[inline]
    pub fn count(
        &self,
        at: Nanos,
        took: Nanos,
        (registration, bound): (u64, bool),
        others: impl FnOnce() -> u64,
    ) {
        let passed = self.passed.load(Relaxed).wrapping_add(1);
        self.passed.store(passed, Relaxed);
        let at = at.micros();
        if passed >= self.due.load(Relaxed) || at >= self.late.load(Relaxed) {
            self.write(at, took.micros(), (registration, bound), (passed, others()));
        }
    }

    #[cold]
    fn write(&self, at: u64, took: u64, (registration, bound): (u64, bool), (passed, others): (u64, u64)) {
        let within = at.saturating_sub(self.last.swap(at, Relaxed)).min(u64::from(u32::MAX));
        self.late.store(at.saturating_add(LONGEST), Relaxed);
        // What goes before is seen before: who reads leaves out rows that may be half another one.
        fence(Release);
        let written = self.written.load(Relaxed);
        if let Some([sent, target, spans, stands_for]) =
            usize::try_from(written).ok().and_then(|written| self.rows.get(written % ROWS))
        {
            sent.store(at.saturating_sub(took), Relaxed);
            target.store(registration << 1 | u64::from(bound), Relaxed);
            spans.store(took.min(u64::from(u32::MAX)) << 32 | within, Relaxed);
            stands_for
                .store(passed.min(u64::from(u32::MAX)) | others.min(u64::from(u32::MAX)) << 32, Relaxed);
        }
        self.written.store(written.wrapping_add(1), Release);
        self.passed.store(0, Relaxed);
        // Rows that nothing has been written into yet are closer to each other: there is room.
        let between = (BETWEEN * written.min(ROWS as u64) / ROWS as u64).max(1);
        let wanted = (passed * between * 4 / within.max(1)).min(MOST * 4);
        let pace = ((self.pace.load(Relaxed) * 3 + wanted) / 4).max(4);
        self.pace.store(pace, Relaxed);
        // Evenly from 1 to twice the mean.
        let drawn = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        self.due.store(1 + ((drawn * (pace / 2 - 1)) >> 32), Relaxed);
    }

    /// What is there, oldest first; any thread.
    #[must_use]
    pub fn read(&self, now: Nanos) -> Vec<Arrival> {
        let now = now.micros();
        let written = self.written.load(Acquire);
        let first = written.saturating_sub(ROWS as u64);
        let read = |row: u64| {
            let words = self.rows.get(usize::try_from(row).ok()? % ROWS)?;
            let [sent, target, spans, stands_for] = words.each_ref().map(|word| word.load(Relaxed));
            Some(Arrival {
                ago: Duration::from_micros(now.saturating_sub(sent)),
                took: Duration::from_micros(spans >> 32),
                registration: target >> 1,
                bound: target & 1 == 1,
                others: stands_for >> 32,
                stands_for: stands_for & u64::from(u32::MAX),
                within: Duration::from_micros(spans & u64::from(u32::MAX)),
            })
        };
        let rows: Vec<_> = (first..written).map_while(read).collect();
        fence(Acquire);
        let overtaken = (self.written.load(Relaxed) + UNDER_WAY).saturating_sub(first + ROWS as u64);
        rows.into_iter().skip(usize::try_from(overtaken).unwrap_or(ROWS)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests, `apart` from each other, to two targets in turn, for so long.
    fn fill(arrivals: &Arrivals, apart: Duration, seconds: u64) -> Nanos {
        let apart = u64::try_from(apart.as_nanos()).unwrap();
        let mut at = Nanos(arrivals.last.load(Relaxed) * 1_000);
        for number in 0..seconds * 1_000_000_000 / apart {
            at.0 += apart;
            arrivals.count(at, MILLISECOND, (7 + number % 2, number % 4 == 0), || 5);
        }
        at
    }

    const MILLISECOND: Nanos = Nanos(1_000_000);

    #[test]
    fn a_quiet_worker_has_them_all() {
        let arrivals = Arrivals::default();
        let now = fill(&arrivals, Duration::from_millis(250), 10);
        let read = arrivals.read(Nanos(now.0 + MILLISECOND.0));
        assert_eq!(read.len(), 40);
        let last = Arrival {
            ago: Duration::from_millis(2),
            took: Duration::from_millis(1),
            registration: 8,
            bound: false,
            others: 5,
            stands_for: 1,
            within: Duration::from_millis(250),
        };
        assert_eq!(read.last(), Some(&last));
        assert_eq!(read.iter().filter(|arrival| arrival.bound).count(), 10);
        assert_eq!(Arrivals::default().read(now), []);
    }

    #[test]
    fn the_rows_of_a_busy_worker_reach_back_and_stand_for_all() {
        for apart in [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(20)] {
            let arrivals = Arrivals::default();
            let now = fill(&arrivals, apart, 300);
            let read = arrivals.read(now);
            assert_eq!(read.len(), ROWS - usize::try_from(UNDER_WAY).unwrap());
            let (oldest, stand_for) = (read[0].ago, read.iter().map(|row| row.stands_for).sum::<u64>());
            assert!((40..=180).contains(&oldest.as_secs()), "{apart:?}: {oldest:?}");
            let came = u64::try_from(oldest.as_nanos() / apart.as_nanos()).unwrap();
            assert!(stand_for.abs_diff(came) * 50 < came, "{apart:?}: {stand_for} of {came}");
            // Targets that take turns are told in like parts.
            let of = |registration| {
                let rows = read.iter().filter(move |row| row.registration == registration);
                rows.map(|row| row.stands_for).sum::<u64>()
            };
            assert!(of(7).abs_diff(of(8)) * 8 < stand_for, "{apart:?}: {} and {}", of(7), of(8));
        }
    }

    #[test]
    fn the_first_seconds_have_many_rows() {
        let arrivals = Arrivals::default();
        let now = fill(&arrivals, Duration::from_millis(1), 3);
        assert!(arrivals.read(now).len() > 200, "{}", arrivals.read(now).len());
    }

    #[test]
    fn who_was_busy_and_is_quiet_has_one_a_second() {
        let arrivals = Arrivals::default();
        let mut at = fill(&arrivals, Duration::from_micros(100), 30);
        let before = arrivals.read(at).len();
        for _ in 0..10 {
            at.0 += 1_100 * MILLISECOND.0;
            arrivals.count(at, MILLISECOND, (7, true), || 0);
        }
        assert_eq!(arrivals.read(at).len(), before + 10);
    }
}
