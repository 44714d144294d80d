//! Waiting for a condition.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Polls `probe` until it gives something; panics after `seconds`, saying `what` did not come.
pub fn until<T>(what: &str, seconds: f64, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
        thread::sleep(Duration::from_millis(2));
    }
}
