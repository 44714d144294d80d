//! The target of what moves much: it gives out and takes in as many bytes as it is asked to, each connection on a thread.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use anyhow::{Context, Result};

use super::client::{Head, UNIT, unit};

/// The answer to the key that our client sends (RFC 6455, section 1.3): HAProxy wants it right.
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n\r\n";

/// Listens on a free port of loopback until the process ends.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is told by its client.
            thread::spawn(move || drop(serve(stream)));
        }
    });
    Ok(address)
}

/// `GET /down/N`, `PUT /up`, and WebSockets at `/tunnel/down/N`, `/tunnel/up/N` and
/// `/tunnel/echo`.
fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; UNIT];
    while let Some(head) = Head::read(&mut stream)? {
        let path = head.text.split(' ').nth(1).unwrap_or("/").to_owned();
        let is_last = head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let size = || path.rsplit('/').next().and_then(|size| size.parse::<u64>().ok()).context("a size");
        if path.starts_with("/tunnel/") {
            stream.write_all(SWITCH)?;
            if path == "/tunnel/echo" {
                return echo(&mut stream, &mut buffer);
            }
            return if path.starts_with("/tunnel/down/") {
                give(&mut stream, size()?, &unit(None))
            } else {
                take(&mut stream, size()?.saturating_sub(head.more.len() as u64), &mut buffer)?;
                Ok(stream.write_all(b"\x82\x02ok")?)
            };
        }
        if path == "/up" {
            let length = head.field("content-length").and_then(|length| length.parse::<u64>().ok());
            take(
                &mut stream,
                length.context("a length")?.saturating_sub(head.more.len() as u64),
                &mut buffer,
            )?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let size = if path == "/" { 2 } else { size()? };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
        give(&mut stream, size, &buffer)?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Sends back what comes, frames as they are: proxies look at no frame.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    loop {
        let read = stream.read(buffer)?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..read).context("a part")?)?;
    }
}

/// Writes `size` bytes, over and over those of `bytes`.
pub(crate) fn give(stream: &mut TcpStream, mut size: u64, bytes: &[u8]) -> Result<()> {
    while size > 0 {
        let here = bytes.get(..usize::try_from(size)?.min(bytes.len())).context("a part")?;
        stream.write_all(here)?;
        size -= here.len() as u64;
    }
    Ok(())
}

/// Reads `size` bytes.
pub(crate) fn take(stream: &mut TcpStream, mut size: u64, buffer: &mut [u8]) -> Result<()> {
    while size > 0 {
        let most = usize::try_from(size)?.min(buffer.len());
        let read = stream.read(buffer.get_mut(..most).context("a part")?)?;
        anyhow::ensure!(read > 0, "{size} bytes are missing");
        size -= read as u64;
    }
    Ok(())
}
