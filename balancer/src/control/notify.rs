//! Tells a service manager how the process is doing (sd_notify(3)): a datagram to the socket that it named. Where it named
//! none, nobody is told. Must not know: what is told.

use std::{
    env,
    io::{self, IoSlice},
    mem::MaybeUninit,
    net,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

/// Most descriptors of one message; the system's own bound is 253.
const MOST_DESCRIPTORS: usize = 64;
/// Where it is named.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells `state`, lines of `NAME=value`. That nobody hears it is no reason not to serve.
pub fn tell(state: &str) {
    if let Err(error) = send(state, &[]) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// Has the service manager keep the sockets of the listener at this address for the next process of the service (`FDSTORE=1`).
/// Of those that it has already it keeps no second copy.
pub fn store(listener: net::SocketAddr, sockets: &[OwnedFd]) {
    for part in sockets.chunks(MOST_DESCRIPTORS) {
        let part: Vec<_> = part.iter().map(AsFd::as_fd).collect();
        if let Err(error) = send(&format!("FDSTORE=1\nFDNAME={}", name_of(listener)), &part) {
            tracing::debug!(%error, address = %listener, "the service manager keeps no sockets");
        }
    }
}

/// Has the service manager keep those sockets no more.
pub fn forget(listener: net::SocketAddr) {
    tell(&format!("FDSTOREREMOVE=1\nFDNAME={}", name_of(listener)));
}

/// What the service manager knows the sockets of a listener by: without a colon.
fn name_of(listener: net::SocketAddr) -> String {
    format!("balancer-{}", listener.to_string().replace([':', '%', '[', ']'], "-"))
}

fn send(state: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let Some(path) = env::var_os(SOCKET) else { return Ok(()) };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&path)?,
    };
    let socket = UnixDatagram::unbound()?;
    // Who does not listen keeps nobody waiting.
    socket.set_nonblocking(true)?;
    if descriptors.is_empty() {
        return socket.send_to_addr(state.as_bytes(), &address).map(drop);
    }
    socket.connect_addr(&address)?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bytes = [IoSlice::new(state.as_bytes())];
    Ok(sendmsg(&socket, &bytes, &mut control, SendFlags::NOSIGNAL).map(drop)?)
}
