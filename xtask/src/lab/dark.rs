//! `cargo xtask lab dark`: under load one of three hosts vanishes, without a word. How long are requests sent to it after that,
//! and how many fail? A request was sent there if it took longer than any other or failed: the time that counts is that of
//! the last such one's beginning. Clients that wait do not hold back the others: there come new ones in their place.

mod hosts;
mod proxies;

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::{
    hosts::Host,
    proxies::{Kind, Proxy},
};
use super::{
    bed::Bed,
    table::{Marks, Table},
};
use crate::shell;

/// `cargo xtask lab dark`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Times that a host vanishes before each proxy.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Clients, each with one request at a time.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Seconds that are looked at after it.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Run only these (balancer, haproxy, nginx), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Of balancer run only that with this `kernel_assist`.
    #[arg(long, value_parser = ["auto", "off"])]
    kernel_assist: Option<String>,
    /// Run this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Before the host vanishes.
const WARMING: Duration = Duration::from_secs(3);
/// Between two requests of a client.
const THINKING: Duration = Duration::from_millis(2);
/// Longer than any request takes that meets no host in the dark; on a machine with other things to do twice as long as the
/// longest before.
const LONG: Duration = Duration::from_millis(150);
/// Who has waited for so long after that is not counted among the clients any more: another one comes.
const WAITS: Duration = Duration::from_millis(150);
/// Most that come so.
const MOST_MORE: usize = 1000;
/// How long a proxy may take until it answers.
const START: Duration = Duration::from_secs(30);
/// Longer than any proxy keeps a client.
const PATIENCE: Duration = Duration::from_secs(30);
/// Part of the better peer's figures that balancer may have.
const MARK: f64 = 1.0 / 3.0;

const RUNS: [(&str, &str, Kind); 4] = [
    ("balancer", "balancer", Kind::Balancer { kernel_assist: "auto" }),
    ("balancer", "balancer, no kernel side", Kind::Balancer { kernel_assist: "off" }),
    ("haproxy", "haproxy, checks every 2 s", Kind::Haproxy),
    ("nginx", "nginx, 2 s a try", Kind::Nginx),
];

/// What clients saw after a host vanished.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// From then to the beginning of the last request that met it.
    last: Duration,
    failed: usize,
    /// Requests that met it and were answered after all.
    late: usize,
    requests: usize,
}

/// A request of a client.
struct Asked {
    began: Instant,
    took: Duration,
    is_answered: bool,
}

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or balancer is above the mark.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !shell::is_root() {
        bail!("hosts are network namespaces, which takes root");
    }
    if let Some(unknown) = options.only.iter().find(|name| !RUNS.iter().any(|(run, ..)| run == name)) {
        bail!("--only: there is no {unknown:?}");
    }
    let bed = Bed::make("dark", options.binary.as_deref())?;
    let mut table =
        Table::new(&["proxy", "last request sent to it after", "failed", "answered late", "requests"]);
    let (mut own, mut peers) = (Vec::new(), Vec::new());
    for (number, (run, name, kind)) in RUNS.into_iter().enumerate() {
        if !options.wants(run, kind) {
            continue;
        }
        if !matches!(kind, Kind::Balancer { .. }) && shell::find_program(run).is_none() {
            println!("{name} is not installed, and left out");
            continue;
        }
        let mut rounds = Vec::new();
        for round in 0..options.rounds {
            let seen =
                one(kind, &format!("run{number}-{round}"), &bed, options).with_context(|| name.to_owned())?;
            println!("{name}, round {}: {seen:?}", round + 1);
            rounds.push(seen);
        }
        rounds.sort_by_key(|seen| seen.last);
        let Some(&middle) = rounds.get(rounds.len() / 2) else { continue };
        let failed: usize = rounds.iter().map(|seen| seen.failed).sum();
        let late: usize = rounds.iter().map(|seen| seen.late).sum();
        let requests: usize = rounds.iter().map(|seen| seen.requests).sum();
        table.row(vec![
            name.to_owned(),
            format!("{:.2} s", middle.last.as_secs_f64()),
            failed.to_string(),
            late.to_string(),
            requests.to_string(),
        ]);
        match kind {
            Kind::Balancer { .. } => own.push((name, middle.last, failed)),
            Kind::Haproxy | Kind::Nginx => peers.push((middle.last, failed)),
        }
    }
    println!("\n{table}");
    hold(&own, &peers).verdict()
}

impl Options {
    fn wants(&self, run: &str, kind: Kind) -> bool {
        let is_other =
            |wanted: &String| matches!(kind, Kind::Balancer { kernel_assist } if kernel_assist != wanted);
        let is_named = self.only.is_empty() || self.only.iter().any(|only| only == run);
        is_named && !self.kernel_assist.as_ref().is_some_and(is_other)
    }
}

fn hold(own: &[(&str, Duration, usize)], peers: &[(Duration, usize)]) -> Marks {
    let mut marks = Marks::default();
    let better = (peers.iter().map(|(last, _)| *last).min(), peers.iter().map(|(_, failed)| *failed).min());
    let (Some(best), Some(fewest)) = better else { return marks };
    for (name, last, failed) in own {
        marks.hold(last.as_secs_f64() <= best.as_secs_f64() * MARK, || {
            format!("{name}: requests were sent there for {last:?}: more than a third of {best:?}")
        });
        marks.hold(*failed as f64 <= fewest as f64 * MARK, || {
            format!("{name}: {failed} requests failed: more than a third of {fewest}")
        });
    }
    marks
}

fn one(kind: Kind, name: &str, bed: &Bed, options: &Options) -> Result<Seen> {
    let hosts = (0..3).map(|_| Host::make()).collect::<Result<Vec<_>>>()?;
    let targets: Vec<SocketAddr> = hosts.iter().map(|host| host.application.address).collect();
    let proxy = Proxy::start(kind, name, bed, &targets)?;
    let crowd = Crowd::new(proxy.address);
    let (address, dark) = (proxy.address, hosts.first().context("a host")?);
    let begun = Instant::now();
    while request(address, &mut None, || {}).is_none() {
        if begun.elapsed() > START {
            bail!("it does not answer");
        }
        thread::sleep(THINKING);
    }
    thread::scope(|scope| {
        (0..options.clients).for_each(|_| crowd.join(scope));
        thread::sleep(WARMING);
        let cut = Instant::now();
        let went = dark.go_dark();
        crowd.is_dark.store(true, SeqCst);
        thread::sleep(Duration::from_secs(options.seconds));
        crowd.over.store(true, SeqCst);
        went.map(|()| cut)
    })
    .and_then(|cut| {
        let asked = crowd.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !asked.iter().any(|asked| asked.began + asked.took < cut && asked.is_answered) {
            bail!("nothing was answered before {} went dark", dark.name());
        }
        Ok(sum_up(&asked, cut))
    })
}

/// Clients, each on a thread.
struct Crowd {
    address: SocketAddr,
    /// Whether the host has vanished.
    is_dark: AtomicBool,
    over: AtomicBool,
    /// How many have come in the place of others.
    more: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
}

impl Crowd {
    fn new(address: SocketAddr) -> Self {
        let no = || AtomicBool::new(false);
        Self { address, is_dark: no(), over: no(), more: AtomicUsize::new(0), asked: Mutex::default() }
    }

    /// One more client.
    fn join<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        scope.spawn(move || {
            let asked = self.ask(scope);
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(asked);
        });
    }

    /// Asks again and again, on a connection that is kept as long as all goes well, until it has waited for long.
    fn ask<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Vec<Asked> {
        let (mut all, mut kept, mut is_replaced) = (Vec::new(), None, false);
        while !is_replaced && !self.over.load(SeqCst) {
            let began = Instant::now();
            let answered = request(self.address, &mut kept, || {
                let counts = self.is_dark.load(SeqCst) && !self.over.load(SeqCst);
                if counts && self.more.fetch_add(1, SeqCst) < MOST_MORE {
                    is_replaced = true;
                    self.join(scope);
                }
            });
            all.push(Asked { began, took: began.elapsed(), is_answered: answered.is_some() });
            thread::sleep(THINKING);
        }
        all
    }
}

fn sum_up(asked: &[Asked], cut: Instant) -> Seen {
    let before = asked.iter().filter(|asked| asked.began + asked.took < cut && asked.is_answered);
    let long = before.map(|asked| asked.took * 2).fold(LONG, Duration::max);
    let after = asked.iter().filter(|asked| asked.began + asked.took >= cut);
    let mut seen = Seen::default();
    for Asked { began, took, is_answered } in after {
        seen.requests += 1;
        if *is_answered && *took < long {
            continue;
        }
        seen.last = seen.last.max(began.saturating_duration_since(cut));
        if *is_answered {
            seen.late += 1;
        } else {
            seen.failed += 1;
        }
    }
    seen
}

/// Nothing where it is not answered with 200. `waits` hears of it when it takes longer than [`WAITS`].
fn request(address: SocketAddr, kept: &mut Option<BufReader<TcpStream>>, waits: impl FnOnce()) -> Option<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(address).ok()?;
            stream.set_nodelay(true).ok()?;
            BufReader::new(stream)
        }
    };
    connection.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n").ok()?;
    connection.get_ref().set_read_timeout(Some(WAITS)).ok()?;
    let is_late = matches!(connection.fill_buf(), Err(error) if error.kind() == ErrorKind::WouldBlock);
    connection.get_ref().set_read_timeout(Some(PATIENCE)).ok()?;
    if is_late {
        waits();
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return None;
    }
    // The application's answer, which is two bytes long.
    connection.read_exact(&mut [0; 2]).ok()?;
    if !head.contains("connection: close") {
        *kept = Some(connection);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_fail_or_take_long_have_met_the_host() {
        let cut = Instant::now() + Duration::from_secs(10);
        let at = |millis: u64, took: u64, is_answered| Asked {
            began: cut + Duration::from_millis(millis),
            took: Duration::from_millis(took),
            is_answered,
        };
        let seen = sum_up(&[at(5, 3, true), at(100, 400, true), at(300, 1, false), at(900, 2, true)], cut);
        assert_eq!((seen.failed, seen.late, seen.requests), (1, 1, 4));
        assert_eq!(seen.last, Duration::from_millis(300));
        let second = Duration::from_secs(1);
        let held = |last, failed, peers: &[_]| {
            let own = [("quick", second / 100, 0), ("own", last, failed)];
            hold(&own, peers).verdict().map_err(|error| error.to_string())
        };
        assert_eq!(held(second, 0, &[(second * 4, 3), (second * 9, 1)]), Ok(()));
        assert!(held(second, 0, &[(second * 2, 3)]).is_err_and(|error| error.contains("own: requests")));
        assert!(held(second, 2, &[(second * 9, 3)]).is_err_and(|error| error.contains("own: 2 requests")));
        assert_eq!(held(second, 2, &[]), Ok(()), "there is nothing to compare with");
    }
}
