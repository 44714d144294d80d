//! The loads: one run of a program on a core of its own, and what it says. A run in which a request fails is no result.

mod h2load;
mod handshakes;
mod wrk;

pub(crate) use h2load::run as h2load;
pub(crate) use handshakes::run as handshakes;
pub(crate) use wrk::run as wrk;

use std::process::Command;

use anyhow::{Context, Result, bail};

/// What one run showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
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
