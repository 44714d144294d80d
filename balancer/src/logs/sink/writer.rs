//! The thread behind a sink. It looks at its queues by itself, so that handing something over wakes nobody.

use std::{
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use memchr::memchr_iter;

use super::{
    output::Output,
    queue::{Chunk, Order, QUEUE, WrittenLines},
};
use crate::{clock::monotonic_now, internal_errors::Part as _};

/// Between two looks at the queues, when there was something and when there was nothing. With the tick at which
/// workers hand over what they have, a line is in its file within a quarter of a second.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// How long nothing is said of another failure to write.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    output: Output,
    lanes: Vec<Receiver<Chunk>>,
    orders: Receiver<Order>,
    written: Arc<WrittenLines>,
    told: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        output: Output,
        lanes: Vec<Receiver<Chunk>>,
        orders: Receiver<Order>,
        written: Arc<WrittenLines>,
    ) -> Self {
        Self { output, lanes, orders, written, told: None }
    }

    /// Until the sink is gone and all that it took is written.
    pub(super) fn run(mut self) {
        let mut pause = IDLE_PAUSE;
        loop {
            match self.orders.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {
                    pause = if self.write_queued() { BUSY_PAUSE } else { IDLE_PAUSE };
                }
                Ok(Order::Reopen) => {
                    self.write_queued();
                    self.reopen();
                }
                Ok(Order::Flush(done)) => {
                    self.write_queued();
                    // Whoever asked may have stopped waiting.
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_queued();
                    return;
                }
            }
        }
    }

    fn reopen(&mut self) {
        let name = self.output.name();
        match self.output.reopen() {
            Ok(()) => tracing::info!(file = name, "log file opened anew"),
            Err(error) => {
                tracing::error!(file = name, %error, "a log file cannot be opened anew, the one before stays in use");
            }
        }
    }

    /// Whether there was anything.
    fn write_queued(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.lanes.len() {
            // What comes meanwhile is left for the next round, so that every lane gets its turn.
            for _ in 0..QUEUE {
                let Some(Ok(chunk)) = self.lanes.get(index).map(Receiver::try_recv) else { break };
                any = true;
                self.write(&chunk);
            }
        }
        any
    }

    fn write(&mut self, chunk: &Chunk) {
        let lost = match self.output.write(&chunk.bytes) {
            Ok(()) => 0,
            Err((error, left)) => {
                self.tell(&error);
                let rest = chunk.bytes.len().saturating_sub(left);
                memchr_iter(b'\n', chunk.bytes.part(rest..)).count() as u64
            }
        };
        self.written.lines.fetch_add(chunk.lines.saturating_sub(lost), Relaxed);
        self.written.lost.fetch_add(lost, Relaxed);
    }

    fn tell(&mut self, error: &std::io::Error) {
        let now = monotonic_now();
        if self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_AGAIN) {
            self.told = Some(now);
            tracing::error!(file = self.output.name(), %error, "log lines cannot be written and are lost");
        }
    }
}
