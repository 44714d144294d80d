//! Targets that speak HTTP/2: connections shared by requests, and which clients go with which targets.

use std::{
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
};

use support::{
    Balancer, Config, Group, Target,
    http2::{Connection, Outcome, block, flag, kind},
    http2_target::{attend, listen},
    nginx::Nginx,
    until,
};

const REFUSED: u32 = 7;
const CANCEL: u32 = 8;

/// A target on which every frame is the test's own: `serve` gets the number of the connection and each HEADERS,
/// DATA and RST_STREAM frame.
fn raw(
    settings: &'static [(u16, u32)],
    serve: impl Fn(usize, &mut Connection, &support::http2::Frame) -> bool + Send + Sync + 'static,
) -> String {
    let met = AtomicUsize::new(0);
    listen(move |stream| {
        let number = met.fetch_add(1, Relaxed);
        attend(stream, settings, |connection, frame| {
            !matches!(frame.kind, kind::HEADERS | kind::DATA | kind::RST_STREAM)
                || serve(number, connection, frame)
        });
    })
}

/// `:status: 200` and nothing more.
fn ok(connection: &mut Connection, stream: u32) {
    connection.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, [0x88]);
}

fn group(targets: &[String]) -> Group {
    Group::of("app", targets).line("protocol_version = \"HTTP2\"").algorithm("round_robin").unchecked()
}

fn before(targets: &[String]) -> Balancer {
    Balancer::start(&Config::with(group(targets)).http2())
}

fn http2_nginx() -> Nginx {
    Nginx::http2()
}

#[test]
fn every_pair_of_protocols_is_served_or_answered_464() {
    let one = Target::plain();
    let two = http2_nginx();
    two.file("a", b"file");
    let groups =
        [("HTTP1", one.address.clone()), ("HTTP2", two.address.clone()), ("GRPC", two.address.clone())];
    for (version, address) in groups {
        let group =
            Group::of("app", &[address]).line(&format!("protocol_version = \"{version}\"")).unchecked();
        let balancer = Balancer::start(&Config::with(group).http2());
        let http1 = balancer.connect().get("/a", "").status;
        let mut connection = Connection::open(balancer.address);
        let get = connection.status_of("/a", &[]);
        let mut post = |content_type| {
            let stream = connection.post("/a", &[("content-type", content_type), ("te", "trailers")]);
            connection.data(stream, &[0; 5], true);
            match connection.outcome(stream) {
                Outcome::Answer(status, _) => status,
                other => panic!("{other:?}"),
            }
        };
        let (plain, grpc) = (post("text/plain"), post("application/grpc"));
        // nginx takes no POST for a file: what it says shows that it was asked.
        let wanted = match version {
            "HTTP1" => (200, 200, 200, 464),
            "HTTP2" => (464, 200, 405, 405),
            _ => (464, 464, 405, 405),
        };
        assert_eq!((http1, get, plain, grpc), wanted, "{version}");
    }
}

#[test]
fn a_real_server_is_asked_over_few_connections() {
    let nginx = http2_nginx();
    let content: Vec<u8> = (0..500_000_u32).map(|place| (place % 253) as u8).collect();
    nginx.file("large.bin", &content);
    nginx.file("small", b"small");
    let group = Group::of("app", std::slice::from_ref(&nginx.address)).line("protocol_version = \"HTTP2\"");
    let group = Group { health_check: "path = \"/small\"".to_owned(), ..group }.lb_cookie();
    let balancer = Balancer::start(&Config::with(group).http2());
    let url = |path: &str| format!("http://{}/{path}", balancer.address);
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--http2-prior-knowledge", &url("large.bin")])
        .output()
        .unwrap();
    assert!(output.stdout == content, "{}", String::from_utf8_lossy(&output.stderr));
    let output =
        Command::new("h2load").args(["-n", "2000", "-c", "4", "-m", "20", &url("small")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored"), "{text}");
    let status = balancer.status();
    assert!(status.total("target_connects") <= 6, "{} connections", status.total("target_connects"));
    assert_eq!(status.target(&nginx.address)["state"], "healthy");
    let output = Command::new("curl")
        .args(["-sSi", "--max-time", "20", "--http2-prior-knowledge", &url("small")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("set-cookie: AWSALB="), "{text}");
}

#[test]
fn when_a_connection_is_full_another_is_opened() {
    let (go, wait) = mpsc::channel::<u32>();
    let wait = Mutex::new(wait);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let held = Mutex::new(Vec::new());
    let target = raw(&[(3, 2)], move |number, connection, frame| {
        noted.lock().unwrap().push(number);
        held.lock().unwrap().push(frame.stream);
        // The second on a connection waits for the test, and then both are answered.
        if frame.stream > 1 {
            wait.lock().unwrap().recv().unwrap_or_default();
            ok(connection, 1);
            ok(connection, 3);
        }
        true
    });
    let balancer = before(&[target]);
    let mut connection = Connection::open(balancer.address);
    let streams: Vec<u32> = (0..6).map(|_| connection.get("/", &[])).collect();
    until("all are with the target", 10.0, || (seen.lock().unwrap().len() == 6).then_some(()));
    let mut numbers = seen.lock().unwrap().clone();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 0, 1, 1, 2, 2], "two on each");
    for _ in 0..3 {
        go.send(0).unwrap();
    }
    let mut left = streams.len();
    while left > 0 {
        left -= usize::from(connection.read_until(kind::HEADERS).flags & flag::END_STREAM != 0);
    }
}

#[test]
fn what_a_target_refuses_goes_to_another() {
    let refusing = raw(&[], |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            connection.frame(kind::RST_STREAM, 0, frame.stream, REFUSED.to_be_bytes());
        }
        true
    });
    let taking = raw(&[], |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            ok(connection, frame.stream);
        }
        true
    });
    let balancer = before(&[refusing.clone(), taking]);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..6 {
        assert_eq!(connection.status_of("/", &[]), 200);
    }
    assert_eq!(balancer.status().total("retries"), 3);
    let balancer = before(&[refusing]);
    assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 502);
}

/// The end of its body came by itself and was taken before the target refused: nothing of it is lost.
#[test]
fn a_refused_request_whose_body_is_its_end_alone_goes_to_another() {
    let (tell, told) = mpsc::channel();
    let target = |refuses: bool| {
        let tell = Mutex::new(tell.clone());
        raw(&[], move |_, connection, frame| {
            if frame.kind == kind::HEADERS {
                tell.lock().unwrap().send(refuses).unwrap();
            }
            match (frame.flags & flag::END_STREAM != 0, refuses) {
                (false, _) => {}
                (true, true) => {
                    connection.frame(kind::RST_STREAM, 0, frame.stream, REFUSED.to_be_bytes());
                }
                (true, false) => ok(connection, frame.stream),
            }
            true
        })
    };
    let balancer = before(&[target(true), target(false)]);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..4 {
        let stream = connection.post("/", &[]);
        // The target has its head.
        let was_at_refusing = told.recv().unwrap();
        connection.data(stream, b"", true);
        assert_eq!(connection.outcome(stream), Outcome::Answer(200, Vec::new()));
        if was_at_refusing {
            assert!(!told.recv().unwrap(), "it went to the other");
        }
    }
    assert_eq!(balancer.status().total("retries"), 2);
}

#[test]
fn a_connection_that_the_target_ends_is_left_for_a_fresh_one() {
    let target = raw(&[], |number, connection, frame| {
        if frame.kind != kind::HEADERS {
            return true;
        }
        // The first connection serves one request and says so when the second comes.
        if number == 0 && frame.stream > 1 {
            let last_and_code = [0, 0, 0, 1, 0, 0, 0, 0];
            connection.frame(kind::GOAWAY, 0, 0, last_and_code);
            return false;
        }
        ok(connection, frame.stream);
        true
    });
    let balancer = before(&[target]);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..5 {
        assert_eq!(connection.status_of("/", &[]), 200);
    }
    let status = balancer.status();
    assert_eq!((status.total("retries"), status.total("target_connects")), (1, 2));
}

#[test]
fn a_clients_reset_reaches_the_target_and_a_targets_the_client() {
    let (told, wait) = mpsc::channel();
    let target = raw(&[], move |_, connection, frame| {
        match frame.kind {
            kind::RST_STREAM => told.send(frame.payload.clone()).unwrap_or_default(),
            // A head without an end, and for the one that sends a body a reset after it.
            kind::HEADERS => {
                told.send(Vec::new()).unwrap_or_default();
                connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, [0x88]);
            }
            _ => {
                connection.frame(kind::RST_STREAM, 0, frame.stream, 13_u32.to_be_bytes());
            }
        }
        true
    });
    let balancer = before(&[target]);
    let mut connection = Connection::open(balancer.address);
    let stream = connection.get("/", &[]);
    let second = std::time::Duration::from_secs(10);
    assert!(wait.recv_timeout(second).unwrap().is_empty(), "the request arrives");
    connection.read_until(kind::HEADERS);
    connection.frame(kind::RST_STREAM, 0, stream, CANCEL.to_be_bytes());
    assert_eq!(wait.recv_timeout(second).unwrap(), CANCEL.to_be_bytes());
    let stream = connection.post("/", &[]);
    connection.data(stream, b"x", false);
    assert_eq!(connection.outcome(stream), Outcome::Reset(2), "INTERNAL_ERROR, whatever the target said");
}

#[test]
fn what_is_still_on_a_target_when_its_time_is_over_is_cut() {
    for version in ["HTTP1", "HTTP2"] {
        let one = Target::start(|exchange| {
            while matches!(exchange.reader.fill(), Ok(true)) {}
            support::Answer::Close
        });
        let address = if version == "HTTP1" { one.address.clone() } else { raw(&[], |_, _, _| true) };
        let config = |addresses: &[String]| {
            let group = Group::of("app", addresses).line(&format!("protocol_version = \"{version}\""));
            Config::with(group.unchecked().deregistration_delay(1)).http2()
        };
        let balancer = Balancer::start(&config(std::slice::from_ref(&address)));
        let mut connection = Connection::open(balancer.address);
        let stream = connection.get("/", &[]);
        balancer
            .wait_status("it is with the target", 10.0, |status| status.target(&address)["requests"] == 1);
        balancer.reload(&config(&[]));
        assert!(matches!(connection.outcome(stream), Outcome::Answer(502, _)), "{version}");
        assert_eq!(connection.status_of("/", &[]), 503, "{version}: the connection goes on");
    }
}

#[test]
fn checks_over_tls_offer_http_2() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-subj", "/CN=target", "-days", "2", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = support::ports::free();
    // Only over HTTP/2 is there anything at this path.
    let nginx = Nginx::start(&format!(
        "listen 127.0.0.1:{port} ssl http2; ssl_certificate {}; ssl_certificate_key {};\n\
         location = /two {{ if ($http2 = \"h2\") {{ return 200; }} return 404; }}",
        certificate.display(),
        key.display()
    ));
    for (version, state) in [("HTTP2", "healthy"), ("HTTP1", "unhealthy")] {
        let mut group = Group::of("app", std::slice::from_ref(&nginx.address))
            .line(&format!("protocol_version = \"{version}\""));
        group.health_check =
            format!("protocol = \"HTTPS\"\nport = {port}\npath = \"/two\"\ninterval = 5\ntimeout = 2");
        let balancer = Balancer::start(&Config::with(group).http2());
        balancer.wait_status(state, 20.0, |status| status.target(&nginx.address)["state"] == state);
    }
}

#[test]
fn a_target_that_does_not_speak_it_or_is_not_there_is_502_or_left() {
    let other = Target::plain();
    let balancer = before(std::slice::from_ref(&other.address));
    assert_eq!(Connection::open(balancer.address).status_of("/", &[]), 502);
    let nginx = http2_nginx();
    nginx.file("a", b"a");
    let gone = format!("127.0.0.1:{}", support::ports::free());
    let balancer = before(&[gone, nginx.address.clone()]);
    let mut connection = Connection::open(balancer.address);
    for _ in 0..4 {
        assert_eq!(connection.status_of("/a", &[]), 200);
    }
}

#[test]
fn responses_that_have_no_content_reach_clients_without() {
    let met = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&met);
    let target = raw(&[], move |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            // `:status` 204 and 304 of the static table, and a length, as what was asked for has it.
            let number = counting.fetch_add(1, Relaxed);
            let status = if number.is_multiple_of(2) { 0x89 } else { 0x8b };
            let length: &[u8] = if number < 2 { b"" } else { b"\x0f\x0d\x017" };
            let content: &[u8] = if number < 4 { b"content" } else { b"" };
            connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, [&[status], length].concat());
            connection.data(frame.stream, content, true);
        }
        true
    });
    let balancer = before(&[target]);
    let mut connection = Connection::open(balancer.address);
    for status in [204, 304, 204, 304, 204, 304] {
        let stream = connection.get("/", &[]);
        assert_eq!(connection.outcome(stream), Outcome::Answer(status, Vec::new()));
    }
    assert_eq!(balancer.status().total("target_connects"), 1);
}

#[test]
fn a_length_counts_for_the_response_that_says_it() {
    // A target says it with, or without, entering it into the table.
    let length = |mode: u8, value: &str| {
        [&[mode, 14][..], b"content-length", &[value.len() as u8], value.as_bytes()].concat()
    };
    let requests = AtomicUsize::new(0);
    let target = raw(&[], move |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            let number = requests.fetch_add(1, Relaxed);
            let mode = [0, 0x40][number % 2];
            let (interim, own) =
                [("0", None), ("9", None), ("9", Some("2, 2")), ("9, 9", Some("2,2"))][number / 2 % 4];
            let interim = [&b"\x08\x03103"[..], &length(mode, interim)].concat();
            let own = own.map(|own| length(mode, own)).unwrap_or_default();
            connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, interim);
            connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, [&[0x88][..], &own].concat());
            connection.data(frame.stream, b"ok", true);
        }
        true
    });
    let balancer = before(&[target]);
    let url = format!("http://{}/", balancer.address);
    let mut text = String::new();
    for _ in 0..8 {
        let mut curl = Command::new("curl");
        let output =
            curl.args(["-sSi", "--max-time", "20", "--http2-prior-knowledge", &url]).output().unwrap();
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(text.matches("HTTP/2 103").count(), 8, "{text}");
    assert_eq!(text.matches("HTTP/2 200").count(), 8, "{text}");
    assert_eq!(text.matches("\nok").count(), 8, "{text}");
    let lengths: Vec<_> = text.lines().filter(|line| line.starts_with("content-length")).collect();
    assert_eq!(lengths, ["content-length: 2"; 4], "{text}");
    assert!(!text.contains("settings"), "{text}");
}

#[test]
fn trailers_of_a_target_say_nothing_that_belongs_before_a_body() {
    let target = raw(&[], |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, [0x88]);
            connection.data(frame.stream, b"body", false);
            let fields = [
                ("x-sum", "4"),
                ("set-cookie", "AWSALB=1"),
                ("content-length", "7"),
                ("www-authenticate", "Negotiate"),
            ];
            connection.frame(
                kind::HEADERS,
                flag::END_HEADERS | flag::END_STREAM,
                frame.stream,
                block(&fields),
            );
        }
        true
    });
    let balancer = before(&[target]);
    let output = Command::new("curl")
        .args([
            "-sSi",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            &format!("http://{}/", balancer.address),
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let trailers = text.split("body").nth(1).unwrap_or_default();
    let names: Vec<_> =
        trailers.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    assert_eq!(names, ["x-sum"], "{text}");
}

#[test]
fn a_client_that_stops_reading_costs_little_and_holds_up_no_other() {
    let nginx = http2_nginx();
    nginx.file("large", &vec![7; 32 * 1024 * 1024]);
    nginx.file("small", b"small");
    let balancer = before(std::slice::from_ref(&nginx.address));
    let memory = balancer.memory();
    let mut stalled = Connection::open(balancer.address);
    for _ in 0..20 {
        stalled.get("/large", &[]);
    }
    let mut connection = Connection::open(balancer.address);
    for _ in 0..20 {
        assert_eq!(connection.status_of("/small", &[]), 200);
    }
    let grown = balancer.memory().saturating_sub(memory);
    assert!(grown < 16 * 1024 * 1024, "grew by {grown} bytes");
}

/// Three clients share one connection to their target, and the answer of one of them is ill-formed.
#[test]
fn an_answer_that_is_ill_formed_ends_its_request_and_no_other() {
    let head = |fields: &[(&str, &str)]| [&[0x88][..], &block(fields)].concat();
    let end = flag::END_HEADERS | flag::END_STREAM;
    type Frames = Vec<(u8, u8, Vec<u8>)>;
    let faults: Vec<(u16, Frames)> = vec![
        (502, vec![(kind::HEADERS, end, head(&[("X-Upper", "1")]))]),
        (502, vec![(kind::HEADERS, end, head(&[("x", "a\r\nb")]))]),
        (502, vec![(kind::HEADERS, end, head(&[(":other", "1")]))]),
        (502, vec![(kind::HEADERS, end, head(&[("connection", "close")]))]),
        (502, vec![(kind::HEADERS, end, head(&[("content-length", "x")]))]),
        (502, vec![(kind::HEADERS, end, block(&[("x", "1")]))]),
        (502, vec![(kind::DATA, 0, b"early".to_vec())]),
        (502, vec![(kind::RST_STREAM, 0, vec![0, 0, 0, 2])]),
        (
            200,
            vec![
                (kind::HEADERS, flag::END_HEADERS, head(&[("content-length", "2")])),
                (kind::DATA, 1, b"three".to_vec()),
            ],
        ),
        (
            200,
            vec![
                (kind::HEADERS, flag::END_HEADERS, head(&[])),
                (kind::HEADERS, end, block(&[(":path", "/")])),
            ],
        ),
    ];
    for (status, frames) in faults {
        let resets = Arc::new(Mutex::new(Vec::new()));
        let (seen, said) = (Arc::clone(&resets), format!("{frames:?}"));
        let met = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&met);
        let target = raw(&[], move |number, connection, frame| {
            count.fetch_max(number + 1, Relaxed);
            if frame.kind == kind::RST_STREAM {
                seen.lock().unwrap().push((frame.stream, frame.payload[3]));
            }
            // All three are there when the one in the middle gets its answer, and the others theirs around it.
            if frame.kind == kind::HEADERS && frame.stream == 5 {
                connection.frame(kind::HEADERS, flag::END_HEADERS, 1, [0x88]);
                for (kind, flags, payload) in &frames {
                    connection.frame(*kind, *flags, 3, payload);
                }
                connection.data(1, b"one", true);
                ok(connection, 5);
            }
            true
        });
        let balancer =
            Balancer::start(&Config::with(group(std::slice::from_ref(&target))).workers(1).http2());
        let mut clients: Vec<_> = (0..3).map(|_| Connection::open(balancer.address)).collect();
        let mut streams = Vec::new();
        for (asked, client) in clients.iter_mut().enumerate() {
            streams.push(client.get("/", &[]));
            if asked < 2 {
                balancer.wait_status("it is with the target", 10.0, |status| {
                    status.target(&target)["requests"] == asked as u64 + 1
                });
            }
        }
        assert_eq!(clients[0].outcome(streams[0]), Outcome::Answer(200, b"one".to_vec()), "{said}");
        assert_eq!(clients[2].outcome(streams[2]), Outcome::Answer(200, Vec::new()), "{said}");
        match clients[1].outcome(streams[1]) {
            Outcome::Answer(answered, _) => assert_eq!((answered, status), (502, 502), "{said}"),
            other => assert_eq!((other, status), (Outcome::Reset(2), 200), "{said}"),
        }
        if !said.starts_with("[(3,") {
            until("the target is told", 10.0, || (!resets.lock().unwrap().is_empty()).then_some(()));
            assert_eq!(*resets.lock().unwrap(), [(3, 1)], "PROTOCOL_ERROR: {said}");
        }
        assert_eq!(met.load(Relaxed), 1, "one connection: {said}");
    }
}

#[test]
fn a_target_gets_paths_as_they_came_and_no_head_that_is_too_large_for_it() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    // SETTINGS_MAX_HEADER_LIST_SIZE.
    let target = raw(&[(6, 2000)], move |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            seen.lock().unwrap().push(frame.payload.clone());
            ok(connection, frame.stream);
        }
        true
    });
    let balancer = before(&[target]);
    let mut connection = Connection::open(balancer.address);
    let path = "/a<b>`\"c?d=<\"e";
    assert_eq!(connection.status_of(&format!("{path}#f"), &[]), 200);
    let head = heads.lock().unwrap().pop().unwrap();
    assert!(head.windows(path.len()).any(|part| part == path.as_bytes()), "{}", head.escape_ascii());
    assert!(!head.contains(&b'#'), "{}", head.escape_ascii());
    let long = "v".repeat(1500);
    assert_eq!(connection.status_of("/", &[("x-long", &long), ("x-longer", &long)]), 400);
    assert!(heads.lock().unwrap().is_empty(), "it is not asked");
    assert_eq!(connection.status_of("/", &[("x-long", "v")]), 200);
    assert_eq!(balancer.status().total("target_connects"), 1);
}

#[test]
fn an_answer_that_its_connection_ends_right_behind_is_whole() {
    let target = raw(&[], |_, connection, frame| {
        if frame.kind == kind::HEADERS {
            connection.frame(kind::HEADERS, flag::END_HEADERS, frame.stream, [0x88]);
            connection.data(frame.stream, b"whole", true);
        }
        frame.kind != kind::HEADERS
    });
    let balancer = before(&[target]);
    let mut connection = Connection::open(balancer.address);
    // What it still sends finds nobody.
    let stream = connection.post("/", &[]);
    connection.data(stream, &[7; 16_000], false);
    assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"whole".to_vec()));
    for _ in 0..20 {
        let stream = connection.get("/", &[]);
        assert_eq!(connection.outcome(stream), Outcome::Answer(200, b"whole".to_vec()));
    }
}
