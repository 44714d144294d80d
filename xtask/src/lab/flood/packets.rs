//! Frames, and a flood of them: SYNs, as fast as is asked for and no faster. Must not know: what they fall on.

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::host::{Host, NEAR};

/// Addresses that a flood comes from.
pub(super) const MANY: u32 = 10_000;
/// Frames of one system call.
const BATCH: usize = 64;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Where a flood comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sources {
    /// [`MANY`] addresses, in turn.
    Many,
    /// One.
    One,
}

/// The address of a source: nobody has it.
pub(super) fn source(number: u32) -> [u8; 4] {
    let [_, _, high, low] = (number % MANY).to_be_bytes();
    [198, 18, high, low]
}

/// A flood that goes on until it is ended.
pub(super) struct Flood {
    over: Arc<AtomicBool>,
    sender: JoinHandle<Result<u64>>,
}

impl Flood {
    pub(super) fn begin(host: &Host, to: SocketAddr, sources: Sources, rate: u64) -> Result<Self> {
        let links = host.link_addresses()?;
        let over = Arc::new(AtomicBool::new(false));
        let count = match sources {
            Sources::Many => MANY,
            Sources::One => 1,
        };
        let frames: Vec<Vec<u8>> = (0..count.max(64))
            .map(|number| segment(links, source(number % count), number, to.port(), SYN))
            .collect();
        let ended = Arc::clone(&over);
        let sender = host.spawn(move || send(&frames, rate, &ended))?;
        Ok(Self { over, sender })
    }

    /// Ends it. How many were sent.
    pub(super) fn end(self) -> Result<u64> {
        self.over.store(true, Relaxed);
        let Ok(sent) = self.sender.join() else { bail!("the flood's thread panicked") };
        sent
    }
}

/// A frame with a segment of TCP to this side, with sums as they have to be.
fn segment([near, far]: [[u8; 6]; 2], from: [u8; 4], number: u32, port: u16, flags: u8) -> Vec<u8> {
    let source_port = 1024 + u16::try_from(number % 60_000).unwrap_or(0);
    let mut tcp = source_port.to_be_bytes().to_vec();
    tcp.extend(port.to_be_bytes());
    tcp.extend(number.wrapping_mul(2_654_435_761).to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let mut pseudo: Vec<u8> = [from, NEAR].concat();
    pseudo.extend([0, TCP, 0, 20]);
    pseudo.extend(&tcp);
    put(&mut tcp, 16, sum(&pseudo));
    frame(near, far, from, TCP, &tcp)
}

fn frame(near: [u8; 6], far: [u8; 6], from: [u8; 4], protocol: u8, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(u16::try_from(20 + content.len()).unwrap_or(u16::MAX).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(from);
    header.extend(NEAR);
    let header_sum = sum(&header);
    put(&mut header, 10, header_sum);
    let mut bytes: Vec<u8> = [near, far].concat();
    bytes.extend([8, 0]);
    bytes.extend(header);
    bytes.extend(content);
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// RFC 1071.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

const NO_LINKS: [[u8; 6]; 2] = [[2; 6]; 2];

/// One of a source that is denied.
pub(super) fn denied(_: &Host, to: SocketAddr) -> Vec<u8> {
    segment(NO_LINKS, source(4711), 4711, to.port(), SYN)
}

/// One of a client on its connection.
pub(super) fn let_in(host: &Host, to: SocketAddr) -> Vec<u8> {
    segment(NO_LINKS, host.clients.first().copied().unwrap_or(NEAR), 7, to.port(), ACK)
}

/// One to another port.
pub(super) fn unrelated_tcp(host: &Host, to: SocketAddr) -> Vec<u8> {
    segment(NO_LINKS, host.clients.first().copied().unwrap_or(NEAR), 7, to.port() ^ 1, ACK)
}

/// One of another protocol.
pub(super) fn unrelated_udp(host: &Host, _: SocketAddr) -> Vec<u8> {
    let [near, far] = NO_LINKS;
    frame(near, far, host.clients.first().copied().unwrap_or(NEAR), UDP, &[0; 40])
}

/// Sends frames in turn, so many a second, until it is over.
fn send(frames: &[Vec<u8>], rate: u64, over: &AtomicBool) -> Result<u64> {
    let index = std::fs::read_to_string("/sys/class/net/eth0/ifindex").ok();
    // What is seen there is of the namespace that /sys was mounted in.
    let index = interface_index().or_else(|| index.and_then(|index| index.trim().parse().ok()));
    let Some(index) = index else { bail!("there is no eth0") };
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the call gave us this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: an address of zeros is one.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET)?;
    address.sll_ifindex = index;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())?;
    // SAFETY: the address outlives the call, and is as long as is said.
    if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let begun = Instant::now();
    let (mut sent, mut next) = (0_u64, 0_usize);
    while !over.load(Relaxed) {
        let due = u64::try_from(begun.elapsed().as_micros())?.saturating_mul(rate) / 1_000_000;
        if sent >= due {
            thread::sleep(Duration::from_micros(300));
            continue;
        }
        let mut parts: Vec<libc::iovec> = (0..BATCH)
            .filter_map(|offset| frames.get((next + offset) % frames.len()))
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: a message of zeros is one.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_iov = ptr::from_mut(part);
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        let count = libc::c_uint::try_from(messages.len())?;
        // SAFETY: as many messages as are said, with one part each, all of which outlive the call.
        let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
        match usize::try_from(done) {
            Ok(done) => {
                sent += u64::try_from(done)?;
                next = (next + done) % frames.len();
            }
            // The queue is full.
            Err(_) => thread::sleep(Duration::from_micros(300)),
        }
        // What could not be sent in time is not made up for.
        if due > sent + rate / 20 {
            sent = due;
        }
    }
    Ok(sent)
}

fn interface_index() -> Option<libc::c_int> {
    // SAFETY: the name outlives the call.
    let index = unsafe { libc::if_nametoindex(c"eth0".as_ptr()) };
    libc::c_int::try_from(index).ok().filter(|index| *index != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_out_even() {
        let frame = segment(NO_LINKS, source(12_345), 12_345, 8080, SYN);
        assert_eq!(sum(&frame[14..34]), 0);
        let mut pseudo = [source(12_345), NEAR].concat();
        pseudo.extend([0, TCP, 0, 20]);
        pseudo.extend(&frame[34..]);
        assert_eq!(sum(&pseudo), 0);
    }
}
