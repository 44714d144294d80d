//! One kind of stream for TCP and Unix sockets.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Another handle to the same connection.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    /// Bounds each read.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout).unwrap(),
            Self::Unix(stream) => stream.set_read_timeout(timeout).unwrap(),
        }
    }

    /// Bounds each write.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(timeout).unwrap(),
            Self::Unix(stream) => stream.set_write_timeout(timeout).unwrap(),
        }
    }

    /// Ends one or both directions. An error means that the other side has already ended it.
    pub fn shutdown(&self, how: Shutdown) {
        let ended = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
        ended.unwrap_or_default();
    }

    /// Ends the connection by a reset instead of a FIN.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.as_fd(), Some(Duration::ZERO)).unwrap();
        drop(self);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
