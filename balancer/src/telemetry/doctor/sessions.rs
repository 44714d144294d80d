//! What clients lose, or cost, for their sessions. Must not know: how load is spread.

use super::{
    complaint::{Complaint, Severity, percent, told},
    observation::{Observation, ObservedGroup, leads_to},
};
use crate::telemetry::{
    status::{DeploymentStatus, GroupStatus},
    status_text::Span,
};

/// Decisions below which parts of them say nothing.
const FEW_DECISIONS: u64 = 100;
/// Part of the requests without a session from which on its clients seem to keep no cookies. Of those who do each comes once so.
const MOST_ABSENT_PERCENT: f64 = 60.0;
/// Cookies that nobody here has made, from which on it is no single odd client.
const FEW_FOREIGN: u64 = 10;
const FEW_FOREIGN_PERCENT: f64 = 1.0;

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups().filter(|group| group.now.stickiness.enabled) {
        if !shared_cookie(observation, &group, complaints) {
            lost(&group, complaints);
        }
        not_returned(&group, complaints);
        foreign(&group, complaints);
        insecure(observation, &group, complaints);
    }
    table(observation, complaints);
}

/// Cookies of one name for two groups that the same clients get to: each answer of one ends the session in the other, whose
/// targets it does not name. Gives back whether it is so.
fn shared_cookie(
    observation: &Observation,
    group: &ObservedGroup<'_>,
    complaints: &mut Vec<Complaint>,
) -> bool {
    let sticky = |group: &GroupStatus| {
        (group.stickiness.kind.as_deref() == Some("lb_cookie")).then(|| group.stickiness.cookie_name.clone())
    };
    let (Some(Some(name)), unknown) = (sticky(group.now), group.outcome("unknown_target")) else {
        return false;
    };
    // Who follows whom: targets that leave make the same of sessions.
    let other = observation.groups().find(|other| {
        other.now.name != group.now.name
            && sticky(other.now).flatten().as_ref() == Some(&name)
            && other.decisions("unknown_target") >= FEW_FOREIGN
            && observation.last.listeners.iter().any(|listener| {
                leads_to(listener, &group.now.name)
                    && observation.last.listeners.iter().any(|beside| {
                        beside.load_balancer == listener.load_balancer && leads_to(beside, &other.now.name)
                    })
            })
    });
    let Some(other) = other.filter(|_| unknown.meanwhile >= FEW_FOREIGN && !group.has_lost_targets()) else {
        return false;
    };
    complaints.push(
        Complaint::new(
            Severity::Warning,
            "shared_cookie",
            group.about(),
            format!(
                "{} of {} requests brought a {name} that names none of its targets, and none of these has left: it is set by target \
                 group {}, too, so that a client that gets to both loses its session each time",
                unknown.meanwhile,
                group.all_decisions(),
                other.now.name
            ),
            "Give each of the two a cookie_prefix of its own in its stickiness block.",
        )
        .about_so_many(unknown.meanwhile),
    );
    true
}

/// Sessions that found their target gone, by what would have kept them: those of the last deployment, or of all the time where it
/// is not deployments that cost them.
fn lost(group: &ObservedGroup<'_>, complaints: &mut Vec<Complaint>) {
    let [died, drained, left] =
        ["unhealthy", "draining", "unknown_target"].map(|outcome| group.outcome(outcome));
    let refused = group.now.stickiness.figures.refused_requests;
    let lost = died + drained + left;
    if lost.all == 0 {
        return;
    }
    let deployment = group.now.last_deployment.as_ref().filter(|last| lost_in(last) > 0);
    let (died, drained, left) = match deployment {
        Some(last) => (last.lost_unhealthy, last.lost_draining, last.lost_unknown_target),
        None => (died.all, drained.all, left.all),
    };
    let since = deployment.map_or_else(|| "since the start".to_owned(), in_deployment);
    let refusals =
        if refused > 0 { format!("; {refused} requests were refused for it") } else { String::new() };
    complaints.push(
        Complaint::new(
            lost.severity(),
            "sessions_lost",
            group.about(),
            format!(
                "{} requests found the target of their session gone {since}: {died} failed its checks, {drained} drained, \
                 {left} had left{refusals}{}",
                died + drained + left,
                lost.when()
            ),
            &format!("{}.", sentence(&what_would_have_kept(group, died, drained, left))),
        )
        .about_so_many(lost.meanwhile),
    );
}

fn lost_in(deployment: &DeploymentStatus) -> u64 {
    deployment.lost_unhealthy + deployment.lost_draining + deployment.lost_unknown_target
}

fn in_deployment(last: &DeploymentStatus) -> String {
    format!(
        "since the last deployment began, {} ago ({} targets came and {} went)",
        Span(last.began_seconds_ago),
        last.targets_came,
        last.targets_went
    )
}

fn what_would_have_kept(group: &ObservedGroup<'_>, died: u64, drained: u64, left: u64) -> String {
    let mut advice = Vec::new();
    if drained > 0 {
        advice.push(if group.now.stickiness.keeps_draining == Some(true) {
            format!("{drained} were moved before deregistration_stickiness was \"keep\"")
        } else {
            format!("setting deregistration_stickiness to \"keep\" would have kept {drained} on their draining target")
        });
    }
    if left > 0 {
        advice.push(format!(
            "a deregistration_delay longer than {} s, with \"keep\", would have let some of {left} end by themselves",
            group.now.deregistration_delay_seconds
        ));
    }
    if died > 0 {
        advice.push(format!(
            "{died} were on targets that failed: only state outside of the process (Redis or Valkey, DynamoDB, a signed token) keeps those"
        ));
    }
    advice.join("; ")
}

/// Begins with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Clients that begin a session with every request.
fn not_returned(group: &ObservedGroup<'_>, complaints: &mut Vec<Complaint>) {
    let (absent, all) = (group.decisions("absent"), group.all_decisions());
    if all < FEW_DECISIONS || percent(absent, all) < MOST_ABSENT_PERCENT {
        return;
    }
    complaints.push(Complaint::new(
        Severity::Warning,
        "cookies_not_returned",
        group.about(),
        format!("{} of its requests brought no session ({absent} of {all}), and each began one", told(percent(absent, all))),
        "These clients keep no cookies (API clients, checks, benchmarks, a cache in front that strips them) or come once, so \
         stickiness does nothing for them. Lead them to a group without stickiness, or use app_cookie or app_header if they send \
         an id of the application.",
    ));
}

/// Cookies of our name that are not ours.
fn foreign(group: &ObservedGroup<'_>, complaints: &mut Vec<Complaint>) {
    let (malformed, forged, all) =
        (group.decisions("malformed"), group.decisions("forged"), group.all_decisions());
    let foreign = malformed + forged;
    if foreign < FEW_FOREIGN || percent(foreign, all) < FEW_FOREIGN_PERCENT {
        return;
    }
    let name = group.now.stickiness.cookie_name.as_deref().unwrap_or("the stickiness cookie");
    complaints.push(Complaint::new(
        Severity::Warning,
        "cookie_conflict",
        group.about(),
        format!(
            "{foreign} of {all} requests brought stickiness cookies that this balancer has not made ({malformed} of another form, \
             {forged} by another key)"
        ),
        &format!(
            "Somebody else sets them: another balancer in front or behind with the same names (give this one another \
             cookie_prefix), another node with another key file (share it), or the application itself ({name})."
        ),
    ));
}

/// Cookies that are sent in the clear although there is HTTPS.
fn insecure(observation: &Observation, group: &ObservedGroup<'_>, complaints: &mut Vec<Complaint>) {
    if group.now.stickiness.cookie_secure != Some(false) {
        return;
    }
    let mut listeners = observation.last.listeners.iter();
    let listener =
        listeners.find(|listener| listener.protocol == "HTTPS" && leads_to(listener, &group.now.name));
    let Some(listener) = listener else { return };
    complaints.push(Complaint::new(
        Severity::Notice,
        "cookie_not_secure",
        group.about(),
        format!("its stickiness cookies lack Secure, and HTTPS listener {} leads to it", listener.name),
        "Set cookie_secure = true in its stickiness block unless the same clients also come over plain HTTP.",
    ));
}

/// Entries that clients who came back have lost.
fn table(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let Some(table) = &observation.last.session_table else { return };
    let returned = observation.count(|status| {
        let evicted = status.session_table.as_ref().map(|table| &table.evicted);
        evicted.and_then(|evicted| evicted.get("returned")).copied().unwrap_or(0)
    });
    if returned.all == 0 {
        return;
    }
    complaints.push(Complaint::new(
        returned.severity(),
        "session_table_small",
        "the session table",
        format!(
            "{} sessions of clients that had come back gave way to others since the start ({} of {} entries are in use){}",
            returned.all,
            table.entries,
            table.capacity,
            returned.when()
        ),
        "Raise session_table_size in the balancer block, or shorten cookie_duration.",
    ));
}
