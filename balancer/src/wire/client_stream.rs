//! A byte stream to a client: plain or inside TLS. On the plain side each call is the socket's own behind one
//! branch, and flushing is nothing. One that nothing happens on can be taken out of the runtime and put back.

use std::{
    io, net,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConnection;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{splice::Bare, stream::delegate_io};

/// One or the other.
#[derive(Debug)]
pub enum ClientStream {
    /// Over TCP alone.
    Plain(TcpStream),
    /// Inside TLS. What is written may wait inside until it is flushed.
    Tls(Box<TlsStream<TlsSocket>>),
}

/// The socket under TLS, which stays with its session when it is taken out of the runtime.
#[derive(Debug)]
pub enum TlsSocket {
    /// One that is read and written.
    Served(TcpStream),
    /// One that is not.
    Parked(net::TcpStream),
    /// It could not be taken out, or be put back.
    Lost,
}

/// A stream that no runtime knows.
#[derive(Debug)]
pub enum ParkedStream {
    /// Over TCP alone.
    Plain(net::TcpStream),
    /// Inside TLS.
    Tls(Box<TlsStream<TlsSocket>>),
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            ClientStream::Plain($stream) => $call,
            ClientStream::Tls($stream) => $call,
        }
    };
}

impl ClientStream {
    /// The socket underneath. None: it is lost.
    #[must_use]
    pub fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Self::Plain(stream) => Some(SockRef::from(stream)),
            Self::Tls(stream) => stream.get_ref().0.socket(),
        }
    }

    /// The TLS session.
    #[must_use]
    pub fn session(&self) -> Option<&ServerConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Whether the bytes are encrypted on their way.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the handshake settled on HTTP/2 (RFC 7301).
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.session().is_some_and(|session| session.alpn_protocol() == Some(b"h2"))
    }

    /// Ready when reading may give something, be it the end; may be ready in error. Needs no buffer.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                match (session.process_new_packets(), socket) {
                    (Ok(state), TlsSocket::Served(socket))
                        if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() =>
                    {
                        socket.poll_read_ready(cx)
                    }
                    _ => Poll::Ready(Ok(())),
                }
            }
        }
    }

    /// Whether the peer has sent something that was not read; asks the kernel.
    pub fn has_input_now(&mut self) -> bool {
        if let Self::Tls(stream) = self {
            let state = stream.get_mut().1.process_new_packets();
            if state.is_ok_and(|state| state.plaintext_bytes_to_read() > 0) {
                return true;
            }
        }
        self.socket().is_some_and(|socket| has_input(&socket))
    }

    /// Has closing reset the connection, and TLS not say that it ends: what was sent cannot look whole.
    pub fn reset_on_close(&self) {
        self.socket().map(|socket| socket.set_linger(Some(Duration::ZERO)));
    }

    /// Whether its socket tells all that is to be known of it: nothing of what came or goes waits within TLS.
    pub fn is_still(&mut self) -> bool {
        let Self::Tls(stream) = self else { return true };
        let is_read = |state: rustls::IoState| {
            state.plaintext_bytes_to_read() == 0
                && state.tls_bytes_to_write() == 0
                && !state.peer_has_closed()
        };
        stream.get_mut().1.process_new_packets().is_ok_and(is_read)
    }

    /// Takes it out of the runtime, which is for one that is [still](Self::is_still).
    ///
    /// # Errors
    /// The system's. The connection is closed then.
    pub fn park(self) -> io::Result<ParkedStream> {
        match self {
            Self::Plain(stream) => stream.into_std().map(ParkedStream::Plain),
            Self::Tls(mut stream) => {
                let socket = stream.get_mut().0;
                if let TlsSocket::Served(served) = std::mem::replace(socket, TlsSocket::Lost) {
                    *socket = TlsSocket::Parked(served.into_std()?);
                }
                Ok(ParkedStream::Tls(stream))
            }
        }
    }
}

impl ParkedStream {
    /// Puts it back into the runtime of this thread.
    ///
    /// # Errors
    /// The system's. The connection is closed then.
    pub fn unpark(self) -> io::Result<ClientStream> {
        match self {
            Self::Plain(stream) => TcpStream::from_std(stream).map(ClientStream::Plain),
            Self::Tls(mut stream) => {
                let socket = stream.get_mut().0;
                if let TlsSocket::Parked(parked) = std::mem::replace(socket, TlsSocket::Lost) {
                    *socket = TlsSocket::Served(TcpStream::from_std(parked)?);
                }
                Ok(ClientStream::Tls(stream))
            }
        }
    }

    /// The socket underneath. None: it is lost.
    #[must_use]
    pub fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Self::Plain(stream) => Some(SockRef::from(stream)),
            Self::Tls(stream) => stream.get_ref().0.socket(),
        }
    }

    /// Whether the peer has sent something that was not read; asks the kernel.
    #[must_use]
    pub fn has_input_now(&self) -> bool {
        self.socket().is_some_and(|socket| has_input(&socket))
    }
}

/// Whether there is something to read, the end not meant.
fn has_input(socket: &SockRef<'_>) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    matches!(socket.recv_with_flags(&mut byte, flags), Ok(1..))
}

impl TlsSocket {
    fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Self::Served(socket) => Some(SockRef::from(socket)),
            Self::Parked(socket) => Some(SockRef::from(socket)),
            Self::Lost => None,
        }
    }
}

impl Bare for ClientStream {
    fn bare(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(_) => None,
        }
    }
}

delegate_io!(ClientStream, each);

macro_rules! served {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            TlsSocket::Served($stream) => $call,
            TlsSocket::Parked(_) | TlsSocket::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

delegate_io!(TlsSocket, served);
