//! What the dashboard shows, told once a second: the part of the status document that it draws, under the same names where the
//! same is meant. Small, because every viewer gets all of it each time. No promise to anybody but the page, which comes with it.
//! Must not know: who looks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::status::{
    CertificateStatus, Counts, ErrorStatus, GenerationStatus, GroupStatus, HistogramStatus, ListenerStatus,
    RuleStatus, SessionTable, ShieldStatus, Status, TargetStatus, Totals, Upkeep, WorkerFigures,
};

/// What is shown.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    version: &'a str,
    instance: &'a str,
    uptime_seconds: u64,
    draining: bool,
    kernel_assist: bool,
    kernel_assist_detail: &'a str,
    #[serde(flatten)]
    upkeep: &'a Upkeep,
    generations: &'a [GenerationStatus],
    refused_reload: Option<&'a ErrorStatus>,
    no_upgrades: Option<&'a ErrorStatus>,
    unresolved_names: &'a BTreeMap<String, ErrorStatus>,
    certificates: &'a [CertificateStatus],
    shield: Option<&'a ShieldStatus>,
    session_table: Option<&'a SessionTable>,
    session_store: Option<StoreSummary<'a>>,
    workers: &'a [WorkerFigures],
    totals: Sums<'a>,
    /// Upper bounds of the buckets of all histograms, in seconds; the last bucket has none.
    bounds: Vec<f64>,
    listeners: Vec<ListenerSummary<'a>>,
    target_groups: Vec<GroupSummary<'a>>,
    /// Whether somebody with the token may change something.
    actions: bool,
}

#[derive(Debug, Serialize)]
struct Sums<'a> {
    requests: u64,
    connections_active: u64,
    tunnels_active: u64,
    own_responses: &'a Counts,
    errors: &'a Counts,
    bytes_received: u64,
    bytes_sent: u64,
    retries: u64,
    panics: u64,
    internal_errors: u64,
}

#[derive(Debug, Serialize)]
struct StoreSummary<'a> {
    store: &'a str,
    state: &'a str,
    since_seconds: u64,
    last_error: Option<&'a ErrorStatus>,
}

#[derive(Debug, Serialize)]
struct ListenerSummary<'a> {
    name: &'a str,
    protocol: &'a str,
    port: u16,
    action: &'a str,
    requests: u64,
    connections_active: u64,
    own_responses: u64,
    default_action_requests: u64,
    request_duration: &'a HistogramStatus,
    rules: Vec<RuleSummary<'a>>,
}

#[derive(Debug, Serialize)]
struct RuleSummary<'a> {
    name: &'a str,
    priority: u16,
    conditions: &'a str,
    action: &'a str,
    requests: u64,
}

#[derive(Debug, Serialize)]
struct GroupSummary<'a> {
    name: &'a str,
    algorithm: &'a str,
    requests: u64,
    failing_open: bool,
    /// Why where it learns of its targets says nothing.
    source_error: Option<&'a ErrorStatus>,
    load_skew: Option<f64>,
    responses: &'a Counts,
    failures: &'a Counts,
    response_time: &'a HistogramStatus,
    stickiness: Option<StickinessSummary<'a>>,
    targets: Vec<TargetSummary<'a>>,
}

#[derive(Debug, Serialize)]
struct StickinessSummary<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    duration_seconds: u32,
    decisions: &'a Counts,
    spilled_requests: u64,
    refused_requests: u64,
}

#[derive(Debug, Serialize)]
struct TargetSummary<'a> {
    name: String,
    state: &'a str,
    reason: Option<&'a str>,
    description: Option<&'a str>,
    requests: u64,
    /// Responses.
    answered: u64,
    response_seconds: f64,
    /// Responses of 5xx.
    failed: u64,
    /// Requests without a whole response.
    unanswered: u64,
    connection_errors: u64,
    weight: f64,
    anomalous: bool,
    drained: bool,
    set_weight: Option<f64>,
    sessions: Option<u64>,
    outstanding_requests: u64,
    last_error: Option<&'a ErrorStatus>,
    check_error: Option<&'a ErrorStatus>,
    open: u64,
    reset: u64,
    retransmits: u64,
    timeouts: u64,
    srtt_us: u64,
}

impl<'a> Summary<'a> {
    /// Of all that there is; `actions`: see there.
    #[must_use]
    pub fn of(status: &'a Status, actions: bool) -> Self {
        Self {
            version: &status.version,
            instance: &status.instance,
            uptime_seconds: status.uptime_seconds,
            draining: status.draining,
            kernel_assist: status.kernel_assist,
            kernel_assist_detail: &status.kernel_assist_detail,
            upkeep: &status.upkeep,
            generations: &status.generations,
            refused_reload: status.refused_reload.as_ref(),
            no_upgrades: status.no_upgrades.as_ref(),
            unresolved_names: &status.unresolved_names,
            certificates: &status.certificates,
            shield: status.shield.as_ref(),
            session_table: status.session_table.as_ref(),
            session_store: status.session_store.as_ref().map(|store| StoreSummary {
                store: &store.store,
                state: &store.state,
                since_seconds: store.since_seconds,
                last_error: store.last_error.as_ref(),
            }),
            workers: &status.worker_loads,
            totals: sums(&status.totals),
            bounds: HistogramStatus::bounds().collect(),
            listeners: status.listeners.iter().map(listener).collect(),
            target_groups: status.target_groups.iter().map(group).collect(),
            actions,
        }
    }
}

fn sums(totals: &Totals) -> Sums<'_> {
    let (traffic, work) = (&totals.traffic, &totals.work);
    Sums {
        requests: traffic.requests,
        connections_active: traffic.connections_active,
        tunnels_active: traffic.tunnels_active,
        own_responses: &traffic.own_responses,
        errors: &traffic.errors,
        bytes_received: traffic.bytes_received,
        bytes_sent: traffic.bytes_sent,
        retries: work.retries,
        panics: work.panics,
        internal_errors: work.internal_errors,
    }
}

fn listener(told: &ListenerStatus) -> ListenerSummary<'_> {
    ListenerSummary {
        name: &told.name,
        protocol: &told.protocol,
        port: told.port,
        action: &told.action,
        requests: told.traffic.requests,
        connections_active: told.traffic.connections_active,
        own_responses: told.traffic.own_responses.values().sum(),
        default_action_requests: told.default_action_requests,
        request_duration: &told.traffic.request_duration,
        rules: told.rules.iter().map(rule).collect(),
    }
}

fn rule(told: &RuleStatus) -> RuleSummary<'_> {
    RuleSummary {
        name: &told.name,
        priority: told.priority,
        conditions: &told.conditions,
        action: &told.action,
        requests: told.figures.requests,
    }
}

fn group(told: &GroupStatus) -> GroupSummary<'_> {
    let sticky = &told.stickiness;
    let name = sticky.header_name.as_deref().or(sticky.cookie_name.as_deref()).unwrap_or_default();
    GroupSummary {
        name: &told.name,
        algorithm: &told.algorithm,
        requests: told.routing.requests,
        failing_open: told.routing.failing_open,
        source_error: told.source.as_ref().and_then(|source| source.error.as_ref()),
        load_skew: told.routing.load_skew.outstanding_requests,
        responses: &told.answers.responses,
        failures: &told.answers.failures,
        response_time: &told.answers.response_time,
        stickiness: sticky.enabled.then(|| StickinessSummary {
            kind: sticky.kind.as_deref().unwrap_or_default(),
            name,
            duration_seconds: sticky.duration_seconds.unwrap_or_default(),
            decisions: &sticky.figures.decisions,
            spilled_requests: sticky.figures.spilled_requests,
            refused_requests: sticky.figures.refused_requests,
        }),
        targets: told.targets.iter().map(target).collect(),
    }
}

fn target(told: &TargetStatus) -> TargetSummary<'_> {
    let (figures, connections) = (&told.figures, &told.connections);
    TargetSummary {
        name: told.label(),
        state: &told.state,
        reason: told.reason.as_deref(),
        description: told.description.as_deref(),
        requests: figures.requests,
        answered: figures.responses.values().sum(),
        response_seconds: figures.response_seconds,
        failed: figures.responses.get("5xx").copied().unwrap_or(0),
        unanswered: figures.unanswered.saturating_add(figures.broken_responses),
        connection_errors: figures.connection_errors,
        weight: figures.weight,
        drained: figures.drained,
        set_weight: figures.set_weight,
        anomalous: figures.anomaly.result == "anomalous",
        sessions: figures.sessions,
        outstanding_requests: figures.outstanding_requests,
        last_error: told.last_error.as_ref(),
        check_error: told.check_error.as_ref(),
        open: connections.open,
        reset: connections.reset,
        retransmits: connections.retransmits,
        timeouts: connections.timeouts,
        srtt_us: connections.srtt_us.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::inspect::tests::inspector;

    #[test]
    fn what_is_shown_is_what_the_status_says() {
        let status = inspector().status();
        let told = serde_json::to_value(&status).unwrap();
        let shown = serde_json::to_value(Summary::of(&status, false)).unwrap();
        for path in [
            "/version",
            "/reloads",
            "/totals/requests",
            "/listeners/0/name",
            "/listeners/0/requests",
            "/target_groups/0/name",
            "/target_groups/0/response_time/counts",
            "/target_groups/0/stickiness/decisions",
            "/target_groups/0/stickiness/type",
            "/target_groups/0/targets/0/state",
            "/target_groups/0/targets/0/requests",
            "/target_groups/0/targets/0/outstanding_requests",
        ] {
            let (told, shown) = (told.pointer(path), shown.pointer(path));
            assert!(told.is_some() && told == shown, "{path}: {told:?}, shown {shown:?}");
        }
        let buckets = shown["target_groups"][0]["response_time"]["counts"].as_array().unwrap().len();
        assert_eq!(shown["bounds"].as_array().unwrap().len() + 1, buckets);
        assert_eq!(shown["target_groups"][0]["targets"][0]["name"], "[::1]:9001");
    }
}
