//! How many entries of the session table are in use, without looking at all of them each time that somebody asks.
//! Must not know: how they are counted.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::SessionTable;

/// How long a count serves while workers of this process begin nothing: another process of the instance may have begun
/// or emptied something since.
const COUNT_SERVES: Duration = Duration::from_secs(1);

/// How long one serves who looks on.
const GLANCE_SERVES: Duration = Duration::from_secs(30);

/// The last count.
#[derive(Debug, Default)]
pub struct SessionCount(Mutex<Option<CountedSessions>>);

#[derive(Debug)]
struct CountedSessions {
    /// What workers had begun before it.
    begun: u64,
    at: Instant,
    table: SessionTable,
}

impl SessionCount {
    /// The table as it was counted in the last half minute, or counted anew: to look at all of it every second, for who just looks on,
    /// took most of what that cost.
    pub(super) fn lately(
        &self,
        begun: u64,
        now: Instant,
        count: impl FnOnce() -> Option<SessionTable>,
    ) -> Option<SessionTable> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |counted: &&CountedSessions| now.saturating_duration_since(counted.at) < GLANCE_SERVES;
        let found = last.as_ref().filter(serves).map(|counted| counted.table.clone());
        drop(last);
        found.or_else(|| self.at(begun, now, count))
    }

    /// The table as it is when workers have `begun` so many entries: as it was counted last, or counted anew.
    pub(super) fn at(
        &self,
        begun: u64,
        now: Instant,
        count: impl FnOnce() -> Option<SessionTable>,
    ) -> Option<SessionTable> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let serves = |counted: &&CountedSessions| {
            counted.begun == begun && now.saturating_duration_since(counted.at) < COUNT_SERVES
        };
        if let Some(counted) = last.as_ref().filter(serves) {
            return Some(counted.table.clone());
        }
        let table = count()?;
        *last = Some(CountedSessions { begun, at: now, table: table.clone() });
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn entries_are_counted_anew_when_one_was_begun_and_else_once_a_second() {
        let (sessions, start) = (SessionCount::default(), Instant::now());
        let counts = Cell::new(0);
        let ask = |begun, later| {
            let table = sessions.at(begun, start + later, || {
                counts.set(counts.get() + 1);
                Some(SessionTable { entries: begun, ..SessionTable::default() })
            });
            (table.map(|table| table.entries), counts.get())
        };
        assert_eq!(ask(0, Duration::ZERO), (Some(0), 1));
        assert_eq!(ask(0, COUNT_SERVES / 2), (Some(0), 1));
        assert_eq!(ask(3, COUNT_SERVES / 2), (Some(3), 2));
        assert_eq!(ask(3, COUNT_SERVES), (Some(3), 2));
        assert_eq!(ask(3, COUNT_SERVES * 2), (Some(3), 3));
        let glance = |begun, later| sessions.lately(begun, start + later, || None).map(|table| table.entries);
        assert_eq!(glance(9, COUNT_SERVES * 20), Some(3), "it serves for half a minute, whatever has begun");
        assert_eq!(glance(9, COUNT_SERVES * 40), None, "it is counted anew");
        assert_eq!(SessionCount::default().at(0, start, || None), None);
    }
}
