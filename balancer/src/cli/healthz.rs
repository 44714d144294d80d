//! `balancer healthz`: whether a balancer takes new work, as an exit code for check scripts. Must not know: what moves clients.

use std::time::Duration;

use anyhow::{Context as _, bail};
use hyper::StatusCode;

use super::{
    endpoint,
    told::{CommandFailure, admin_endpoint, print, whole},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  balancer healthz --timeout 1 && echo serves")]
pub(super) struct HealthzArguments {
    /// Admin endpoint of the balancer: its admin_address, with or without http://
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = admin_endpoint)]
    admin: String,
    /// Seconds within which it has to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = whole::<1, 60>)]
    timeout: u64,
}

/// Says whether the balancer takes new work.
pub(super) fn run(arguments: &HealthzArguments) -> Result<(), CommandFailure> {
    check(arguments)?;
    Ok(print("ok\n")?)
}

fn check(HealthzArguments { admin, timeout }: &HealthzArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let limit = Duration::from_secs(*timeout);
    let answer =
        runtime.block_on(async { tokio::time::timeout(limit, endpoint::get(admin, "/healthz")).await });
    // A name still being looked up must not hold up the exit.
    runtime.shutdown_background();
    let Ok(answer) = answer else { bail!("no answer from the admin endpoint {admin} within {timeout} s") };
    match answer? {
        (StatusCode::OK, _) => Ok(()),
        (StatusCode::SERVICE_UNAVAILABLE, _) => {
            bail!("the balancer at {admin} is ending and takes no new work")
        }
        (status, _) => bail!("what answers at {admin} is not a balancer's admin endpoint: {status}"),
    }
}
