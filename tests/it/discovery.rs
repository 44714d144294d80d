//! Targets that sources tell of, with real files, servers and name servers: what comes and goes, what drains, and what a source that
//! is away, mistaken or hostile changes, namely nothing.

mod dns;
mod etcd;
mod files;
mod http;
mod kubernetes;

use std::{fs, path::Path};

use support::{Balancer, Config, Group, Status, Target};

/// A list of targets in the form of Prometheus.
fn list(targets: &[&Target]) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{}\"", target.address)).collect();
    format!("[{{\"targets\": [{}], \"labels\": {{\"job\": \"app\"}}}}]", targets.join(", "))
}

/// Puts `text` in the place of a file in one step.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// A group whose targets come from `source` alone.
fn group(source: &str, settings: &str) -> Group {
    let block = format!("target_discovery {{\n{settings}\n}}");
    Group::of("app", &[]).deregistration_delay(0).line(&format!("targets_from = \"{source}\"")).line(&block)
}

/// The source of the first group, as the status tells of it.
fn source(status: &Status) -> &serde_json::Value {
    &status.0["target_groups"][0]["source"]
}

/// Waits until these are the targets of all groups, and healthy.
fn wait_targets(balancer: &Balancer, targets: &[&Target]) {
    balancer.wait_status("the targets are those of the source", 30.0, |status| {
        status.targets().len() == targets.len()
            && targets
                .iter()
                .all(|target| status.find(&target.address).is_some_and(|target| target["state"] == "healthy"))
    });
}

/// Waits until the source fails for this reason; its targets are as they were.
fn wait_fault(balancer: &Balancer, cause: &str, words: &str, targets: &[&Target]) {
    let status = balancer.wait_status(&format!("the source fails: {words}"), 30.0, |status| {
        let error = &source(status)["error"];
        error["cause"] == cause && error["error"].as_str().is_some_and(|error| error.contains(words))
    });
    assert_eq!(source(&status)["failing"], true);
    assert_eq!(status.targets().len(), targets.len(), "nothing is lost: {}", status.0);
    for target in targets {
        assert_eq!(status.state(&target.address), "healthy");
    }
}

fn start(group: Group) -> Balancer {
    Balancer::start(&Config::with(group))
}
