//! Panics: how many there were, and points where a test has one happen, or a thread stand still. One ends the task that it is in, a client's
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

/// The variable that names a point at which the thread stands still for [`STALL`].
#[cfg(debug_assertions)]
const STALLING: &str = "BALANCER_TEST_STALL";

/// The variable that names a file with which that ends before.
#[cfg(debug_assertions)]
const STALLING_UNTIL: &str = "BALANCER_TEST_STALL_UNTIL";

/// How long a thread stands still.
#[cfg(debug_assertions)]
const STALL: std::time::Duration = std::time::Duration::from_secs(10);

/// Panics when the environment names `point`, or stands still. There is nothing of this in release builds.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "it is what is asked for")]
pub fn provoke(point: &[u8]) {
    type Point = std::sync::OnceLock<Option<Vec<u8>>>;
    static PANICS: Point = Point::new();
    static STALLS: Point = Point::new();
    let is_named = |point_of: &'static Point, variable: &str| {
        point_of.get_or_init(|| std::env::var(variable).ok().map(String::into_bytes)).as_deref()
            == Some(point)
    };
    if is_named(&PANICS, PLACE) {
        panic!("provoked at {}", point.escape_ascii());
    }
    if is_named(&STALLS, STALLING) {
        tracing::info!("standing still");
        let began = std::time::Instant::now();
        let is_over =
            || std::env::var_os(STALLING_UNTIL).is_some_and(|file| std::path::Path::new(&file).exists());
        while began.elapsed() < STALL && !is_over() {
            std::thread::sleep(STALL / 1000);
        }
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn provoke(_: &[u8]) {}
