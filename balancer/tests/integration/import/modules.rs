//! A plan whose blocks are in modules: what they lead to is followed through variables and outputs.

use balancer::config;
use serde_json::{Value, json};

use super::{fixture::references, of_plan};

fn resource(module: &str, kind: &str, name: &str, values: &Value) -> Value {
    json!({ "address": format!("{module}{kind}.{name}"), "mode": "managed", "type": kind, "name": name, "values": values })
}

fn action(mut more: Value) -> Value {
    let members = json!({ "type": "forward", "forward": [], "redirect": [], "fixed_response": [] });
    more.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!([more])
}

/// A service of the plan: a group, and a module in it that has its rule.
fn service(key: &str, priority: u32) -> Value {
    let address = format!("module.service[\"{key}\"]");
    let within = format!("{address}.");
    let group = json!({ "name": key, "port": 80, "protocol": "HTTP", "target_type": "ip" });
    let rule = json!({
        "priority": priority, "action": action(json!({})),
        "condition": [{ "path_pattern": [{ "values": [format!("/{key}")] }] }],
    });
    json!({
        "address": address, "resources": [resource(&within, "aws_lb_target_group", "this", &group)],
        "child_modules": [{
            "address": format!("{within}module.rule"),
            "resources": [resource(&format!("{within}module.rule."), "aws_lb_listener_rule", "this", &rule)],
        }],
    })
}

/// As Terraform writes it of a folder that calls `service` for each of two, which calls `rule`.
fn plan(default: &[&str]) -> Value {
    let listener = json!({ "port": 8000, "protocol": "HTTP", "default_action": action(json!({})) });
    let rule = json!({
        "listener_arn": references(&["var.listener"]), "priority": references(&["var.priority"]),
        "action": [{ "type": { "constant_value": "forward" }, "target_group_arn": references(&["var.group"]) }],
    });
    let group = &["aws_lb_target_group.this.arn", "aws_lb_target_group.this"];
    json!({
        "planned_values": { "root_module": {
            "resources": [
                resource("", "aws_lb", "main", &json!({ "name": "main", "load_balancer_type": "application" })),
                resource("", "aws_lb_listener", "http", &listener),
            ],
            "child_modules": [service("api", 20), service("app", 10)],
        } },
        "configuration": { "root_module": {
            "resources": [{ "address": "aws_lb_listener.http", "expressions": {
                "load_balancer_arn": references(&["aws_lb.main.arn", "aws_lb.main"]),
                "default_action": [{ "target_group_arn": references(default), "type": { "constant_value": "forward" } }],
            } }],
            "module_calls": { "service": {
                "for_each_expression": {},
                "expressions": { "listener": references(&["aws_lb_listener.http.arn", "aws_lb_listener.http"]) },
                "module": {
                    "outputs": {
                        "group": { "expression": references(group) },
                        "mixed": { "expression": references(&["aws_lb_target_group.this.arn", "var.listener"]) },
                        "round": { "expression": references(&["module.rule.round", "module.rule"]) },
                    },
                    "resources": [{ "address": "aws_lb_target_group.this", "expressions": {} }],
                    "module_calls": { "rule": {
                        "expressions": { "listener": references(&["var.listener"]), "group": references(group) },
                        "module": {
                            "outputs": { "round": { "expression": references(&["var.round"]) } },
                            "resources": [{ "address": "aws_lb_listener_rule.this", "expressions": rule }],
                        },
                    } },
                },
            } },
        } },
    })
}

#[test]
fn what_leads_through_modules_is_followed() {
    let imported = of_plan(&plan(&["module.service[\"api\"].group", "module.service[\"api\"]"]));
    assert_eq!(imported.left, Vec::<String>::new(), "{}", imported.text);
    let read = config::parse(&[("main.hcl".into(), imported.text.clone())])
        .unwrap_or_else(|fault| panic!("{fault}\n{}", imported.text));
    let name = |group: usize| read.target_groups[group].name.clone();
    let [listener] = &read.listeners[..] else { panic!("{}", imported.text) };
    assert_eq!(listener.default_action.describe(name), "api");
    let rules: Vec<String> = listener
        .rules
        .iter()
        .map(|rule| format!("{} {} {}", rule.priority, rule.conditions_text(), rule.action.describe(name)))
        .collect();
    assert_eq!(rules, ["10 path-pattern /app app", "20 path-pattern /api api"]);
}

#[test]
fn what_leads_through_modules_and_is_not_clear_is_refused() {
    for (default, told) in [
        (&["module.service", "each.key"][..], "module.service is not known before it is applied"),
        (&["module.service[\"api\"].mixed", "module.service[\"api\"]"], "and which is meant is not said"),
        (&["module.service[\"api\"].none", "module.service[\"api\"]"], "is not known before it is applied"),
        (
            &["module.service[\"api\"].round", "module.service[\"api\"]"],
            "var.round is not known before it is applied",
        ),
        (&["module.other.group", "module.other"], "module.other.group is not known before it is applied"),
        (
            &["module.service[\"api\"].group", "module.service[\"app\"].group"],
            "is not known before it is applied",
        ),
        (&["var.group"], "var.group is not known before it is applied"),
    ] {
        let imported = of_plan(&plan(default));
        let is_told = |left: &String| left.starts_with("aws_lb_listener.http: ") && left.contains(told);
        assert!(imported.left.len() == 1 && imported.left.iter().all(is_told), "{told}: {:?}", imported.left);
        assert!(config::parse(&[("main.hcl".into(), imported.text)]).is_err(), "{told}");
    }
}
