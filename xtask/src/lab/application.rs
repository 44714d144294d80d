//! A target that scenarios put behind proxies: an application with sessions by a cookie of its own, WebSockets that echo, and
//! health checks that can be held. Blocking threads. Must not know: proxies, scenarios.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::Duration,
};

use anyhow::Result;

/// What its sessions are named by.
pub(crate) const COOKIE: &str = "SESSIONID";
/// Where checks go.
pub(crate) const CHECK: &str = "/ready";
/// Where WebSockets are opened.
pub(crate) const WEBSOCKET: &str = "/ws";

/// Thousands of threads have to have room.
const STACK: usize = 256 * 1024;

/// One that runs until the process ends.
pub(crate) struct Application {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    held: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

struct Inside {
    name: String,
    known: Mutex<HashSet<String>>,
    made: AtomicUsize,
    held: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

/// What is read of a request.
#[derive(Default)]
struct Asked {
    path: String,
    session: Option<String>,
}

impl Application {
    /// Starts one of this name at a free port of loopback.
    pub(crate) fn start(name: &str) -> Result<Self> {
        Self::listen(name, &TcpListener::bind("127.0.0.1:0")?)
    }

    /// Starts one of this name at this socket.
    pub(crate) fn listen(name: &str, listener: &TcpListener) -> Result<Self> {
        let (held, checks) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let inside = Arc::new(Inside {
            name: name.to_owned(),
            known: Mutex::default(),
            made: AtomicUsize::new(0),
            held: Arc::clone(&held),
            checks: Arc::clone(&checks),
        });
        let address = listener.local_addr()?;
        let listener = listener.try_clone()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inside = Arc::clone(&inside);
                let serve = move || {
                    // Whoever goes away is gone.
                    inside.serve(stream).unwrap_or_default();
                };
                drop(thread::Builder::new().stack_size(STACK).spawn(serve));
            }
        });
        Ok(Self { address, held, checks })
    }

    /// Whether checks are kept waiting from here on.
    pub(crate) fn hold_checks(&self, held: bool) {
        self.held.store(held, SeqCst);
    }

    /// How many checks there were.
    pub(crate) fn checks(&self) -> usize {
        self.checks.load(SeqCst)
    }
}

impl Inside {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(asked) = read(&mut reader)? {
            match asked.path.as_str() {
                CHECK => {
                    self.checks.fetch_add(1, SeqCst);
                    while self.held.load(SeqCst) {
                        thread::sleep(Duration::from_millis(5));
                    }
                    self.answer(&mut reader, "")?;
                }
                WEBSOCKET => return echo(&mut reader),
                _ => {
                    let fields = self.session(asked.session.as_ref());
                    self.answer(&mut reader, &fields)?;
                }
            }
        }
        Ok(())
    }

    fn answer(&self, reader: &mut BufReader<TcpStream>, fields: &str) -> std::io::Result<()> {
        let name = &self.name;
        let text = format!("HTTP/1.1 200 OK\r\nX-Target: {name}\r\n{fields}Content-Length: 2\r\n\r\nok");
        reader.get_mut().write_all(text.as_bytes())
    }

    /// Fields of the response to a client with this cookie: a value that is not known here is a lost login.
    fn session(&self, came_with: Option<&String>) -> String {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if came_with.is_some_and(|id| known.contains(id)) {
            return String::new();
        }
        let id = format!("{}-{}", self.name, self.made.fetch_add(1, Relaxed));
        let lost = if came_with.is_some() { "X-Lost: yes\r\n" } else { "" };
        let fields = format!("Set-Cookie: {COOKIE}={id}\r\n{lost}");
        known.insert(id);
        fields
    }
}

/// The next request, which has no body.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut asked = Asked { path, session: None };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            return Ok(Some(asked));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("cookie") {
            let pairs = value.split(';').filter_map(|pair| pair.trim().split_once('='));
            let mut ours = pairs.filter(|(name, _)| *name == COOKIE);
            asked.session = ours.next().map(|(_, value)| value.to_owned()).or(asked.session);
        }
    }
}

/// Sends back what comes in short frames (RFC 6455, section 5.2), until one closes.
fn echo(reader: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    reader.get_mut().write_all(head.as_bytes())?;
    loop {
        let mut head = [0; 6];
        reader.read_exact(&mut head)?;
        let [first, length, mask @ ..] = head;
        let mut payload = vec![0; usize::from(length & 0x7f)];
        reader.read_exact(&mut payload)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let frame = [&[first, length & 0x7f], payload.as_slice()].concat();
        reader.get_mut().write_all(&frame)?;
        if first & 0x0f == 8 {
            return Ok(());
        }
    }
}
