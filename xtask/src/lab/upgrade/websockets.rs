//! WebSockets that stay open, and how each of them ends. Must not know: proxies.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::http1::{PATIENCE, connect};
use crate::lab::application::WEBSOCKET;

/// Between two messages of one.
const PAUSE: Duration = Duration::from_millis(500);
/// What each has when that is over.
const LEAST: Duration = Duration::from_millis(1);
/// How much sooner than at its time one may be closed: the time is counted from when a proxy hands over, and that is before
/// it says so.
const SLACK: Duration = Duration::from_secs(2);

/// Open ones.
pub(super) struct WebSockets {
    open: Vec<BufReader<TcpStream>>,
    ended: Vec<End>,
}

/// How one has ended.
struct End {
    at: Instant,
    /// With a close frame that says that the endpoint goes away (1001).
    told: bool,
}

/// How all of them have ended.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    /// Were served for all of the time.
    pub(super) served: usize,
    /// Of these: were told.
    pub(super) told: usize,
    pub(super) all: usize,
}

impl WebSockets {
    pub(super) fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let open = (0..count).map(|_| open(address)).collect::<Result<_>>()?;
        Ok(Self { open, ended: Vec::new() })
    }

    /// Has them speak until `over`, or until all have ended.
    pub(super) fn keep(&mut self, over: &AtomicBool) {
        self.keep_for(over, PATIENCE);
    }

    /// All of them have this long for an answer each time, and not each of them: a proxy that stands still holds nobody up for hours.
    fn keep_for(&mut self, over: &AtomicBool, patience: Duration) {
        let mut number = 0_u32;
        while !over.load(SeqCst) && !self.open.is_empty() {
            number = number.wrapping_add(1);
            let open = std::mem::take(&mut self.open);
            let deadline = Instant::now() + patience;
            for mut socket in open {
                let left = deadline.saturating_duration_since(Instant::now()).max(LEAST);
                // One that cannot be given a deadline has ended.
                socket.get_ref().set_read_timeout(Some(left)).unwrap_or_default();
                match speaks(&mut socket, number) {
                    Ok(()) => self.open.push(socket),
                    Err(told) => self.ended.push(End { at: Instant::now(), told }),
                }
            }
            thread::sleep(PAUSE);
        }
    }

    /// How they ended, those that are open still as well, where they were to be served until `deadline`.
    pub(super) fn ends(&self, deadline: Instant) -> Ends {
        let served = self.ended.iter().filter(|end| end.at + SLACK >= deadline);
        Ends {
            served: served.clone().count() + self.open.len(),
            told: served.filter(|end| end.told).count(),
            all: self.open.len() + self.ended.len(),
        }
    }
}

fn open(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let Ok(mut socket) = connect(address) else { bail!("a WebSocket cannot be opened") };
    let head = format!(
        "GET {WEBSOCKET} HTTP/1.1\r\nHost: lab\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    socket.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 101") {
        bail!("a WebSocket is answered with {line:?}");
    }
    while line != "\r\n" {
        line.clear();
        if socket.read_line(&mut line)? == 0 {
            bail!("a WebSocket ends in its head");
        }
    }
    Ok(socket)
}

/// Sends a message and waits for its echo. Otherwise whether it was closed politely.
fn speaks(socket: &mut BufReader<TcpStream>, number: u32) -> Result<(), bool> {
    let payload = number.to_be_bytes();
    let frame = [&[0x82, 0x84, 0, 0, 0, 0], &payload[..]].concat();
    // It may have been closed, and then it is read why.
    socket.get_mut().write_all(&frame).unwrap_or_default();
    loop {
        let mut head = [0; 2];
        socket.read_exact(&mut head).map_err(|_| false)?;
        let [first, length] = head;
        let mut read = vec![0; usize::from(length & 0x7f)];
        socket.read_exact(&mut read).map_err(|_| false)?;
        match first & 0x0f {
            8 => return Err(read.starts_with(&1001_u16.to_be_bytes())),
            2 if read == payload => return Ok(()),
            2 => {}
            _ => return Err(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn those_that_are_not_answered_have_one_deadline_between_them() {
        const COUNT: usize = 100;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let silent = thread::spawn(move || {
            let accepted = listener.incoming().take(COUNT).map(|socket| {
                let mut socket = socket.unwrap();
                socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
                socket
            });
            accepted.collect::<Vec<_>>()
        });
        let mut websockets = WebSockets::open(address, COUNT).unwrap();
        let held = silent.join().unwrap();
        let (begun, patience) = (Instant::now(), Duration::from_millis(500));
        websockets.keep_for(&AtomicBool::new(false), patience);
        assert!(begun.elapsed() < patience * 40, "{:?}", begun.elapsed());
        assert_eq!(websockets.ended.len(), COUNT);
        drop(held);
    }
}
