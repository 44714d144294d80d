//! `cargo xtask bench`: what work costs balancer, its peers, and relays that do nothing, measured in turns on one machine, over
//! loopback, for a bounded time.

pub(crate) mod load;
mod measure;
mod peers;
pub(crate) mod process;
pub(crate) mod proxies;
mod report;
mod svg;
pub(crate) mod table;
pub(crate) mod targets;
mod template;
mod work;

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{setup, shell};
use measure::Before;
use proxies::{Begun, Certificate, Proxy, Setting};
use table::Row;
use targets::Targets;
use work::{Kind, Work};

/// `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many times each proxy is measured, in turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of one measurement, seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Kept-alive client connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2000))]
    connections: u32,
    /// Bytes of a small response's body.
    #[arg(long, default_value_t = 120)]
    body: usize,
    /// Measure only these (balancer, baseline, balancer-rules, nginx, haproxy, haproxy-splice, envoy, traefik, caddy, sozu,
    /// pingora, hyper, relay, relay-uring), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure all that can do the work, and not only those that come near each other at it.
    #[arg(long, conflicts_with = "only")]
    everyone: bool,
    /// Measure only these kinds of work, separated by commas; by default all but those that take minutes.
    #[arg(long, value_enum, value_delimiter = ',')]
    work: Vec<Work>,
    /// Print tables in Markdown.
    #[arg(long)]
    markdown: bool,
    /// Write a report of this run, with charts and all figures, into this folder.
    #[arg(long)]
    report: Option<PathBuf>,
    /// `kernel_assist` of balancer: auto, required or off.
    #[arg(long, default_value = "auto")]
    kernel_assist: String,
    /// Measure this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Another build of balancer, measured in turns with this one.
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// Measure with this program as it is, whatever it was built for: what it says then is no figure.
    #[arg(long, hide = true)]
    as_built: bool,
    /// Fetch the peers into target/peers, and measure nothing.
    #[arg(long)]
    fetch_peers: bool,
}

pub(crate) const PROXY_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// What came of one kind of work.
struct Measured {
    work: Work,
    rows: Vec<Row>,
    /// Who was left out, and why.
    left_out: Vec<(String, String)>,
}

/// Runs the command.
///
/// # Errors
/// When something needed is missing, or balancer does not start or fails at a request. Who else fails is left out and named.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(unknown) = options.only.iter().find(|name| proxies::names().all(|known| known != **name)) {
        let known: Vec<_> = proxies::names().collect();
        bail!("--only: no proxy is called {unknown:?}; there are: {}", known.join(", "));
    }
    if options.baseline.is_none() && options.only.iter().any(|name| name == "baseline") {
        bail!("baseline: say which with --baseline");
    }
    if options.fetch_peers {
        return peers::fetch::all();
    }
    has_two_cores()?;
    let missing = setup::missing(setup::BENCH_TOOLS);
    if !missing.is_empty() {
        bail!("missing, please run: apt-get install --no-install-recommends {}", missing.join(" "));
    }
    if !options.as_built {
        become_optimised()?;
    }
    let balancer = built(options.binary.as_deref())?;
    process::stay_on(LOAD_CORE)?;
    process::raise_limit_of_descriptors()?;
    let folder = env::temp_dir().join(format!("balancer-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let works = if options.work.is_empty() { Work::usual() } else { options.work.clone() };
    let measured: Vec<Measured> = works
        .into_iter()
        .map(|work| {
            measure(work, options, &folder, &balancer).unwrap_or_else(|error| Measured {
                work,
                rows: Vec::new(),
                left_out: vec![("all of them".to_owned(), format!("{error:#}"))],
            })
        })
        .collect();
    proxies::clean_up(&balancer);
    // Left-over files of a temporary folder are no reason to fail.
    fs::remove_dir_all(&folder).unwrap_or_default();
    println!("\n{}", report::text(options, &measured));
    if let Some(folder) = &options.report {
        report::write(folder, options, &balancer, &measured)?;
        println!("written to {}", folder.display());
    }
    hold(&measured)
}

/// Peers may fail; who does not measure what it is about has measured nothing.
fn hold(measured: &[Measured]) -> Result<()> {
    for one in measured {
        let ours = |name: &str| name.starts_with("balancer") || name == "baseline" || name == "all of them";
        if let Some((name, why)) = one.left_out.iter().find(|(name, _)| ours(name)) {
            bail!("{}: {name}: {why}", one.work.word());
        }
    }
    Ok(())
}

/// # Errors
/// Where what is measured and what loads it would share a core.
pub(crate) fn has_two_cores() -> Result<()> {
    if thread::available_parallelism()?.get() < 2 {
        bail!("two cores are needed: one for the proxy, one for the load and the backend");
    }
    Ok(())
}

/// The balancer to measure: this one, or a release built now.
pub(crate) fn built(binary: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = binary {
        return Ok(path.to_owned());
    }
    shell::run(shell::cargo().args(["build", "--release", "--package", "balancer"]))?;
    Ok(shell::target_dir().join("release/balancer"))
}

/// The relay is the floor of what is measured, and the load must cost less than the servers that it measures: both are this
/// program, which goes on as one that is built for that.
fn become_optimised() -> Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    shell::run(shell::cargo().args(["build", "--quiet", "--profile", "measuring", "--package", "xtask"]))?;
    let program = shell::target_dir().join("measuring/xtask");
    let fault = Command::new(&program).args(env::args_os().skip(1)).exec();
    Err(fault).with_context(|| program.display().to_string())
}

/// Who takes part in the work, and who would and cannot.
fn participants(work: Work, options: &Options) -> (Vec<&'static str>, Vec<(String, String)>) {
    let wanted: Vec<&'static str> = if !options.only.is_empty() {
        proxies::names().filter(|name| options.only.iter().any(|only| only == name)).collect()
    } else if options.everyone {
        proxies::names().collect()
    } else {
        work.proxies().to_vec()
    };
    let (mut names, mut left_out) = (Vec::new(), Vec::new());
    for name in wanted {
        if name == "baseline" && options.baseline.is_none() {
            continue;
        }
        match proxies::refuses(name, &work.shape()) {
            None => names.push(name),
            Some(why) => left_out.push((name.to_owned(), why.to_owned())),
        }
    }
    (names, left_out)
}

fn measure(work: Work, options: &Options, folder: &Path, balancer: &Path) -> Result<Measured> {
    let (names, mut left_out) = participants(work, options);
    let shape = work.shape();
    let targets = if work.kind().has_own_targets() {
        Targets::own()?
    } else if shape.grpc {
        Targets::grpc(folder, LOAD_CORE, options.body)?
    } else {
        Targets::nginx(folder, LOAD_CORE, options.body, &shape)?
    };
    let certificate = shape.front.is_tls().then(|| Certificate::make(folder)).transpose()?;
    let setting = Setting {
        folder,
        core: PROXY_CORE,
        targets: targets.addresses.clone(),
        balancer: balancer.to_owned(),
        baseline: options.baseline.as_deref(),
        kernel_assist: &options.kernel_assist,
        certificate: certificate.as_ref(),
        shape,
    };
    let mut leave_out = |name: &str, error: &anyhow::Error| {
        println!("{}  {name} is left out: {error:#}", work.word());
        // The terminal has the whole of it, with what the proxy said.
        let why: String = error.root_cause().to_string().lines().take(3).collect::<Vec<_>>().join(" ");
        left_out.push((name.to_owned(), why.trim_end_matches('.').chars().take(300).collect()));
    };
    let begun = names.iter().map(|name| (*name, proxies::begin(name, &setting))).collect::<Vec<_>>();
    begun.iter().filter_map(|(_, begun)| begun.as_ref().ok()).for_each(Begun::wait);
    let mut running: Vec<(Proxy, Row)> = Vec::new();
    for (name, begun) in begun {
        let ready = begun.and_then(|begun| begun.ready(&setting));
        match ready.and_then(|proxy| measure::prepare(work, &proxy).map(|()| proxy)) {
            Ok(proxy) => {
                let (version, mark) = (proxy.version.clone(), proxy.mark);
                running.push((proxy, Row { name, version, mark, samples: Vec::new() }));
            }
            Err(error) => leave_out(name, &error),
        }
    }
    let slowest = match work.kind() {
        Kind::Rate(_) | Kind::Reload => slowest(&running, options)?,
        _ => f64::NAN,
    };
    let before = Before { options, folder, slowest };
    for round in 0..options.rounds {
        for (name, error) in self::round(work, round, &mut running, &before) {
            leave_out(name, &error);
            running.retain(|(proxy, _)| proxy.name != name);
        }
    }
    Ok(Measured { work, rows: running.into_iter().map(|(_, row)| row).collect(), left_out })
}

/// Measures each once; those that failed.
fn round(
    work: Work,
    round: u32,
    running: &mut [(Proxy, Row)],
    before: &Before<'_>,
) -> Vec<(&'static str, anyhow::Error)> {
    let mut failed = Vec::new();
    let count = running.len();
    // Another one begins each round, so that none always runs after the same neighbour.
    let begin = usize::try_from(round).unwrap_or(0) % count.max(1);
    for place in (0..count).cycle().skip(begin).take(count) {
        let Some((proxy, row)) = running.get_mut(place) else { continue };
        match measure::once(work, proxy, before) {
            Ok(sample) => {
                let figures: Vec<String> = work
                    .kind()
                    .columns()
                    .iter()
                    .enumerate()
                    .map(|(number, column)| {
                        format!("{} {:.*}", column.head, column.digits, sample.at(number))
                    })
                    .collect();
                println!("{}  round {}  {}: {}", work.word(), round + 1, proxy.name, figures.join(", "));
                row.samples.push(sample);
            }
            Err(error) => failed.push((proxy.name, error)),
        }
    }
    failed
}

/// What the slowest answers a second at most.
fn slowest(running: &[(Proxy, Row)], options: &Options) -> Result<f64> {
    let mut slowest = f64::INFINITY;
    for (proxy, _) in running {
        slowest = slowest.min(measure::capacity(proxy, options)?);
    }
    Ok(slowest)
}
