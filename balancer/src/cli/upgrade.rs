//! `balancer upgrade`: has a running balancer put a new process in its place, and waits for what comes of it. Must not know:
//! how that is done.

use std::{io::ErrorKind, path::PathBuf};

use anyhow::Context as _;

use super::told::{CommandFailure, check_instance, print};
use crate::control::upgrade::{UpgradeReply, ask};

#[derive(Debug, clap::Args)]
pub(super) struct UpgradeArguments {
    /// Instance to upgrade: its `instance` in the balancer block
    #[arg(long, value_name = "NAME", default_value = "default")]
    instance: String,
    /// Runtime folder: its `runtime_dir` in the balancer block
    #[arg(long, value_name = "DIR", default_value = "/run/balancer")]
    runtime_dir: PathBuf,
}

/// Upgrades a running balancer.
pub(super) fn run(arguments: &UpgradeArguments) -> Result<(), CommandFailure> {
    let UpgradeArguments { instance, runtime_dir } = arguments;
    check_instance(instance)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let folder = runtime_dir.join(instance);
    let answer = runtime.block_on(ask(&folder)).map_err(|error| {
        let place = format!("instance {instance:?} in {}", runtime_dir.display());
        // It took the question, and was killed.
        let what = if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) {
            format!("the balancer of {place} has ended without an answer: `balancer status` shows what serves, if any does")
        } else {
            format!("cannot speak to a balancer of {place} (is one running there?)")
        };
        anyhow::Error::new(error).context(what)
    })?;
    match answer {
        UpgradeReply::Upgraded { pid, version, ends } => {
            let rest = match ends {
                false => "the one before finishes what it has",
                true => "the one before was asked to end meanwhile, and both finish what they have",
            };
            Ok(print(&format!("process {pid} ({version}) serves; {rest}\n"))?)
        }
        UpgradeReply::NotUpgraded { configuration: true, text, .. } => Err(CommandFailure::BadConfiguration(
            format!("balancer: not upgraded, the running process serves on: {text}"),
        )),
        UpgradeReply::NotUpgraded { is_over: true, text, .. } => {
            Err(anyhow::anyhow!("not upgraded: {text}").into())
        }
        UpgradeReply::NotUpgraded { text, .. } => {
            Err(anyhow::anyhow!("not upgraded, the running process serves on: {text}").into())
        }
    }
}
