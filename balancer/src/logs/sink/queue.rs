//! What goes to the writer of a file, and what it counts. Must not know: who hands lines over, where they are written.

use std::sync::{
    atomic::{AtomicU64, Ordering::Relaxed},
    mpsc::SyncSender,
};

/// Chunks that may wait for the writer, of one worker.
pub(super) const QUEUE: usize = 128;

/// Some whole lines.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// What the control side asks of a writer.
#[derive(Debug)]
pub(super) enum Order {
    /// Open the file anew: the one of that name may be another now.
    Reopen,
    /// Write what is queued, then say so.
    Flush(SyncSender<()>),
}

/// What came of the lines that got as far as a writer, over all of them.
#[derive(Debug, Default)]
pub struct WrittenLines {
    pub(super) lines: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl WrittenLines {
    /// Lines written.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines.load(Relaxed)
    }

    /// Lines that could not be written, for a disk that is full say.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}
