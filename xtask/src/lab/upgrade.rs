//! `cargo xtask lab upgrade`: processes are put in the place of others, again and again, while clients of all kinds come and
//! stay: such that keep their connection and such that do not, HTTP/2, sessions by the application's cookie alone, and
//! WebSockets that stay open all the time. With the kernel side, without it, with new processes that come to nothing, and at
//! the peers.

mod faults;
pub(super) mod http1;
mod http2;
mod proxies;
pub(super) mod tally;
mod websockets;
mod wrk;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    faults::Fault,
    proxies::{Done, Kind, Proxy, Setting},
    tally::Tally,
    websockets::{Ends, WebSockets},
    wrk::Wrk,
};
use super::{
    application::Application,
    bed::Bed,
    table::{Marks, Table},
};
use crate::shell;

/// `cargo xtask lab upgrade`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Upgrades in a row.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    upgrades: u32,
    /// Connections of each of the two loads: kept ones, and such of one request each.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// WebSockets that are open all the time.
    #[arg(long, default_value_t = 200)]
    websockets: usize,
    /// HTTP/2 connections.
    #[arg(long, default_value_t = 50)]
    http2: usize,
    /// Clients with the application's cookie alone.
    #[arg(long, default_value_t = 16)]
    sessions: usize,
    /// Seconds that an old process has for what is open.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=600))]
    drain: u32,
    /// Run only these (balancer, faults, haproxy, nginx), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Run this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Between two upgrades, for clients to meet the process that serves then.
const BREATH: Duration = Duration::from_millis(500);
/// How much later than at its time a WebSocket may be closed.
const LATE: Duration = Duration::from_secs(30);
/// Rows that an instance has for processes.
const MOST_PROCESSES: usize = 4;

/// What is run: a name of `--only`, the row's name, what, and whether new processes come to nothing.
const RUNS: [(&str, &str, Kind, bool); 6] = [
    ("balancer", "balancer", Kind::Balancer { kernel_assist: "auto" }, false),
    ("balancer", "balancer, no kernel side", Kind::Balancer { kernel_assist: "off" }, false),
    ("faults", "balancer, faults", Kind::Balancer { kernel_assist: "auto" }, true),
    ("faults", "balancer, faults, no kernel side", Kind::Balancer { kernel_assist: "off" }, true),
    ("haproxy", "haproxy", Kind::Haproxy, false),
    ("nginx", "nginx", Kind::Nginx, false),
];

/// What came of a run.
struct Outcome {
    upgrades: String,
    done: u32,
    /// New processes that came to nothing, of those that should.
    came_to_nothing: usize,
    tally: Tally,
    ends: Ends,
}

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or clients of balancer noticed anything.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(unknown) = options.only.iter().find(|name| !RUNS.iter().any(|(run, ..)| run == name)) {
        bail!("--only: there is no {unknown:?}");
    }
    let bed = Bed::make("upgrade", options.binary.as_deref())?;
    let wrk = shell::find_program("wrk");
    if wrk.is_none() {
        println!("wrk is missing: a load of our own takes its place");
    }
    let mut table = Table::new(&[
        "proxy",
        "upgrades",
        "came to nothing",
        "requests",
        "failed",
        "refused",
        "lost sessions",
        "WebSockets served",
        "told (1001)",
    ]);
    let mut marks = Marks::default();
    for (number, (run, name, kind, fails)) in RUNS.into_iter().enumerate() {
        let is_wanted = options.only.is_empty() || options.only.iter().any(|only| only == run);
        let program = match kind {
            Kind::Haproxy => "haproxy",
            Kind::Nginx => "nginx",
            Kind::Balancer { .. } => "sh",
        };
        if !is_wanted {
            continue;
        }
        if shell::find_program(program).is_none() {
            println!("{name} is not installed, and left out");
            continue;
        }
        println!("{name} …");
        let folder = bed.folder(&format!("run{number}"))?;
        let outcome =
            one(kind, fails, folder, &bed, options, wrk.as_deref()).with_context(|| name.to_owned())?;
        let Tally { requests, failed, refused, lost, .. } = &outcome.tally;
        let count = |of: &std::sync::atomic::AtomicU64| of.load(Relaxed);
        let Ends { served, told, all } = outcome.ends;
        table.row(vec![
            name.to_owned(),
            outcome.upgrades.clone(),
            outcome.came_to_nothing.to_string(),
            count(requests).to_string(),
            count(failed).to_string(),
            count(refused).to_string(),
            // nginx keeps no sessions by a cookie of the application.
            if kind == Kind::Nginx { "-".to_owned() } else { count(lost).to_string() },
            format!("{served}/{all}"),
            told.to_string(),
        ]);
        outcome.tally.said().iter().for_each(|line| println!("  {line}"));
        if let Kind::Balancer { .. } = kind {
            hold(&mut marks, name, &outcome, fails, options);
        }
    }
    println!("\n{table}");
    marks.verdict()
}

fn hold(marks: &mut Marks, name: &str, outcome: &Outcome, fails: bool, options: &Options) {
    let Tally { requests, failed, refused, lost, .. } = &outcome.tally;
    for (count, what) in
        [(failed, "requests failed"), (refused, "connections were refused"), (lost, "sessions were lost")]
    {
        let count = count.load(Relaxed);
        marks.hold(count == 0, || format!("{name}: {count} {what}"));
    }
    marks.hold(requests.load(Relaxed) > 0, || format!("{name}: there were no requests"));
    let wanted = if fails { 1 } else { options.upgrades };
    marks.hold(outcome.done == wanted, || format!("{name}: {} upgrades of {wanted}", outcome.done));
    let Ends { served, told, all } = outcome.ends;
    marks.hold(served == all && told == all, || {
        format!("{name}: of {all} WebSockets {served} were served for all of the time, and {told} told that it is over")
    });
    if fails {
        let (done, wanted) = (outcome.came_to_nothing, Fault::ALL.len());
        marks.hold(done == wanted, || format!("{name}: {done} of {wanted} faults left everything as it was"));
    }
}

fn one(
    kind: Kind,
    fails: bool,
    folder: PathBuf,
    bed: &Bed,
    options: &Options,
    wrk: Option<&std::path::Path>,
) -> Result<Outcome> {
    let (one, two, bystander) =
        (Application::start("one")?, Application::start("two")?, Application::start("three")?);
    let targets = [one.address, two.address];
    let setting = Setting { folder, balancer: &bed.balancer, targets, drain: options.drain };
    let mut proxy = Proxy::start(kind, &setting)?;
    let mut websockets = WebSockets::open(proxy.http, options.websockets)?;
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    let (http, http2) = (proxy.http, proxy.http2);
    let mut loads = Vec::new();
    for keeps in [true, false] {
        if let Some(wrk) = wrk {
            loads.push(Wrk::start(wrk, http, options.connections, keeps)?);
        }
    }
    let mut done = Steps::default();
    thread::scope(|scope| -> Result<()> {
        for _ in 0..options.sessions {
            scope.spawn(|| {
                if kind == Kind::Nginx {
                    http1::load(http, true, &tally)
                } else {
                    http1::session(http, &tally)
                }
            });
        }
        for _ in 0..options.http2 {
            scope.spawn(|| http2::streams(http2, &tally));
        }
        if wrk.is_none() {
            for keeps in [true, false].into_iter().cycle().take(2 * options.connections) {
                let tally = &tally;
                scope.spawn(move || http1::load(http, keeps, tally));
            }
        }
        let speaking = scope.spawn(|| websockets.keep(&over));
        let stepped = done.all(&mut proxy, fails, &bystander, options);
        thread::sleep(BREATH);
        tally.end();
        let ended = loads.into_iter().map(|wrk| wrk.end(&tally)).collect::<Result<Vec<()>>>();
        // They have their time still.
        while stepped.is_ok() && !speaking.is_finished() && Instant::now() < done.deadline(options) + LATE {
            thread::sleep(BREATH);
        }
        over.store(true, SeqCst);
        stepped.and(ended.map(drop)).with_context(|| proxy.said())
    })?;
    Ok(Outcome {
        upgrades: done.told(),
        done: done.upgraded,
        came_to_nothing: done.came_to_nothing,
        tally,
        ends: websockets.ends(done.deadline(options)),
    })
}

/// What was done to a proxy.
#[derive(Default)]
struct Steps {
    upgraded: u32,
    reloaded: u32,
    came_to_nothing: usize,
    /// When the process that has the WebSockets was succeeded.
    first: Option<Instant>,
}

impl Steps {
    fn all(
        &mut self,
        proxy: &mut Proxy,
        fails: bool,
        bystander: &Application,
        options: &Options,
    ) -> Result<()> {
        thread::sleep(BREATH);
        if fails {
            for fault in Fault::ALL {
                match faults::provoke(fault, proxy, bystander) {
                    Ok(()) => self.came_to_nothing += 1,
                    Err(error) => println!("  {error:#}"),
                }
                thread::sleep(BREATH);
            }
        }
        for _ in 0..if fails { 1 } else { options.upgrades } {
            // There is room for so many that finish what they have.
            if let Kind::Balancer { .. } = proxy.kind {
                proxies::wait(|| proxy.serving().len() < MOST_PROCESSES)?;
            }
            let at = Instant::now();
            match proxy.upgrade()? {
                Done::Upgraded => self.upgraded += 1,
                Done::Reloaded => self.reloaded += 1,
            }
            self.first.get_or_insert(at);
            thread::sleep(BREATH);
        }
        Ok(())
    }

    fn deadline(&self, options: &Options) -> Instant {
        self.first.unwrap_or_else(Instant::now) + Duration::from_secs(u64::from(options.drain))
    }

    fn told(&self) -> String {
        match self.reloaded {
            0 => self.upgraded.to_string(),
            reloaded => format!("{} + {reloaded} reloads", self.upgraded),
        }
    }
}
