//! The configuration language from outside: files in, model or messages out.

mod actions;
mod advice;
mod app_header;
mod as_they_stand;
mod certificates;
mod control_api;
pub(crate) mod corpus;
mod discovery;
mod faults;
mod folders;
mod headers;
mod hostile;
mod json;
mod labels;
mod limits;
mod meant;
mod modules;
mod network_balancers;
mod never_met;
mod old_terraform;
mod one_fault;
mod one_mistake;
mod passed_over;
mod rules;
mod session_store;
mod shield;
mod support;
mod syntax;
mod terraform;
mod values;
mod warnings;
mod workspace;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use balancer::{
    config,
    model::{
        Action, Algorithm, Configuration, CookieRenewal, HealthCheckPort, KernelAssist, MinimumHealthy,
        ProtocolVersion, StickinessExtras, StickinessKind, TargetAddress, XffMode,
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
    assert_eq!(read.balancer.http2_buffer_limit, 64 << 20);

    let [main] = &read.load_balancers[..] else { panic!("{:?}", read.load_balancers) };
    assert_eq!(main.idle_timeout, Duration::from_secs(120));
    assert_eq!(main.client_keep_alive, Duration::from_secs(600));
    assert_eq!(main.connect_timeout, Duration::from_secs(5));
    assert_eq!(main.xff_mode, XffMode::Preserve);
    assert!(main.xff_client_port && main.preserve_host_header);

    let listeners: Vec<(&str, SocketAddr, Vec<usize>)> = read
        .listeners
        .iter()
        .map(|listener| {
            (listener.name.as_str(), listener.address, listener.default_action.groups().collect())
        })
        .collect();
    assert_eq!(
        listeners,
        [
            ("web", "0.0.0.0:8080".parse().unwrap(), vec![0]),
            ("local", "[::1]:8081".parse().unwrap(), vec![1])
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
fn how_targets_are_chosen_is_read() {
    let group = |lines: &str| {
        parse(&format!("target_group \"app\" {{\n{lines}\n}}\n")).unwrap().target_groups.pop().unwrap()
    };
    let plain = group("");
    assert_eq!(
        (plain.algorithm, plain.slow_start, plain.anomaly_mitigation),
        (Algorithm::RoundRobin, None, false)
    );
    assert_eq!(plain.minimum_healthy, MinimumHealthy { count: 1, percentage: None });
    assert_eq!(group("slow_start = 0").slow_start, None);
    assert_eq!(group("slow_start = \"30\"").slow_start, Some(Duration::from_secs(30)));
    assert_eq!(group("slow_start = 900\nstickiness {}").slow_start, Some(Duration::from_secs(900)));
    let random = group(
        "load_balancing_algorithm_type = \"weighted_random\"\nload_balancing_anomaly_mitigation = \"on\"\n\
         stickiness {\nenabled = false\n}",
    );
    assert_eq!((random.algorithm, random.anomaly_mitigation), (Algorithm::WeightedRandom, true));
    let health = |routing: &str| {
        group(&format!(
            "target_group_health {{\ndns_failover {{\nminimum_healthy_targets_count = \"off\"\n}}\n\
             unhealthy_state_routing {{\n{routing}\n}}\n}}"
        ))
        .minimum_healthy
    };
    assert_eq!(health(""), MinimumHealthy { count: 1, percentage: None });
    assert_eq!(
        health("minimum_healthy_targets_count = 3\nminimum_healthy_targets_percentage = \"50\""),
        MinimumHealthy { count: 3, percentage: Some(50) }
    );
    assert_eq!(health("minimum_healthy_targets_percentage = \"off\"").percentage, None);
}

#[test]
fn stickiness_beyond_alb_is_off_unless_asked_for() {
    let extras = |group: &str, stickiness: &str| {
        let text = format!("target_group \"app\" {{\n{group}\nstickiness {{\n{stickiness}\n}}\n}}\n");
        parse(&text).unwrap().target_groups.pop().unwrap().stickiness.unwrap().extras
    };
    assert_eq!(extras("", ""), StickinessExtras::default());
    assert_eq!(extras("", "max_lifetime = 0\nload_factor = \"0\""), StickinessExtras::default());
    for kind in ["", "type = \"app_cookie\"\ncookie_name = \"SID\"\n"] {
        assert_eq!(
            extras(
                "stickiness_failover = \"fail\"\nderegistration_stickiness = \"keep\"",
                &format!("{kind}max_lifetime = 3600\nload_factor = 125")
            ),
            StickinessExtras {
                max_lifetime: Some(3600),
                load_factor: Some(125),
                fails_when_unhealthy: true,
                keeps_draining: true
            }
        );
    }
}

#[test]
fn a_grpc_group_has_defaults_of_its_own() {
    let group = |lines: &str| {
        parse(&format!("target_group \"app\" {{\nport = 80\n{lines}\n}}\n"))
            .map(|mut read| read.target_groups.remove(0))
    };
    for (lines, version, path, codes) in [
        ("", ProtocolVersion::Http1, "/", (200, 200)),
        ("protocol_version = \"HTTP2\"", ProtocolVersion::Http2, "/", (200, 200)),
        ("protocol_version = \"GRPC\"", ProtocolVersion::Grpc, "/AWS.ALB/healthcheck", (12, 12)),
        (
            "protocol_version = \"GRPC\"\nhealth_check {\npath = \"/a.B/C\"\nmatcher = \"0-99\"\n}",
            ProtocolVersion::Grpc,
            "/a.B/C",
            (0, 99),
        ),
    ] {
        let group = group(lines).unwrap();
        assert_eq!((group.protocol_version, group.health_check.protocol_version), (version, version));
        assert_eq!(
            (group.health_check.path.as_str(), &group.health_check.matcher.0[..]),
            (path, &[codes][..])
        );
    }
    let fault = |lines| group(lines).unwrap_err();
    assert!(
        fault("protocol_version = \"GRPC\"\nhealth_check {\nmatcher = \"200\"\n}").contains("from 0 to 99")
    );
    assert!(fault("protocol_version = \"HTTP3\"").contains("\"HTTP1\", \"HTTP2\" or \"GRPC\""));
}

#[test]
fn a_group_that_no_client_can_reach_is_warned_of() {
    let warnings = |listener: &str, version: &str| {
        let text = format!(
            "load_balancer \"main\" {{\n}}\nlistener \"web\" {{\nport = 80\n{listener}\ndefault_action {{\ntype = \"forward\"\n\
             target_group_arn = target_group.app.arn\n}}\n}}\ntarget_group \"app\" {{\nprotocol_version = \"{version}\"\n\
             targets = [\"127.0.0.1:9001\"]\n}}\n"
        );
        config::warnings(&parse(&text).unwrap())
    };
    let warning = "target group app: listener web lets no client speak HTTP/2, requests are answered 464";
    assert_eq!(warnings("", "HTTP2"), [warning]);
    assert_eq!(warnings("", "GRPC"), [warning]);
    assert_eq!(warnings("", "HTTP1"), Vec::<String>::new());
    assert_eq!(warnings("http2_prior_knowledge = true", "GRPC"), Vec::<String>::new());
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
    assert_eq!(actions, [&Action::forward_to(0), &Action::forward_to(1)]);
}

/// What listens is made through it.
#[test]
fn a_configuration_of_the_api_alone_is_not_warned_of() {
    let text = "control_api {\n  address = \"127.0.0.1:9901\"\n  access_keys_file = \"/k\"\n}\n";
    let read = config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).unwrap();
    assert!(config::warnings(&read).is_empty(), "{:?}", config::warnings(&read));
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
    assert_eq!(read.listeners[0].default_action, Action::forward_to(0));
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
    assert_eq!(read.balancer.http2_buffer_limit, 256 << 20);
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
        ["a.hcl:2", "a.hcl:5", "a.hcl:8", "b.hcl:2", "b.hcl:3", "c.hcl:3", "c.hcl:5"],
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
        (
            "target_group \"a\" {\n  port = 80\n",
            "x.hcl:1:1: the block `target_group \"a\"` in line 1 is not closed",
        ),
        ("target_group \"a\" {\n  port = 80\n  port = 81\n}\n", "x.hcl:3:3: syntax error: "),
        ("a b c\n", "x.hcl:1:6: syntax error: "),
        ("\0", "x.hcl:1:1: the byte 0x00 is a control character"),
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

    let text = "balancer {\n}\n";
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
    let utf32: Vec<u8> = text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    for (name, mark, bytes, encoding, language) in [
        ("little.hcl", &[0xff, 0xfe][..], &little, "UTF-16", "HCL"),
        ("big.hcl", &[0xfe, 0xff], &big, "UTF-16", "HCL"),
        ("little-unmarked.tf", &[], &little, "UTF-16", "HCL"),
        ("big-unmarked.tf.json", &[], &big, "UTF-16", "JSON"),
        ("wide.hcl", &[0xff, 0xfe, 0, 0], &utf32, "UTF-32", "HCL"),
    ] {
        let file = at(name);
        std::fs::write(&file, [mark, bytes].concat()).unwrap();
        let said = format!("{}: is text in {encoding}; allowed: {language} in UTF-8", file.display());
        assert_eq!(told(&file), said);
        std::fs::remove_file(file).unwrap();
    }
    let zero = at("zero.hcl");
    std::fs::write(&zero, "balancer {\n}\n\0\0").unwrap();
    assert!(told(&zero).contains("zero.hcl:3:1: the byte 0x00 is a control character"), "{}", told(&zero));
    std::fs::remove_file(zero).unwrap();

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

#[test]
fn terraform_with_every_action_loads_as_it_stands() {
    let read = config::load(&fixture("terraform_actions.tf")).unwrap();
    let [listener] = &read.listeners[..] else { panic!("{:?}", read.listeners) };
    let name = |group: usize| read.target_groups[group].name.clone();
    let actions: Vec<(u16, String)> =
        listener.rules.iter().map(|rule| (rule.priority, rule.action.describe(name))).collect();
    assert_eq!(
        actions,
        [
            (10, "main".to_owned()),
            (99, "main 80, canary 20, group stickiness 600 s".to_owned()),
            (100, "fixed-response 200 text/plain".to_owned()),
        ]
    );
    let transforms = &listener.rules[0].transforms;
    assert!(transforms.host.is_some() && transforms.url.is_some());
    assert_eq!(listener.default_action.describe(name), "redirect 301 https://#{host}:443/#{path}?#{query}");
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

/// Every example in the documents is one that works, but for files that are not on this machine.
#[test]
fn the_examples_of_the_documents_load() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|page| page.unwrap().path());
    // Folders beside them have no examples: the benchmarks.
    let pages = pages.filter(|page| page.is_file());
    let mut examples = 0;
    for page in pages.chain([root.join("README.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        for example in text.split("```hcl\n").skip(1).map(|rest| rest.split_once("```").unwrap().0) {
            examples += 1;
            let faults = parse(example).err().map(|faults| faults.to_string()).unwrap_or_default();
            let meant = |line: &&str| line.contains("no such file") || line.contains("No such file");
            let wrong: Vec<&str> = faults.lines().filter(|line| !meant(line)).collect();
            assert!(wrong.is_empty(), "{}:\n{example}\n{wrong:?}", page.display());
        }
    }
    assert!(examples > 5, "{examples}");
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

#[test]
fn names_of_the_admin_endpoint_are_a_list_or_one() {
    let hosts = |text: &str| {
        parse(&format!("balancer {{\nadmin_hosts = {text}\n}}\n")).map(|read| read.balancer.admin_hosts)
    };
    assert_eq!(hosts("\"*\"").unwrap(), ["*"]);
    assert_eq!(hosts("\"Ops.Example.\"").unwrap(), ["ops.example"]);
    assert_eq!(hosts("[\"ops.example.\", \"[2001:DB8::7]\"]").unwrap(), ["ops.example", "2001:db8::7"]);
    for wrong in ["\"ops.example:80\"", "[\"*.example\"]", "\"\"", "[\".\"]", "true"] {
        assert!(hosts(wrong).unwrap_err().contains("`admin_hosts`"), "{wrong}");
    }
}

#[test]
fn nothing_is_put_where_the_balancer_keeps_its_own() {
    let wrong = |lines: &str, log: &str| {
        let log = if log.is_empty() {
            String::new()
        } else {
            format!("load_balancer \"m\" {{\naccess_logs {{\nenabled = true\npath = \"{log}\"\n}}\n}}\n")
        };
        parse(&format!("balancer {{\n{lines}\n}}\n{log}target_group \"g\" {{}}\n")).map(drop)
    };
    let kept = "is in /run/balancer/default, which is kept for the instance and cleared";
    for (lines, told) in [
        ("state_dir = \"/run/balancer/default\"", "2:13: `state_dir` = \"/run/balancer/default\" "),
        ("state_dir = \"/run/balancer/./x/../default/keys/\"", "2:13: `state_dir` = "),
        ("key_file = \"/run/balancer/default/key\"", "2:12: `key_file` = "),
    ] {
        let faults = wrong(lines, "").unwrap_err();
        assert!(faults.contains(told) && faults.contains(kept) && faults.lines().count() == 1, "{faults}");
    }
    let faults = wrong("runtime_dir = \"/var/lib\"\ninstance = \"balancer\"", "").unwrap_err();
    assert!(
        faults.contains("2:15: `state_dir` = \"/var/lib/balancer\" is in /var/lib/balancer, "),
        "{faults}"
    );
    for (lines, log, told) in [
        ("", "/run/balancer/default/access.log", kept),
        ("", "/run/balancer/default.lock", "is the lock of the instance"),
        ("", "/var/lib/balancer/stickiness.key", "is the key file"),
        ("key_file = \"/k\"", "/../k", "is the key file"),
    ] {
        let faults = wrong(lines, log).unwrap_err();
        assert!(faults.contains("`path` = ") && faults.contains(told), "{faults}");
    }
    for (lines, log) in [
        ("state_dir = \"/run/balancer\"", "/run/balancer/access.log"),
        ("state_dir = \"/run/balancer/default-keys\"", "/run/balancer/other.lock"),
        ("runtime_dir = \"/var/lib/balancer/run\"", "/var/lib/balancer/access.log"),
        ("state_dir = \"/run/balancer/default\"\ninstance = \"other\"", ""),
    ] {
        assert_eq!(wrong(lines, log), Ok(()), "{lines} {log}");
    }
}
