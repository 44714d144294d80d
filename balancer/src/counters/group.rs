//! What is counted for a group and for a target. Must not know: which there are.

use super::{
    By, Cause, ConnectErrno, Counter, Histogram, Outcome, ResponseClass, Spent,
    figures::{FigureValue, Sample, Set, Settable, figures},
    histogram::seconds,
};
use serde::{Deserialize, Serialize};

/// What one worker counts for one group. Outlives reloads.
#[derive(Debug, Default)]
pub struct GroupShard {
    /// Where its requests go.
    pub routing: RoutingShard,
    /// Its sticky sessions.
    pub stickiness: StickinessShard,
    /// What came of its requests.
    pub answers: AnswersShard,
}

figures! {
    /// What one worker counts of where the requests of a group go.
    pub struct RoutingShard => /// Where the requests of a group go.
    Routing {
        requests: Counter => "balancer_group_requests_total", "Requests routed to the group.";
        failing_open: Set<bool> => "balancer_group_failing_open",
            "1 while requests go to targets that are not healthy, for want of healthy ones.";
        unhealthy_routing_requests: Counter => "balancer_unhealthy_routing_requests_total",
            "Requests sent to targets that are not healthy while the group failed open.";
        anomalous_hosts: Set<u64> => "balancer_anomalous_host_count", "Targets that fail more than their peers.";
        mitigated_hosts: Set<u64> => "balancer_mitigated_host_count",
            "Targets that get less for failing more than their peers.";
        load_skew: Set<LoadSkew> => "balancer_group_load_skew",
            "The most of any target that may get requests, divided by the mean: of requests in flight, and since registration.";
    }
}

figures! {
    /// What one worker counts of the sticky sessions of a group.
    pub struct StickinessShard => /// What came of the sticky sessions of a group.
    Stickiness {
        pinned_share: Set<Option<f64>> => "balancer_stickiness_pinned_ratio",
            "Part of the stickiness decisions by which a request went to the target it was bound to.";
        spilled_requests: Counter => "balancer_stickiness_spilled_requests_total",
            "Requests done elsewhere because the target of their session was too busy; the session stayed.";
        refused_requests: Counter => "balancer_stickiness_refused_requests_total",
            "Requests refused because the target of their session was unhealthy.";
        decisions: By<Outcome> => "balancer_stickiness_decisions_total",
            "Stickiness decisions of sticky groups by outcome.";
    }
}

figures! {
    /// What one worker counts of what came of the requests of a group.
    pub struct AnswersShard => /// What came of the requests of a group.
    Answers {
        requests_with_target: Counter => "balancer_group_requests_with_target_total",
            "Requests routed to the group for which there was a target.";
        grpc_requests: Counter => "balancer_group_grpc_requests_total", "Calls of gRPC routed to the group.";
        responses: By<ResponseClass> => "balancer_group_responses_total",
            "Responses of the group's targets by class, those of targets that are gone included; 1xx counts 101 alone.";
        connection_errors: Counter => "balancer_group_connection_errors_total",
            "Connections to the group's targets that could not be made, but for want of something on this host.";
        failures: By<Cause> => "balancer_failures_total",
            "Requests to the group that were not answered as they should have been, by cause; those alone that there were.";
        response_time: Histogram => "balancer_target_response_time_seconds",
            "From a request that is sent to a target of the group to the head of the response.";
    }
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

impl Settable for LoadSkew {
    fn tell(&self, sample: &mut Sample<'_>) {
        for (of, skew) in [("outstanding_requests", self.outstanding_requests), ("requests", self.requests)] {
            if let Some(skew) = skew {
                sample(Some(("of", of)), FigureValue::Fraction(skew));
            }
        }
    }
}

figures! {
    /// What one worker counts for one target. Outlives reloads.
    pub struct TargetShard => /// What a target did.
    TargetFigures {
        requests: Counter => "balancer_target_requests_total", "Requests sent to the target.";
        responses: By<ResponseClass> => "balancer_target_responses_total",
            "Responses of the target by class; 1xx counts 101 alone.";
        response_seconds: Spent => "balancer_target_response_seconds_total",
            "From requests that are sent to the target to the heads of their responses, all together: divided by the responses, what one takes on average.";
        connection_errors: Counter => "balancer_target_connection_errors_total",
            "Connections that could not be made, but for want of something on this host.";
        connect_failures: By<ConnectErrno> => "balancer_target_connect_failures_total",
            "Those connections that could not be made, by what the system said of it; those alone that there were.";
        tls_negotiation_errors: Counter => "balancer_target_tls_negotiation_errors_total",
            "Connections to the target whose TLS handshake failed.";
        unanswered: Counter => "balancer_target_unanswered_requests_total",
            "Requests that the target was sent on a connection that was there and did not answer with a response; connections on which it did not begin with HTTP/2.";
        stale_connections: Counter => "balancer_target_stale_connections_total",
            "Kept connections to the target that turned out to be at their end when a request was sent, which might be sent again.";
        broken_responses: Counter => "balancer_target_broken_responses_total",
            "Responses of the target that broke off behind their heads.";
        weight: Set<f64> => "balancer_target_weight",
            "What the target gets of the requests that are bound to none: 1, less in slow start and while an anomaly is mitigated, 0 when it gets none.";
        drained: Set<bool> => "balancer_target_drained", "1 while an operator keeps new sessions from the target.";
        set_weight: Set<Option<f64>> => "balancer_target_set_weight",
            "Part of its weight that an operator has given the target; of those alone that have been given one.";
        anomaly: Set<AnomalyStatus> => "balancer_target_anomalous", "1 while the target fails more than its peers.";
        sessions: Set<Option<u64>> => "balancer_target_sessions",
            "Sessions of clients that are bound to the target, of groups that are sticky.";
        sessions_everywhere: Set<Option<SessionsEverywhere>> => "balancer_target_sessions_everywhere",
            "Sessions of clients that are bound to the target, over all balancers that share the session store; while that is known alone.";
        outstanding_requests: Set<u64> => "balancer_target_outstanding_requests",
            "Requests in flight to the target, over all groups, workers and processes.";
    }
}

/// Sessions that are bound to a target, over all balancers that share the session store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionsEverywhere {
    /// All of them. One whose client comes to several balancers may be counted more than once.
    pub sessions: u64,
    /// How many balancers have told of the target, this one included.
    pub balancers: u64,
    /// How old the oldest of their figures is, in seconds.
    pub age_seconds: u64,
}

impl Settable for SessionsEverywhere {
    fn tell(&self, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Number(self.sessions));
    }
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

impl Settable for AnomalyStatus {
    fn tell(&self, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Number(u64::from(self.result == "anomalous")));
    }
}

figures! {
    /// Connections to a target, as the kernel side counts them, or userspace where there is none.
    pub struct Connections {
        open: u64 => "balancer_target_connections_open", "Connections to the target established now, over all groups.";
        connecting: u64 => "balancer_target_connections_connecting",
            "Connections to the target asked for and not answered yet, over all groups.";
        opened: u64 => "balancer_target_connections_opened_total",
            "Connections to the target established, over all groups.";
        failed: u64 => "balancer_target_connections_failed_total",
            "Attempts to connect to the target that failed, over all groups.";
        reset: u64 => "balancer_target_connections_reset_total",
            "Established connections to the target that were reset, over all groups.";
        retransmits: u64 => "balancer_target_retransmits_total", "TCP segments sent to the target again, over all groups.";
        timeouts: u64 => "balancer_target_retransmission_timeouts_total",
            "Times that the target answered nothing on a connection for as long as an answer may take, over all groups.";
        srtt_us: Micros => "balancer_target_smoothed_rtt_seconds",
            "Smoothed round-trip time of the connection to the target measured last; 0: not known.";
        bytes_in: u64 => "balancer_target_received_bytes_total", "Bytes received from the target, over all groups.";
        bytes_out: u64 => "balancer_target_sent_bytes_total", "Bytes the target got, over all groups.";
    }
}

/// Microseconds, which the metrics tell as seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Settable for Micros {
    fn tell(&self, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Fraction(seconds(self.0)));
    }
}
