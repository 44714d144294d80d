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
    /// The application of a target group, by the index of that: the balancer reads this cookie.
    Application(usize),
    /// All groups with application cookies: one map is for them all.
    Map,
    /// An action that draws one of these groups.
    Draw(Vec<usize>),
}

impl CookieOwner {
    /// Whether these two may well set the same: what applications do among themselves is theirs to know.
    fn agrees_with(&self, other: &Self) -> bool {
        self == other || matches!((self, other), (Self::Application(_), Self::Application(_)))
    }

    /// Whether it is one of the groups' own, which a draw chooses among.
    fn is_drawn(&self) -> bool {
        !matches!(self, Self::Draw(_))
    }
}

/// A cookie that comes and goes with an action: set by the balancer, or looked for by it.
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

/// Those whose cookie it is and who get into each other's way.
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
        // With itself as well: what draws a group has a cookie beside that of the group.
        for other in uses.iter().take(number + 1).filter(|other| other.listener.load_balancer == balancer) {
            for (cookie, earlier) in common(one, other) {
                let known = clashes.get(cookie.name.as_str());
                let is_known = known.is_some_and(|clash| {
                    clash.owners.contains_key(&cookie.owner) && clash.owners.contains_key(&earlier.owner)
                });
                let is_drawn_once =
                    cookie.owner.is_drawn() && earlier.owner.is_drawn() && draw_alike(one, other);
                let are_met = || std::ptr::eq(one, other) || share_clients(other, one);
                if is_known || is_drawn_once || !are_met() {
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

/// Cookies of one name that both have, for different owners.
fn common<'u, 'c>(
    one: &'u Use<'c>,
    other: &'u Use<'c>,
) -> impl Iterator<Item = (&'u Cookie<'c>, &'u Cookie<'c>)> {
    one.cookies.iter().flat_map(|cookie| {
        let same = other.cookies.iter().filter(|other| other.name == cookie.name);
        same.filter(|other| !other.owner.agrees_with(&cookie.owner)).map(move |other| (cookie, other))
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
    let mut add = |start: &str, endings: &[&str], owner: &CookieOwner, attributes: &'c CookieAttributes| {
        cookies.extend(endings.iter().map(|ending| Cookie {
            name: format!("{start}{ending}"),
            owner: owner.clone(),
            attributes,
        }));
    };
    for index in action.groups() {
        let sticky = configuration.target_groups.get(index).and_then(|group| group.stickiness.as_ref());
        match sticky.map(|sticky| (&sticky.kind, &sticky.attributes)) {
            None => {}
            Some((StickinessKind::LoadBalancerCookie, attributes)) => {
                add(&attributes.prefix, &["", "CORS"], &CookieOwner::Group(index), attributes);
            }
            Some((kind, attributes)) => {
                let shards = ["APP-0", "APP-1", "APP-2", "APP-3"];
                add(&attributes.prefix, &shards, &CookieOwner::Map, attributes);
                if let StickinessKind::ApplicationCookie { cookie_name } = kind {
                    add(cookie_name, &[""], &CookieOwner::Application(index), attributes);
                }
            }
        }
    }
    if let Some(stickiness) = &forward.stickiness {
        let mut groups: Vec<usize> = action.groups().collect();
        groups.sort_unstable();
        let attributes = &stickiness.attributes;
        add(&attributes.prefix, &["TG", "TGCORS"], &CookieOwner::Draw(groups), attributes);
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
        CookieOwner::Application(index) => {
            format!("the application of target group {} ({position})", name(index))
        }
        CookieOwner::Map => {
            format!("target groups with cookies or header fields of their applications ({position})")
        }
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
