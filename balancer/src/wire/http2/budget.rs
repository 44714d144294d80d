//! What all connections of HTTP/2 of the process hold together of what came and is not used up, and of what is to go out; and
//! what is done about it when that is much: windows stay small and fewer requests are offered, then who holds some of it is told to
//! go, then requests are refused, and at last content that nobody has asked for any more. Must not know: connections.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is held may be so far off from what is told of it, for each connection.
const STEP: u64 = 4096;
/// What it is bounded to as long as nothing else was said.
const USUAL_LIMIT: u64 = 256 << 20;

/// How much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pressure {
    /// Not much.
    Low,
    /// Less than half, and three eighths: whoever was told to be modest stays so.
    Falling,
    /// Half of the limit: windows stay small, and fewer requests are offered.
    Tight,
    /// Three quarters: who holds some of it is told to go.
    High,
    /// Nine tenths: requests are refused.
    Severe,
    /// All of it: content is refused.
    Full,
}

/// What is held, and how much that may be.
#[derive(Debug)]
pub struct Budget {
    held: AtomicU64,
    limit: AtomicU64,
    sent_away: AtomicU64,
    refused: AtomicU64,
}

/// That of the process.
pub static BUDGET: Budget = Budget::new(USUAL_LIMIT);

impl Budget {
    pub(super) const fn new(limit: u64) -> Self {
        Self {
            held: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
            sent_away: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Sets what may be held, in bytes.
    pub fn limit_to(&self, bytes: u64) {
        self.limit.store(bytes, Relaxed);
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Bytes that may be held.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    /// Connections that were told to go.
    #[must_use]
    pub fn sent_away(&self) -> u64 {
        self.sent_away.load(Relaxed)
    }

    /// Requests that were refused, or whose content was.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Whether so much is held that clients are told to go which hold some of it: also those that nothing happens on.
    #[must_use]
    pub fn sends_away(&self) -> bool {
        self.pressure() >= Pressure::High
    }

    #[cold]
    pub(super) fn count_sent_away(&self) {
        self.sent_away.fetch_add(1, Relaxed);
    }

    #[cold]
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(super) fn pressure(&self) -> Pressure {
        let (held, limit) = (self.held(), self.limit());
        if held < limit / 8 * 3 { Pressure::Low } else { Self::pressure_of(held, limit) }
    }

    #[cold]
    fn pressure_of(held: u64, limit: u64) -> Pressure {
        let bounds = [
            (limit, Pressure::Full),
            (limit / 10 * 9, Pressure::Severe),
            (limit / 4 * 3, Pressure::High),
            (limit / 2, Pressure::Tight),
        ];
        bounds
            .into_iter()
            .find(|(bound, _)| held >= *bound)
            .map_or(Pressure::Falling, |(_, pressure)| pressure)
    }
}

/// What one connection holds of it.
#[derive(Debug)]
pub(super) struct BudgetShare {
    pub(super) budget: &'static Budget,
    told: u64,
}

impl BudgetShare {
    pub(super) fn new(budget: &'static Budget) -> Self {
        Self { budget, told: 0 }
    }

    /// It holds so much now.
    #[inline]
    pub(super) fn settle(&mut self, held: usize) {
        let held = held as u64;
        if held.abs_diff(self.told) >= STEP || (held == 0 && self.told > 0) {
            self.tell(held);
        }
    }

    #[cold]
    fn tell(&mut self, held: u64) {
        // What is taken off was put in before.
        self.budget.held.fetch_add(held.wrapping_sub(self.told), Relaxed);
        self.told = held;
    }

    /// Whether it holds anything to speak of.
    pub(super) fn holds_some(&self) -> bool {
        self.told > 0
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.tell(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_SIZE: usize = 4096;

    #[test]
    fn what_connections_hold_is_added_up_and_given_back() {
        let budget: &Budget = Box::leak(Box::new(Budget::new(100 * STEP)));
        let mut accounts = [(); 3].map(|()| BudgetShare::new(budget));
        accounts[0].settle(10);
        assert!(budget.held() == 0 && !accounts[0].holds_some(), "too little to tell of");
        accounts[0].settle(40 * STEP_SIZE);
        accounts[1].settle(9 * STEP_SIZE);
        assert_eq!((budget.held(), budget.pressure()), (49 * STEP, Pressure::Falling));
        accounts[1].settle(10 * STEP_SIZE);
        assert_eq!((budget.held(), budget.pressure()), (50 * STEP, Pressure::Tight));
        for (held, pressure) in
            [(75, Pressure::High), (90, Pressure::Severe), (100, Pressure::Full), (37, Pressure::Low)]
        {
            accounts[0].settle(0);
            accounts[1].settle(held * STEP_SIZE);
            assert_eq!(budget.pressure(), pressure);
        }
        accounts[2].settle(usize::MAX);
        drop(accounts);
        assert_eq!((budget.held(), budget.pressure()), (0, Pressure::Low));
        budget.limit_to(0);
        assert_eq!(budget.pressure(), Pressure::Full);
    }
}
