//! `listener` blocks (`aws_lb_listener`) and their default action.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::{
    balancer::Settings,
    blocks::Found,
    fields::{Context, Fields},
    listener_tls::Certificates,
    names::Names,
    schema::{Attribute, Child, Kind, Table},
    source::Place,
    value::shown,
};
use crate::model::{Action, Listener};

/// Most listeners (ALB: quotas).
const MAX_LISTENERS: usize = 50;

pub(super) static LISTENER: Table = Table {
    name: "listener",
    top: true,
    attributes: &[
        Attribute::new(
            "load_balancer_arn",
            Kind::Reference {
                to: "load_balancer",
                default: "the only one, or one with the defaults when none is given",
            },
            "The load balancer whose attributes hold for this listener.",
        ),
        Attribute::new(
            "port",
            Kind::Whole { min: 1, max: 65_535, default: None },
            "Where it listens. Needed.",
        ),
        Attribute::new(
            "address",
            Kind::Text { allowed: "an IPv4 or IPv6 address of this host", default: "\"0.0.0.0\"" },
            "The address it listens at. `::` is every IPv6 address and no IPv4 one. Not on ALB.",
        ),
        Attribute::new(
            "http2_prior_knowledge",
            Kind::Truth { default: false },
            "Whether clients may begin with HTTP/2 without TLS. Without effect where `enable_http2` is false. Not on ALB.",
        ),
        Attribute::new(
            "protocol",
            Kind::Choice { allowed: &["HTTP", "HTTPS"], default: "HTTP", later: &[] },
            "What clients speak.",
        ),
        Attribute::new(
            "ssl_policy",
            Kind::Text {
                allowed: "the name of a security policy of ALB's: see tls.md",
                default: "\"ELBSecurityPolicy-TLS13-1-2-Res-2021-06\" with HTTPS",
            },
            "Protocol versions and cipher suites of an HTTPS listener.",
        ),
        Attribute::new(
            "certificate_arn",
            Kind::Reference { to: "certificate", default: "" },
            "The certificate for clients that ask for no other's name. Needed with HTTPS.",
        ),
        Attribute::new(
            "alpn_policy",
            Kind::Choice {
                allowed: &["", "None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"],
                default: "",
                later: &[],
            },
            "Which protocols TLS offers (ALPN): by default HTTP/2 before HTTP/1.1, and HTTP/2 only where `enable_http2` is true.",
        ),
        Attribute::new("tcp_idle_timeout_seconds", Kind::Only { allowed: &[] }, "Of Network Load Balancers."),
        Attribute::new(
            "routing_http_response_server_enabled",
            Kind::Only { allowed: &["true"] },
            "Whether responses of the balancer's own name it.",
        ),
    ],
    blocks: &[Child::Block(&DEFAULT_ACTION), Child::Unsupported("mutual_authentication")],
};

pub(super) static DEFAULT_ACTION: Table = Table {
    name: "default_action",
    top: false,
    attributes: &[
        Attribute::new(
            "type",
            Kind::Choice {
                allowed: &["forward"],
                default: "",
                later: &[
                    "redirect",
                    "fixed-response",
                    "authenticate-cognito",
                    "authenticate-oidc",
                    "jwt-validation",
                ],
            },
            "What is done with a request. Needed.",
        ),
        Attribute::new(
            "target_group_arn",
            Kind::Reference { to: "target_group", default: "" },
            "The group that requests go to. Needed, unless there is a `forward` block.",
        ),
        Attribute::new(
            "order",
            Kind::Whole { min: 1, max: 50_000, default: None },
            "Order among several actions: there is but one.",
        ),
    ],
    blocks: &[
        Child::Block(&FORWARD),
        Child::Unsupported("redirect"),
        Child::Unsupported("fixed_response"),
        Child::Unsupported("authenticate_cognito"),
        Child::Unsupported("authenticate_oidc"),
        Child::Unsupported("jwt_validation"),
    ],
};

pub(super) static FORWARD: Table = Table {
    name: "forward",
    top: false,
    attributes: &[],
    blocks: &[Child::Block(&FORWARD_TARGET_GROUP), Child::Block(&FORWARD_STICKINESS)],
};

pub(super) static FORWARD_TARGET_GROUP: Table = Table {
    name: "target_group",
    top: false,
    attributes: &[
        Attribute::new("arn", Kind::Reference { to: "target_group", default: "" }, "The group. Needed."),
        Attribute::new(
            "weight",
            Kind::Whole { min: 1, max: 999, default: Some(1) },
            "Its share: without effect, since there is one group.",
        ),
    ],
    blocks: &[],
};

pub(super) static FORWARD_STICKINESS: Table = Table {
    name: "stickiness",
    top: false,
    attributes: &[
        Attribute::new("enabled", Kind::Only { allowed: &["false"] }, "Whether clients stick to a group."),
        Attribute::new(
            "duration",
            Kind::Whole { min: 1, max: 604_800, default: None },
            "For how many seconds.",
        ),
    ],
    blocks: &[],
};

/// Reads all listeners. Names and places to listen at that occur twice are faults.
pub(super) fn build_all(
    context: &Context<'_>,
    found: &[Found<'_>],
    groups: &Names<'_>,
    load_balancers: &Names<'_>,
    certificates: &Certificates<'_, '_>,
    settings: &Settings,
) -> Vec<Listener> {
    if let Some(first_too_many) = found.get(MAX_LISTENERS) {
        let place = first_too_many.block.place;
        context.faults.add(place, format!("too many listeners; allowed: at most {MAX_LISTENERS}"));
    }
    let mut labels = HashMap::new();
    let mut taken: Vec<(SocketAddr, Place)> = Vec::new();
    let mut listeners = Vec::new();
    for found in found.iter().take(MAX_LISTENERS) {
        if let Some(first) = labels.insert(found.label, found.label_place).filter(|_| !found.label.is_empty())
        {
            let message = format!(
                "listener {} is given twice, first at {}; allowed: labels that differ",
                shown(found.label),
                context.faults.show(first)
            );
            context.faults.add(found.label_place, message);
        }
        let fields = Fields::open(context, &LISTENER, Some(found.block));
        let address = address(&fields);
        if let Some((address, place)) = address.zip(fields.value("port").map(|(_, place)| place)) {
            check_free(context, address, place, &taken, settings);
            taken.push((address, place));
        }
        let load_balancer = load_balancer(context, &fields, load_balancers);
        let group = default_action(context, &fields, groups);
        let tls = certificates.of_listener(context, found.label, &fields);
        if let (Some(address), Some(load_balancer), Some(group), Some(tls)) =
            (address, load_balancer, group, tls)
        {
            listeners.push(Listener {
                name: found.label.to_owned(),
                address,
                load_balancer,
                http2_prior_knowledge: fields.truth("http2_prior_knowledge"),
                tls,
                default_action: Action::Forward(group),
            });
        }
    }
    listeners
}

fn address(fields: &Fields<'_>) -> Option<SocketAddr> {
    fields.require("port");
    let port = fields.whole_if_given("port").and_then(|port| u16::try_from(port).ok());
    let ip = match fields.text("address") {
        None => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Some(text) => {
            let ip = text.parse().ok().filter(|ip: &IpAddr| !ip.is_multicast());
            if ip.is_none() {
                let message = format!("`address` = {}; allowed: {}", shown(&text), fields.allowed("address"));
                fields.fault_at("address", message);
            }
            ip
        }
    };
    Some(SocketAddr::new(ip?, port?))
}

/// Two listeners at one port conflict when their addresses are the same or one of them is every address.
fn conflicts(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: IpAddr, other: IpAddr| one == other || one.is_unspecified() || other.is_unspecified();
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && covers(one.ip(), other.ip())
}

fn check_free(
    context: &Context<'_>,
    address: SocketAddr,
    place: Place,
    taken: &[(SocketAddr, Place)],
    settings: &Settings,
) {
    if let Some((other, first)) = taken.iter().find(|(other, _)| conflicts(address, *other)) {
        let message = format!(
            "{address} is taken by the listener on {other} at {}; allowed: an address and port that no other has",
            context.faults.show(*first)
        );
        context.faults.add(place, message);
    }
    if let Some(admin) = settings.settings.admin_address.filter(|admin| conflicts(address, *admin)) {
        let whose = settings
            .admin_place
            .map_or("by default".to_owned(), |at| format!("at {}", context.faults.show(at)));
        let message = format!(
            "{address} is taken by `admin_address` {admin} {whose}; allowed: another port here or there, or \"off\" there"
        );
        context.faults.add(place, message);
    }
}

fn load_balancer(context: &Context<'_>, fields: &Fields<'_>, load_balancers: &Names<'_>) -> Option<usize> {
    if let Some((value, place)) = fields.value("load_balancer_arn") {
        return load_balancers.resolve(context, &value, place);
    }
    if load_balancers.entries.len() > 1 && !fields.is_written("load_balancer_arn") {
        fields.fault(format!(
            "the listener names none of several load balancers; allowed: `load_balancer_arn` = {}",
            load_balancers.known()
        ));
    }
    Some(0)
}

fn default_action(context: &Context<'_>, listener: &Fields<'_>, groups: &Names<'_>) -> Option<usize> {
    if listener.child(DEFAULT_ACTION.name).is_none() {
        listener
            .fault("the listener needs a `default_action`; allowed: default_action { type = \"forward\" … }");
        return None;
    }
    let action = listener.open_child(&DEFAULT_ACTION);
    action.require("type");
    let is_forward =
        action.value("type").and_then(|(value, _)| value.as_text()).as_deref() == Some("forward");
    action.choice("type");
    action.whole_if_given("order");
    let direct = action
        .value("target_group_arn")
        .map(|(value, place)| (groups.resolve(context, &value, place), place));
    let block = forward(context, &action, groups);
    match (direct, block) {
        (Some((Some(direct), place)), Some(Some(block))) if direct != block => {
            let message =
                "`target_group_arn` and the `forward` block name different groups; allowed: the same group";
            context.faults.add(place, message);
            None
        }
        (Some((group, _)), _) | (None, Some(group)) => group,
        (None, None) => {
            if is_forward && !action.is_written("target_group_arn") {
                action.require("target_group_arn");
            }
            None
        }
    }
}

/// The one group of a `forward` block: outer nothing when there is no such block, inner when it is a fault.
fn forward(context: &Context<'_>, action: &Fields<'_>, groups: &Names<'_>) -> Option<Option<usize>> {
    action.child(FORWARD.name)?;
    // Several groups are a fault of their own, and not one of repeated blocks.
    let forward = action.open_child(&FORWARD);
    let stickiness = forward.open_child(&FORWARD_STICKINESS);
    stickiness.whole_if_given("duration");
    if forward.child(FORWARD_TARGET_GROUP.name).is_none() {
        forward.fault("`forward` needs a `target_group` block; allowed: target_group { arn = … }");
        return Some(None);
    }
    let group = forward.open_child(&FORWARD_TARGET_GROUP);
    group.require("arn");
    group.whole("weight");
    Some(group.value("arn").and_then(|(value, place)| groups.resolve(context, &value, place)))
}
