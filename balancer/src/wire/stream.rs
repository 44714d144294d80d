//! A byte stream to a target: TCP or a Unix socket.

use std::{
    io::{self, Read as _},
    os::fd::{AsRawFd, RawFd},
};

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};

use super::splice::Bare;

/// Writes by the stream that `$each` finds in a `$Type`.
macro_rules! delegate_write {
    ($Type:ident, $each:ident) => {
        const _: () = {
            use std::{
                io::{self, IoSlice},
                pin::Pin,
                task::{Context, Poll},
            };

            use tokio::io::AsyncWrite;

            impl AsyncWrite for $Type {
                fn poll_write(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buf: &[u8],
                ) -> Poll<io::Result<usize>> {
                    $each!(self, stream => Pin::new(stream).poll_write(cx, buf))
                }

                fn poll_write_vectored(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    bufs: &[IoSlice<'_>],
                ) -> Poll<io::Result<usize>> {
                    $each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
                }

                fn is_write_vectored(&self) -> bool {
                    true
                }

                fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    $each!(self, stream => Pin::new(stream).poll_flush(cx))
                }

                fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    $each!(self, stream => Pin::new(stream).poll_shutdown(cx))
                }
            }
        };
    };
}

/// Reads and writes by the stream that `$each` finds in a `$Type`.
macro_rules! delegate_io {
    ($Type:ident, $each:ident) => {
        const _: () = {
            use std::{
                io,
                pin::Pin,
                task::{Context, Poll},
            };

            use tokio::io::{AsyncRead, ReadBuf};

            impl AsyncRead for $Type {
                fn poll_read(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buf: &mut ReadBuf<'_>,
                ) -> Poll<io::Result<()>> {
                    $each!(self, stream => Pin::new(stream).poll_read(cx, buf))
                }
            }
        };

        $crate::wire::stream::delegate_write!($Type, $each);
    };
}

pub(crate) use {delegate_io, delegate_write};

/// One or the other.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
        }
    };
}

delegate_io!(Stream, each);

impl Bare for Stream {
    fn bare(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
        }
    }
}

impl Stream {
    /// Reads what is there, as far as is known without a system call.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when there is nothing.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buf),
            Self::Unix(stream) => stream.try_read(buf),
        }
    }

    /// Reads what is there; asks the kernel.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when there is nothing.
    pub fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        // Sockets of the runtime do not block.
        match self {
            Self::Tcp(stream) => (&*SockRef::from(stream)).read(buf),
            Self::Unix(stream) => (&*SockRef::from(stream)).read(buf),
        }
    }

    /// Whether the peer has closed or sent something, as far as is known without a system call.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !matches!(self.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the peer has closed or sent something; asks the kernel.
    #[must_use]
    pub fn has_news_now(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let seen = match self {
            Self::Tcp(stream) => SockRef::from(stream).recv_with_flags(&mut byte, flags),
            Self::Unix(stream) => SockRef::from(stream).recv_with_flags(&mut byte, flags),
        };
        !matches!(seen, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
