//! `cargo xtask fuzz`: runs what reads bytes of strangers under libFuzzer, one target after the other, from the seeds and
//! from what earlier runs found.
//!
//! The instrumentation is LLVM's and needs no nightly compiler; the sanitizer of addresses does, and there is no `unsafe`
//! in what is run here. With cargo-fuzz, `cargo fuzz run head` in `balancer/` does the same.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell;

/// Names of the targets, in `balancer/fuzz/fuzz_targets`.
const TARGETS: [&str; 7] = ["head", "chunked", "token", "cookies", "http2", "http2_answers", "config"];

/// What cargo-fuzz sets, too.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16";

/// `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// For how long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Which of them; all by default.
    targets: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When a target finds a fault: the bytes that show it are then in a file that the output names.
pub(crate) fn run(options: &Options) -> Result<()> {
    let asked =
        |target: &&&str| options.targets.is_empty() || options.targets.iter().any(|name| name == **target);
    let targets: Vec<_> = TARGETS.iter().filter(asked).collect();
    if targets.len() < options.targets.len() || targets.is_empty() {
        bail!("targets are {}", TARGETS.join(", "));
    }
    let folder = shell::workspace_root().join("balancer/fuzz");
    let built = shell::target_dir().join("fuzz");
    // The versions that the product has; cargo adds the few that are wanted here alone.
    let lock = folder.join("Cargo.lock");
    fs::copy(shell::workspace_root().join("Cargo.lock"), &lock)
        .with_context(|| lock.display().to_string())?;
    // Named, or build scripts and macros would be instrumented, too.
    let host = host()?;
    let mut build = shell::cargo();
    build.args(["build", "--quiet", "--release", "--target", &host, "--manifest-path"]);
    build.arg(folder.join("Cargo.toml")).arg("--target-dir").arg(&built);
    for target in &targets {
        build.args(["--bin", target]);
    }
    shell::run(build.env("RUSTFLAGS", INSTRUMENTED).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    for target in targets {
        let (corpus, faults) = (built.join("corpus").join(target), built.join("faults").join(target));
        for folder in [&corpus, &faults] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let mut command = Command::new(built.join(&host).join("release").join(target));
        command.arg(&corpus).arg(folder.join("seeds").join(target));
        if *target == "config" {
            command.arg(shell::workspace_root().join("balancer/tests/fixtures/config"));
        }
        command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1"]);
        command.arg(format!("-max_total_time={}", options.seconds));
        command.arg(format!("-artifact_prefix={}/", faults.display()));
        shell::run(&mut command)?;
    }
    Ok(())
}

/// The platform that this compiler builds for by itself.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let output = Command::new(rustc).arg("-vV").output().context("cannot run rustc")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc names no host")
}
