//! Rules of listeners: made, described, changed, ordered, deleted. A listener's default rule is its default actions, under
//! an ARN of its own.

use std::collections::BTreeMap;

use crate::elbv2::{
    arn::{ArnKind, default_rule_arn, rule_arn},
    call::{OperationCall, of_kind, shown},
    failure::ApiFailure,
    paging,
    params::Params,
    records::{ListenerRecord, RecordOwner, Records, RuleRecord},
    resource::{all, find, find_own},
    tagging,
    xml::Element,
};

use super::{actions, conditions, transforms};

/// Most rules of a load balancer, default ones left aside (ALB: quotas).
pub(super) const MAX_RULES: usize = 100;

/// `CreateRule`.
pub(super) fn create(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let listener_arn = call.arn("ListenerArn", ArnKind::Listener)?;
    let listener = find::<ListenerRecord>(call, records, listener_arn)?;
    let priority = priority(call.params)?;
    let made = RuleRecord {
        arn: rule_arn(listener_arn, call.new_id("rule", &format!("{listener_arn} {priority}"))),
        listener_arn: listener_arn.to_owned(),
        owner: RecordOwner::Api,
        priority,
        conditions: conditions::read(&call.params.list("Conditions"))?,
        actions: actions::read(call, records, listener, &call.params.list("Actions"))?,
        transforms: transforms::read(&call.params.list("Transforms"))?,
        tags: tagging::given(call.params)?,
    };
    if let Some((_, other)) =
        of_listener(call, records, listener_arn).find(|(_, rule)| rule.priority == priority)
    {
        return Err(in_use(priority, other));
    }
    let is_of_balancer = |rule: &RuleRecord| {
        find::<ListenerRecord>(call, records, &rule.listener_arn)
            .is_ok_and(|other| other.load_balancer_arn == listener.load_balancer_arn)
    };
    if all::<RuleRecord>(call, records).filter(|(_, rule)| is_of_balancer(rule)).count() >= MAX_RULES {
        let message =
            format!("The maximum number of rules of a load balancer, {MAX_RULES}, has been reached");
        return Err(ApiFailure::new("TooManyRules", message));
    }
    let element = element(&made);
    records.rules.insert(made.arn.clone(), made);
    Ok(Element::new("CreateRuleResult").list("Rules", [element]))
}

fn priority(params: &Params) -> Result<u16, ApiFailure> {
    params
        .whole("Priority")
        .and_then(|priority| u16::try_from(priority).ok())
        .ok_or_else(|| ApiFailure::validation("A rule priority must be specified"))
}

fn in_use(priority: u16, other: &RuleRecord) -> ApiFailure {
    let file = crate::elbv2::names::of_file(&other.owner);
    ApiFailure::new("PriorityInUse", format!("Priority '{priority}' is currently in use{file}"))
}

fn of_listener<'r>(
    call: &OperationCall<'r>,
    records: &'r Records,
    listener: &'r str,
) -> impl Iterator<Item = (&'r String, &'r RuleRecord)> {
    all::<RuleRecord>(call, records).filter(move |(_, rule)| rule.listener_arn == listener)
}

/// The listener whose default rule this is.
fn default_of<'r>(call: &OperationCall<'r>, records: &'r Records, arn: &str) -> Option<&'r ListenerRecord> {
    all::<ListenerRecord>(call, records)
        .find(|(listener, _)| default_rule_arn(listener) == arn)
        .map(|(_, listener)| listener)
}

/// A default rule is changed with its listener, and goes with it.
fn refuse_default(
    call: &OperationCall<'_>,
    records: &Records,
    arn: &str,
    done: &str,
) -> Result<(), ApiFailure> {
    of_kind(arn, ArnKind::Rule)?;
    match default_of(call, records, arn) {
        None => Ok(()),
        Some(_) => {
            let message = format!("Default rule '{}' cannot be {done}", shown(arn));
            Err(ApiFailure::new("OperationNotPermitted", message))
        }
    }
}

/// `DescribeRules`: by priority, the default one last.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let listener = call.params.text("ListenerArn");
    let arns = call.params.texts("RuleArns");
    if listener.is_some() != arns.is_empty() {
        return Err(ApiFailure::validation("You must specify either listener rule ARNs or a listener ARN"));
    }
    let mut found: Vec<(String, Element)> = Vec::new();
    if let Some(arn) = listener {
        let listener = find::<ListenerRecord>(call, records, arn)
            .map_err(|failure| failure.of_several("ListenerNotFound", "One or more listeners not found"))?;
        let key = |rule: &RuleRecord| format!("{:05} {}", rule.priority, rule.arn);
        found.extend(of_listener(call, records, arn).map(|(_, rule)| (key(rule), element(rule))));
        found.push(("default".to_owned(), default_element(listener)));
    }
    for (index, arn) in arns.iter().enumerate() {
        let element = match default_of(call, records, arn) {
            Some(listener) => default_element(listener),
            None => element(
                find::<RuleRecord>(call, records, arn)
                    .map_err(|failure| failure.of_several("RuleNotFound", "One or more rules not found"))?,
            ),
        };
        found.push((format!("{index:05}"), element));
    }
    let page = paging::page(call, found)?;
    Ok(page.end(Element::new("DescribeRulesResult"), "Rules", |element| element))
}

/// `ModifyRule`: the lists that are given take the place of those that were.
pub(super) fn modify(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("RuleArn", ArnKind::Rule)?;
    refuse_default(call, records, arn, "modified")?;
    let mut changed = find_own::<RuleRecord>(call, records, arn)?.clone();
    let params = call.params;
    let (conditions, actions) = (params.list("Conditions"), params.list("Actions"));
    let transforms = params.list("Transforms");
    let resets = params.truth("ResetTransforms") == Some(true);
    if conditions.is_empty() && actions.is_empty() && transforms.is_empty() && !resets {
        return Err(ApiFailure::validation("Either conditions or actions must be specified"));
    }
    if resets && !transforms.is_empty() {
        return Err(ApiFailure::validation("Transforms and ResetTransforms cannot both be specified"));
    }
    if !conditions.is_empty() {
        changed.conditions = conditions::read(&conditions)?;
    }
    if !actions.is_empty() {
        let listener = find::<ListenerRecord>(call, records, &changed.listener_arn)?;
        changed.actions = actions::read(call, records, listener, &actions)?;
    }
    if resets || !transforms.is_empty() {
        changed.transforms = transforms::read(&transforms)?;
    }
    let element = element(&changed);
    records.rules.insert(arn.to_owned(), changed);
    Ok(Element::new("ModifyRuleResult").list("Rules", [element]))
}

/// `DeleteRule`.
pub(super) fn delete(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("RuleArn", ArnKind::Rule)?;
    refuse_default(call, records, arn, "deleted")?;
    find_own::<RuleRecord>(call, records, arn)?;
    records.rules.remove(arn);
    Ok(Element::new("DeleteRuleResult"))
}

/// `SetRulePriorities`: all of them or none.
pub(super) fn set_priorities(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let mut asked: BTreeMap<String, u16> = BTreeMap::new();
    for pair in call.params.list("RulePriorities") {
        let arn = pair
            .text("RuleArn")
            .ok_or_else(|| ApiFailure::validation("A listener rule ARN must be specified"))?;
        refuse_default(call, records, arn, "given a priority")?;
        find_own::<RuleRecord>(call, records, arn)?;
        if asked.insert(arn.to_owned(), priority(&pair)?).is_some() {
            let message = format!("Rule '{}' was provided multiple times", shown(arn));
            return Err(ApiFailure::validation(message));
        }
    }
    for (arn, priority) in &asked {
        let rule = find_own::<RuleRecord>(call, records, arn)?;
        rule.priority = *priority;
    }
    let mut taken: BTreeMap<(&str, u16), &RuleRecord> = BTreeMap::new();
    for (arn, rule) in all::<RuleRecord>(call, records) {
        if let Some(other) = taken.insert((&rule.listener_arn, rule.priority), rule)
            && (asked.contains_key(arn) || asked.contains_key(&other.arn))
        {
            if asked.contains_key(arn) && asked.contains_key(&other.arn) {
                let message = format!("Priority '{}' was provided multiple times", rule.priority);
                return Err(ApiFailure::validation(message));
            }
            return Err(in_use(rule.priority, if asked.contains_key(arn) { other } else { rule }));
        }
    }
    let elements: Vec<Element> = asked.keys().filter_map(|arn| records.rules.get(arn)).map(element).collect();
    Ok(Element::new("SetRulePrioritiesResult").list("Rules", elements))
}

fn element(rule: &RuleRecord) -> Element {
    let element = Element::new("member")
        .text("RuleArn", &rule.arn)
        .text("Priority", rule.priority)
        .list("Conditions", conditions::elements(&rule.conditions))
        .list("Actions", actions::elements(&rule.actions))
        .text("IsDefault", false);
    match rule.transforms.is_empty() {
        true => element,
        false => element.list("Transforms", transforms::elements(&rule.transforms)),
    }
}

fn default_element(listener: &ListenerRecord) -> Element {
    Element::new("member")
        .text("RuleArn", default_rule_arn(&listener.arn))
        .text("Priority", "default")
        .list("Conditions", [])
        .list("Actions", actions::elements(&listener.default_actions))
        .text("IsDefault", true)
}
