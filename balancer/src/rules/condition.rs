//! One condition of a rule, and the request as conditions see it (ALB: rule condition types).
//! Must not know: priorities, actions.

use std::{borrow::Cow, net::IpAddr};

use super::{
    host,
    path::{UriParts, normalised, pairs},
    pattern::{Case, Pattern, Wildcard, is_matchable},
    probe::Probe,
};
use crate::model::{Condition, IpRange, RequestHead, TextPattern};

/// What conditions look at, taken out of the request once.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) head: &'a RequestHead<'a>,
    /// In the one form of [`host`]. This, and what follows, is nothing where no pattern may be tried.
    pub(super) host: Option<Cow<'a, [u8]>>,
    pub(super) path: Option<Cow<'a, [u8]>>,
    pub(super) query: Option<&'a [u8]>,
    pub(super) peer: IpAddr,
}

impl<'a> Subject<'a> {
    pub(super) fn new(head: &'a RequestHead<'a>, peer: IpAddr) -> Self {
        let parts = UriParts::of(head.target);
        let authority = parts.authority.or_else(|| head.values("host").next()).unwrap_or_default();
        Self {
            head,
            host: Some(authority).filter(|host| is_matchable(host)).map(host::matched),
            path: Some(parts.path).filter(|path| is_matchable(path)).map(normalised),
            query: Some(parts.query).filter(|query| is_matchable(query)),
            peer,
        }
    }
}

/// A host's pattern as one of its lower case: comparing bytes is then enough.
fn lower_pattern(pattern: &TextPattern) -> Option<Pattern> {
    match pattern {
        TextPattern::Wildcard(text) => {
            Some(Pattern::Wildcard(Wildcard::new(&text.to_ascii_lowercase(), Case::Exact)))
        }
        TextPattern::Regex(_) => Pattern::compile(pattern, Case::Ignored),
    }
}

/// A condition, ready to match.
#[derive(Debug)]
pub(super) enum Test {
    Host(Vec<Pattern>),
    Path(Vec<Pattern>),
    Method(Vec<Vec<u8>>),
    Source(Vec<IpRange>),
    Header { name: String, values: Vec<Pattern> },
    Query(Vec<Parameter>),
}

/// What a parameter of the query has to be like.
#[derive(Debug)]
pub(super) struct Parameter {
    key: Option<Wildcard>,
    value: Wildcard,
}

impl Test {
    pub(super) fn compile(condition: &Condition) -> Self {
        let all = |patterns: &[TextPattern], case| {
            patterns.iter().filter_map(|pattern| Pattern::compile(pattern, case)).collect()
        };
        match condition {
            Condition::HostHeader(values) => Self::Host(values.iter().filter_map(lower_pattern).collect()),
            Condition::PathPattern(values) => Self::Path(all(values, Case::Exact)),
            Condition::RequestMethod(values) => {
                Self::Method(values.iter().map(|method| method.clone().into_bytes()).collect())
            }
            Condition::SourceIp(ranges) => Self::Source(ranges.clone()),
            Condition::HttpHeader { name, values } => {
                Self::Header { name: name.clone(), values: all(values, Case::Ignored) }
            }
            Condition::QueryString(values) => {
                let parameters = values.iter().map(|pattern| Parameter {
                    key: pattern.key.as_ref().map(|key| Wildcard::new(key, Case::Ignored)),
                    value: Wildcard::new(&pattern.value, Case::Ignored),
                });
                Self::Query(parameters.collect())
            }
        }
    }

    /// What the host, and what the path, must be like at least for this to be met.
    pub(super) fn probes(&self) -> (Probe, Probe) {
        match self {
            Self::Host(values) => (Probe::of(values), Probe::default()),
            Self::Path(values) => (Probe::default(), Probe::of(values)),
            _ => (Probe::default(), Probe::default()),
        }
    }

    /// What is cheap to look at comes first; the order changes nothing else.
    pub(super) fn cost(&self) -> u8 {
        match self {
            Self::Method(_) => 0,
            Self::Source(_) => 1,
            Self::Host(_) | Self::Path(_) => 2,
            Self::Query(_) => 3,
            Self::Header { .. } => 4,
        }
    }

    pub(super) fn is_met(&self, subject: &Subject<'_>) -> bool {
        let any = |patterns: &[Pattern], text: &[u8]| patterns.iter().any(|pattern| pattern.matches(text));
        match self {
            Self::Host(values) => subject.host.as_ref().is_some_and(|host| any(values, host)),
            Self::Path(values) => subject.path.as_ref().is_some_and(|path| any(values, path)),
            Self::Method(methods) => methods.iter().any(|method| method == subject.head.method),
            Self::Source(ranges) => ranges.iter().any(|range| range.contains(subject.peer)),
            Self::Header { name, values } => {
                subject.head.values(name).any(|value| is_matchable(value) && any(values, value))
            }
            Self::Query(parameters) => {
                subject.query.is_some_and(|query| parameters.iter().any(|parameter| parameter.is_in(query)))
            }
        }
    }
}

impl Parameter {
    /// Name and value where they are texts without wildcards; no name at all: any does.
    pub(super) fn literals(&self) -> (Option<Option<&[u8]>>, Option<&[u8]>) {
        (self.key.as_ref().map(Wildcard::literal), self.value.literal())
    }

    /// Whether the query has such a parameter. Without a key, what stands alone (`?debug`) is a value too.
    fn is_in(&self, query: &[u8]) -> bool {
        pairs(query).any(|(key, value)| match &self.key {
            Some(wanted) => wanted.matches(key) && self.value.matches(value.unwrap_or_default()),
            None => self.value.matches(value.unwrap_or(key)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HeaderField, QueryPattern, Version};

    fn met_by(
        condition: &Condition,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        peer: &str,
    ) -> bool {
        let headers: Vec<_> = fields
            .iter()
            .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead {
            method: method.as_bytes(),
            target: target.as_bytes(),
            version: Version::Http11,
            headers: &headers,
        };
        Test::compile(condition).is_met(&Subject::new(&head, peer.parse().expect("address")))
    }

    fn wild(values: &[&str]) -> Vec<TextPattern> {
        values.iter().map(|value| TextPattern::Wildcard((*value).to_owned())).collect()
    }

    #[test]
    fn hosts_are_matched_without_port_and_case_and_the_first_counts() {
        let condition = Condition::HostHeader(wild(&["*.example.com", "a.org"]));
        let met = |target: &str, hosts: &[&str]| {
            let fields: Vec<_> = hosts.iter().map(|host| ("hOST", *host)).collect();
            met_by(&condition, "GET", target, &fields, "192.0.2.1")
        };
        assert!(met("/", &["WWW.Example.com"]) && met("/", &["a.org:8080"]));
        assert!(!met("/", &["example.com"]) && !met("/", &["b.org"]) && !met("/", &[]));
        assert!(met("/", &["a.org", "b.org"]) && !met("/", &["b.org", "a.org"]));
        assert!(
            met("/", &["a.org."])
                && met("/", &["A.ORG.:80"])
                && met("/", &["a.org:"])
                && !met("/", &["a.org.."])
        );
        assert!(
            met("/", &["www.example.com."]) && met("http://a.org./", &["b.org"]) && met("/", &["%61.org"])
        );
        assert!(met("http://a.org:1/", &["b.org"]) && !met("http://b.org/", &["a.org"]));
        let literal = Condition::HostHeader(vec![TextPattern::Regex(r"^\[::1\]$".into())]);
        for host in ["[::1]", "[::1]:80", "[::1]:"] {
            assert!(met_by(&literal, "GET", "/", &[("host", host)], "192.0.2.1"), "{host}");
        }
        let whole = Condition::HostHeader(vec![TextPattern::Regex("^app[.]example[.]com$".into())]);
        assert!(met_by(&whole, "GET", "/", &[("host", "App.Example.com.:8443")], "192.0.2.1"));
    }

    #[test]
    fn paths_are_matched_with_their_case_and_in_one_form() {
        let condition = Condition::PathPattern(wild(&["/admin/*"]));
        let met = |target: &str| met_by(&condition, "GET", target, &[], "192.0.2.1");
        assert!(met("/admin/x?y") && met("/x/../%61dmin/") && met("http://h/admin/"));
        assert!(!met("/Admin/") && !met("/?/admin/") && !met("/admin"));
        let regex = Condition::PathPattern(vec![TextPattern::Regex("^/v[12]/".into())]);
        assert!(met_by(&regex, "GET", "/v2/a", &[], "192.0.2.1"));
        assert!(!met_by(&regex, "GET", "/V2/a", &[], "192.0.2.1"));
    }

    #[test]
    fn methods_are_matched_exactly_and_sources_by_the_peer_alone() {
        let methods = Condition::RequestMethod(vec!["GET".into(), "PURGE".into()]);
        assert!(met_by(&methods, "PURGE", "/", &[], "192.0.2.1"));
        assert!(!met_by(&methods, "get", "/", &[], "192.0.2.1"));
        let source = Condition::SourceIp(vec![IpRange::parse("192.0.2.0/24").expect("range")]);
        assert!(met_by(&source, "GET", "/", &[], "192.0.2.77"));
        assert!(!met_by(&source, "GET", "/", &[("X-Forwarded-For", "192.0.2.1")], "198.51.100.1"));
    }

    #[test]
    fn repeated_fields_are_tried_in_turn() {
        let condition = Condition::HttpHeader { name: "X-Client".into(), values: wild(&["*mobile*"]) };
        let met = |fields: &[(&str, &str)]| met_by(&condition, "GET", "/", fields, "192.0.2.1");
        assert!(met(&[("x-client", "a"), ("X-CLIENT", "some MOBILE thing")]));
        assert!(!met(&[("x-client", "mobile\tx")]), "control characters are like nothing");
        assert!(!met(&[("x-client", "a")]) && !met(&[("x-other", "mobile")]) && !met(&[]));
    }

    #[test]
    fn parameters_are_matched_by_key_and_value() {
        let query = |key: Option<&str>, value: &str| {
            Condition::QueryString(vec![QueryPattern { key: key.map(Into::into), value: value.into() }])
        };
        let met = |condition: &Condition, target: &str| met_by(condition, "GET", target, &[], "192.0.2.1");
        let version = query(Some("version"), "v?");
        assert!(
            met(&version, "/?a=b&VERSION=V1") && !met(&version, "/?version=v10") && !met(&version, "/v1")
        );
        let any = query(None, "*example*");
        assert!(met(&any, "/?x=an+EXAMPLE") && met(&any, "/?example") && !met(&any, "/?example=1"));
        assert!(met(&query(Some("a"), r"\*"), "/?a=*") && !met(&query(Some("a"), r"\*"), "/?a=b"));
        assert!(met(&query(Some("a"), "b=c"), "/?a=b=c") && met(&query(Some("a"), ""), "/?a"));
    }
}
