//! The `health_check` block of a target group. Ranges and messages: ALB, target group health checks.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Table},
    value::shown,
};
use crate::model::{HealthCheck, HealthCheckPort, Matcher, ProbeProtocol, ProtocolVersion};

/// What Terraform sets both thresholds to when they are not given.
const TERRAFORM_THRESHOLD: u8 = 3;
const MAX_PATH: usize = 1024;
/// Codes that may count as healthy.
const CODES: RangeInclusive<u16> = 200..=499;
/// The same of gRPC.
const GRPC_CODES: RangeInclusive<u16> = 0..=99;
/// What ALB asks a gRPC target for, which answers that it has no such method: 12.
const GRPC_PATH: &str = "/AWS.ALB/healthcheck";
const GRPC_MATCHER: &str = "12";

pub(super) static HEALTH_CHECK: Table = Table {
    name: "health_check",
    top: false,
    attributes: &[
        Attribute::new(
            "enabled",
            AttributeKind::Truth { default: true },
            "Off: targets are shown as `unavailable` and get requests.",
        ),
        Attribute::new(
            "protocol",
            AttributeKind::AnyCase { allowed: &["HTTP", "HTTPS"], default: "HTTP" },
            "What probes speak, whatever requests do. A certificate is not validated unless the group has `target_tls_verification`.",
        ),
        Attribute::new(
            "port",
            AttributeKind::Text {
                allowed: "\"traffic-port\" or a whole number from 1 to 65535",
                default: "\"traffic-port\"",
            },
            "Where probes go: the port that requests go to, or this one. Unix sockets are probed where they are.",
        ),
        Attribute::new(
            "path",
            AttributeKind::Text {
                allowed: "1 to 1024 visible ASCII characters that a URL may have, the first one /",
                default: "\"/\", with GRPC \"/AWS.ALB/healthcheck\"",
            },
            "What probes ask for, query included.",
        ),
        Attribute::new(
            "interval",
            AttributeKind::Whole { min: 5, max: 300, default: Some(30) },
            "Seconds from one probe of a target to the next. Until a target is healthy for the first time its probes come each second.",
        ),
        Attribute::new(
            "timeout",
            AttributeKind::Whole { min: 2, max: 120, default: Some(5) },
            "Seconds after which a probe has failed. Less than `interval`.",
        ),
        Attribute::new(
            "healthy_threshold",
            AttributeKind::Whole { min: 2, max: 10, default: Some(5) },
            "Successes in a row that make a target healthy; the first does for a new target. \
             3 by default in one of a `resource \"aws_lb_target_group\"`, as in Terraform.",
        ),
        Attribute::new(
            "unhealthy_threshold",
            AttributeKind::Whole { min: 2, max: 10, default: Some(2) },
            "Failures in a row that make a target unhealthy. \
             3 by default in one of a `resource \"aws_lb_target_group\"`, as in Terraform.",
        ),
        Attribute::new(
            "matcher",
            AttributeKind::Text {
                allowed: "codes from 200 to 499, lists of them and ranges, such as \"200\", \"200,202\" or \"200-299\"; \
                          with GRPC from 0 to 99",
                default: "\"200\", with GRPC \"12\"",
            },
            "Status codes that count as healthy; with GRPC those of gRPC.",
        ),
    ],
    blocks: &[],
};

/// Reads the block, or gives the defaults when it is absent. Terraform has thresholds of its own for a block that is written;
/// without one it asks for none, and ALB's hold.
pub(super) fn build(
    fields: &BlockFields<'_>,
    is_of_terraform: bool,
    protocol_version: ProtocolVersion,
) -> HealthCheck {
    let (interval, timeout) = (fields.whole("interval"), fields.whole("timeout"));
    let are_known = !fields.is_wrong("interval") && !fields.is_wrong("timeout");
    if timeout >= interval && are_known {
        let name = if fields.is_given("timeout") { "timeout" } else { "interval" };
        let message = format!(
            "Health check timeout '{timeout}' must be smaller than the interval '{interval}'; \
             allowed: a `timeout` below `interval`"
        );
        fields.fault_at(name, message);
    }
    HealthCheck {
        enabled: fields.truth("enabled"),
        protocol: match fields.choice("protocol") {
            "HTTPS" => ProbeProtocol::Https,
            _ => ProbeProtocol::Http,
        },
        port: port(fields),
        protocol_version,
        path: path(fields, protocol_version),
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(timeout),
        healthy_threshold: threshold(fields, "healthy_threshold", is_of_terraform),
        unhealthy_threshold: threshold(fields, "unhealthy_threshold", is_of_terraform),
        matcher: matcher(fields, protocol_version),
    }
}

fn threshold(fields: &BlockFields<'_>, name: &str, is_of_terraform: bool) -> u8 {
    match fields.whole_if_given(name) {
        None if is_of_terraform => TERRAFORM_THRESHOLD,
        _ => u8::try_from(fields.whole(name)).unwrap_or(TERRAFORM_THRESHOLD),
    }
}

fn port(fields: &BlockFields<'_>) -> HealthCheckPort {
    let Some((value, _)) = fields.value("port") else { return HealthCheckPort::Traffic };
    if matches!(value.as_text().as_deref(), Some("traffic-port" | "")) {
        return HealthCheckPort::Traffic;
    }
    match value.as_whole().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) {
        Some(port) => HealthCheckPort::Port(port),
        None => {
            fields.fault_at("port", format!("`port` = {value}; allowed: {}", fields.allowed("port")));
            HealthCheckPort::Traffic
        }
    }
}

/// A text that is given; an empty one is Terraform's way to leave it out.
fn given(fields: &BlockFields<'_>, name: &str) -> Option<String> {
    fields.text(name).filter(|text| !text.is_empty())
}

fn path(fields: &BlockFields<'_>, version: ProtocolVersion) -> String {
    let default = if version == ProtocolVersion::Grpc { GRPC_PATH } else { "/" };
    let path = given(fields, "path").unwrap_or_else(|| default.to_owned());
    let fits = path.len() <= MAX_PATH
        && path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        // What asks for it takes no other.
        && http::uri::PathAndQuery::try_from(path.as_str()).is_ok();
    if !fits {
        fields.fault_at("path", format!("`path` = {}; allowed: {}", shown(&path), fields.allowed("path")));
    }
    path
}

fn matcher(fields: &BlockFields<'_>, version: ProtocolVersion) -> Matcher {
    let is_grpc = version == ProtocolVersion::Grpc;
    let (default, codes) = if is_grpc { (GRPC_MATCHER, GRPC_CODES) } else { ("200", CODES) };
    let text = given(fields, "matcher").unwrap_or_else(|| default.to_owned());
    parse_matcher(&text, &codes).unwrap_or_else(|| {
        fields.fault_at(
            "matcher",
            format!("`matcher` = {}; allowed: {}", shown(&text), fields.allowed("matcher")),
        );
        Matcher(Vec::new())
    })
}

/// `200`, `200,202`, `200-299` and mixtures; spaces around commas are put up with.
fn parse_matcher(text: &str, codes: &RangeInclusive<u16>) -> Option<Matcher> {
    let most_digits = codes.end().to_string().len();
    let code = |text: &str| {
        let digits =
            (1..=most_digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok())?.filter(|code| codes.contains(code))
    };
    let ranges = text.split(',').map(|part| match part.trim().split_once('-') {
        Some((low, high)) => Some((code(low)?, code(high)?)).filter(|(low, high)| low <= high),
        None => code(part.trim()).map(|code| (code, code)),
    });
    ranges.collect::<Option<Vec<_>>>().map(Matcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers() {
        for (text, expected) in [
            ("200", Some(vec![(200, 200)])),
            ("200,202", Some(vec![(200, 200), (202, 202)])),
            ("200-299", Some(vec![(200, 299)])),
            ("200-204, 301-302 ,499", Some(vec![(200, 204), (301, 302), (499, 499)])),
            ("", None),
            ("200,", None),
            ("199", None),
            ("500", None),
            ("299-200", None),
            ("200-500", None),
            ("2xx", None),
            ("+20", None),
            ("200-", None),
            ("200-250-299", None),
            ("0200", None),
        ] {
            assert_eq!(parse_matcher(text, &CODES), expected.map(Matcher), "{text}");
        }
        for (text, expected) in [
            ("0", Some(vec![(0, 0)])),
            ("12", Some(vec![(12, 12)])),
            ("0-99", Some(vec![(0, 99)])),
            ("0,5,12-14", Some(vec![(0, 0), (5, 5), (12, 14)])),
            ("100", None),
            ("200", None),
            ("012", None),
            ("", None),
        ] {
            assert_eq!(parse_matcher(text, &GRPC_CODES), expected.map(Matcher), "{text}");
        }
    }
}
