//! Health checks of target groups: what is asked for, and defaults (ALB: target group health checks).

use crate::elbv2::{
    call::shown,
    failure::ApiFailure,
    params::Params,
    records::{HealthCheckRecord, PACKET_PROTOCOLS},
};

/// What ALB asks gRPC targets for, which answer that they have no such method: 12.
const GRPC_PATH: &str = "/AWS.ALB/healthcheck";

/// What is expected of targets of packets that are asked by HTTP.
const PACKET_MATCHER: &str = "200-399";

/// Checks of a group that asks for nothing.
pub(super) fn default_of(protocol: &str, protocol_version: &str) -> HealthCheckRecord {
    if PACKET_PROTOCOLS.contains(&protocol) {
        let (interval, timeout) = if protocol == "GENEVE" { (10, 5) } else { (30, 10) };
        return HealthCheckRecord {
            enabled: true,
            protocol: "TCP".to_owned(),
            port: "traffic-port".to_owned(),
            interval,
            timeout,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            ..HealthCheckRecord::default()
        };
    }
    let is_grpc = protocol_version == "GRPC";
    HealthCheckRecord {
        enabled: true,
        protocol: "HTTP".to_owned(),
        port: "traffic-port".to_owned(),
        path: if is_grpc { GRPC_PATH } else { "/" }.to_owned(),
        interval: 30,
        timeout: 5,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: if is_grpc { "12" } else { "200" }.to_owned(),
    }
}

/// Checks with what is asked for changed.
///
/// # Errors
/// A value may not be what it is, or not beside another.
pub(super) fn changed(
    before: &HealthCheckRecord,
    protocol: &str,
    protocol_version: &str,
    target_type: &str,
    params: &Params,
) -> Result<HealthCheckRecord, ApiFailure> {
    if params.truth("HealthCheckEnabled") == Some(false) {
        let message =
            format!("Health check enabled must be true for target groups with target type '{target_type}'");
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let number = |name: &str, before: u32| {
        params.whole(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(before)
    };
    let packets = PACKET_PROTOCOLS.contains(&protocol);
    let asks = check_protocol(params, protocol)?.unwrap_or_else(|| before.protocol.clone());
    if asks == "TCP" && (params.text("HealthCheckPath").is_some() || params.given("Matcher").is_some()) {
        let message = "Health check path and matcher are not supported for health checks with protocol 'TCP'";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let before = &by(before, &asks);
    let check = HealthCheckRecord {
        enabled: true,
        protocol: asks,
        port: check_port(params)?.unwrap_or_else(|| before.port.clone()),
        path: path(params)?.unwrap_or_else(|| before.path.clone()),
        interval: number("HealthCheckIntervalSeconds", before.interval),
        timeout: number("HealthCheckTimeoutSeconds", before.timeout),
        healthy_threshold: number("HealthyThresholdCount", before.healthy_threshold),
        unhealthy_threshold: number("UnhealthyThresholdCount", before.unhealthy_threshold),
        matcher: matcher(params, protocol_version)?.unwrap_or_else(|| before.matcher.clone()),
    };
    if check.timeout > check.interval || check.timeout == check.interval && !packets {
        let message = format!(
            "Health check timeout '{}' must be smaller than {}the interval '{}'",
            check.timeout,
            if packets { "or equal to " } else { "" },
            check.interval
        );
        return Err(ApiFailure::validation(message));
    }
    Ok(check)
}

/// What was before, as far as it goes with checks by `protocol`: those by TCP ask for nothing.
fn by(before: &HealthCheckRecord, protocol: &str) -> HealthCheckRecord {
    let changed = |path: &str, matcher: &str, timeout| HealthCheckRecord {
        path: path.to_owned(),
        matcher: matcher.to_owned(),
        timeout,
        ..before.clone()
    };
    match (before.protocol.as_str(), protocol) {
        ("TCP", "HTTP") => changed("/", PACKET_MATCHER, before.timeout.min(6)),
        ("TCP", "HTTPS") => changed("/", PACKET_MATCHER, before.timeout),
        ("HTTP" | "HTTPS", "TCP") => changed("", "", before.timeout),
        _ => before.clone(),
    }
}

fn check_protocol(params: &Params, of_group: &str) -> Result<Option<String>, ApiFailure> {
    match params.text("HealthCheckProtocol") {
        None => Ok(None),
        Some(protocol @ ("HTTP" | "HTTPS")) => Ok(Some(protocol.to_owned())),
        Some("TCP") if PACKET_PROTOCOLS.contains(&of_group) => Ok(Some("TCP".to_owned())),
        Some(protocol) => {
            let or_tcp = if PACKET_PROTOCOLS.contains(&of_group) { ", or 'TCP'" } else { "" };
            let message = format!(
                "Health check protocol '{protocol}' is not supported for target groups with the {of_group} protocol; it \
                 must be 'HTTP' or 'HTTPS'{or_tcp}"
            );
            Err(ApiFailure::new("InvalidConfigurationRequest", message))
        }
    }
}

fn check_port(params: &Params) -> Result<Option<String>, ApiFailure> {
    let Some(port) = params.text("HealthCheckPort") else { return Ok(None) };
    if port == "traffic-port" {
        return Ok(Some(port.to_owned()));
    }
    let number =
        params.whole("HealthCheckPort").and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    match number {
        Some(number) => Ok(Some(number.to_string())),
        None => {
            let message =
                format!("Health check port '{}' must be 'traffic-port' or in the range 1-65535", shown(port));
            Err(ApiFailure::validation(message))
        }
    }
}

fn path(params: &Params) -> Result<Option<String>, ApiFailure> {
    let Some(path) = params.text("HealthCheckPath") else { return Ok(None) };
    let is_path = path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && http::uri::PathAndQuery::try_from(path).is_ok();
    if is_path {
        return Ok(Some(path.to_owned()));
    }
    let message = format!(
        "Health check path '{}' must begin with a '/' character and hold only characters that a URL may have",
        shown(path)
    );
    Err(ApiFailure::validation(message))
}

fn matcher(params: &Params, protocol_version: &str) -> Result<Option<String>, ApiFailure> {
    let matcher = params.part("Matcher");
    let is_grpc = protocol_version == "GRPC";
    let (name, other) = if is_grpc { ("GrpcCode", "HttpCode") } else { ("HttpCode", "GrpcCode") };
    if matcher.text(other).is_some() {
        let message = format!(
            "Matcher.{other} is not supported for target groups with the {protocol_version} protocol version; give \
             Matcher.{name}"
        );
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let Some(codes) = matcher.text(name) else { return Ok(None) };
    let (least, most) = if is_grpc { (0, 99) } else { (200, 499) };
    if are_codes(codes, least, most) {
        return Ok(Some(codes.to_owned()));
    }
    let message = format!(
        "Health check matcher {name} '{}' must be within '{least}-{most}', such as '{least}', '{least},{most}' or \
         '{least}-{most}'",
        shown(codes)
    );
    Err(ApiFailure::validation(message))
}

/// `200`, `200,202`, `200-299` and mixtures; spaces around commas are put up with.
fn are_codes(text: &str, least: u16, most: u16) -> bool {
    let digits = most.to_string().len();
    let code = |text: &str| {
        let is_number = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|code| is_number && (least..=most).contains(code))
    };
    text.split(',').all(|part| match part.trim().split_once('-') {
        Some((low, high)) => code(low).zip(code(high)).is_some_and(|(low, high)| low <= high),
        None => code(part.trim()).is_some(),
    })
}
