//! Actions, conditions and transforms of files as records. Must not know: whose they are.

use crate::{
    elbv2::records::{ActionKind, ActionRecord, ConditionRecord, TransformRecord, WeightedGroupRecord},
    model::{Action, Condition, Forward, Redirect, Rewrite, TextPattern, Transforms},
};

/// `groups`: ARNs of the groups, by their places in the configuration.
pub(super) fn action(action: &Action, groups: &[String]) -> ActionRecord {
    let kind = match action {
        Action::Forward(forward) => forward_to(forward, groups),
        Action::Redirect(redirect) => redirect_to(redirect),
        Action::FixedResponse(response) => ActionKind::FixedResponse {
            status_code: response.status.to_string(),
            content_type: Some(response.content_type.clone()),
            message_body: Some(response.body.clone()),
        },
    };
    ActionRecord { order: None, kind }
}

fn forward_to(forward: &Forward, groups: &[String]) -> ActionKind {
    let weighted = forward.groups.iter().map(|group| WeightedGroupRecord {
        arn: groups.get(group.group).cloned().unwrap_or_default(),
        weight: Some(group.weight),
    });
    ActionKind::Forward {
        groups: weighted.collect(),
        sticky: Some(forward.stickiness.is_some()),
        sticky_seconds: forward.stickiness.as_ref().map(|stickiness| stickiness.duration_seconds),
    }
}

fn redirect_to(redirect: &Redirect) -> ActionKind {
    ActionKind::Redirect {
        protocol: Some(match redirect.protocol.as_text() {
            Some(scheme) => scheme.to_ascii_uppercase(),
            None => redirect.protocol.to_string(),
        }),
        port: Some(redirect.port.to_string()),
        host: Some(redirect.host.to_string()),
        path: Some(redirect.path.to_string()),
        query: Some(redirect.query.to_string()),
        status_code: format!("HTTP_{}", redirect.status),
    }
}

pub(super) fn condition(condition: &Condition) -> ConditionRecord {
    let of = |field: &str| ConditionRecord { field: field.to_owned(), ..ConditionRecord::default() };
    match condition {
        Condition::HostHeader(patterns) => with_patterns(of("host-header"), patterns),
        Condition::PathPattern(patterns) => with_patterns(of("path-pattern"), patterns),
        Condition::RequestMethod(methods) => {
            ConditionRecord { values: methods.clone(), ..of("http-request-method") }
        }
        Condition::SourceIp(ranges) => {
            ConditionRecord { values: ranges.iter().map(ToString::to_string).collect(), ..of("source-ip") }
        }
        Condition::HttpHeader { name, values } => {
            with_patterns(ConditionRecord { header_name: Some(name.clone()), ..of("http-header") }, values)
        }
        Condition::QueryString(parameters) => {
            let query = parameters.iter().map(|one| (one.key.clone(), one.value.clone()));
            ConditionRecord { query: query.collect(), ..of("query-string") }
        }
    }
}

fn with_patterns(mut condition: ConditionRecord, patterns: &[TextPattern]) -> ConditionRecord {
    for pattern in patterns {
        match pattern {
            TextPattern::Wildcard(text) => condition.values.push(text.clone()),
            TextPattern::Regex(text) => condition.regex_values.push(text.clone()),
        }
    }
    condition
}

pub(super) fn transforms(transforms: &Transforms) -> Vec<TransformRecord> {
    let of = |kind: &str, rewrite: &Option<Rewrite>| {
        let rewrite = rewrite.as_ref()?;
        let rewrites = vec![(rewrite.regex.clone(), rewrite.replace.clone())];
        Some(TransformRecord { kind: kind.to_owned(), rewrites })
    };
    let both = [of("host-header-rewrite", &transforms.host), of("url-rewrite", &transforms.url)];
    both.into_iter().flatten().collect()
}
