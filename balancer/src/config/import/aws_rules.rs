//! Rules and actions of `aws elbv2 describe-rules` and `describe-listeners`, in the words of Terraform's provider.
//! Must not know: files.

use serde_json::{Map, Value, json};

use super::resource::{object, text};

/// The ARN of a rule's listener: `…:listener-rule/app/NAME/ID/LISTENER/RULE`.
pub(super) fn listener_of(rule: &str) -> String {
    let listener = rule.rsplit_once('/').map_or(rule, |(listener, _)| listener);
    listener.replacen(":listener-rule/", ":listener/", 1)
}

pub(super) fn values(rule: &Value) -> Map<String, Value> {
    let conditions = rule.get("Conditions").and_then(Value::as_array);
    let transforms = rule.get("Transforms").and_then(Value::as_array);
    object(json!({
        "arn": rule.get("RuleArn"),
        "listener_arn": listener_of(text(rule, "RuleArn")),
        "priority": text(rule, "Priority"),
        "action": actions(rule.get("Actions")),
        "condition": conditions.into_iter().flatten().map(condition).collect::<Vec<_>>(),
        "transform": transforms.into_iter().flatten().map(transform).collect::<Vec<_>>(),
    }))
}

/// Actions in their order.
pub(super) fn actions(list: Option<&Value>) -> Value {
    let mut actions: Vec<&Value> = list.and_then(Value::as_array).into_iter().flatten().collect();
    actions.sort_by_key(|action| action.get("Order").and_then(Value::as_u64).unwrap_or_default());
    actions.into_iter().map(action).collect()
}

fn action(action: &Value) -> Value {
    let config = |name: &str| action.get(name).filter(|config| !config.is_null());
    let mut values = object(json!({ "type": action.get("Type") }));
    match config("ForwardConfig") {
        Some(forward) => {
            let groups: Vec<Value> = forward
                .get("TargetGroups")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(|group| json!({ "arn": group.get("TargetGroupArn"), "weight": group.get("Weight") }))
                .collect();
            let mut inner = object(json!({ "target_group": groups }));
            let stickiness = forward.get("TargetGroupStickinessConfig");
            if let Some(sticky) =
                stickiness.filter(|sticky| sticky.get("Enabled") == Some(&Value::Bool(true)))
            {
                inner.insert(
                    "stickiness".to_owned(),
                    json!([{ "enabled": true, "duration": sticky.get("DurationSeconds") }]),
                );
            }
            values.insert("forward".to_owned(), json!([inner]));
        }
        None => {
            values.extend(config("TargetGroupArn").map(|arn| ("target_group_arn".to_owned(), arn.clone())));
        }
    }
    if let Some(redirect) = config("RedirectConfig") {
        values.insert("redirect".to_owned(), json!([lowered(redirect)]));
    }
    if let Some(fixed) = config("FixedResponseConfig") {
        values.insert("fixed_response".to_owned(), json!([lowered(fixed)]));
    }
    for (name, block) in [
        ("AuthenticateOidcConfig", "authenticate_oidc"),
        ("AuthenticateCognitoConfig", "authenticate_cognito"),
        ("JwtValidationConfig", "jwt_validation"),
    ] {
        if config(name).is_some() {
            values.insert(block.to_owned(), json!([{}]));
        }
    }
    Value::Object(values)
}

/// `StatusCode` → `status_code`, of all members.
fn lowered(value: &Value) -> Map<String, Value> {
    let lower = |name: &String| {
        let mut lowered = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !lowered.is_empty() {
                lowered.push('_');
            }
            lowered.push(letter.to_ascii_lowercase());
        }
        lowered
    };
    value.as_object().into_iter().flatten().map(|(name, value)| (lower(name), value.clone())).collect()
}

fn condition(condition: &Value) -> Value {
    let config = |name: &str| condition.get(name).filter(|config| !config.is_null());
    let values = |config: &Value| {
        json!([{
            "values": config.get("Values"), "regex_values": config.get("RegexValues"),
            "http_header_name": config.get("HttpHeaderName"),
        }])
    };
    let field = text(condition, "Field").replace('-', "_");
    let named = match field.as_str() {
        "host_header" => config("HostHeaderConfig"),
        "path_pattern" => config("PathPatternConfig"),
        "http_header" => config("HttpHeaderConfig"),
        "http_request_method" => config("HttpRequestMethodConfig"),
        "source_ip" => config("SourceIpConfig"),
        "query_string" => {
            let pairs = config("QueryStringConfig").and_then(|config| config.get("Values")?.as_array());
            let pairs: Vec<Value> = pairs
                .into_iter()
                .flatten()
                .map(|pair| json!({ "key": pair.get("Key"), "value": pair.get("Value") }))
                .collect();
            return json!({ "query_string": pairs });
        }
        _ => None,
    };
    // Old outputs have the values beside the field.
    json!({ field: values(named.unwrap_or(condition)) })
}

fn transform(transform: &Value) -> Value {
    let rewrites = |name: &str| {
        let rewrites = transform.get(name).and_then(|config| config.get("Rewrites")?.as_array());
        let rewrites: Vec<Value> = rewrites
            .into_iter()
            .flatten()
            .map(|rewrite| json!({ "regex": rewrite.get("Regex"), "replace": rewrite.get("Replace") }))
            .collect();
        if rewrites.is_empty() { Value::Null } else { json!([{ "rewrite": rewrites }]) }
    };
    json!({
        "type": transform.get("Type"),
        "host_header_rewrite_config": rewrites("HostHeaderRewriteConfig"),
        "url_rewrite_config": rewrites("UrlRewriteConfig"),
    })
}
