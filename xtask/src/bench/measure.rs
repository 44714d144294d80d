//! One measurement of one proxy: the load that a kind of work means, and what it cost.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    LOAD_CORE, Options,
    load::{
        self, Load, Requests, idle,
        open::{self, Plan},
    },
    process::CpuTime,
    proxies::{Proxy, said},
    table::Sample,
    work::{IDLE, Kind, NEW_CONNECTIONS, RELOAD_RATE, STALLED, WEBSOCKETS, Work},
};

/// What is known before the rounds begin.
pub(crate) struct Before<'a> {
    pub(crate) options: &'a Options,
    pub(crate) folder: &'a Path,
    /// Requests a second of the slowest that takes part, for work at a rate.
    pub(crate) slowest: f64,
}

/// Reloads while a rate of requests goes on, and seconds before the first one.
const RELOAD_EACH: Duration = Duration::from_secs(1);
/// How long checks are watched, whatever a round's length: once for each target at least.
const CHECKS: Duration = Duration::from_secs(10);

/// Measures `proxy` at `work` once.
///
/// # Errors
/// When a request fails, or the proxy has ended.
pub(crate) fn once(work: Work, proxy: &mut Proxy, before: &Before<'_>) -> Result<Sample> {
    let (address, cookie) = (proxy.address, proxy.cookie.clone());
    let seconds = before.options.seconds;
    match work.kind() {
        Kind::KeptAlive => requests(proxy, || kept_alive(address, &cookie, before.options, seconds)),
        Kind::NewConnections => requests(proxy, || {
            let connections = NEW_CONNECTIONS;
            let it = Requests { address, cookie: &cookie, connections, seconds, close: true, script: None };
            load::wrk(LOAD_CORE, it)
        }),
        Kind::H2load { protocol, post } => {
            let body = before.folder.join("body");
            fs::write(&body, grpc_message())?;
            let body = post.then_some(body.as_path());
            requests(proxy, || load::h2load(LOAD_CORE, address, &cookie, protocol, body, seconds))
        }
        Kind::Handshakes(handshake) => {
            requests(proxy, || load::handshakes(address, &cookie, handshake, NEW_CONNECTIONS, seconds))
        }
        Kind::Echo => requests(proxy, || load::echo(address, &cookie, WEBSOCKETS, seconds)),
        Kind::Bulk(what, amount) => bulk(proxy, amount, || what.run(address, &cookie, amount)),
        Kind::Idle { tls } => memory(proxy, IDLE, || idle::connections(address, &cookie, IDLE, tls)),
        Kind::Stalled => memory(proxy, STALLED * idle::STREAMS, || idle::stalled(address, STALLED)),
        Kind::Rate(percent) => rate(proxy, before, percent),
        Kind::Reload => reload(proxy, before),
        Kind::Sessions(count) => requests(proxy, || {
            let script = sessions_script(before.folder, count)?;
            let connections = before.options.connections;
            let it =
                Requests { address, cookie: "", connections, seconds, close: false, script: Some(&script) };
            load::wrk(LOAD_CORE, it)
        }),
        Kind::Checks => checks(proxy),
    }
}

/// What has to be done to a proxy before it is measured the first time.
///
/// # Errors
/// When it fails at it.
pub(crate) fn prepare(work: Work, proxy: &Proxy) -> Result<()> {
    match work.kind() {
        Kind::Sessions(count) => load::fill(proxy.address, count),
        _ => Ok(()),
    }
}

/// How many requests a second a proxy answers at most.
///
/// # Errors
/// When it fails.
pub(crate) fn capacity(proxy: &Proxy, options: &Options) -> Result<f64> {
    // The better of two: whoever else uses the machine makes it less.
    let once = || kept_alive(proxy.address, &proxy.cookie, options, 1).map(|load| load.per_second);
    Ok(once()?.max(once()?))
}

fn kept_alive(address: SocketAddr, cookie: &str, options: &Options, seconds: u32) -> Result<Load> {
    let connections = options.connections;
    load::wrk(LOAD_CORE, Requests { address, cookie, connections, seconds, close: false, script: None })
}

/// A message of gRPC with 59 bytes: a byte that says that it is not compressed, its length, and itself.
fn grpc_message() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 59];
    message.resize(64, b'x');
    message
}

/// Asks for a session at random each time.
fn sessions_script(folder: &Path, count: u64) -> Result<std::path::PathBuf> {
    let script = folder.join("sessions.lua");
    let text = format!(
        "local fields = {{}}\n\
         request = function() fields[\"Cookie\"] = \"theme=dark; app=\" .. math.random(0, {}) .. \"; lang=en-GB\"; \
         return wrk.format(\"GET\", \"/\", fields) end\n",
        count - 1
    );
    fs::write(&script, text)?;
    Ok(script)
}

/// The processor time that `proxy` takes while `load` runs.
fn cost<T>(proxy: &Proxy, load: impl FnOnce() -> Result<T>) -> Result<(T, CpuTime)> {
    let before = proxy.process.cpu_time()?;
    let done = load().with_context(|| said(proxy.name, &proxy.process))?;
    let CpuTime { user, system } = proxy.process.cpu_time()?;
    Ok((done, CpuTime { user: user - before.user, system: system - before.system }))
}

fn requests(proxy: &Proxy, load: impl FnOnce() -> Result<Load>) -> Result<Sample> {
    let (load, cpu) = cost(proxy, load)?;
    let each = |seconds: f64| seconds * 1e6 / load.requests;
    let (user, system) = (each(cpu.user), each(cpu.system));
    Ok(Sample(vec![user + system, user, system, load.per_second, load.p50_ms, load.p99_ms]))
}

fn bulk(proxy: &Proxy, amount: u64, load: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let began = Instant::now();
    let ((), cpu) = cost(proxy, load)?;
    let gib = amount as f64 / f64::from(1 << 30);
    let rate = gib * 1024.0 / began.elapsed().as_secs_f64();
    let (user, system) = (cpu.user / gib, cpu.system / gib);
    Ok(Sample(vec![user + system, user, system, rate]))
}

fn memory(
    proxy: &Proxy,
    count: u32,
    hold: impl FnOnce() -> Result<Vec<Box<dyn idle::Held>>>,
) -> Result<Sample> {
    let before = proxy.process.resident()? as f64;
    let (held, _) = cost(proxy, hold)?;
    let with = proxy.process.resident()? as f64;
    drop(held);
    // What they had is given back by the next round, as far as it is.
    thread::sleep(idle::REST);
    let mib = f64::from(1 << 20);
    Ok(Sample(vec![(with - before) / f64::from(count), before / mib, with / mib]))
}

fn rate(proxy: &Proxy, before: &Before<'_>, percent: u32) -> Result<Sample> {
    let time = Duration::from_secs(u64::from(before.options.seconds.max(2)));
    let rate = before.slowest * f64::from(percent) / 100.0;
    let connections = before.options.connections;
    let plan = Plan { address: proxy.address, cookie: &proxy.cookie, connections, rate, time };
    let (outcome, cpu) = cost(proxy, || open::run(&plan))?;
    let latencies = open::percentiles(&outcome.took, Duration::ZERO, time, &[990, 500, 900, 999]);
    let each = (cpu.user + cpu.system) * 1e6 / outcome.took.len() as f64;
    Ok(Sample([latencies, vec![rate, each]].concat()))
}

/// The first half of the time goes by without a reload; in the second one there is one each second.
fn reload(proxy: &mut Proxy, before: &Before<'_>) -> Result<Sample> {
    let half = Duration::from_secs(u64::from(before.options.seconds.max(2)));
    let rate = before.slowest * f64::from(RELOAD_RATE) / 100.0;
    let (connections, cookie) = (before.options.connections, proxy.cookie.clone());
    let plan = Plan { address: proxy.address, cookie: &cookie, connections, rate, time: half * 2 };
    let began = Instant::now();
    let outcome = thread::scope(|scope| {
        let load = scope.spawn(|| open::run(&plan));
        let mut next = half;
        let mut told = Ok(());
        while next < half * 2 && told.is_ok() {
            thread::sleep((began + next).saturating_duration_since(Instant::now()));
            told = proxy.reload.once(&mut proxy.process);
            next += RELOAD_EACH;
        }
        let outcome = load.join().unwrap_or_else(|_| bail!("a thread panicked"));
        told.and(outcome)
    })
    .with_context(|| said(proxy.name, &proxy.process))?;
    let quiet = open::percentiles(&outcome.took, Duration::ZERO, half, &[990]);
    let during = open::percentiles(&outcome.took, half, half * 2, &[990, 999]);
    let at = |list: &[f64], place: usize| list.get(place).copied().unwrap_or(f64::NAN);
    let (quiet, p99, p999) = (at(&quiet, 0), at(&during, 0), at(&during, 1));
    Ok(Sample(vec![p99 / quiet, quiet, p99, p999, rate, outcome.again as f64]))
}

fn checks(proxy: &Proxy) -> Result<Sample> {
    let ((), cpu) = cost(proxy, || {
        thread::sleep(CHECKS);
        Ok(())
    })?;
    let each = |seconds: f64| seconds * 1000.0 / CHECKS.as_secs_f64();
    Ok(Sample(vec![each(cpu.user + cpu.system), each(cpu.user), each(cpu.system)]))
}
