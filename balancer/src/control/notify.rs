//! Tells a service manager how the process is doing (sd_notify(3)): a datagram to the socket that it named. Where it named
//! none, nobody is told. Must not know: what is told.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Where it is named.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells `state`, lines of `NAME=value`. That nobody hears it is no reason not to serve.
pub fn tell(state: &str) {
    if let Err(error) = send(state) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

fn send(state: &str) -> io::Result<()> {
    let Some(path) = env::var_os(SOCKET) else { return Ok(()) };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&path)?,
    };
    let socket = UnixDatagram::unbound()?;
    // Who does not listen keeps nobody waiting.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}
