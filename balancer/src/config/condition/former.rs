//! `field` and `values` beside one another, as versions of Terraform's AWS provider before 3 took a condition: refused, with
//! what to write in their place. Must not know: what a condition may say.

use crate::config::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Table},
};

const MEANING: &str =
    "Of versions of Terraform's AWS provider before 3: write `path_pattern { values = [...] }` and the like.";

pub(super) const FIELD: Attribute = Attribute::new("field", AttributeKind::Former, MEANING);
pub(super) const VALUES: Attribute = Attribute::new("values", AttributeKind::Former, MEANING);

/// Whether a condition is written in that form, in whole or in part: then that is noted, as one fault. `kinds`: those that there
/// are.
pub(super) fn is_refused(block: &BlockFields<'_>, kinds: &[&Table], has_kind: bool) -> bool {
    let Some(name) = [FIELD.name, VALUES.name].into_iter().find(|name| !block.is_unset(name)) else {
        return false;
    };
    // Where `values` stands alone it does not matter what they are.
    let mut written = String::new();
    let mut field = None;
    if name == FIELD.name {
        // What is wrong with the value itself is told by who reads it.
        let Some((value, _)) = block.value(name) else { return true };
        written = format!(" = {value}");
        field = value.as_text();
    }
    let allowed = match field {
        _ if has_kind => "the block of its kind alone, leave it out".to_owned(),
        Some(field) => instead_of(&field, kinds),
        None => any_of(kinds),
    };
    let message = if name == VALUES.name && !has_kind {
        format!("`{name}` in a condition does not say of what; allowed: {allowed}")
    } else {
        format!(
            "`{name}`{written} in a condition is of versions of Terraform's AWS provider before 3; allowed: {allowed}"
        )
    };
    block.fault_at(name, message);
    true
}

/// What says the same as a condition about a field.
fn instead_of(field: &str, kinds: &[&Table]) -> String {
    let kind = field.replace('-', "_").to_ascii_lowercase();
    let is_of_values = |table: &Table| table.attributes.iter().all(|it| it.name.ends_with(VALUES.name));
    if let Some(kind) = kinds.iter().find(|table| table.name == kind && is_of_values(table)) {
        return format!("`{} {{ values = [...] }}`", kind.name);
    }
    match kind.as_str() {
        "http_header" => "`http_header { http_header_name = ..., values = [...] }`, a line each".to_owned(),
        "query_string" => "`query_string { value = ... }`, once for each value".to_owned(),
        _ => any_of(kinds),
    }
}

fn any_of(kinds: &[&Table]) -> String {
    let names: Vec<&str> = kinds.iter().map(|table| table.name).collect();
    format!("a block such as `path_pattern {{ values = [...] }}`, which may be {}", names.join(", "))
}
