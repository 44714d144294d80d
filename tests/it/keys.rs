//! The key file: shared by several balancers, rotated without losing a session.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use support::{Balancer, Config, Group, Target};

fn sticky(targets: &[&Target], key_file: &Path) -> Config {
    let group = Group::new("app", targets).algorithm("round_robin").lb_cookie();
    Config::with(group).process(&format!("key_file = \"{}\"", key_file.display()))
}

fn write(path: &Path, secrets: &[u8]) {
    // As good as random ones, and the same for the same number.
    let secret = |number: u8| {
        (0..32).map(move |at: u8| at.wrapping_mul(at).wrapping_mul(37) ^ number.wrapping_mul(91))
    };
    let bytes: Vec<u8> = secrets.iter().flat_map(|&number| secret(number)).collect();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn served(balancer: &Balancer, cookie: &str) -> String {
    balancer.connect().get("/", &format!("Cookie: AWSALB={cookie}\r\n")).text()
}

#[test]
fn balancers_with_one_key_file_share_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("shared.key");
    write(&key, &[1]);
    let targets = [Target::plain(), Target::plain()];
    let config = sticky(&[&targets[0], &targets[1]], &key);
    let (here, there) = (Balancer::start(&config), Balancer::start(&config));
    for _ in 0..4 {
        let response = here.connect().get("/", "");
        assert_eq!(served(&there, response.cookie("AWSALB").unwrap()), response.text());
    }
    assert_eq!(there.status().decisions("pinned"), 4);
}

#[test]
fn keys_rotate_without_losing_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("rotated.key");
    write(&key, &[1]);
    let targets = [Target::plain(), Target::plain()];
    let config = sticky(&[&targets[0], &targets[1]], &key);
    let balancer = Balancer::start(&config);
    let response = balancer.connect().get("/", "");
    let (old, home) = (response.cookie("AWSALB").unwrap().to_owned(), response.text());

    write(&key, &[2, 1]);
    balancer.reload(&config);
    let response = balancer.connect().get("/", &format!("Cookie: AWSALB={old}\r\n"));
    assert_eq!(response.text(), home, "the old secret is accepted");
    let new = response.cookie("AWSALB").unwrap().to_owned();

    write(&key, &[2]);
    balancer.reload(&config);
    for _ in 0..3 {
        assert_eq!(served(&balancer, &new), home, "the new secret has signed");
    }
    let before = balancer.status().decisions("pinned");
    served(&balancer, &old);
    assert_eq!(balancer.status().decisions("pinned"), before, "the old secret is gone");
}

#[test]
fn a_key_file_made_anew_is_logged_and_one_that_is_there_is_not() {
    let target = Target::plain();
    let config = Config::with(Group::new("app", &[&target]).lb_cookie());
    let mut balancer = Balancer::start(&config);
    // By the last line of a start, what was made before it has been told.
    let made = |balancer: &Balancer, starts: usize| {
        balancer.wait_log_lines(&["serving"], starts);
        balancer.wait_log_lines(&["a key file was made anew", "state/stickiness.key"], 1).len()
    };
    assert_eq!(made(&balancer, 1), 1, "{}", balancer.log());
    balancer.kill_and_restart();
    assert_eq!(made(&balancer, 2), 1, "{}", balancer.log());
}

#[test]
fn secrets_that_can_be_guessed_are_refused_at_the_start_and_by_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("guessed.key");
    write(&key, &[1]);
    let target = Target::plain();
    let config = sticky(&[&target], &key);
    let mut balancer = Balancer::start(&config);
    fs::write(&key, [0; 32]).unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_status("the reload is refused", 10.0, |status| status.0["reload_failures"] == 1);
    balancer.wait_log("guessed.key: secret 1 of it is not random");
    balancer.kill();
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
}

#[test]
fn a_changed_state_dir_waits_for_the_next_start() {
    let targets = [Target::plain(), Target::plain()];
    let config = Config::with(Group::new("app", &[&targets[0], &targets[1]]).lb_cookie());
    let balancer = Balancer::start(&config);
    let response = balancer.connect().get("/", "");
    let cookie = response.cookie("AWSALB").unwrap().to_owned();
    let elsewhere = balancer.folder().join("elsewhere");
    let text = balancer.text(&config);
    let state = format!("{}/state", balancer.folder().display());
    for reloads in 1..=2 {
        balancer.write_text(&text.replace(&state, &elsewhere.display().to_string()));
        balancer.signal(rustix::process::Signal::HUP);
        balancer.wait_status("the reload", 10.0, |status| status.0["reloads"] == reloads);
        assert_eq!(served(&balancer, &cookie), response.text(), "the secrets are the same");
    }
    assert!(!elsewhere.exists(), "nothing was made there");
    balancer.wait_log("state_dir");
}

#[test]
fn a_key_file_that_is_gone_keeps_the_running_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("lost.key");
    write(&key, &[1]);
    let targets = [Target::plain(), Target::plain()];
    let balancer = Balancer::start(&sticky(&[&targets[0], &targets[1]], &key));
    let response = balancer.connect().get("/", "");
    let cookie = response.cookie("AWSALB").unwrap();
    fs::remove_file(&key).unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_status("the reload is refused", 10.0, |status| status.0["reload_failures"] == 1);
    assert!(!key.exists(), "no new secret in its place");
    assert_eq!(served(&balancer, cookie), response.text());
}
