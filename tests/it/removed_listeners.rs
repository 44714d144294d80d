//! A reload that removes a listener, or moves it to another address: who had connected is served as if it were there, and
//! told that the connection ends.

use std::{
    net::{SocketAddr, TcpStream},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use support::{
    Answer, Balancer, Config, Connection, Group, Target,
    http2::{self, flag, kind},
    ports, until,
};

/// Two listeners with a target each; the second one comes and goes.
struct House {
    balancer: Balancer,
    config: Config,
    address: SocketAddr,
    _targets: [Target; 2],
}

impl House {
    fn new(workers: usize, second: Target) -> Self {
        let first = Target::start(|exchange| exchange.ok("", "stays"));
        let config = Config::new(&[&first]).workers(workers);
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let balancer = Balancer::start(&Self::with_second(&config, address, &second));
        Self { balancer, config, address, _targets: [first, second] }
    }

    /// With a group of its own.
    fn with_second(config: &Config, address: SocketAddr, target: &Target) -> Config {
        let more = format!(
            "listener \"second\" {{\n  port = {}\n  address = \"127.0.0.1\"\n  http2_prior_knowledge = true\n  default_action {{\n    \
             type = \"forward\"\n    target_group_arn = target_group.second.arn\n  }}\n}}\n",
            address.port()
        );
        config.clone().group(Group::new("second", &[target])).more(&more)
    }

    /// What `queue` does while the processor is elsewhere comes before the removal, as does what it gives back.
    fn remove_while<T>(&self, queue: impl FnOnce() -> T) -> T {
        let reloads = self.balancer.status().0["reloads"].as_u64().unwrap();
        self.balancer.write(&self.config);
        self.balancer.signal(Signal::STOP);
        let queued = queue();
        self.balancer.signal(Signal::HUP);
        self.balancer.signal(Signal::CONT);
        self.balancer
            .wait_status("the reload", 20.0, |status| status.0["reloads"].as_u64().unwrap() > reloads);
        queued
    }

    fn is_gone(&self) {
        until("nobody listens", 20.0, || TcpStream::connect(self.address).is_err().then_some(()));
        assert_eq!(self.balancer.connect().get("/", "").text(), "stays");
    }
}

fn second() -> Target {
    Target::start(|exchange| exchange.ok("", "was here"))
}

#[test]
fn who_waits_to_be_accepted_or_has_sent_a_request_is_served() {
    for workers in [1, 3] {
        let house = House::new(workers, second());
        let mut kept: Vec<_> = (0..50).map(|_| Connection::open(house.address)).collect();
        let mut idle = Connection::open(house.address);
        for connection in kept.iter_mut().chain([&mut idle]) {
            assert_eq!(connection.get("/", "").text(), "was here");
        }
        let mut waiting = house.remove_while(|| {
            kept.extend((0..400).map(|_| Connection::open(house.address)));
            for connection in &mut kept {
                connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
            }
            kept
        });
        for (number, connection) in waiting.iter_mut().enumerate() {
            let response = connection.try_response().unwrap_or_else(|error| panic!("{number}: {error}"));
            assert_eq!((response.status, response.text().as_str()), (200, "was here"), "{number}");
        }
        for connection in waiting.iter_mut().chain([&mut idle]) {
            assert!(connection.is_closed(), "nothing is kept alive where nobody listens");
        }
        house.is_gone();
    }
}

#[test]
fn a_first_request_has_a_moment_to_come() {
    let house = House::new(1, second());
    let (mut late, mut silent, began) = house.remove_while(|| {
        let late: Vec<_> = (0..9).map(|_| Connection::open(house.address)).collect();
        // The moment begins with the removal, which may have been a while ago by the time that it is seen.
        (late, Connection::open(house.address), Instant::now())
    });
    for connection in &mut late {
        let sent = connection.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let is_prompt = began.elapsed() < Duration::from_millis(500);
        match sent.and_then(|()| connection.try_response()) {
            Ok(response) => assert_eq!((response.status, response.header("connection")), (200, "close")),
            Err(error) => assert!(!is_prompt, "{error}"),
        }
    }
    assert!(silent.is_closed());
    house.is_gone();
}

#[test]
fn what_is_under_way_ends_in_its_own_time() {
    let (go, wait) = mpsc::channel::<()>();
    let (arrived, has_arrived) = mpsc::channel();
    let wait = Mutex::new(wait);
    let target = Target::start(move |exchange| {
        if exchange.request.target == "/slow" {
            arrived.send(()).unwrap();
            if wait.lock().unwrap().recv().is_err() {
                return Answer::Close;
            }
        }
        exchange.ok("", "was here")
    });
    let house = House::new(1, target);
    let mut busy = Connection::open(house.address);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    has_arrived.recv().unwrap();
    house.remove_while(|| ());
    house.is_gone();
    go.send(()).unwrap();
    let response = busy.response();
    assert_eq!((response.text().as_str(), response.header("connection")), ("was here", "close"));
    assert!(busy.is_closed());
}

#[test]
fn clients_of_http2_are_served_and_told_that_it_ends() {
    let house = House::new(1, second());
    let mut kept = http2::Connection::open(house.address);
    assert_eq!(kept.status_of("/", &[]), 200);
    let (asked, mut fresh) = house.remove_while(|| {
        let mut fresh = http2::Connection::silent(house.address).begun();
        (kept.get("/", &[]), (fresh.get("/", &[]), fresh))
    });
    for (connection, stream) in [(&mut kept, asked), (&mut fresh.1, fresh.0)] {
        let (mut answered, mut told) = (false, false);
        while let Some(frame) = connection.read() {
            match frame.kind {
                kind::HEADERS if frame.stream == stream => {
                    answered = http2::status(&frame.payload) == 200;
                }
                kind::GOAWAY => told = frame.payload.get(4..8) == Some(&[0; 4]),
                kind::PING if frame.flags & flag::ACK == 0 => {
                    connection.frame(kind::PING, flag::ACK, 0, &frame.payload);
                }
                _ => {}
            }
        }
        assert!(answered && told, "{answered} {told}");
    }
    house.is_gone();
}

/// The sockets of the one that is removed take a moment to close, which one at the same address waits for.
#[test]
fn a_listener_that_comes_back_at_once_is_taken_up() {
    let house = House::new(2, second());
    let target = second();
    for _ in 0..3 {
        let mut kept = Connection::open(house.address);
        assert_eq!(kept.get("/", "").text(), "was here");
        house.balancer.reload(&house.config);
        house.balancer.reload(&House::with_second(&house.config, house.address, &target));
        assert!(kept.is_closed());
        let response = until("it is there again", 20.0, || {
            let mut connection = Connection::open(house.address);
            connection.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
            connection.try_response().ok().filter(|response| response.status == 200)
        });
        assert_eq!(response.text(), "was here");
    }
    assert_eq!(house.balancer.status().0["reload_failures"], 0);
}

#[test]
fn a_reload_that_waits_for_sockets_to_be_closed_says_so() {
    let house = House::new(2, second());
    let target = second();
    let with = House::with_second(&house.config, house.address, &target);
    until("one has to wait, and is overtaken", 60.0, || {
        house.balancer.reload(&house.config);
        let before = house.balancer.status().0["reloads"].as_u64();
        let waited = house.balancer.log().matches("waits until the sockets of a listener").count();
        house.balancer.write(&with);
        house.balancer.signal(Signal::HUP);
        let is_in_force = || house.balancer.status().0["reloads"].as_u64() > before;
        until("it waits, or is in force", 20.0, || {
            let waits =
                house.balancer.log().matches("waits until the sockets of a listener").count() > waited;
            (waits || is_in_force()).then_some(())
        });
        house.balancer.signal(Signal::HUP);
        until("it is in force", 20.0, || is_in_force().then_some(()));
        let log = house.balancer.log();
        log.contains("takes the place of the one that waits for sockets to be closed").then_some(())
    });
    let line = house.balancer.wait_log_line(&["waits until the sockets of a listener"]);
    assert!(line.contains(&format!("address={}", house.address)), "{line}");
    assert_eq!(house.balancer.status().0["reload_failures"], 0);
}
