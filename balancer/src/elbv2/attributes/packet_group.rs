//! Attributes of target groups that other kinds of load balancers have, which pass on packets (AWS: target groups for Network
//! Load Balancers and for Gateway Load Balancers). Nothing is sent to such a group here.

use super::{
    Allowed, AttributeRule, attribute,
    target_group::{
        CROSS_ZONE, DELAY, DNS_COUNT, DNS_PERCENTAGE, ROUTING_COUNT, ROUTING_PERCENTAGE, RULES, STICKY,
    },
};

const REBALANCE: Allowed = Allowed::Choice(&["rebalance", "no_rebalance"]);

/// Of groups of Network Load Balancers.
static NETWORK: &[AttributeRule] = &[
    DELAY,
    attribute("deregistration_delay.connection_termination.enabled", "false", Allowed::Truth),
    STICKY,
    attribute("stickiness.type", "source_ip", Allowed::Choice(&["source_ip"])),
    attribute("preserve_client_ip.enabled", "true", Allowed::Truth),
    attribute("proxy_protocol_v2.enabled", "false", Allowed::Truth),
    attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Allowed::Choice(CROSS_ZONE),
    ),
    DNS_COUNT,
    DNS_PERCENTAGE,
    ROUTING_COUNT,
    ROUTING_PERCENTAGE,
    attribute("target_health_state.unhealthy.connection_termination.enabled", "true", Allowed::Truth),
    attribute("target_health_state.unhealthy.draining_interval_seconds", "0", Allowed::Whole(0, 360_000)),
];

/// Of groups of Gateway Load Balancers.
static GATEWAY: &[AttributeRule] = &[
    DELAY,
    STICKY,
    attribute("stickiness.type", "source_ip_dest_ip_proto", Allowed::Choice(GATEWAY_TYPES)),
    attribute("target_failover.on_deregistration", "no_rebalance", REBALANCE),
    attribute("target_failover.on_unhealthy", "no_rebalance", REBALANCE),
];

/// Types of stickiness of groups of Gateway Load Balancers; none of it there means all of a connection's addresses and ports.
pub(in crate::elbv2) const GATEWAY_TYPES: &[&str] = &["source_ip_dest_ip_proto", "source_ip_dest_ip"];

/// All attributes that a group of this protocol has.
pub(in crate::elbv2) fn rules_of(protocol: &str) -> &'static [AttributeRule] {
    match protocol {
        "HTTP" | "HTTPS" => RULES,
        "GENEVE" => GATEWAY,
        _ => NETWORK,
    }
}
