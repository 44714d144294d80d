//! Actions of listeners and rules: read, checked, and told (ALB: rule action types).

use std::collections::HashSet;

use crate::{
    config,
    elbv2::{
        call::{OperationCall, shown},
        failure::ApiFailure,
        params::Params,
        records::{ActionKind, ActionRecord, ListenerRecord, Records},
        xml::Element,
    },
};

use super::forwards;

/// Content types of fixed responses.
const CONTENT_TYPES: [&str; 5] =
    ["text/html", "application/json", "application/javascript", "text/css", "text/plain"];

fn invalid(message: impl Into<String>) -> ApiFailure {
    ApiFailure::new("InvalidLoadBalancerAction", message)
}

/// Reads actions for a listener, which is as it will be.
///
/// # Errors
/// They cannot be so.
pub(super) fn read(
    call: &OperationCall<'_>,
    records: &Records,
    listener: &ListenerRecord,
    members: &[Params],
) -> Result<Vec<ActionRecord>, ApiFailure> {
    let mut actions = Vec::new();
    for member in members {
        actions.push(action(member)?);
    }
    actions.sort_by_key(|action: &ActionRecord| action.order);
    match actions.as_slice() {
        [] => return Err(ApiFailure::validation("An action must be specified")),
        [_] => {}
        [..] => {
            return Err(ApiFailure::new(
                "TooManyActions",
                "One action of type 'forward', 'redirect' or 'fixed-response' can be specified, and here no other beside it",
            ));
        }
    }
    check(call, records, listener, &actions)?;
    Ok(actions)
}

/// Whether actions may be those of a listener, which is as it will be.
///
/// # Errors
/// They may not.
pub(super) fn check(
    call: &OperationCall<'_>,
    records: &Records,
    listener: &ListenerRecord,
    actions: &[ActionRecord],
) -> Result<(), ApiFailure> {
    for action in actions {
        match &action.kind {
            ActionKind::Forward { .. } => forwards::check(call, records, listener, &action.kind)?,
            ActionKind::Redirect { .. } => check_redirect(listener, &action.kind)?,
            ActionKind::FixedResponse { .. } => {}
        }
    }
    Ok(())
}

fn action(member: &Params) -> Result<ActionRecord, ApiFailure> {
    let kind = member.text("Type").unwrap_or_default();
    let own = match kind {
        "forward" => "ForwardConfig",
        "redirect" => "RedirectConfig",
        "fixed-response" => "FixedResponseConfig",
        "jwt-validation" => {
            return Err(invalid(
                "Actions of type 'jwt-validation' are not done here: let the target check the token, or a proxy before it",
            ));
        }
        other => {
            return Err(invalid(format!(
                "Actions of type '{other}' are not done here: put a proxy that signs users in, such as oauth2-proxy, \
                 between the load balancer and the target"
            )));
        }
    };
    let others = ["ForwardConfig", "RedirectConfig", "FixedResponseConfig"];
    if let Some(other) = others.into_iter().find(|other| *other != own && !member.part(other).is_empty()) {
        return Err(invalid(format!("An action of type '{kind}' cannot have a {other}")));
    }
    if kind != "forward" && member.text("TargetGroupArn").is_some() {
        return Err(invalid(format!("An action of type '{kind}' cannot have a TargetGroupArn")));
    }
    let kind = match kind {
        "forward" => forwards::read(member)?,
        "redirect" => redirect(&member.part(own))?,
        _ => fixed_response(&member.part(own))?,
    };
    let order = member.whole("Order").and_then(|order| u32::try_from(order).ok());
    Ok(ActionRecord { order, kind })
}

fn redirect(config: &Params) -> Result<ActionKind, ApiFailure> {
    if config.is_empty() {
        return Err(invalid("A redirect action needs a RedirectConfig"));
    }
    let part = |name: &str| -> Result<Option<String>, ApiFailure> {
        // A query may be none; all else that is empty was left out.
        let given = if name == "Query" { config.given(name) } else { config.text(name) };
        match given {
            Some(text) if !config::is_redirect_part(&name.to_ascii_lowercase(), text) => {
                let message =
                    format!("The redirect {} '{}' is not valid", name.to_ascii_lowercase(), shown(text));
                Err(ApiFailure::validation(message))
            }
            given => Ok(given.map(str::to_owned)),
        }
    };
    Ok(ActionKind::Redirect {
        protocol: config.text("Protocol").map(str::to_owned),
        port: part("Port")?,
        host: part("Host")?,
        path: part("Path")?,
        query: part("Query")?,
        status_code: config.text("StatusCode").unwrap_or_default().to_owned(),
    })
}

/// What a redirect may not be: one that leads back to itself, or out of TLS.
fn check_redirect(listener: &ListenerRecord, kind: &ActionKind) -> Result<(), ApiFailure> {
    let ActionKind::Redirect { protocol, port, host, path, .. } = kind else { return Ok(()) };
    let is_same =
        |part: &Option<String>, same: &[&str]| part.as_deref().is_none_or(|part| same.contains(&part));
    let own_port = listener.port.to_string();
    if is_same(protocol, &["#{protocol}", &listener.protocol])
        && is_same(port, &["#{port}", &own_port])
        && is_same(host, &["#{host}"])
        && is_same(path, &["/#{path}"])
    {
        return Err(invalid("The RedirectConfig is not valid because it creates a loop."));
    }
    if listener.protocol == "HTTPS" && protocol.as_deref() == Some("HTTP") {
        return Err(invalid(
            "The RedirectConfig is not valid: a redirect from HTTPS to HTTP is not supported.",
        ));
    }
    Ok(())
}

fn fixed_response(config: &Params) -> Result<ActionKind, ApiFailure> {
    if config.is_empty() {
        return Err(invalid("A fixed-response action needs a FixedResponseConfig"));
    }
    let content_type = config.text("ContentType");
    if content_type.is_some_and(|kind| !CONTENT_TYPES.contains(&kind)) {
        let kinds: Vec<String> = CONTENT_TYPES.iter().map(|kind| format!("'{kind}'")).collect();
        return Err(invalid(format!("The ContentType must be one of:{}", kinds.join(", "))));
    }
    Ok(ActionKind::FixedResponse {
        status_code: config.text("StatusCode").unwrap_or_default().to_owned(),
        content_type: content_type.map(str::to_owned),
        message_body: config.given("MessageBody").map(str::to_owned),
    })
}

/// Actions as they are told.
pub(super) fn elements(actions: &[ActionRecord]) -> Vec<Element> {
    actions.iter().map(element).collect()
}

fn element(action: &ActionRecord) -> Element {
    let member = Element::new("member");
    match &action.kind {
        ActionKind::Forward { groups, sticky, sticky_seconds } => {
            let only = match groups.as_slice() {
                [group] => Some(&group.arn),
                _ => None,
            };
            member
                .text("Type", "forward")
                .text_if("TargetGroupArn", only)
                .text_if("Order", action.order)
                .with(forwards::config(groups, *sticky, *sticky_seconds))
        }
        ActionKind::Redirect { protocol, port, host, path, query, status_code } => {
            let part =
                |part: &Option<String>, default: &str| part.clone().unwrap_or_else(|| default.to_owned());
            let config = Element::new("RedirectConfig")
                .text("Protocol", part(protocol, "#{protocol}"))
                .text("Port", part(port, "#{port}"))
                .text("Host", part(host, "#{host}"))
                .text("Path", part(path, "/#{path}"))
                .text("Query", part(query, "#{query}"))
                .text("StatusCode", status_code);
            member.text("Type", "redirect").text_if("Order", action.order).with(config)
        }
        ActionKind::FixedResponse { status_code, content_type, message_body } => {
            let config = Element::new("FixedResponseConfig")
                .text_if("MessageBody", message_body.as_ref())
                .text("StatusCode", status_code)
                .text_if("ContentType", content_type.as_ref());
            member.text("Type", "fixed-response").text_if("Order", action.order).with(config)
        }
    }
}

/// Whether several actions are the same, however their parts are ordered: sets of groups have none.
pub(super) fn are_same(some: &[ActionRecord], others: &[ActionRecord]) -> bool {
    let set = |kind: &ActionKind| match kind {
        ActionKind::Forward { groups, sticky, sticky_seconds } => {
            let groups: HashSet<(String, u16)> =
                groups.iter().map(|group| (group.arn.clone(), group.weight.unwrap_or(1))).collect();
            Some((groups, sticky.unwrap_or_default(), *sticky_seconds))
        }
        _ => None,
    };
    some.len() == others.len()
        && some.iter().zip(others).all(|(one, other)| match (set(&one.kind), set(&other.kind)) {
            (None, None) => one.kind == other.kind,
            (one, other) => one == other,
        })
}
