use super::{Api, attribute, every, one};

#[test]
fn a_load_balancer_is_made_described_and_deleted() {
    let mut api = Api::new();
    let made = api.ok(
        "Action=CreateLoadBalancer&Version=2015-12-01&IpAddressType=ipv4&Name=web&Scheme=internal&SecurityGroups.member.1=sg-1\
         &Subnets.member.1=subnet-b&Subnets.member.2=subnet-a&Tags.member.1.Key=Name&Tags.member.1.Value=a%20%3D%20b&Type=application",
    );
    let arn = one(&made, "LoadBalancerArn").to_owned();
    assert!(
        arn.starts_with("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/"),
        "{arn}"
    );
    let found = api.ok("Action=DescribeLoadBalancers&Names.member.1=web");
    assert_eq!(found, made);
    let name = one(&found, "DNSName");
    assert!(name.starts_with("internal-web-") && name.ends_with(".eu-west-1.elb.localhost"), "{name}");
    assert_eq!(one(&found, "CreatedTime"), "2023-11-14T22:13:20.000000Z");
    assert_eq!(one(&found, "Code"), "active");
    assert_eq!(every(&found, "SubnetId"), ["subnet-b", "subnet-a"]);
    assert_eq!(every(&found, "ZoneName"), ["eu-west-1a", "eu-west-1b"]);
    for (name, expected) in [
        ("LoadBalancerName", "web"),
        ("Scheme", "internal"),
        ("Type", "application"),
        ("IpAddressType", "ipv4"),
        ("SecurityGroups", "<member>sg-1</member>"),
    ] {
        assert_eq!(one(&found, name), expected);
    }
    let tags = api.ok(&format!("Action=DescribeTags&ResourceArns.member.1={arn}"));
    assert_eq!((one(&tags, "Key"), one(&tags, "Value")), ("Name", "a = b"));
    let delete = format!("Action=DeleteLoadBalancer&LoadBalancerArn={arn}");
    assert_eq!(api.ok(&delete), "");
    assert_eq!(api.ok(&delete), "");
    // Waiters go by this code.
    let (code, message) = api.fails(&format!("Action=DescribeLoadBalancers&LoadBalancerArns.member.1={arn}"));
    assert_eq!((code, message.as_str()), ("LoadBalancerNotFound", "One or more load balancers not found"));
    let (code, message) = api.fails("Action=DescribeLoadBalancers&Names.member.1=web&Names.member.2=b");
    assert_eq!((code, message.as_str()), ("LoadBalancerNotFound", "Load balancers '[web, b]' not found"));
}

#[test]
fn who_asks_twice_for_the_same_gets_the_same() {
    let mut api = Api::new();
    let form = "Action=CreateLoadBalancer&Name=web&Subnets.member.1=subnet-1&Subnets.member.2=subnet-2";
    let made = api.ok(form);
    let again = "Action=CreateLoadBalancer&Name=web&Subnets.member.1=subnet-2&Subnets.member.2=subnet-1";
    assert_eq!(api.ok(again), made);
    let (code, message) = api.fails(&format!("{form}&Scheme=internal"));
    assert_eq!(code, "DuplicateLoadBalancerName");
    assert_eq!(message, "A load balancer with the same name 'web' exists, but with different settings");
}

#[test]
fn what_cannot_be_a_load_balancer_is_refused_in_albs_words() {
    let long = "a".repeat(33);
    for (rest, code, words) in [
        (format!("Name={long}"), "ValidationError", "cannot be longer than '32' characters"),
        ("Name=-a".to_owned(), "ValidationError", "cannot begin or end with '-'"),
        ("Name=a_b".to_owned(), "ValidationError", "alphanumeric characters or hyphens(-)"),
        ("Name=internal-a".to_owned(), "ValidationError", "cannot begin with 'internal-'"),
        (
            "Name=a&Type=network".to_owned(),
            "InvalidConfigurationRequest",
            "this is an Application Load Balancer",
        ),
        ("Name=a&Type=gateway".to_owned(), "InvalidConfigurationRequest", "'gateway'"),
        (
            "Name=a&Type=classic".to_owned(),
            "ValidationError",
            "enum value set: [application, network, gateway]",
        ),
        (
            "Name=a&Scheme=open".to_owned(),
            "ValidationError",
            "Value 'open' at 'scheme' failed to satisfy constraint",
        ),
        ("Name=a&SecurityGroups.member.1=web".to_owned(), "InvalidSecurityGroup", "'sg-'"),
        (
            "Name=a&Subnets.member.1=s&SubnetMappings.member.1.SubnetId=t".to_owned(),
            "ValidationError",
            "cannot both be specified",
        ),
        (
            "Name=a&SubnetMappings.member.1.SubnetId=t&SubnetMappings.member.1.AllocationId=eipalloc-1"
                .to_owned(),
            "InvalidConfigurationRequest",
            "balancer:address",
        ),
        (
            "Name=a&Subnets.member.1=s&Subnets.member.2=s".to_owned(),
            "InvalidConfigurationRequest",
            "more than once",
        ),
        (
            "Name=a&CustomerOwnedIpv4Pool=ipv4pool-coip-1".to_owned(),
            "InvalidConfigurationRequest",
            "Outposts",
        ),
        (
            "Name=a&IpamPools.Ipv4IpamPoolId=ipam-pool-1".to_owned(),
            "InvalidConfigurationRequest",
            "address manager",
        ),
        ("Name=a&EnablePrefixForIpv6SourceNat=on".to_owned(), "InvalidConfigurationRequest", "Network"),
        (
            "Name=a&Scheme=internal&IpAddressType=dualstack-without-public-ipv4".to_owned(),
            "InvalidConfigurationRequest",
            "Internal",
        ),
        ("Name=a&Tags.member.1.Key=k&Tags.member.2.Key=k".to_owned(), "DuplicateTagKeys", "'k'"),
        ("Name=a&Tags.member.1.Key=aws:k".to_owned(), "ValidationError", "kept for AWS"),
    ] {
        let (found, message) = Api::new().fails(&format!("Action=CreateLoadBalancer&{rest}"));
        assert_eq!(found, code, "{rest}: {message}");
        assert!(message.contains(words), "{rest}: {message}");
    }
}

#[test]
fn quotas_and_protection_are_held() {
    let mut api = Api::new();
    let arns: Vec<String> = (0..50).map(|number| api.balancer(&format!("b{number}"))).collect();
    assert_eq!(api.fails("Action=CreateLoadBalancer&Name=more").0, "TooManyLoadBalancers");
    let page = api.ok("Action=DescribeLoadBalancers&PageSize=40");
    assert_eq!(every(&page, "LoadBalancerName").len(), 40);
    let marker = one(&page, "NextMarker").to_owned();
    let rest = api.ok(&format!("Action=DescribeLoadBalancers&PageSize=40&Marker={marker}"));
    assert_eq!((every(&rest, "LoadBalancerName").len(), every(&rest, "NextMarker").len()), (10, 0));
    let arn = &arns[0];
    api.ok(&format!(
        "Action=ModifyLoadBalancerAttributes&LoadBalancerArn={arn}&Attributes.member.1.Key=deletion_protection.enabled\
         &Attributes.member.1.Value=true"
    ));
    let (code, message) = api.fails(&format!("Action=DeleteLoadBalancer&LoadBalancerArn={arn}"));
    assert_eq!(code, "OperationNotPermitted");
    assert!(message.contains("because deletion protection is enabled"));
}

#[test]
fn what_of_a_load_balancer_is_changed_is_told() {
    let mut api = Api::new();
    let arn = api.balancer("web");
    let zones = api.ok(&format!("Action=SetSubnets&LoadBalancerArn={arn}&Subnets.member.1=x&Subnets.member.2=y&IpAddressType=dualstack"));
    assert_eq!(every(&zones, "SubnetId"), ["x", "y"]);
    assert_eq!(one(&zones, "IpAddressType"), "dualstack");
    let groups =
        api.ok(&format!("Action=SetSecurityGroups&LoadBalancerArn={arn}&SecurityGroups.member.1=sg-2"));
    assert_eq!(one(&groups, "SecurityGroupIds"), "<member>sg-2</member>");
    assert_eq!(
        one(
            &api.ok(&format!("Action=SetIpAddressType&LoadBalancerArn={arn}&IpAddressType=ipv4")),
            "IpAddressType"
        ),
        "ipv4"
    );
    let found = api.ok("Action=DescribeLoadBalancers");
    assert_eq!(
        (one(&found, "IpAddressType"), one(&found, "SecurityGroups")),
        ("ipv4", "<member>sg-2</member>")
    );
    // What this account does not use.
    let capacity = api.ok(&format!("Action=DescribeCapacityReservation&LoadBalancerArn={arn}"));
    assert_eq!(capacity, "<CapacityReservationState/>");
    api.ok(&format!("Action=ModifyCapacityReservation&LoadBalancerArn={arn}&ResetCapacityReservation=true"));
    let more = format!(
        "Action=ModifyCapacityReservation&LoadBalancerArn={arn}&MinimumLoadBalancerCapacity.CapacityUnits=100"
    );
    assert_eq!(api.fails(&more).0, "InvalidConfigurationRequest");
    assert_eq!(
        api.ok(&format!("Action=ModifyIpPools&LoadBalancerArn={arn}&RemoveIpamPools.member.1=ipv4")),
        "<IpamPools/>"
    );
    for action in [
        "SetSubnets&Subnets.member.1=x",
        "SetIpAddressType&IpAddressType=ipv4",
        "DescribeCapacityReservation",
    ] {
        let gone = format!("Action={action}&LoadBalancerArn={arn}0");
        assert_eq!(api.fails(&gone).0, "LoadBalancerNotFound", "{action}");
        let wrong = format!("Action={action}&LoadBalancerArn=web");
        assert_eq!(
            api.fails(&wrong),
            ("ValidationError", "'web' is not a valid load balancer ARN".to_owned())
        );
    }
}

#[test]
fn attributes_have_defaults_ranges_and_names() {
    let mut api = Api::new();
    let arn = api.balancer("web");
    let all = api.ok(&format!("Action=DescribeLoadBalancerAttributes&LoadBalancerArn={arn}"));
    assert_eq!(every(&all, "Key").len(), 24);
    for (key, default) in [
        ("access_logs.s3.bucket", ""),
        ("client_keep_alive.seconds", "3600"),
        ("idle_timeout.timeout_seconds", "60"),
        ("load_balancing.cross_zone.enabled", "true"),
        ("routing.http.desync_mitigation_mode", "defensive"),
        ("routing.http.xff_header_processing.mode", "append"),
        ("routing.http2.enabled", "true"),
    ] {
        assert_eq!(attribute(&all, key), default, "{key}");
    }
    let modify = |pairs: &[(&str, &str)]| {
        let pairs: String = (1..)
            .zip(pairs)
            .map(|(n, (key, value))| {
                format!("&Attributes.member.{n}.Key={key}&Attributes.member.{n}.Value={value}")
            })
            .collect();
        format!("Action=ModifyLoadBalancerAttributes&LoadBalancerArn={arn}{pairs}")
    };
    let told =
        api.ok(&modify(&[("idle_timeout.timeout_seconds", "4000"), ("routing.http2.enabled", "false")]));
    assert_eq!(every(&told, "Value"), ["4000", "false"]);
    let all = api.ok(&format!("Action=DescribeLoadBalancerAttributes&LoadBalancerArn={arn}"));
    assert_eq!(attribute(&all, "idle_timeout.timeout_seconds"), "4000");
    for (key, value, code, words) in [
        ("idle_timeout.timeout_seconds", "0", "ValidationError", "must be between '1-4000' inclusive"),
        ("idle_timeout.timeout_seconds", "4001", "ValidationError", "must be between '1-4000' inclusive"),
        ("client_keep_alive.seconds", "59", "ValidationError", "must be between '60-604800' inclusive"),
        ("routing.http2.enabled", "yes", "ValidationError", "must be one of '[true, false]'"),
        ("routing.http.xff_header_processing.mode", "drop", "ValidationError", "[append, preserve, remove]"),
        (
            "no.such.key",
            "1",
            "ValidationError",
            "Load balancer attribute key 'no.such.key' is not recognized",
        ),
        ("load_balancing.cross_zone.enabled", "false", "InvalidConfigurationRequest", "there are no zones"),
        (
            "connection_logs.s3.enabled",
            "true",
            "InvalidConfigurationRequest",
            "'connection_logs.s3.bucket' must be specified",
        ),
        (
            "access_logs.s3.enabled",
            "true",
            "InvalidConfigurationRequest",
            "'access_logs.s3.bucket' must be specified",
        ),
        ("a-b", "1", "ValidationError", "satisfy regular expression pattern: ^[a-zA-Z0-9._]+$"),
    ] {
        let (found, message) = api.fails(&modify(&[(key, value)]));
        assert_eq!(found, code, "{key}: {message}");
        assert!(message.contains(words), "{key}: {message}");
    }
    // Truths in any case, those too that have one value alone.
    let told = api.ok(&modify(&[
        ("connection_logs.s3.enabled", "FALSE"),
        ("load_balancing.cross_zone.enabled", "True"),
    ]));
    assert_eq!(every(&told, "Value"), ["false", "true"]);
    // Kept and told, though nothing is written.
    let logs = [("connection_logs.s3.enabled", "true"), ("connection_logs.s3.bucket", "logs")];
    assert_eq!(every(&api.ok(&modify(&logs)), "Value"), ["true", "logs"]);
    let twice = modify(&[("routing.http2.enabled", "true"), ("routing.http2.enabled", "false")]);
    assert!(api.fails(&twice).1.contains("more than once"));
    // Terraform's provider sends up to 20 in one call, and no more may come.
    let keys: Vec<String> = (0..21).map(|number| format!("key{number}")).collect();
    let many: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
    assert!(api.fails(&modify(&many)).1.contains("have length less than or equal to 20"));
}

#[test]
fn subnets_are_ids_and_have_a_bound() {
    let mut api = Api::new();
    let arn = api.balancer("web");
    let set = |rest: &str| format!("Action=SetSubnets&LoadBalancerArn={arn}{rest}");
    let many = |count: u32| -> String {
        (1..=count).map(|number| format!("&Subnets.member.{number}=subnet-{number}")).collect()
    };
    api.ok(&set(&many(50)));
    let (code, message) = api.fails(&set(&many(51)));
    assert_eq!(
        (code, message.contains("up to 50 subnets")),
        ("InvalidConfigurationRequest", true),
        "{message}"
    );
    for none in
        ["&Subnets.member.1=", "&SubnetMappings.member.1.SubnetId=&SubnetMappings.member.2.SubnetId=subnet-1"]
    {
        assert_eq!(api.fails(&set(none)).0, "ValidationError", "{none}");
    }
}
