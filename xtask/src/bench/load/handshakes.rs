//! One run of our own load of new TLS connections.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{Load, said};
use crate::bench::process::pinned;

/// Makes new TLS connections to `address` from `core` for `seconds`, so many at a time.
pub(crate) fn run(
    core: usize,
    address: SocketAddr,
    cookie: &str,
    connections: u32,
    seconds: u32,
) -> Result<Load> {
    let mut command = pinned(core, &std::env::current_exe()?);
    command.args(["handshakes", "--to", &address.to_string(), "--cookie", cookie]);
    command.args(["--connections", &connections.to_string(), "--seconds", &seconds.to_string()]);
    let text = said(&mut command)?;
    parse(&text).with_context(|| format!("cannot read what it says:\n{text}"))
}

fn parse(text: &str) -> Result<Load> {
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let mut next = || numbers.next().context("a number is missing");
    let (requests, took_us, p50_us, p99_us) = (next()?, next()?, next()?, next()?);
    let per_second = requests * 1e6 / took_us;
    Ok(Load { requests, per_second, p50_ms: p50_us / 1000.0, p99_ms: p99_us / 1000.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let load = parse("9000 connections in 3000000 us, p50 5200 us, p99 9100 us\n").unwrap();
        assert_eq!(load, Load { requests: 9000.0, per_second: 3000.0, p50_ms: 5.2, p99_ms: 9.1 });
        assert!(parse("error: refused").is_err());
    }
}
