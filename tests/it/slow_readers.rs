//! Who reads slowly, but all the time, is not idle: what the system holds for it arrives, though it takes nothing more until much of
//! that has.

use std::{
    io::{Read, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketType, sockopt};
use support::{
    Answer, Balancer, Config, Group, Target,
    http::Reader,
    http2::{Connection, kind},
    http2_target::{listen, speak},
};

/// What the balancer is configured with, in seconds.
const IDLE: u64 = 1;
/// So often as much is read, for so long: by far not what a system holds for a connection.
const PAUSE: Duration = Duration::from_millis(100);
const PART: usize = 16 * 1024;
const LONG: Duration = Duration::from_secs(4 * IDLE);
/// More than all sockets on the way hold.
const BODY: usize = 64 << 20;

/// Reads slowly; none of it may fail.
fn read_slowly(mut from: impl Read, who: &str) {
    let began = Instant::now();
    let mut part = vec![0; PART];
    while began.elapsed() < LONG {
        from.read_exact(&mut part)
            .unwrap_or_else(|error| panic!("{who}: {error} after {:?}", began.elapsed()));
        thread::sleep(PAUSE);
    }
}

/// A connection whose own system holds little.
fn connected(address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, PART).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends much, or reads much slowly.
fn target() -> Target {
    Target::heads(|exchange| {
        let head = match exchange.request.target.as_str() {
            "/upload" => {
                read_slowly(exchange.reader.stream(), "the target");
                exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                return Answer::Close;
            }
            "/tunnel" => {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                    .to_owned()
            }
            _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n"),
        };
        exchange.send(head);
        exchange.send(vec![0; BODY]);
        Answer::Close
    })
}

/// What comes behind a head of this status.
fn asked(address: SocketAddr, request: &str, status: u16) -> TcpStream {
    let mut reader = Reader::new(connected(address));
    reader.stream().write_all(request.as_bytes()).unwrap();
    assert_eq!(reader.response_head().unwrap().map(|response| response.status), Some(status));
    reader.stream().try_clone().unwrap()
}

#[test]
fn who_reads_slowly_is_not_idle() {
    let target = target();
    let balancer =
        Balancer::start(&Config::new(&[&target]).attribute(&format!("idle_timeout = {IDLE}")).http2());
    let address = balancer.address;
    thread::scope(|scope| {
        scope.spawn(|| {
            read_slowly(asked(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200), "a client of HTTP/1.1");
        });
        scope.spawn(|| {
            let request =
                "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            let client = asked(address, request, 101);
            read_slowly(&client, "a client in a tunnel");
            // What the system holds arrives also of what was ended.
            assert_eq!(balancer.status().total("tunnels_active"), 1);
        });
        scope.spawn(|| {
            let mut client = Connection::over(connected(address)).begun();
            client.settings(&[(4, i32::MAX as u32)]).window(0, i32::MAX as u32 - 65_535);
            client.get("/", &[]);
            client.read_until(kind::HEADERS);
            read_slowly(client.socket(), "a client of HTTP/2");
            assert_eq!(balancer.status().total("http2_streams_active"), 1);
        });
        scope.spawn(|| {
            let mut client = support::Connection::over(connected(address));
            client.send(format!("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n"));
            let mut sending = client.stream().try_clone().unwrap();
            let sent = scope.spawn(move || sending.write_all(&vec![0; BODY]));
            assert_eq!(client.response().status, 200);
            drop(client);
            let _ = sent.join().unwrap();
        });
    });
}

#[test]
fn a_target_of_http2_that_reads_slowly_is_not_idle() {
    let slow = listen(|stream| {
        sockopt::set_socket_recv_buffer_size(&stream, PART).unwrap();
        let windows = [(4, i32::MAX as u32)];
        speak(stream, &windows, |connection, frame| {
            if frame.kind == kind::HEADERS {
                connection.window(0, i32::MAX as u32 - 65_535);
                read_slowly(connection.socket(), "the target");
            }
            frame.kind != kind::HEADERS
        });
    });
    let group = Group::of("app", &[slow]).line("protocol_version = \"HTTP2\"").unchecked();
    let balancer = Balancer::start(&Config::with(group).attribute(&format!("idle_timeout = {IDLE}")).http2());
    let mut client = Connection::over(connected(balancer.address)).begun();
    let stream = client.post("/upload", &[]);
    let began = Instant::now();
    let mut windows = [65_535; 2];
    loop {
        if windows.iter().all(|window| *window >= PART) {
            client.data(stream, &[0; PART], false);
            windows.iter_mut().for_each(|window| *window -= PART);
            continue;
        }
        let Some(frame) = client.read() else { break };
        match (frame.kind, frame.stream) {
            (kind::WINDOW_UPDATE, of) => {
                let more = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                windows[usize::from(of != 0)] += more as usize;
            }
            (kind::SETTINGS | kind::PING, _) => {}
            _ => break,
        }
    }
    assert!(began.elapsed() >= LONG, "it was over after {:?}", began.elapsed());
}
