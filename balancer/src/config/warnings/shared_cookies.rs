//! Groups whose cookies have one name for one client: it keeps one of them, so that each answer of one group ends its session
//! in the other. Cookies are kept by host, whatever the port and the path.

use std::collections::{BTreeMap, BTreeSet};

use super::hosts::may_meet;
use crate::model::{
    Action, Condition, Configuration, CookieAttributes, Listener, StickinessKind, TargetGroup,
};

/// Whose a cookie is: two that set the same do no harm when this is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CookieOwner {
    /// A target group, by its index.
    Group(usize),
    /// All groups with application cookies: one map is for them all.
    Map,
    /// An action that draws one of these groups.
    Draw(Vec<usize>),
}

/// A cookie that an action may set.
struct Cookie<'c> {
    name: String,
    owner: CookieOwner,
    attributes: &'c CookieAttributes,
}

/// Where an action is.
struct Use<'c> {
    listener: &'c Listener,
    listener_index: usize,
    conditions: &'c [Condition],
    cookies: Vec<Cookie<'c>>,
}

/// Those who set a cookie and get into each other's way.
#[derive(Default)]
struct Clash {
    owners: BTreeMap<CookieOwner, String>,
    listeners: BTreeSet<String>,
}

/// One line for each name of a cookie that several groups set for one client.
pub(super) fn warn(configuration: &Configuration, warnings: &mut Vec<String>) {
    let uses = uses(configuration);
    let mut clashes: BTreeMap<&str, Clash> = BTreeMap::new();
    for (number, one) in uses.iter().enumerate() {
        // Load balancers have names of their own in the DNS.
        let balancer = one.listener.load_balancer;
        for other in uses.iter().take(number).filter(|other| other.listener.load_balancer == balancer) {
            for (cookie, earlier) in common(one, other) {
                let known = clashes.get(cookie.name.as_str());
                let is_known = known.is_some_and(|clash| {
                    clash.owners.contains_key(&cookie.owner) && clash.owners.contains_key(&earlier.owner)
                });
                let is_drawn_once =
                    matches!((&cookie.owner, &earlier.owner), (CookieOwner::Group(_), CookieOwner::Group(_)))
                        && draw_alike(one, other);
                if is_known || is_drawn_once || !share_clients(other, one) {
                    continue;
                }
                let clash = clashes.entry(&cookie.name).or_default();
                for (at, of) in [(one, cookie), (other, earlier)] {
                    let position = described(configuration, of);
                    clash.owners.entry(of.owner.clone()).or_insert(position);
                    clash.listeners.insert(at.listener.name.clone());
                }
            }
        }
    }
    // The twin goes the way of the cookie that it stands beside.
    let is_twin = |name: &str| name.strip_suffix("CORS").is_some_and(|plain| clashes.contains_key(plain));
    warnings.extend(clashes.iter().filter(|(name, _)| !is_twin(name)).map(|(name, clash)| told(name, clash)));
}

fn told(name: &str, clash: &Clash) -> String {
    let owners: Vec<&str> = clash.owners.values().map(String::as_str).collect();
    let listeners: Vec<&str> = clash.listeners.iter().map(String::as_str).collect();
    let (word, ports) = match listeners.as_slice() {
        [_] => ("listener", ""),
        _ => ("listeners", ", whose ports cookies do not know"),
    };
    format!(
        "the cookie {name} is set by {}: a client that gets to more than one of them, on {word} {}{ports}, loses its \
         session each time; give each a `cookie_prefix` of its own",
        owners.join(" and by "),
        listeners.join(", ")
    )
}

/// Whether both go by one and the same draw, which keeps a client from the other groups of either.
fn draw_alike(one: &Use<'_>, other: &Use<'_>) -> bool {
    one.cookies.iter().any(|cookie| {
        matches!(cookie.owner, CookieOwner::Draw(_))
            && other.cookies.iter().any(|other| other.name == cookie.name && other.owner == cookie.owner)
    })
}

/// Cookies of one name that both set, for different owners.
fn common<'u, 'c>(
    one: &'u Use<'c>,
    other: &'u Use<'c>,
) -> impl Iterator<Item = (&'u Cookie<'c>, &'u Cookie<'c>)> {
    one.cookies.iter().flat_map(|cookie| {
        let same = other.cookies.iter().filter(|other| other.name == cookie.name);
        same.filter(|other| other.owner != cookie.owner).map(move |other| (cookie, other))
    })
}

fn uses(configuration: &Configuration) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    for (listener_index, listener) in configuration.listeners.iter().enumerate() {
        let rules = listener.rules.iter().map(|rule| (&rule.action, rule.conditions.as_slice()));
        for (action, conditions) in rules.chain([(&listener.default_action, &[][..])]) {
            let cookies = cookies(configuration, action);
            if !cookies.is_empty() {
                uses.push(Use { listener, listener_index, conditions, cookies });
            }
        }
    }
    uses
}

fn cookies<'c>(configuration: &'c Configuration, action: &'c Action) -> Vec<Cookie<'c>> {
    let mut cookies = Vec::new();
    let Action::Forward(forward) = action else { return cookies };
    let mut add = |attributes: &'c CookieAttributes, endings: &[&str], owner: &CookieOwner| {
        cookies.extend(endings.iter().map(|ending| Cookie {
            name: format!("{}{ending}", attributes.prefix),
            owner: owner.clone(),
            attributes,
        }));
    };
    for index in action.groups() {
        let sticky = configuration.target_groups.get(index).and_then(|group| group.stickiness.as_ref());
        match sticky.map(|sticky| (&sticky.kind, &sticky.attributes)) {
            None => {}
            Some((StickinessKind::LoadBalancerCookie, attributes)) => {
                add(attributes, &["", "CORS"], &CookieOwner::Group(index));
            }
            Some((StickinessKind::ApplicationCookie { .. }, attributes)) => {
                add(attributes, &["APP-0", "APP-1", "APP-2", "APP-3"], &CookieOwner::Map);
            }
        }
    }
    if let Some(stickiness) = &forward.stickiness {
        let mut groups: Vec<usize> = action.groups().collect();
        groups.sort_unstable();
        add(&stickiness.attributes, &["TG", "TGCORS"], &CookieOwner::Draw(groups));
    }
    cookies
}

fn described(configuration: &Configuration, cookie: &Cookie<'_>) -> String {
    let name = |index: &usize| {
        configuration.target_groups.get(*index).map_or("", |group: &TargetGroup| group.name.as_str())
    };
    let position = &cookie.attributes.position.0;
    match &cookie.owner {
        CookieOwner::Group(index) => format!("target group {} ({position})", name(index)),
        CookieOwner::Map => format!("target groups with application cookies ({position})"),
        CookieOwner::Draw(groups) => {
            let groups: Vec<&str> = groups.iter().map(name).collect();
            format!("the action that draws one of {} ({position})", groups.join(", "))
        }
    }
}

/// Whether one client may get to both, the first of which comes first where they are of one listener.
fn share_clients(first: &Use<'_>, second: &Use<'_>) -> bool {
    if first.listener_index == second.listener_index {
        // A rule that goes by nothing but host and source takes all requests that a client makes to these hosts.
        let takes_all = first
            .conditions
            .iter()
            .all(|condition| matches!(condition, Condition::HostHeader(_) | Condition::SourceIp(_)));
        return !takes_all && may_meet(first.conditions, second.conditions);
    }
    let addresses = [first, second].map(|of| of.listener.address.ip());
    let is_one_host = addresses.iter().any(std::net::IpAddr::is_unspecified)
        || matches!(addresses, [one, other] if one == other);
    is_one_host && may_meet(first.conditions, second.conditions)
}
