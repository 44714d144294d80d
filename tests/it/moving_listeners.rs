//! Listeners that go from one address of this host to all of them, or back, at the same port: whoever connects meanwhile is
//! served at once, and whoever is connected goes on.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use support::{Balancer, Config, Connection, Target, until};

/// A SYN that nobody has answered is sent again after a second.
const AT_ONCE: Duration = Duration::from_millis(900);
/// How many clients there are at a time, and how many come before a change and after it.
const CLIENTS: usize = 3;
const AROUND: usize = 60;

const V4: [&str; 2] = ["127.0.0.1", "0.0.0.0"];
const V6: [&str; 2] = ["::1", "::"];

/// What a client has met that it should not have.
fn trouble(at: SocketAddr) -> Option<String> {
    let began = Instant::now();
    let stream = match TcpStream::connect_timeout(&at, Duration::from_secs(10)) {
        Ok(stream) => stream,
        Err(error) => return Some(format!("connecting: {error}")),
    };
    let mut client = Connection::over(stream);
    let asked = client.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    match asked.and_then(|()| client.try_response()) {
        Ok(response) if response.status != 200 => Some(format!("answered {}", response.status)),
        Err(error) => Some(format!("asking: {error}")),
        Ok(_) => Some(began.elapsed()).filter(|took| *took > AT_ONCE).map(|took| format!("took {took:?}")),
    }
}

/// Ends the clients, however the change ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// What clients that come to `at` before, during and after a change have met. That they waited says nothing where clients of
/// another server, at `calm`, waited as well: then the host stood still.
fn troubles_while(at: SocketAddr, calm: SocketAddr, change: impl FnOnce()) -> Vec<String> {
    let (served, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let watch = || {
        let mut longest = Duration::ZERO;
        while !over.load(Relaxed) {
            let began = Instant::now();
            assert_eq!(Connection::open(calm).get("/", "Connection: close\r\n").status, 200);
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let come = || {
        let mut met = Vec::new();
        while !over.load(Relaxed) {
            met.extend(trouble(at));
            served.fetch_add(1, Relaxed);
        }
        met
    };
    thread::scope(|scope| {
        let ends = Over(&over);
        let watched = scope.spawn(watch);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(come)).collect();
        let more = |count: usize| {
            let from = served.load(Relaxed);
            until("clients come", 60.0, || (served.load(Relaxed) >= from + count).then_some(()));
        };
        more(AROUND);
        change();
        more(AROUND);
        drop(ends);
        let mut met: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let stood_still = watched.join().unwrap() > AT_ONCE / 4;
        let late = met.iter().filter(|trouble| trouble.starts_with("took")).count();
        // Linux looks a listening socket up and only then at its state: a SYN that comes in between when it is closed is dropped
        // without an answer and sent again. That is one client now and then; where something is wrong it is many, or some are refused.
        met.retain(|trouble| !(stood_still || late == 1) || !trouble.starts_with("took"));
        met
    })
}

struct Mover {
    balancer: Balancer,
    target: Target,
    configs: [Config; 2],
    at: SocketAddr,
}

impl Mover {
    fn start([narrow, wide]: [&str; 2]) -> Self {
        let target = Target::plain();
        let narrow_config = Config { address: narrow.to_owned(), ..Config::new(&[&target]).workers(2) };
        let wide_config = Config { address: wide.to_owned(), ..narrow_config.clone() };
        let balancer = Balancer::start(&narrow_config);
        let ip: IpAddr = narrow.parse().unwrap();
        let at = SocketAddr::from((ip, balancer.address.port()));
        Self { balancer, target, configs: [narrow_config, wide_config], at }
    }

    /// A server that has nothing to do with it.
    fn calm(&self) -> SocketAddr {
        self.target.address.parse().unwrap()
    }

    /// To all addresses and back, `times` times.
    fn there_and_back(&self, times: usize, change: impl Fn(&Config)) {
        for turn in 0..times * 2 {
            let config = &self.configs[(turn + 1) % 2];
            let met = troubles_while(self.at, self.calm(), || change(config));
            assert_eq!(met, Vec::<String>::new(), "in turn {turn}, to {}", config.address);
        }
    }
}

#[test]
fn whoever_connects_while_a_reload_moves_a_listener_is_served_at_once() {
    for addresses in [V4, V6] {
        let mover = Mover::start(addresses);
        let mut kept = Connection::open(mover.at);
        assert_eq!(kept.get("/", "").status, 200);
        mover.there_and_back(2, |config| mover.balancer.reload(config));
        let response = kept.get("/", "");
        assert_eq!(
            (response.status, response.header("connection")),
            (200, ""),
            "it was connected throughout"
        );
        assert_eq!(mover.balancer.status().0["reload_failures"], 0);
    }
}

#[test]
fn whoever_connects_while_an_upgrade_moves_a_listener_is_served_at_once() {
    for addresses in [V4, V6] {
        let mover = Mover::start(addresses);
        mover.there_and_back(1, |config| {
            mover.balancer.write(config);
            mover.balancer.upgraded();
        });
        // At once after an upgrade a reload goes back as well.
        mover.balancer.write(&mover.configs[1]);
        mover.balancer.upgraded();
        mover.balancer.write(&mover.configs[0]);
        mover.balancer.signal_newest(rustix::process::Signal::HUP);
        mover.balancer.wait_status("the reload", 20.0, |status| status.0["reloads"] == 1);
        assert_eq!(trouble(mover.at), None);
        assert_eq!(mover.balancer.status().0["reload_failures"], 0);
    }
}

/// What is in the way is a listener that goes on until then, and nothing that has to be waited for.
#[test]
fn a_listener_moves_there_and_back_without_waiting() {
    let mover = Mover::start(V4);
    for turn in 1..=4 {
        let began = Instant::now();
        mover.balancer.reload(&mover.configs[turn % 2]);
        assert!(began.elapsed() < Duration::from_secs(3), "turn {turn} took {:?}", began.elapsed());
    }
    assert!(!mover.balancer.log().contains("waits until the sockets"));
}

#[test]
fn who_is_connected_to_an_address_that_a_listener_leaves_is_told() {
    let mover = Mover::start(V4);
    let [narrow, wide] = &mover.configs;
    mover.balancer.reload(wide);
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], mover.at.port()));
    let (mut here, mut there) = (Connection::open(mover.at), Connection::open(elsewhere));
    assert_eq!((here.get("/", "").status, there.get("/", "").status), (200, 200));
    mover.balancer.reload(narrow);
    until("it listens there no more", 10.0, || TcpStream::connect(elsewhere).is_err().then_some(()));
    let (kept, told) = (here.get("/", ""), there.get("/", ""));
    assert_eq!((kept.status, kept.header("connection")), (200, ""));
    assert_eq!((told.status, told.header("connection")), (200, "close"));
    assert!(there.is_closed());
    assert_eq!(here.get("/", "").status, 200);
}

/// A listener of another name is another one, and takes who comes by its own rules.
#[test]
fn whoever_connects_while_another_listener_takes_the_place_is_served_by_either() {
    let mover = Mover::start(V4);
    let text = mover.balancer.text(&mover.configs[1]).replace("listener \"web\"", "listener \"other\"");
    assert!(text.contains("listener \"other\""));
    let met = troubles_while(mover.at, mover.calm(), || {
        mover.balancer.write_text(&text);
        mover.balancer.signal(rustix::process::Signal::HUP);
        mover
            .balancer
            .wait_status("it is another one", 20.0, |status| status.0["listeners"][0]["name"] == "other");
    });
    assert_eq!(met, Vec::<String>::new());
}
