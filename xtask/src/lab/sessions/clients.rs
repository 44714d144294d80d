//! Clients of the shop: they log in, put things into their cart and look at it, again and again, and notice when they are somebody
//! else or nobody. Must not know: targets, balancers.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Between two requests of a client.
const THINKING: Duration = Duration::from_millis(15);
/// Longer than any answer takes.
const LIMIT: Duration = Duration::from_secs(10);

/// What one login came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Visit {
    /// The target that it was made at.
    pub(super) home: String,
    /// Whether the session was gone before the client was.
    pub(super) is_lost: bool,
    /// Requests that were not answered, or by a 5xx.
    pub(super) failed: usize,
    /// How long answers took.
    pub(super) times: Vec<Duration>,
    /// How much of that the shop spent on the session.
    pub(super) in_sessions: Duration,
    /// By whom requests were answered after the changes.
    pub(super) late_targets: Vec<String>,
}

/// All clients.
pub(super) struct Crowd {
    address: SocketAddr,
    over: AtomicBool,
    is_late: AtomicBool,
    visits: Mutex<Vec<Visit>>,
}

/// Sends all clients home, however the scenario ends.
pub(super) struct Ends<'c>(&'c AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

impl Crowd {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            over: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            visits: Mutex::default(),
        }
    }

    pub(super) fn ends(&self) -> Ends<'_> {
        Ends(&self.over)
    }

    /// From now on it is written down who answers.
    pub(super) fn late(&self) {
        self.is_late.store(true, SeqCst);
    }

    pub(super) fn visits(self) -> Vec<Visit> {
        self.visits.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more client.
    pub(super) fn join<'s>(&'s self, scope: &'s Scope<'s, '_>, number: u16) {
        scope.spawn(move || {
            while !self.over.load(SeqCst) {
                let visit = self.visit(&format!("client{number}"));
                self.visits.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
            }
        });
    }

    /// From a login to the end, or to the moment when the session is gone.
    fn visit(&self, user: &str) -> Visit {
        let mut client = Client { address: self.address, jar: BTreeMap::new(), connection: None };
        let mut visit = Visit::default();
        let mut items = Vec::new();
        while visit.home.is_empty() && !self.over.load(SeqCst) {
            match client.ask("POST", &format!("/login?user={user}")) {
                Ok(answer) if answer.status == 200 => visit.home = answer.target,
                _ => visit.failed += 1,
            }
        }
        for step in 0.. {
            if self.over.load(SeqCst) {
                break;
            }
            thread::sleep(THINKING);
            let item = format!("item{step}");
            // Most people look more often than they take. What is sent once goes on from there.
            let (method, path) =
                if step % 4 == 0 { ("POST", format!("/cart/{item}")) } else { ("GET", "/cart".to_owned()) };
            let began = Instant::now();
            let answer = match client.ask(method, &path) {
                Ok(answer) if answer.status < 500 => answer,
                _ => {
                    // Whether the target has put it into the cart nobody knows: the next look tells.
                    visit.failed += 1;
                    items.clear();
                    continue;
                }
            };
            visit.times.push(began.elapsed());
            visit.in_sessions += answer.in_session;
            if self.is_late.load(SeqCst) {
                visit.late_targets.push(answer.target.clone());
            }
            if method == "POST" {
                items.push(item);
            }
            let names_all =
                items.iter().rev().take(5).all(|item| answer.body.contains(&format!("\"{item}\"")));
            if answer.status != 200 || !answer.body.contains(&format!("\"{user}\"")) || !names_all {
                visit.is_lost = true;
                break;
            }
        }
        visit
    }
}

struct Answer {
    status: u16,
    target: String,
    in_session: Duration,
    body: String,
}

struct Client {
    address: SocketAddr,
    jar: BTreeMap<String, String>,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    fn ask(&mut self, method: &str, path: &str) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies =
            if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n{cookies}\r\n");
        connection.get_mut().write_all(request.as_bytes())?;
        let (answer, is_kept) = self.read(&mut connection)?;
        if is_kept {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn read(&mut self, connection: &mut BufReader<TcpStream>) -> Result<(Answer, bool)> {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no response")?;
        let mut answer =
            Answer { status, target: String::new(), in_session: Duration::ZERO, body: String::new() };
        let (mut length, mut is_kept) = (None, true);
        loop {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                bail!("the response broke off");
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "connection" => is_kept = !value.eq_ignore_ascii_case("close"),
                "x-target" => value.clone_into(&mut answer.target),
                "server-timing" => {
                    let millis = value.rsplit('=').next().and_then(|millis| millis.parse::<f64>().ok());
                    answer.in_session = Duration::from_secs_f64(millis.unwrap_or(0.0).max(0.0) / 1000.0);
                }
                "set-cookie" => {
                    let pair = value.split(';').next().unwrap_or_default();
                    if let Some((name, value)) = pair.split_once('=') {
                        self.jar.insert(name.to_owned(), value.to_owned());
                    }
                }
                _ => {}
            }
        }
        let mut body = vec![0; length.context("a response without a length")?];
        connection.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok((answer, is_kept))
    }
}
