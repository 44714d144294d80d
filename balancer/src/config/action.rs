//! What is done with a request: the `default_action` of a listener and the `action` of a rule.

use super::{
    fields::{Context, Fields, words},
    names::Names,
    schema::{Attribute, Child, Kind, Table},
};
use crate::model::Action;

/// Attributes of an action.
pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "type",
        Kind::Choice {
            allowed: &["forward"],
            default: "",
            later: &[
                "redirect",
                "fixed-response",
                "authenticate-cognito",
                "authenticate-oidc",
                "jwt-validation",
            ],
        },
        "What is done with a request. Needed.",
    ),
    Attribute::new(
        "target_group_arn",
        Kind::Reference { to: "target_group", default: "" },
        "The group that requests go to. Needed, unless there is a `forward` block.",
    ),
    Attribute::new(
        "order",
        Kind::Whole { min: 1, max: 50_000, default: None },
        "Order among several actions: there is but one.",
    ),
];

/// Blocks of an action.
pub(super) const BLOCKS: &[Child] = &[
    Child::Block(&FORWARD),
    Child::Unsupported("redirect"),
    Child::Unsupported("fixed_response"),
    Child::Unsupported("authenticate_cognito"),
    Child::Unsupported("authenticate_oidc"),
    Child::Unsupported("jwt_validation"),
];

pub(super) static FORWARD: Table = Table {
    name: "forward",
    top: false,
    attributes: &[],
    blocks: &[Child::Block(&FORWARD_TARGET_GROUP), Child::Block(&FORWARD_STICKINESS)],
};

pub(super) static FORWARD_TARGET_GROUP: Table = Table {
    name: "target_group",
    top: false,
    attributes: &[
        Attribute::new("arn", Kind::Reference { to: "target_group", default: "" }, "The group. Needed."),
        Attribute::new(
            "weight",
            Kind::Whole { min: 1, max: 999, default: Some(1) },
            "Its share: without effect, since there is one group.",
        ),
    ],
    blocks: &[],
};

pub(super) static FORWARD_STICKINESS: Table = Table {
    name: "stickiness",
    top: false,
    attributes: &[
        Attribute::new("enabled", Kind::Only { allowed: &["false"] }, "Whether clients stick to a group."),
        Attribute::new(
            "duration",
            Kind::Whole { min: 1, max: 604_800, default: None },
            "For how many seconds.",
        ),
    ],
    blocks: &[],
};

/// Reads the action block of this table; nothing when it is a fault.
pub(super) fn build(
    context: &Context<'_>,
    owner: &Fields<'_>,
    table: &'static Table,
    groups: &Names<'_>,
) -> Option<Action> {
    if owner.child(table.name).is_none() {
        let (owner_name, name) = (words(owner.name()), table.name);
        owner.fault(format!(
            "the {owner_name} needs {} `{name}`; allowed: {name} {{ type = \"forward\" … }}",
            if name.starts_with('a') { "an" } else { "a" }
        ));
        return None;
    }
    let action = owner.open_child(table);
    forward_to(context, &action, groups).map(Action::Forward)
}

fn forward_to(context: &Context<'_>, action: &Fields<'_>, groups: &Names<'_>) -> Option<usize> {
    action.require("type");
    let is_forward =
        action.value("type").and_then(|(value, _)| value.as_text()).as_deref() == Some("forward");
    action.choice("type");
    action.whole_if_given("order");
    let direct = action
        .value("target_group_arn")
        .map(|(value, place)| (groups.resolve(context, &value, place), place));
    let block = forward(context, action, groups);
    match (direct, block) {
        (Some((Some(direct), place)), Some(Some(block))) if direct != block => {
            let message =
                "`target_group_arn` and the `forward` block name different groups; allowed: the same group";
            context.faults.add(place, message);
            None
        }
        (Some((group, _)), _) | (None, Some(group)) => group,
        (None, None) => {
            if is_forward && !action.is_written("target_group_arn") {
                action.require("target_group_arn");
            }
            None
        }
    }
}

/// The one group of a `forward` block: outer nothing when there is no such block, inner when it is a fault.
fn forward(context: &Context<'_>, action: &Fields<'_>, groups: &Names<'_>) -> Option<Option<usize>> {
    action.child(FORWARD.name)?;
    // Several groups are a fault of their own, and not one of repeated blocks.
    let forward = action.open_child(&FORWARD);
    let stickiness = forward.open_child(&FORWARD_STICKINESS);
    stickiness.whole_if_given("duration");
    if forward.child(FORWARD_TARGET_GROUP.name).is_none() {
        forward.fault("`forward` needs a `target_group` block; allowed: target_group { arn = … }");
        return Some(None);
    }
    let group = forward.open_child(&FORWARD_TARGET_GROUP);
    group.require("arn");
    group.whole("weight");
    Some(group.value("arn").and_then(|(value, place)| groups.resolve(context, &value, place)))
}
