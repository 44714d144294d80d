use super::{Api, CERTIFICATE, OTHER_CERTIFICATE, attribute, every, one};

fn https(api: &mut Api, balancer: &str, group: &str) -> String {
    let form = format!(
        "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTPS&Port=443&Certificates.member.1.CertificateArn={CERTIFICATE}\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={group}"
    );
    api.ok(&form)
}

#[test]
fn a_single_group_is_told_in_both_forms() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let made = api.ok(&format!(
        "Action=CreateListener&DefaultActions.member.1.Order=1&DefaultActions.member.1.TargetGroupArn={group}\
         &DefaultActions.member.1.Type=forward&LoadBalancerArn={balancer}&Port=80&Protocol=HTTP&Version=2015-12-01"
    ));
    let arn = one(&made, "ListenerArn").to_owned();
    assert!(arn.starts_with(&balancer.replace(":loadbalancer/", ":listener/")), "{arn}");
    assert_eq!(one(&made, "LoadBalancerArn"), balancer);
    assert_eq!((one(&made, "Port"), one(&made, "Protocol")), ("80", "HTTP"));
    let action = format!(
        "<member><Type>forward</Type><TargetGroupArn>{group}</TargetGroupArn><Order>1</Order><ForwardConfig><TargetGroups><member>\
         <TargetGroupArn>{group}</TargetGroupArn><Weight>1</Weight></member></TargetGroups><TargetGroupStickinessConfig>\
         <Enabled>false</Enabled></TargetGroupStickinessConfig></ForwardConfig></member>"
    );
    assert!(made.contains(&action), "{made}");
    for name in ["SslPolicy", "Certificates", "MutualAuthentication"] {
        assert!(every(&made, name).is_empty(), "{name}");
    }
    assert_eq!(api.ok(&format!("Action=DescribeListeners&ListenerArns.member.1={arn}")), made);
    assert_eq!(api.ok(&format!("Action=DescribeListeners&LoadBalancerArn={balancer}")), made);
}

#[test]
fn https_has_a_policy_and_certificates() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let made = https(&mut api, &balancer, &group);
    let arn = one(&made, "ListenerArn").to_owned();
    assert_eq!(one(&made, "SslPolicy"), "ELBSecurityPolicy-2016-08");
    assert_eq!(one(&made, "CertificateArn"), CERTIFICATE);
    assert_eq!(one(&made, "MutualAuthentication"), "<Mode>off</Mode>");
    let certificates = |action: &str, certificate: &str| {
        format!("Action={action}&ListenerArn={arn}&Certificates.member.1.CertificateArn={certificate}")
    };
    let added = api.ok(&certificates("AddListenerCertificates", OTHER_CERTIFICATE));
    assert_eq!((one(&added, "CertificateArn"), one(&added, "IsDefault")), (OTHER_CERTIFICATE, "false"));
    api.ok(&certificates("AddListenerCertificates", OTHER_CERTIFICATE));
    let describe = format!("Action=DescribeListenerCertificates&ListenerArn={arn}");
    let all = api.ok(&describe);
    assert_eq!(every(&all, "CertificateArn"), [CERTIFICATE, OTHER_CERTIFICATE]);
    assert_eq!(every(&all, "IsDefault"), ["true", "false"]);
    let (code, message) = api.fails(&certificates("RemoveListenerCertificates", CERTIFICATE));
    assert_eq!((code, message.contains("cannot be removed")), ("OperationNotPermitted", true));
    // The default one among the others is told twice, and is taken out of them alone.
    api.ok(&certificates("AddListenerCertificates", CERTIFICATE));
    assert_eq!(every(&api.ok(&describe), "CertificateArn"), [CERTIFICATE, CERTIFICATE, OTHER_CERTIFICATE]);
    api.ok(&certificates("RemoveListenerCertificates", CERTIFICATE));
    api.ok(&certificates("RemoveListenerCertificates", OTHER_CERTIFICATE));
    api.ok(&certificates("RemoveListenerCertificates", OTHER_CERTIFICATE));
    assert_eq!(every(&api.ok(&describe), "CertificateArn"), [CERTIFICATE]);
    // No certificate appears by itself: CertificateNotFound would have clients ask again for minutes.
    let (code, message) =
        api.fails(&certificates("AddListenerCertificates", "arn:aws:acm:x:1:certificate/9"));
    assert_eq!(code, "ValidationError");
    assert!(message.contains("no certificate block of the configuration"), "{message}");
    let told = api.ok(&format!(
        "Action=ModifyListener&ListenerArn={arn}&SslPolicy=ELBSecurityPolicy-TLS13-1-2-2021-06&Certificates.member.1.CertificateArn={OTHER_CERTIFICATE}"
    ));
    assert_eq!(
        (one(&told, "SslPolicy"), one(&told, "CertificateArn")),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", OTHER_CERTIFICATE)
    );
    let told = api.ok(&format!("Action=ModifyListener&ListenerArn={arn}&Protocol=HTTP&Port=80"));
    assert!(every(&told, "SslPolicy").is_empty() && every(&told, "CertificateArn").is_empty());
    assert_eq!(
        api.fails(&format!("Action=ModifyListener&ListenerArn={arn}&Protocol=HTTPS")).1,
        "A certificate must be specified for HTTPS listeners"
    );
    assert_eq!(api.fails(&describe).0, "ValidationError");
}

#[test]
fn what_cannot_be_a_listener_is_refused_in_albs_words() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let forward =
        format!("DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={group}");
    let gone =
        format!("DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={group}0");
    let redirect = "DefaultActions.member.1.Type=redirect&DefaultActions.member.1.RedirectConfig.StatusCode=HTTP_301\
                    &DefaultActions.member.1.RedirectConfig";
    let fixed = "DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig";
    let long = "x".repeat(1025);
    let tls = format!("Certificates.member.1.CertificateArn={CERTIFICATE}");
    for (rest, code, words) in [
        (format!("Port=80&{forward}"), "ValidationError", "A listener protocol must be specified"),
        (format!("Protocol=HTTP&{forward}"), "ValidationError", "A listener port must be specified"),
        (format!("Protocol=HTTP&Port=70000&{forward}"), "ValidationError", "Value '70000' at 'port'"),
        (format!("Protocol=TCP&Port=80&{forward}"), "ValidationError", "must be one of 'HTTPS, HTTP'"),
        ("Protocol=HTTP&Port=80".to_owned(), "ValidationError", "Value null at 'defaultActions'"),
        (
            "Protocol=HTTP&Port=80&DefaultActions=".to_owned(),
            "ValidationError",
            "Value null at 'defaultActions'",
        ),
        (format!("Protocol=HTTP&Port=80&{gone}"), "TargetGroupNotFound", "not found"),
        (
            format!(
                "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={balancer}"
            ),
            "ValidationError",
            "is not a valid target group ARN",
        ),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward".to_owned(),
            "InvalidLoadBalancerAction",
            "must specify a target group",
        ),
        (
            format!("Protocol=HTTPS&Port=443&{forward}"),
            "ValidationError",
            "A certificate must be specified for HTTPS listeners",
        ),
        (
            format!("Protocol=HTTPS&Port=443&{forward}&{tls}&SslPolicy=none"),
            "SSLPolicyNotFound",
            "SSL policy 'none' not found",
        ),
        (
            format!(
                "Protocol=HTTPS&Port=443&{forward}&{tls}&Certificates.member.2.CertificateArn={OTHER_CERTIFICATE}"
            ),
            "TooManyCertificates",
            "exactly one",
        ),
        (
            format!("Protocol=HTTP&Port=80&{forward}&{tls}"),
            "ValidationError",
            "can only be specified for HTTPS",
        ),
        (
            format!("Protocol=HTTPS&Port=443&{forward}&{tls}&AlpnPolicy.member.1=HTTP2Only"),
            "InvalidConfigurationRequest",
            "AlpnPolicy",
        ),
        (
            format!("Protocol=HTTPS&Port=443&{forward}&{tls}&MutualAuthentication.Mode=verify"),
            "ValidationError",
            "A trust store ARN must be specified",
        ),
        (
            format!("Protocol=HTTPS&Port=443&{forward}&{tls}&MutualAuthentication.Mode=strict"),
            "ValidationError",
            "[off, passthrough, verify]",
        ),
        (
            format!("Protocol=HTTP&Port=80&{forward}&MutualAuthentication.Mode=passthrough"),
            "ValidationError",
            "HTTPS",
        ),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=authenticate-oidc".to_owned(),
            "InvalidLoadBalancerAction",
            "put a proxy that signs users in",
        ),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=authenticate-cognito".to_owned(),
            "InvalidLoadBalancerAction",
            "authenticate-cognito",
        ),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=jwt-validation".to_owned(),
            "InvalidLoadBalancerAction",
            "jwt-validation",
        ),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=drop".to_owned(),
            "ValidationError",
            "Value 'drop' at 'defaultActions.1.member.type' failed to satisfy constraint: Member must satisfy enum value set: [forward, authenticate-oidc",
        ),
        (
            format!(
                "Protocol=HTTP&Port=80&{forward}&DefaultActions.member.2.Type=fixed-response&DefaultActions.member.2.FixedResponseConfig.StatusCode=200"
            ),
            "TooManyActions",
            "One action",
        ),
        (
            format!("Protocol=HTTP&Port=80&{redirect}.Port=80"),
            "InvalidLoadBalancerAction",
            "The RedirectConfig is not valid because it creates a loop.",
        ),
        (
            format!("Protocol=HTTP&Port=80&{redirect}.Path=nopath"),
            "ValidationError",
            "The redirect path 'nopath' is not valid",
        ),
        (
            format!("Protocol=HTTP&Port=80&{redirect}.Port=0"),
            "ValidationError",
            "The redirect port '0' is not valid",
        ),
        (
            format!("Protocol=HTTP&Port=80&{redirect}.Protocol=FTP"),
            "ValidationError",
            "^(HTTPS?|#\\{protocol\\})$",
        ),
        (
            format!("Protocol=HTTPS&Port=443&{tls}&{redirect}.Protocol=HTTP"),
            "InvalidLoadBalancerAction",
            "from HTTPS to HTTP is not supported",
        ),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.Type=redirect".to_owned(),
            "InvalidLoadBalancerAction",
            "RedirectConfig",
        ),
        (format!("Protocol=HTTP&Port=80&{fixed}.StatusCode=302"), "ValidationError", "^(2|4|5)\\d\\d$"),
        (
            "Protocol=HTTP&Port=80&DefaultActions.member.1.FixedResponseConfig.StatusCode=200".to_owned(),
            "ValidationError",
            "Value null at 'defaultActions.1.member.type'",
        ),
        (
            format!(
                "Protocol=HTTP&Port=80&{fixed}.StatusCode=200&DefaultActions.member.1.FixedResponseConfig.ContentType=image/png"
            ),
            "InvalidLoadBalancerAction",
            "The ContentType must be one of:'text/html', 'application/json', ",
        ),
        (
            format!(
                "Protocol=HTTP&Port=80&{fixed}.StatusCode=200&DefaultActions.member.1.FixedResponseConfig.MessageBody={long}"
            ),
            "ValidationError",
            "length less than or equal to 1024",
        ),
    ] {
        let (found, message) = api.fails(&format!("Action=CreateListener&LoadBalancerArn={balancer}&{rest}"));
        assert_eq!(found, code, "{rest}: {message}");
        assert!(message.contains(words), "{rest}: {message}");
    }
}

#[test]
fn forwards_name_up_to_five_groups_once_each_with_weights() {
    let mut api = Api::new();
    let balancer = api.balancer("b");
    let groups: Vec<String> = (0..6).map(|number| api.group(&format!("g{number}"))).collect();
    let create = |groups: &[&str], weights: &[&str]| {
        let tuple = |(n, (group, weight)): (usize, (&&str, &&str))| {
            let name = format!("&DefaultActions.member.1.ForwardConfig.TargetGroups.member.{n}");
            format!("{name}.TargetGroupArn={group}{name}.Weight={weight}")
        };
        let tuples: String = (1..).zip(groups.iter().zip(weights)).map(tuple).collect();
        format!(
            "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward{tuples}"
        )
    };
    let all: Vec<&str> = groups.iter().map(String::as_str).collect();
    assert!(api.fails(&create(&all, &["1"; 6])).1.contains("up to 5 target groups"));
    assert!(api.fails(&create(&[all[0], all[0]], &["1", "1"])).1.contains("more than once"));
    for weight in ["1000", "-1", "99999999999999999999"] {
        let (code, message) = api.fails(&create(&[all[0], all[1]], &["1", weight]));
        assert_eq!(code, "ValidationError");
        assert!(message.contains("must be between '0-999' inclusive"), "{message}");
    }
    assert!(api.fails(&create(&[all[0], all[1]], &["1", ""])).1.contains("A weight must be specified"));
    let both = format!(
        "{}&DefaultActions.member.1.TargetGroupArn={}",
        create(&[all[0], all[1]], &["1", "1"]),
        all[0]
    );
    assert_eq!(api.fails(&both).0, "InvalidLoadBalancerAction");
    let told = api.ok(&create(&all[..5], &["0", "999", "1", "2", "3"]));
    assert_eq!(every(&told, "Weight"), ["0", "999", "1", "2", "3"]);
    // Of several groups none is told as the only one.
    assert_eq!(every(&told, "TargetGroupArn").len(), 5);
    // The order of a set does not count.
    let again = api.ok(&create(&[all[4], all[3], all[2], all[1], all[0]], &["3", "2", "1", "999", "0"]));
    assert_eq!(again, told);
}

#[test]
fn one_listener_a_port_and_one_load_balancer_a_group() {
    let mut api = Api::new();
    let (one_lb, other_lb, group, other) =
        (api.balancer("one"), api.balancer("other"), api.group("g"), api.group("h"));
    let listener = api.listener(&one_lb, 80, &group);
    assert_eq!(api.listener(&one_lb, 80, &group), listener);
    let create = |balancer: &str, port: u16, group: &str| {
        format!(
            "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.TargetGroupArn={group}"
        )
    };
    let (code, message) = api.fails(&create(&one_lb, 80, &other));
    assert_eq!(code, "DuplicateListener");
    assert!(
        message.starts_with("A listener already exists on this port for this load balancer"),
        "{message}"
    );
    let (code, message) = api.fails(&create(&other_lb, 80, &group));
    assert_eq!(code, "TargetGroupAssociationLimit");
    assert!(message.contains("cannot be associated with more than one load balancer"), "{message}");
    api.listener(&other_lb, 80, &other);
    let second = api.listener(&one_lb, 81, &group);
    assert_eq!(
        api.fails(&format!("Action=ModifyListener&ListenerArn={second}&Port=80")).0,
        "DuplicateListener"
    );
    let rule = api.rule(&second, 1, &group);
    api.ok(&format!("Action=DeleteListener&ListenerArn={second}"));
    assert_eq!(api.fails(&format!("Action=DeleteListener&ListenerArn={second}")).0, "ListenerNotFound");
    assert_eq!(api.fails(&format!("Action=DescribeRules&RuleArns.member.1={rule}")).0, "RuleNotFound");
    let (code, message) = api.fails(&format!("Action=DescribeListeners&ListenerArns.member.1={second}"));
    assert_eq!((code, message.as_str()), ("ListenerNotFound", "One or more listeners not found"));
    for rest in ["".to_owned(), format!("LoadBalancerArn={one_lb}&ListenerArns.member.1={listener}")] {
        let (code, message) = api.fails(&format!("Action=DescribeListeners&{rest}"));
        assert_eq!(
            (code, message.as_str()),
            ("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        );
    }
    for number in 2..50 {
        api.listener(&one_lb, 1000 + number, &group);
    }
    assert_eq!(api.fails(&create(&one_lb, 2000, &group)).0, "TooManyListeners");
}

#[test]
fn groups_of_http2_and_grpc_need_https() {
    let mut api = Api::new();
    let (balancer, plain) = (api.balancer("b"), api.group("plain"));
    let form = "Action=CreateTargetGroup&Name=grpc&Protocol=HTTP&Port=80&TargetType=ip&ProtocolVersion=GRPC";
    let grpc = one(&api.ok(form), "TargetGroupArn").to_owned();
    let create = format!(
        "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={grpc}"
    );
    let (code, message) = api.fails(&create);
    assert_eq!(code, "IncompatibleProtocols");
    assert!(message.starts_with(
        "Listener protocol 'HTTP' is not supported with a target group with the protocol-version 'GRPC'"
    ));
    let made = https(&mut api, &balancer, &plain);
    let listener = one(&made, "ListenerArn").to_owned();
    api.rule(&listener, 1, &grpc);
    // Neither may it come to be so afterwards.
    let (code, _) = api.fails(&format!("Action=ModifyListener&ListenerArn={listener}&Protocol=HTTP"));
    assert_eq!(code, "IncompatibleProtocols");
}

#[test]
fn redirects_and_fixed_responses_come_back() {
    let mut api = Api::new();
    let balancer = api.balancer("b");
    let made = api.ok(&format!(
        "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80&DefaultActions.member.1.Order=1\
         &DefaultActions.member.1.Type=redirect&DefaultActions.member.1.RedirectConfig.Protocol=HTTPS\
         &DefaultActions.member.1.RedirectConfig.Port=443&DefaultActions.member.1.RedirectConfig.Query=\
         &DefaultActions.member.1.RedirectConfig.StatusCode=HTTP_301"
    ));
    let expected = "<RedirectConfig><Protocol>HTTPS</Protocol><Port>443</Port><Host>#{host}</Host><Path>/#{path}</Path><Query/>\
                    <StatusCode>HTTP_301</StatusCode></RedirectConfig>";
    assert!(made.contains(expected), "{made}");
    let arn = one(&made, "ListenerArn").to_owned();
    let changed = api.ok(&format!(
        "Action=ModifyListener&ListenerArn={arn}&DefaultActions.member.1.Type=fixed-response\
         &DefaultActions.member.1.FixedResponseConfig.StatusCode=503&DefaultActions.member.1.FixedResponseConfig.ContentType=text%2Fhtml\
         &DefaultActions.member.1.FixedResponseConfig.MessageBody=%3Cb%3Ea%0Ab%3C%2Fb%3E%26"
    ));
    let expected = "<FixedResponseConfig><MessageBody>&lt;b&gt;a\nb&lt;/b&gt;&amp;</MessageBody><StatusCode>503</StatusCode>\
                    <ContentType>text/html</ContentType></FixedResponseConfig>";
    assert!(changed.contains(expected), "{changed}");
}

#[test]
fn attributes_go_by_the_protocol() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let plain = api.listener(&balancer, 80, &group);
    let secure = one(&https(&mut api, &balancer, &group), "ListenerArn").to_owned();
    let describe = |arn: &str| format!("Action=DescribeListenerAttributes&ListenerArn={arn}");
    assert_eq!(every(&api.ok(&describe(&plain)), "Key").len(), 11);
    assert_eq!(every(&api.ok(&describe(&secure)), "Key").len(), 19);
    let version = "routing.http.request.x_amzn_tls_version.header_name";
    assert_eq!(attribute(&api.ok(&describe(&secure)), version), "X-Amzn-Tls-Version");
    let set = |arn: &str, key: &str, value: &str| {
        format!(
            "Action=ModifyListenerAttributes&ListenerArn={arn}&Attributes.member.1.Key={key}&Attributes.member.1.Value={value}"
        )
    };
    let options = "routing.http.response.x_frame_options.header_value";
    let told = api.ok(&set(&plain, options, "DENY"));
    assert_eq!((every(&told, "Key"), attribute(&told, options)), (vec![options], "DENY"));
    assert_eq!(attribute(&api.ok(&describe(&plain)), options), "DENY");
    assert_eq!(api.fails(&set(&plain, version, "X-Tls")).0, "InvalidConfigurationRequest");
    api.ok(&set(&secure, version, "X-Tls"));
    for name in ["*", "Host", "transfer-encoding", "cookie"] {
        assert!(api.fails(&set(&secure, version, name)).1.contains("must be the name of a header"), "{name}");
    }
    let suite = "routing.http.request.x_amzn_tls_cipher_suite.header_name";
    assert!(api.fails(&set(&secure, suite, "x_tls")).1.contains("is the name of another header"));
    assert_eq!(attribute(&api.ok(&set(&secure, version, "")), version), "X-Amzn-Tls-Version");
    assert!(api.fails(&set(&secure, version, "X%20Tls")).1.contains("must be the name of a header"));
    assert!(api.fails(&set(&plain, options, "NONSENSE")).1.contains("is none that the header may have"));
    let long = "x".repeat(1025);
    assert!(api.fails(&set(&plain, options, &long)).1.contains("'1024' visible ASCII"));
    let (code, message) = api.fails(&set(&plain, "tcp.idle_timeout.seconds", "60"));
    assert_eq!(
        (code, message.as_str()),
        ("ValidationError", "Listener attribute key 'tcp.idle_timeout.seconds' is not recognized")
    );
}
