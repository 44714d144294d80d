//! `cargo xtask bench`, over the smallest of what it measures, with the program of the tests: whether it works, and no figures.

use std::{fs, path::Path, process::Command};

use support::balancer::binary;

/// The figures in the report's lines: work, proxy, version, round, figure, value.
fn figures(folder: &Path) -> Vec<(String, String, f64)> {
    let text = fs::read_to_string(folder.join("figures.csv")).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    rows.map(|row| (row[1].to_owned(), row[4].to_owned(), row[5].parse().unwrap())).collect()
}

#[test]
fn a_report_has_the_table_the_chart_and_the_figures_of_who_took_part() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/debug/xtask");
    assert!(xtask.is_file(), "{} is missing: `cargo xtask test` builds it", xtask.display());
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(xtask)
        .args([
            "bench",
            "--as-built",
            "--rounds",
            "1",
            "--seconds",
            "1",
            "--work",
            "small",
            "--kernel-assist",
            "off",
        ])
        .args(["--only", "balancer,hyper,relay", "--binary"])
        .arg(binary())
        .arg("--report")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let figures = figures(folder.path());
    for proxy in ["balancer", "hyper", "relay"] {
        let of = |figure: &str| figures.iter().find(|row| row.0 == proxy && row.1 == figure).map(|row| row.2);
        assert!(of("CPU µs/request").is_some_and(|cpu| cpu > 0.5 && cpu < 10_000.0), "{proxy}: {figures:?}");
        assert!(of("requests/s").is_some_and(|rate| rate > 10.0), "{proxy}: {figures:?}");
    }
    let report = fs::read_to_string(folder.path().join("README.md")).unwrap();
    assert!(report.contains("(small.svg)") && report.contains("hyper 1."), "{report}");
    assert!(report.contains("(no stickiness)"), "the relay does less: {report}");
    assert!(report.contains("`latency-90`"), "what was not measured is named: {report}");
    let chart = fs::read_to_string(folder.path().join("small.svg")).unwrap();
    assert_eq!(chart.matches("<rect x=").count(), 3, "{chart}");
}
