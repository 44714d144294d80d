//! A byte stream to a client: plain or inside TLS. On the plain side each call is the socket's own behind one
//! branch, and flushing is nothing. One that nothing happens on can be taken out of the runtime and put back.

use std::{
    io, net,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustls::ServerConnection;
use socket2::SockRef;
use tokio::{
    io::{AsyncBufRead as _, AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    splice::Bare,
    stream::{delegate_io, delegate_write},
};
use crate::internal_errors::Part as _;

/// What comes at once inside TLS when more of it has come, most likely.
const MUCH: usize = 4096;

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
    /// The same, of a session that has failed: whoever reads on is told, whatever comes.
    Failed(TcpStream),
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
                // What has come was decrypted when it was read.
                match stream.get_mut() {
                    (TlsSocket::Served(socket), session) if session.wants_read() => {
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
            Self::Served(socket) | Self::Failed(socket) => Some(SockRef::from(socket)),
            Self::Parked(socket) => Some(SockRef::from(socket)),
            Self::Lost => None,
        }
    }

    /// Its session has failed.
    #[cold]
    fn fail(&mut self) {
        if let Self::Served(socket) = std::mem::replace(self, Self::Lost) {
            *self = Self::Failed(socket);
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

delegate_write!(ClientStream, each);

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => {
                if matches!(stream.get_ref().0, TlsSocket::Failed(_)) {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                if ready!(poll_read_tls(stream, cx, buf))? {
                    stream.get_mut().0.fail();
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// Reads what comes with one look at the socket. The stream's own way is to look until there is nothing more, which is one look too many
/// for whoever has all of a request. True: behind what was read nothing can be.
fn poll_read_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut TlsStream<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<bool>> {
    loop {
        let content = ready!(Pin::new(&mut *stream).poll_fill_buf(cx))?;
        let length = content.len().min(buf.remaining());
        buf.put_slice(content.part(..length));
        Pin::new(&mut *stream).consume(length);
        if length == 0 || buf.remaining() == 0 {
            return Poll::Ready(Ok(false));
        }
        if stream.get_ref().1.wants_read() {
            // The socket tells of its errors again, and the session of none.
            let failed = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
            let has_failed = length >= MUCH
                && matches!(Pin::new(stream).poll_read(cx, buf), Poll::Ready(Err(error)) if failed(&error));
            return Poll::Ready(Ok(has_failed));
        }
        // What is decrypted needs no look.
    }
}

macro_rules! served {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            TlsSocket::Served($stream) | TlsSocket::Failed($stream) => $call,
            TlsSocket::Parked(_) | TlsSocket::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

delegate_io!(TlsSocket, served);

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, sync::Arc};

    use rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client};

    use super::*;

    /// A byte stream that counts how often it is read.
    #[derive(Debug)]
    struct Looks {
        stream: DuplexStream,
        looks: Cell<u32>,
    }

    impl AsyncRead for Looks {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.looks.set(self.looks.get() + 1);
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    }

    macro_rules! looked_at {
        ($self:ident, $stream:ident => $call:expr) => {{
            let $stream = &mut $self.get_mut().stream;
            $call
        }};
    }

    delegate_write!(Looks, looked_at);

    /// A client and its server.
    async fn pair() -> (client::TlsStream<DuplexStream>, TlsStream<Looks>) {
        let (near, far) = duplex(1 << 20);
        pair_over(near, Looks { stream: far, looks: Cell::new(0) }).await
    }

    /// The same over any two ends.
    async fn pair_over<C, S>(near: C, far: S) -> (client::TlsStream<C>, TlsStream<S>)
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let made = rcgen::generate_simple_self_signed(["web.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("web.test").unwrap();
        let (client, server) = tokio::join!(
            TlsConnector::from(Arc::new(client)).connect(name, near),
            TlsAcceptor::from(Arc::new(server)).accept(far)
        );
        (client.unwrap(), server.unwrap())
    }

    /// What one read of so many bytes gives, and how often the stream underneath is looked at for it.
    async fn read(stream: &mut TlsStream<Looks>, most: usize) -> io::Result<(Vec<u8>, u32)> {
        stream.get_ref().0.looks.set(0);
        let mut room = vec![0; most];
        let mut buf = ReadBuf::new(&mut room);
        poll_fn(|cx| poll_read_tls(stream, cx, &mut buf)).await?;
        let read = buf.filled().to_vec();
        Ok((read, stream.get_ref().0.looks.get()))
    }

    #[tokio::test]
    async fn what_has_come_inside_tls_is_read_with_one_look() {
        let (mut client, mut server) = pair().await;
        client.write_all(b"a request").await.unwrap();
        assert_eq!(read(&mut server, 100).await.unwrap(), (b"a request".to_vec(), 1));
        for word in [b"one, ", b"two, ", b"three"] {
            client.write_all(word).await.unwrap();
        }
        assert_eq!(read(&mut server, 100).await.unwrap(), (b"one, two, three".to_vec(), 1));
        client.write_all(b"0123456789").await.unwrap();
        assert_eq!(read(&mut server, 6).await.unwrap(), (b"012345".to_vec(), 1));
        assert_eq!(read(&mut server, 6).await.unwrap(), (b"6789".to_vec(), 0), "it was read before");
    }

    #[tokio::test]
    async fn what_is_much_is_read_as_long_as_there_is_room() {
        let (mut client, mut server) = pair().await;
        let body = vec![b'x'; 100_000];
        client.write_all(&body).await.unwrap();
        assert_eq!(read(&mut server, 32_768).await.unwrap().0.len(), 32_768);
    }

    #[tokio::test]
    async fn the_end_is_told_and_an_end_without_a_word_is_none() {
        let (mut client, mut server) = pair().await;
        client.write_all(b"last").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read(&mut server, 100).await.unwrap().0, b"last");
        assert_eq!(read(&mut server, 100).await.unwrap().0, b"");
        let (mut client, mut server) = pair().await;
        client.write_all(&[b'x'; MUCH]).await.unwrap();
        drop(client);
        assert_eq!(read(&mut server, 2 * MUCH).await.unwrap().0.len(), MUCH);
        assert_eq!(
            read(&mut server, 100).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof,
            "it comes again"
        );
    }

    #[tokio::test]
    async fn a_session_that_fails_behind_what_was_read_is_told_whatever_comes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (mut client, server) = pair_over(near, TlsSocket::Served(far)).await;
        let mut server = ClientStream::Tls(Box::new(server));
        let mut room = vec![0; 4 * MUCH];
        client.write_all(b"a request").await.unwrap();
        poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
        assert_eq!(server.read(&mut room).await.unwrap(), 9);
        assert!(poll_fn(|cx| Poll::Ready(server.poll_read_ready(cx).is_pending())).await, "nothing has come");
        // With its head, its type and its tag (RFC 8446, section 5.2) it ends where the session has had enough for a moment.
        let much = vec![b'x'; 2 * MUCH - 22];
        client.write_all(&much).await.unwrap();
        client.get_mut().0.write_all(b"no record of TLS").await.unwrap();
        poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
        assert_eq!(server.read(&mut room).await.unwrap(), much.len());
        poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
        assert_eq!(server.read(&mut room).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
