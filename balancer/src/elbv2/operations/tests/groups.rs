use super::{Api, attribute, every, one};

#[test]
fn a_group_is_made_as_terraform_asks_for_it() {
    let mut api = Api::new();
    // Provider 3.39.0; ProtocolVersion comes empty, and is as absent.
    let made = api.ok(
        "Action=CreateTargetGroup&HealthCheckEnabled=true&HealthCheckIntervalSeconds=30&HealthCheckPath=%2Fhealth\
         &HealthCheckPort=traffic-port&HealthCheckProtocol=HTTP&HealthCheckTimeoutSeconds=5&HealthyThresholdCount=3\
         &Matcher.HttpCode=200-299%2C301&Name=web&Port=80&Protocol=HTTP&ProtocolVersion=&TargetType=ip&UnhealthyThresholdCount=3\
         &Version=2015-12-01&VpcId=vpc-123",
    );
    for (name, expected) in [
        ("TargetGroupName", "web"),
        ("Protocol", "HTTP"),
        ("ProtocolVersion", "HTTP1"),
        ("Port", "80"),
        ("VpcId", "vpc-123"),
        ("HealthCheckEnabled", "true"),
        ("HealthCheckPath", "/health"),
        ("HealthCheckPort", "traffic-port"),
        ("HealthCheckProtocol", "HTTP"),
        ("HealthCheckIntervalSeconds", "30"),
        ("HealthCheckTimeoutSeconds", "5"),
        ("HealthyThresholdCount", "3"),
        ("UnhealthyThresholdCount", "3"),
        ("Matcher", "<HttpCode>200-299,301</HttpCode>"),
        ("TargetType", "ip"),
        ("IpAddressType", "ipv4"),
    ] {
        assert_eq!(one(&made, name), expected, "{name}");
    }
    assert!(one(&made, "TargetGroupArn").contains(":targetgroup/web/"));
    // Of one that is new nobody tells who uses it (AWS does not either).
    assert!(!made.contains("LoadBalancerArns"));
    let described = api.ok("Action=DescribeTargetGroups&Names.member.1=web");
    assert_eq!(described.replace("<LoadBalancerArns/>", ""), made);
    assert_ne!(described, made);
}

#[test]
fn a_group_that_asks_for_nothing_has_albs_defaults() {
    let mut api = Api::new();
    let made = api.ok("Action=CreateTargetGroup&Name=a&Protocol=HTTPS&Port=443");
    let texts = [
        "HealthCheckPath",
        "HealthCheckIntervalSeconds",
        "HealthCheckTimeoutSeconds",
        "HealthyThresholdCount",
    ];
    assert_eq!(texts.map(|name| one(&made, name)), ["/", "30", "5", "5"]);
    assert_eq!((one(&made, "UnhealthyThresholdCount"), one(&made, "HttpCode")), ("2", "200"));
    assert_eq!((one(&made, "TargetType"), one(&made, "HealthCheckProtocol")), ("instance", "HTTP"));
    let made = api.ok("Action=CreateTargetGroup&Name=b&Protocol=HTTP&Port=80&ProtocolVersion=GRPC");
    assert_eq!((one(&made, "HealthCheckPath"), one(&made, "GrpcCode")), ("/AWS.ALB/healthcheck", "12"));
    let arn = one(&made, "TargetGroupArn").to_owned();
    // The provider sends both of these for gRPC, too.
    let changed = api.ok(&format!(
        "Action=ModifyTargetGroup&TargetGroupArn={arn}&HealthCheckEnabled=true&HealthCheckPath=%2Fgrpc.health.v1.Health%2FCheck\
         &Matcher.GrpcCode=0-5"
    ));
    assert_eq!(
        (one(&changed, "GrpcCode"), one(&changed, "HealthCheckPath")),
        ("0-5", "/grpc.health.v1.Health/Check")
    );
    assert!(every(&changed, "HttpCode").is_empty());
}

#[test]
fn what_cannot_be_a_group_is_refused_in_albs_words() {
    let long = "a".repeat(33);
    for (rest, code, words) in [
        (format!("Name={long}&Protocol=HTTP&Port=80"), "ValidationError", "Target group name 'aaa"),
        (
            "Name=a-&Protocol=HTTP&Port=80".to_owned(),
            "ValidationError",
            "Target group name 'a-' cannot begin or end with '-'",
        ),
        ("Name=a&Port=80".to_owned(), "ValidationError", "A protocol must be specified"),
        ("Name=a&Protocol=HTTP".to_owned(), "ValidationError", "A port must be specified"),
        (
            "Name=a&Protocol=HTTP&Port=0".to_owned(),
            "ValidationError",
            "Value '0' at 'port' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        ("Name=a&Protocol=HTTP&Port=65536".to_owned(), "ValidationError", "less than or equal to 65535"),
        (
            "Name=a&Protocol=HTTP&Port=http".to_owned(),
            "MalformedInput",
            "'http' at port is not a whole number",
        ),
        (
            "Name=a&Protocol=TCP&Port=80&ProtocolVersion=HTTP1".to_owned(),
            "InvalidConfigurationRequest",
            "Protocol version 'HTTP1' is not supported for target groups with the TCP protocol",
        ),
        ("Name=a&Protocol=FTP&Port=80".to_owned(), "ValidationError", "enum value set: [HTTP, HTTPS, TCP"),
        ("Name=a&TargetType=lambda".to_owned(), "InvalidConfigurationRequest", "Lambda"),
        (
            "Name=a&TargetType=alb&Protocol=TCP&Port=80".to_owned(),
            "InvalidConfigurationRequest",
            "'instance' or 'ip'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&ProtocolVersion=HTTP3".to_owned(),
            "ValidationError",
            "[HTTP1, HTTP2, GRPC]",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&TargetControlPort=9".to_owned(),
            "InvalidConfigurationRequest",
            "optimizer",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckTimeoutSeconds=30".to_owned(),
            "ValidationError",
            "Health check timeout '30' must be smaller than the interval '30'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckIntervalSeconds=4".to_owned(),
            "ValidationError",
            "greater than or equal to 5",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthyThresholdCount=11".to_owned(),
            "ValidationError",
            "less than or equal to 10",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckProtocol=TCP".to_owned(),
            "InvalidConfigurationRequest",
            "'TCP' is not supported",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckPort=0".to_owned(),
            "ValidationError",
            "'traffic-port' or in the range 1-65535",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckPath=a".to_owned(),
            "ValidationError",
            "must begin with a '/'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckEnabled=false".to_owned(),
            "InvalidConfigurationRequest",
            "Health check enabled must be true for target groups with target type 'instance'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&HealthCheckEnabled=1".to_owned(),
            "MalformedInput",
            "neither 'true' nor 'false'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&Matcher.HttpCode=500".to_owned(),
            "ValidationError",
            "within '200-499'",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&Matcher.GrpcCode=1".to_owned(),
            "InvalidConfigurationRequest",
            "Matcher.HttpCode",
        ),
        (
            "Name=a&Protocol=HTTP&Port=80&ProtocolVersion=GRPC&Matcher.GrpcCode=100".to_owned(),
            "ValidationError",
            "within '0-99'",
        ),
    ] {
        let (found, message) = Api::new().fails(&format!("Action=CreateTargetGroup&{rest}"));
        assert_eq!(found, code, "{rest}: {message}");
        assert!(message.contains(words), "{rest}: {message}");
    }
}

#[test]
fn the_same_group_is_made_once() {
    let mut api = Api::new();
    let form = "Action=CreateTargetGroup&Name=a&Protocol=HTTP&Port=80&TargetType=ip";
    let made = api.ok(form);
    let arn = one(&made, "TargetGroupArn").to_owned();
    api.ok(&format!("Action=RegisterTargets&TargetGroupArn={arn}&Targets.member.1.Id=10.0.0.1"));
    assert_eq!(api.ok(form), made);
    for other in ["&HealthCheckPath=/x", "&Tags.member.1.Key=a"] {
        let (code, message) = api.fails(&format!("{form}{other}"));
        assert_eq!(code, "DuplicateTargetGroupName");
        assert_eq!(message, "A target group with the same name 'a' exists, but with different settings");
    }
    for number in 1..100 {
        api.group(&format!("g{number}"));
    }
    assert_eq!(api.fails("Action=CreateTargetGroup&Name=b&Protocol=HTTP&Port=80").0, "TooManyTargetGroups");
}

#[test]
fn a_group_in_use_says_by_whom_and_stays() {
    let mut api = Api::new();
    let (balancer, used, free) = (api.balancer("b"), api.group("used"), api.group("free"));
    let listener = api.listener(&balancer, 80, &used);
    let found = api.ok(&format!("Action=DescribeTargetGroups&LoadBalancerArn={balancer}"));
    assert_eq!(one(&found, "TargetGroupName"), "used");
    assert_eq!(one(&found, "LoadBalancerArns"), format!("<member>{balancer}</member>"));
    // Clients wait as long as they are told these words.
    let (code, message) = api.fails(&format!("Action=DeleteTargetGroup&TargetGroupArn={used}"));
    assert_eq!(code, "ResourceInUse");
    assert_eq!(message, format!("Target group '{used}' is currently in use by a listener or a rule"));
    let rule = api.rule(&listener, 1, &free);
    assert_eq!(api.fails(&format!("Action=DeleteTargetGroup&TargetGroupArn={free}")).0, "ResourceInUse");
    api.ok(&format!("Action=DeleteRule&RuleArn={rule}"));
    api.ok(&format!("Action=DeleteTargetGroup&TargetGroupArn={free}"));
    api.ok(&format!("Action=DeleteTargetGroup&TargetGroupArn={free}"));
    api.ok(&format!("Action=DeleteLoadBalancer&LoadBalancerArn={balancer}"));
    api.ok(&format!("Action=DeleteTargetGroup&TargetGroupArn={used}"));
    assert_eq!(api.records, crate::elbv2::records::Records::default());
    for (rest, code) in [
        (format!("TargetGroupArns.member.1={used}"), "TargetGroupNotFound"),
        ("Names.member.1=used".to_owned(), "TargetGroupNotFound"),
        (format!("LoadBalancerArn={balancer}"), "LoadBalancerNotFound"),
        (format!("LoadBalancerArn={used}"), "ValidationError"),
        (format!("LoadBalancerArn={balancer}&Names.member.1=used"), "ValidationError"),
    ] {
        assert_eq!(api.fails(&format!("Action=DescribeTargetGroups&{rest}")).0, code, "{rest}");
    }
}

#[test]
fn attributes_have_defaults_and_ranges() {
    let mut api = Api::new();
    let arn = api.group("g");
    let describe = format!("Action=DescribeTargetGroupAttributes&TargetGroupArn={arn}");
    let all = api.ok(&describe);
    for (key, default) in [
        ("deregistration_delay.timeout_seconds", "300"),
        ("stickiness.enabled", "false"),
        ("stickiness.type", "lb_cookie"),
        // Ansible takes these three for granted.
        ("stickiness.lb_cookie.duration_seconds", "86400"),
        ("stickiness.app_cookie.duration_seconds", "86400"),
        ("stickiness.app_cookie.cookie_name", ""),
        ("load_balancing.algorithm.type", "round_robin"),
        ("load_balancing.algorithm.anomaly_mitigation", "off"),
        ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
        ("slow_start.duration_seconds", "0"),
        ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
        ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
        ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
        ("routing.http2.rst_stream_error_forwarding.enabled", "false"),
    ] {
        assert_eq!(attribute(&all, key), default, "{key}");
    }
    assert_eq!(every(&all, "Key").len(), 15);
    let set = |key: &str, value: &str| {
        format!(
            "Action=ModifyTargetGroupAttributes&TargetGroupArn={arn}&Attributes.member.1.Key={key}&Attributes.member.1.Value={value}"
        )
    };
    for (key, good, bad, words) in [
        (
            "deregistration_delay.timeout_seconds",
            ["0", "3600"],
            ["-1", "3601"],
            "must be between '0-3600' inclusive",
        ),
        (
            "stickiness.lb_cookie.duration_seconds",
            ["1", "604800"],
            ["0", "999999"],
            "must be between '1-604800' inclusive",
        ),
        (
            "stickiness.app_cookie.duration_seconds",
            ["1", "604800"],
            ["0", "604801"],
            "must be between '1-604800' inclusive",
        ),
        (
            "slow_start.duration_seconds",
            ["30", "0"],
            ["29", "901"],
            "must be '0' or between '30-900' inclusive",
        ),
        (
            "routing.http2.rst_stream_error_forwarding.enabled",
            ["true", "false"],
            ["on", "2"],
            "must be one of '[true, false]'",
        ),
        (
            "load_balancing.cross_zone.enabled",
            ["true", "false"],
            ["off", "TRUE"],
            "must be one of '[true, false, use_load_balancer_configuration]'",
        ),
        (
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
            ["1", "1"],
            ["0", "off"],
            "'1-1000'",
        ),
        (
            "target_group_health.dns_failover.minimum_healthy_targets.count",
            ["off", "1000"],
            ["0", "1001"],
            "'off' or between",
        ),
        (
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
            ["off", "100"],
            ["0", "101"],
            "'1-100'",
        ),
        (
            "stickiness.app_cookie.cookie_name",
            ["SESSION", "a.b"],
            ["AWSALBX", "AWSALBAPP"],
            "reserved for the load balancer",
        ),
        ("stickiness.enabled", ["false", "false"], ["1", "on"], "must be one of '[true, false]'"),
        ("lambda.multi_value_headers.enabled", ["false", "false"], ["true", "x"], "Lambda"),
        ("proxy_protocol_v2.enabled", ["false", "false"], ["true", "x"], "Network Load Balancers"),
        (
            "target_failover.on_unhealthy",
            ["no_rebalance", "no_rebalance"],
            ["rebalance", "x"],
            "Gateway Load Balancers",
        ),
    ] {
        for value in good {
            assert_eq!(attribute(&api.ok(&set(key, value)), key), value);
            assert_eq!(attribute(&api.ok(&describe), key), value);
        }
        for value in bad {
            let (_, message) = api.fails(&set(key, value));
            assert!(message.contains(words) && message.contains(value), "{key} {value}: {message}");
        }
    }
    let (code, message) = api.fails(&set("stickness.enabled", "true"));
    assert_eq!(code, "ValidationError");
    // Terraform's provider goes by these words.
    assert_eq!(message, "Target group attribute key 'stickness.enabled' is not recognized");
}
