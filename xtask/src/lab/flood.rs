//! `cargo xtask lab flood`: SYNs from ten thousand sources, and from one, fall on a listener on another host's side of a pair of
//! interfaces, while clients with kept connections ask. How much is left to them, without the shield and with it, beside what they
//! have in peace; and what the shield's program takes for a packet.

mod clients;
mod host;
mod packets;
mod program;
mod proxy;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use self::{
    clients::Clients,
    host::Host,
    packets::{Flood, Sources},
    proxy::{Proxy, Shield},
};
use super::{
    bed::Bed,
    table::{Marks, Table},
};
use crate::shell;

/// `cargo xtask lab flood`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Times that everything is done.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Seconds that each flood lasts.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// SYNs in a second.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..=1_000_000))]
    rate: u64,
    /// Clients, each with an address of its own and one request at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=100))]
    clients: u8,
    /// Prefixes that are denied.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=190_000))]
    prefixes: u32,
    /// Run this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Part of what clients have in peace that the shield has to leave them.
const LEFT: f64 = 0.9;
/// Nanoseconds that a packet may take which is dropped, and one that has nothing to do with listeners.
const DROP: u32 = 100;
const PASS: u32 = 60;

/// What falls on the listener: its name, from where, what is before it, and whether it is held to the mark.
const RUNS: [(&str, Option<Sources>, Shield, bool); 6] = [
    ("in peace", None, Shield::None, false),
    ("10,000 sources, no shield", Some(Sources::Many), Shield::None, false),
    ("10,000 sources, limited", Some(Sources::Many), Shield::Limit, true),
    ("10,000 sources, denied", Some(Sources::Many), Shield::Deny, true),
    ("one source, no shield", Some(Sources::One), Shield::None, false),
    ("one source, limited", Some(Sources::One), Shield::Limit, true),
];

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or clients have less, or packets take more, than the mark says.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !shell::is_root() {
        bail!("it takes root: a network namespace and the kernel side");
    }
    let bed = Bed::make("flood", options.binary.as_deref())?;
    let host = Host::make(options.clients)?;
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); RUNS.len()];
    let mut told: Vec<String> = vec![String::new(); RUNS.len()];
    for round in 0..options.rounds {
        for (index, (name, sources, shield, _)) in RUNS.iter().enumerate() {
            println!("round {}: {name}", round + 1);
            let proxy = Proxy::start(&bed, &host, *shield, options.prefixes)?;
            let flood = sources
                .map(|sources| Flood::begin(&host, proxy.address, sources, options.rate))
                .transpose()?;
            let clients = Clients::begin(&host, proxy.address)?;
            let asked = clients.count(Duration::from_secs(options.seconds));
            let sent = flood.map(Flood::end).transpose()?.unwrap_or(0);
            if let Some(place) = figures.get_mut(index) {
                place.push(asked);
            }
            if let Some(place) = told.get_mut(index) {
                *place = format!("{sent}");
            }
        }
    }
    let mut table = Table::new(&["SYNs", "requests/s", "of those in peace", "SYNs sent"]);
    let mut marks = Marks::default();
    let peace = figures.first().cloned().unwrap_or_default();
    for (((name, _, _, is_held), asked), sent) in RUNS.iter().zip(&figures).zip(&told) {
        // Of each round by itself: a machine may have other things to do in one of them.
        let parts: Vec<f64> = asked.iter().zip(&peace).map(|(asked, peace)| asked / peace.max(1.0)).collect();
        let part = median(&parts);
        table.row(vec![
            (*name).to_owned(),
            format!("{:.0}", median(asked)),
            format!("{part:.2}"),
            sent.clone(),
        ]);
        marks.hold(!is_held || part >= LEFT, || {
            format!("{name}: {part:.2} of the requests are left, {LEFT} is the mark")
        });
    }
    println!("\n{table}");
    let proxy = Proxy::start(&bed, &host, Shield::Deny, options.prefixes)?;
    let mut table = Table::new(&["packet", "ns", "mark"]);
    for (name, packet, verdict, mark) in [
        ("denied, 100,000 prefixes", packets::denied(&host, proxy.address), program::DROP, Some(DROP)),
        ("UDP", packets::unrelated_udp(&host, proxy.address), program::PASS, Some(PASS)),
        ("TCP to another port", packets::unrelated_tcp(&host, proxy.address), program::PASS, Some(PASS)),
        ("to the listener, let in", packets::let_in(&host, proxy.address), program::PASS, None),
    ] {
        let nanos = program::nanos(&bed, host.interface(), &packet, verdict)?;
        table.row(vec![
            name.to_owned(),
            nanos.to_string(),
            mark.map_or_else(String::new, |mark| mark.to_string()),
        ]);
        marks.hold(mark.is_none_or(|mark| nanos <= mark), || {
            format!("{name}: {nanos} ns a packet, {} is the mark", mark.unwrap_or_default())
        });
    }
    println!("{table}");
    marks.verdict()
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
