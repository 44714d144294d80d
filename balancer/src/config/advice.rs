//! What is unwise in a valid configuration: nothing that is hardly meant (see `warnings`), but what users come to regret.
//! Must not know: what runs.

use std::time::Duration;

use crate::model::{Configuration, ProtocolVersion, StickinessSettings, TargetGroup};

/// How long a dead target may go unnoticed.
const NOTICED_LATE: Duration = Duration::from_secs(90);
/// A duration from which on sessions of those who come once a day never end.
const ENDLESS: u32 = 2 * 86_400;

/// Something to think over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// A word that stays the same over versions.
    pub code: &'static str,
    /// What it is about.
    pub about: String,
    /// What is there.
    pub seen: String,
    /// What may be better.
    pub what_to_do: String,
}

/// All of it, in the order of the groups.
#[must_use]
pub fn advice(configuration: &Configuration) -> Vec<Advice> {
    let mut advice = Vec::new();
    for (index, group) in configuration.target_groups.iter().enumerate() {
        of_health(group, &mut advice);
        let Some(sticky) = &group.stickiness else { continue };
        of_sessions(group, sticky, &mut advice);
        let https = configuration.listeners.iter().find(|listener| {
            listener.tls.is_some() && listener.actions().any(|action| action.groups().any(|of| of == index))
        });
        if let Some(listener) = https.filter(|_| !sticky.attributes.secure) {
            advice.push(say(
                "cookie_not_secure",
                group,
                format!(
                    "its stickiness cookies lack Secure, and HTTPS listener {} leads to it",
                    listener.name
                ),
                "set cookie_secure = true unless the same clients also come over plain HTTP",
            ));
        }
    }
    advice
}

fn say(code: &'static str, group: &TargetGroup, seen: String, what_to_do: &str) -> Advice {
    Advice { code, about: format!("target group {}", group.name), seen, what_to_do: what_to_do.to_owned() }
}

fn of_health(group: &TargetGroup, advice: &mut Vec<Advice>) {
    let check = &group.health_check;
    if !check.enabled {
        return;
    }
    let late = check.interval * u32::from(check.unhealthy_threshold);
    if late > NOTICED_LATE {
        advice.push(say(
            "slow_health_checks",
            group,
            format!(
                "a target that answers wrongly is noticed after up to {} s ({} checks, {} s apart)",
                late.as_secs(),
                check.unhealthy_threshold,
                check.interval.as_secs()
            ),
            "lower interval or unhealthy_threshold: a check costs a request",
        ));
    }
    let is_http = check.protocol_version != ProtocolVersion::Grpc;
    if is_http && (check.matcher.matches(404) || check.matcher.matches(401)) {
        advice.push(say(
            "health_checks_hide_failures",
            group,
            format!(
                "its health checks pass with client errors such as {}",
                if check.matcher.matches(404) { 404 } else { 401 }
            ),
            "give the application a path that needs no login and answers 200 only when it can work",
        ));
    }
}

fn of_sessions(group: &TargetGroup, sticky: &StickinessSettings, advice: &mut Vec<Advice>) {
    if sticky.duration_seconds >= ENDLESS && sticky.extras.max_lifetime.is_none() {
        advice.push(say(
            "endless_sessions",
            group,
            format!(
                "its sessions last {} days after each request: those of clients that come daily never end",
                sticky.duration_seconds / 86_400
            ),
            "set max_lifetime, so that clients spread anew over targets that came later",
        ));
    }
    if !sticky.extras.keeps_draining && group.targets.len() > 1 {
        advice.push(say(
            "sessions_leave_draining",
            group,
            "a deployment moves its sessions the moment a target begins to drain".to_owned(),
            "set deregistration_stickiness = \"keep\" with a deregistration_delay as long as a visit, if the state is in the process",
        ));
    }
}
