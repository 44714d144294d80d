//! A stream that remembers why it broke. The system tells of a reset once, to reading or to writing; the engine of
//! HTTP/2 that is told while it writes reads on, finds an end, and reports that. Must not know: what is said on it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Why a stream broke: the first error that the system gave, but for the one that says no more than "closed".
pub(super) type Broken = Arc<OnceLock<io::Error>>;

/// The stream, and what it remembers.
pub(super) struct Remembering<S> {
    stream: S,
    broken: Broken,
}

impl<S> Remembering<S> {
    pub(super) fn new(stream: S) -> (Self, Broken) {
        let broken = Broken::default();
        (Self { stream, broken: Arc::clone(&broken) }, broken)
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::BrokenPipe
            && error.raw_os_error().is_some()
        {
            // In the words of the engine.
            let _ = self.broken.set(error.kind().into());
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Remembering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        Poll::Ready(self.note(result))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Remembering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.note(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.note(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(self.note(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A connection whose peer is gone, which the system knows: with a reset, or closed.
    async fn ended(by_reset: bool) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        if by_reset {
            peer.set_zero_linger().unwrap();
        }
        drop(peer);
        stream.ready(Interest::READABLE).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn a_reset_that_writing_was_told_of_is_remembered_behind_the_end_that_reading_finds() {
        let (mut stream, broken) = Remembering::new(ended(true).await);
        assert!(stream.write_all(b"x").await.is_err());
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "told once");
        assert_eq!(broken.get().unwrap().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_close_is_nothing_to_remember() {
        let (mut stream, broken) = Remembering::new(ended(false).await);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(broken.get().is_none());
    }
}
