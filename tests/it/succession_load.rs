//! Upgrades in a row under load: no request fails, no connection is refused, no session is lost, nothing is cut off.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use support::{Answer, Balancer, Client, Config, Group, Target, http2, until};

const UPGRADES: usize = 5;

/// What clients saw.
#[derive(Default)]
struct Seen {
    done: AtomicBool,
    requests: AtomicUsize,
    faults: std::sync::Mutex<Vec<String>>,
}

impl Seen {
    /// Does `turn` again and again until the end, and notes what went wrong.
    fn repeat(&self, who: &str, mut turn: impl FnMut() -> Result<usize, String>) {
        while !self.done.load(SeqCst) {
            match turn() {
                Ok(requests) => {
                    self.requests.fetch_add(requests, SeqCst);
                }
                Err(fault) => {
                    let mut faults = self.faults.lock().unwrap();
                    faults.push(format!("{who}: {fault}"));
                    if faults.len() > 20 {
                        return;
                    }
                }
            }
        }
    }
}

fn closing(address: SocketAddr) -> Result<usize, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("refused: {error}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .map_err(|error| format!("sending: {error}"))?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| format!("reading: {error}"))?;
    if text.starts_with("HTTP/1.1 200 ") { Ok(1) } else { Err(format!("answered {text:?}")) }
}

fn keeping(client: &mut Client) -> Result<usize, String> {
    let response = client.try_get("/").map_err(|error| error.to_string())?;
    if response.status == 200 { Ok(1) } else { Err(format!("answered {}", response.status)) }
}

/// One that returns the application's cookie alone stays where its session is.
fn sessions(client: &mut Client, home: &mut Option<String>) -> Result<usize, String> {
    let response = client.try_get("/").map_err(|error| error.to_string())?;
    let target = response.header("x-target").to_owned();
    if !response.header("x-lost").is_empty() || home.as_ref().is_some_and(|home| *home != target) {
        return Err(format!("the session of {home:?} is lost at {target}"));
    }
    *home = Some(target);
    Ok(1)
}

/// Streams on one connection until it is told to go.
fn streams(address: SocketAddr, seen: &Seen) -> Result<usize, String> {
    let mut connection = http2::Connection::open(address);
    let (mut requests, mut last) = (0, u32::MAX);
    while !seen.done.load(SeqCst) {
        match answered(&mut connection, &mut last)? {
            // Told to go: what was not begun may be sent again (RFC 9113, section 6.8).
            None => break,
            Some(()) => requests += 1,
        }
    }
    Ok(requests)
}

/// Whether a request was answered; nothing where the connection said before that it takes none after `last`.
fn answered(connection: &mut http2::Connection, last: &mut u32) -> Result<Option<()>, String> {
    if *last != u32::MAX && *last < 0x7fff_ffff {
        return Ok(None);
    }
    let stream = connection.get("/", &[]);
    loop {
        let Some(frame) = connection.read() else {
            return if *last < stream {
                Ok(None)
            } else {
                Err("a connection ended without a word".to_owned())
            };
        };
        match frame.kind {
            http2::kind::GOAWAY => {
                *last = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                if *last < stream {
                    return Ok(None);
                }
            }
            http2::kind::RST_STREAM if frame.stream == stream => return Err("a stream was reset".to_owned()),
            http2::kind::HEADERS if frame.stream == stream && http2::status(&frame.payload) != 200 => {
                return Err(format!("answered {}", http2::status(&frame.payload)));
            }
            http2::kind::SETTINGS if frame.flags & http2::flag::ACK == 0 => {
                connection.frame(http2::kind::SETTINGS, http2::flag::ACK, 0, []);
            }
            http2::kind::PING if frame.flags & http2::flag::ACK == 0 => {
                connection.frame(http2::kind::PING, http2::flag::ACK, 0, &frame.payload);
            }
            _ => {}
        }
        let ends = matches!(frame.kind, http2::kind::DATA | http2::kind::HEADERS);
        if frame.stream == stream && ends && frame.flags & http2::flag::END_STREAM != 0 {
            connection.window(0, 1);
            return Ok(Some(()));
        }
    }
}

/// A tunnel that has to live through everything.
fn tunnel(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

fn echoes(stream: &mut TcpStream, number: usize) {
    let text = format!("message {number:6}");
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text.as_bytes());
}

fn target(name: &'static str) -> Target {
    let known: std::sync::Mutex<std::collections::HashSet<String>> = std::sync::Mutex::default();
    let made = AtomicUsize::new(0);
    Target::start(move |exchange| {
        if exchange.request.target == "/ws" {
            exchange.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            );
            let mut bytes = [0; 1024];
            while let Ok(count) = exchange.reader.stream().read(&mut bytes) {
                if count == 0 || exchange.reader.stream().write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            return Answer::Close;
        }
        let mut fields = format!("X-Target: {name}\r\n");
        let came_with = exchange.request.cookie("SESSIONID");
        let mut known = known.lock().unwrap();
        if came_with.as_ref().is_none_or(|id| !known.contains(id)) {
            let id = format!("{}-{}", name, made.fetch_add(1, SeqCst));
            fields.push_str(&format!("Set-Cookie: SESSIONID={id}\r\n"));
            if came_with.is_some() {
                fields.push_str("X-Lost: yes\r\n");
            }
            known.insert(id);
        }
        drop(known);
        exchange.ok(&fields, "x")
    })
}

fn upgrades_lose_nothing(assist: &str) {
    let targets = [target("one"), target("two")];
    let refs: Vec<&Target> = targets.iter().collect();
    let config = Config::with(Group::new("app", &refs).app_cookie("SESSIONID"))
        .kernel_assist(assist)
        .workers(2)
        .http2();
    let balancer = Balancer::start(&config);
    let (address, seen) = (balancer.address, Seen::default());
    let mut tunnel = tunnel(address);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| seen.repeat("close", || closing(address)));
            scope.spawn(|| {
                let mut client = Client::new(address);
                seen.repeat("keep-alive", || keeping(&mut client));
            });
            scope.spawn(|| {
                let (mut client, mut home) = (Client::new(address), None);
                client.withheld = vec!["AWSALB".to_owned()];
                seen.repeat("session", || sessions(&mut client, &mut home));
            });
        }
        scope.spawn(|| seen.repeat("http2", || streams(address, &seen)));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..UPGRADES {
                let before = seen.requests.load(SeqCst);
                until("requests go on", 60.0, || (seen.requests.load(SeqCst) > before + 50).then_some(()));
                let old: Vec<u32> = balancer.processes();
                let new = balancer.upgraded();
                echoes(&mut tunnel, number);
                // The first one has the tunnel; the others have nothing that lasts.
                let gone: Vec<u32> =
                    old.into_iter().filter(|pid| *pid != balancer.pid() && *pid != new).collect();
                balancer.wait_gone(&gone, 60.0);
            }
        }));
        seen.done.store(true, SeqCst);
        if let Err(fault) = ended {
            std::panic::resume_unwind(fault);
        }
    });
    let faults = seen.faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(balancer.processes().contains(&balancer.pid()), "the first process has the tunnel");
    drop(tunnel);
    balancer.wait_gone(&[balancer.pid()], 60.0);
    balancer.wait_status("one process, and nothing is in flight", 60.0, |status| {
        status.0["generations"].as_array().unwrap().len() == 1
            && status.targets().iter().all(|target| target["outstanding_requests"] == 0)
    });
}

#[test]
fn upgrades_under_load_lose_nothing() {
    upgrades_lose_nothing("off");
}

#[test]
fn upgrades_under_load_lose_nothing_with_the_kernel_side() {
    upgrades_lose_nothing("auto");
}
