//! A thread that validates what changes would make of the configuration, beside the control side, which goes on with checks and all
//! else meanwhile. Workers go before it where cores are short. Must not know: what is changed, and how it takes effect.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use tokio::sync::oneshot;

use crate::{control::control_api::Beside, elbv2::Records, model::Configuration};

/// Its priority (nice): a third of what others get, so that a change ends in time on a busy host, too.
const NICE: i32 = 5;

/// The configuration that files and records make together, or every fault.
pub(super) type Examined = Result<Box<Configuration>, Vec<String>>;

/// The thread, for as long as this is there.
pub(super) struct Examiner {
    tasks: mpsc::Sender<Task>,
}

struct Task {
    beside: Arc<Beside>,
    records: Records,
    reply: oneshot::Sender<Examined>,
}

impl Examiner {
    /// Starts it.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn start() -> io::Result<Self> {
        let (tasks, receiver) = mpsc::channel();
        thread::Builder::new().name("examiner".to_owned()).spawn(move || work(&receiver))?;
        Ok(Self { tasks })
    }

    /// Has a configuration validated. What comes back is an error where the thread has ended by a bug of its own.
    pub(super) fn examine(&self, beside: Arc<Beside>, records: Records) -> oneshot::Receiver<Examined> {
        let (reply, examined) = oneshot::channel();
        // A task that nobody takes is dropped, and its reply with it.
        let _ = self.tasks.send(Task { beside, records, reply });
        examined
    }
}

fn work(tasks: &mpsc::Receiver<Task>) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "changes are validated at the priority of requests");
    }
    while let Ok(Task { beside, records, reply }) = tasks.recv() {
        let _ = reply.send(beside.with(&records).map(Box::new));
    }
}
