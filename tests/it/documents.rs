//! What the documents name exists: metrics, alerts, and configurations of other balancers, which these load. (Those of this one
//! are loaded by `tests/integration/config.rs`, links are followed by `cargo xtask site`.)

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{authority::Authority, skip::skip};

use crate::monitoring::{names, root};

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

fn pages() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_metric_that_a_page_names_exists() {
    let metrics = page("metrics.md");
    let there = names(metrics.split_once("## All metrics").unwrap().1);
    for path in pages() {
        for name in names(&fs::read_to_string(&path).unwrap()) {
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|more| name.strip_suffix(more));
            let known = there.contains(&name)
                || of.is_some_and(|of| there.contains(of))
                // The beginning of several: `balancer_http2_…`.
                || name.ends_with('_') && there.iter().any(|metric| metric.starts_with(&name));
            assert!(known, "{}: there is no {name}", path.display());
        }
    }
}

#[test]
fn alerts_and_runbooks_name_each_other() {
    let (runbooks, rules) =
        (page("runbooks.md"), fs::read_to_string(root().join("dist/prometheus/balancer.rules.yml")).unwrap());
    let headings = runbooks.lines().filter_map(|line| line.strip_prefix("## "));
    let anchors: Vec<String> = headings.map(|words| words.to_lowercase().replace(' ', "-")).collect();
    for alert in rules.split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap();
        assert!(runbooks.contains(&format!("`{name}`")), "no runbook is for {name}");
        let anchor =
            alert.split_once("runbook: docs/runbooks.md#").unwrap_or_else(|| panic!("{name}: none")).1;
        let anchor = anchor.lines().next().unwrap();
        assert!(anchors.iter().any(|there| there == anchor), "{name}: there is no {anchor}");
    }
    let named: Vec<&str> = runbooks.split('`').filter(|word| word.starts_with("Balancer")).collect();
    assert!(named.len() > 10, "{named:?}");
    for alert in named {
        assert!(rules.contains(&format!("- alert: {alert}\n")), "there is no alert {alert}");
    }
}

/// The example of a page in the language of another balancer, with files in `folder` in place of those it names.
fn example(file: &str, language: &str, replaced: &[(&str, &Path)]) -> String {
    let text = page(file);
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    let example = rest.split_once("\n```").unwrap().0;
    replaced.iter().fold(format!("{example}\n"), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to.to_str().unwrap())
    })
}

fn loads(command: &mut Command) {
    let Ok(output) = command.output() else {
        return skip(&format_args!("{command:?} cannot be run, `cargo xtask setup` installs it"));
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_example_for_haproxy_loads_there() {
    let folder = tempfile::tempdir().unwrap();
    let site = Authority::make(folder.path(), "shop").own;
    let both = folder.path().join("both.pem");
    let text = fs::read_to_string(&site.certificate).unwrap() + &fs::read_to_string(&site.key).unwrap();
    fs::write(&both, text).unwrap();
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, example("from-haproxy.md", "haproxy", &[("/etc/ssl/shop.pem", &both)])).unwrap();
    loads(Command::new("haproxy").args(["-c", "-f"]).arg(&file));
}

#[test]
fn the_example_for_nginx_loads_there() {
    let folder = tempfile::tempdir().unwrap();
    let site = Authority::make(folder.path(), "shop").own;
    let log = folder.path().join("access.log");
    let replaced = [
        ("/etc/ssl/shop.crt", site.certificate.as_path()),
        ("/etc/ssl/shop.key", site.key.as_path()),
        ("/var/log/nginx/access.log", log.as_path()),
    ];
    let text = example("from-nginx.md", "nginx", &replaced);
    // It looks at addresses by listening at them.
    let text = text.replace("listen 80;", "listen unix:plain.sock;");
    let file = folder.path().join("nginx.conf");
    fs::write(&file, text.replace("listen 443 ssl http2;", "listen unix:tls.sock ssl http2;")).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.args(["-t", "-e", "stderr", "-g", "pid nginx.pid;", "-p"]).arg(folder.path()).arg("-c").arg(&file);
    loads(nginx.current_dir(folder.path()));
}
