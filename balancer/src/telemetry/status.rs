//! The status document: what `/status` serves, what `balancer status` prints and what the metrics are
//! made of. Field names are a promise to users; a client of another version ignores fields it does not
//! know and fills in those it misses.
//! Must not know: where the figures come from (see `inspect`), how they are written (see `metrics`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::counters::{
    AnomalyStatus, Answers, ClusterNote, Connections, Counts, HistogramStatus, LoadSkew, Micros, Routing,
    RuleFigures, SessionStore, SessionTable, SourceFigures, Stickiness, TargetFigures, Traffic, Upkeep, Work,
    WorkerFigures,
};

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the balancer.
    pub version: String,
    /// Name of the instance.
    pub instance: String,
    /// Whether the kernel side is in use.
    pub kernel_assist: bool,
    /// What the kernel side does, or why it is not in use.
    pub kernel_assist_detail: String,
    /// Number of worker threads.
    pub workers: u64,
    /// Seconds since the start of the process.
    pub uptime_seconds: u64,
    /// Whether the process is ending.
    pub draining: bool,
    /// The processes of the instance, this one first: those that it succeeded finish what they have.
    pub generations: Vec<GenerationStatus>,
    /// What the control thread did.
    #[serde(flatten)]
    pub upkeep: Upkeep,
    /// Why the last reload was refused; none when one was taken up since.
    pub refused_reload: Option<ErrorStatus>,
    /// The configuration that nodes share through etcd; none where it is this one's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterNote>,
    /// The names of the keys of cookies, the one that signs first. They tell nothing of the keys.
    pub keys: Vec<String>,
    /// Why the process cannot be upgraded; none: it can.
    pub no_upgrades: Option<ErrorStatus>,
    /// Host names of targets that cannot be resolved, or not in full.
    pub unresolved_names: BTreeMap<String, ErrorStatus>,
    /// Certificates that listeners show.
    pub certificates: Vec<CertificateStatus>,
    /// Log lines left out because there were too many of their kind, by kind.
    pub log_lines_left_out: Counts,
    /// The shield; none where none is configured.
    pub shield: Option<ShieldStatus>,
    /// Sessions shared with other balancers; none where they are not.
    pub session_store: Option<SessionStoreStatus>,
    /// Figures over all listeners and workers.
    pub totals: Totals,
    /// The table of application sessions; none where no group uses it.
    pub session_table: Option<SessionTable>,
    /// What each worker has to do.
    pub worker_loads: Vec<WorkerFigures>,
    /// Listeners in use.
    pub listeners: Vec<ListenerStatus>,
    /// Groups, in the order of the configuration.
    pub target_groups: Vec<GroupStatus>,
}

/// A process of the instance, and what it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationStatus {
    /// Its number.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Whether it finishes what it has.
    pub draining: bool,
    /// Seconds until it ends at the latest; none: it does not.
    pub ends_in_seconds: Option<u64>,
    /// Seconds since its start.
    pub uptime_seconds: u64,
    /// Connections of clients.
    pub connections_active: u64,
    /// Tunnels among them.
    pub tunnels_active: u64,
    /// Requests in flight to targets.
    pub requests_in_flight: u64,
}

/// Who may speak to listeners at all, and how that went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShieldStatus {
    /// Whether it is on all its interfaces.
    pub active: bool,
    /// Why there is none, though one is configured; none where there is one.
    pub off: Option<String>,
    /// Whether packets are only counted.
    pub dry_run: bool,
    /// How many prefixes the configuration denies.
    pub deny: u64,
    /// How many it allows.
    pub allow: u64,
    /// How many are denied since somebody said so at run time.
    pub denied_at_run_time: u64,
    /// Where it is.
    pub interfaces: Vec<ShieldInterfaceStatus>,
    /// Packets to listeners by what became of them, over all processes of the instance.
    pub packets: Counts,
}

/// The shield at an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShieldInterfaceStatus {
    /// The interface's name.
    pub name: String,
    /// `native`, `generic` or `off`.
    pub mode: String,
    /// Why it is off, or why not native; none where there is nothing to say.
    pub detail: Option<String>,
}

/// Where sessions are shared with other balancers, and how that goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionStoreStatus {
    /// Where the store is.
    pub store: String,
    /// `up` or `away`.
    pub state: String,
    /// Seconds since it is so.
    pub since_seconds: u64,
    /// How it failed last; none since it is there and takes what it is told.
    pub last_error: Option<ErrorStatus>,
    /// The name by which others know this process.
    pub node: String,
    /// The name of the balancer that checks the health of targets for all; none where each checks for itself.
    pub health_check_leader: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub figures: SessionStore,
}

/// An error and how long ago it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorStatus {
    /// A word for it.
    pub cause: String,
    /// For a person to read.
    pub error: String,
    /// Seconds since then.
    pub age_seconds: u64,
}

/// A certificate that a listener shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateStatus {
    /// Its name.
    pub name: String,
    /// The listener.
    pub listener: String,
    /// When it ends to be valid, RFC 3339 in UTC.
    pub not_after: String,
    /// The same in seconds since 1970.
    pub not_after_seconds: i64,
    /// Seconds until then; below zero: since then.
    pub expires_in_seconds: i64,
}

/// Figures over all listeners and workers, since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// What clients did, at listeners that are gone too.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// What workers did besides.
    #[serde(flatten)]
    pub work: Work,
    /// Lines that were dropped because the writer of a log file did not keep up.
    pub log_lines_dropped: u64,
    /// Lines that a log file did not take.
    pub log_lines_lost: u64,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerStatus {
    /// Its configured name.
    pub name: String,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// Its port.
    pub port: u16,
    /// Name of its load balancer.
    pub load_balancer: String,
    /// The group its default action forwards to, when it is one.
    pub target_group: String,
    /// Its default action, for people.
    pub action: String,
    /// The groups its default action forwards to.
    pub target_groups: Vec<WeightStatus>,
    /// Requests that met none of its rules.
    pub default_action_requests: u64,
    /// What its clients did.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Its rules, in the order they are tried.
    pub rules: Vec<RuleStatus>,
}

/// A rule of a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleStatus {
    /// Its configured name.
    pub name: String,
    /// Its priority.
    pub priority: u16,
    /// Its conditions, for people.
    pub conditions: String,
    /// The group it forwards to, when it is one.
    pub target_group: String,
    /// What it does, for people.
    pub action: String,
    /// The groups it forwards to.
    pub target_groups: Vec<WeightStatus>,
    /// What came of it.
    #[serde(flatten)]
    pub figures: RuleFigures,
}

/// A group of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeightStatus {
    /// Its name.
    pub target_group: String,
    /// Its weight.
    pub weight: u16,
}

/// A target group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// `round_robin`, `least_outstanding_requests` or `weighted_random`.
    pub algorithm: String,
    /// Whether targets that fail more than others get less.
    pub anomaly_mitigation: bool,
    /// Whether its targets are checked.
    pub health_checks: bool,
    /// Who checks them, where balancers do that for each other: `this_balancer`, `leader`, or `both` where the one that checks for all
    /// does not tell of some of them; none where each checks for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_by: Option<String>,
    /// How long a target that leaves it may finish what it has, in seconds.
    pub deregistration_delay_seconds: u64,
    /// Where its requests go.
    #[serde(flatten)]
    pub routing: Routing,
    /// What came of them.
    #[serde(flatten)]
    pub answers: Answers,
    /// What its targets' last changes cost; none where there were none since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_deployment: Option<DeploymentStatus>,
    /// Where it learns of targets that the configuration does not list; none where it lists all.
    pub source: Option<SourceStatus>,
    /// Its stickiness.
    pub stickiness: StickinessStatus,
    /// Its targets, draining ones included.
    pub targets: Vec<TargetStatus>,
}

/// Changes of a group's targets that followed each other, and the requests since the first of them that found the target of their
/// session gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeploymentStatus {
    /// How long ago the first of them was made.
    pub began_seconds_ago: u64,
    /// And the last one.
    pub changed_seconds_ago: u64,
    /// Targets that were registered.
    pub targets_came: u64,
    /// Targets that were taken out.
    pub targets_went: u64,
    /// Requests whose target failed its checks.
    pub lost_unhealthy: u64,
    /// Requests whose target drained.
    pub lost_draining: u64,
    /// Requests whose target was there no more.
    pub lost_unknown_target: u64,
}

/// The source of a group's targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceStatus {
    /// What it is, for people, without anything secret.
    pub source: String,
    /// A word for its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// What came of asking it.
    #[serde(flatten)]
    pub figures: SourceFigures,
    /// What of its last list cannot be used; none: nothing.
    pub left_out: Option<String>,
    /// What is wrong with it now, and for how long that has been so; none: nothing. Its last targets stay meanwhile.
    pub error: Option<ErrorStatus>,
}

/// Stickiness of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StickinessStatus {
    /// Whether it is on.
    pub enabled: bool,
    /// `lb_cookie`, `app_cookie` or `app_header`; none when off.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The application's cookie of `app_cookie`, the balancer's of `lb_cookie`; none when off.
    pub cookie_name: Option<String>,
    /// The application's header field of `app_header`; none otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// How long a session sticks, in seconds; none when off.
    pub duration_seconds: Option<u32>,
    /// Whether the balancer's cookies are `Secure`; none when off.
    pub cookie_secure: Option<bool>,
    /// Whether sessions stay with a target that drains; none when off.
    pub keeps_draining: Option<bool>,
    /// What came of its sessions.
    #[serde(flatten)]
    pub figures: Stickiness,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetStatus {
    /// Its address without the port, or `unix:/path`.
    pub id: String,
    /// Its port; 0 for Unix sockets.
    pub port: u16,
    /// Its row in the shared tables; targets of one address and port share it over all groups.
    pub slot: u16,
    /// State, as ALB names it.
    pub state: String,
    /// Reason code, as ALB names it; none when healthy.
    pub reason: Option<String>,
    /// The reason in words.
    pub description: Option<String>,
    /// Whether it gets less than the others since it is new, and more by and by.
    #[serde(default)]
    pub slow_start: bool,
    /// What it did.
    #[serde(flatten)]
    pub figures: TargetFigures,
    /// How it failed a request last.
    pub last_error: Option<ErrorStatus>,
    /// How it failed its last health check; none once it passed one.
    pub check_error: Option<ErrorStatus>,
    /// Its connections, over all groups.
    pub connections: Connections,
}

impl TargetStatus {
    /// Address and port in one, as a person writes it.
    #[must_use]
    pub fn label(&self) -> String {
        if self.id.starts_with("unix:") {
            self.id.clone()
        } else if self.id.contains(':') {
            format!("[{}]:{}", self.id, self.port)
        } else {
            format!("{}:{}", self.id, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path of the document with a leaf or an array at its end.
    fn paths(value: &serde_json::Value, at: &str, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    paths(value, &format!("{at}.{name}"), into);
                }
            }
            serde_json::Value::Array(items) => {
                for item in items {
                    paths(item, &format!("{at}[]"), into);
                }
            }
            _ => into.push(at.to_owned()),
        }
    }

    fn full() -> Status {
        Status {
            session_table: Some(SessionTable::default()),
            listeners: vec![ListenerStatus::default()],
            target_groups: vec![GroupStatus {
                targets: vec![TargetStatus::default()],
                ..GroupStatus::default()
            }],
            ..Status::default()
        }
    }

    #[test]
    fn names_are_those_that_users_were_promised() {
        let document = serde_json::to_value(full()).unwrap();
        let mut seen = Vec::new();
        paths(&document, "", &mut seen);
        for name in [
            ".version",
            ".kernel_assist",
            ".workers",
            ".uptime_seconds",
            ".reloads",
            ".reload_failures",
            ".listeners[].name",
            ".listeners[].requests",
            ".listeners[].bytes_sent",
            ".totals.requests",
            ".totals.bytes_sent",
            ".target_groups[].name",
            ".target_groups[].algorithm",
            ".target_groups[].anomalous_hosts",
            ".target_groups[].stickiness.pinned_share",
            ".target_groups[].load_skew.outstanding_requests",
            ".target_groups[].load_skew.requests",
            ".target_groups[].mitigated_hosts",
            ".target_groups[].targets[].anomaly.result",
            ".target_groups[].targets[].anomaly.mitigation_in_effect",
            ".target_groups[].stickiness.enabled",
            ".target_groups[].stickiness.type",
            ".target_groups[].targets[].id",
            ".target_groups[].targets[].port",
            ".target_groups[].targets[].state",
            ".target_groups[].targets[].reason",
            ".target_groups[].targets[].description",
            ".target_groups[].targets[].weight",
            ".target_groups[].targets[].outstanding_requests",
            ".target_groups[].targets[].requests",
            ".target_groups[].targets[].sessions",
            ".target_groups[].targets[].connections.open",
            ".target_groups[].targets[].connections.connecting",
            ".target_groups[].targets[].connections.opened",
            ".target_groups[].targets[].connections.failed",
            ".target_groups[].targets[].connections.reset",
            ".target_groups[].targets[].connections.retransmits",
            ".target_groups[].targets[].connections.timeouts",
            ".target_groups[].targets[].connections.srtt_us",
            ".target_groups[].targets[].connections.bytes_in",
            ".target_groups[].targets[].connections.bytes_out",
        ] {
            assert!(seen.iter().any(|path| path == name), "{name} is missing from {seen:?}");
        }
    }

    #[test]
    fn a_document_of_another_version_is_read() {
        let mut document = serde_json::to_value(full()).unwrap();
        document["a_field_of_tomorrow"] = serde_json::json!({"x": [1]});
        document.as_object_mut().unwrap().remove("totals");
        assert_eq!(serde_json::from_value::<Status>(document).unwrap(), full());
    }

    #[test]
    fn own_answers_survive_the_way_through_json() {
        let mut status = full();
        status.totals.traffic.own_responses.insert("502".to_owned(), 7);
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.contains("\"502\":7"), "{text}");
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }

    #[test]
    fn labels_read_like_addresses() {
        let target = |id: &str, port| TargetStatus { id: id.into(), port, ..TargetStatus::default() };
        assert_eq!(target("127.0.0.1", 80).label(), "127.0.0.1:80");
        assert_eq!(target("::1", 80).label(), "[::1]:80");
        assert_eq!(target("unix:/run/a:b.sock", 0).label(), "unix:/run/a:b.sock");
    }
}
