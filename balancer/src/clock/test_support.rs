//! Waiting in unit tests for what comes soon.

use std::{fmt::Debug, thread, time::Duration};

use super::monotonic_now;

const AT_MOST: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);

/// Tries until it succeeds, and fails with the last error after a while. For what a child of another test may keep: between
/// fork(2) and exec(2) it has everything open that this process had, also what has been closed here since.
pub(crate) fn eventually<T, E: Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = monotonic_now() + AT_MOST;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if monotonic_now() > end => panic!("not in {AT_MOST:?}: {error:?}"),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
