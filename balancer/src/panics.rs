//! Panics: how many there were, and points where a test has one happen. One ends the task that it is in, a client's
//! connection or one to a target, and nothing else. Must not know: what panics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts one.
pub fn note() {
    COUNT.fetch_add(1, Relaxed);
}

/// How many there were since the start of the process.
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// The variable that names a point for [`provoke`].
#[cfg(debug_assertions)]
const PLACE: &str = "BALANCER_TEST_PANIC";

/// Panics when the environment names `point`. There is nothing of this in release builds.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "it is what is asked for")]
pub fn provoke(point: &[u8]) {
    static NAMED: std::sync::OnceLock<Option<Vec<u8>>> = std::sync::OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var(PLACE).ok().map(String::into_bytes));
    if named.as_deref() == Some(point) {
        panic!("provoked at {}", point.escape_ascii());
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn provoke(_: &[u8]) {}
