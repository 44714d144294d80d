//! The store is away while sessions begin: the memory that a balancer takes for what it is still to tell is bounded.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{
    clients::{Client, newcomer},
    parts::{Node, Parts},
};
use crate::lab::table::{Marks, Table};

/// What a balancer may take for sessions that wait: 131,072 of them with all that belongs to each, and what the queue before holds.
const MOST: u64 = 64 << 20;
/// What it may grow by once there is no room for more.
const GROWS: u64 = 8 << 20;
/// How many sessions wait at most.
const WAITING: f64 = 131_072.0;

pub(super) fn measure(parts: &Parts, span: Duration, table: &mut Table, marks: &mut Marks) -> Result<()> {
    parts.empty_store()?;
    let node = Node::start(parts, "alone", Some(parts.store_at))?;
    // The table itself is there after its first sessions, wherever they are in it.
    begin(&node, Duration::from_secs(5))?;
    let before = node.process.resident()?;
    parts.end_store();
    let until = Instant::now() + Duration::from_secs(10);
    while node.figure("balancer_session_store_up")? > 0.0 {
        if Instant::now() > until {
            bail!("the store's end is not found out");
        }
        thread::sleep(Duration::from_millis(20));
    }
    let mut begun = 0;
    let mut full = None;
    let began = Instant::now();
    while began.elapsed() < span {
        begun += begin(&node, Duration::from_secs(2))?;
        let waiting = node.figure("balancer_session_store_writes_waiting")?;
        if waiting >= WAITING && full.is_none() {
            full = Some(node.process.resident()?);
        }
    }
    let (after, waiting) = (node.process.resident()?, node.figure("balancer_session_store_writes_waiting")?);
    let dropped = node.figure("balancer_session_store_writes_dropped_total")?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let grown = after.saturating_sub(before);
    table.row(vec![
        format!("the store is away for {} s", span.as_secs()),
        format!("{begun} sessions begin, {waiting:.0} wait, {dropped:.0} are left out"),
        format!("{WAITING:.0} wait"),
    ]);
    table.row(vec![
        "  memory".into(),
        format!("{:.1} MiB more than {:.1}", mib(grown), mib(before)),
        format!("{:.0}", mib(MOST)),
    ]);
    marks.hold(waiting <= WAITING, || format!("{waiting} sessions wait"));
    marks.hold(grown <= MOST, || format!("{:.1} MiB more while the store is away", mib(grown)));
    if let Some(full) = full {
        let later = after.saturating_sub(full);
        table.row(vec![
            "  once there was no room".into(),
            format!("{:.1} MiB more", mib(later)),
            format!("{:.0}", mib(GROWS)),
        ]);
        marks.hold(later <= GROWS, || format!("{:.1} MiB more once there was no room", mib(later)));
    }
    parts.start_store()
}

/// Sessions begin for so long; how many.
fn begin(node: &Node, span: Duration) -> Result<usize> {
    let until = Instant::now() + span;
    thread::scope(|scope| {
        let client = || -> Result<usize> {
            let mut client = Client::connect(node.address)?;
            let mut begun = 0;
            while Instant::now() < until {
                client.ask(&newcomer())?;
                begun += 1;
            }
            Ok(begun)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let counts =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")));
        counts.sum()
    })
}
