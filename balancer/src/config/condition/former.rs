//! `field` and `values` beside one another, as versions of Terraform's AWS provider before 3 took a condition: the same as the
//! block of its kind. Must not know: what a condition may say.

use crate::config::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Table},
};

pub(super) const FIELD: Attribute = Attribute::new(
    "field",
    AttributeKind::Former { allowed: "\"host-header\" or \"path-pattern\"" },
    "What `values` are of, where they stand in no block of their kind.",
);
pub(super) const VALUES: Attribute = Attribute::new(
    "values",
    AttributeKind::Former { allowed: "what `host_header` or `path_pattern` takes" },
    "What it may be.",
);

/// The kinds that could be written so.
const TAKEN: [&str; 2] = ["host_header", "path_pattern"];

/// How a condition is written.
pub(super) enum Form {
    /// By a block of its kind, or not at all.
    Block,
    /// By `field` and `values`.
    Former(&'static Table),
    /// By them in part, or in a way that never was: that is noted, as one fault.
    Refused,
}

/// Which of them it is. `kinds`: those that there are.
pub(super) fn form(block: &BlockFields<'_>, kinds: &[&'static Table], has_kind: bool) -> Form {
    let Some(name) = [FIELD.name, VALUES.name].into_iter().find(|name| !block.is_unset(name)) else {
        return Form::Block;
    };
    // Where `values` stands alone it does not matter what they are.
    let mut written = String::new();
    let mut field = None;
    if name == FIELD.name {
        // What is wrong with the value itself is told by who reads it.
        let Some((value, _)) = block.value(name) else { return Form::Refused };
        written = format!(" = {value}");
        field = value.as_text();
    }
    let is_field = |table: &&&'static Table| {
        let name = table.name.replace('_', "-");
        TAKEN.contains(&table.name) && field.as_deref().is_some_and(|field| name.eq_ignore_ascii_case(field))
    };
    let taken = kinds.iter().find(is_field).copied();
    if let Some(taken) = taken.filter(|_| !has_kind) {
        return Form::Former(taken);
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
            "`{name}`{written} in a condition is of no version of Terraform's AWS provider; allowed: {allowed}"
        )
    };
    block.fault_at(name, message);
    Form::Refused
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
