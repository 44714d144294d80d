//! `balancer etcd`: what several balancers share. Must not know: how balancers take it up.

use std::time::Duration;

use anyhow::Context as _;

mod arguments;
mod diff;
mod history;
mod keys;
mod nodes;
mod options;
mod pull;
mod push;
mod session;

use self::arguments::EtcdCommand;
pub(super) use self::{
    arguments::EtcdArguments,
    options::{EtcdOptions, host_name, node_name},
};
use super::told::CommandFailure;

/// Runs the command.
pub(super) fn run(arguments: &EtcdArguments) -> Result<(), CommandFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let done = runtime.block_on(async {
        match &arguments.command {
            EtcdCommand::Push(arguments) => push::run(arguments).await,
            EtcdCommand::Pull(arguments) => pull::run(arguments).await,
            EtcdCommand::Diff(arguments) => diff::run(arguments).await.map_err(|failure| match failure {
                // 1 is that they differ.
                CommandFailure::CannotStart(error) => {
                    CommandFailure::BadConfiguration(format!("balancer: {error:#}"))
                }
                failure => failure,
            }),
            EtcdCommand::History(arguments) => history::run(arguments).await,
            EtcdCommand::Nodes(arguments) => nodes::run(arguments).await,
            EtcdCommand::Keys(arguments) => keys::run(arguments).await,
        }
    });
    // A name still being looked up must not hold up the exit.
    runtime.shutdown_timeout(Duration::ZERO);
    done
}
