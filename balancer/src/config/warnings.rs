//! What is valid and yet hardly meant.

mod hosts;
mod never_met;
mod shared_cookies;

use crate::{
    clock::unix_now,
    model::{
        AlpnPolicy, Authorities, Certificate, Configuration, HealthCheckPort, KernelAssist, Listener,
        ListenerTls, MutualAuthentication, ProbeProtocol, ProtocolVersion, RevocationList, StickinessKind,
        TargetGroup, TrustStore,
    },
};

/// One line for each oddity of a valid configuration, for whoever wrote it.
#[must_use]
pub fn warnings(configuration: &Configuration) -> Vec<String> {
    let mut warnings = configuration.remarks.clone();
    // Listeners of the API's may come, and are there at a start.
    if configuration.listeners.is_empty() && configuration.control_api.is_none() {
        warnings.push("nothing listens: there is no listener block".to_owned());
    }
    if configuration.shield.is_some() && configuration.balancer.kernel_assist == KernelAssist::Off {
        warnings.push("shield: kernel_assist is off, so that every packet passes".to_owned());
    }
    for listener in &configuration.listeners {
        if let Some(tls) = &listener.tls {
            warn_of_tls(&listener.name, tls, i64::from(unix_now().0), &mut warnings);
        }
    }
    shared_cookies::warn(configuration, &mut warnings);
    never_met::warn(configuration, &mut warnings);
    for (index, group) in configuration.target_groups.iter().enumerate() {
        let is_used = configuration
            .listeners
            .iter()
            .any(|listener| listener.actions().any(|action| action.groups().any(|group| group == index)));
        if !is_used && !configuration.listeners.is_empty() {
            warnings.push(format!("target group {}: no listener forwards to it", group.name));
        }
        let wants_http2 = group.protocol_version != ProtocolVersion::Http1;
        for listener in configuration.listeners.iter().filter(|_| wants_http2) {
            let forwards = listener.actions().any(|action| action.groups().any(|group| group == index));
            let enabled =
                configuration.load_balancers.get(listener.load_balancer).is_some_and(|lb| lb.enable_http2);
            let offered = listener.tls.as_ref().map_or(listener.http2_prior_knowledge, |tls| {
                !matches!(tls.alpn, AlpnPolicy::None | AlpnPolicy::Http1Only)
            });
            if forwards && !(offered && enabled) {
                warnings.push(format!(
                    "target group {}: listener {} lets no client speak HTTP/2, requests are answered 464",
                    group.name, listener.name
                ));
            }
        }
        warn_of_dropped_field(configuration, index, group, &mut warnings);
        let check = &group.health_check;
        if group.tls.is_some()
            && check.enabled
            && (check.protocol, check.port) == (ProbeProtocol::Http, HealthCheckPort::Traffic)
        {
            warnings.push(format!(
                "target group {}: targets speak HTTPS and are checked by plain HTTP at the same port",
                group.name
            ));
        }
        let authorities = group.tls.as_ref().and_then(|tls| tls.authorities.as_ref());
        if let Some(expired) = authorities.and_then(|known| expired(known, i64::from(unix_now().0))) {
            warnings.push(format!("target group {}: {expired}", group.name));
        }
        if group.targets.is_empty() && group.source.is_none() {
            warnings
                .push(format!("target group {}: no targets, requests to it are answered 503", group.name));
        }
        if group.deregistration_delay.is_zero()
            && group.stickiness.as_ref().is_some_and(|sticky| sticky.extras.keeps_draining)
        {
            warnings.push(format!(
                "target group {}: deregistration_stickiness keeps nothing, since deregistration_delay is 0",
                group.name
            ));
        }
        if !group.health_check.enabled {
            warnings.push(format!(
                "target group {}: health checks are off, dead targets stay in use",
                group.name
            ));
        }
    }
    warnings
}

/// A header field that names sessions and that a load balancer takes off the requests.
fn warn_of_dropped_field(
    configuration: &Configuration,
    index: usize,
    group: &TargetGroup,
    warnings: &mut Vec<String>,
) {
    let kind = group.stickiness.as_ref().map(|sticky| &sticky.kind);
    let Some(StickinessKind::ApplicationHeader { header_name }) = kind else { return };
    if header_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return;
    }
    let drops = |listener: &&Listener| {
        let balancer = configuration.load_balancers.get(listener.load_balancer);
        balancer.is_some_and(|balancer| balancer.drop_invalid_header_fields)
            && listener.actions().any(|action| action.groups().any(|group| group == index))
    };
    if let Some(listener) = configuration.listeners.iter().find(drops) {
        warnings.push(format!(
            "target group {}: targets never see {header_name}, which sessions go by: the load balancer of listener {} drops \
             fields whose names have other characters than letters, digits and hyphens",
            group.name, listener.name
        ));
    }
}

fn warn_of_tls(listener: &str, tls: &ListenerTls, now: i64, warnings: &mut Vec<String>) {
    if !tls.policy.missing.is_empty() {
        warnings.push(format!(
            "listener {listener}: {} is stricter here than on ALB, or lacks: {}",
            tls.policy.name, tls.policy.missing
        ));
    }
    if let Some(MutualAuthentication::Verify { trust_store, .. }) = &tls.mutual_authentication {
        warn_of_trust_store(trust_store, now, warnings);
    }
    for certificate in [&tls.default_certificate].into_iter().chain(&tls.certificates) {
        warn_of_certificate(certificate, now, warnings);
    }
    warnings.dedup();
}

fn warn_of_trust_store(store: &TrustStore, now: i64, warnings: &mut Vec<String>) {
    let TrustStore { name, position, authorities, revocations } = store;
    let mut warn = |what: String| {
        let line = format!("{position}: trust store {name}: {what}");
        if !warnings.contains(&line) {
            warnings.push(line);
        }
    };
    if let Some(expired) = expired(authorities, now) {
        warn(expired);
    }
    for RevocationList { file, next_update, .. } in revocations {
        if let Some(due) = next_update.filter(|due| now > *due) {
            let ago = days(now.saturating_sub(due));
            warn(format!("a newer list than that in {} was due {ago} ago", file.display()));
        }
    }
}

/// What to say of authorities one of which has expired.
fn expired(authorities: &Authorities, now: i64) -> Option<String> {
    (now > authorities.not_after).then(|| {
        let ago = days(now.saturating_sub(authorities.not_after));
        format!("a certificate in {} expired {ago} ago", authorities.file.display())
    })
}

fn warn_of_certificate(certificate: &Certificate, now: i64, warnings: &mut Vec<String>) {
    let Certificate { name, position, facts, .. } = certificate;
    let mut warn = |what: String| {
        let line = format!("{position}: certificate {name}: {what}");
        if !warnings.contains(&line) {
            warnings.push(line);
        }
    };
    if now > facts.not_after {
        warn(format!("expired {} ago", days(now.saturating_sub(facts.not_after))));
    } else if now < facts.not_before {
        warn(format!("not valid before {} from now", days(facts.not_before.saturating_sub(now))));
    }
    if certificate.key_is_public {
        let key = certificate.private_key_file.display();
        warn(format!("everybody on this host can read its key {key}; chmod o-r it"));
    }
}

fn days(seconds: i64) -> String {
    match seconds {
        0..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
