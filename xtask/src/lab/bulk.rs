//! `cargo xtask lab bulk`: processor time for a GiB through balancer and through HAProxy, which moves it through pipes, too:
//! downloads, uploads, WebSockets. In turns on one machine, over loopback, for a bounded amount.
//!
//! HAProxy takes part twice: with `option splice-auto`, as people run it, which begins to move a body through a pipe when it
//! thinks that it pays (version 2.6 does not here), and with pipes for all bodies.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::{
    bed::Bed,
    table::{Marks, Table},
};
use crate::bench::{
    self,
    load::bulk::{backend, client::Work},
    process,
    proxies::{self, Proxy, Setting, Shape},
    table::median,
};

const MIB: u64 = 1 << 20;

/// What moves, and how much of it is one measurement.
const WORKS: [(Work, u64); 7] = [
    (Work::Down { size: 100 * MIB }, 2000 * MIB),
    (Work::Up { size: 100 * MIB }, 2000 * MIB),
    (Work::Down { size: MIB }, 1024 * MIB),
    (Work::Up { size: MIB }, 1024 * MIB),
    (Work::Down { size: MIB / 16 }, 512 * MIB),
    (Work::TunnelDown, 1024 * MIB),
    (Work::TunnelUp, 1024 * MIB),
];

/// `cargo xtask lab bulk`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many times each proxy is measured, in turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measure this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A build of balancer that copies, measured in turns with this one.
    #[arg(long)]
    baseline: Option<PathBuf>,
}

/// Runs the scenario.
///
/// # Errors
/// When something needed is missing or does not start, when bytes are lost, and when a mark is missed.
pub(crate) fn run(options: &Options) -> Result<()> {
    bench::has_two_cores()?;
    let bed = Bed::make("bulk", options.binary.as_deref())?;
    let outcome = measure(options, &bed);
    proxies::clean_up(&bed.balancer);
    let (table, marks) = outcome?;
    println!("{table}");
    marks.verdict()
}

fn measure(options: &Options, bed: &Bed) -> Result<(Table, Marks)> {
    process::stay_on(bench::LOAD_CORE)?;
    let targets = vec![backend::start()?, backend::start()?];
    let shape = Shape { websocket: true, ..Shape::STICKY };
    let setting = Setting {
        folder: &bed.folder("proxies")?,
        core: bench::PROXY_CORE,
        targets,
        balancer: bed.balancer.clone(),
        baseline: options.baseline.as_deref(),
        kernel_assist: "off",
        certificate: None,
        shape,
    };
    let names = ["balancer", "baseline", "haproxy", "haproxy-splice"];
    let proxies: Vec<Proxy> = names
        .into_iter()
        .filter(|name| *name != "baseline" || options.baseline.is_some())
        .map(|name| proxies::start(name, &setting))
        .collect::<Result<_>>()?;
    let heads = heads(&proxies);
    let mut table = Table::new(&heads.iter().map(String::as_str).collect::<Vec<_>>());
    let mut marks = Marks::default();
    for (work, amount) in WORKS {
        let figures = rounds(work, amount, options.rounds, &proxies)?;
        table.row(row(work, &figures, &proxies));
        hold(work, &figures, &proxies, &mut marks);
    }
    Ok((table, marks))
}

/// Seconds of processor time a GiB, by proxy and round.
fn rounds(work: Work, amount: u64, rounds: u32, proxies: &[Proxy]) -> Result<Vec<Vec<f64>>> {
    let mut figures = vec![Vec::new(); proxies.len()];
    for round in 0..rounds {
        // Another one begins each round, so that none always runs after the same neighbour.
        let begin = usize::try_from(round).unwrap_or(0) % proxies.len().max(1);
        for (index, proxy) in proxies.iter().enumerate().cycle().skip(begin).take(proxies.len()) {
            let before = proxy.process.run_time()?;
            work.run(proxy.address, &proxy.cookie, amount)
                .with_context(|| format!("{work} through {}: {}", proxy.name, proxy.process.said()))?;
            let used = proxy.process.run_time()?.saturating_sub(before).as_secs_f64();
            let of_a_gib = used * (1024 * MIB) as f64 / amount as f64;
            println!("{work}  round {:>2}  {:<9} {of_a_gib:.3} s/GiB", round + 1, proxy.name);
            figures.get_mut(index).context("a proxy has figures")?.push(of_a_gib);
        }
    }
    Ok(figures)
}

fn heads(proxies: &[Proxy]) -> Vec<String> {
    let mut heads = vec!["CPU seconds a GiB, medians".to_owned()];
    heads.extend(proxies.iter().map(|proxy| proxy.name.to_owned()));
    heads.extend(proxies.iter().skip(1).map(|proxy| format!(": {}", proxy.name)));
    heads
}

fn row(work: Work, figures: &[Vec<f64>], proxies: &[Proxy]) -> Vec<String> {
    let mut row = vec![work.to_string()];
    row.extend(figures.iter().map(|rounds| format!("{:.3}", median(rounds.clone()))));
    let ratios = (1..proxies.len()).map(|base| ratio(figures, base));
    row.extend(ratios.map(|ratio| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))));
    row
}

/// The median over the rounds of balancer's figure by that of the proxy with this index.
fn ratio(figures: &[Vec<f64>], base: usize) -> Option<f64> {
    let (ours, theirs) = (figures.first()?, figures.get(base)?);
    Some(median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()))
}

fn hold(work: Work, figures: &[Vec<f64>], proxies: &[Proxy], marks: &mut Marks) {
    for (index, proxy) in proxies.iter().enumerate().skip(1) {
        let mark = match proxy.name {
            "haproxy" => Some(Work::MARK_TO_HAPROXY),
            "baseline" => work.mark_to_copying(),
            _ => None,
        };
        if let (Some(mark), Some(ratio)) = (mark, ratio(figures, index)) {
            marks.hold(ratio <= mark, || format!("{work}: {ratio:.2} of {}, at most {mark:.2}", proxy.name));
        }
    }
}
