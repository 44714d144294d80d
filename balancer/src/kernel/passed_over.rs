//! Sockets that listen and that nobody new is to come to, since others take their place. Must not know: which others.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

/// Has no new connection come to the sockets that listen at one address together, in the order in which they began to: the kernel looks
/// on, as if they were not there, and finds others that listen for the address, if there are any. Handshakes that have begun come to
/// their end there.
///
/// # Errors
/// The system's: one before Linux 5.7 may want a right for it.
pub fn pass_over(sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    one_by_one(sockets, || ())
}

/// Calls `between` after each of them.
fn one_by_one(sockets: &[BorrowedFd<'_>], mut between: impl FnMut()) -> io::Result<()> {
    // As long as one of them is not passed over the kernel finds all of them by that one, and chooses any: a SYN that comes to one that
    // is passed over already has no answer, and is sent again after a second. So the last one gets all, until it goes as well.
    if let [first, .., _] = sockets
        && let Err(error) = choose(*first, sockets.len() - 1)
    {
        tracing::debug!(%error, "who connects while others take the place of a socket may have to ask twice");
    }
    for socket in sockets {
        bind_to_nowhere(*socket)?;
        between();
    }
    Ok(())
}

/// Has all new connections to the sockets that listen together with `socket` come to one of them, by its number in the order in which
/// they began to.
fn choose(socket: BorrowedFd<'_>, number: usize) -> io::Result<()> {
    // A classic BPF program: `return number` (socket(7), SO_ATTACH_REUSEPORT_CBPF). It takes the place of one that is there.
    let mut program = [libc::sock_filter {
        code: u16::try_from(libc::BPF_RET | libc::BPF_K).map_err(io::Error::other)?,
        jt: 0,
        jf: 0,
        k: u32::try_from(number).map_err(io::Error::other)?,
    }];
    set(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &libc::sock_fprog { len: 1, filter: program.as_mut_ptr() })
}

/// Binds it to an interface whose number none has (socket(7), SO_BINDTODEVICE; by number since Linux 5.1, for everybody since 5.7).
fn bind_to_nowhere(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SO_BINDTOIFINDEX, &libc::c_int::MAX)
}

/// Sets an option that only looks at `value` and what it points to.
fn set<T>(socket: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the value is as long as is said and outlives the call, as does what it points to.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
        os::fd::AsFd as _,
        time::Duration,
    };

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// So many that come by chance to a socket out of three that is not passed over in less than one of a billion times.
    const CLIENTS: usize = 50;
    /// A SYN that has no answer is sent again after a second.
    const SOON: Duration = Duration::from_millis(900);

    fn listening(address: SocketAddr, count: usize) -> Vec<TcpListener> {
        let mut at = address;
        let mut one = || {
            let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            if at.is_ipv6() {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&at.into()).unwrap();
            socket.listen(1024).unwrap();
            at = socket.local_addr().unwrap().as_socket().unwrap();
            socket.into()
        };
        (0..count).map(|_| one()).collect()
    }

    /// How many have come to these.
    fn come_to(sockets: &[TcpListener]) -> usize {
        let each = sockets.iter().map(|socket| {
            socket.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| socket.accept().ok()).count()
        });
        each.sum()
    }

    #[test]
    fn who_connects_while_sockets_are_passed_over_one_by_one_is_answered_at_once() {
        for (narrow, wide) in [
            (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into()),
            (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into()),
        ] {
            let here = listening(SocketAddr::new(narrow, 0), 3);
            let address = here[0].local_addr().unwrap();
            let there = listening(SocketAddr::new(wide, address.port()), 2);
            let all: Vec<_> = here.iter().map(|socket| socket.as_fd()).collect();
            let mut left = all.len();
            let mut clients = Vec::new();
            one_by_one(&all, || {
                for _ in 0..CLIENTS {
                    clients.push(TcpStream::connect_timeout(&address, SOON).expect("answered at once"));
                }
                left -= 1;
                let (old, new) = (come_to(&here), come_to(&there));
                assert_eq!((old, new), if left > 0 { (CLIENTS, 0) } else { (0, CLIENTS) });
            })
            .unwrap();
            assert_eq!(left, 0);
        }
    }
}
