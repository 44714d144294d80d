//! Listening sockets: one a worker on the same port (SO_REUSEPORT), so that a connection stays on the
//! thread that accepted it.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
};

use rustix::thread::{CapabilitySet, capabilities};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use tokio::net::TcpStream;

use super::listening::only_own_listen;
use crate::model::Listener;

/// Where the system's own bound (`ip_unprivileged_port_start`) is another one, it is set below the usual.
const FIRST_FOR_ALL: u16 = 1024;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Sockets share a port with those of the same user alone (socket(7), `SO_REUSEPORT`).
const OTHER_USER: &str = "address already in use by another listener of this process, whose socket was opened as another user: \
                          an upgrade or a restart takes it over";

/// Looks whether `address` is this host's and its port may be had and is free. It is taken for a moment, in which nobody is
/// kept from it who allows that it was just in use (SO_REUSEADDR), as servers do.
///
/// # Errors
/// Those of [`bind`].
pub fn look_at(address: SocketAddr) -> io::Result<()> {
    if (1..first_for_all()).contains(&address.port()) && !may_have_low_ports() {
        return Err(explain(io::ErrorKind::PermissionDenied.into(), address));
    }
    socket(address, false).map(drop)
}

fn socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into()).map_err(|error| explain(error, address))?;
    Ok(socket)
}

/// The first port that is not for the privileged alone (ip(7), `ip_unprivileged_port_start`).
fn first_for_all() -> u16 {
    let set = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    set.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(FIRST_FOR_ALL)
}

fn may_have_low_ports() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_BIND_SERVICE))
}

/// Says what is missing where a port is for the privileged alone, and what is wrong where an address is another host's.
pub fn explain(error: io::Error, address: SocketAddr) -> io::Error {
    let port = address.port();
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        return io::Error::new(error.kind(), format!("{} is no address of this host", address.ip()));
    }
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
    bind_more(address, sockets)
}

/// Binds `sockets` sockets for `listener`, where sockets that this process has listen in the way of them and nobody else's
/// do: those of a listener that has another address of the port. Nobody can connect to what is bound there before it is
/// [opened](open): whoever listens now goes on until then.
///
/// # Errors
/// Those of [`bind`].
pub fn bind_beside_own(listener: &Listener, sockets: usize) -> io::Result<Vec<TcpListener>> {
    match bind(listener, sockets) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && only_own_listen(listener.address) => {
            let bound = (0..sockets).map(|_| bound(listener.address)).collect::<io::Result<_>>();
            bound.map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => io::Error::new(error.kind(), OTHER_USER),
                _ => error,
            })
        }
        bound => bound,
    }
}

/// Binds so many sockets more at `address`, where others of the same user are bound.
///
/// # Errors
/// The system's.
pub fn bind_more(address: SocketAddr, sockets: usize) -> io::Result<Vec<TcpListener>> {
    (0..sockets).map(|_| listening(address)).collect()
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    open(&socket)?;
    Ok(socket)
}

/// A socket that nobody can connect to yet.
fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.set_nonblocking(true)?;
    send_at_once(&SockRef::from(&socket))?;
    Ok(socket.into())
}

/// Has what is written to connections that are accepted here leave at once: they inherit it (tcp(7), `TCP_NODELAY`), which saves a
/// system call for each.
fn send_at_once(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)
}

/// Lets clients connect; nothing where they can already.
///
/// # Errors
/// The system's.
pub fn open(socket: &TcpListener) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG)
}

/// Has `listener` drop what new connections begin with, and complete those that have begun.
///
/// # Errors
/// The system's.
pub(super) fn admit_nobody(listener: &tokio::net::TcpListener) -> io::Result<()> {
    // A classic BPF program, which sees a segment from its TCP header on (RFC 9293, section 3.1): drops those with SYN and
    // without ACK.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const SYN_ACK: u32 = 0x12;
    const WHOLE: u32 = u32::MAX;
    let filter = |code: u32, jt, jf, k| SockFilter::new(u16::try_from(code).unwrap_or_default(), jt, jf, k);
    SockRef::from(listener).attach_filter(&[
        filter(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, FLAGS),
        filter(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, SYN_ACK),
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, SYN),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, WHOLE),
    ])
}

/// Undoes what an ending process that had the same socket did with `admit_nobody`, if it did, and makes it one of those that this
/// process binds.
pub fn admit_again(listener: &TcpListener) {
    let socket = SockRef::from(listener);
    // There is no filter as a rule.
    let _ = socket.detach_filter();
    // Without it connections go on as well.
    let _ = send_at_once(&socket);
}

/// Accepts a connection that waits, if one does. The runtime may not have heard of it yet.
pub(super) fn accept_waiting(listener: &tokio::net::TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let listener = SockRef::from(listener);
    loop {
        match listener.accept() {
            Ok((socket, peer)) => {
                let taken = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket.into()));
                if let (Ok(stream), Some(peer)) = (taken, peer.as_socket()) {
                    return Some((stream, peer));
                }
            }
            // Gone before it was accepted (accept(2), "Error handling").
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::test_support::{eventually, until_refused},
        model::{Action, ResponseFields},
    };

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
        eventually(|| bind(&listener(port), 1));
    }

    #[test]
    fn a_listener_may_go_to_another_address_of_its_port() {
        let narrow = bind(&listener(0), 2).expect("free port");
        let port = narrow[0].local_addr().expect("bound").port();
        let everywhere = Listener { address: ([0, 0, 0, 0], port).into(), ..listener(port) };
        assert_eq!(bind(&everywhere, 2).expect_err("in the way").kind(), io::ErrorKind::AddrInUse);
        let wide = bind_beside_own(&everywhere, 2).expect("its own are in the way alone");
        let elsewhere = std::net::TcpStream::connect(("127.0.0.2", port)).expect_err("it is not open");
        assert_eq!(elsewhere.kind(), io::ErrorKind::ConnectionRefused);
        wide.iter().for_each(|socket| open(socket).expect("its own are in the way alone"));
        drop(narrow);
        std::net::TcpStream::connect(("127.0.0.1", port)).expect("taken over");
        // And back: who connects meanwhile is still taken by those that listen.
        let narrow = bind_beside_own(&listener(port), 2).expect("its own are in the way alone");
        let waiting = std::net::TcpStream::connect(("127.0.0.1", port)).expect("taken by those that listen");
        let is_there = |socket: &TcpListener| {
            socket.accept().is_ok_and(|(_, peer)| Some(peer) == waiting.local_addr().ok())
        };
        eventually(|| wide.iter().any(is_there).then_some(()).ok_or("it waits at another one"));
        drop((narrow, wide));
        until_refused(([127, 0, 0, 1], port).into());
        // Those of a stranger are respected, also of one that would share.
        let mut stranger = std::process::Command::new("python3")
            .args(["-c", STRANGER, &port.to_string()])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = [0; 1];
        std::io::Read::read_exact(stranger.stdout.as_mut().expect("piped"), &mut line).expect("it listens");
        let refused = bind_beside_own(&everywhere, 2).expect_err("a stranger's");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        stranger.kill().expect("it runs");
        stranger.wait().expect("it ends");
    }

    const STRANGER: &str = "import socket, sys, time\n\
                            s = socket.socket()\n\
                            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
                            s.bind(('127.0.0.1', int(sys.argv[1])))\n\
                            s.listen()\n\
                            print('x', flush=True)\n\
                            time.sleep(600)\n";

    #[test]
    fn what_is_written_leaves_at_once_also_where_another_process_has_bound_the_socket() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("free port");
        admit_again(&socket);
        for socket in [socket, bind(&listener(0), 1).expect("free port").remove(0)] {
            socket.set_nonblocking(false).expect("a socket");
            let _client =
                std::net::TcpStream::connect(socket.local_addr().expect("bound")).expect("admitted");
            let (accepted, _) = socket.accept().expect("one waits");
            assert!(accepted.nodelay().expect("a socket"));
        }
    }

    #[tokio::test]
    async fn who_has_connected_is_accepted_and_nobody_else_is_admitted() {
        let std = bind(&listener(0), 1).expect("free port").remove(0);
        let socket = tokio::net::TcpListener::from_std(std).expect("a listener");
        let address = socket.local_addr().expect("bound");
        let connected = std::net::TcpStream::connect(address).expect("admitted");
        admit_nobody(&socket).expect("a filter");
        let shortly = std::time::Duration::from_millis(200);
        let late = std::net::TcpStream::connect_timeout(&address, shortly).expect_err("not admitted");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "it would ask again");
        let (stream, peer) = accept_waiting(&socket).expect("one waits");
        assert_eq!(Some(peer), connected.local_addr().ok());
        assert!(stream.nodelay().expect("a socket"), "it has that from who accepted it");
        assert!(accept_waiting(&socket).is_none());
    }
}
