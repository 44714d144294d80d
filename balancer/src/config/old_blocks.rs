//! Blocks that Terraform up to 0.11 took as values as well: `stickiness = { … }`, and a list of such for several.
//! Must not know: what is in a block.

use std::borrow::Cow;

use super::raw::{RawAttribute, RawBlock, RawBody, RawExpression};

/// The blocks that its provider had then.
const OF_OLD: [&str; 12] = [
    "access_logs",
    "action",
    "authenticate_cognito",
    "authenticate_oidc",
    "condition",
    "default_action",
    "fixed_response",
    "health_check",
    "redirect",
    "stickiness",
    "subnet_mapping",
    "timeouts",
];

/// A resource with blocks where it has values that were blocks once.
pub(super) fn as_blocks(block: &RawBlock) -> Cow<'_, RawBlock> {
    if block.kind != "resource" || !has_some(&block.body) {
        return Cow::Borrowed(block);
    }
    Cow::Owned(RawBlock { body: body(&block.body), ..block.clone() })
}

fn has_some(body: &RawBody) -> bool {
    body.attributes.iter().any(is_of_old) || body.blocks.iter().any(|block| has_some(&block.body))
}

/// What is worked out is no block: what stands there is read by who looks for a value.
fn is_of_old(attribute: &RawAttribute) -> bool {
    let is_object = |expression: &RawExpression| match expression {
        RawExpression::Object(members) => {
            members.iter().all(|(key, _)| matches!(key, RawExpression::Text(_)))
        }
        _ => false,
    };
    OF_OLD.contains(&attribute.name.as_str())
        && match &attribute.value.expression {
            RawExpression::List(items) => items.iter().all(|item| is_object(&item.expression)),
            expression => is_object(expression),
        }
}

fn body(written: &RawBody) -> RawBody {
    let mut made = RawBody::default();
    for attribute in &written.attributes {
        match &attribute.value.expression {
            RawExpression::List(items) if is_of_old(attribute) => {
                for (index, item) in items.iter().enumerate() {
                    let position = if index == 0 { attribute.position } else { item.position };
                    made.blocks.extend(made_block(&RawAttribute {
                        position,
                        value: item.clone(),
                        ..attribute.clone()
                    }));
                }
            }
            RawExpression::Object(_) if is_of_old(attribute) => made.blocks.extend(made_block(attribute)),
            _ => made.attributes.push(attribute.clone()),
        }
    }
    let inner = |block: &RawBlock| RawBlock { body: body(&block.body), ..block.clone() };
    made.blocks.extend(written.blocks.iter().map(inner));
    made
}

fn made_block(attribute: &RawAttribute) -> Option<RawBlock> {
    let RawExpression::Object(members) = &attribute.value.expression else { return None };
    let mut attributes: Vec<RawAttribute> = Vec::new();
    for (key, value) in members {
        let RawExpression::Text(name) = key else { continue };
        // Of a key that is there twice the last value counts.
        attributes.retain(|attribute| attribute.name != *name);
        attributes.push(RawAttribute {
            name: name.clone(),
            position: value.position,
            value: value.clone(),
            is_no_block: false,
        });
    }
    Some(RawBlock {
        kind: attribute.name.clone(),
        position: attribute.position,
        labels: Vec::new(),
        body: body(&RawBody { attributes, blocks: Vec::new() }),
        env: super::bindings::Env::default(),
    })
}
