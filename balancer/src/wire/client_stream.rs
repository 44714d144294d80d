//! A byte stream to a client: plain or inside TLS. On the plain side each call is the socket's own behind one
//! branch, and flushing is nothing.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{splice::Bare, stream::delegate_io};

/// One or the other.
#[derive(Debug)]
pub enum ClientStream {
    /// Over TCP alone.
    Plain(TcpStream),
    /// Inside TLS. What is written may wait inside until it is flushed.
    Tls(Box<TlsStream<TcpStream>>),
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
    /// The socket underneath.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
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
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Ready when reading may give something, be it the end; may be ready in error. Needs no buffer.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                match session.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {
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
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        matches!(socket2::SockRef::from(self.socket()).recv_with_flags(&mut byte, flags), Ok(1..))
    }

    /// Has closing reset the connection, and TLS not say that it ends: what was sent cannot look whole.
    pub fn reset_on_close(&self) {
        let _ = socket2::SockRef::from(self.socket()).set_linger(Some(Duration::ZERO));
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
