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

pub(crate) trait Both: Read + Write {}

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

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// What a connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS, and a window for all that is going to come.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x3f\0\0\0";

/// The bytes of a frame.
fn frame(kind: u8, flags: u8, of: [u8; 4], payload: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(payload.len())?.to_be_bytes();
    let mut frame = length.get(1..).unwrap_or_default().to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&of);
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// A connection over HTTP/2.
pub(crate) struct Http2Client {
    stream: Box<dyn Both>,
    buffer: Vec<u8>,
    asked: u32,
}

impl Http2Client {
    pub(crate) fn connect(address: SocketAddr, secure: bool) -> Result<Self> {
        let stream = stream(address)?;
        let mut stream: Box<dyn Both> = if secure {
            Box::new(handshakes::Client::of_http2(Handshake::FULL)?.wrap(stream)?)
        } else {
            Box::new(stream)
        };
        stream.write_all(&[PREFACE, SETTINGS].concat())?;
        Ok(Self { stream, buffer: Vec::new(), asked: 0 })
    }

    /// Asks, and takes the whole response. The header block of that.
    pub(crate) fn ask(&mut self, cookie: &str) -> Result<Vec<u8>> {
        let id = (self.asked * 2 + 1).to_be_bytes();
        self.asked += 1;
        let block = block(&format!("a=b; {cookie}; theme=dark"))?;
        // END_STREAM and END_HEADERS.
        self.stream.write_all(&frame(HEADERS, 5, id, &block)?)?;
        let mut head = Vec::new();
        loop {
            let Frame { kind, flags, of, payload } = frame_of(&mut self.stream, &mut self.buffer)?;
            match kind {
                3 | 7 => bail!("RST_STREAM or GOAWAY: {payload:?}"),
                HEADERS if of == id => head = payload,
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && of == id && flags & 1 == 1 {
                return Ok(head);
            }
        }
    }

    /// Begins a session; its cookie.
    pub(crate) fn session(&mut self) -> Result<String> {
        let head = String::from_utf8_lossy(&self.ask("c=d")?).into_owned();
        let rest = head.split("AWSALB=").nth(1).with_context(|| format!("no cookie: {head}"))?;
        Ok(format!("AWSALB={}", rest.split(';').next().unwrap_or_default()))
    }
}

/// Answers each request over HTTP/2 with [`BODY`] bytes.
pub(crate) fn serve_http2(mut stream: TcpStream) -> Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.set_nodelay(true)?;
    stream.read_exact(&mut preface)?;
    stream.write_all(SETTINGS)?;
    // 200; content-type, server and content-length, none to be remembered.
    let head =
        [&b"\x88\x0f\x10\x0atext/plain\x0f\x27\x06target\x0f\x0d\x04"[..], BODY.to_string().as_bytes()]
            .concat();
    let mut buffer = Vec::new();
    loop {
        let Frame { kind, flags, of, payload } = frame_of(&mut stream, &mut buffer)?;
        match (kind, flags) {
            // SETTINGS and PING are acknowledged.
            (4 | 6, 0) => stream.write_all(&frame(kind, 1, of, if kind == 6 { &payload } else { &[] })?)?,
            (HEADERS, _) => {
                let body = frame(DATA, 1, of, &[b'x'; BODY])?;
                stream.write_all(&[frame(HEADERS, 4, of, &head)?, body].concat())?;
            }
            _ => {}
        }
    }
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

fn frame_of(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Result<Frame> {
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
