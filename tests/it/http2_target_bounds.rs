//! What a request can cost targets: how many connections and attempts, and for how long it waits for room.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use support::{
    Balancer, Config, Group,
    http2::{Connection, Outcome, flag, frame, kind, status},
    http2_target::{attend, listen},
    until,
};

const UNAVAILABLE: u16 = 503;

/// A listener that counts who comes and does as it is told with each in a thread of its own.
struct Counting {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Counting {
    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let address = listen(move |stream| {
            count.fetch_add(1, SeqCst);
            serve(stream);
        });
        Self { address, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// Speaks HTTP/2 with these settings; `serve` gets kind and stream of each frame of a request, and each PING.
fn speak(
    stream: TcpStream,
    settings: &[(u16, u32)],
    mut serve: impl FnMut(&mut Connection, u8, u32) -> bool,
) {
    attend(stream, settings, |connection, frame| {
        !matches!(frame.kind, kind::PING | kind::HEADERS | kind::DATA)
            || serve(connection, frame.kind, frame.stream)
    });
}

fn ok(connection: &mut Connection, stream: u32) {
    connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, [0x88]);
}

fn before(targets: &[String], connect_timeout: u32) -> Balancer {
    let group =
        Group::of("app", targets).line("protocol_version = \"HTTP2\"").algorithm("round_robin").unchecked();
    let config = Config::with(group).workers(1).http2();
    Balancer::start(&config.attribute(&format!("connect_timeout = {connect_timeout}")))
}

#[test]
fn a_target_that_allows_no_request_gets_one_connection() {
    let target = Counting::start(|stream| speak(stream, &[(3, 0)], |_, _, _| true));
    let balancer = before(std::slice::from_ref(&target.address), 1);
    let mut connection = Connection::open(balancer.address);
    let begun = Instant::now();
    assert_eq!(connection.status_of("/", &[]), UNAVAILABLE);
    assert!(begun.elapsed() >= Duration::from_millis(800), "it waited for room: {:?}", begun.elapsed());
    assert_eq!(target.connections(), 1);
    let streams: Vec<u32> = (0..30).map(|_| connection.get("/", &[])).collect();
    let mut left = streams.len();
    while left > 0 {
        left -= usize::from(connection.read_until(kind::HEADERS).flags & flag::END_HEADERS != 0);
    }
    assert_eq!(target.connections(), 1, "however many wait");
    assert_eq!(balancer.status().own(UNAVAILABLE), 31);
}

#[test]
fn who_waits_for_room_goes_as_soon_as_there_is_some() {
    let opened: Arc<Mutex<Option<TcpStream>>> = Arc::default();
    let kept = Arc::clone(&opened);
    let target = Counting::start(move |stream| {
        speak(stream, &[(3, 0)], |connection, kind, stream| {
            // Its settings have gone out: what is raised now stays.
            if kind == kind::PING {
                *kept.lock().unwrap() = Some(connection.socket().try_clone().unwrap());
            }
            if kind == kind::HEADERS {
                ok(connection, stream);
            }
            true
        });
    });
    let balancer = before(std::slice::from_ref(&target.address), 30);
    let mut connection = Connection::open(balancer.address);
    let streams: Vec<u32> = (0..20).map(|_| connection.get("/", &[])).collect();
    balancer
        .wait_status("all wait", 10.0, |status| status.target(&target.address)["outstanding_requests"] == 20);
    until("the target has told its settings", 10.0, || opened.lock().unwrap().is_some().then_some(()));
    let raise = |most: u32| {
        let setting = [&3_u16.to_be_bytes()[..], &most.to_be_bytes()].concat();
        let stream = opened.lock().unwrap();
        stream.as_ref().unwrap().write_all(&frame(kind::SETTINGS, 0, 0, &setting)).unwrap();
    };
    // One at a time: each place that becomes free goes to the next.
    raise(1);
    let mut left = streams.len();
    while left > 0 {
        assert_eq!(status(&connection.read_until(kind::HEADERS).payload), 200);
        left -= 1;
    }
    // Who is told in vain may open another, which allows nothing: with it there are enough.
    assert!(target.connections() <= 2, "{}", target.connections());
}

#[test]
fn who_waits_for_room_leaves_with_its_client() {
    let target = Counting::start(|stream| speak(stream, &[(3, 0)], |_, _, _| true));
    let balancer = before(std::slice::from_ref(&target.address), 60);
    let waiting = |count: u64| {
        balancer.wait_status("they wait, or do not", 10.0, |status| {
            status.target(&target.address)["outstanding_requests"] == count
        });
    };
    let mut connection = Connection::open(balancer.address);
    let stream = connection.get("/", &[]);
    connection.get("/", &[]);
    waiting(2);
    // On a connection: who leaves before there is one does not wait for room.
    until("the target is connected to", 10.0, || (target.connections() == 1).then_some(()));
    connection.frame(kind::RST_STREAM, 0, stream, 8_u32.to_be_bytes());
    waiting(1);
    drop(connection);
    waiting(0);
    assert_eq!(balancer.status().own(460), 2);
    assert_eq!(target.connections(), 1);
}

#[test]
fn connections_are_as_many_as_requests_need() {
    let target = Counting::start(|stream| {
        let mut held = Vec::new();
        speak(stream, &[(3, 1)], move |connection, kind, stream| {
            if kind == kind::HEADERS {
                held.push(stream);
                // The first of a connection is answered when its second would come, which is never.
                if held.len() > 1 {
                    ok(connection, stream);
                }
            }
            true
        });
    });
    let balancer = before(std::slice::from_ref(&target.address), 10);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..12 {
        connection.get("/", &[]);
    }
    balancer.wait_status("all are with the target", 10.0, |status| {
        status.target(&target.address)["requests"] == 12
    });
    assert_eq!(target.connections(), 12);
}

/// What a target can do with a connection instead of serving it, and how often one request may meet that.
#[test]
fn a_target_that_serves_nothing_is_left_after_a_few_connections() {
    type Serve = fn(TcpStream);
    let ways: [(&str, Serve); 8] = [
        ("closes at once", |_| {}),
        ("closes after the preface", |mut stream| {
            let _ = stream.read_exact(&mut [0; 24]);
        }),
        ("speaks garbage", |mut stream| {
            let _ = stream.write_all(&[0xff; 4096]);
            let _ = stream.read(&mut [0; 4096]);
        }),
        ("speaks HTTP/1.1", |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.read(&mut [0; 4096]);
        }),
        ("ends a connection as soon as it is open", |stream| {
            speak(stream, &[], |_, kind, _| kind != kind::PING);
        }),
        ("allows nothing and goes", |stream| {
            speak(stream, &[(3, 0)], |_, kind, _| kind != kind::PING);
        }),
        ("says GOAWAY at once", |stream| {
            speak(stream, &[], |connection, kind, _| {
                if kind == kind::PING {
                    connection.frame(kind::GOAWAY, 0, 0, [0; 8]);
                }
                kind == kind::PING
            });
        }),
        ("refuses every stream", |stream| {
            speak(stream, &[], |connection, kind, stream| {
                if kind == kind::HEADERS {
                    connection.frame(kind::RST_STREAM, 0, stream, 7_u32.to_be_bytes());
                }
                true
            });
        }),
    ];
    for (name, serve) in ways {
        let target = Counting::start(serve);
        // Our client does not wait as long as connecting may take here.
        let balancer = before(std::slice::from_ref(&target.address), 60);
        let status = Connection::open(balancer.address).status_of("/", &[]);
        assert_eq!(status, 502, "{name}");
        assert!((1..=4).contains(&target.connections()), "{name}: {} connections", target.connections());
    }
}

#[test]
fn a_target_that_says_goaway_to_each_request_is_left_for_another() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let leaving = Counting::start(move |stream| {
        let count = Arc::clone(&count);
        speak(stream, &[], move |connection, kind, _| {
            if kind == kind::HEADERS {
                count.fetch_add(1, SeqCst);
                connection.frame(kind::GOAWAY, 0, 0, [0; 8]);
            }
            true
        });
    });
    let taking = Counting::start(|stream| {
        speak(stream, &[], |connection, kind, stream| {
            if kind == kind::DATA {
                ok(connection, stream);
            }
            true
        });
    });
    let balancer = before(&[leaving.address.clone(), taking.address.clone()], 5);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..4 {
        // Not even a POST has been seen by who says that it has seen nothing; its body has not begun yet.
        let stream = connection.post("/", &[]);
        let met = seen.load(SeqCst);
        balancer.wait_status(
            "it is with the target that takes it, or goes from one to the other",
            10.0,
            |status| status.target(&taking.address)["outstanding_requests"] == 1,
        );
        assert!(seen.load(SeqCst) <= met + 4);
        connection.data(stream, b"body", true);
        assert_eq!(connection.outcome(stream), Outcome::Answer(200, Vec::new()));
    }
    assert!(leaving.connections() <= 16, "{}", leaving.connections());
    assert!(seen.load(SeqCst) > 0, "it was asked");
}

#[test]
fn a_connection_that_ends_before_any_byte_is_left_for_another_target_once() {
    for (method, body, targets, status, asked) in [
        ("GET", false, 3, 502, 2),
        ("DELETE", false, 3, 502, 2),
        ("POST", false, 3, 502, 1),
        ("PUT", true, 3, 502, 1),
        ("GET", false, 1, 502, 1),
    ] {
        let seen = Arc::new(AtomicUsize::new(0));
        let dying: Vec<_> = (0..targets)
            .map(|_| {
                let seen = Arc::clone(&seen);
                Counting::start(move |stream| {
                    let seen = Arc::clone(&seen);
                    speak(stream, &[], move |_, kind, _| {
                        seen.fetch_add(usize::from(kind == kind::HEADERS), SeqCst);
                        kind == kind::PING
                    });
                })
            })
            .collect();
        let addresses: Vec<_> = dying.iter().map(|target| target.address.clone()).collect();
        let balancer = before(&addresses, 5);
        let mut connection = Connection::open(balancer.address);
        let fields = [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "a")];
        let stream = connection.begin(&fields, !body);
        if body {
            connection.data(stream, b"x", true);
        }
        let Outcome::Answer(answered, _) = connection.outcome(stream) else { panic!("no answer") };
        assert_eq!((answered, seen.load(SeqCst)), (status, asked), "{method} {body} {targets}");
    }
}

#[test]
fn one_target_that_dies_costs_a_get_nothing() {
    let dying = Counting::start(|stream| speak(stream, &[], |_, kind, _| kind == kind::PING));
    let taking = Counting::start(|stream| {
        speak(stream, &[], |connection, kind, stream| {
            if kind == kind::HEADERS {
                ok(connection, stream);
            }
            true
        });
    });
    let balancer = before(&[dying.address.clone(), taking.address], 5);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..6 {
        assert_eq!(connection.status_of("/", &[]), 200);
    }
    assert_eq!(dying.connections(), 3, "each of its turns");
}
