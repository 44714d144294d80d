//! What streams of HTTP/2 hold whose client does not read: little beside what is in sockets, whatever the target speaks.

use std::{
    collections::HashMap,
    io::Write as _,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant},
};

use support::{
    Answer, Balancer, Config, Group, Status, Target,
    http2::{Connection, Frame, flag, frame, kind},
    http2_target::{attend, listen, speak},
    until,
};

/// How much targets have for each request.
const OFFERED: usize = 4 * 1024 * 1024;
const CONNECTIONS: usize = 6;
const STREAMS: usize = 100;
/// Bytes of memory that a stream may hold.
const MOST_OF_STREAM: u64 = 8 * 1024;
/// And a connection, beside those of its streams: what waits to be written.
const MOST_OF_CONNECTION: u64 = 384 * 1024;

const INITIAL_WINDOW_SIZE: u16 = 4;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;

/// How a client does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stall {
    /// Its streams have no window from the beginning.
    NoWindow,
    /// It gives no more than the first windows.
    FirstWindows,
    /// Its windows are as large as they may be, and it does not read.
    Unread,
}

impl Stall {
    const ALL: [Self; 3] = [Self::NoWindow, Self::FirstWindows, Self::Unread];

    fn open(self, balancer: &Balancer) -> Connection {
        let mut connection = Connection::open(balancer.address);
        match self {
            Self::NoWindow => _ = connection.settings(&[(INITIAL_WINDOW_SIZE, 0)]),
            Self::FirstWindows => {}
            Self::Unread => {
                connection.settings(&[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]);
                connection.window(0, LARGEST_WINDOW - 65_535);
            }
        }
        for _ in 0..STREAMS {
            connection.get("/large", &[]);
        }
        connection
    }
}

/// Has clients stall, and holds what that takes to its bounds until `are_stalled` says that all do. Then they go, and it has to be
/// given back.
fn holds_little(balancer: &Balancer, what: &str, stall: Stall, are_stalled: impl FnOnce()) {
    let before = balancer.memory();
    let clients: Vec<Connection> = (0..CONNECTIONS).map(|_| stall.open(balancer)).collect();
    are_stalled();
    let grown = balancer.memory().saturating_sub(before);
    let streams = (CONNECTIONS * STREAMS) as u64;
    let of_connections = if stall == Stall::Unread { CONNECTIONS as u64 * MOST_OF_CONNECTION } else { 0 };
    assert!(
        grown.saturating_sub(of_connections) <= streams * MOST_OF_STREAM,
        "{what}, {stall:?}: {grown} bytes, {} a stream",
        grown / streams
    );
    drop(clients);
    balancer.wait_status("all are gone", 20.0, |status| status.total("http2_streams_active") == 0);
    until("four fifths are given back", 60.0, || {
        (balancer.memory().saturating_sub(before) < (grown / 5).max(512 * 1024)).then_some(())
    });
}

#[test]
fn a_stream_that_is_not_read_holds_little_of_a_target_of_http1() {
    let (done, sent) = mpsc::channel();
    let target = Target::start(move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n"));
        let stream = exchange.reader.stream();
        stream.set_write_timeout(Some(Duration::from_secs(1)));
        let block = [b'x'; 64 * 1024];
        while stream.write(&block).is_ok() {}
        done.send(()).unwrap_or_default();
        Answer::Close
    });
    let balancer =
        Balancer::start(&Config::with(Group::new("app", &[&target]).unchecked()).workers(1).http2());
    for stall in Stall::ALL {
        holds_little(&balancer, "HTTP/1.1", stall, || {
            for _ in 0..CONNECTIONS * STREAMS {
                sent.recv_timeout(Duration::from_secs(60)).unwrap();
            }
        });
    }
}

/// A target of HTTP/2 that sends whatever windows allow.
#[derive(Clone)]
struct Eager {
    asked: Arc<AtomicUsize>,
    /// When it heard or said something for the last time.
    heard: Arc<Mutex<Instant>>,
}

impl Eager {
    fn start() -> (Self, String) {
        let eager = Self { asked: Arc::default(), heard: Arc::new(Mutex::new(Instant::now())) };
        let serving = eager.clone();
        (eager, listen(move |stream| serving.serve(stream)))
    }

    fn serve(&self, stream: TcpStream) {
        let mut windows: HashMap<u32, usize> = HashMap::from([(0, 65_535)]);
        let mut initial = 65_535;
        attend(stream, &[(3, 1000)], |connection, frame| {
            *self.heard.lock().unwrap() = Instant::now();
            self.hear(connection, frame, &mut windows, &mut initial)
        });
    }

    fn hear(
        &self,
        connection: &mut Connection,
        Frame { kind: what, stream, payload, .. }: &Frame,
        windows: &mut HashMap<u32, usize>,
        initial: &mut usize,
    ) -> bool {
        let word = |from: usize| u32::from_be_bytes(payload[from..from + 4].try_into().unwrap()) as usize;
        match *what {
            kind::SETTINGS => {
                let of_windows =
                    payload.chunks(6).position(|it| it[..2] == INITIAL_WINDOW_SIZE.to_be_bytes());
                *initial = of_windows.map_or(*initial, |at| word(at * 6 + 2));
            }
            kind::HEADERS => {
                self.asked.fetch_add(1, SeqCst);
                windows.insert(*stream, *initial);
                connection.frame(kind::HEADERS, flag::END_HEADERS, *stream, [0x88]);
            }
            kind::RST_STREAM => _ = windows.remove(stream),
            kind::WINDOW_UPDATE => {
                if let Some(window) = windows.get_mut(stream) {
                    *window += word(0);
                }
            }
            _ => {}
        }
        let mut of_all = windows[&0];
        let mut said = Vec::new();
        for (id, window) in windows.iter_mut().filter(|(id, _)| **id != 0) {
            while *window > 0 && of_all > 0 {
                let length = (*window).min(of_all).min(16_384);
                said.extend(frame(kind::DATA, 0, *id, &vec![b'x'; length]));
                *window -= length;
                of_all -= length;
            }
        }
        windows.insert(0, of_all);
        connection.try_send(said).is_ok()
    }

    /// Waits until so many have asked, and nothing has been heard of anybody for a while.
    fn wait_for(&self, asked: usize) {
        until("all have asked and stalled", 60.0, || {
            let is_quiet = self.heard.lock().unwrap().elapsed() > Duration::from_secs(1);
            (self.asked.load(SeqCst) >= asked && is_quiet).then_some(())
        });
    }
}

#[test]
fn a_stream_that_is_not_read_holds_little_of_a_target_of_http2() {
    let (target, address) = Eager::start();
    let group = Group::of("app", &[address]).line("protocol_version = \"HTTP2\"").unchecked();
    let balancer = Balancer::start(&Config::with(group).workers(1).http2());
    for (round, stall) in (1..).zip(Stall::ALL) {
        holds_little(&balancer, "HTTP/2", stall, || target.wait_for(round * CONNECTIONS * STREAMS));
    }
}

/// The target takes no bodies, so all that comes of them waits here.
#[test]
fn what_all_connections_hold_is_bounded_told_of_and_given_back() {
    const LIMIT: u64 = 16 << 20;
    let target = listen(|stream| {
        speak(stream, &[(INITIAL_WINDOW_SIZE, 0), (3, 1000)], |connection, frame| {
            if frame.kind == kind::HEADERS && frame.flags & flag::END_STREAM != 0 {
                connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, frame.stream, [0x88]);
            }
            true
        });
    });
    let group = Group::of("app", &[target]).line("protocol_version = \"HTTP2\"").unchecked();
    let config = Config::with(group).workers(1).http2().process("http2_buffer_limit = 16");
    let balancer = Balancer::start(&config);
    assert_eq!(balancer.status().total("http2_buffer_limit_bytes"), LIMIT);
    let before = balancer.memory();
    let mut clients: Vec<Connection> = (0..4).map(|_| Connection::open(balancer.address)).collect();
    for client in &mut clients {
        assert_eq!(client.status_of("/", &[]), 200);
    }
    for client in &mut clients {
        for _ in 0..100 {
            let stream = client.post("/hold", &[]);
            for _ in 0..4 {
                client.data(stream, &[b'x'; 16_384], false);
            }
        }
    }
    let held = |status: &Status| status.total("http2_buffer_bytes");
    balancer.wait_status("some were refused", 20.0, |status| status.total("http2_streams_refused") > 10);
    let status = balancer.status();
    assert!((LIMIT / 2..LIMIT + LIMIT / 8).contains(&held(&status)), "{}", held(&status));
    assert!(status.total("http2_connections_sent_away") > 0);
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < 2 * LIMIT, "{grown} bytes");
    // Those that hold some of it are told to go, and others are served.
    clients[0].read_until(kind::GOAWAY);
    assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 200);
    drop(clients);
    balancer.wait_status("nothing is held", 20.0, |status| held(status) == 0);
    until("four fifths are given back", 60.0, || {
        (balancer.memory().saturating_sub(before) < grown / 5).then_some(())
    });
    assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 200);
}
