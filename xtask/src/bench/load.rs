//! The loads: programs on a core of their own, or clients in this process on that core, and what each run shows. A run in which
//! a request fails is no result.

pub(crate) mod bulk;
mod echo;
mod fill;
mod h2load;
mod handshakes;
pub(crate) mod idle;
pub(crate) mod open;
mod wrk;

pub(crate) use echo::run as echo;
pub(crate) use fill::run as fill;
pub(crate) use h2load::{Protocol, run as h2load};
pub(crate) use handshakes::run as handshakes;
pub(crate) use wrk::{Requests, run as wrk};

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use super::table::permille;

/// What one run showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Load {
    /// Of requests that took so many milliseconds.
    pub(crate) fn of(mut took: Vec<f64>, time: Duration) -> Self {
        took.sort_by(f64::total_cmp);
        let requests = took.len() as f64;
        let per_second = requests / time.as_secs_f64();
        Self { requests, per_second, p50_ms: permille(&took, 500), p99_ms: permille(&took, 990) }
    }
}

/// Runs a program to its end; what it prints.
fn said(command: &mut Command) -> Result<String> {
    let program = crate::shell::show(command);
    let output = command.output().with_context(|| format!("cannot run `{program}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("`{program}` failed:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}
