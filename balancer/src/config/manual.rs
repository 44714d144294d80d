//! The tables of the manual, made from the tables that reading goes by, so that it cannot go stale.

use std::fmt::Write;

use super::{
    action, attachment, balancer, certificate, condition, control_api, health_check, listener_rule,
    listener_table, listener_tls, load_balancer, mutual_authentication, redirect,
    schema::{Attribute, AttributeKind, Child, EVERYWHERE_IGNORED, Table},
    session_store, shield, stickiness, target_group, target_source, transform, trust_store,
};

/// Every kind of block with its heading, in the order of the manual.
const TABLES: [(&str, &Table); 40] = [
    ("balancer", &balancer::BALANCER),
    ("shield", &shield::SHIELD),
    ("session_store", &session_store::SESSION_STORE),
    ("control_api", &control_api::CONTROL_API),
    ("load_balancer", &load_balancer::LOAD_BALANCER),
    ("load_balancer / access_logs", &load_balancer::ACCESS_LOGS),
    ("load_balancer / connection_logs", &load_balancer::CONNECTION_LOGS),
    ("load_balancer / health_check_logs", &load_balancer::HEALTH_CHECK_LOGS),
    ("listener", &listener_table::LISTENER),
    ("listener / default_action", &listener_table::DEFAULT_ACTION),
    ("listener / default_action / forward", &action::FORWARD),
    ("listener / default_action / forward / target_group", &action::FORWARD_TARGET_GROUP),
    ("listener / default_action / forward / stickiness", &action::FORWARD_STICKINESS),
    ("listener / default_action / redirect", &redirect::REDIRECT),
    ("listener / default_action / fixed_response", &action::FIXED_RESPONSE),
    ("listener / mutual_authentication", &mutual_authentication::MUTUAL_AUTHENTICATION),
    ("listener_rule", &listener_rule::LISTENER_RULE),
    ("listener_rule / action", &listener_rule::ACTION),
    ("listener_rule / condition", &condition::CONDITION),
    ("listener_rule / condition / host_header", &condition::HOST_HEADER),
    ("listener_rule / condition / path_pattern", &condition::PATH_PATTERN),
    ("listener_rule / condition / http_request_method", &condition::HTTP_REQUEST_METHOD),
    ("listener_rule / condition / source_ip", &condition::SOURCE_IP),
    ("listener_rule / condition / http_header", &condition::HTTP_HEADER),
    ("listener_rule / condition / query_string", &condition::QUERY_STRING),
    ("listener_rule / transform", &transform::TRANSFORM),
    ("listener_rule / transform / host_header_rewrite_config", &transform::HOST_HEADER_REWRITE_CONFIG),
    ("listener_rule / transform / url_rewrite_config", &transform::URL_REWRITE_CONFIG),
    ("listener_rule / transform / … / rewrite", &transform::REWRITE),
    ("listener_certificate", &listener_tls::LISTENER_CERTIFICATE),
    ("certificate", &certificate::CERTIFICATE),
    ("trust_store", &trust_store::TRUST_STORE),
    ("trust_store_revocation", &trust_store::TRUST_STORE_REVOCATION),
    ("target_group", &target_group::TARGET_GROUP),
    ("target_group / stickiness", &stickiness::STICKINESS),
    ("target_group / health_check", &health_check::HEALTH_CHECK),
    ("target_group / target_group_health", &target_group::TARGET_GROUP_HEALTH),
    ("target_group / target_group_health / unhealthy_state_routing", &target_group::UNHEALTHY_STATE_ROUTING),
    ("target_group / target_discovery", &target_source::TARGET_DISCOVERY),
    ("target_group_attachment", &attachment::TARGET_GROUP_ATTACHMENT),
];

/// All blocks and attributes with meaning, allowed values and defaults, in Markdown.
#[must_use]
pub fn manual() -> String {
    let mut text = String::new();
    for (heading, table) in TABLES {
        text.push_str(&section(heading, table));
    }
    let names: Vec<String> = EVERYWHERE_IGNORED.iter().map(|name| format!("`{name}`")).collect();
    text.push_str("### Everywhere\n\nAccepted and not looked at in every block at the top of a file: ");
    text.push_str(&names.join(", "));
    text.push_str(".\n");
    text
}

fn section(heading: &str, table: &Table) -> String {
    let mut text = format!("### `{heading}`\n\n");
    let settable = |attribute: &&Attribute| {
        use AttributeKind::{Former, Ignored, Only};
        !matches!(attribute.kind, Ignored | Only { .. } | Former { .. })
    };
    let rows: Vec<String> = table.attributes.iter().filter(settable).map(row).collect();
    if !rows.is_empty() {
        text.push_str("| attribute | meaning | allowed | default |\n| --- | --- | --- | --- |\n");
        text.push_str(&rows.concat());
        text.push('\n');
    }
    let former: Vec<String> = table.attributes.iter().filter_map(former_row).collect();
    if !former.is_empty() {
        text.push_str("Read as versions of Terraform's AWS provider before 3 read it:\n\n");
        text.push_str("| attribute | meaning | allowed |\n| --- | --- | --- |\n");
        text.push_str(&former.concat());
        text.push('\n');
    }
    let fixed: Vec<String> = table.attributes.iter().filter_map(fixed_row).collect();
    if !fixed.is_empty() {
        text.push_str("Not done by this version, accepted with what asks for nothing else:\n\n");
        text.push_str("| attribute | meaning | allowed |\n| --- | --- | --- |\n");
        text.push_str(&fixed.concat());
        text.push('\n');
    }
    let blocks = |wanted: fn(&Child) -> bool| {
        names(table.blocks.iter().filter(|child| wanted(child)).map(Child::name))
    };
    let ignored =
        table.attributes.iter().filter(|attribute| matches!(attribute.kind, AttributeKind::Ignored));
    let ignored = names(
        ignored
            .map(|attribute| attribute.name)
            .chain(table.blocks.iter().filter(|child| matches!(child, Child::Ignored(_))).map(Child::name)),
    );
    for (what, names) in [
        ("Blocks in it, each at most once", blocks(|child| matches!(child, Child::Block(_)))),
        ("Blocks in it, any number of times", blocks(|child| matches!(child, Child::Repeated(_)))),
        ("Blocks that this version refuses", blocks(|child| matches!(child, Child::Unsupported(_)))),
        ("Accepted and not looked at", ignored),
    ] {
        if !names.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{what}: {names}.\n");
        }
    }
    text
}

fn row(attribute: &Attribute) -> String {
    let Attribute { name, kind, meaning } = attribute;
    format!("| `{name}` | {meaning} | {} | {} |\n", kind.allowed(), kind.default_words())
}

fn fixed_row(attribute: &Attribute) -> Option<String> {
    let Attribute { name, kind: kind @ AttributeKind::Only { .. }, meaning } = attribute else { return None };
    Some(format!("| `{name}` | {meaning} | {} |\n", kind.allowed()))
}

fn former_row(attribute: &Attribute) -> Option<String> {
    let Attribute { name, kind: kind @ AttributeKind::Former { .. }, meaning } = attribute else {
        return None;
    };
    Some(format!("| `{name}` | {meaning} | {} |\n", kind.allowed()))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
