//! A load of new TLS connections, each with one request; a thread for each that is under way.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustls::HandshakeKind;

use super::Load;
use crate::handshakes::{Client, Handshake};

/// One in so many connections may make a full handshake where a resumed one was wanted: keys change.
const FULL_AMONG_RESUMED: usize = 100;

/// Makes new TLS connections to `address` for `seconds`, so many at a time.
pub(crate) fn run(
    address: SocketAddr,
    cookie: &str,
    handshake: Handshake,
    connections: u32,
    seconds: u32,
) -> Result<Load> {
    // What is needed to resume is got before the time that is measured: by a connection of each client.
    let clients = (0..connections).map(|_| ready(address, cookie, handshake)).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    let deadline = began + Duration::from_secs(u64::from(seconds));
    let results: Result<Vec<Vec<(f64, HandshakeKind)>>> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(move || until(deadline, client, address, cookie)))
            .collect();
        threads.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    let results = results?.concat();
    let other =
        results.iter().filter(|(_, kind)| (*kind == HandshakeKind::Resumed) != handshake.resumed).count();
    if other * FULL_AMONG_RESUMED > results.len() || (!handshake.resumed && other > 0) {
        bail!("{other} of {} handshakes were of another kind than {handshake:?}", results.len());
    }
    Ok(Load::of(results.into_iter().map(|(took, _)| took).collect(), began.elapsed()))
}

fn ready(address: SocketAddr, cookie: &str, handshake: Handshake) -> Result<Client> {
    let client = Client::new(handshake)?;
    if handshake.resumed {
        client.exchange(address, cookie).context("a first connection")?;
    }
    Ok(client)
}

/// Connects again and again; how many milliseconds each connection took, and how it came about.
fn until(
    deadline: Instant,
    client: &Client,
    address: SocketAddr,
    cookie: &str,
) -> Result<Vec<(f64, HandshakeKind)>> {
    let mut results = Vec::new();
    while Instant::now() < deadline {
        let began = Instant::now();
        let (answer, kind) = client.exchange(address, cookie)?;
        if !answer.starts_with("HTTP/1.1 200") {
            bail!("no answer but: {answer}");
        }
        results.push((began.elapsed().as_secs_f64() * 1000.0, kind));
    }
    Ok(results)
}
