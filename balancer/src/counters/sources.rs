//! What sources of targets have said last, by group. Written on their thread, read where the status is made.
//! Must not know: what a source is.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{figures::figures, last_error::LastError};
use crate::clock::monotonic_now;

figures! {
    /// What was counted of the source of a group's targets.
    pub struct SourceFigures {
        targets: u64 => "balancer_target_source_targets",
            "Targets that the source of the group told of when it last told of any that could be used.";
        reads: u64 => "balancer_target_source_reads_total", "Times that the source of the group's targets was read.";
        failures: u64 => "balancer_target_source_failures_total",
            "Times that the source of the group's targets was away, empty, or told of nothing that could be used.";
        failing: bool => "balancer_target_source_failing",
            "1 while the source of the group's targets fails, so that the last ones stay.";
        age_seconds: Option<u64> => "balancer_target_source_age_seconds",
            "Seconds since the source of the group's targets was read; no value before the first time.";
    }
}

/// What was found when a source was asked.
#[derive(Debug)]
pub struct SourceNews<'a> {
    /// How many targets there are now.
    pub targets: u64,
    /// What is wrong with it: a word and words for people.
    pub fault: Option<(&'static str, &'a str)>,
    /// What it lists that cannot be used, in words; empty: nothing.
    pub left_out: &'a str,
}

/// What is known of the source of a group.
#[derive(Clone, Debug, Default)]
pub struct SourceNote {
    /// What it is, for people.
    pub source: String,
    /// A word for its kind.
    pub kind: &'static str,
    /// When it was read last.
    pub read_at: Option<Instant>,
    /// What was left out then, in words; empty: nothing.
    pub left_out: String,
    /// What is wrong with it now, since when.
    pub error: Option<LastError>,
    targets: u64,
    reads: u64,
    failures: u64,
}

impl SourceNote {
    /// How often it failed.
    #[cfg(test)]
    pub(crate) fn failures_so_far(&self) -> u64 {
        self.failures
    }

    /// What was counted of it.
    #[must_use]
    pub fn figures(&self, now: Instant) -> SourceFigures {
        SourceFigures {
            targets: self.targets,
            reads: self.reads,
            failures: self.failures,
            failing: self.error.is_some(),
            age_seconds: self.read_at.map(|at| now.saturating_duration_since(at).as_secs()),
        }
    }
}

/// The sources of all groups that have one.
#[derive(Debug, Default)]
pub(super) struct SourceNotes(Mutex<BTreeMap<String, SourceNote>>);

impl SourceNotes {
    fn with<T>(&self, of: impl FnOnce(&mut BTreeMap<String, SourceNote>) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn begin(&self, group: &str, source: String, kind: &'static str) {
        self.with(|notes| {
            let note = notes.entry(group.to_owned()).or_default();
            // Counters go on, whatever is asked.
            (note.source, note.kind) = (source, kind);
        });
    }

    pub(super) fn forget(&self, group: &str) {
        self.with(|notes| notes.remove(group));
    }

    pub(super) fn get(&self, group: &str) -> Option<SourceNote> {
        self.with(|notes| notes.get(group).cloned())
    }

    pub(super) fn tell(&self, group: &str, news: &SourceNews<'_>) -> bool {
        self.with(|notes| {
            let Some(note) = notes.get_mut(group) else { return false };
            let now = monotonic_now();
            match news.fault {
                None => {
                    let is_news = note.error.take().is_some()
                        || note.read_at.is_none()
                        || note.left_out != news.left_out;
                    note.targets = news.targets;
                    note.reads = note.reads.wrapping_add(1);
                    note.read_at = Some(now);
                    news.left_out.clone_into(&mut note.left_out);
                    is_news
                }
                Some((cause, why)) => {
                    note.failures = note.failures.wrapping_add(1);
                    let same = note.error.as_ref().filter(|last| last.cause == cause && *last.text == *why);
                    let is_news = same.is_none();
                    // Since when it is so, where nothing has changed.
                    let at = same.map_or(now, |last| last.at);
                    note.error = Some(LastError::new(cause, why.into(), at));
                    is_news
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_is_no_news_and_is_counted() {
        let notes = SourceNotes::default();
        let news = |fault| SourceNews { targets: 2, fault, left_out: "" };
        assert!(!notes.tell("app", &news(None)), "nobody asks it any more");
        notes.begin("app", "file:/x".into(), "file");
        assert_eq!(notes.get("app").unwrap().figures(monotonic_now()).age_seconds, None);
        assert!(notes.tell("app", &news(None)));
        assert!(!notes.tell("app", &news(None)));
        assert!(notes.tell("app", &news(Some(("unreachable", "no")))));
        let since = notes.get("app").unwrap().error.unwrap().at;
        assert!(!notes.tell("app", &news(Some(("unreachable", "no")))));
        assert_eq!(notes.get("app").unwrap().error.unwrap().at, since);
        assert!(notes.tell("app", &news(Some(("unreachable", "still not")))));
        let figures = notes.get("app").unwrap().figures(monotonic_now());
        assert_eq!((figures.reads, figures.failures, figures.failing, figures.targets), (2, 3, true, 2));
        notes.begin("app", "file:/y".into(), "file");
        assert!(notes.tell("app", &news(None)), "it is read again");
        assert_eq!(notes.get("app").unwrap().figures(monotonic_now()).reads, 3);
        notes.forget("app");
        assert!(notes.get("app").is_none());
    }
}
