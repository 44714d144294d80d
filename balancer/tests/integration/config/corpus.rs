//! Folders of Terraform as people write them (`tests/corpus`): each loads to what stands beside it, or says what is missing.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use balancer::{
    config,
    model::{Action, Configuration, StickinessKind},
};

/// What a folder comes to: listeners, rules and groups, a line each, and what is told of it.
pub(crate) fn summary(configuration: &Configuration) -> String {
    let name = |group: usize| configuration.target_groups[group].name.clone();
    let action = |action: &Action| match action {
        Action::FixedResponse(fixed) => format!("{} {:?}", action.describe(name), fixed.body),
        action => action.describe(name),
    };
    let mut text = String::new();
    for listener in &configuration.listeners {
        let balancer = &configuration.load_balancers[listener.load_balancer].name;
        let tls = if listener.tls.is_some() { "https" } else { "http" };
        let _ = writeln!(
            text,
            "listener {} {tls} {} of {balancer}: {}",
            listener.name,
            listener.address,
            action(&listener.default_action)
        );
        for rule in &listener.rules {
            let _ = writeln!(
                text,
                "  rule {} {}: {} -> {}",
                rule.priority,
                rule.name,
                rule.conditions_text(),
                action(&rule.action)
            );
        }
    }
    for group in &configuration.target_groups {
        let sticky = group.stickiness.as_ref().map_or("none".to_owned(), |sticky| match &sticky.kind {
            StickinessKind::LoadBalancerCookie => format!("cookie {}", sticky.duration_seconds),
            other => format!("{other:?} {}", sticky.duration_seconds),
        });
        let check = &group.health_check;
        let _ = writeln!(
            text,
            "group {} {}: sticky {sticky}, check {} {:?} {:?}",
            group.name, group.port, check.path, check.interval, check.matcher
        );
        for target in &group.targets {
            let _ = writeln!(text, "  target {:?} {}", target.address, target.port);
        }
    }
    text
}

fn copy_into(folder: &Path, into: &Path) {
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let copy = into.join(file.file_name().unwrap());
        if file.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_into(&file, &copy);
        } else {
            fs::copy(&file, copy).unwrap();
        }
    }
}

/// The folder with a certificate in it, where a file of its own names one.
fn prepared(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(folder, copy.path());
    let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
    fs::write(copy.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(copy.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    copy
}

#[test]
fn folders_load_as_they_stand_or_say_what_is_missing() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 40, "{}", folders.len());
    let mut wrong = Vec::new();
    let mut loaded = 0;
    for folder in &folders {
        let copy = prepared(folder);
        let found = match config::load(copy.path()) {
            Ok(configuration) => {
                loaded += 1;
                let told: String =
                    configuration.remarks.iter().map(|remark| format!("told: {remark}\n")).collect();
                summary(&configuration) + &told
            }
            Err(errors) => errors.0.iter().map(|error| format!("refused: {error}\n")).collect(),
        };
        let found = found.replace(&format!("{}/", copy.path().display()), "");
        let beside = folder.join("expected.txt");
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::write(&beside, &found).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{}:\n{found}--- not\n{expected}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(loaded >= 30, "{loaded} load");
}
