//! `load_balancer` blocks (`aws_lb`).

use std::{path::Path, time::Duration};

use super::{
    fields::{BlockContext, BlockFields},
    kinds::is_ours,
    names::{NAME, Names},
    own_places::OwnPlaces,
    schema::{Attribute, AttributeKind, Child, Table},
    value::{Value, shown},
};
use crate::{
    model::{DesyncMode, LineFormat, Listener, LoadBalancer, LogDestination, LogOutput, XffMode},
    wire::head::is_token_byte,
};

/// Name of the load balancer of listeners when no block is given.
const IMPLICIT_NAME: &str = "default";

/// Most load balancers (ALB: quotas).
pub(super) const MAX_LOAD_BALANCERS: usize = 50;

/// Whether targets are told how keys were exchanged.
const KEY_EXCHANGE: &str = "routing_http_x_amzn_tls_kx_enabled";

pub(super) static LOAD_BALANCER: Table = Table {
    name: "load_balancer",
    top: true,
    attributes: &[
        NAME,
        Attribute::new(
            "idle_timeout",
            AttributeKind::Whole { min: 1, max: 4000, default: Some(60) },
            "Seconds that a connection to a client or a target may be idle while a request is under way.",
        ),
        Attribute::new(
            "client_keep_alive",
            AttributeKind::Whole { min: 60, max: 604_800, default: Some(3600) },
            "Seconds after which a client's connection takes no further request.",
        ),
        Attribute::new(
            "connect_timeout",
            AttributeKind::Whole { min: 1, max: 60, default: Some(10) },
            "Seconds a connection to a target may take to come up. Not settable on ALB.",
        ),
        Attribute::new(
            "xff_header_processing_mode",
            AttributeKind::Choice {
                allowed: &["append", "preserve", "remove"],
                default: "append",
                later: &[],
            },
            "What is done to X-Forwarded-For: add the client's address, leave the header alone, or take it out.",
        ),
        Attribute::new(
            "enable_xff_client_port",
            AttributeKind::Truth { default: false },
            "Whether X-Forwarded-For gets the client's port beside its address.",
        ),
        Attribute::new(
            "preserve_host_header",
            AttributeKind::Truth { default: false },
            "Whether Host is passed on exactly as received.",
        ),
        Attribute::new(
            "enable_http2",
            AttributeKind::Truth { default: true },
            "Whether clients may speak HTTP/2, where the listener lets them.",
        ),
        Attribute::new(
            "load_balancer_type",
            AttributeKind::Only { allowed: &["application"] },
            "The kind of load balancer.",
        ),
        Attribute::new(
            "desync_mitigation_mode",
            AttributeKind::Choice {
                allowed: &["monitor", "defensive", "strictest"],
                default: "defensive",
                later: &[],
            },
            "What is done with requests that could be understood in two ways: see headers.md.",
        ),
        Attribute::new(
            "upgrade_protocols",
            AttributeKind::Listed {
                allowed: "up to 8 names of protocols, without versions, other than h2c, h2, http and tls",
                default: &["websocket"],
            },
            "Protocols that clients may change to by Upgrade; what is said in them passes through as bytes. Not on ALB.",
        ),
        Attribute::new(
            "drop_invalid_header_fields",
            AttributeKind::Truth { default: false },
            "Whether fields of requests are left out whose names have other characters than letters, digits and hyphens.",
        ),
        Attribute::new(
            "enable_tls_version_and_cipher_suite_headers",
            AttributeKind::Truth { default: false },
            "Whether targets are told the TLS version and cipher suite of HTTPS clients.",
        ),
        Attribute::new(
            KEY_EXCHANGE,
            AttributeKind::Truth { default: false },
            "Whether targets are told by which group keys were exchanged with HTTPS clients (`x-amzn-tls-kx`). ALB has it as \
             `routing.http.x_amzn_tls_kx.enabled`, Terraform's provider has not.",
        ),
        Attribute::new(
            "enable_prefix_for_ipv6_source_nat",
            AttributeKind::Only { allowed: &["off", ""] },
            "Of Network Load Balancers.",
        ),
        Attribute::new(
            "secondary_ips_auto_assigned_per_subnet",
            AttributeKind::Only { allowed: &["0"] },
            "Of Network Load Balancers.",
        ),
        Attribute::ignored("name_prefix"),
        Attribute::ignored("internal"),
        Attribute::ignored("subnets"),
        Attribute::ignored("security_groups"),
        Attribute::ignored("ip_address_type"),
        Attribute::ignored("enable_deletion_protection"),
        Attribute::ignored("enable_cross_zone_load_balancing"),
        Attribute::ignored("enable_waf_fail_open"),
        Attribute::ignored("enable_zonal_shift"),
        Attribute::ignored("customer_owned_ipv4_pool"),
        Attribute::ignored("dns_record_client_routing_policy"),
        Attribute::ignored("enforce_security_group_inbound_rules_on_private_link_traffic"),
    ],
    blocks: &[
        Child::Block(&ACCESS_LOGS),
        Child::Block(&CONNECTION_LOGS),
        Child::Block(&HEALTH_CHECK_LOGS),
        Child::Ignored("subnet_mapping"),
        Child::Ignored("ipam_pools"),
        Child::Ignored("minimum_load_balancer_capacity"),
    ],
};

pub(super) static ACCESS_LOGS: Table = Table {
    name: "access_logs",
    top: false,
    attributes: &log_attributes("Whether a line is written for each request."),
    blocks: &[],
};

pub(super) static HEALTH_CHECK_LOGS: Table = Table {
    name: "health_check_logs",
    top: false,
    attributes: &log_attributes("Whether a line is written for each check of a target."),
    blocks: &[],
};

const fn log_attributes(enabled: &'static str) -> [Attribute; 5] {
    [
        Attribute::new("enabled", AttributeKind::Truth { default: false }, enabled),
        Attribute::new(
            "path",
            AttributeKind::Text { allowed: "\"stdout\" or an absolute path", default: "\"stdout\"" },
            "Where the lines go. A file is appended to, and opened anew at SIGUSR1. Not on ALB.",
        ),
        Attribute::new(
            "format",
            AttributeKind::Choice { allowed: &["alb", "json"], default: "alb", later: &[] },
            "The form of a line: ALB's fields, or one JSON object. Not on ALB.",
        ),
        Attribute::ignored("bucket"),
        Attribute::ignored("prefix"),
    ]
}

/// Nothing is written; who asks for them is told.
pub(super) static CONNECTION_LOGS: Table = Table {
    name: "connection_logs",
    top: false,
    attributes: &[
        Attribute::new(
            "enabled",
            AttributeKind::Truth { default: false },
            "Whether ALB writes them. They are not written here, and true is warned of.",
        ),
        Attribute::ignored("bucket"),
        Attribute::ignored("prefix"),
    ],
    blocks: &[],
};

/// Reads all blocks; without any of files there is one more with the defaults, after those that were made through the API.
pub(super) fn build_all(context: &BlockContext<'_>, names: &Names<'_>, own: &OwnPlaces) -> Vec<LoadBalancer> {
    let built = names.entries.iter().map(|named| build(&named.fields, named.name.clone(), own));
    let mut all: Vec<LoadBalancer> = built.collect();
    if of_files(context, names).next().is_none() {
        all.push(with_defaults(context, &all, own));
    }
    all
}

/// Adds the one that stands for those that are elsewhere, where a listener is of one and it is not there yet.
pub(super) fn add_elsewhere(
    context: &BlockContext<'_>,
    own: &OwnPlaces,
    listeners: &[Listener],
    all: &mut Vec<LoadBalancer>,
) {
    if listeners.iter().any(|listener| listener.load_balancer >= all.len()) {
        let one = with_defaults(context, all, own);
        all.push(one);
    }
}

/// One that no block says anything of, under a name that no other has.
fn with_defaults(context: &BlockContext<'_>, others: &[LoadBalancer], own: &OwnPlaces) -> LoadBalancer {
    let is_free = |name: &String| others.iter().all(|other| other.name != *name);
    let numbered = (2..).map(|number| format!("{IMPLICIT_NAME}-{number}"));
    let mut names = std::iter::once(IMPLICIT_NAME.to_owned()).chain(numbered);
    let name = names.find(is_free).unwrap_or_default();
    build(&BlockFields::open(context, &LOAD_BALANCER, None), name, own)
}

/// Whether a value names a load balancer that does not stand here, as far as can be told: an output of a module, what was
/// looked up or is in another state, or the ARN of one that is none of ours.
pub(super) fn is_elsewhere(names: &Names<'_>, value: &Value) -> bool {
    const OF_APPLICATIONS: &str = ":loadbalancer/app/";
    match value {
        Value::Reference(path) => value.is_foreign() && !path.first().is_some_and(|root| is_ours(root)),
        Value::Unknown(_) => true,
        Value::Text(arn) => arn.starts_with("arn:") && arn.contains(OF_APPLICATIONS) && !names.knows(arn),
        _ => false,
    }
}

/// The places of those that stand in files.
pub(super) fn of_files(context: &BlockContext<'_>, names: &Names<'_>) -> impl Iterator<Item = usize> {
    let entries = names.entries.iter().enumerate();
    entries.filter(|(_, named)| !context.faults.is_of_api(named.found.block.position)).map(|(index, _)| index)
}

/// What keeps somebody out on AWS and nobody here: an internal load balancer is reached from its network alone, and one
/// with security groups by whom they let in. Here the address of a listener says who reaches it, and the host's firewall.
pub(super) fn note_unguarded(context: &BlockContext<'_>, names: &Names<'_>, listeners: &[Listener]) {
    for (index, named) in names.entries.iter().enumerate() {
        let own = || listeners.iter().filter(|listener| listener.load_balancer == index);
        let fields = &named.fields;
        if fields.says_true("internal")
            && let Some(open) = own().find(|listener| listener.address.ip().is_unspecified())
        {
            let message = format!(
                "`internal` keeps nobody out here: listener {} is at {}, on every address of this host; its `address` says on \
                 which it is",
                shown(&open.name),
                open.address
            );
            context.faults.note(fields.position_of("internal"), message);
        }
        if fields.may_say_something("security_groups")
            && let Some(open) = own().find(|listener| !listener.address.ip().is_loopback())
        {
            let message = format!(
                "`security_groups` keeps nobody out here: whoever reaches {} reaches listener {}; the firewall of this \
                 host, the `address` of a listener and a `shield` say who does",
                open.address,
                shown(&open.name)
            );
            context.faults.note(fields.position_of("security_groups"), message);
        }
    }
}

fn build(fields: &BlockFields<'_>, name: String, own: &OwnPlaces) -> LoadBalancer {
    let connection_logs = fields.open_child(&CONNECTION_LOGS);
    if connection_logs.truth("enabled") {
        let message = "connection logs are not written here; `access_logs` says of each request over which version of TLS and \
                       with which suite it came";
        connection_logs.note_at("enabled", message);
    }
    LoadBalancer {
        name,
        internal: fields.says_true("internal"),
        idle_timeout: Duration::from_secs(fields.whole("idle_timeout")),
        client_keep_alive: Duration::from_secs(fields.whole("client_keep_alive")),
        connect_timeout: Duration::from_secs(fields.whole("connect_timeout")),
        xff_mode: match fields.choice("xff_header_processing_mode") {
            "preserve" => XffMode::Preserve,
            "remove" => XffMode::Remove,
            _ => XffMode::Append,
        },
        xff_client_port: fields.truth("enable_xff_client_port"),
        enable_http2: fields.truth("enable_http2"),
        tls_version_and_cipher_suite: fields.truth("enable_tls_version_and_cipher_suite_headers"),
        tls_key_exchange: fields.truth(KEY_EXCHANGE),
        preserve_host_header: fields.truth("preserve_host_header"),
        desync_mitigation_mode: match fields.choice("desync_mitigation_mode") {
            "monitor" => DesyncMode::Monitor,
            "strictest" => DesyncMode::Strictest,
            _ => DesyncMode::Defensive,
        },
        upgrade_protocols: upgrade_protocols(fields),
        drop_invalid_header_fields: fields.truth("drop_invalid_header_fields"),
        access_logs: log_output(&fields.open_child(&ACCESS_LOGS), own),
        health_check_logs: log_output(&fields.open_child(&HEALTH_CHECK_LOGS), own),
    }
}

/// Most protocols of `upgrade_protocols`, and longest name of one.
const MAX_PROTOCOLS: usize = 8;
const MAX_PROTOCOL: usize = 64;

/// Within these there would be requests that no rule sees.
const CARRIERS: [&str; 4] = ["h2c", "h2", "http", "tls"];

fn upgrade_protocols(fields: &BlockFields<'_>) -> Vec<String> {
    const NAME: &str = "upgrade_protocols";
    let Some(default) = fields.listed_default(NAME).filter(|_| !fields.is_written(NAME)) else {
        let items = fields.list(NAME);
        if items.len() > MAX_PROTOCOLS {
            let message = format!("`{NAME}` has {} members; allowed: {}", items.len(), fields.allowed(NAME));
            fields.fault_at(NAME, message);
        }
        let mut names = Vec::new();
        for (value, position) in items {
            let name = value.as_text().unwrap_or_default();
            let is_name = (1..=MAX_PROTOCOL).contains(&name.len()) && name.bytes().all(is_token_byte);
            if !is_name || CARRIERS.iter().any(|carrier| carrier.eq_ignore_ascii_case(&name)) {
                let allowed = fields.allowed(NAME);
                fields.fault_in(position, format!("`{NAME}` lists {value}; allowed: {allowed}"));
            } else {
                names.push(name);
            }
        }
        return names;
    };
    default.iter().copied().map(str::to_owned).collect()
}

/// Where a log goes; nothing when it is off. Its attributes are looked at in any case.
fn log_output(fields: &BlockFields<'_>, own: &OwnPlaces) -> Option<LogOutput> {
    let destination = match fields.text("path") {
        None => LogDestination::Stdout,
        Some(text) if text == "stdout" => LogDestination::Stdout,
        Some(text) => {
            if !text.starts_with('/') || text.contains('\0') {
                let message = format!("`path` = {}; allowed: {}", shown(&text), fields.allowed("path"));
                fields.fault_at("path", message);
            } else if let Some(wrong) = own.wrong_for_logs(Path::new(&text)) {
                fields.fault_at("path", format!("`path` = {wrong}"));
            }
            LogDestination::File(text.into())
        }
    };
    let format = match fields.choice("format") {
        "json" => LineFormat::Json,
        _ => LineFormat::Alb,
    };
    fields.truth("enabled").then_some(LogOutput { destination, format })
}
