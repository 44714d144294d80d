//! A load of WebSockets: each sends a message and waits for its echo, again and again.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Load, bulk::client};

/// A text of 32 bytes, masked as a client's has to be: with zeros it stays as it is.
fn message() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 32, 0, 0, 0, 0];
    frame.extend_from_slice(&[b'x'; 32]);
    frame
}

/// Runs so many WebSockets through the proxy at `address`.
///
/// # Errors
/// When an echo is missing.
pub(crate) fn run(address: SocketAddr, cookie: &str, connections: u32, seconds: u32) -> Result<Load> {
    let streams = (0..connections).map(|_| client::tunnel(address, cookie)).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    let deadline = began + Duration::from_secs(u64::from(seconds));
    let took: Result<Vec<Vec<f64>>> = thread::scope(|scope| {
        let threads: Vec<_> =
            streams.into_iter().map(|stream| scope.spawn(move || until(deadline, stream))).collect();
        threads.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    Ok(Load::of(took?.concat(), began.elapsed()))
}

fn until(deadline: Instant, mut stream: TcpStream) -> Result<Vec<f64>> {
    let (message, mut took) = (message(), Vec::new());
    let mut echo = vec![0; message.len()];
    while Instant::now() < deadline {
        let began = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut echo).context("no echo")?;
        if echo != message {
            bail!("not what was sent");
        }
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_come_back() {
        let target = super::super::bulk::backend::start().unwrap();
        let load = run(target, "a=b", 2, 1).unwrap();
        assert!(load.requests > 0.0 && load.p50_ms <= load.p99_ms, "{load:?}");
        assert!(run("127.0.0.1:1".parse().unwrap(), "", 1, 1).is_err());
    }
}
