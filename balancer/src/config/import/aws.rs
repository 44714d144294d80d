//! What `aws elbv2 describe-*` says, in files of a folder, in the words of Terraform's provider.
//! Must not know: how a configuration is written.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    aws_rules,
    resource::{Haul, Resource, object, text},
};
use crate::regular_file::FileFault;

/// Most files of the folder.
const MAX_FILES: usize = 10_000;

/// Attributes of load balancers.
const OF_BALANCERS: [(&str, &str); 10] = [
    ("idle_timeout.timeout_seconds", "idle_timeout"),
    ("client_keep_alive.seconds", "client_keep_alive"),
    ("routing.http2.enabled", "enable_http2"),
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
];

/// Attributes of target groups.
const OF_GROUPS: [(&str, &str); 6] = [
    ("deregistration_delay.timeout_seconds", "deregistration_delay"),
    ("load_balancing.algorithm.type", "load_balancing_algorithm_type"),
    ("load_balancing.algorithm.anomaly_mitigation", "load_balancing_anomaly_mitigation"),
    (
        "routing.http2.rst_stream_error_forwarding.enabled",
        "routing_http2_rst_stream_error_forwarding_enabled",
    ),
    ("slow_start.duration_seconds", "slow_start"),
    ("lambda.multi_value_headers.enabled", "lambda_multi_value_headers_enabled"),
];

/// Reads the files of a folder.
///
/// # Errors
/// Says which cannot be read, or that there are none.
pub(super) fn folder(path: &Path, read: impl Fn(&Path) -> Result<Value, String>) -> Result<Haul, String> {
    let wrong = |error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory => {
            format!("{}: is a file; allowed: a folder with outputs of the AWS CLI", path.display())
        }
        _ => format!("{}: {}", path.display(), FileFault::from(error)),
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path).map_err(wrong)? {
        let file = entry.map_err(wrong)?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            files.push(file);
        }
        // Half of what there is would be another configuration.
        if files.len() > MAX_FILES {
            return Err(format!("{}: holds too many files; allowed: up to {MAX_FILES}", path.display()));
        }
    }
    files.sort();
    let mut outputs = Descriptions::default();
    for file in files {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let output = read(&file)?;
        outputs.add(&stem, &output);
    }
    if outputs.balancers.is_empty() && outputs.groups.is_empty() {
        return Err(format!(
            "{}: holds no output of describe-load-balancers or describe-target-groups; allowed: what the script of `balancer \
             import --help` collects",
            path.display()
        ));
    }
    Ok(outputs.found())
}

/// What the files hold.
#[derive(Default)]
struct Descriptions {
    balancers: Vec<Value>,
    groups: Vec<Value>,
    listeners: Vec<Value>,
    rules: Vec<Value>,
    certificates: BTreeMap<String, Vec<Value>>,
    /// Attributes, and what has no name of its own, by the name that the script gives it after its ARN.
    attributes: BTreeMap<String, Map<String, Value>>,
    targets: BTreeMap<String, Vec<Value>>,
    firewalls: Vec<String>,
    addresses: BTreeMap<String, String>,
}

/// An ARN as a part of the name of a file.
fn as_name(arn: &str) -> String {
    arn.replace([':', '/'], "_")
}

impl Descriptions {
    /// Takes a file in: what it is shows in what it holds.
    fn add(&mut self, stem: &str, output: &Value) {
        let of = stem.split_once('.').map_or("", |(_, of)| of).to_owned();
        let list = |name: &str| output.get(name).and_then(Value::as_array).cloned();
        if let Some(balancers) = list("LoadBalancers") {
            self.balancers.extend(balancers);
        } else if let Some(groups) = list("TargetGroups") {
            self.groups.extend(groups);
        } else if let Some(listeners) = list("Listeners") {
            self.listeners.extend(listeners);
        } else if let Some(rules) = list("Rules") {
            // They say of which listener they are by the name of their file, and by their own ARN.
            self.rules.extend(rules);
        } else if let Some(attributes) = list("Attributes") {
            let pairs = attributes.iter().filter_map(|pair| {
                Some((
                    pair.get("Key")?.as_str()?.to_owned(),
                    pair.get("Value").cloned().unwrap_or(Value::Null),
                ))
            });
            self.attributes.insert(of, pairs.collect());
        } else if let Some(targets) = list("TargetHealthDescriptions") {
            self.targets.insert(of, targets);
        } else if let Some(certificates) = list("Certificates") {
            self.certificates.insert(of, certificates);
        } else if let Some(reservations) = list("Reservations") {
            for instance in reservations.iter().filter_map(|one| one.get("Instances")?.as_array()).flatten() {
                let text = |name: &str| instance.get(name).and_then(Value::as_str).map(str::to_owned);
                self.addresses.extend(text("InstanceId").zip(text("PrivateIpAddress")));
            }
        } else if output.get("WebACL").is_some() {
            self.firewalls.push(of);
        }
    }

    fn attributes_of(&self, arn: &str) -> Map<String, Value> {
        self.attributes.get(&as_name(arn)).cloned().unwrap_or_default()
    }

    fn found(mut self) -> Haul {
        let mut found = Haul { addresses: std::mem::take(&mut self.addresses), ..Haul::default() };
        let mut ours: Vec<String> = Vec::new();
        for balancer in &self.balancers {
            let (name, arn) = (text(balancer, "LoadBalancerName"), text(balancer, "LoadBalancerArn"));
            if text(balancer, "Type") != "application" {
                found.left.push(format!("{arn} is a load balancer of type {}", text(balancer, "Type")));
                continue;
            }
            if self.firewalls.contains(&as_name(arn)) {
                found
                    .left
                    .push(format!("{arn}: a firewall (WAF) stands before it on AWS, which is not here"));
            }
            if !self.attributes.contains_key(&as_name(arn)) {
                found.left.push(missing(arn, "attributes"));
            }
            ours.push(arn.to_owned());
            let values = balancer_values(balancer, &self.attributes_of(arn));
            found.resources.push(resource("load_balancer", arn, name, values));
        }
        for group in &self.groups {
            self.group(group, &mut found);
        }
        let is_ours = |listener: &&Value| ours.iter().any(|arn| arn == text(listener, "LoadBalancerArn"));
        for listener in self.listeners.iter().filter(is_ours) {
            let arn = text(listener, "ListenerArn");
            let label = format!(
                "{}_{}",
                text(listener, "LoadBalancerArn").rsplit('/').nth(1).unwrap_or_default(),
                listener.get("Port").map(Value::to_string).unwrap_or_default()
            );
            if !self.rules.iter().any(|rule| aws_rules::listener_of(text(rule, "RuleArn")) == arn) {
                found.left.push(missing(arn, "rules"));
            }
            if !self.attributes.contains_key(&as_name(arn)) {
                found.left.push(missing(arn, "attributes"));
            }
            let values = listener_values(listener, &self.attributes_of(arn));
            found.left.extend(narrower(listener, arn));
            found.resources.push(resource("listener", arn, &label, values));
            let more = self.certificates.get(&as_name(arn));
            for certificate in more.into_iter().flatten() {
                if certificate.get("IsDefault") != Some(&Value::Bool(true)) {
                    let values =
                        json!({ "listener_arn": arn, "certificate_arn": certificate.get("CertificateArn") });
                    found.resources.push(resource("listener_certificate", arn, &label, object(values)));
                }
            }
        }
        for rule in self.rules.iter().filter(|rule| text(rule, "Priority") != "default") {
            let arn = text(rule, "RuleArn");
            let listener = aws_rules::listener_of(arn);
            if self.listeners.iter().filter(is_ours).any(|ours| text(ours, "ListenerArn") == listener) {
                let label =
                    format!("{}_{}", listener.rsplit('/').nth(2).unwrap_or_default(), text(rule, "Priority"));
                found.resources.push(resource("listener_rule", arn, &label, aws_rules::values(rule)));
            }
        }
        found
    }

    fn group(&self, group: &Value, found: &mut Haul) {
        let (name, arn) = (text(group, "TargetGroupName"), text(group, "TargetGroupArn"));
        if !matches!(text(group, "Protocol"), "HTTP" | "HTTPS") {
            let protocol = group.get("Protocol").and_then(Value::as_str).unwrap_or("Lambda");
            found.left.push(format!("{arn} is a target group of {protocol}"));
            return;
        }
        for (what, is_there) in [
            ("attributes", self.attributes.contains_key(&as_name(arn))),
            ("targets", self.targets.contains_key(&as_name(arn))),
        ] {
            if !is_there {
                found.left.push(missing(arn, what));
            }
        }
        found.resources.push(resource(
            "target_group",
            arn,
            name,
            group_values(group, &self.attributes_of(arn)),
        ));
        for (index, health) in self.targets.get(&as_name(arn)).into_iter().flatten().enumerate() {
            let state = health.get("TargetHealth").and_then(|health| health.get("State"));
            if state.and_then(Value::as_str) == Some("draining") {
                continue;
            }
            let Some(target) = health.get("Target") else { continue };
            let values = json!({
                "target_group_arn": arn, "target_id": target.get("Id"), "port": target.get("Port"),
            });
            let place = format!("{arn}, target {}", text(target, "Id"));
            let label = format!("{name}_{index}");
            found.resources.push(resource("target_group_attachment", &place, &label, object(values)));
        }
    }
}

/// What lets fewer clients in on AWS.
fn narrower(listener: &Value, arn: &str) -> Option<String> {
    let filters =
        listener.get("MutualAuthentication")?.get("ClientCertificateIdentityFilters")?.as_array()?;
    (!filters.is_empty()).then(|| {
        format!(
            "{arn}: its ClientCertificateIdentityFilters; here every certificate of the trust store is let in, and the target \
             has to judge it"
        )
    })
}

/// What is said of an output that is not there.
fn missing(arn: &str, what: &str) -> String {
    format!("{arn}: its {what} are in no file of the folder; here it has none, or the defaults")
}

fn resource(kind: &str, place: &str, label: &str, values: Map<String, Value>) -> Resource {
    Resource {
        kind: kind.to_owned(),
        place: place.to_owned(),
        label: label.to_owned(),
        values,
        leads: BTreeMap::new(),
    }
}

/// Whether an attribute says true: they are texts.
fn is_true(attributes: &Map<String, Value>, key: &str) -> bool {
    attributes.get(key).and_then(Value::as_str) == Some("true")
}

fn balancer_values(balancer: &Value, attributes: &Map<String, Value>) -> Map<String, Value> {
    let mut values = object(json!({
        "arn": balancer.get("LoadBalancerArn"),
        "name": balancer.get("LoadBalancerName"),
        "internal": text(balancer, "Scheme") == "internal",
        "security_groups": balancer.get("SecurityGroups"),
    }));
    for (key, name) in OF_BALANCERS {
        if let Some(value) = attributes.get(key) {
            values.insert(name.to_owned(), value.clone());
        }
    }
    for kind in ["access_logs", "connection_logs", "health_check_logs"] {
        if is_true(attributes, &format!("{kind}.s3.enabled")) {
            values.insert(kind.to_owned(), json!([{ "enabled": true }]));
        }
    }
    values
}

fn group_values(group: &Value, attributes: &Map<String, Value>) -> Map<String, Value> {
    let matcher =
        group.get("Matcher").and_then(|matcher| matcher.get("HttpCode").or(matcher.get("GrpcCode")));
    let mut values = object(json!({
        "arn": group.get("TargetGroupArn"),
        "name": group.get("TargetGroupName"),
        "port": group.get("Port"),
        "protocol": group.get("Protocol"),
        "protocol_version": group.get("ProtocolVersion"),
        "target_type": group.get("TargetType"),
        "health_check": [{
            "enabled": group.get("HealthCheckEnabled"),
            "protocol": group.get("HealthCheckProtocol"),
            "port": group.get("HealthCheckPort"),
            "path": group.get("HealthCheckPath"),
            "interval": group.get("HealthCheckIntervalSeconds"),
            "timeout": group.get("HealthCheckTimeoutSeconds"),
            "healthy_threshold": group.get("HealthyThresholdCount"),
            "unhealthy_threshold": group.get("UnhealthyThresholdCount"),
            "matcher": matcher,
        }],
    }));
    for (key, name) in OF_GROUPS {
        if let Some(value) = attributes.get(key) {
            values.insert(name.to_owned(), value.clone());
        }
    }
    let get = |key: &str| attributes.get(key).cloned().unwrap_or(Value::Null);
    if is_true(attributes, "stickiness.enabled") {
        let kind = get("stickiness.type");
        let prefix = if kind == "app_cookie" { "stickiness.app_cookie" } else { "stickiness.lb_cookie" };
        let name = if kind == "app_cookie" { get("stickiness.app_cookie.cookie_name") } else { Value::Null };
        values.insert(
            "stickiness".to_owned(),
            json!([{
                "enabled": true, "type": kind, "cookie_name": name,
                "cookie_duration": get(&format!("{prefix}.duration_seconds")),
            }]),
        );
    }
    let routing = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
    let (count, percentage) = (get(&format!("{routing}.count")), get(&format!("{routing}.percentage")));
    if !(count.is_null() && percentage.is_null()) {
        values.insert(
            "target_group_health".to_owned(),
            json!([{ "unhealthy_state_routing": [{
                "minimum_healthy_targets_count": count, "minimum_healthy_targets_percentage": percentage,
            }] }]),
        );
    }
    values
}

fn listener_values(listener: &Value, attributes: &Map<String, Value>) -> Map<String, Value> {
    let first = |name: &str| listener.get(name).and_then(|list| list.get(0)).cloned().unwrap_or(Value::Null);
    let mutual = listener.get("MutualAuthentication");
    let mut values = object(json!({
        "arn": listener.get("ListenerArn"),
        "load_balancer_arn": listener.get("LoadBalancerArn"),
        "port": listener.get("Port"),
        "protocol": listener.get("Protocol"),
        "ssl_policy": listener.get("SslPolicy"),
        "certificate_arn": first("Certificates").get("CertificateArn"),
        "alpn_policy": first("AlpnPolicy"),
        "default_action": aws_rules::actions(listener.get("DefaultActions")),
        "mutual_authentication": mutual.map(|mutual| json!([{
            "mode": mutual.get("Mode"),
            "trust_store_arn": mutual.get("TrustStoreArn"),
            "ignore_client_certificate_expiry": mutual.get("IgnoreClientCertificateExpiry"),
            "advertise_trust_store_ca_names": mutual.get("AdvertiseTrustStoreCaNames"),
        }])),
    }));
    for (key, value) in attributes {
        values.insert(key.replace(['.', '-'], "_"), value.clone());
    }
    values
}
