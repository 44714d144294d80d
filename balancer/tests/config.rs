//! The configuration language from outside: files in, model or messages out.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use balancer::{
    config,
    model::{
        Action, Algorithm, Configuration, CookieRenewal, KernelAssist, StickinessKind, TargetAddress, XffMode,
    },
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(name)
}

fn parse(text: &str) -> Result<Configuration, String> {
    config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).map_err(|errors| errors.to_string())
}

#[test]
fn every_block_of_the_native_spelling_is_read() {
    let read = config::load(&fixture("native.hcl")).unwrap();

    assert_eq!(read.balancer.instance, "test");
    assert_eq!(read.balancer.workers, 2);
    assert_eq!(read.balancer.kernel_assist, KernelAssist::Off);
    assert_eq!(read.balancer.admin_address, Some("127.0.0.1:9901".parse().unwrap()));
    assert_eq!(read.balancer.key_path(), PathBuf::from("/etc/balancer/stickiness.key"));
    assert_eq!(read.balancer.session_table_size, 4096);

    let [main] = &read.load_balancers[..] else { panic!("{:?}", read.load_balancers) };
    assert_eq!(main.idle_timeout, Duration::from_secs(120));
    assert_eq!(main.client_keep_alive, Duration::from_secs(600));
    assert_eq!(main.connect_timeout, Duration::from_secs(5));
    assert_eq!(main.xff_mode, XffMode::Preserve);
    assert!(main.xff_client_port && main.preserve_host_header);

    let listeners: Vec<(&str, SocketAddr, &Action)> = read
        .listeners
        .iter()
        .map(|listener| (listener.name.as_str(), listener.address, &listener.default_action))
        .collect();
    assert_eq!(
        listeners,
        [
            ("web", "0.0.0.0:8080".parse().unwrap(), &Action::Forward(0)),
            ("local", "[::1]:8081".parse().unwrap(), &Action::Forward(1)),
        ]
    );

    let [app, api] = &read.target_groups[..] else { panic!("{:?}", read.target_groups) };
    assert_eq!(app.algorithm, Algorithm::LeastOutstandingRequests);
    assert_eq!(app.deregistration_delay, Duration::from_secs(30));
    let stickiness = app.stickiness.as_ref().unwrap();
    assert_eq!(stickiness.kind, StickinessKind::LoadBalancerCookie);
    assert_eq!(stickiness.duration_seconds, 3600);
    assert_eq!(stickiness.renewal, CookieRenewal::WhenDue);
    assert_eq!(stickiness.attributes.prefix, "EDGE");
    assert!(stickiness.attributes.secure && stickiness.attributes.http_only);
    assert_eq!(app.health_check.path, "/healthz?full=1");
    assert_eq!(app.health_check.matcher.0, [(200, 204), (301, 301)]);
    assert_eq!((app.health_check.healthy_threshold, app.health_check.unhealthy_threshold), (3, 4));
    let targets: Vec<(TargetAddress, u16)> =
        app.targets.iter().map(|target| (target.address.clone(), target.port)).collect();
    assert_eq!(
        targets,
        [
            (TargetAddress::Ip("127.0.0.1".parse().unwrap()), 9001),
            (TargetAddress::Ip("::1".parse().unwrap()), 9002),
            (TargetAddress::Unix("/run/app.sock".into()), 0),
            (TargetAddress::Host("app.internal".into()), 8080),
            (TargetAddress::Ip("10.0.0.7".parse().unwrap()), 9000),
        ]
    );
    let ports: Vec<u16> = api.targets.iter().map(|target| target.port).collect();
    assert_eq!(ports, [7000, 7001]);
    assert_eq!(config::warnings(&read), Vec::<String>::new());
}

#[test]
fn faults_name_the_place() {
    let errors = parse("target_group \"app\" {\n  port = 70000\n}\n").unwrap_err();
    assert_eq!(errors, "x.hcl:2:10: `port` = 70000 is out of range; allowed: a whole number from 1 to 65535");
}
