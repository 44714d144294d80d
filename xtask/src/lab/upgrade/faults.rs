//! New processes of balancer that come to nothing, each in its way: the old one says why, and serves on. Must not know: clients.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};
use balancer_common::ABI_VERSION;

use super::proxies::{Proxy, config_path, program_path, signal, wait};
use crate::lab::application::Application;

/// Speaks as a new process does.
const STRANGER: &str = include_str!("../../../../tests/support/stranger.pl");
const LOOK: Duration = Duration::from_millis(1);

/// What is wrong with the new process, and what is said of it then.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Exits,
    HangsInStart,
    HangsAfterItsFirstWord,
    AnotherAbi,
    BrokenConfiguration,
    KilledAtOnce,
    KilledAfterItsFirstWord,
    KilledWhenItHasItAll,
}

impl Fault {
    pub(super) const ALL: [Self; 8] = [
        Self::Exits,
        Self::AnotherAbi,
        Self::BrokenConfiguration,
        Self::KilledAtOnce,
        Self::KilledAfterItsFirstWord,
        Self::KilledWhenItHasItAll,
        Self::HangsInStart,
        Self::HangsAfterItsFirstWord,
    ];

    fn said(self) -> &'static str {
        match self {
            Self::Exits => "exit status: 3",
            Self::HangsInStart => "was not heard of",
            Self::HangsAfterItsFirstWord => "was not ready",
            Self::AnotherAbi => "tables are of version",
            Self::BrokenConfiguration => "config:",
            Self::KilledAtOnce | Self::KilledAfterItsFirstWord | Self::KilledWhenItHasItAll => "signal: 9",
        }
    }
}

/// Upgrades once, and everything is as before.
///
/// # Errors
/// It came to something, or it is not said why not.
pub(super) fn provoke(fault: Fault, proxy: &Proxy, bystander: &Application) -> Result<()> {
    let said = attempt(fault, proxy, bystander)?;
    if !said.contains(fault.said()) {
        bail!("{fault:?}: it is told otherwise: {said}");
    }
    // What was started for it is gone.
    wait(|| proxy.serving().len() == 1).with_context(|| format!("{fault:?}: {:?}", proxy.serving()))
}

fn attempt(fault: Fault, proxy: &Proxy, bystander: &Application) -> Result<String> {
    let program = program_path(&proxy.folder);
    let stranger =
        |abi: u32, hangs: &str| STRANGER.replace("@ABI@", &abi.to_string()).replace("@HANGS@", hangs);
    let script = match fault {
        Fault::Exits => "#!/bin/sh\nexit 3\n".to_owned(),
        // One process, which has the words that it was started with.
        Fault::HangsInStart | Fault::KilledAtOnce => "#!/usr/bin/perl\nsleep 1000;\n".to_owned(),
        Fault::HangsAfterItsFirstWord | Fault::KilledAfterItsFirstWord => stranger(ABI_VERSION, "1"),
        Fault::AnotherAbi => stranger(ABI_VERSION + 1, "0"),
        Fault::BrokenConfiguration => {
            return with_configuration(proxy, |text| format!("{text}listener \"x\" {{\n"), || told(proxy));
        }
        Fault::KilledWhenItHasItAll => {
            // It waits for the first check of a target that is new to it.
            let target = format!("targets = [\"{}\", ", bystander.address);
            let before = bystander.checks();
            bystander.hold_checks(true);
            let told = with_configuration(
                proxy,
                |text| text.replace("targets = [", &target),
                || while_it_starts(proxy, |_| bystander.checks() > before),
            );
            bystander.hold_checks(false);
            return told;
        }
    };
    with_program(&program, &script, || match fault {
        Fault::KilledAtOnce => while_it_starts(proxy, |_| true),
        Fault::KilledAfterItsFirstWord => while_it_starts(proxy, has_connected),
        _ => told(proxy),
    })
}

/// Whether a process has a socket.
fn has_connected(pid: u32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut leads_to = files.filter_map(|file| fs::read_link(file.path()).ok());
    leads_to.any(|path| path.to_string_lossy().starts_with("socket:"))
}

/// What is said of an upgrade that comes to nothing.
fn told(proxy: &Proxy) -> Result<String> {
    match proxy.upgrade_balancer() {
        Ok(()) => bail!("it was upgraded"),
        Err(error) => Ok(error.to_string()),
    }
}

/// Kills the new process as soon as it is there and `when` holds.
fn while_it_starts(proxy: &Proxy, when: impl Fn(u32) -> bool) -> Result<String> {
    let before = proxy.processes();
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| told(proxy));
        while !upgrade.is_finished() {
            let new = proxy.serving().into_iter().find(|pid| !before.contains(pid));
            if let Some(new) = new.filter(|new| when(*new)) {
                signal(new, libc::SIGKILL);
                break;
            }
            thread::sleep(LOOK);
        }
        upgrade.join().unwrap_or_else(|_| bail!("it panicked"))
    })
}

fn with_program(program: &Path, script: &str, then: impl FnOnce() -> Result<String>) -> Result<String> {
    let real = fs::read_link(program)?;
    let new = program.with_extension("new");
    fs::write(&new, script)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, program)?;
    let told = then();
    std::os::unix::fs::symlink(real, &new)?;
    fs::rename(new, program)?;
    told
}

fn with_configuration(
    proxy: &Proxy,
    change: impl FnOnce(&str) -> String,
    then: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let path = config_path(&proxy.folder);
    let text = fs::read_to_string(&path)?;
    fs::write(&path, change(&text))?;
    let told = then();
    fs::write(path, text)?;
    told
}
