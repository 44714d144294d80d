//! Targets that are not there, that fail, or that fail and are said to be healthy. Must not know: sessions.

use super::{
    complaint::{Complaint, Severity, percent, told},
    observation::{Observation, ObservedGroup, ObservedTarget},
};
use crate::telemetry::{status::TargetStatus, status_text::Span};

/// Server errors that a healthy target may have given before it is spoken of: as many, and this part of its responses.
const FEW_ERRORS: u64 = 20;
const FEW_ERRORS_PERCENT: f64 = 5.0;
/// Requests on kept connections that a target may have left without an answer.
const FEW_UNANSWERED: u64 = 5;
const FEW_UNANSWERED_PERCENT: f64 = 0.1;
/// Attempts to connect that may have failed.
const FEW_FAILED_CONNECTIONS: u64 = 5;
/// Segments sent again, of which there are always some, and this many a request.
const FEW_RETRANSMITS: u64 = 50;
const FEW_RETRANSMITS_PERCENT: f64 = 5.0;

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups() {
        let of_group = Complaint::new;
        if group.now.targets.is_empty() {
            complaints.push(of_group(
                Severity::Critical,
                "no_targets",
                group.about(),
                format!(
                    "it has no targets: {} requests came to it and were answered 503",
                    group.now.routing.requests
                ),
                "Give it targets, or take the rule away that leads there.",
            ));
            continue;
        }
        health(&group, complaints);
        for target in group.targets() {
            failures(&group, &target, complaints);
            way_there(&group, &target, complaints);
        }
    }
}

/// Targets that get no requests for their health, and groups that cannot tell.
fn health(group: &ObservedGroup<'_>, complaints: &mut Vec<Complaint>) {
    // One that has just come and was not checked yet is no trouble.
    let is_unhealthy = |target: &TargetStatus| target.state == "unhealthy";
    if group.now.routing.failing_open && group.now.targets.iter().any(is_unhealthy) {
        complaints.push(Complaint::new(
            Severity::Critical,
            "failing_open",
            group.about(),
            format!("none of its {} targets is healthy, so that all get requests", group.now.targets.len()),
            "Look at why the checks fail (below, and `balancer status`): either the targets are down, or path and matcher of the \
             health check are not what they answer.",
        ));
    }
    if !group.now.health_checks {
        complaints.push(Complaint::new(
            Severity::Warning,
            "health_checks_off",
            group.about(),
            "its targets are not checked: one that is dead goes on getting its share, and its sessions stay on it".to_owned(),
            "Set health_check.enabled to true with a path that tells whether the application can work.",
        ));
    }
    for target in group.now.targets.iter().filter(|target| is_unhealthy(target)) {
        let why = match &target.check_error {
            Some(error) => format!("{} ({} ago)", error.error, Span(error.age_seconds)),
            None => target.description.clone().unwrap_or_else(|| "its checks fail".to_owned()),
        };
        let bound = target.figures.sessions.filter(|bound| *bound > 0);
        let bound = bound.map(|bound| format!("; {bound} sessions are bound to it")).unwrap_or_default();
        complaints.push(Complaint::new(
            Severity::Warning,
            "unhealthy_target",
            format!("{}, target {}", group.about(), target.label()),
            format!("it fails its health checks: {why}{bound}"),
            "Mend or replace it. Sessions that were on it have moved, and what it kept in memory is lost to them.",
        ));
    }
}

/// Requests that a target failed although it is said to be healthy.
fn failures(group: &ObservedGroup<'_>, target: &ObservedTarget<'_>, complaints: &mut Vec<Complaint>) {
    let about = || format!("{}, target {}", group.about(), target.now.label());
    let figures = &target.now.figures;
    let is_healthy = target.now.state == "healthy";
    let class = |class: &str| figures.responses.get(class).copied().unwrap_or(0);
    let (errors, all) = (class("5xx"), figures.responses.values().sum());
    let since = "since it was registered";
    if is_healthy && errors >= FEW_ERRORS && percent(errors, all) >= FEW_ERRORS_PERCENT {
        complaints.push(Complaint::new(
            Severity::Warning,
            "failures_hidden",
            about(),
            format!("{} of its responses are 5xx ({errors} of {all} {since}), and its health checks pass", told(percent(errors, all))),
            "The checked path does not use what fails. Let it use the database, cache or file that requests need, or turn on \
             load_balancing_anomaly_mitigation, which gives such a target less.",
        ));
    }
    let (unanswered, requests) = (figures.unanswered + figures.stale_connections, figures.requests);
    if unanswered >= FEW_UNANSWERED && percent(unanswered, requests) >= FEW_UNANSWERED_PERCENT {
        complaints.push(Complaint::new(
            Severity::Warning,
            "keep_alive_race",
            about(),
            format!("it ended kept connections without answering {unanswered} of {requests} requests ({})", told(percent(unanswered, requests))),
            "Its server's keep-alive timeout is shorter than the time for which idle connections to it are kept, or it limits the \
             requests of a connection: make its timeout longer than the load balancer's idle_timeout. Requests that may be sent \
             twice went elsewhere; others were answered 502.",
        ));
    }
    if is_healthy && figures.connection_errors >= FEW_FAILED_CONNECTIONS {
        let by = figures.connect_failures.iter().map(|(errno, count)| format!("{errno} {count}"));
        let by: Vec<String> = by.collect();
        complaints.push(Complaint::new(
            Severity::Warning,
            "connections_fail",
            about(),
            format!("{} connections to it could not be made ({}), and its health checks pass", figures.connection_errors, by.join(", ")),
            "Its backlog is full or its process restarts: look at how many connections its server accepts at a time.",
        ));
    }
    if figures.anomaly.result == "anomalous" {
        complaints.push(Complaint::new(
            Severity::Warning,
            "anomalous_target",
            about(),
            format!(
                "it fails more than its peers{}",
                if figures.anomaly.mitigation_in_effect { " and gets less for it" } else { "" }
            ),
            "Compare its logs and version with those of its peers; sessions that are bound to it stay there.",
        ));
    }
}

/// The network between.
fn way_there(group: &ObservedGroup<'_>, target: &ObservedTarget<'_>, complaints: &mut Vec<Complaint>) {
    let again = target.rise(|target| target.connections.retransmits);
    let requests = target.requests();
    if again >= FEW_RETRANSMITS && percent(again, requests) >= FEW_RETRANSMITS_PERCENT {
        complaints.push(Complaint::new(
            Severity::Warning,
            "lossy_network",
            format!("{}, target {}", group.about(), target.now.label()),
            format!("{again} TCP segments were sent to it again for {requests} requests"),
            "Something drops packets on the way there: look at the host's interface counters and at conntrack.",
        ));
    }
}
