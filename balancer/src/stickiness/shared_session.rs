//! What other balancers are told of sessions of the session table, when, and what is taken over from them.
//! Must not know: cookies, how others are told.

use std::{ops::Deref, sync::Arc, sync::atomic::AtomicU64};

use super::{
    session_start,
    session_table::{Class, Expected, KnownSession, SessionTable},
    token::Session,
};
use crate::{
    clock::UnixSeconds,
    id::TargetId,
    session_store::{Expectation, SessionWrite, StorePort, StoredSession},
};

/// The part of the duration after which others are told again that a session goes on.
const RENEWALS: u32 = 10;

/// The part of it by which the table may be behind.
const SLACK: u32 = 64;

/// The sessions of one group, as others are told of them.
pub(super) struct SharedSessions {
    port: Arc<StorePort>,
    /// Seconds between two times that others are told that a session goes on.
    renewed_after: u32,
    /// Seconds that the store keeps one that it is told no more of.
    kept_for: u32,
    has_lifetime: bool,
}

impl SharedSessions {
    /// Of a group whose sessions last for `duration` and are `accepted` for so many seconds.
    pub(super) fn new(port: Arc<StorePort>, duration: u32, accepted: u32, has_lifetime: bool) -> Self {
        let renewed_after = (duration / RENEWALS).max(1);
        let late = renewed_after.saturating_add(duration / SLACK).saturating_add(2);
        Self { port, renewed_after, kept_for: accepted.saturating_add(late), has_lifetime }
    }

    pub(super) fn port(&self) -> &StorePort {
        &self.port
    }

    /// A response has bound a session that was `known` when its request came. That it goes on is told now and then, by a
    /// step of time that each session has for itself, so that nothing has to be noted, and not all are told at once.
    pub(super) fn tell(&self, session: Session, key: u128, (known, expected): (Option<Session>, Expected)) {
        if !self.port.is_on() {
            return;
        }
        let expected = match (expected, known) {
            (Expected::Anything, _) | (Expected::Exactly(..), None) => Expectation::Nothing,
            (Expected::Target(target), _) => Expectation::Target(target),
            (Expected::Exactly(..), Some(known)) => Expectation::Session(self.stored(known)),
        };
        let goes_on = expected == Expectation::Target(session.target);
        let is_one_step = |known: Session| {
            known.issued == session.issued || self.step(key, known.issued) == self.step(key, session.issued)
        };
        if goes_on && known.is_some_and(is_one_step) {
            return;
        }
        self.port.tell(self.write(key, expected, self.stored(session), self.kept_for));
    }

    /// One that others know of goes on here.
    pub(super) fn renew(&self, key: u128, stored: StoredSession) {
        self.port.tell(self.write(key, Expectation::Target(stored.target), stored, self.kept_for));
    }

    /// One that others may not know of any more.
    pub(super) fn again(&self, key: u128, session: Session, now: UnixSeconds) -> SessionWrite {
        let left = self.kept_for.saturating_sub(now.since(session.issued)).max(1);
        self.write(key, Expectation::Target(session.target), self.stored(session), left)
    }

    fn stored(&self, session: Session) -> StoredSession {
        StoredSession {
            target: session.target,
            started: if self.has_lifetime { session.started.0 } else { 0 },
        }
    }

    fn write(&self, key: u128, expected: Expectation, session: StoredSession, keep_for: u32) -> SessionWrite {
        SessionWrite { key, expected, session, keep_for }
    }

    fn step(&self, key: u128, at: UnixSeconds) -> u64 {
        // The upper half, as the number that it is short for: dividing by all of it takes a function.
        let offset = u32::try_from(key >> 96).unwrap_or(0) % self.renewed_after;
        (u64::from(at.0) + u64::from(offset)) / u64::from(self.renewed_after)
    }
}

/// A session that another balancer has put where it is: it is so here, too. `is_returned`: its client has just come with it.
pub fn adopt<W: Deref<Target = [AtomicU64]>>(
    table: &SessionTable<W>,
    key: u128,
    stored: StoredSession,
    is_returned: bool,
    now: UnixSeconds,
) {
    let class = if is_returned { Class::Returned } else { Class::New };
    if stored.started > 0 {
        session_start::keep(table, key, UnixSeconds(stored.started), now, class);
    }
    table.put(key, Expected::Anything, KnownSession { target: stored.target, issued: now, class });
}

/// The same where the session is known here and on another target.
pub fn follow<W: Deref<Target = [AtomicU64]>>(
    table: &SessionTable<W>,
    key: u128,
    stored: StoredSession,
    now: UnixSeconds,
) {
    if table.lookup(key, now).is_some_and(|known| known.target != stored.target) {
        adopt(table, key, stored, false, now);
    }
}

/// Key, target and last renewal of the sessions in so many buckets from the one of number `from` on; none: there are no such
/// buckets. When sessions started stands in the table as well, and looks like one on a target whose id no target has.
pub fn page<W: Deref<Target = [AtomicU64]>>(
    table: &SessionTable<W>,
    from: usize,
    buckets: usize,
    now: UnixSeconds,
) -> Option<Vec<(u128, TargetId, UnixSeconds)>> {
    let found = table.page(from, buckets, now)?;
    Some(found.into_iter().map(|(key, held)| (key, held.target, held.issued)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_store::StorePort;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn table() -> SessionTable<Vec<AtomicU64>> {
        SessionTable::new((0..32 * 64).map(|_| AtomicU64::new(0)).collect())
    }

    fn stored(target: u64, started: u32) -> StoredSession {
        StoredSession { target: TargetId(target), started }
    }

    #[test]
    fn what_others_say_is_so_here() {
        let table = table();
        adopt(&table, 7 << 64 | 9, stored(5, NOW.0 - 30), true, NOW);
        assert_eq!(table.found(7 << 64 | 9, NOW), Some((TargetId(5), NOW)));
        assert_eq!(session_start::find(&table, 7 << 64 | 9, NOW, NOW), Some(UnixSeconds(NOW.0 - 30)));
        follow(&table, 7 << 64 | 9, stored(6, 0), NOW.plus(1));
        assert_eq!(table.found(7 << 64 | 9, NOW), Some((TargetId(6), NOW.plus(1))));
        follow(&table, 8 << 64 | 9, stored(6, 0), NOW);
        assert_eq!(table.found(8 << 64 | 9, NOW), None, "who does not know it is not interested");
    }

    #[test]
    fn all_sessions_of_the_table_are_found_page_by_page() {
        let table = table();
        let keys: Vec<u128> =
            (1..100).map(|n| u128::from(super::super::mix::mix(n)) << 64 | u128::from(n)).collect();
        for key in &keys {
            table.insert(*key, TargetId(u64::MAX), NOW);
        }
        let pages = (0..).step_by(10).map_while(|from| page(&table, from, 10, NOW));
        let mut found: Vec<_> = pages.flatten().collect();
        found.sort_unstable();
        let there = keys.iter().filter(|key| table.found(**key, NOW).is_some());
        let mut there: Vec<_> = there.map(|key| (*key, TargetId(u64::MAX), NOW)).collect();
        there.sort_unstable();
        assert_eq!(found, there);
        assert!(found.len() > 90);
        assert_eq!(page(&table, 64, 10, NOW), None);
        assert_eq!(page(&table, usize::MAX, usize::MAX, NOW), None);
    }

    #[test]
    fn that_a_session_goes_on_is_told_once_in_a_tenth_of_its_duration() {
        let (port, mut orders) = StorePort::on_for_tests();
        let shared = SharedSessions::new(port, 1000, 1000, false);
        let at = |second| Session { target: TargetId(5), issued: NOW.plus(second), started: NOW };
        let expected = Expected::Target(TargetId(5));
        // A request a second: at each the table knows of the one before.
        for second in 1..=1000 {
            shared.tell(at(second), 77, (Some(at(second - 1)), expected));
        }
        let mut told = 0;
        while let Ok(write) = orders.try_recv() {
            told += 1;
            assert!(write.keep_for >= 1000 + 100 + 1000 / SLACK, "whoever comes back in time is known");
        }
        assert_eq!(told, 10);
        shared.tell(at(1), 77, (None, Expected::Anything));
        shared.tell(Session { target: TargetId(6), ..at(1) }, 77, (Some(at(1)), expected));
        let expectations: Vec<_> =
            std::iter::from_fn(|| orders.try_recv().ok()).map(|write| write.expected).collect();
        assert_eq!(expectations, [Expectation::Nothing, Expectation::Target(TargetId(5))], "told at once");
    }
}
