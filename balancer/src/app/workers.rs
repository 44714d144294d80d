//! The worker threads, seen from where rooms are wired together: one that ends by itself is replaced, and all are waited for
//! at the end. Must not know: what a worker does.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    clock::{monotonic_now, until},
    control::controller::ControlCommand,
    counters::{ControlCounters, WorkerCounters},
    listener::Worker,
};

/// Least time between two workers that are started in the place of others.
const RESTART: Duration = Duration::from_secs(1);

/// How often a drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// The worker threads.
pub(super) struct Workers {
    pub(super) workers: Vec<Worker>,
    pub(super) spawn: Box<dyn Fn(usize, Arc<WorkerCounters>) -> io::Result<Worker>>,
    /// Numbers of those that have ended.
    pub(super) ended: UnboundedReceiver<usize>,
    /// One that is to be replaced.
    pub(super) fallen: Option<usize>,
    /// When one was last replaced.
    pub(super) last: Option<Instant>,
}

impl Workers {
    /// Waits for what is to be done about workers: one that ended was replaced, or all have ended a drain. Dropping the
    /// future loses nothing.
    pub(super) async fn watch(
        &mut self,
        draining: bool,
        counters: &ControlCounters,
    ) -> anyhow::Result<Option<ControlCommand>> {
        if draining {
            drained(&self.workers).await;
            return Ok(None);
        }
        self.replace_ended(counters).await.map(Some)
    }

    /// Waits for a worker to end by itself, and starts another one in its place, which counts on where it stopped.
    /// Not more often than once in [`RESTART`], lest one that cannot live takes the processor from the others.
    /// Dropping the future loses nothing.
    async fn replace_ended(&mut self, counters: &ControlCounters) -> anyhow::Result<ControlCommand> {
        let index = match self.fallen {
            Some(index) => index,
            None => {
                let Some(index) = self.ended.recv().await else { return std::future::pending().await };
                self.fallen = Some(index);
                tracing::error!(worker = index, "a worker ended by a bug of its own, and is replaced");
                counters.worker_restarts.inc();
                index
            }
        };
        if let Some(last) = self.last {
            until(Some(last + RESTART)).await;
        }
        (self.fallen, self.last) = (None, Some(monotonic_now()));
        let ended = self.workers.get_mut(index).context("no worker has that number")?;
        let worker =
            (self.spawn)(index, Arc::clone(&ended.counters)).context("cannot start a worker again")?;
        let messages = worker.messages.clone();
        *ended = worker;
        Ok(ControlCommand::Replace(index, messages))
    }
}

async fn drained(workers: &[Worker]) {
    while !workers.iter().all(|worker| worker.thread.is_finished()) {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::{
        kernel::{Kernel, KernelOptions},
        listener,
        snapshot::WorkerMessage,
    };

    /// A worker whose thread panics where no task of it is.
    fn broken(index: usize, ended: tokio::sync::mpsc::UnboundedSender<usize>) -> Worker {
        let thread = std::thread::spawn(move || {
            struct Farewell(usize, tokio::sync::mpsc::UnboundedSender<usize>);
            impl Drop for Farewell {
                fn drop(&mut self) {
                    self.1.send(self.0).unwrap();
                }
            }
            let _farewell = Farewell(index, ended);
            panic!("this one is meant to");
        });
        Worker { messages: unbounded_channel().0, counters: Arc::default(), thread }
    }

    #[tokio::test]
    async fn a_worker_that_panics_is_replaced_and_its_figures_go_on() {
        let (farewells, ended) = unbounded_channel();
        let tables = crate::kernel::Tables::in_memory(1024).unwrap();
        let first = broken(0, farewells.clone());
        first.counters.accept_pauses.add(7);
        let figures = Arc::clone(&first.counters);
        let events = {
            let folder = tempfile::tempdir().unwrap();
            let options = KernelOptions {
                instance: format!("unit-crew-{}", std::process::id()),
                runtime_dir: folder.path().to_owned(),
                assist: crate::model::KernelAssist::Off,
                session_table_size: 1024,
                shield: None,
            };
            Kernel::open(&options).unwrap().event_sender()
        };
        let spawn = move |index, counters| {
            listener::spawn(index, tables.clone(), events.clone(), counters, 64, farewells.clone())
        };
        let mut pool =
            Workers { workers: vec![first], spawn: Box::new(spawn), ended, fallen: None, last: None };
        let counters = ControlCounters::default();
        let command = pool.replace_ended(&counters).await.unwrap();
        let ControlCommand::Replace(0, messages) = command else { panic!("{command:?}") };
        assert_eq!(counters.worker_restarts.get(), 1);
        assert!(Arc::ptr_eq(&pool.workers[0].counters, &figures), "what is counted goes on");
        assert!(!pool.workers[0].thread.is_finished());
        messages.send(WorkerMessage::Stop).unwrap();
        // A real one tells when it is over, too.
        assert_eq!(pool.ended.recv().await, Some(0));
    }
}
