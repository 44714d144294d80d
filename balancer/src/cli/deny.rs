//! `balancer deny`: denies sources at run time, takes that back, and shows what is denied. Must not know: how packets are dropped.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::told::{CommandFailure, check_instance, print};
use crate::{
    control::upgrade::{DenyAnswer, DenyRequest, ask_to_deny},
    model::IpPrefix,
};

/// Longest that a denial may take, if it is to end: ten years.
const LONGEST: u64 = 10 * 365 * 86_400;
const SPANS: &str = "a whole number with s, m, h or d, such as 90s, 10m, 2h or 7d, from 1s to 3650d";

#[derive(Debug, Args)]
pub(super) struct DenyArguments {
    /// Instance: its `instance` in the balancer block
    #[arg(long, value_name = "NAME", default_value = "default", global = true)]
    instance: String,
    /// Runtime folder: its `runtime_dir` in the balancer block
    #[arg(long, value_name = "DIR", default_value = "/run/balancer", global = true)]
    runtime_dir: PathBuf,
    #[command(subcommand)]
    action: DenyCommand,
}

#[derive(Debug, Subcommand)]
enum DenyCommand {
    /// Drop what comes from these sources, from now on
    Add {
        /// Addresses and prefixes
        #[arg(required = true, value_name = "PREFIX", value_parser = prefix)]
        prefixes: Vec<IpPrefix>,
        /// How long: 90s, 10m, 2h, 7d. Without it, until it is taken back
        #[arg(long = "for", value_name = "SPAN", value_parser = span)]
        span: Option<Duration>,
    },
    /// Take back what was denied at run time
    Del {
        /// Addresses and prefixes, as they were denied
        #[arg(required = true, value_name = "PREFIX", value_parser = prefix)]
        prefixes: Vec<IpPrefix>,
    },
    /// Show what is denied at run time, and for how long yet
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

fn prefix(text: &str) -> Result<IpPrefix, String> {
    IpPrefix::parse(text).map_err(|error| format!("it {error}; allowed: {}", IpPrefix::ALLOWED))
}

fn span(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(seconds)
    });
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| format!("allowed: {SPANS}"))
}

/// Runs the command.
pub(super) fn run(arguments: &DenyArguments) -> Result<(), CommandFailure> {
    check_instance(&arguments.instance)?;
    match &arguments.action {
        DenyCommand::Add { prefixes, span } => {
            let seconds = span.map(|span| span.as_secs());
            for prefix in prefixes {
                let request = DenyRequest::Add { prefix: prefix.to_string(), seconds };
                let note = ask(arguments, &request)?.note;
                let end =
                    seconds.map_or_else(|| "until it is taken back".to_owned(), |s| format!("for {s} s"));
                print(&format!("{prefix} is denied {end}\n"))?;
                if let Some(note) = note {
                    print(&format!("but {note}\n"))?;
                }
            }
        }
        DenyCommand::Del { prefixes } => {
            for prefix in prefixes {
                ask(arguments, &DenyRequest::Remove { prefix: prefix.to_string() })?;
                print(&format!("{prefix} is not denied at run time any more\n"))?;
            }
        }
        DenyCommand::List { json } => {
            let denied = ask(arguments, &DenyRequest::List)?.denied;
            if *json {
                let text = serde_json::to_string_pretty(&denied).context("writing JSON")?;
                print(&format!("{text}\n"))?;
            } else if denied.is_empty() {
                print("nothing is denied at run time\n")?;
            } else {
                for denial in denied {
                    let end = denial.ends_in_seconds.map_or_else(String::new, |s| format!(" for {s} s yet"));
                    print(&format!("{}{end}\n", denial.prefix))?;
                }
            }
        }
    }
    Ok(())
}

fn ask(arguments: &DenyArguments, request: &DenyRequest) -> Result<DenyAnswer, CommandFailure> {
    let DenyArguments { instance, runtime_dir, .. } = arguments;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let answer = runtime.block_on(ask_to_deny(&runtime_dir.join(instance), request)).with_context(|| {
        format!(
            "cannot speak to a balancer of instance {instance:?} in {} (is one running there?)",
            runtime_dir.display()
        )
    })?;
    match answer.refused {
        Some(why) if matches!(request, DenyRequest::List) => Err(anyhow::anyhow!("{why}").into()),
        Some(why) => Err(anyhow::anyhow!("nothing was changed: {why}").into()),
        None => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_bounds() {
        for (text, seconds) in
            [("1s", 1), ("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604_800), ("3650d", LONGEST)]
        {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "10", "s", "0s", "-1s", "+1s", "1.5h", "1w", "3651d", "99999999999999999999d", "1 h", "1S"]
        {
            assert!(span(text).unwrap_err().contains("10m"), "{text}");
        }
    }
}
