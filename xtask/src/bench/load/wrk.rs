//! One run of wrk and what it says.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result, bail};

use super::{Load, said};
use crate::{bench::process::pinned, shell};

/// Requests over HTTP/1.1.
#[derive(Clone, Copy)]
pub(crate) struct Requests<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) cookie: &'a str,
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// Each on a new connection.
    pub(crate) close: bool,
    /// What makes the requests instead, in Lua.
    pub(crate) script: Option<&'a Path>,
}

/// Loads a proxy from `core`.
pub(crate) fn run(core: usize, requests: Requests<'_>) -> Result<Load> {
    let wrk = shell::find_program("wrk").context("wrk is missing")?;
    let mut command = pinned(core, &wrk);
    command.args(["--threads", "1", "--latency", "--connections", &requests.connections.to_string()]).args([
        "--duration",
        &format!("{}s", requests.seconds),
        "--timeout",
        "10s",
    ]);
    match requests.script {
        Some(script) => drop(command.arg("--script").arg(script)),
        None => drop(command.args(["--header", &format!("Cookie: {}", requests.cookie)])),
    }
    if requests.close {
        command.args(["--header", "Connection: close"]);
    }
    command.arg(format!("http://{}/", requests.address));
    let text = said(&mut command)?;
    parse(&text).with_context(|| format!("cannot read what wrk says:\n{text}"))
}

fn parse(text: &str) -> Result<Load> {
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        bail!("requests failed: {}", line.trim());
    }
    let first_word = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let requests = text.lines().find(|line| line.contains(" requests in ")).and_then(first_word);
    let value = |label: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(label));
        lines.next().and_then(first_word).with_context(|| label.to_owned())
    };
    Ok(Load {
        requests: requests.context("requests")?.parse()?,
        per_second: value("Requests/sec:")?.parse()?,
        p50_ms: milliseconds(&value("50%")?)?,
        p99_ms: milliseconds(&value("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    bail!("no unit: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 3s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.07ms  345.00us  12.01ms   97.00%
    Req/Sec    59.52k     2.35k   63.01k    73.33%
  Latency Distribution
     50%  998.00us
     75%    1.10ms
     90%    1.23ms
     99%    1.81ms
  177665 requests in 3.00s, 47.10MB read
Requests/sec:  59180.25
Transfer/sec:     15.69MB
";

    #[test]
    fn what_wrk_says_is_read() {
        let load = parse(SAID).unwrap();
        assert_eq!(load, Load { requests: 177_665.0, per_second: 59_180.25, p50_ms: 0.998, p99_ms: 1.81 });
    }

    #[test]
    fn failed_requests_are_no_result() {
        assert!(parse(&format!("{SAID}  Non-2xx or 3xx responses: 3\n")).is_err());
        assert!(parse(&format!("{SAID}  Socket errors: connect 0, read 5, write 0, timeout 0\n")).is_err());
    }
}
