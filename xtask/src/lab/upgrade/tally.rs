//! What clients saw. Must not know: who they are.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

/// Why a request has no answer that it should have.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::lab) enum Fault {
    /// Nobody took the connection.
    Refused(String),
    /// It was cut off, or answered with an error.
    Failed(String),
    /// The application knows the session no more.
    Lost(String),
}

/// What is counted.
#[derive(Clone, Copy)]
pub(in crate::lab) enum Count {
    Requests,
    Refused,
    Failed,
    Lost,
}

/// Sums over all clients.
#[derive(Default)]
pub(in crate::lab) struct Tally {
    over: AtomicBool,
    pub(super) requests: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
    said: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// Clients stop.
    pub(in crate::lab) fn end(&self) {
        self.over.store(true, SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Counts a request and what became of it.
    pub(super) fn count(&self, who: &str, outcome: Result<(), Fault>) {
        self.requests.fetch_add(1, Relaxed);
        let Err(fault) = outcome else { return };
        let (count, text) = match fault {
            Fault::Refused(text) => (&self.refused, text),
            Fault::Failed(text) => (&self.failed, text),
            Fault::Lost(text) => (&self.lost, text),
        };
        count.fetch_add(1, Relaxed);
        self.note(format!("{who}: {text}"));
    }

    /// Keeps what was said of a fault.
    pub(super) fn note(&self, text: String) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner).entry(text).or_default() += 1;
    }

    /// How many there were of these.
    pub(in crate::lab) fn of(&self, count: Count) -> u64 {
        let count = match count {
            Count::Requests => &self.requests,
            Count::Refused => &self.refused,
            Count::Failed => &self.failed,
            Count::Lost => &self.lost,
        };
        count.load(Relaxed)
    }

    /// What was said of faults, and how often.
    pub(in crate::lab) fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|(text, count)| format!("{count} x {text}")).collect()
    }
}
