//! A byte relay, over epoll or io_uring: accepts, connects to one address, copies both ways, and parses nothing.
//! What it costs is the floor that no proxy in userspace gets below; it is a yardstick, not a product.

mod uring;

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use anyhow::Result;
use clap::Args;

/// `cargo xtask relay`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to accept.
    #[arg(long)]
    listen: SocketAddr,
    /// Where every connection is relayed to.
    #[arg(long)]
    to: SocketAddr,
    /// Over io_uring.
    #[arg(long)]
    uring: bool,
}

struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32) -> io::Result<()> {
        let mut event =
            libc::epoll_event { events: events.cast_unsigned(), u64: u64::from(fd.cast_unsigned()) };
        // SAFETY: `event` is a valid epoll_event for the length of the call.
        if unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits for events; gives back how many of `events` were filled.
    fn wait(&self, events: &mut [libc::epoll_event]) -> io::Result<usize> {
        let room = i32::try_from(events.len()).unwrap_or(i32::MAX);
        // SAFETY: `events` is valid for writes of `room` elements.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, -1) };
        usize::try_from(count).or_else(|_| {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
        })
    }
}

/// One side of a relayed connection.
struct Side {
    stream: TcpStream,
    peer: RawFd,
    /// Bytes for this side that did not fit into its socket.
    unsent: Vec<u8>,
}

/// Runs the relay until it is killed.
///
/// # Errors
/// When it cannot listen or wait.
pub(crate) fn run(options: &Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen)?;
    if options.uring {
        return uring::run(&listener, options.to);
    }
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    let listener_fd = listener.as_raw_fd();
    epoll.control(libc::EPOLL_CTL_ADD, listener_fd, libc::EPOLLIN)?;
    let mut sides: HashMap<RawFd, Side> = HashMap::new();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
    let mut buffer = vec![0_u8; 16 * 1024];
    loop {
        let count = epoll.wait(&mut events)?;
        for event in events.iter().take(count) {
            let (fd, ready) = (RawFd::try_from(event.u64).unwrap_or(-1), event.events.cast_signed());
            if fd == listener_fd {
                accept(&listener, options.to, &epoll, &mut sides);
            } else if ready & libc::EPOLLOUT != 0 {
                flush(fd, &epoll, &mut sides);
            } else {
                copy(fd, &epoll, &mut sides, &mut buffer);
            }
        }
    }
}

fn accept(listener: &TcpListener, to: SocketAddr, epoll: &Epoll, sides: &mut HashMap<RawFd, Side>) {
    while let Ok((client, _)) = listener.accept() {
        let Ok(target) = TcpStream::connect(to) else { continue };
        let (client_fd, target_fd) = (client.as_raw_fd(), target.as_raw_fd());
        for (stream, peer) in [(client, target_fd), (target, client_fd)] {
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            let fd = stream.as_raw_fd();
            if ready.is_ok() && epoll.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN).is_ok() {
                sides.insert(fd, Side { stream, peer, unsent: Vec::new() });
            }
        }
    }
}

fn copy(fd: RawFd, epoll: &Epoll, sides: &mut HashMap<RawFd, Side>, buffer: &mut [u8]) {
    let Some(side) = sides.get_mut(&fd) else { return };
    let peer_fd = side.peer;
    let bytes = match side.stream.read(buffer) {
        Ok(length) if length > 0 => buffer.get(..length).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        _ => return close(fd, sides),
    };
    let Some(peer) = sides.get_mut(&peer_fd) else { return close(fd, sides) };
    let sent = match peer.stream.write(bytes) {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(_) => return close(fd, sides),
    };
    if sent < bytes.len() {
        peer.unsent.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        // Read no more from this side until the other has taken what is there.
        let paused = epoll.control(libc::EPOLL_CTL_MOD, fd, 0);
        if paused.and(epoll.control(libc::EPOLL_CTL_MOD, peer_fd, libc::EPOLLOUT)).is_err() {
            close(fd, sides);
        }
    }
}

fn flush(fd: RawFd, epoll: &Epoll, sides: &mut HashMap<RawFd, Side>) {
    let Some(side) = sides.get_mut(&fd) else { return };
    match side.stream.write(&side.unsent) {
        Ok(sent) => {
            side.unsent.drain(..sent);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => return close(fd, sides),
    }
    if side.unsent.is_empty() {
        let peer = side.peer;
        let resumed = epoll.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN);
        if resumed.and(epoll.control(libc::EPOLL_CTL_MOD, peer, libc::EPOLLIN)).is_err() {
            close(fd, sides);
        }
    }
}

/// Closing a descriptor takes it out of epoll.
fn close(fd: RawFd, sides: &mut HashMap<RawFd, Side>) {
    if let Some(side) = sides.remove(&fd) {
        sides.remove(&side.peer);
    }
}
