//! Connections that do nothing: idle after a request, or with streams of HTTP/2 whose answers nobody takes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::handshakes::{Client, Handshake};

/// What is held open.
pub(crate) trait Held: Send {}

impl<T: Send> Held for T {}

/// How long connections rest before memory is looked at.
pub(crate) const REST: Duration = Duration::from_secs(3);

/// Opens so many connections, sends a request over each, takes the answer, and lets them rest.
///
/// # Errors
/// When one of them fails.
pub(crate) fn connections(
    address: SocketAddr,
    cookie: &str,
    count: u32,
    tls: bool,
) -> Result<Vec<Box<dyn Held>>> {
    let client = Client::new(Handshake::FULL)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n");
    let mut all: Vec<Box<dyn Held>> = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        if tls {
            let mut stream = client.wrap(stream)?;
            ask(&mut stream, &request)?;
            all.push(Box::new(stream));
        } else {
            ask(&mut stream, &request)?;
            all.push(Box::new(stream));
        }
    }
    thread::sleep(REST);
    Ok(all)
}

fn ask(stream: &mut (impl Read + Write), request: &str) -> Result<()> {
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "a connection ended");
        answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        ensure!(head.starts_with("HTTP/1.1 200"), "no answer but: {head}");
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if body.len() >= length.context("no Content-Length")?.1.trim().parse()? {
            return Ok(());
        }
    }
}

/// Streams of a connection whose answers are not taken.
pub(crate) const STREAMS: u32 = 10;

/// Opens so many connections of HTTP/2 without TLS, each with [`STREAMS`] requests for a large body and windows that are left as
/// they are: what comes of each answer is what the window takes, and the rest waits in the proxy or behind it.
///
/// # Errors
/// When one of them is refused.
pub(crate) fn stalled(address: SocketAddr, count: u32) -> Result<Vec<Box<dyn Held>>> {
    let mut all: Vec<Box<dyn Held>> = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS: an initial window of one byte.
        frame(&mut bytes, 4, 0, 0, &[0, 4, 0, 0, 0, 1]);
        for stream in 0..STREAMS {
            frame(&mut bytes, 1, 0x5, stream * 2 + 1, &head(address));
        }
        stream.write_all(&bytes)?;
        // The beginning of the server's side: its SETTINGS, or a refusal.
        let mut first = [0; 9];
        stream.read_exact(&mut first).context("no settings")?;
        if first.get(3) != Some(&4) {
            bail!("no HTTP/2: {first:?}");
        }
        all.push(Box::new(stream));
    }
    thread::sleep(REST);
    Ok(all)
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    bytes.extend_from_slice(length.get(1..).unwrap_or_default());
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// GET /down/1048576, as HPACK has it without a table of its own.
fn head(address: SocketAddr) -> Vec<u8> {
    let (authority, path) = (address.to_string(), "/down/1048576");
    // :method GET and :scheme http stand in the static table; names of :authority and :path do, too.
    let mut block = vec![0x82, 0x86];
    for (index, value) in [(0x01, authority.as_str()), (0x04, path)] {
        block.extend_from_slice(&[index, u8::try_from(value.len()).unwrap_or(0)]);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn frames_are_as_long_as_they_say() {
        let mut bytes = Vec::new();
        frame(&mut bytes, 1, 5, 3, b"abc");
        assert_eq!(bytes, [0, 0, 3, 1, 5, 0, 0, 0, 3, b'a', b'b', b'c']);
    }

    #[test]
    fn heads_name_what_is_asked_for() {
        let block = head("127.0.0.1:80".parse().unwrap());
        assert_eq!(block[..4], [0x82, 0x86, 0x01, 12]);
        assert_eq!(block[block.len() - 15..block.len() - 13], [0x04, 13]);
        assert!(block.ends_with(b"/down/1048576"));
    }

    #[test]
    fn who_speaks_no_http2_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            drop(stream.read(&mut [0; 1024]));
        });
        let error = stalled(address, 1).err().unwrap();
        assert!(error.to_string().contains("no HTTP/2"), "{error}");
    }
}
