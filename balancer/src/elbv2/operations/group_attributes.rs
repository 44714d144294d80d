//! Attributes of target groups, and which of them exclude each other (ALB: edit target group attributes, sticky sessions).

use crate::elbv2::{
    arn::ArnKind,
    attributes::{
        SetAttributes, check_keys, given,
        packet_group::{GATEWAY_TYPES, rules_of},
        target_group::RULES,
        told, told_of, value,
    },
    call::{OperationCall, shown},
    failure::ApiFailure,
    params::{Params, truth},
    records::{ActionKind, ActionRecord, ListenerRecord, Records, RuleRecord, TargetGroupRecord},
    resource::{all, find, find_own},
    usage::groups_of,
    xml::Element,
};

/// `DescribeTargetGroupAttributes`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    let group = find::<TargetGroupRecord>(call, records, arn)?;
    let told = told(rules_of(&group.protocol), &group.attributes);
    Ok(Element::new("DescribeTargetGroupAttributesResult").list("Attributes", told))
}

/// `ModifyTargetGroupAttributes`.
pub(super) fn modify(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    let group = find_own::<TargetGroupRecord>(call, records, arn)?;
    let (kind, rules) = ("Target group", rules_of(&group.protocol));
    if group.protocol == "GENEVE" {
        check_keys(kind, rules, call.params)?;
    }
    check_type(group, call.params)?;
    let given = given(kind, rules, call.params)?;
    let was_sticky = is_sticky(group);
    group.attributes.extend(given.iter().cloned());
    check_together(&group.attributes)?;
    let attributes = group.attributes.clone();
    if is_sticky(group)
        && !was_sticky
        && let Some(rule) = unsticky_rule(call, records, arn)
    {
        let message = format!(
            "This target group appears behind a rule with group stickiness disabled ({rule}). You must enable group \
             stickiness before enabling target stickiness"
        );
        return Err(invalid(message));
    }
    let told = told_of(&attributes, given.iter().map(|(key, _)| key));
    Ok(Element::new("ModifyTargetGroupAttributesResult").list("Attributes", told))
}

/// Whether clients stick to targets of a group.
pub(super) fn is_sticky(group: &TargetGroupRecord) -> bool {
    value(RULES, &group.attributes, "stickiness.enabled") == "true"
}

fn invalid(message: impl Into<String>) -> ApiFailure {
    ApiFailure::new("InvalidConfigurationRequest", message)
}

/// Which types of stickiness there are goes by what a group speaks. In AWS' words, which differ from type to type.
fn check_type(group: &TargetGroupRecord, params: &Params) -> Result<(), ApiFailure> {
    let asked = params.list("Attributes");
    let given =
        |key: &str| asked.iter().find(|one| one.text("Key") == Some(key)).and_then(|one| one.given("Value"));
    let protocol = group.protocol.as_str();
    if protocol == "TLS" && given("stickiness.enabled").is_some_and(|value| truth(value) == Some(true)) {
        // What is not to be had at all comes before which of it; the types of cookies have words of their own.
        if matches!(given("stickiness.type"), None | Some("source_ip")) {
            return Err(invalid("You cannot enable stickiness on target groups with the TLS protocol"));
        }
    }
    let Some(kind) = given("stickiness.type") else { return Ok(()) };
    match (protocol, kind) {
        ("GENEVE", kind) if GATEWAY_TYPES.contains(&kind) => Ok(()),
        ("GENEVE", kind) => {
            let message = format!("'{}' must be one of [{}]", shown(kind), GATEWAY_TYPES.join(", "));
            Err(ApiFailure::validation(message))
        }
        ("HTTP" | "HTTPS", "lb_cookie" | "app_cookie") => Ok(()),
        (_, "lb_cookie" | "app_cookie") | ("HTTP" | "HTTPS", "source_ip") => Err(invalid(format!(
            "Stickiness type '{kind}' is not supported for target groups with the {protocol} protocol"
        ))),
        (_, "source_ip") => Ok(()),
        _ => {
            Err(ApiFailure::validation("'Stickiness type' must be one of [app_cookie, lb_cookie, source_ip]"))
        }
    }
}

fn check_together(set: &SetAttributes) -> Result<(), ApiFailure> {
    let is = |key: &str, expected: &str| value(RULES, set, key) == expected;
    let sticky = is("stickiness.enabled", "true");
    let algorithm = value(RULES, set, "load_balancing.algorithm.type");
    if sticky && is("stickiness.type", "app_cookie") && is("stickiness.app_cookie.cookie_name", "") {
        return Err(invalid(
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
        ));
    }
    if sticky && algorithm == "weighted_random" {
        return Err(invalid(
            "You cannot have both stickiness and weighted random algorithm enabled on the same target group.",
        ));
    }
    if !is("slow_start.duration_seconds", "0") && algorithm != "round_robin" {
        let name = algorithm.replace('_', " ");
        return Err(invalid(format!(
            "You cannot enable both slow start and {name} algorithm on a target group"
        )));
    }
    if is("load_balancing.algorithm.anomaly_mitigation", "on") && algorithm != "weighted_random" {
        return Err(invalid(
            "You cannot enable anomaly mitigation without weighted random algorithm on a target group",
        ));
    }
    check_health(set)
}

/// Zones leave DNS before all targets are used, healthy or not: a threshold of DNS is not below that of routing.
fn check_health(set: &SetAttributes) -> Result<(), ApiFailure> {
    for part in ["count", "percentage"] {
        let number = |of: &str| {
            value(RULES, set, &format!("target_group_health.{of}.minimum_healthy_targets.{part}"))
                .parse::<u32>()
                .ok()
        };
        if let (Some(dns), Some(routing)) = (number("dns_failover"), number("unhealthy_state_routing"))
            && dns < routing
        {
            // Counts of DNS have a default that routing may pass: it follows, as nothing here goes by it.
            if set.contains_key(&format!("target_group_health.dns_failover.minimum_healthy_targets.{part}")) {
                return Err(invalid(format!(
                    "The healthy target {part} of DNS failover, '{dns}', must be greater than or equal to that of \
                     unhealthy state routing, '{routing}'"
                )));
            }
        }
    }
    Ok(())
}

/// A rule with several groups, this one among them, whose clients do not stick to a group.
fn unsticky_rule(call: &OperationCall<'_>, records: &Records, group: &str) -> Option<String> {
    let is_unsticky = |actions: &[ActionRecord]| {
        groups_of(actions).any(|other| other.arn == group)
            && actions.iter().any(|action| match &action.kind {
                ActionKind::Forward { groups, sticky, .. } => groups.len() > 1 && *sticky != Some(true),
                _ => false,
            })
    };
    let rule = all::<RuleRecord>(call, records).find(|(_, rule)| is_unsticky(&rule.actions));
    let listener =
        || all::<ListenerRecord>(call, records).find(|(_, listener)| is_unsticky(&listener.default_actions));
    rule.map(|(arn, _)| arn.clone())
        .or_else(|| listener().map(|(arn, _)| crate::elbv2::arn::default_rule_arn(arn)))
}
