//! Folders as Terraform reads them: values of variables, JSON, overrides, and what stands beside load balancers.
use std::{fs, path::PathBuf};

use balancer::{
    config,
    model::{Action, Configuration},
};

/// Files in the order in which a folder gives them.
pub(super) fn read(files: &[(&str, &str)]) -> Result<Configuration, String> {
    let mut files: Vec<(PathBuf, String)> =
        files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
    files.sort();
    config::parse(&files).map_err(|errors| errors.to_string())
}

pub(super) const EMPTY: (&str, &str) = ("z.tf", "");

/// A listener whose answer is a text.
pub(super) fn answering(body: &str) -> String {
    format!(
        "resource \"aws_lb_listener\" \"web\" {{\n  port = 8080\n  default_action {{\n    type = \
         \"fixed-response\"\n    fixed_response {{\n      content_type = \"text/html\"\n      status_code  = 200\n      \
         message_body = {body}\n    }}\n  }}\n}}\n"
    )
}

pub(super) fn answer(configuration: &Configuration) -> &str {
    match configuration.listeners.first().map(|listener| &listener.default_action) {
        Some(Action::FixedResponse(response)) => &response.body,
        other => panic!("{other:?}"),
    }
}

pub(super) fn body_of(value: &str, more: &str) -> Result<String, String> {
    read(&[("main.tf", &(answering(value) + more)), EMPTY]).map(|read| answer(&read).to_owned())
}

#[test]
fn heredocs_are_texts() {
    for (written, expected) in [
        ("<<EOF\n<p>é — \"q\" \\n</p>\n  x\nEOF", "<p>é — \"q\" \\n</p>\n  x\n"),
        ("<<-EOT\n    a\n      b\n    EOT", "a\n  b\n"),
        ("<<-EOT\n    ${var.greeting}!\n    EOT", "hello!\n"),
        ("<<EOT\n$${x} %%{y}\nEOT", "${x} %{y}\n"),
        ("<<EOT\nEOT", ""),
    ] {
        let read = body_of(written, "variable \"greeting\" { default = \"hello\" }\n");
        assert_eq!(read.as_deref(), Ok(expected), "{written}");
    }
    let long = format!("<<EOT\n{}\nEOT", "x".repeat(1024));
    assert!(body_of(&long, "").unwrap_err().contains("`message_body` is too long"));
}

#[test]
fn literals_are_written_as_json() {
    for (written, expected) in [
        (
            "jsonencode({ message = \"no <b>\", code = 4, list = [1, 2.5, true, null] })",
            "{\"code\":4,\"list\":[1,2.5,true,null],\"message\":\"no \\u003cb\\u003e\"}",
        ),
        ("jsonencode(\"a\\\"b\")", "\"a\\\"b\""),
        ("jsonencode(local.answer)", "{\"a\":\"hi\",\"b\":{}}"),
        ("\"<pre>${jsonencode([])}</pre>\"", "<pre>[]</pre>"),
    ] {
        assert_eq!(
            body_of(written, "locals {\n  answer = { b = {}, a = \"hi\" }\n}\n").as_deref(),
            Ok(expected)
        );
    }
    for (written, wrong) in [
        ("jsonencode({ a = aws_lb.x.arn })", "what is made of aws_lb.x.arn is not known here"),
        ("jsonencode({ a = uper(\"x\") })", "there is no function `uper`"),
        ("jsonencode(1, 2)", "`jsonencode` has 2 arguments"),
        ("file(\"x\")", "`file` cannot read"),
        ("provider::aws::arn_parse(\"x\")", "a function of a provider is not worked out here"),
    ] {
        let fault = body_of(written, "").unwrap_err();
        assert!(fault.contains(wrong) && fault.lines().count() == 1, "{written}: {fault}");
    }
}

#[test]
fn of_equal_keys_the_last_counts() {
    for (written, expected) in [
        ("jsonencode({ a = 1\n a = 2 })", "{\"a\":2}"),
        ("jsonencode({ a=1, a=2, a=3 })", "{\"a\":3}"),
        (
            "jsonencode({ \"a b\" = 1, \"a b\" : 2, c = { \"x\" = 1, \"x\" = 2 } })",
            "{\"a b\":2,\"c\":{\"x\":2}}",
        ),
        ("jsonencode({ a = 1, \"a\" = 2 })", "{\"a\":2}"),
        ("jsonencode({ é = 1, é = 2, b = 3 })", "{\"b\":3,\"é\":2}"),
        ("jsonencode({ 80 = 1, 80 = 2 })", "{\"80\":2}"),
        ("jsonencode({ true = 1, true = 2 })", "{\"true\":2}"),
    ] {
        assert_eq!(body_of(written, "").as_deref(), Ok(expected), "{written}");
    }
    // In what is not looked at, too, and a fault after it stays in its place.
    let foreign = "resource \"aws_ecs_task_definition\" \"x\" {\n  environment = { a = 1\n    a = 2 }\n}\n";
    assert_eq!(body_of("\"x\"", foreign).as_deref(), Ok("x"));
    let fault = body_of("\"x\"", &format!("{foreign}target_group \"a\" {{\n  port = 0\n}}\n")).unwrap_err();
    assert!(fault.starts_with("main.tf:17:10: `port` = 0 is out of range"), "{fault}");
    for (key, times) in [("a = 1\n", 500), ("a=1, ", 50), ("\"a\"=1, ", 500), ("\"\"=1,", 500)] {
        let many = format!("locals {{\n  x = {{ b = 2, {} }}\n}}\n", key.repeat(times));
        assert_eq!(body_of("local.x.b", &many).as_deref(), Ok("2"), "{key}");
    }
    // Keys that are put together are not told apart, nor are more than there are letters for.
    for (key, name) in [("\"${var.a}\"=1, ", "${var.a}"), ("a=1, ", "a")] {
        let many = format!("locals {{\n  x = {{ {} }}\n}}\n", key.repeat(200));
        let fault = body_of("\"x\"", &many).unwrap_err();
        let told = format!("`{name}` is given several times in the map; allowed: once");
        assert!(fault.contains(&told) && fault.lines().count() == 1, "{fault}");
    }
}

#[test]
fn parts_of_variables_are_values() {
    let more = "variable \"v\" {\n  default = { a = { b = [\"x\", \"y\"] }, other = no_such(\"z\") }\n}\nlocals {\n  l = var.v.a\n}\n";
    for (written, expected) in [
        ("var.v.a.b[1]", "y"),
        ("var.v[\"a\"].b[0]", "x"),
        ("local.l.b[0]", "x"),
        ("\"-${local.l[\"b\"][1]}\"", "-y"),
    ] {
        assert_eq!(body_of(written, more).as_deref(), Ok(expected), "{written}");
    }
    for written in ["var.v.c", "var.v.a.b[2]", "var.v.a.b.c", "var.v[\"c\"]"] {
        let fault = body_of(written, more).unwrap_err();
        assert!(
            fault.contains(&format!("`{written}` goes into a part of a variable that is not there")),
            "{fault}"
        );
    }
    assert!(body_of("local.l.b.c", more).unwrap_err().contains("`local.l.b.c` goes into a part"));
    for (written, wrong) in [
        ("var.v.a.b[count.index]", "`count.index` is known in blocks with `count` alone"),
        ("var.v[var.w]", "there is no variable `w`"),
        ("local.l.b[*]", "`message_body` = a list is no text"),
    ] {
        let fault = body_of(written, more).unwrap_err();
        assert!(fault.contains(wrong) && fault.lines().count() == 1, "{written}: {fault}");
    }
}

#[test]
fn values_of_variables_count_in_terraforms_order() {
    let main = answering("var.x") + "variable \"x\" { default = \"default\" }\n";
    let mut files = vec![("main.tf", main.as_str())];
    for (name, text, expected) in [
        ("terraform.tfvars", "x = \"one\"\n", "one"),
        ("terraform.tfvars.json", "{\"x\": \"two ${literal}\"}", "two ${literal}"),
        ("b.auto.tfvars", "x = \"three\"\n", "three"),
        ("a.auto.tfvars.json", "{\"x\": \"four\"}", "three"),
        ("c.auto.tfvars.json", "{\"x\": \"five\"}", "five"),
    ] {
        files.push((name, text));
        let read = read(&files).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(answer(&read), expected, "{name}");
        assert_eq!(config::warnings(&read), Vec::<String>::new());
    }
    let odd = [("main.tf", main.as_str()), ("terraform.tfvars", "y = 1\n")];
    let warnings = config::warnings(&read(&odd).unwrap());
    assert_eq!(
        warnings,
        ["terraform.tfvars:1:1: there is no variable `y`, so that its value here counts for nothing"]
    );
    for (text, wrong) in [
        ("x = var.y\n", "terraform.tfvars:1:5: `x` is no value as it stands"),
        ("x = upper(\"a\")\n", "terraform.tfvars:1:5: `x` is no value as it stands"),
        ("x {\n}\n", "terraform.tfvars:1:1: `x` is a block"),
        ("x = [\n", "terraform.tfvars:"),
    ] {
        let fault = read(&[("main.tf", &main), ("terraform.tfvars", text)]).unwrap_err();
        assert!(fault.starts_with(wrong), "{fault}");
    }
    // Nothing stands in for a value that Terraform does not take as one.
    let strict = answering("var.x") + "variable \"x\" {\n  default  = \"default\"\n  nullable = false\n}\n";
    assert_eq!(
        answer(&read(&[("main.tf", &strict), ("terraform.tfvars", "x = null\n")]).unwrap()),
        "default"
    );
}

const JSON_RULES: &str = r#"{
  "//": "made by a program",
  "resource": [{
    "aws_lb_listener_rule": {
      "admin": {
        "//": {"metadata": {}},
        "listener_arn": "${aws_lb_listener.web.arn}",
        "priority": 1,
        "action": {"type": "fixed-response", "fixed_response": [{"content_type": "text/plain", "status_code": "403"}]},
        "condition": [
          {"path_pattern": {"values": ["/admin/*"]}},
          {"host_header": {"values": ["${var.host}.example.com"]}}
        ],
        "transform": [],
        "tags": {"a": "b"},
        "depends_on": ["aws_lb_listener.web"]
      }
    }
  }],
  "variable": {"host": {"default": "api", "type": "string"}},
  "output": {"x": {"value": "${aws_lb_listener.web.arn}"}}
}"#;

#[test]
fn terraforms_json_is_read() {
    let read_with = |json: &str| read(&[("main.tf", &answering("\"x\"")), ("rules.tf.json", json)]);
    let read = read_with(JSON_RULES).unwrap();
    let [rule] = &read.listeners[0].rules[..] else { panic!("{:?}", read.listeners) };
    assert_eq!((rule.name.as_str(), rule.priority), ("admin", 1));
    assert_eq!(rule.conditions_text(), "path-pattern /admin/*, host-header api.example.com");
    assert!(matches!(&rule.action, Action::FixedResponse(response) if response.status == 403));

    for (from, to, fault) in [
        ("\"priority\": 1", "\"priority\": 0", "rules.tf.json:8:21: `priority` = 0 is out of range"),
        ("\"priority\"", "\"prioritty\"", "rules.tf.json:8:9: unknown attribute `prioritty`"),
        ("\"condition\"", "\"condition_\"", "rules.tf.json:10:9: unknown block `condition_`"),
        (
            "\"transform\": []",
            "\"dynamic\": {\"transform\": {}}",
            "rules.tf.json:14:9: a `dynamic` block needs a label",
        ),
        ("web.arn}\",", "web.arn\",", "rules.tf.json:7:25: syntax error in the text"),
        (
            "\"transform\": [],",
            "\"transform\": [1 2],",
            "rules.tf.json:14:25: syntax error in JSON; expected `,` or `]`",
        ),
        (
            "\"tags\": {\"a\": \"b\"}",
            "\"priority\": 2",
            "rules.tf.json:15:9: `priority` is given twice, first at rules.tf.json:8:9",
        ),
    ] {
        let faults = read_with(&JSON_RULES.replacen(from, to, 1)).unwrap_err();
        assert!(faults.contains(fault), "{to}: {faults}");
    }
    assert!(read_with("[1]").unwrap_err().starts_with("rules.tf.json:1:2: this is no object"));
    // Alone, by its name.
    let alone =
        config::parse(&[(PathBuf::from("x.tf.json"), "{\"target_group\": {\"a\": {\"port\": 80}}}".into())]);
    assert_eq!(alone.unwrap().target_groups[0].port, 80);
}

#[test]
fn overrides_are_put_over_blocks() {
    let main = "resource \"aws_lb_target_group\" \"app\" {\n  port = 80\n  slow_start = 30\n  stickiness {\n    type = \
                \"lb_cookie\"\n    cookie_duration = 60\n  }\n  health_check {\n    path = \"/a\"\n  }\n  lifecycle {\n    \
                create_before_destroy = true\n  }\n}\nlocals {\n  x = 1\n  y = 2\n}\n";
    let over = "resource \"aws_lb_target_group\" \"app\" {\n  port = local.x\n  stickiness {\n    type = \
                \"lb_cookie\"\n  }\n}\nlocals {\n  x = 8080\n}\nterraform {}\n";
    let listener = answering("\"x\"");
    let read_with = |name: &str, over: &str| read(&[("main.tf", &(listener.clone() + main)), (name, over)]);
    for name in ["override.tf", "a_override.tf", "a_override.hcl"] {
        let read = read_with(name, over).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let group = &read.target_groups[0];
        assert_eq!((group.port, group.health_check.path.as_str()), (8080, "/a"));
        let stickiness = group.stickiness.as_ref().unwrap();
        assert_eq!(
            stickiness.duration_seconds, 86_400,
            "a nested block takes the place of those of its kind"
        );
        assert_eq!(group.slow_start.map(|slow| slow.as_secs()), Some(30));
    }
    let json = "{\"resource\": {\"aws_lb_target_group\": {\"app\": {\"port\": 81}}}}";
    assert_eq!(read_with("override.tf.json", json).unwrap().target_groups[0].port, 81);
    for (over, fault) in [
        (
            "resource \"aws_lb_target_group\" \"b\" {}\n",
            "override.tf:1:1: there is no resource aws_lb_target_group.b",
        ),
        ("locals {\n  z = 1\n}\n", "override.tf:2:3: there is no local `z`"),
        ("x = 1\n", "override.tf:1:1: `x` stands outside of a block"),
        (
            "resource \"aws_lb_target_group\" \"app\" {\n  port = 0\n}\n",
            "override.tf:2:10: `port` = 0 is out of range",
        ),
        (
            "listener \"web\" {\n  address = \"127.0.0.1\"\n}\n",
            "override.tf:1:1: `listener` is not what is to be put over here; allowed: resource \"aws_lb_listener\" \"web\", \
             as it is written in the other file",
        ),
        ("target_group \"app\" {}\n", "override.tf:1:1: `target_group` is not what is to be put over here"),
    ] {
        let faults = read_with("override.tf", over).unwrap_err();
        assert!(faults.starts_with(fault) && faults.lines().count() == 1, "{over}\n{faults}");
    }
    assert_eq!(read_with("override.tf", "target_group \"new\" {}\n").unwrap().target_groups.len(), 2);
    // What holds on this host alone can be added there.
    let host = "balancer {\n  instance = \"here\"\n}\nresource \"aws_lb_listener\" \"web\" {\n  address = \"127.0.0.1\"\n}\n";
    let read = read_with("local_override.hcl", host).unwrap();
    assert_eq!(
        (read.balancer.instance.as_str(), read.listeners[0].address),
        ("here", "127.0.0.1:8080".parse().unwrap())
    );
}

#[test]
fn two_load_balancers_on_one_port_are_told_the_way_out() {
    let listener = |name: &str| {
        answering("\"x\"")
            .replace("\"web\" {", &format!("\"{name}\" {{\n  load_balancer_arn = aws_lb.{name}.arn"))
    };
    let main = format!(
        "resource \"aws_lb\" \"a\" {{}}\nresource \"aws_lb\" \"b\" {{}}\n{}{}",
        listener("a"),
        listener("b")
    );
    let fault = read(&[("main.tf", &main), EMPTY]).unwrap_err();
    assert!(
        fault.contains("is taken by the listener on 0.0.0.0:8080 at main.tf:5:10, of another load balancer"),
        "{fault}"
    );
    let way_out =
        "resource \"aws_lb_listener\" \"b\" { address = \"10.0.0.1\" }, in a file local_override.hcl";
    assert!(fault.contains(way_out), "{fault}");
    let over = "resource \"aws_lb_listener\" \"a\" { address = \"10.0.0.1\" }\nresource \"aws_lb_listener\" \"b\" { address = \"10.0.0.2\" }\n";
    assert_eq!(read(&[("main.tf", &main), ("local_override.hcl", over)]).unwrap().listeners.len(), 2);
}

#[test]
fn terraforms_values_can_be_said() {
    let main = answering("\"${terraform.workspace} ${module.x.y}\"")
        + "resource \"aws_lb_target_group\" \"app\" {\n  port = 80\n}\n\
           resource \"aws_lb_target_group_attachment\" \"a\" {\n  target_group_arn = aws_lb_target_group.app.arn\n  \
           target_id = aws_instance.web[0].id\n}\n\
           resource \"aws_lb_target_group_attachment\" \"b\" {\n  target_group_arn = aws_lb_target_group.app.arn\n  \
           target_id = \"i-0123456789abcdef0\"\n  port = 81\n}\n";
    let without = read(&[("main.tf", &main), EMPTY]).unwrap_err();
    assert_eq!(without.lines().count(), 3, "{without}");
    assert_eq!(without.matches(" under `terraform_values` of the `balancer` block").count(), 3, "{without}");
    assert!(!without.contains("terraform.workspace"), "{without}");
    let host = "balancer {\n  terraform_values = {\n    \"terraform.workspace\" = \"prod\"\n    \"module.x.y\" = \"z\"\n    \
                \"aws_instance.web.id\" = [\"10.0.0.1\", \"10.0.0.2\"]\n    \"i-0123456789abcdef0\" = \"10.0.0.3\"\n  }\n}\n";
    let with = read(&[("main.tf", &main), ("local.hcl", host)]).unwrap();
    assert_eq!(answer(&with), "prod z");
    let targets: Vec<String> = with.target_groups[0]
        .targets
        .iter()
        .map(|target| format!("{:?}:{}", target.address, target.port))
        .collect();
    assert_eq!(targets, ["Ip(10.0.0.1):80", "Ip(10.0.0.3):81"]);
    let counted = main.replace(
        "target_id = aws_instance.web[0].id",
        "count = length(aws_instance.web)\n  target_id = aws_instance.web[count.index].id",
    );
    let with = read(&[("main.tf", &counted), ("local.hcl", host)]).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(with.target_groups[0].targets.len(), 3, "a list is all that a counted block makes");
    for wrong in ["local.x", "[\"a\"]", "\"a\"", "{ (var.a) = 1 }"] {
        let more = format!(
            "variable \"a\" {{ default = \"b\" }}\nlocals {{\n  x = {{ a = 1 }}\n}}\nbalancer {{\n  terraform_values = {wrong}\n}}\n"
        );
        let fault = read(&[("main.tf", &answering("\"x\"")), ("local.hcl", &more)]).unwrap_err();
        assert!(fault.contains("`terraform_values` is no map"), "{wrong}: {fault}");
    }
}

/// Warnings about a folder with a load balancer, a listener and a group.
fn warnings_with(more: &str) -> Vec<String> {
    let main = "resource \"aws_lb\" \"a\" {}\nresource \"aws_lb_target_group\" \"t\" {\n  port = 80\n}\n\
                resource \"aws_lb_target_group_attachment\" \"t\" {\n  target_group_arn = aws_lb_target_group.t.arn\n  \
                target_id = \"127.0.0.1\"\n}\n\
                resource \"aws_lb_listener\" \"web\" {\n  load_balancer_arn = aws_lb.a.arn\n  port = 8080\n  \
                default_action {\n    type = \"forward\"\n    target_group_arn = aws_lb_target_group.t.arn\n  }\n}\n";
    let read =
        read(&[("main.tf", main), ("more.tf", more)]).unwrap_or_else(|fault| panic!("{more}: {fault}"));
    config::warnings(&read)
}

#[test]
fn what_protects_or_feeds_a_load_balancer_and_is_not_here_is_told() {
    for (more, place, words) in [
        (
            "resource \"aws_wafv2_web_acl_association\" \"w\" {\n  resource_arn = aws_lb.a.arn\n}\n",
            "more.tf:1:1",
            "aws_wafv2_web_acl_association.w: aws_lb.a is behind a firewall",
        ),
        (
            "resource \"aws_wafregional_web_acl_association\" \"w\" {\n  resource_arn = local.lb\n}\nlocals {\n  lb = aws_lb.a.arn\n}\n",
            "more.tf:1:1",
            "aws_lb.a is behind a firewall",
        ),
        (
            "resource \"aws_wafv2_web_acl_association\" \"w\" {\n  resource_arn = data.aws_lb.b.arn\n}\n",
            "more.tf:1:1",
            "is behind a firewall",
        ),
        (
            "resource \"aws_shield_protection\" \"s\" {\n  resource_arn = aws_lb.a.arn\n}\n",
            "more.tf:1:1",
            "Shield",
        ),
        (
            "resource \"aws_shield_protection\" \"s\" {\n  resource_arn = \"arn:${var.p}:elasticloadbalancing:x:1:${var.l}\"\n}\n",
            "more.tf:1:1",
            "Shield",
        ),
        (
            "resource \"aws_autoscaling_attachment\" \"x\" {\n  lb_target_group_arn = aws_lb_target_group.t.arn\n}\n",
            "more.tf:1:1",
            "aws_lb_target_group.t gets targets from it",
        ),
        (
            "resource \"aws_autoscaling_group\" \"x\" {\n  target_group_arns = concat([aws_lb_target_group.t.arn], [])\n}\n",
            "more.tf:1:1",
            "gets targets from it",
        ),
        (
            "\nresource \"aws_ecs_service\" \"s\" {\n  load_balancer {\n    target_group_arn = aws_lb_target_group.t.arn\n  }\n}\n",
            "more.tf:2:1",
            "gets targets from it",
        ),
        (
            "resource \"aws_ecs_service\" \"s\" {\n  dynamic \"load_balancer\" {\n    for_each = [for g in [aws_lb_target_group.t] : g.arn]\n  }\n}\n",
            "more.tf:1:1",
            "gets targets from it",
        ),
        (
            "resource \"aws_codedeploy_deployment_group\" \"d\" {\n  load_balancer_info {\n    target_group_info {\n      name = aws_lb_target_group.t.name\n    }\n  }\n}\n",
            "more.tf:1:1",
            "switched between groups",
        ),
        (
            "module \"rules\" {\n  source = \"./rules\"\n  listener = aws_lb_listener.web.arn\n}\n",
            "more.tf:1:1",
            "module.rules is given aws_lb_listener.web",
        ),
        (
            "module \"vpc\" {\n  source = \"terraform-aws-modules/vpc/aws\"\n  x = { y = [aws_alb_listener.web.arn] }\n}\n",
            "more.tf:1:1",
            "module.vpc is given",
        ),
        (
            "module \"alb\" {\n  source = \"terraform-aws-modules/alb/aws\"\n}\n",
            "more.tf:1:1",
            "module.alb is not read",
        ),
        (
            "module \"x\" {\n  source = \"git::https://example.com/vpc.git\"\n}\n",
            "more.tf:1:1",
            "module.x is not read",
        ),
        (
            "resource \"null_resource\" \"n\" {\n  triggers = { a = \"x${aws_lb_listener.web.arn}\" }\n}\n",
            "more.tf:1:1",
            "null_resource.n is given aws_lb_listener.web",
        ),
        ("resource \"aws_elb\" \"e\" {}\n", "more.tf:1:1", "aws_elb.e is of Classic Load Balancers"),
        (
            "resource \"aws_lb_cookie_stickiness_policy\" \"e\" {}\n",
            "more.tf:1:1",
            "is of Classic Load Balancers",
        ),
        (
            "resource \"aws_lb_target_group\" \"u\" {\n  lifecycle {\n    ignore_changes = [tags, port]\n  }\n}\n",
            "more.tf:3:5",
            "`ignore_changes` names `port`",
        ),
        (
            "resource \"aws_lb_target_group\" \"u\" {\n  lifecycle {\n    ignore_changes = all\n  }\n}\n",
            "more.tf:3:5",
            "`ignore_changes` names `all`",
        ),
    ] {
        let warnings = warnings_with(more);
        let told: Vec<&String> = warnings.iter().filter(|warning| warning.starts_with("more.tf:")).collect();
        let [one] = &told[..] else { panic!("{more}: {warnings:?}") };
        assert!(one.starts_with(&format!("{place}: ")) && one.contains(words), "{more}: {one}");
    }
}

#[test]
fn what_changes_nothing_is_not_told() {
    for more in [
        "resource \"aws_route53_record\" \"r\" {\n  alias {\n    name = aws_lb.a.dns_name\n    zone_id = aws_lb.a.zone_id\n  }\n}\n",
        "resource \"aws_cloudwatch_metric_alarm\" \"m\" {\n  dimensions = { LoadBalancer = aws_lb.a.arn_suffix }\n}\n",
        "resource \"aws_ecs_service\" \"s\" {\n  depends_on = [aws_lb_listener.web]\n}\n",
        // Who is told of a name, and of nothing else, gives it no targets.
        "resource \"aws_ecs_service\" \"s\" {\n  tags = { lb = aws_lb.a.name }\n}\n",
        "resource \"aws_autoscaling_group\" \"g\" {\n  tag {\n    value = \"at-${aws_lb.a.dns_name}\"\n  }\n}\n",
        "resource \"aws_elastic_beanstalk_environment\" \"e\" {\n  setting {\n    value = aws_lb.a.dns_name\n  }\n}\n",
        "resource \"aws_shield_protection\" \"s\" {\n  resource_arn = \"arn:aws:ec2:x:1:eip-allocation/${aws_eip.x.id}\"\n}\n",
        "resource \"aws_shield_protection\" \"s\" {\n  resource_arn = \"arn:${var.p}:ec2:x:1:eip-allocation/${aws_eip.x.id}\"\n}\n",
        "resource \"aws_ecs_service\" \"s\" {\n  load_balancer {\n    target_group_arn = module.other.arn\n  }\n}\n",
        "resource \"aws_wafv2_web_acl_association\" \"w\" {\n  resource_arn = aws_api_gateway_stage.x.arn\n}\n",
        "resource \"aws_wafv2_web_acl_association\" \"w\" {\n  count = 0\n  resource_arn = aws_lb.a.arn\n}\n",
        "resource \"aws_autoscaling_policy\" \"p\" {\n  label = aws_lb_target_group.t.arn\n}\n",
        "resource \"null_resource\" \"n\" {\n  triggers = { a = aws_lb.a.dns_name }\n}\n",
        "module \"vpc\" {\n  source  = \"terraform-aws-modules/vpc/aws\"\n  version = \"5.0\"\n}\n",
        "module \"label\" {\n  source = \"cloudposse/label/null\"\n}\n",
        "resource \"aws_vpc\" \"v\" {}\noutput \"o\" {\n  value = aws_lb.a.arn\n}\naction \"aws_x\" \"y\" {}\n",
        "resource \"aws_ecs_task_definition\" \"x\" {\n  lifecycle {\n    ignore_changes = all\n  }\n}\n",
    ] {
        assert_eq!(warnings_with(more), Vec::<String>::new(), "{more}");
    }
}

#[test]
fn files_that_are_left_alone_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("main.tf", &(answering("var.x") + "variable \"x\" { default = \"y\" }\n"));
    file("x.tftest.hcl", "run \"a\" {}\n");
    file(".terraform.lock.hcl", "x = 1\n");
    file("main.tf~", "syntax error");
    file("package.json", "{}");
    let warnings = || config::warnings(&config::load(folder.path()).unwrap());
    assert_eq!(warnings(), Vec::<String>::new());
    file("prod.tfvars", "x = 1\n");
    file("more.tofu", "x");
    file("terragrunt.hcl", "inputs = {}\n");
    let told = warnings();
    assert_eq!(told.len(), 3, "{told:?}");
    for (line, (name, words)) in told.iter().zip([
        ("more.tofu", "is OpenTofu's and not read"),
        ("prod.tfvars", "is not read, since Terraform reads it only where it is named"),
        ("terragrunt.hcl", "is Terragrunt's and not read"),
    ]) {
        assert!(line.contains(name) && line.contains(words), "{line}");
    }
    let alone = config::warnings(&config::load(&folder.path().join("main.tf")).unwrap());
    assert_eq!(alone, Vec::<String>::new());
    file("terraform.tfvars", "x = \"z\"\n");
    assert_eq!(answer(&config::load(folder.path()).unwrap()), "z");
    let alone = config::warnings(&config::load(&folder.path().join("main.tf")).unwrap());
    assert!(
        alone.len() == 1 && alone[0].contains("is read alone") && alone[0].contains("terraform.tfvars"),
        "{alone:?}"
    );
}

#[test]
fn trust_stores_of_s3_have_files_under_the_same_label() {
    let s3 =
        "resource \"aws_lb_trust_store\" \"s\" {}\nresource \"aws_lb_trust_store_revocation\" \"r\" {}\n";
    let fault = read(&[("main.tf", &(answering("\"x\"") + s3)), EMPTY]).unwrap_err();
    for kind in ["trust_store", "trust_store_revocation"] {
        let words = format!(
            "`aws_lb_{kind}` has its files in S3; allowed: `{kind}`, which names files, with the same label"
        );
        assert!(fault.contains(&words), "{fault}");
    }
    let ours = "trust_store \"s\" {\n  ca_certificates_bundle_file = \"no.pem\"\n}\n";
    let fault = read(&[("main.tf", &(answering("\"x\"") + s3)), ("local.hcl", ours)]).unwrap_err();
    assert!(!fault.contains("`aws_lb_trust_store` has"), "{fault}");
}

#[test]
fn files_of_certificates_are_found_from_the_folder_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(["example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.path().join("cert.pem"), made.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let host = "certificate \"web\" {\n  certificate_file = \"cert.pem\"\n  private_key_file = \"key.pem\"\n}\n\
                balancer {\n  terraform_values = {\n    \"aws_acm_certificate.cert\" = certificate.web.arn\n    \
                \"arn:aws:acm:eu-west-1:123456789012:certificate/x\" = certificate.web.arn\n  }\n}\n";
    fs::write(folder.path().join("local.hcl"), host).unwrap();
    for certificate in
        ["aws_acm_certificate.cert.arn", "\"arn:aws:acm:eu-west-1:123456789012:certificate/x\""]
    {
        let main = answering("\"x\"").replace(
            "port = 8080",
            &format!("port = 8443\n  protocol = \"HTTPS\"\n  certificate_arn = {certificate}"),
        );
        fs::write(folder.path().join("main.tf"), main).unwrap();
        let read = config::load(folder.path()).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(read.listeners[0].tls.as_ref().unwrap().default_certificate.name, "web");
    }
    fs::write(folder.path().join("local.hcl"), "").unwrap();
    let fault = config::load(folder.path()).unwrap_err().to_string();
    assert!(
        fault.contains("which cannot be reached from here (say which it is here under `terraform_values`"),
        "{fault}"
    );
}
