//! `cargo xtask lab dashboard`: what it costs that somebody looks at the dashboard, with 20 groups and 200 targets: the thread that
//! tells them while nothing else is done, and processor time of a request while the page is open and while it is not, in turns. A
//! viewer is a connection that reads all it is told, as a browser does.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;

use super::{
    bed::Bed,
    table::{Marks, Table},
};
use crate::{
    bench::{
        self,
        load::{Requests, wrk},
        process::{self, Process, free_address},
        proxies::Shape,
        table::median,
        targets::Targets,
    },
    shell,
};

/// `cargo xtask lab dashboard`.
#[derive(Args)]
pub(crate) struct Options {
    /// Take this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many times requests are measured with the page and without, in turns.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..=100))]
    rounds: u32,
    /// Length of one of them, seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// How many look.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    viewers: u8,
}

const GROUPS: usize = 20;
const TARGETS: usize = 200;
/// Part of a core that it may take to tell them.
const TELLING: f64 = 0.005;
/// Part of a core that is as good as nothing: what the thread takes when nobody looks may go up by as much.
const NOTHING: f64 = 0.0005;
/// Processor time of a request with the page open, by that without.
const BESIDE_CLOSED: f64 = 1.01;
/// How long the thread is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, requests fail, or it costs more than it may.
pub(crate) fn run(options: &Options) -> Result<()> {
    bench::has_two_cores()?;
    let bed = Bed::make("dashboard", options.binary.as_deref())?;
    let outcome = Lab::start(&bed).and_then(|lab| lab.measure(options));
    shell::succeeds(Command::new(&bed.balancer).args(["cleanup", "--instance", &instance()]));
    outcome?.verdict()
}

fn instance() -> String {
    format!("lab-dashboard-{}", std::process::id())
}

struct Lab {
    _targets: Targets,
    proxy: Process,
    http: SocketAddr,
    admin: SocketAddr,
}

/// Who looks; it ends with this.
struct Viewer {
    stream: TcpStream,
    reads: Option<thread::JoinHandle<u64>>,
}

impl Viewer {
    fn open(admin: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(admin)?;
        write!(stream, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut reader = stream.try_clone()?;
        let reads = thread::spawn(move || io::copy(&mut reader, &mut io::sink()).unwrap_or(0));
        Ok(Self { stream, reads: Some(reads) })
    }

    /// Bytes that it was told.
    fn close(mut self) -> u64 {
        self.stream.shutdown(Shutdown::Both).unwrap_or_default();
        self.reads.take().and_then(|reads| reads.join().ok()).unwrap_or(0)
    }
}

impl Lab {
    fn start(bed: &Bed) -> Result<Self> {
        process::stay_on(bench::LOAD_CORE)?;
        let folder = bed.folder("balancer")?;
        let shape = Shape { targets: TARGETS, ..Shape::STICKY };
        let targets = Targets::nginx(&folder, bench::LOAD_CORE, 1024, &shape)?;
        let (http, admin) = (free_address()?, free_address()?);
        let path = folder.join("balancer.hcl");
        fs::write(&path, configuration(&folder.display().to_string(), http, admin, &targets.addresses)?)?;
        let mut command = process::pinned(bench::PROXY_CORE, &bed.balancer);
        command.args(["run", "--config"]).arg(&path);
        let proxy = Process::start("balancer", &folder, command, http)?;
        Ok(Self { _targets: targets, proxy, http, admin })
    }

    fn viewers(&self, count: u8) -> Result<Vec<Viewer>> {
        (0..count).map(|_| Viewer::open(self.admin)).collect()
    }

    /// Part of a core that the thread takes which does all but serve.
    fn control_thread(&self) -> Result<f64> {
        let pid = self.proxy.pid();
        let run = || -> Result<f64> {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))?;
            Ok(text.split(' ').next().context("schedstat")?.parse::<f64>()? / 1e9)
        };
        let (begun, before) = (Instant::now(), run()?);
        thread::sleep(WATCHED);
        Ok((run()? - before) / begun.elapsed().as_secs_f64())
    }

    /// Microseconds of processor time of a request.
    fn of_a_request(&self, cookie: &str, seconds: u32) -> Result<f64> {
        let before = self.proxy.run_time()?;
        let requests =
            Requests { address: self.http, cookie, connections: 32, seconds, close: false, script: None };
        let load = wrk(bench::LOAD_CORE, requests)?;
        let used = self.proxy.run_time()?.saturating_sub(before);
        Ok(used.as_secs_f64() * 1e6 / load.requests)
    }

    fn measure(&self, options: &Options) -> Result<Marks> {
        let mut marks = Marks::default();
        let never = self.control_thread()?;
        let viewers = self.viewers(options.viewers)?;
        let open = self.control_thread()?;
        let told: u64 = viewers.into_iter().map(Viewer::close).sum();
        let after = self.control_thread()?;
        let mut table = Table::new(&["20 groups, 200 targets, at rest", "of a core", "KiB/s told to each"]);
        let percent = |part: f64| format!("{:.3} %", part * 100.0);
        table.row(vec!["nobody has looked yet".into(), percent(never), String::new()]);
        let each = told / u64::from(options.viewers) / 1024 / WATCHED.as_secs();
        let who = format!("{} look(s)", options.viewers);
        table.row(vec![who, percent(open), each.to_string()]);
        table.row(vec!["nobody looks any more".into(), percent(after), String::new()]);
        println!("{table}");
        marks.hold(told > 0, || "nobody was told anything".into());
        marks.hold(open - never <= TELLING, || {
            format!("telling takes {} of a core, at most {}", percent(open - never), percent(TELLING))
        });
        marks.hold(after - never <= NOTHING, || {
            format!("{} more of a core are taken when nobody looks any more", percent(after - never))
        });
        self.beside(options, &mut marks)?;
        Ok(marks)
    }

    /// Requests while the page is open, and while it is not.
    fn beside(&self, options: &Options, marks: &mut Marks) -> Result<()> {
        let answer = process::get(self.http, "")?;
        let cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("Set-Cookie: AWSALB="))
            .and_then(|value| value.split(';').next())
            .context("no cookie")?;
        let cookie = format!("AWSALB={cookie}");
        let (mut closed, mut open) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // Which of both comes first changes, so that neither has the better of it.
            for is_open in [round % 2 == 0, round % 2 != 0] {
                let viewers = self.viewers(if is_open { options.viewers } else { 0 })?;
                let took = self.of_a_request(&cookie, options.seconds)?;
                viewers.into_iter().for_each(|viewer| _ = viewer.close());
                if is_open { open.push(took) } else { closed.push(took) }
            }
        }
        let ratio = median(open.iter().zip(&closed).map(|(open, closed)| open / closed).collect());
        let mut table = Table::new(&["under load, medians", "CPU of a request", "beside closed"]);
        table.row(vec!["closed".into(), format!("{:.2} µs", median(closed)), String::new()]);
        table.row(vec!["open".into(), format!("{:.2} µs", median(open)), format!("{ratio:.3}")]);
        println!("{table}");
        marks.hold(ratio <= BESIDE_CLOSED, || {
            format!("a request takes {ratio:.3} times as much with the page open, at most {BESIDE_CLOSED}")
        });
        Ok(())
    }
}

/// As many targets in each group, all unchecked; the first group gets what no rule says otherwise.
fn configuration(
    folder: &str,
    http: SocketAddr,
    admin: SocketAddr,
    targets: &[SocketAddr],
) -> Result<String> {
    let mut text = format!(
        "balancer {{\n  instance = {:?}\n  state_dir = \"{folder}/state\"\n  runtime_dir = \"{folder}/run\"\n  \
         admin_address = \"{admin}\"\n  workers = 1\n  kernel_assist = \"off\"\n}}\n\
         listener \"web\" {{\n  address = \"{}\"\n  port = {}\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.g0.arn\n  }}\n}}\n",
        instance(),
        http.ip(),
        http.port()
    );
    for (group, targets) in targets.chunks(TARGETS / GROUPS).enumerate() {
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        write!(
            text,
            "target_group \"g{group}\" {{\n  port = 80\n  health_check {{\n    enabled = false\n  }}\n  stickiness {{\n    \
             type = \"lb_cookie\"\n  }}\n  targets = [{}]\n}}\n",
            targets.join(", ")
        )?;
        if group > 0 {
            write!(
                text,
                "listener_rule \"r{group}\" {{\n  listener_arn = listener.web.arn\n  priority = {group}\n  condition {{\n    \
                 path_pattern {{\n      values = [\"/{group}/*\"]\n    }}\n  }}\n  action {{\n    type = \"forward\"\n    \
                 target_group_arn = target_group.g{group}.arn\n  }}\n}}\n"
            )?;
        }
    }
    Ok(text)
}
