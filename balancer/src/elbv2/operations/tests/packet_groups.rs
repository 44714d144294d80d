//! Target groups of other kinds of load balancers: they are kept and told of, and nobody can forward to them.

use super::{Api, attribute, every, one};
use crate::elbv2::{
    document::{MadeRecords, document},
    files::FileRecords,
};

fn create(rest: &str) -> String {
    format!("Action=CreateTargetGroup&Name=g&TargetType=ip&{rest}")
}

#[test]
fn a_group_of_packets_is_told_as_it_is_on_aws() {
    let mut api = Api::new();
    let made = api.ok(&create("Protocol=TCP&Port=5432&ProtocolVersion="));
    for (name, expected) in [
        ("Protocol", "TCP"),
        ("Port", "5432"),
        ("HealthCheckProtocol", "TCP"),
        ("HealthCheckPort", "traffic-port"),
        ("HealthCheckIntervalSeconds", "30"),
        ("HealthCheckTimeoutSeconds", "10"),
        ("HealthyThresholdCount", "5"),
        ("UnhealthyThresholdCount", "2"),
    ] {
        assert_eq!(one(&made, name), expected, "{name}");
    }
    for absent in ["ProtocolVersion", "HealthCheckPath", "Matcher"] {
        assert!(every(&made, absent).is_empty(), "{absent}");
    }
    let arn = one(&made, "TargetGroupArn").to_owned();
    let attributes = api.ok(&format!("Action=DescribeTargetGroupAttributes&TargetGroupArn={arn}"));
    assert_eq!(attribute(&attributes, "stickiness.type"), "source_ip");
    assert_eq!(attribute(&attributes, "proxy_protocol_v2.enabled"), "false");
    assert!(!attributes.contains("slow_start") && !attributes.contains("cookie"));
    // Checks by HTTP have a path, and codes; those by TCP have none again.
    let modify = format!("Action=ModifyTargetGroup&TargetGroupArn={arn}");
    let by_http = api.ok(&format!("{modify}&HealthCheckProtocol=HTTP"));
    let told = ["HealthCheckPath", "HttpCode", "HealthCheckTimeoutSeconds"].map(|name| one(&by_http, name));
    assert_eq!(told, ["/", "200-399", "6"]);
    let by_tcp = api.ok(&format!("{modify}&HealthCheckProtocol=TCP"));
    assert!(every(&by_tcp, "Matcher").is_empty() && every(&by_tcp, "HealthCheckPath").is_empty());
    let (code, message) = api.fails(&format!("{modify}&HealthCheckPath=%2Fhealth"));
    assert_eq!(code, "InvalidConfigurationRequest");
    assert!(message.contains("not supported for health checks with protocol 'TCP'"), "{message}");
    api.ok(&format!("Action=DeleteTargetGroup&TargetGroupArn={arn}"));
}

#[test]
fn a_timeout_may_be_as_long_as_the_interval_where_packets_are_passed_on() {
    for (protocol, timeout, or_equal) in
        [("TCP", 6, "or equal to "), ("UDP", 6, "or equal to "), ("HTTP", 5, "")]
    {
        let mut api = Api::new();
        let checks = "HealthCheckProtocol=HTTP&HealthCheckPath=%2F&HealthCheckIntervalSeconds=5";
        let asked = |timeout| {
            create(&format!("Protocol={protocol}&Port=80&{checks}&HealthCheckTimeoutSeconds={timeout}"))
        };
        let message =
            format!("Health check timeout '{timeout}' must be smaller than {or_equal}the interval '5'");
        assert_eq!(api.fails(&asked(timeout)), ("ValidationError", message));
        api.ok(&asked(timeout - 1));
    }
}

#[test]
fn nobody_forwards_to_packets() {
    let mut api = Api::new();
    let balancer = api.balancer("b");
    let group = one(&api.ok(&create("Protocol=TCP&Port=80")), "TargetGroupArn").to_owned();
    let (code, message) = api.fails(&format!(
        "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={group}"
    ));
    assert_eq!(code, "IncompatibleProtocols");
    assert!(message.contains("the target group 'g', whose protocol is 'TCP'"), "{message}");
    // What is registered with it waits for nobody.
    api.ok(&format!("Action=RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1"));
    let health = api.ok(&format!("Action=DescribeTargetHealth&TargetGroupArn={group}"));
    assert!(health.contains("<State>unused</State><Reason>Target.NotInUse</Reason>"), "{health}");
}

#[test]
fn a_running_configuration_has_no_groups_of_packets() {
    let mut api = Api::new();
    api.group("web");
    let written = |api: &Api| {
        let files = FileRecords::default();
        document(MadeRecords { records: &api.records, files: &files, instances: &api.world.instances })
    };
    let before = written(&api).unwrap();
    api.ok(&create("Protocol=UDP&Port=53"));
    assert_eq!(written(&api).unwrap(), before);
    // A state has it, too, and is looked at where no configuration looks.
    assert_eq!(api.records.faults(), [""; 0]);
    api.records.target_groups.values_mut().for_each(|group| group.protocol = "FTP".to_owned());
    let faults = api.records.faults();
    assert!(faults.iter().all(|fault| fault.contains("protocol is 'FTP'; allowed: TCP")), "{faults:?}");
    assert_eq!(faults.len(), 2);
}
