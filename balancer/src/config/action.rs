//! What is done with a request: the `default_action` of a listener and the `action` of a rule.

use std::sync::Arc;

use super::{
    fields::{BlockContext, BlockFields, words},
    names::Names,
    redirect::{self, REDIRECT, RequestOrigin},
    schema::{Attribute, AttributeKind, Child, Table},
    stickiness::{cookie_attributes, cookie_prefix},
    value::shown,
};
use crate::model::{Action, FixedResponse, Forward, GroupStickinessSettings, WeightedGroup};

/// Most groups of an action (ALB: quotas).
const MAX_GROUPS: usize = 5;
/// Longest body of a fixed response, in characters (ALB: FixedResponseActionConfig).
const MAX_BODY: usize = 1024;

/// Attributes of an action.
pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "type",
        AttributeKind::Choice {
            allowed: &["forward", "redirect", "fixed-response"],
            default: "",
            later: &["authenticate-cognito", "authenticate-oidc", "jwt-validation"],
        },
        "What is done with a request. Needed.",
    ),
    Attribute::new(
        "target_group_arn",
        AttributeKind::Reference { to: "target_group", default: "" },
        "The group that requests go to. Needed for `forward`, unless there is a `forward` block.",
    ),
    Attribute::new(
        "order",
        AttributeKind::Whole { min: 1, max: 50_000, default: None },
        "Order among several actions: there is but one.",
    ),
];

/// Blocks of an action.
pub(super) const BLOCKS: &[Child] = &[
    Child::Block(&FORWARD),
    Child::Block(&REDIRECT),
    Child::Block(&FIXED_RESPONSE),
    Child::Unsupported("authenticate_cognito"),
    Child::Unsupported("authenticate_oidc"),
    Child::Unsupported("jwt_validation"),
];

pub(super) static FORWARD: Table = Table {
    name: "forward",
    top: false,
    attributes: &[],
    blocks: &[Child::Repeated(&FORWARD_TARGET_GROUP), Child::Block(&FORWARD_STICKINESS)],
};

pub(super) static FORWARD_TARGET_GROUP: Table = Table {
    name: "target_group",
    top: false,
    attributes: &[
        Attribute::new(
            "arn",
            AttributeKind::Reference { to: "target_group", default: "" },
            "The group. Needed.",
        ),
        Attribute::new(
            "weight",
            AttributeKind::Whole { min: 0, max: 999, default: Some(1) },
            "Its share of the clients that have no group yet. With 0 it gets none and keeps those it has.",
        ),
    ],
    blocks: &[],
};

pub(super) static FORWARD_STICKINESS: Table = Table {
    name: "stickiness",
    top: false,
    attributes: &[
        Attribute::new(
            "enabled",
            AttributeKind::Truth { default: false },
            "Whether clients stick to the group that was drawn for them. Needed where one of several groups has \
             stickiness of its own.",
        ),
        Attribute::new(
            "duration",
            AttributeKind::Whole { min: 1, max: 604_800, default: None },
            "Seconds after which a client is no longer bound to its group. Needed when enabled.",
        ),
        Attribute::new(
            "window",
            AttributeKind::Choice { allowed: &["sliding", "fixed"], default: "sliding", later: &[] },
            "Whether the duration begins anew with each response or runs once. Not on ALB.",
        ),
        Attribute::new(
            "cookie_secure",
            AttributeKind::Truth { default: false },
            "Whether the cookies are marked `Secure`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_http_only",
            AttributeKind::Truth { default: false },
            "Whether the cookies are marked `HttpOnly`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_partitioned",
            AttributeKind::Truth { default: false },
            "Whether the cookies are marked `Partitioned`. Only with `cookie_secure`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_max_age",
            AttributeKind::Truth { default: true },
            "Whether the cookies say `Max-Age` beside `Expires`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_prefix",
            AttributeKind::Text { allowed: "1 to 32 token characters", default: "\"AWSALB\"" },
            "What the names of the cookies begin with: `TG` and `TGCORS` are added. Not on ALB.",
        ),
    ],
    blocks: &[],
};

pub(super) static FIXED_RESPONSE: Table = Table {
    name: "fixed_response",
    top: false,
    attributes: &[
        Attribute::new(
            "content_type",
            AttributeKind::Choice {
                allowed: &[
                    "text/plain",
                    "text/css",
                    "text/html",
                    "application/javascript",
                    "application/json",
                ],
                default: "",
                later: &[],
            },
            "Media type of the body. Needed.",
        ),
        Attribute::new(
            "message_body",
            AttributeKind::Text { allowed: "at most 1024 characters", default: "none" },
            "The body, in UTF-8.",
        ),
        Attribute::new(
            "status_code",
            AttributeKind::Text { allowed: "a status code from 200 to 299 or from 400 to 599", default: "" },
            "The status. Needed.",
        ),
    ],
    blocks: &[],
};

/// The groups that actions may name, and which of them have stickiness of their own.
pub(super) struct Groups<'n, 'a> {
    pub(super) names: &'n Names<'a>,
    pub(super) sticky: Vec<bool>,
}

/// Reads the action block of this table; nothing when it is a fault. `origin` tells where its requests come in, where
/// that is known.
pub(super) fn build(
    context: &BlockContext<'_>,
    owner: &BlockFields<'_>,
    table: &'static Table,
    groups: &Groups<'_, '_>,
    origin: Option<RequestOrigin>,
) -> Option<Action> {
    if owner.child(table.name).is_none() && owner.is_meant(table.name) {
        return None;
    }
    if owner.child(table.name).is_none() {
        let (owner_name, name) = (words(owner.name()), table.name);
        owner.fault(format!(
            "the {owner_name} needs {} `{name}`; allowed: {name} {{ type = \"forward\" … }}",
            if name.starts_with('a') { "an" } else { "a" }
        ));
        return None;
    }
    let action = owner.open_child(table);
    action.require("type");
    action.whole_if_given("order");
    let kind = action.choice("type");
    let is_of_other_type = check_foreign(owner, &action, kind);
    // Then the type is what is wrong, or the block, and neither is missing beside.
    if is_of_other_type && !has_own(&action, kind) {
        return None;
    }
    match kind {
        "forward" => forward_to(context, &action, groups).map(Action::Forward),
        "redirect" => {
            let block = needed_block(&action, &REDIRECT)?;
            Some(Action::Redirect(redirect::build(&block, origin)))
        }
        "fixed-response" => {
            let block = needed_block(&action, &FIXED_RESPONSE)?;
            Some(Action::FixedResponse(Arc::new(fixed_response(&block))))
        }
        _ => None,
    }
}

/// Whether there is what an action of this type needs.
fn has_own(action: &BlockFields<'_>, kind: &str) -> bool {
    match kind {
        "forward" => action.is_written("target_group_arn") || action.has_child(FORWARD.name),
        "redirect" => action.has_child(REDIRECT.name),
        _ => action.has_child(FIXED_RESPONSE.name),
    }
}

/// Notes what belongs to an action of another type. Whether there is such, and it is a fault: Terraform's provider passes over
/// it where there is what the type needs.
fn check_foreign(owner: &BlockFields<'_>, action: &BlockFields<'_>, kind: &str) -> bool {
    const GROUP: &str = "target_group_arn";
    if kind.is_empty() || action.is_wrong("type") {
        return false;
    }
    let of_types = [(&FORWARD, "forward"), (&REDIRECT, "redirect"), (&FIXED_RESPONSE, "fixed-response")];
    let blocks = of_types.iter().filter(|(_, whose)| *whose != kind);
    let blocks = blocks.filter_map(|(table, whose)| {
        action.child(table.name).map(|block| (table.name, *whose, block.position))
    });
    let group = (kind != "forward" && action.is_given(GROUP))
        .then(|| (GROUP, "forward", action.position_of_value(GROUP)));
    let foreign: Vec<_> = group.into_iter().chain(blocks).collect();
    let is_passed_over = owner.is_of_terraform() && has_own(action, kind);
    for (name, whose, position) in &foreign {
        if is_passed_over {
            action.note_in(*position, format!("`{name}` counts for nothing with `type` = \"{kind}\""));
        } else {
            let message = format!("`{name}` has no meaning for `{kind}`; allowed: `type` = \"{whose}\"");
            action.fault_in(*position, message);
        }
    }
    !foreign.is_empty() && !is_passed_over
}

/// The block that the type of an action demands.
fn needed_block<'a>(action: &BlockFields<'a>, table: &'static Table) -> Option<BlockFields<'a>> {
    if action.child(table.name).is_none() {
        if !action.is_meant(table.name) {
            action.fault(format!("the action needs a `{0}` block; allowed: {0} {{ … }}", table.name));
        }
        return None;
    }
    Some(action.open_child(table))
}

fn fixed_response(fields: &BlockFields<'_>) -> FixedResponse {
    fields.require("content_type");
    fields.require("status_code");
    let body = fields.text("message_body").unwrap_or_default();
    if body.chars().count() > MAX_BODY {
        let message = format!("`message_body` is too long; allowed: {}", fields.allowed("message_body"));
        fields.fault_at("message_body", message);
    }
    FixedResponse {
        status: fixed_status(fields).unwrap_or(200),
        content_type: fields.choice("content_type").to_owned(),
        body,
    }
}

fn fixed_status(fields: &BlockFields<'_>) -> Option<u16> {
    let text = fields.text("status_code")?;
    let is_plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let status = text.parse().ok().filter(|status| is_plain && matches!(status, 200..300 | 400..600));
    if status.is_none() {
        let message = format!("`status_code` = {}; allowed: {}", shown(&text), fields.allowed("status_code"));
        fields.fault_at("status_code", message);
    }
    status
}

fn forward_to(
    context: &BlockContext<'_>,
    action: &BlockFields<'_>,
    groups: &Groups<'_, '_>,
) -> Option<Forward> {
    let direct = action
        .value("target_group_arn")
        .map(|(value, position)| (groups.names.resolve(context, &value, position), position));
    let block = action.child(FORWARD.name).map(|_| forward(context, action, groups));
    match (direct, block) {
        (Some((Some(direct), position)), Some(Some(block)))
            if block.groups.iter().any(|group| group.group != direct) =>
        {
            let message =
                "`target_group_arn` and the `forward` block name different groups; allowed: the same group";
            context.faults.add(position, message);
            None
        }
        (_, Some(block)) => block,
        (Some((group, _)), None) => {
            let groups = vec![WeightedGroup { group: group?, weight: 1 }];
            Some(Forward { groups, stickiness: None })
        }
        (None, None) => {
            action.require("target_group_arn");
            None
        }
    }
}

fn forward(context: &BlockContext<'_>, action: &BlockFields<'_>, groups: &Groups<'_, '_>) -> Option<Forward> {
    let forward = action.open_child(&FORWARD);
    let blocks = forward.open_children(&FORWARD_TARGET_GROUP);
    let stickiness = group_stickiness(&forward.open_child(&FORWARD_STICKINESS));
    if blocks.is_empty() && forward.is_meant(FORWARD_TARGET_GROUP.name) {
        return None;
    }
    if blocks.is_empty() {
        forward.fault("`forward` needs a `target_group` block; allowed: target_group { arn = … }");
        return None;
    }
    if let Some(first_too_many) = blocks.get(MAX_GROUPS) {
        first_too_many.fault(format!("too many target groups in one action; allowed: at most {MAX_GROUPS}"));
    }
    let weighted: Vec<Option<WeightedGroup>> =
        blocks.iter().map(|block| weighted_group(context, block, groups)).collect();
    for (index, block) in blocks.iter().enumerate() {
        let group = |index: usize| weighted.get(index).copied().flatten().map(|group| group.group);
        if group(index).is_some() && (0..index).any(|earlier| group(earlier) == group(index)) {
            block.fault_at("arn", "the action names the target group twice; allowed: once, with one weight");
        }
    }
    let forward_groups: Vec<WeightedGroup> = weighted.into_iter().collect::<Option<_>>()?;
    let is_sticky = |group: &WeightedGroup| groups.sticky.get(group.group).copied().unwrap_or_default();
    if let (true, None, Some(sticky)) =
        (forward_groups.len() > 1, &stickiness, forward_groups.iter().find(|group| is_sticky(group)))
    {
        let name = groups.names.entries.get(sticky.group).map_or("", |named| named.name.as_str());
        forward.fault(format!(
            "You must enable group stickiness on a rule if you enabled target stickiness on one of its target \
             groups, here {}; allowed: stickiness {{ enabled = true duration = … }} in the `forward` block, or no \
             `stickiness` in the target group",
            shown(name)
        ));
    }
    Some(Forward { groups: forward_groups, stickiness })
}

fn weighted_group(
    context: &BlockContext<'_>,
    block: &BlockFields<'_>,
    groups: &Groups<'_, '_>,
) -> Option<WeightedGroup> {
    block.require("arn");
    let weight = u16::try_from(block.whole("weight")).unwrap_or(u16::MAX);
    let group =
        block.value("arn").and_then(|(value, position)| groups.names.resolve(context, &value, position));
    Some(WeightedGroup { group: group?, weight })
}

/// Nothing when it is off. What it says is checked either way.
fn group_stickiness(fields: &BlockFields<'_>) -> Option<GroupStickinessSettings> {
    let enabled = fields.truth("enabled");
    if enabled {
        fields.require("duration");
    }
    let duration = fields.whole_if_given("duration").unwrap_or(1);
    let settings = GroupStickinessSettings {
        duration_seconds: u32::try_from(duration).unwrap_or(u32::MAX),
        sliding: fields.choice("window") == "sliding",
        attributes: cookie_attributes(fields, cookie_prefix(fields)),
    };
    enabled.then_some(settings)
}
