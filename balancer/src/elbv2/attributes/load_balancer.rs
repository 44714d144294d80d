//! Attributes of load balancers (ALB: load balancer attributes).

use super::{Allowed, AttributeRule, attribute, other};

/// Longest name of a bucket, and longest prefix in one.
const LONGEST: usize = 1024;
const NETWORK: &str = "it is of Network Load Balancers; leave it out";
const CROSS_ZONE: &str =
    "there are no zones, and every target is used; on ALB it cannot be turned off either";

/// All there are.
pub(in crate::elbv2) static RULES: &[AttributeRule] = &[
    attribute("access_logs.s3.enabled", "false", Allowed::Truth),
    attribute("access_logs.s3.bucket", "", Allowed::Text(LONGEST)),
    attribute("access_logs.s3.prefix", "", Allowed::Text(LONGEST)),
    attribute("client_keep_alive.seconds", "3600", Allowed::Whole(60, 604_800)),
    attribute("connection_logs.s3.enabled", "false", Allowed::Truth),
    attribute("connection_logs.s3.bucket", "", Allowed::Text(LONGEST)),
    attribute("connection_logs.s3.prefix", "", Allowed::Text(LONGEST)),
    attribute("deletion_protection.enabled", "false", Allowed::Truth),
    attribute("health_check_logs.s3.enabled", "false", Allowed::Truth),
    attribute("health_check_logs.s3.bucket", "", Allowed::Text(LONGEST)),
    attribute("health_check_logs.s3.prefix", "", Allowed::Text(LONGEST)),
    attribute("idle_timeout.timeout_seconds", "60", Allowed::Whole(1, 4000)),
    attribute("ipv6.deny_all_igw_traffic", "false", Allowed::Truth),
    attribute("load_balancing.cross_zone.enabled", "true", Allowed::Only(&["true"], CROSS_ZONE)),
    attribute(
        "routing.http.desync_mitigation_mode",
        "defensive",
        Allowed::Choice(&["monitor", "defensive", "strictest"]),
    ),
    attribute("routing.http.drop_invalid_header_fields.enabled", "false", Allowed::Truth),
    attribute("routing.http.preserve_host_header.enabled", "false", Allowed::Truth),
    attribute("routing.http.x_amzn_tls_kx.enabled", "false", Allowed::Truth),
    attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Allowed::Truth),
    attribute("routing.http.xff_client_port.enabled", "false", Allowed::Truth),
    attribute(
        "routing.http.xff_header_processing.mode",
        "append",
        Allowed::Choice(&["append", "preserve", "remove"]),
    ),
    attribute("routing.http2.enabled", "true", Allowed::Truth),
    attribute("waf.fail_open.enabled", "false", Allowed::Truth),
    attribute("zonal_shift.config.enabled", "false", Allowed::Truth),
    other("dns_record.client_routing_policy", &["any_availability_zone"], NETWORK),
    other("secondary_ips.auto_assigned.per_subnet", &["0"], NETWORK),
];
