//! Clients that ask for a small page again and again, on connections that they keep for a while. Must not know: floods.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::host::Host;
use crate::lab::application::CHECK;

/// Between two requests of a client.
const THINKING: Duration = Duration::from_millis(2);
/// How long a connection is kept.
const KEPT: Duration = Duration::from_millis(1500);
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before anything is counted.
const WARMING: Duration = Duration::from_millis(1500);

/// They ask until this is dropped.
pub(super) struct Clients {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Clients {
    pub(super) fn begin(host: &Host, to: SocketAddr) -> Result<Self> {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut clients = Self { over, answered, threads: Vec::new() };
        for from in host.clients.clone() {
            let (over, answered) = (Arc::clone(&clients.over), Arc::clone(&clients.answered));
            let client = host.spawn(move || {
                while !over.load(Relaxed) {
                    // One that comes to nothing is none that is answered.
                    ask(from, to, &over, &answered).unwrap_or_default();
                }
                Ok(())
            })?;
            clients.threads.push(client);
        }
        Ok(clients)
    }

    /// How many are answered in a second.
    pub(super) fn count(&self, time: Duration) -> f64 {
        thread::sleep(WARMING);
        let (begun, before) = (Instant::now(), self.answered.load(Relaxed));
        thread::sleep(time);
        let answered = self.answered.load(Relaxed) - before;
        f64::from(u32::try_from(answered).unwrap_or(u32::MAX)) / begun.elapsed().as_secs_f64()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        for client in self.threads.drain(..) {
            drop(client.join());
        }
    }
}

/// Asks on one connection.
fn ask(from: [u8; 4], to: SocketAddr, over: &AtomicBool, answered: &AtomicU64) -> Result<()> {
    let mut stream = connect(from, to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let begun = Instant::now();
    let request = format!("GET {CHECK} HTTP/1.1\r\nHost: lab\r\n\r\n");
    let mut buffer = [0; 4096];
    while begun.elapsed() < KEPT && !over.load(Relaxed) {
        stream.write_all(request.as_bytes())?;
        // Small answers come in one piece.
        let length = stream.read(&mut buffer)?;
        if !buffer.get(..length).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
            break;
        }
        answered.fetch_add(1, Relaxed);
        thread::sleep(THINKING);
    }
    Ok(())
}

/// A connection from one of the host's addresses.
fn connect(from: [u8; 4], to: SocketAddr) -> Result<TcpStream> {
    let SocketAddr::V4(to) = to else { anyhow::bail!("an address of IPv4") };
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the call gave us this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let patience = libc::timeval { tv_sec: 5, tv_usec: 0 };
    // SAFETY: the value outlives the call, and is as long as is said.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDTIMEO,
            (&raw const patience).cast(),
            libc::socklen_t::try_from(size_of::<libc::timeval>())?,
        );
    }
    let address = |ip: [u8; 4], port: u16| libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ip) },
        sin_zero: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_in>())?;
    let (own, other) = (address(from, 0), address(to.ip().octets(), to.port()));
    // SAFETY: both addresses outlive the calls, and are as long as is said.
    let done = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const own).cast(), length) == 0
            && libc::connect(socket.as_raw_fd(), (&raw const other).cast(), length) == 0
    };
    if !done {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(socket.into())
}
