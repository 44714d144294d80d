//! Internal errors: states that cannot be, found where it costs nothing to go on. In a build with debug assertions one
//! is a panic, so that tests find it; a release counts it (`balancer_internal_errors_total`), says so in the log and
//! lets the caller fail the one thing that it does. Must not know: what was found.

use std::{
    panic::Location,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// `what`, a sentence without secrets, has been found although it cannot be. To be called from the branch that has no
/// other meaning: `let Some(target) = … else { internal_errors::note("a plan has a target"); return … }`.
#[cold]
#[inline(never)]
#[track_caller]
pub fn note(what: &'static str) {
    debug_assert!(false, "internal error: {what}");
    count_and_tell(what, Location::caller());
}

/// How many there were since the start of the process.
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// The first, second, fourth and so on get a line each: whoever can cause one can cause many.
fn count_and_tell(what: &'static str, place: &Location<'_>) {
    let count = COUNT.fetch_add(1, Relaxed) + 1;
    if count.is_power_of_two() {
        tracing::error!(count, "internal error, please report it: {what} ({place})");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_is_counted() {
        let before = count();
        count_and_tell("a test counts one", Location::caller());
        assert!(count() > before);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "internal error: a test finds one")]
    fn tests_find_an_internal_error() {
        note("a test finds one");
    }
}
