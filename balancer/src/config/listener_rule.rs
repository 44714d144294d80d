//! `listener_rule` blocks (`aws_lb_listener_rule`): which listener, which priority, and what is done with a request.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use super::{
    action::{self, Groups},
    blocks::FoundBlock,
    condition::{self, CONDITION},
    fields::{BlockContext, BlockFields},
    kinds::{is_ours, spellings},
    names::{block_of, made_beside},
    redirect::RequestOrigin,
    schema::{Attribute, AttributeKind, Child, Table},
    source::Position,
    suggest,
    transform::{self, TRANSFORM},
    value::{Value, WAY_OUT_OF_BLOCKS, shown, way_out_of_block},
};
use crate::model::{Listener, ListenerRule};

/// Most rules of a load balancer, default ones left out (ALB: quotas).
const MAX_RULES: usize = 100;
const MAX_PRIORITY: u16 = 50_000;

pub(super) static LISTENER_RULE: Table = Table {
    name: "listener_rule",
    top: true,
    attributes: &[
        Attribute::new(
            "listener_arn",
            AttributeKind::Reference { to: "listener", default: "" },
            "The listener that the rule belongs to. Needed.",
        ),
        Attribute::new(
            "priority",
            AttributeKind::Whole { min: 1, max: 50_000, default: None },
            "The rule with the lowest is tried first; no two of a listener share one. By default the next after the \
             listener's highest.",
        ),
    ],
    blocks: &[Child::Block(&ACTION), Child::Repeated(&CONDITION), Child::Repeated(&TRANSFORM)],
};

pub(super) static ACTION: Table =
    Table { name: "action", top: false, attributes: action::ATTRIBUTES, blocks: action::BLOCKS };

/// A rule as written, its place among the others not known yet.
struct RuleDraft {
    rule: ListenerRule,
    priority: Option<(u16, Position)>,
    position: Position,
}

/// Reads all rules into their listeners, which stand in the order of `found_listeners` unless there are faults.
pub(super) fn build_all(
    context: &BlockContext<'_>,
    found: &[FoundBlock<'_>],
    groups: &Groups<'_, '_>,
    found_listeners: &[FoundBlock<'_>],
    listeners: &mut [Listener],
) {
    let mut labels = HashMap::new();
    let mut by_listener: BTreeMap<usize, Vec<RuleDraft>> = BTreeMap::new();
    for found in found {
        if let Some(first) =
            labels.insert(found.label, found.label_position).filter(|_| !found.label.is_empty())
        {
            let message = format!(
                "listener rule {} is given twice, first at {}; allowed: labels that differ",
                shown(found.label),
                context.faults.show(first)
            );
            context.faults.add(found.label_position, message);
        }
        let fields = BlockFields::open(context, &LISTENER_RULE, Some(found.block));
        fields.require("listener_arn");
        let listener = fields
            .value("listener_arn")
            .and_then(|(value, position)| resolve(context, &value, position, found_listeners));
        let priority = fields
            .whole_if_given("priority")
            .and_then(|priority| u16::try_from(priority).ok())
            .zip(fields.value("priority").map(|(_, position)| position));
        let conditions = condition::build_all(&fields);
        let label = listener.and_then(|index| found_listeners.get(index)).map(|listener| listener.label);
        let origin = listeners
            .iter()
            .find(|listener| Some(listener.name.as_str()) == label)
            .map(|listener| RequestOrigin { secure: listener.tls.is_some(), port: listener.address.port() });
        let action = action::build(context, &fields, &ACTION, groups, origin);
        let transforms = transform::build_all(&fields);
        if let Some(transform) = fields.child(TRANSFORM.name)
            && action.as_ref().is_some_and(|action| action.groups().next().is_none())
        {
            let message =
                "`transform` is never done: this rule forwards no requests, and nothing else is rewritten";
            context.faults.note(transform.position, message);
        }
        if let (Some(listener), Some(action)) = (listener, action) {
            let rule =
                ListenerRule { name: found.label.to_owned(), priority: 0, conditions, action, transforms };
            let draft = RuleDraft { rule, priority, position: found.block.position };
            by_listener.entry(listener).or_default().push(draft);
        }
    }
    let mut of_balancer: HashMap<usize, usize> = HashMap::new();
    for (index, drafts) in by_listener {
        let positions: Vec<Position> = drafts.iter().map(|draft| draft.position).collect();
        let rules = number(context, drafts);
        let Some(listener) = listeners.get_mut(index) else { continue };
        let count = of_balancer.entry(listener.load_balancer).or_default();
        if let Some(position) = MAX_RULES.checked_sub(*count).and_then(|room| positions.get(room)) {
            let message =
                format!("too many listener rules; allowed: at most {MAX_RULES} for a load balancer");
            context.faults.add(*position, message);
        }
        *count = (*count + rules.len()).min(MAX_RULES);
        listener.rules = rules;
    }
}

/// Gives every rule its priority, and sorts by it.
fn number(context: &BlockContext<'_>, drafts: Vec<RuleDraft>) -> Vec<ListenerRule> {
    let mut taken: HashMap<u16, Position> = HashMap::new();
    for (priority, position) in drafts.iter().filter_map(|draft| draft.priority) {
        if let Some(first) = taken.insert(priority, position) {
            let message = format!(
                "Priority '{priority}' was provided multiple times, first at {}; allowed: priorities that differ",
                context.faults.show(first)
            );
            context.faults.add(position, message);
        }
    }
    let mut highest = taken.keys().copied().max().unwrap_or(0);
    let mut rules: Vec<ListenerRule> = Vec::new();
    for RuleDraft { mut rule, priority, position } in drafts {
        rule.priority = priority.map_or_else(
            || {
                if highest == MAX_PRIORITY {
                    let message = format!("there is no priority left after {highest}; allowed: a `priority`");
                    context.faults.add(position, message);
                }
                highest = highest.saturating_add(1).min(MAX_PRIORITY);
                highest
            },
            |(priority, _)| priority,
        );
        rules.push(rule);
    }
    rules.sort_by_key(|rule| rule.priority);
    rules
}

/// The index among the listeners of the one that a value refers to.
fn resolve(
    context: &BlockContext<'_>,
    value: &Value,
    position: Position,
    listeners: &[FoundBlock<'_>],
) -> Option<usize> {
    let label: Option<Cow<'_, str>> = match value {
        Value::Text(text) => Some(text.as_str().into()),
        Value::Reference(path) => block_of(path).and_then(|(kind, label, attribute)| {
            let is_listener = spellings("listener").iter().any(|spelling| spelling == kind);
            (is_listener && matches!(attribute, None | Some("arn" | "id"))).then_some(label)
        }),
        _ => None,
    };
    let label = label.as_deref();
    let found = label.and_then(|label| listeners.iter().position(|listener| listener.label == label));
    if found.is_none() && !context.faults.is_partial() {
        let labels: Vec<&str> = listeners.iter().map(|listener| listener.label).collect();
        let wrong = match label {
            Some(label) if label.starts_with("arn:") => format!(
                "{} is a listener of AWS, which cannot be reached from here{WAY_OUT_OF_BLOCKS}",
                shown(label)
            ),
            Some(label) => {
                format!(
                    "there is no listener {}{}",
                    shown(label),
                    suggest::hint(label, labels.iter().copied())
                )
            }
            None => {
                let is_ours =
                    matches!(value, Value::Reference(path) if path.first().is_some_and(|root| is_ours(root)));
                let way_out = if value.is_foreign() && !is_ours { way_out_of_block(value) } else { "" };
                format!("{value} is no reference to a listener{way_out}")
            }
        };
        let known: Vec<String> = listeners.iter().take(8).map(|found| found.reference("listener")).collect();
        let known = if known.is_empty() {
            format!("a listener, but none is given{}", made_beside("listener", value))
        } else {
            known.join(", ")
        };
        context.faults.add(position, format!("{wrong}; allowed: {known}"));
    }
    found
}
