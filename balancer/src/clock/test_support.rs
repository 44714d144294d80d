//! Waiting in unit tests for what comes soon.

use std::{
    fmt::Debug,
    io,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::monotonic_now;

const AT_MOST: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);

/// Tries until it succeeds, and fails with the last error after a while. For what a child of another test may keep: between
/// fork(2) and exec(2) it has everything open that this process had, also what has been closed here since.
pub(crate) fn eventually<T, E: Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = monotonic_now() + AT_MOST;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if monotonic_now() > end => panic!("not in {AT_MOST:?}: {error:?}"),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Waits until nobody listens there.
pub(crate) fn until_refused(address: SocketAddr) {
    eventually(|| match TcpStream::connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        connected => Err(connected),
    });
}

/// A socket at an address of its own where nobody listens: who connects is refused for as long as it lives.
pub(crate) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}
