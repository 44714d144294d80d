//! One process takes the place of another: what it takes over, what the other one finishes, and what is seen of both.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    sync::{Mutex, mpsc},
};

use rustix::process::Signal;
use support::{
    Answer, Balancer, Client, Config, Group, Target,
    http2::{self, kind},
    kernel,
    tls::{Certificate, Session, handshake},
    until,
};

/// With the kernel side where there is one, and without.
const ASSISTS: [&str; 2] = ["off", "auto"];

fn config(targets: &[&Target], assist: &str) -> Config {
    Config::new(targets).kernel_assist(assist).workers(2)
}

/// One that answers `/slow` when it is told to.
fn slow_target() -> (Target, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let target = Target::start(move |exchange| {
        if exchange.request.target == "/slow" {
            let _ = wait.lock().unwrap().recv();
        }
        exchange.ok("", "answered")
    });
    (target, go)
}

/// The new process serves and the old one finishes what it has: each is counted once, by both, and seen in the status.
#[test]
fn the_old_process_finishes_what_it_has_and_is_shown() {
    for assist in ASSISTS {
        let (target, go) = slow_target();
        let balancer = Balancer::start(&config(&[&target], assist));
        let mut slow = balancer.connect();
        slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        until("the request is there", 10.0, || (target.count() == 1).then_some(()));
        let mut idle = balancer.connect();
        assert_eq!(idle.get("/", "").header("connection"), "");

        let old = balancer.pid();
        let new = balancer.upgraded();
        assert_ne!(old, new);
        let status = balancer.status();
        let generations = status.0["generations"].as_array().unwrap();
        let pids: Vec<u64> = generations.iter().map(|it| it["pid"].as_u64().unwrap()).collect();
        assert_eq!(pids, [u64::from(new), u64::from(old)]);
        let (first, second) = (&generations[0], &generations[1]);
        assert!(first["draining"] == false && first["ends_in_seconds"].is_null(), "{first}");
        assert_eq!(second["draining"], true);
        assert_eq!((&second["connections_active"], &second["requests_in_flight"]), (&2.into(), &1.into()));
        assert!(second["ends_in_seconds"].as_u64().unwrap() > 3000, "{second}");
        // Both processes count.
        assert_eq!(status.target(&target.address)["outstanding_requests"], 1);

        // Who wants the instance is told who has it now.
        let second = Balancer::prepare(&config(&[&target], assist));
        second.write_text(
            &second.text(&config(&[&target], assist)).replace(second.instance(), balancer.instance()),
        );
        let ended = { second }.run_to_end();
        assert!(ended.code == Some(1) && ended.log.contains(&format!("process {new}")), "{}", ended.log);

        // A new connection is the new process's; an idle one is told with its next response, and not before.
        assert_eq!(balancer.connect().get("/", "").text(), "answered");
        assert_eq!(balancer.status().total("connections_accepted"), 1);
        assert_eq!(idle.get("/", "").header("connection"), "close");
        assert!(idle.is_closed());

        go.send(()).unwrap();
        let finished = slow.response();
        assert_eq!((finished.text().as_str(), finished.header("connection")), ("answered", "close"));
        balancer.wait_gone(&[old], 20.0);
        let status = balancer.wait_status("one process", 20.0, |status| {
            status.0["generations"].as_array().unwrap().len() == 1
        });
        assert_eq!(status.target(&target.address)["outstanding_requests"], 0);
    }
}

/// Some clients make nothing of an answer that comes behind a GOAWAY, nor of a PING there.
#[test]
fn a_client_of_http_2_has_its_answer_before_it_is_told_to_go() {
    let (target, go) = slow_target();
    let balancer = Balancer::start(&config(&[&target], "off").http2());
    let mut client = http2::Connection::open(balancer.address);
    client.get("/slow", &[]);
    until("the request is there", 10.0, || (target.count() == 1).then_some(()));
    balancer.upgraded();
    go.send(()).unwrap();
    let mut kinds = Vec::new();
    while kinds.last() != Some(&kind::GOAWAY) {
        kinds.push(client.read().expect("the connection is not over").kind);
    }
    kinds.retain(|kind| [kind::HEADERS, kind::DATA, kind::PING, kind::GOAWAY].contains(kind));
    assert_eq!(kinds, [kind::HEADERS, kind::DATA, kind::PING, kind::GOAWAY]);
}

/// Each of these connections is good for one more request, which the old process sends to who is healthy by then.
#[test]
fn who_has_kept_a_connection_is_not_sent_to_a_target_that_has_failed_since() {
    stays_with_the_old_process("auto");
}

#[test]
fn who_has_kept_a_connection_is_not_sent_to_one_that_has_failed_without_the_kernel_side() {
    stays_with_the_old_process("off");
}

fn stays_with_the_old_process(assist: &str) {
    let (sick, well) = (Target::plain(), Target::plain());
    let balancer = Balancer::start(&config(&[&sick, &well], assist).workers(1));
    balancer.wait_status("it is healthy", 60.0, |status| status.state(&sick.address) == "healthy");
    let mut clients: Vec<_> = (0..10).map(|_| balancer.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/", "").status, 200));
    let old = balancer.pid();
    balancer.upgraded();
    sick.set_healthy(false);
    let before = sick.checks();
    balancer.wait_status("it is unhealthy", 60.0, |status| status.state(&sick.address) == "unhealthy");
    // Both check in turns: each has found it unhealthy by its second, and the old one has told its worker by the next.
    until("it was checked by both", 90.0, || (sick.checks() >= before + 7).then_some(()));
    for mut client in clients {
        let response = client.get("/", "");
        assert_eq!((response.header("connection"), response.text()), ("close", well.address.clone()));
    }
    let log = balancer.log();
    assert_eq!(log.matches("to=\"unhealthy\"").count(), 1, "one process tells: {log}");
    balancer.wait_gone(&[old], 60.0);
}

/// Sessions, counters and logs go on where they were.
#[test]
fn sessions_counters_and_log_lines_are_there_once() {
    for assist in ASSISTS {
        let targets = [Target::sessions(), Target::sessions()];
        let refs: Vec<&Target> = targets.iter().collect();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let config = Config::with(Group::new("app", &refs).app_cookie("SESSIONID"))
            .kernel_assist(assist)
            .workers(2)
            .attribute(&format!(
                "access_logs {{\n    enabled = true\n    path = \"{}\"\n  }}",
                log.display()
            ));
        let balancer = Balancer::start(&config);
        // These return the application's cookie alone.
        let mut clients: Vec<Client> = (0..8).map(|_| balancer.client()).collect();
        let mut homes = Vec::new();
        for client in &mut clients {
            client.withheld = vec!["AWSALB".to_owned()];
            homes.push(client.get("/").header("x-target").to_owned());
        }
        let opened = |balancer: &Balancer| -> u64 {
            let status = balancer.status();
            status.targets().iter().map(|target| target["connections"]["opened"].as_u64().unwrap()).sum()
        };
        let mut requests = 8;
        for _ in 0..3 {
            let before = opened(&balancer);
            balancer.upgraded();
            assert!(opened(&balancer) >= before);
            for (client, home) in clients.iter_mut().zip(&homes) {
                for _ in 0..2 {
                    let response = client.get("/");
                    assert_eq!((response.header("x-target"), response.header("x-lost")), (home.as_str(), ""));
                    requests += 1;
                }
            }
        }
        balancer.signal_newest(Signal::TERM);
        until("all end", 20.0, || balancer.processes().is_empty().then_some(()));
        let lines = fs::read_to_string(&log).unwrap();
        assert_eq!(lines.lines().count(), requests, "{lines}");
        assert!(lines.lines().all(|line| line.contains(" 200 200 ") && line.contains("GET http")), "{lines}");
    }
}

/// What the old process knew of targets the new one knows: one failed check moves nobody, and what drains does so on.
#[test]
fn states_of_targets_go_on() {
    let moody = Target::start(|exchange| exchange.ok("", "moody"));
    let (other, gone) = (Target::plain(), Target::plain());
    let config = |targets: &[&Target]| {
        let check = "path = \"/healthz\"\ninterval = 5\ntimeout = 2\nunhealthy_threshold = 10";
        let group = Group { health_check: check.into(), ..Group::new("app", targets) };
        Config::with(group.lb_cookie()).workers(2)
    };
    let balancer = Balancer::start(&config(&[&moody, &other, &gone]));
    let mut client = until("a session of the one", 60.0, || {
        let mut client = balancer.client();
        (client.get("/").text() == "moody").then_some(client)
    });
    balancer.reload(&config(&[&moody, &other]));
    assert_eq!(balancer.status().state(&gone.address), "draining");
    moody.set_healthy(false);
    balancer.upgraded();
    assert_eq!(balancer.status().state(&gone.address), "draining");
    balancer.wait_status("its check has failed", 60.0, |status| {
        !status.target(&moody.address)["check_error"].is_null()
    });
    assert_eq!(balancer.status().state(&moody.address), "healthy", "it takes ten in a row");
    assert_eq!(client.get("/").text(), "moody");
}

/// Clients take their TLS sessions up again at the new process.
#[test]
fn tls_sessions_are_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).https(&certificate).workers(2));
    let kept = folder.path().join("session");
    let kept = kept.to_str().unwrap();
    Session::open(balancer.address, &["-tls1_3", "-sess_out", kept]).get("/", "");
    for _ in 0..2 {
        balancer.upgraded();
        let said = handshake(balancer.address, &["-tls1_3", "-sess_in", kept]);
        assert!(said.contains("Reused"), "{said}");
    }
}

/// Workers may be more or fewer, listeners come and go, a setting that takes a restart takes effect.
#[test]
fn workers_listeners_and_settings_change() {
    let target = Target::plain();
    let balancer = Balancer::start(&config(&[&target], "off").workers(3));
    let second = support::ports::free();
    let more = |text: &str| {
        format!(
            "{text}listener \"more\" {{\n  address = \"127.0.0.1\"\n  port = {second}\n  protocol = \"HTTP\"\n  \
             default_action {{\n    type = \"forward\"\n    target_group_arn = aws_lb_target_group.app.arn\n  }}\n}}\n"
        )
    };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], second));
    for (workers, has_more) in [(1, true), (4, true), (2, false), (2, true)] {
        let text = balancer.text(&config(&[&target], "off").workers(workers));
        balancer.write_text(&if has_more { more(&text) } else { text });
        balancer.upgraded();
        assert_eq!(balancer.status().0["workers"], workers);
        // Whichever socket the system gives them to.
        for _ in 0..40 {
            assert_eq!(balancer.connect().get("/", "").status, 200);
            if has_more {
                assert_eq!(support::Connection::open(address).get("/", "").status, 200);
            }
        }
        if !has_more {
            until("the listener is closed", 10.0, || {
                std::net::TcpStream::connect(address).is_err().then_some(())
            });
        }
    }
}

/// SIGUSR2 does the same, to whichever process serves.
#[test]
fn a_signal_upgrades_as_well() {
    let target = Target::plain();
    let balancer = Balancer::start(&config(&[&target], "off"));
    let mut pid = balancer.pid();
    for _ in 0..2 {
        balancer.signal_newest(Signal::USR2);
        let status = balancer.wait_status("another process serves", 20.0, |status| {
            status.0["generations"][0]["pid"].as_u64() != Some(u64::from(pid))
        });
        balancer.wait_gone(&[pid], 20.0);
        pid = u32::try_from(status.0["generations"][0]["pid"].as_u64().unwrap()).unwrap();
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
}

/// When the time of the old process is over, WebSockets are told so at both ends, where a frame can be put in; what is cut
/// off in the middle of one gets nothing more.
#[test]
fn websockets_are_told_that_the_time_is_over() {
    let (heard, hears) = mpsc::channel::<Vec<u8>>();
    let heard = Mutex::new(heard);
    let target = Target::start(move |exchange| {
        exchange
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        // A whole frame; and another one, of which the end does not come, for who asks for it.
        exchange.send(b"\x82\x03abc");
        if exchange.request.target == "/half" {
            exchange.send(b"\x82\x03ab");
        }
        let mut all = Vec::new();
        let _ = exchange.reader.stream().read_to_end(&mut all);
        let _ = heard.lock().unwrap().send(all);
        Answer::Close
    });
    let balancer = Balancer::start(&config(&[&target], "off").process("upgrade_drain = 1"));
    for (path, at_the_end) in
        [("/", &b"\x82\x03abc\x88\x02\x03\xe9"[..]), ("/half", b"\x82\x03abc\x82\x03ab")]
    {
        let old = balancer.processes();
        let mut stream = TcpStream::connect(balancer.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        until("the tunnel is there", 20.0, || (balancer.status().total("tunnels_active") == 1).then_some(()));
        stream.write_all(b"\x81\x81\x00\x00\x00\x00x").unwrap();
        balancer.upgraded();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let body = all.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(&all[body..], at_the_end, "{path}");
        drop(stream);
        let seen = hears.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(seen, b"\x81\x81\x00\x00\x00\x00x\x88\x82\x00\x00\x00\x00\x03\xe9", "{path}");
        balancer.wait_gone(&old, 60.0);
    }
}

/// A service manager hears who serves.
#[test]
fn a_service_manager_is_told_which_process_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let heard = || {
        let mut text = [0; 256];
        loop {
            let length = socket.recv(&mut text).expect("a word");
            let word = String::from_utf8_lossy(&text[..length]).into_owned();
            if !word.starts_with("FDSTORE") {
                return word;
            }
        }
    };
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&config(&[&target], "off"));
    balancer.environment = vec![("NOTIFY_SOCKET", path.display().to_string())];
    balancer.run();
    assert_eq!(heard(), "READY=1");
    let old = balancer.pid();
    let new = balancer.upgraded();
    let mut words = [heard(), heard()];
    words.sort();
    assert_eq!(words, [format!("MAINPID={new}"), "READY=1".to_owned()]);
    balancer.wait_gone(&[old], 20.0);
    balancer.signal_newest(Signal::TERM);
    assert_eq!(heard(), "STOPPING=1", "the process that was succeeded says nothing of an end");
}

/// A process that has given up root and starting programs is upgraded all the same, by one that starts as root.
#[test]
fn who_has_given_up_root_is_upgraded() {
    if !kernel::is_root() {
        return;
    }
    for assist in ASSISTS {
        let target = Target::plain();
        let config = config(&[&target], assist).process("user = \"nobody\"").process("seccomp = \"on\"");
        let balancer = Balancer::start(&config);
        for _ in 0..2 {
            let new = balancer.upgraded();
            let status = fs::read_to_string(format!("/proc/{new}/status")).unwrap();
            let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
            assert!(uids.split_whitespace().all(|uid| uid == "65534"), "{uids}");
            assert!(status.contains("Seccomp:\t2"), "{status}");
            assert_eq!(balancer.connect().get("/", "").status, 200);
        }
    }
}

/// Rotation of logs reaches a process that finishes what it has, too.
#[test]
fn log_files_are_opened_anew_by_all_processes() {
    let (target, go) = slow_target();
    let folder = tempfile::tempdir().unwrap();
    let (log, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let config = config(&[&target], "off")
        .attribute(&format!("access_logs {{\n    enabled = true\n    path = \"{}\"\n  }}", log.display()));
    let balancer = Balancer::start(&config);
    let mut slow = balancer.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request is there", 10.0, || (target.count() == 1).then_some(()));
    let old = balancer.pid();
    balancer.upgraded();
    fs::rename(&log, &moved).unwrap();
    balancer.signal_newest(Signal::USR1);
    let has_open = |pid: u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).any(|path| path == log)
    };
    until("the old process has the new file", 20.0, || has_open(old).then_some(()));
    go.send(()).unwrap();
    assert_eq!(slow.response().status, 200);
    balancer.wait_gone(&[old], 20.0);
    assert!(fs::read_to_string(&log).unwrap().contains("/slow"));
}
