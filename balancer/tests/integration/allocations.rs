//! How often a worker asks for memory for a request, which has to be never where it is a small one. In a process of its own, in
//! which nobody else does: neither the client nor the target here asks for any once it has begun.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use balancer::{
    logs::{
        access_log::AccessLog,
        sink::{LogSink, Output},
    },
    model::{CookieRenewal, LineFormat, LogDestination, StickinessKind, StickinessSettings},
};

use crate::bed::{Balancer, Conduct};

/// The system's allocator, which counts.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TAKEN: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: what the caller promises is what is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the same.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: the same.
        unsafe { System.realloc(memory, layout, size) }
    }
}

const BODY: usize = 1024;
const REQUESTS: u64 = 500;

/// Answers every request of a connection with [`BODY`] bytes.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n{}", "x".repeat(BODY));
    let answer: Arc<[u8]> = answer.into_bytes().into();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer, mut buffer) = (stream.unwrap(), Arc::clone(&answer), [0; 4096]);
            thread::spawn(move || {
                let mut length = 0;
                while let Ok(more @ 1..) = stream.read(&mut buffer[length..]) {
                    length += more;
                    if buffer[..length].ends_with(b"\r\n\r\n") {
                        length = 0;
                        stream.write_all(&answer).unwrap();
                    }
                }
            });
        }
    });
    address
}

/// A client that asks on one connection.
struct Client {
    stream: TcpStream,
    buffer: [u8; 16 * 1024],
    length: usize,
    /// The next stream of HTTP/2.
    stream_id: u32,
}

impl Client {
    fn of(balancer: &Balancer) -> Self {
        let stream = TcpStream::connect(balancer.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream, buffer: [0; 16 * 1024], length: 0, stream_id: 1 }
    }

    fn read(&mut self) {
        let read = self.stream.read(&mut self.buffer[self.length..]).unwrap();
        assert!(read > 0, "closed: {}", String::from_utf8_lossy(&self.buffer[..self.length]));
        self.length += read;
    }

    /// Asks over HTTP/1.1; where in the buffer the response's body begins.
    fn ask(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).unwrap();
        self.length = 0;
        loop {
            self.read();
            let end = self.buffer[..self.length].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end.filter(|end| self.length >= end + 4 + BODY) {
                assert!(self.buffer.starts_with(b"HTTP/1.1 200 "));
                return end + 4;
            }
        }
    }

    /// Begins HTTP/2, with a window for all that is going to come.
    fn begin_http2(&mut self) {
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let window = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0x3f, 0, 0, 0];
        self.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        self.stream.write_all(&settings).unwrap();
        self.stream.write_all(&window).unwrap();
        self.stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).unwrap();
    }

    /// Asks over HTTP/2 with this header block; waits for the end of the response.
    fn ask_http2(&mut self, block: &[u8]) {
        let id = self.stream_id.to_be_bytes();
        self.stream_id += 2;
        let head = [0, 0, u8::try_from(block.len()).unwrap(), 1, 5, id[0], id[1], id[2], id[3]];
        let mut frame = [0; 300];
        frame[..9].copy_from_slice(&head);
        frame[9..9 + block.len()].copy_from_slice(block);
        self.stream.write_all(&frame[..9 + block.len()]).unwrap();
        loop {
            while let Some(length) = self.frame() {
                let (kind, flags) = (self.buffer[3], self.buffer[4]);
                let is_end = self.buffer[5..9] == id && matches!(kind, 0 | 1) && flags & 1 == 1;
                assert!(!matches!(kind, 3 | 7), "RST_STREAM or GOAWAY");
                self.buffer.copy_within(length..self.length, 0);
                self.length -= length;
                if is_end {
                    return;
                }
            }
            self.read();
        }
    }

    /// The length of the first frame, if it is there.
    fn frame(&self) -> Option<usize> {
        let head = self.buffer[..self.length].first_chunk::<4>()?;
        let length = 9 + (usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]));
        (self.length >= length).then_some(length)
    }
}

fn sticky() -> StickinessSettings {
    StickinessSettings {
        kind: StickinessKind::LoadBalancerCookie,
        duration_seconds: 86_400,
        attributes: Default::default(),
        renewal: CookieRenewal::Always,
        pick: Default::default(),
        extras: Default::default(),
    }
}

/// How often memory was asked for while `ask` was called, once what is kept for requests to come is there.
fn taken(mut ask: impl FnMut()) -> u64 {
    (0..200).for_each(|_| ask());
    let before = TAKEN.load(Relaxed);
    (0..REQUESTS).for_each(|_| ask());
    TAKEN.load(Relaxed) - before
}

/// The cookies that a first response sets, as a request returns them.
fn cookies(client: &mut Client) -> String {
    let body = client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = String::from_utf8_lossy(&client.buffer[..body]).into_owned();
    let value = head.split("AWSALB=").nth(1).expect("a cookie").split(';').next().unwrap();
    format!("theme=dark; AWSALB={value}")
}

#[test]
#[ignore = "by another process alone: see what starts it"]
fn counted() {
    let folder = tempfile::tempdir().unwrap();
    let lines = Output::open(&LogDestination::File(folder.path().join("log")), None).unwrap();
    let sink = LogSink::start(lines, 1, Arc::default()).unwrap();
    let log = |format| Some(Arc::new(AccessLog::new(Arc::clone(&sink), format, "app/a/b")));
    for (name, access_log) in [
        ("without a log", None),
        ("with ALB's log", log(LineFormat::Alb)),
        ("with a log in JSON", log(LineFormat::Json)),
    ] {
        let conduct = Conduct { stickiness: Some(sticky()), access_log, ..Conduct::default() };
        let balancer = Balancer::made(&[target(), target()], Duration::from_secs(60), conduct);
        let mut client = Client::of(&balancer);
        let cookie = cookies(&mut client);
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nCookie: {cookie}\r\n\r\n");
        let http1 = taken(|| _ = client.ask(request.as_bytes()));
        let mut client = Client::of(&balancer);
        client.begin_http2();
        // By the static table (RFC 7541, appendix A): GET, http, `/`; and not to be remembered: authority and cookie.
        let mut block = vec![0x82, 0x86, 0x84, 0x01, 1, b'a', 0x0f, 0x11];
        match u8::try_from(cookie.len()).unwrap() {
            short @ 0..127 => block.push(short),
            long => block.extend_from_slice(&[127, long - 127]),
        }
        block.extend_from_slice(cookie.as_bytes());
        let http2 = taken(|| client.ask_http2(&block));
        println!("{name}: HTTP/1.1 {http1}, HTTP/2 {http2} in {REQUESTS}");
        // What a tick does, and chunks of log lines, are not of a request.
        assert!(http1 <= REQUESTS / 20, "{name}: {http1} of HTTP/1.1");
        assert!(http2 <= REQUESTS + REQUESTS / 20, "{name}: {http2} of HTTP/2");
    }
}

#[test]
fn small_requests_take_no_memory_and_streams_one_piece() {
    let this = env::current_exe().unwrap();
    let arguments = ["--exact", "allocations::counted", "--ignored", "--test-threads=1", "--nocapture"];
    let output = Command::new(this).args(arguments).output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(" 1 passed;"), "{said}\n{complained}");
}
