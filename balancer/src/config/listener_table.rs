//! What a `listener` block may say. Must not know: what comes of it.

use super::{
    action,
    mutual_authentication::{self, MUTUAL_AUTHENTICATION},
    response_fields,
    schema::{Attribute, AttributeKind, Child, Table},
};

pub(super) static LISTENER: Table = Table {
    name: "listener",
    top: true,
    attributes: &[
        Attribute::new(
            "load_balancer_arn",
            AttributeKind::Reference {
                to: "load_balancer",
                default: "the only one, or one with the defaults when none is given",
            },
            "The load balancer whose attributes hold for this listener.",
        ),
        Attribute::new(
            "port",
            AttributeKind::Whole { min: 1, max: 65_535, default: None },
            "Where it listens. Needed.",
        ),
        Attribute::new(
            "address",
            AttributeKind::Text { allowed: "an IPv4 or IPv6 address of this host", default: "\"0.0.0.0\"" },
            "The address it listens at. `::` is every IPv6 address and no IPv4 one. Not on ALB.",
        ),
        Attribute::new(
            "http2_prior_knowledge",
            AttributeKind::Truth { default: false },
            "Whether clients may begin with HTTP/2 without TLS. Without effect where `enable_http2` is false. Not on ALB.",
        ),
        Attribute::new(
            "protocol",
            AttributeKind::AnyCase { allowed: &["HTTP", "HTTPS"], default: "HTTP" },
            "What clients speak.",
        ),
        Attribute::new(
            "ssl_policy",
            AttributeKind::Text {
                allowed: "the name of a security policy of ALB's: see tls.md",
                default: "\"ELBSecurityPolicy-TLS13-1-2-Res-2021-06\" with HTTPS",
            },
            "Protocol versions and cipher suites of an HTTPS listener.",
        ),
        Attribute::new(
            "certificate_arn",
            AttributeKind::Reference { to: "certificate", default: "" },
            "The certificate for clients that ask for no other's name. Needed with HTTPS.",
        ),
        Attribute::new(
            "alpn_policy",
            AttributeKind::Choice {
                allowed: &["", "None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"],
                default: "",
                later: &[],
            },
            "Which protocols TLS offers (ALPN): by default HTTP/2 before HTTP/1.1, and HTTP/2 only where `enable_http2` is true.",
        ),
        Attribute::new(
            "tcp_idle_timeout_seconds",
            AttributeKind::Only { allowed: &[] },
            "Of Network Load Balancers.",
        ),
        mutual_authentication::VERSION,
        mutual_authentication::CIPHER_SUITE,
        mutual_authentication::SERIAL_NUMBER,
        mutual_authentication::ISSUER,
        mutual_authentication::SUBJECT,
        mutual_authentication::VALIDITY,
        mutual_authentication::LEAF,
        mutual_authentication::CHAIN,
        response_fields::SERVER_ENABLED,
        response_fields::STRICT_TRANSPORT_SECURITY,
        response_fields::ALLOW_ORIGIN,
        response_fields::ALLOW_METHODS,
        response_fields::ALLOW_HEADERS,
        response_fields::ALLOW_CREDENTIALS,
        response_fields::EXPOSE_HEADERS,
        response_fields::MAX_AGE,
        response_fields::CONTENT_SECURITY_POLICY,
        response_fields::CONTENT_TYPE_OPTIONS,
        response_fields::FRAME_OPTIONS,
    ],
    blocks: &[Child::Block(&DEFAULT_ACTION), Child::Block(&MUTUAL_AUTHENTICATION)],
};

pub(super) static DEFAULT_ACTION: Table =
    Table { name: "default_action", top: false, attributes: action::ATTRIBUTES, blocks: action::BLOCKS };
