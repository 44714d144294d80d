//! The document of configuration that follows from records: blocks in the JSON syntax of Terraform, labelled with what nothing in
//! a file is called. It is read together with the files, by the same rules. Must not know: how it takes effect.

mod made;
mod references;
mod rules;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use serde_json::{Map, Value, json};

pub use self::made::{ADDRESS_TAG, MadeRecords, address_of};
use self::{
    made::literal,
    rules::{action, rule},
};
use super::{
    failure::ApiFailure,
    records::{
        ListenerRecord, LoadBalancerRecord, MutualAuthenticationRecord, TargetGroupRecord, TargetRecord,
        TrustStoreRecord,
    },
};

/// Attributes of load balancers, and what they are in a file.
const OF_LOAD_BALANCERS: [(&str, &str); 10] = [
    ("idle_timeout.timeout_seconds", "idle_timeout"),
    ("client_keep_alive.seconds", "client_keep_alive"),
    ("routing.http.desync_mitigation_mode", "desync_mitigation_mode"),
    ("routing.http.drop_invalid_header_fields.enabled", "drop_invalid_header_fields"),
    ("routing.http.preserve_host_header.enabled", "preserve_host_header"),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "enable_tls_version_and_cipher_suite_headers",
    ),
    ("routing.http.x_amzn_tls_kx.enabled", "routing_http_x_amzn_tls_kx_enabled"),
    ("routing.http.xff_client_port.enabled", "enable_xff_client_port"),
    ("routing.http.xff_header_processing.mode", "xff_header_processing_mode"),
    ("routing.http2.enabled", "enable_http2"),
];
/// The same of their logs, each a block.
const LOGS: [(&str, &str); 2] =
    [("access_logs.s3.enabled", "access_logs"), ("health_check_logs.s3.enabled", "health_check_logs")];
/// The same of target groups.
const OF_TARGET_GROUPS: [(&str, &str); 5] = [
    ("deregistration_delay.timeout_seconds", "deregistration_delay"),
    ("slow_start.duration_seconds", "slow_start"),
    ("load_balancing.algorithm.type", "load_balancing_algorithm_type"),
    ("load_balancing.algorithm.anomaly_mitigation", "load_balancing_anomaly_mitigation"),
    (
        "routing.http2.rst_stream_error_forwarding.enabled",
        "routing_http2_rst_stream_error_forwarding_enabled",
    ),
];
const HEALTHY_COUNT: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
const HEALTHY_PERCENTAGE: &str =
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage";
/// What the keys of listeners begin with that go into a file, with `_` for each dot.
const OF_LISTENERS: &str = "routing.http.";

/// The document.
///
/// # Errors
/// What cannot be here, in words for who has asked for it.
pub fn document(made: MadeRecords<'_>) -> Result<String, ApiFailure> {
    references::check(made)?;
    let addresses = made.addresses()?;
    let records = made.records;
    let balancers = records.load_balancers.values().map(|one| Ok((one.arn.clone(), load_balancer(one))));
    let forwarded_to = records.target_groups.values().filter(|one| one.is_http());
    let groups = forwarded_to.map(|one| Ok((one.arn.clone(), target_group(made, one)?)));
    let listeners = records.listeners.values().map(|one| {
        let address =
            addresses.get(one.arn.as_str()).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
        Ok((made.listener_label(&one.arn), listener(made, one, address)))
    });
    let rules = records.rules.values().map(|one| Ok((made.rule_label(one), rule(one, made))));
    let stores = records.trust_stores.values().map(|one| Ok((one.arn.clone(), trust_store(one))));
    let document = json!({
        "load_balancer": labelled(balancers)?,
        "target_group": labelled(groups)?,
        "listener": labelled(listeners)?,
        "listener_certificate": more_certificates(made),
        "listener_rule": labelled(rules)?,
        "trust_store": labelled(stores)?,
        "trust_store_revocation": revocations(made),
    });
    Ok(document.to_string())
}

fn labelled(blocks: impl Iterator<Item = Result<(String, Value), ApiFailure>>) -> Result<Value, ApiFailure> {
    blocks.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn target_group(made: MadeRecords<'_>, group: &TargetGroupRecord) -> Result<Value, ApiFailure> {
    let mut block = Map::new();
    block.insert("name".into(), literal(&group.name));
    block.insert("port".into(), group.port.into());
    block.insert("protocol".into(), literal(&group.protocol));
    block.insert("protocol_version".into(), literal(&group.protocol_version));
    put(&mut block, &group.attributes, &OF_TARGET_GROUPS);
    block.insert("health_check".into(), health_check(group));
    if let Some(stickiness) = stickiness(&group.attributes) {
        block.insert("stickiness".into(), stickiness);
    }
    let mut routing = Map::new();
    let minimum = [
        (HEALTHY_COUNT, "minimum_healthy_targets_count"),
        (HEALTHY_PERCENTAGE, "minimum_healthy_targets_percentage"),
    ];
    put(&mut routing, &group.attributes, &minimum);
    // `off` of the one means that the other counts.
    routing.retain(|name, value| name.ends_with("percentage") || value != "off");
    if !routing.is_empty() {
        block.insert("target_group_health".into(), json!({ "unhealthy_state_routing": routing }));
    }
    let targets = group.targets.iter().map(|target| target_of(made, group, target));
    block.insert("targets".into(), targets.collect::<Result<_, _>>().map(Value::Array)?);
    Ok(Value::Object(block))
}

fn target_of(
    made: MadeRecords<'_>,
    group: &TargetGroupRecord,
    target: &TargetRecord,
) -> Result<Value, ApiFailure> {
    let address = made.target_address(group, target).ok_or_else(|| {
        let id = &target.id;
        ApiFailure::new(
            "InvalidTarget",
            format!(
                "The target '{id}' of target group '{}' is neither an address nor an instance whose address is known here; \
                 allowed: an IP address, or an id that `instances` of the `control_api` block names",
                group.name
            ),
        )
    })?;
    Ok(Value::String(address.to_string()))
}

fn listener(made: MadeRecords<'_>, listener: &ListenerRecord, address: IpAddr) -> Value {
    let mut block = Map::new();
    block.insert("load_balancer_arn".into(), made.reference(&listener.load_balancer_arn));
    block.insert("port".into(), listener.port.into());
    block.insert("address".into(), address.to_string().into());
    block.insert("protocol".into(), literal(&listener.protocol));
    if listener.protocol.eq_ignore_ascii_case("HTTPS") {
        if let Some(policy) = &listener.ssl_policy {
            block.insert("ssl_policy".into(), literal(policy));
        }
        if let Some(default) = listener.certificates.iter().find(|certificate| certificate.is_default) {
            block.insert("certificate_arn".into(), literal(&default.arn));
        }
        if let Some(mutual) = &listener.mutual_authentication {
            block.insert("mutual_authentication".into(), mutual_authentication(made, mutual));
        }
    }
    for (key, value) in listener.attributes.iter().filter(|(key, _)| key.starts_with(OF_LISTENERS)) {
        block.insert(key.replace('.', "_"), literal(value));
    }
    if let Some(default) = listener.default_actions.last() {
        block.insert("default_action".into(), action(default, made));
    }
    Value::Object(block)
}

fn mutual_authentication(made: MadeRecords<'_>, mutual: &MutualAuthenticationRecord) -> Value {
    let mut block = Map::new();
    block.insert("mode".into(), literal(&mutual.mode));
    if mutual.mode == "verify" {
        if let Some(store) = &mutual.trust_store_arn {
            block.insert("trust_store_arn".into(), made.reference(store));
        }
        if let Some(ignore) = mutual.ignore_client_certificate_expiry {
            block.insert("ignore_client_certificate_expiry".into(), ignore.into());
        }
        if let Some(advertise) = &mutual.advertise_trust_store_ca_names {
            block.insert("advertise_trust_store_ca_names".into(), literal(advertise));
        }
    }
    Value::Object(block)
}

fn more_certificates(made: MadeRecords<'_>) -> Value {
    let listeners = made.records.listeners.values().filter(|one| one.protocol.eq_ignore_ascii_case("HTTPS"));
    let more = listeners.flat_map(|listener| {
        let label = made.listener_label(&listener.arn);
        let more = listener.certificates.iter().filter(|certificate| !certificate.is_default);
        more.map(move |certificate| {
            let block =
                json!({ "listener_arn": literal(&label), "certificate_arn": literal(&certificate.arn) });
            (format!("{label} {}", certificate.arn), block)
        })
    });
    Value::Object(more.collect())
}

fn revocations(made: MadeRecords<'_>) -> Value {
    let lists = made.records.trust_stores.values().flat_map(|store| {
        store.revocations.iter().map(move |(number, file)| {
            let block = json!({ "trust_store_arn": literal(&store.arn), "revocations_file": literal(file) });
            (format!("{} {number}", store.arn), block)
        })
    });
    Value::Object(lists.collect())
}

/// Attributes that were set, by their names in a file.
fn put(block: &mut Map<String, Value>, attributes: &BTreeMap<String, String>, names: &[(&str, &str)]) {
    let given = names.iter().filter_map(|(key, name)| Some((*name, attributes.get(*key)?)));
    block.extend(given.map(|(name, value)| (name.to_owned(), literal(value))));
}

fn load_balancer(balancer: &LoadBalancerRecord) -> Value {
    let mut block = Map::new();
    block.insert("name".into(), literal(&balancer.name));
    put(&mut block, &balancer.attributes, &OF_LOAD_BALANCERS);
    for (key, name) in LOGS {
        if let Some(enabled) = balancer.attributes.get(key) {
            block.insert(name.into(), json!({ "enabled": literal(enabled) }));
        }
    }
    Value::Object(block)
}

fn trust_store(store: &TrustStoreRecord) -> Value {
    json!({ "name": literal(&store.name), "ca_certificates_bundle_file": literal(&store.ca_file) })
}

fn health_check(group: &TargetGroupRecord) -> Value {
    let check = &group.health_check;
    let mut block = Map::new();
    block.insert("enabled".into(), check.enabled.into());
    for (name, number) in [
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("healthy_threshold", check.healthy_threshold),
        ("unhealthy_threshold", check.unhealthy_threshold),
    ] {
        block.insert(name.into(), number.into());
    }
    for (name, text) in [
        ("protocol", &check.protocol),
        ("port", &check.port),
        ("path", &check.path),
        ("matcher", &check.matcher),
    ] {
        if !text.is_empty() {
            block.insert(name.into(), literal(text));
        }
    }
    Value::Object(block)
}

/// What a group says of sticking; nothing where it is off.
fn stickiness(attributes: &BTreeMap<String, String>) -> Option<Value> {
    let get = |key: &str| attributes.get(key).map(String::as_str);
    if get("stickiness.enabled") != Some("true") {
        return None;
    }
    let kind = get("stickiness.type").unwrap_or("lb_cookie");
    let mut block = Map::new();
    block.insert("type".into(), literal(kind));
    if let Some(duration) = get(&format!("stickiness.{kind}.duration_seconds")) {
        block.insert("cookie_duration".into(), literal(duration));
    }
    if let Some(name) = get("stickiness.app_cookie.cookie_name").filter(|_| kind == "app_cookie") {
        block.insert("cookie_name".into(), literal(name));
    }
    Some(Value::Object(block))
}

#[cfg(test)]
mod tests;
