//! Clients that speak HTTP/2 with prior knowledge (RFC 9113), several streams at a time on a connection that they keep until
//! they are told that it takes no more. What was not begun by then may be sent again (section 6.8), and is no fault; what was,
//! and is not answered, is. Must not know: proxies.

use std::{
    collections::BTreeSet,
    io::{BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use super::{
    http1::connect,
    tally::{Fault, Tally},
};
use crate::lab::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

/// Streams at a time.
const STREAMS: u32 = 4;
/// Between two rounds of them.
const THINKING: Duration = Duration::from_millis(20);

/// `GET`, `http`, `/`, and an `:authority` of its own (RFC 7541, appendix A).
const REQUEST: &[u8] = &[0x82, 0x86, 0x84, 0x01, 3, b'l', b'a', b'b'];
/// `:status 200` of the static table.
const OK: u8 = 0x88;

struct Connection {
    reader: BufReader<TcpStream>,
    next: u32,
    /// Streams above it are not begun.
    last: u32,
}

/// Keeps one connection after another busy until the end.
pub(super) fn streams(address: SocketAddr, tally: &Tally) {
    let mut connection = None;
    while !tally.is_over() {
        let current = match connection.take() {
            Some(current) => Ok(current),
            None => Connection::open(address),
        };
        match current {
            Ok(mut current) => {
                if current.round(tally) {
                    connection = Some(current);
                }
            }
            Err(fault) => tally.count("HTTP/2", Err(fault)),
        }
        thread::sleep(THINKING);
    }
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self, Fault> {
        let reader = connect(address)?;
        let mut connection = Self { reader, next: 1, last: u32::MAX };
        let failed = |error: std::io::Error| Fault::Failed(error.to_string());
        connection.reader.get_mut().write_all(PREFACE).map_err(failed)?;
        connection.send(SETTINGS, 0, 0, &[]);
        // As much as there can be: bodies are small.
        connection.send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
        Ok(connection)
    }

    /// A connection that is gone is noticed where it is read.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
        let [_, length @ ..] = length;
        let head = [&length[..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.reader.get_mut().write_all(&[&head, payload].concat()).unwrap_or_default();
    }

    /// Sends requests and waits for their answers. Whether the connection takes more of them.
    fn round(&mut self, tally: &Tally) -> bool {
        let mut waiting = BTreeSet::new();
        for _ in 0..STREAMS {
            self.send(HEADERS, END_STREAM | END_HEADERS, self.next, REQUEST);
            waiting.insert(self.next);
            self.next += 2;
        }
        while !waiting.is_empty() {
            if let Err(error) = self.read(&mut waiting, tally) {
                for _ in waiting.iter().filter(|stream| **stream <= self.last) {
                    let text = format!("a connection ended without a word: {error}");
                    tally.count("HTTP/2", Err(Fault::Failed(text)));
                }
                return false;
            }
            let last = self.last;
            waiting.retain(|stream| *stream <= last);
        }
        self.last >= 0x7fff_ffff && self.next < 0x7000_0000
    }

    /// Reads a frame.
    fn read(&mut self, waiting: &mut BTreeSet<u32>, tally: &Tally) -> std::io::Result<()> {
        let mut head = [0; 9];
        self.reader.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
        self.reader.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload),
            GOAWAY => {
                let last = payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                self.last = last & 0x7fff_ffff;
            }
            RST_STREAM if waiting.remove(&stream) => {
                tally.count("HTTP/2", Err(Fault::Failed("a stream was reset".to_owned())));
            }
            HEADERS if status(&payload) != Some(OK) && waiting.remove(&stream) => {
                tally.count("HTTP/2", Err(Fault::Failed("answered with an error".to_owned())));
            }
            HEADERS | DATA if flags & END_STREAM != 0 && waiting.remove(&stream) => {
                tally.count("HTTP/2", Ok(()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The first field of a header block, behind changes of the table's size (RFC 7541, section 6.3).
fn status(block: &[u8]) -> Option<u8> {
    block.iter().copied().find(|byte| byte & 0xe0 != 0x20)
}
