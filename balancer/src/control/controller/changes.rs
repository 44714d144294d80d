//! What a new configuration changes, in lines for the log.
//! Must not know: how it is taken into use.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use crate::model::{
    Action, Configuration, Listener, ListenerRule, LoadBalancer, SessionStoreSettings, ShieldSettings,
    TargetAddress, TargetGroup, TargetSpec,
};

/// Most lines that a reload writes; beyond them it is told how many more there are.
const MOST: usize = 50;
/// Most names in a line.
const MOST_NAMES: usize = 20;

/// Logs what differs. `keys_differ`: the secrets that cookies are signed with do, which are not in a configuration.
pub(super) fn tell(old: &Configuration, new: &Configuration, keys_differ: bool) {
    let mut changes = between(old, new);
    if keys_differ {
        changes.insert(0, "the keys that cookies are signed with".to_owned());
    }
    if changes.is_empty() {
        tracing::info!("nothing that takes effect now differs from the configuration before");
    }
    for change in changes.iter().take(MOST) {
        tracing::info!("changed: {change}");
    }
    if changes.len() > MOST {
        tracing::info!("changed: {} more", changes.len() - MOST);
    }
}

/// What differs, a line each.
fn between(old: &Configuration, new: &Configuration) -> Vec<String> {
    let mut out = Vec::new();
    // Of the others of this block a change takes effect at the next start.
    let own = [
        ("log_level", old.balancer.log_level != new.balancer.log_level),
        ("http2_buffer_limit", old.balancer.http2_buffer_limit != new.balancer.http2_buffer_limit),
        ("upgrade_drain", old.balancer.upgrade_drain != new.balancer.upgrade_drain),
    ];
    out.extend(own.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()));
    if old.shield != new.shield {
        out.push(shield_difference(old.shield.as_ref(), new.shield.as_ref()));
    }
    if old.session_store != new.session_store {
        out.push(store_difference(old.session_store.as_ref(), new.session_store.as_ref()));
    }
    let balancers = |of: &Configuration| {
        by(of.load_balancers.iter().map(|balancer| (balancer.name.clone(), balancer.clone())))
    };
    compare("load balancer", &balancers(old), &balancers(new), &mut out, balancer_difference);
    let listeners = |of: &Configuration| {
        by(of.listeners.iter().map(|listener| {
            let name = format!("{} at {}", listener.name, listener.address);
            (name, Comparable { listener: unplaced(listener), uses: uses(of, listener) })
        }))
    };
    compare("listener", &listeners(old), &listeners(new), &mut out, Comparable::difference);
    let groups =
        |of: &Configuration| by(of.target_groups.iter().map(|group| (group.name.clone(), group.clone())));
    compare("target group", &groups(old), &groups(new), &mut out, group_difference);
    out
}

fn by<T>(items: impl Iterator<Item = (String, T)>) -> BTreeMap<String, T> {
    items.collect()
}

fn compare<T: PartialEq>(
    kind: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    out: &mut Vec<String>,
    difference: impl Fn(&T, &T) -> String,
) {
    out.extend(
        old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("{kind} {name} removed")),
    );
    for (name, now) in new {
        match old.get(name) {
            None => out.push(format!("{kind} {name} added")),
            Some(before) if before != now => {
                out.push(format!("{kind} {name}: {}", difference(before, now)));
            }
            Some(_) => {}
        }
    }
}

/// The listener without its indices into other lists.
fn unplaced(listener: &Listener) -> Listener {
    let mut listener = Listener { load_balancer: 0, ..listener.clone() };
    let rules = listener.rules.iter_mut().map(|rule| &mut rule.action);
    for action in rules.chain([&mut listener.default_action]) {
        if let Action::Forward(forward) = action {
            forward.groups.iter_mut().for_each(|group| group.group = 0);
        }
    }
    listener
}

/// The names that a listener's indices into other lists stand for: an index that moves is no change.
fn uses(of: &Configuration, listener: &Listener) -> Vec<String> {
    let balancer = of.load_balancers.get(listener.load_balancer).map(|balancer| balancer.name.clone());
    let groups = listener
        .actions()
        .flat_map(|action| action.groups())
        .filter_map(|index| of.target_groups.get(index).map(|group| group.name.clone()));
    balancer.into_iter().chain(groups).collect()
}

struct Comparable {
    listener: Listener,
    uses: Vec<String>,
}

impl PartialEq for Comparable {
    fn eq(&self, other: &Self) -> bool {
        self.uses == other.uses && self.listener == other.listener
    }
}

impl Comparable {
    fn difference(&self, now: &Self) -> String {
        let (old, new) = (&self.listener, &now.listener);
        let rules = |of: &Listener| {
            by(of.rules.iter().map(|rule| (format!("{} ({})", rule.name, rule.priority), rule.clone())))
        };
        let mut parts = Vec::new();
        compare("rule", &rules(old), &rules(new), &mut parts, |_: &ListenerRule, _| "changed".to_owned());
        if old.tls.is_some() != new.tls.is_some() {
            parts.push(format!("protocol {}", if new.tls.is_some() { "HTTPS" } else { "HTTP" }));
        } else if old.tls != new.tls {
            parts.push("TLS".to_owned());
        }
        if old.default_action != new.default_action {
            parts.push("default action".to_owned());
        }
        if old.http2_prior_knowledge != new.http2_prior_knowledge
            || old.response_fields != new.response_fields
            || old.tls_field_names != new.tls_field_names
        {
            parts.push("settings".to_owned());
        }
        if parts.is_empty() {
            parts.push("load balancer or target groups".to_owned());
        }
        parts.join(", ")
    }
}

/// `settings`, and which of them differ, where their names are known.
fn settings(differ: &[(&str, bool)]) -> String {
    let names: Vec<&str> = differ.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    if names.is_empty() { "settings".to_owned() } else { format!("settings ({})", names.join(", ")) }
}

fn shield_difference(old: Option<&ShieldSettings>, new: Option<&ShieldSettings>) -> String {
    let (Some(old), Some(new)) = (old, new) else {
        return format!("shield {}", if new.is_some() { "added" } else { "removed" });
    };
    let differ = [
        ("interfaces", old.interfaces != new.interfaces),
        ("mode", old.mode != new.mode),
        ("dry_run", old.dry_run != new.dry_run),
        ("deny", old.deny != new.deny),
        ("allow", old.allow != new.allow),
        ("new_connections_per_second", old.new_connections_per_second != new.new_connections_per_second),
        ("burst", old.burst != new.burst),
    ];
    format!("shield: {}", settings(&differ))
}

fn store_difference(old: Option<&SessionStoreSettings>, new: Option<&SessionStoreSettings>) -> String {
    let (Some(old), Some(new)) = (old, new) else {
        return format!("session store {}", if new.is_some() { "added" } else { "removed" });
    };
    let differ = [
        (
            "url",
            old.hosts != new.hosts || old.database != new.database || old.tls.is_some() != new.tls.is_some(),
        ),
        ("mode", old.mode != new.mode),
        ("username", old.username != new.username),
        ("password_file", old.password != new.password),
        ("TLS", old.tls != new.tls),
        ("lookup_timeout", old.lookup_timeout != new.lookup_timeout),
        ("health_check_leader", old.health_check_leader != new.health_check_leader),
    ];
    format!("session store: {}", settings(&differ))
}

fn balancer_difference(old: &LoadBalancer, new: &LoadBalancer) -> String {
    settings(&[
        ("idle_timeout", old.idle_timeout != new.idle_timeout),
        ("client_keep_alive", old.client_keep_alive != new.client_keep_alive),
        ("connect_timeout", old.connect_timeout != new.connect_timeout),
        ("xff_header_processing_mode", old.xff_mode != new.xff_mode),
        ("enable_xff_client_port", old.xff_client_port != new.xff_client_port),
        (
            "enable_tls_version_and_cipher_suite_headers",
            old.tls_version_and_cipher_suite != new.tls_version_and_cipher_suite,
        ),
        ("routing_http_x_amzn_tls_kx_enabled", old.tls_key_exchange != new.tls_key_exchange),
        ("preserve_host_header", old.preserve_host_header != new.preserve_host_header),
        ("drop_invalid_header_fields", old.drop_invalid_header_fields != new.drop_invalid_header_fields),
        ("desync_mitigation_mode", old.desync_mitigation_mode != new.desync_mitigation_mode),
        ("upgrade_protocols", old.upgrade_protocols != new.upgrade_protocols),
        ("access_logs", old.access_logs != new.access_logs),
        ("health_check_logs", old.health_check_logs != new.health_check_logs),
    ])
}

fn group_settings(old: &TargetGroup, new: &TargetGroup) -> String {
    settings(&[
        ("port", old.port != new.port),
        ("protocol", old.tls != new.tls),
        ("protocol_version", old.protocol_version != new.protocol_version),
        ("load_balancing_algorithm_type", old.algorithm != new.algorithm),
        ("load_balancing_anomaly_mitigation", old.anomaly_mitigation != new.anomaly_mitigation),
        ("routing_http2_rst_stream_error_forwarding_enabled", old.forwards_resets != new.forwards_resets),
        ("slow_start", old.slow_start != new.slow_start),
        ("target_group_health", old.minimum_healthy != new.minimum_healthy),
        ("deregistration_delay", old.deregistration_delay != new.deregistration_delay),
        ("stickiness", old.stickiness != new.stickiness),
        ("health_check", old.health_check != new.health_check),
        ("targets_from", old.source != new.source),
    ])
}

fn group_difference(old: &TargetGroup, new: &TargetGroup) -> String {
    let names = |of: &TargetGroup, without: &TargetGroup| {
        let known: HashSet<&TargetSpec> = without.targets.iter().collect();
        of.targets.iter().filter(|target| !known.contains(target)).map(spec).collect::<Vec<_>>()
    };
    let mut parts = Vec::new();
    for (word, targets) in [("removed", names(old, new)), ("added", names(new, old))] {
        if !targets.is_empty() {
            let mut part = format!("{} targets {word}: ", targets.len());
            for (index, target) in targets.iter().take(MOST_NAMES).enumerate() {
                let _ = write!(part, "{}{target}", if index > 0 { " " } else { "" });
            }
            if targets.len() > MOST_NAMES {
                part.push_str(" …");
            }
            parts.push(part);
        }
    }
    if (TargetGroup { targets: Vec::new(), ..old.clone() })
        != (TargetGroup { targets: Vec::new(), ..new.clone() })
    {
        parts.push(group_settings(old, new));
    }
    if parts.is_empty() {
        parts.push("order of targets".to_owned());
    }
    parts.join(", ")
}

fn spec(target: &TargetSpec) -> String {
    let port = target.port;
    match &target.address {
        TargetAddress::Unix(path) => format!("unix:{}", path.display()),
        TargetAddress::Host(name) => format!("{name}:{port}"),
        TargetAddress::Ip(ip) => std::net::SocketAddr::new(*ip, port).to_string(),
    }
}
