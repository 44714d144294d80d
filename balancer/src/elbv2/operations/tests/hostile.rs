//! Forms that nobody means: no panic, no change, a code of ALB's.

use super::{Api, OPERATIONS, every};

#[test]
fn what_is_no_list_no_structure_and_no_value_is_malformed() {
    let mut api = Api::new();
    let group = api.group("g");
    let balancer = api.balancer("b");
    for rest in [
        format!("RegisterTargets&TargetGroupArn={group}&Targets=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.1=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.0.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.01.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.%2B1.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.-1.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.x.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.99999999999999999999999.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.1.Id=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id.member.1=10.0.0.1"),
        format!("RegisterTargets&TargetGroupArn.member.1={group}&Targets.member.1.Id=10.0.0.1"),
        format!(
            "RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=8o"
        ),
        format!(
            "RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=1e3"
        ),
        format!(
            "CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80.0&DefaultActions.member.1.Type=forward"
        ),
        format!("ModifyTargetGroup&TargetGroupArn={group}&Matcher=200"),
        format!("ModifyTargetGroup&TargetGroupArn={group}&HealthCheckEnabled=2"),
        "DescribeLoadBalancers&Names.member.1.Name=a".to_owned(),
        "DescribeLoadBalancers&PageSize=many".to_owned(),
    ] {
        let (code, message) = api.fails(&format!("Action={rest}"));
        assert_eq!(code, "MalformedInput", "{rest}: {message}");
    }
}

#[test]
fn numbers_of_members_may_have_gaps_and_any_order() {
    let mut api = Api::new();
    let group = api.group("g");
    api.ok(&format!(
        "Action=RegisterTargets&TargetGroupArn={group}&Targets.member.9.Id=10.0.0.2&Targets.member.18446744073709551615.Id=10.0.0.3\
         &Targets.member.2.Id=10.0.0.1"
    ));
    let health = api.ok(&format!("Action=DescribeTargetHealth&TargetGroupArn={group}"));
    assert_eq!(every(&health, "Id"), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
}

#[test]
fn numbers_beyond_everything_are_out_of_range() {
    let mut api = Api::new();
    let group = api.group("g");
    for number in [
        "65536",
        "4294967377",
        "9223372036854775808",
        "-9223372036854775809",
        "999999999999999999999999999",
        "-1",
        "0",
    ] {
        let form = format!(
            "Action=RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port={number}"
        );
        assert_eq!(api.fails(&form).0, "ValidationError", "{number}");
        let set = format!(
            "Action=ModifyTargetGroupAttributes&TargetGroupArn={group}&Attributes.member.1.Key=stickiness.lb_cookie.duration_seconds\
             &Attributes.member.1.Value={}",
            if number == "65536" { "604801" } else { number }
        );
        assert!(!api.fails(&set).1.is_empty());
    }
    for size in ["0", "401", "-1", "18446744073709551616"] {
        assert_eq!(
            api.fails(&format!("Action=DescribeLoadBalancers&PageSize={size}")).0,
            "ValidationError",
            "{size}"
        );
    }
}

#[test]
fn ten_thousand_members_are_answered_soon_and_in_few_words() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let many = |name: &str, value: &str| -> String {
        (1..=10_000).map(|number| format!("&{name}.member.{number}{value}")).collect()
    };
    for (rest, code) in [
        (format!("RegisterTargets&TargetGroupArn={group}{}", many("Targets", ".Id=10.0.0.1")), ""),
        (format!("RegisterTargets&TargetGroupArn={group}{}", many("Targets", ".Id=x")), "InvalidTarget"),
        (format!("RegisterTargets&TargetGroupArn={group}{}", many("Targets", ".Port=0")), "ValidationError"),
        (
            format!("DescribeTargetHealth&TargetGroupArn={group}{}", many("Targets", ".Id=10.0.0.1")),
            "ValidationError",
        ),
        (format!("DescribeTags{}", many("ResourceArns", &format!("={group}"))), "ValidationError"),
        (format!("AddTags&ResourceArns.member.1={group}{}", many("Tags", ".Key=a")), "DuplicateTagKeys"),
        (
            format!(
                "CreateRule&ListenerArn={balancer}&Priority=1&Actions.member.1.Type=forward{}",
                many("Conditions", ".Field=x")
            ),
            "ValidationError",
        ),
        (format!("CreateLoadBalancer&Name=c{}", many("Subnets", "=subnet")), "InvalidConfigurationRequest"),
        (
            format!(
                "ModifyLoadBalancerAttributes&LoadBalancerArn={balancer}{}",
                many("Attributes", ".Key=a")
            ),
            "ValidationError",
        ),
        (format!("DescribeLoadBalancers{}", many("Names", "=none")), "ValidationError"),
        (format!("DescribeTargetGroups{}", many("Names", "=none")), "TargetGroupNotFound"),
        (format!("SetRulePriorities{}", many("RulePriorities", ".Priority=1")), "ValidationError"),
    ] {
        match api.call(&format!("Action={rest}")) {
            Ok(_) => assert_eq!(code, ""),
            Err(failure) => {
                assert_eq!(failure.code, code, "{:.60}: {}", rest, failure.message);
                assert!(failure.message.len() < 10_000, "{}", failure.message.len());
            }
        }
    }
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    for bad in ["%00", "a%00b", "%0A", "a%0Db", "%1B%5B2J", "%7F", "%C2%85"] {
        for rest in [
            format!("CreateLoadBalancer&Name={bad}"),
            format!("CreateLoadBalancer&Name=c&Subnets.member.1={bad}"),
            format!("CreateLoadBalancer&Name=c&SecurityGroups.member.1=sg-{bad}"),
            format!("CreateTargetGroup&Name=c&Protocol=HTTP&Port=80&VpcId={bad}"),
            format!("CreateTargetGroup&Name=c&Protocol=HTTP&Port=80&HealthCheckPath=/{bad}"),
            format!("RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id={bad}"),
            format!(
                "RegisterTargets&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1&Targets.member.1.AvailabilityZone={bad}"
            ),
            format!("AddTags&ResourceArns.member.1={group}&Tags.member.1.Key=a&Tags.member.1.Value={bad}"),
            format!(
                "ModifyLoadBalancerAttributes&LoadBalancerArn={balancer}&Attributes.member.1.Key=access_logs.s3.bucket&Attributes.member.1.Value={bad}"
            ),
            format!("DescribeTargetGroups&TargetGroupArns.member.1={bad}"),
            format!("DescribeLoadBalancers&Marker={bad}"),
        ] {
            let (code, message) = api.fails(&format!("Action={rest}"));
            assert_eq!(code, "ValidationError", "{rest}: {message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}

#[test]
fn long_values_are_neither_kept_nor_said() {
    let mut api = Api::new();
    let long = "x".repeat(500_000);
    for rest in [
        format!("CreateLoadBalancer&Name={long}"),
        format!("CreateLoadBalancer&Name=a&Subnets.member.1={long}"),
        format!("CreateTargetGroup&Name=a&Protocol=HTTP&Port=80&VpcId={long}"),
        format!("DescribeLoadBalancers&Names.member.1={long}"),
        format!("DescribeLoadBalancers&LoadBalancerArns.member.1={long}"),
        format!("DescribeLoadBalancers&Marker={long}"),
        format!("DescribeLoadBalancers&PageSize={long}"),
    ] {
        let (_, message) = api.fails(&format!("Action={rest}"));
        assert!(message.len() < 1000, "{}", message.len());
    }
}

/// A generator of forms: mostly right names, mostly wrong values.
struct Forms(u64);

impl Forms {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next()).unwrap() % most
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn form(&mut self, arns: &[String]) -> String {
        let action = OPERATIONS[self.below(OPERATIONS.len())].name;
        let mut form = format!("Action={action}");
        for _ in 0..self.below(8) {
            let name = self.pick(&NAMES);
            let value = match self.below(3) {
                0 => arns[self.below(arns.len())].clone(),
                _ => self.pick(&VALUES).to_owned(),
            };
            form.push_str(&format!("&{name}{}={value}", self.pick(&ENDS)));
        }
        form
    }
}

const NAMES: [&str; 28] = [
    "LoadBalancerArn",
    "TargetGroupArn",
    "ListenerArn",
    "RuleArn",
    "TrustStoreArn",
    "Name",
    "Protocol",
    "Port",
    "Priority",
    "Targets",
    "Tags",
    "Attributes",
    "Conditions",
    "Actions",
    "DefaultActions",
    "Transforms",
    "RulePriorities",
    "ResourceArns",
    "Certificates",
    "PageSize",
    "Marker",
    "Names",
    "Matcher",
    "MutualAuthentication",
    "Subnets",
    "RevocationIds",
    "TagKeys",
    "ResourceArn",
];
const ENDS: [&str; 16] = [
    "",
    "",
    ".member.1",
    ".member.1.Id",
    ".member.1.Key",
    ".member.1.Value",
    ".member.1.Type",
    ".member.1.Field",
    ".member.1.Values.member.1",
    ".member.2.ForwardConfig.TargetGroups.member.1.Weight",
    ".member.1.TargetGroupArn",
    ".Mode",
    ".member.1.RuleArn",
    ".member.1.Priority",
    ".member.1.RedirectConfig.StatusCode",
    "..",
];
const VALUES: [&str; 18] = [
    "",
    "a",
    "80",
    "-1",
    "HTTP",
    "HTTPS",
    "forward",
    "redirect",
    "fixed-response",
    "path-pattern",
    "/a*",
    "true",
    "%00",
    "1",
    "10.0.0.1",
    "99999999999999999999",
    "HTTP_301",
    "%F0%9F%92%A3",
];

#[test]
fn ten_thousand_forms_that_nobody_means_are_answered_in_albs_codes() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let listener = api.listener(&balancer, 80, &group);
    let rule = api.rule(&listener, 1, &group);
    let arns =
        [balancer, group, listener, rule, "arn:aws:elasticloadbalancing:r:1:truststore/a/1".to_owned()];
    let mut forms = Forms(7);
    let mut answered = 0;
    for _ in 0..10_000 {
        let form = forms.form(&arns);
        match api.call(&form) {
            Ok(_) => answered += 1,
            Err(failure) => {
                assert!(matches!(failure.status, 400 | 404), "{form}: {failure:?}");
                assert!(
                    !failure.message.is_empty() && !failure.message.contains(char::is_control),
                    "{form}: {failure:?}"
                );
            }
        }
    }
    assert!(answered > 100, "{answered}");
}

#[test]
fn what_is_too_much_for_a_rule_is_not_looked_at() {
    let mut api = Api::new();
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let listener = api.listener(&balancer, 80, &group);
    let rule = |conditions: &str| {
        format!(
            "Action=CreateRule&ListenerArn={listener}&Priority=1&Actions.member.1.Type=fixed-response\
             &Actions.member.1.FixedResponseConfig.StatusCode=200{conditions}"
        )
    };
    let each = |form: fn(usize) -> String| -> String { (1..=5000).map(form).collect() };
    let begun = std::time::Instant::now();
    for conditions in [
        each(|number| {
            let member = format!("&Conditions.member.{number}");
            format!(
                "{member}.Field=http-header{member}.HttpHeaderConfig.HttpHeaderName=X{member}.HttpHeaderConfig.Values.member.1={number}"
            )
        }),
        each(|number| {
            format!("&Conditions.member.1.QueryStringConfig.Values.member.{number}.Value={number}")
        }) + "&Conditions.member.1.Field=query-string",
        each(|number| format!("&Conditions.member.1.RegexValues.member.{number}=(a|b){{60}}{number}"))
            + "&Conditions.member.1.Field=path-pattern",
    ] {
        let (code, message) = api.fails(&rule(&conditions));
        assert_eq!((code, message.contains("'5' condition values")), ("ValidationError", true), "{message}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    // The same value again is none more.
    let again: String =
        (1..=6).map(|number| format!("&Conditions.member.1.Values.member.{number}=/a")).collect();
    api.ok(&rule(&format!("{again}&Conditions.member.1.Field=path-pattern")));
}
