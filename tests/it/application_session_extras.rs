//! A lifetime and bounded load for sessions of the application's cookie: known by the balancer's own cookie beside it,
//! or by the application's alone; over HTTP/1.1 and HTTP/2.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use support::{Answer, Balancer, Config, Connection, Group, Target, until};

/// A target with this name as its answer. `/sets/VALUE` gives the application's cookie that value; `/slow` is answered
/// by nothing once `wait` ends.
fn application(name: &'static str, arrived: mpsc::Sender<()>, wait: mpsc::Receiver<()>) -> Target {
    let wait = Mutex::new(wait);
    Target::start(move |exchange| {
        if exchange.request.target == "/slow" {
            arrived.send(()).unwrap();
            let _ = wait.lock().unwrap().recv();
            return Answer::Close;
        }
        let sets = exchange.request.target.strip_prefix("/sets/");
        let line = sets.map(|value| format!("Set-Cookie: SID={value}; Path=/\r\n")).unwrap_or_default();
        exchange.ok(&line, name)
    })
}

/// A target that is never slow.
fn quick(name: &'static str) -> Target {
    application(name, mpsc::channel().0, mpsc::channel().1)
}

fn before(targets: [&Target; 2], line: &str) -> Config {
    let group = Group::new("app", &targets).algorithm("round_robin").app_cookie("SID");
    // So short that the table's entries are written anew every second.
    Config::with(group.stickiness("cookie_duration = 60").stickiness(line)).http2()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Front {
    Http1,
    Http2,
}

const WAYS: [(Front, bool); 4] =
    [(Front::Http1, true), (Front::Http1, false), (Front::Http2, true), (Front::Http2, false)];

/// A client with a jar, and a connection for each request.
#[derive(Debug)]
struct Client {
    front: Front,
    /// Whether it returns the balancer's cookies.
    keeps_own: bool,
    jar: BTreeMap<String, String>,
    /// Before its first request was sent, and after that was answered.
    begun: [Instant; 2],
}

impl Client {
    /// One that got the cookie's value from `home`.
    fn of(home: &str, balancer: &Balancer, (front, keeps_own): (Front, bool), value: &str) -> Self {
        until("a session at home", 20.0, || {
            let mut client = Self { front, keeps_own, jar: BTreeMap::new(), begun: [Instant::now(); 2] };
            let here = client.get(balancer, &format!("/sets/{value}"));
            client.begun[1] = Instant::now();
            (here == home).then_some(client)
        })
    }

    /// One for every front and every way of being known.
    fn all(home: &str, balancer: &Balancer, value: &str) -> Vec<Self> {
        let of =
            |way: (Front, bool)| Self::of(home, balancer, way, &format!("{value}-{:?}-{}", way.0, way.1));
        WAYS.map(of).into()
    }

    fn cookies(&self) -> String {
        let pairs = self.jar.iter().filter(|(name, _)| self.keeps_own || *name == "SID");
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Who answers.
    fn get(&mut self, balancer: &Balancer, path: &str) -> String {
        let (cookies, set, body);
        cookies = format!("Cookie: {}", self.cookies());
        match self.front {
            Front::Http1 => {
                let response = balancer.connect().get(path, &format!("{cookies}\r\n"));
                set = response.headers.all("set-cookie").map(str::to_owned).collect::<Vec<_>>();
                body = response.text();
            }
            Front::Http2 => {
                let url = format!("http://{}{path}", balancer.address);
                let output = Command::new("curl")
                    .args(["-sSi", "--max-time", "20", "--http2-prior-knowledge", "-H", &cookies, &url])
                    .output()
                    .unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                let (head, rest) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with("HTTP/2 200"), "{head}");
                set = head
                    .lines()
                    .filter_map(|line| line.strip_prefix("set-cookie: "))
                    .map(str::to_owned)
                    .collect();
                body = rest.to_owned();
            }
        }
        let pairs = set.iter().filter_map(|line| line.split(';').next()?.split_once('='));
        self.jar.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        body
    }
}

fn figure(balancer: &Balancer, name: &str) -> u64 {
    balancer.status().0["target_groups"][0]["stickiness"][name].as_u64().unwrap()
}

#[test]
fn a_busy_session_of_the_applications_cookie_ends_and_the_next_begins() {
    let targets = [quick("first"), quick("second")];
    let balancer = Balancer::start(&before([&targets[0], &targets[1]], "max_lifetime = 3"));
    let mut clients = Client::all("first", &balancer, "one");
    until("the sessions have ended", 30.0, || {
        clients.retain_mut(|client| {
            // One application sets its cookie once, the other with every answer.
            let again = format!("/sets/{}", client.jar["SID"]);
            let path = if client.front == Front::Http1 { "/" } else { &again };
            let ended_before = balancer.status().decisions("expired");
            let here = client.get(&balancer, path);
            let has_ended = balancer.status().decisions("expired") > ended_before;
            assert!(has_ended || here == "first", "{client:?} moved before its end");
            // The old value of the application's cookie belongs to the new session.
            for _ in 0..if has_ended { 3 } else { 0 } {
                assert_eq!(client.get(&balancer, path), here, "{client:?}");
            }
            !has_ended
        });
        clients.is_empty().then_some(())
    });
}

#[test]
fn a_session_of_the_applications_cookie_goes_on_ageing_over_reload_restart_and_new_values() {
    const LIFETIME: Duration = Duration::from_secs(8);
    const RESTART: Duration = Duration::from_secs(6);
    let targets = [quick("first"), quick("second")];
    let config = before([&targets[0], &targets[1]], &format!("max_lifetime = {}", LIFETIME.as_secs()));
    let mut balancer = Balancer::start(&config);
    let mut clients = Client::all("first", &balancer, "one");
    let mut number = 0;
    let mut stay_for = |balancer: &Balancer, clients: &mut [Client], time: Duration| {
        until("some of the lifetime has passed", 20.0, || {
            for client in &mut *clients {
                number += 1;
                let here = client.get(balancer, &format!("/sets/{number}"));
                assert!(here == "first" || client.begun[0].elapsed() > LIFETIME, "{client:?} moved");
            }
            (clients[0].begun[0].elapsed() >= time).then_some(())
        });
    };
    stay_for(&balancer, &mut clients, RESTART / 2);
    balancer.reload(&config);
    stay_for(&balancer, &mut clients, RESTART);
    balancer.kill_and_restart();
    let second = Duration::from_secs(1);
    for client in &mut clients {
        let ended_before = balancer.status().decisions("expired");
        until("the session has ended", 20.0, || {
            let age = client.begun[1].elapsed();
            client.get(&balancer, "/");
            let has_ended = balancer.status().decisions("expired") > ended_before;
            // Ages are whole seconds, of a clock that is read once in a while. One that began anew with the restart
            // would end later.
            assert!(has_ended || age < RESTART + LIFETIME - second, "{client:?} does not end");
            has_ended.then_some(())
        });
    }
}

#[test]
fn a_busy_target_has_requests_of_the_applications_sessions_done_elsewhere() {
    let (go, wait) = mpsc::channel::<()>();
    let (arrived, has_arrived) = mpsc::channel();
    let (home, other) = (application("home", arrived, wait), quick("other"));
    let balancer = Balancer::start(&before([&home, &other], "load_factor = 125"));
    let mut staying = Client::all("home", &balancer, "stays");
    let mut moving = Client::all("home", &balancer, "moves");
    let slow: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = balancer.connect();
            connection.send("GET /slow HTTP/1.1\r\nHost: a\r\nCookie: SID=stays-Http1-true\r\n\r\n");
            has_arrived.recv().unwrap();
            connection
        })
        .collect();
    for client in &mut staying {
        // The answer sets nothing, or the value that came: there is no session but the one at home.
        let own = format!("/sets/{}", client.jar["SID"]);
        for path in ["/", &own, "/"] {
            assert_eq!(client.get(&balancer, path), "other", "{client:?}");
        }
    }
    let sessions = || {
        let status = balancer.status();
        [&home, &other].map(|target| status.target(&target.address)["sessions"].as_i64().unwrap())
    };
    let [at_home, elsewhere] = sessions();
    for client in &mut moving {
        // Another value is a session that the target which stood in has made.
        let new = format!("/sets/new-{}", client.jar["SID"]);
        assert_eq!(client.get(&balancer, &new), "other", "{client:?}");
        assert_eq!(client.get(&balancer, "/"), "other", "{client:?}");
    }
    assert_eq!(sessions(), [at_home - 4, elsewhere + 4]);
    assert_eq!(figure(&balancer, "spilled_requests"), 16, "those that moved are at home where they are");
    assert_eq!(balancer.metric("balancer_stickiness_spilled_requests_total{target_group=\"app\"}"), 16.0);
    drop(go);
    balancer.wait_status("it is not busy any more", 20.0, |status| {
        status.target(&home.address)["outstanding_requests"] == 0
    });
    drop(slow);
    for (client, home) in staying
        .iter_mut()
        .map(|client| (client, "home"))
        .chain(moving.iter_mut().map(|client| (client, "other")))
    {
        assert_eq!(client.get(&balancer, "/"), home, "{client:?}");
    }
    assert_eq!(figure(&balancer, "spilled_requests"), 16);
}
