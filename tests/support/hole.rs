//! An address that swallows whatever is sent there, as a host does that is off: who connects is not answered.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use rustix::net::listen;

/// How long it is looked whether somebody is still answered.
const LOOK: Duration = Duration::from_millis(100);

/// For as long as it lives.
#[derive(Debug)]
pub struct Hole {
    /// Where.
    pub address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Hole {
    /// A socket whose queue is full for good: nobody accepts, and the kernel answers nobody else.
    ///
    /// # Panics
    /// When there is no socket for it.
    #[must_use]
    pub fn dig() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, LOOK) {
            queue.push(stream);
        }
        Self { address, _listener: listener, _queue: queue }
    }
}
