//! `target_group_attachment` blocks: a target each.

use std::collections::HashMap;

use super::{
    blocks::FoundBlock,
    fields::{BlockContext, BlockFields},
    names::Names,
    schema::{Attribute, AttributeKind, Table},
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
    fields.require("target_group_arn");
    fields.require("target_id");
    let target = fields.value("target_id");
    let port = fields.whole_if_given("port").and_then(|port| u16::try_from(port).ok());
    let group = fields
        .value("target_group_arn")
        .and_then(|(value, position)| groups.resolve(context, &value, position));
    let Some((target, position)) = target else { return };
    let targets = match target {
        // Several instances by one name, as `terraform_values` may say.
        Value::List(targets) if !targets.is_empty() => targets,
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
