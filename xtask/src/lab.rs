//! `cargo xtask lab NAME`: scenarios, each in a file of its own. One puts a balancer into a situation, and its peers where they
//! are installed, prints a table of what came of it, and fails where balancer is below the mark. Everything stays on loopback
//! or in network namespaces of its own, and is bounded in number and time.

mod application;
mod bed;
mod bulk;
mod changes;
mod cluster;
mod dark;
mod dashboard;
mod flood;
mod frames;
mod sessions;
mod small_target;
mod store;
mod system;
mod table;
mod upgrade;
mod workers;

use anyhow::Result;
use clap::{Args, Subcommand};

/// `cargo xtask lab`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Large bodies and WebSockets: what a GiB costs.
    Bulk(bulk::Options),
    /// A hundred changes a second through the ELBv2 API beside a thousand targets: what clients notice.
    Changes(changes::Options),
    /// Three balancers that are one, with their store and etcd: it says what to kill, and who is logged out by it.
    Cluster(cluster::Options),
    /// A target's host vanishes under load: for how long requests are sent to it, and how many fail.
    Dark(dark::Options),
    /// What it costs that somebody looks at the dashboard.
    Dashboard(dashboard::Options),
    /// SYNs fall on a listener: what is left to clients, and what the shield takes for a packet.
    Flood(flood::Options),
    /// A shop whose sessions are in five places, with stickiness and without, while targets are replaced, killed and added: who is
    /// logged out, and what it costs.
    Sessions(sessions::Options),
    /// What sharing sessions through Redis or Valkey costs: hits, misses, floods of new ones, a store that is away.
    Store(store::Options),
    /// The package in a Debian that systemd runs: installed, upgraded and restarted under load, purged.
    System(system::Options),
    /// Upgrades in a row under load, and such that fail: what clients notice.
    Upgrade(upgrade::Options),
    /// Which worker gets whom, how long clients wait for one, and what idle ones cost.
    Workers(workers::Options),
}

/// Runs the command.
///
/// # Errors
/// Something is missing or does not start, or balancer is below the mark.
pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.scenario {
        Scenario::Bulk(options) => bulk::run(options),
        Scenario::Changes(options) => changes::run(options),
        Scenario::Cluster(options) => cluster::run(options),
        Scenario::Dark(options) => dark::run(options),
        Scenario::Dashboard(options) => dashboard::run(options),
        Scenario::Flood(options) => flood::run(options),
        Scenario::Sessions(options) => sessions::run(options),
        Scenario::Store(options) => store::run(options),
        Scenario::System(options) => system::run(options),
        Scenario::Upgrade(options) => upgrade::run(options),
        Scenario::Workers(options) => workers::run(options),
    }
}
