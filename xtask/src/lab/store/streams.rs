//! HTTP/2 with as little as can be, so that what is measured is the balancer between: a crowd that has many requests under way over few
//! connections, none of them with a session, and an application that begins a session for each. Must not know: what is measured.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    bench::process::stay_on,
    lab::frames::{
        ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
        WINDOW_UPDATE,
    },
};

/// Requests under way over a connection at a time, and in all: balancer ends one after 10,000.
const STREAMS: u32 = 64;
const MOST: u32 = 9000;

/// Until it is looked whether another one is due.
const PAUSE: Duration = Duration::from_micros(200);

/// `GET http://app.example.com/`.
const REQUEST: &[u8] = b"\x82\x86\x84\x01\x0fapp.example.com";
/// `:status: 200` by its index in the static table.
const OK: u8 = 0x88;
/// What it may be preceded by: the table's size is another one.
const SIZES: std::ops::Range<u8> = 0x20..0x40;

struct Frame<'b> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'b [u8],
}

/// The first frame of these bytes, and what is behind it; none: it is not whole.
fn first_frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let ([a, b, c, kind, flags, stream @ ..], rest) = bytes.split_first_chunk::<9>()?;
    let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let stream = u32::from_be_bytes(*stream) & 0x7fff_ffff;
    Some((Frame { kind: *kind, flags: *flags, stream, payload }, rest))
}

fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// One end of a connection.
struct End {
    stream: TcpStream,
    come: Vec<u8>,
    out: Vec<u8>,
}

impl End {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, come: Vec::new(), out: Vec::new() })
    }

    fn write(&mut self) -> Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Reads what has come, and has `hear` hear each frame that is more than housekeeping, with where to put an answer. False: it is over.
    fn read(&mut self, mut hear: impl FnMut(&Frame<'_>, &mut Vec<u8>) -> Result<()>) -> Result<bool> {
        let mut more = [0; 64 << 10];
        let length = self.stream.read(&mut more)?;
        self.come.extend_from_slice(more.get(..length).unwrap_or_default());
        let mut rest = self.come.as_slice();
        while let Some((frame, behind)) = first_frame(rest) {
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK != 0 => {}
                SETTINGS => put(&mut self.out, SETTINGS, ACK, 0, &[]),
                PING => put(&mut self.out, PING, ACK, 0, frame.payload),
                _ => hear(&frame, &mut self.out)?,
            }
            rest = behind;
        }
        let left = rest.len();
        self.come.drain(..self.come.len() - left);
        Ok(length > 0)
    }
}

/// What is asked of the crowd on one connection after the other.
pub(super) struct Crowd<'c> {
    pub(super) address: SocketAddr,
    /// Requests a second; none: as many as are answered.
    pub(super) rate: Option<f64>,
    pub(super) over: &'c AtomicBool,
    /// How many were answered.
    pub(super) answered: &'c AtomicU64,
}

impl Crowd<'_> {
    /// Asks until it is over.
    pub(super) fn ask(&self) -> Result<()> {
        let began = Instant::now();
        let mut before = 0;
        while !self.over.load(Relaxed) {
            before += self.ask_over_one(began, before)?;
        }
        Ok(())
    }

    /// Asks over one connection; how often. `before`: so many were asked before, the first at `began`.
    fn ask_over_one(&self, began: Instant, before: u32) -> Result<u32> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut end = End::new(stream)?;
        end.out.extend_from_slice(PREFACE);
        put(&mut end.out, SETTINGS, 0, 0, &[]);
        put(&mut end.out, WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        let (mut asked, mut under_way) = (0, 0);
        loop {
            let is_over = self.over.load(Relaxed) || asked == MOST;
            let is_due = |asked: u32| {
                self.rate.is_none_or(|rate| f64::from(before + asked) < began.elapsed().as_secs_f64() * rate)
            };
            while under_way < STREAMS && asked < MOST && !is_over && is_due(asked) {
                put(&mut end.out, HEADERS, END_STREAM | END_HEADERS, 2 * asked + 1, REQUEST);
                (asked, under_way) = (asked + 1, under_way + 1);
            }
            end.write()?;
            if under_way == 0 {
                if is_over {
                    return Ok(asked);
                }
                thread::sleep(PAUSE);
                continue;
            }
            let goes_on = end.read(|frame, _| {
                match frame.kind {
                    HEADERS if !is_ok(frame.payload) => bail!("an answer that is none: {:?}", frame.payload),
                    RST_STREAM | GOAWAY => bail!("a request was not answered: {:?}", frame.payload),
                    HEADERS | DATA if frame.flags & END_STREAM != 0 => {
                        under_way -= 1;
                        self.answered.fetch_add(1, Relaxed);
                    }
                    _ => {}
                }
                Ok(())
            })?;
            if !goes_on {
                bail!(
                    "the balancer has ended a connection, of whose {asked} requests {under_way} were under way"
                );
            }
        }
    }
}

fn is_ok(block: &[u8]) -> bool {
    block.iter().find(|byte| !SIZES.contains(byte)) == Some(&OK)
}

/// An application that gives each request a session of its own.
pub(super) fn application(core: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        stay_on(core)?;
        for stream in listener.incoming().map_while(Result::ok) {
            // Whoever goes away is gone.
            thread::spawn(move || serve(stream).unwrap_or_default());
        }
        Ok(())
    });
    Ok(address)
}

fn serve(mut stream: TcpStream) -> Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface)?;
    let mut end = End::new(stream)?;
    // As many streams as there is need for.
    put(&mut end.out, SETTINGS, 0, 0, &[0, 3, 0, 0, 4, 0]);
    end.write()?;
    while end.read(|frame, out| {
        if frame.kind == HEADERS {
            put(out, HEADERS, END_STREAM | END_HEADERS, frame.stream, &fresh());
        }
        Ok(())
    })? {
        end.write()?;
    }
    Ok(())
}

/// `:status: 200`, `content-length: 0` and `set-cookie` with a session that nobody has had.
fn fresh() -> Vec<u8> {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    let cookie = format!("SESSIONID={:08x}{:016x}; Path=/", process::id(), GIVEN.fetch_add(1, Relaxed));
    let mut block = vec![OK, 0x0f, 0x0d, 1, b'0', 0x0f, 0x28];
    // Shorter than 127.
    block.extend(u8::try_from(cookie.len()));
    block.extend_from_slice(cookie.as_bytes());
    block
}
