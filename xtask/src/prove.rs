//! `cargo xtask prove`: what the parts without locks promise, held under every order of their atomic operations (loom),
//! under an interpreter that sees undefined behaviour (miri), and on the other architecture (AArch64, emulated). Says what
//! could not be run here, and of what that is for want.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};
use clap::Args;

use crate::shell;

/// The other architecture.
const OTHER: &str = "aarch64-unknown-linux-gnu";

/// Unit tests of the tables that threads and processes share. The emulator runs them all.
const TABLES: [&str; 6] = [
    "stickiness::session_table::",
    "stickiness::ledger::",
    "kernel::words::",
    "kernel::outstanding::",
    "kernel::slots::",
    "kernel::counters::",
];

/// Those of them that ask nothing of the system but memory.
const INTERPRETED: [&str; 3] =
    ["kernel::words::tests::clones", "kernel::words::tests::impossible", "kernel::outstanding::"];

/// `cargo xtask prove`.
#[derive(Args)]
pub(crate) struct Options {
    /// The models alone, which take seconds.
    #[arg(long)]
    models: bool,
    /// Fails when a part cannot be run here.
    #[arg(long)]
    all: bool,
}

/// Runs the command.
///
/// # Errors
/// When a promise does not hold.
pub(crate) fn run(options: &Options) -> Result<()> {
    loom()?;
    if options.models {
        return Ok(());
    }
    let mut missing = Vec::new();
    for (part, outcome) in [("miri", miri()?), ("AArch64", aarch64()?)] {
        if let Err(reason) = outcome {
            println!("NOT RUN: {part}: {reason}");
            missing.push(part);
        }
    }
    if options.all && !missing.is_empty() {
        bail!("not run: {}", missing.join(", "));
    }
    Ok(())
}

fn loom() -> Result<()> {
    let manifest = shell::workspace_root().join("balancer/loom/Cargo.toml");
    let mut command = shell::cargo();
    command.args(["test", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    shell::run(command.arg("--target-dir").arg(shell::target_dir().join("loom")))
}

/// What is missing, or that it has run.
type Part = Result<std::result::Result<(), String>>;

fn miri() -> Part {
    if !shell::succeeds(Command::new("rustup").args(["run", "nightly", "cargo", "miri", "--version"])) {
        return Ok(Err("rustup toolchain install nightly --component miri,rust-src".to_owned()));
    }
    let mut command = Command::new("rustup");
    command.current_dir(shell::workspace_root());
    command.args(["run", "nightly", "cargo", "miri", "test", "--quiet", "--package", "balancer", "--lib"]);
    command.arg("--target-dir").arg(shell::target_dir().join("miri")).arg("--").args(INTERPRETED);
    // Its own system calls are written in assembler, which is not interpreted: those of libc are.
    command.env("RUSTFLAGS", "--cfg=rustix_use_libc").env("MIRIFLAGS", "-Zmiri-permissive-provenance");
    shell::run(&mut command).map(Ok)
}

fn aarch64() -> Part {
    let target = Command::new("rustc").args(["--print", "target-libdir", "--target", OTHER]).output();
    let libraries = target.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    if !libraries.is_ok_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(Err(format!("rustup target add {OTHER}")));
    }
    for (program, package) in
        [("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"), ("qemu-aarch64", "qemu-user")]
    {
        if shell::find_program(program).is_none() {
            return Ok(Err(format!("{program}: apt-get install {package}")));
        }
    }
    let mut command = shell::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "balancer", "--lib", "--target", OTHER]);
    command.arg("--target-dir").arg(shell::target_dir().join("aarch64")).arg("--").args(TABLES);
    command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    shell::run(&mut command).map(Ok)
}
