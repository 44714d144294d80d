//! Instructions of the threads that carry out requests, of a balancer under callgrind. What its other threads do, that of the session
//! store above all, goes by time, of which there is much where everything takes fifty times as long. Must not know: what is asked.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::instructions::tally;

/// The room that no thread but a worker is in.
const OF_WORKERS: &str = "http";

/// Adds up the files of workers among those that callgrind has written next to `counts`, one a thread.
pub(super) fn by_workers(counts: &Path) -> Result<u64> {
    let name = counts.file_name().context("a file")?.to_string_lossy().into_owned() + "-";
    let (mut sum, mut workers) = (0, 0);
    for entry in fs::read_dir(counts.parent().context("a folder")?)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(&name) {
            continue;
        }
        let path = entry.path();
        let tally = tally::read(&fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        if tally.contains_key(OF_WORKERS) {
            workers += 1;
            sum += tally.values().sum::<u64>();
        }
    }
    ensure!(workers == 1, "{workers} threads have carried out requests, by {}*", counts.display());
    Ok(sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

    use super::*;

    #[test]
    fn what_threads_do_that_carry_out_no_requests_is_not_counted() {
        let folder = std::env::temp_dir().join(format!("balancer-counted-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let counts = folder.join("counts.400");
        for (name, text) in [
            ("counts.400", ""),
            ("counts.400-01", "fn=(1) balancer::control::a\n0 1000\n"),
            ("counts.400-02", "fn=(1) balancer::http::a\n0 30\nfn=(2) memcpy\n0 4\n"),
            ("counts.400-03", "fn=(1) balancer::session_store::a\n0 9000\n"),
            ("counts.1200-02", "fn=(1) balancer::http::a\n0 500\n"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(by_workers(&counts).unwrap(), 34);
        assert!(by_workers(&folder.join("counts.800")).is_err(), "nothing was counted");
        fs::remove_dir_all(&folder).unwrap();
    }
}
