//! What one client does, or one response is like, breaks nobody else's on a connection of HTTP/2 that they share.

use std::{
    io::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    net::{AddressFamily, SocketType, sockopt},
    process::Signal,
};
use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome, flag, frame, kind},
    http2_target::{attend, listen},
};

/// SETTINGS_INITIAL_WINDOW_SIZE.
const WINDOW: u16 = 4;

fn before(target: String) -> Balancer {
    let group = Group::of("app", &[target]).line("protocol_version = \"HTTP2\"").unchecked();
    Balancer::start(&Config::with(group).workers(1).http2())
}

/// A target that begins the response to its first request, does with each frame behind that what `serve` says, and ends that
/// response when `serve` says so. It takes one connection. Gives back where it is, and what tells that the first has come.
fn target(
    serve: impl Fn(&mut Connection, u8, u32) -> bool + Send + Sync + 'static,
) -> (String, Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let (tell, connections) = (Mutex::new(tell), AtomicUsize::new(0));
    let address = listen(move |stream| {
        assert_eq!(connections.fetch_add(1, SeqCst), 0, "one connection is enough");
        let mut first = None;
        attend(stream, &[(3, 500)], |connection, frame| {
            if !matches!(frame.kind, kind::HEADERS | kind::DATA | kind::RST_STREAM) {
                return true;
            }
            match first {
                None => {
                    connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, [0x88]);
                    first = Some(frame.stream);
                    tell.lock().unwrap().send(()).unwrap();
                }
                Some(stream) => {
                    if serve(connection, frame.kind, frame.stream) {
                        connection.data(stream, b"whole", true);
                    }
                }
            }
            true
        });
    });
    (address, told)
}

/// Somebody with a response under way, and somebody else.
fn neighbours(balancer: &Balancer, told: &Receiver<()>) -> (Connection, u32, Connection) {
    let mut neighbour = Connection::open(balancer.address);
    let stream = neighbour.get("/", &[]);
    told.recv().unwrap();
    (neighbour, stream, Connection::open(balancer.address))
}

#[test]
fn small_frames_that_nobody_reads_yet() {
    let requests = AtomicUsize::new(0);
    let (address, told) = target(move |connection, _, stream| {
        if requests.fetch_add(1, SeqCst) == 5 {
            connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, [0x88]);
            return true;
        }
        let mut bytes = frame(kind::HEADERS, flag::END_HEADERS, stream, &[0x88]);
        // As much as the window allows.
        (0..4_369).for_each(|_| bytes.extend(frame(kind::DATA, 0, stream, b"fifteen letters")));
        connection.socket().write_all(&bytes).unwrap();
        false
    });
    let balancer = before(address);
    let (mut neighbour, stream, mut other) = neighbours(&balancer, &told);
    for _ in 0..5 {
        other.get("/", &[]);
    }
    balancer.wait_status("all have come", 10.0, |status| status.total("http2_streams_active") == 6);
    neighbour.get("/", &[]);
    assert_eq!(neighbour.outcome(stream), Outcome::Answer(200, b"whole".to_vec()));
}

#[test]
fn small_frames_of_a_slow_reader_arrive_as_they_were_sent() {
    const WORDS: usize = 4_369;
    let (address, told) = target(move |connection, _, stream| {
        let mut bytes = frame(kind::HEADERS, flag::END_HEADERS, stream, &[0x88]);
        for number in 0..WORDS {
            let last = if number + 1 == WORDS { flag::END_STREAM } else { 0 };
            bytes.extend(frame(kind::DATA, last, stream, format!("{number:015}").as_bytes()));
        }
        connection.socket().write_all(&bytes).unwrap();
        true
    });
    let balancer = before(address);
    let (mut neighbour, first, mut other) = neighbours(&balancer, &told);
    // Little at a time, as the client gives window for it.
    other.settings(&[(WINDOW, 100)]);
    let stream = other.get("/", &[]);
    assert_eq!(neighbour.outcome(first), Outcome::Answer(200, b"whole".to_vec()));
    let wanted: String = (0..WORDS).map(|number| format!("{number:015}")).collect();
    assert_eq!(other.outcome(stream), Outcome::Answer(200, wanted.into_bytes()));
}

#[test]
fn what_is_sent_on_for_a_hundred_requests_that_were_given_up() {
    const GIVEN_UP: usize = 100;
    let reset = Mutex::new(Vec::new());
    let (address, told) = target(move |connection, kind, stream| {
        if kind == kind::HEADERS {
            connection.frame(kind::HEADERS, flag::END_HEADERS, stream, [0x88]);
            return false;
        }
        let mut reset = reset.lock().unwrap();
        reset.push(stream);
        if reset.len() < GIVEN_UP {
            return false;
        }
        // It heard of the resets late.
        for stream in reset.iter() {
            (0..60).for_each(|_| _ = connection.data(*stream, &[0; 300], false));
        }
        true
    });
    let balancer = before(address);
    let (mut neighbour, stream, mut other) = neighbours(&balancer, &told);
    let streams: Vec<u32> = (0..GIVEN_UP).map(|_| other.get("/", &[])).collect();
    for _ in &streams {
        other.read_until(kind::HEADERS);
    }
    drop(other);
    assert_eq!(neighbour.outcome(stream), Outcome::Answer(200, b"whole".to_vec()));
}

#[test]
fn frames_without_content() {
    let (address, told) = target(move |connection, kind, stream| {
        if kind != kind::HEADERS {
            return false;
        }
        connection.frame(kind::HEADERS, flag::END_HEADERS, stream, [0x88]);
        (0..500).for_each(|_| _ = connection.data(stream, b"", false));
        connection.data(stream, b"done", true);
        true
    });
    let balancer = before(address);
    let (mut neighbour, first, mut other) = neighbours(&balancer, &told);
    let stream = other.post("/", &[]);
    for _ in 0..500 {
        other.data(stream, b"", false);
    }
    other.data(stream, b"end", true);
    assert_eq!(other.outcome(stream), Outcome::Answer(200, b"done".to_vec()));
    assert_eq!(neighbour.outcome(first), Outcome::Answer(200, b"whole".to_vec()));
}

#[test]
fn requests_that_are_taken_back_before_anybody_looks() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1).http2());
    let mut connection = Connection::open(balancer.address);
    let kept = connection.get("/", &[]);
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
    let mut bytes = Vec::new();
    for _ in 0..100 {
        let stream = connection.next_stream();
        let block = support::http2::block(&fields);
        bytes.extend(frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block));
        bytes.extend(frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    connection.send(&bytes);
    assert!(matches!(connection.outcome(kept), Outcome::Answer(200, _)));
    let last = connection.get("/", &[]);
    assert!(matches!(connection.outcome(last), Outcome::Answer(200, _)));
}

/// What is added to a request counts for no more fields than it may have.
#[test]
fn a_request_with_as_many_fields_as_it_may_have_reaches_a_target_of_http_2() {
    let address = support::http2_target::answering(&[], |connection, stream| {
        connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, [0x88]);
        true
    });
    let balancer = before(address);
    let names: Vec<String> = (0..199).map(|number| format!("x-{number}")).collect();
    for count in [195, 199] {
        let fields: Vec<(&str, &str)> = names[..count].iter().map(|name| (name.as_str(), "v")).collect();
        let mut connection = Connection::open(balancer.address);
        assert_eq!(connection.status_of("/", &fields), 200, "{count}");
    }
}

/// Its request is over for everybody but the engine, which still writes, for longer than a client is given that does nothing.
#[test]
fn who_reads_slowly_gets_the_whole_response_from_a_balancer_that_ends() {
    const LENGTH: usize = 3_600_000;
    let target = Target::start(|exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        let _ = exchange.reader.stream().write_all(&vec![b'x'; LENGTH]);
        Answer::KeepAlive
    });
    let mut balancer = Balancer::start(&Config::new(&[&target]).workers(1).http2());
    // What it has not read is with the balancer's system, not with its own.
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 8192).unwrap();
    rustix::net::connect(&socket, &balancer.address).unwrap();
    let mut connection = Connection::over(socket.into()).begun();
    connection.settings(&[(WINDOW, 1 << 24)]).window(0, 1 << 24);
    connection.get("/", &[]);
    let first = connection.read_until(kind::DATA).payload.len();
    balancer.signal(Signal::TERM);
    // A steady reader of 400 KB/s, which answers what it is asked as it comes to that.
    let (began, mut came, mut ended) = (Instant::now(), first, false);
    while let (false, Some(frame)) = (ended, connection.read()) {
        match frame.kind {
            kind::DATA => {
                came += frame.payload.len();
                ended = frame.flags & flag::END_STREAM != 0;
            }
            kind::PING => {
                connection.frame(kind::PING, flag::ACK, 0, &frame.payload);
            }
            _ => {}
        }
        let due = Duration::from_secs_f64(came as f64 / 400_000.0);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    assert_eq!((came, ended), (LENGTH, true));
    drop(connection);
    assert_eq!(balancer.wait_exit(10.0).code(), Some(0));
}
