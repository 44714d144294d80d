//! `cargo xtask lab store`: what sharing sessions costs. A release build of balancer before two small applications, with Redis or Valkey
//! and without: what a request costs whose session is known, how long one waits whose session another balancer has, what a flood of new
//! sessions does to others, and how much memory a balancer takes while the store is away.
//!
//! Balancers, applications and clients are on one core, the store and what floods it on another one.

mod away;
mod clients;
mod counted;
mod flood;
mod parts;
mod relay;
mod streams;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args;

use self::{
    clients::{Client, Took, jar},
    parts::{Node, Parts},
    relay::Relay,
};
use super::{
    bed::Bed,
    table::{Marks, Table},
};
use crate::{
    bench::{self, LOAD_CORE, PROXY_CORE, process, table::median},
    setup, shell,
};

/// A request whose session is known here: at most so many times what it costs without a store.
const HITS: f64 = 1.03;
/// A request whose session another balancer has: so many ways to the store and back more, at most.
const MISSES: f64 = 1.5;
/// What a flood of new sessions at one balancer may do to others.
const FLOOD: f64 = 1.2;

/// The core of the store.
const STORE_CORE: usize = LOAD_CORE;

/// Requests of a round of hits, and rounds.
const REQUESTS: usize = 20_000;
const ROUNDS: usize = 7;
/// Requests of the shorter of two runs under callgrind.
const COUNTED: usize = 400;
/// Sessions that are asked for at another balancer.
const SESSIONS: usize = 2000;
/// How far the store is away there, and back again.
const DISTANCE: Duration = Duration::from_millis(1);

/// `cargo xtask lab store`.
#[derive(Args)]
pub(crate) struct Options {
    /// Measure this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Leave the store away for ten minutes.
    #[arg(long)]
    full: bool,
    /// Measure only these, separated by commas: hits, misses, flood, sprint, away.
    #[arg(long, value_delimiter = ',', value_parser = ["hits", "misses", "flood", "sprint", "away"])]
    only: Vec<String>,
}

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or balancer is below a mark.
pub(crate) fn run(options: &Options) -> Result<()> {
    bench::has_two_cores()?;
    setup::for_stores()?;
    let bed = Bed::make("store", options.binary.as_deref())?;
    process::stay_on(PROXY_CORE)?;
    let is_wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let parts = Parts::start(&bed)?;
    let (mut marks, mut table) = (Marks::default(), Table::new(&["what", "figure", "mark"]));
    if is_wanted("hits") {
        instructions(&parts, &mut table, &mut marks)?;
        hits(&parts, &mut table, &mut marks)?;
    }
    if is_wanted("misses") {
        misses(&parts, &mut table, &mut marks)?;
    }
    if is_wanted("flood") {
        flood::measure(&parts, &mut table, &mut marks)?;
    }
    if is_wanted("sprint") {
        flood::sprint(&parts, &mut table, &mut marks)?;
    }
    if is_wanted("away") {
        let span = Duration::from_secs(if options.full { 600 } else { 20 });
        away::measure(&parts, span, &mut table, &mut marks)?;
    }
    println!("{table}");
    marks.verdict()
}

/// Instructions of user time that a request takes of its worker whose session is known, without a store and with one.
fn instructions(parts: &Parts, table: &mut Table, marks: &mut Marks) -> Result<()> {
    let Some(valgrind) = shell::find_program("valgrind") else {
        println!("skipped: instructions: valgrind is missing");
        return Ok(());
    };
    let count = |store| -> Result<f64> {
        let run = |requests: usize| -> Result<u64> {
            let counts = parts.folder().join(format!("counts.{requests}"));
            let mut node = Node::under(&valgrind, parts, store, &counts)?;
            let mut client = Client::connect(node.address)?;
            (0..requests).try_for_each(|_| client.ask("SESSIONID=counted").map(drop))?;
            node.process.end();
            counted::by_workers(&counts)
        };
        let (few, many) = (run(COUNTED)?, run(3 * COUNTED)?);
        Ok(many.saturating_sub(few) as f64 / (2 * COUNTED) as f64)
    };
    let (off, on) = (count(None)?, count(Some(parts.store_at))?);
    table.row(vec!["instructions of a hit, without".into(), format!("{off:.0}"), String::new()]);
    hold_ratio("instructions of a hit, with", on / off, HITS, table, marks);
    Ok(())
}

fn hold_ratio(what: &str, ratio: f64, most: f64, table: &mut Table, marks: &mut Marks) {
    table.row(vec![what.to_owned(), format!("{ratio:.3} times"), format!("{most}")]);
    marks.hold(ratio <= most, || format!("{what}: {ratio:.3} times, at most {most}"));
}

/// Processor time of a request whose session is known, in turns.
fn hits(parts: &Parts, table: &mut Table, marks: &mut Marks) -> Result<()> {
    let nodes = [Node::start(parts, "without", None)?, Node::start(parts, "with", Some(parts.store_at))?];
    let mut ratios = Vec::new();
    let mut without = Vec::new();
    for round in 0..ROUNDS {
        let mut each = [0.0; 2];
        // The first of two is at a disadvantage now and then: in turns.
        for turn in 0..2 {
            let at = (turn + round) % 2;
            let (Some(node), Some(cost)) = (nodes.get(at), each.get_mut(at)) else { continue };
            let mut client = Client::connect(node.address)?;
            client.ask("SESSIONID=hit")?;
            let before = node.cpu()?;
            (0..REQUESTS).try_for_each(|_| client.ask("SESSIONID=hit").map(drop))?;
            *cost = (node.cpu()? - before) * 1e6 / REQUESTS as f64;
        }
        let [off, on] = each;
        without.push(off);
        ratios.push(on / off);
    }
    let cost = format!("{:.1} µs", median(without));
    table.row(vec!["processor time of a hit, without".into(), cost, String::new()]);
    hold_ratio("processor time of a hit, with", median(ratios), HITS, table, marks);
    Ok(())
}

/// How long requests take whose sessions another balancer has, beside those whose sessions are known, and the way to the store and back:
/// a store that is some way off, and the one on this host, which is told and held to nothing.
fn misses(parts: &Parts, table: &mut Table, marks: &mut Marks) -> Result<()> {
    let relay = Relay::start(parts.store_at, DISTANCE)?;
    for (where_it_is, at, is_held) in [("here", parts.store_at, false), ("2 ms off", relay.address, true)] {
        parts.empty_store()?;
        let first = Node::start(parts, "first", Some(parts.store_at))?;
        let second = Node::start(parts, "second", Some(at))?;
        let mut client = Client::connect(first.address)?;
        (0..SESSIONS).try_for_each(|number| client.ask(&jar(number)).map(drop))?;
        parts.wait_sessions(SESSIONS)?;
        let way = parts.round_trips(at, SESSIONS)?;
        let mut client = Client::connect(second.address)?;
        client.ask("SESSIONID=first-of-all")?;
        let mut ask_all = || Took::of((0..SESSIONS).map(|number| client.ask(&jar(number))));
        let (missed, hit) = (ask_all()?, ask_all()?);
        let found = second.figure("balancer_session_store_lookups_total{outcome=\"found\"}")?;
        anyhow::ensure!(
            found.total_cmp(&(SESSIONS as f64)).is_eq(),
            "{found} of {SESSIONS} sessions were found in the store"
        );
        let more = missed.p99 - hit.p99;
        let row = format!(
            "{:.0} µs more than {:.0} (way there and back {:.0}; medians {:.0}, {:.0}, {:.0})",
            more, hit.p99, way.p99, missed.p50, hit.p50, way.p50
        );
        let mark = if is_held { format!("{MISSES} ways") } else { String::new() };
        table.row(vec![format!("a miss at p99, store {where_it_is}"), row, mark]);
        marks.hold(!is_held || more <= MISSES * way.p99, || {
            format!("a miss takes {more:.0} µs more at p99, {:.2} ways to the store and back", more / way.p99)
        });
    }
    Ok(())
}
