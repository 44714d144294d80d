//! Targets that are lost before they say anything: what is asked of another one, and what is not.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use support::{
    Answer, Balancer, Config, Group, Target,
    http2::{Connection, Outcome, flag, kind},
    http2_target::{listen, speak},
};

/// A target that ends every connection unanswered.
fn mute(how: Answer) -> Target {
    Target::start(move |_| how)
}

fn group(targets: &[&Target]) -> Group {
    Group::new("app", targets).unchecked().algorithm("round_robin")
}

#[test]
fn a_get_on_a_new_connection_is_asked_of_another_target() {
    for how in [Answer::Close, Answer::Reset] {
        let (lost, alive) = (mute(how), Target::plain());
        let balancer = Balancer::start(&Config::with(group(&[&lost, &alive]).lb_cookie()).http2());
        for number in 0..6 {
            let response = balancer.connect().get("/", "");
            assert_eq!((response.status, response.text()), (200, alive.address.clone()), "{how:?} {number}");
            let cookie = response.cookie("AWSALB").expect("a cookie for the target that answered").to_owned();
            let again = balancer.connect().get("/", &format!("Cookie: AWSALB={cookie}\r\n"));
            assert_eq!(again.text(), alive.address);
            let mut http2 = Connection::open(balancer.address);
            let stream = http2.get("/", &[]);
            let answer = Outcome::Answer(200, alive.address.clone().into_bytes());
            assert_eq!(http2.outcome(stream), answer, "{how:?} {number}");
        }
        assert!(lost.count() > 0, "nothing was tested");
        let status = balancer.status();
        assert_eq!(status.total("retries"), lost.count() as u64);
        assert_eq!((status.own(502), status.own(504)), (0, 0));
    }
}

#[test]
fn only_what_may_be_done_twice_is_asked_again() {
    for (request, again) in [
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", true),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", false),
        ("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", false),
    ] {
        let targets = [mute(Answer::Close), mute(Answer::Close), mute(Answer::Close)];
        let balancer = Balancer::start(&Config::with(group(&targets.each_ref())));
        let mut connection = balancer.connect();
        connection.send(request);
        let method = request.split(' ').next().unwrap();
        assert_eq!(connection.response_to(method).status, 502, "{request}");
        let asked: usize = targets.iter().map(Target::count).sum();
        assert_eq!(asked, 1 + usize::from(again), "{request}");
        assert!(targets.iter().all(|target| target.count() < 2), "{request}: another target");
    }
}

#[test]
fn a_request_that_targets_die_of_brings_down_two_at_most() {
    let targets: [Target; 5] = std::array::from_fn(|_| {
        Target::start(
            |exchange| if exchange.request.target == "/" { exchange.ok("", "") } else { Answer::Reset },
        )
    });
    let balancer = Balancer::start(&Config::with(group(&targets.each_ref())).http2());
    let struck = |path: &str| {
        let of = |target: &&Target| target.requests().iter().any(|request| request.target == path);
        targets.iter().filter(of).count()
    };
    assert_eq!(balancer.connect().get("/new", "").status, 502);
    assert_eq!(struck("/new"), 2);
    for _ in 0..10 {
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
    // Now there are connections that are kept to all of them.
    assert_eq!(balancer.connect().get("/kept", "").status, 502);
    assert!(struck("/kept") <= 2, "{}", struck("/kept"));
    let mut http2 = Connection::open(balancer.address);
    assert_eq!(http2.status_of("/http2", &[]), 502);
    assert!(struck("/http2") <= 2, "{}", struck("/http2"));
}

/// Three targets of HTTP/2, to each of which there are four connections that are kept.
struct Kept {
    balancer: Balancer,
    /// Whether the connections end unanswered, all of them or those that were there before.
    all_end: Arc<AtomicBool>,
    old_end: Arc<AtomicBool>,
    /// Requests that they ended for.
    ended: Arc<AtomicUsize>,
}

impl Kept {
    const CONNECTIONS: usize = 12;

    /// `counted`: the target says that it has seen the request.
    fn start(counted: bool) -> Self {
        let (all_end, old_end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let ended = Arc::new(AtomicUsize::new(0));
        let (met, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(Self::CONNECTIONS)));
        let targets: [String; 3] = std::array::from_fn(|_| {
            let (all_end, old_end, ended) = (all_end.clone(), old_end.clone(), ended.clone());
            let (met, together) = (met.clone(), together.clone());
            listen(move |stream| {
                let number = met.fetch_add(1, Relaxed);
                // One request at a time.
                speak(stream, &[(3, 1)], |connection, frame| {
                    if frame.kind != kind::HEADERS {
                        return true;
                    }
                    let is_old = number < Self::CONNECTIONS;
                    if all_end.load(Relaxed) || (is_old && old_end.load(Relaxed)) {
                        ended.fetch_add(1, Relaxed);
                        if counted {
                            let seen = [frame.stream.to_be_bytes(), [0; 4]].concat();
                            connection.frame(kind::GOAWAY, 0, 0, seen);
                        }
                        return false;
                    }
                    if is_old {
                        together.wait();
                    }
                    connection.frame(
                        kind::HEADERS,
                        flag::END_HEADERS | flag::END_STREAM,
                        frame.stream,
                        [0x88],
                    );
                    true
                });
            })
        });
        let group = Group::of("app", &targets).line("protocol_version = \"HTTP2\"").unchecked();
        let config = Config::with(group.algorithm("round_robin")).workers(1).http2();
        let kept = Self { balancer: Balancer::start(&config), all_end, old_end, ended };
        let mut client = Connection::open(kept.balancer.address);
        for _ in 0..Self::CONNECTIONS {
            client.get("/", &[]);
        }
        for _ in 0..Self::CONNECTIONS {
            let answer = client.read_until(kind::HEADERS);
            assert_eq!(support::http2::status(&answer.payload), 200);
        }
        assert_eq!(kept.balancer.status().total("target_connects"), Self::CONNECTIONS as u64);
        kept
    }
}

#[test]
fn what_targets_can_have_seen_is_sent_twice_at_most_however_many_connections_are_kept() {
    for counted in [false, true] {
        let kept = Kept::start(counted);
        kept.all_end.store(true, Relaxed);
        for number in 1..=3 {
            assert_eq!(Connection::open(kept.balancer.address).status_of("/", &[]), 502);
            assert_eq!(kept.ended.load(Relaxed), 2 * number, "counted: {counted}");
        }
    }
    let targets: [Target; 3] = std::array::from_fn(|_| {
        Target::start(
            |exchange| if exchange.request.target == "/" { exchange.ok("", "") } else { Answer::Close },
        )
    });
    let balancer = Balancer::start(&Config::with(group(&targets.each_ref())));
    for _ in 0..3 {
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
    let sent = || targets.iter().map(Target::count).sum::<usize>();
    let before = sent();
    assert_eq!(balancer.connect().get("/ends", "").status, 502);
    assert_eq!(sent() - before, 2);
}

#[test]
fn what_a_connection_that_was_kept_loses_goes_over_a_new_one() {
    let kept = Kept::start(false);
    kept.old_end.store(true, Relaxed);
    // All that are kept are at their end: another of them would be lost, too.
    assert_eq!(Connection::open(kept.balancer.address).status_of("/", &[]), 200);
    assert_eq!(kept.ended.load(Relaxed), 1);
}

#[test]
fn what_has_begun_to_answer_is_not_asked_again() {
    let hinting = Target::start(|exchange| {
        exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        if exchange.earlier == 0 { exchange.ok("", "") } else { Answer::Close }
    });
    let balancer = Balancer::start(&Config::with(group(&[&hinting])));
    let get = || {
        let mut connection = balancer.connect();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let hint = connection.reader().response_head().unwrap().unwrap();
        assert_eq!(hint.status, 103);
        connection.response().status
    };
    assert_eq!((get(), get()), (200, 502));
    assert_eq!(hinting.count(), 2);
}

#[test]
fn sessions_that_would_rather_fail_do() {
    let targets: [Target; 2] = std::array::from_fn(|_| {
        Target::start(
            |exchange| {
                if exchange.request.target == "/" { exchange.ok("", "") } else { Answer::Close }
            },
        )
    });
    let failing = group(&targets.each_ref()).lb_cookie().line("stickiness_failover = \"fail\"");
    let balancer = Balancer::start(&Config::with(failing));
    let mut client = balancer.client();
    assert_eq!(client.get("/").status, 200);
    let home = targets.iter().position(|target| target.count() == 1).unwrap();
    client.disconnect();
    assert_eq!(client.get("/gone").status, 502);
    assert_eq!(targets[1 - home].count(), 0, "another target was asked");
}

#[test]
fn who_waits_in_the_queue_of_a_target_that_dies_gets_an_answer() {
    const CLIENTS: usize = 24;
    let queue = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = queue.local_addr().unwrap().to_string();
    let alive = Target::plain();
    let targets = [address.clone(), alive.address.clone()];
    let waiting = Group::of("app", &targets).unchecked().algorithm("round_robin");
    let balancer = Balancer::start(&Config::with(waiting).workers(2));
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| balancer.connect().get("/", "").status)).collect();
        balancer.wait_status("half of them wait", 30.0, |status| {
            status.target(&address)["outstanding_requests"] == (CLIENTS / 2) as u64
        });
        // Nobody has accepted them: all are reset.
        drop(queue);
        let answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert_eq!(answers, [200; CLIENTS]);
    });
    assert_eq!(balancer.status().total("retries"), (CLIENTS / 2) as u64);
}

#[test]
fn who_reads_nothing_of_a_body_is_504_and_no_fault_of_the_client() {
    let (ended, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let target = Target::heads(move |_| {
        // Until the test is over.
        let _ = wait.lock().unwrap().recv();
        Answer::Close
    });
    let config = Config::with(group(&[&target])).attribute("idle_timeout = 2").http2();
    let balancer = Balancer::start(&config);
    let mut connection = balancer.connect();
    let mut sender = connection.stream().try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
            sender.write_all(head.as_bytes()).unwrap_or_default();
            let block = vec![0; 1 << 16];
            while sender.write_all(&block).is_ok() {}
        });
        assert_eq!(connection.response().status, 504);
        drop(connection);
    });
    // A client that stops sending is at fault itself.
    let mut connection = balancer.connect();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(connection.response().status, 408);
    let status = balancer.status();
    assert_eq!((status.own(504), status.own(408)), (1, 1));

    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::File::create(&body).unwrap().set_len(64 << 20).unwrap();
    let output = std::process::Command::new("curl")
        .args(["-sS", "--max-time", "30", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code}"])
        .args(["-H", "Expect:", "--data-binary", &format!("@{}", body.display())])
        .arg(format!("http://{}/", balancer.address))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "504");
    let mut http2 = Connection::open(balancer.address);
    let stream = http2.post("/", &[("content-length", "10")]);
    http2.data(stream, b"half", false);
    assert!(matches!(http2.outcome(stream), Outcome::Answer(408, _)));
    let status = balancer.status();
    assert_eq!((status.own(504), status.own(408)), (2, 2));
    drop(ended);
}
