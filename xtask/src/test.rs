//! `cargo xtask test`: sets up what the tests need and is missing, then runs every test of the workspace.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, BufRead, BufReader, Write},
    num::NonZero,
    path::Path,
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
    /// Prints so many tests that took longest, by a clock of libtest that it calls unstable.
    #[arg(long, value_name = "COUNT")]
    slowest: Option<usize>,
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
    let skips = shell::target_dir().join(format!("skips-{}", std::process::id()));
    for part in parts(&options.cargo_arguments) {
        let mut command = shell::cargo();
        command
            .args(["test", "--no-fail-fast"])
            .args(part.arguments)
            .env("BALANCER_BIN", shell::target_dir().join("debug/balancer"))
            .env("BALANCER_TEST_APPS", setup::applications_dir())
            .env("BALANCER_SKIPS", &skips);
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
        if options.slowest.is_some() {
            take_times(&mut command);
        }
        run_and_count(&mut command, &mut totals)?;
        totals.take_skips(&skips)?;
    }
    totals.times.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    for (seconds, name) in totals.times.iter().take(options.slowest.unwrap_or(0)) {
        println!("{seconds:8.2} s  {name}");
    }
    totals.skipped.iter().for_each(|skip| println!("skipped: {skip}"));
    let skipped = totals.skipped.len() as u64;
    println!("{} passed, {} failed, {skipped} skipped", totals.passed, totals.failed);
    if totals.failed > 0 || !totals.success {
        bail!("tests failed");
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// Has the test programs tell how long each test took. They alone are told that they may: build scripts that ask whether
/// what is unstable is to be had would run again.
fn take_times(command: &mut Command) {
    let platform = format!("{}_UNKNOWN_LINUX_GNU", env::consts::ARCH.to_uppercase());
    command.env(format!("CARGO_TARGET_{platform}_RUNNER"), "env RUSTC_BOOTSTRAP=1");
    if !command.get_args().any(|word| word == "--") {
        command.arg("--");
    }
    command.args(["-Zunstable-options", "--report-time"]);
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
    /// Seconds that each test took, where they are told.
    times: Vec<(f64, String)>,
    passed: u64,
    failed: u64,
    /// Name and reason of each test that did not check what it is for.
    skipped: BTreeSet<String>,
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
    /// Adds a line of the form `test result: ok. 3 passed; 0 failed; 1 ignored; …`, or the name and the reason of a line
    /// of the form `test name ... ignored, reason`.
    fn add(&mut self, line: &str) {
        if let Some((name, reason)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
        {
            self.skipped.insert(format!("{name}: {}", reason.trim_start_matches(", ")));
        }
        let timed = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix("s>")?.rsplit_once('<'));
        if let Some((told, seconds)) = timed.and_then(|(told, seconds)| Some((told, seconds.parse().ok()?))) {
            let name = told.split_once(" ... ").map_or(told, |(name, _)| name);
            self.times.push((seconds, name.to_owned()));
        }
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
                _ => {}
            }
        }
    }

    /// Takes what tests told that they skip, each of which has told the test program that it passed.
    fn take_skips(&mut self, file: &Path) -> Result<()> {
        let Ok(told) = fs::read_to_string(file) else { return Ok(()) };
        let names = |line: &str| line.split_once(": ").map_or(line, |(name, _)| name).to_owned();
        let tests: BTreeSet<_> = told.lines().map(names).collect();
        self.passed = self.passed.saturating_sub(tests.len() as u64);
        self.skipped.extend(told.lines().map(str::to_owned));
        fs::remove_file(file).with_context(|| file.display().to_string())
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
        totals.add("test a::b ... ignored, takes minutes");
        totals.add("test a::c ... ok");
        totals.add("test a::d ... ok <1.250s>");
        totals.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        totals.add(
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1s",
        );
        let times = vec![(1.25, "a::d".to_owned())];
        let skipped = BTreeSet::from(["a::b: takes minutes".to_owned()]);
        assert_eq!(totals, Totals { passed: 5, failed: 4, skipped, success: false, times });
    }

    #[test]
    fn what_tests_tell_that_they_skip_has_not_passed() {
        let file = env::temp_dir().join(format!("skips-of-a-test-{}", std::process::id()));
        fs::write(&file, "a::b: not root\na::c: no kernel side: not root\na::b: not root\n").unwrap();
        let mut totals = Totals { passed: 7, ..Totals::default() };
        totals.take_skips(&file).unwrap();
        assert!(!file.exists());
        let skipped = ["a::b: not root", "a::c: no kernel side: not root"].map(str::to_owned);
        assert_eq!(totals, Totals { passed: 5, skipped: skipped.into(), ..Totals::default() });
        totals.take_skips(&file).unwrap();
        assert_eq!(totals.passed, 5, "nobody told anything");
    }
}
