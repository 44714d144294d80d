//! Listeners that were removed, and whose sockets may be open still. Must not know: what takes their place.

use std::{
    net::SocketAddr,
    sync::Weak,
    time::{Duration, Instant},
};

use crate::model::addresses_meet;

/// How long sockets may take to close, at the most: workers take everybody in before.
const MOST: Duration = Duration::from_secs(5);

/// A listener that was removed.
#[derive(Debug)]
pub(super) struct Closing {
    address: SocketAddr,
    until: Instant,
    /// What workers of this process hold as long as its sockets are open; nothing of one that another process had.
    held: Option<Weak<()>>,
}

impl Closing {
    /// One that workers of this process close, who hold `held` until they have.
    pub(super) fn here(address: SocketAddr, held: Weak<()>, now: Instant) -> Self {
        Self { address, until: now + MOST, held: Some(held) }
    }

    /// One that the process before this one has closed by `until`.
    pub(super) fn elsewhere(address: SocketAddr, until: Instant) -> Self {
        Self { address, until, held: None }
    }

    /// Whether its sockets may be open.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        now < self.until && self.held.as_ref().is_none_or(|held| held.strong_count() > 0)
    }

    /// Whether they are this process's and in the way of `address`: who connects to that is turned away by them.
    pub(super) fn turns_away_from(&self, address: SocketAddr, now: Instant) -> bool {
        self.held.is_some() && self.is_in_the_way_of(address, now)
    }

    /// Whether they may be in the way of `address`.
    pub(super) fn is_in_the_way_of(&self, address: SocketAddr, now: Instant) -> bool {
        addresses_meet(self.address, address) && self.is_open(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn who_is_closing_is_in_the_way_until_it_is_closed_and_not_for_ever() {
        let (now, held) = (crate::clock::monotonic_now(), Arc::new(()));
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let here = Closing::here(at("127.0.0.1:80"), Arc::downgrade(&held), now);
        for (address, is_it) in
            [("127.0.0.1:80", true), ("0.0.0.0:80", true), ("127.0.0.2:80", false), ("127.0.0.1:81", false)]
        {
            assert_eq!(here.turns_away_from(at(address), now), is_it, "{address}");
        }
        assert!(!here.is_open(now + MOST), "a worker that stands still is not waited for longer");
        drop(held);
        assert!(!here.turns_away_from(at("127.0.0.1:80"), now));
        let elsewhere = Closing::elsewhere(at("0.0.0.0:80"), now + MOST);
        let narrow = at("127.0.0.1:80");
        assert!(elsewhere.is_in_the_way_of(narrow, now) && !elsewhere.turns_away_from(narrow, now));
        assert!(!elsewhere.is_open(now + MOST));
    }
}
