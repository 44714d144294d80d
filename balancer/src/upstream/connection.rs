//! One connection to a target, counted from the attempt to the close.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::{
    id::Slot,
    kernel::{EventSender, TargetCounters, TargetEvent, TargetEventKind},
    model::Endpoint,
    wire::stream::Stream,
};

/// When and how often a silent connection is probed, and how long data may stay without an answer.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 4;
const UNANSWERED: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("connecting failed: {0}")]
pub struct ConnectError(#[from] pub io::Error);

/// Counts in userspace what the kernel side does not count: Unix sockets always, TCP without it.
#[derive(Clone, Debug)]
pub struct Counting {
    counters: TargetCounters,
    events: EventSender,
}

impl Counting {
    /// Counts into `counters` and tells of failures through `events`.
    #[must_use]
    pub fn new(counters: TargetCounters, events: EventSender) -> Self {
        Self { counters, events }
    }

    fn applies(&self, endpoint: &Endpoint) -> bool {
        matches!(endpoint, Endpoint::Unix(_)) || !self.counters.kernel_counts()
    }
}

/// The figures of one connection that userspace counts.
#[derive(Debug)]
struct Ledger {
    counting: Counting,
    slot: Slot,
    received: u64,
    sent: u64,
    reset: bool,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.counting.counters.closed(self.slot, self.received, self.sent, self.reset);
    }
}

/// Counts an attempt as failed unless it ends well; also when it is given up half-way.
struct Attempt<'a> {
    counting: Option<&'a Counting>,
    slot: Slot,
    failed: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let (Some(counting), true) = (self.counting, self.failed) {
            counting.counters.failed(self.slot);
            counting.events.send(TargetEvent { slot: self.slot, kind: TargetEventKind::ConnectFailed });
        }
    }
}

/// A connection to a target.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    slot: Slot,
    ledger: Option<Ledger>,
}

impl Connection {
    /// Connects to `endpoint`, whose row is `slot`. Dropping the future gives up and counts as failed.
    ///
    /// # Errors
    /// The system's.
    pub async fn open(endpoint: &Endpoint, slot: Slot, counting: &Counting) -> Result<Self, ConnectError> {
        let counted = counting.applies(endpoint).then_some(counting);
        if let Some(counting) = counted {
            counting.counters.connecting(slot);
        }
        let mut attempt = Attempt { counting: counted, slot, failed: true };
        let stream = match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Endpoint::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        };
        attempt.failed = false;
        let ledger = counted.map(|counting| {
            counting.counters.opened(slot);
            Ledger { counting: counting.clone(), slot, received: 0, sent: 0, reset: false }
        });
        Ok(Self { stream, slot, ledger })
    }

    /// The target's row.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Has the kernel find out whether the target's host is still there: by probes when nothing moves, and by
    /// what stays without an answer. For connections that are not watched by who waits for one response.
    pub fn probe_when_silent(&self) {
        if let Stream::Tcp(stream) = &self.stream {
            let probes =
                TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_INTERVAL).with_retries(PROBES);
            let socket = SockRef::from(stream);
            // Without them a dead host is found out later, by timeouts.
            let _ = socket.set_tcp_keepalive(&probes);
            let _ = socket.set_tcp_user_timeout(Some(UNANSWERED));
        }
    }

    /// Whether the target closed the connection or sent something, as far as is known without a system call.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.stream.has_news()
    }

    /// The same, asking the kernel.
    #[must_use]
    pub fn has_news_now(&self) -> bool {
        self.stream.has_news_now()
    }

    fn note_error(&mut self, error: &io::Error) {
        let Some(ledger) = &mut self.ledger else { return };
        if error.kind() == io::ErrorKind::ConnectionReset && !ledger.reset {
            ledger.reset = true;
            ledger.counting.events.send(TargetEvent { slot: self.slot, kind: TargetEventKind::Reset });
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if let Err(error) = &result {
            self.note_error(error);
        } else if let Some(ledger) = &mut self.ledger {
            ledger.received += (buf.filled().len() - before) as u64;
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        match &result {
            Err(error) => self.note_error(error),
            Ok(n) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.sent += *n as u64;
                }
            }
        }
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
