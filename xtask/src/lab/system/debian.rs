//! A Debian that systemd runs, in a container of systemd-nspawn on this host's network. Must not know: what is installed in it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The Debian that packages are made for.
const SUITE: &str = "bookworm";
/// What it has beside the least that apt needs.
const PACKAGES: &str = "systemd,systemd-sysv";
/// Within which it has to be up, and down.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);

/// One that runs; it is shut down when dropped.
pub(super) struct Debian {
    container: Child,
    /// The number that its first process has here.
    first: String,
    /// Where its files are.
    pub(super) root: PathBuf,
    said: PathBuf,
}

impl Debian {
    /// Unpacks one into `folder` and starts it. What it is made of is fetched once and kept in the target folder.
    ///
    /// # Errors
    /// A program is missing, it cannot be fetched, or does not start.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        for (program, package) in [("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")] {
            if shell::find_program(program).is_none() {
                bail!("{program} is missing: apt-get install {package}");
            }
        }
        let (root, said) = (folder.join("debian"), folder.join("debian.log"));
        fs::create_dir_all(&root)?;
        shell::run(Command::new("tar").arg("-xpf").arg(kept()?).arg("-C").arg(&root))?;
        let log = File::create(&said)?;
        let container = Command::new("systemd-nspawn")
            // Of its own: no daemon knows of it, and it takes no other's name.
            .args(["--boot", "--register=no", "--keep-unit", "--console=pipe", "--directory"])
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("systemd-nspawn")?;
        let mut debian = Self { container, first: String::new(), root, said };
        debian.wait_until_up()?;
        Ok(debian)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let children = format!("/proc/{0}/task/{0}/children", self.container.id());
        loop {
            if let Some(status) = self.container.try_wait()? {
                bail!("the container ended with {status}: {}", self.told());
            }
            let first = fs::read_to_string(&children).unwrap_or_default();
            first.trim().clone_into(&mut self.first);
            // `degraded`: a unit of the container's own has failed, as some do without a machine.
            let is_up =
                |told: Output| matches!(String::from_utf8_lossy(&told.stdout).trim(), "running" | "degraded");
            if !self.first.is_empty()
                && self.command(&["systemctl", "is-system-running"]).output().is_ok_and(is_up)
            {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the container is not up after {PATIENCE:?}: {}", self.told());
            }
            thread::sleep(LOOK);
        }
    }

    /// The last lines of what it said.
    fn told(&self) -> String {
        let said = fs::read(&self.said).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
    }

    /// A command that is run in it, as root.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first, "--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]);
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    }

    /// What a command prints that is run in it.
    ///
    /// # Errors
    /// It fails: with what it said.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output().context("nsenter")?;
        let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            bail!("`{}` failed: {told}\n{}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(told)
    }

    /// Whether a command succeeds that is run in it.
    pub(super) fn succeeds(&self, words: &[&str]) -> bool {
        self.command(words).output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        self.succeeds(&["systemctl", "poweroff"]);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if !matches!(self.container.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        // Its first process goes with it.
        let _ = self.container.kill();
        let _ = self.container.wait();
    }
}

/// The files of one that has not run yet.
fn kept() -> Result<PathBuf> {
    let file = shell::target_dir().join("tools").join(format!("debian-{SUITE}-systemd.tar"));
    if !file.exists() {
        fs::create_dir_all(shell::target_dir().join("tools"))?;
        // One that breaks off is not taken for a whole one.
        let part = file.with_extension("part.tar");
        let include = format!("--include={PACKAGES}");
        shell::run(
            Command::new("mmdebstrap").args(["--quiet", "--variant=minbase", &include, SUITE]).arg(&part),
        )?;
        fs::rename(&part, &file)?;
    }
    Ok(file)
}
