//! Modules of Terraform's that lie beside the folder that calls them, or that were fetched for it.

use std::{fs, path::Path};

use balancer::{config, model::Configuration};

use super::corpus::summary;

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

fn load(path: &Path) -> Result<Configuration, String> {
    config::load(path).map_err(|errors| errors.to_string().replace(&format!("{}/", path.display()), ""))
}

fn loaded(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let read = load(folder.path()).unwrap_or_else(|faults| panic!("{faults}"));
    let told: String = read.remarks.iter().map(|remark| format!("told: {remark}\n")).collect();
    (summary(&read) + &told).replace(&format!("{}/", folder.path().display()), "")
}

const EDGE: (&str, &str) = (
    "parts/edge/main.tf",
    r#"
variable "name" {}
variable "ports" { type = map(number) }
locals { full = "${var.name}-edge" }
resource "aws_lb" "this" { name = local.full }
resource "aws_lb_listener" "this" {
  for_each          = var.ports
  load_balancer_arn = aws_lb.this.arn
  port              = each.value
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = templatefile("${path.module}/gone.tpl", { what = each.key, root = basename(path.root) })
      status_code  = 410
    }
  }
}
output "listeners" { value = { for name, aws_lb in aws_lb_listener.this : name => aws_lb.arn } }
output "zones" { value = length(var.ports) }
"#,
);
const GONE: (&str, &str) = ("parts/edge/gone.tpl", "no ${what}");

const SERVICE: (&str, &str) = (
    "parts/service/main.tf",
    r#"
variable "name" { type = string }
variable "port" { type = number }
variable "listener" {}
variable "priority" { type = number }
variable "targets" {
  type    = set(string)
  default = []
}
resource "aws_lb_target_group" "this" {
  name = "svc-${var.name}"
  port = var.port
}
resource "aws_lb_target_group_attachment" "this" {
  for_each         = var.targets
  target_group_arn = aws_lb_target_group.this.arn
  target_id        = each.value
}
module "rule" {
  source   = "../rule"
  listener = var.listener
  group    = aws_lb_target_group.this.arn
  priority = var.priority
  path     = "/${var.name}/*"
}
output "group" { value = aws_lb_target_group.this.arn }
"#,
);
const RULE: (&str, &str) = (
    "parts/rule/main.tf.json",
    r#"{
  "variable": { "listener": {}, "group": {}, "priority": {}, "path": {} },
  "resource": { "aws_lb_listener_rule": { "this": {
    "listener_arn": "${var.listener}", "priority": "${var.priority}",
    "action": { "type": "forward", "target_group_arn": "${var.group}" },
    "condition": { "path_pattern": { "values": ["${var.path}"] } }
  } } }
}"#,
);

#[test]
fn modules_are_put_into_the_folder_that_calls_them() {
    let main = r#"
module "edge" {
  source = "./parts/edge"
  name   = "shop"
  ports  = { http = 8000, alt = 8001 }
}
module "service" {
  source   = "./parts/service"
  for_each = { app = ["10.0.0.1", "10.0.0.1"], api = ["10.0.1.1"] }
  name     = each.key
  port     = "80${length(each.value)}0"
  listener = module.edge.listeners["http"]
  priority = each.key == "app" ? 20 : 10
  targets  = each.value
}
module "extra" {
  source   = "./parts/service"
  count    = module.edge.zones
  name     = "extra${count.index}"
  port     = 7000 + count.index
  listener = module.edge.listeners.alt
  priority = count.index + 1
}
resource "aws_lb_listener_rule" "both" {
  listener_arn = module.edge.listeners["alt"]
  priority     = 50
  action {
    type = "forward"
    forward {
      dynamic "target_group" {
        for_each = module.extra[*].group
        content {
          arn    = target_group.value
          weight = target_group.key + 1
        }
      }
      dynamic "target_group" {
        for_each = [for aws_lb_target_group in values(module.service) : aws_lb_target_group.group]
        iterator = aws_lb
        content {
          arn    = aws_lb.value
          weight = 7
        }
      }
    }
  }
  condition {
    path_pattern { values = ["/both"] }
  }
}
"#;
    let expected = r#"listener module.edge.this["alt"] http 0.0.0.0:8001 of shop-edge: fixed-response 410 text/plain "no alt"
  rule 1 module.extra[0].module.rule.this: path-pattern /extra0/* -> svc-extra0
  rule 2 module.extra[1].module.rule.this: path-pattern /extra1/* -> svc-extra1
  rule 50 both: path-pattern /both -> svc-extra0 1, svc-extra1 2, svc-api 7, svc-app 7
listener module.edge.this["http"] http 0.0.0.0:8000 of shop-edge: fixed-response 410 text/plain "no http"
  rule 10 module.service["api"].module.rule.this: path-pattern /api/* -> svc-api
  rule 20 module.service["app"].module.rule.this: path-pattern /app/* -> svc-app
group svc-api 8010: sticky none, check / 30s Matcher([(200, 200)])
  target Ip(10.0.1.1) 8010
group svc-app 8020: sticky none, check / 30s Matcher([(200, 200)])
  target Ip(10.0.0.1) 8020
group svc-extra0 7000: sticky none, check / 30s Matcher([(200, 200)])
group svc-extra1 7001: sticky none, check / 30s Matcher([(200, 200)])
"#;
    let found = loaded(&[("main.tf", main), EDGE, GONE, SERVICE, RULE]);
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(&found), sorted(expected), "{found}");
    // Beside the folder, and from a folder within.
    let above = main.replace("./parts", "../parts");
    let root = folder(&[("stage/main.tf", &above), EDGE, GONE, SERVICE, RULE]);
    let read = load(&root.path().join("stage")).unwrap();
    assert_eq!(sorted(&summary(&read)), sorted(&found));
}

/// What a listener answers with that a module has, whose variable `v` is of a type and given a value.
fn answered(kind: &str, argument: &str, body: &str) -> Result<String, String> {
    let main = format!("module \"m\" {{\n  source = \"./m\"\n  {argument}\n}}\n");
    let module = format!("variable \"v\" {{\n{kind}\n}}\n{}", super::folders::answering(body));
    let folder = folder(&[("main.tf", &main), ("m/main.tf", &module)]);
    load(folder.path()).map(|read| super::folders::answer(&read).to_owned())
}

#[test]
fn arguments_become_what_the_types_of_variables_say() {
    for (kind, argument, body, expected) in [
        ("type = string", "v = 5 + 1", "jsonencode(var.v)", "\"6\""),
        ("type = number", "v = \"0${3}\"", "jsonencode(var.v)", "3"),
        ("type = bool", "v = \"${true}\"", "jsonencode(var.v)", "true"),
        ("type = set(string)", "v = [\"b\", \"a\", \"b\"]", "jsonencode(var.v)", "[\"a\",\"b\"]"),
        ("type = list(string)", "v = [for n in [1, 2] : n]", "jsonencode(var.v)", "[\"1\",\"2\"]"),
        ("type = map(number)", "v = { for n in [\"1\"] : n => n }", "jsonencode(var.v)", "{\"1\":1}"),
        ("type = tuple([string, number])", "v = [1, \"2\"]", "jsonencode(var.v)", "[\"1\",2]"),
        (
            "type = object({ a = number, b = optional(string, \"d\"), c = optional(list(string)) })",
            "v = { a = \"1\", x = 2 }",
            "jsonencode(var.v)",
            "{\"a\":1,\"b\":\"d\",\"c\":null}",
        ),
        ("type = any", "v = { a = [1] }", "jsonencode(var.v)", "{\"a\":[1]}"),
        ("default = 1", "v = null", "jsonencode(var.v)", "null"),
        ("default = 1\nnullable = false", "v = null", "jsonencode(var.v)", "1"),
        ("type = string\ndefault = 1", "", "jsonencode(var.v)", "\"1\""),
        (
            "",
            "v = \"a\"",
            "\"${path.root} ${join(\",\", [for v in [1] : \"${v}${var.v}\"])} ${{ v = 2 }.v}\"",
            ". 1a 2",
        ),
    ] {
        assert_eq!(answered(kind, argument, body).as_deref(), Ok(expected), "{kind} {argument}");
    }
    for (kind, argument, told) in [
        ("type = number", "v = \"x\"", "main.tf:"),
        ("type = list(string)", "v = \"x\"", "a text stands where the type of the variable says a list"),
        (
            "type = object({ a = number })",
            "v = {}",
            "an object has no `a`, which the type of the variable says",
        ),
        ("type = tuple([string])", "v = []", "the type of the variable says a tuple of 1"),
    ] {
        let wrong = answered(kind, argument, "jsonencode(var.v)").unwrap_err();
        assert!(wrong.contains(told) && wrong.contains("allowed: "), "{kind}: {wrong}");
    }
}

#[test]
fn what_is_wrong_with_a_call_is_told_where_it_stands() {
    let ours = super::folders::answering("\"x\"");
    let module = format!("variable \"v\" {{}}\n{ours}output \"out\" {{\n  value = 1\n}}\n");
    let call = |more: &str| format!("module \"m\" {{\n  source = \"./m\"\n{more}\n}}\n");
    let wrong = |main: &str, module: &str| {
        let folder = folder(&[("main.tf", main), ("m/main.tf", module)]);
        load(folder.path()).unwrap_err()
    };
    for (main, told) in [
        (call(""), "main.tf:1:1: module.m needs `v`, a variable of it without a default"),
        (call("v = 1\nw = 2"), "main.tf:4:1: module.m has no variable `w`"),
        (
            call("v = 1\ncount = data.x.y.z"),
            "main.tf:4:9: `count` goes by data.x.y.z, which is not known here",
        ),
        (call("v = 1\nfor_each = [\"a\"]"), "main.tf:4:12: `for_each`: a list makes no blocks"),
        (
            call("v = 1") + "resource \"aws_lb_target_group\" \"g\" {\n  port = module.m.outt\n}\n",
            "module.m has no output `outt` (did you mean `out`?)",
        ),
    ] {
        let found = wrong(&main, &module);
        assert!(found.contains(told) && found.lines().count() == 1, "{told}: {found}");
    }
    let found = wrong(&call("v = 1"), &module.replace("port = 8080", "port = 0"));
    assert!(found.contains("m/main.tf:") && found.contains("`port` = 0"), "{found}");
    let found = wrong(&call("v = 1"), &(module.clone() + "resource {\n"));
    assert!(found.contains("m/main.tf:"), "{found}");
    // One that calls itself has no end.
    let found = wrong(&call("v = 1"), &(module.clone() + &call("v = 1").replace("./m", "../m")));
    assert!(found.contains("modules are too many, or call each other too deep"), "{found}");
    let found = wrong(&call("v = 1\ncount = 301"), &module);
    assert!(found.contains("module.m[300]: modules are too many"), "{found}");
    // What is wrong with one that makes nothing of ours is wrong with nothing here.
    let network =
        "variable \"v\" {}\nresource \"aws_vpc\" \"v\" {}\noutput \"id\" {\n  value = aws_vpc.v.id\n}\n";
    for more in ["", "w = 1", "v = 1\ncount = data.x.y.z"] {
        let text = call(more) + &ours;
        let folder = folder(&[("main.tf", &text), ("m/main.tf", network)]);
        load(folder.path()).unwrap_or_else(|faults| panic!("{more}: {faults}"));
    }
}

#[test]
fn folders_that_call_each_other_many_times_are_looked_at_once() {
    let levels = 9;
    let files: Vec<(String, String)> = (0..=levels)
        .map(|level| {
            let call = |n| {
                format!(
                    "module \"m{n}\" {{\n source = \"{}m{}\"\n}}\n",
                    if level == 0 { "./" } else { "../" },
                    level + 1
                )
            };
            let file = if level == 0 { "main.tf".to_owned() } else { format!("m{level}/main.tf") };
            (file, if level == levels { String::new() } else { (0..20).map(call).collect() })
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
    let told = load(folder(&files).path()).expect_err("20^9 modules");
    assert!(told.contains("modules are too many"), "{told}");
}

#[test]
fn what_the_user_says_is_said_of_parts_of_modules_too() {
    let main = "module \"web\" {\n  source = \"./web\"\n  n = 2\n}\nresource \"aws_lb_target_group\" \"g\" {\n  port = 80\n}\n\
                resource \"aws_lb_target_group_attachment\" \"g\" {\n  count = 2\n  target_group_arn = aws_lb_target_group.g.arn\n  \
                target_id = module.web.ids[count.index]\n}\n";
    let web = "variable \"n\" {}\nresource \"aws_instance\" \"web\" {\n  count = var.n\n}\noutput \"ids\" {\n  value = \
               aws_instance.web[*].id\n}\n";
    let said = |key: &str| {
        format!(
            "balancer {{\n  terraform_values = {{\n    \"{key}\" = [\"10.0.0.8\", \"10.0.0.9\"]\n  }}\n}}\n"
        )
    };
    for key in ["module.web.aws_instance.web", "module.web.ids"] {
        let found = loaded(&[("main.tf", main), ("web/main.tf", web), ("local.hcl", &said(key))]);
        assert!(found.contains("target Ip(10.0.0.9) 80"), "{key}: {found}");
    }
    let folder = folder(&[("main.tf", main), ("web/main.tf", web)]);
    let fault = load(folder.path()).unwrap_err();
    assert!(fault.contains("module.web.aws_instance.web[0].id"), "{fault}");
}

#[test]
fn files_of_modules_are_those_that_terraform_reads() {
    let main = "module \"m\" {\n  source = \"./m\"\n}\n";
    let module = format!(
        "variable \"v\" {{\n  default = \"own\"\n}}\n{}",
        super::folders::answering("file(\"at.txt\")")
    );
    let over = "resource \"aws_lb_listener\" \"web\" {\n  port = 8099\n}\n";
    let found = loaded(&[
        ("main.tf", main),
        ("at.txt", "of the root"),
        ("m/main.tf", &module),
        ("m/at.txt", "of the module"),
        ("m/x_override.tf", over),
        ("m/terraform.tfvars", "v = \"other\"\nw = 1\n"),
        ("m/local.hcl", "listener \"no\" {}\n"),
        ("m/.hidden.tf", "resource {"),
        ("m/inner/main.tf", "resource {"),
    ]);
    // Paths go by the folder that Terraform runs in.
    assert!(found.contains(":8099 ") && found.contains("\"of the root\""), "{found}");
    assert!(!found.contains("told:"), "{found}");
}

#[test]
fn modules_that_were_fetched_are_read_and_others_told() {
    let main = "module \"edge\" {\n  source = \"acme/edge/aws\"\n  version = \"~> 1.0\"\n}\n";
    let fetched = format!(
        "module \"inner\" {{\n  source = \"git::https://example.com/inner.git?ref=v1\"\n  text = \"in ${{basename(path.module)}}\"\n}}\n\
         output \"x\" {{\n  value = module.inner.x\n}}\n{}",
        super::folders::answering("module.inner.x")
    );
    let inner = "variable \"text\" {}\noutput \"x\" {\n  value = var.text\n}\n";
    let list = r#"{"Modules":[{"Key":"","Source":"","Dir":"."},
        {"Key":"edge","Source":"registry.terraform.io/acme/edge/aws","Version":"1.2.0","Dir":".terraform/modules/edge"},
        {"Key":"edge.inner","Source":"git::https://example.com/inner.git?ref=v1","Dir":".terraform/modules/edge.inner"}]}"#;
    let files = [
        ("main.tf", main),
        (".terraform/modules/modules.json", list),
        (".terraform/modules/edge/main.tf", &fetched),
        (".terraform/modules/edge.inner/main.tf", inner),
    ];
    assert!(loaded(&files).contains("\"in edge\""), "{}", loaded(&files));
    // One that was fetched for something else, and lists that are none.
    let alone = super::folders::answering("\"x\"");
    for list in [&list.replace("acme/edge", "acme/other"), "{", "[]", "{\"Modules\":[{\"Key\":1}]}", "\u{0}"]
    {
        let text = main.to_owned() + &alone;
        let found =
            loaded(&[("main.tf", &text), (".terraform/modules/modules.json", list), files[2], files[3]]);
        let told = "told: main.tf:1:1: module.edge is not read: load balancers, listeners, rules and targets that it makes \
                    are not here (`terraform init` fetches it, and then it is)\n";
        assert!(found.ends_with(told), "{list}: {found}");
    }
    let absent = "module \"m\" {\n  source = \"./none\"\n}\n".to_owned() + &alone;
    assert!(
        loaded(&[("main.tf", &absent)])
            .contains("(its folder is not there, or it holds nothing of Terraform's)")
    );
}

#[test]
fn what_stands_before_a_load_balancer_of_a_module_is_told() {
    let main = "module \"edge\" {\n  source = \"./m\"\n}\n";
    let module = super::folders::answering("\"x\"")
        + "resource \"aws_lb\" \"main\" {}\nresource \"aws_wafv2_web_acl_association\" \"w\" {\n  resource_arn = aws_lb.main.arn\n}\n\
           resource \"aws_lb_target_group\" \"app_a\" {\n  port = 80\n}\n";
    let found = loaded(&[("main.tf", main), ("m/main.tf", &module)]);
    let told = "m/main.tf:13:1: module.edge.aws_wafv2_web_acl_association.w: module.edge.aws_lb.main is behind a firewall";
    assert!(found.contains(told), "{found}");
    // A group without a name has one that goes by its own.
    assert!(found.contains("group edge-app-a 80"), "{found}");
}
