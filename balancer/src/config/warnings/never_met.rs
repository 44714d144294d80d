//! Conditions of rules that no request can meet, and ranges that are not what they look like. Must not know: how conditions
//! are tried. Of regular expressions none of it is found out.

use std::net::IpAddr;

use crate::model::{Condition, Configuration, IpRange, Listener, TextPattern};

/// A line for each.
pub(super) fn warn(configuration: &Configuration, warnings: &mut Vec<String>) {
    for listener in &configuration.listeners {
        let balancer = configuration.load_balancers.get(listener.load_balancer);
        let drops_names = balancer.is_some_and(|balancer| balancer.drop_invalid_header_fields);
        for rule in &listener.rules {
            let said =
                rule.conditions.iter().flat_map(|condition| oddities(condition, listener, drops_names));
            let whose = format!("listener rule {} of listener {}", rule.name, listener.name);
            warnings.extend(said.map(|said| format!("{whose}: {said}")));
        }
    }
}

fn oddities(condition: &Condition, listener: &Listener, drops_names: bool) -> Vec<String> {
    match condition {
        Condition::PathPattern(values) => texts(values)
            .filter_map(|text| {
                let why = wrong_path(text)?;
                Some(format!("path_pattern {text} is never met: {why}"))
            })
            .collect(),
        Condition::HttpHeader { name, values } => {
            let name_is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let of_name = (drops_names && !name_is_plain).then(|| {
                format!(
                    "http_header {name} is never met: with `drop_invalid_header_fields` a field of that name is left \
                     out of the request before rules are tried"
                )
            });
            let of_values = texts(values).filter(|text| text.starts_with(' ') || text.ends_with(' '));
            let of_values = of_values.map(|text| {
                format!("http_header {name}: {text:?} is never met: no value begins or ends with a blank")
            });
            of_name.into_iter().chain(of_values).collect()
        }
        Condition::SourceIp(ranges) => of_ranges(ranges, listener),
        Condition::HostHeader(_) | Condition::RequestMethod(_) | Condition::QueryString(_) => Vec::new(),
    }
}

/// Those that are no expressions.
fn texts(values: &[TextPattern]) -> impl Iterator<Item = &str> {
    values.iter().filter_map(|value| match value {
        TextPattern::Wildcard(text) => Some(text.as_str()),
        TextPattern::Regex(_) => None,
    })
}

/// Why no path is like a pattern. What is between two slashes and holds a wildcard may be anything.
fn wrong_path(pattern: &str) -> Option<&'static str> {
    if !pattern.starts_with(['/', '*', '?']) {
        return Some("every path begins with `/`");
    }
    // What stands before the first slash begins with a wildcard, or is nothing.
    pattern
        .split('/')
        .skip(1)
        .any(|segment| matches!(segment, "." | ".."))
        .then_some("paths are matched without `.` and `..` between slashes")
}

fn of_ranges(ranges: &[IpRange], listener: &Listener) -> Vec<String> {
    let mut said: Vec<String> = ranges.iter().filter_map(host_bits).collect();
    // Sockets of IPv6 are for IPv6 alone.
    let is_reached = |range: &IpRange| range.address.is_ipv4() == listener.address.is_ipv4();
    if !ranges.is_empty() && !ranges.iter().any(is_reached) {
        let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        said.push(format!(
            "source_ip {} is never met: the listener is at {}, where other addresses come from",
            shown.join(" or "),
            listener.address
        ));
    }
    said
}

/// What to say of a range whose address has bits that do not count.
fn host_bits(range: &IpRange) -> Option<String> {
    let beyond = |bits: u32| bits.saturating_sub(u32::from(range.prefix));
    let first = match range.address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(beyond(32)).unwrap_or(0);
            IpAddr::from((address.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(beyond(128)).unwrap_or(0);
            IpAddr::from((address.to_bits() & mask).to_be_bytes())
        }
    };
    (first != range.address).then(|| {
        format!(
            "source_ip {range} is the whole of {first}/{}; for one address alone it is {}/{}",
            range.prefix,
            range.address,
            if range.address.is_ipv4() { 32 } else { 128 }
        )
    })
}
