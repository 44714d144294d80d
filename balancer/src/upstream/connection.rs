//! One connection to a target, counted from the attempt to the close; plain, or inside TLS.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd as _, RawFd},
    sync::Arc,
    time::Duration,
};

use rustls::HandshakeKind;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::counted::{Counted, Counting};
use crate::{
    counters::is_own_shortage,
    id::Slot,
    kernel::{Attempt, TargetEvent, TargetEventKind},
    model::Endpoint,
    tls::TargetTls,
    wire::{
        splice::Bare,
        stream::{Stream, delegate_io},
    },
};

/// When and how often a silent connection is probed, and how long data may stay without an answer.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 4;
const UNANSWERED: Duration = Duration::from_secs(30);

/// Where requests for a target go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The target's row.
    pub slot: Slot,
    /// What to connect to.
    pub endpoint: Endpoint,
    /// TLS, when the target speaks it.
    pub tls: Option<Arc<TargetTls>>,
}

impl Destination {
    /// Whether a connection to `self` does for requests to `other`.
    pub(super) fn does_for(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (None, None) => true,
            _ => false,
        };
        same_tls && self.slot == other.slot && self.endpoint == other.endpoint
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("connecting failed: {0}")]
pub struct ConnectError(#[from] pub io::Error);

/// Why there is no TLS on a connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The target broke off, or what it showed will not do.
    #[error("{0}")]
    Failed(#[from] io::Error),
    /// The target does not speak the version of HTTP that its group is for.
    #[error("it did not settle on HTTP/2")]
    Protocol,
    /// There is nothing that the certificate could be held against.
    #[error("the target has no name")]
    Nameless,
}

/// An attempt that userspace counts, and tells of unless it ends well; also when it is given up half-way.
struct Announced<'a> {
    attempt: Option<Attempt<'a>>,
    counting: &'a Counting,
    slot: Slot,
}

impl Announced<'_> {
    /// Where this host has no socket, nothing was asked of the target. The kernel counts nothing then, either.
    #[cold]
    fn is_over(&mut self, error: &io::Error) {
        if is_own_shortage(error)
            && let Some(attempt) = self.attempt.take()
        {
            attempt.unmade();
        }
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        if let Some(failed) = self.attempt.take() {
            drop(failed);
            let event = TargetEvent { slot: self.slot, kind: TargetEventKind::ConnectFailed };
            self.counting.events.send(event);
        }
    }
}

/// Has the target looked at unless the handshake ends well.
struct HandshakeGuard<'a> {
    counting: &'a Counting,
    slot: Slot,
    founded: bool,
}

impl Drop for HandshakeGuard<'_> {
    fn drop(&mut self) {
        if self.founded {
            let event = TargetEvent { slot: self.slot, kind: TargetEventKind::ConnectFailed };
            self.counting.events.send(event);
        }
    }
}

/// A connection to an address, of whose socket `begin` hears before the first word goes to it.
async fn connect(address: SocketAddr, begin: impl FnOnce(Option<RawFd>)) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    begin(Some(socket.as_raw_fd()));
    socket.connect(address).await
}

/// In boxes: connections are moved from the pool and back with every request.
#[derive(Debug)]
enum Layer {
    Plain(Box<Counted>),
    /// What is written may wait inside until it is flushed.
    Tls(Box<TlsStream<Counted>>),
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().layer {
            Layer::Plain($stream) => $call,
            Layer::Tls($stream) => $call,
        }
    };
}

/// A connection to a target.
#[derive(Debug)]
pub struct Connection {
    layer: Layer,
    slot: Slot,
}

impl Connection {
    /// Connects to `destination`, without its TLS: see [`Self::secure`]. Dropping the future gives up and counts as
    /// failed.
    ///
    /// # Errors
    /// The system's.
    pub async fn open(destination: &Destination, counting: &Counting) -> Result<Self, ConnectError> {
        let Destination { slot, endpoint, .. } = destination;
        let slot = *slot;
        let attempt = counting.applies(endpoint).then(|| counting.counters.attempt(slot));
        let is_ours = attempt.is_some();
        let mut told = Announced { attempt, counting, slot };
        let mut moved = None;
        let mut begin = |socket| moved = is_ours.then(|| counting.begin(slot, socket));
        let connected = match endpoint {
            Endpoint::Tcp(address) => connect(*address, begin).await.map(Stream::Tcp),
            Endpoint::Unix(path) => {
                begin(None);
                UnixStream::connect(path).await.map(Stream::Unix)
            }
        };
        let stream = connected.inspect_err(|error| told.is_over(error))?;
        if let Stream::Tcp(stream) = &stream {
            stream.set_nodelay(true)?;
        }
        let counted = match told.attempt.take().zip(moved) {
            Some((attempt, moved)) => Counted::here(stream, counting, moved, attempt.opened()),
            None => Counted::by_kernel(stream, slot, counting),
        };
        Ok(Self { layer: Layer::Plain(Box::new(counted)), slot })
    }

    /// Shakes hands, when `destination` has TLS. `connector` is made of it. A handshake that fails, or is given up by
    /// dropping the future, has the target looked at as a connection that fails has.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn secure(
        self,
        destination: &Destination,
        connector: TlsConnector,
        counting: &Counting,
    ) -> Result<Self, HandshakeError> {
        let (Some(tls), Layer::Plain(stream)) = (&destination.tls, self.layer) else {
            return Err(HandshakeError::Nameless);
        };
        let mut guard = HandshakeGuard { counting, slot: self.slot, founded: true };
        let address = match &destination.endpoint {
            Endpoint::Tcp(address) => Some(address.ip()),
            Endpoint::Unix(_) => None,
        };
        let name = tls.name(address).ok_or(HandshakeError::Nameless)?;
        let stream = connector.connect(name, *stream).await?;
        if !tls.suits(stream.get_ref().1.alpn_protocol()) {
            return Err(HandshakeError::Protocol);
        }
        guard.founded = false;
        Ok(Self { layer: Layer::Tls(Box::new(stream)), slot: self.slot })
    }

    /// The target's row.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Whether the handshake took up an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        match &self.layer {
            Layer::Plain(_) => false,
            Layer::Tls(stream) => stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// The socket underneath.
    #[must_use]
    pub fn socket(&self) -> RawFd {
        self.counted().stream().as_raw_fd()
    }

    fn counted(&self) -> &Counted {
        match &self.layer {
            Layer::Plain(counted) => counted,
            Layer::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Nobody waits for anything from the target until something is sent.
    pub(super) fn rest(&self) {
        self.counted().rest();
    }

    /// Has the kernel find out whether the target's host is still there: by probes when nothing moves, and by
    /// what stays without an answer. For connections that are not watched by who waits for one response.
    pub fn probe_when_silent(&self) {
        if let Stream::Tcp(stream) = self.counted().stream() {
            let probes =
                TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_INTERVAL).with_retries(PROBES);
            let socket = SockRef::from(stream);
            // Without them a dead host is found out later, by timeouts.
            let _ = socket.set_tcp_keepalive(&probes);
            let _ = socket.set_tcp_user_timeout(Some(UNANSWERED));
        }
    }

    /// Whether the target closed the connection or sent what nobody asked for; with `ask` the kernel is asked,
    /// without it is known without a system call. What TLS sends on its own account, such as tickets, is taken in.
    pub fn has_news(&mut self, ask: bool) -> bool {
        match &mut self.layer {
            Layer::Plain(counted) if ask => counted.stream().has_news_now(),
            Layer::Plain(counted) => counted.stream().has_news(),
            Layer::Tls(stream) => {
                let (counted, session) = stream.get_mut();
                let mut reader = counted.reader(ask);
                loop {
                    match session.process_new_packets() {
                        Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                        _ => return true,
                    }
                    match session.read_tls(&mut reader) {
                        Ok(1..) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        _ => return true,
                    }
                }
            }
        }
    }
}

impl Bare for Connection {
    fn bare(&self) -> Option<&TcpStream> {
        match &self.layer {
            Layer::Plain(stream) => stream.stream().bare(),
            Layer::Tls(_) => None,
        }
    }

    fn has_given(&mut self, given: &io::Result<usize>) {
        if let Layer::Plain(stream) = &mut self.layer {
            stream.note_read(given);
        }
    }

    fn has_taken(&mut self, taken: &io::Result<usize>) {
        if let Layer::Plain(stream) = &mut self.layer {
            stream.note_sent(taken);
        }
    }
}

delegate_io!(Connection, each);

#[cfg(test)]
mod tests;
