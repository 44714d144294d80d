//! Changes that cannot take effect: before they are written down, and after that, when the state is taken back.

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
};

use support::{Target, tls::Certificate, until};

use super::{Api, Besides, CERTIFICATE, state::all};

/// Places for endpoints that there are in all.
const PLACES: usize = 16_384;

/// Groups of files that take all places but one.
fn groups() -> String {
    let targets: Vec<String> =
        (0..PLACES - 1).map(|n| format!("\"10.{}.{}.{}:80\"", n >> 14, n >> 7 & 127, n & 127)).collect();
    let group = |(number, targets): (usize, &[String])| {
        format!("target_group \"g{number}\" {{\n  targets = [{}]\n}}\n", targets.join(", "))
    };
    targets.chunks(1000).enumerate().map(group).collect()
}

/// The last place is taken until the request to a target that is gone has ended, which no record tells.
#[test]
fn what_is_written_down_and_finds_no_room_is_taken_back() {
    let (held, _go, has_arrived) = Target::gated("");
    let blocks = groups();
    let mut api = Api::with(Besides { blocks: &blocks, ..Besides::default() }, |_| {});
    let (group, balancer) = (api.make_group("late"), api.make_balancer("web", "internal"));
    let (own, port) = (held.port().to_string(), api.port.to_string());
    let at = |id: &'static str| [("TargetGroupArn", group.as_str()), ("Targets.member.1.Id", id)];
    let first = [&at("127.0.0.1")[..], &[("Targets.member.1.Port", own.as_str())]].concat();
    api.call("RegisterTargets", &first);
    let listener = [
        ("LoadBalancerArn", balancer.as_str()),
        ("Protocol", "HTTP"),
        ("Port", port.as_str()),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
    ];
    api.call("CreateListener", &listener);
    until("it serves", 30.0, || (api.get("/") == Some(200)).then_some(()));
    let mut client = TcpStream::connect(("127.0.0.1", api.port)).unwrap();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
    has_arrived.recv().unwrap();
    api.call("DeregisterTargets", &first);
    let (code, message) = api.refused("RegisterTargets", &at("127.0.0.2"));
    assert_eq!(code, "InternalFailure", "{message}");
    assert!(
        message.contains("no slot is left for 127.0.0.2:80") && message.ends_with("it was taken back"),
        "{message}"
    );
    let ids = |api: &Api| all(&api.call("DescribeTargetHealth", &[("TargetGroupArn", &group)]), "Id");
    assert!(!ids(&api).contains(&"127.0.0.2".to_owned()), "nothing of it is shown");
    // Nor is it in the database; and now there is room.
    api.balancer.kill_and_restart();
    assert_eq!(ids(&api), [""; 0]);
    api.call("RegisterTargets", &at("127.0.0.3"));
    assert_eq!(ids(&api), ["127.0.0.3"]);
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
    until("it listens", 10.0, || TcpStream::connect(("127.0.0.1", api.port)).ok());
    api.assert_sound();
}
