//! What a balancer has of others: the session store, the configuration that nodes share, sources of targets. Must not know:
//! sessions, targets.

use super::{
    complaint::{Complaint, Severity},
    observation::Observation,
};
use crate::telemetry::{
    status::{ClusterNote, SessionStoreStatus},
    status_text::Span,
};

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    if let Some(store) = &observation.last.session_store {
        session_store(store, complaints);
    }
    if let Some(cluster) = &observation.last.cluster {
        configuration(cluster, complaints);
    }
    sources(observation, complaints);
}

fn session_store(store: &SessionStoreStatus, complaints: &mut Vec<Complaint>) {
    let error = store.last_error.as_ref();
    if store.state != "away" && error.is_none() {
        return;
    }
    let why =
        error.map(|error| format!(": {} ({} ago)", error.error, Span(error.age_seconds))).unwrap_or_default();
    let what = if store.state == "away" {
        format!("it is away since {}", Span(store.since_seconds))
    } else {
        "it does not take all that it is told".to_owned()
    };
    complaints.push(Complaint::new(
        Severity::Warning,
        "session_store_away",
        format!("session store {}", store.store),
        format!("{what}{why}"),
        "Sessions that began here are known here alone meanwhile: a client that another balancer gets has none. Mend the store; what is \
         known here is told to it then (docs/session-store.md).",
    ));
}

fn configuration(cluster: &ClusterNote, complaints: &mut Vec<Complaint>) {
    let reason = || cluster.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let mut seen = Vec::new();
    if !cluster.connected {
        let error = cluster.error.as_deref().unwrap_or("no answer");
        seen.push(format!("etcd does not answer: {error}"));
    }
    match cluster.state.as_str() {
        "held" => seen.push(format!(
            "revision {} is held back, another node refuses it{}",
            cluster.seen_revision,
            reason()
        )),
        "refused" => seen.push(format!("this node refuses revision {}{}", cluster.seen_revision, reason())),
        _ => {}
    }
    seen.extend(
        cluster
            .foreign_keys
            .as_ref()
            .map(|keys| format!("others sign cookies with keys that this node has not: {keys}")),
    );
    seen.extend(
        cluster.rival.as_ref().map(|rival| format!("another balancer uses this node's name: {rival}")),
    );
    seen.extend(cluster.not_kept.as_ref().map(|why| format!("what is in force is not kept on disk: {why}")));
    if seen.is_empty() {
        return;
    }
    complaints.push(Complaint::new(
        Severity::Warning,
        "configuration_not_shared",
        format!("the configuration under {}", cluster.prefix),
        format!("{}; revision {} stays in force", seen.join("; "), cluster.revision),
        "See docs/etcd.md for each of these.",
    ));
}

fn sources(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups() {
        let Some(source) = &group.now.source else { continue };
        if let Some(error) = &source.error {
            complaints.push(Complaint::new(
                Severity::Warning,
                "targets_source_fails",
                group.about(),
                format!(
                    "where it learns of its targets, {}, fails since {}: {}",
                    source.source,
                    Span(error.age_seconds),
                    error.error
                ),
                "Targets that come are not taken in and those that go are found by health checks alone. The last ones stay meanwhile.",
            ));
        }
        if let Some(left_out) = &source.left_out {
            complaints.push(Complaint::new(
                Severity::Notice,
                "targets_left_out",
                group.about(),
                format!("some of what {} lists cannot be a target: {left_out}", source.source),
                "Mend the list; all else of it is in use.",
            ));
        }
    }
}
