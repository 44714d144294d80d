//! `cargo xtask lab cluster`: three balancers that are one, with Redis (or Valkey) for sessions and etcd for the configuration, before
//! three processes of the shop of `examples/sessions`. Clients return the shop's own cookie alone and come to any of the balancers. It says
//! what to kill, and who is logged out by it; `--faults` kills by itself, and fails where anybody is.

mod crowd;
mod parts;
mod revival;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use self::{crowd::Crowd, parts::Cluster, revival::Revival};
use super::{bed::Bed, table::Marks};
use crate::setup;

/// `cargo xtask lab cluster`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Clients, each with one request at a time.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=2000))]
    clients: u16,
    /// Seconds that it goes on; without it: until Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// Kill a node, restart the store, stop it for a while, restart etcd, change the configuration: one after the other, and end.
    #[arg(long)]
    faults: bool,
    /// Run this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Between two lines of figures.
const TOLD: Duration = Duration::from_secs(2);
/// Between two faults.
const PAUSE: Duration = Duration::from_secs(6);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, SeqCst);
}

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start; with `--faults`, somebody was logged out.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::for_clusters()?;
    let bed = Bed::make("cluster", options.binary.as_deref())?;
    let mut cluster = Cluster::start(&bed)?;
    println!("{}", cluster.described());
    let handler: extern "C" fn(libc::c_int) = interrupt;
    // SAFETY: the handler does nothing but store an atomic.
    unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
    let crowd = Crowd::new(cluster.addresses());
    let mut done = Vec::new();
    let outcome = thread::scope(|scope| -> Result<()> {
        let ends = crowd.ends();
        (0..options.clients).for_each(|number| crowd.join(scope, number));
        if options.faults {
            faults(&mut cluster, &crowd, &mut done)?;
        } else {
            watch(options.seconds.map(Duration::from_secs), &mut cluster, &crowd);
        }
        drop(ends);
        Ok(())
    });
    println!("\nin all: {}", crowd.told());
    outcome?;
    let mut marks = Marks::default();
    if options.faults {
        for (what, lost) in done {
            marks.hold(lost == 0, || format!("{what}: {lost} were logged out"));
        }
    }
    marks.verdict()
}

/// Tells what clients see until it is over, and starts again what was killed.
fn watch(span: Option<Duration>, cluster: &mut Cluster, crowd: &Crowd) {
    let (began, mut revival) = (Instant::now(), Revival::default());
    while !INTERRUPTED.load(SeqCst) && span.is_none_or(|span| began.elapsed() < span) {
        thread::sleep(TOLD);
        println!("{:>4} s  {}", began.elapsed().as_secs(), crowd.told());
        // Ctrl-C in a terminal is for all of them.
        if !INTERRUPTED.load(SeqCst) {
            revival.look(cluster);
        }
    }
}

/// One fault after the other; how many were logged out by each goes to `done`.
fn faults(cluster: &mut Cluster, crowd: &Crowd, done: &mut Vec<(&'static str, usize)>) -> Result<()> {
    type Fault = (&'static str, fn(&mut Cluster) -> Result<()>);
    let all: [Fault; 7] = [
        ("nothing", |_| Ok(())),
        ("a balancer is killed", |cluster| cluster.kill_node(2)),
        ("it starts again", |cluster| cluster.start_node(2)),
        ("the store restarts, empty", Cluster::restart_store),
        ("the store answers nothing for three seconds", |cluster| cluster.hold_store(Duration::from_secs(3))),
        ("etcd is away while a balancer restarts", |cluster| cluster.restart_node_without_etcd(1)),
        ("a configuration is pushed to all", Cluster::push_again),
    ];
    for (what, fault) in all {
        if INTERRUPTED.load(SeqCst) {
            return Ok(());
        }
        let before = crowd.lost();
        fault(cluster)?;
        thread::sleep(PAUSE);
        done.push((what, crowd.lost() - before));
        println!("{what}: {} logged out; {}", crowd.lost() - before, crowd.told());
    }
    Ok(())
}
