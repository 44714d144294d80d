//! When the control side looks after what changes by itself. Must not know: what is done then.

use std::time::Duration;

use tokio::time::Instant;

use crate::{kernel::Timer, target_group::ASSESSMENT};

/// How often the kernel room's book-keeping is done.
const REAP: Duration = Duration::from_secs(1);

/// The next time.
pub(super) struct UpkeepPace {
    next: Instant,
    assess_at: Instant,
    timer: Option<Timer>,
}

impl UpkeepPace {
    /// The first time is now.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { next: now, assess_at: now, timer: Timer::new().ok() }
    }

    /// Waits for it: whether targets are to be compared with their peers as well, which has a wake-up of its own no more than the
    /// rest has. Dropping the future loses nothing.
    pub(super) async fn due(&mut self) -> bool {
        Timer::sleep_until(self.timer.as_ref(), self.next).await;
        let now = Instant::now();
        self.next = now + REAP;
        // It may be a moment before its time.
        let assess = now + REAP / 2 >= self.assess_at;
        if assess {
            self.assess_at = now + ASSESSMENT;
        }
        assess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn peers_are_compared_in_some_rounds_alone() {
        let mut upkeep = UpkeepPace::new();
        let began = Instant::now();
        assert!(upkeep.due().await && began.elapsed() < REAP, "at once");
        let mut dropped = Box::pin(upkeep.due());
        assert!(tokio::time::timeout(Duration::from_millis(10), &mut dropped).await.is_err());
        drop(dropped);
        assert!(!upkeep.due().await && began.elapsed() >= REAP);
        upkeep.assess_at -= ASSESSMENT;
        upkeep.next = Instant::now();
        assert!(upkeep.due().await);
    }
}
