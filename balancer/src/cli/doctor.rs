//! `balancer doctor`: looks at a running balancer for a while, or at a configuration, and says what is wrong.
//! Must not know: what is wrong with what (see `telemetry::doctor` and `config::advice`).

use std::{
    fmt::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Serialize;

use super::{
    endpoint::{ask, ask_arrivals},
    told::{CommandFailure, admin_endpoint, print, whole},
    variables::VariableArguments,
};
use crate::{
    config,
    telemetry::{
        doctor::{Complaint, Observation, Severity, StickinessCost, costs, examine},
        status::Status,
        status_text::Plain,
    },
};

/// How far looks are apart: what is in flight changes faster than that, and asking costs the balancer a little.
const BETWEEN: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing, or notices alone; 1 it could not look; 2 wrong configuration or arguments; 3 complaints.\n\n\
                        Examples:\n  balancer doctor\n  balancer doctor --seconds 60 --json | jq -r '.complaints[].code'\n  \
                        balancer doctor --explain /etc/balancer"
)]
pub(super) struct DoctorArguments {
    /// How long to look, in seconds: 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = whole::<1, 3600>)]
    seconds: u64,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
    /// Say what is unwise in a configuration instead: a file, or a folder with *.hcl and *.tf files
    #[arg(long, value_name = "FILE_OR_DIR")]
    explain: Option<PathBuf>,
    #[command(flatten)]
    variables: VariableArguments,
    /// Admin endpoint of the balancer: its admin_address, with or without http://
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = admin_endpoint)]
    admin: String,
}

/// What `--json` prints.
#[derive(Serialize)]
struct DoctorReport<'r> {
    /// The instance; none of a configuration.
    instance: Option<&'r str>,
    /// For how long it was looked at.
    seconds: u64,
    /// How many requests came meanwhile: of few there is little to tell.
    requests: u64,
    complaints: &'r [Complaint],
    /// What stickiness costs the groups of which enough requests are known.
    stickiness_costs: &'r [StickinessCost],
}

/// Prints the complaints.
///
/// # Errors
/// [`CommandFailure::Complaints`] where there is more than notices.
pub(super) fn run(mut arguments: DoctorArguments) -> Result<(), CommandFailure> {
    std::mem::take(&mut arguments.variables).give();
    let arguments = &arguments;
    let (instance, complaints, costs, requests) = match &arguments.explain {
        Some(path) => {
            let configuration =
                config::load(path).map_err(|errors| CommandFailure::BadConfiguration(errors.to_string()))?;
            let warnings = config::warnings(&configuration).into_iter().map(of_configuration);
            let advice = config::advice(&configuration).into_iter().map(|advice| Complaint {
                severity: Severity::Notice,
                code: advice.code,
                about: advice.about,
                seen: advice.seen,
                advice: advice.what_to_do,
                more: 0,
                harm: 0,
            });
            (None, warnings.chain(advice).collect(), Vec::new(), 0)
        }
        None => {
            let observation = observe(arguments)?;
            let costs = costs(&observation);
            let instance = observation.last.instance.clone();
            (Some(instance), examine(&observation, &costs), costs, observation.requests())
        }
    };
    let seconds = if instance.is_some() { arguments.seconds } else { 0 };
    let report = DoctorReport {
        instance: instance.as_deref(),
        seconds,
        requests,
        complaints: &complaints,
        stickiness_costs: &costs,
    };
    print(&if arguments.json { json(&report)? } else { text(&report) })?;
    let is_bad = complaints.iter().any(|complaint| complaint.severity < Severity::Notice);
    if is_bad { Err(CommandFailure::Complaints) } else { Ok(()) }
}

/// A warning is a line that says what it is about and what to do.
fn of_configuration(warning: String) -> Complaint {
    let (about, seen) = match warning.split_once(": ") {
        Some((about, seen)) if about.len() < 80 => (about.to_owned(), seen.to_owned()),
        _ => ("the configuration".to_owned(), warning),
    };
    Complaint {
        severity: Severity::Warning,
        code: "configuration",
        about,
        seen,
        advice: String::new(),
        more: 0,
        harm: 0,
    }
}

fn observe(arguments: &DoctorArguments) -> anyhow::Result<Observation> {
    let mut looks: Vec<Status> = vec![ask(&arguments.admin)?.1];
    let begun = Instant::now();
    let until = begun + Duration::from_secs(arguments.seconds);
    let mut looked_at = begun;
    loop {
        let now = Instant::now();
        if now >= until {
            break;
        }
        std::thread::sleep(BETWEEN.min(until.saturating_duration_since(now)));
        looks.push(ask(&arguments.admin)?.1);
        looked_at = Instant::now();
    }
    let seconds = looked_at.saturating_duration_since(begun).as_secs_f64();
    let observation = Observation::new(looks, seconds).context("there was nothing to look at")?;
    Ok(observation.with_arrivals(ask_arrivals(&arguments.admin)?))
}

fn json(report: &DoctorReport<'_>) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(report).context("cannot write JSON")? + "\n")
}

fn text(report: &DoctorReport<'_>) -> String {
    let mut text = String::new();
    if report.complaints.is_empty() {
        let about = report.instance.map_or_else(
            || "the configuration".to_owned(),
            |instance| {
                format!(
                    "instance {instance}, looked at for {} s with {} requests",
                    report.seconds, report.requests
                )
            },
        );
        let _ = writeln!(text, "Nothing to complain of: {about}.");
        return text;
    }
    for (number, complaint) in report.complaints.iter().enumerate() {
        let Complaint { severity, code, about, seen, advice, more, .. } = complaint;
        let alike = match more {
            0 => String::new(),
            1 => " And 1 more target of the group alike.".to_owned(),
            more => format!(" And {more} more targets of the group alike."),
        };
        let _ = writeln!(
            text,
            "{}. {} [{code}] {}:\n   {}.{alike}",
            number + 1,
            severity.as_str().to_uppercase(),
            Plain(about),
            Plain(seen)
        );
        if !advice.is_empty() {
            let _ = writeln!(text, "   To do: {advice}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_say_moves_no_cursor() {
        let complaint = Complaint {
            severity: Severity::Warning,
            code: "unhealthy_target",
            about: "target group app".into(),
            seen: "it said \x1b[2J\r\nnothing".into(),
            advice: String::new(),
            more: 0,
            harm: 0,
        };
        let told = text(&DoctorReport {
            instance: Some("shop"),
            seconds: 1,
            requests: 0,
            complaints: &[complaint],
            stickiness_costs: &[],
        });
        assert!(told.contains("it said \u{fffd}[2J\u{fffd}\u{fffd}nothing."), "{told:?}");
        assert_eq!(told.lines().count(), 3, "{told:?}");
    }
}
