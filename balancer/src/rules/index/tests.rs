use std::net::IpAddr;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::model::{Condition, HeaderField, IpRange, QueryPattern, RequestHead, TextPattern, Version};

/// A request in what rules look at.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    peer: IpAddr,
}

fn asked(method: &str, target: &str, fields: &[(&str, &str)], peer: &str) -> Asked {
    let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Asked { method: method.into(), target: target.into(), fields, peer: peer.parse().unwrap() }
}

fn with_subject<T>(asked: &Asked, use_subject: impl FnOnce(&Subject<'_>) -> T) -> T {
    let fields: Vec<_> = asked
        .fields
        .iter()
        .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead {
        method: asked.method.as_bytes(),
        target: asked.target.as_bytes(),
        version: Version::Http11,
        headers: &fields,
    };
    use_subject(&Subject::new(&head, asked.peer))
}

fn compile(rules: &[Vec<Condition>]) -> Vec<Vec<Test>> {
    rules.iter().map(|conditions| conditions.iter().map(Test::compile).collect()).collect()
}

fn candidates(rules: &[Vec<Condition>], asked: &Asked) -> Vec<usize> {
    let tests = compile(rules);
    let index = RuleIndex::of(tests.iter().map(Vec::as_slice));
    with_subject(asked, |subject| index.candidates(subject, &RequestKeys::of(subject)).iter().collect())
}

fn wild(value: String) -> Vec<TextPattern> {
    vec![TextPattern::Wildcard(value)]
}

fn header(name: String, value: String) -> Condition {
    Condition::HttpHeader { name, values: wild(value) }
}

fn query(key: Option<String>, value: String) -> Condition {
    Condition::QueryString(vec![QueryPattern { key, value }])
}

/// A condition of each kind that tells its rule from all others.
fn conditions(number: usize) -> Vec<Condition> {
    vec![
        Condition::PathPattern(wild(format!("/service-{number}/*"))),
        Condition::PathPattern(wild(format!("*.ext{number}"))),
        Condition::HostHeader(wild(format!("h{number}.example.com"))),
        Condition::HostHeader(wild(format!("*.h{number}.org"))),
        Condition::RequestMethod(vec![format!("M{number}"), format!("N{number}")]),
        Condition::SourceIp(vec![
            IpRange::parse(&format!("10.{}.{}.0/24", number / 256, number % 256)).unwrap(),
        ]),
        Condition::SourceIp(vec![IpRange::parse(&format!("2001:db8:{number:x}::/48")).unwrap()]),
        header("X-Service".into(), format!("s{number}")),
        header(format!("X-Service-{number}"), "*".into()),
        query(Some("service".into()), number.to_string()),
        query(Some(format!("service{number}")), "?*".into()),
        query(None, format!("s{number}")),
    ]
}

#[test]
fn a_rule_among_a_thousand_is_found_without_a_look_at_the_others() {
    const RULES: usize = 1000;
    let kinds = conditions(0).len();
    for kind in 0..kinds {
        // Each has something in common with all others, too.
        let all = Condition::PathPattern(wild("*".into()));
        let rules: Vec<_> =
            (0..RULES).map(|number| vec![all.clone(), conditions(number).swap_remove(kind)]).collect();
        let request = asked(
            "M777",
            "http://h777.example.com/service-777/x.ext777?service=777&service777=1&s777",
            &[("x-service", "S777"), ("X-SERVICE-777", "y"), ("accept", "*/*")],
            if kind == 6 { "2001:db8:309::1" } else { "10.3.9.1" },
        );
        let request = match kind {
            3 => Asked { target: request.target.replace("h777.example.com", "a.h777.org"), ..request },
            _ => request,
        };
        let found = candidates(&rules, &request);
        assert!(found.contains(&777) && found.len() <= 12, "kind {kind}: {found:?}");
        let other = asked("GET", "/", &[("host", "other"), ("x-other", "z")], "192.0.2.1");
        assert!(candidates(&rules, &other).len() <= 10, "kind {kind}");
    }
}

#[test]
fn what_says_nothing_of_a_request_is_always_looked_at_and_in_order() {
    let regex = Condition::PathPattern(vec![TextPattern::Regex("a".into())]);
    let anywhere = Condition::SourceIp(vec![IpRange::parse("0.0.0.0/0").unwrap()]);
    let mut rules = vec![vec![regex], vec![anywhere]];
    rules.extend((0..100).map(|number| vec![Condition::PathPattern(wild(format!("/{number}")))]));
    rules.push(vec![query(None, "*a*".into())]);
    assert_eq!(candidates(&rules, &asked("GET", "/70", &[], "192.0.2.1")), [0, 1, 72, 102]);
    assert!(candidates(&[], &asked("GET", "/", &[], "::1")).is_empty());
}

#[test]
fn more_parts_than_a_request_is_asked_for_make_rules_that_are_always_looked_at() {
    // Each of another pattern of known letters.
    let pattern =
        |number: u32| (0..8).map(|bit| if number >> bit & 1 == 1 { 'a' } else { '?' }).collect::<String>();
    let rules: Vec<_> =
        (1..256).map(|number| vec![Condition::PathPattern(wild(format!("/{}*", pattern(number))))]).collect();
    let tests = compile(&rules);
    let index = RuleIndex::of(tests.iter().map(Vec::as_slice));
    assert_eq!(index.parts.len(), MOST_PARTS);
    assert!(candidates(&rules, &asked("GET", "/", &[], "::1")).len() >= 100);
}

fn text() -> impl Strategy<Value = String> {
    "[abAB/.]{0,11}"
}

fn pattern() -> impl Strategy<Value = TextPattern> {
    prop_oneof![
        4 => "[abAB/.*?]{0,11}".prop_map(TextPattern::Wildcard),
        1 => "[ab]{1,2}".prop_map(TextPattern::Regex),
    ]
}

fn range() -> impl Strategy<Value = IpRange> {
    select(vec![
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.1.1/32",
        "0.0.0.0/0",
        "2001:db8::/32",
        "2001:db8::1/128",
        "::/0",
    ])
    .prop_map(|text| IpRange::parse(text).unwrap())
}

fn condition() -> impl Strategy<Value = Condition> {
    let name = || "[xX]-[abAB]{1,2}";
    let pair = (proptest::option::of("[abAB*]{0,3}"), "[abAB*?]{0,9}");
    let parameter = pair.prop_map(|(key, value)| QueryPattern { key, value });
    prop_oneof![
        vec(pattern(), 1..3).prop_map(Condition::PathPattern),
        vec(pattern(), 1..3).prop_map(Condition::HostHeader),
        vec("[GPab]{1,9}", 1..3).prop_map(Condition::RequestMethod),
        vec(range(), 1..3).prop_map(Condition::SourceIp),
        (name(), vec(pattern(), 1..3)).prop_map(|(name, values)| Condition::HttpHeader { name, values }),
        vec(parameter, 1..3).prop_map(Condition::QueryString),
    ]
}

fn request() -> impl Strategy<Value = Asked> {
    let peer = select(vec![
        "10.0.0.1",
        "10.1.1.1",
        "192.0.2.1",
        "2001:db8::1",
        "2001:db8::2",
        "::ffff:10.1.1.1",
        "::1",
    ]);
    let field = ("[xX]-[abAB]{1,2}|[hH]ost", text());
    let query = vec("[abAB]{0,3}(=[abAB]{0,9})?", 0..4).prop_map(|pairs| pairs.join("&"));
    ("[GPab]{1,9}", text(), query, vec(field, 0..4), peer).prop_map(|(method, path, query, fields, peer)| {
        Asked { method, target: format!("/{path}?{query}"), fields, peer: peer.parse().unwrap() }
    })
}

proptest! {
    #[test]
    fn no_rule_that_is_met_is_missing(
        rules in vec(vec(condition(), 1..4), 0..12),
        requests in vec(request(), 1..5),
    ) {
        let tests = compile(&rules);
        let index = RuleIndex::of(tests.iter().map(Vec::as_slice));
        for asked in requests {
            with_subject(&asked, |subject| {
                let found: Vec<_> = index.candidates(subject, &RequestKeys::of(subject)).iter().collect();
                prop_assert!(found.is_sorted() && found.last().is_none_or(|last| *last < rules.len()));
                for (rule, tests) in tests.iter().enumerate() {
                    let is_met = tests.iter().all(|test| test.is_met(subject));
                    prop_assert!(!is_met || found.contains(&rule), "{rule} of {rules:?} for {asked:?}: {found:?}");
                }
                Ok(())
            })?;
        }
    }
}
