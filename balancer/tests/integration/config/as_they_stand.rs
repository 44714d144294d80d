//! Folders of Terraform whose blocks are none, several or elsewhere: what loads, and what a fault tells.
use super::folders::{EMPTY, answering, read};

fn one(text: &str) -> Result<balancer::model::Configuration, String> {
    read(&[("main.tf", text), EMPTY])
}

#[test]
fn a_folder_whose_blocks_are_none_says_by_what() {
    let folder = r#"
variable "make_it" { default = false }
locals { front = var.make_it ? ["a"] : [] }
resource "aws_lb_target_group" "a" {
  count = length(local.front)
  port  = 80
}
resource "aws_lb_listener" "a" {
  for_each = var.make_it ? toset(["a"]) : []
  port     = 80
}
"#;
    let fault = one(folder).unwrap_err();
    assert_eq!(fault.lines().count(), 1, "{fault}");
    assert!(
        fault.starts_with(
            "main.tf:5:11: nothing is configured: `count` of aws_lb_target_group.a makes none of it, which goes by `local.front`; \
             allowed: values by which there is at least one listener or target_group"
        ),
        "{fault}"
    );
}

#[test]
fn what_is_refused_by_its_type_is_one_fault() {
    for kind in ["authenticate-oidc", "authenticate-cognito", "jwt-validation"] {
        let folder = format!(
            "resource \"aws_lb_target_group\" \"a\" {{ port = 80 }}\nresource \"aws_lb_listener\" \"a\" {{\n  port = 80\n  \
             default_action {{\n    type = \"{kind}\"\n  }}\n  default_action {{\n    type = \"forward\"\n    \
             target_group_arn = aws_lb_target_group.a.arn\n  }}\n}}\n"
        );
        let fault = one(&folder).unwrap_err();
        assert_eq!(fault.lines().count(), 1, "{fault}");
        assert!(fault.starts_with(&format!("main.tf:5:12: `type` = \"{kind}\" is not supported")), "{fault}");
    }
    // Two that could each be the one are told apart.
    let two = answering("\"a\"").replace(
        "  default_action {\n",
        "  default_action {\n    type = \"fixed-response\"\n    fixed_response {\n      content_type = \"text/html\"\n      \
         status_code  = 200\n    }\n  }\n  default_action {\n",
    );
    assert!(one(&two).unwrap_err().contains("a second `default_action` block is not supported"));
}

#[test]
fn instances_are_gone_through_whatever_is_known_of_them() {
    let attached = |by: &str, target: &str| {
        format!(
            "resource \"aws_instance\" \"web\" {{ count = 2 }}\nresource \"aws_lb_target_group\" \"a\" {{ port = 80 }}\n\
             resource \"aws_lb_target_group_attachment\" \"a\" {{\n  {by}\n  target_group_arn = \
             aws_lb_target_group.a.arn\n  target_id = {target}\n}}\nbalancer {{\n  terraform_values = {{ \"aws_instance.web\" = \
             [\"10.0.0.1\", \"10.0.0.2\"] }}\n}}\n"
        )
    };
    for (by, target) in [
        ("for_each = { for i, one in aws_instance.web : i => one }", "each.value.id"),
        ("for_each = { for i, one in aws_instance.web : i => one.id }", "each.value"),
        ("for_each = toset(aws_instance.web[*].id)", "each.value"),
        (
            "for_each = { for one in [for each in aws_instance.web : each] : one.id => one }",
            "each.value.private_ip",
        ),
        ("count = length(aws_instance.web)", "element(aws_instance.web, count.index).id"),
        ("count = length(aws_instance.web)", "aws_instance.web[count.index].private_ip"),
    ] {
        let read = one(&attached(by, target)).unwrap_or_else(|fault| panic!("{by}: {fault}"));
        let targets: Vec<String> =
            read.target_groups[0].targets.iter().map(|target| format!("{:?}", target.address)).collect();
        assert_eq!(targets.len(), 2, "{by}: {targets:?}");
        assert!(targets[0].contains("10.0.0.1") && targets[1].contains("10.0.0.2"), "{by}: {targets:?}");
    }
}

#[test]
fn a_module_that_is_not_there_is_fetched_first() {
    let folder = "module \"alb\" {\n  source = \"example/alb/aws\"\n}\nresource \"aws_lb_target_group\" \"a\" { port = 80 }\n\
                  resource \"aws_lb_listener_rule\" \"a\" {\n  listener_arn = module.alb.listener_arns[0]\n  action {\n    \
                  type = \"forward\"\n    target_group_arn = aws_lb_target_group.a.arn\n  }\n  condition {\n    path_pattern {\n      \
                  values = [\"/\"]\n    }\n  }\n}\n";
    let fault = one(folder).unwrap_err();
    assert!(
        fault.contains("module.alb.listener_arns[0] is no reference to a listener (`terraform init` fetches the module; or say"),
        "{fault}"
    );
}

#[test]
fn a_block_that_is_elsewhere_can_be_made_beside() {
    let rule = |listener: &str| {
        format!(
            "resource \"aws_lb_listener_rule\" \"a\" {{\n  listener_arn = {listener}\n  action {{\n    type = \"fixed-response\"\n    \
             fixed_response {{\n      content_type = \"text/plain\"\n      status_code = 200\n    }}\n  }}\n  condition {{\n    \
             path_pattern {{\n      values = [\"/\"]\n    }}\n  }}\n}}\n"
        )
    };
    let advice = "allowed: a listener, but none is given; a `listener` block in a file such as local.hcl beside it can be one";
    for listener in
        ["data.aws_lb_listener.front.arn", "\"arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/a/b/c\""]
    {
        let fault = one(&rule(listener)).unwrap_err();
        assert_eq!(fault.lines().count(), 1, "{fault}");
        assert!(fault.contains(advice), "{fault}");
    }
    // What it would be is made, and said to be it.
    let beside = answering("\"a\"").replace("resource \"aws_lb_listener\"", "listener")
        + "balancer {\n  terraform_values = { \"data.aws_lb_listener.front\" = listener.web.arn }\n}\n";
    let made = read(&[("main.tf", &rule("data.aws_lb_listener.front.arn")), ("local.hcl", &beside)]).unwrap();
    assert_eq!(made.listeners[0].rules.len(), 1);
}

#[test]
fn what_is_wrong_with_all_of_several_is_one_fault() {
    let folder = "resource \"aws_lb_target_group\" \"a\" { port = 80 }\nresource \"aws_lb_target_group_attachment\" \"a\" {\n  \
                  count = 5\n  target_group_arn = aws_lb_target_group.a.arn\n  target_id = module.app[count.index].address\n}\n";
    let fault = one(folder).unwrap_err();
    assert_eq!(fault.lines().count(), 1, "{fault}");
    assert!(fault.contains("module.app[0].address is not known here"), "{fault}");
    assert!(fault.ends_with(" (and the same of others that stand here)"), "{fault}");
}

#[test]
fn a_trust_store_that_is_none_needs_no_files() {
    let folder = |count: &str| {
        format!(
            "resource \"aws_lb_trust_store\" \"clients\" {{\n  count = {count}\n  ca_certificates_bundle_s3_key = \"a\"\n}}\n{}",
            answering("\"a\"")
        )
    };
    one(&folder("0")).unwrap();
    let fault = one(&folder("1")).unwrap_err();
    assert!(fault.contains("`aws_lb_trust_store` has its files in S3"), "{fault}");
    let stands_in = "trust_store \"clients\" {\n  ca_certificates_bundle_file = \"/nowhere\"\n}\n\
                     resource \"aws_lb_listener\" \"tls\" {\n  port = 443\n  protocol = \"HTTPS\"\n  mutual_authentication {\n    \
                     mode = \"verify\"\n    trust_store_arn = aws_lb_trust_store.clients[0].arn\n  }\n}\n";
    let fault = one(&format!("{}{stands_in}", folder("1"))).unwrap_err();
    assert!(!fault.contains("trust_store_arn") && !fault.contains("there is no trust"), "{fault}");
}
