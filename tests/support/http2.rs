//! An HTTP/2 client on which every frame is the test's own (RFC 9113), sharing no code with the balancer.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::tls;

/// What every client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113, section 6).
pub mod kind {
    #![allow(missing_docs, reason = "named in the RFC")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![allow(missing_docs, reason = "named in the RFC")]
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 32;
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A response: its status and body, whole.
    Answer(u16, Vec<u8>),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code, other than 0.
    GoAway(u32),
    /// The connection ended without a word.
    Closed,
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A length in a header block (RFC 7541, section 5.1) with a prefix of 7 bits.
fn length(mut length: usize, out: &mut Vec<u8>) {
    if length < 127 {
        return out.push(u8::try_from(length).unwrap());
    }
    out.push(127);
    length -= 127;
    while length >= 128 {
        out.push(u8::try_from(length % 128 + 128).unwrap());
        length /= 128;
    }
    out.push(u8::try_from(length).unwrap());
}

/// A header block of literals that enter no table.
#[must_use]
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        length(name.as_ref().len(), &mut out);
        out.extend(name.as_ref());
        length(value.as_ref().len(), &mut out);
        out.extend(value.as_ref());
    }
    out
}

/// The status of a response's header block: its first field (RFC 9113, section 8.3), made for a client that
/// allows no table.
///
/// # Panics
/// When the block is of no response.
#[must_use]
pub fn status(block: &[u8]) -> u16 {
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    if block[0] >= 0x80 {
        return [200, 204, 206, 304, 400, 404, 500][usize::from(block[0] - 0x88)];
    }
    assert_eq!(block[0] & 0x0f, 8, "the status comes first: {block:02x?}");
    let (is_coded, size) = (block[1] & 0x80 != 0, usize::from(block[1] & 0x7f));
    let value = &block[2..2 + size];
    if !is_coded {
        return std::str::from_utf8(value).unwrap().parse().unwrap();
    }
    // Digits of RFC 7541, appendix B: three of five bits, seven of six.
    let bits: Vec<u8> = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + u16::from(*bit));
    let (mut place, mut status) = (0, 0);
    for _ in 0..3 {
        let short = number(&bits[place..place + 5]);
        let (digit, width) =
            if short < 3 { (short, 5) } else { (number(&bits[place..place + 6]) - 0x19 + 3, 6) };
        status = status * 10 + digit;
        place += width;
    }
    status
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next: u32,
}

impl Connection {
    /// Connects and sends nothing. Reads give up after 20 s.
    ///
    /// # Panics
    /// When nobody accepts.
    #[must_use]
    pub fn silent(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// The same over a socket that is connected already.
    ///
    /// # Panics
    /// When the socket is of no use.
    #[must_use]
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, next: 1 }
    }

    /// The other side of a connection whose preface comes first.
    ///
    /// # Panics
    /// When another comes.
    #[must_use]
    pub fn accepted(mut stream: TcpStream) -> Self {
        let mut preface = [0; 24];
        if stream.read_exact(&mut preface).is_ok() {
            assert_eq!(preface, PREFACE);
        }
        stream.set_nodelay(true).unwrap();
        Self { stream, next: 2 }
    }

    /// Connects, sends the preface and allows the peer no header table.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        Self::silent(address).begun()
    }

    /// The same over TLS by the openssl program, with more arguments of `openssl s_client`.
    #[must_use]
    pub fn open_over_tls(address: SocketAddr, arguments: &[&str]) -> Self {
        let arguments = [arguments, &["-alpn", "h2"]].concat();
        Self::over(tls::encrypted(address, &arguments)).begun()
    }

    /// Sends the preface and allows the peer no header table.
    #[must_use]
    pub fn begun(mut self) -> Self {
        self.send(PREFACE).settings(&[(1, 0)]);
        self
    }

    /// Sends these bytes; a peer that has closed already takes none.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// The same, saying whether they went out.
    ///
    /// # Errors
    /// The system's.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a frame.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> &mut Self {
        self.send(frame(kind, flags, stream, payload.as_ref()))
    }

    /// Sends settings.
    pub fn settings(&mut self, settings: &[(u16, u32)]) -> &mut Self {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        self.frame(kind::SETTINGS, 0, 0, payload)
    }

    /// Gives window for a stream, or with 0 for the connection.
    pub fn window(&mut self, stream: u32, bytes: u32) -> &mut Self {
        self.frame(kind::WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    /// The stream that the next request takes.
    pub fn next_stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Begins a request with these fields, in as many frames as it takes; gives back its stream.
    pub fn begin<N: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, fields: &[(N, V)], end_stream: bool) -> u32 {
        let stream = self.next_stream();
        self.head(stream, fields, end_stream);
        stream
    }

    /// Sends fields on a stream.
    ///
    /// # Panics
    /// Not for fields that fit into frames.
    pub fn head<N: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, stream: u32, fields: &[(N, V)], end_stream: bool) {
        let block = block(fields);
        let mut parts = block.chunks(16_000).peekable();
        let mut first = true;
        loop {
            let part = parts.next().unwrap_or_default();
            let last = parts.peek().is_none();
            let kind = if first { kind::HEADERS } else { kind::CONTINUATION };
            let mut flags = if last { flag::END_HEADERS } else { 0 };
            flags |= if first && end_stream { flag::END_STREAM } else { 0 };
            self.frame(kind, flags, stream, part);
            first = false;
            if last {
                return;
            }
        }
    }

    /// Begins a GET; gives back its stream.
    pub fn get(&mut self, path: &str, more: &[(&str, &str)]) -> u32 {
        let fields =
            [&[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.test")][..], more]
                .concat();
        self.begin(&fields, true)
    }

    /// Begins a POST whose body follows; gives back its stream.
    pub fn post(&mut self, path: &str, more: &[(&str, &str)]) -> u32 {
        let fields = [
            &[(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a.test")][..],
            more,
        ]
        .concat();
        self.begin(&fields, false)
    }

    /// Sends a part of a body.
    pub fn data(&mut self, stream: u32, data: &[u8], last: bool) -> &mut Self {
        self.frame(kind::DATA, u8::from(last), stream, data)
    }

    /// The next frame; none at the end of the connection.
    pub fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).ok()?];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until a frame of this type comes.
    ///
    /// # Panics
    /// When the connection ends before.
    pub fn read_until(&mut self, wanted: u8) -> Frame {
        loop {
            let frame = self.read().expect("the connection ended");
            if frame.kind == wanted {
                return frame;
            }
        }
    }

    /// Reads until it is known what came of a stream; 0: of the connection. Gives window as it reads.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut found, mut body) = (0, Vec::new());
        loop {
            let Some(frame) = self.read() else { return Outcome::Closed };
            let code = |from: usize| {
                frame
                    .payload
                    .get(from..from + 4)
                    .map_or(0, |code| u32::from_be_bytes(code.try_into().unwrap()))
            };
            match frame.kind {
                kind::GOAWAY if code(4) != 0 => return Outcome::GoAway(code(4)),
                kind::RST_STREAM if frame.stream == stream => return Outcome::Reset(code(0)),
                kind::HEADERS if frame.stream == stream && matches!(found, 0 | 100..200) => {
                    found = status(&frame.payload);
                }
                kind::DATA if frame.stream == stream => {
                    body.extend(&frame.payload);
                    if let Ok(length @ 1..) = u32::try_from(frame.payload.len()) {
                        self.window(0, length).window(stream, length);
                    }
                }
                kind::SETTINGS if frame.flags & flag::ACK == 0 => {
                    self.frame(kind::SETTINGS, flag::ACK, 0, []);
                }
                kind::PING if frame.flags & flag::ACK == 0 => {
                    self.frame(kind::PING, flag::ACK, 0, &frame.payload);
                }
                _ => {}
            }
            let ends =
                matches!(frame.kind, kind::DATA | kind::HEADERS) && frame.flags & flag::END_STREAM != 0;
            if frame.stream == stream && ends {
                return Outcome::Answer(found, body);
            }
        }
    }

    /// The status of a GET.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn status_of(&mut self, path: &str, more: &[(&str, &str)]) -> u16 {
        let stream = self.get(path, more);
        match self.outcome(stream) {
            Outcome::Answer(status, _) => status,
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }
}
