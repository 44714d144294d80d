//! Attributes of target groups (ALB: edit target group attributes).

use super::{Allowed, AttributeRule, attribute, other};

/// One week.
const WEEK: i64 = 604_800;
/// Most targets of a group.
const MOST_TARGETS: i64 = 1000;
const NETWORK: &str = "it is of Network Load Balancers, which pass on packets; leave it out";
const GATEWAY: &str = "it is of Gateway Load Balancers; leave it out";
const LAMBDA: &str = "it is of groups of Lambda functions; leave it out";
const WAF: &str = "there is no WAF here; give 'inspect_immediately'";

/// Whether targets of all zones are used. There are no zones, so that nothing goes by it, whatever it is.
pub(super) const CROSS_ZONE: &[&str] = &["true", "false", "use_load_balancer_configuration"];

/// What groups of all kinds have.
pub(super) const DELAY: AttributeRule =
    attribute("deregistration_delay.timeout_seconds", "300", Allowed::Whole(0, 3600));
pub(super) const STICKY: AttributeRule = attribute("stickiness.enabled", "false", Allowed::Truth);

/// What those have that many targets are behind.
pub(super) const DNS_COUNT: AttributeRule = attribute(
    "target_group_health.dns_failover.minimum_healthy_targets.count",
    "1",
    Allowed::WholeOr("off", 1, MOST_TARGETS),
);
pub(super) const DNS_PERCENTAGE: AttributeRule = attribute(
    "target_group_health.dns_failover.minimum_healthy_targets.percentage",
    "off",
    Allowed::WholeOr("off", 1, 100),
);
pub(super) const ROUTING_COUNT: AttributeRule = attribute(
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
    "1",
    Allowed::Whole(1, MOST_TARGETS),
);
pub(super) const ROUTING_PERCENTAGE: AttributeRule = attribute(
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
    "off",
    Allowed::WholeOr("off", 1, 100),
);

/// All there are.
pub(in crate::elbv2) static RULES: &[AttributeRule] = &[
    DELAY,
    STICKY,
    // Which types a group may have is told with its protocol.
    attribute("stickiness.type", "lb_cookie", Allowed::Choice(&["lb_cookie", "app_cookie"])),
    attribute("stickiness.lb_cookie.duration_seconds", "86400", Allowed::Whole(1, WEEK)),
    attribute("stickiness.app_cookie.cookie_name", "", Allowed::CookieName),
    attribute("stickiness.app_cookie.duration_seconds", "86400", Allowed::Whole(1, WEEK)),
    attribute(
        "load_balancing.algorithm.type",
        "round_robin",
        Allowed::Choice(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    attribute("load_balancing.algorithm.anomaly_mitigation", "off", Allowed::Choice(&["on", "off"])),
    attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Allowed::Choice(CROSS_ZONE),
    ),
    attribute("slow_start.duration_seconds", "0", Allowed::WholeOr("0", 30, 900)),
    DNS_COUNT,
    DNS_PERCENTAGE,
    ROUTING_COUNT,
    ROUTING_PERCENTAGE,
    attribute("routing.http2.rst_stream_error_forwarding.enabled", "false", Allowed::Truth),
    other("waf.http2.traffic_inspection_behavior", &["inspect_immediately"], WAF),
    other("lambda.multi_value_headers.enabled", &["false"], LAMBDA),
    other("deregistration_delay.connection_termination.enabled", &["false"], NETWORK),
    other("preserve_client_ip.enabled", &["false"], NETWORK),
    other("proxy_protocol_v2.enabled", &["false"], NETWORK),
    other("target_health_state.unhealthy.connection_termination.enabled", &["true"], NETWORK),
    other("target_health_state.unhealthy.draining_interval_seconds", &["0"], NETWORK),
    other("target_failover.on_deregistration", &["no_rebalance"], GATEWAY),
    other("target_failover.on_unhealthy", &["no_rebalance"], GATEWAY),
    other("send_tcp_reset.on_unhealthy.enabled", &["false"], GATEWAY),
    other("send_tcp_reset.on_deregistration.enabled", &["false"], GATEWAY),
];
