//! What balancers have of others, and groups of each other.

use super::*;
use crate::telemetry::status::{ClusterNote, SessionStoreStatus, SourceStatus};

fn error(text: &str) -> ErrorStatus {
    ErrorStatus { cause: String::new(), error: text.into(), age_seconds: 300 }
}

#[test]
fn a_session_store_that_is_away_is_told() {
    let store = |state: &str, last_error| SessionStoreStatus {
        store: "10.0.0.9:6379".into(),
        state: state.into(),
        since_seconds: 300,
        last_error,
        ..SessionStoreStatus::default()
    };
    first("session_store_away", &["10.0.0.9:6379", "away since 5 min", "refused"], |status| {
        status.session_store = Some(store("away", Some(error("connection refused"))));
    });
    first("session_store_away", &["does not take all", "memory is full"], |status| {
        status.session_store = Some(store("up", Some(error("its memory is full"))));
    });
    assert_eq!(complaints(|status| status.session_store = Some(store("up", None))), []);
}

#[test]
fn a_configuration_that_nodes_do_not_share_is_told() {
    let note = || ClusterNote {
        prefix: "/balancer/".into(),
        connected: true,
        revision: 7,
        seen_revision: 7,
        state: "in_force".into(),
        ..ClusterNote::default()
    };
    let told = |change: fn(&mut ClusterNote), words: &[&str]| {
        first("configuration_not_shared", words, |status| {
            let mut cluster = note();
            change(&mut cluster);
            status.cluster = Some(cluster);
        });
    };
    told(
        |cluster| (cluster.connected, cluster.error) = (false, Some("timed out".into())),
        &["etcd does not answer: timed out", "revision 7 stays in force"],
    );
    told(
        |cluster| (cluster.state, cluster.seen_revision) = ("held".into(), 8),
        &["revision 8 is held back", "revision 7 stays"],
    );
    told(|cluster| cluster.state = "refused".into(), &["this node refuses"]);
    told(|cluster| cluster.foreign_keys = Some("node b".into()), &["keys that this node has not: node b"]);
    told(|cluster| cluster.rival = Some("node a".into()), &["uses this node's name"]);
    told(|cluster| cluster.not_kept = Some("no space".into()), &["not kept on disk: no space"]);
    assert_eq!(complaints(|status| status.cluster = Some(note())), []);
}

#[test]
fn a_source_of_targets_that_fails_or_lists_what_is_none_is_told() {
    let source = |error, left_out: Option<&str>| {
        Some(SourceStatus {
            source: "file /run/targets.json".into(),
            error,
            left_out: left_out.map(str::to_owned),
            ..SourceStatus::default()
        })
    };
    first("targets_source_fails", &["file /run/targets.json", "no such file"], |status| {
        app(status).source = source(Some(error("no such file")), None);
    });
    first("targets_left_out", &["entry 3 has no port"], |status| {
        app(status).source = source(None, Some("entry 3 has no port"));
    });
}

/// Two groups of one listener, with cookies of these names, and sessions of unknown targets in both.
fn two_groups(names: [&str; 2], change: impl Fn(&mut Status)) -> Vec<Complaint> {
    let looks = [begun(), ended()].map(|mut status| {
        let mut other = app(&mut status).clone();
        other.name = "api".into();
        for target in &mut other.targets {
            target.port += 10;
        }
        status.target_groups.push(other);
        status.listeners[0].target_groups.push(WeightStatus { target_group: "api".into(), weight: 1 });
        for (group, name) in status.target_groups.iter_mut().zip(names) {
            (group.stickiness.kind, group.stickiness.cookie_name) =
                (Some("lb_cookie".into()), Some(name.into()));
        }
        status
    });
    let [before, mut after] = looks;
    for group in &mut after.target_groups {
        group.stickiness.figures.decisions.insert("unknown_target".into(), 40);
    }
    change(&mut after);
    examine(&Observation::new(vec![before, after], 10.0).unwrap(), &[])
}

#[test]
fn groups_that_take_each_other_s_cookies_are_told_of_that_and_not_of_lost_targets() {
    let told = two_groups(["AWSALB", "AWSALB"], |_| {});
    let codes: Vec<_> = told.iter().map(|complaint| (complaint.code, complaint.about.as_str())).collect();
    assert_eq!(codes, [("shared_cookie", "target group app"), ("shared_cookie", "target group api")]);
    assert!(told[0].seen.contains("40 of 1040") && told[0].seen.contains("group api, too"), "{told:?}");
    assert!(told[0].advice.contains("cookie_prefix"), "{told:?}");
    // With names of their own, or where a target has left, sessions are lost as they always are.
    for told in [
        two_groups(["AWSALB", "MINE"], |_| {}),
        two_groups(["AWSALB", "AWSALB"], |status| app(status).targets[1].state = "draining".into()),
        two_groups(["AWSALB", "AWSALB"], |status| status.listeners[0].target_groups[1].weight = 0),
    ] {
        assert!(
            told.iter().any(|one| (one.code, one.about.as_str()) == ("sessions_lost", "target group app")),
            "{told:?}"
        );
    }
}
