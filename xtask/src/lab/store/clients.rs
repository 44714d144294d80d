//! Clients that return the application's cookie, one request after the other, and how long each took. Must not know: what is measured.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::bench::table::permille;

/// A connection that is kept.
pub(super) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The cookie of a client with this number.
pub(super) fn jar(number: usize) -> String {
    format!("SESSIONID=client-{number}")
}

static COME: AtomicU64 = AtomicU64::new(0);

/// The cookie of a client that nobody has seen before.
pub(super) fn newcomer() -> String {
    format!("SESSIONID=new-{}-{}", std::process::id(), COME.fetch_add(1, Relaxed))
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Asks with this cookie, and takes the whole response: how long that took.
    pub(super) fn ask(&mut self, cookie: &str) -> Result<Duration> {
        let request =
            format!("GET / HTTP/1.1\r\nHost: app.example.com\r\nAccept: */*\r\nCookie: {cookie}\r\n\r\n");
        let began = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        self.buffer.clear();
        loop {
            let mut more = [0; 4096];
            let length = self.stream.read(&mut more)?;
            self.buffer.extend_from_slice(more.get(..length).unwrap_or_default());
            let text = String::from_utf8_lossy(&self.buffer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                if !head.starts_with("HTTP/1.1 200 ") {
                    bail!("no answer but: {head}");
                }
                if body.len() >= super::parts::BODY.len() {
                    return Ok(began.elapsed());
                }
            }
            if length == 0 {
                bail!("the connection ended behind: {text}");
            }
        }
    }
}

/// How long requests took, in microseconds.
#[derive(Clone, Copy)]
pub(super) struct Took {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Took {
    pub(super) fn of(took: impl Iterator<Item = Result<Duration>>) -> Result<Self> {
        let took = took.map(|took| took.map(|took| took.as_secs_f64() * 1e6));
        let mut took = took.collect::<Result<Vec<f64>>>()?;
        took.sort_unstable_by(f64::total_cmp);
        took.first().context("nobody has asked")?;
        Ok(Self { p50: permille(&took, 500), p99: permille(&took, 990) })
    }
}
