//! A worker's side of the sinks: lines are put together in memory of its own, and handed over many at a time.

use std::sync::Arc;

use super::{CHUNK, LogSink, queue::Chunk};

#[derive(Debug)]
struct Batch {
    sink: Arc<LogSink>,
    chunk: Chunk,
}

/// The chunks that one worker is filling.
#[derive(Debug)]
pub struct Batches {
    lane: usize,
    open: Vec<Batch>,
}

impl Batches {
    /// Of the worker that writes to this lane of every sink.
    #[must_use]
    pub fn new(lane: usize) -> Self {
        Self { lane, open: Vec::new() }
    }

    /// Adds the line that `write` appends, with its line end. Gives back how many lines were dropped for want of
    /// room. Takes no lock and makes no system call.
    #[must_use]
    pub fn add(&mut self, sink: &Arc<LogSink>, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let index = self.open.iter().position(|batch| Arc::ptr_eq(&batch.sink, sink));
        let index = index.unwrap_or_else(|| {
            self.open.push(Batch { sink: Arc::clone(sink), chunk: Chunk::default() });
            self.open.len() - 1
        });
        let Some(Batch { sink, chunk }) = self.open.get_mut(index) else { return 0 };
        if chunk.bytes.capacity() == 0 {
            // A line more than what is handed over.
            chunk.bytes.reserve(CHUNK + CHUNK / 8);
        }
        write(&mut chunk.bytes);
        chunk.lines += 1;
        if chunk.bytes.len() < CHUNK { 0 } else { sink.push(self.lane, std::mem::take(chunk)) }
    }

    /// Hands over what there is, and forgets the sinks that got nothing since the last time: they may be gone
    /// from the configuration. Gives back how many lines were dropped.
    #[must_use]
    pub fn flush(&mut self) -> u64 {
        let mut dropped = 0;
        self.open.retain_mut(|batch| {
            let used = batch.chunk.lines > 0;
            if used {
                let mut chunk = std::mem::take(&mut batch.chunk);
                // A quiet worker's chunks are small, however many of them wait.
                chunk.bytes.shrink_to_fit();
                dropped += batch.sink.push(self.lane, chunk);
            }
            used
        });
        dropped
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // Who would count what does not fit is gone.
        let _ = self.flush();
    }
}
