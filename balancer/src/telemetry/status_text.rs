//! The status document as a table that a person can read (`balancer status`).
//! Must not know: where the document came from.

mod cluster;
mod sharing;
mod sources;
mod words;

use std::fmt::{self, Display, Formatter};

pub(crate) use self::words::{Plain, Span};
use self::{cluster::cluster_text, words::Share};
use super::status::{
    CertificateStatus, GenerationStatus, GroupStatus, SessionTable, ShieldStatus, Status, TargetStatus,
    WorkerFigures,
};
use crate::counters::{Counts, Upkeep};

/// Outcome under which stickiness counts requests that went back to their target.
const PINNED: &str = "pinned";

/// Writes a [`Status`] as text.
#[derive(Debug)]
pub struct StatusText<'a>(pub &'a Status);

impl Display for StatusText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let status = self.0;
        head(status, f)?;
        writeln!(f)?;
        for listener in &status.listeners {
            writeln!(
                f,
                "listener {}: {} port {} -> {}",
                Plain(&listener.name),
                Plain(&listener.protocol),
                listener.port,
                Plain(&arrow(&listener.target_group, &listener.action))
            )?;
            for rule in &listener.rules {
                writeln!(
                    f,
                    "  {} {}: {} -> {}",
                    rule.priority,
                    Plain(&rule.name),
                    Plain(&rule.conditions),
                    Plain(&arrow(&rule.target_group, &rule.action))
                )?;
            }
        }
        for group in &status.target_groups {
            writeln!(f)?;
            group_text(group, f)?;
        }
        Ok(())
    }
}

/// What an action does, said so that one plain group is seen to be one.
fn arrow(target_group: &str, action: &str) -> String {
    if action.is_empty() || action == target_group {
        format!("target group {target_group}")
    } else {
        action.to_owned()
    }
}

/// A process that was succeeded.
fn generation(older: &GenerationStatus, f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "process {} ({}) finishes: {} connections, {} tunnels, {} requests in flight",
        older.pid,
        Plain(&older.version),
        older.connections_active,
        older.tunnels_active,
        older.requests_in_flight
    )?;
    match older.ends_in_seconds {
        Some(seconds) => writeln!(f, "; ends in {} at the latest", Span(seconds)),
        None => writeln!(f),
    }
}

/// What was asked through the ELBv2 API, if anything was.
fn api_calls(upkeep: &Upkeep, f: &mut Formatter<'_>) -> fmt::Result {
    let told = |counts: &Counts| {
        let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    let (reads, changes, rejected) = (&upkeep.api_reads, &upkeep.api_changes, &upkeep.api_rejections);
    if [reads, changes, rejected].iter().all(|counts| counts.is_empty()) {
        return Ok(());
    }
    writeln!(
        f,
        "ELBv2 API: reads: {}; changes: {}; turned away: {}",
        told(reads),
        told(changes),
        told(rejected)
    )
}

fn shield_text(shield: &ShieldStatus, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "shield{}: ", if shield.dry_run { ", dry run" } else { "" })?;
    if let Some(off) = &shield.off {
        return writeln!(f, "off, every packet passes ({})", Plain(off));
    }
    for (index, interface) in shield.interfaces.iter().enumerate() {
        let (name, mode) = (Plain(&interface.name), Plain(&interface.mode));
        write!(f, "{}{name} {mode}", if index > 0 { ", " } else { "" })?;
        if let Some(detail) = &interface.detail {
            write!(f, " ({})", Plain(detail))?;
        }
    }
    writeln!(
        f,
        "; {} denied, {} at run time, {} allowed",
        shield.deny, shield.denied_at_run_time, shield.allow
    )?;
    let packets: Vec<String> =
        shield.packets.iter().map(|(action, count)| format!("{count} {}", Plain(action))).collect();
    writeln!(f, "  packets: {}", packets.join(", "))
}

fn head(status: &Status, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "balancer {}, instance {}: up {}, {} worker{}{}",
        Plain(&status.version),
        Plain(&status.instance),
        Span(status.uptime_seconds),
        status.workers,
        if status.workers == 1 { "" } else { "s" },
        if status.draining { ", draining" } else { "" }
    )?;
    let assist = if status.kernel_assist { "on" } else { "off" };
    if status.kernel_assist_detail.is_empty() {
        writeln!(f, "kernel assist: {assist}")?;
    } else {
        writeln!(f, "kernel assist: {assist} ({})", Plain(&status.kernel_assist_detail))?;
    }
    if let Some(shield) = &status.shield {
        shield_text(shield, f)?;
    }
    for older in status.generations.iter().skip(1) {
        generation(older, f)?;
    }
    let (totals, traffic) = (&status.totals, &status.totals.traffic);
    writeln!(
        f,
        "clients: {} connections open, {} accepted, {} requests, {} retries, {} tunnels open",
        traffic.connections_active,
        traffic.connections_accepted,
        traffic.requests,
        totals.work.retries,
        traffic.tunnels_active
    )?;
    worker_loads(&status.worker_loads, f)?;
    if traffic.http2_connections_opened > 0 {
        writeln!(
            f,
            "HTTP/2: {} connections open, {} requests under way, {} begun, {} of gRPC",
            traffic.http2_connections_active,
            traffic.http2_streams_active,
            traffic.http2_streams_opened,
            traffic.grpc_requests
        )?;
    }
    let own: Vec<String> = traffic
        .own_responses
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| format!("{status}: {count}"))
        .collect();
    if !own.is_empty() {
        writeln!(f, "answers of the balancer's own: {}", own.join(", "))?;
    }
    if status.upkeep.reloads + status.upkeep.reload_failures > 0 {
        writeln!(f, "reloads: {}, refused: {}", status.upkeep.reloads, status.upkeep.reload_failures)?;
    }
    api_calls(&status.upkeep, f)?;
    if let Some(refused) = &status.refused_reload {
        let age = Span(refused.age_seconds);
        writeln!(f, "LAST RELOAD REFUSED {age} ago: {}", Plain(&refused.error))?;
    }
    if let Some(cluster) = &status.cluster {
        cluster_text(cluster, f)?;
    }
    if let Some((signing, accepted)) = status.keys.split_first() {
        let more: String = accepted.iter().map(|key| format!(", {}", Plain(key))).collect();
        let more =
            if more.is_empty() { more } else { format!("; accepted too{}", more.replacen(',', ":", 1)) };
        writeln!(f, "keys of cookies: {} signs{more}", Plain(signing))?;
    }
    if let Some(why) = &status.no_upgrades {
        let age = Span(why.age_seconds);
        writeln!(f, "NO UPGRADES for {age}: {}", Plain(&why.error))?;
    }
    for (name, error) in &status.unresolved_names {
        let age = Span(error.age_seconds);
        let how = match error.cause.as_str() {
            "resolved_in_part" => "is resolved in part",
            _ => "cannot be resolved",
        };
        writeln!(f, "host name {} {how}: {} ({age} ago)", Plain(name), Plain(&error.error))?;
    }
    for certificate in &status.certificates {
        certificate_text(certificate, f)?;
    }
    if let Some(table) = &status.session_table {
        session_table(table, f)?;
    }
    if let Some(store) = &status.session_store {
        sharing::store(store, f)?;
    }
    Ok(())
}

/// One line for all: who looks for more has the document.
fn worker_loads(loads: &[WorkerFigures], f: &mut Formatter<'_>) -> fmt::Result {
    if loads.len() < 2 {
        return Ok(());
    }
    write!(f, "workers:")?;
    for (number, load) in loads.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(f, "{comma} {} connections ({:.0}% busy)", load.connections, load.busy_ratio * 100.0)?;
    }
    let passed_over: u64 = loads.iter().map(|load| load.passed_over).sum();
    match passed_over {
        0 => writeln!(f),
        times => writeln!(f, "; passed over {times} times while at one thing for too long"),
    }
}

fn certificate_text(certificate: &CertificateStatus, f: &mut Formatter<'_>) -> fmt::Result {
    let (name, listener) = (Plain(&certificate.name), Plain(&certificate.listener));
    let span = Span(certificate.expires_in_seconds.unsigned_abs());
    let until = Plain(&certificate.not_after);
    if certificate.expires_in_seconds < 0 {
        writeln!(f, "certificate {name} of listener {listener}: EXPIRED {span} ago, {until}")
    } else {
        writeln!(f, "certificate {name} of listener {listener}: expires in {span}, {until}")
    }
}

fn session_table(table: &SessionTable, f: &mut Formatter<'_>) -> fmt::Result {
    let SessionTable { capacity, entries, entries_error, evicted } = table;
    write!(f, "application sessions: ")?;
    match entries_error {
        0 => write!(f, "{entries}")?,
        error => write!(f, "about {entries} (give or take {error})")?,
    }
    write!(f, " of at most {capacity}")?;
    let evicted: Vec<String> = evicted
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{count} {}", Plain(kind)))
        .collect();
    if !evicted.is_empty() {
        write!(f, ", replaced: {}", evicted.join(", "))?;
    }
    writeln!(f)
}

fn group_text(group: &GroupStatus, f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "target group {}: {}, {} requests",
        Plain(&group.name),
        Plain(&group.algorithm),
        group.routing.requests
    )?;
    let stickiness = &group.stickiness;
    if let (true, Some(kind)) = (stickiness.enabled, &stickiness.kind) {
        write!(f, ", {}", Plain(kind))?;
        if let Some(name) = stickiness.cookie_name.as_ref().or(stickiness.header_name.as_ref()) {
            write!(f, " {}", Plain(name))?;
        }
        if let Some(seconds) = stickiness.duration_seconds {
            write!(f, " for {}", Span(u64::from(seconds)))?;
        }
        let decisions: u64 = stickiness.figures.decisions.values().sum();
        let pinned = stickiness.figures.decisions.get(PINNED).copied().unwrap_or(0);
        if decisions > 0 {
            write!(f, ", {} of decisions pinned", Share(pinned, decisions))?;
        }
    } else {
        write!(f, ", not sticky")?;
    }
    writeln!(
        f,
        "{}",
        if group.routing.failing_open { ", FAILING OPEN: too few targets are healthy" } else { "" }
    )?;
    let told: Vec<String> = stickiness
        .figures
        .decisions
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(outcome, count)| format!("{} {count}", Plain(outcome)))
        .collect();
    if stickiness.enabled && !told.is_empty() {
        writeln!(f, "  decisions: {}", told.join(", "))?;
    }
    if stickiness.figures.spilled_requests + stickiness.figures.refused_requests > 0 {
        writeln!(
            f,
            "  done elsewhere for load: {}, refused for want of their target: {}",
            stickiness.figures.spilled_requests, stickiness.figures.refused_requests
        )?;
    }
    if let Some(requests) = group.routing.load_skew.requests {
        write!(f, "  busiest target beside the mean: {requests:.2} times the requests")?;
        if let Some(outstanding) = group.routing.load_skew.outstanding_requests {
            write!(f, ", {outstanding:.2} times those in flight")?;
        }
        writeln!(f)?;
    }
    if let Some(source) = &group.source {
        sources::write(source, f)?;
    }
    sharing::group(group, f)?;
    if group.targets.is_empty() {
        return writeln!(f, "  no targets");
    }
    let failures: Vec<String> =
        group.answers.failures.iter().map(|(cause, count)| format!("{} {count}", Plain(cause))).collect();
    if !failures.is_empty() {
        writeln!(f, "  requests failed: {}", failures.join(", "))?;
    }
    table(&group.targets, f)?;
    for target in &group.targets {
        let label = target.label();
        for (what, error) in [("health check", &target.check_error), ("request", &target.last_error)] {
            if let Some(error) = error {
                let age = Span(error.age_seconds);
                let (label, error) = (Plain(&label), Plain(&error.error));
                writeln!(f, "  {label}: last {what} that failed, {age} ago: {error}")?;
            }
        }
    }
    Ok(())
}

fn table(targets: &[TargetStatus], f: &mut Formatter<'_>) -> fmt::Result {
    let titles = ["TARGET", "STATE", "SESSIONS", "OPEN", "OUTSTANDING", "REQUESTS", "ERRORS", "REASON"]
        .map(str::to_owned);
    let rows: Vec<[String; 8]> = targets.iter().map(row).collect();
    let lines = || std::iter::once(&titles).chain(&rows);
    let width = |column: usize| {
        lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    for line in lines() {
        let mut text = String::from(" ");
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Figures line up on the right.
            if (2..=6).contains(&column) {
                text.push_str(&format!(" {cell:>width$}"));
            } else {
                text.push_str(&format!(" {cell:<width$}"));
            }
            text.push(' ');
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}

fn row(target: &TargetStatus) -> [String; 8] {
    let reason = match (&target.reason, &target.description) {
        (Some(reason), Some(description)) => format!("{}: {}", Plain(reason), Plain(description)),
        (Some(reason), None) => Plain(reason).to_string(),
        (None, _) => String::new(),
    };
    let reason = [reason, weight_text(target)];
    let reason: Vec<&str> = reason.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    [
        Plain(&target.label()).to_string(),
        Plain(&target.state).to_string(),
        sharing::sessions(target),
        target.connections.open.to_string(),
        target.figures.outstanding_requests.to_string(),
        target.figures.requests.to_string(),
        errors(target).to_string(),
        reason.join(", "),
    ]
}

/// What the target failed at: connections, answers and what comes behind their heads.
fn errors(target: &TargetStatus) -> u64 {
    let figures = &target.figures;
    figures.connection_errors + figures.tls_negotiation_errors + figures.unanswered + figures.broken_responses
}

/// What makes a target get less than the others.
fn weight_text(target: &TargetStatus) -> String {
    let weight = format!("weight {:.2}", target.figures.weight);
    match (target.figures.anomaly.result.as_str(), target.figures.anomaly.mitigation_in_effect) {
        ("anomalous", false) => "anomalous".to_owned(),
        ("anomalous", true) => format!("anomalous, mitigated: {weight}"),
        (_, true) => format!("recovering: {weight}"),
        _ if target.figures.drained => "drained by an operator".to_owned(),
        _ if target.figures.set_weight.is_some() => format!("{weight} by an operator"),
        _ if target.state != "healthy" || target.figures.weight >= 1.0 => String::new(),
        _ if target.slow_start => format!("slow start: {weight}"),
        _ if target.figures.weight > 0.0 => format!("{weight} by its source"),
        _ => "nobody new by its source".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::status::{
        AnomalyStatus, Connections, ListenerStatus, LoadSkew, Routing, RuleStatus, Stickiness,
        StickinessStatus, TargetFigures,
    };

    fn target(id: &str, state: &str, reason: Option<(&str, &str)>) -> TargetStatus {
        TargetStatus {
            id: id.into(),
            port: 9001,
            state: state.into(),
            reason: reason.map(|(code, _)| code.into()),
            description: reason.map(|(_, words)| words.into()),
            figures: TargetFigures {
                outstanding_requests: 12,
                requests: 3456,
                weight: 1.0,
                ..TargetFigures::default()
            },
            connections: Connections { open: 7, ..Connections::default() },
            ..TargetStatus::default()
        }
    }

    #[test]
    fn a_status_reads_as_a_table() {
        let mut status = Status {
            version: "1.2.3".into(),
            instance: "default".into(),
            kernel_assist: true,
            kernel_assist_detail: "counting".into(),
            workers: 2,
            worker_loads: vec![
                WorkerFigures {
                    connections: 7,
                    busy_ratio: 0.504,
                    passed_over: 3,
                    ..WorkerFigures::default()
                },
                WorkerFigures::default(),
            ],
            uptime_seconds: 90_061,
            session_table: Some(SessionTable {
                capacity: 100,
                entries: 5,
                entries_error: 2,
                evicted: [("new", 7), ("returned", 0), ("expired", 1)]
                    .map(|(kind, count)| (kind.to_owned(), count))
                    .into(),
            }),
            listeners: vec![ListenerStatus {
                name: "web".into(),
                protocol: "HTTP".into(),
                port: 80,
                target_group: "app".into(),
                rules: vec![RuleStatus {
                    name: "api".into(),
                    priority: 10,
                    conditions: "path-pattern /api/*".into(),
                    target_group: "api".into(),
                    ..RuleStatus::default()
                }],
                ..ListenerStatus::default()
            }],
            target_groups: vec![GroupStatus {
                name: "app".into(),
                algorithm: "round_robin".into(),
                routing: Routing {
                    requests: 1000,
                    load_skew: LoadSkew { outstanding_requests: Some(1.5), requests: Some(1.0) },
                    ..Routing::default()
                },
                stickiness: StickinessStatus {
                    enabled: true,
                    kind: Some("lb_cookie".into()),
                    cookie_name: Some("AWSALB".into()),
                    header_name: None,
                    duration_seconds: Some(86_400),
                    cookie_secure: Some(false),
                    keeps_draining: Some(false),
                    figures: Stickiness {
                        decisions: [
                            (PINNED.to_owned(), 999),
                            ("absent".to_owned(), 1),
                            ("forged".to_owned(), 0),
                        ]
                        .into(),
                        spilled_requests: 3,
                        ..Stickiness::default()
                    },
                },
                targets: vec![
                    {
                        let mut target = target("127.0.0.1", "healthy", None);
                        target.figures.sessions = Some(5);
                        (target.figures.unanswered, target.figures.broken_responses) = (2, 1);
                        target
                    },
                    target("2001:db8::1", "unhealthy", Some(("Target.Timeout", "Request timed out"))),
                ],
                ..GroupStatus::default()
            }],
            ..Status::default()
        };
        status.totals.traffic.own_responses = [("502".to_owned(), 3), ("504".to_owned(), 0)].into();
        let text = StatusText(&status).to_string();
        assert_eq!(
            text,
            "balancer 1.2.3, instance default: up 1 d 1 h, 2 workers\n\
             kernel assist: on (counting)\n\
             clients: 0 connections open, 0 accepted, 0 requests, 0 retries, 0 tunnels open\n\
             workers: 7 connections (50% busy), 0 connections (0% busy); passed over 3 times while at one thing for too long\n\
             answers of the balancer's own: 502: 3\n\
             application sessions: about 5 (give or take 2) of at most 100, replaced: 1 expired, 7 new\n\
             \n\
             listener web: HTTP port 80 -> target group app\n\
             \x20 10 api: path-pattern /api/* -> target group api\n\
             \n\
             target group app: round_robin, 1000 requests, lb_cookie AWSALB for 1 d, 99.9 % of decisions pinned\n\
             \x20 decisions: absent 1, pinned 999\n\
             \x20 done elsewhere for load: 3, refused for want of their target: 0\n\
             \x20 busiest target beside the mean: 1.00 times the requests, 1.50 times those in flight\n\
             \x20 TARGET              STATE      SESSIONS  OPEN  OUTSTANDING  REQUESTS  ERRORS  REASON\n\
             \x20 127.0.0.1:9001      healthy           5     7           12      3456       3\n\
             \x20 [2001:db8::1]:9001  unhealthy         -     7           12      3456       0  Target.Timeout: Request timed out\n"
        );
    }

    #[test]
    fn what_makes_a_target_get_less_is_told() {
        let mut told = target("127.0.0.1", "healthy", None);
        for (weight, result, mitigated, slow_start, text) in [
            (1.0, "normal", false, false, ""),
            (0.25, "normal", false, true, "slow start: weight 0.25"),
            (0.25, "normal", false, false, "weight 0.25 by its source"),
            (0.0, "normal", false, false, "nobody new by its source"),
            (1.0, "anomalous", false, false, "anomalous"),
            (0.1, "anomalous", true, false, "anomalous, mitigated: weight 0.10"),
            (0.5, "normal", true, false, "recovering: weight 0.50"),
        ] {
            told.slow_start = slow_start;
            told.figures.weight = weight;
            told.figures.anomaly = AnomalyStatus { result: result.into(), mitigation_in_effect: mitigated };
            assert_eq!(row(&told)[7], text);
        }
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        let status = Status {
            target_groups: vec![GroupStatus { name: "a\u{1b}[2J\n".into(), ..GroupStatus::default() }],
            ..Status::default()
        };
        let text = StatusText(&status).to_string();
        assert!(!text.contains('\u{1b}') && text.contains("a\u{fffd}[2J\u{fffd}:"), "{text}");
    }

    #[test]
    fn spans_and_shares() {
        assert_eq!(Span(0).to_string(), "0 s");
        assert_eq!(Span(59).to_string(), "59 s");
        assert_eq!(Span(60).to_string(), "1 min");
        assert_eq!(Span(3_601).to_string(), "1 h");
        assert_eq!(Span(3_725).to_string(), "1 h 2 min");
        assert_eq!(Share(999_999, 1_000_000).to_string(), "99.9 %");
        assert_eq!(Share(5, 5).to_string(), "100.0 %");
        assert_eq!(Share(1, 1_000_000).to_string(), "under 0.1 %");
        assert_eq!(Share(0, 7).to_string(), "0.0 %");
        assert_eq!(Share(u64::MAX, u64::MAX).to_string(), "100.0 %");
    }
}
