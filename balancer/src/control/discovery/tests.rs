use std::{fs, path::PathBuf};

use super::*;
use crate::config;

fn configuration(folder: &std::path::Path, settings: &str) -> Configuration {
    let text = format!(
        "target_group \"app\" {{\n port = 80\n targets_from = \"file:targets.json\"\n target_discovery {{\n{settings}\n}}\n}}"
    );
    config::parse(&[(folder.join("x.hcl"), text)]).unwrap()
}

fn listed(discovery: &Discovery, of: &Configuration) -> Vec<u16> {
    discovery.targets(&of.target_groups[0]).iter().map(|target| target.spec.port).collect()
}

fn write(file: &PathBuf, ports: &[u16]) {
    let targets: Vec<String> = ports.iter().map(|port| format!("\"10.0.0.1:{port}\"")).collect();
    let new = file.with_extension("new");
    fs::write(&new, format!("[{{\"targets\": [{}]}}]", targets.join(", "))).unwrap();
    fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn targets_of_a_file_come_and_go_and_outlast_its_faults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let first = configuration(folder.path(), "");
    let counters = Arc::new(ControlCounters::default());
    let mut discovery = Discovery::new(Arc::clone(&counters));
    assert!(discovery.is_settled(), "nobody is asked");
    discovery.sync([&first]);
    discovery.settle().await;
    assert!(listed(&discovery, &first).is_empty());
    let note = || counters.notes.source("app").unwrap();
    assert!(note().error.unwrap().text.contains("there is no such file"), "{:?}", note());

    write(&file, &[1, 2]);
    assert_eq!(discovery.next().await, "app");
    assert_eq!(listed(&discovery, &first), [1, 2]);
    assert!(note().error.is_none());
    for wrong in ["[]", "[{", "[{\"targets\": [\"10.0.0.1:80\", \"?\"]}]"] {
        let before = note().failures_so_far();
        fs::write(&file, wrong).unwrap();
        while note().failures_so_far() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(listed(&discovery, &first), [1, 2], "{wrong}");
    }

    // Another source of the group begins with what the one before told of.
    let second = configuration(folder.path(), "interval = 60");
    discovery.sync([&first, &second]);
    discovery.settle().await;
    discovery.sync([&second]);
    assert_eq!(listed(&discovery, &second), [1, 2]);
    write(&file, &[3]);
    while listed(&discovery, &second) != [3] {
        discovery.next().await;
    }
    discovery.sync([]);
    assert!(counters.notes.source("app").is_none());
}
