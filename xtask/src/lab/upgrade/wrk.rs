//! wrk as the load that does not stop, and what it says of errors at the end. Must not know: proxies.

use std::{
    io::Read as _,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering::Relaxed,
};

use anyhow::{Context, Result, bail};

use super::{proxies::signal, tally::Tally};

/// One that runs.
pub(super) struct Wrk {
    child: Child,
    who: &'static str,
}

impl Wrk {
    /// Starts it, with this many connections, each kept or made anew for each request.
    pub(super) fn start(
        program: &Path,
        address: SocketAddr,
        connections: usize,
        keeps: bool,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--threads", "1", "--duration", "3600s", "--timeout", "30s"]);
        command.args(["--connections", &connections.to_string()]);
        if !keeps {
            command.args(["--header", "Connection: close"]);
        }
        command.arg(format!("http://{address}/")).stdin(Stdio::null()).stdout(Stdio::piped());
        let who = if keeps { "wrk, keep-alive" } else { "wrk, Connection: close" };
        Ok(Self { child: command.spawn().context("wrk")?, who })
    }

    /// Ends it, and adds what it says to `tally`.
    pub(super) fn end(mut self, tally: &Tally) -> Result<()> {
        signal(self.child.id(), libc::SIGINT);
        let mut text = String::new();
        self.child.stdout.take().context("wrk")?.read_to_string(&mut text)?;
        let Some([requests, refused, failed]) = parse(&text) else {
            bail!("cannot read what wrk says:\n{text}")
        };
        tally.requests.fetch_add(requests, Relaxed);
        tally.refused.fetch_add(refused, Relaxed);
        tally.failed.fetch_add(failed, Relaxed);
        if refused + failed > 0 {
            let lines =
                text.lines().filter(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
            lines.for_each(|line| tally.note(format!("{}: {}", self.who, line.trim())));
        }
        Ok(())
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// Requests, connections that nobody took, and whatever else went wrong.
fn parse(text: &str) -> Option<[u64; 3]> {
    let line = |words: &str| text.lines().find(|line| line.contains(words));
    let requests = line(" requests in ")?.split_whitespace().next()?.parse().ok()?;
    let after = |line: &str, label: &str| -> Option<u64> {
        let (_, rest) = line.split_once(label)?;
        rest.trim_start().split([',', ' ']).next()?.parse().ok()
    };
    let (mut refused, mut failed) = (0, 0);
    if let Some(errors) = line("Socket errors:") {
        refused = after(errors, "connect ")?;
        failed =
            ["read ", "write ", "timeout "].iter().map(|label| after(errors, label)).sum::<Option<u64>>()?;
    }
    if let Some(errors) = line("Non-2xx or 3xx responses:") {
        failed += after(errors, "responses:")?;
    }
    Some([requests, refused, failed])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_of_errors_is_added_up() {
        let good = "  177665 requests in 3.00s, 47.10MB read\n";
        assert_eq!(parse(good), Some([177_665, 0, 0]));
        let bad = format!(
            "{good}  Socket errors: connect 3, read 5, write 1, timeout 2\n  Non-2xx or 3xx responses: 7\n"
        );
        assert_eq!(parse(&bad), Some([177_665, 3, 15]));
        assert_eq!(parse("unable to connect"), None);
    }
}
