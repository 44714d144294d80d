//! The command line: arguments, dispatch, exit codes. One file a command beneath `cli/`.
//!
//! Exit codes: 0 done; 1 a command could not start or do its work, one line on standard error says why;
//! 2 the configuration or the arguments are wrong, nothing was started or changed; 3 `doctor` has complaints.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{
    Args, Parser, Subcommand,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    config::ConfigErrors,
    control::{
        cluster::{ClusterSettings, ConfigSource},
        upgrade::{STARTER, serve_as_starter},
    },
    kernel::KernelError,
};

mod check;
mod cleanup;
mod demo;
mod deny;
mod doctor;
mod endpoint;
mod etcd;
mod healthz;
mod import;
mod maps;
mod nodes;
mod state;
mod status;
mod told;
mod top;
mod upgrade;
mod variables;

use self::told::CONFIG;
pub use self::told::CommandFailure;

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
    /// finish what is in flight and end; the second one ends at once. SIGUSR2 does what `balancer upgrade` does.
    Run(RunArguments),
    /// Start three small session-keeping applications and a balancer before them, and say what to try
    Demo(demo::DemoArguments),
    /// Validate a configuration and print what would run
    Check(check::CheckArguments),
    /// Make a configuration of an existing ALB, of what Terraform or AWS knows of it
    Import(import::ImportArguments),
    /// Remove what a balancer left behind: pinned tables and links, its cgroup, its runtime folder
    ///
    /// Counters and application sessions outlive a balancer on purpose, so that a restart keeps them.
    /// This ends that. Refuses while a balancer of the instance runs.
    Cleanup(CleanupArguments),
    /// Put a new process in the place of a running balancer, without anybody noticing
    ///
    /// The program is started anew from where it was started, with the same arguments: another version, or
    /// the same one with settings that take a restart. It takes over the listening sockets; the process that
    /// ran finishes what it has. Whatever keeps the new one from serving leaves the old one in place.
    Upgrade(upgrade::UpgradeArguments),
    /// Show what a balancer keeps in the kernel, with the names of targets
    ///
    /// The rows that are in use of the tables that are pinned for an instance, whether it runs or not. Where its
    /// admin endpoint answers, target groups are named as well. Nothing of any session is shown.
    Maps(maps::MapsArguments),
    /// Deny sources at a running balancer that has a shield, take that back, or show what is denied
    ///
    /// What is denied so outlives the process: it is there after a restart and an upgrade, until its time is over or
    /// it is taken back. What the configuration allows cannot be denied.
    Deny(deny::DenyArguments),
    /// Keep the configuration of several balancers in etcd: write it there, read it, compare it, see what was there before
    ///
    /// What is written takes effect at every balancer that runs with --etcd and the same prefix, or at none: each validates it,
    /// and `balancer etcd nodes` and `balancer status` say which has what in force, and who refuses what for what reason.
    Etcd(etcd::EtcdArguments),
    /// Take what was made through the ELBv2 API out of its database, or put it there
    ///
    /// A running balancer keeps a copy of the same form beside the database.
    State(state::StateArguments),
    /// Say whether a balancer takes new work: exit code 0 when it does, 1 when it does not or does not answer
    ///
    /// For check scripts of whatever moves clients from one balancer to another, such as keepalived.
    Healthz(healthz::HealthzArguments),
    /// Show listeners, groups and targets of a running balancer, or of several
    Status(status::StatusArguments),
    /// Watch a running balancer: requests, targets, sessions, failures, once a second
    Top(top::TopArguments),
    /// Look at a running balancer for a while and say what is wrong, most severe first, and what to do
    ///
    /// What stickiness costs (uneven targets, sessions that were lost and what would have kept them, clients that keep
    /// no cookies), targets that fail, health checks that hide it, certificates that end, and more: each with the figure
    /// it was seen by. With --explain it reads a configuration instead.
    Doctor(doctor::DoctorArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Configuration: a file, or a folder of .hcl and .tf files; /etc/balancer by default. With --etcd: what is this node's
    /// own, read together with what stands there; nothing by default
    #[arg(short, long, value_name = "FILE_OR_DIR")]
    config: Option<PathBuf>,
    #[command(flatten)]
    variables: variables::VariableArguments,
    #[command(flatten)]
    etcd: etcd::EtcdOptions,
    /// What this node is called in etcd; the host's name by default
    #[arg(long, value_name = "NAME", requires = "etcd", value_parser = etcd::node_name)]
    node: Option<String>,
    /// File that keeps the configuration in force, for starts with etcd away
    #[arg(long, value_name = "FILE", requires = "etcd", default_value = "/var/lib/balancer/etcd.json")]
    etcd_cache: PathBuf,
}

impl RunArguments {
    fn source(self) -> Result<ConfigSource, CommandFailure> {
        let Self { config, variables, etcd, node, etcd_cache } = self;
        variables.give();
        match etcd.access() {
            None => Ok(ConfigSource::Files(config.unwrap_or_else(|| CONFIG.into()))),
            Some(access) => Ok(ConfigSource::Cluster(Box::new(ClusterSettings {
                access,
                layout: etcd.layout(),
                node: node.map_or_else(etcd::host_name, Ok)?,
                cache: etcd_cache,
                own: config,
                seal: etcd.seal(),
            }))),
        }
    }
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

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // What a balancer has new processes started by is no command of people's: neither help, nor a tip, nor a completion of a shell
    // may offer it.
    if let [_, word, words @ ..] = arguments.as_slice()
        && word == STARTER
    {
        return end(serve_as_starter(words).map_err(|error| anyhow::Error::new(error).into()));
    }
    let arguments = match Arguments::try_parse_from(arguments.into_iter().map(variables::as_with_two_hyphens))
    {
        Ok(arguments) => arguments,
        Err(told) => {
            let told = without_secrets(with_tip(told));
            // `--help` and `--version` come this way as well, with code 0. Nobody may be reading.
            let _ = told.print();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match arguments.command {
        Command::Check(arguments) => check::run(arguments),
        Command::Cleanup(CleanupArguments { instance, runtime_dir }) => cleanup::run(&instance, &runtime_dir)
            .map_err(|error| match error.downcast_ref() {
                Some(KernelError::InstanceName(_)) => {
                    CommandFailure::BadConfiguration(format!("balancer: {error:#}"))
                }
                _ => CommandFailure::from(error),
            }),
        Command::Import(arguments) => import::run(&arguments),
        Command::Maps(arguments) => maps::run(&arguments),
        Command::State(arguments) => state::run(arguments),
        Command::Healthz(arguments) => healthz::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Upgrade(arguments) => upgrade::run(&arguments),
        Command::Deny(arguments) => deny::run(&arguments),
        Command::Run(arguments) => arguments.source().and_then(|source| balance(&source, true)),
        Command::Etcd(arguments) => etcd::run(&arguments),
        Command::Demo(arguments) => {
            demo::run(&arguments, |path| balance(&ConfigSource::Files(path.to_owned()), false))
        }
    };
    end(outcome)
}

fn end(outcome: Result<(), CommandFailure>) -> ExitCode {
    crate::logs::own::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// A file that stands where no word is taken is most likely meant to be read.
fn with_tip(mut told: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = told.get(ContextKind::InvalidArg) else { return told };
    let is_file = [".hcl", ".tf"].iter().any(|ending| word.ends_with(ending)) || Path::new(word).exists();
    let takes_files = told.get(ContextKind::Usage).is_some_and(|usage| {
        let usage = usage.to_string();
        ["run", "check"].iter().any(|command| usage.contains(&format!(" {command} ")))
    });
    if told.kind() == ErrorKind::UnknownArgument && is_file && takes_files && !word.starts_with('-') {
        let tip = StyledStr::from(format!("a configuration is named by `--config {word}`, or `-c {word}`"));
        told.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    told
}

/// A value that is none is told again, but for who asks in a URL: that may have a password.
fn without_secrets(mut told: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = told.get(ContextKind::InvalidValue)
        && let Some((before, rest)) = value.rsplit_once('@')
    {
        let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
        told.insert(ContextKind::InvalidValue, ContextValue::String(format!("{scheme}…@{rest}")));
    }
    told
}

/// Runs a balancer until it is told to end.
fn balance(source: &ConfigSource, upgradable: bool) -> Result<(), CommandFailure> {
    crate::app::run(source, upgradable).map_err(|error| match error.downcast::<ConfigErrors>() {
        Ok(errors) => CommandFailure::BadConfiguration(errors.to_string()),
        Err(other) => CommandFailure::CannotStart(other),
    })
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

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
        for line in [
            "balancer",
            "balancer bogus",
            "balancer status --bogus",
            "balancer status --admin",
            "balancer status --admin foo",
            "balancer status --all foo",
            "balancer status --all 127.0.0.1:1 --admin 127.0.0.1:2",
            "balancer healthz --timeout 0",
            "balancer maps --admin 127.0.0.1:99999",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in ["balancer --version", "balancer --help", "balancer status --help"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
        }
        assert!(parse("balancer --version").unwrap_err().to_string().contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_file_in_the_place_of_an_option_is_told_its_option() {
        let told = |line: &str| with_tip(parse(line).unwrap_err()).to_string();
        for line in ["balancer check first.hcl", "balancer run first.hcl", "balancer check /"] {
            let file = line.split(' ').next_back().unwrap();
            assert!(told(line).contains(&format!("`--config {file}`")), "{}", told(line));
        }
        for line in ["balancer check bogus", "balancer status first.hcl", "balancer check --bogus"] {
            assert!(!told(line).contains("--config"), "{}", told(line));
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_told_again() {
        for line in [
            "balancer etcd nodes --etcd http://u:secret@h:1",
            "balancer etcd nodes --etcd http://u:sec@ret@h:1",
            "balancer run --etcd http://a:1,http://u:secret@h:1",
            "balancer status --admin http://u:secret@h:1",
            "balancer status --all u:secret@h:1",
        ] {
            let told = without_secrets(parse(line).unwrap_err()).to_string();
            assert!(told.contains("…@h:1") && !told.contains("sec"), "{told}");
        }
    }

    /// Tips and completions of shells offer hidden ones as well.
    #[test]
    fn no_command_is_hidden() {
        fn look(command: &clap::Command) {
            assert!(!command.is_hide_set(), "{}", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&command());
        let told = parse("balancer start").unwrap_err().to_string();
        assert!(told.contains("'status'") && !told.contains("starter"), "{told}");
    }

    /// Every option of a command that takes a number, with the words that lead to it.
    fn numbers(command: &clap::Command, words: &str) -> Vec<String> {
        let is_number = |argument: &&clap::Arg| {
            let kind = argument.get_value_parser().type_id();
            kind == TypeId::of::<u64>() || kind == TypeId::of::<u32>() || kind == TypeId::of::<u16>()
        };
        let own = command.get_arguments().filter(is_number).filter_map(clap::Arg::get_long);
        let own = own.map(|long| format!("{words} --{long}"));
        let below = command.get_subcommands().flat_map(|command| {
            let words = format!("{words} {}", command.get_name());
            numbers(command, &words)
        });
        own.chain(below).collect()
    }

    #[test]
    fn a_wrong_number_is_told_what_is_allowed() {
        let lines = numbers(&Arguments::command(), "balancer");
        assert!(lines.len() >= 7, "{lines:?}");
        for line in lines {
            for wrong in ["abc", "-1", "99999999999999999999", "1.5"] {
                let told = parse(&format!("{line}={wrong}")).unwrap_err().to_string();
                assert!(told.contains("allowed: a ") && told.contains(wrong), "{line}: {told}");
            }
        }
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
