//! Ports for programs that must be told one.
//!
//! They lie below the range that the kernel picks from, so that no outgoing connection takes one between its choice
//! and its use; within one test program none is given twice.

use std::{
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

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
        let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if four && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("every port is taken");
}
