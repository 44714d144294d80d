//! Terraform as people write it: what its provider takes is taken, what ALB refuses is refused by name.
use std::path::PathBuf;

use balancer::{
    config,
    model::{
        Action, Condition, Configuration, HealthCheckPort, ProbeProtocol, ProtocolVersion, StickinessKind,
        TextPattern,
    },
};

fn parse(text: &str) -> Result<Configuration, String> {
    config::parse(&[(PathBuf::from("main.tf"), text.to_owned())]).map_err(|errors| errors.to_string())
}

/// A group with a listener that forwards to it, and what else the test is about.
fn with_listener(group: &str, more: &str) -> String {
    format!(
        "resource \"aws_lb_target_group\" \"app\" {{\n{group}\n}}\n{more}\n\
         resource \"aws_lb_listener\" \"web\" {{\n  port = 8080\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = aws_lb_target_group.app.arn\n  }}\n}}\n"
    )
}

#[test]
fn names_of_protocols_are_taken_in_any_case() {
    let group = "port = 80\nprotocol = \"http\"\nprotocol_version = \"http2\"\nhealth_check {\nprotocol = \"Https\"\n}";
    let read = parse(&with_listener(group, "")).unwrap();
    let [app] = &read.target_groups[..] else { panic!("{:?}", read.target_groups) };
    assert_eq!(app.protocol_version, ProtocolVersion::Http2);
    assert!(app.tls.is_none());
    assert_eq!(app.health_check.protocol, ProbeProtocol::Https);

    let listener = "listener \"a\" {\nport = 80\nprotocol = \"http\"\ndefault_action {\ntype = \"fixed-response\"\n\
                    fixed_response {\ncontent_type = \"text/plain\"\nstatus_code = 200\n}\n}\n}\n";
    assert!(parse(listener).unwrap().listeners[0].tls.is_none());
    let tcp = parse(&listener.replace("\"http\"", "\"tcp\"")).unwrap_err();
    assert!(tcp.contains("`protocol` = \"tcp\" is of Network and Gateway Load Balancers"), "{tcp}");
    // The API takes these as they are written, so does the provider.
    let redirect = listener.replace("fixed-response", "redirect").replace(
        "fixed_response {\ncontent_type = \"text/plain\"\nstatus_code = 200",
        "redirect {\nprotocol = \"https\"\nstatus_code = \"HTTP_301\"",
    );
    assert!(parse(&redirect).unwrap_err().contains("`protocol` = \"https\""));
}

#[test]
fn stickiness_that_is_off_asks_for_nothing() {
    for kind in ["source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"] {
        let off = format!("port = 80\nstickiness {{\nenabled = false\ntype = \"{kind}\"\n}}");
        let read = parse(&with_listener(&off, "")).unwrap_or_else(|fault| panic!("{kind}: {fault}"));
        assert!(read.target_groups[0].stickiness.is_none());
        let on = parse(&with_listener(&off.replace("false", "true"), "")).unwrap_err();
        assert!(on.contains("is not supported for target groups with the HTTP protocol"), "{on}");
    }
    let named = "port = 80\nstickiness {\nenabled = false\ntype = \"lb_cookie\"\ncookie_name = \"SID\"\n}";
    assert!(parse(&with_listener(named, "")).unwrap().target_groups[0].stickiness.is_none());
    let unknown = "port = 80\nstickiness {\nenabled = false\ntype = \"source_port\"\n}";
    assert!(parse(&with_listener(unknown, "")).unwrap_err().contains("`type` = \"source_port\""));
}

#[test]
fn empty_texts_of_a_health_check_are_the_defaults() {
    let read =
        parse(&with_listener("port = 80\nhealth_check {\npath = \"\"\nmatcher = \"\"\nport = \"\"\n}", ""))
            .unwrap();
    let check = &read.target_groups[0].health_check;
    assert_eq!(
        (check.path.as_str(), &check.matcher.0[..], check.port),
        ("/", &[(200, 200)][..], HealthCheckPort::Traffic)
    );
    let grpc = "port = 80\nprotocol_version = \"GRPC\"\nhealth_check {\npath = \"\"\nmatcher = \"\"\n}";
    let read = parse(&with_listener(grpc, "")).unwrap();
    let check = &read.target_groups[0].health_check;
    assert_eq!((check.path.as_str(), &check.matcher.0[..]), ("/AWS.ALB/healthcheck", &[(12, 12)][..]));
}

#[test]
fn arguments_of_other_load_balancers_are_taken_where_they_ask_for_nothing() {
    let balancer =
        |argument: &str| with_listener("port = 80", &format!("resource \"aws_lb\" \"a\" {{\n{argument}\n}}"));
    let group = |argument: &str| with_listener(&format!("port = 80\n{argument}"), "");
    let attachment = |argument: &str| {
        let text = "resource \"aws_lb_target_group_attachment\" \"a\" {\ntarget_group_arn = \
                    aws_lb_target_group.app.arn\ntarget_id = \"10.0.0.1\"\n";
        with_listener("port = 80", &format!("{text}{argument}\n}}"))
    };
    for (text, neutral, asking, whose) in [
        (
            &balancer as &dyn Fn(&str) -> String,
            "enable_prefix_for_ipv6_source_nat = \"off\"",
            "\"on\"",
            "Network",
        ),
        (&balancer, "secondary_ips_auto_assigned_per_subnet = 0", "2", "Network"),
        (&group, "target_control_port = 0", "3000", "target optimizer"),
        (&attachment, "quic_server_id = \"\"", "\"0x01\"", "Network"),
    ] {
        let (name, value) = neutral.split_once(" = ").unwrap();
        let value = value.lines().next().unwrap();
        let name = name.lines().last().unwrap();
        parse(&text(neutral)).unwrap_or_else(|fault| panic!("{neutral}: {fault}"));
        parse(&text(&neutral.replace(value, "null"))).unwrap_or_else(|fault| panic!("{neutral}: {fault}"));
        let fault = parse(&text(&neutral.replace(value, asking))).unwrap_err();
        assert!(fault.contains(&format!("`{name}` = {asking} is not supported by this version")), "{fault}");
        assert!(fault.contains(whose) && fault.contains("; allowed: "), "{fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}

#[test]
fn what_is_refused_says_whose_it_is_and_what_to_do_instead() {
    let group = |line: &str| with_listener(&format!("port = 80\n{line}"), "");
    for (line, whose, instead) in [
        ("target_type = \"lambda\"", "Lambda functions run on AWS alone", "give its address as a target"),
        ("target_type = \"alb\"", "Network Load Balancers that lead to an ALB", "the listener's address"),
        ("proxy_protocol_v2 = true", "of Network Load Balancers", "X-Forwarded-For"),
        ("preserve_client_ip = true", "of Network Load Balancers", "X-Forwarded-For"),
        ("connection_termination = true", "of Network Load Balancers", "`deregistration_delay`"),
        ("lambda_multi_value_headers_enabled = true", "of groups of Lambda functions", "leave it out"),
        ("target_control_port = 3000", "the target optimizer is AWS' own", "least_outstanding_requests"),
    ] {
        let fault = parse(&group(line)).unwrap_err();
        assert!(fault.contains(whose) && fault.contains(instead), "{line}: {fault}");
        assert!(fault.contains("; allowed: ") && fault.lines().count() == 1, "{line}: {fault}");
    }
    let action = |kind: &str| {
        let text = group("").replacen("type             = \"forward\"", &format!("type = \"{kind}\""), 1);
        parse(&text.replacen("type = \"forward\"", &format!("type = \"{kind}\""), 1)).unwrap_err()
    };
    for kind in ["authenticate-cognito", "authenticate-oidc"] {
        assert!(action(kind).contains("put oauth2-proxy or the like between"), "{}", action(kind));
    }
    assert!(action("jwt-validation").contains("have the targets, or a proxy before them, verify them"));
}

/// Nothing of a request goes by these here, so that nobody is kept from what does.
#[test]
fn what_is_not_done_and_changes_no_request_is_warned_of() {
    for (value, is_warned_of) in [
        ("false", true),
        ("\"false\"", true),
        ("true", false),
        ("\"use_load_balancer_configuration\"", false),
        ("null", false),
    ] {
        let group = format!("port = 80\nload_balancing_cross_zone_enabled = {value}");
        let told = config::warnings(&parse(&with_listener(&group, "")).unwrap());
        let is_told = told.iter().any(|line| line.contains("there are no zones, and every target is used"));
        assert_eq!(is_told, is_warned_of, "{value}: {told:?}");
    }
    let fault =
        parse(&with_listener("port = 80\nload_balancing_cross_zone_enabled = \"on\"", "")).unwrap_err();
    assert!(fault.contains("allowed: true, false or \"use_load_balancer_configuration\""), "{fault}");
    for (value, is_warned_of) in [("true", true), ("false", false)] {
        let logs = format!("connection_logs {{\nbucket = \"b\"\nenabled = {value}\n}}");
        let text = format!("load_balancer \"a\" {{\n{logs}\n}}\n{}", with_listener("port = 80", ""));
        let told = config::warnings(&parse(&text).unwrap());
        let is_told = told.iter().any(|line| line.contains("connection logs are not written here"));
        assert_eq!(is_told, is_warned_of, "{value}: {told:?}");
    }
}

#[test]
fn what_the_provider_passes_over_is_taken() {
    for argument in [
        "target_failover {\non_deregistration = \"rebalance\"\non_unhealthy = \"rebalance\"\n}",
        "target_failover {\non_deregistration = \"no_rebalance\"\non_unhealthy = \"no_rebalance\"\n}",
        "target_health_state {\nenable_unhealthy_connection_termination = false\nunhealthy_draining_interval = 30\n}",
    ] {
        parse(&with_listener(&format!("port = 80\n{argument}"), ""))
            .unwrap_or_else(|fault| panic!("{argument}: {fault}"));
    }
    let named = "port = 80\nstickiness {\nenabled = true\ntype = \"lb_cookie\"\ncookie_name = \"SID\"\n}";
    let read = parse(&with_listener(named, "")).unwrap();
    let kind = &read.target_groups[0].stickiness.as_ref().unwrap().kind;
    assert_eq!(*kind, StickinessKind::LoadBalancerCookie);
    let told = config::warnings(&read);
    let told: Vec<&String> = told.iter().filter(|told| told.contains("`cookie_name`")).collect();
    assert!(
        matches!(&told[..], [line] if line.starts_with("main.tf:6:1: `cookie_name` = \"SID\" counts for nothing")),
        "{told:?}"
    );
}

#[test]
fn truth_values_may_be_texts_as_terraform_converts_them() {
    let enabled = |value: &str| {
        let group = format!("port = 80\nstickiness {{\nenabled = {value}\ntype = \"lb_cookie\"\n}}");
        parse(&with_listener(&group, "")).map(|read| read.target_groups[0].stickiness.is_some())
    };
    for (value, is) in
        [("\"true\"", true), ("\"1\"", true), ("\"false\"", false), ("\"0\"", false), ("true", true)]
    {
        assert_eq!(enabled(value), Ok(is), "{value}");
    }
    for value in ["1", "0", "\"True\"", "\"FALSE\"", "\"yes\"", "\"\"", "\"01\""] {
        let fault = enabled(value).unwrap_err();
        assert!(fault.contains("; allowed: true or false") && fault.lines().count() == 1, "{value}: {fault}");
    }
    // Where one of them asks for what is not done here.
    let termination =
        |value: &str| parse(&with_listener(&format!("port = 80\nproxy_protocol_v2 = {value}"), ""));
    for value in ["false", "\"false\"", "\"0\""] {
        termination(value).unwrap_or_else(|fault| panic!("{value}: {fault}"));
    }
    for value in ["true", "\"1\"", "0"] {
        assert!(termination(value).unwrap_err().contains("is not supported by this version"), "{value}");
    }
}

#[test]
fn a_part_of_a_block_may_be_an_index() {
    for (local, way) in [
        ("aws_lb_target_group.app", "local.tg[\"arn\"]"),
        ("aws_lb_target_group.app", "local.tg.arn"),
        ("{ app = aws_lb_target_group.app }", "local.tg[\"app\"][\"arn\"]"),
        ("aws_lb_target_group.app[\"arn\"]", "local.tg"),
        ("null", "aws_lb_target_group.app[\"arn\"]"),
        ("null", "target_group.app[\"arn\"]"),
    ] {
        let text = with_listener("port = 80", &format!("locals {{\ntg = {local}\n}}"))
            .replace("= aws_lb_target_group.app.arn", &format!("= {way}"));
        parse(&text).unwrap_or_else(|fault| panic!("{local} {way}: {fault}"));
    }
    let text = with_listener("port = 80", "").replace("app.arn", "app[\"port\"]");
    assert!(
        parse(&text).unwrap_err().contains("`target_group_arn`")
            || parse(&text).unwrap_err().contains("is no reference")
    );
}

#[test]
fn hosts_may_end_in_wildcards() {
    let rule = |pattern: &str| {
        let rule = format!(
            "resource \"aws_lb_listener_rule\" \"r\" {{\nlistener_arn = aws_lb_listener.web.arn\naction {{\ntype = \
             \"forward\"\ntarget_group_arn = aws_lb_target_group.app.arn\n}}\ncondition {{\nhost_header {{\nvalues = \
             [\"{pattern}\"]\n}}\n}}\n}}"
        );
        parse(&with_listener("port = 80", &rule))
    };
    for pattern in ["api.*", "*.*", "api.example.c?m", "a.???", "*.ex*"] {
        let read = rule(pattern).unwrap_or_else(|fault| panic!("{pattern}: {fault}"));
        let [Condition::HostHeader(patterns)] = &read.listeners[0].rules[0].conditions[..] else { panic!() };
        assert_eq!(patterns[..], [TextPattern::Wildcard(pattern.to_owned())]);
    }
    for pattern in ["*", "api", "api.", ".*", "10.0.0.1", "api.c-m", "api.c0m"] {
        let fault = rule(pattern).unwrap_err();
        assert!(fault.contains("with a `.` and only letters, * and ? after the last one"), "{fault}");
    }
}

#[test]
fn a_condition_has_values_or_expressions() {
    for (kind, name) in
        [("path_pattern", ""), ("host_header", ""), ("http_header", "http_header_name = \"x\"\n")]
    {
        let value = if kind == "host_header" { "a.example.com" } else { "/v" };
        let rule = |values: &str| {
            let rule = format!(
                "resource \"aws_lb_listener_rule\" \"r\" {{\nlistener_arn = aws_lb_listener.web.arn\naction {{\ntype \
                 = \"forward\"\ntarget_group_arn = aws_lb_target_group.app.arn\n}}\ncondition {{\n{kind} \
                 {{\n{name}{values}\n}}\n}}\n}}"
            );
            parse(&with_listener("port = 80", &rule))
        };
        let fault = rule(&format!("values = [\"{value}\"]\nregex_values = [\"^x$\"]")).unwrap_err();
        assert!(fault.contains("`regex_values` stands beside `values`; allowed: one of them"), "{fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
        rule(&format!("values = [\"{value}\"]\nregex_values = null")).unwrap();
        rule("values = []\nregex_values = [\"^x$\"]").unwrap();
        rule("values = null\nregex_values = [\"^x$\"]").unwrap();
        // Nothing would ever be met by it.
        assert!(rule("values = null").unwrap_err().contains("A condition value must be specified"));
    }
}

#[test]
fn names_that_aws_keeps_for_itself_are_refused() {
    let fault = parse("resource \"aws_lb\" \"a\" {\n  name = \"internal-web\"\n}\n").unwrap_err();
    assert!(fault.starts_with("main.tf:2:10: \"internal-web\" is no name"), "{fault}");
    assert_eq!(fault.lines().count(), 1, "{fault}");
    assert!(parse("resource \"aws_lb\" \"internal_web\" {}\n").is_ok());
    assert!(parse("resource \"aws_lb\" \"a\" {\n  name = \"internal\"\n}\n").is_ok());
    assert!(parse("target_group \"a\" {\n  name = \"internal-web\"\n}\n").is_ok());
}

#[test]
fn a_redirect_with_a_part_that_is_not_known_is_no_loop() {
    for (protocol, port) in [("var.protocol", "\"#{port}\""), ("\"https\"", "null")] {
        let text = format!(
            "listener \"web\" {{\nport = 8080\ndefault_action {{\ntype = \"redirect\"\nredirect {{\nprotocol = \
             {protocol}\nport = {port}\nstatus_code = \"HTTP_301\"\n}}\n}}\n}}\n"
        );
        let fault = parse(&text).unwrap_err();
        assert!(!fault.contains("loop"), "{protocol} {port}: {fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}

#[test]
fn what_is_needed_and_given_as_nothing_is_missing() {
    // A listener or rule that is left out without a word would be worse than a fault.
    let text = with_listener("port = 80", "");
    for (written, nothing, needed) in [
        ("port = 8080", "port = null", "listener needs `port`"),
        ("type = \"forward\"", "type = null", "default_action needs `type`"),
        ("= aws_lb_target_group.app.arn", "= null", "default_action needs `target_group_arn`"),
        ("= aws_lb_target_group.app.arn", "= \"\"", "default_action needs `target_group_arn`"),
    ] {
        let fault = parse(&text.replace(written, nothing)).unwrap_err();
        assert!(fault.contains(needed), "{fault}");
    }
    let two = "load_balancer \"a\" {}\nload_balancer \"b\" {}\nlistener \"web\" {\nload_balancer_arn = null\nport = \
               80\ndefault_action {\ntype = \"fixed-response\"\nfixed_response {\ncontent_type = \
               \"text/plain\"\nstatus_code = 200\n}\n}\n}\n";
    assert!(parse(two).unwrap_err().contains("the listener names none of several load balancers"));
    // With another action, an empty reference is none.
    let fixed = two
        .replace("load_balancer \"b\" {}\n", "")
        .replace("type = \"f", "target_group_arn = \"\"\ntype = \"f");
    assert!(matches!(parse(&fixed).unwrap().listeners[0].default_action, Action::FixedResponse(_)));
}

/// What is said of a rule with these conditions: every line, behind its place.
fn said_of_conditions(conditions: &str) -> Vec<String> {
    let rule = format!(
        "resource \"aws_lb_listener_rule\" \"r\" {{\nlistener_arn = aws_lb_listener.web.arn\naction {{\ntype = \"forward\"\n\
         target_group_arn = aws_lb_target_group.app.arn\n}}\n{conditions}\n}}"
    );
    let said = parse(&with_listener("port = 80", &rule)).unwrap_err();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn a_condition_of_old_providers_is_what_the_block_of_its_kind_is() {
    let conditions = |conditions: &str| {
        let rule = format!(
            "variable \"hosts\" {{\ndefault = [\"a.example.com\", \"b.example.com\"]\n}}\n\
             resource \"aws_lb_listener_rule\" \"r\" {{\nlistener_arn = \"${{aws_lb_listener.web.arn}}\"\naction {{\n\
             type = \"forward\"\ntarget_group_arn = \"${{aws_lb_target_group.app.arn}}\"\n}}\n{conditions}\n}}"
        );
        parse(&with_listener("port = 80", &rule)).map(|read| read.listeners[0].rules[0].conditions.clone())
    };
    let wildcards = |texts: &[&str]| texts.iter().map(|text| TextPattern::Wildcard((*text).into())).collect();
    for (written, read) in [
        (
            "condition {\nfield = \"path-pattern\"\nvalues = [\"/x/*\"]\n}",
            vec![Condition::PathPattern(wildcards(&["/x/*"]))],
        ),
        (
            "condition {\nvalues = \"${var.hosts}\"\nfield = \"${true ? \"host-header\" : \"path-pattern\"}\"\n}\n\
             condition {\nfield = \"path-pattern\"\nvalues = [\"/a\"]\n}",
            vec![
                Condition::HostHeader(wildcards(&["a.example.com", "b.example.com"])),
                Condition::PathPattern(wildcards(&["/a"])),
            ],
        ),
    ] {
        assert_eq!(conditions(written).unwrap_or_else(|fault| panic!("{written}: {fault}")), read);
    }
    for (written, said) in [
        (
            "condition {\nfield = \"path-pattern\"\nvalues = [\"/{x}\"]\n}",
            "`values` holds \"/{x}\"; allowed: 1 to 128 of",
        ),
        (
            "condition {\nfield = \"path-pattern\"\n}",
            "A condition value must be specified; allowed: `values` = a list",
        ),
        (
            "condition {\nfield = \"path-pattern\"\nvalues = [\"/a\"]\n}\ncondition {\npath_pattern {\nvalues = [\"/b\"]\n}\n}",
            "a second `path_pattern` condition is not supported",
        ),
    ] {
        let fault = conditions(written).unwrap_err();
        assert!(fault.contains(said) && fault.lines().count() == 1, "{written}: {fault}");
    }
}

#[test]
fn a_condition_of_old_providers_that_never_was_is_one_fault_with_what_to_write() {
    const NEVER: &str = "in a condition is of no version of Terraform's AWS provider; allowed:";
    const ANY: &str = "a block such as `path_pattern { values = [...] }`, which may be host_header, path_pattern, \
                       http_request_method, source_ip, http_header, query_string";
    for (conditions, said) in [
        (
            "condition {\nfield = \"source-ip\"\nvalues = [\"10.0.0.0/8\"]\n}",
            format!("`field` = \"source-ip\" {NEVER} `source_ip {{ values = [...] }}`"),
        ),
        (
            "condition {\nfield = \"path\"\nvalues = [\"/x/*\"]\n}",
            format!("`field` = \"path\" {NEVER} {ANY}"),
        ),
        (
            "condition {\nvalues = [\"/x/*\"]\n}",
            format!("`values` in a condition does not say of what; allowed: {ANY}"),
        ),
        (
            "condition {\nfield = \"path-pattern\"\npath_pattern {\nvalues = [\"/x/*\"]\n}\n}",
            format!("`field` = \"path-pattern\" {NEVER} the block of its kind alone, leave it out"),
        ),
        (
            "condition {\nfield = var.nothing\nvalues = [\"/x/*\"]\n}",
            "`field`: there is no variable `nothing`".to_owned(),
        ),
    ] {
        let found = said_of_conditions(conditions);
        assert!(found.len() == 1 && found[0].contains(&said), "{conditions}\n{found:#?}");
    }
    // What says nothing is nothing.
    let path =
        "condition {\nfield = null\nvalues = null\npath_pattern {\nvalues = [\"/a\"]\n}\n}\ncondition {\n}";
    let found = said_of_conditions(path);
    assert!(found.len() == 1 && found[0].contains("a condition holds nothing"), "{found:?}");
}

#[test]
fn a_condition_of_old_providers_is_read_in_json() {
    let text = "{\"listener\": {\"web\": {\"port\": 80, \"default_action\": {\"type\": \"fixed-response\", \"fixed_response\": \
                {\"content_type\": \"text/plain\", \"status_code\": 200}}}},\n\"listener_rule\": {\"r\": {\"listener_arn\": \"${listener.web.arn}\", \
                \"action\": {\"type\": \"fixed-response\", \"fixed_response\": {\"content_type\": \"text/plain\", \"status_code\": 200}},\n\
                \"condition\": [{\"field\": \"path-pattern\", \"values\": [\"/x/*\"]}]}}}";
    let read = config::parse(&[(PathBuf::from("main.tf.json"), text.to_owned())]).unwrap();
    let wildcard = vec![TextPattern::Wildcard("/x/*".into())];
    assert_eq!(read.listeners[0].rules[0].conditions, [Condition::PathPattern(wildcard)]);
}

#[test]
fn a_load_balancer_that_stands_elsewhere_has_the_defaults() {
    let listener = |arn: &str, port: u16| {
        format!(
            "resource \"aws_lb_listener\" \"l{port}\" {{\nload_balancer_arn = {arn}\nport = {port}\ndefault_action {{\n\
             type = \"forward\"\ntarget_group_arn = aws_lb_target_group.app.arn\n}}\n}}\n"
        )
    };
    let group = "resource \"aws_lb_target_group\" \"app\" {\nport = 80\n}\n";
    let own = "resource \"aws_lb\" \"own\" {\nname = \"default\"\nidle_timeout = 7\n}\n";
    let arn = "\"arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/1\"";
    let text = [group, own, &listener("aws_lb.own.arn", 80), &listener(arn, 81)].concat();
    let read = parse(&text).unwrap();
    let timeouts: Vec<(String, u64)> = read
        .listeners
        .iter()
        .map(|listener| &read.load_balancers[listener.load_balancer])
        .map(|balancer| (balancer.name.clone(), balancer.idle_timeout.as_secs()))
        .collect();
    // No two have one name.
    assert_eq!(timeouts, [("default".to_owned(), 7), ("default-2".to_owned(), 60)]);
    assert!(read.remarks.iter().any(|remark| {
        let remark = remark.to_string();
        remark.contains("is a load balancer that does not stand here") && remark.starts_with("main.tf:17:1:")
    }));

    // What is meant to stand here, what is none of applications, and what is no ARN stay faults.
    for (arn, said) in [
        ("aws_lb.other.arn", "there is no load balancer \"other\""),
        ("\"arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/x/1\"", "is a load balancer of AWS"),
        ("\"other\"", "there is no load balancer \"other\""),
        ("aws_lb_target_group.app.arn", "is no reference to a load balancer"),
    ] {
        let fault = parse(&[group, &listener(arn, 81)].concat()).unwrap_err();
        assert!(fault.contains(said) && fault.lines().count() == 1, "{arn}: {fault}");
    }
    let twice = [group, &listener("module.a.arn", 81), &listener("module.b.arn", 81).replace("l81", "other")];
    let fault = parse(&twice.concat()).unwrap_err();
    assert!(fault.contains("an `address` of this host for each of them"), "{fault}");
}

#[test]
fn what_modules_write_for_nothing_is_nothing() {
    let off = "port = 80\nstickiness {\nenabled = false\ntype = \"lb_cookie\"\ncookie_duration = 0\n}";
    assert!(parse(&with_listener(off, "")).unwrap().target_groups[0].stickiness.is_none());
    let on = parse(&with_listener(&off.replace("false", "true"), "")).unwrap_err();
    assert!(on.contains("`cookie_duration` = 0 is out of range"), "{on}");

    let rule = |condition: &str| {
        let rule = format!(
            "resource \"aws_lb_listener_rule\" \"r\" {{\nlistener_arn = aws_lb_listener.web.arn\npriority = 1\naction {{\n\
             type = \"forward\"\ntarget_group_arn = aws_lb_target_group.app.arn\n}}\ncondition {{\n{condition}\n}}\n}}\n"
        );
        parse(&with_listener("port = 80", &rule)).map(|read| read.listeners[0].rules[0].conditions.clone())
    };
    let wildcard = [Condition::PathPattern(vec![TextPattern::Wildcard("/a".into())])];
    assert_eq!(rule("path_pattern {\nvalues = [\"/a\"]\nregex_values = []\n}").unwrap(), wildcard);
    let regex = [Condition::PathPattern(vec![TextPattern::Regex("^/a".into())])];
    assert_eq!(rule("path_pattern {\nvalues = []\nregex_values = [\"^/a\"]\n}").unwrap(), regex);
    let none = rule("path_pattern {\nvalues = []\nregex_values = []\n}").unwrap_err();
    assert!(none.contains("A condition value must be specified") && none.lines().count() == 1, "{none}");
    let query = rule("query_string {\nkey = \"\"\nvalue = \"x\"\n}").unwrap();
    assert_eq!(query, rule("query_string {\nvalue = \"x\"\n}").unwrap());
}

#[test]
fn strip_markers_take_blanks_away() {
    let body = |text: &str| {
        let listener = format!(
            "variable \"x\" {{\ndefault = \"X\"\n}}\nlistener \"a\" {{\nport = 80\ndefault_action {{\ntype = \"fixed-response\"\n\
             fixed_response {{\ncontent_type = \"text/plain\"\nstatus_code = 200\nmessage_body = {text}\n}}\n}}\n}}\n"
        );
        match &parse(&listener).unwrap().listeners[0].default_action {
            Action::FixedResponse(response) => response.body.clone(),
            other => panic!("{other:?}"),
        }
    };
    for (text, is) in [
        ("\"a ${ var.x } b\"", "a X b"),
        ("\"a ${~ var.x } b\"", "aX b"),
        ("\"a ${ var.x ~} b\"", "a Xb"),
        ("\"a \\n ${~ var.x ~} \\n b\"", "aXb"),
        ("\" ${~ var.x ~} ${~ var.x ~} \"", "XX"),
        ("<<EOT\na ${~ var.x ~} b\nEOT", "aXb\n"),
        // It ends where its word is alone in a line.
        ("<<EOT\nEOT2\n EOT x\nEOT.\n  EOT\n", "EOT2\n EOT x\nEOT.\n"),
        ("<<-X\n    X y\n  z\n  X\n", "  X y\nz\n"),
        // A heredoc is read line by line, as Terraform reads it.
        ("<<EOT\na\n  ${~ var.x ~}  \n  b\nEOT", "a\nX  b\n"),
    ] {
        assert_eq!(body(text), is, "{text}");
    }
}
