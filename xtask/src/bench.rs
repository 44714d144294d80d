//! `cargo xtask bench`: processor time per request of balancer, of its peers, and of a relay that does nothing,
//! measured in turns on one machine, over loopback, for a bounded time.

mod load;
pub(crate) mod process;
pub(crate) mod proxies;
pub(crate) mod table;
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
use process::CpuTime;
use proxies::{Certificate, Proxy, Setting};
use table::{Row, Sample};
use work::Work;

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
    /// Bytes of a response body.
    #[arg(long, default_value_t = 120)]
    body: usize,
    /// Measure only these (balancer, baseline, balancer-rules, haproxy, nginx, relay), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure only these kinds of work, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Work::ALL)]
    work: Vec<Work>,
    /// Print the table in Markdown.
    #[arg(long)]
    markdown: bool,
    /// `kernel_assist` of balancer: auto, required or off.
    #[arg(long, default_value = "auto")]
    kernel_assist: String,
    /// Measure this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Another build of balancer, measured in turns with this one.
    #[arg(long)]
    baseline: Option<PathBuf>,
}

pub(crate) const PROXY_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// Runs the command.
///
/// # Errors
/// When something needed is missing, does not start, or a request fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(unknown) = options.only.iter().find(|name| !proxies::NAMES.contains(&name.as_str())) {
        bail!("--only: no proxy is called {unknown:?}; there are: {}", proxies::NAMES.join(", "));
    }
    has_two_cores()?;
    let missing = setup::missing(setup::BENCH_TOOLS);
    if !missing.is_empty() {
        bail!("missing, please run: apt-get install --no-install-recommends {}", missing.join(" "));
    }
    become_optimised()?;
    let balancer = built(options.binary.as_deref())?;
    let folder = env::temp_dir().join(format!("balancer-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let outcome: Result<Vec<Vec<Row>>> =
        options.work.iter().map(|work| measure(*work, options, &folder, &balancer)).collect();
    proxies::clean_up(&balancer);
    // Left-over files of a temporary folder are no reason to fail.
    fs::remove_dir_all(&folder).unwrap_or_default();
    let measured = outcome?;
    println!("\n{}", headline(options));
    for (work, rows) in options.work.iter().zip(&measured) {
        println!("{}\n", work.title(options));
        println!("{}", table::render(rows, &["baseline", "haproxy", "nginx", "relay"], options.markdown));
        if let Some(line) = table::difference(rows, "balancer-rules", "balancer") {
            println!("{line}\n");
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

fn headline(options: &Options) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}-byte body, three cookies, {} rounds of {} s, medians; ratios are of CPU time, round by round\n{}, Linux {}\n",
        options.body,
        options.rounds,
        options.seconds,
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
    )
}

fn measure(work: Work, options: &Options, folder: &Path, balancer: &Path) -> Result<Vec<Row>> {
    let (_backend, backends) = proxies::backend(folder, LOAD_CORE, options.body)?;
    let certificate = work.is_tls().then(|| Certificate::make(folder)).transpose()?;
    let setting = Setting {
        folder,
        core: PROXY_CORE,
        backends,
        balancer: balancer.to_owned(),
        baseline: options.baseline.as_deref(),
        kernel_assist: &options.kernel_assist,
        certificate: certificate.as_ref(),
    };
    let is_wanted = |name: &&&str| match options.only.as_slice() {
        [] => **name != "baseline" || options.baseline.is_some(),
        only => only.iter().any(|only| only == **name),
    };
    let proxies: Vec<Proxy> = work
        .proxies()
        .iter()
        .filter(is_wanted)
        .map(|name| proxies::start(name, &setting))
        .collect::<Result<_>>()?;
    let mut rows: Vec<Row> = proxies
        .iter()
        .map(|proxy| Row { name: proxy.name, version: proxy.version.clone(), samples: Vec::new() })
        .collect();
    for round in 0..options.rounds {
        // Another one begins each round, so that none always runs after the same neighbour.
        let begin = usize::try_from(round).unwrap_or(0) % proxies.len().max(1);
        let order = (0..proxies.len()).cycle().skip(begin).take(proxies.len());
        for index in order {
            let (Some(proxy), Some(row)) = (proxies.get(index), rows.get_mut(index)) else { continue };
            let sample = sample(work, proxy, options)?;
            println!(
                "{work:?}  round {:>2}  {:<14} {:>6.1} µs  {:>8.0}/s",
                round + 1,
                proxy.name,
                sample.cpu_us(),
                sample.per_second
            );
            row.samples.push(sample);
        }
    }
    Ok(rows)
}

fn sample(work: Work, proxy: &Proxy, options: &Options) -> Result<Sample> {
    let before = proxy.process.cpu_time()?;
    let load = work.load(proxy, options)?;
    let CpuTime { user, system } = proxy.process.cpu_time()?;
    let per_request = |seconds: f64| seconds * 1e6 / load.requests;
    Ok(Sample {
        user_us: per_request(user - before.user),
        system_us: per_request(system - before.system),
        per_second: load.per_second,
        p50_ms: load.p50_ms,
        p99_ms: load.p99_ms,
    })
}
