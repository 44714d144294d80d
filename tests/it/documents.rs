//! What the documents name exists: metrics, alerts, and configurations of other balancers, which these load. (Those of this one
//! are loaded by `tests/integration/config.rs`, links are followed by `cargo xtask site`.)

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use support::{Balancer, Config, Group, apps, authority::Authority, balancer::binary, skip::skip};

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

/// The blocks of a page in this language; without one, what commands print.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    let of = fenced.filter_map(|block| block.split_once('\n')).filter(|(named, _)| *named == language);
    of.map(|(_, block)| format!("{block}\n")).collect()
}

/// The words of a command line of a shell: what it is given, without what follows it in a pipe or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, '|' | ';' | '&' | '>' | '<') => break,
            (None, '#') if word.is_empty() => break,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Options and subcommands that were renamed, or that never were, are what a reader meets first.
#[test]
fn every_command_that_a_page_has_is_taken() {
    let root_pages = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    let mut commands = std::collections::BTreeMap::new();
    for path in pages().into_iter().chain(root_pages) {
        for block in blocks(&fs::read_to_string(&path).unwrap(), "sh") {
            for line in block.replace("\\\n", " ").lines() {
                let line = line.trim().trim_start_matches("$ ").trim_start_matches("sudo ");
                if let Some(rest) = line.strip_prefix("balancer ") {
                    commands.insert(words(rest), path.clone());
                }
            }
        }
    }
    assert!(commands.len() > 20, "{}", commands.len());
    for (words, path) in commands {
        // It is asked for its help behind all that it is given, which it looks at before.
        let output = Command::new(binary()).args(&words).arg("--help").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: balancer {words:?}: {told}", path.display());
    }
}

/// What an application answers four visits of a client with.
fn visits(balancer: &Balancer) -> Vec<String> {
    let mut client = balancer.client();
    (0..4).map(|_| String::from_utf8(client.get("/").body).unwrap()).collect()
}

#[test]
fn the_first_ten_minutes_show_what_they_say() {
    let text = page("first-ten-minutes.md");
    let (hcl, printed) = (blocks(&text, "hcl"), blocks(&text, ""));
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("app.py");
    fs::write(&script, &blocks(&text, "python")[0]).unwrap();
    let [first, second] = [apps::python(&script), apps::python(&script)];
    let mut balancer = Balancer::prepare(&Config::with(Group::of("app", &[])));
    let own = balancer.text(&Config::with(Group::of("app", &[])));
    let own = own.split_once("load_balancer").unwrap().0;
    let place = |text: &str| {
        let placed = text.replace("port = 8080", &format!("port = {}", balancer.address.port()));
        placed.replace("127.0.0.1:9001", &first.address).replace("127.0.0.1:9002", &second.address)
    };
    let alone = place(&hcl[0]);
    let (listener, _) = alone.split_once("target_group \"app\"").unwrap();
    let sticky = format!("{own}{listener}{}", place(&hcl[2]));
    let counts = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.split_once(": ").unwrap().1.trim().to_owned()).collect()
    };
    let told = |block: &str| counts(&block.lines().map(str::to_owned).collect::<Vec<_>>());

    balancer.write_text(&format!("{own}{alone}"));
    balancer.run();
    balancer.wait_until_settled();
    let answers = visits(&balancer);
    assert_eq!(counts(&answers), told(&printed[0]), "{answers:?}");

    balancer.write_text(&sticky);
    balancer.signal(Signal::HUP);
    balancer.wait_status("the reload", 30.0, |status| status.0["reloads"] == 1);
    let mut client = balancer.client();
    let answers: Vec<String> = (0..4).map(|_| String::from_utf8(client.get("/").body).unwrap()).collect();
    assert_eq!(counts(&answers), told(&printed[1]), "{answers:?}");

    let (home, other) = if answers[0].contains(first.address.rsplit(':').next().unwrap()) {
        (first, second)
    } else {
        (second, first)
    };
    let gone = home.address.clone();
    drop(home);
    let response = client.get("/");
    assert_eq!(response.status, 200);
    let answer = String::from_utf8(response.body).unwrap();
    assert!(answer.contains(other.address.rsplit(':').next().unwrap()), "{answer}");
    assert_eq!(counts(&[answer]), told(&printed[2]));

    balancer.wait_status("the dead target is known", 10.0, |status| {
        status.0.to_string().contains("Target.FailedHealthChecks")
    });
    let admin = balancer.admin.to_string();
    let mut doctor = Command::new(binary());
    let doctor = doctor.args(["doctor", "--seconds", "1", "--admin", &admin]).output().unwrap();
    let report = String::from_utf8(doctor.stdout).unwrap();
    let wanted = printed[4].lines().next().unwrap().replace("127.0.0.1:9001", &gone);
    assert_eq!((report.lines().next(), doctor.status.code()), (Some(wanted.as_str()), Some(3)), "{report}");
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
