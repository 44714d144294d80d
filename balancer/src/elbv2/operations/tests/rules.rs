use super::{Api, PATH, every, one};

/// A listener with a group; their ARNs.
fn listener(api: &mut Api) -> (String, String) {
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    (api.listener(&balancer, 80, &group), group)
}

#[test]
fn rules_come_by_priority_and_the_default_one_last() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    for priority in [50_000, 7, 100] {
        api.rule(&listener, priority, &group);
    }
    let all = api.ok(&format!("Action=DescribeRules&ListenerArn={listener}"));
    assert_eq!(every(&all, "Priority"), ["7", "100", "50000", "default"]);
    assert_eq!(every(&all, "IsDefault"), ["false", "false", "false", "true"]);
    let arns: Vec<String> = every(&all, "RuleArn").into_iter().map(str::to_owned).collect();
    let path = listener.replace(":listener/", ":listener-rule/");
    assert!(arns.iter().all(|arn| arn.starts_with(&path)), "{arns:?}");
    // The default rule has the listener's actions and no conditions.
    let default = api.ok(&format!("Action=DescribeRules&RuleArns.member.1={}", arns[3]));
    assert!(
        default.contains("<Priority>default</Priority><Conditions/><Actions><member><Type>forward</Type>"),
        "{default}"
    );
    for (form, code) in [
        (format!("Action=DeleteRule&RuleArn={}", arns[3]), "OperationNotPermitted"),
        (format!("Action=ModifyRule&RuleArn={}&{PATH}", arns[3]), "OperationNotPermitted"),
        (
            format!(
                "Action=SetRulePriorities&RulePriorities.member.1.RuleArn={}&RulePriorities.member.1.Priority=1",
                arns[3]
            ),
            "OperationNotPermitted",
        ),
        (format!("Action=DeleteRule&RuleArn={}0", arns[0]), "RuleNotFound"),
        (format!("Action=DeleteRule&RuleArn={listener}"), "ValidationError"),
        ("Action=DescribeRules".to_owned(), "ValidationError"),
        (format!("Action=DescribeRules&ListenerArn={listener}0"), "ListenerNotFound"),
        (format!("Action=DescribeRules&RuleArns.member.1={}0", arns[0]), "RuleNotFound"),
    ] {
        assert_eq!(api.fails(&form).0, code, "{form}");
    }
    let page = api.ok(&format!("Action=DescribeRules&ListenerArn={listener}&PageSize=3"));
    let marker = one(&page, "NextMarker").to_owned();
    let rest = api.ok(&format!("Action=DescribeRules&ListenerArn={listener}&PageSize=3&Marker={marker}"));
    assert_eq!(every(&rest, "Priority"), ["default"]);
    api.ok(&format!("Action=DeleteRule&RuleArn={}", arns[0]));
    assert_eq!(
        every(&api.ok(&format!("Action=DescribeRules&ListenerArn={listener}")), "Priority"),
        ["100", "50000", "default"]
    );
}

#[test]
fn every_kind_of_condition_comes_back_as_alb_tells_it() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    let end = format!("Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn={group}");
    for (priority, (conditions, expected)) in (1..).zip([
        (
            "Field=host-header&Conditions.member.1.HostHeaderConfig.Values.member.1=*.example.com",
            "<Field>host-header</Field><Values><member>*.example.com</member></Values><HostHeaderConfig><Values><member>\
             *.example.com</member></Values></HostHeaderConfig>",
        ),
        (
            "Field=path-pattern&Conditions.member.1.Values.member.1=/old/*",
            "<Field>path-pattern</Field><Values><member>/old/*</member></Values><PathPatternConfig><Values><member>/old/*</member>\
             </Values></PathPatternConfig>",
        ),
        (
            "Field=path-pattern&Conditions.member.1.PathPatternConfig.RegexValues.member.1=^%2Fa%2B$",
            "<Field>path-pattern</Field><RegexValues><member>^/a+$</member></RegexValues><PathPatternConfig><RegexValues><member>\
             ^/a+$</member></RegexValues></PathPatternConfig>",
        ),
        (
            "Field=http-header&Conditions.member.1.HttpHeaderConfig.HttpHeaderName=X-A&Conditions.member.1.HttpHeaderConfig.Values.member.1=b%20c",
            "<Field>http-header</Field><HttpHeaderConfig><HttpHeaderName>X-A</HttpHeaderName><Values><member>b c</member></Values>\
             </HttpHeaderConfig>",
        ),
        (
            "Field=http-request-method&Conditions.member.1.HttpRequestMethodConfig.Values.member.1=GET",
            "<Field>http-request-method</Field><HttpRequestMethodConfig><Values><member>GET</member></Values></HttpRequestMethodConfig>",
        ),
        (
            "Field=query-string&Conditions.member.1.QueryStringConfig.Values.member.1.Key=k&Conditions.member.1.QueryStringConfig.Values.member.1.Value=v\
             &Conditions.member.1.QueryStringConfig.Values.member.2.Value=w",
            "<Field>query-string</Field><QueryStringConfig><Values><member><Key>k</Key><Value>v</Value></member><member><Value>w\
             </Value></member></Values></QueryStringConfig>",
        ),
        (
            "Field=source-ip&Conditions.member.1.SourceIpConfig.Values.member.1=10.0.0.0/8&Conditions.member.1.SourceIpConfig.Values.member.2=2001:db8::/32",
            "<Field>source-ip</Field><SourceIpConfig><Values><member>10.0.0.0/8</member><member>2001:db8::/32</member></Values>\
             </SourceIpConfig>",
        ),
    ]) {
        let conditions = format!("Conditions.member.1.{conditions}");
        let made = api.ok(&format!("Action=CreateRule&ListenerArn={listener}&Priority={priority}&{conditions}&{end}"));
        assert!(made.contains(&format!("<Conditions><member>{expected}</member></Conditions>")), "{made}");
        let arn = one(&made, "RuleArn").to_owned();
        assert_eq!(api.ok(&format!("Action=DescribeRules&RuleArns.member.1={arn}")), made);
    }
}

#[test]
fn conditions_that_cannot_be_are_refused_in_albs_words() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    let end = format!("Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn={group}");
    let long = "a".repeat(129);
    let field =
        |field: &str, rest: &str| format!("Conditions.member.1.Field={field}&Conditions.member.1.{rest}");
    let paths = |number: usize, path: &str| -> String {
        (1..=number)
            .map(|n| format!("&Conditions.member.1.PathPatternConfig.Values.member.{n}={path}{n}"))
            .collect()
    };
    for (conditions, words) in [
        (
            field("x", "Values.member.1=a"),
            "Condition field 'x' must be one of '[path-pattern, host-header, http-header",
        ),
        ("Conditions.member.1.Values.member.1=a".to_owned(), "A condition field must be specified"),
        (field("path-pattern", "PathPatternConfig.Values="), "A condition value must be specified"),
        (field("path-pattern", "PathPatternConfig.Values.member.1="), "A condition value must be specified"),
        ("Conditions.member.1.Field=path-pattern".to_owned(), "A condition value must be specified"),
        (
            field("path-pattern", &format!("Values.member.1={long}")),
            "The 'path-pattern' value is too long; the limit is '128'",
        ),
        (field("path-pattern", "Values.member.1=/%C3%A4"), "The 'path-pattern' value '/ä' is not valid"),
        (
            field("host-header", "HostHeaderConfig.Values.member.1=localhost"),
            "The 'host-header' value 'localhost' is not valid",
        ),
        (
            field("http-request-method", "HttpRequestMethodConfig.Values.member.1=get"),
            "The 'http-request-method' value is invalid; the allowed characters are A-Z, hyphen and underscore",
        ),
        (
            field("source-ip", "SourceIpConfig.Values.member.1=10.0.0.0/33"),
            "The 'source-ip' value '10.0.0.0/33' is not valid",
        ),
        (field("source-ip", "SourceIpConfig.Values.member.1=255.255.255.255/32"), "is not valid"),
        (field("source-ip", "SourceIpConfig.Values="), "A 'source-ip' value must be specified"),
        (
            "Conditions.member.1.Field=source-ip".to_owned(),
            "A 'SourceIpConfig' must be specified with 'source-ip'",
        ),
        (
            "Conditions.member.1.Field=http-request-method".to_owned(),
            "A 'HttpRequestMethodConfig' must be specified with 'http-request-method'",
        ),
        (
            "Conditions.member.1.Field=query-string".to_owned(),
            "A 'QueryStringConfig' must be specified with 'query-string'",
        ),
        (
            field("query-string", &format!("QueryStringConfig.Values.member.1.Value={long}")),
            "The 'Value' value is too long; the limit is '128'",
        ),
        (
            field(
                "query-string",
                &format!(
                    "QueryStringConfig.Values.member.1.Value=a&Conditions.member.1.QueryStringConfig.Values.member.1.Key={long}"
                ),
            ),
            "The 'Key' value is too long; the limit is '128'",
        ),
        (
            field("http-header", &format!("HttpHeaderConfig.HttpHeaderName={}", "x".repeat(41))),
            "The 'HttpHeaderName' value is too long; the limit is '40'",
        ),
        (field("source-ip", "SourceIpConfig.IpAddressType=ipv4"), "Network Load Balancers"),
        (field("http-header", "HttpHeaderConfig.Values.member.1=a"), "An HTTP header name must be specified"),
        (
            field(
                "http-header",
                "HttpHeaderConfig.HttpHeaderName=Host&Conditions.member.1.HttpHeaderConfig.Values.member.1=a",
            ),
            "has the field 'host-header'",
        ),
        (
            field("query-string", "QueryStringConfig.Values.member.1.Key=k"),
            "A 'Value' must be specified in 'QueryStringKeyValuePair'",
        ),
        (
            field("path-pattern", "PathPatternConfig.RegexValues.member.1=("),
            "regular expression '(' is not valid",
        ),
        (field("path-pattern", "PathPatternConfig.RegexValues.member.1=%E2%80%A8"), "must be visible ASCII"),
        (field("path-pattern", "HostHeaderConfig.Values.member.1=a.b"), "cannot have a HostHeaderConfig"),
        (
            field(
                "path-pattern",
                "Values.member.1=/a&Conditions.member.1.PathPatternConfig.Values.member.1=/b",
            ),
            "but not both",
        ),
        (
            field("path-pattern", "Values.member.1=/a&Conditions.member.1.RegexValues.member.1=b"),
            "but not both",
        ),
        (field("http-request-method", "RegexValues.member.1=GET"), "cannot have RegexValues"),
        (
            format!(
                "{}&Conditions.member.2.Field=path-pattern&Conditions.member.2.Values.member.1=/b",
                field("path-pattern", "Values.member.1=/a")
            ),
            "A rule can only have one 'path-pattern' condition",
        ),
        (
            format!("Conditions.member.1.Field=path-pattern{}", paths(6, "/a")),
            "A rule can only have '5' condition values",
        ),
        (
            format!("Conditions.member.1.Field=path-pattern{}", paths(4, "/*?")),
            "A rule can only have '6' condition wildcards",
        ),
    ] {
        let (code, message) =
            api.fails(&format!("Action=CreateRule&ListenerArn={listener}&Priority=1&{conditions}&{end}"));
        assert_eq!(code, "ValidationError", "{conditions}: {message}");
        assert!(message.contains(words), "{conditions}: {message}");
    }
}

#[test]
fn rules_are_changed_list_by_list() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    let arn = api.rule(&listener, 5, &group);
    let modify = |rest: &str| format!("Action=ModifyRule&RuleArn={arn}&{rest}");
    let told = api.ok(&modify("Conditions.member.1.Field=host-header&Conditions.member.1.HostHeaderConfig.Values.member.1=a.example"));
    assert_eq!(
        (one(&told, "Field"), one(&told, "Type"), one(&told, "Priority")),
        ("host-header", "forward", "5")
    );
    let told = api.ok(&modify("Actions.member.1.Type=fixed-response&Actions.member.1.FixedResponseConfig.StatusCode=200&Actions.member.1.FixedResponseConfig.MessageBody="));
    assert!(
        told.contains(
            "<FixedResponseConfig><MessageBody/><StatusCode>200</StatusCode></FixedResponseConfig>"
        ),
        "{told}"
    );
    let transform = |regex: &str, replace: &str| {
        let config = "Transforms.member.1.UrlRewriteConfig.Rewrites.member.1";
        format!("Transforms.member.1.Type=url-rewrite&{config}.Regex={regex}&{config}.Replace={replace}")
    };
    let told = api.ok(&modify(&transform("%5E%2Fa%28.%2A%29", "%2F%241")));
    assert!(
        told.contains("<Rewrites><member><Regex>^/a(.*)</Regex><Replace>/$1</Replace></member></Rewrites>"),
        "{told}"
    );
    let told = api.ok(&modify("ResetTransforms=true"));
    assert!(every(&told, "Transforms").is_empty());
    assert_eq!(api.fails(&modify("")).1, "Either conditions or actions must be specified");
    for (regex, replace, words) in [
        ("%28", "a", "is not valid"),
        ("a", "%242", "names group 2"),
        ("a", "a%20b", "without spaces"),
        ("", "a", "'transforms.1.member.urlRewriteConfig.rewrites.1.member.regex'"),
    ] {
        let (code, message) = api.fails(&modify(&transform(regex, replace)));
        assert_eq!(code, "ValidationError", "{message}");
        assert!(message.contains(words), "{message}");
    }
    let both = modify(&format!("ResetTransforms=true&{}", transform("a", "b")));
    assert!(api.fails(&both).1.contains("cannot both be specified"));
}

#[test]
fn priorities_are_unique_and_set_all_or_none() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    let [a, b, c] = [1, 2, 3].map(|priority| api.rule(&listener, priority, &group));
    let create = format!(
        "Action=CreateRule&ListenerArn={listener}&{PATH}&Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn={group}"
    );
    assert_eq!(
        api.fails(&format!("{create}&Priority=2")),
        ("PriorityInUse", "Priority '2' is currently in use".to_owned())
    );
    for (priority, code) in [
        ("0", "ValidationError"),
        ("50001", "ValidationError"),
        ("x", "MalformedInput"),
        ("", "ValidationError"),
    ] {
        assert_eq!(api.fails(&format!("{create}&Priority={priority}")).0, code, "{priority}");
    }
    let set = |pairs: &[(&str, u32)]| {
        let pairs: String = (1..)
            .zip(pairs)
            .map(|(n, (arn, priority))| {
                format!(
                    "&RulePriorities.member.{n}.RuleArn={arn}&RulePriorities.member.{n}.Priority={priority}"
                )
            })
            .collect();
        format!("Action=SetRulePriorities{pairs}")
    };
    assert_eq!(api.fails(&set(&[(&a, 9), (&b, 3)])).0, "PriorityInUse");
    assert_eq!(api.fails(&set(&[(&a, 9), (&b, 9)])).1, "Priority '9' was provided multiple times");
    assert_eq!(api.fails(&set(&[(&a, 9), (&a, 10)])).0, "ValidationError");
    assert_eq!(api.fails(&set(&[(&a, 9), (&format!("{b}0"), 10)])).0, "RuleNotFound");
    // What is exchanged is in nobody's way.
    let told = api.ok(&set(&[(&a, 3), (&c, 1)]));
    assert_eq!(every(&told, "RuleArn").len(), 2);
    let all = api.ok(&format!("Action=DescribeRules&ListenerArn={listener}"));
    assert_eq!(every(&all, "RuleArn")[..3], [c.as_str(), b.as_str(), a.as_str()]);
}

#[test]
fn a_hundred_rules_and_no_more() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    for priority in 1..=100 {
        api.rule(&listener, priority, &group);
    }
    let form = format!(
        "Action=CreateRule&ListenerArn={listener}&Priority=101&{PATH}&Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn={group}"
    );
    assert_eq!(api.fails(&form).0, "TooManyRules");
}

#[test]
fn tags_are_added_removed_and_told() {
    let mut api = Api::new();
    let (listener, group) = listener(&mut api);
    let rule = api.rule(&listener, 1, &group);
    let arns = format!(
        "ResourceArns.member.1={listener}&ResourceArns.member.2={rule}&ResourceArns.member.3={group}"
    );
    api.ok(&format!("Action=AddTags&{arns}&Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b&Tags.member.2.Value="));
    api.ok(&format!("Action=AddTags&{arns}&Tags.member.1.Key=a&Tags.member.1.Value=2"));
    let told = api.ok(&format!("Action=DescribeTags&{arns}"));
    assert_eq!(every(&told, "ResourceArn"), [listener.as_str(), rule.as_str(), group.as_str()]);
    assert_eq!(every(&told, "Key"), ["a", "b", "a", "b", "a", "b"]);
    assert!(
        told.contains("<member><Key>a</Key><Value>2</Value></member><member><Key>b</Key><Value/></member>"),
        "{told}"
    );
    api.ok(&format!("Action=RemoveTags&{arns}&TagKeys.member.1=a&TagKeys.member.2=none"));
    assert_eq!(every(&api.ok(&format!("Action=DescribeTags&{arns}")), "Key"), ["b", "b", "b"]);
    let many: String = (1..=51).map(|n| format!("&Tags.member.{n}.Key=k{n}")).collect();
    assert_eq!(api.fails(&format!("Action=AddTags&{arns}{many}")).0, "TooManyTags");
    let twenty: String = (1..=21).map(|n| format!("&ResourceArns.member.{n}={group}")).collect();
    assert!(api.fails(&format!("Action=DescribeTags{twenty}")).1.contains("Up to 20"));
    for (arn, code) in [
        (format!("{group}0"), "TargetGroupNotFound"),
        (format!("{rule}0"), "RuleNotFound"),
        ("x".to_owned(), "ValidationError"),
    ] {
        assert_eq!(api.fails(&format!("Action=DescribeTags&ResourceArns.member.1={arn}")).0, code);
        assert_eq!(
            api.fails(&format!("Action=AddTags&ResourceArns.member.1={arn}&Tags.member.1.Key=a")).0,
            code
        );
    }
    let bad = "k%3Cey%3E";
    assert!(
        api.fails(&format!("Action=AddTags&{arns}&Tags.member.1.Key={bad}"))
            .1
            .contains("'tags.1.member.key'")
    );
}
