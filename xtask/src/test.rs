//! `cargo xtask test`: sets up what the tests need and is missing, then runs every test of the workspace.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{setup, shell};

/// `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Install nothing; what is missing is the tests' problem.
    #[arg(long)]
    no_setup: bool,
    /// Whether the balancers under test use the kernel side. The kernel's own tests run in any case.
    #[arg(long, value_enum, default_value_t = KernelAssist::Auto)]
    kernel_assist: KernelAssist,
    /// Passed on to `cargo test`, for instance `-p balancer`, or `-- name_of_a_test`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo_arguments: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum KernelAssist {
    Auto,
    Off,
}

/// Runs the command.
///
/// # Errors
/// When something the tests need is missing, and when a test fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_setup {
        setup::for_tests()?;
    }
    shell::run(shell::cargo().args(["build", "--quiet", "--package", "balancer"]))?;

    let mut command = shell::cargo();
    command.args(["test", "--no-fail-fast"]);
    if !options.cargo_arguments.iter().any(|word| word == "-p" || word.starts_with("--package")) {
        command.arg("--workspace");
    }
    command
        .args(&options.cargo_arguments)
        .env("BALANCER_BIN", shell::target_dir().join("debug/balancer"))
        .env("BALANCER_TEST_APPS", setup::applications_dir());
    if !options.no_setup {
        command.env("BALANCER_REQUIRE_APPS", "1");
    }
    if matches!(options.kernel_assist, KernelAssist::Off) {
        command.env("BALANCER_TEST_KERNEL_ASSIST", "off");
    }
    if !shell::is_root() {
        println!(
            "not root: tests of the kernel side, of namespaces and of dropped privileges skip themselves"
        );
    } else if env::var_os("CI").is_some() {
        command.env("BALANCER_REQUIRE_KERNEL", "1");
    }
    let totals = run_and_count(&mut command)?;
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.ignored);
    if totals.failed > 0 || !totals.success {
        bail!("tests failed");
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    success: bool,
}

/// Runs `cargo test`, passing its output on and adding up what each test program says at its end.
fn run_and_count(command: &mut Command) -> Result<Totals> {
    println!("$ {}", shell::show(command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let output = child.stdout.take().context("no standard output")?;
    let mut totals = Totals::default();
    let mut stdout = io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        stdout.write_all(&line)?;
        stdout.write_all(b"\n")?;
        totals.add(&String::from_utf8_lossy(&line));
    }
    totals.success = child.wait()?.success();
    Ok(totals)
}

impl Totals {
    /// Adds a line of the form `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut totals = Totals::default();
        totals.add("running 3 tests");
        totals.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        totals.add(
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1s",
        );
        assert_eq!(totals, Totals { passed: 5, failed: 4, ignored: 1, success: false });
    }
}
