//! What `terraform show -json` says of a state or a plan.
//! Must not know: how a configuration is written.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    plan::PlannedReferences,
    resource::{Haul, Resource},
};
use crate::config::kinds::{NATIVE, NATIVE_ALONE, native_kind};

/// Deepest nesting of modules.
const MAX_MODULES: usize = 20;

/// What a type is that feeds load balancers or stands in front of them, and is not done here.
const BESIDE: [(&str, &str); 8] = [
    ("aws_wafv2_web_acl_association", "a firewall (WAF) stands before load balancers"),
    ("aws_wafregional_web_acl_association", "a firewall (WAF) stands before load balancers"),
    ("aws_shield_protection", "Shield protects load balancers"),
    ("aws_autoscaling_attachment", "an autoscaling group feeds a target group"),
    ("aws_autoscaling_group", "an autoscaling group may feed target groups"),
    ("aws_ecs_service", "a service of ECS may feed target groups"),
    ("aws_codedeploy_deployment_group", "deployments may switch target groups"),
    ("aws_lambda_permission", "a Lambda function may be a target"),
];

/// Reads a state.
///
/// # Errors
/// Says that it is none.
pub(super) fn state(root: &Value) -> Result<Haul, String> {
    if root.get("planned_values").is_some() {
        return Err("is a plan; allowed: --plan for it".to_owned());
    }
    let values = root.get("values").and_then(|values| values.get("root_module"));
    let module = values.ok_or_else(|| {
        "is no state as `terraform show -json` writes it; allowed: its output, in which `values` are"
            .to_owned()
    })?;
    let mut found = Haul::default();
    modules(module, 0, &mut |resource| take(resource, None, &mut found));
    Ok(found)
}

/// Reads a plan.
///
/// # Errors
/// Says that it is none.
pub(super) fn plan(root: &Value) -> Result<Haul, String> {
    let planned = root.get("planned_values").and_then(|values| values.get("root_module"));
    let module = planned.ok_or_else(|| match root.get("values") {
        Some(_) => "is a state; allowed: --state for it".to_owned(),
        None => "is no plan as `terraform show -json PLAN` writes it; allowed: its output, in which `planned_values` are"
            .to_owned(),
    })?;
    let plan = PlannedReferences::of(root);
    let mut found = Haul::default();
    modules(module, 0, &mut |resource| take(resource, Some(&plan), &mut found));
    Ok(found)
}

/// All resources of a module and of those within it.
fn modules(module: &Value, depth: usize, take: &mut impl FnMut(&Value)) {
    let listed =
        |name: &str| module.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed("resources").iter().for_each(&mut *take);
    if depth < MAX_MODULES {
        for inner in listed("child_modules") {
            modules(inner, depth + 1, take);
        }
    }
}

fn take(resource: &Value, plan: Option<&PlannedReferences<'_>>, found: &mut Haul) {
    let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, place) = (text("type"), text("address"));
    let none = Map::new();
    let values = resource.get("values").and_then(Value::as_object).unwrap_or(&none);
    let value = |name: &str| values.get(name).and_then(Value::as_str);
    if kind == "aws_instance" {
        if let Some(address) = value("private_ip") {
            found.addresses.insert(place.to_owned(), address.to_owned());
            found.addresses.extend(value("id").map(|id| (id.to_owned(), address.to_owned())));
        }
        return;
    }
    if text("mode") == "data" {
        return;
    }
    if let Some((_, what)) = BESIDE.iter().find(|(beside, _)| *beside == kind) {
        found.left.push(format!("{place}: {what}, which is not here"));
        return;
    }
    let Some(native) = native_kind(kind) else { return };
    if !NATIVE.contains(&native) || NATIVE_ALONE.contains(&native) {
        // Stickiness policies and such are of Classic Load Balancers.
        found.left.push(format!("{place}: {kind} is not done here"));
        return;
    }
    let is_other = value("load_balancer_type").is_some_and(|kind| kind != "application");
    if is_other {
        let other = value("load_balancer_type").unwrap_or_default();
        found
            .left
            .push(format!("{place} is a load balancer of type {other}; here are Application Load Balancers"));
        return;
    }
    found.resources.push(Resource {
        kind: native.to_owned(),
        place: place.to_owned(),
        label: place.replace(&format!("{kind}."), "").replace("module.", ""),
        values: values.clone(),
        leads: plan.map_or_else(BTreeMap::new, |plan| plan.leads(resource)),
    });
}
