//! Clients that ask for one thing after the other. Must not know: what is counted.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::handshakes::{self, Handshake};

/// Bytes of a response body.
pub(crate) const BODY: usize = 1024;

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(60);

trait Both: Read + Write {}

impl<T: Read + Write> Both for T {}

/// A connection over HTTP/1.1.
pub(crate) struct Client(Box<dyn Both>);

fn stream(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, secure: bool) -> Result<Self> {
        let stream = stream(address)?;
        Ok(Self(if secure {
            Box::new(handshakes::Client::new(Handshake::FULL)?.wrap(stream)?)
        } else {
            Box::new(stream)
        }))
    }

    /// Asks, and takes the whole response.
    pub(crate) fn ask(&mut self, cookie: &str, last: bool) -> Result<()> {
        self.head(cookie, last).map(drop)
    }

    fn head(&mut self, cookie: &str, last: bool) -> Result<String> {
        let close = if last { "Connection: close\r\n" } else { "" };
        let request = format!(
            "GET /index.html HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: count/1.0\r\nAccept: */*\r\n{close}\
             Cookie: a=b; {cookie}; theme=dark\r\n\r\n"
        );
        self.0.write_all(request.as_bytes())?;
        let (mut response, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let length = self.0.read(&mut buffer)?;
            response.extend_from_slice(buffer.get(..length).unwrap_or_default());
            let end = response.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
            if let Some(end) = end.filter(|end| response.len() >= end + BODY) {
                let head = String::from_utf8_lossy(response.get(..end).unwrap_or_default()).into_owned();
                return if head.starts_with("HTTP/1.1 200 ") {
                    Ok(head)
                } else {
                    bail!("no answer but: {head}")
                };
            }
            if length == 0 {
                bail!("no answer but: {}", String::from_utf8_lossy(&response));
            }
        }
    }
}

/// Begins a session; its cookie.
pub(crate) fn session(connect: impl Fn() -> Result<Client>) -> Result<String> {
    let head = connect()?.head("c=d", true)?;
    let rest = head.split("AWSALB=").nth(1).with_context(|| format!("no cookie: {head}"))?;
    Ok(format!("AWSALB={}", rest.split(';').next().unwrap_or_default()))
}

/// Asks over HTTP/2 without TLS, on one connection.
pub(crate) fn http2(address: SocketAddr, cookie: &str, requests: u64) -> Result<()> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    let mut stream = stream(address)?;
    // An empty SETTINGS, and a window for all that is going to come.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x3f\0\0\0")?;
    let block = block(&format!("a=b; {cookie}; theme=dark"))?;
    let mut buffer = Vec::new();
    for number in 0..requests {
        let id = u32::try_from(number * 2 + 1)?.to_be_bytes();
        let length = u32::try_from(block.len())?.to_be_bytes();
        let mut frame = length.get(1..).unwrap_or_default().to_vec();
        // END_STREAM and END_HEADERS.
        frame.extend_from_slice(&[HEADERS, 5]);
        frame.extend_from_slice(&id);
        frame.extend_from_slice(&block);
        stream.write_all(&frame)?;
        loop {
            let Frame { kind, flags, of, payload } = frame_of(&mut stream, &mut buffer)?;
            match kind {
                3 | 7 => bail!("RST_STREAM or GOAWAY: {payload:?}"),
                DATA | HEADERS if of == id && flags & 1 == 1 => break,
                _ => {}
            }
        }
    }
    Ok(())
}

/// The fields that clients of HTTP/1.1 here send (RFC 7541, section 6.2.2 and appendix A), none to be remembered.
fn block(cookie: &str) -> Result<Vec<u8>> {
    // GET and http.
    let mut block = vec![0x82, 0x86];
    let cookie = cookie.as_bytes();
    let fields: [(&[u8], &[u8]); 5] = [
        (&[0x04], b"/index.html"),
        (&[0x01], b"app.example.com"),
        (&[0x0f, 58 - 15], b"count/1.0"),
        (&[0x0f, 19 - 15], b"*/*"),
        (&[0x0f, 32 - 15], cookie),
    ];
    for (name, value) in fields {
        block.extend_from_slice(name);
        match u8::try_from(value.len()).context("a long value")? {
            short @ 0..127 => block.push(short),
            long => block.extend_from_slice(&[127, long - 127]),
        }
        block.extend_from_slice(value);
    }
    Ok(block)
}

struct Frame {
    kind: u8,
    flags: u8,
    of: [u8; 4],
    payload: Vec<u8>,
}

fn frame_of(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Frame> {
    loop {
        if let Some(&[a, b, c, kind, flags, d, e, f, g]) = buffer.first_chunk() {
            let whole = 9 + usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
            if buffer.len() >= whole {
                let frame: Vec<u8> = buffer.drain(..whole).collect();
                let payload = frame.get(9..).unwrap_or_default().to_vec();
                return Ok(Frame { kind, flags, of: [d, e, f, g], payload });
            }
        }
        let mut more = [0; 8192];
        let length = stream.read(&mut more)?;
        if length == 0 {
            bail!("the connection is closed");
        }
        buffer.extend_from_slice(more.get(..length).unwrap_or_default());
    }
}
