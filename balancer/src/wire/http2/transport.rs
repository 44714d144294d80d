//! The byte stream of a connection to a target: what comes goes into its core, and what that has to say goes out, all that was
//! said meanwhile in one piece. Must not know: who asks.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{core::Core, input::Input};
use crate::wire::buffer::{BUFFER_SIZE, Buffer, BufferStore};

/// How often is read at once: then others have their turn, those among them that what has come is for.
const MOST_READS: usize = 8;

/// The stream.
#[derive(Debug)]
pub(super) struct Transport<S> {
    stream: S,
    /// What has come and is not taken in.
    buffer: Buffer,
    input: Input,
    /// Whether all that was written went out.
    is_flushed: bool,
    /// Why nothing more can be written. What the target has said before can be read.
    unwritable: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub(super) fn new(stream: S) -> Self {
        let (buffer, input) = (Buffer::default(), Input::new());
        Self { stream, buffer, input, is_flushed: false, unwritable: None }
    }

    /// Moves what there is, both ways. Ready when the connection is over. `buffers` has memory for what comes: a connection at rest
    /// has none.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        core: &mut Core,
        buffers: &BufferStore,
        now_millis: u64,
    ) -> Poll<()> {
        core.credit.pass_time(now_millis);
        let mut reads = 0;
        loop {
            if !self.buffer.is_empty() {
                let length = core.receive(self.buffer.bytes());
                self.buffer.consume(length);
            }
            if !core.may_read() {
                break;
            }
            match self.poll_fill(cx, buffers) {
                Poll::Ready(Ok(1..)) => {
                    reads += 1;
                    if reads >= MOST_READS {
                        cx.waker().wake_by_ref();
                        break;
                    }
                }
                Poll::Ready(ended) => {
                    // A reset is told once: to who writes, if it comes to that.
                    let told =
                        self.unwritable.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
                    core.end_by(told.or(ended.err()));
                    return Poll::Ready(());
                }
                Poll::Pending => break,
            }
        }
        self.poll_write_all(cx, core, buffers)
    }

    /// Reads once.
    fn poll_fill(&mut self, cx: &Context<'_>, buffers: &BufferStore) -> Poll<io::Result<usize>> {
        let Self { stream, buffer, input, .. } = self;
        input.poll(cx, |cx, _| {
            if !buffer.has_memory() {
                *buffer = buffers.take();
            }
            let filled = buffer.poll_fill(cx, stream, BUFFER_SIZE);
            if buffer.is_empty() && filled.is_pending() {
                buffers.give(std::mem::take(buffer));
            }
            filled
        })
    }

    /// Writes all that there is. Ready when that is the end of the connection.
    fn poll_write_all(&mut self, cx: &mut Context<'_>, core: &mut Core, buffers: &BufferStore) -> Poll<()> {
        let could_not_read = !core.may_read();
        if let Poll::Ready(Err(error)) = self.poll_write(cx, core) {
            self.unwritable.get_or_insert(error);
        }
        if self.unwritable.is_some() {
            core.drop_output();
            if core.violation.is_some() {
                core.lose();
                return Poll::Ready(());
            }
        }
        core.settle();
        core.sleep(cx);
        if core.wake_waiting() || (could_not_read && core.may_read()) {
            cx.waker().wake_by_ref();
        }
        let is_out = core.output().is_empty() && self.is_flushed;
        if !core.is_done() || !(is_out || self.unwritable.is_some()) {
            return Poll::Pending;
        }
        if core.says_farewell() && self.unwritable.is_none() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        buffers.give(std::mem::take(&mut self.buffer));
        core.lose();
        Poll::Ready(())
    }

    /// Writes what there is.
    fn poll_write(&mut self, cx: &mut Context<'_>, core: &mut Core) -> Poll<io::Result<()>> {
        if self.unwritable.is_some() {
            return Poll::Pending;
        }
        while !core.output().is_empty() {
            self.is_flushed = false;
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, core.output()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            core.wrote(written);
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}
