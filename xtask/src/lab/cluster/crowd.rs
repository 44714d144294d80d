//! Clients that return the shop's cookie and nothing else, and come to any balancer. Must not know: what is killed.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
    thread::{self, Scope},
    time::Duration,
};

/// Between two requests of a client.
const THINKING: Duration = Duration::from_millis(40);
const LIMIT: Duration = Duration::from_secs(5);

/// All clients, and what they have seen.
pub(super) struct Crowd {
    nodes: Vec<SocketAddr>,
    over: AtomicBool,
    asked: AtomicUsize,
    lost: AtomicUsize,
    failed: AtomicUsize,
}

/// Sends all clients home, however the scenario ends.
pub(super) struct Ends<'c>(&'c AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

impl Crowd {
    pub(super) fn new(nodes: Vec<SocketAddr>) -> Self {
        let counter = || AtomicUsize::new(0);
        Self { nodes, over: AtomicBool::new(false), asked: counter(), lost: counter(), failed: counter() }
    }

    pub(super) fn ends(&self) -> Ends<'_> {
        Ends(&self.over)
    }

    pub(super) fn lost(&self) -> usize {
        self.lost.load(Relaxed)
    }

    pub(super) fn told(&self) -> String {
        format!(
            "{} requests, {} tries that a node did not answer, {} logged out",
            self.asked.load(Relaxed),
            self.failed.load(Relaxed),
            self.lost()
        )
    }

    /// One more client.
    pub(super) fn join<'s>(&'s self, scope: &'s Scope<'s, '_>, number: u16) {
        scope.spawn(move || {
            // Any order will do that differs from client to client.
            let mut turn = usize::from(number);
            while !self.over.load(SeqCst) {
                let user = format!("client{number}");
                let Some((200, Some(cookie))) =
                    self.ask(&mut turn, "POST", &format!("/login?user={user}"), "")
                else {
                    continue;
                };
                while !self.over.load(SeqCst) {
                    thread::sleep(THINKING);
                    match self.ask(&mut turn, "GET", "/cart", &cookie) {
                        Some((401, _)) => {
                            self.lost.fetch_add(1, Relaxed);
                            break;
                        }
                        _ => continue,
                    }
                }
            }
        });
    }

    /// Asks one node after the other until one answers, as a client does that has several addresses. Status, and the shop's cookie.
    fn ask(&self, turn: &mut usize, method: &str, path: &str, cookie: &str) -> Option<(u16, Option<String>)> {
        for _ in 0..self.nodes.len() {
            *turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let node = self.nodes.get((*turn >> 33) % self.nodes.len())?;
            match one(*node, method, path, cookie) {
                Some(answer) => {
                    self.asked.fetch_add(1, Relaxed);
                    return Some(answer);
                }
                None => _ = self.failed.fetch_add(1, Relaxed),
            }
        }
        thread::sleep(THINKING);
        None
    }
}

fn one(node: SocketAddr, method: &str, path: &str, cookie: &str) -> Option<(u16, Option<String>)> {
    let mut stream = TcpStream::connect_timeout(&node, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: shop={cookie}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\nConnection: close\r\n{cookie}\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let status: u16 = text.split(' ').nth(1)?.parse().ok()?;
    // What no shop has answered is no word about a session.
    if status >= 500 {
        return None;
    }
    let set = text.lines().filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
        let is_set = name.eq_ignore_ascii_case("set-cookie");
        value
            .strip_prefix("shop=")
            .filter(|_| is_set)
            .map(|value| value.split(';').next().unwrap_or_default().to_owned())
    });
    Some((status, set))
}
