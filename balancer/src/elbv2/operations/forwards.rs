//! Forward actions: to which groups, with what weights, and whether clients stick to a group.

use crate::elbv2::{
    call::{OperationCall, shown},
    failure::ApiFailure,
    params::Params,
    records::{ActionKind, ListenerRecord, Records, TargetGroupRecord, WeightedGroupRecord},
    resource::find,
    usage::GroupUsage,
    xml::Element,
};

use super::group_attributes::is_sticky;

/// Most groups of an action (ALB: quotas).
pub(super) const MAX_GROUPS: usize = 5;
/// Greatest weight.
const MAX_WEIGHT: i64 = 999;
/// One week.
const MAX_SECONDS: i64 = 604_800;

fn invalid(message: impl Into<String>) -> ApiFailure {
    ApiFailure::new("InvalidLoadBalancerAction", message)
}

/// Reads a forward action; what its groups are is not looked at.
///
/// # Errors
/// It names no group, several where it should name one, or a weight or duration that may not be.
pub(super) fn read(member: &Params) -> Result<ActionKind, ApiFailure> {
    let config = member.part("ForwardConfig");
    let direct = member.text("TargetGroupArn");
    let mut groups = Vec::new();
    for group in config.list("TargetGroups") {
        groups.push(weighted(&group)?);
    }
    match (direct, groups.as_slice()) {
        (None, []) => return Err(invalid("A forward action must specify a target group")),
        (Some(direct), []) => groups.push(WeightedGroupRecord { arn: direct.to_owned(), weight: None }),
        (Some(direct), [group]) if group.arn == direct => {}
        (None, _) => {}
        (Some(_), _) => {
            return Err(invalid(
                "TargetGroupArn and ForwardConfig can both be specified only when ForwardConfig has the same target group \
                 alone",
            ));
        }
    }
    check_groups(&groups)?;
    let stickiness = config.part("TargetGroupStickinessConfig");
    let sticky = stickiness.truth("Enabled");
    let sticky_seconds = seconds(&stickiness, sticky == Some(true))?;
    Ok(ActionKind::Forward { groups, sticky, sticky_seconds })
}

fn weighted(group: &Params) -> Result<WeightedGroupRecord, ApiFailure> {
    let arn = group
        .text("TargetGroupArn")
        .ok_or_else(|| ApiFailure::validation("A target group ARN must be specified"))?
        .to_owned();
    let weight = match group.whole("Weight") {
        None => None,
        Some(weight) if (0..=MAX_WEIGHT).contains(&weight) => u16::try_from(weight).ok(),
        Some(weight) => {
            let message =
                format!("Target group weight '{weight}' must be between '0-{MAX_WEIGHT}' inclusive");
            return Err(ApiFailure::validation(message));
        }
    };
    Ok(WeightedGroupRecord { arn, weight })
}

fn check_groups(groups: &[WeightedGroupRecord]) -> Result<(), ApiFailure> {
    if groups.len() > MAX_GROUPS {
        return Err(invalid(format!("A forward action can have up to {MAX_GROUPS} target groups")));
    }
    for (index, group) in groups.iter().enumerate() {
        if groups.iter().take(index).any(|earlier| earlier.arn == group.arn) {
            let message = format!(
                "The target group '{}' cannot be specified more than once in an action",
                shown(&group.arn)
            );
            return Err(invalid(message));
        }
    }
    if groups.len() > 1 && groups.iter().any(|group| group.weight.is_none()) {
        return Err(invalid("A weight must be specified for each target group of an action with several"));
    }
    Ok(())
}

/// The duration of group stickiness. Clients give 0 where it is off.
fn seconds(stickiness: &Params, enabled: bool) -> Result<Option<u32>, ApiFailure> {
    let seconds = stickiness.whole("DurationSeconds");
    let least = i64::from(enabled);
    match seconds {
        None if enabled => Err(invalid(
            "Target group stickiness duration must be specified when target group stickiness is enabled",
        )),
        None => Ok(None),
        Some(seconds) if (least..=MAX_SECONDS).contains(&seconds) => Ok(u32::try_from(seconds).ok()),
        Some(seconds) => {
            let message = format!(
                "Target group stickiness duration '{seconds}' must be between '1-{MAX_SECONDS}' inclusive"
            );
            Err(ApiFailure::validation(message))
        }
    }
}

/// Whether a listener may forward so.
///
/// # Errors
/// A group is not there, belongs to another load balancer, speaks what clients of the listener cannot, or has sticky clients
/// that would move between groups.
pub(super) fn check(
    call: &OperationCall<'_>,
    records: &Records,
    listener: &ListenerRecord,
    kind: &ActionKind,
) -> Result<(), ApiFailure> {
    let ActionKind::Forward { groups, sticky, .. } = kind else { return Ok(()) };
    let usage = GroupUsage::of(call, records);
    let mut any_sticky = false;
    for group in groups {
        let record = find::<TargetGroupRecord>(call, records, &group.arn)?;
        if usage.balancers(&group.arn).any(|balancer| balancer != listener.load_balancer_arn) {
            let message = format!(
                "The following target groups cannot be associated with more than one load balancer: '{}'",
                group.arn
            );
            return Err(ApiFailure::new("TargetGroupAssociationLimit", message));
        }
        if !record.is_http() {
            let message = format!(
                "Listener protocol '{}' is not supported with the target group '{}', whose protocol is '{}'; it must be \
                 'HTTP' or 'HTTPS'",
                listener.protocol, record.name, record.protocol
            );
            return Err(ApiFailure::new("IncompatibleProtocols", message));
        }
        if record.protocol_version != "HTTP1" && listener.protocol != "HTTPS" {
            let message = format!(
                "Listener protocol '{}' is not supported with a target group with the protocol-version '{}'; it must be \
                 'HTTPS'",
                listener.protocol, record.protocol_version
            );
            return Err(ApiFailure::new("IncompatibleProtocols", message));
        }
        any_sticky |= is_sticky(record);
    }
    if groups.len() > 1 && any_sticky && *sticky != Some(true) {
        return Err(invalid(
            "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups",
        ));
    }
    Ok(())
}

/// The configuration of a forward action as it is told, of one group too.
pub(super) fn config(groups: &[WeightedGroupRecord], sticky: Option<bool>, seconds: Option<u32>) -> Element {
    let group = |group: &WeightedGroupRecord| {
        Element::new("member").text("TargetGroupArn", &group.arn).text("Weight", group.weight.unwrap_or(1))
    };
    let stickiness = Element::new("TargetGroupStickinessConfig")
        .text("Enabled", sticky.unwrap_or_default())
        .text_if("DurationSeconds", seconds.filter(|seconds| *seconds > 0));
    Element::new("ForwardConfig").list("TargetGroups", groups.iter().map(group)).with(stickiness)
}
