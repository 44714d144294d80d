//! What is asked for and is another service's or another kind of load balancer's: whose it is, and what to do instead. Must not
//! know: which attributes there are.

const NETWORK: &str = "it is of Network Load Balancers, which pass on packets";
const GATEWAY: &str = "it is of Gateway Load Balancers, which pass on packets to appliances";
const ADDRESS_OF_CLIENTS: &str =
    "it is of Network Load Balancers; targets are told the client's address by X-Forwarded-For here";

/// Attributes with a value, or with any.
const OTHERS: &[(&str, Option<&str>, &str)] = &[
    (
        "target_type",
        Some("lambda"),
        "Lambda functions run on AWS alone; run the function's code behind a web server, for instance in its container image \
         with AWS' Lambda Web Adapter, and give its address as a target of type \"ip\"",
    ),
    (
        "target_type",
        Some("alb"),
        "it is of Network Load Balancers that lead to an ALB; clients can come to the ALB's listeners directly, or give the \
         listener's address and port as a target of type \"ip\"",
    ),
    (
        "load_balancer_type",
        Some("network"),
        "Network Load Balancers pass on packets, which is not done here; leave it to the kernel (IPVS), HAProxy or nginx, and \
         keep the blocks of the Application Load Balancer in this folder",
    ),
    ("load_balancer_type", Some("gateway"), GATEWAY),
    ("lambda_multi_value_headers_enabled", None, "it is of groups of Lambda functions; leave it out"),
    ("proxy_protocol_v2", None, ADDRESS_OF_CLIENTS),
    ("preserve_client_ip", None, ADDRESS_OF_CLIENTS),
    (
        "connection_termination",
        None,
        "it is of Network Load Balancers; requests in flight have `deregistration_delay` to end here, and then they are ended",
    ),
    (
        "target_control_port",
        None,
        "the target optimizer is AWS' own; `load_balancing_algorithm_type` = \"least_outstanding_requests\" goes by what targets \
         are at",
    ),
    (
        "alpn_policy",
        None,
        "it is of Network Load Balancers; HTTP/2 is offered by `enable_http2` of the load balancer",
    ),
    (
        "tcp_idle_timeout_seconds",
        None,
        "it is of Network Load Balancers; `idle_timeout` of the load balancer is what there is",
    ),
    ("enable_prefix_for_ipv6_source_nat", None, NETWORK),
    ("secondary_ips_auto_assigned_per_subnet", None, NETWORK),
    ("quic_server_id", None, NETWORK),
    (
        "type",
        Some("authenticate-cognito"),
        "users are not authenticated here; put oauth2-proxy or the like between this and the targets, as a target of its own",
    ),
    (
        "type",
        Some("authenticate-oidc"),
        "users are not authenticated here; put oauth2-proxy or the like between this and the targets, as a target of its own",
    ),
    (
        "type",
        Some("jwt-validation"),
        "tokens are not looked at here; have the targets, or a proxy before them, verify them",
    ),
];

/// Whose a value is, and what to do instead, in words that go on behind the value.
pub(super) fn whose(attribute: &str, value: &str) -> Option<&'static str> {
    let is_it = |(name, one, _): &&(&str, Option<&str>, &str)| {
        *name == attribute && one.is_none_or(|one| one.eq_ignore_ascii_case(value))
    };
    OTHERS.iter().find(is_it).map(|(_, _, whose)| *whose)
}
