//! `cargo xtask lab sessions`: the shop of `examples/sessions` with its sessions in five places, behind balancer with stickiness and
//! without: every target is replaced, one is killed, one is added, under load. Who is logged out, how unevenly targets are used,
//! what a request takes and what the store costs.

mod clients;
mod forms;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::{
    clients::{Crowd, Visit},
    forms::{Form, Shop, Store},
};
use super::{
    bed::Bed,
    table::{Marks, Table},
};
use crate::{
    bench::process::{Process, free_address, get_page},
    setup, shell,
};

/// `cargo xtask lab sessions`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Clients, each with one request at a time.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=200))]
    clients: u16,
    /// Seconds before, between and after the changes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Run only these (memory, php-files, redis, dynamodb, token), separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Put the table into this Markdown page as well: between its marks, where it has them, or in place of all of it.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Run this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Targets at a time.
const TARGETS: usize = 3;
/// How long a change may take to be served.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a deployment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deployment {
    /// One target after the other.
    Rolling,
    /// The new ones take the place of all old ones in one change.
    AtOnce,
}

/// A form, and how it is run.
#[derive(Clone, Copy, Debug)]
struct Run {
    form: Form,
    is_sticky: bool,
    deployment: Deployment,
}

/// What came of one.
struct Outcome {
    run: Run,
    visits: Vec<Visit>,
    /// Targets that were taken away or killed.
    removed: BTreeSet<String>,
    store: Option<Duration>,
    took: Duration,
}

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or sessions are lost that should not be.
pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted: Vec<Form> = Form::ALL
        .into_iter()
        .filter(|form| options.only.is_empty() || options.only.iter().any(|only| only == form.name()))
        .collect();
    if let Some(unknown) =
        options.only.iter().find(|only| !Form::ALL.iter().any(|form| form.name() == **only))
    {
        bail!("--only: there is no {unknown:?}");
    }
    setup::for_shops()?;
    let bed = Bed::make("sessions", options.binary.as_deref())?;
    let mut marks = Marks::default();
    let mut rows = Vec::new();
    for form in wanted {
        for run in runs(form) {
            let name = run.name();
            let outcome = one(run, &bed, options).with_context(|| name.clone())?;
            println!("{name}: {} visits by {} logins", outcome.requests(), outcome.visits.len());
            hold(&outcome, &mut marks);
            rows.push(outcome.row(&name));
        }
    }
    let mut table = Table::new(&HEADS);
    rows.iter().for_each(|row| table.row(row.clone()));
    println!("\n{table}");
    if let Some(file) = &options.markdown {
        let page = fs::read_to_string(file).unwrap_or_default();
        fs::write(file, placed(&page, &markdown(&rows))).with_context(|| file.display().to_string())?;
    }
    marks.verdict()
}

/// Those of a form: with all targets replaced at once only where that makes a difference.
fn runs(form: Form) -> Vec<Run> {
    let run = |is_sticky, deployment| Run { form, is_sticky, deployment };
    let mut runs = vec![run(false, Deployment::Rolling), run(true, Deployment::Rolling)];
    if form == Form::Memory {
        runs.push(run(true, Deployment::AtOnce));
    }
    runs
}

impl Run {
    fn name(&self) -> String {
        let sticky = if self.is_sticky { ", sticky" } else { "" };
        let deployment = if self.deployment == Deployment::AtOnce { ", all replaced at once" } else { "" };
        format!("{}{sticky}{deployment}", self.form.name())
    }
}

const HEADS: [&str; 9] = [
    "sessions in",
    "logins",
    "logged out",
    "of those on removed targets",
    "failed",
    "requests/s",
    "p99",
    "most/mean",
    "session's share of a request",
];

impl Outcome {
    fn requests(&self) -> usize {
        self.visits.iter().map(|visit| visit.times.len()).sum()
    }

    fn lost(&self) -> impl Iterator<Item = &Visit> {
        self.visits.iter().filter(|visit| visit.is_lost)
    }

    /// Whether the target that a login was answered by was taken away later.
    fn is_of_removed(&self, visit: &Visit) -> bool {
        self.removed.contains(&visit.home)
    }

    fn row(&self, name: &str) -> Vec<String> {
        let mut times: Vec<Duration> =
            self.visits.iter().flat_map(|visit| visit.times.iter().copied()).collect();
        times.sort_unstable();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        let sessions: Duration = self.visits.iter().map(|visit| visit.in_sessions).sum();
        let all: Duration = times.iter().sum();
        vec![
            name.to_owned(),
            self.visits.len().to_string(),
            self.lost().count().to_string(),
            if self.run.is_sticky {
                self.lost().filter(|visit| self.is_of_removed(visit)).count().to_string()
            } else {
                "-".to_owned()
            },
            self.visits.iter().map(|visit| visit.failed).sum::<usize>().to_string(),
            format!("{:.0}", times.len() as f64 / self.took.as_secs_f64()),
            format!("{:.1} ms", p99.as_secs_f64() * 1000.0),
            format!("{:.2}", skew(&self.visits)),
            format!(
                "{:.2} ms ({:.0} %){}",
                sessions.as_secs_f64() * 1000.0 / times.len().max(1) as f64,
                sessions.as_secs_f64() * 100.0 / all.as_secs_f64().max(f64::EPSILON),
                self.store.map_or_else(String::new, |cpu| format!(
                    ", store {:.0} µs CPU",
                    cpu.as_secs_f64() * 1e6 / times.len().max(1) as f64
                ))
            ),
        ]
    }
}

/// The requests of the busiest target by the mean, over those that were there in the end.
fn skew(visits: &[Visit]) -> f64 {
    let mut by_target = BTreeMap::<&str, usize>::new();
    for target in visits.iter().flat_map(|visit| &visit.late_targets) {
        *by_target.entry(target).or_default() += 1;
    }
    let (most, all) = (by_target.values().max().copied().unwrap_or(0), by_target.values().sum::<usize>());
    if all == 0 { 0.0 } else { most as f64 * by_target.len() as f64 / all as f64 }
}

/// What is kept outside is never lost. What is kept in a process is lost to whom stickiness does not bring back there, and with it
/// to those whose process went, all of them and nobody else.
fn hold(outcome: &Outcome, marks: &mut Marks) {
    let Run { form, is_sticky, .. } = outcome.run;
    let name = outcome.run.name();
    let lost = outcome.lost().count();
    if !form.is_stateful() {
        marks.hold(lost == 0, || {
            format!("{name}: {lost} were logged out, though nothing is kept in the process")
        });
        return;
    }
    if !is_sticky {
        marks.hold(lost > 0, || format!("{name}: nobody was logged out without stickiness"));
        return;
    }
    let wrongly = outcome.lost().filter(|visit| !outcome.is_of_removed(visit)).count();
    marks.hold(wrongly == 0, || format!("{name}: {wrongly} were logged out whose target was there"));
    let kept = outcome.visits.iter().filter(|visit| !visit.is_lost && outcome.is_of_removed(visit)).count();
    marks.hold(kept == 0, || format!("{name}: {kept} were not logged out although their target went"));
}

fn markdown(rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = HEADS.iter().map(ToString::to_string).collect();
    let rule: Vec<String> = HEADS.iter().map(|_| "---".to_owned()).collect();
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{}{rows}", line(&heads), line(&rule))
}

const MARKS: [&str; 2] = ["<!-- lab sessions -->\n", "<!-- end of lab sessions -->"];

/// The page with the table in its place.
fn placed(page: &str, table: &str) -> String {
    let [begin, end] = MARKS;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    parts
        .map_or_else(|| table.to_owned(), |(before, after)| format!("{before}{begin}\n{table}\n{end}{after}"))
}

/// One form through all changes.
fn one(run: Run, bed: &Bed, options: &Options) -> Result<Outcome> {
    let form = run.form;
    let folder = bed.folder(&run.name().replace([',', ' '], "-"))?;
    let store = Store::start(form, &folder)?;
    let mut made = 0..;
    let mut another = || Shop::start(form, made.next().unwrap_or(0), &folder, &store);
    let mut shops = (0..TARGETS).map(|_| another()).collect::<Result<Vec<_>>>()?;
    let front = Front::start(bed, &folder, run.is_sticky, &shops)?;
    let pause = Duration::from_secs(options.seconds);
    let crowd = Crowd::new(front.address);
    let mut removed = BTreeSet::new();
    let began = Instant::now();
    let before = store.cpu_time()?;
    thread::scope(|scope| -> Result<()> {
        let ends = crowd.ends();
        (0..options.clients).for_each(|number| crowd.join(scope, number));
        thread::sleep(pause);
        let places: Vec<usize> = (0..TARGETS).collect();
        // A deployment: each target is replaced by a new one.
        for places in places.chunks(if run.deployment == Deployment::AtOnce { TARGETS } else { 1 }) {
            let mut old = Vec::new();
            for place in places {
                let new = another()?;
                old.extend(shops.get_mut(*place).map(|shop| std::mem::replace(shop, new)));
            }
            front.serve(&shops)?;
            removed.extend(old.iter().map(|shop| shop.name.clone()));
            thread::sleep(pause);
        }
        let killed = shops.swap_remove(0);
        removed.insert(killed.name.clone());
        killed.kill();
        thread::sleep(pause);
        shops.push(another()?);
        front.serve(&shops)?;
        crowd.late();
        thread::sleep(pause * 2);
        drop(ends);
        Ok(())
    })?;
    let took = began.elapsed();
    let store = store.cpu_time()?.zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(Outcome { run, visits: crowd.visits(), removed, store, took })
}

/// The balancer before the shops.
struct Front {
    address: SocketAddr,
    admin: SocketAddr,
    folder: PathBuf,
    is_sticky: bool,
    instance: String,
    balancer: PathBuf,
    process: Option<Process>,
}

impl Front {
    fn start(bed: &Bed, folder: &std::path::Path, is_sticky: bool, shops: &[Shop]) -> Result<Self> {
        let mut front = Self {
            address: free_address()?,
            admin: free_address()?,
            folder: folder.to_owned(),
            is_sticky,
            instance: format!("lab-sessions-{}", std::process::id()),
            balancer: bed.balancer.clone(),
            process: None,
        };
        front.write(shops)?;
        let mut command = Command::new(&bed.balancer);
        command.arg("run").arg("-c").arg(front.folder.join("balancer.hcl")).env("NO_COLOR", "1");
        front.process = Some(Process::start("balancer", folder, command, front.address)?);
        front.wait(0, shops.len())?;
        Ok(front)
    }

    fn write(&self, shops: &[Shop]) -> Result<()> {
        let listed: Vec<String> = shops.iter().map(|shop| format!("\"{}\"", shop.address)).collect();
        let sticky = if self.is_sticky { "stickiness {\n    type = \"lb_cookie\"\n  }" } else { "" };
        let text = format!(
            r#"balancer {{
  instance      = "{instance}"
  workers       = 2
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  admin_address = "{admin}"
}}
listener "web" {{
  address = "{ip}"
  port    = {port}
  default_action {{
    type             = "forward"
    target_group_arn = target_group.shop.arn
  }}
}}
target_group "shop" {{
  deregistration_delay = 2
  {sticky}
  health_check {{
    path                = "/health"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }}
  targets = [{listed}]
}}
"#,
            instance = self.instance,
            folder = self.folder.display(),
            admin = self.admin,
            ip = self.address.ip(),
            port = self.address.port(),
            listed = listed.join(", "),
        );
        fs::write(self.folder.join("balancer.hcl"), text).context("balancer.hcl")
    }

    /// Serves these shops from now on.
    fn serve(&self, shops: &[Shop]) -> Result<()> {
        let reloads = self.figure("balancer_reloads_total ")?;
        self.write(shops)?;
        self.process.as_ref().context("it runs")?.signal(libc::SIGHUP);
        self.wait(reloads + 1, shops.len())
    }

    /// Until it has reloaded as often and as many targets are healthy.
    fn wait(&self, reloads: u64, healthy: usize) -> Result<()> {
        let begun = Instant::now();
        while self.figure("balancer_reloads_total ")? < reloads
            || self.figure("balancer_healthy_host_count{")? < healthy as u64
        {
            if begun.elapsed() > PATIENCE {
                bail!(
                    "the balancer does not serve what it was told: {}",
                    self.process.as_ref().map(Process::said).unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The first sample of this name.
    fn figure(&self, name: &str) -> Result<u64> {
        let page = get_page(self.admin, "/metrics", "")?;
        let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        Ok(line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.process = None;
        shell::succeeds(
            Command::new(&self.balancer)
                .args(["cleanup", "--instance", &self.instance, "--runtime-dir"])
                .arg(self.folder.join("run")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(home: &str, is_lost: bool) -> Visit {
        Visit { home: home.into(), is_lost, late_targets: vec![home.into()], ..Visit::default() }
    }

    fn held(form: Form, is_sticky: bool, visits: Vec<Visit>) -> bool {
        let removed = ["gone".to_owned()].into();
        let took = Duration::from_secs(1);
        let mut marks = Marks::default();
        let run = Run { form, is_sticky, deployment: Deployment::Rolling };
        hold(&Outcome { run, visits, removed, store: None, took }, &mut marks);
        marks.verdict().is_ok()
    }

    #[test]
    fn who_may_be_logged_out_depends_on_where_sessions_are() {
        let (kept, lost) = (visit("there", false), visit("there", true));
        let (moved, gone) = (visit("gone", false), visit("gone", true));
        assert!(held(Form::Token, false, vec![kept.clone(), moved.clone()]));
        assert!(!held(Form::Redis, true, vec![kept.clone(), lost.clone()]));
        assert!(held(Form::Memory, false, vec![kept.clone(), lost.clone()]));
        assert!(!held(Form::Memory, false, vec![kept.clone()]));
        assert!(held(Form::Memory, true, vec![kept.clone(), gone.clone()]));
        assert!(!held(Form::PhpFiles, true, vec![lost, gone]));
        assert!(!held(Form::PhpFiles, true, vec![kept, moved]));
    }

    #[test]
    fn the_busiest_is_compared_with_the_mean() {
        let visits = [visit("a", false), visit("a", false), visit("a", false), visit("b", false)];
        assert!((skew(&visits) - 1.5).abs() < 1e-9);
        assert!(skew(&[]).abs() < 1e-9);
    }

    #[test]
    fn the_table_is_markdown_as_well() {
        let rows = [vec!["memory".to_owned(); HEADS.len()]];
        assert!(markdown(&rows).lines().all(|line| line.matches('|').count() == HEADS.len() + 1));
        let [begin, end] = MARKS;
        let page = placed(&format!("a\n{begin}old{end}\nb\n"), "| new |\n");
        assert_eq!(page, format!("a\n{begin}\n| new |\n\n{end}\nb\n"));
        assert_eq!(placed("", "| new |\n"), "| new |\n");
    }
}
