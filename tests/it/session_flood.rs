//! Who asks for new sessions without end, and those who have sessions: the session table has room for some.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use support::{Balancer, Config, Connection, Group, Target};

/// Room in the table, the least that can be asked for.
const ROOM: usize = 1024;
/// Few: with two entries each, in 128 buckets of eight, a hundred fill a bucket by chance in three of a hundred runs, and one of a
/// full bucket gives way as it should.
const CLIENTS: usize = 40;

/// A target that gives a cookie of its own to whoever comes without one.
fn application(name: &'static str) -> Target {
    let issued = AtomicUsize::new(0);
    Target::heads(move |exchange| {
        let line = match exchange.request.cookie("SID") {
            Some(_) => String::new(),
            None => format!("Set-Cookie: SID={name}-{}; Path=/\r\n", issued.fetch_add(1, Relaxed)),
        };
        exchange.ok(&line, name)
    })
}

/// A client of an interface: it returns the application's cookie and no other.
struct Client {
    cookie: String,
    home: String,
}

impl Client {
    fn new(connection: &mut Connection) -> Self {
        let first = connection.get("/", "");
        Self { cookie: format!("Cookie: SID={}\r\n", first.cookie("SID").unwrap()), home: first.text() }
    }

    fn is_at_home(&self, connection: &mut Connection) -> bool {
        connection.get("/", &self.cookie).text() == self.home
    }
}

fn flood(balancer: &Balancer, sessions: usize) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = balancer.connect();
                for _ in 0..sessions / 4 {
                    assert!(connection.get("/", "").set_cookie("SID").is_some());
                }
            });
        }
    });
}

fn evicted(balancer: &Balancer, kind: &str) -> u64 {
    let told = balancer.status().0["session_table"]["evicted"][kind].as_u64().unwrap();
    let metric = balancer.metric(&format!("balancer_session_table_evicted_total{{kind=\"{kind}\"}}"));
    assert_eq!(metric, told as f64);
    told
}

#[test]
fn a_flood_of_new_sessions_moves_nobody_who_came_back() {
    for line in ["", "max_lifetime = 3600"] {
        let targets = [application("first"), application("second")];
        let group = Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin").app_cookie("SID");
        let config = Config::with(group.stickiness(line)).workers(2);
        let balancer = Balancer::start(&config.process(&format!("session_table_size = {ROOM}")));
        let mut connection = balancer.connect();
        let entries = || balancer.status().0["session_table"]["entries"].as_u64().unwrap();
        assert_eq!(entries(), 0);
        let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(&mut connection)).collect();
        assert_eq!(entries() as usize, if line.is_empty() { CLIENTS } else { 2 * CLIENTS }, "exactly");
        // Once is enough.
        assert!(clients.iter().all(|client| client.is_at_home(&mut connection)));
        flood(&balancer, 6 * ROOM);
        let moved = clients.iter().filter(|client| !client.is_at_home(&mut connection)).count();
        assert_eq!(moved, 0, "of {CLIENTS}");
        assert!(evicted(&balancer, "new") > 4 * ROOM as u64);
        assert_eq!((evicted(&balancer, "returned"), evicted(&balancer, "expired")), (0, 0));
    }
}
