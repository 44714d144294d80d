//! `cargo xtask lab workers`: which of four workers gets whom, how long newcomers wait while some of the workers have much to do,
//! and what idle connections cost. balancer beside itself without the kernel side, HAProxy and nginx.

mod clients;
mod proxies;
mod stall;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use self::proxies::{Certificate, Kind, Proxy, WORKERS};
use super::{
    bed::Bed,
    small_target,
    table::{Marks, Table},
};
use crate::shell;

/// `cargo xtask lab workers`.
#[derive(Args)]
pub(crate) struct Options {
    /// Take this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many times newcomers are measured with each, in turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Length of one measurement, seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Only these parts (even, newcomers, stalls, idle), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Idle connections.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    idle: u32,
}

/// A part of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Even,
    Newcomers,
    Stalls,
    Idle,
}

const HELD: usize = 1000;
/// Most connections of a worker beside the least.
const EVEN: f64 = 1.05;
/// 99th percentile of newcomers beside that without the choice.
const BESIDE_PLAIN: f64 = 0.7;
/// Part of what can be had that handshakes take.
const LOAD: f64 = 0.65;
/// Newcomers a second, which make the rest of 70 %.
const NEWCOMERS: f64 = 200.0;
/// How long a newcomer may wait while a worker stands still.
const RELIEVED: Duration = Duration::from_millis(50);
/// Kept connections that keep all workers at work meanwhile, and the pause between two requests of one.
const BUSY: usize = 16;
const BUSY_PAUSE: Duration = Duration::from_millis(3);
/// System calls of an idle worker in ten seconds.
const CALLS: u64 = 150;

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or balancer is below the mark.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bed = Bed::make("workers", options.binary.as_deref())?;
    raise_descriptors();
    let certificate = Certificate::make(&bed.folder("certificate")?)?;
    let lab = Lab { bed: &bed, certificate: &certificate, target: small_target::target()? };
    let mut marks = Marks::default();
    for part in Part::value_variants() {
        if options.only.is_empty() || options.only.contains(part) {
            match part {
                Part::Even => lab.evenness(&mut marks)?,
                Part::Newcomers => lab.newcomers(options, &mut marks)?,
                Part::Stalls => lab.stalls(options, &mut marks)?,
                Part::Idle => lab.idleness(options, &mut marks)?,
            }
        }
    }
    marks.verdict()
}

struct Lab<'a> {
    bed: &'a Bed,
    certificate: &'a Certificate,
    target: std::net::SocketAddr,
}

impl Lab<'_> {
    fn start(&self, kind: Kind, name: &str, workers: usize) -> Result<Proxy> {
        let folder = self.bed.folder(&format!("{name}-{}", kind as u8))?;
        Proxy::start(kind, folder, &self.bed.balancer, self.target, self.certificate, workers)
    }

    fn kinds() -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| kind.is_installed())
    }

    /// A thousand connections that stay, of which one in ten does nearly all the work.
    fn evenness(&self, marks: &mut Marks) -> Result<()> {
        let mut table = Table::new(&["1,000 connections that stay", "of each worker", "most / least"]);
        for kind in Self::kinds() {
            let proxy = self.start(kind, "even", WORKERS)?;
            let mut found = clients::with_held(proxy.http, HELD, true, || proxy.connections())
                .with_context(|| format!("{}: {}", kind.name(), proxy.said()))?;
            found.resize(WORKERS.max(found.len()), 0);
            found.sort_unstable();
            let ratio = match (found.last(), found.first()) {
                (Some(most), Some(least)) => ratio(*most, *least),
                _ => f64::INFINITY,
            };
            let counts = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            table.row(vec![kind.name().into(), counts.clone(), format!("{ratio:.3}")]);
            if kind == Kind::Balancer {
                marks.hold(ratio <= EVEN, || {
                    format!("workers have {counts} connections: {ratio:.3}, more than {EVEN}")
                });
            }
        }
        println!("{table}");
        Ok(())
    }

    /// Newcomers at 70 % load, nearly all of which is handshakes that take a worker milliseconds each.
    fn newcomers(&self, options: &Options, marks: &mut Marks) -> Result<()> {
        let length = Duration::from_secs(options.seconds);
        let proxies: Vec<(Kind, Proxy)> =
            Self::kinds().map(|kind| Ok((kind, self.start(kind, "new", WORKERS)?))).collect::<Result<_>>()?;
        let plain = proxies.iter().find(|(kind, _)| *kind == Kind::Plain).context("no proxy")?;
        let most = clients::handshakes(plain.1.https, 16, None, length)?;
        let rate = most * LOAD;
        println!("handshakes: {most:.0} a second at most, {rate:.0} while newcomers are measured");
        let mut seen: Vec<Vec<[f64; 2]>> = vec![Vec::new(); proxies.len()];
        for round in 1..=options.rounds {
            for ((kind, proxy), seen) in proxies.iter().zip(&mut seen) {
                let (took, made) = thread::scope(|scope| {
                    let work = scope.spawn(|| clients::handshakes(proxy.https, 32, Some(rate), length));
                    let took = clients::newcomers(proxy.http, 16, NEWCOMERS, length);
                    (took, work.join())
                });
                let took = took.with_context(|| format!("{}: {}", kind.name(), proxy.said()))?;
                let made = made.ok().context("a thread panicked")??;
                let (p50, p99) = (percentile(&took, 50), percentile(&took, 99));
                let name = kind.name();
                println!(
                    "round {round}  {name}: p50 {p50:.2} ms, p99 {p99:.2} ms, {made:.0} handshakes a second"
                );
                seen.push([p50, p99]);
            }
        }
        let figure = |rounds: &[[f64; 2]], index: usize| {
            let mut all: Vec<f64> = rounds.iter().filter_map(|round| round.get(index).copied()).collect();
            all.sort_unstable_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let of = |kind: Kind, index| {
            let found = proxies.iter().zip(&seen).find(|((it, _), _)| *it == kind);
            found.map_or(f64::NAN, |(_, rounds)| figure(rounds, index))
        };
        let mut table = Table::new(&["newcomers at 70 % load", "p50 ms", "p99 ms", "p99 beside plain"]);
        for (kind, _) in &proxies {
            let (p50, p99) = (of(*kind, 0), of(*kind, 1));
            let beside = p99 / of(Kind::Plain, 1);
            table.row(vec![
                kind.name().into(),
                format!("{p50:.2}"),
                format!("{p99:.2}"),
                format!("{beside:.2}"),
            ]);
        }
        println!("{table}");
        let beside = of(Kind::Balancer, 1) / of(Kind::Plain, 1);
        marks.hold(beside <= BESIDE_PLAIN, || {
            format!("the 99th percentile of newcomers is {beside:.2} of that without the choice, more than {BESIDE_PLAIN}")
        });
        Ok(())
    }

    /// Newcomers while one of the workers stands still.
    fn stalls(&self, options: &Options, marks: &mut Marks) -> Result<()> {
        let mut table =
            Table::new(&["newcomers while a worker stands still", "p50 ms", "slowest ms", "not in 1 s"]);
        for kind in Self::kinds() {
            let proxy = self.start(kind, "stall", WORKERS)?;
            let mut took = clients::with_busy(proxy.http, BUSY, BUSY_PAUSE, || {
                let mut took = Vec::new();
                for round in 0..options.rounds {
                    took.extend(stall::newcomers(kind, &proxy, round as usize)?);
                }
                Ok(took)
            })
            .with_context(|| format!("{}: {}", kind.name(), proxy.said()))?;
            took.sort_unstable();
            let slowest = took.last().copied().unwrap_or(stall::MOST);
            let late = took.iter().filter(|took| **took >= stall::MOST).count();
            table.row(vec![
                kind.name().into(),
                format!("{:.2}", percentile(&took, 50)),
                format!("{:.1}", slowest.as_secs_f64() * 1e3),
                format!("{late} of {}", took.len()),
            ]);
            if matches!(kind, Kind::Balancer | Kind::Plain) {
                marks.hold(slowest <= RELIEVED, || {
                    format!("{}: a newcomer waited {slowest:?} while a worker stood still, more than {RELIEVED:?}", kind.name())
                });
            }
        }
        println!("{table}");
        Ok(())
    }

    /// A worker with nothing but idle connections.
    fn idleness(&self, options: &Options, marks: &mut Marks) -> Result<()> {
        let mut table = Table::new(&["idle kept-alive connections", "connections", "system calls in 10 s"]);
        for kind in [Kind::Balancer, Kind::Plain] {
            let proxy = self.start(kind, "idle", 1)?;
            let count = usize::try_from(options.idle)?;
            let calls = clients::with_held(proxy.http, count, false, || {
                thread::sleep(Duration::from_secs(5));
                calls(&proxy)
            })?;
            table.row(vec![kind.name().into(), count.to_string(), calls.to_string()]);
            marks.hold(calls <= CALLS, || {
                format!("an idle worker made {calls} system calls, more than {CALLS}")
            });
        }
        println!("{table}");
        Ok(())
    }
}

/// System calls of the worker in ten seconds, as strace counts them.
fn calls(proxy: &Proxy) -> Result<u64> {
    let threads = fs::read_dir(format!("/proc/{}/task", proxy.pid()))?.flatten().map(|entry| entry.path());
    let is_worker =
        |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "worker-0");
    let worker = threads.into_iter().find(is_worker).context("no worker")?;
    let worker = worker.file_name().context("no worker")?.to_owned();
    let strace = shell::find_program("strace").context("strace is missing")?;
    let mut tracer = Command::new("timeout");
    tracer.args(["--signal=INT", "10"]).arg(strace).args(["-c", "-p"]).arg(worker);
    let output = tracer.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let total = text.lines().find(|line| line.trim_end().ends_with(" total"));
    // Without any calls there is no table.
    let Some(total) = total else { return Ok(0) };
    total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()).context("strace tells no sum")
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn ratio(most: u64, least: u64) -> f64 {
    if least == 0 { f64::INFINITY } else { most as f64 / least as f64 }
}

/// Of sorted spans, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

/// As many open files as there may be: for this process and what it starts.
fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place for the answer is ours.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the limit is ours. Where it stays, opening connections will say so.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
