//! The command line: arguments, dispatch, exit codes. One file a command beneath `cli/`.
//!
//! Exit codes: 0 done; 1 a command could not start or do its work, one line on standard error says why;
//! 2 the configuration or the arguments are wrong, nothing was started or changed.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{config::ConfigErrors, kernel::KernelError};

mod check;
mod cleanup;
mod demo;
mod status;

/// Where `run` and `check` look for a configuration.
const CONFIG: &str = "/etc/balancer";

/// The definition of the command line, for manual pages and completions of shells.
#[must_use]
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Everything `balancer` understands.
#[derive(Debug, Parser)]
#[command(
    name = "balancer",
    version,
    about = "An application load balancer with sticky sessions",
    long_about = "An application load balancer with sticky sessions: listeners, rules and target groups in the \
                  words of Terraform's aws_lb_* resources, one process, a kernel side where the system has one.",
    after_help = "Exit codes: 0 done, 1 could not start or do its work, 2 wrong configuration or arguments.",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a balancer in the foreground
    ///
    /// SIGHUP reads the configuration again; a bad one leaves the running one in place. SIGTERM and SIGINT
    /// finish what is in flight and end; the second one ends at once.
    Run(RunArguments),
    /// Start three small session-keeping applications and a balancer before them, and say what to try
    Demo(demo::Arguments),
    /// Validate a configuration and print what would run
    Check(check::Arguments),
    /// Remove what a balancer left behind: pinned tables and links, its cgroup, its runtime folder
    ///
    /// Counters and application sessions outlive a balancer on purpose, so that a restart keeps them.
    /// This ends that. Refuses while a balancer of the instance runs.
    Cleanup(CleanupArguments),
    /// Show listeners, groups and targets of a running balancer
    Status(status::Arguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Configuration: a file, or a folder of .hcl and .tf files
    #[arg(short, long, value_name = "FILE_OR_DIR", default_value = CONFIG)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct CleanupArguments {
    /// Instance to clean up after: its `instance` in the balancer block
    #[arg(long, value_name = "NAME", default_value = "default")]
    instance: String,
    /// Runtime folder: its `runtime_dir` in the balancer block
    #[arg(long, value_name = "DIR", default_value = "/run/balancer")]
    runtime_dir: PathBuf,
}

/// Why a command did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1, told in one line.
    CannotStart(anyhow::Error),
    /// Exit code 2, told as it stands: every fault of the configuration, a line each.
    BadConfiguration(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::CannotStart(error)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(told) => {
            // `--help` and `--version` come this way as well, with code 0. Nobody may be reading.
            let _ = told.print();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match arguments.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Cleanup(CleanupArguments { instance, runtime_dir }) => cleanup::run(&instance, &runtime_dir)
            .map_err(|error| match error.downcast_ref() {
                Some(KernelError::InstanceName(_)) => {
                    Failure::BadConfiguration(format!("balancer: {error:#}"))
                }
                _ => Failure::from(error),
            }),
        Command::Status(arguments) => status::run(&arguments),
        Command::Run(RunArguments { config }) => balance(&config),
        Command::Demo(arguments) => demo::run(&arguments, balance),
    };
    crate::telemetry::log::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => tell(&failure),
    }
}

/// Runs a balancer until it is told to end.
fn balance(path: &Path) -> Result<(), Failure> {
    crate::app::run(path).map_err(|error| match error.downcast::<ConfigErrors>() {
        Ok(errors) => Failure::BadConfiguration(errors.to_string()),
        Err(other) => Failure::CannotStart(other),
    })
}

fn tell(failure: &Failure) -> ExitCode {
    let mut stderr = io::stderr().lock();
    match failure {
        Failure::CannotStart(error) => {
            let line = in_one_line(error);
            let _ = writeln!(stderr, "balancer: {line}");
            ExitCode::from(1)
        }
        Failure::BadConfiguration(text) => {
            let _ = writeln!(stderr, "{}", text.trim_end());
            ExitCode::from(2)
        }
    }
}

/// An error with what it comes from, each once: many say already what the system said.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(cause.as_str()) {
            line = format!("{line}: {cause}");
        }
    }
    line.replace(['\n', '\r'], " ")
}

/// Writes to standard output. A reader that went away (`balancer status | head`) is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn wrong_usage_has_code_2_and_help_has_code_0() {
        for line in ["balancer", "balancer bogus", "balancer status --bogus", "balancer status --admin"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in ["balancer --version", "balancer --help", "balancer status --help"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
        }
        assert!(parse("balancer --version").unwrap_err().to_string().contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn what_the_system_says_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open {name}: {source}")]
        struct Told {
            name: &'static str,
            source: io::Error,
        }
        let told = || Told { name: "x", source: io::Error::from_raw_os_error(2) };
        let text = "cannot open x: No such file or directory (os error 2)";
        assert_eq!(in_one_line(&told().into()), text);
        assert_eq!(in_one_line(&anyhow::Error::new(told()).context("starting")), format!("starting: {text}"));
        let untold = anyhow::Error::new(io::Error::from_raw_os_error(2)).context("cannot open x");
        assert_eq!(in_one_line(&untold), text);
    }

    #[test]
    fn every_command_explains_itself() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
