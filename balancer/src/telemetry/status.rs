//! The status document: what `/status` serves, what `balancer status` prints and what the metrics are
//! made of. Field names are a promise to users; a client of another version ignores fields it does not
//! know and fills in those it misses.
//! Must not know: where the figures come from (see `inspect`), how they are written (see `metrics`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::counters::HistogramStatus;

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
    /// Configurations taken up after the first.
    pub reloads: u64,
    /// Configurations that were refused.
    pub reload_failures: u64,
    /// Workers that ended by themselves and were replaced.
    #[serde(default)]
    pub worker_restarts: u64,
    /// Why the last reload was refused; none when one was taken up since.
    pub refused_reload: Option<ErrorStatus>,
    /// Host names of targets that cannot be resolved.
    pub unresolved_names: BTreeMap<String, ErrorStatus>,
    /// Certificates that listeners show.
    pub certificates: Vec<CertificateStatus>,
    /// Log lines left out because there were too many of their kind, by kind.
    pub log_lines_left_out: BTreeMap<String, u64>,
    /// Figures over all listeners and groups.
    pub totals: Totals,
    /// The table of application sessions; none where no group uses it.
    pub session_table: Option<SessionTable>,
    /// Listeners in use.
    pub listeners: Vec<ListenerStatus>,
    /// Groups, in the order of the configuration.
    pub target_groups: Vec<GroupStatus>,
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

/// Figures over all listeners and groups, since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// What clients did, at listeners that are gone too.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Times accepting paused because file descriptors ran out.
    pub accept_pauses: u64,
    /// Faults of the balancer itself, each of which ended one connection.
    pub panics: u64,
    /// States that cannot be, where the balancer went on; in debug builds they are panics.
    pub internal_errors: u64,
    /// Requests sent again, to another target or on a fresh connection.
    pub retries: u64,
    /// Connections opened to targets.
    pub target_connects: u64,
    /// Requests sent on a pooled connection.
    pub target_reuses: u64,
    /// TLS handshakes with targets that ended well.
    pub target_tls_handshakes: u64,
    /// Those of them that resumed a session.
    pub target_tls_resumptions: u64,
    /// Lines written into log files.
    pub log_lines_written: u64,
    /// Lines that were dropped because the writer of a log file did not keep up.
    pub log_lines_dropped: u64,
    /// Lines that a log file did not take.
    pub log_lines_lost: u64,
}

/// What clients did, at one listener or at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// Client connections accepted.
    pub connections_accepted: u64,
    /// Client connections open now.
    pub connections_active: u64,
    /// Requests whose head was read whole.
    pub requests: u64,
    /// Answers of the balancer's own by status code; 460 is recorded and never sent.
    pub own_responses: BTreeMap<String, u64>,
    /// The same by cause, those alone that there were.
    pub errors: BTreeMap<String, u64>,
    /// Requests that are not compliant with RFC 7230, by classification: `Acceptable`, `Ambiguous`, `Severe`.
    pub non_compliant_requests: BTreeMap<String, u64>,
    /// Requests that lost fields for their names.
    pub dropped_invalid_header_requests: u64,
    /// Requests that kept such fields.
    pub forwarded_invalid_header_requests: u64,
    /// Rules looked at, default actions left out.
    pub rule_evaluations: u64,
    /// Redirects answered.
    pub redirects: u64,
    /// Fixed responses answered, by class of status.
    pub fixed_responses: BTreeMap<String, u64>,
    /// Decisions of group stickiness by outcome.
    pub group_stickiness: BTreeMap<String, u64>,
    /// Tunnels begun (Upgrade answered with 101).
    pub tunnels_opened: u64,
    /// Tunnels open now.
    pub tunnels_active: u64,
    /// Client connections that began with HTTP/2.
    pub http2_connections_opened: u64,
    /// Those of them open now.
    pub http2_connections_active: u64,
    /// Those that were ended for frames that make work and carry nothing.
    pub http2_floods: u64,
    /// Requests begun over HTTP/2.
    pub http2_streams_opened: u64,
    /// Those of them under way now.
    pub http2_streams_active: u64,
    /// TLS handshakes with clients that ended well.
    pub client_tls_handshakes: u64,
    /// Those of them that resumed a session.
    pub client_tls_resumptions: u64,
    /// TLS handshakes with clients that failed.
    pub client_tls_negotiation_errors: u64,
    /// Those of them that failed for the client's certificate, by reason.
    pub client_certificate_refusals: BTreeMap<String, u64>,
    /// Calls of gRPC.
    pub grpc_requests: u64,
    /// Requests of clients at IPv6 addresses.
    pub ipv6_requests: u64,
    /// Bytes from and to clients at IPv6 addresses.
    pub ipv6_bytes: u64,
    /// Bytes read from clients.
    pub bytes_received: u64,
    /// Bytes written to clients.
    pub bytes_sent: u64,
}

/// How full the table of application sessions is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionTable {
    /// Sessions it can hold.
    pub capacity: u64,
    /// Entries in use, expired ones that nothing has replaced yet included.
    pub entries: u64,
    /// How far off that may be, in 19 cases of 20: 0 unless the table is larger than by default.
    pub entries_error: u64,
    /// Entries that gave way to others, by what they were: `new`, `returned`, `expired`.
    pub evicted: BTreeMap<String, u64>,
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
    /// What its clients did.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// From the first byte of a request to the last of its answer, tunnels left out.
    pub request_duration: HistogramStatus,
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
    /// Whether requests go to targets that are not healthy, for want of healthy ones.
    pub failing_open: bool,
    /// Targets that fail more than their peers.
    pub anomalous_hosts: u64,
    /// Targets that get less for it.
    pub mitigated_hosts: u64,
    /// Requests routed to the group.
    pub requests: u64,
    /// Those of them that are calls of gRPC.
    pub grpc_requests: u64,
    /// Those of them for which there was a target.
    pub requests_with_target: u64,
    /// Responses of its targets by class, those of targets that are gone included.
    pub responses: BTreeMap<String, u64>,
    /// Connections to its targets that could not be made.
    pub connection_errors: u64,
    /// Its requests that were not answered as they should have been, by cause, those alone that there were.
    pub failures: BTreeMap<String, u64>,
    /// From a request to the head of the target's response.
    pub response_time: HistogramStatus,
    /// Requests sent to targets that are not healthy while failing open.
    pub unhealthy_routing_requests: u64,
    /// Its stickiness.
    pub stickiness: StickinessStatus,
    /// How unevenly its targets are used.
    pub load_skew: LoadSkew,
    /// Its targets, draining ones included.
    pub targets: Vec<TargetStatus>,
}

/// Stickiness of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StickinessStatus {
    /// Whether it is on.
    pub enabled: bool,
    /// `lb_cookie` or `app_cookie`; none when off.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The application's cookie of `app_cookie`, the balancer's of `lb_cookie`; none when off.
    pub cookie_name: Option<String>,
    /// How long a session sticks, in seconds; none when off.
    pub duration_seconds: Option<u32>,
    /// Decisions by outcome.
    pub decisions: BTreeMap<String, u64>,
    /// Part of the decisions that a request went to the target it was bound to, 0 to 1; none before the first.
    pub pinned_share: Option<f64>,
    /// Requests done elsewhere because their target was too busy (`load_factor`); their sessions stayed.
    pub spilled_requests: u64,
    /// Requests refused because their target was unhealthy (`stickiness_failover`).
    pub refused_requests: u64,
}

/// How unevenly a group's targets are used: the most of any target that may get requests, divided by the mean.
/// 1: evenly; none: there is nothing to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadSkew {
    /// Of requests in flight now.
    pub outstanding_requests: Option<f64>,
    /// Of requests since the targets were registered.
    pub requests: Option<f64>,
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
    /// What it gets of the requests that are bound to no target, beside the others: 1, or less in slow start
    /// and while an anomaly is mitigated.
    pub weight: f64,
    /// Anomaly detection.
    pub anomaly: AnomalyStatus,
    /// Requests in flight, over all workers, groups and processes.
    pub outstanding_requests: u64,
    /// Requests sent to it for this group.
    pub requests: u64,
    /// Its responses by class: `1xx` (101 alone) to `5xx`.
    pub responses: BTreeMap<String, u64>,
    /// Connections that could not be made.
    pub connection_errors: u64,
    /// How it failed a request last.
    pub last_error: Option<ErrorStatus>,
    /// How it failed its last health check; none once it passed one.
    pub check_error: Option<ErrorStatus>,
    /// Connections whose TLS handshake failed.
    pub tls_negotiation_errors: u64,
    /// Sessions of clients that are bound to it; none where the group is not sticky.
    pub sessions: Option<u64>,
    /// Its connections, over all groups.
    pub connections: Connections,
}

/// What anomaly detection says of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnomalyStatus {
    /// `normal` or `anomalous`.
    pub result: String,
    /// Whether it gets less than the others for it.
    pub mitigation_in_effect: bool,
}

impl Default for AnomalyStatus {
    fn default() -> Self {
        Self { result: "normal".to_owned(), mitigation_in_effect: false }
    }
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

/// Connections to a target, as the kernel side counts them, or userspace where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// Established now.
    pub open: u64,
    /// Asked for and not answered yet.
    pub connecting: u64,
    /// Established so far.
    pub opened: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Established ones that were reset.
    pub reset: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Smoothed round-trip time of the connection measured last, in microseconds; 0: not known.
    pub srtt_us: u64,
    /// Bytes received from the target.
    pub bytes_in: u64,
    /// Bytes the target got.
    pub bytes_out: u64,
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
