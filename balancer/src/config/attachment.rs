//! `target_group_attachment` blocks: a target each.

use std::collections::HashMap;

use super::{
    blocks::Found,
    fields::{Context, Fields},
    names::Names,
    schema::{Attribute, Kind, Table},
    target_address,
    target_group::Draft,
    value::{Value, shown},
};

pub(super) static TARGET_GROUP_ATTACHMENT: Table = Table {
    name: "target_group_attachment",
    top: true,
    attributes: &[
        Attribute::new(
            "target_group_arn",
            Kind::Reference { to: "target_group", default: "" },
            "The group that the target belongs to. Needed.",
        ),
        Attribute::new(
            "target_id",
            Kind::Text { allowed: target_address::ALLOWED, default: "" },
            "The target. Needed.",
        ),
        Attribute::new(
            "port",
            Kind::Whole { min: 1, max: 65_535, default: None },
            "Its port. By default the group's.",
        ),
        Attribute::new("quic_server_id", Kind::Only { allowed: &[""] }, "Of Network Load Balancers."),
        Attribute::ignored("availability_zone"),
    ],
    blocks: &[],
};

/// Adds every attachment's target to its group.
pub(super) fn add_all(context: &Context<'_>, found: &[Found<'_>], groups: &Names<'_>, drafts: &mut [Draft]) {
    let mut labels = HashMap::new();
    for found in found {
        if let Some(first) = labels.insert(found.label, found.label_place).filter(|_| !found.label.is_empty())
        {
            let message = format!(
                "target group attachment {} is given twice, first at {}; allowed: labels that differ",
                shown(found.label),
                context.faults.show(first)
            );
            context.faults.add(found.label_place, message);
        }
        add(context, found, groups, drafts);
    }
}

fn add(context: &Context<'_>, found: &Found<'_>, groups: &Names<'_>, drafts: &mut [Draft]) {
    let fields = Fields::open(context, &TARGET_GROUP_ATTACHMENT, Some(found.block));
    fields.require("target_group_arn");
    fields.require("target_id");
    let port = fields.whole_if_given("port").and_then(|port| u16::try_from(port).ok());
    let group =
        fields.value("target_group_arn").and_then(|(value, place)| groups.resolve(context, &value, place));
    let Some((target, place)) = fields.value("target_id") else { return };
    let text = match target {
        Value::Text(text) => text,
        Value::Reference(_) => {
            let message = format!(
                "`target_id` = {target} is a resource that is not known here; allowed: {}",
                fields.allowed("target_id")
            );
            return context.faults.add(place, message);
        }
        _ => {
            return context
                .faults
                .add(place, format!("`target_id` = {target}; allowed: {}", fields.allowed("target_id")));
        }
    };
    match group.and_then(|group| drafts.get_mut(group)) {
        Some(draft) => draft.add(context, place, &text, port),
        // The group is a fault already noted; the target may be one too.
        None => {
            if let Err(message) = target_address::parse(&text) {
                context.faults.add(place, message);
            }
        }
    }
}
