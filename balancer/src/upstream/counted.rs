//! A byte stream to a target whose bytes and resets are counted here where the kernel does not count them, as they
//! are on the wire. Must not know: TLS, what the bytes mean.

use std::{
    io::{self, Read},
    os::fd::{AsRawFd as _, RawFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ledgers::{LedgerHandle, Ledgers};
use crate::{
    id::Slot,
    kernel::{Delivery, EventSender, OpenConnection, TargetCounters, TargetEvent, TargetEventKind},
    model::Endpoint,
    wire::stream::Stream,
};

/// Counts in userspace what the kernel side does not count: Unix sockets always, TCP without it.
#[derive(Clone, Debug)]
pub struct Counting {
    pub(super) counters: TargetCounters,
    pub(super) events: EventSender,
    open: Rc<Ledgers>,
}

impl Counting {
    /// Counts into `counters` and tells of failures through `events`.
    #[must_use]
    pub fn new(counters: TargetCounters, events: EventSender) -> Self {
        Self { counters, events, open: Rc::default() }
    }

    /// Counts what has moved on connections that are open, and tells of targets that leave what they were sent without an answer.
    pub fn count_moved(&self) {
        self.open.count_moved(|slot, received, sent| self.counters.moved(slot, received, sent));
        self.open.tell(|slot, socket, told| self.counters.count_open(slot, socket, told));
        let look = |slot, socket, seen| {
            let delivery = Delivery::of(socket)?;
            self.counters.count_look(slot, &delivery, seen);
            Some(delivery)
        };
        self.open.look(look, |event| self.events.send(event));
    }

    /// A connection is about to be made that is counted here: by this socket, if that is one of TCP.
    pub(super) fn begin(&self, slot: Slot, socket: Option<RawFd>) -> LedgerHandle {
        Ledgers::begin(&self.open, slot, socket)
    }

    pub(super) fn applies(&self, endpoint: &Endpoint) -> bool {
        matches!(endpoint, Endpoint::Unix(_)) || !self.counters.kernel_counts()
    }
}

/// The figures of one connection that userspace counts.
#[derive(Debug)]
struct Ledger {
    events: EventSender,
    moved: LedgerHandle,
    /// It is closed after what has moved was counted.
    connection: OpenConnection,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let (received, sent) = self.moved.take_uncounted();
        self.connection.moved(received, sent);
    }
}

/// The stream and its ledger, if it has one.
#[derive(Debug)]
pub(super) struct Counted {
    // Both before the stream: nobody looks at its socket once that is closed.
    /// Of one that the kernel counts.
    _open: Option<LedgerHandle>,
    ledger: Option<Ledger>,
    stream: Stream,
}

impl Counted {
    /// A stream that has just been connected, which the kernel counts.
    pub(super) fn by_kernel(stream: Stream, slot: Slot, counting: &Counting) -> Self {
        let open = Ledgers::begin_counted(&counting.open, slot, stream.as_raw_fd());
        Self { _open: Some(open), ledger: None, stream }
    }

    /// One that is counted here.
    pub(super) fn here(
        stream: Stream,
        counting: &Counting,
        moved: LedgerHandle,
        connection: OpenConnection,
    ) -> Self {
        // It has taken the connection.
        moved.add_received(0);
        let ledger = Ledger { events: counting.events.clone(), moved, connection };
        Self { _open: None, ledger: Some(ledger), stream }
    }

    /// Nobody waits for anything from its target.
    pub(super) fn rest(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.moved.rest();
        }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What the peer has sent, read at once or not at all.
    pub(super) fn reader(&mut self, ask: bool) -> Immediate<'_> {
        Immediate { counted: self, ask }
    }

    fn note_error(&mut self, error: &io::Error) {
        let Some(ledger) = &mut self.ledger else { return };
        if error.kind() == io::ErrorKind::ConnectionReset && ledger.connection.reset() {
            let event = TargetEvent { slot: ledger.connection.slot(), kind: TargetEventKind::Reset };
            ledger.events.send(event);
        }
    }

    pub(super) fn note_sent(&mut self, written: &io::Result<usize>) {
        match written {
            Err(error) => self.note_error(error),
            Ok(length) => {
                if let Some(ledger) = &self.ledger {
                    ledger.moved.add_sent(*length as u64);
                }
            }
        }
    }

    pub(super) fn note_read(&mut self, read: &io::Result<usize>) {
        match read {
            Ok(length) => self.note_received(*length),
            Err(error) => self.note_error(error),
        }
    }

    fn note_received(&self, length: usize) {
        if let Some(ledger) = &self.ledger {
            ledger.moved.add_received(length as u64);
        }
    }
}

/// Reads without waiting.
pub(super) struct Immediate<'a> {
    counted: &'a mut Counted,
    /// Whether to ask the kernel even if it has told of nothing new.
    ask: bool,
}

impl Read for Immediate<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let stream = self.counted.stream();
        let read = if self.ask { stream.read_now(buf) } else { stream.try_read(buf) };
        self.counted.note_read(&read);
        read
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        match &result {
            Err(error) => self.note_error(error),
            Ok(()) => self.note_received(buf.filled().len() - before),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.note_sent(&result);
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.note_sent(&result);
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
