//! A file that others write.

use std::fs;

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, kernel, until};

use super::{group, list, replace, source, start, wait_fault, wait_targets};

/// A folder with a list of these, where every user gets to, and the source that it is.
fn folder(targets: &[&Target], name: &str) -> (tempfile::TempDir, std::path::PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let file = folder.path().join(name);
    replace(&file, &list(targets));
    let source = format!("file:{}", file.display());
    (folder, file, source)
}

#[test]
fn a_file_says_who_is_a_target_and_its_faults_change_nothing() {
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let [one, two, three] = &targets;
    let (_folder, file, from) = folder(&[one, two], "targets.json");
    let balancer = start(group(&from, ""));
    wait_targets(&balancer, &[one, two]);
    let slot = |target: &Target| balancer.status().target(&target.address)["slot"].clone();
    let requests = || balancer.status().target(&one.address)["requests"].clone();
    balancer.connect().get("/", "");
    balancer.connect().get("/", "");
    let (slot_before, requests_before) = (slot(one), requests());

    replace(&file, &list(&[one, three]));
    wait_targets(&balancer, &[one, three]);
    assert_eq!((slot(one), requests()), (slot_before, requests_before), "who stays is who it was");

    let huge = format!("[{}]", " ".repeat(5 << 20));
    let twice = "[{\"targets\": [\"10.0.0.1:80\", \"no target\"]}]";
    for (text, cause, words) in [
        ("", "not_understood", "no list of targets in JSON"),
        ("[{\"targets\":", "not_understood", "no list of targets in JSON"),
        (twice, "not_understood", "list 1: target \"no target\""),
        ("[]", "empty", "it lists no targets"),
        ("[{\"targets\": []}]", "empty", "it lists no targets"),
        (huge.as_str(), "unreachable", "is larger than 4194304 bytes"),
    ] {
        replace(&file, text);
        wait_fault(&balancer, cause, words, &[one, three]);
        assert_eq!(balancer.metric("balancer_target_source_failing{target_group=\"app\"}"), 1.0);
    }
    fs::remove_file(&file).unwrap();
    wait_fault(&balancer, "unreachable", "there is no such file", &[one, three]);
    balancer.wait_log_line(&["the source of a group's targets fails", "no such file"]);

    replace(&file, &list(&[two]));
    wait_targets(&balancer, &[two]);
    let status = balancer.status();
    assert!(source(&status)["error"].is_null() && source(&status)["failing"] == false, "{}", source(&status));
    assert_eq!(source(&status)["targets"], 1);
}

/// As a ConfigMap of Kubernetes is mounted: the file is a link through a link to a folder, and that one is replaced.
#[test]
fn a_folder_that_is_swapped_by_a_link_is_read_anew() {
    let targets = [Target::plain(), Target::plain()];
    let [one, two] = &targets;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let publish = |version: &str, text: &str| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("targets.json"), text).unwrap();
        std::os::unix::fs::symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish("..1", &list(&[one]));
    std::os::unix::fs::symlink("..data/targets.json", at("targets.json")).unwrap();
    let balancer = start(group(&format!("file:{}", at("targets.json").display()), "interval = 3600"));
    wait_targets(&balancer, &[one]);
    publish("..2", &list(&[one, two]));
    fs::remove_dir_all(at("..1")).unwrap();
    wait_targets(&balancer, &[one, two]);
    // A link that leads nowhere takes nothing away.
    fs::remove_file(at("..data")).unwrap();
    wait_fault(&balancer, "unreachable", "there is no such file", &[one, two]);
    publish("..3", &list(&[two]));
    wait_targets(&balancer, &[two]);
}

#[test]
fn a_target_that_leaves_drains_and_one_that_returns_has_its_slot_and_its_sessions() {
    let targets = [Target::plain(), Target::plain()];
    let [one, two] = &targets;
    let (_folder, file, from) = folder(&[one, two], "targets.json");
    let group =
        group(&from, "").deregistration_delay(300).lb_cookie().line("deregistration_stickiness = \"keep\"");
    let balancer = start(group);
    wait_targets(&balancer, &[one, two]);
    let mut clients: Vec<_> = (0..10).map(|_| balancer.client()).collect();
    let homes: Vec<String> = clients.iter_mut().map(|client| client.get("/").text()).collect();
    let slot = balancer.status().target(&one.address)["slot"].clone();

    replace(&file, &list(&[two]));
    balancer.wait_status("it drains", 20.0, |status| status.state(&one.address) == "draining");
    for (client, home) in clients.iter_mut().zip(&homes) {
        assert_eq!(&client.get("/").text(), home, "sessions are kept, as after a reload");
    }
    for _ in 0..5 {
        assert_eq!(balancer.connect().get("/", "").text(), two.address, "nobody new comes");
    }
    replace(&file, &list(&[one, two]));
    wait_targets(&balancer, &[one, two]);
    assert_eq!(balancer.status().target(&one.address)["slot"], slot);
    for (client, home) in clients.iter_mut().zip(&homes) {
        assert_eq!(&client.get("/").text(), home);
    }
}

#[test]
fn weights_and_priorities_of_a_list_say_who_gets_what() {
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let [one, two, three] = &targets;
    let (_folder, file, from) = folder(&[one], "targets.yaml");
    let weighted = |first: u32| {
        format!(
            "- targets: ['{}']\n  labels: {{weight: '{first}'}}\n- targets: ['{}']\n  labels: {{weight: 1}}\n\
             - targets: ['{}']\n  labels: {{priority: 1}}\n",
            one.address, two.address, three.address
        )
    };
    replace(&file, &weighted(3));
    let balancer = start(group(&from, "").algorithm("round_robin"));
    wait_targets(&balancer, &[one, two, three]);
    let mut connection = balancer.connect();
    (0..80).for_each(|_| drop(connection.get("/", "")));
    assert!((58..=62).contains(&one.count()), "{} {}", one.count(), two.count());
    assert_eq!((one.count() + two.count(), three.count()), (80, 0), "a lower priority comes first");
    let status = balancer.status();
    let weight = |target: &Target| status.target(&target.address)["weight"].as_f64().unwrap();
    assert!((weight(two) * 3.0 - 1.0).abs() < 0.01 && weight(one) == 1.0 && weight(three) == 0.0);

    // Of weight 0: nobody new.
    replace(&file, &weighted(0));
    balancer.wait_status("it gets nothing", 20.0, |status| status.target(&one.address)["weight"] == 0.0);
    let before = one.count();
    (0..10).for_each(|_| drop(connection.get("/", "")));
    assert_eq!(one.count(), before);
    // Where nobody of the lower priority is healthy the next one serves, and here that is before who is to get nothing.
    two.set_healthy(false);
    balancer.wait_status("it is unhealthy", 30.0, |status| status.state(&two.address) == "unhealthy");
    let before = (one.count(), two.count());
    (0..10).for_each(|_| drop(connection.get("/", "")));
    assert_eq!(((one.count(), two.count()), three.count()), (before, 10));
}

#[test]
fn a_list_without_end_is_held_to_the_limit_of_targets() {
    let target = Target::plain();
    let many: Vec<String> =
        (0..3000).map(|number| format!("\"127.77.{}.{}:9\"", number / 250, 1 + number % 250)).collect();
    let (_folder, file, from) = folder(&[&target], "targets.json");
    let balancer = start(group(&from, ""));
    wait_targets(&balancer, &[&target]);
    // The first of them is the one that is there.
    let list = format!(
        "[{{\"targets\": [{}], \"labels\": {{\"priority\": 1}}}}, {{\"targets\": [\"{}\", \"{}\"]}}]",
        many.join(", "),
        target.address,
        target.address
    );
    replace(&file, &list);
    let status = balancer
        .wait_status("there are as many as there may be", 30.0, |status| status.targets().len() == 1000);
    assert_eq!(status.state(&target.address), "healthy");
    let left_out = source(&status)["left_out"].as_str().unwrap();
    assert!(
        left_out.contains("3001 targets; allowed: at most 1000") && left_out.contains("more than once"),
        "{left_out}"
    );
    assert_eq!(balancer.connect().get("/", "").text(), target.address);
}

/// With the rights that a balancer has that was started as root.
#[test]
fn a_service_user_reads_its_lists_and_keeps_its_targets_over_an_upgrade_without_them() {
    if !kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let (_folder, file, from) = folder(&[&target], "targets.json");
    let balancer = Balancer::start(
        &Config::with(group(&from, "")).process("user = \"nobody\"").process("seccomp = \"on\""),
    );
    wait_targets(&balancer, &[&target]);
    fs::remove_file(&file).unwrap();
    wait_fault(&balancer, "unreachable", "there is no such file", &[&target]);
    balancer.upgraded();
    balancer.wait_status("the new process fails to read it as well", 20.0, |status| {
        source(status)["failing"] == true && source(status)["reads"] == 0
    });
    assert_eq!(balancer.status().state(&target.address), "healthy");
    assert_eq!(balancer.connect().get("/", "").text(), target.address);
}

#[test]
fn a_reload_to_another_source_waits_for_it_and_loses_nothing_where_it_is_away() {
    let targets = [Target::plain(), Target::plain()];
    let [one, two] = &targets;
    let (folder, _, from) = folder(&[one], "targets.json");
    let balancer = start(group(&from, ""));
    wait_targets(&balancer, &[one]);
    let other = folder.path().join("other.json");
    balancer.reload(&Config::with(group(&format!("file:{}", other.display()), "")));
    wait_fault(&balancer, "unreachable", "there is no such file", &[one]);
    replace(&other, &list(&[two]));
    wait_targets(&balancer, &[two]);
    // One that is there is in force with its targets at once.
    balancer.reload(&Config::with(group(&from, "")));
    assert!(balancer.status().find(&one.address).is_some());
    wait_targets(&balancer, &[one]);
    // And without a source there is none.
    balancer.write(&Config::with(Group::new("app", &[two]).deregistration_delay(0)));
    balancer.signal(Signal::HUP);
    until("there is no source", 20.0, || source(&balancer.status()).is_null().then_some(()));
    wait_targets(&balancer, &[two]);
}
