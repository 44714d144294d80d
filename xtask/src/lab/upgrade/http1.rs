//! Clients that speak HTTP/1.1: with the application's cookie alone, and those that stand in for wrk where it is missing.
//! Must not know: proxies.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use super::tally::{Fault, Tally};
use crate::lab::application::COOKIE;

/// Longer than anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two requests of a session.
const THINKING: Duration = Duration::from_millis(5);
/// After a fault, lest a proxy that is gone is counted a million times.
const PAUSE: Duration = Duration::from_millis(20);

/// One on a connection that it keeps until it is told that it ends.
struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    session: Option<String>,
    /// The target that it began at.
    home: Option<String>,
}

/// What is read of a response.
#[derive(Default)]
struct Answer {
    status: String,
    target: String,
    session: Option<String>,
    lost: bool,
    closes: bool,
    length: usize,
}

/// Sends requests with the application's cookie alone until the end.
pub(in crate::lab) fn session(address: SocketAddr, tally: &Tally) {
    let mut client = Client { address, connection: None, session: None, home: None };
    while !tally.is_over() {
        let outcome = client.turn("GET", true);
        let pause = if outcome.is_ok() { THINKING } else { PAUSE };
        tally.count("app_cookie", outcome);
        thread::sleep(pause);
    }
}

/// Sends requests as fast as they are answered until the end, all on one connection, or on one each.
pub(in crate::lab) fn load(address: SocketAddr, keeps: bool, tally: &Tally) {
    let mut client = Client { address, connection: None, session: None, home: None };
    while !tally.is_over() {
        let outcome = client.turn("GET", keeps);
        if outcome.is_err() {
            thread::sleep(PAUSE);
        }
        // It stands for clients without sessions.
        (client.session, client.home) = (None, None);
        tally.count(if keeps { "keep-alive" } else { "Connection: close" }, outcome);
    }
}

impl Client {
    fn turn(&mut self, method: &str, keeps: bool) -> Result<(), Fault> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address)?,
        };
        let cookie = self.session.as_ref().map(|id| format!("Cookie: {COOKIE}={id}\r\n")).unwrap_or_default();
        let close = if keeps { "" } else { "Connection: close\r\n" };
        let text = format!("{method} / HTTP/1.1\r\nHost: lab\r\n{cookie}{close}\r\n");
        let failed = |error: std::io::Error| Fault::Failed(error.to_string());
        connection.get_mut().write_all(text.as_bytes()).map_err(failed)?;
        let answer = read(&mut connection).map_err(failed)?;
        if !answer.closes {
            self.connection = Some(connection);
        }
        if answer.status != "200" {
            return Err(Fault::Failed(format!("answered {}", answer.status)));
        }
        if let Some(id) = answer.session {
            self.session = Some(id);
        }
        let home = self.home.get_or_insert_with(|| answer.target.clone());
        if answer.lost || *home != answer.target {
            *home = answer.target;
            return Err(Fault::Lost("a session is at another target".to_owned()));
        }
        Ok(())
    }
}

/// Connects.
pub(super) fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>, Fault> {
    let stream = TcpStream::connect(address).map_err(|error| Fault::Refused(error.to_string()))?;
    let set = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_nodelay(true));
    set.map_err(|error| Fault::Failed(error.to_string()))?;
    Ok(BufReader::new(stream))
}

fn read(connection: &mut BufReader<TcpStream>) -> std::io::Result<Answer> {
    let gone = || std::io::Error::other("the connection ended without an answer");
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(gone());
    }
    let mut answer = Answer {
        status: line.split(' ').nth(1).unwrap_or_default().to_owned(),
        closes: line.starts_with("HTTP/1.0"),
        ..Answer::default()
    };
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(gone());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => answer.length = value.parse().unwrap_or(0),
            "connection" => answer.closes |= value.eq_ignore_ascii_case("close"),
            "x-target" => value.clone_into(&mut answer.target),
            "x-lost" => answer.lost = true,
            "set-cookie" => {
                let ours =
                    value.split(';').next().and_then(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='));
                answer.session = ours.map(str::to_owned).or(answer.session);
            }
            _ => {}
        }
    }
    let mut body = vec![0; answer.length];
    connection.read_exact(&mut body)?;
    Ok(answer)
}
