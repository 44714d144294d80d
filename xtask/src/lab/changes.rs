//! `cargo xtask lab changes`: what clients notice of a hundred changes a second through the ELBv2 API, beside a thousand targets.
//! The same load at a fixed rate, in turns without changes and with them.

mod api;
mod load;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;

use self::api::{ApiClient, KEY, element};
use super::{
    bed::Bed,
    small_target,
    table::{Marks, Table},
};
use crate::{
    bench::{
        process::{Process, free_address},
        table::median,
    },
    shell,
};

/// `cargo xtask lab changes`.
#[derive(Args)]
pub(crate) struct Options {
    /// Take this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many times each is measured, in turns.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Length of one measurement, seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: u64,
    /// Requests a second.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=20_000))]
    rate: u32,
    /// Changes a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    changes: u32,
}

/// Targets beside the one that answers.
const TARGETS: u32 = 999;
/// How many connections ask for changes: a change is answered once it is in force, and those that come together take effect together.
const WRITERS: u32 = 8;
/// How much later the 99th percentile may be with changes.
const LATER: Duration = Duration::from_millis(2);
/// Part of the changes that have to be done in time.
const DONE: f64 = 0.9;

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, a request or a change fails, or balancer is below the mark.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bed = Bed::make("changes", options.binary.as_deref())?;
    let folder = bed.folder("balancer")?;
    let (front, api) = (free_address()?, free_address()?);
    fs::write(folder.join("config.hcl"), text(&folder, front, api, small_target::target()?))?;
    let keys = folder.join("keys");
    fs::write(&keys, format!("{} {}\n", KEY.0, KEY.1))?;
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600))?;
    let mut command = Command::new(&bed.balancer);
    command.arg("run").arg("-c").arg(folder.join("config.hcl"));
    let process = Process::start("balancer", &folder, command, front)?;
    let outcome = measure(options, front, api).with_context(|| process.said());
    drop(process);
    let mut command = Command::new(&bed.balancer);
    command.args(["cleanup", "--instance", &instance(), "--runtime-dir"]);
    shell::succeeds(command.arg(folder.join("run")));
    outcome
}

fn instance() -> String {
    format!("lab-changes-{}", std::process::id())
}

fn text(folder: &Path, front: SocketAddr, api: SocketAddr, target: SocketAddr) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let targets: Vec<String> =
        (0..TARGETS).map(|n| format!("\"127.9.{}.{}:9\"", n / 250, n % 250 + 1)).collect();
    format!(
        "balancer {{\n  instance = \"{}\"\n  kernel_assist = \"off\"\n  workers = 1\n  state_dir = \"{}\"\n  \
         runtime_dir = \"{}\"\n}}\n\
         control_api {{\n  address = \"{api}\"\n  access_keys_file = \"{}\"\n}}\n\
         load_balancer \"lab\" {{\n  access_logs {{\n    enabled = false\n  }}\n}}\n\
         target_group \"app\" {{\n  targets = [\"{target}\"]\n  health_check {{\n    enabled = false\n  }}\n}}\n\
         target_group \"many\" {{\n  targets = [{}]\n  health_check {{\n    enabled = false\n  }}\n}}\n\
         listener \"web\" {{\n  load_balancer_arn = load_balancer.lab.arn\n  address = \"{}\"\n  port = {}\n  default_action {{\n    \
         type = \"forward\"\n    target_group_arn = target_group.app.arn\n  }}\n}}\n\
         listener_rule \"many\" {{\n  listener_arn = listener.web.arn\n  priority = 1\n  condition {{\n    path_pattern {{\n      \
         values = [\"/many\"]\n    }}\n  }}\n  action {{\n    type = \"forward\"\n    target_group_arn = target_group.many.arn\n  }}\n}}\n",
        instance(),
        at("state"),
        at("run"),
        at("keys"),
        targets.join(", "),
        front.ip(),
        front.port(),
    )
}

fn measure(options: &Options, front: SocketAddr, api: SocketAddr) -> Result<()> {
    let arn = made(api)?;
    let length = Duration::from_secs(options.seconds);
    // What is measured first would pay for what is made once.
    load::run(front, options.rate, Duration::from_millis(500))?;
    let mut figures = [Vec::new(), Vec::new()];
    let (mut done, mut slowest) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for turn in 0..2 {
            let with = (round + turn) % 2 == 1;
            let is_over = AtomicBool::new(false);
            let (took, changes) = thread::scope(|scope| {
                let writers = (0..if with { WRITERS } else { 0 }).map(|number| {
                    let (arn, is_over) = (arn.as_str(), &is_over);
                    let number = round * WRITERS + number;
                    scope.spawn(move || change(api, arn, number, options, is_over))
                });
                let writers: Vec<_> = writers.collect();
                let took = load::run(front, options.rate, length);
                is_over.store(true, Relaxed);
                let changes = writers.into_iter().map(|writer| writer.join().ok().context("a bug")?);
                (took, changes.collect::<Result<Vec<_>>>())
            });
            if let Some(kind) = figures.get_mut(usize::from(with)) {
                kind.push(took?);
            }
            if with {
                let mut changes = changes?.concat();
                changes.sort_unstable();
                done.push(changes.len() as f64 / length.as_secs_f64());
                slowest.push(at(&changes, 990).as_secs_f64());
            }
        }
    }
    let [without, with] = figures.map(|rounds| Figures::of(&rounds));
    let mut table =
        Table::new(&["requests", "p50 ms", "p99 ms", "p99.9 ms", "changes / s", "p99 of a change ms"]);
    table.row(without.row("without changes", "", ""));
    let (rate, change) = (median(done), median(slowest) * 1000.0);
    table.row(with.row("with changes", &format!("{rate:.0}"), &format!("{change:.1}")));
    println!("{table}");
    let mut marks = Marks::default();
    marks.hold(with.p99 <= without.p99 + LATER.as_secs_f64(), || {
        format!(
            "the 99th percentile is {:.2} ms with changes, {:.2} without",
            with.p99 * 1e3,
            without.p99 * 1e3
        )
    });
    marks.hold(rate >= f64::from(options.changes) * DONE, || {
        format!("{rate:.0} changes a second were done of {}", options.changes)
    });
    marks.verdict()
}

/// The ARN of a group that was made, behind a listener that was made.
fn made(api: SocketAddr) -> Result<String> {
    let mut client = ApiClient::connect(api)?;
    let group =
        client.call("CreateTargetGroup", "&Name=made&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip")?;
    let group = element(&group, "TargetGroupArn")?.to_owned();
    let balancer = client
        .call("CreateLoadBalancer", "&Name=made&Scheme=internal&Subnets.member.1=s-1&Subnets.member.2=s-2")?;
    let arn = escaped(element(&balancer, "LoadBalancerArn")?);
    let port = free_address()?.port();
    client.call(
        "CreateListener",
        &format!(
            "&LoadBalancerArn={arn}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.TargetGroupArn={}",
            escaped(&group)
        ),
    )?;
    Ok(group)
}

fn escaped(arn: &str) -> String {
    arn.replace(':', "%3A").replace('/', "%2F")
}

/// Changes the group at a part of the rate until it is over: how long each took.
fn change(
    api: SocketAddr,
    arn: &str,
    number: u32,
    options: &Options,
    is_over: &AtomicBool,
) -> Result<Vec<Duration>> {
    let mut client = ApiClient::connect(api)?;
    let each = Duration::from_secs_f64(f64::from(WRITERS) / f64::from(options.changes));
    let (begun, arn) = (Instant::now(), escaped(arn));
    let mut took = Vec::new();
    for turn in 0_u32.. {
        let due = begun + each * turn;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if is_over.load(Relaxed) {
            break;
        }
        // Each is another one than all before.
        let key = format!("Tags.member.1.Key=change-{number}&Tags.member.1.Value={turn}");
        let attribute = format!(
            "Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value={}",
            (number * 601 + turn) % 3600
        );
        let asked = Instant::now();
        match turn % 8 {
            0 => client.call("AddTags", &format!("&ResourceArns.member.1={arn}&{key}"))?,
            _ => client.call("ModifyTargetGroupAttributes", &format!("&TargetGroupArn={arn}&{attribute}"))?,
        };
        took.push(asked.elapsed());
    }
    Ok(took)
}

/// What so many of a thousand sorted times are within.
fn at(sorted: &[Duration], of_a_thousand: usize) -> Duration {
    let index = sorted.len() * of_a_thousand / 1000;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Medians over rounds, in seconds.
struct Figures {
    count: usize,
    p50: f64,
    p99: f64,
    p999: f64,
}

impl Figures {
    fn of(rounds: &[Vec<Duration>]) -> Self {
        let of = |part: usize| median(rounds.iter().map(|took| at(took, part).as_secs_f64()).collect());
        Self { count: rounds.iter().map(Vec::len).sum(), p50: of(500), p99: of(990), p999: of(999) }
    }

    fn row(&self, name: &str, rate: &str, change: &str) -> Vec<String> {
        let millis = |seconds: f64| format!("{:.2}", seconds * 1e3);
        let name = format!("{name} ({})", self.count);
        vec![name, millis(self.p50), millis(self.p99), millis(self.p999), rate.to_owned(), change.to_owned()]
    }
}
