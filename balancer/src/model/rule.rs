//! Listener rules: conditions, and the action for requests that meet them all.

use std::{fmt, net::IpAddr};

use super::{Action, Transforms};

/// A rule of a listener (`listener_rule`, `aws_lb_listener_rule`).
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerRule {
    /// Its block label.
    pub name: String,
    /// `priority`: 1 to 50000, unique in its listener; the lowest is tried first.
    pub priority: u16,
    /// `condition` blocks: at least one; all must be met.
    pub conditions: Vec<Condition>,
    /// What is done with a request that meets them.
    pub action: Action,
    /// `transform` blocks: what is changed of a request that is forwarded.
    pub transforms: Transforms,
}

/// A condition: met when any of its values is (ALB: rule condition types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `host_header`: the host without its port, whatever the case.
    HostHeader(Vec<TextPattern>),
    /// `path_pattern`: the path without the query, case-sensitive.
    PathPattern(Vec<TextPattern>),
    /// `http_request_method`: exactly.
    RequestMethod(Vec<String>),
    /// `source_ip`: the peer of the connection.
    SourceIp(Vec<IpRange>),
    /// `http_header`: any field line of the name, whatever the case.
    HttpHeader {
        /// `http_header_name`.
        name: String,
        /// What its value may be.
        values: Vec<TextPattern>,
    },
    /// `query_string`: any parameter, whatever the case.
    QueryString(Vec<QueryPattern>),
}

/// What a text has to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// `values`: `*` is any run of characters, `?` is one character; `\` makes either literal.
    Wildcard(String),
    /// `regex_values`: found anywhere in the text unless anchored. It is known to compile.
    Regex(String),
}

/// What a parameter of the query has to be like; both are wildcard patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPattern {
    /// Its key; nothing: any.
    pub key: Option<String>,
    /// Its value.
    pub value: String,
}

/// Addresses that share their first bits (CIDR notation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    /// An address of the range.
    pub address: IpAddr,
    /// How many leading bits count: 0 to 32 or 128.
    pub prefix: u8,
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wildcard(text) => f.write_str(text),
            Self::Regex(text) => write!(f, "regex {text}"),
        }
    }
}

impl fmt::Display for QueryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}={}", self.value),
            None => f.write_str(&self.value),
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// For people: `path-pattern /a/* or /b/*`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn any(values: &[impl fmt::Display]) -> String {
            values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
        }
        match self {
            Self::HostHeader(values) => write!(f, "host-header {}", any(values)),
            Self::PathPattern(values) => write!(f, "path-pattern {}", any(values)),
            Self::RequestMethod(values) => write!(f, "http-request-method {}", any(values)),
            Self::SourceIp(values) => write!(f, "source-ip {}", any(values)),
            Self::HttpHeader { name, values } => write!(f, "http-header {name}: {}", any(values)),
            Self::QueryString(values) => write!(f, "query-string {}", any(values)),
        }
    }
}

impl ListenerRule {
    /// Its conditions in one line, for people.
    #[must_use]
    pub fn conditions_text(&self) -> String {
        self.conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl IpRange {
    /// The range written so, unless it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|prefix| is_plain && *prefix <= most)?;
        Some(Self { address, prefix })
    }

    /// Whether `address` is of the range. IPv4 addresses in IPv6 form count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_shares_their_first_bits() {
        let holds =
            |range: &str, ip: &str| IpRange::parse(range).expect("range").contains(ip.parse().expect("ip"));
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.1.2.3/32", "10.1.2.3") && !holds("10.1.2.3/32", "10.1.2.2"));
        assert!(holds("0.0.0.0/0", "255.1.1.1") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "::1") && holds("::1/128", "::1") && !holds("::1/128", "::2"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/+8", "a/8"]
        {
            assert_eq!(IpRange::parse(text), None, "{text}");
        }
    }
}
