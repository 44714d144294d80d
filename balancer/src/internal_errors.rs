//! Internal errors: states that cannot be, found where it costs nothing to go on. In a build with debug assertions one
//! is a panic, so that tests find it; a release counts it (`balancer_internal_errors_total`), says so in the log and
//! lets the caller fail the one thing that it does. Must not know: what was found.

use std::{
    panic::Location,
    slice::SliceIndex,
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

/// A part of bytes, or of other things in a row, that is in them by what was found before: an index found in them, a length
/// that was written. Where it is not, that is an internal error, and the part is empty.
pub trait Part<T> {
    /// The part at `range`.
    fn part(&self, range: impl SliceIndex<[T], Output = [T]>) -> &[T];
}

impl<T> Part<T> for [T] {
    #[inline(always)]
    #[track_caller]
    fn part(&self, range: impl SliceIndex<[T], Output = [T]>) -> &[T] {
        self.get(range).unwrap_or_else(|| none())
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn none<'s, T>() -> &'s [T] {
    note("a part is in what it is of");
    &[]
}

/// How many there were since the start of the process.
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// The first, second, fourth and so on get a line each: whoever can cause one can cause many.
fn count_and_tell(what: &'static str, location: &Location<'_>) {
    let count = COUNT.fetch_add(1, Relaxed) + 1;
    if count.is_power_of_two() {
        tracing::error!(count, "internal error, please report it: {what} ({location})");
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
    fn a_part_is_what_the_range_says() {
        let bytes = *b"abc";
        assert_eq!((bytes.part(1..), bytes.part(3..), bytes.part(..=0)), (&b"bc"[..], &b""[..], &b"a"[..]));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "internal error: a part is in what it is of")]
    fn a_part_that_is_not_there_is_an_internal_error() {
        let _ = b"abc".part(4..);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "internal error: a test finds one")]
    fn tests_find_an_internal_error() {
        note("a test finds one");
    }
}
