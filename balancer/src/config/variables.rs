//! Files of values of variables (`*.tfvars`), by Terraform's order: `terraform.tfvars`, `terraform.tfvars.json`,
//! then `*.auto.tfvars` and `*.auto.tfvars.json` by name; a later value counts.
//! Must not know what any variable is for.

use super::{
    fault::Faults,
    raw::{RawAttribute, RawBody, RawExpression},
    scope::Scope,
};

/// The values in the order in which they count: by rank, and within one as they came, files of a folder by name. What is no
/// value is a fault.
pub(super) fn sorted(mut files: Vec<(u8, usize, RawBody)>, faults: &Faults<'_>) -> Vec<RawAttribute> {
    files.sort_by_key(|(rank, number, _)| (*rank, *number));
    let mut values = Vec::new();
    for (_, _, body) in files {
        for block in &body.blocks {
            let message = format!("`{}` is a block; allowed: values of variables, NAME = VALUE", block.kind);
            faults.add(block.position, message);
        }
        for mut attribute in body.attributes {
            if !is_literal(&attribute.value.expression) {
                let message = format!(
                    "`{}` is no value as it stands; allowed: text, numbers, lists and maps",
                    attribute.name
                );
                faults.add(attribute.value.position, message);
                attribute.value.expression = RawExpression::Unread;
            }
            values.push(attribute);
        }
    }
    values
}

/// Gives the variables their values. One that is not declared is told: Terraform warns of it, too.
pub(super) fn assign_all<'a>(scope: &mut Scope<'a>, values: &'a [RawAttribute], faults: &Faults<'_>) {
    for RawAttribute { name, position, value, .. } in values {
        if !scope.assign(name, value) && !faults.is_partial() {
            faults.note(
                *position,
                format!("there is no variable `{name}`, so that its value here counts for nothing"),
            );
        }
    }
}

fn is_literal(expression: &RawExpression) -> bool {
    match expression {
        RawExpression::Null
        | RawExpression::Bool(_)
        | RawExpression::Number(_)
        | RawExpression::Text(_)
        | RawExpression::Unread => true,
        RawExpression::Template(parts) => parts.iter().all(is_literal),
        RawExpression::List(items) => items.iter().all(|item| is_literal(&item.expression)),
        RawExpression::Object(items) => {
            items.iter().all(|(key, value)| is_literal(key) && is_literal(&value.expression))
        }
        RawExpression::Path(..) | RawExpression::Call(..) | RawExpression::Computed(..) => false,
    }
}
