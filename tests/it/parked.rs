//! Client connections that have been idle for a while are parked: nothing is kept of them but what they need to go on, and they
//! go on as if nothing had happened.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use support::{
    Balancer, Config, Connection, Group, Target,
    access_log::wait_for,
    http2, ports,
    tls::{Certificate, Session},
    until,
};

/// Waits until so many connections are parked.
fn parked(balancer: &Balancer, wanted: u64) {
    balancer.wait_status("so many are parked", 30.0, |status| status.total("connections_parked") == wanted);
}

/// Waits until so many connections are open.
fn open(balancer: &Balancer, wanted: u64) {
    balancer.wait_status("so many are open", 30.0, |status| status.total("connections_active") == wanted);
}

fn logged(config: Config, folder: &Path) -> Config {
    let path = folder.join("access.log").display().to_string();
    config.attribute(&format!("access_logs {{\n    enabled = true\n    path = \"{path}\"\n  }}"))
}

#[test]
fn one_that_is_parked_goes_on_as_the_connection_that_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::plain();
    let balancer = Balancer::start(&logged(Config::new(&[&target]), folder.path()));
    let mut connection = balancer.connect();
    assert_eq!(connection.get("/", "").status, 200);
    let accepted = balancer.status().total("connections_accepted");
    parked(&balancer, 1);
    for _ in 0..2 {
        assert_eq!(connection.get("/", "").status, 200);
        parked(&balancer, 1);
    }
    assert_eq!(connection.post("/", b"a body").status, 200);
    let status = balancer.wait_status("all are counted", 10.0, |status| status.total("requests") >= 4);
    let figures = ["connections_accepted", "connections_active", "requests"].map(|name| status.total(name));
    assert_eq!(figures, [accepted, 1, 4]);
    let lines = wait_for(&folder.path().join("access.log"), 4);
    for line in &lines[1..] {
        for name in ["client:port", "conn_trace_id", "ip_address", "elb_status_code"] {
            assert_eq!(line[name], lines[0][name], "{name}");
        }
    }
    let requests = target.requests();
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"] {
        let told: Vec<_> = requests.iter().map(|request| request.headers.get(name)).collect();
        assert!(told[0].is_some() && told.iter().all(|value| *value == told[0]), "{name}: {told:?}");
    }
    drop(connection);
    open(&balancer, 0);
}

/// What comes before a request line is no request, in however many pieces it comes.
#[test]
fn an_empty_line_in_pieces_is_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::plain();
    let balancer = Balancer::start(&logged(Config::new(&[&target]), folder.path()));
    let mut connection = balancer.connect();
    for round in 1..4 {
        connection.send("\r");
        // It is there, and is not known to be an empty line.
        open(&balancer, 1);
        parked(&balancer, 0);
        connection.send("\n");
        parked(&balancer, 1);
        assert_eq!(connection.get("/", "").status, 200);
        let lines = wait_for(&folder.path().join("access.log"), round);
        assert!(lines.iter().all(|line| &line["elb_status_code"] == "200"), "{lines:?}");
        parked(&balancer, 1);
    }
}

#[test]
fn one_with_tls_goes_on_in_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let facts = "routing_http_request_x_amzn_tls_version_header_name = \"X-Tls\"";
    let config = logged(Config::new(&[&target]), folder.path())
        .attribute("enable_tls_version_and_cipher_suite_headers = true")
        .listener(facts);
    let balancer = Balancer::start(&config.https(&certificate));
    for version in ["-tls1_3", "-tls1_2"] {
        let mut session = Session::open(balancer.address, &["-servername", "example.test", version]);
        for _ in 0..2 {
            assert_eq!(session.get("/", "").status, 200);
            parked(&balancer, 1);
        }
        assert_eq!(session.get("/", "").status, 200);
        let told: Vec<_> =
            target.requests().iter().map(|request| request.headers.get("x-tls").map(str::to_owned)).collect();
        let last = &told[told.len() - 3..];
        assert!(last[0].is_some() && last.iter().all(|value| value == &last[0]), "{last:?}");
        drop(session);
        open(&balancer, 0);
    }
    let lines = wait_for(&folder.path().join("access.log"), 6);
    for group in lines.chunks(3) {
        for name in ["ssl_protocol", "ssl_cipher", "conn_trace_id", "domain_name", "chosen_cert_arn"] {
            assert!(
                group[0][name] != *"-"
                    && group[1][name] == group[0][name]
                    && group[2][name] == group[0][name],
                "{name}"
            );
        }
    }
    assert_eq!(balancer.status().total("client_tls_handshakes"), 2);
}

/// Waits until all that was sent from this port has been read.
fn is_read(port: u16) {
    // Of each line the addresses of both ends, and what waits to be sent and to be read (proc_pid_net(5)).
    let unread = || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        let line = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut of_it = line.filter(|words| words[2].ends_with(&format!(":{port:04X}")));
        of_it.next().is_some_and(|words| !words[4].ends_with(":00000000"))
    };
    until("it is read", 20.0, || (!unread()).then_some(()));
}

/// A relay: what comes is passed on, or the first bytes of it alone until it is told to go on.
struct Relay {
    address: SocketAddr,
    cut: mpsc::Sender<usize>,
    /// The port that the first bytes were sent from.
    has_cut: mpsc::Receiver<u16>,
    go: mpsc::Sender<()>,
}

impl Relay {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = mpsc::channel::<usize>();
        let (cutting, has_cut) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        thread::spawn(move || {
            let mut client = listener.accept().unwrap().0;
            let mut server = TcpStream::connect(server).unwrap();
            let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut answers, &mut back));
            let mut bytes = vec![0; 16_384];
            while let Ok(length @ 1..) = client.read(&mut bytes) {
                let first = cuts.try_recv().unwrap_or(length).min(length);
                server.write_all(&bytes[..first]).unwrap();
                if first < length {
                    cutting.send(server.local_addr().unwrap().port()).unwrap();
                    goes.recv().unwrap();
                    server.write_all(&bytes[first..length]).unwrap();
                }
            }
        });
        Self { address, cut, has_cut, go }
    }
}

#[test]
fn a_record_of_tls_that_comes_in_two_pieces_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).https(&certificate));
    let relay = Relay::before(balancer.address);
    let mut session = Session::open(relay.address, &["-servername", "example.test"]);
    assert_eq!(session.get("/", "").status, 200);
    for first in [1, 3, 20] {
        parked(&balancer, 1);
        relay.cut.send(first).unwrap();
        session.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
        // What is no whole record is kept, however long the rest of it takes.
        is_read(relay.has_cut.recv().unwrap());
        parked(&balancer, 1);
        relay.go.send(()).unwrap();
        assert_eq!(session.reader().response("GET").unwrap().status, 200);
    }
    let again = |request: &&support::Request| request.target == "/again";
    assert_eq!(target.requests().iter().filter(again).count(), 3);
}

#[test]
fn a_head_that_comes_in_pieces_is_whole() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    assert_eq!(connection.get("/", "").status, 200);
    let port = connection.stream().local_addr().unwrap().port();
    parked(&balancer, 1);
    // An empty line before it is no request.
    connection.send("\r\n");
    is_read(port);
    parked(&balancer, 1);
    for piece in ["GET /again HTT", "P/1.1\r\nHost: a\r\n"] {
        connection.send(piece);
        is_read(port);
    }
    parked(&balancer, 0);
    connection.send("\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((connection.response().status, connection.response().status), (200, 200));
    parked(&balancer, 1);
    assert_eq!(balancer.status().total("requests"), 3);
}

#[test]
fn who_ends_or_half_closes_or_resets_is_gone() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut held: Vec<Connection> = (0..3).map(|_| balancer.connect()).collect();
    for connection in &mut held {
        assert_eq!(connection.get("/", "").status, 200);
    }
    parked(&balancer, 3);
    let [mut half, closed, reset] = <[Connection; 3]>::try_from(held).unwrap();
    half.stream().shutdown(Shutdown::Write).unwrap();
    assert!(half.is_closed());
    drop(closed);
    open(&balancer, 1);
    parked(&balancer, 1);
    reset.reset();
    open(&balancer, 0);
    parked(&balancer, 0);
}

#[test]
fn who_has_said_nothing_is_parked_and_may_begin_with_either_version() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let (mut first, second) = (balancer.connect(), TcpStream::connect(balancer.address).unwrap());
    parked(&balancer, 2);
    assert_eq!(first.get("/", "").status, 200);
    assert_eq!(http2::Connection::over(second).begun().status_of("/", &[]), 200);
    assert_eq!(balancer.status().total("http2_connections_opened"), 1);
    // One that has spoken HTTP/1.1 is not asked again what it speaks.
    parked(&balancer, 1);
    first.send(http2::PREFACE);
    assert!(first.response().status >= 400);
}

#[test]
fn the_time_for_a_first_request_goes_on() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).attribute("idle_timeout = 3"));
    let began = Instant::now();
    let mut fresh = balancer.connect();
    parked(&balancer, 1);
    assert!(fresh.is_closed_within(Duration::from_secs(20)));
    let after = began.elapsed();
    assert!(after > Duration::from_millis(2500), "not before its time: {after:?}");
    open(&balancer, 0);
}

#[test]
fn a_process_that_ends_does_not_wait_for_them() {
    let target = Target::plain();
    for workers in [1, 2] {
        let mut balancer = Balancer::start(&Config::new(&[&target]).workers(workers));
        let mut held: Vec<Connection> = (0..20).map(|_| balancer.connect()).collect();
        for connection in &mut held[..10] {
            assert_eq!(connection.get("/", "").status, 200);
        }
        parked(&balancer, 20);
        balancer.signal(Signal::TERM);
        assert!(held.iter_mut().all(Connection::is_closed));
        assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
    }
}

#[test]
fn what_was_sent_as_the_process_begins_to_end_is_answered() {
    let target = Target::plain();
    let mut balancer = Balancer::start(&Config::new(&[&target]));
    let mut held: Vec<Connection> = (0..50).map(|_| balancer.connect()).collect();
    for connection in &mut held {
        assert_eq!(connection.get("/", "").status, 200);
    }
    parked(&balancer, 50);
    // It hears of all of that at once.
    balancer.signal(Signal::STOP);
    for connection in &mut held {
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    balancer.signal(Signal::TERM);
    balancer.signal(Signal::CONT);
    for connection in &mut held {
        assert_eq!(connection.response().status, 200);
        assert!(connection.is_closed());
    }
    assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
}

#[test]
fn the_old_process_of_an_upgrade_keeps_them_until_their_next_request() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).workers(2));
    let mut held: Vec<Connection> = (0..10).map(|_| balancer.connect()).collect();
    for connection in &mut held {
        assert_eq!(connection.get("/", "").status, 200);
    }
    parked(&balancer, 10);
    let old = balancer.pid();
    balancer.upgraded();
    let generations = balancer.status().0["generations"].clone();
    assert_eq!(generations[1]["connections_active"], 10);
    for connection in &mut held {
        let response = connection.get("/", "");
        assert_eq!((response.status, response.header("connection")), (200, "close"));
        assert!(connection.is_closed());
    }
    balancer.wait_gone(&[old], 20.0);
}

#[test]
fn a_listener_that_is_taken_away_closes_them() {
    let (first, second) = (Target::plain(), Target::plain());
    let port = ports::free();
    let config = Config::new(&[&first]);
    let more = format!(
        "listener \"second\" {{\n  port = {port}\n  address = \"127.0.0.1\"\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.second.arn\n  }}\n}}\n"
    );
    let balancer = Balancer::start(&config.clone().group(Group::new("second", &[&second])).more(&more));
    let mut stays = balancer.connect();
    let mut goes: Vec<Connection> = (0..3).map(|_| Connection::open(([127, 0, 0, 1], port).into())).collect();
    assert_eq!(
        (stays.get("/", "").status, goes[0].get("/", "").status, goes[1].get("/", "").status),
        (200, 200, 200)
    );
    parked(&balancer, 4);
    balancer.reload(&config);
    assert!(goes.iter_mut().all(Connection::is_closed), "one that has said nothing, too");
    assert_eq!(stays.get("/", "").status, 200);
    open(&balancer, 1);
}

#[test]
fn they_make_room_for_others() {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]));
    // A third of these are kept back, and half of the others is for clients: 50, and room is made as soon as there are so many.
    balancer.descriptors = Some(150);
    balancer.run();
    balancer.wait_until_settled();
    let mut held: Vec<Connection> = (0..49).map(|_| balancer.connect()).collect();
    parked(&balancer, 49);
    let mut late = balancer.connect();
    assert_eq!(late.get("/", "").status, 200);
    assert!(held.iter_mut().all(Connection::is_closed));
    open(&balancer, 1);
}

/// What is there is measured between two numbers of connections: what a process needs by itself is in both.
#[test]
fn an_idle_connection_takes_a_few_hundred_bytes() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("off"));
    let mut held = Vec::new();
    let mut until_there_are = |count: usize| {
        held.extend((held.len()..count).map(|_| balancer.connect()));
        held.iter_mut()
            .for_each(|connection: &mut Connection| assert_eq!(connection.get("/", "").status, 200));
        parked(&balancer, count as u64);
        balancer.memory()
    };
    let few = until_there_are(500);
    // What the allocator has is given back as soon as they are parked, within a moment.
    let least = |memory: u64| (memory.saturating_sub(few)) / 2500;
    until_there_are(3000);
    let each =
        until("memory is given back", 30.0, || Some(least(balancer.memory())).filter(|each| *each <= 700));
    assert!(each <= 700, "{each} bytes");
}

#[test]
fn an_idle_connection_with_tls_takes_little_but_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("off").https(&certificate));
    let held = Many::open(balancer.address, 50);
    parked(&balancer, 50);
    let few = balancer.memory();
    let more = Many::open(balancer.address, 400);
    parked(&balancer, 450);
    until("memory is given back", 30.0, || {
        ((balancer.memory().saturating_sub(few)) / 400 <= 10_000).then_some(())
    });
    drop((held, more));
    open(&balancer, 0);
}

/// Many connections with TLS of one program, each of which has asked for something.
struct Many(Child);

impl Many {
    fn open(address: SocketAddr, count: usize) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", MANY, &address.port().to_string(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut line).expect("all are answered");
        Self(child)
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        drop(self.0.wait());
    }
}

const MANY: &str = "\
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
held = []
for _ in range(int(sys.argv[2])):
    connection = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
    connection.sendall(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
    assert connection.recv(4096).startswith(b'HTTP/1.1 200')
    held.append(connection)
print('x', flush=True)
sys.stdin.read()
";
