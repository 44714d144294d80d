//! What is moved, and the client that moves it.

use std::{
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::backend::{give, take};

/// Bytes of a WebSocket's frame with its head, and of a write.
pub(crate) const UNIT: usize = 1 << 20;

/// Of clients' frames.
pub(crate) const MASK: [u8; 4] = [1, 2, 3, 4];

/// A kind of work; all on one connection at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Responses of this many bytes.
    Down { size: u64 },
    /// Requests of this many bytes.
    Up { size: u64 },
    /// A WebSocket, of which the target sends.
    TunnelDown,
    /// A WebSocket, of which the client sends.
    TunnelUp,
}

impl Work {
    /// At most this much of the processor time of HAProxy with `splice-auto`.
    pub(crate) const MARK_TO_HAPROXY: f64 = 0.90;

    /// At most this much of a build that copies. A body of 64 KiB has gone before a pipe pays.
    pub(crate) fn mark_to_copying(self) -> Option<f64> {
        match self {
            Self::Down { size } if size < UNIT as u64 => Some(1.03),
            Self::Down { size } if size > UNIT as u64 => Some(0.40),
            _ => None,
        }
    }

    /// Moves `amount` bytes through the proxy at `address`.
    ///
    /// # Errors
    /// When some are missing, or the proxy answers something else.
    pub(crate) fn run(self, address: SocketAddr, cookie: &str, amount: u64) -> Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        let mut buffer = vec![0; UNIT];
        match self {
            Self::Down { size } => {
                for _ in 0..amount / size {
                    ask(&mut stream, &format!("GET /down/{size}"), cookie, "")?;
                    let head = answer(&mut stream, "200")?;
                    let length = head.field("content-length").context("a length")?;
                    ensure!(length == size.to_string(), "{length} bytes for {size}");
                    take(&mut stream, size.saturating_sub(head.more.len() as u64), &mut buffer)?;
                }
            }
            Self::Up { size } => {
                for _ in 0..amount / size {
                    ask(&mut stream, "PUT /up", cookie, &format!("Content-Length: {size}\r\n"))?;
                    give(&mut stream, size, &buffer)?;
                    answer(&mut stream, "200")?;
                }
            }
            Self::TunnelDown => {
                let head = upgrade(&mut stream, &format!("GET /tunnel/down/{amount}"), cookie)?;
                take(&mut stream, amount - head.more.len() as u64, &mut buffer)?;
            }
            Self::TunnelUp => {
                upgrade(&mut stream, &format!("GET /tunnel/up/{amount}"), cookie)?;
                give(&mut stream, amount, &unit(Some(MASK)))?;
                take(&mut stream, 4, &mut buffer)?;
                ensure!(buffer.starts_with(b"\x82\x02ok"), "the target has not taken all of it");
            }
        }
        Ok(())
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, size) = match self {
            Self::TunnelDown => return f.write_str("WebSocket down"),
            Self::TunnelUp => return f.write_str("WebSocket up"),
            Self::Down { size } => ("down", size),
            Self::Up { size } => ("up", size),
        };
        let (number, unit) = if *size < UNIT as u64 { (size >> 10, "KiB") } else { (size >> 20, "MiB") };
        write!(f, "{number} {unit} {direction}")
    }
}

/// One frame of a message of its own, with its head.
pub(crate) fn unit(mask: Option<[u8; 4]>) -> Vec<u8> {
    let head = 10 + mask.map_or(0, |mask| mask.len());
    let mut frame = vec![0x82, if mask.is_some() { 0xff } else { 0x7f }];
    frame.extend_from_slice(&((UNIT - head) as u64).to_be_bytes());
    frame.extend(mask.into_iter().flatten());
    frame.resize(UNIT, b'x');
    frame
}

fn ask(stream: &mut TcpStream, request: &str, cookie: &str, fields: &str) -> Result<()> {
    let text = format!("{request} HTTP/1.1\r\nHost: bulk.test\r\nCookie: {cookie}\r\n{fields}\r\n");
    Ok(stream.write_all(text.as_bytes())?)
}

fn upgrade(stream: &mut TcpStream, request: &str, cookie: &str) -> Result<Head> {
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
    ask(stream, request, cookie, fields)?;
    answer(stream, "101")
}

/// A WebSocket whose other end sends back what it gets.
///
/// # Errors
/// When there is none.
pub(crate) fn tunnel(address: SocketAddr, cookie: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    upgrade(&mut stream, "GET /tunnel/echo", cookie)?;
    Ok(stream)
}

fn answer(stream: &mut TcpStream, status: &str) -> Result<Head> {
    let head = Head::read(stream)?.context("no answer")?;
    ensure!(head.text.split(' ').nth(1) == Some(status), "{}", head.text.lines().next().unwrap_or_default());
    Ok(head)
}

/// The head of a message, and what came with it.
pub(crate) struct Head {
    pub(crate) text: String,
    pub(crate) more: Vec<u8>,
}

impl Head {
    /// Reads one; none where the connection has ended.
    pub(crate) fn read(stream: &mut TcpStream) -> Result<Option<Self>> {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Ok(None);
            }
            bytes.extend_from_slice(piece.get(..read).context("a part")?);
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let more = bytes.split_off(end + 4);
                return Ok(Some(Self { text: String::from_utf8_lossy(&bytes).into_owned(), more }));
            }
            ensure!(bytes.len() < 1 << 16, "no head");
        }
    }

    /// The value of the first field of this name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_fill_their_units() {
        for mask in [None, Some(MASK)] {
            let frame = unit(mask);
            let length = u64::from_be_bytes(frame[2..10].try_into().expect("eight bytes"));
            let head = if mask.is_some() { 14 } else { 10 };
            assert_eq!((frame.len(), length), (UNIT, (UNIT - head) as u64));
        }
    }

    #[test]
    fn works_arrive_whole() {
        let address = super::super::backend::start().expect("a port");
        for work in
            [Work::Down { size: 100_000 }, Work::Up { size: 100_000 }, Work::TunnelDown, Work::TunnelUp]
        {
            work.run(address, "a=b", 4 * UNIT as u64).expect("all of it");
        }
        let missing =
            Work::Down { size: 100_000 }.run("127.0.0.1:1".parse().expect("an address"), "", 100_000);
        assert!(missing.is_err());
    }
}
