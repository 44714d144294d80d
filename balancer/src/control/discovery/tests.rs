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

/// What is said of sources before anybody is asked.
#[test]
fn what_is_wrong_with_the_files_of_sources_is_seen_on_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let said = |from: &str, settings: &str| {
        let text = format!(
            "target_group \"app\" {{\n port = 80\n targets_from = \"{from}\"\n target_discovery {{\n{settings}\n}}\n}}"
        );
        let configuration = config::parse(&[(folder.path().join("x.hcl"), text)]).unwrap();
        let read: Vec<PathBuf> = files(&configuration).map(|(_, file)| file.to_owned()).collect();
        (look(&configuration).join("\n"), read.len())
    };
    let list = folder.path().join("list.json");
    for (text, wrong) in [
        (None, "there is no such file"),
        (Some("[]"), "it lists no targets"),
        (Some("{"), "it is no list of targets in JSON"),
        (Some("[{\"targets\": [\"10.0.0.1:80\", \"10.0.0.1:80\"]}]"), "1 targets are listed more than once"),
        (Some("[{\"targets\": [\"10.0.0.1:80\"]}]"), ""),
    ] {
        if let Some(text) = text {
            fs::write(&list, text).unwrap();
        }
        let (told, files) = said("file:list.json", "");
        assert!(
            files == 1 && told.contains(wrong) && told.is_empty() == wrong.is_empty(),
            "{text:?}: {told}"
        );
        assert!(told.is_empty() || told.starts_with("target group \"app\": file:"), "{told}");
    }
    assert_eq!(said("file:list.json", "empty_is_error = false").0, "");
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::write(folder.path().join("token"), "word\n").unwrap();
    let secure = "server = \"https://192.0.2.1\"\nca_file = \"none\"";
    for (from, settings, wrong, count) in [
        ("http://192.0.2.1/", "", "", 0),
        ("http://192.0.2.1/", "token_file = \"token\"", "", 1),
        ("http://192.0.2.1/", "token_file = \"none\"", "there is no such file", 1),
        ("http://192.0.2.1/", "token_file = \"empty\"", "is empty; allowed: a token", 1),
        ("https://192.0.2.1/", "ca_file = \"token\"", "token holds no certificate", 1),
        ("dns+srv:_http._tcp.shop.test", "", "", 0),
        ("kubernetes:shop/web", "", "no server is given", 0),
        ("kubernetes:shop/web", secure, "there is no such file", 1),
        ("etcd:/a/", "server = \"http://192.0.2.1\"", "", 0),
        ("etcd:/a/", "server = \"http://192.0.2.1\"\nuser = \"u\"\npassword_file = \"empty\"", "is empty", 1),
        ("etcd:/a/", secure, "there is no such file", 1),
    ] {
        let (told, files) = said(from, settings);
        assert_eq!((told.is_empty(), files), (wrong.is_empty(), count), "{from} {settings}: {told}");
        assert!(told.contains(wrong), "{from} {settings}: {told}");
    }
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
