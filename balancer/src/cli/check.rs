//! `balancer check`: validates a configuration and says what would run.
//! Must not know what is running: it reads files and prints.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use super::{
    told::{CONFIG, CommandFailure, columns, print},
    variables::VariableArguments,
};
use crate::{
    config,
    control::preflight,
    model::{
        Action, Configuration, HealthCheck, HealthCheckPort, LineFormat, MutualAuthentication, ProbeProtocol,
        ShieldMode, StickinessKind, StickinessSettings, TargetAddress, TargetGroup, TargetSpec,
    },
};

/// Arguments of `balancer check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// The configuration: a file, or a folder with *.hcl and *.tf files
    #[arg(short, long, value_name = "FILE_OR_DIR", default_value = CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    variables: VariableArguments,
}

/// Prints what would run, and to standard error what is valid and yet hardly meant.
///
/// # Errors
/// Every fault of the configuration.
pub(super) fn run(arguments: CheckArguments) -> Result<(), CommandFailure> {
    arguments.variables.give();
    let configuration = config::load(&arguments.config)
        .map_err(|errors| CommandFailure::BadConfiguration(errors.to_string()))?;
    let findings = preflight::look(&configuration, &arguments.config);
    for warning in config::warnings(&configuration).iter().chain(&findings.warnings) {
        // Nobody may be reading.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    if !findings.refused.is_empty() {
        return Err(CommandFailure::BadConfiguration(findings.refused.join("\n")));
    }
    Ok(print(&describe(&configuration))?)
}

/// TLS of listeners, the certificates that they show, and logs: a table each where there are any.
fn describe_more(configuration: &Configuration) -> String {
    let mut policies = vec![row(["LISTENER", "SECURITY POLICY", "CLIENT CERTIFICATES", "CERTIFICATES"])];
    let mut certificates = vec![row(["CERTIFICATE", "NAMES", "VALID UNTIL"])];
    for listener in &configuration.listeners {
        let Some(tls) = &listener.tls else { continue };
        let asked = match &tls.mutual_authentication {
            None => "-".to_owned(),
            Some(MutualAuthentication::Passthrough) => "passed through".to_owned(),
            Some(MutualAuthentication::Verify { trust_store, .. }) => {
                format!("verified by {}", trust_store.name)
            }
        };
        let shown: Vec<_> = [&tls.default_certificate].into_iter().chain(&tls.certificates).collect();
        let names: Vec<&str> = shown.iter().map(|certificate| certificate.name.as_str()).collect();
        policies.push(vec![listener.name.clone(), tls.policy.name.to_owned(), asked, names.join(", ")]);
        for certificate in shown {
            let facts = &certificate.facts;
            let line = vec![certificate.name.clone(), facts.names.join(", "), date(facts.not_after)];
            if !certificates.contains(&line) {
                certificates.push(line);
            }
        }
    }
    let mut logs = vec![row(["LOAD BALANCER", "LOG", "DESTINATION", "FORMAT"])];
    for balancer in &configuration.load_balancers {
        let kinds = [("access", &balancer.access_logs), ("health checks", &balancer.health_check_logs)];
        for (kind, output) in kinds.into_iter().filter_map(|(kind, output)| Some((kind, output.as_ref()?))) {
            let format = match output.format {
                LineFormat::Alb => "alb",
                LineFormat::Json => "json",
            };
            logs.push(vec![
                balancer.name.clone(),
                kind.to_owned(),
                output.destination.to_string(),
                format.to_owned(),
            ]);
        }
    }
    let mut shields = vec![row(["SHIELD", "MODE", "DENIED", "ALLOWED", "NEW CONNECTIONS OF A SOURCE"])];
    if let Some(shield) = &configuration.shield {
        let mode = match shield.mode {
            ShieldMode::Auto => "auto",
            ShieldMode::Native => "native",
            ShieldMode::Generic => "generic",
        };
        let limit = shield
            .new_connections_per_second
            .map_or_else(|| "any".to_owned(), |rate| format!("{rate} a second, {} at once", shield.burst));
        shields.push(vec![
            shield.interfaces.join(", "),
            format!("{mode}{}", if shield.dry_run { ", dry run" } else { "" }),
            shield.deny.len().to_string(),
            shield.allow.len().to_string(),
            limit,
        ]);
    }
    let some =
        |rows: Vec<Vec<String>>| if rows.len() > 1 { format!("{}\n", columns(&rows)) } else { String::new() };
    format!("{}{}{}{}", some(policies), some(certificates), some(logs), some(shields))
}

/// A day of the calendar, of seconds since 1970 (the algorithm is Howard Hinnant's `civil_from_days`).
fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

/// What would run: listeners, target groups and targets, a table each.
fn describe(configuration: &Configuration) -> String {
    let mut listeners = vec![row(["LISTENER", "ADDRESS", "LOAD BALANCER", "ACTION"])];
    let mut rules = vec![row(["LISTENER", "PRIORITY", "RULE", "CONDITIONS", "ACTION"])];
    for listener in &configuration.listeners {
        let load_balancer = configuration.load_balancers.get(listener.load_balancer);
        let action = |action: &Action| {
            let groups = &configuration.target_groups;
            action.describe(|group| groups.get(group).map(|group| group.name.clone()).unwrap_or_default())
        };
        for rule in &listener.rules {
            rules.push(vec![
                listener.name.clone(),
                rule.priority.to_string(),
                rule.name.clone(),
                rule.conditions_text(),
                action(&rule.action),
            ]);
        }
        listeners.push(vec![
            listener.name.clone(),
            format!("{}://{}", if listener.tls.is_some() { "https" } else { "http" }, listener.address),
            load_balancer.map(|load_balancer| load_balancer.name.clone()).unwrap_or_default(),
            action(&listener.default_action),
        ]);
    }
    let rules = if rules.len() > 1 { format!("{}\n", columns(&rules)) } else { String::new() };
    let mut groups = vec![row(["TARGET GROUP", "ALGORITHM", "STICKINESS", "HEALTH CHECK", "DRAINING"])];
    let mut targets = vec![row(["TARGET GROUP", "TARGET", "PORT"])];
    for group in &configuration.target_groups {
        groups.push(group_row(group));
        targets.extend(group.targets.iter().map(|target| target_row(group, target)));
        if let Some(source) = &group.source {
            targets.push(vec![group.name.clone(), format!("those of {}", source.place), String::new()]);
        }
    }
    let admin = configuration.balancer.admin_address;
    format!(
        "{}\n{rules}{}{}\n{}\ninstance {}, {} worker{}, admin {}\n",
        columns(&listeners),
        describe_more(configuration),
        columns(&groups),
        columns(&targets),
        configuration.balancer.instance,
        configuration.balancer.workers,
        if configuration.balancer.workers == 1 { "" } else { "s" },
        admin.map_or_else(|| "off".to_owned(), |address| format!("http://{address}")),
    )
}

fn group_row(group: &TargetGroup) -> Vec<String> {
    vec![
        group.name.clone(),
        group.algorithm.as_str().to_owned(),
        group.stickiness.as_ref().map_or_else(|| "off".to_owned(), stickiness),
        health_check(&group.health_check),
        seconds(group.deregistration_delay),
    ]
}

fn stickiness(stickiness: &StickinessSettings) -> String {
    let name = match &stickiness.kind {
        StickinessKind::LoadBalancerCookie => &stickiness.attributes.prefix,
        StickinessKind::ApplicationCookie { cookie_name } => cookie_name,
        StickinessKind::ApplicationHeader { header_name } => header_name,
    };
    format!("{} {name}, {} s", stickiness.kind.as_str(), stickiness.duration_seconds)
}

fn health_check(check: &HealthCheck) -> String {
    if !check.enabled {
        return "off".to_owned();
    }
    let protocol = match check.protocol {
        ProbeProtocol::Http => "HTTP",
        ProbeProtocol::Https => "HTTPS",
    };
    let port = match check.port {
        HealthCheckPort::Traffic => String::new(),
        HealthCheckPort::Port(port) => format!(" port {port}"),
    };
    format!("{protocol} {}{port} every {}", check.path, seconds(check.interval))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

fn target_row(group: &TargetGroup, target: &TargetSpec) -> Vec<String> {
    let (address, port) = match &target.address {
        TargetAddress::Ip(ip) => (ip.to_string(), target.port.to_string()),
        TargetAddress::Host(host) => (host.clone(), target.port.to_string()),
        TargetAddress::Unix(path) => (format!("unix:{}", path.display()), "-".to_owned()),
    };
    vec![group.name.clone(), address, port]
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (1_796_083_200, "2026-12-01"),
            (4_107_542_400, "2100-03-01"),
            (64_092_211_199, "4000-12-31"),
        ] {
            assert_eq!(date(seconds), day);
        }
    }

    #[test]
    fn what_would_run_is_shown_in_tables() {
        let text = r#"
            balancer {
              workers       = 1
              admin_address = "off"
            }
            listener "web" {
              port = 8080
              default_action {
                type             = "forward"
                target_group_arn = target_group.app.arn
              }
            }
            target_group "app" {
              targets = ["127.0.0.1:9001", "unix:/run/app.sock"]
              stickiness {
                type        = "app_cookie"
                cookie_name = "JSESSIONID"
              }
            }
        "#;
        let configuration = config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).unwrap();
        let expected = "\
LISTENER  ADDRESS              LOAD BALANCER  ACTION
web       http://0.0.0.0:8080  default        app

TARGET GROUP  ALGORITHM    STICKINESS                     HEALTH CHECK       DRAINING
app           round_robin  app_cookie JSESSIONID, 86400 s  HTTP / every 30 s  300 s

TARGET GROUP  TARGET              PORT
app           127.0.0.1           9001
app           unix:/run/app.sock  -

instance default, 1 worker, admin off
";
        let squeezed = |text: &str| -> Vec<Vec<String>> {
            text.lines()
                .map(|line| {
                    line.split("  ")
                        .map(str::trim)
                        .filter(|cell| !cell.is_empty())
                        .map(str::to_owned)
                        .collect()
                })
                .collect()
        };
        assert_eq!(squeezed(&describe(&configuration)), squeezed(expected));
    }
}
