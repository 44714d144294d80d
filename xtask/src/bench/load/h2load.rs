//! One run of h2load, which speaks HTTP/1.1 and HTTP/2 over TLS, and what it says and logs.

use std::{fs, net::SocketAddr};

use anyhow::{Context, Result, bail};

use super::{Load, said};
use crate::{bench::process::pinned, shell};

/// The one suite of TLS 1.3 that is offered, so that all proxies do the same work.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// Loads `address` from `core` for `seconds`; `shape` says how many connections of what kind.
pub(crate) fn run(
    core: usize,
    address: SocketAddr,
    cookie: &str,
    shape: &[String],
    seconds: u32,
) -> Result<Load> {
    let program = shell::find_program("h2load").context("h2load is missing")?;
    let log = std::env::temp_dir().join(format!("balancer-bench-{}.h2load", std::process::id()));
    let mut command = pinned(core, &program);
    command.args(shape).arg(format!("--tls13-ciphers={SUITE}")).arg("--groups=X25519");
    command.arg(format!("--duration={seconds}")).arg(format!("--log-file={}", log.display()));
    command.arg(format!("--header=cookie: {cookie}")).arg(format!("https://{address}/"));
    let text = said(&mut command);
    let times = fs::read_to_string(&log).with_context(|| log.display().to_string());
    // A file that is left over in the temporary folder is no reason to fail.
    fs::remove_file(&log).unwrap_or_default();
    let (text, times) = (text?, times?);
    parse(&text, &times).with_context(|| format!("what h2load says:\n{text}"))
}

/// `log` has a line for each request: when it began, its status, and how many microseconds it took.
fn parse(text: &str, log: &str) -> Result<Load> {
    if !text.lines().any(|line| line.trim() == format!("Cipher: {SUITE}")) {
        bail!("another cipher than {SUITE}");
    }
    let after =
        |label: &str| text.lines().find_map(|line| line.strip_prefix(label)).context(label.to_owned());
    let counts = after("requests: ")?;
    if !counts.contains(" 0 failed, 0 errored, 0 timeout") {
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
        let load = parse(SAID, LOG).unwrap();
        assert_eq!(load, Load { requests: 4000.0, per_second: 1333.33, p50_ms: 1.5, p99_ms: 3.0 });
    }

    #[test]
    fn failed_requests_and_other_ciphers_are_no_result() {
        for (good, bad) in [
            ("0 failed", "7 failed"),
            ("0 errored", "7 errored"),
            ("0 5xx", "3 5xx"),
            ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"),
        ] {
            assert!(parse(&SAID.replace(good, bad), LOG).is_err(), "{bad}");
        }
    }
}
