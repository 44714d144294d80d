//! The last error of something, and whether it is worth a line in the log.
//! Must not know: who writes, how it is shown.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::clock::monotonic_now;

/// How long a target has to fail in the same way until that is logged again.
const AGAIN: Duration = Duration::from_secs(10);

/// An error and when it was.
#[derive(Clone, Debug)]
pub struct LastError {
    /// A word for it: that of the access log, or ALB's reason code.
    pub cause: &'static str,
    /// For a person to read.
    pub text: Arc<str>,
    /// When it was last.
    pub at: Instant,
    /// When it was last worth a line in the log.
    told: Instant,
}

impl LastError {
    /// One that was at this time.
    #[must_use]
    pub fn new(cause: &'static str, text: Arc<str>, at: Instant) -> Self {
        Self { cause, text, at, told: at }
    }
}

/// Place for the last error of something; nothing until there is one.
#[derive(Debug, Default)]
pub struct LastErrorNote(Mutex<Option<LastError>>);

impl LastErrorNote {
    /// Notes an error. Returns whether it is worth a line in the log: it is another one than before, or the same for
    /// long enough. Does not wait: who is in the way of another writer has nothing new to say.
    pub fn set(&self, cause: &'static str, text: Arc<str>) -> bool {
        let Ok(mut last) = self.0.try_lock() else { return false };
        let now = monotonic_now();
        let told = last
            .as_ref()
            .filter(|last| last.cause == cause && now.saturating_duration_since(last.told) < AGAIN)
            .map(|last| last.told);
        *last = Some(LastError { cause, text, at: now, told: told.unwrap_or(now) });
        told.is_none()
    }

    /// It is over.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The last one.
    #[must_use]
    pub fn get(&self) -> Option<LastError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_told_once_and_another_at_once() {
        let note = LastErrorNote::default();
        assert!(note.get().is_none());
        assert!(note.set("Refused", "no".into()));
        assert!(!note.set("Refused", "no".into()));
        assert!(note.set("TimedOut", "late".into()));
        assert_eq!(note.get().unwrap().cause, "TimedOut");
        note.clear();
        assert!(note.get().is_none());
    }
}
