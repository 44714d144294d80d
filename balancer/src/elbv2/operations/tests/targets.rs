use super::{Api, INSTANCE, OTHER_INSTANCE, every, one};
use crate::elbv2::{records::TargetRecord, world::TargetHealth};

#[test]
fn targets_are_registered_once_each_and_deregistered_by_id_and_port() {
    let mut api = Api::new();
    let arn = api.group("g");
    let register = |rest: &str| format!("Action=RegisterTargets&TargetGroupArn={arn}&{rest}");
    assert_eq!(
        api.ok(&register(
            "Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=8080&Targets.member.2.Id=10.0.0.2"
        )),
        ""
    );
    // One without a port is at the group's.
    api.ok(&register(
        "Targets.member.1.Id=10.0.0.2&Targets.member.1.Port=80&Targets.member.1.AvailabilityZone=all",
    ));
    api.ok(&register("Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=8081"));
    let targets = |api: &Api| -> Vec<(String, Option<u16>)> {
        let group = api.records.target_groups.values().next().unwrap();
        group.targets.iter().map(|target| (target.id.clone(), target.port)).collect()
    };
    let expected = [
        ("10.0.0.1".to_owned(), Some(8080)),
        ("10.0.0.2".to_owned(), None),
        ("10.0.0.1".to_owned(), Some(8081)),
    ];
    assert_eq!(targets(&api), expected);
    let deregister = |rest: &str| format!("Action=DeregisterTargets&TargetGroupArn={arn}&{rest}");
    // None of these is registered, and none is missed.
    api.ok(&deregister("Targets.member.1.Id=10.0.0.1&Targets.member.2.Id=10.0.0.9&Targets.member.2.Port=1"));
    assert_eq!(targets(&api), expected);
    api.ok(&deregister("Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=8080&Targets.member.2.Id=10.0.0.2&Targets.member.2.Port=80"));
    assert_eq!(targets(&api), expected[2..]);
}

#[test]
fn what_cannot_be_a_target_is_refused() {
    let mut api = Api::new();
    let addresses = api.group("addresses");
    let v6 = one(
        &api.ok("Action=CreateTargetGroup&Name=v6&Protocol=HTTP&Port=80&TargetType=ip&IpAddressType=ipv6"),
        "TargetGroupArn",
    )
    .to_owned();
    let instances =
        one(&api.ok("Action=CreateTargetGroup&Name=i&Protocol=HTTP&Port=80"), "TargetGroupArn").to_owned();
    for (group, rest, code, words) in [
        (
            &addresses,
            "Id=host.internal",
            "InvalidTarget",
            "The IP address 'host.internal' is not a valid IPv4 address",
        ),
        (&addresses, "Id=::1", "InvalidTarget", "is not a valid IPv4 address"),
        (&addresses, "Id=0.0.0.0", "InvalidTarget", "is not a valid IPv4 address"),
        (&addresses, "Id=224.0.0.1", "InvalidTarget", "is not a valid IPv4 address"),
        (&addresses, "Id=010.0.0.1", "InvalidTarget", "is not a valid IPv4 address"),
        (&addresses, "Id=unix:/run/app.sock", "InvalidTarget", "is not a valid IPv4 address"),
        (&v6, "Id=10.0.0.1", "InvalidTarget", "is not a valid IPv6 address"),
        (&instances, "Id=10.0.0.1", "InvalidTarget", "is not valid: an ID of an instance"),
        (
            &instances,
            "Id=i-0000000000000000f",
            "InvalidTarget",
            "not in a running state and cannot be registered: 'i-0000000000000000f'",
        ),
        (&addresses, "Port=80", "ValidationError", "Value null at 'targets.1.member.id'"),
        (
            &addresses,
            "Id=10.0.0.1&Targets.member.1.Port=0",
            "ValidationError",
            "Value '0' at 'targets.1.member.port'",
        ),
        (
            &addresses,
            "Id=10.0.0.1&Targets.member.1.QuicServerId=0x1",
            "InvalidTarget",
            "Network Load Balancers",
        ),
    ] {
        let (found, message) =
            api.fails(&format!("Action=RegisterTargets&TargetGroupArn={group}&Targets.member.1.{rest}"));
        assert_eq!(found, code, "{rest}: {message}");
        assert!(message.contains(words), "{rest}: {message}");
    }
    api.ok(&format!("Action=RegisterTargets&TargetGroupArn={instances}&Targets.member.1.Id={INSTANCE}"));
    let zone = format!(
        "Action=RegisterTargets&TargetGroupArn={instances}&Targets.member.1.Id={INSTANCE}&Targets.member.1.AvailabilityZone=all"
    );
    assert!(api.fails(&zone).1.contains("Availability Zone"));
    // One address has several texts, and is one target.
    api.ok(&format!(
        "Action=RegisterTargets&TargetGroupArn={v6}&Targets.member.1.Id=fd00::1&Targets.member.2.Id=fd00:0::1"
    ));
    let group = api.records.target_groups.get(&v6).unwrap();
    assert_eq!(group.targets.len(), 1);
}

#[test]
fn a_thousand_targets_and_no_more() {
    let mut api = Api::new();
    let arn = api.group("g");
    let targets = |count: u16| -> String {
        (1..=count).map(|n| format!("&Targets.member.{n}.Id=10.0.{}.{}", n / 250, n % 250 + 1)).collect()
    };
    let form = |count| format!("Action=RegisterTargets&TargetGroupArn={arn}{}", targets(count));
    assert_eq!(api.fails(&form(1001)).0, "TooManyTargets");
    api.ok(&form(1000));
    api.ok(&form(1000));
    assert_eq!(api.records.target_groups.get(&arn).map(|group| group.targets.len()), Some(1000));
    let health = api.ok(&format!("Action=DescribeTargetHealth&TargetGroupArn={arn}"));
    assert_eq!(every(&health, "State").iter().filter(|state| **state == "unused").count(), 1000);
}

#[test]
fn health_is_told_with_reasons() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    api.ok(&format!(
        "Action=RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1&Targets.member.2.Id=10.0.0.2\
         &Targets.member.2.Port=81"
    ));
    let all = format!("Action=DescribeTargetHealth&TargetGroupArn={group}");
    let unused = api.ok(&all);
    assert_eq!(every(&unused, "Id"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(every(&unused, "Port"), ["80", "81"]);
    assert_eq!(every(&unused, "HealthCheckPort"), ["80", "81"]);
    assert_eq!(
        every(&unused, "Description")[0],
        "Target group is not configured to receive traffic from the load balancer"
    );
    assert!(unused.contains("<State>unused</State><Reason>Target.NotInUse</Reason>"));
    api.listener(&balancer, 80, &group);
    api.world.health = Box::new(|_, target| match target.port {
        None => TargetHealth { state: "healthy", ..TargetHealth::default() },
        Some(_) => TargetHealth {
            state: "unhealthy",
            reason: Some("Target.Timeout"),
            description: Some("Request timed out".to_owned()),
            is_anomalous: true,
            ..TargetHealth::default()
        },
    });
    api.world.draining = Box::new(|_| {
        let gone = |id: &str| TargetRecord { id: id.to_owned(), ..TargetRecord::default() };
        vec![gone("10.0.0.3"), gone("10.0.0.1")]
    });
    let told = api.ok(&all);
    let states = ["healthy", "unhealthy", "draining"];
    let found: Vec<&str> = every(&told, "TargetHealth").iter().map(|health| one(health, "State")).collect();
    assert_eq!(found, states);
    assert!(told.contains("<TargetHealth><State>healthy</State></TargetHealth>"));
    assert!(told.contains(
        "<Reason>Target.DeregistrationInProgress</Reason><Description>Target deregistration is in progress<"
    ));
    assert!(every(&told, "AnomalyDetection").is_empty());
    let told = api.ok(&format!("{all}&Include.member.1=AnomalyDetection"));
    assert_eq!(every(&told, "Result"), ["normal", "anomalous", "normal"]);
    // The waiter for deregistered targets goes by `unused`.
    let told = api.ok(&format!("{all}&Targets.member.1.Id=10.0.0.9&Targets.member.2.Id=10.0.0.3&Targets.member.3.Id=10.0.0.2&Targets.member.3.Port=81"));
    let found: Vec<&str> = every(&told, "TargetHealth").iter().map(|health| one(health, "State")).collect();
    assert_eq!(found, ["unused", "draining", "unhealthy"]);
    assert!(told.contains("<Reason>Target.NotRegistered</Reason>"));
    for (form, code) in [
        (format!("{all}&Targets.member.1.Id=host"), "InvalidTarget"),
        (format!("{all}0"), "TargetGroupNotFound"),
        (format!("{all}&Include.member.1=Everything"), "ValidationError"),
        (format!("Action=DescribeTargetHealth&TargetGroupArn={balancer}"), "ValidationError"),
    ] {
        assert_eq!(api.fails(&form).0, code, "{form}");
    }
}

#[test]
fn nobody_waits_for_a_target_of_a_group_that_is_not_used() {
    let mut api = Api::new();
    let group = api.group("g");
    api.world.draining =
        Box::new(|_| vec![TargetRecord { id: "10.0.0.3".to_owned(), ..TargetRecord::default() }]);
    let all = format!("Action=DescribeTargetHealth&TargetGroupArn={group}");
    assert!(every(&api.ok(&all), "State").is_empty());
    let told = api.ok(&format!("{all}&Targets.member.1.Id=10.0.0.3"));
    assert!(told.contains("<State>unused</State><Reason>Target.NotRegistered</Reason>"), "{told}");
}

#[test]
fn two_instances_at_one_place_are_one_target() {
    let mut api = Api::new();
    let made = api.ok("Action=CreateTargetGroup&Name=i&Protocol=HTTP&Port=80&VpcId=vpc-1");
    let arn = one(&made, "TargetGroupArn").to_owned();
    let register = |id: &str, port: &str| {
        format!("Action=RegisterTargets&TargetGroupArn={arn}&Targets.member.1.Id={id}{port}")
    };
    api.ok(&register(INSTANCE, ""));
    let (code, message) = api.fails(&register(OTHER_INSTANCE, ""));
    assert_eq!(code, "InvalidTarget");
    assert!(message.contains(INSTANCE) && message.contains(OTHER_INSTANCE), "{message}");
    api.ok(&register(OTHER_INSTANCE, "&Targets.member.1.Port=81"));
}

#[test]
fn texts_of_one_address_are_one_target() {
    let mut api = Api::new();
    let form =
        "Action=CreateTargetGroup&Name=v6&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip&IpAddressType=ipv6";
    let arn = one(&api.ok(form), "TargetGroupArn").to_owned();
    let call = |action: &str, ids: &[&str]| {
        let ids: String =
            (1..).zip(ids).map(|(number, id)| format!("&Targets.member.{number}.Id={id}")).collect();
        format!("Action={action}&TargetGroupArn={arn}{ids}")
    };
    api.ok(&call("RegisterTargets", &["2001:db8::1", "2001:DB8:0::1", "2001:db8::2"]));
    let told = api.ok(&call("DescribeTargetHealth", &["2001:db8:0:0::1"]));
    assert_eq!(every(&told, "Id"), ["2001:db8::1"]);
    api.ok(&call("DeregisterTargets", &["2001:0db8::1"]));
    assert_eq!(every(&api.ok(&call("DescribeTargetHealth", &[])), "Id"), ["2001:db8::2"]);
}

#[test]
fn there_is_room_for_so_many_targets_in_all() {
    let mut api = Api::new();
    let register = |arn: &str, group: usize, from: usize, to: usize| {
        let ids: String = (from..to)
            .map(|n| format!("&Targets.member.{}.Id=10.{group}.{}.{}", n + 1, n / 250, n % 250 + 1))
            .collect();
        format!("Action=RegisterTargets&TargetGroupArn={arn}{ids}")
    };
    let groups: Vec<String> = (0..18).map(|index| api.group(&format!("g{index}"))).collect();
    for (index, arn) in groups.iter().enumerate().take(16) {
        api.ok(&register(arn, index, 0, 1000));
    }
    let last = &groups[16];
    let (code, message) = api.fails(&register(last, 16, 0, 385));
    assert_eq!(
        (code, message.contains("in all target groups, 16384")),
        ("TooManyTargets", true),
        "{message}"
    );
    api.ok(&register(last, 16, 0, 384));
    // The same ones in another group take no more room.
    api.ok(&register(&groups[17], 16, 0, 384));
    assert_eq!(api.fails(&register(&groups[17], 17, 0, 1)).0, "TooManyTargets");
}
