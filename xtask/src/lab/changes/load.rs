//! Requests at a fixed rate over kept connections, and how long each took from when it was due. Must not know: what else happens.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Connections, each of which asks a part of the rate.
pub(super) const CONNECTIONS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(5);
const BODY: &[u8] = b"ok";

/// How long requests took, the quickest first.
pub(super) fn run(address: SocketAddr, rate: u32, length: Duration) -> Result<Vec<Duration>> {
    let each = f64::from(CONNECTIONS) / f64::from(rate);
    let begun = Instant::now() + Duration::from_millis(50);
    let client = |number: u32| {
        move || -> Result<Vec<Duration>> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut reader = BufReader::new(stream);
            // They are not due at one time.
            let offset = each * f64::from(number) / f64::from(CONNECTIONS);
            let mut took = Vec::new();
            for turn in 0.. {
                let due = begun + Duration::from_secs_f64(offset + each * f64::from(turn));
                if due > begun + length {
                    return Ok(took);
                }
                thread::sleep(due.saturating_duration_since(Instant::now()));
                ask(&mut reader)?;
                took.push(due.elapsed());
            }
            Ok(took)
        }
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|number| thread::spawn(client(number))).collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().ok().context("a client has ended by a bug")??);
    }
    all.sort_unstable();
    Ok(all)
}

fn ask(reader: &mut BufReader<TcpStream>) -> Result<()> {
    reader.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200") {
        bail!("a request was answered {line:?}");
    }
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            bail!("the connection was closed within a head");
        }
    }
    let mut body = [0; BODY.len()];
    reader.read_exact(&mut body)?;
    Ok(())
}
