//! The engine's conduct towards clients and targets.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use balancer::{
    counters::OwnStatus,
    id::Slot,
    snapshot::{ListenerId, WorkerMessage},
};

use crate::bed::{Balancer, Conduct};

impl Balancer {
    /// One whose client connections end at this age.
    fn aged(targets: &[SocketAddr], idle: Duration, client_keep_alive: Duration) -> Self {
        Self::made(targets, idle, Conduct { client_keep_alive, ..Conduct::default() })
    }

    fn ask(&self, request: &[u8]) -> String {
        ask(self.address, request)
    }

    fn own(&self, status: OwnStatus) -> u64 {
        self.figures.shard(0).own_responses[status.index()].get()
    }
}

fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A target that runs `each` for every connection, with its number.
fn target(each: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let each = Arc::new(each);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let each = Arc::clone(&each);
            thread::spawn(move || each(number, stream.unwrap()));
        }
    });
    address
}

/// Answers every request on a connection with its own head as the body.
fn echo() -> SocketAddr {
    target(|_, mut stream| {
        while let Some(head) = read_head(&mut stream) {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

const IDLE: Duration = Duration::from_secs(30);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn requests_pass_and_the_target_connection_is_used_again() {
    let balancer = Balancer::start(&[echo()], IDLE);
    let mut stream = TcpStream::connect(balancer.address).unwrap();
    stream
        .write_all(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    assert!(answers.find("GET /1 HTTP/1.1").unwrap() < answers.find("GET /2 HTTP/1.1").unwrap());
    assert!(answers.contains("X-Forwarded-For: 127.0.0.1\r\n"), "{answers}");
    assert_eq!(balancer.worker.counters.target_connects.get(), 1);
    assert_eq!(balancer.kernel.tables().counters.read(Slot(0)).open, 1);
    assert_eq!(balancer.kernel.tables().outstanding.get(Slot(0)), 0);
}

#[test]
fn what_is_not_a_request_gets_its_code_and_reaches_no_target() {
    let balancer = Balancer::start(&[target(|_, _| panic!("reached"))], IDLE);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000));
    let wide = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(17_000));
    for (request, code) in [
        (&b"GET / HTTP/1.1\nHost: a\n\n"[..], 400),
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
        (long.as_bytes(), 414),
        (wide.as_bytes(), 400),
    ] {
        let answer = balancer.ask(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code} ")),
            "{:?}: {answer}",
            &request[..20.min(request.len())]
        );
    }
}

#[test]
fn a_target_that_refuses_costs_no_request() {
    // Bound and not listening: one that was closed may be had a moment longer by a child that another test has just forked.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let refusing = socket.local_addr().unwrap().as_socket().unwrap();
    let balancer = Balancer::start(&[refusing, echo()], IDLE);
    for _ in 0..10 {
        assert!(balancer.ask(GET).starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(balancer.worker.counters.retries.get(), 5, "every second request turned elsewhere");
    let alone = Balancer::start(&[refusing], IDLE);
    assert!(alone.ask(GET).starts_with("HTTP/1.1 502 "));
    assert!(Balancer::start(&[], IDLE).ask(GET).starts_with("HTTP/1.1 503 "));
}

#[test]
fn target_faults_get_their_codes() {
    let fault = |answer: &'static [u8]| {
        let address = target(move |_, mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(answer);
        });
        Balancer::start(&[address], IDLE).ask(GET)
    };
    assert!(fault(b"").starts_with("HTTP/1.1 502 "));
    assert!(fault(b"garbage\r\n\r\n").starts_with("HTTP/1.1 502 "));
    assert!(fault(b"HTTP/1.1 200 OK\r\nContent-Le").starts_with("HTTP/1.1 502 "));
    assert!(fault(b"HTTP/1.1 101 Switching\r\n\r\n").starts_with("HTTP/1.1 502 "));
    let cut = fault(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    assert!(!cut.contains("502"), "the head is out: {cut}");
    let silent = Balancer::start(
        &[target(|_, mut stream| {
            read_head(&mut stream);
            thread::park();
        })],
        Duration::from_secs(1),
    );
    assert!(silent.ask(GET).starts_with("HTTP/1.1 504 "));
}

#[test]
fn a_pooled_connection_that_died_is_replaced_for_safe_requests_only() {
    let address = target(|_, mut stream| {
        // One answer, then the connection closes on the next request without a word.
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        read_head(&mut stream);
    });
    let balancer = Balancer::start(&[address], IDLE);
    assert!(balancer.ask(GET).ends_with("ok"));
    assert!(balancer.ask(GET).ends_with("ok"), "sent again on a fresh connection");
    assert_eq!(balancer.worker.counters.retries.get(), 1);
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert!(balancer.ask(post).starts_with("HTTP/1.1 502 "));
}

#[test]
fn a_client_that_leaves_is_recorded_and_frees_the_target() {
    let (gone, left) = std::sync::mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let address = target(move |_, mut stream| {
        read_head(&mut stream);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        gone.lock().unwrap().send(()).unwrap();
    });
    let balancer = Balancer::start(&[address], IDLE);
    let mut stream = TcpStream::connect(balancer.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    eventually("in flight", || balancer.kernel.tables().outstanding.get(Slot(0)) == 1);
    drop(stream);
    left.recv_timeout(Duration::from_secs(10)).expect("the target's connection is closed");
    eventually("recorded", || balancer.own(OwnStatus::ClientClosed) == 1);
    eventually("nothing in flight", || balancer.kernel.tables().outstanding.get(Slot(0)) == 0);
}

#[test]
fn bodies_trailers_and_100_continue() {
    let address = target(|_, mut stream| {
        read_head(&mut stream);
        let mut body = Vec::new();
        let mut byte = [0];
        while !body.ends_with(b"0\r\nX-Sum: 1\r\n\r\n") {
            if stream.read(&mut byte).unwrap() == 0 {
                break;
            }
            body.push(byte[0]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let _ = stream.write_all(&body);
    });
    let balancer = Balancer::start(&[address], IDLE);
    let mut stream = TcpStream::connect(balancer.address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_head(&mut stream).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), "{answer}");
}

#[test]
fn an_upgrade_becomes_a_tunnel_with_half_close() {
    let address = target(|_, mut stream| {
        let head = read_head(&mut stream).unwrap();
        assert!(head.contains("Upgrade: echo\r\nConnection: Upgrade\r\n"), "{head}");
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello ",
            )
            .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let balancer = Balancer::start(&[address], IDLE);
    let mut stream = TcpStream::connect(balancer.address).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
        .unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 101 "));
    stream.write_all(b" late").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all, "hello early late");
}

#[test]
fn a_slow_head_gets_408_and_silence_gets_nothing() {
    let balancer = Balancer::start(&[echo()], Duration::from_secs(1));
    assert!(balancer.ask(b"GET / HTTP/1.1\r\nHos").starts_with("HTTP/1.1 408 "));
    assert_eq!(balancer.ask(b""), "");
}

#[test]
fn a_client_that_stops_reading_holds_its_target_back() {
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let address = target(move |_, mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").unwrap();
        let block = vec![0; 65536];
        while stream.write_all(&block).is_ok() {
            counter.fetch_add(block.len(), std::sync::atomic::Ordering::Relaxed);
        }
    });
    let balancer = Balancer::start(&[address], Duration::from_secs(3));
    let mut stream = TcpStream::connect(balancer.address).unwrap();
    stream.write_all(GET).unwrap();
    // The idle timeout ends it: by then the target has sent what sockets and one buffer hold.
    eventually("given up", || {
        let figures = balancer.figures.shard(0);
        figures.connections_accepted.get() == 1 && figures.connections_active.get() == 0
    });
    let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!(sent < 64 << 20, "{sent} bytes were taken from the target");
    drop(stream);
}

/// How exactly workers keep time.
const TICK: Duration = Duration::from_millis(100);

#[test]
fn a_connection_of_age_answers_once_more_and_ends() {
    let age = Duration::from_secs(3);
    let balancer = Balancer::aged(&[echo()], Duration::from_secs(5), age);
    let (began, mut answered) = (Instant::now(), 0);
    let mut stream = TcpStream::connect(balancer.address).unwrap();
    loop {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let head = read_head(&mut stream).expect("every request is answered");
        answered += 1;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        if head.contains("Connection: close") {
            break;
        }
        thread::sleep(TICK / 2);
    }
    assert!(answered > 1 && began.elapsed() + TICK >= age, "{answered} in {:?}", began.elapsed());
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn an_http2_connection_of_age_answers_once_more_and_says_goaway() {
    let age = Duration::from_secs(3);
    let balancer = Balancer::aged(&[echo()], Duration::from_secs(5), age);
    let (began, mut answered) = (Instant::now(), 0);
    let stream = tokio::net::TcpStream::connect(balancer.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(connection);
    while !ended.is_finished() {
        // Who has heard GOAWAY is not ready for another.
        let Ok(mut sender) = sender.clone().ready().await else { break };
        let request = http::Request::get(format!("http://{}/", balancer.address)).body(()).unwrap();
        let Ok((response, _)) = sender.send_request(request, true) else { break };
        assert_eq!(response.await.expect("every request is answered").status(), 200);
        answered += 1;
        tokio::time::sleep(TICK / 2).await;
    }
    drop(sender);
    ended.await.unwrap().expect("it ends in order");
    assert!(answered > 1 && began.elapsed() + TICK >= age, "{answered} in {:?}", began.elapsed());
}

#[test]
fn draining_finishes_what_runs_and_ends_the_thread() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let address = target(move |_, mut stream| {
        read_head(&mut stream);
        released.lock().unwrap().recv().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let balancer = Balancer::start(&[address], IDLE);
    let mut busy = TcpStream::connect(balancer.address).unwrap();
    let mut idle = TcpStream::connect(balancer.address).unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    eventually("in flight", || balancer.kernel.tables().outstanding.get(Slot(0)) == 1);
    eventually("accepted", || balancer.figures.shard(0).connections_accepted.get() == 2);
    balancer.worker.messages.send(WorkerMessage::Drain(Duration::from_secs(30))).unwrap();
    let mut nothing = Vec::new();
    idle.read_to_end(&mut nothing).unwrap();
    assert!(nothing.is_empty());
    release.send(()).unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Connection: close\r\n") && answer.ends_with("ok"), "{answer}");
    balancer.worker.thread.join().unwrap();
}

/// Another process goes on with the socket, as in an upgrade: whoever was accepted a moment before the worker lets go of it is
/// served to its end, and everybody else waits for that process.
#[test]
fn who_was_accepted_as_a_worker_hands_over_is_served() {
    const THREADS: usize = 24;
    const ROUNDS: usize = 3;
    let target = echo();
    let is_lost = |before: usize| {
        let Balancer { address, worker, socket, kernel: _kernel, .. } = Balancer::start(&[target], IDLE);
        // In which order its tasks have their turns depends on how many had one before.
        for _ in 0..before {
            assert!(ask(address, GET).starts_with("HTTP/1.1 200 "));
        }
        let mut client = TcpStream::connect(address).unwrap();
        let message = WorkerMessage::HandOver(Arc::from([ListenerId(0)]), Duration::from_secs(10));
        worker.messages.send(message).unwrap();
        client.write_all(GET).unwrap();
        worker.thread.join().unwrap();
        let waits = socket.accept().is_ok();
        !waits && read_head(&mut client).is_none()
    };
    let lost: usize = thread::scope(|scope| {
        let rounds = || (0..ROUNDS).filter(|round| is_lost([3, 6, 7][round % 3])).count();
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(rounds)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(lost, 0, "of {}", THREADS * ROUNDS);
}

#[test]
fn who_says_that_nothing_follows_is_not_waited_for() {
    let balancer = Balancer::start(&[echo()], IDLE);
    // Whether what is sent behind the answer is still taken: a socket that is closed resets the connection.
    let is_waited_for = |request: &[u8]| {
        let mut stream = TcpStream::connect(balancer.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        (0..10_000).all(|_| {
            thread::yield_now();
            stream.write_all(b"x").is_ok()
        })
    };
    assert!(!is_waited_for(GET));
    assert!(!is_waited_for(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
    let more = [GET, b"GET /more"].concat();
    assert!(is_waited_for(&more), "more has come, and closing would destroy the answer");
    assert!(
        balancer
            .ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
            .contains("POST /")
    );
}
