//! Many new sessions behind one balancer: what that does to clients of another one that shares the store. As many as a balancer on the
//! store's core begins, over HTTP/1.1 and over HTTP/2, and 50,000 a second that are told to the store as a balancer tells them. And how many a
//! balancer begins that has a core of its own.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    FLOOD, STORE_CORE,
    clients::{Client, Took, jar, newcomer},
    hold_ratio,
    parts::{Node, Parts, command},
    streams::Crowd,
};
use crate::{
    bench::{PROXY_CORE, process, table::median},
    lab::table::{Marks, Table},
};

/// The script by which balancers write sessions.
const SCRIPT: &str = include_str!("../../../../balancer/src/session_store/write.lua");
/// New sessions a second, and how many are told in a row.
const RATE: u64 = 50_000;
const ROW: u64 = 500;
/// For how long the store keeps one, so that their number is bounded.
const KEEP: &str = "5000";

/// Rounds with a flood and without, the length of each, and how often a client asks.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(1);

/// Connections of HTTP/2.
const CONNECTIONS: usize = 4;
/// How long it begins as many as it can that has a core of its own.
const SPRINT: Duration = Duration::from_secs(5);

/// What new sessions come from.
#[derive(Clone, Copy)]
enum Source {
    Balancer,
    /// Over HTTP/2, at the rate.
    Streams,
    /// As many as there can be.
    AllStreams,
    Store,
}

pub(super) fn measure(parts: &Parts, table: &mut Table, marks: &mut Marks) -> Result<()> {
    parts.empty_store()?;
    let other = Node::start(parts, "other", Some(parts.store_at))?;
    for (source, name) in [
        (Source::Balancer, "begun at a balancer"),
        (Source::Streams, "begun at a balancer over HTTP/2"),
        (Source::Store, "told to the store"),
    ] {
        let flooded = match source {
            Source::Balancer => Some(Node::start_beside_the_store(parts, parts.store_at)?),
            Source::Streams | Source::AllStreams => Some(Node::start_for_streams(parts, STORE_CORE)?),
            Source::Store => None,
        };
        let mut ratios = Vec::new();
        let (mut quiet, mut rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let without = steady(&other, round)?;
            let flooded = (source, flooded.as_ref());
            let (with, rate) = beside(parts, flooded, || steady(&other, round))?;
            ratios.push(with.p99 / without.p99);
            quiet.push(without.p99);
            rates.push(rate);
        }
        let rate = median(rates);
        let row = format!("{rate:.0} a second");
        let mark = if matches!(source, Source::Store) { RATE.to_string() } else { String::new() };
        table.row(vec![format!("new sessions {name}"), row, mark]);
        if let Some(node) = &flooded {
            let lost = node.figure("balancer_session_store_writes_dropped_total")?;
            table.row(vec!["  of them not told to the store".into(), format!("{lost:.0}"), String::new()]);
        }
        let p99 = format!("{:.0} µs", median(quiet));
        table.row(vec!["  a hit elsewhere at p99, without them".into(), p99, String::new()]);
        hold_ratio("  a hit elsewhere at p99, with them", median(ratios), FLOOD, table, marks);
    }
    Ok(())
}

/// How many sessions a balancer begins over HTTP/2 that has a core to itself, while clients, applications and store are on another one: at the
/// rate, of which the store is to hear of all, and as many as it can, of which it cannot.
pub(super) fn sprint(parts: &Parts, table: &mut Table, marks: &mut Marks) -> Result<()> {
    for (source, name) in [(Source::Streams, "at a rate"), (Source::AllStreams, "as many as it can")] {
        parts.empty_store()?;
        let node = Node::start_for_streams(parts, PROXY_CORE)?;
        let (cpu, began) = (node.cpu()?, Instant::now());
        let ((), rate) = beside(parts, (source, Some(&node)), || {
            thread::sleep(SPRINT);
            Ok(())
        })?;
        let share = 100.0 * (node.cpu()? - cpu) / began.elapsed().as_secs_f64();
        let until = Instant::now() + Duration::from_secs(30);
        while node.figure("balancer_session_store_writes_waiting")? > 0.0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
        }
        let there = parts.sessions()?;
        let left = node.figure("balancer_session_store_writes_dropped_total")?;
        let is_held = matches!(source, Source::Streams);
        let row = format!(
            "{rate:.0} a second, {share:.0} % of the core; the store has {there}, {left:.0} left out"
        );
        let mark = if is_held { format!("{RATE}, 0 left out") } else { String::new() };
        table.row(vec![format!("new sessions over HTTP/2, {name}"), row, mark]);
        marks.hold(!is_held || rate >= 0.98 * RATE as f64, || format!("{rate:.0} new sessions a second"));
        let is_told = left <= 0.0 && there as f64 >= rate * SPRINT.as_secs_f64();
        marks
            .hold(!is_held || is_told, || format!("the store has {there} sessions, {left:.0} were left out"));
    }
    Ok(())
}

/// A client that asks with a known session now and then.
fn steady(node: &Node, round: usize) -> Result<Took> {
    let mut client = Client::connect(node.address)?;
    client.ask(&jar(round))?;
    let until = Instant::now() + ROUND;
    let mut due = Instant::now();
    Took::of(std::iter::from_fn(|| {
        due += PACE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        (Instant::now() < until).then(|| client.ask(&jar(round)))
    }))
}

/// Does `work` while sessions begin; how many did a second.
fn beside<T>(
    parts: &Parts,
    (source, flooded): (Source, Option<&Node>),
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, f64)> {
    let (over, begun) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            process::stay_on(STORE_CORE)?;
            match (source, flooded) {
                (Source::Streams, Some(node)) => begin_by_streams(node, Some(RATE as f64), &over, &begun),
                (Source::AllStreams, Some(node)) => begin_by_streams(node, None, &over, &begun),
                (_, Some(node)) => begin(node, &over, &begun),
                (_, None) => tell(parts, &over, &begun),
            }
        });
        let began = Instant::now();
        let done = work();
        let rate = begun.load(Relaxed) as f64 / began.elapsed().as_secs_f64();
        over.store(true, Relaxed);
        flood.join().unwrap_or_else(|_| bail!("a thread panicked"))?;
        Ok((done?, rate))
    })
}

/// One client after the other that comes for the first time, on kept connections.
fn begin(node: &Node, over: &AtomicBool, begun: &AtomicU64) -> Result<()> {
    thread::scope(|scope| {
        let client = || {
            let mut client = Client::connect(node.address)?;
            while !over.load(Relaxed) {
                client.ask(&newcomer())?;
                begun.fetch_add(1, Relaxed);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(client)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })
}

/// Clients without a session, many at a time.
fn begin_by_streams(node: &Node, rate: Option<f64>, over: &AtomicBool, begun: &AtomicU64) -> Result<()> {
    let rate = rate.map(|rate| rate / CONNECTIONS as f64);
    let crowd = Crowd { address: node.address, rate, over, answered: begun };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| crowd.ask())).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })
}

/// Rows of sessions at the rate.
fn tell(parts: &Parts, over: &AtomicBool, begun: &AtomicU64) -> Result<()> {
    let mut stream = TcpStream::connect(parts.store_at)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let loaded = parts_hash(parts)?;
    let mut replies = BufReader::with_capacity(65_536, stream.try_clone()?);
    let value = format!("1 {:016x} 0", 1);
    let mut key = u64::from(std::process::id()) << 32;
    let mut due = Instant::now();
    while !over.load(Relaxed) {
        let mut row = Vec::new();
        for _ in 0..ROW {
            key += 1;
            let name = format!("balancer:s:{key:032x}");
            row.extend(command(&["EVALSHA", &loaded, "1", &name, &value, KEEP, "", "balancer:moved"]));
        }
        stream.write_all(&row)?;
        // `$-1` and the end of the line, each.
        let mut answers = vec![0; 5 * usize::try_from(ROW)?];
        replies.read_exact(&mut answers)?;
        anyhow::ensure!(answers.starts_with(b"$-1"), "{}", String::from_utf8_lossy(&answers));
        begun.fetch_add(ROW, Relaxed);
        due += Duration::from_micros(1_000_000 * ROW / RATE);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn parts_hash(parts: &Parts) -> Result<String> {
    let mut stream = TcpStream::connect(parts.store_at)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&command(&["SCRIPT", "LOAD", SCRIPT]))?;
    let mut answer = [0; 47];
    stream.read_exact(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.lines().nth(1).map(str::to_owned).context("SCRIPT LOAD")
}
