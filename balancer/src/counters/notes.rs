//! What happened last and is to be seen in the status until it is over: errors of a target, a refused reload, names
//! that do not resolve, certificates. Written off the request path, or where a request has failed already.
//! Must not know: who writes, how it is shown.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{
    cluster::ClusterNote,
    last_error::{LastError, LastErrorNote},
    sources::{SourceNews, SourceNote, SourceNotes},
};

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
    sources: SourceNotes,
    cluster: Mutex<Option<ClusterNote>>,
    keys: Mutex<Vec<String>>,
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
            let error = LastError::new(cause, why.as_str().into(), at);
            (name.clone(), error)
        });
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }

    /// The names that cannot be resolved.
    #[must_use]
    pub fn unresolved_names(&self) -> BTreeMap<String, LastError> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The targets of this group have a source now: in words for people, and a word for its kind.
    pub fn begin_source(&self, group: &str, source: String, kind: &'static str) {
        self.sources.begin(group, source, kind);
    }

    /// They have none any more.
    pub fn forget_source(&self, group: &str) {
        self.sources.forget(group);
    }

    /// What the source of a group's targets says. Returns whether that is worth a line in the log.
    pub fn tell_of_source(&self, group: &str, news: &SourceNews<'_>) -> bool {
        self.sources.tell(group, news)
    }

    /// What is known of the source of a group's targets; none where it has none.
    #[must_use]
    pub fn source(&self, group: &str) -> Option<SourceNote> {
        self.sources.get(group)
    }

    /// That is the state of the configuration that nodes share.
    pub fn set_cluster(&self, note: ClusterNote) {
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }

    /// The state of the configuration that nodes share; none where it is this one's alone.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterNote> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These are the names of the secrets of cookies, the signing one first.
    pub fn set_keys(&self, names: Vec<String>) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The names of the secrets of cookies, the signing one first. They tell nothing of the secrets.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
