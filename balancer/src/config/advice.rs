//! What is unwise in a valid configuration: nothing that is hardly meant (see `warnings`), but what users come to regret.
//! Must not know: what runs.

use std::time::Duration;

use crate::model::{Configuration, ProtocolVersion, StickinessKind, StickinessSettings, TargetGroup};

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
        one_application_cookie(configuration, (index, group), &sticky.kind, &mut advice);
    }
    advice
}

/// Two applications that name sessions by one cookie, at the same load balancer: whose cookie it is goes by the paths that they set it
/// for, which nobody here knows.
fn one_application_cookie(
    configuration: &Configuration,
    (index, group): (usize, &TargetGroup),
    kind: &StickinessKind,
    advice: &mut Vec<Advice>,
) {
    let StickinessKind::ApplicationCookie { cookie_name } = kind else { return };
    let balancers = |index: usize| {
        let listeners = configuration.listeners.iter();
        let leads =
            listeners.filter(move |one| one.actions().any(|action| action.groups().any(|of| of == index)));
        leads.map(|listener| listener.load_balancer)
    };
    let earlier = configuration.target_groups.iter().enumerate().take(index).find(|(other, of)| {
        let kind = of.stickiness.as_ref().map(|sticky| &sticky.kind);
        let is_same = matches!(kind, Some(StickinessKind::ApplicationCookie { cookie_name: name }) if name == cookie_name);
        is_same && balancers(*other).any(|one| balancers(index).any(|two| one == two))
    });
    if let Some((_, earlier)) = earlier {
        advice.push(say(
            "one_application_cookie",
            group,
            format!(
                "its application names sessions by {cookie_name}, as that of target group {} at the same load balancer does: where both set it \
                 for one host and path, each ends the other's session",
                earlier.name
            ),
            "have one of the applications give its cookie another name or a Path of its own",
        ));
    }
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
