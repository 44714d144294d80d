//! The configuration language from outside: files in, model or messages out.

#![allow(clippy::panic, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use balancer::{
    config,
    model::{
        Action, Algorithm, Configuration, CookieRenewal, HealthCheckPort, KernelAssist, StickinessKind,
        TargetAddress, XffMode,
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

#[test]
fn a_file_of_terraform_loads_as_it_stands() {
    let read = config::load(&fixture("terraform.tf")).unwrap();

    let [front_end] = &read.load_balancers[..] else { panic!("{:?}", read.load_balancers) };
    assert_eq!((front_end.name.as_str(), front_end.idle_timeout), ("front-end", Duration::from_secs(90)));
    assert_eq!(front_end.client_keep_alive, Duration::from_secs(3600));

    let [app, api] = &read.target_groups[..] else { panic!("{:?}", read.target_groups) };
    assert_eq!((app.name.as_str(), app.port), ("app-staging", 8080));
    assert_eq!(api.name, "api-v2");
    assert_eq!(app.stickiness.as_ref().unwrap().duration_seconds, 86_400);
    assert_eq!(api.stickiness, None);
    assert_eq!(app.health_check.port, HealthCheckPort::Port(9999));
    // Terraform's thresholds, not ALB's.
    assert_eq!((app.health_check.healthy_threshold, app.health_check.unhealthy_threshold), (3, 3));
    let targets: Vec<String> =
        app.targets.iter().map(|target| format!("{:?} {}", target.address, target.port)).collect();
    assert_eq!(targets, ["Ip(10.0.0.1) 8080", "Ip(10.0.0.2) 8081", "Ip(10.0.0.9) 80"]);

    let actions: Vec<&Action> = read.listeners.iter().map(|listener| &listener.default_action).collect();
    assert_eq!(actions, [&Action::Forward(0), &Action::Forward(1)]);
}

#[test]
fn the_well_known_snippets_load_as_they_stand() {
    let duration = |file| {
        let read = config::load(&fixture(file)).unwrap();
        assert_eq!(
            config::warnings(&read),
            [
                "nothing listens: there is no listener block",
                "target group app-tg: no targets, requests to it are answered 503",
            ]
        );
        read.target_groups[0].stickiness.clone().unwrap()
    };
    let lb_cookie = duration("snippet_lb_cookie.tf");
    assert_eq!((lb_cookie.kind, lb_cookie.duration_seconds), (StickinessKind::LoadBalancerCookie, 86_400));
    let app_cookie = duration("snippet_app_cookie.tf");
    let kind = StickinessKind::ApplicationCookie { cookie_name: "JSESSIONID".to_owned() };
    assert_eq!((app_cookie.kind, app_cookie.duration_seconds), (kind, 86_400));
    assert_eq!(app_cookie.attributes.prefix, "AWSALB");
    assert_eq!(app_cookie.renewal, CookieRenewal::Always);
}

#[test]
fn a_folder_is_one_configuration() {
    let read = config::load(&fixture("folder")).unwrap();
    assert_eq!(read.listeners[0].default_action, Action::Forward(0));
    assert_eq!(read.target_groups[0].name, "app");
}

#[test]
fn defaults_are_albs() {
    let read = parse("target_group \"app\" {}\n").unwrap();
    let group = &read.target_groups[0];
    assert_eq!(group.algorithm, Algorithm::RoundRobin);
    assert_eq!(group.deregistration_delay, Duration::from_secs(300));
    assert_eq!(group.stickiness, None);
    let check = &group.health_check;
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(30), Duration::from_secs(5)));
    assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (5, 2));
    assert_eq!((check.path.as_str(), check.port), ("/", HealthCheckPort::Traffic));
    assert!(check.enabled && check.matcher.matches(200) && !check.matcher.matches(201));
    let [load_balancer] = &read.load_balancers[..] else { panic!("{:?}", read.load_balancers) };
    assert_eq!(load_balancer.idle_timeout, Duration::from_secs(60));
    assert_eq!(load_balancer.client_keep_alive, Duration::from_secs(3600));
    assert_eq!(load_balancer.connect_timeout, Duration::from_secs(10));
    assert_eq!(load_balancer.xff_mode, XffMode::Append);
    assert_eq!(read.balancer.admin_address, Some("127.0.0.1:9900".parse().unwrap()));
    assert_eq!(read.balancer.key_path(), PathBuf::from("/var/lib/balancer/stickiness.key"));
    assert_eq!(read.balancer.session_table_size, 1_048_576);
    assert!((1..=256).contains(&read.balancer.workers));
}

#[test]
fn a_listener_that_names_no_load_balancer_belongs_to_the_only_one() {
    let text = "load_balancer \"main\" {\n  idle_timeout = 7\n}\ntarget_group \"app\" {}\nlistener \"web\" {\n  \
                port = 80\n  default_action {\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }\n}\n";
    assert_eq!(parse(text).unwrap().load_balancers.len(), 1);
    let several = format!("{text}load_balancer \"other\" {{}}\n");
    assert_eq!(
        parse(&several).unwrap_err(),
        "x.hcl:5:1: the listener names none of several load balancers; allowed: `load_balancer_arn` = \
         load_balancer.main.arn, load_balancer.other.arn"
    );
}

/// One fault each: what stands in a `target_group`, where the fault is, how its message begins, what is allowed.
#[test]
fn faults_in_a_target_group() {
    for (text, place, wrong, allowed) in [
        ("port = 0", "2:8", "`port` = 0 is out of range", "from 1 to 65535"),
        ("port = 1.5", "2:8", "`port` = 1.5 is out of range", "a whole number"),
        ("port = \"http\"", "2:8", "`port` = \"http\" is no whole number", "a whole number"),
        ("port = [80]", "2:8", "`port` = a list is no whole number", "a whole number"),
        ("prot = 80", "2:1", "unknown attribute `prot` (did you mean `port`?)", "port"),
        ("name = \"-x\"", "2:8", "\"-x\" is no name", "letters, digits and hyphens"),
        ("name = \"abcdefghijklmnopqrstuvwxyz1234567\"", "2:8", "", "1 to 32"),
        ("name = var.name", "2:8", "`name`: there is no variable `name`", "a variable with a default"),
        ("name = random_pet.x.id", "2:8", "`name` = random_pet.x.id is no text", "1 to 32"),
        (
            "deregistration_delay = 3601",
            "2:24",
            "`deregistration_delay` = 3601 is out of range",
            "from 0 to 3600",
        ),
        (
            "deregistration_delay = -1",
            "2:24",
            "`deregistration_delay` = -1 is out of range",
            "from 0 to 3600",
        ),
        ("deregistration_delay = 60 * 5", "2:24", "`deregistration_delay`: an operation is not", "a value"),
        (
            "load_balancing_algorithm_type = \"least_outstanding_request\"",
            "2:33",
            "",
            "\"least_outstanding_requests\"",
        ),
        ("load_balancing_algorithm_type = \"weighted_random\"", "2:33", "", "\"round_robin\""),
        ("slow_start = 30", "2:14", "`slow_start` = 30 is not supported by this version", "0"),
        ("protocol = \"HTTPS\"", "2:12", "`protocol` = \"HTTPS\" is not supported", "\"HTTP\""),
        ("protocol_version = \"GRPC\"", "2:20", "", "\"HTTP1\""),
        ("target_type = \"lambda\"", "2:15", "", "\"instance\" or \"ip\""),
        ("target_failover {}", "2:1", "`target_failover` is not supported", "leave it out"),
        ("count = 3", "2:1", "`count` is not supported", "one block for each target group"),
        ("for_each = toset([])", "2:1", "`for_each` is not supported", "one block for each target group"),
        ("dynamic \"stickiness\" {}", "2:1", "`dynamic` blocks are not supported", "the block itself"),
        ("stickness {}", "2:1", "unknown block `stickness` (did you mean `stickiness`?)", "stickiness"),
        ("stickiness = true", "2:1", "`stickiness` is a block, not an attribute", "`stickiness { … }`"),
        ("port {}", "2:1", "`port` is an attribute, not a block", "`port = …`"),
        ("stickiness {}\nstickiness {}", "3:1", "a second `stickiness` block is not supported", "one"),
        ("targets = \"10.0.0.1:80\"", "2:11", "`targets` = \"10.0.0.1:80\" is no list", "HOST:PORT"),
        ("targets = [\"10.0.0.1\"]", "2:12", "target \"10.0.0.1\" has no port", "a port here or there"),
        ("targets = [\"10.0.0.1:x\"]", "2:12", "target \"10.0.0.1:x\" has no port number", "1 to 65535"),
        ("targets = [aws_instance.x.id]", "2:12", "aws_instance.x.id is no target", "HOST:PORT"),
        (
            "targets = [\"[::ffff:10.0.0.1]:80\", \"10.0.0.1:80\"]",
            "2:36",
            "target \"10.0.0.1:80\" is given twice in target group \"app\", first at x.hcl:2:12",
            "once",
        ),
        ("x = \"\u{1b}[31m\"", "2:1", "unknown attribute `x`", "port"),
        ("name = \"\u{1b}[31m\"", "2:8", "\"\\u{1b}[31m\" is no name", "1 to 32"),
        (
            "target_group_health {\nunhealthy_state_routing {\nminimum_healthy_targets_count = 2\n}\n}",
            "4:33",
            "",
            "1",
        ),
    ] {
        assert_one_fault(&format!("target_group \"app\" {{\n{text}\n}}\n"), place, wrong, allowed);
    }
}

#[test]
fn faults_in_stickiness() {
    for (text, place, wrong, allowed) in [
        (
            "type = \"source_ip\"",
            "3:8",
            "Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol",
            "\"lb_cookie\" or \"app_cookie\"",
        ),
        ("type = \"lb_cooky\"", "3:8", "`type` = \"lb_cooky\" (did you mean `lb_cookie`?)", "\"lb_cookie\""),
        (
            "type = \"app_cookie\"",
            "3:8",
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
            "`cookie_name`",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"\"",
            "4:15",
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
            "the name of the application's cookie",
        ),
        (
            "cookie_name = \"SID\"",
            "3:15",
            "`cookie_name` = \"SID\" has no meaning for `lb_cookie`",
            "leave it out",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"AWSALBAPP-0\"",
            "4:15",
            "`cookie_name` = \"AWSALBAPP-0\" is reserved",
            "not starting with AWSALB",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"EDGE1\"\ncookie_prefix = \"EDGE\"",
            "4:15",
            "`cookie_name` = \"EDGE1\" is reserved",
            "`cookie_prefix`",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"a b\"",
            "4:15",
            "`cookie_name` = \"a b\" is no name",
            "token",
        ),
        ("cookie_duration = 0", "3:19", "`cookie_duration` = 0 is out of range", "from 1 to 604800"),
        ("cookie_duration = 604801", "3:19", "", "from 1 to 604800"),
        ("enabled = \"yes\"", "3:11", "`enabled` = \"yes\"", "true or false"),
        ("cookie_prefix = \"\"", "3:17", "`cookie_prefix` = \"\"", "1 to 32 token characters"),
        ("cookie_prefix = \"a;b\"", "3:17", "`cookie_prefix` = \"a;b\"", "1 to 32 token characters"),
        ("cookie_renewal = \"never\"", "3:18", "", "\"always\" or \"when_due\""),
        ("cookie_expires = 5", "3:1", "unknown attribute `cookie_expires`", "cookie_duration"),
    ] {
        let block = format!("target_group \"app\" {{\nstickiness {{\n{text}\n}}\n}}\n");
        assert_one_fault(&block, place, wrong, allowed);
    }
}

#[test]
fn faults_in_a_health_check() {
    for (text, place, wrong, allowed) in [
        (
            "interval = 5",
            "3:12",
            "Health check timeout '5' must be smaller than the interval '5'",
            "a `timeout` below `interval`",
        ),
        ("timeout = 30", "3:11", "Health check timeout '30' must be smaller than the interval '30'", ""),
        ("interval = 4\ntimeout = 2", "3:12", "`interval` = 4 is out of range", "from 5 to 300"),
        ("interval = 300\ntimeout = 121", "4:11", "", "from 2 to 120"),
        ("healthy_threshold = 1", "3:21", "", "from 2 to 10"),
        ("unhealthy_threshold = 11", "3:23", "", "from 2 to 10"),
        ("path = \"health\"", "3:8", "`path` = \"health\"", "the first one /"),
        ("path = \"/a b\"", "3:8", "", "visible ASCII"),
        ("path = \"/\\r\\nX: y\"", "3:8", "", "visible ASCII"),
        ("port = 0", "3:8", "`port` = 0", "\"traffic-port\""),
        ("port = 65536", "3:8", "`port` = 65536", "1 to 65535"),
        ("port = \"traffic\"", "3:8", "`port` = \"traffic\"", "\"traffic-port\""),
        ("protocol = \"TCP\"", "3:12", "`protocol` = \"TCP\"", "\"HTTP\" or \"HTTPS\""),
        ("matcher = \"200-600\"", "3:11", "`matcher` = \"200-600\"", "from 200 to 499"),
    ] {
        let block = format!("target_group \"app\" {{\nhealth_check {{\n{text}\n}}\n}}\n");
        assert_one_fault(&block, place, wrong, allowed);
    }
    let long =
        format!("target_group \"app\" {{\nhealth_check {{\npath = \"/{}\"\n}}\n}}\n", "a".repeat(1024));
    assert_one_fault(&long, "3:8", "", "1 to 1024");
}

#[test]
fn faults_in_a_listener() {
    let action = "default_action {\ntype = \"forward\"\ntarget_group_arn = \"app\"\n}";
    for (text, place, wrong, allowed) in [
        (format!("port = 0\n{action}"), "3:8", "`port` = 0 is out of range", "from 1 to 65535"),
        (action.to_owned(), "2:1", "listener needs `port`", "from 1 to 65535"),
        ("port = 80".to_owned(), "2:1", "the listener needs a `default_action`", "default_action {"),
        (format!("port = 9900\n{action}"), "3:8", "0.0.0.0:9900 is taken by `admin_address`", "\"off\""),
        (format!("port = 80\naddress = \"localhost\"\n{action}"), "4:11", "`address` = \"localhost\"", "IPv4"),
        (format!("port = 80\nprotocol = \"HTTPS\"\n{action}"), "4:12", "", "\"HTTP\""),
        (format!("port = 80\ncertificate_arn = \"arn:x\"\n{action}"), "4:19", "", "\"\""),
        (format!("port = 80\nload_balancer_arn = \"x\"\n{action}"), "4:21", "there is no load balancer \"x\"", "none"),
        (
            "port = 80\ndefault_action {\ntarget_group_arn = \"app\"\n}".to_owned(),
            "4:1",
            "default_action needs `type`",
            "\"forward\"",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\n}".to_owned(),
            "4:1",
            "default_action needs `target_group_arn`",
            "target_group.LABEL.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"redirect\"\n}".to_owned(),
            "5:8",
            "`type` = \"redirect\" is not supported by this version",
            "\"forward\"",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = target_group.ap.arn\n}".to_owned(),
            "6:20",
            "there is no target group \"ap\" (did you mean `app`?)",
            "target_group.app.arn, target_group.b.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = load_balancer.app.arn\n}".to_owned(),
            "6:20",
            "load_balancer.app.arn is no reference to a target group",
            "target_group.app.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = \"arn:aws:x\"\n}".to_owned(),
            "6:20",
            "\"arn:aws:x\" is a target group of AWS",
            "target_group.app.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = aws_lb_target_group.app[0].arn\n}"
                .to_owned(),
            "6:20",
            "`target_group_arn`: an indexed reference is not understood",
            "a reference",
        ),
        (
            format!("port = 80\n{}", action.replace('}', "forward {\ntarget_group {\narn = \"b\"\n}\n}\n}")),
            "6:20",
            "`target_group_arn` and the `forward` block name different groups",
            "the same group",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\nforward {\ntarget_group {\narn = \"app\"\n}\n\
             target_group {\narn = \"b\"\n}\n}\n}"
                .to_owned(),
            "10:1",
            "a second `target_group` block is not supported",
            "one",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\nforward {\ntarget_group {\narn = \"app\"\n}\n\
             stickiness {\nenabled = true\nduration = 5\n}\n}\n}"
                .to_owned(),
            "11:11",
            "`enabled` = true is not supported by this version",
            "false",
        ),
    ] {
        let file = format!("target_group \"app\" {{}}\nlistener \"web\" {{\n{text}\n}}\ntarget_group \"b\" {{}}\n");
        assert_one_fault(&file, place, wrong, allowed);
    }
}

#[test]
fn faults_among_blocks() {
    let listener = |name: &str, address: &str| {
        format!(
            "listener \"{name}\" {{\nport = 80\naddress = \"{address}\"\ndefault_action {{\ntype = \"forward\"\n\
             target_group_arn = \"app\"\n}}\n}}\ntarget_group \"app\" {{}}\n"
        )
    };
    let same_port = |one: &str, other: &str| {
        let second = listener("b", other).replace("target_group \"app\" {}\n", "");
        parse(&format!("{}{second}", listener("a", one)))
    };
    assert_eq!(
        same_port("0.0.0.0", "127.0.0.1").unwrap_err(),
        "x.hcl:11:8: 127.0.0.1:80 is taken by the listener on 0.0.0.0:80 at x.hcl:2:8; allowed: an address and port \
         that no other has"
    );
    assert!(same_port("127.0.0.1", "127.0.0.1").is_err());
    assert!(same_port("::1", "::").is_err());
    assert!(same_port("127.0.0.1", "127.0.0.2").is_ok());
    assert!(same_port("0.0.0.0", "::").is_ok());

    for (text, place, wrong, allowed) in [
        (
            "target_group \"a\" {}\ntarget_group \"a\" {}",
            "2:14",
            "target group \"a\" is given twice, first at x.hcl:1:1",
            "differ",
        ),
        (
            "target_group \"a\" {}\nresource \"aws_lb_target_group\" \"a\" {}",
            "2:32",
            "target group \"a\" is given twice",
            "differ",
        ),
        (
            "target_group \"a\" {}\ntarget_group \"b\" {\nname = \"a\"\n}",
            "3:8",
            "the name \"a\" is taken by the target group at x.hcl:1:1",
            "differ",
        ),
        ("target_group {}", "1:1", "`target_group` takes one label", "\"LABEL\""),
        ("target_group \"a\" \"b\" {}", "1:18", "`target_group` takes one label", "\"LABEL\""),
        ("balancer \"x\" {}", "1:10", "`balancer` takes no label", "`balancer {"),
        ("balancer {}\nbalancer {}", "2:1", "a second `balancer` block", "one"),
        ("listner \"x\" {}", "1:1", "unknown block `listner` (did you mean `listener`?)", "listener"),
        ("listener_rule \"x\" {}", "1:1", "`listener_rule` is not supported by this version", "listener"),
        ("resource \"aws_lb_listener_rule\" \"x\" {}", "1:10", "", "listener"),
        (
            "resource \"aws_lb_target_grup\" \"x\" {}",
            "1:10",
            "unknown type `aws_lb_target_grup` (did you mean `aws_lb_target_group`?)",
            "aws_lb_target_group",
        ),
        ("port = 80\ntarget_group \"a\" {}", "1:1", "`port` stands outside of a block", "blocks only"),
        ("balancer {\nworkers = 257\n}", "2:11", "", "from 1 to 256"),
        ("balancer {\ninstance = \"A\"\n}", "2:12", "`instance` = \"A\"", "a-z"),
        ("balancer {\nstate_dir = \"state\"\n}", "2:13", "`state_dir` = \"state\"", "an absolute path"),
        ("balancer {\nadmin_address = \"9900\"\n}", "2:17", "`admin_address` = \"9900\"", "\"off\""),
        ("balancer {\nkernel_assist = \"on\"\n}", "2:17", "", "\"required\""),
        ("balancer {\nuser = \"a:b\"\n}", "2:8", "`user` = \"a:b\"", "a user"),
        ("load_balancer \"a\" {\nidle_timeout = 4001\n}", "2:16", "", "from 1 to 4000"),
        ("load_balancer \"a\" {\nclient_keep_alive = 59\n}", "2:21", "", "from 60 to 604800"),
        ("load_balancer \"a\" {\ndesync_mitigation_mode = \"monitor\"\n}", "2:26", "", "\"defensive\""),
        ("load_balancer \"a\" {\ndrop_invalid_header_fields = true\n}", "2:30", "", "false"),
        (
            "load_balancer \"a\" {\naccess_logs {\nenabled = true\n}\n}",
            "3:11",
            "`enabled` = true is not",
            "false",
        ),
        ("load_balancer \"a\" {\nload_balancer_type = \"network\"\n}", "2:22", "", "\"application\""),
        (
            "target_group_attachment \"a\" {\ntarget_group_arn = \"x\"\ntarget_id = \"10.0.0.1\"\n}",
            "2:20",
            "there is no target group \"x\"",
            "none is given",
        ),
        (
            "target_group \"a\" {}\ntarget_group_attachment \"a\" {\ntarget_group_arn = \"a\"\ntarget_id = aws_instance.x.id\n}",
            "4:13",
            "`target_id` = aws_instance.x.id is a resource that is not known here",
            "HOST:PORT",
        ),
        (
            "target_group \"a\" {}\ntarget_group_attachment \"a\" {\ntarget_group_arn = \"a\"\n}",
            "2:1",
            "target_group_attachment needs `target_id`",
            "HOST:PORT",
        ),
        (
            "target_group \"a\" {}\ntarget_group_attachment \"a\" {\ntarget_group_arn = \"a\"\ntarget_id = \"h:1\"\nport = 2\n}",
            "4:13",
            "target \"h:1\" has a port of its own",
            "not both",
        ),
        (
            "locals {\na = local.b\nb = local.a\n}\ntarget_group \"x\" {\nname = local.a\n}",
            "6:8",
            "",
            "16 levels",
        ),
        (
            "variable \"p\" {}\ntarget_group \"x\" {\nport = var.p\n}",
            "3:8",
            "`port`: `var.p` has no default",
            "a default",
        ),
        ("", "1:1", "nothing is configured", "listener or target_group"),
        ("# only words\n", "1:1", "nothing is configured", "listener or target_group"),
    ] {
        assert_one_fault(text, place, wrong, allowed);
    }
}

#[test]
fn limits_on_how_many() {
    let groups: String = (0..101).map(|n| format!("target_group \"g{n}\" {{}}\n")).collect();
    assert_one_fault(&groups, "101:1", "too many target groups", "at most 100");
    assert!(parse(&groups.replace("target_group \"g100\" {}\n", "")).is_ok());

    let targets = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("\"10.0.{}.{}\"", n / 250, n % 250 + 1)).collect();
        format!("target_group \"a\" {{\nport = 80\ntargets = [\n{}\n]\n}}\n", list.join(",\n"))
    };
    assert_eq!(parse(&targets(1000)).unwrap().target_groups[0].targets.len(), 1000);
    assert_one_fault(&targets(1002), "1004:1", "too many targets in target group \"a\"", "at most 1000");

    let listeners: String = (1..=51)
        .map(|n| {
            format!(
                "listener \"l{n}\" {{\nport = {n}\ndefault_action {{\ntype = \"forward\"\ntarget_group_arn = \"a\"\n}}\n}}\n"
            )
        })
        .collect();
    let listeners = format!("{listeners}target_group \"a\" {{}}\n");
    assert_one_fault(&listeners, "351:1", "too many listeners", "at most 50");
}

fn assert_one_fault(text: &str, place: &str, wrong: &str, allowed: &str) {
    let message = parse(text).expect_err(text);
    assert_eq!(message.lines().count(), 1, "{text}\n{message}");
    let rest = message
        .strip_prefix(&format!("x.hcl:{place}: "))
        .unwrap_or_else(|| panic!("not at {place}: {message}"));
    assert!(rest.starts_with(wrong), "{rest}");
    let (_, told) =
        rest.split_once("; allowed: ").unwrap_or_else(|| panic!("not told what is allowed: {rest}"));
    assert!(told.contains(allowed), "{rest}");
}

#[test]
fn all_faults_of_all_files_are_told_sorted() {
    let file = |name: &str, text: &str| (PathBuf::from(name), text.to_owned());
    let errors = config::parse(&[
        file("b.hcl", "target_group \"b\" {\n  port = 0\n  slow_start = 1\n}\n"),
        file("a.hcl", "listener \"x\" {\n  port = = 1\n}\ntarget_group \"a\" {\n  port = 0\n}\nbalancer {\n  workers = 0\n}\n"),
        file("c.hcl", "target_group_attachment \"c\" {\n  target_group_arn = \"a\"\n  target_id = \"?\"\n}\nx \"y\" {\n"),
    ])
    .unwrap_err();
    let places: Vec<String> =
        errors.0.iter().map(|error| format!("{}:{}", error.file.display(), error.line)).collect();
    assert_eq!(
        places,
        ["a.hcl:2", "a.hcl:5", "a.hcl:8", "b.hcl:2", "b.hcl:3", "c.hcl:3", "c.hcl:6"],
        "{errors}"
    );
}

#[test]
fn a_reference_into_text_that_could_not_be_read_is_no_fault() {
    let text = "target_group \"app\" {\n  port = = 1\n}\nlistener \"web\" {\n  port = 80\n  default_action {\n    \
                type = \"forward\"\n    target_group_arn = \"app\"\n  }\n}\n";
    let errors = parse(text).unwrap_err();
    assert!(errors.starts_with("x.hcl:2:10: syntax error") && errors.lines().count() == 1, "{errors}");
}

#[test]
fn faults_of_syntax_have_places_and_hints() {
    for (text, start) in [
        (
            "target_group \"a\" {\n  stickiness { type = \"lb_cookie\" enabled = true }\n}\n",
            "x.hcl:2:35: syntax error: ",
        ),
        ("target_group \"a\" {\n  port = 80\n", "x.hcl:3:1: the file ends inside a block; a `}` is missing"),
        ("target_group \"a\" {\n  port = 80\n  port = 81\n}\n", "x.hcl:3:3: syntax error: "),
        ("a b c\n", "x.hcl:1:6: syntax error: "),
        ("\0", "x.hcl:1:1: syntax error: "),
    ] {
        let errors = parse(text).unwrap_err();
        assert!(errors.starts_with(start) && errors.lines().count() == 1, "{text}\n{errors}");
    }
}

#[test]
fn byte_order_mark_and_carriage_returns_are_put_up_with() {
    let text = "\u{feff}target_group \"a\" {\r\n  port = 80\r\n\r\n  stickiness {\r\n    enabled = true\r\n  }\r\n}\r\n";
    assert_eq!(parse(text).unwrap().target_groups[0].port, 80);
    let errors = parse(&text.replace("80", "0")).unwrap_err();
    assert!(errors.starts_with("x.hcl:2:10: `port` = 0 "), "{errors}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let told = |path: &PathBuf| config::load(path).unwrap_err().to_string();

    let missing = at("missing.hcl");
    assert_eq!(
        told(&missing),
        format!("{}: cannot be read: there is no such file or folder", missing.display())
    );

    let empty_folder = at("empty");
    std::fs::create_dir(&empty_folder).unwrap();
    assert!(told(&empty_folder).contains("allowed: *.hcl and *.tf files in it"));

    let binary = at("binary.hcl");
    std::fs::write(&binary, b"# first\n\xff\xfe\x00").unwrap();
    let expected = format!("{}:2:1: byte 8 (0xff) is not text; allowed: HCL in UTF-8", binary.display());
    assert_eq!(told(&binary), expected);

    let large = at("large.hcl");
    std::fs::write(&large, "# ten megabytes\n".repeat(655_360)).unwrap();
    assert!(told(&large).ends_with("is too large; allowed: at most 4194304 bytes"));

    // In a folder, what can be read is checked as well, but for references into what cannot.
    std::fs::write(
        at("group.hcl"),
        "target_group \"a\" {\n  port = 0\n}\nlistener \"l\" {\n  port = 80\n  default_action {\n    type = \"forward\"\n    \
         target_group_arn = \"b\"\n  }\n}\n",
    )
    .unwrap();
    let errors = config::load(folder.path()).unwrap_err();
    let files: Vec<String> =
        errors.0.iter().map(|error| error.file.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(files, ["binary.hcl", "group.hcl", "large.hcl"], "{errors}");
}

#[test]
fn floods_of_faults_are_cut_short() {
    let text: String = (0..5000).map(|n| format!("b{n} {{}}\n")).collect();
    let errors = parse(&text).unwrap_err();
    assert_eq!(errors.lines().count(), 1001);
    assert!(
        errors.ends_with("4000 more faults are not shown; mend these first"),
        "{}",
        errors.lines().last().unwrap()
    );
}

/// `UPDATE_DOCS=1` writes the tables anew.
#[test]
fn the_manual_has_every_attribute_as_it_is_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- manual:").unwrap();
    let (comment, rest) = rest.split_once("-->\n").unwrap();
    let (tables, after) = rest.split_once("<!-- end of manual -->").unwrap();
    let wanted = format!("\n{}\n", config::manual());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}<!-- manual:{comment}-->\n{wanted}<!-- end of manual -->{after}");
        std::fs::write(&path, text).unwrap();
    } else {
        assert_eq!(tables, wanted, "docs/configuration.md is stale; UPDATE_DOCS=1 writes it anew");
    }
}

/// Every example in the manual is one that works.
#[test]
fn the_examples_of_the_manual_load() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let examples: Vec<&str> =
        text.split("```hcl\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(!examples.is_empty());
    for example in examples {
        assert!(parse(example).is_ok(), "{example}\n{:?}", parse(example));
    }
}

#[test]
fn the_command_check_ends_with_0_or_2() {
    let check = |file: &str| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_balancer"))
            .args(["check", "-c"])
            .arg(fixture(file))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (command.status.code(), text(&command.stdout), text(&command.stderr))
    };
    let (code, stdout, stderr) = check("native.hcl");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("http://0.0.0.0:8080") && stdout.contains("unix:/run/app.sock"), "{stdout}");

    let (code, stdout, stderr) = check("snippet_lb_cookie.tf");
    assert_eq!(code, Some(0));
    assert!(stdout.contains("lb_cookie AWSALB, 86400 s"), "{stdout}");
    assert!(stderr.starts_with("warning: nothing listens"), "{stderr}");

    let (code, stdout, stderr) = check("missing.hcl");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.ends_with("missing.hcl: cannot be read: there is no such file or folder\n"), "{stderr}");
}
