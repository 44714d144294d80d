//! The shield's program as the kernel has it: which it is, and what it takes for a packet (bpftool-prog(8), `run`). Must not know:
//! what packets are.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{lab::bed::Bed, shell};

/// What it says of a packet (linux/bpf.h, `enum xdp_action`).
pub(super) const DROP: u32 = 1;
pub(super) const PASS: u32 = 2;

/// Times that it is run over a packet, and times that this is done.
const REPEAT: &str = "1000000";
const TIMES: usize = 7;

/// The program on an interface.
pub(super) fn id(interface: &str) -> Result<Option<u32>> {
    let shown = Command::new("ip").args(["-o", "link", "show", "dev", interface]).output().context("ip")?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let id = shown.split("prog/xdp id ").nth(1).and_then(|rest| rest.split(' ').next());
    id.map(|id| id.parse().context("the id of a program")).transpose()
}

/// Nanoseconds that it takes for the packet, which it must say `verdict` of: the least of some runs, since whatever else a machine
/// does makes it longer and nothing makes it shorter.
pub(super) fn nanos(bed: &Bed, interface: &str, packet: &[u8], verdict: u32) -> Result<u32> {
    let bpftool = shell::find_program("bpftool").context("bpftool is missing")?;
    let id = id(interface)?.context("there is no program on the interface")?;
    let file = bed.folder("packets")?.join("packet");
    fs::write(&file, packet)?;
    let mut figures = Vec::new();
    for _ in 0..TIMES {
        let mut command = Command::new(&bpftool);
        command.args(["prog", "run", "id", &id.to_string(), "data_in"]).arg(&file).args(["repeat", REPEAT]);
        let output = command.output().context("bpftool")?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let (said, took) = figures_of(&told).with_context(|| {
            format!("`{}`: {told}{}", shell::show(&command), String::from_utf8_lossy(&output.stderr))
        })?;
        if said != verdict {
            bail!("the program says {said} of the packet, and should say {verdict}");
        }
        figures.push(took);
    }
    figures.into_iter().min().context("no figures")
}

/// `Return value: 1, duration (average): 25ns`.
fn figures_of(told: &str) -> Option<(u32, u32)> {
    let rest = told.split("Return value: ").nth(1)?;
    let (said, rest) = rest.split_once(',')?;
    let took = rest.split("(average): ").nth(1)?.split("ns").next()?;
    Some((said.parse().ok()?, took.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_bpftool_writes_them() {
        assert_eq!(figures_of("Return value: 1, duration (average): 25ns\n"), Some((1, 25)));
        assert_eq!(figures_of("Error: bad"), None);
    }
}
