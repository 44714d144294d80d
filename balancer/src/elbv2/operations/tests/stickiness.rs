//! Both levels of stickiness, and what excludes them.

use super::{Api, attribute, every};

const TYPES: [&str; 5] =
    ["lb_cookie", "app_cookie", "source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"];
const PROTOCOLS: [&str; 9] = ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];

fn set(group: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: String = (1..)
        .zip(pairs)
        .map(|(n, (key, value))| {
            format!("&Attributes.member.{n}.Key={key}&Attributes.member.{n}.Value={value}")
        })
        .collect();
    format!("Action=ModifyTargetGroupAttributes&TargetGroupArn={group}{pairs}")
}

/// What AWS says of a type with a protocol; nothing where that can be had.
fn refusal(protocol: &str, kind: &str) -> Option<(&'static str, String)> {
    let (invalid, wrong) = ("InvalidConfigurationRequest", "ValidationError");
    let (of_cookies, of_connections) = (kind.ends_with("cookie"), kind.starts_with("source_ip_"));
    match protocol {
        "GENEVE" if of_connections => None,
        "GENEVE" if kind == "app_cookie" => {
            let key = "stickiness.app_cookie.cookie_name";
            Some((wrong, format!("Target group attribute key '{key}' is not recognized")))
        }
        "GENEVE" => {
            let message = format!("'{kind}' must be one of [source_ip_dest_ip_proto, source_ip_dest_ip]");
            Some((wrong, message))
        }
        _ if of_connections => {
            Some((wrong, "'Stickiness type' must be one of [app_cookie, lb_cookie, source_ip]".to_owned()))
        }
        "TLS" if kind == "source_ip" => {
            let message = "You cannot enable stickiness on target groups with the TLS protocol";
            Some((invalid, message.to_owned()))
        }
        _ if of_cookies == protocol.starts_with("HTTP") => None,
        _ => {
            let message = format!(
                "Stickiness type '{kind}' is not supported for target groups with the {protocol} protocol"
            );
            Some((invalid, message))
        }
    }
}

#[test]
fn every_type_with_every_protocol_answers_as_on_aws() {
    for (protocol, kind) in PROTOCOLS.iter().flat_map(|protocol| TYPES.map(|kind| (*protocol, kind))) {
        let mut api = Api::new();
        let made =
            api.ok(&format!("Action=CreateTargetGroup&Name=g&Protocol={protocol}&Port=80&TargetType=ip"));
        let arn = super::one(&made, "TargetGroupArn").to_owned();
        let name = ("stickiness.app_cookie.cookie_name", "JSESSIONID");
        let asked = [("stickiness.enabled", "true"), ("stickiness.type", kind)];
        let asked = asked.into_iter().chain((kind == "app_cookie").then_some(name));
        let form = set(&arn, &asked.collect::<Vec<_>>());
        match refusal(protocol, kind) {
            Some(refusal) => assert_eq!(api.fails(&form), refusal, "{kind} with {protocol}"),
            None => assert_eq!(attribute(&api.ok(&form), "stickiness.type"), kind, "with {protocol}"),
        }
    }
    let mut api = Api::new();
    let group = api.group("g");
    let message = "'Stickiness type' must be one of [app_cookie, lb_cookie, source_ip]";
    let other = set(&group, &[("stickiness.type", "cookie")]);
    assert_eq!(api.fails(&other), ("ValidationError", message.to_owned()));
}

#[test]
fn stickiness_to_targets_excludes_what_it_does_on_alb() {
    let mut api = Api::new();
    let group = api.group("g");
    let invalid = "InvalidConfigurationRequest";
    let app = set(&group, &[("stickiness.enabled", "true"), ("stickiness.type", "app_cookie")]);
    let words = "You must set an application cookie name to enable stickiness of type 'app_cookie'";
    assert_eq!(api.fails(&app), (invalid, words.to_owned()));
    api.ok(&set(&group, &[("stickiness.type", "app_cookie")]));
    api.ok(&set(&group, &[("stickiness.app_cookie.cookie_name", "SID"), ("stickiness.enabled", "true")]));
    assert_eq!(api.fails(&set(&group, &[("stickiness.app_cookie.cookie_name", "")])).0, invalid);
    let words =
        "You cannot have both stickiness and weighted random algorithm enabled on the same target group.";
    let random = [("load_balancing.algorithm.type", "weighted_random")];
    assert_eq!(api.fails(&set(&group, &random)), (invalid, words.to_owned()));
    api.ok(&set(&group, &[random[0], ("stickiness.enabled", "false")]));
    assert_eq!(api.fails(&set(&group, &[("stickiness.enabled", "true")])), (invalid, words.to_owned()));
    assert!(api.fails(&set(&group, &[("slow_start.duration_seconds", "30")])).1.contains("weighted random"));
    api.ok(&set(&group, &[("load_balancing.algorithm.anomaly_mitigation", "on")]));
    let least = [("load_balancing.algorithm.type", "least_outstanding_requests")];
    assert!(api.fails(&set(&group, &least)).1.contains("anomaly mitigation without weighted random"));
    let dns = "target_group_health.dns_failover.minimum_healthy_targets.count";
    let routing = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
    assert!(api.fails(&set(&group, &[(dns, "2"), (routing, "3")])).1.contains("greater than or equal to"));
    api.ok(&set(&group, &[(dns, "3"), (routing, "3")]));
}

fn forward(groups: &[&str], stickiness: &str) -> String {
    let groups: String = (1..)
        .zip(groups)
        .map(|(n, group)| {
            let tuple = format!("&DefaultActions.member.1.ForwardConfig.TargetGroups.member.{n}");
            format!("{tuple}.TargetGroupArn={group}{tuple}.Weight={}", n * 10)
        })
        .collect();
    format!("&DefaultActions.member.1.Type=forward&DefaultActions.member.1.Order=1{groups}{stickiness}")
}

const STICKY: &str = "&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true\
                      &DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=600";
const UNSTICKY: &str = "&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=0\
                        &DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=false";

#[test]
fn sticky_groups_behind_one_rule_need_stickiness_to_a_group() {
    let mut api = Api::new();
    let (balancer, plain, sticky) = (api.balancer("b"), api.group("plain"), api.group("sticky"));
    api.ok(&set(&sticky, &[("stickiness.enabled", "true")]));
    let create = |rest: String| {
        format!("Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80{rest}")
    };
    let words = "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups";
    for off in ["", UNSTICKY] {
        let form = create(forward(&[&plain, &sticky], off));
        assert_eq!(api.fails(&form), ("InvalidLoadBalancerAction", words.to_owned()));
    }
    api.ok(&create(forward(&[&sticky], UNSTICKY)));
    api.ok("Action=DescribeLoadBalancers");
    let listener =
        every(&api.ok(&format!("Action=DescribeListeners&LoadBalancerArn={balancer}")), "ListenerArn")[0]
            .to_owned();
    let modify = |rest: String| format!("Action=ModifyListener&ListenerArn={listener}{rest}");
    let told = api.ok(&modify(forward(&[&plain, &sticky], STICKY)));
    assert_eq!(every(&told, "Weight"), ["10", "20"]);
    assert_eq!((every(&told, "Enabled"), every(&told, "DurationSeconds")), (vec!["true"], vec!["600"]));
    // And the other way round.
    api.ok(&set(&sticky, &[("stickiness.enabled", "false")]));
    api.ok(&modify(forward(&[&plain, &sticky], UNSTICKY)));
    let (code, message) = api.fails(&set(&sticky, &[("stickiness.enabled", "true")]));
    assert_eq!(code, "InvalidConfigurationRequest");
    assert!(
        message
            .starts_with("This target group appears behind a rule with group stickiness disabled (arn:aws:")
            && message.ends_with("You must enable group stickiness before enabling target stickiness"),
        "{message}"
    );
}

#[test]
fn what_group_stickiness_may_be() {
    let mut api = Api::new();
    let (balancer, one, two) = (api.balancer("b"), api.group("one"), api.group("two"));
    let create = |rest: &str| {
        let groups = forward(&[&one, &two], "");
        let config = "&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig";
        let rest: String =
            rest.split(' ').filter(|rest| !rest.is_empty()).map(|rest| format!("{config}.{rest}")).collect();
        format!("Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port=80{groups}{rest}")
    };
    for (rest, code) in [
        ("Enabled=true", "InvalidLoadBalancerAction"),
        ("Enabled=true DurationSeconds=0", "ValidationError"),
        ("Enabled=true DurationSeconds=604801", "ValidationError"),
        ("Enabled=true DurationSeconds=-1", "ValidationError"),
        ("Enabled=false DurationSeconds=604801", "ValidationError"),
        ("Enabled=perhaps", "MalformedInput"),
        ("DurationSeconds=long", "MalformedInput"),
    ] {
        assert_eq!(api.fails(&create(rest)).0, code, "{rest}");
    }
    for rest in [
        "Enabled=true DurationSeconds=1",
        "Enabled=true DurationSeconds=604800",
        "Enabled=false DurationSeconds=0",
        "",
    ] {
        let made = api.ok(&create(rest));
        let listener = super::one(&made, "ListenerArn").to_owned();
        api.ok(&format!("Action=DeleteListener&ListenerArn={listener}"));
    }
}
