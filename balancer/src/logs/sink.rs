//! Files of log lines that workers write to without waiting: lines are gathered in chunks, chunks go through a
//! bounded queue a worker to a thread of the file's own. A file that cannot keep up costs lines, which are
//! counted, and never a request's time or memory without bound.
//! Must not know: what a line says.

mod batches;
mod output;
mod queue;
mod writer;

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

pub use self::{
    batches::Batches,
    output::{Output, look_at},
    queue::WrittenLines,
};
use self::{
    queue::{Chunk, Order, QUEUE},
    writer::Writer,
};
use crate::clock::monotonic_now;

/// What a chunk may hold before it goes to the writer; a line that is longer than what is left makes it grow.
const CHUNK: usize = 32 * 1024;

/// One file, seen by those who write to it. When the last of them lets go, what is queued is written and the
/// file is closed.
#[derive(Debug)]
pub struct LogSink {
    /// One a worker.
    lanes: Box<[SyncSender<Chunk>]>,
    orders: Sender<Order>,
}

impl LogSink {
    /// Starts a thread that writes to `output` what comes on `lanes` queues.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(output: Output, lanes: usize, written: Arc<WrittenLines>) -> io::Result<Arc<Self>> {
        let (senders, receivers): (Vec<SyncSender<Chunk>>, Vec<Receiver<Chunk>>) =
            (0..lanes).map(|_| mpsc::sync_channel(QUEUE)).unzip();
        let (orders, taken) = mpsc::channel();
        let writer = Writer::new(output, receivers, taken, written);
        thread::Builder::new().name("log-file".into()).spawn(move || writer.run())?;
        Ok(Arc::new(Self { lanes: senders.into(), orders }))
    }

    /// Has the file opened anew.
    pub fn reopen(&self) {
        // A writer ends after its last sink alone.
        let _ = self.orders.send(Order::Reopen);
    }

    /// Hands a chunk to the writer. Gives back how many lines did not fit.
    fn push(&self, lane: usize, chunk: Chunk) -> u64 {
        let lines = chunk.lines;
        match self.lanes.get(lane).map(|queue| queue.try_send(chunk)) {
            Some(Ok(())) => 0,
            Some(Err(_)) | None => lines,
        }
    }
}

/// Has everything written that was handed over before, waiting for at most `limit` in all.
pub fn flush(sinks: &[Arc<LogSink>], limit: Duration) {
    let waits: Vec<Receiver<()>> = sinks
        .iter()
        .map(|sink| {
            let (done, wait) = mpsc::sync_channel(1);
            let _ = sink.orders.send(Order::Flush(done));
            wait
        })
        .collect();
    let deadline: Instant = monotonic_now() + limit;
    for wait in waits {
        let _ = wait.recv_timeout(deadline.saturating_duration_since(monotonic_now()));
    }
}

#[cfg(test)]
mod tests;
