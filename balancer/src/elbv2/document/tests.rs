use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;

use super::*;
use crate::{
    config,
    elbv2::{
        ActionKind, ActionRecord, ArnMaker, CertificateRecord, ConditionRecord, FileFacts, FileRecords,
        HealthCheckRecord, RecordOwner, Records, RuleRecord, TransformRecord, WeightedGroupRecord,
        listener_arn, rule_arn,
    },
    model::{Action, Configuration},
};

const ARNS: ArnMaker<'_> = ArnMaker { region: "eu-west-1", account: "123456789012" };
const CERTIFICATE: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/1";

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn pairs(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn balancer(name: &str) -> LoadBalancerRecord {
    LoadBalancerRecord {
        arn: ARNS.load_balancer(name, 1),
        name: name.to_owned(),
        scheme: "internet-facing".to_owned(),
        ip_address_type: "ipv4".to_owned(),
        ..LoadBalancerRecord::default()
    }
}

fn group(name: &str) -> TargetGroupRecord {
    TargetGroupRecord {
        arn: ARNS.target_group(name, 2),
        name: name.to_owned(),
        protocol: "HTTP".to_owned(),
        protocol_version: "HTTP1".to_owned(),
        port: 8080,
        target_type: "ip".to_owned(),
        ip_address_type: "ipv4".to_owned(),
        health_check: HealthCheckRecord {
            enabled: true,
            protocol: "HTTP".to_owned(),
            port: "traffic-port".to_owned(),
            path: "/".to_owned(),
            interval: 30,
            timeout: 5,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: "200".to_owned(),
        },
        ..TargetGroupRecord::default()
    }
}

fn forward(arn: &str) -> ActionRecord {
    let groups = vec![WeightedGroupRecord { arn: arn.to_owned(), weight: Some(1) }];
    ActionRecord {
        order: None,
        kind: ActionKind::Forward { groups, sticky: Some(false), sticky_seconds: None },
    }
}

fn listener(balancer: &LoadBalancerRecord, port: u16, action: ActionRecord) -> ListenerRecord {
    ListenerRecord {
        arn: listener_arn(&balancer.arn, port.into()),
        load_balancer_arn: balancer.arn.clone(),
        port,
        protocol: "HTTP".to_owned(),
        default_actions: vec![action],
        ..ListenerRecord::default()
    }
}

fn records(
    balancers: Vec<LoadBalancerRecord>,
    groups: Vec<TargetGroupRecord>,
    listeners: Vec<ListenerRecord>,
) -> Records {
    Records {
        load_balancers: balancers.into_iter().map(|one| (one.arn.clone(), one)).collect(),
        target_groups: groups.into_iter().map(|one| (one.arn.clone(), one)).collect(),
        listeners: listeners.into_iter().map(|one| (one.arn.clone(), one)).collect(),
        ..Records::default()
    }
}

fn made(records: &Records, files: &FileRecords) -> Result<String, ApiFailure> {
    let instances = BTreeMap::from([("i-0123456789abcdef0".to_owned(), "10.0.0.9".parse().unwrap())]);
    document(MadeRecords { records, files, instances: &instances })
}

/// What becomes of records beside this file.
fn read(records: &Records, file: &str, files: &FileRecords) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.hcl");
    std::fs::write(&path, file).unwrap();
    let text = made(records, files).map_err(|failure| failure.message)?;
    config::ConfigTexts::of_files(&path).load(Some(&text)).map_err(|errors| format!("{errors}\n{text}"))
}

const OWN: &str = "control_api {\n  address = \"127.0.0.1:9901\"\n  access_keys_file = \"keys\"\n}\n";

/// The same records as files would have them.
fn as_files(configuration: &Configuration) -> FileRecords {
    let (place, document) = ("here", Path::new("none"));
    FileRecords::of(FileFacts { configuration, place, document, arns: ARNS })
}

#[test]
fn what_is_made_is_what_a_file_would_say() {
    let mut balancer = balancer("web");
    balancer.attributes = pairs(&[
        ("idle_timeout.timeout_seconds", "120"),
        ("client_keep_alive.seconds", "600"),
        ("routing.http.desync_mitigation_mode", "strictest"),
        ("routing.http.drop_invalid_header_fields.enabled", "true"),
        ("routing.http.preserve_host_header.enabled", "true"),
        ("routing.http.x_amzn_tls_kx.enabled", "true"),
        ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "true"),
        ("routing.http.xff_client_port.enabled", "true"),
        ("routing.http.xff_header_processing.mode", "preserve"),
        ("routing.http2.enabled", "false"),
        ("access_logs.s3.enabled", "true"),
        ("health_check_logs.s3.enabled", "true"),
    ]);
    let mut sticky = group("sticky");
    sticky.protocol = "HTTPS".to_owned();
    sticky.attributes = pairs(&[
        ("deregistration_delay.timeout_seconds", "7"),
        ("slow_start.duration_seconds", "0"),
        ("load_balancing.algorithm.type", "least_outstanding_requests"),
        ("load_balancing.algorithm.anomaly_mitigation", "off"),
        ("routing.http2.rst_stream_error_forwarding.enabled", "false"),
        ("stickiness.enabled", "true"),
        ("stickiness.type", "app_cookie"),
        ("stickiness.app_cookie.cookie_name", "SESSION"),
        ("stickiness.app_cookie.duration_seconds", "77"),
        (HEALTHY_COUNT, "2"),
        (HEALTHY_PERCENTAGE, "50"),
    ]);
    let target =
        |id: &str, port: u16| TargetRecord { id: id.to_owned(), port: Some(port), availability_zone: None };
    sticky.targets = vec![target("10.0.0.1", 80), target("fd00::1", 81)];
    let mut grpc = group("grpc");
    grpc.protocol_version = "GRPC".to_owned();
    grpc.attributes = pairs(&[
        ("deregistration_delay.timeout_seconds", "300"),
        ("slow_start.duration_seconds", "30"),
        ("load_balancing.algorithm.type", "round_robin"),
        ("load_balancing.algorithm.anomaly_mitigation", "off"),
        ("routing.http2.rst_stream_error_forwarding.enabled", "true"),
        (HEALTHY_COUNT, "1"),
        (HEALTHY_PERCENTAGE, "off"),
    ]);
    grpc.health_check = HealthCheckRecord {
        path: "/a.b/c".to_owned(),
        matcher: "0-99".to_owned(),
        port: "9000".to_owned(),
        ..grpc.health_check
    };
    let weighted = ActionKind::Forward {
        groups: vec![
            WeightedGroupRecord { arn: sticky.arn.clone(), weight: Some(9) },
            WeightedGroupRecord { arn: grpc.arn.clone(), weight: Some(0) },
        ],
        sticky: Some(true),
        sticky_seconds: Some(60),
    };
    let mut web = listener(&balancer, 80, ActionRecord { order: None, kind: weighted });
    web.attributes = pairs(&[
        ("routing.http.response.server.enabled", "false"),
        ("routing.http.response.x_frame_options.header_value", "DENY"),
        ("routing.http.request.x_amzn_mtls_clientcert_leaf.header_name", "X-Leaf"),
    ]);
    let mut all = records(vec![balancer], vec![sticky, grpc], vec![web]);
    add_rules(&mut all);
    let read = read(&all, OWN, &FileRecords::default()).unwrap();
    assert_same(&all, &as_files(&read).records);
}

fn add_rules(all: &mut Records) {
    let listener = all.listeners.keys().next().unwrap().clone();
    let of = |field: &str, values: &[&str]| ConditionRecord {
        field: field.to_owned(),
        values: texts(values),
        ..ConditionRecord::default()
    };
    let redirect = ActionKind::Redirect {
        protocol: Some("HTTPS".to_owned()),
        port: Some("443".to_owned()),
        host: Some("#{host}".to_owned()),
        path: Some("/new/#{path}".to_owned()),
        query: Some(String::new()),
        status_code: "HTTP_302".to_owned(),
    };
    let fixed = ActionKind::FixedResponse {
        status_code: "503".to_owned(),
        content_type: Some("text/plain".to_owned()),
        message_body: Some("${not} a %{template} $${of} \\ \"anything\"\n".to_owned()),
    };
    let group = all.target_groups.keys().next().unwrap().clone();
    let of_all = vec![
        (
            redirect,
            vec![
                of("host-header", &["*.example.com"]),
                ConditionRecord { header_name: Some("X-A".to_owned()), ..of("http-header", &["a", "${b}"]) },
            ],
        ),
        (
            fixed,
            vec![
                ConditionRecord { regex_values: texts(&["^/a[0-9]+$"]), ..of("path-pattern", &[]) },
                ConditionRecord {
                    query: vec![(None, "v".to_owned()), (Some("k".to_owned()), "w*".to_owned())],
                    ..of("query-string", &[])
                },
            ],
        ),
        (
            forward(&group).kind,
            vec![of("http-request-method", &["GET", "X-A"]), of("source-ip", &["10.0.0.0/8"])],
        ),
    ];
    for (index, (kind, conditions)) in (1_u16..).zip(of_all) {
        let arn = rule_arn(&listener, index.into());
        let transforms = matches!(kind, ActionKind::Forward { .. }).then(|| TransformRecord {
            kind: "url-rewrite".to_owned(),
            rewrites: vec![("^/a/(.*)$".to_owned(), "/$1".to_owned())],
        });
        let rule = RuleRecord {
            arn: arn.clone(),
            listener_arn: listener.clone(),
            priority: index * 10,
            conditions,
            actions: vec![ActionRecord { order: None, kind }],
            transforms: transforms.into_iter().collect(),
            ..RuleRecord::default()
        };
        all.rules.insert(arn, rule);
    }
}

/// ARNs of what is in files are others, and whose it is; the rest is the same.
fn assert_same(made: &Records, read: &Records) {
    let plain = |records: &Records| {
        let text = serde_json::to_string(records).unwrap();
        let id = regex::Regex::new("/[0-9a-f]{16}").unwrap();
        let text = id.replace_all(&text, "/ID").into_owned();
        let mut plain: serde_json::Value = serde_json::from_str(&text).unwrap();
        for kind in ["load_balancers", "target_groups", "listeners", "rules"] {
            for (_, record) in plain[kind].as_object_mut().unwrap() {
                record["owner"] = "any".into();
            }
        }
        plain["rules"] = records
            .rules
            .values()
            .map(|rule| (rule.priority, serde_json::to_value((&rule.conditions, &rule.transforms)).unwrap()))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect();
        plain
    };
    assert_eq!(plain(made), plain(read));
    let actions = |records: &Records| {
        let of_rule = |rule: &RuleRecord| match &rule.actions[0].kind {
            ActionKind::Forward { groups, .. } => format!("{} groups", groups.len()),
            other => format!("{other:?}"),
        };
        records.rules.values().map(|rule| (rule.priority, of_rule(rule))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(actions(made), actions(read));
}

#[test]
fn what_files_say_is_referred_to_and_stays_theirs() {
    const FILE: &str = "target_group \"filed\" {\n  targets = [\"127.0.0.1:9001\"]\n}\nlistener \"front\" {\n  port = 81\n  \
                        default_action {\n    type = \"forward\"\n    target_group_arn = \"filed\"\n  }\n}\n";
    let alone = read(&Records::default(), &format!("{OWN}{FILE}"), &FileRecords::default()).unwrap();
    let files = as_files(&alone);
    let filed = files.records.target_groups.keys().next().unwrap();
    assert!(
        matches!(&files.records.target_groups[filed].owner, RecordOwner::File(file) if file.ends_with("own.hcl"))
    );
    let front = files.records.listeners.keys().next().unwrap();
    let balancer = balancer("web");
    let mut all = records(vec![balancer.clone()], Vec::new(), vec![listener(&balancer, 80, forward(filed))]);
    let arn = rule_arn(front, 1);
    let rule = RuleRecord {
        arn: arn.clone(),
        listener_arn: front.clone(),
        priority: 5,
        conditions: vec![ConditionRecord {
            field: "path-pattern".to_owned(),
            values: texts(&["/a"]),
            ..ConditionRecord::default()
        }],
        actions: vec![forward(filed)],
        ..RuleRecord::default()
    };
    all.rules.insert(arn, rule);
    let both = read(&all, &format!("{OWN}{FILE}"), &files).unwrap();
    let names: Vec<_> =
        both.listeners.iter().map(|one| (one.name.as_str(), one.load_balancer, one.rules.len())).collect();
    assert_eq!(
        names,
        [("front", 1, 1), ("web:80", 0, 0)],
        "a listener of a file keeps the load balancer it had"
    );
    assert_eq!(both.load_balancers[1].name, "default");
    assert_eq!(both.target_groups.len(), 1);
    let (place, document) = ("here", Path::new(config::API_DOCUMENT));
    let again = FileRecords::of(FileFacts { configuration: &both, place, document, arns: ARNS });
    // The folder of a test is another one each time.
    let file = regex::Regex::new("File\\([^)]*\\)").unwrap();
    let of = |records: &Records| file.replace_all(&format!("{records:?}"), "File").into_owned();
    assert_eq!(
        of(&again.records),
        of(&files.records),
        "what is made is none of what files say, and ARNs of files stay"
    );
}

#[test]
fn load_balancers_of_files_say_whether_they_are_internal() {
    for (said, scheme) in
        [("", "internet-facing"), ("internal = true", "internal"), ("internal = false", "internet-facing")]
    {
        let file = format!("{OWN}load_balancer \"web\" {{\n  {said}\n}}\n");
        let configuration = read(&Records::default(), &file, &FileRecords::default()).unwrap();
        let files = as_files(&configuration);
        let balancer = files.records.load_balancers.values().find(|one| one.name == "web").unwrap();
        assert_eq!(balancer.scheme, scheme, "{said}");
    }
}

#[test]
fn ids_of_instances_are_addresses_here() {
    let mut group = group("app");
    group.target_type = "instance".to_owned();
    let target = |id: &str| TargetRecord { id: id.to_owned(), ..TargetRecord::default() };
    group.targets = vec![target("i-0123456789abcdef0")];
    let mut all = records(Vec::new(), vec![group.clone()], Vec::new());
    let read = read(&all, OWN, &FileRecords::default()).unwrap();
    assert_eq!(format!("{:?}", read.target_groups[0].targets[0].address), "Ip(10.0.0.9)");
    assert_eq!(read.target_groups[0].targets[0].port, 8080);
    group.targets.push(target("i-fedcba98"));
    all.target_groups.insert(group.arn.clone(), group);
    let failure = made(&all, &FileRecords::default()).unwrap_err();
    assert_eq!(failure.code, "InvalidTarget");
    assert!(
        failure.message.contains("'i-fedcba98'") && failure.message.contains("`instances`"),
        "{}",
        failure.message
    );
}

#[test]
fn what_files_have_lost_is_named() {
    let balancer = balancer("web");
    let listener = listener(&balancer, 80, forward(&ARNS.target_group("blue", 7)));
    let failure = made(&records(vec![balancer], Vec::new(), vec![listener.clone()]), &FileRecords::default());
    let message = failure.unwrap_err().message;
    assert!(
        message.contains("Listener 'web:80'") && message.contains("is of target group 'blue'"),
        "{message}"
    );
    assert!(message.contains("which is not there; allowed: files that have it"), "{message}");
    let alone = records(Vec::new(), Vec::new(), vec![listener]);
    let message = made(&alone, &FileRecords::default()).unwrap_err().message;
    assert!(message.contains("Listener 'web:80'"), "{message}");
    assert!(message.contains("of load balancer 'web'") && message.contains("'blue'"), "{message}");
}

#[test]
fn two_load_balancers_on_a_port_need_addresses() {
    let (one, mut two) = (balancer("one"), balancer("two"));
    let fixed = || ActionRecord {
        order: None,
        kind: ActionKind::FixedResponse {
            status_code: "200".to_owned(),
            content_type: None,
            message_body: None,
        },
    };
    let both = |one: &LoadBalancerRecord, two: &LoadBalancerRecord| {
        let listeners = vec![listener(one, 80, fixed()), listener(two, 80, fixed())];
        records(vec![one.clone(), two.clone()], Vec::new(), listeners)
    };
    let failure = made(&both(&one, &two), &FileRecords::default()).unwrap_err();
    assert_eq!(failure.code, "ValidationError");
    assert!(
        failure.message.contains("'one:80' at 0.0.0.0:80 and listener 'two:80' at 0.0.0.0:80"),
        "{}",
        failure.message
    );
    assert!(failure.message.contains(ADDRESS_TAG), "{}", failure.message);
    for (address, is_free) in [("127.0.0.2", false), ("0.0.0.0", false), ("::1", true), ("all", false)] {
        two.tags.insert(ADDRESS_TAG.to_owned(), address.to_owned());
        assert_eq!(made(&both(&one, &two), &FileRecords::default()).is_ok(), is_free, "{address}");
    }
    let mut one = one;
    one.scheme = "internal".to_owned();
    two.tags.insert(ADDRESS_TAG.to_owned(), "127.0.0.2".to_owned());
    let read = read(&both(&one, &two), OWN, &FileRecords::default()).unwrap();
    let at: Vec<String> = read.listeners.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(at, ["127.0.0.1:80", "127.0.0.2:80"]);
}

#[test]
fn certificates_and_trust_stores_are_named_by_arns() {
    let folder = tempfile::tempdir().unwrap();
    let made_one = rcgen::generate_simple_self_signed(["web.example".to_owned()]).unwrap();
    let (pem, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&pem, made_one.cert.pem()).unwrap();
    std::fs::write(&key, made_one.signing_key.serialize_pem()).unwrap();
    let block = |label: &str, arn: &str| {
        format!(
            "certificate \"{label}\" {{\n  arn = \"{arn}\"\n  certificate_file = \"{}\"\n  private_key_file = \"{}\"\n}}\n",
            pem.display(),
            key.display()
        )
    };
    let file = format!("{OWN}{}{}", block("a", CERTIFICATE), block("b", &format!("{CERTIFICATE}2")));
    let (balancer, group) = (balancer("web"), group("app"));
    let mut web = listener(&balancer, 443, forward(&group.arn));
    web.protocol = "HTTPS".to_owned();
    web.ssl_policy = Some("ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned());
    web.certificates = vec![
        CertificateRecord { arn: CERTIFICATE.to_owned(), is_default: true },
        CertificateRecord { arn: format!("{CERTIFICATE}2"), is_default: false },
    ];
    let store = TrustStoreRecord {
        arn: ARNS.trust_store("ops", 3),
        name: "ops".to_owned(),
        ca_file: pem.display().to_string(),
        ..TrustStoreRecord::default()
    };
    web.mutual_authentication = Some(MutualAuthenticationRecord {
        mode: "verify".to_owned(),
        trust_store_arn: Some(store.arn.clone()),
        ignore_client_certificate_expiry: Some(true),
        advertise_trust_store_ca_names: Some("on".to_owned()),
    });
    let mut all = records(vec![balancer], vec![group], vec![web.clone()]);
    all.trust_stores.insert(store.arn.clone(), store);
    let read = read(&all, &file, &FileRecords::default()).unwrap();
    let found = as_files(&read);
    let found = found.records.listeners.values().next().unwrap();
    assert_eq!((&found.certificates, &found.ssl_policy), (&web.certificates, &web.ssl_policy));
    let mutual = found.mutual_authentication.as_ref().unwrap();
    assert_eq!((mutual.mode.as_str(), mutual.ignore_client_certificate_expiry), ("verify", Some(true)));
}

proptest! {
    /// Nothing that somebody writes is more than text.
    #[test]
    fn any_text_stays_as_it_is(body in ".{0,40}|([$%]{0,4}[{]|[$]|[%]|[}~\"\\\\a]){0,20}") {
        let kind = ActionKind::FixedResponse {
            status_code: "200".to_owned(),
            content_type: None,
            message_body: Some(body.clone()),
        };
        let balancer = balancer("web");
        let all = records(
            vec![balancer.clone()],
            Vec::new(),
            vec![listener(&balancer, 80, ActionRecord { order: None, kind })],
        );
        let read = read(&all, OWN, &FileRecords::default()).unwrap();
        let Action::FixedResponse(response) = &read.listeners[0].default_action else { panic!("another action") };
        prop_assert_eq!(&response.body, &body);
    }
}
