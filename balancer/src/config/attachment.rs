//! `target_group_attachment` blocks: a target each.

use std::collections::HashMap;

use super::{
    blocks::FoundBlock,
    fields::{BlockContext, BlockFields},
    names::Names,
    raw::RawExpression,
    repetition::REPEATING,
    schema::{Attribute, AttributeKind, Table},
    source::Position,
    target_address,
    target_group::GroupDraft,
    value::{Value, shown},
};

pub(super) static TARGET_GROUP_ATTACHMENT: Table = Table {
    name: "target_group_attachment",
    top: true,
    attributes: &[
        Attribute::new(
            "target_group_arn",
            AttributeKind::Reference { to: "target_group", default: "" },
            "The group that the target belongs to. Needed.",
        ),
        Attribute::new(
            "target_id",
            AttributeKind::Text { allowed: target_address::ALLOWED, default: "" },
            "The target. Needed.",
        ),
        Attribute::new(
            "port",
            AttributeKind::Whole { min: 1, max: 65_535, default: None },
            "Its port. By default the group's.",
        ),
        Attribute::new(
            "quic_server_id",
            AttributeKind::Only { allowed: &[""] },
            "Of Network Load Balancers.",
        ),
        Attribute::ignored("availability_zone"),
        // Looked at where the target is: they are taken where it is known which targets they make.
        Attribute::ignored("count"),
        Attribute::ignored("for_each"),
    ],
    blocks: &[],
};

/// Adds every attachment's target to its group.
pub(super) fn add_all(
    context: &BlockContext<'_>,
    found: &[FoundBlock<'_>],
    groups: &Names<'_>,
    drafts: &mut [GroupDraft],
) {
    let mut labels = HashMap::new();
    for found in found {
        if let Some(first) =
            labels.insert(found.label, found.label_position).filter(|_| !found.label.is_empty())
        {
            let message = format!(
                "target group attachment {} is given twice, first at {}; allowed: labels that differ",
                shown(found.label),
                context.faults.show(first)
            );
            context.faults.add(found.label_position, message);
        }
        add(context, found, groups, drafts);
    }
}

fn add(context: &BlockContext<'_>, found: &FoundBlock<'_>, groups: &Names<'_>, drafts: &mut [GroupDraft]) {
    let fields = BlockFields::open(context, &TARGET_GROUP_ATTACHMENT, Some(found.block));
    let made = made(&fields);
    let is_none = matches!(made, Some((_, 0)));
    // What makes several is told once, and not again of what goes by it.
    let fields = if !is_none && notes_repetition(context, &fields) { fields.in_several() } else { fields };
    fields.require("target_group_arn");
    fields.require("target_id");
    let target = fields.value("target_id").filter(|_| !is_none);
    // Where it is not known which targets there are, it is not known either what differs among them.
    let is_several = REPEATING.into_iter().any(|name| !fields.is_unset(name));
    let is_listed = matches!(target, Some((Value::List(_), _)));
    let fields = if is_several && !is_listed { fields.in_several() } else { fields };
    let port = fields.whole_if_given("port").and_then(|port| u16::try_from(port).ok());
    let group = fields
        .value("target_group_arn")
        .and_then(|(value, position)| groups.resolve(context, &value, position));
    let Some((target, position)) = target else { return };
    let targets = match target {
        // Several instances by one name, as `terraform_values` may say.
        Value::List(targets) if !targets.is_empty() => of_instances(context, &fields, targets, made),
        target => vec![(target, position)],
    };
    for (target, position) in targets {
        match (target, group.and_then(|group| drafts.get_mut(group))) {
            (Value::Text(text), Some(draft)) => draft.add(context, position, &text, port),
            // The group is a fault already noted; the target may be one too.
            (Value::Text(text), None) => {
                if let Err(message) = target_address::parse(&text) {
                    context.faults.add(position, message);
                }
            }
            (target, _) => {
                let allowed = fields.allowed("target_id");
                context.faults.add(position, format!("`target_id` = {target}; allowed: {allowed}"));
            }
        }
    }
}

/// How many targets `count` or `for_each` ask for, and which of them does; nothing where that is not known here.
fn made(fields: &BlockFields<'_>) -> Option<(&'static str, usize)> {
    let count = fields.known("count").and_then(|count| usize::try_from(count.as_whole()?).ok());
    count.map(|count| ("count", count)).or_else(|| match fields.known("for_each")? {
        Value::List(items) => Some(("for_each", items.len())),
        Value::Object(members) => Some(("for_each", members.len())),
        _ => None,
    })
}

/// Those of the listed instances that are targets: `count` takes the first ones, `for_each` names each of them.
fn of_instances(
    context: &BlockContext<'_>,
    fields: &BlockFields<'_>,
    mut targets: Vec<(Value, Position)>,
    made: Option<(&'static str, usize)>,
) -> Vec<(Value, Position)> {
    let Some((name, made)) = made else { return targets };
    let listed = targets.len();
    if made > listed || (made < listed && name == "for_each") {
        let message = format!(
            "`{name}` makes {made} targets, and `terraform_values` lists {listed}; allowed: an address there for each \
             of them"
        );
        context.faults.add(fields.position_of(name), message);
    }
    targets.truncate(made);
    targets
}

/// `count` and `for_each` make a target of each instance. That is known where `terraform_values` lists the instances,
/// which are told apart by an index here; elsewhere it is a fault, which is noted.
fn notes_repetition(context: &BlockContext<'_>, fields: &BlockFields<'_>) -> bool {
    let is_each = |step: &String| step.starts_with("[count.") || step.starts_with("[each.") || step == "[…]";
    let has_index = match fields.raw("target_id") {
        Some(RawExpression::Path(path, _)) => path.iter().any(is_each),
        _ => false,
    };
    // A reference that leads nowhere is a fault of its own, with the same way out.
    let is_mapped =
        has_index && matches!(fields.known("target_id"), Some(Value::List(_) | Value::Reference(_)));
    let given = REPEATING.into_iter().find(|name| !fields.is_unset(name)).filter(|_| !is_mapped);
    if let Some(name) = given {
        let message = format!(
            "`{name}` is not supported; allowed: one block for each target group attachment, or the addresses of \
             its instances, as a list, under `terraform_values` of the `balancer` block"
        );
        context.faults.add(fields.position_of(name), message);
    }
    given.is_some()
}
