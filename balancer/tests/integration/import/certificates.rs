//! What clients are shown, taken along from wherever it is described.

use std::{fs, path::Path};

use balancer::config::{self, ImportFrom, import};
use serde_json::{Value, json};

use super::{
    assert_alike,
    fixture::{
        ARN, FOLDER, OF_HOST, balancer_arn, describe, listener_arn, plan, references, resources, write,
    },
    whole,
};

const OF_AWS: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/";

/// What stands beside the rest of the folder.
const HTTPS: &str = r#"
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.main.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = "arn:aws:acm:eu-west-1:123456789012:certificate/site"
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}
resource "aws_lb_listener_certificate" "more" {
  for_each        = toset(["api", "shop"])
  listener_arn    = aws_lb_listener.https.arn
  certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/${each.key}"
}
"#;

fn https_arn() -> String {
    format!("{ARN}listener/app/main/50dc6c495c0c9188/0467ef3c8400ae65")
}

/// The same as resources of a plan; with ARNs as those of a state.
fn https(known: bool) -> Vec<Value> {
    let mut listener = json!({
        "port": 443, "protocol": "HTTPS", "ssl_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "certificate_arn": format!("{OF_AWS}site"), "mutual_authentication": [],
        "default_action": [{ "type": "fixed-response", "forward": [], "redirect": [], "fixed_response": [
            { "content_type": "text/plain", "message_body": null, "status_code": "404" },
        ] }],
    });
    let mut more = Vec::new();
    for name in ["api", "shop"] {
        let mut values = json!({ "certificate_arn": format!("{OF_AWS}{name}") });
        if known {
            values["listener_arn"] = https_arn().into();
        }
        more.push(json!({
            "address": format!("aws_lb_listener_certificate.more[\"{name}\"]"), "mode": "managed",
            "type": "aws_lb_listener_certificate", "name": "more", "index": name, "values": values,
        }));
    }
    if known {
        listener["arn"] = https_arn().into();
        listener["load_balancer_arn"] = balancer_arn().into();
    }
    let listener = json!({
        "address": "aws_lb_listener.https", "mode": "managed", "type": "aws_lb_listener", "name": "https",
        "values": listener,
    });
    [vec![listener], more].concat()
}

fn add(document: &mut Value, pointer: &str, more: Vec<Value>) {
    document.pointer_mut(pointer).unwrap().as_array_mut().unwrap().extend(more);
}

fn planned() -> Value {
    let mut plan = plan();
    add(&mut plan, "/planned_values/root_module/resources", https(false));
    let written = vec![
        json!({ "address": "aws_lb_listener.https", "expressions": {
            "load_balancer_arn": references(&["aws_lb.main.arn", "aws_lb.main"]),
            "default_action": [{ "type": { "constant_value": "fixed-response" }, "fixed_response": [{
                "content_type": { "constant_value": "text/plain" }, "status_code": { "constant_value": "404" },
            }] }],
        } }),
        json!({ "address": "aws_lb_listener_certificate.more", "expressions": {
            "listener_arn": references(&["aws_lb_listener.https.arn", "aws_lb_listener.https"]),
            "certificate_arn": references(&["each.key"]),
        } }),
    ];
    add(&mut plan, "/configuration/root_module/resources", written);
    plan
}

/// What the AWS CLI says of the second listener, in files beside those of the first.
fn describe_https(folder: &Path) {
    let name = |kind: &str| format!("{kind}.{}.json", https_arn().replace([':', '/'], "_"));
    let listener = json!({
        "ListenerArn": https_arn(), "LoadBalancerArn": balancer_arn(), "Port": 443, "Protocol": "HTTPS",
        "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "Certificates": [{ "CertificateArn": format!("{OF_AWS}site") }],
        "MutualAuthentication": { "Mode": "off" },
        "DefaultActions": [{ "Type": "fixed-response", "Order": 1, "FixedResponseConfig": {
            "ContentType": "text/plain", "StatusCode": "404",
        } }],
    });
    write(folder, &name("listeners"), &json!({ "Listeners": [listener] }));
    write(folder, &name("listener-attributes"), &json!({ "Attributes": [] }));
    let rule = format!("{}/9683b2d02a6cabee", https_arn().replace(":listener/", ":listener-rule/"));
    write(folder, &name("rules"), &json!({ "Rules": [{ "RuleArn": rule, "Priority": "default" }] }));
    let certificate = |name: &str, is_default: bool| json!({ "CertificateArn": format!("{OF_AWS}{name}"), "IsDefault": is_default });
    let all = [certificate("site", true), certificate("api", false), certificate("shop", false)];
    write(folder, &name("certificates"), &json!({ "Certificates": all }));
}

/// The certificates that are named, in one folder, each with another key.
fn with_certificates(folder: &Path) {
    for name in ["site", "api", "shop"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example.com")]).unwrap();
        fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
}

#[test]
fn certificates_of_a_plan_a_state_and_descriptions_are_those_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    with_certificates(folder.path());
    write(folder.path(), "plan.json", &planned());
    let all = [resources(true), https(true)].concat();
    write(folder.path(), "state.json", &json!({ "values": { "root_module": { "resources": all } } }));
    let described = tempfile::tempdir().unwrap();
    describe(described.path());
    describe_https(described.path());
    // The folder itself says which certificate is which.
    let names = ["site", "api", "shop"];
    let blocks: String = names
        .iter()
        .map(|name| {
            format!(
                "certificate \"{name}\" {{\n  certificate_file = \"{name}.pem\"\n  private_key_file = \"{name}.key\"\n}}\n"
            )
        })
        .collect();
    let said: String =
        names.iter().map(|name| format!("\"{OF_AWS}{name}\" = certificate.{name}.arn\n")).collect();
    let of_host = OF_HOST.replacen("terraform_values = {\n", &format!("terraform_values = {{\n{said}"), 1);
    fs::write(folder.path().join("main.tf"), [FOLDER, HTTPS].concat()).unwrap();
    fs::write(folder.path().join("local.hcl"), of_host + &blocks).unwrap();
    let of_folder =
        whole(config::load(folder.path()).unwrap_or_else(|fault| panic!("{fault}")), folder.path());
    assert_eq!(of_folder.matches(&format!("{:?}", folder.path().join("shop.pem"))).count(), 1, "{of_folder}");
    for (from, what) in [
        (ImportFrom::Plan(&folder.path().join("plan.json")), "the folder and its plan"),
        (ImportFrom::State(&folder.path().join("state.json")), "the folder and its state"),
        (ImportFrom::Aws(described.path()), "the folder and what AWS describes"),
    ] {
        let imported = import(from).unwrap();
        assert_eq!(imported.left, Vec::<String>::new(), "{what}");
        let read = config::parse(&[(folder.path().join("main.hcl"), imported.text.clone())])
            .unwrap_or_else(|fault| panic!("{what}: {fault}\n{}", imported.text));
        assert_alike(&of_folder, &whole(read, folder.path()), what);
    }
    // Who imports has to say where keys are: without files nothing runs.
    for name in names {
        fs::remove_file(folder.path().join(format!("{name}.key"))).unwrap();
    }
    let imported = import(ImportFrom::State(&folder.path().join("state.json"))).unwrap();
    let fault = config::parse(&[(folder.path().join("main.hcl"), imported.text)]).unwrap_err().to_string();
    assert!(fault.contains("shop.key") && !fault.contains(&listener_arn()), "{fault}");
}
