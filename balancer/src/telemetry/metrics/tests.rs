//! Reads the text back with a strict parser of its own and checks what every scraper relies on.

mod expressions;
mod promql;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::telemetry::status::{
    HistogramStatus, ListenerStatus, Micros, SessionStoreStatus, ShieldInterfaceStatus, StickinessStatus,
};

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
                    assert!(["counter", "gauge", "histogram", "info"].contains(&rest), "{rest}");
                    assert!(types.insert(name.to_owned(), rest.to_owned()).is_none());
                }
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{rest}")), "{name} has no unit {rest} at its end")
                }
                other => panic!("{other}"),
            }
        } else {
            let sample = sample(line);
            let suffixes: &[&str] = match types.get(&current).unwrap().as_str() {
                "counter" => &["_total"],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let suffix = sample.name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} in {current}"));
            assert!(suffixes.contains(&suffix), "{line} in {current}");
            assert_eq!(sample.labels.contains_key("le"), suffix == "_bucket", "{line}");
            assert!(sample.name.starts_with("balancer_"));
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "series twice: {line}");
            samples.push(sample);
        }
    }
    assert!(ended && text.ends_with('\n'), "no # EOF at the end");
    check_histograms(&types, &samples);
    (types, samples)
}

/// Buckets grow up to `+Inf`, which is the count.
fn check_histograms(types: &BTreeMap<String, String>, samples: &[Sample]) {
    for (name, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
            let mut labels = sample.labels.clone();
            let bound = labels.remove("le").unwrap();
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            series.entry(labels).or_default().push((bound, sample.value));
        }
        assert!(!series.is_empty(), "{name} has no series");
        for (labels, buckets) in series {
            assert!(
                buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1),
                "{name}: {buckets:?}"
            );
            let last = buckets.last().unwrap();
            assert_eq!(last.0, f64::INFINITY);
            let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(last.1, value(samples, &format!("{name}_count"), &labels));
            value(samples, &format!("{name}_sum"), &labels);
        }
    }
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
        figures: TargetFigures {
            requests,
            responses: [("2xx".to_owned(), 5), ("5xx".to_owned(), 1)].into(),
            ..TargetFigures::default()
        },
        connections: Connections { open: 3, srtt_us: Micros(250), bytes_in: 10, ..Connections::default() },
        ..TargetStatus::default()
    }
}

fn status() -> Status {
    Status {
        version: "1.2.3".into(),
        instance: "default".into(),
        kernel_assist: true,
        workers: 2,
        upkeep: Upkeep { reloads: 4, ..Upkeep::default() },
        totals: Totals { work: Work { retries: 6, ..Work::default() }, ..Totals::default() },
        shield: Some(ShieldStatus {
            interfaces: vec![ShieldInterfaceStatus { name: "eth0".into(), ..Default::default() }],
            packets: [("deny".to_owned(), 8)].into(),
            ..ShieldStatus::default()
        }),
        cluster: Some(ClusterNote {
            connected: true,
            revision: 9,
            state: "in_force".into(),
            ..ClusterNote::default()
        }),
        session_store: Some(SessionStoreStatus {
            figures: SessionStore {
                up: true,
                lookups: [("found".to_owned(), 12)].into(),
                writes: [("written".to_owned(), 13)].into(),
                failures: [("timed_out".to_owned(), 1)].into(),
                ..SessionStore::default()
            },
            ..SessionStoreStatus::default()
        }),
        session_table: Some(SessionTable {
            capacity: 1024,
            entries: 7,
            entries_error: 3,
            evicted: [("returned".to_owned(), 5)].into(),
        }),
        listeners: vec![ListenerStatus {
            name: "web".into(),
            load_balancer: "main".into(),
            traffic: Traffic {
                connections_accepted: 9,
                connections_active: 2,
                requests: 100,
                own_responses: [("460".to_owned(), 2), ("502".to_owned(), 3)].into(),
                request_duration: HistogramStatus { counts: vec![1; 16], sum_seconds: 500.5 },
                ..Traffic::default()
            },
            ..ListenerStatus::default()
        }],
        target_groups: vec![GroupStatus {
            name: "app".into(),
            answers: Answers {
                requests_with_target: 95,
                responses: [("2xx".to_owned(), 94), ("5xx".to_owned(), 1)].into(),
                response_time: HistogramStatus { counts: vec![2, 0, 1], sum_seconds: 0.25 },
                ..Answers::default()
            },
            stickiness: StickinessStatus {
                enabled: true,
                kind: Some("app_cookie".into()),
                figures: Stickiness {
                    decisions: [("pinned".to_owned(), 90), ("forged".to_owned(), 1)].into(),
                    ..Stickiness::default()
                },
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
    let (types, samples) = parse(&render(&status()));
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
    assert_eq!(value(&samples, "balancer_session_table_entries_error", &[]), 3.0);
    assert_eq!(value(&samples, "balancer_session_table_evicted_total", &[("kind", "returned")]), 5.0);
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
    let (_, samples) = parse(&render(&status()));
    let state = |name| {
        let labels = [("target", "127.0.0.1:9001"), ("state", name)];
        value(&samples, "balancer_target_state", &labels)
    };
    assert_eq!((state("healthy"), state("draining")), (1.0, 0.0));
    assert_eq!(value(&samples, "balancer_target_requests_total", &[("target", "127.0.0.1:9001")]), 77.0);
}

#[test]
fn label_values_are_escaped() {
    let text = render(&status());
    assert!(text.contains(r#"target="unix:/run/a\"b\\c\nd""#), "{text}");
    let (_, samples) = parse(&text);
    value(&samples, "balancer_target_requests_total", &[("target", "unix:/run/a\"b\\c\nd")]);
}

#[test]
fn a_group_that_is_not_sticky_has_no_decisions_and_huge_figures_do_not_stop_a_scrape() {
    let mut status = status();
    status.target_groups[0].stickiness.enabled = false;
    status.target_groups[0].targets[2].figures.outstanding_requests = u64::MAX;
    let (types, samples) = parse(&render(&status));
    assert!(types.contains_key("balancer_stickiness_decisions"));
    assert!(!samples.iter().any(|sample| sample.name.starts_with("balancer_stickiness")));
}

#[test]
fn histograms_tell_how_many_took_up_to_each_bound() {
    let (types, samples) = parse(&render(&status()));
    assert_eq!(types["balancer_request_duration_seconds"], "histogram");
    let web = [("load_balancer", "main"), ("listener", "web")];
    assert_eq!(value(&samples, "balancer_request_duration_seconds_count", &web), 16.0);
    assert_eq!(value(&samples, "balancer_request_duration_seconds_sum", &web), 500.5);
    let up_to = |bound| value(&samples, "balancer_target_response_time_seconds_bucket", &[("le", bound)]);
    assert_eq!((up_to("0.001"), up_to("0.0025"), up_to("0.005"), up_to("+Inf")), (2.0, 2.0, 3.0, 3.0));
    assert_eq!(value(&samples, "balancer_connections_active", &web), 2.0);
}

#[test]
fn groups_are_told_as_cloudwatch_tells_them() {
    let (_, samples) = parse(&render(&status()));
    let app = [("target_group", "app")];
    assert_eq!(value(&samples, "balancer_group_requests_with_target_total", &app), 95.0);
    assert_eq!(value(&samples, "balancer_group_responses_total", &[app[0], ("class", "2xx")]), 94.0);
    assert_eq!(value(&samples, "balancer_healthy_host_count", &app), 1.0);
    assert_eq!(value(&samples, "balancer_unhealthy_host_count", &app), 1.0);
    assert_eq!(value(&samples, "balancer_non_sticky_requests_total", &app), 1.0);
    assert_eq!(value(&samples, "balancer_app_cookie_non_sticky_requests_total", &app), 1.0);
}

/// Metrics of the namespace `AWS/ApplicationELB`, as the documentation of ALB lists them.
const CLOUDWATCH: &str = "ActiveConnectionCount NewConnectionCount RejectedConnectionCount ProcessedBytes \
    IPv6ProcessedBytes IPv6RequestCount ClientTLSNegotiationErrorCount HTTPCode_ELB_3XX_Count \
    HTTPCode_ELB_4XX_Count HTTPCode_ELB_5XX_Count HTTPCode_ELB_500_Count HTTPCode_ELB_502_Count \
    HTTPCode_ELB_503_Count HTTPCode_ELB_504_Count HTTP_Fixed_Response_Count HTTP_Redirect_Count \
    HTTP_Redirect_Url_Limit_Exceeded_Count DesyncMitigationMode_NonCompliant_Request_Count ELBAuthError \
    ELBAuthFailure ELBAuthLatency ELBAuthRefreshTokenSuccess ELBAuthSuccess ELBAuthUserClaimsSizeExceeded \
    LowReputation* TargetControl* DroppedInvalidHeaderRequestCount ForwardedInvalidHeaderRequestCount \
    NonStickyRequestCount AppCookieNonStickinessCount RuleEvaluations ConsumedLCUs PeakLCUs ReservedLCUs \
    CapacityUtilization RequestCount HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count \
    HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count TargetResponseTime TargetConnectionErrorCount \
    TargetTLSNegotiationErrorCount HealthyHostCount UnHealthyHostCount AnomalousHostCount MitigatedHostCount \
    HealthyStateDNS HealthyStateRouting UnhealthyStateDNS UnhealthyStateRouting UnhealthyRoutingRequestCount \
    ActiveZonalShiftHostCount RequestCountPerTarget GrpcRequestCount LambdaInternalError LambdaUserError \
    LambdaTargetProcessedBytes";

#[test]
fn every_metric_of_cloudwatch_is_here_or_has_a_reason_not_to_be() {
    let names: Vec<&str> = cloudwatch::METRICS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, CLOUDWATCH.split_whitespace().collect::<Vec<_>>());
    let (types, _) = parse(&render(&status()));
    let exported: BTreeSet<String> = types
        .iter()
        .flat_map(|(name, kind)| match kind.as_str() {
            "counter" => vec![format!("{name}_total")],
            "histogram" => vec![format!("{name}_bucket")],
            _ => vec![name.clone()],
        })
        .collect();
    for (name, export) in cloudwatch::METRICS {
        let cloudwatch::Export::Expression(expression) = export else { continue };
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let used: Vec<&str> = words.filter(|word| word.starts_with("balancer_")).collect();
        assert!(!used.is_empty(), "{name}");
        for word in used {
            assert!(exported.contains(word), "{name}: {word} is not exported");
        }
    }
}

/// The tables of `docs/metrics.md`.
fn manual() -> String {
    let mut text = String::from("| CloudWatch | here |\n| --- | --- |\n");
    for (name, export) in cloudwatch::METRICS {
        text += &match export {
            cloudwatch::Export::Expression(expression) => format!("| `{name}` | `{expression}` |\n"),
            cloudwatch::Export::Nowhere(reason) => format!("| `{name}` | none: {reason} |\n"),
        };
    }
    text.push_str("\n## All metrics\n\n| metric | type | meaning |\n| --- | --- | --- |\n");
    let page = render(&status());
    let (types, _) = parse(&page);
    for line in page.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap();
        let kind = &types[name];
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        text += &format!("| `{name}{suffix}` | {kind} | {help} |\n");
    }
    text
}

/// `UPDATE_DOCS=1` writes the tables anew.
#[test]
fn the_page_on_metrics_says_what_is_exported() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- tables -->\n").unwrap();
    let (tables, after) = rest.split_once("<!-- end of tables -->").unwrap();
    let wanted = format!("\n{}\n", manual());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}<!-- tables -->\n{wanted}<!-- end of tables -->{after}");
        std::fs::write(path, text).unwrap();
    } else {
        assert_eq!(tables, wanted, "docs/metrics.md is stale; UPDATE_DOCS=1 writes it anew");
    }
}
