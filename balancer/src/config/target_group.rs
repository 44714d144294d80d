//! `target_group` blocks (`aws_lb_target_group`) with what stands in them.

use std::{collections::HashMap, time::Duration};

use super::{
    exclusions,
    fields::{BlockContext, BlockFields},
    health_check::{self, HEALTH_CHECK},
    names::{NAME, Named, Names},
    schema::{Attribute, AttributeKind, Child, Table},
    source::Position,
    stickiness::{self, STICKINESS},
    target_address, target_source, target_tls,
    value::shown,
};
use crate::model::{
    Algorithm, MAX_TARGETS, MinimumHealthy, ProtocolVersion, StickinessExtras, StickinessKind,
    StickinessSettings, TargetAddress, TargetGroup, TargetSpec,
};

/// Most groups (ALB: quotas).
pub(super) const MAX_GROUPS: usize = 100;
/// Whether resets go to clients.
const FORWARDS_RESETS: &str = "routing_http2_rst_stream_error_forwarding_enabled";
/// Whether targets of all zones are used.
const CROSS_ZONE: &str = "load_balancing_cross_zone_enabled";
/// The port of a group that gives none: not used, since then every target has its own.
const UNUSED_PORT: u16 = 80;

pub(super) static TARGET_GROUP: Table = Table {
    name: "target_group",
    top: true,
    attributes: &[
        NAME,
        Attribute::new(
            "port",
            AttributeKind::Whole { min: 1, max: 65_535, default: None },
            "Port of targets that give none. Needed when there are such targets.",
        ),
        Attribute::new(
            "load_balancing_algorithm_type",
            AttributeKind::Choice {
                allowed: &["round_robin", "least_outstanding_requests", "weighted_random"],
                default: "round_robin",
                later: &[],
            },
            "How the target of a request is chosen that sticks to none: in turn, where fewest requests are in flight, \
             or at random; the last not together with stickiness.",
        ),
        Attribute::new(
            "deregistration_delay",
            AttributeKind::Whole { min: 0, max: 3600, default: Some(300) },
            "Seconds that requests in flight to a target that is taken out have to end.",
        ),
        Attribute::new(
            "deregistration_stickiness",
            AttributeKind::Choice { allowed: &["move", "keep"], default: "move", later: &[] },
            "Whether the sessions of a target that is taken out move at once, as on ALB, or stay until the delay ends \
             (\"keep\", which is the default with `app_header`). Only with stickiness. Not on ALB.",
        ),
        Attribute::new(
            "stickiness_failover",
            AttributeKind::Choice { allowed: &["move", "fail"], default: "move", later: &[] },
            "Whether a session whose target is unhealthy moves to another, as on ALB, or is answered 503. Only with \
             stickiness. Not on ALB.",
        ),
        Attribute::new(
            "targets",
            AttributeKind::List { allowed: target_address::ALLOWED },
            "The targets; short for a `target_group_attachment` block each. Not on ALB.",
        ),
        Attribute::new(
            target_source::TARGETS_FROM,
            AttributeKind::Text { allowed: target_source::ALLOWED, default: "none" },
            "Where the group learns of further targets, which come and go without a reload. Not on ALB.",
        ),
        Attribute::new(
            "slow_start",
            AttributeKind::WholeOr { word: "0", min: 30, max: 900 },
            "Seconds over which the share of a target that has become healthy rises to that of the others. Only with \
             `round_robin`.",
        ),
        Attribute::new(
            "load_balancing_anomaly_mitigation",
            AttributeKind::Choice { allowed: &["off", "on"], default: "off", later: &[] },
            "Whether targets that fail more than others get less. Only with `weighted_random`.",
        ),
        Attribute::new(
            "protocol",
            AttributeKind::AnyCase { allowed: &["HTTP", "HTTPS"], default: "HTTP" },
            "What targets speak. With HTTPS any certificate will do, unless `target_tls_verification` is on.",
        ),
        Attribute::new(
            "protocol_version",
            AttributeKind::AnyCase { allowed: &["HTTP1", "HTTP2", "GRPC"], default: "HTTP1" },
            "Which version of it. With HTTP2 and GRPC, clients have to speak HTTP/2; others are answered 464.",
        ),
        Attribute::new(
            FORWARDS_RESETS,
            AttributeKind::Truth { default: false },
            "Whether a client gets the code by which its target resets a request over HTTP/2, in the place of 502 or of \
             `INTERNAL_ERROR`. Only with HTTP2 and GRPC does it make a difference. ALB has it as \
             `routing.http2.rst_stream_error_forwarding.enabled`, Terraform's provider has not.",
        ),
        Attribute::new(
            target_tls::VERIFICATION,
            AttributeKind::Choice { allowed: &["off", "on"], default: "off", later: &[] },
            "Whether the certificates of targets have to be signed by an authority of `target_tls_ca_file`, valid, and \
             for the target's address or `target_tls_server_name`. Only with HTTPS. Not on ALB.",
        ),
        Attribute::new(
            target_tls::CA_FILE,
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "" },
            "The certificates of these authorities. Needed with `target_tls_verification`. Read again on a reload. Not on ALB.",
        ),
        Attribute::new(
            target_tls::SERVER_NAME,
            AttributeKind::Text { allowed: "a host name", default: "none" },
            "The name that targets are asked for (SNI) and that their certificates have to be for. Only with HTTPS. Not on ALB.",
        ),
        Attribute::new(
            "target_type",
            AttributeKind::Only { allowed: &["instance", "ip"] },
            "What targets are.",
        ),
        Attribute::new(
            CROSS_ZONE,
            AttributeKind::Choice {
                allowed: &["true", "false", "use_load_balancer_configuration"],
                default: "use_load_balancer_configuration",
                later: &[],
            },
            "Whether targets of all zones are used: there are no zones here, so that all are, and \"false\" is warned of.",
        ),
        Attribute::new(
            "lambda_multi_value_headers_enabled",
            AttributeKind::Only { allowed: &["false"] },
            "How headers reach a Lambda function.",
        ),
        Attribute::new(
            "proxy_protocol_v2",
            AttributeKind::Only { allowed: &["false"] },
            "Of Network Load Balancers.",
        ),
        Attribute::new(
            "preserve_client_ip",
            AttributeKind::Only { allowed: &["false"] },
            "Of Network Load Balancers.",
        ),
        Attribute::new(
            "connection_termination",
            AttributeKind::Only { allowed: &["false"] },
            "Of Network Load Balancers.",
        ),
        Attribute::new(
            "target_control_port",
            AttributeKind::Only { allowed: &["0"] },
            "Where targets say how many requests they take at once: the target optimizer of ALB.",
        ),
        Attribute::ignored("name_prefix"),
        Attribute::ignored("vpc_id"),
        Attribute::ignored("ip_address_type"),
    ],
    blocks: &[
        Child::Block(&STICKINESS),
        Child::Block(&HEALTH_CHECK),
        Child::Block(&TARGET_GROUP_HEALTH),
        Child::Block(&target_source::TARGET_DISCOVERY),
        // Of Gateway and Network Load Balancers: Terraform's provider passes over them for groups of HTTP.
        Child::Ignored("target_failover"),
        Child::Ignored("target_health_state"),
    ],
};

pub(super) static TARGET_GROUP_HEALTH: Table = Table {
    name: "target_group_health",
    top: false,
    attributes: &[],
    blocks: &[Child::Block(&UNHEALTHY_STATE_ROUTING), Child::Ignored("dns_failover")],
};

pub(super) static UNHEALTHY_STATE_ROUTING: Table = Table {
    name: "unhealthy_state_routing",
    top: false,
    attributes: &[
        Attribute::new(
            "minimum_healthy_targets_count",
            AttributeKind::Whole { min: 1, max: MAX_TARGETS as u64, default: Some(1) },
            "With fewer healthy targets than this, all registered targets get requests, healthy or not.",
        ),
        Attribute::new(
            "minimum_healthy_targets_percentage",
            AttributeKind::WholeOr { word: "off", min: 1, max: 100 },
            "The same, in percent of the registered targets. Where both are given, either is enough.",
        ),
    ],
    blocks: &[],
};

/// A group that targets can still be added to.
pub(super) struct GroupDraft {
    group: TargetGroup,
    /// `port`, when it is given.
    port: Option<u16>,
    positions: HashMap<TargetSpec, Position>,
    /// Whether the fault of too many targets was noted.
    is_overfull: bool,
}

impl GroupDraft {
    /// Whether clients stick to targets of the group.
    pub(super) fn is_sticky(&self) -> bool {
        self.group.stickiness.is_some()
    }

    /// The finished group. `context` is for what only all its targets together can show.
    pub(super) fn into_group(self, context: &BlockContext<'_>) -> TargetGroup {
        let addressless = |target: &&TargetSpec| !matches!(target.address, TargetAddress::Ip(_));
        let by_address =
            self.group.tls.as_ref().is_some_and(|tls| tls.authorities.is_some() && tls.server_name.is_none());
        let odd = self.group.targets.iter().find(addressless).filter(|_| by_address);
        if let Some(position) = odd.and_then(|target| self.positions.get(target)) {
            let message = format!(
                "a certificate cannot be for this target of target group {}, which is no address; \
                 allowed: `{}` in the group",
                shown(&self.group.name),
                target_tls::SERVER_NAME
            );
            context.faults.add(*position, message);
        }
        self.group
    }

    /// Adds a target by its text; `port` is the one given beside it.
    pub(super) fn add(&mut self, context: &BlockContext<'_>, at: Position, text: &str, port: Option<u16>) {
        match self.target(text, port) {
            Err(message) => context.faults.add(at, message),
            Ok(target) => self.add_target(context, at, text, target),
        }
    }

    fn target(&self, text: &str, port: Option<u16>) -> Result<TargetSpec, String> {
        let (address, own_port) = target_address::parse(text)?;
        if matches!(address, TargetAddress::Unix(_)) {
            return match port {
                None => Ok(TargetSpec { address, port: 0 }),
                Some(_) => Err(format!("target {} is a Unix socket; allowed: no `port`", shown(text))),
            };
        }
        if own_port.is_some() && port.is_some() {
            return Err(format!(
                "target {} has a port of its own; allowed: that one or `port`, not both",
                shown(text)
            ));
        }
        let port = own_port.or(port).or(self.port).ok_or_else(|| {
            format!(
                "target {} has no port and neither has target group {}; allowed: a port here or there",
                shown(text),
                shown(&self.group.name)
            )
        })?;
        Ok(TargetSpec { address, port })
    }

    fn add_target(&mut self, context: &BlockContext<'_>, position: Position, text: &str, target: TargetSpec) {
        if let Some(&first) = self.positions.get(&target) {
            let message = format!(
                "target {} is given twice in target group {}, first at {}; allowed: once",
                shown(text),
                shown(&self.group.name),
                context.faults.show(first)
            );
            context.faults.add(position, message);
        } else if self.group.targets.len() < MAX_TARGETS {
            self.positions.insert(target.clone(), position);
            self.group.targets.push(target);
        } else if !std::mem::replace(&mut self.is_overfull, true) {
            let name = shown(&self.group.name);
            let message = format!("too many targets in target group {name}; allowed: at most {MAX_TARGETS}");
            context.faults.add(position, message);
        }
    }
}

fn sticky(fields: &BlockFields<'_>) -> Option<StickinessSettings> {
    let fails_when_unhealthy = fields.choice("stickiness_failover") == "fail";
    let mut settings = stickiness::build(&fields.open_child(&STICKINESS))?;
    // No client that goes by such a field begins anew when its session is lost.
    let is_by_header = matches!(settings.kind, StickinessKind::ApplicationHeader { .. });
    let keeps_draining = match fields.is_given("deregistration_stickiness") {
        true => fields.choice("deregistration_stickiness") == "keep",
        false => is_by_header,
    };
    settings.extras = StickinessExtras { fails_when_unhealthy, keeps_draining, ..settings.extras };
    Some(settings)
}

fn minimum_healthy(fields: &BlockFields<'_>) -> MinimumHealthy {
    let routing = fields.open_child(&UNHEALTHY_STATE_ROUTING);
    let percentage = routing.whole_or_none("minimum_healthy_targets_percentage");
    MinimumHealthy {
        count: u16::try_from(routing.whole("minimum_healthy_targets_count")).unwrap_or(u16::MAX),
        percentage: percentage.and_then(|percentage| u8::try_from(percentage).ok()),
    }
}

/// Reads all groups, in order.
pub(super) fn build_all(context: &BlockContext<'_>, names: &Names<'_>) -> Vec<GroupDraft> {
    names.entries.iter().map(|named| build(context, named)).collect()
}

fn build(context: &BlockContext<'_>, named: &Named<'_>) -> GroupDraft {
    let fields = &named.fields;
    let port = fields.whole_if_given("port").and_then(|port| u16::try_from(port).ok());
    let protocol_version = match fields.choice("protocol_version") {
        "HTTP2" => ProtocolVersion::Http2,
        "GRPC" => ProtocolVersion::Grpc,
        _ => ProtocolVersion::Http1,
    };
    let group = TargetGroup {
        protocol_version,
        tls: target_tls::build(fields),
        name: named.name.clone(),
        port: port.unwrap_or(UNUSED_PORT),
        algorithm: match fields.choice("load_balancing_algorithm_type") {
            "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
            "weighted_random" => Algorithm::WeightedRandom,
            _ => Algorithm::RoundRobin,
        },
        anomaly_mitigation: fields.choice("load_balancing_anomaly_mitigation") == "on",
        forwards_resets: fields.truth(FORWARDS_RESETS),
        slow_start: fields.whole_or_none("slow_start").map(Duration::from_secs),
        minimum_healthy: minimum_healthy(&fields.open_child(&TARGET_GROUP_HEALTH)),
        deregistration_delay: Duration::from_secs(fields.whole("deregistration_delay")),
        stickiness: sticky(fields),
        health_check: health_check::build(
            &fields.open_child(&HEALTH_CHECK),
            named.found.is_resource && fields.has_child(HEALTH_CHECK.name),
            protocol_version,
        ),
        targets: Vec::new(),
        source: target_source::build(fields, port),
    };
    exclusions::check(fields, &group);
    if fields.choice(CROSS_ZONE) == "false" {
        let message = format!(
            "`{CROSS_ZONE}` = false changes nothing here: there are no zones, and every target is used; where targets have to \
             be apart they are in groups of their own"
        );
        fields.note_at(CROSS_ZONE, message);
    }
    // A port that is a fault is not missing too.
    let assumed_port = port.or_else(|| fields.is_written("port").then_some(UNUSED_PORT));
    let mut draft = GroupDraft { group, port: assumed_port, positions: HashMap::new(), is_overfull: false };
    for (value, position) in fields.list("targets") {
        match value.as_text() {
            Some(text) => draft.add(context, position, &text, None),
            None => context
                .faults
                .add(position, format!("{value} is no target; allowed: {}", fields.allowed("targets"))),
        }
    }
    draft
}
