//! Changes that cannot take effect: before they are written down, and after that, when the state is taken back.

use std::{fs, net::TcpListener};

use support::{tls::Certificate, until};

use super::{Api, Besides, CERTIFICATE, state::all};

/// Places for endpoints that there are in all, and that files leave.
const PLACES: usize = 16_384;
const LEFT: usize = 100;

/// Groups of files that take all places but those that are left.
fn groups() -> String {
    let targets: Vec<String> =
        (0..PLACES - LEFT).map(|n| format!("\"10.{}.{}.{}:80\"", n >> 14, n >> 7 & 127, n & 127)).collect();
    let group = |(number, targets): (usize, &[String])| {
        format!("target_group \"g{number}\" {{\n  targets = [{}]\n}}\n", targets.join(", "))
    };
    targets.chunks(1000).enumerate().map(group).collect()
}

impl Api {
    /// Parameters of a call about so many targets of a group.
    fn targets(group: &str, count: usize) -> Vec<(String, String)> {
        let target = |n: usize| (format!("Targets.member.{}.Id", n + 1), format!("10.200.0.{}", n + 1));
        (0..count).map(target).chain([("TargetGroupArn".to_owned(), group.to_owned())]).collect()
    }

    fn ids(&self, group: &str) -> usize {
        all(&self.call("DescribeTargetHealth", &[("TargetGroupArn", group)]), "Id").len()
    }
}

#[test]
fn what_is_written_down_and_finds_no_room_is_taken_back() {
    let blocks = groups();
    let mut api = Api::with(Besides { blocks: &blocks, ..Besides::default() }, |_| {});
    let group = api.make_group("late");
    let many = Api::targets(&group, LEFT + 1);
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (code, message) = api.refused("RegisterTargets", &many);
    assert_eq!(code, "InternalFailure", "{message}");
    assert!(
        message.contains("no slot is left for 10.200.0.") && message.ends_with("it was taken back"),
        "{message}"
    );
    assert_eq!(api.ids(&group), 0, "nothing of it is shown");
    // What there is room for goes on, and a start finds that and nothing else.
    let few = Api::targets(&group, LEFT / 2);
    let few: Vec<(&str, &str)> = few.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    api.call("RegisterTargets", &few);
    api.balancer.kill_and_restart();
    assert_eq!(api.ids(&group), LEFT / 2);
    let failed = api.balancer.log().matches("a change by the ELBv2 API was refused").count();
    assert_eq!(failed, 1, "{}", api.balancer.log());
    api.assert_sound();
}

#[test]
fn what_is_in_the_way_of_a_change_is_named_and_nothing_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "site", &["site.test"]);
    let block = certificate.block("site").replacen('{', &format!("{{\n  arn = \"{CERTIFICATE}\""), 1);
    let api = Api::with(Besides { blocks: &block, ..Besides::default() }, |_| {});
    let (group, balancer) = (api.make_group("app"), api.make_balancer("web", "internal"));
    let port = api.port.to_string();
    // The same bytes twice within a second are one change.
    let listener = |turn: &'static str| {
        [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTPS"),
            ("Port", port.as_str()),
            ("Certificates.member.1.CertificateArn", CERTIFICATE),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
            ("Tags.member.1.Key", turn),
        ]
    };
    let none = || {
        let told = api.call("DescribeListeners", &[("LoadBalancerArn", &balancer)]);
        assert!(all(&told, "ListenerArn").is_empty(), "{told}");
    };
    // Somebody else is at the port.
    let other = TcpListener::bind(("127.0.0.1", api.port)).unwrap();
    let (code, message) = api.refused("CreateListener", &listener("first"));
    assert_eq!(code, "ValidationError", "{message}");
    assert!(message.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{message}");
    none();
    drop(other);
    // The key has gone since the start.
    let key = fs::read(&certificate.key).unwrap();
    fs::remove_file(&certificate.key).unwrap();
    let (code, message) = api.refused("CreateListener", &listener("second"));
    assert_eq!(code, "ValidationError", "{message}");
    assert!(message.contains(certificate.key.to_str().unwrap()), "{message}");
    none();
    fs::write(&certificate.key, key).unwrap();
    let made = api.call("CreateListener", &listener("third"));
    assert_eq!(all(&made, "ListenerArn").len(), 1, "{made}");
    until("it listens", 10.0, || std::net::TcpStream::connect(("127.0.0.1", api.port)).ok());
    api.assert_sound();
}
