//! Targets that are not there, that fail, or that fail and are said to be healthy. Must not know: sessions.

use super::{
    complaint::{Complaint, Count, Severity, percent, told},
    observation::{Observation, ObservedGroup, ObservedTarget},
};
use crate::{
    counters::Cause,
    telemetry::{status::TargetStatus, status_text::Span},
};

/// Server errors that a target may have given before it is spoken of: as many, and this part of its responses.
const FEW_ERRORS: u64 = 20;
const FEW_ERRORS_PERCENT: f64 = 5.0;
/// Requests on kept connections that a target may have left without an answer.
const FEW_UNANSWERED: u64 = 5;
const FEW_UNANSWERED_PERCENT: f64 = 0.1;
/// Attempts to connect that may have failed.
const FEW_FAILED_CONNECTIONS: u64 = 5;
const FEW_FAILED_CONNECTIONS_PERCENT: f64 = 0.1;
/// Segments sent again, of which there are always some, and this many a request.
const FEW_RETRANSMITS: u64 = 50;
const FEW_RETRANSMITS_PERCENT: f64 = 5.0;

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups() {
        if group.now.targets.iter().all(|target| target.state == "draining") {
            no_targets(observation, &group, complaints);
            continue;
        }
        health(&group, complaints);
        for target in group.targets() {
            failures(&group, &target, complaints);
            way_there(&group, &target, complaints);
        }
    }
}

/// A group that nobody is in: bad where requests come, and where some would.
fn no_targets(observation: &Observation, group: &ObservedGroup<'_>, complaints: &mut Vec<Complaint>) {
    let requests = group.count(|group| group.routing.requests);
    let severity = match requests.meanwhile {
        0 if !observation.leads_to(&group.now.name) => return,
        0 => Severity::Warning,
        _ => Severity::Critical,
    };
    let what = match group.now.targets.len() {
        0 => "it has no targets".to_owned(),
        draining => format!("all of its {draining} targets are draining"),
    };
    complaints.push(
        Complaint::new(
            severity,
            "no_targets",
            group.about(),
            format!(
                "{what}, so that requests to it are answered 503: {} came while it was looked at, {} since the start",
                requests.meanwhile, requests.all
            ),
            "Give it targets, or take the rule away that leads there.",
        )
        .about_so_many(requests.meanwhile),
    );
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
        complaints.push(
            Complaint::new(
                Severity::Warning,
                "unhealthy_target",
                format!("{}, target {}", group.about(), target.label()),
                format!("it fails its health checks: {why}{bound}"),
                "Mend or replace it. Sessions that were on it have moved, and what it kept in memory is lost to them.",
            )
            .about_so_many(target.figures.sessions.unwrap_or(0)),
        );
    }
}

/// Requests that a target failed although it is said to be healthy, or is not asked.
fn failures(group: &ObservedGroup<'_>, target: &ObservedTarget<'_>, complaints: &mut Vec<Complaint>) {
    if target.now.state == "healthy" || target.now.state == "unavailable" {
        server_errors(group, target, complaints);
        failed_connections(group, target, complaints);
    }
    let unanswered = unanswered(group, target);
    let requests = target.count(|target| target.figures.requests);
    if unanswered.is_many(requests, FEW_UNANSWERED, FEW_UNANSWERED_PERCENT) {
        complaints.push(
            Complaint::new(
                unanswered.severity(),
                "keep_alive_race",
                target.about(group),
                format!(
                    "it ended kept connections without answering {} of {} requests ({}){}",
                    unanswered.all,
                    requests.all,
                    told(percent(unanswered.all, requests.all)),
                    unanswered.when()
                ),
                "Its server's keep-alive timeout is shorter than the time for which idle connections to it are kept, or it limits the \
                 requests of a connection: make its timeout longer than the load balancer's idle_timeout. Requests that may be sent \
                 twice went elsewhere; others were answered 502.",
            )
            .about_so_many(unanswered.meanwhile),
        );
    }
    anomaly(group, target, complaints);
}

/// Requests that found their connection at its end. What a target did not answer for another reason, timeouts and answers that
/// are none, is told apart by group alone.
fn unanswered(group: &ObservedGroup<'_>, target: &ObservedTarget<'_>) -> Count {
    let ended = [Cause::TargetClosedBeforeHead, Cause::TargetResetBeforeHead]
        .map(|cause| group.count(|group| group.answers.failures.get(cause.as_str()).copied().unwrap_or(0)));
    let [closed, reset] = ended;
    let sent_again = target.count(|target| target.figures.stale_connections);
    sent_again + target.count(|target| target.figures.unanswered).at_most(closed + reset)
}

/// Responses of a target that nobody finds fault with.
fn server_errors(group: &ObservedGroup<'_>, target: &ObservedTarget<'_>, complaints: &mut Vec<Complaint>) {
    let class =
        |target: &TargetStatus, class: &str| target.figures.responses.get(class).copied().unwrap_or(0);
    let errors = target.count(|target| class(target, "5xx"));
    let all = target.count(|target| target.figures.responses.values().sum());
    if !errors.is_many(all, FEW_ERRORS, FEW_ERRORS_PERCENT) {
        return;
    }
    let is_checked = target.now.state == "healthy";
    let of = if errors.meanwhile >= FEW_ERRORS {
        percent(errors.meanwhile, all.meanwhile)
    } else {
        percent(errors.all, all.all)
    };
    complaints.push(
        Complaint::new(
            errors.severity(),
            "failures_hidden",
            target.about(group),
            format!(
                "{} of its responses are 5xx ({} of {} since it was registered; {} of {} while it was looked at), and {}",
                told(of),
                errors.all,
                all.all,
                errors.meanwhile,
                all.meanwhile,
                if is_checked { "its health checks pass" } else { "its health is not checked" }
            ),
            if is_checked {
                "The checked path does not use what fails. Let it use the database, cache or file that requests need, or turn on \
                 load_balancing_anomaly_mitigation, which gives such a target less."
            } else {
                "Turn health checks on with a path that tells whether the application can work, or turn on \
                 load_balancing_anomaly_mitigation, which gives such a target less."
            },
        )
        .about_so_many(errors.meanwhile),
    );
}

fn failed_connections(
    group: &ObservedGroup<'_>,
    target: &ObservedTarget<'_>,
    complaints: &mut Vec<Complaint>,
) {
    let failed = target.count(|target| target.figures.connection_errors);
    let tried = target.count(|target| target.figures.requests + target.figures.connection_errors);
    if !failed.is_many(tried, FEW_FAILED_CONNECTIONS, FEW_FAILED_CONNECTIONS_PERCENT) {
        return;
    }
    let by = target.now.figures.connect_failures.iter().map(|(errno, count)| format!("{errno} {count}"));
    let by: Vec<String> = by.collect();
    complaints.push(
        Complaint::new(
            failed.severity(),
            "connections_fail",
            target.about(group),
            format!(
                "{} connections to it could not be made since it was registered ({}), though it is {} now{}",
                failed.all,
                by.join(", "),
                if target.now.state == "healthy" { "healthy" } else { "in use" },
                failed.when()
            ),
            "Its backlog is full or its process restarts: look at how many connections its server accepts at a time.",
        )
        .about_so_many(failed.meanwhile),
    );
}

/// What the balancer has found out by its peers.
fn anomaly(group: &ObservedGroup<'_>, target: &ObservedTarget<'_>, complaints: &mut Vec<Complaint>) {
    let figures = &target.now.figures;
    if figures.anomaly.result == "anomalous" {
        complaints.push(Complaint::new(
            Severity::Warning,
            "anomalous_target",
            target.about(group),
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
            target.about(group),
            format!("{again} TCP segments were sent to it again for {requests} requests"),
            "Something drops packets on the way there: look at the host's interface counters and at conntrack.",
        ));
    }
}
