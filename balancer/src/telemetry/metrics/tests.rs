//! Reads the text back with a strict parser of its own and checks what every scraper relies on.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::telemetry::status::{SessionTable, StickinessStatus, Totals};

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Parses OpenMetrics text and checks its rules; panics at the first breach.
fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut samples = Vec::new();
    let mut current = String::new();
    let mut ended = false;
    let mut seen = BTreeSet::new();
    for line in text.split_terminator('\n') {
        assert!(!ended, "text after # EOF: {line}");
        if line == "# EOF" {
            ended = true;
        } else if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (keyword, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match keyword {
                "HELP" => {
                    assert!(helped.insert(name.to_owned()), "family {name} twice");
                    assert!(rest.ends_with('.') && !rest.ends_with(".."), "{name}: {rest}");
                    current = name.to_owned();
                }
                "TYPE" => {
                    assert_eq!(current, name, "TYPE follows its HELP");
                    assert!(["counter", "gauge", "info"].contains(&rest), "{rest}");
                    assert!(types.insert(name.to_owned(), rest.to_owned()).is_none());
                }
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{rest}")), "{name} has no unit {rest} at its end")
                }
                other => panic!("{other}"),
            }
        } else {
            let sample = sample(line);
            let suffix = match types.get(&current).unwrap().as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            assert_eq!(sample.name, format!("{current}{suffix}"));
            assert!(sample.name.starts_with("balancer_"));
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "series twice: {line}");
            samples.push(sample);
        }
    }
    assert!(ended && text.ends_with('\n'), "no # EOF at the end");
    (types, samples)
}

fn sample(line: &str) -> Sample {
    let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let mut rest = &line[name.len()..];
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (key, after) = rest.split_once("=\"").unwrap();
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        c => panic!("escape {c}"),
                    }),
                    (at, '"') => break at,
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(key.to_owned(), value).is_none(), "label {key} twice: {line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap();
    }
    let value = rest.strip_prefix(' ').unwrap().parse().unwrap();
    Sample { name, labels, value }
}

fn target(id: &str, state: &str, requests: u64) -> TargetStatus {
    TargetStatus {
        id: id.into(),
        port: 9001,
        state: state.into(),
        requests,
        responses: [("2xx".to_owned(), 5), ("5xx".to_owned(), 1)].into(),
        connections: Connections { open: 3, srtt_us: 250, bytes_in: 10, ..Connections::default() },
        ..TargetStatus::default()
    }
}

fn status() -> Status {
    Status {
        version: "1.2.3".into(),
        instance: "default".into(),
        kernel_assist: true,
        workers: 2,
        reloads: 4,
        totals: Totals { requests: 100, own_responses: [(460, 2), (502, 3)].into(), ..Totals::default() },
        session_table: Some(SessionTable { capacity: 1024, entries: 7 }),
        target_groups: vec![GroupStatus {
            name: "app".into(),
            stickiness: StickinessStatus {
                enabled: true,
                decisions: [("pinned".to_owned(), 90), ("forged".to_owned(), 1)].into(),
                ..StickinessStatus::default()
            },
            targets: vec![
                target("127.0.0.1", "draining", 77),
                target("127.0.0.1", "healthy", 77),
                target("unix:/run/a\"b\\c\nd", "unhealthy", 1),
            ],
            ..GroupStatus::default()
        }],
        ..Status::default()
    }
}

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let matching: Vec<_> = samples
        .iter()
        .filter(|sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|have| have == value))
        })
        .collect();
    assert_eq!(matching.len(), 1, "{name} {labels:?}: {matching:?}");
    matching[0].value
}

#[test]
fn the_text_keeps_the_rules_and_holds_the_figures() {
    let (types, samples) = parse(&render(status()));
    assert_eq!(types["balancer_requests"], "counter");
    assert_eq!(types["balancer_target_state"], "gauge");
    assert_eq!(value(&samples, "balancer_build_info", &[("version", "1.2.3")]), 1.0);
    assert_eq!(value(&samples, "balancer_kernel_assist", &[]), 1.0);
    assert_eq!(value(&samples, "balancer_workers", &[]), 2.0);
    assert_eq!(value(&samples, "balancer_requests_total", &[]), 100.0);
    assert_eq!(value(&samples, "balancer_reloads_total", &[]), 4.0);
    assert_eq!(value(&samples, "balancer_responses_total", &[("status", "460")]), 2.0);
    assert_eq!(value(&samples, "balancer_responses_total", &[("status", "502")]), 3.0);
    assert_eq!(value(&samples, "balancer_session_table_entries", &[]), 7.0);
    let pinned = [("target_group", "app"), ("outcome", "pinned")];
    assert_eq!(value(&samples, "balancer_stickiness_decisions_total", &pinned), 90.0);
    let first = [("target_group", "app"), ("target", "127.0.0.1:9001")];
    assert_eq!(value(&samples, "balancer_target_connections_open", &first), 3.0);
    assert_eq!(value(&samples, "balancer_target_smoothed_rtt_seconds", &first), 0.000_25);
    assert_eq!(value(&samples, "balancer_target_received_bytes_total", &first), 10.0);
    let class = [first[0], first[1], ("class", "5xx")];
    assert_eq!(value(&samples, "balancer_target_responses_total", &class), 1.0);
}

#[test]
fn a_target_that_came_back_is_told_once_and_in_one_state() {
    let (_, samples) = parse(&render(status()));
    let state = |name| {
        let labels = [("target", "127.0.0.1:9001"), ("state", name)];
        value(&samples, "balancer_target_state", &labels)
    };
    assert_eq!((state("healthy"), state("draining")), (1.0, 0.0));
    assert_eq!(value(&samples, "balancer_target_requests_total", &[("target", "127.0.0.1:9001")]), 77.0);
}

#[test]
fn label_values_are_escaped() {
    let text = render(status());
    assert!(text.contains(r#"target="unix:/run/a\"b\\c\nd""#), "{text}");
    let (_, samples) = parse(&text);
    value(&samples, "balancer_target_requests_total", &[("target", "unix:/run/a\"b\\c\nd")]);
}

#[test]
fn a_group_that_is_not_sticky_has_no_decisions_and_huge_figures_do_not_stop_a_scrape() {
    let mut status = status();
    status.target_groups[0].stickiness.enabled = false;
    status.target_groups[0].targets[2].outstanding_requests = u64::MAX;
    let (types, samples) = parse(&render(status));
    assert!(types.contains_key("balancer_stickiness_decisions"));
    assert!(!samples.iter().any(|sample| sample.name.starts_with("balancer_stickiness")));
}
