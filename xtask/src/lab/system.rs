//! `cargo xtask lab system`: the package in a Debian that systemd runs: it is installed by apt, starts, takes a newer package under
//! load, refuses a bad configuration, is killed and restarted under load, and is purged. What clients notice of it.

mod debian;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::debian::Debian;
use super::{
    application::Application,
    bed::Bed,
    table::{Marks, Table},
    upgrade::{
        http1,
        tally::{Count, Tally},
    },
};
use crate::package;

/// `cargo xtask lab system`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Clients of each kind: with the application's cookie, on a kept connection, and on one each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// Pack this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Before and behind what is done, for clients to meet both processes.
const BREATH: Duration = Duration::from_secs(1);
/// Within which a balancer serves that was told to.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// What is installed, and where it is asked.
struct Installed {
    debian: Debian,
    /// The packages, as the container has them.
    packages: [String; 2],
    web: std::net::SocketAddr,
    admin: std::net::SocketAddr,
}

/// Runs the scenario.
///
/// # Errors
/// Something is missing or does not start, or clients noticed what they should not.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bed = Bed::make("system", options.binary.as_deref())?;
    let folder = bed.folder("run")?;
    let debian = Debian::start(&folder)?;
    let packages = packed(&bed.balancer, &folder, &debian.root)?;
    let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
    let installed = Installed { debian, packages, web: free()?, admin: free()? };
    let mut marks = Marks::default();
    let targets = [Application::start("one")?, Application::start("two")?];
    installed.install(&targets, &mut marks)?;
    let mut table = Table::new(&["what", "requests", "failed", "refused", "lost sessions"]);
    let mut step =
        |what: &str, marks: &mut Marks, done: &dyn Fn(&mut Marks) -> Result<()>| -> Result<Tally> {
            let outcome = under_load(&installed, options.clients, || done(marks));
            let tally = outcome.with_context(|| format!("{what}; the journal:\n{}", installed.journal()))?;
            let counts =
                [Count::Requests, Count::Failed, Count::Refused, Count::Lost].map(|count| tally.of(count));
            table
                .row(std::iter::once(what.to_owned()).chain(counts.map(|count| count.to_string())).collect());
            marks.hold(counts[0] > 0, || format!("{what}: there were no requests"));
            tally.said().iter().for_each(|line| println!("  {line}"));
            Ok(tally)
        };
    let upgraded = step("a newer package by apt", &mut marks, &|marks| installed.upgrade(marks))?;
    for (count, of) in [(Count::Failed, "requests failed"), (Count::Refused, "connections were refused")] {
        marks.hold(upgraded.of(count) == 0, || format!("a newer package: {} {of}", upgraded.of(count)));
    }
    marks.hold(upgraded.of(Count::Lost) == 0, || "a newer package: sessions were lost".to_owned());
    let refused = step("a bad configuration", &mut marks, &|marks| installed.reload(&targets, marks))?;
    for count in [Count::Failed, Count::Refused, Count::Lost] {
        marks.hold(refused.of(count) == 0, || format!("a bad configuration: {}", refused.of(count)));
    }
    let killed = step("kill -9", &mut marks, &|marks| installed.killed(marks))?;
    marks.hold(killed.of(Count::Refused) == 0, || "a kill refused connections".to_owned());
    marks.hold(killed.of(Count::Lost) == 0, || "a kill lost sessions".to_owned());
    // What a connection is asked while its end is told is cut, as everywhere; who comes meanwhile waits.
    let restarted = step("systemctl restart", &mut marks, &|_| installed.restart())?;
    marks.hold(restarted.of(Count::Refused) == 0, || "a restart refused connections".to_owned());
    marks.hold(restarted.of(Count::Lost) == 0, || "a restart lost sessions".to_owned());
    installed.purge(&mut marks)?;
    println!("\n{table}");
    marks.verdict()
}

/// Two packages of one program, of which the second is newer, where the container finds them.
fn packed(program: &Path, folder: &Path, root: &Path) -> Result<[String; 2]> {
    let to = root.join("packages");
    fs::create_dir_all(&to)?;
    let made = package::revisions(program, folder)?;
    let mut names = made.into_iter().map(|file| {
        let name = file.file_name().context("a package has a name")?.to_string_lossy().into_owned();
        fs::copy(&file, to.join(&name)).with_context(|| file.display().to_string())?;
        Ok::<_, anyhow::Error>(format!("/packages/{name}"))
    });
    Ok([names.next().context("a package")??, names.next().context("a newer one")??])
}

/// Does something while clients of all kinds ask.
fn under_load(installed: &Installed, clients: u32, done: impl FnOnce() -> Result<()>) -> Result<Tally> {
    let (tally, web) = (Tally::default(), installed.web);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| http1::session(web, &tally));
            for keeps in [true, false] {
                let tally = &tally;
                scope.spawn(move || http1::load(web, keeps, tally));
            }
        }
        thread::sleep(BREATH);
        let outcome = done();
        thread::sleep(BREATH);
        tally.end();
        outcome
    })?;
    Ok(tally)
}

impl Installed {
    fn install(&self, targets: &[Application; 2], marks: &mut Marks) -> Result<()> {
        let [package, _] = &self.packages;
        self.debian.run(&["apt-get", "install", "--yes", "--no-install-recommends", package])?;
        // The sample leads nowhere: it is for the operator to say when.
        let is_active = self.debian.succeeds(&["systemctl", "is-active", "balancer"]);
        marks.hold(!is_active, || "the first installation starts a balancer".to_owned());
        self.configure(targets, "")?;
        self.debian.run(&["systemctl", "enable", "--now", "balancer"])?;
        self.wait_until_well()
    }

    fn configure(&self, targets: &[Application; 2], fault: &str) -> Result<()> {
        let [one, two] = targets;
        let text = format!(
            "balancer {{\n  user = \"balancer\"\n  admin_address = \"{}\"\n}}\n\
             listener \"web\" {{\n  address = \"127.0.0.1\"\n  port = {}\n  default_action {{\n    type = \"forward\"\n    \
             target_group_arn = target_group.app.arn\n  }}\n}}\n\
             target_group \"app\" {{\n  stickiness {{\n    type = \"app_cookie\"\n    cookie_name = \"{}\"\n  }}\n  \
             health_check {{\n    path = \"{}\"\n  }}\n  targets = [\"{}\", \"{}\"]\n{fault}}}\n",
            self.admin,
            self.web.port(),
            super::application::COOKIE,
            super::application::CHECK,
            one.address,
            two.address,
        );
        fs::write(self.debian.root.join("etc/balancer/balancer.hcl"), text)
            .context("/etc/balancer/balancer.hcl")
    }

    fn wait_until_well(&self) -> Result<()> {
        let (until, admin) = (Instant::now() + PATIENCE, self.admin.to_string());
        while !self.debian.succeeds(&["balancer", "healthz", "--admin", &admin]) {
            if Instant::now() > until {
                bail!("the balancer is not well after {PATIENCE:?}");
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn journal(&self) -> String {
        let told = self.debian.run(&["journalctl", "--unit=balancer", "--no-pager", "--lines=100"]);
        told.unwrap_or_default()
    }

    fn main_process(&self) -> Result<String> {
        self.debian.run(&["systemctl", "show", "--property=MainPID", "--value", "balancer"])
    }

    fn upgrade(&self, marks: &mut Marks) -> Result<()> {
        let ([_, newer], before) = (&self.packages, self.main_process()?);
        self.debian.run(&["apt-get", "install", "--yes", "--no-install-recommends", newer])?;
        let (after, state) =
            (self.main_process()?, self.debian.run(&["systemctl", "is-active", "balancer"])?);
        marks.hold(before != after, || {
            format!("process {before} serves behind the newer package as before it")
        });
        marks.hold(state == "active", || format!("behind the newer package the unit is {state}"));
        let version = self.debian.run(&["dpkg-query", "--show", "--showformat=${Version}", "balancer"])?;
        marks.hold(version.ends_with("-2"), || format!("version {version} is installed"));
        let restarts =
            self.debian.run(&["systemctl", "show", "--property=NRestarts", "--value", "balancer"])?;
        marks.hold(restarts == "0", || format!("systemd has restarted it {restarts} times"));
        self.wait_until_well()
    }

    fn reload(&self, targets: &[Application; 2], marks: &mut Marks) -> Result<()> {
        let before = self.main_process()?;
        self.configure(targets, "  deregistration_delay = -1\n")?;
        let is_taken = self.debian.succeeds(&["systemctl", "reload", "balancer"]);
        marks.hold(!is_taken, || "a bad configuration is no failed reload".to_owned());
        self.configure(targets, "")?;
        self.debian.run(&["systemctl", "reload", "balancer"])?;
        let after = self.main_process()?;
        marks.hold(before == after, || "a reload replaced the process".to_owned());
        self.wait_until_well()
    }

    fn killed(&self, marks: &mut Marks) -> Result<()> {
        let before = self.main_process()?;
        self.debian.run(&["sh", "-c", &format!("kill -KILL {before}")])?;
        let until = Instant::now() + PATIENCE;
        let next = loop {
            let main = self.main_process()?;
            if main != before && main != "0" || Instant::now() > until {
                break main;
            }
            thread::sleep(LOOK);
        };
        marks.hold(next != before && next != "0", || "systemd starts no other one".to_owned());
        self.wait_until_well()
    }

    fn restart(&self) -> Result<()> {
        self.debian.run(&["systemctl", "restart", "balancer"])?;
        self.wait_until_well()
    }

    fn purge(&self, marks: &mut Marks) -> Result<()> {
        self.debian.run(&["apt-get", "purge", "--yes", "balancer"])?;
        let is_active = self.debian.succeeds(&["systemctl", "is-active", "balancer"]);
        marks.hold(!is_active, || "a balancer runs that was purged".to_owned());
        for left in ["usr/bin/balancer", "etc/balancer/balancer.hcl", "var/lib/balancer", "var/log/balancer"]
        {
            marks.hold(!self.debian.root.join(left).exists(), || format!("purging leaves /{left}"));
        }
        Ok(())
    }
}
