//! Which of these metrics is which of CloudWatch's in the namespace `AWS/ApplicationELB`: the table of
//! `docs/metrics.md`, which tests hold to what is exported.

/// Where the figure of a CloudWatch metric is to be found.
#[derive(Clone, Copy, Debug)]
pub enum Export {
    /// As an expression of PromQL; over time it is to be put into `rate` or `increase`.
    Expression(&'static str),
    /// Nowhere, and why.
    Nowhere(&'static str),
}

use Export::{Expression, Nowhere};

const NO_AUTHENTICATION: &str = "this version does not authenticate users";
const NO_REPUTATION: &str = "there is no list of addresses of low reputation";
const NO_OPTIMIZER: &str = "there is no target optimizer";
const NO_UNITS: &str = "nothing is charged for";
const NO_LAMBDA: &str = "there are no Lambda targets";
const NO_ZONES: &str = "there are no zones and no DNS of the balancer's own";

/// Every metric of the namespace, in the order of ALB's documentation.
pub const METRICS: &[(&str, Export)] = &[
    (
        "ActiveConnectionCount",
        // A target of two groups has them in the series of both; where there is none, a sum would be of nothing.
        Expression(
            "sum(balancer_connections_active) + (sum(max without (target_group) (balancer_target_connections_open)) or vector(0))",
        ),
    ),
    (
        "NewConnectionCount",
        Expression("sum(balancer_connections_accepted_total) + sum(balancer_target_connects_total)"),
    ),
    ("RejectedConnectionCount", Expression("balancer_accept_pauses_total")),
    ("ProcessedBytes", Expression("sum(balancer_received_bytes_total) + sum(balancer_sent_bytes_total)")),
    ("IPv6ProcessedBytes", Expression("sum(balancer_ipv6_processed_bytes_total)")),
    ("IPv6RequestCount", Expression("sum(balancer_ipv6_requests_total)")),
    ("ClientTLSNegotiationErrorCount", Expression("sum(balancer_client_tls_negotiation_errors_total)")),
    ("HTTPCode_ELB_3XX_Count", Expression("sum(balancer_redirects_total)")),
    (
        "HTTPCode_ELB_4XX_Count",
        Expression(
            "sum(balancer_responses_total{status=~\"4..\"}) + sum(balancer_fixed_responses_total{class=\"4xx\"})",
        ),
    ),
    (
        "HTTPCode_ELB_5XX_Count",
        Expression(
            "sum(balancer_responses_total{status=~\"5..\"}) + sum(balancer_fixed_responses_total{class=\"5xx\"})",
        ),
    ),
    ("HTTPCode_ELB_500_Count", Expression("sum(balancer_responses_total{status=\"500\"})")),
    ("HTTPCode_ELB_502_Count", Expression("sum(balancer_responses_total{status=\"502\"})")),
    ("HTTPCode_ELB_503_Count", Expression("sum(balancer_responses_total{status=\"503\"})")),
    ("HTTPCode_ELB_504_Count", Expression("sum(balancer_responses_total{status=\"504\"})")),
    ("HTTP_Fixed_Response_Count", Expression("sum(balancer_fixed_responses_total)")),
    ("HTTP_Redirect_Count", Expression("sum(balancer_redirects_total)")),
    ("HTTP_Redirect_Url_Limit_Exceeded_Count", Expression("sum(balancer_responses_total{status=\"507\"})")),
    (
        "DesyncMitigationMode_NonCompliant_Request_Count",
        Expression("sum(balancer_desync_mitigation_non_compliant_requests_total)"),
    ),
    ("ELBAuthError", Nowhere(NO_AUTHENTICATION)),
    ("ELBAuthFailure", Nowhere(NO_AUTHENTICATION)),
    ("ELBAuthLatency", Nowhere(NO_AUTHENTICATION)),
    ("ELBAuthRefreshTokenSuccess", Nowhere(NO_AUTHENTICATION)),
    ("ELBAuthSuccess", Nowhere(NO_AUTHENTICATION)),
    ("ELBAuthUserClaimsSizeExceeded", Nowhere(NO_AUTHENTICATION)),
    ("LowReputation*", Nowhere(NO_REPUTATION)),
    ("TargetControl*", Nowhere(NO_OPTIMIZER)),
    ("DroppedInvalidHeaderRequestCount", Expression("sum(balancer_dropped_invalid_header_requests_total)")),
    (
        "ForwardedInvalidHeaderRequestCount",
        Expression("sum(balancer_forwarded_invalid_header_requests_total)"),
    ),
    ("NonStickyRequestCount", Expression("sum(balancer_non_sticky_requests_total)")),
    ("AppCookieNonStickinessCount", Expression("sum(balancer_app_cookie_non_sticky_requests_total)")),
    ("RuleEvaluations", Expression("sum(balancer_rule_evaluations_total)")),
    ("ConsumedLCUs", Nowhere(NO_UNITS)),
    ("PeakLCUs", Nowhere(NO_UNITS)),
    ("ReservedLCUs", Nowhere(NO_UNITS)),
    ("CapacityUtilization", Nowhere(NO_UNITS)),
    ("RequestCount", Expression("balancer_group_requests_with_target_total")),
    ("HTTPCode_Target_2XX_Count", Expression("balancer_group_responses_total{class=\"2xx\"}")),
    ("HTTPCode_Target_3XX_Count", Expression("balancer_group_responses_total{class=\"3xx\"}")),
    ("HTTPCode_Target_4XX_Count", Expression("balancer_group_responses_total{class=\"4xx\"}")),
    ("HTTPCode_Target_5XX_Count", Expression("balancer_group_responses_total{class=\"5xx\"}")),
    ("TargetResponseTime", Expression("balancer_target_response_time_seconds_bucket")),
    ("TargetConnectionErrorCount", Expression("balancer_group_connection_errors_total")),
    (
        "TargetTLSNegotiationErrorCount",
        Expression("sum by (target_group) (balancer_target_tls_negotiation_errors_total)"),
    ),
    ("HealthyHostCount", Expression("balancer_healthy_host_count")),
    ("UnHealthyHostCount", Expression("balancer_unhealthy_host_count")),
    ("AnomalousHostCount", Expression("balancer_anomalous_host_count")),
    ("MitigatedHostCount", Expression("balancer_mitigated_host_count")),
    ("HealthyStateDNS", Nowhere(NO_ZONES)),
    ("HealthyStateRouting", Expression("1 - balancer_group_failing_open")),
    ("UnhealthyStateDNS", Nowhere(NO_ZONES)),
    ("UnhealthyStateRouting", Expression("balancer_group_failing_open")),
    ("UnhealthyRoutingRequestCount", Expression("balancer_unhealthy_routing_requests_total")),
    ("ActiveZonalShiftHostCount", Nowhere(NO_ZONES)),
    (
        "RequestCountPerTarget",
        Expression(
            "increase(balancer_group_requests_with_target_total[1m]) / count without (target) (balancer_target_weight > 0)",
        ),
    ),
    ("GrpcRequestCount", Expression("balancer_group_grpc_requests_total")),
    ("LambdaInternalError", Nowhere(NO_LAMBDA)),
    ("LambdaUserError", Nowhere(NO_LAMBDA)),
    ("LambdaTargetProcessedBytes", Nowhere(NO_LAMBDA)),
];
