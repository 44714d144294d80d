//! Calls of the ELBv2 API: what only reads is answered at once, changes are collected, validated together with the files, written
//! down, put into force, and answered then. Must not know: who may ask, and how it is asked.

mod world;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use super::{
    Controller,
    api_change::{ApiChange, fail, unavailable},
    api_work::{Examining, MOST_WAITING, Progress, StoreBack, Writing},
    examiner::{Examined, Examiner},
    pending::Pending,
    reload::{AGAIN, Obstacle},
};
use crate::{
    clock::monotonic_now,
    control::control_api::{ApiBook, ApiCall},
    elbv2::{self, ApiFailure, Element, OperationCall, Store},
};

/// How long after changes have taken effect the next ones are collected: so that many in a row are one.
const GAP: Duration = Duration::from_millis(15);
/// Most changes that take effect together.
const MOST_TOGETHER: usize = 64;
/// How long a change waits for the sockets of a listener that was there before.
const PATIENCE: Duration = Duration::from_secs(10);

impl Controller {
    /// Answers a call, or sees to it that it will be.
    pub(super) fn answer_call(&mut self, call: ApiCall) {
        let Some(book) = &self.book else { return fail(call, unavailable("there is no state")) };
        if elbv2::is_change(&call.action) {
            if self.api_work.waiting.len() >= MOST_WAITING {
                return fail(call, unavailable(format!("{MOST_WAITING} changes wait already: ask again")));
            }
            let now = monotonic_now();
            self.api_work.waiting.push_back((call, now));
            // At once, unless there have just been others.
            let earliest = self.api_work.applied.map_or(now, |at| now.max(at + GAP));
            self.api_work.begin_at.get_or_insert(earliest);
            return;
        }
        let world = self.world(book, &call.action);
        let asked = OperationCall { action: &call.action, params: &call.params, world: &world };
        // It changes nothing: what it is given is a copy all the same.
        let answer = elbv2::answer(&asked, &mut book.records.clone());
        let _ = call.reply.send(answer);
    }

    /// Goes on with changes that wait, unless something else comes first.
    pub(super) fn begin_changes(&mut self) {
        self.api_work.begin_at = None;
        if self.api_work.waiting.is_empty() || self.api_work.is_writing() {
            return;
        }
        if self.crew.is_ending() || self.succession.is_over() {
            let ending = || unavailable("the process is ending: ask again");
            return self.api_work.waiting.drain(..).for_each(|(call, _)| fail(call, ending()));
        }
        if self.succession.is_frozen() || self.pending.is_some() || self.again_at.is_some() {
            self.api_work.begin_at = Some(monotonic_now() + AGAIN);
            return;
        }
        let singly = self.api_work.singly > 0;
        let most = if singly { 1 } else { MOST_TOGETHER };
        let count = self.api_work.waiting.len().min(most);
        let calls: Vec<(ApiCall, Instant)> = self.api_work.waiting.drain(..count).collect();
        self.api_work.singly = self.api_work.singly.saturating_sub(1);
        self.carry_out(calls);
        if !self.api_work.waiting.is_empty() && !self.api_work.is_writing() {
            self.api_work.begin_at.get_or_insert(monotonic_now());
        }
    }

    fn carry_out(&mut self, calls: Vec<(ApiCall, Instant)>) {
        let Some(book) = &self.book else { return };
        let mut records = book.records.clone();
        let (mut answers, mut since) = (Vec::new(), Vec::new());
        for (call, at) in calls {
            let world = self.world(book, &call.action);
            let asked = OperationCall { action: &call.action, params: &call.params, world: &world };
            let mut after = records.clone();
            match elbv2::answer(&asked, &mut after) {
                Ok(answer) => {
                    records = after;
                    answers.push((call, answer));
                    since.push(at);
                }
                Err(failure) => fail(call, failure),
            }
        }
        if records == book.records {
            return answers.into_iter().for_each(|(call, answer)| drop(call.reply.send(Ok(answer))));
        }
        let examiner = match self.api_work.examiner.take().map_or_else(Examiner::start, Ok) {
            Ok(examiner) => examiner,
            Err(error) => {
                return fail_all(answers, &format!("no thread can be started that looks at it: {error}"));
            }
        };
        let examined = examiner.examine(Arc::clone(&book.beside), records.clone());
        self.api_work.examiner = Some(examiner);
        self.api_work.examining = Some(Examining { examined, records, answers, since });
    }

    /// Goes on with changes that are under way.
    pub(super) fn go_on_with_changes(&mut self, progress: Progress) {
        match progress {
            Progress::Examined(examined) => self.take_examined(examined),
            Progress::Written(written) => self.take_written(written),
        }
    }

    /// What changes make of the configuration is known.
    fn take_examined(&mut self, examined: Option<Examined>) {
        let Some(Examining { records, answers, since, .. }) = self.api_work.examining.take() else { return };
        match examined {
            _ if self.crew.is_ending() || self.succession.is_over() => {
                fail_all(answers, "the process is ending: ask again");
            }
            Some(examined) => {
                let configuration = examined.map_err(Obstacle::Faults);
                match configuration.and_then(|configuration| self.ready(*configuration, None)) {
                    Ok(pending) => self.write_down(pending, ApiChange { records, answers }),
                    Err(obstacle) => self.put_off(obstacle, answers, &since),
                }
            }
            None => {
                self.api_work.examiner = None;
                fail_all(answers, "the thread that looks at it has ended by a bug of its own: ask again");
            }
        }
        if !self.api_work.is_writing() {
            if !self.api_work.waiting.is_empty() {
                self.api_work.begin_at.get_or_insert(monotonic_now());
            }
            self.reload_after_change();
        }
    }

    /// They cannot take effect as they are: together, or yet, or at all.
    fn put_off(&mut self, obstacle: Obstacle, answers: Vec<(ApiCall, Element)>, since: &[Instant]) {
        let now = monotonic_now();
        let faults = match obstacle {
            Obstacle::Closing { address, .. } if since.iter().all(|at| now < *at + PATIENCE) => {
                tracing::debug!(%address, "a change waits until the sockets of a listener that was there before are closed");
                self.api_work.begin_at = Some(now + AGAIN);
                return self.wait_again(answers, since);
            }
            Obstacle::Closing { listener, address } => {
                vec![format!(
                    "cannot listen on {address} (listener {listener:?}): a listener that was there before is being closed"
                )]
            }
            Obstacle::Faults(_) if answers.len() > 1 => {
                self.api_work.singly = answers.len();
                return self.wait_again(answers, since);
            }
            Obstacle::Faults(faults) => faults,
        };
        for (call, _) in answers {
            fail(call, ApiFailure::validation(faults.join("; ")));
        }
    }

    fn wait_again(&mut self, answers: Vec<(ApiCall, Element)>, since: &[Instant]) {
        for ((call, _), at) in answers.into_iter().zip(since).rev() {
            self.api_work.waiting.push_front((call, *at));
        }
    }

    /// Has changes written down by another thread: a disk may take its time.
    fn write_down(&mut self, mut pending: Pending, change: ApiChange) {
        let Some(mut store) = self.book.as_mut().and_then(|book| book.store.take()) else {
            let failure = || unavailable("the state is being written: ask again");
            return change.answers.into_iter().for_each(|(call, _)| fail(call, failure()));
        };
        let records = change.records.clone();
        let thread = spawn_blocking(move || {
            let written = store.commit(&records);
            (store, written)
        });
        pending.change = Some(change);
        self.api_work.writing = Some(Writing { thread, pending });
    }

    /// They are written down, or could not be.
    fn take_written(&mut self, written: Option<StoreBack>) {
        let Some(Writing { mut pending, .. }) = self.api_work.writing.take() else { return };
        let outcome = match written {
            Some((store, outcome)) => {
                if let Some(book) = &mut self.book {
                    book.revision = store.revision();
                    book.store = Some(store);
                }
                outcome.map_err(|error| error.to_string())
            }
            None => Err("the thread that writes it has ended by a bug of its own".to_owned()),
        };
        match outcome {
            Ok(()) if self.crew.is_ending() => {
                pending.change.take().into_iter().for_each(|change| self.end_change(change));
            }
            Ok(()) => {
                self.pending = Some(pending);
                // Nothing of it has to be asked for that files do not ask for already.
                self.go_on_with_reload();
            }
            Err(error) => {
                tracing::error!(error, "a change that was made through the API cannot be written down");
                if let Some(change) = pending.change.take() {
                    change.refuse(&unavailable(format!("the change cannot be written down: {error}")));
                }
            }
        }
        let now = monotonic_now();
        (self.api_work.applied, self.api_work.begin_at) = (Some(now), Some(now + GAP));
        self.reload_after_change();
    }

    /// Changes have taken effect, or could not: then the state is taken back.
    pub(super) fn finish_change(&mut self, change: ApiChange, outcome: Result<(), String>) {
        let Some(book) = &mut self.book else { return };
        match outcome {
            Ok(()) => {
                book.records = change.answer();
                self.api_work.unkept = true;
            }
            Err(fault) => {
                let back = match &mut book.store {
                    Some(store) => store.commit(&book.records).map_err(|error| error.to_string()),
                    None => Err("it is closed".to_owned()),
                };
                book.revision = book.store.as_ref().map_or(book.revision, Store::revision);
                let taken_back = match back {
                    Ok(()) => "it was taken back".to_owned(),
                    Err(error) => {
                        tracing::error!(error, "a change that has no effect cannot be taken back");
                        format!("and it could not be taken back ({error}): it takes effect at the next start")
                    }
                };
                change.refuse(&ApiFailure {
                    status: 500,
                    code: "InternalFailure",
                    message: format!("the change cannot take effect ({fault}); {taken_back}"),
                });
            }
        }
    }

    /// The process ends before changes take effect that are written down.
    pub(super) fn end_change(&mut self, change: ApiChange) {
        change.refuse(&unavailable(
            "the process is ending; the change is written down, and takes effect at the next start",
        ));
    }

    /// Files are read again that were not while a change was under way.
    pub(super) fn reload_after_change(&mut self) {
        if std::mem::take(&mut self.api_work.reload) {
            self.reload();
        }
    }

    /// Lets another process open the database.
    pub(super) fn close_book(&mut self) {
        if let Some(book) = &mut self.book {
            if let Some(store) = &mut book.store {
                store.close();
            }
            keep(book);
        }
    }

    /// Has a copy of the state kept where there were changes, and again where it could not be.
    pub(super) fn keep_book(&mut self) {
        let work = &mut self.api_work;
        let is_due = work.unkept || work.copy_failed.load(Relaxed);
        if !is_due || work.is_writing() || work.keeping.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let Some(book) = &self.book else { return };
        work.unkept = false;
        let (copy, path) = book.copy();
        let failed = Arc::clone(&work.copy_failed);
        work.keeping = Some(spawn_blocking(move || {
            let kept = copy.keep(&path, None);
            let was_told = failed.swap(kept.is_err(), Relaxed);
            if let Err(error) = kept.as_ref().map_err(|error| error.to_string())
                && !was_told
            {
                let file = path.display();
                tracing::warn!(%file, error, "a copy of the state cannot be kept; it is tried again");
            }
            kept
        }));
    }

    /// The process ends: the last changes are in the copy, too.
    pub async fn end_book(&mut self) {
        if let Some(keeping) = self.api_work.keeping.take() {
            let _ = keeping.await;
        }
        let is_due = self.api_work.unkept || self.api_work.copy_failed.load(Relaxed);
        if let Some(book) = self.book.as_mut().filter(|_| is_due) {
            keep(book);
        }
    }
}

/// None of these can be done now.
fn fail_all(answers: Vec<(ApiCall, Element)>, message: &str) {
    answers.into_iter().for_each(|(call, _)| fail(call, unavailable(message)));
}

fn keep(book: &ApiBook) {
    if let Err(error) = book.keep_copy() {
        tracing::warn!(%error, "a copy of the state cannot be kept");
    }
}
