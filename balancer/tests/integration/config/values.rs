//! What values come to: types of variables that fill them in, what is known elsewhere, functions.

use balancer::model::{Action, Configuration};

use super::folders::{answering, read};

fn port(more: &str, value: &str) -> Result<u16, String> {
    let text = format!("{more}\ntarget_group \"a\" {{\n  port = {value}\n}}\n");
    read(&[("main.tf", &text), ("z.tf", "")]).map(|read| read.target_groups[0].port)
}

#[test]
fn what_may_be_left_out_of_a_variable_is_what_its_type_says() {
    let app = "variable \"app\" {\n  type = object({\n    name = string\n    port = optional(number, 81)\n    check = \
               optional(object({\n      port = optional(number, 82)\n      path = optional(string)\n    }), {})\n    none = \
               optional(number)\n  })\n  default = DEFAULT\n}\n";
    for (default, value, expected) in [
        ("{ name = \"x\" }", "var.app.port", 81),
        ("{ name = \"x\", port = null }", "var.app.port", 81),
        ("{ name = \"x\", port = 90 }", "var.app.port", 90),
        ("{ name = \"x\", port = 90, port = 91 }", "var.app[\"port\"]", 91),
        ("{ name = \"x\" }", "var.app.check.port", 82),
        ("{ name = \"x\", check = {} }", "var.app.check.port", 82),
        ("{ name = \"x\", check = { port = 92, path = \"/\" } }", "var.app.check.port", 92),
        ("{ name = \"x\" }", "local.app.check.port", 82),
    ] {
        let text = app.replace("DEFAULT", default) + "locals {\n  app = var.app\n}\n";
        assert_eq!(port(&text, value), Ok(expected), "{default} {value}");
    }
    // What has no default is null, which is nothing.
    let group = |value: &str| {
        let text = format!(
            "{}target_group \"a\" {{\n  slow_start = {value}\n  port = 80\n}}\n",
            app.replace("DEFAULT", "{ name = \"x\" }")
        );
        read(&[("main.tf", &text), ("z.tf", "")]).map(|read| read.target_groups[0].slow_start)
    };
    assert_eq!(group("var.app.none"), Ok(None));
    // What the type does not have is not there, for Terraform either.
    let fault = port(&app.replace("DEFAULT", "{ name = \"x\", other = 5 }"), "var.app.other").unwrap_err();
    assert!(fault.contains("`var.app.other` goes into a part of a variable that is not there"), "{fault}");

    for (kind, default, value) in [
        ("list(object({ port = optional(number, 83) }))", "[{}, { port = 5 }]", "var.x[0].port"),
        ("set(object({ port = optional(number, 83) }))", "[{}]", "tolist(var.x)[0].port"),
        ("map(object({ port = optional(number, 83) }))", "{ a = {}, b = { port = 5 } }", "var.x[\"a\"].port"),
        ("tuple([string, object({ port = optional(number, 83) })])", "[\"x\", {}]", "var.x[1].port"),
        (
            "object({ a = optional(map(object({ p = optional(number, 83) })), { b = {} }) })",
            "{}",
            "var.x.a.b.p",
        ),
        ("object({ a = object({ p = optional(number, 83) }) })", "{ a = {} }", "var.x.a.p"),
    ] {
        let text = format!("variable \"x\" {{\n  type = {kind}\n  default = {default}\n}}\n");
        assert_eq!(port(&text, value), Ok(83), "{kind}");
    }
}

#[test]
fn values_of_files_are_filled_in_as_defaults_are() {
    let main = "variable \"x\" {\n  type = object({ port = optional(number, 84) })\n}\ntarget_group \"a\" {\n  port = \
                var.x.port\n}\n";
    let read_port = |files: &[(&str, &str)]| read(files).map(|read| read.target_groups[0].port);
    assert_eq!(read_port(&[("main.tf", main), ("terraform.tfvars", "x = {}\n")]), Ok(84));
    assert_eq!(read_port(&[("main.tf", main), ("terraform.tfvars", "x = { port = 85 }\n")]), Ok(85));
    let json = "{\"variable\": {\"x\": {\"type\": \"object({ port = optional(number, 86) })\"}}, \"resource\": \
                {\"aws_lb_target_group\": {\"a\": {\"port\": \"${var.x.port}\"}}}}";
    assert_eq!(read_port(&[("main.tf.json", json), ("a.auto.tfvars.json", "{\"x\": {}}")]), Ok(86));
}

#[test]
fn a_type_that_fills_in_too_much_is_a_fault() {
    let large = "1, ".repeat(400);
    let many = "{}, ".repeat(400);
    let text = format!(
        "variable \"x\" {{\n  type = list(object({{ a = optional(list(number), [{large}]), p = optional(number, 1) }}))\n  \
         default = [{many}]\n}}\n"
    );
    let fault = port(&text, "var.x[0].p").unwrap_err();
    assert!(fault.starts_with("main.tf:3:13: the type of the variable fills in too much"), "{fault}");
    assert_eq!(fault.lines().count(), 1, "{fault}");
}

/// What a response says that shows a variable of this type.
fn shown(kind: &str, files: &[(&str, &str)], shown: &str) -> Result<String, String> {
    let main = format!(
        "variable \"x\" {{\n  type = {kind}\n}}\nlistener \"web\" {{\n  port = 8080\n  default_action {{\n    type = \
         \"fixed-response\"\n    fixed_response {{\n      content_type = \"text/plain\"\n      status_code = 200\n      \
         message_body = {shown}\n    }}\n  }}\n}}\n"
    );
    let files: Vec<_> = std::iter::once(("main.tf", main.as_str())).chain(files.iter().copied()).collect();
    read(&files).map(|read| match &read.listeners[0].default_action {
        Action::FixedResponse(fixed) => fixed.body.clone(),
        action => panic!("{action:?}"),
    })
}

#[test]
fn a_value_becomes_what_the_type_of_its_variable_says() {
    for (kind, value, expected) in [
        ("number", "\"12\"", "12"),
        ("number", "\"007.50\"", "7.5"),
        ("number", "\"-3\"", "-3"),
        ("number", "\"1e3\"", "1000"),
        ("number", "null", "null"),
        ("string", "true", "\"true\""),
        ("string", "1.10", "\"1.1\""),
        ("\"string\"", "80", "\"80\""),
        ("bool", "\"1\"", "true"),
        ("bool", "\"false\"", "false"),
        ("any", "\"12\"", "\"12\""),
        ("map(string)", "{ x = 1 }", "{\"x\":\"1\"}"),
        ("list(number)", "[\"1\", \"2\"]", "[1,2]"),
        ("list(any)", "[\"a\", 2, true]", "[\"a\",\"2\",\"true\"]"),
        ("list", "[\"a\", 2]", "[\"a\",\"2\"]"),
        ("set(string)", "[\"b\", 1, \"a\", \"b\", \"1\"]", "[\"1\",\"a\",\"b\"]"),
        ("set(number)", "[\"10\", 9, 10]", "[9,10]"),
        ("tuple([number, string])", "[\"1\", 2]", "[1,\"2\"]"),
        (
            "object({ a = bool, b = optional(number, \"5\") })",
            "{ a = \"true\", c = 1 }",
            "{\"a\":true,\"b\":5}",
        ),
        ("map(object({ p = list(string) }))", "{ k = { p = [1] } }", "{\"k\":{\"p\":[\"1\"]}}"),
    ] {
        let default = format!("x = {value}\n");
        let body = shown(kind, &[("terraform.tfvars", &default)], "jsonencode(var.x)");
        assert_eq!(body.as_deref(), Ok(expected), "{kind} {value}");
    }
    assert_eq!(
        shown("bool", &[("a.auto.tfvars", "x = \"1\"\n")], "\"is ${var.x}\"").as_deref(),
        Ok("is true")
    );
    let json = shown("number", &[("a.auto.tfvars.json", "{\"x\": \"12\"}")], "jsonencode(var.x)");
    assert_eq!(json.as_deref(), Ok("12"));
    let default = "variable \"p\" {\n  type = list(number)\n  default = [\"81\"]\n}\n";
    assert_eq!(shown("any", &[("p.tf", default)], "jsonencode(var.p)").as_deref(), Ok("[81]"));
}

#[test]
fn a_value_that_does_not_become_what_its_type_says_is_a_fault() {
    for (kind, value, wrong) in [
        ("number", "\"x\"", "a text that is no number stands where the type of the variable says number"),
        ("number", "\"0x10\"", "a text that is no number stands"),
        ("number", "\"inf\"", "a text that is no number stands"),
        ("number", "true", "a truth value stands where the type of the variable says number"),
        ("bool", "\"yes\"", "a text that is no truth value stands where the type of the variable says bool"),
        ("bool", "1", "a number stands where the type of the variable says bool"),
        ("string", "[\"a\"]", "a list stands where the type of the variable says string"),
        ("list(string)", "\"a\"", "a text stands where the type of the variable says list"),
        ("list(number)", "[1, \"b\"]", "a text that is no number stands"),
        ("set(string)", "{ a = 1 }", "a map stands where the type of the variable says set"),
        ("map(string)", "[1]", "a list stands where the type of the variable says map"),
        ("tuple([number])", "[1, 2]", "a list stands where the type of the variable says tuple"),
        ("object({ a = number })", "{}", "an object lacks `a`, which the type of the variable says"),
        ("object({ a = number })", "[]", "a list stands where the type of the variable says object"),
    ] {
        let default = format!("x = {value}\n");
        let fault = shown(kind, &[("terraform.tfvars", &default)], "jsonencode(var.x)").unwrap_err();
        assert!(fault.starts_with("terraform.tfvars:1:") && fault.contains(wrong), "{kind} {value}: {fault}");
        assert!(fault.contains("; allowed: ") && fault.lines().count() == 1, "{kind} {value}: {fault}");
    }
    // A default is looked at also where another value counts.
    let files = [
        ("p.tf", "variable \"p\" {\n  type = number\n  default = \"x\"\n}\n"),
        ("a.auto.tfvars", "x = 1\np = 2\n"),
    ];
    let fault = shown("any", &files, "\"${var.p}\"").unwrap_err();
    assert!(
        fault.starts_with("p.tf:3:13: a text that is no number") && fault.lines().count() == 1,
        "{fault}"
    );
}

#[test]
fn equal_values_of_a_condition_count_once() {
    let rule = |condition: &str| {
        let from = "path_pattern {\n      values = [\"/a\"]\n    }";
        with(from, condition, "").map(|read| read.listeners[0].rules[0].conditions.clone())
    };
    let once = rule("path_pattern {\n      values = [\"/b\"]\n    }").unwrap();
    let often = "path_pattern {\n      values = [\"/b\", \"/b\", \"/b\", \"/b\", \"/b\", \"/b\"]\n    }";
    assert_eq!(rule(often), Ok(once));
    let query = "query_string {\n      value = \"x\"\n    }\n";
    assert_eq!(rule(&query.repeat(6)), rule(query));
    for (kind, more, value) in [
        ("host_header", "", "a.example"),
        ("http_request_method", "", "GET"),
        ("source_ip", "", "192.0.2.0/24"),
        ("http_header", "http_header_name = \"X-A\"\n", "v"),
    ] {
        let of = |times: usize| {
            let values = format!("\"{value}\", ").repeat(times);
            rule(&format!("{kind} {{\n{more}values = [{values}]\n}}"))
        };
        assert_eq!(of(6), of(1), "{kind}");
    }
}

const WAY_OUT: &str = "under `terraform_values` of the `balancer` block";

/// What is configured with one part of a whole in the place of another.
fn with(from: &str, to: &str, known: &str) -> Result<Configuration, String> {
    let main = "load_balancer \"lb\" {}\nload_balancer \"other\" {}\ntarget_group \"app\" {\n  port = 80\n  protocol = \
                \"HTTP\"\n  targets = [\"10.0.0.1\"]\n  stickiness {\n    type = \"lb_cookie\"\n    enabled = true\n  \
                }\n}\nlistener \"web\" {\n  load_balancer_arn = load_balancer.lb.arn\n  port = 8080\n  address = \
                \"127.0.0.1\"\n  default_action {\n    type = \"forward\"\n    target_group_arn = \
                target_group.app.arn\n  }\n}\nlistener_rule \"r\" {\n  listener_arn = listener.web.arn\n  action {\n    \
                type = \"redirect\"\n    redirect {\n      host = \"a.example\"\n      status_code = \"HTTP_301\"\n    \
                }\n  }\n  condition {\n    path_pattern {\n      values = [\"/a\"]\n    }\n  }\n}\n";
    assert!(main.contains(from), "{from}");
    let values = format!("balancer {{\n  terraform_values = {{\n{known}\n  }}\n}}\n");
    read(&[("main.hcl", &main.replacen(from, to, 1)), ("values.hcl", &values)])
}

#[test]
fn what_is_known_elsewhere_is_told_with_the_way_out_and_then_taken() {
    for (from, to, known) in [
        ("port = 80\n", "port = module.x.port\n", "\"module.x.port\" = 80"),
        (
            "port = 8080",
            "port = data.aws_ssm_parameter.port.value",
            "\"data.aws_ssm_parameter.port.value\" = 8080",
        ),
        ("protocol = \"HTTP\"", "protocol = module.x.protocol", "\"module.x.protocol\" = \"HTTP\""),
        ("enabled = true", "enabled = module.x.sticky", "\"module.x.sticky\" = true"),
        ("type = \"lb_cookie\"", "type = module.x.type", "\"module.x.type\" = \"lb_cookie\""),
        ("\"127.0.0.1\"", "aws_eip.a.public_ip", "\"aws_eip.a.public_ip\" = \"127.0.0.1\""),
        ("\"a.example\"", "terraform.workspace", "\"terraform.workspace\" = \"a.example\""),
        ("\"a.example\"", "\"${terraform.workspace}\"", "\"terraform.workspace\" = \"a.example\""),
        ("\"a.example\"", "\"a.${terraform.workspace}\"", "\"terraform.workspace\" = \"example\""),
        ("\"a.example\"", "jsonencode(module.x.y)", "\"module.x.y\" = 5"),
        ("\"a.example\"", "\"a.${data.aws_region.r.name}\"", "\"data.aws_region.r.name\" = \"example\""),
        ("\"a.example\"", "aws_lb.lb.dns_name", "\"aws_lb.lb.dns_name\" = \"a.example\""),
        ("[\"/a\"]", "[module.x.path]", "\"module.x.path\" = \"/a\""),
        ("[\"/a\"]", "module.x.paths", "\"module.x.paths\" = [\"/a\"]"),
        ("[\"10.0.0.1\"]", "[module.x.ip]", "\"module.x.ip\" = \"10.0.0.1\""),
        ("listener.web.arn", "module.x.listener_arn", "\"module.x.listener_arn\" = listener.web.arn"),
        (
            "listener.web.arn",
            "data.aws_lb_listener.x.arn",
            "\"data.aws_lb_listener.x.arn\" = listener.web.arn",
        ),
        (
            "listener.web.arn",
            "\"arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/x/1/2\"",
            "\"arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/x/1/2\" = listener.web.arn",
        ),
        ("load_balancer.lb.arn", "module.alb.arn", "\"module.alb.arn\" = load_balancer.lb.arn"),
        ("load_balancer.lb.arn", "data.aws_lb.x.arn", "\"data.aws_lb.x.arn\" = load_balancer.lb.arn"),
        (
            "load_balancer.lb.arn",
            "\"arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/1\"",
            "\"arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/1\" = load_balancer.lb.arn",
        ),
        (
            "target_group.app.arn",
            "module.alb.groups[\"a\"].arn",
            "\"module.alb.groups.arn\" = target_group.app.arn",
        ),
    ] {
        let fault = with(from, to, "").expect_err(to);
        assert!(fault.contains(WAY_OUT) && fault.lines().count() == 1, "{to}: {fault}");
        with(from, to, known).unwrap_or_else(|fault| panic!("{to}: {fault}"));
    }
    // What stands here and is written wrong is no matter of AWS.
    for (from, to) in [
        ("listener.web.arn", "listener.wep.arn"),
        ("listener.web.arn", "aws_lb_listener.web.port"),
        ("load_balancer.lb.arn", "aws_lb.lp.arn"),
        ("target_group.app.arn", "target_grop.app.arn"),
        ("port = 80\n", "port = target_group.app.port\n"),
    ] {
        let fault = with(from, to, "").expect_err(to);
        assert!(!fault.contains(WAY_OUT), "{to}: {fault}");
    }
}

#[test]
fn a_list_with_dots_is_as_many_arguments() {
    let body = |call: &str| {
        let text = format!("variable \"x\" {{\n  default = [1]\n}}\n{}", answering(call));
        read(&[("main.tf", &text), ("z.tf", "")]).map(|read| match &read.listeners[0].default_action {
            Action::FixedResponse(response) => response.body.clone(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(body("jsonencode([1])").as_deref(), Ok("[1]"));
    assert_eq!(body("jsonencode([1]...)").as_deref(), Ok("1"));
    assert_eq!(body("jsonencode(var.x...)").as_deref(), Ok("1"));
    for call in ["jsonencode([1, 2]...)", "jsonencode([]...)", "jsonencode([1], [2])"] {
        let fault = body(call).unwrap_err();
        assert!(fault.contains("`jsonencode` has ") && fault.lines().count() == 1, "{call}: {fault}");
    }
}
