//! `balancer maps`: what a balancer keeps in the kernel, row by row, with the names of targets. Must not know: how the tables
//! are laid out.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::bail;
use serde::Serialize;

use super::{
    endpoint,
    told::{CommandFailure, admin_endpoint, print},
};
use crate::{
    id::Slot,
    kernel::{CounterValues, KernelError, PinnedTables},
    stickiness::{Occupancy, SessionTable},
    telemetry::status::Status,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  balancer maps\n  balancer maps --json | jq '.targets[] | {target, open}'"
)]
pub(super) struct MapsArguments {
    /// Instance: its `instance` in the balancer block
    #[arg(long, value_name = "NAME", default_value = "default")]
    instance: String,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
    /// Admin endpoint of the balancer, which is asked for the names of target groups: its `admin_address`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = admin_endpoint)]
    admin: String,
}

/// Everything that is shown.
#[derive(Debug, Default, Serialize)]
struct Report {
    instance: String,
    /// Rows of TARGET_COUNTERS and OUTSTANDING, with the keys of TARGETS.
    targets: Vec<TargetRow>,
    /// Rows of WORKER_LOAD.
    workers: Vec<WorkerRow>,
    /// LISTENERS.
    listeners: Vec<ListenerRow>,
    /// STICKY.
    sessions: SessionRow,
}

#[derive(Debug, Default, Serialize)]
struct TargetRow {
    slot: u16,
    /// Its address; a Unix socket's, or that of one which is not counted any more, is known by the balancer alone.
    target: Option<String>,
    target_groups: Vec<String>,
    requests_in_flight: u64,
    connects: u64,
    connecting: u64,
    open: u64,
    failed: u64,
    refused: u64,
    resets: u64,
    aborted: u64,
    retransmits: u64,
    timeouts: u64,
    srtt_us: u64,
    bytes_in: u64,
    bytes_out: u64,
    closed: u64,
}

#[derive(Debug, Serialize)]
struct WorkerRow {
    /// Which process of the instance: its row among those that count.
    generation: usize,
    worker: usize,
    connections: u64,
    accepted: u64,
    requests_in_flight: u64,
    busy_ratio: f64,
    passed_over: u64,
}

#[derive(Debug, Serialize)]
struct ListenerRow {
    address: String,
    sockets: u32,
    workers: u32,
}

#[derive(Debug, Default, Serialize)]
struct SessionRow {
    entries: u64,
    entries_error: u64,
    capacity: u64,
}

/// Prints what is pinned.
pub(super) fn run(arguments: &MapsArguments) -> Result<(), CommandFailure> {
    let tables = match PinnedTables::open(&arguments.instance) {
        Err(error @ KernelError::InstanceName(_)) => {
            return Err(CommandFailure::BadConfiguration(format!("balancer: {error}")));
        }
        tables => tables.map_err(anyhow::Error::from)?,
    };
    let names = names(&arguments.admin, &arguments.instance);
    Ok(print(&text(arguments, tables, &names)?)?)
}

fn text(
    arguments: &MapsArguments,
    tables: Option<PinnedTables>,
    names: &BTreeMap<u16, SlotName>,
) -> anyhow::Result<String> {
    let instance = &arguments.instance;
    let Some(tables) = tables else {
        bail!(
            "nothing is pinned for instance {instance:?}: it has not run here, or does without the kernel side \
             (`balancer status` says why, and shows the same figures)"
        );
    };
    let report = report(instance, &tables, names);
    Ok(if arguments.json { serde_json::to_string_pretty(&report)? + "\n" } else { in_columns(&report) })
}

/// What a running balancer calls the target of a slot.
#[derive(Debug, Default)]
struct SlotName {
    label: String,
    groups: Vec<String>,
}

/// The names of slots, where the balancer of this instance says them.
fn names(admin: &str, instance: &str) -> BTreeMap<u16, SlotName> {
    let Ok((_, status)) = endpoint::ask(admin) else { return BTreeMap::new() };
    if status.instance == instance { names_of(&status) } else { BTreeMap::new() }
}

fn names_of(status: &Status) -> BTreeMap<u16, SlotName> {
    let mut names: BTreeMap<u16, SlotName> = BTreeMap::new();
    for group in &status.target_groups {
        for target in &group.targets {
            let name = names.entry(target.slot).or_default();
            name.label = target.label();
            name.groups.push(group.name.clone());
        }
    }
    names
}

fn report(instance: &str, tables: &PinnedTables, names: &BTreeMap<u16, SlotName>) -> Report {
    let target = |slot: Slot| {
        let counted = tables.targets.iter().find(|(_, of)| *of == slot);
        let name = names.get(&slot.0);
        let target = counted.map(|(address, _)| address.to_string()).or_else(|| Some(name?.label.clone()));
        let groups = name.map(|name| name.groups.clone()).unwrap_or_default();
        let CounterValues {
            connects,
            connecting,
            open,
            opened: _,
            failed,
            refused,
            resets,
            aborted,
            retransmits,
            timeouts,
            srtt_us,
            bytes_in,
            bytes_out,
            closed,
        } = tables.counters.read(slot);
        TargetRow {
            slot: slot.0,
            target,
            target_groups: groups,
            requests_in_flight: tables.outstanding(slot),
            connects,
            connecting,
            open,
            failed,
            refused,
            resets,
            aborted,
            retransmits,
            timeouts,
            srtt_us,
            bytes_in,
            bytes_out,
            closed,
        }
    };
    let workers = tables.workers().into_iter().map(|(generation, worker, load)| WorkerRow {
        generation,
        worker,
        connections: load.connections,
        accepted: load.accepted,
        requests_in_flight: load.requests_in_flight,
        busy_ratio: load.busy_share,
        passed_over: load.passed_over,
    });
    let listeners = tables.listeners.iter().map(|listener| ListenerRow {
        address: listener.address.to_string(),
        sockets: listener.sockets,
        workers: listener.workers,
    });
    let table = SessionTable::new(&tables.sticky[..]);
    let Occupancy { entries, error } = table.occupied();
    Report {
        instance: instance.to_owned(),
        targets: tables.used().map(target).collect(),
        workers: workers.collect(),
        listeners: listeners.collect(),
        sessions: SessionRow { entries, entries_error: error, capacity: table.capacity() },
    }
}

fn in_columns(report: &Report) -> String {
    let mut out =
        format!("instance {}\n\ntargets (TARGETS, TARGET_COUNTERS, OUTSTANDING)\n", report.instance);
    let targets = report.targets.iter().map(|row| {
        let groups = if row.target_groups.is_empty() { "-".to_owned() } else { row.target_groups.join(",") };
        let numbers = [
            row.requests_in_flight,
            row.connects,
            row.connecting,
            row.open,
            row.failed,
            row.refused,
            row.resets,
            row.retransmits,
            row.timeouts,
            row.srtt_us,
            row.bytes_in,
            row.bytes_out,
        ];
        let named = [row.slot.to_string(), clean(row.target.as_deref().unwrap_or("-")), clean(&groups)];
        named.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    });
    let titles = [
        "SLOT",
        "TARGET",
        "GROUPS",
        "IN-FLIGHT",
        "CONNECTS",
        "CONNECTING",
        "OPEN",
        "FAILED",
        "REFUSED",
        "RESETS",
        "RETRANSMITS",
        "TIMEOUTS",
        "SRTT-US",
        "BYTES-IN",
        "BYTES-OUT",
    ];
    columns(&mut out, &titles, 1..3, &targets.collect::<Vec<_>>());
    out.push_str("\nworkers (WORKER_LOAD)\n");
    let workers = report.workers.iter().map(|row| {
        vec![
            row.generation.to_string(),
            row.worker.to_string(),
            row.connections.to_string(),
            row.accepted.to_string(),
            row.requests_in_flight.to_string(),
            format!("{:.0}%", row.busy_ratio * 100.0),
            row.passed_over.to_string(),
        ]
    });
    let titles = ["GENERATION", "WORKER", "CONNECTIONS", "ACCEPTED", "IN-FLIGHT", "BUSY", "PASSED-OVER"];
    columns(&mut out, &titles, 0..0, &workers.collect::<Vec<_>>());
    out.push_str("\nlisteners (LISTENERS, WORKERS)\n");
    let listeners = report
        .listeners
        .iter()
        .map(|row| vec![row.address.clone(), row.sockets.to_string(), row.workers.to_string()]);
    columns(&mut out, &["ADDRESS", "SOCKETS", "WORKERS"], 0..1, &listeners.collect::<Vec<_>>());
    let SessionRow { entries, entries_error, capacity } = report.sessions;
    let about = if entries_error == 0 { String::new() } else { format!(" (give or take {entries_error})") };
    let _ = writeln!(out, "\nsessions (STICKY): {entries}{about} of at most {capacity}");
    out
}

/// Rows beneath titles; columns of `words` begin on the left, numbers end on the right.
fn columns(out: &mut String, titles: &[&str], words: std::ops::Range<usize>, rows: &[Vec<String>]) {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    if rows.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let lines = || std::iter::once(&titles).chain(rows);
    let width = |column: usize| {
        lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for line in lines() {
        let mut text = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            let _ = if words.contains(&column) {
                write!(text, "  {cell:<width$}")
            } else {
                write!(text, "  {cell:>width$}")
            };
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
}

/// Text from elsewhere without what would move a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::status::{GroupStatus, TargetStatus};

    #[test]
    fn rows_stand_in_columns() {
        let target = |slot, target: Option<&str>, groups: &[&str]| TargetRow {
            slot,
            target: target.map(str::to_owned),
            target_groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            connects: 1234,
            open: 5,
            ..TargetRow::default()
        };
        let report = Report {
            instance: "default".to_owned(),
            targets: vec![
                target(0, Some("127.0.0.1:9001"), &["app", "api"]),
                target(17, Some("unix:/run/\u{1b}[2J"), &["app"]),
                target(18, None, &[]),
            ],
            workers: vec![WorkerRow {
                generation: 1,
                worker: 0,
                connections: 250,
                accepted: 1000,
                requests_in_flight: 3,
                busy_ratio: 0.125,
                passed_over: 2,
            }],
            listeners: Vec::new(),
            sessions: SessionRow { entries: 7, entries_error: 2, capacity: 1024 },
        };
        let text = in_columns(&report);
        let expected = "\
instance default

targets (TARGETS, TARGET_COUNTERS, OUTSTANDING)
  SLOT  TARGET          GROUPS   IN-FLIGHT  CONNECTS  CONNECTING  OPEN  FAILED  REFUSED  RESETS  RETRANSMITS  TIMEOUTS  SRTT-US  BYTES-IN  BYTES-OUT
     0  127.0.0.1:9001  app,api          0      1234           0     5       0        0       0            0         0        0         0          0
    17  unix:/run/\u{fffd}[2J  app              0      1234           0     5       0        0       0            0         0        0         0          0
    18  -               -                0      1234           0     5       0        0       0            0         0        0         0          0

workers (WORKER_LOAD)
  GENERATION  WORKER  CONNECTIONS  ACCEPTED  IN-FLIGHT  BUSY  PASSED-OVER
           1       0          250      1000          3   12%            2

listeners (LISTENERS, WORKERS)
  none

sessions (STICKY): 7 (give or take 2) of at most 1024
";
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn a_slot_has_the_groups_of_all_that_share_it() {
        let group = |name: &str, slots: &[u16]| GroupStatus {
            name: name.to_owned(),
            targets: slots
                .iter()
                .map(|slot| TargetStatus {
                    id: "::1".to_owned(),
                    port: 80,
                    slot: *slot,
                    ..TargetStatus::default()
                })
                .collect(),
            ..GroupStatus::default()
        };
        let status =
            Status { target_groups: vec![group("a", &[1, 2]), group("b", &[2])], ..Status::default() };
        let names = names_of(&status);
        assert_eq!(
            (names[&2].label.as_str(), &names[&2].groups[..]),
            ("[::1]:80", &["a".to_owned(), "b".to_owned()][..])
        );
        assert_eq!(names[&1].groups, ["a"]);
    }

    #[test]
    fn an_instance_with_nothing_pinned_is_told_so() {
        let arguments = MapsArguments { instance: "no-such".to_owned(), json: true, admin: String::new() };
        let told = text(&arguments, None, &BTreeMap::new()).unwrap_err().to_string();
        assert!(told.contains("\"no-such\"") && told.contains("balancer status"), "{told}");
    }
}
