//! What `dist/` has for Prometheus and Grafana: the alerts say what their own tests say, and every metric that is asked for exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::skip::skip;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Whatever in `text` is called as metrics of balancer are.
pub(crate) fn names(text: &str) -> BTreeSet<String> {
    let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.match_indices("balancer_")
        .filter(|(at, _)| !text[..*at].ends_with(letters))
        .map(|(at, _)| text[at..].chars().take_while(|letter| letters(*letter)).collect())
        .collect()
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let (_, rows) = page.split_once("## All metrics").unwrap();
    let there = names(rows);
    for file in
        ["prometheus/balancer.rules.yml", "prometheus/balancer.rules.test.yml", "grafana/balancer.json"]
    {
        let text = fs::read_to_string(root().join("dist").join(file)).unwrap();
        let asked = names(&text);
        assert!(asked.len() > 10, "{file}: {asked:?}");
        for name in asked {
            // Those of a histogram have a word more.
            let of = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|more| name.strip_suffix(more))
                .unwrap_or(&name);
            assert!(there.contains(of) || there.contains(&name), "{file}: there is no {name}");
        }
    }
}

#[test]
fn alerts_are_what_their_tests_say() {
    if Command::new("promtool").arg("--version").output().is_err() {
        return skip(&"there is no promtool, `cargo xtask test` installs it");
    }
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "balancer.rules.yml"],
        ["test", "rules", "balancer.rules.test.yml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(root().join("dist/prometheus"))
            .output()
            .unwrap();
        let told =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
    }
}

#[test]
fn the_dashboard_of_grafana_is_json_with_panels_that_ask_for_something() {
    let text = fs::read_to_string(root().join("dist/grafana/balancer.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    for panel in panels {
        let queries = panel["targets"].as_array().unwrap();
        assert!(
            !queries.is_empty() && panel["title"].as_str().is_some_and(|title| !title.is_empty()),
            "{panel}"
        );
        // Each is for the balancers and groups that were chosen.
        assert!(queries.iter().all(|query| query["expr"].as_str().unwrap().contains("$instance")), "{panel}");
    }
}

/// An expression that goes by labels that no sample has is one that is never true.
#[test]
fn alerts_go_by_labels_that_the_metrics_have() {
    let rules = fs::read_to_string(root().join("dist/prometheus/balancer.rules.yml")).unwrap();
    let samples =
        fs::read_to_string(root().join("balancer/src/telemetry/figures_tests/metrics.txt")).unwrap();
    let labels_of = |name: &str| -> BTreeSet<String> {
        let with = format!("{name}{{");
        let all = samples.lines().filter_map(|line| line.strip_prefix(&with)?.split_once('}'));
        all.flat_map(|(labels, _)| {
            labels.split("\",").map(|label| label.split('=').next().unwrap().to_owned())
        })
        .collect()
    };
    let mut seen = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let (expression, rest) = rule.split_once("labels:").unwrap();
        let names = names(expression);
        // Certificates are not among what is compared word for word.
        if names.iter().all(|name| name.starts_with("balancer_certificate_")) {
            continue;
        }
        let there: BTreeSet<String> = names.iter().flat_map(|name| labels_of(name)).collect();
        let lists =
            expression.split(['(', '{']).skip(1).filter_map(|list| Some(list.split_once([')', '}'])?.0));
        // Lists of labels alone, with what they are compared with or without.
        let asked = lists
            .flat_map(|list| list.split(','))
            .map(|label| label.split(['=', '~', '!']).next().unwrap().trim());
        let plain = |label: &&str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let told = rest.match_indices("$labels.").map(|(at, word)| {
            rest[at + word.len()..]
                .split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'))
                .next()
                .unwrap()
        });
        for label in asked.filter(plain).chain(told) {
            // The scrape's own, a histogram's, and what is a metric.
            if ["instance", "job", "le"].contains(&label) || label.starts_with("balancer_") || label == "up" {
                continue;
            }
            seen += 1;
            assert!(there.contains(label), "{rule}: no sample of {names:?} has {label}, only {there:?}");
        }
    }
    assert!(seen > 20, "{seen}");
}
