//! The harness itself: it tests no program that is older than its sources, and tells what it skips.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, SystemTime},
};

use rustix::process::Signal;
use support::{balancer::binary, signals, skip, until};

/// Says to a test that it is to do what another process of it looks at.
const CHILD: &str = "BALANCER_TESTS_HARNESS";

/// Runs the test of this name in a process of its own, with this environment.
fn run(test: &str, environment: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("harness::{test}")]).env(CHILD, "1");
    command.env_remove("CI").env_remove("BALANCER_REQUIRE_KERNEL").env_remove("BALANCER_BIN_OF_ANY_AGE");
    command.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn a_program_that_is_older_than_a_source_is_not_tested() {
    const NAME: &str = "a_program_that_is_older_than_a_source_is_not_tested";
    if env::var_os(CHILD).is_some() {
        return drop(binary());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, seconds: u64| {
        let path = folder.path().join(name);
        let file = fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        path
    };
    let (program, old, new) = (file("balancer", 50), file("an old.rs", 50), file("new.rs", 51));
    let refused = |sources: &[&Path]| {
        let names: Vec<_> = sources.iter().map(|path| path.to_str().unwrap().replace(' ', "\\ ")).collect();
        fs::write(program.with_extension("d"), format!("balancer: {}\n", names.join(" "))).unwrap();
        let output = run(NAME, &[("BALANCER_BIN", &program)]);
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(refused(&[&old]), None);
    let said = refused(&[&old, &new]).expect("older than one of them");
    assert!(said.contains("balancer is older than ") && said.contains("new.rs: cargo build"), "{said}");
    assert!(refused(&[&old, &folder.path().join("gone.rs")]).is_some());
    fs::remove_file(program.with_extension("d")).unwrap();
    let output = run(NAME, &[("BALANCER_BIN", &program)]);
    assert!(!output.status.success(), "without a list all sources count");
    let any_age = [("BALANCER_BIN", &*program), ("BALANCER_BIN_OF_ANY_AGE", Path::new("1"))];
    assert!(run(NAME, &any_age).status.success());
}

#[test]
fn what_is_skipped_is_seen_and_fails_under_ci() {
    const NAME: &str = "what_is_skipped_is_seen_and_fails_under_ci";
    if env::var_os(CHILD).is_some() {
        return skip(&"there is no moon");
    }
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("skips");
    let output = run(NAME, &[("BALANCER_SKIPS", &list)]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let line = format!("harness::{NAME}: there is no moon\n");
    assert!(said.contains(&format!("skipped: {line}")), "{said}");
    assert_eq!(fs::read_to_string(&list).unwrap(), line);
    for name in ["CI", "BALANCER_REQUIRE_KERNEL"] {
        let output = run(NAME, &[(name, Path::new("true"))]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains("there is no moon"), "{said}");
    }
}

#[test]
fn who_is_stopped_has_stopped_and_goes_on() {
    // It never waits for anything.
    let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    for _ in 0..20 {
        signals::send(child.id(), Signal::STOP);
        assert!(signals::stands_still(child.id()));
        signals::send(child.id(), Signal::CONT);
        until("it goes on", 20.0, || (!signals::stands_still(child.id())).then_some(()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
