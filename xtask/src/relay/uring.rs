//! The same relay over io_uring: each direction of a connection is one buffer, which is received into and sent from in turn.

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, RawFd},
    rc::Rc,
};

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode, types::Fd};

const ACCEPT: u64 = u64::MAX;
const SIZE: usize = 16 * 1024;

/// Bytes on their way from one socket to another. `sent` of `filled` bytes have gone; none are filled while it receives.
struct Direction {
    from: RawFd,
    to: RawFd,
    buffer: Box<[u8]>,
    filled: usize,
    sent: usize,
    /// The sockets, kept open by each of the two.
    streams: Rc<[TcpStream; 2]>,
}

/// Runs the relay until it is killed.
///
/// # Errors
/// When it cannot listen, or there is no io_uring.
pub(super) fn run(listener: &TcpListener, to: SocketAddr) -> Result<()> {
    listener.set_nonblocking(false)?;
    let mut ring = ring()?;
    let mut directions: HashMap<u64, Direction> = HashMap::new();
    let mut number = 0;
    push(&mut ring, &accept(listener))?;
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error).context("io_uring");
            }
            _ => {}
        }
        let done: Vec<(u64, i32)> =
            ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (id, result) in done {
            let next = if id == ACCEPT {
                let new = open(result, to, &mut directions, &mut number);
                [new.first().copied(), new.get(1).copied(), Some(ACCEPT)]
            } else {
                [went(id, result, &mut directions), None, None]
            };
            for id in next.into_iter().flatten() {
                let entry = if id == ACCEPT {
                    Some(accept(listener))
                } else {
                    directions.get_mut(&id).map(|it| it.entry(id))
                };
                if let Some(entry) = entry {
                    push(&mut ring, &entry)?;
                }
            }
        }
    }
}

/// With what spares wake-ups, where the kernel has it (6.1).
fn ring() -> Result<IoUring> {
    let spared = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(4096);
    spared.or_else(|_| IoUring::new(4096)).context("io_uring")
}

fn push(ring: &mut IoUring, entry: &io_uring::squeue::Entry) -> Result<()> {
    // SAFETY: buffers are on the heap and live until their operation's completion has been seen, and descriptors as long.
    while unsafe { ring.submission().push(entry) }.is_err() {
        ring.submit()?;
    }
    Ok(())
}

fn accept(listener: &TcpListener) -> io_uring::squeue::Entry {
    let nobody = std::ptr::null_mut();
    opcode::Accept::new(Fd(listener.as_raw_fd()), nobody, nobody.cast()).build().user_data(ACCEPT)
}

/// The two directions of a connection that was accepted.
fn open(result: i32, to: SocketAddr, directions: &mut HashMap<u64, Direction>, number: &mut u64) -> Vec<u64> {
    if result < 0 {
        return Vec::new();
    }
    // SAFETY: the descriptor was just given to us by accept.
    let client = unsafe { TcpStream::from_raw_fd(result) };
    let Ok(target) = TcpStream::connect(to) else { return Vec::new() };
    if client.set_nodelay(true).is_err() || target.set_nodelay(true).is_err() {
        return Vec::new();
    }
    let (here, there) = (client.as_raw_fd(), target.as_raw_fd());
    let streams = Rc::new([client, target]);
    let (one, two) = (*number, *number + 1);
    *number += 2;
    for (id, from, to) in [(one, here, there), (two, there, here)] {
        let buffer = vec![0; SIZE].into_boxed_slice();
        let streams = Rc::clone(&streams);
        directions.insert(id, Direction { from, to, buffer, filled: 0, sent: 0, streams });
    }
    vec![one, two]
}

/// What became of the last operation of a direction; the direction again where there is a next one.
fn went(id: u64, result: i32, directions: &mut HashMap<u64, Direction>) -> Option<u64> {
    let direction = directions.get_mut(&id)?;
    let count = usize::try_from(result).unwrap_or(0);
    if count == 0 {
        // The other direction has an operation under way; it ends by this, and its buffer lives until then.
        let [one, two] = &*direction.streams;
        drop((one.shutdown(Shutdown::Both), two.shutdown(Shutdown::Both)));
        directions.remove(&id);
        return None;
    }
    if direction.filled == 0 {
        direction.filled = count;
    } else {
        direction.sent += count;
        if direction.sent >= direction.filled {
            (direction.filled, direction.sent) = (0, 0);
        }
    }
    Some(id)
}

impl Direction {
    /// Its next operation.
    fn entry(&mut self, id: u64) -> io_uring::squeue::Entry {
        let rest = self
            .buffer
            .get_mut(self.sent..if self.filled == 0 { SIZE } else { self.filled })
            .unwrap_or_default();
        let length = u32::try_from(rest.len()).unwrap_or(0);
        let entry = if self.filled == 0 {
            opcode::Recv::new(Fd(self.from), rest.as_mut_ptr(), length).build()
        } else {
            opcode::Send::new(Fd(self.to), rest.as_ptr(), length).flags(libc::MSG_NOSIGNAL).build()
        };
        entry.user_data(id)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        thread,
    };

    use super::*;

    #[test]
    fn bytes_arrive_both_ways() {
        if ring().is_err() {
            println!("no io_uring here: nothing to hold");
            return;
        }
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = target.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = target.accept().unwrap().0;
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..length]).unwrap();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || run(&listener, to));
        let mut client = TcpStream::connect(address).unwrap();
        let sent = vec![7; 1 << 20];
        let mut writer = client.try_clone().unwrap();
        let all = sent.clone();
        thread::spawn(move || writer.write_all(&all));
        let mut got = vec![0; sent.len()];
        client.read_exact(&mut got).unwrap();
        assert!(got == sent);
    }
}
