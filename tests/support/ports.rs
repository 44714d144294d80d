//! Ports for programs that must be told one.
//!
//! They lie below the range that the kernel picks from, so that no outgoing connection takes one between its choice
//! and its use; within one test program none is given twice. Whether one is free is seen without listening there: a child
//! that another test has just forked would do so a moment longer, and who is told the port be refused.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::fd::AsFd as _,
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use rustix::net::{AddressFamily, SocketType, bind, shutdown, socket_with, sockopt::set_socket_reuseaddr};

const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on and that stays this caller's own.
///
/// # Panics
/// When every port is taken.
#[must_use]
pub fn free() -> u16 {
    let start = process::id().wrapping_mul(7919) % COUNT;
    for _ in 0..COUNT {
        let port = (FIRST + (start + NEXT.fetch_add(1, Relaxed)) % COUNT) as u16;
        if is_free((Ipv4Addr::UNSPECIFIED, port).into()) && is_free((Ipv6Addr::LOCALHOST, port).into()) {
            return port;
        }
    }
    panic!("every port is taken");
}

/// Whether nobody listens there.
///
/// # Panics
/// When there are no sockets.
#[must_use]
pub fn is_free(address: SocketAddr) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, rustix::net::SocketFlags::CLOEXEC, None).unwrap();
    set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &address).is_ok()
}

/// Has nobody listen there any more, whatever child of another test has the socket open, too.
///
/// # Panics
/// When it does not listen.
pub fn stop(listener: &TcpListener) {
    shutdown(listener.as_fd(), rustix::net::Shutdown::Both).unwrap();
}
