//! Actions and rules as blocks of a document. Must not know: what else is in it.

use serde_json::{Map, Value, json};

use super::made::{MadeRecords, literal};
use crate::elbv2::records::{
    ActionKind, ActionRecord, ConditionRecord, RuleRecord, TransformRecord, WeightedGroupRecord,
};

/// What a fixed response without a type is.
const PLAIN: &str = "text/plain";

/// The block of a rule.
pub(super) fn rule(rule: &RuleRecord, made: MadeRecords<'_>) -> Value {
    let mut block = Map::new();
    block.insert("listener_arn".into(), literal(&made.listener_label(&rule.listener_arn)));
    block.insert("priority".into(), rule.priority.into());
    block.insert("condition".into(), rule.conditions.iter().map(condition).collect());
    if let Some(last) = rule.actions.last() {
        block.insert("action".into(), action(last, made));
    }
    if !rule.transforms.is_empty() {
        block.insert("transform".into(), rule.transforms.iter().map(transform).collect());
    }
    Value::Object(block)
}

/// The block of an action.
pub(super) fn action(action: &ActionRecord, made: MadeRecords<'_>) -> Value {
    match &action.kind {
        ActionKind::Forward { groups, sticky, sticky_seconds } => {
            let mut forward = Map::new();
            let group = |group: &WeightedGroupRecord| {
                let mut block = Map::new();
                block.insert("arn".into(), made.reference(&group.arn));
                if let Some(weight) = group.weight {
                    block.insert("weight".into(), weight.into());
                }
                Value::Object(block)
            };
            forward.insert("target_group".into(), groups.iter().map(group).collect());
            if *sticky == Some(true) {
                let mut stickiness = Map::from_iter([("enabled".to_owned(), true.into())]);
                stickiness.extend(sticky_seconds.map(|seconds| ("duration".to_owned(), seconds.into())));
                forward.insert("stickiness".into(), stickiness.into());
            }
            json!({ "type": "forward", "forward": forward })
        }
        ActionKind::Redirect { protocol, port, host, path, query, status_code } => {
            let parts =
                [("protocol", protocol), ("port", port), ("host", host), ("path", path), ("query", query)];
            let given = parts.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)));
            let mut redirect: Map<String, Value> =
                given.map(|(name, part)| (name.to_owned(), literal(part))).collect();
            redirect.insert("status_code".into(), literal(status_code));
            json!({ "type": "redirect", "redirect": redirect })
        }
        ActionKind::FixedResponse { status_code, content_type, message_body } => {
            let mut response = Map::new();
            response.insert("status_code".into(), literal(status_code));
            let content_type = content_type.as_deref().filter(|kind| !kind.is_empty());
            response.insert("content_type".into(), literal(content_type.unwrap_or(PLAIN)));
            if let Some(body) = message_body {
                response.insert("message_body".into(), literal(body));
            }
            json!({ "type": "fixed-response", "fixed_response": response })
        }
    }
}

fn texts(values: &[String]) -> Value {
    values.iter().map(|value| literal(value)).collect()
}

fn condition(condition: &ConditionRecord) -> Value {
    let name = condition.field.replace('-', "_");
    if name == "query_string" {
        let pair = |(key, value): &(Option<String>, String)| {
            let mut block = Map::new();
            if let Some(key) = key {
                block.insert("key".into(), literal(key));
            }
            block.insert("value".into(), literal(value));
            Value::Object(block)
        };
        return json!({ name: condition.query.iter().map(pair).collect::<Value>() });
    }
    let mut block = Map::new();
    if let Some(header) = &condition.header_name {
        block.insert("http_header_name".into(), literal(header));
    }
    if condition.regex_values.is_empty() {
        block.insert("values".into(), texts(&condition.values));
    } else {
        block.insert("regex_values".into(), texts(&condition.regex_values));
    }
    json!({ name: block })
}

fn transform(transform: &TransformRecord) -> Value {
    let rewrite =
        |(regex, replace): &(String, String)| json!({ "regex": literal(regex), "replace": literal(replace) });
    let rewrites: Value = transform.rewrites.iter().map(rewrite).collect();
    let config = format!("{}_config", transform.kind.replace('-', "_"));
    json!({ "type": literal(&transform.kind), config: { "rewrite": rewrites } })
}
