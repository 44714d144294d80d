//! Listening sockets: one a worker on the same port (SO_REUSEPORT), so that a connection stays on the
//! thread that accepted it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::model::Listener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

fn socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into()).map_err(|error| explain(error, address.port()))?;
    Ok(socket)
}

/// Says what is missing where a port is for the privileged alone.
fn explain(error: io::Error, port: u16) -> io::Error {
    // Where the system's own bound (`ip_unprivileged_port_start`) is another one, it is set below the usual.
    const FIRST_FOR_ALL: u16 = 1024;
    if error.kind() != io::ErrorKind::PermissionDenied || port >= FIRST_FOR_ALL {
        return error;
    }
    let hint = format!(
        "permission denied: a port below {FIRST_FOR_ALL} needs root or CAP_NET_BIND_SERVICE \
         (`AmbientCapabilities=` of a unit, or `setcap cap_net_bind_service=+ep` on the program)"
    );
    io::Error::new(error.kind(), hint)
}

/// Binds `sockets` sockets for `listener`.
///
/// # Errors
/// The system's; a port that anybody else listens on is refused, even where it could be shared.
pub fn bind(listener: &Listener, sockets: usize) -> io::Result<Vec<TcpListener>> {
    // Sharing would let a second process take half the connections unnoticed: look first.
    let probe = socket(listener.address, false)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(listener.address);
    drop(probe);
    (0..sockets)
        .map(|_| {
            let socket = socket(address, true)?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, ResponseFields};

    fn listener(port: u16) -> Listener {
        Listener {
            name: "web".into(),
            address: ([127, 0, 0, 1], port).into(),
            load_balancer: 0,
            http2_prior_knowledge: false,
            tls: None,
            response_fields: ResponseFields::default(),
            tls_field_names: Default::default(),
            rules: Vec::new(),
            default_action: Action::forward_to(0),
        }
    }

    #[test]
    fn sockets_share_a_port_among_themselves_and_with_nobody_else() {
        let sockets = bind(&listener(0), 3).expect("free port");
        let port = sockets[0].local_addr().expect("bound").port();
        assert!(sockets.iter().all(|socket| socket.local_addr().expect("bound").port() == port));
        let taken = bind(&listener(port), 1).expect_err("taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert!(bind(&listener(port), 1).is_ok());
    }
}
