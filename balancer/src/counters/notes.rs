//! What happened last and is to be seen in the status until it is over: errors of a target, a refused reload, names
//! that do not resolve, certificates. Written off the request path, or where a request has failed already.
//! Must not know: who writes, how it is shown.

use std::{
    collections::BTreeMap,
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

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNote {
    /// Its name.
    pub name: String,
    /// The listener that shows it.
    pub listener: String,
    /// Seconds since 1970 after which it is not valid.
    pub not_after: i64,
}

/// What the control side notes.
#[derive(Debug, Default)]
pub struct Notes {
    reload: LastErrorNote,
    upgrades: LastErrorNote,
    names: Mutex<BTreeMap<String, LastError>>,
    certificates: Mutex<Vec<CertificateNote>>,
}

impl Notes {
    /// A reload was refused.
    pub fn reload_refused(&self, why: &str) {
        self.reload.set("refused", why.into());
    }

    /// A reload was taken up.
    pub fn reloaded(&self) {
        self.reload.clear();
    }

    /// Why and when the last reload was refused, unless one was taken up since.
    #[must_use]
    pub fn refused_reload(&self) -> Option<LastError> {
        self.reload.get()
    }

    /// The process cannot be upgraded from here on.
    pub fn upgrades_are_off(&self, why: &str) {
        self.upgrades.set("off", why.into());
    }

    /// Why the process cannot be upgraded, and since when; none: it can.
    #[must_use]
    pub fn no_upgrades(&self) -> Option<LastError> {
        self.upgrades.get()
    }

    /// These are the host names that cannot be resolved or not in full: which of both (a cause), why, and when they were
    /// asked for in vain last.
    pub fn set_unresolved<'a>(
        &self,
        names: impl Iterator<Item = (&'a String, &'static str, &'a String, Instant)>,
    ) {
        let names = names.map(|(name, cause, why, at)| {
            let error = LastError { cause, text: why.as_str().into(), at, told: at };
            (name.clone(), error)
        });
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }

    /// The names that cannot be resolved.
    #[must_use]
    pub fn unresolved_names(&self) -> BTreeMap<String, LastError> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These are the certificates in use.
    pub fn set_certificates(&self, certificates: Vec<CertificateNote>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// The certificates in use.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateNote> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
