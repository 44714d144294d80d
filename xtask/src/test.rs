//! `cargo xtask test`: sets up what the tests need and is missing, then runs every test of the workspace.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    num::NonZero,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{setup, shell};

/// End-to-end tests that run at a time on each core: they wait for others most of the time.
const THREADS_OF_A_CORE: usize = 2;

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

    if !shell::is_root() {
        println!(
            "not root: tests of the kernel side, of namespaces and of dropped privileges skip themselves"
        );
    }
    let mut totals = Totals { success: true, ..Totals::default() };
    for part in parts(&options.cargo_arguments) {
        let mut command = shell::cargo();
        command
            .args(["test", "--no-fail-fast"])
            .args(part.arguments)
            .env("BALANCER_BIN", shell::target_dir().join("debug/balancer"))
            .env("BALANCER_TEST_APPS", setup::applications_dir());
        if part.waits && env::var_os("RUST_TEST_THREADS").is_none() {
            let cores = thread::available_parallelism().map_or(1, NonZero::get);
            command.env("RUST_TEST_THREADS", (cores * THREADS_OF_A_CORE).to_string());
        }
        if !options.no_setup {
            command.env("BALANCER_REQUIRE_APPS", "1");
        }
        if matches!(options.kernel_assist, KernelAssist::Off) {
            command.env("BALANCER_TEST_KERNEL_ASSIST", "off");
        }
        if shell::is_root() && env::var_os("CI").is_some() {
            command.env("BALANCER_REQUIRE_KERNEL", "1");
        }
        run_and_count(&mut command, &mut totals)?;
    }
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.ignored);
    if totals.failed > 0 || !totals.success {
        bail!("tests failed");
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// What one call of `cargo test` is given.
#[derive(Debug, PartialEq)]
struct Part {
    arguments: Vec<String>,
    /// Whether its tests wait more than they compute.
    waits: bool,
}

/// All tests in two parts, or what is asked for in one. Both parts are of the whole workspace, so that neither has cargo
/// build anything with other features than the other.
fn parts(asked: &[String]) -> Vec<Part> {
    let part = |arguments: &[&str], more: &[String], waits| Part {
        arguments: arguments.iter().map(|word| (*word).to_owned()).chain(more.iter().cloned()).collect(),
        waits,
    };
    let names_package = asked.iter().any(|word| word == "-p" || word.starts_with("--package"));
    let own = asked.split(|word| word == "--").next().unwrap_or_default();
    let names_tests =
        own.iter().any(|word| !matches!(word.as_str(), "--locked" | "--offline" | "--quiet" | "--workspace"));
    if names_package || names_tests {
        let waits = own.iter().any(|word| matches!(word.as_str(), "it" | "netns" | "balancer-tests"));
        return vec![part(if names_package { &[] } else { &["--workspace"] }, asked, waits)];
    }
    let end_to_end = ["--workspace", "--test", "it", "--test", "netns"];
    vec![part(&["--workspace", "--exclude", "balancer-tests"], asked, false), part(&end_to_end, asked, true)]
}

#[derive(Debug, Default, PartialEq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    success: bool,
}

/// Runs `cargo test`, passing its output on and adding up what each test program says at its end.
fn run_and_count(command: &mut Command, totals: &mut Totals) -> Result<()> {
    println!("$ {}", shell::show(command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let output = child.stdout.take().context("no standard output")?;
    let mut stdout = io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        stdout.write_all(&line)?;
        stdout.write_all(b"\n")?;
        totals.add(&String::from_utf8_lossy(&line));
    }
    totals.success &= child.wait()?.success();
    Ok(())
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
    fn all_tests_run_in_two_parts_and_those_asked_for_in_one() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let shown = |asked: &[String]| {
            let parts = parts(asked).into_iter();
            parts.map(|part| (part.arguments.join(" "), part.waits)).collect::<Vec<_>>()
        };
        let [units, end_to_end] = &shown(&[])[..] else { panic!("two parts") };
        assert_eq!(units, &("--workspace --exclude balancer-tests".to_owned(), false));
        assert_eq!(end_to_end, &("--workspace --test it --test netns".to_owned(), true));
        assert_eq!(shown(&words("-- name")).len(), 2);
        for (asked, arguments, waits) in [
            ("-p balancer", "-p balancer", false),
            ("--test it -- name", "--workspace --test it -- name", true),
            ("-p balancer-tests --test it name", "-p balancer-tests --test it name", true),
            ("name", "--workspace name", false),
        ] {
            assert_eq!(shown(&words(asked)), [(arguments.to_owned(), waits)], "{asked}");
        }
    }

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
