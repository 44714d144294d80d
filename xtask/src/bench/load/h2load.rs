//! One run of h2load, which speaks HTTP/1.1 over TLS and HTTP/2 with and without it, and what it says and logs.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result, bail};

use super::{Load, said};
use crate::{bench::process::pinned, shell};

/// The one suite of TLS 1.3 that is offered, so that all proxies do the same work.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// What it speaks, over how many connections, and how many requests at a time over each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1Tls { clients: u32 },
    Http2Tls { clients: u32, streams: u32 },
    Http2Clear { clients: u32, streams: u32 },
}

/// Loads `address` from `core` for `seconds`; with a body, of which there is a file, as gRPC is asked.
pub(crate) fn run(
    core: usize,
    address: SocketAddr,
    cookie: &str,
    protocol: Protocol,
    body: Option<&Path>,
    seconds: u32,
) -> Result<Load> {
    let program = shell::find_program("h2load").context("h2load is missing")?;
    let log = std::env::temp_dir().join(format!("balancer-bench-{}.h2load", std::process::id()));
    let mut command = pinned(core, &program);
    let (scheme, clients) = match protocol {
        Protocol::Http1Tls { clients } => {
            command.arg("--h1");
            ("https", clients)
        }
        Protocol::Http2Tls { clients, streams } => {
            command.arg(format!("--max-concurrent-streams={streams}"));
            ("https", clients)
        }
        Protocol::Http2Clear { clients, streams } => {
            command.arg(format!("--max-concurrent-streams={streams}"));
            ("http", clients)
        }
    };
    command.arg(format!("--clients={clients}"));
    command.arg(format!("--tls13-ciphers={SUITE}")).arg("--groups=X25519");
    command.arg(format!("--duration={seconds}")).arg(format!("--log-file={}", log.display()));
    command.arg(format!("--header=cookie: {cookie}"));
    if let Some(body) = body {
        command.arg(format!("--data={}", body.display()));
        command.args(["--header=content-type: application/grpc", "--header=te: trailers"]);
    }
    command.arg(format!("{scheme}://{address}/"));
    let text = said(&mut command);
    let times = fs::read_to_string(&log).with_context(|| log.display().to_string());
    // A file that is left over in the temporary folder is no reason to fail.
    fs::remove_file(&log).unwrap_or_default();
    let (text, times) = (text?, times?);
    parse(&text, &times, scheme == "https", protocol.most())
        .with_context(|| format!("what h2load says:\n{text}"))
}

impl Protocol {
    /// How many requests are under way at most.
    fn most(self) -> f64 {
        match self {
            Self::Http1Tls { clients } => f64::from(clients),
            Self::Http2Tls { clients, streams } | Self::Http2Clear { clients, streams } => {
                f64::from(clients) * f64::from(streams)
            }
        }
    }
}

/// Whether what failed are requests that h2load had no connection for: it takes no new one when one is ended by GOAWAY, as
/// balancer does it after 10,000 requests, and says so in words of its own. Nobody was asked these.
fn are_of_ended_connections(text: &str, counts: &str, most: f64) -> bool {
    let count = |word: &str| {
        let before = counts.split(", ").find_map(|part| part.strip_suffix(word));
        before.and_then(|number| number.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
    };
    let (failed, errored) = (count(" failed"), count(" errored"));
    text.contains("Process Request Failure:")
        && failed == errored
        && failed <= most
        && counts.ends_with(" 0 timeout")
}

/// `log` has a line for each request: when it began, its status, and how many microseconds it took.
fn parse(text: &str, log: &str, tls: bool, most: f64) -> Result<Load> {
    if tls && !text.lines().any(|line| line.trim() == format!("Cipher: {SUITE}")) {
        bail!("another cipher than {SUITE}");
    }
    let after =
        |label: &str| text.lines().find_map(|line| line.strip_prefix(label)).context(label.to_owned());
    let counts = after("requests: ")?;
    if !counts.contains(" 0 failed, 0 errored, 0 timeout") && !are_of_ended_connections(text, counts, most) {
        bail!("requests failed: {counts}");
    }
    let codes = after("status codes: ")?;
    let requests: f64 = number(codes)?;
    if !codes.ends_with("2xx, 0 3xx, 0 4xx, 0 5xx") {
        bail!("requests failed: {codes}");
    }
    // "finished in 3.00s, 41232.33 req/s, 10.1MB/s"
    let (_, rate) = after("finished in ")?.split_once(", ").context("no rate")?;
    let mut took: Vec<u64> = log.lines().filter_map(|line| line.rsplit('\t').next()?.parse().ok()).collect();
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).map_or(f64::NAN, |us| *us as f64 / 1000.0);
    Ok(Load { requests, per_second: number(rate)?, p50_ms: at(50), p99_ms: at(99) })
}

fn number(text: &str) -> Result<f64> {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().with_context(|| format!("no number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2

finished in 3.00s, 1333.33 req/s, 92.53KB/s
requests: 4000 total, 4012 started, 4000 done, 4000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4000 2xx, 0 3xx, 0 4xx, 0 5xx
";
    const LOG: &str =
        "1795655559234436\t200\t900\n1795655559234436\t200\t1500\n1795655559234437\t200\t3000\n";

    #[test]
    fn what_h2load_says_is_read() {
        let load = parse(SAID, LOG, true, 64.0).unwrap();
        assert_eq!(load, Load { requests: 4000.0, per_second: 1333.33, p50_ms: 1.5, p99_ms: 3.0 });
    }

    #[test]
    fn requests_without_a_connection_were_not_asked() {
        let some = SAID.replace("0 failed, 0 errored", "24 failed, 24 errored");
        let ended = format!("Process Request Failure:24\n{some}");
        assert_eq!(parse(&ended, LOG, true, 64.0).unwrap().requests, 4000.0);
        assert!(parse(&some, LOG, true, 64.0).is_err(), "no connection has ended");
        assert!(parse(&ended, LOG, true, 23.0).is_err(), "more than can be under way");
        assert!(parse(&ended.replace("24 errored", "7 errored"), LOG, true, 64.0).is_err());
    }

    #[test]
    fn failed_requests_and_other_ciphers_are_no_result() {
        for (good, bad) in [
            ("0 failed", "7 failed"),
            ("0 errored", "7 errored"),
            ("0 5xx", "3 5xx"),
            ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"),
        ] {
            assert!(parse(&SAID.replace(good, bad), LOG, true, 64.0).is_err(), "{bad}");
        }
    }
}
