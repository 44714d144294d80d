//! `transform` blocks of a rule (ALB: transforms for listener rules).

use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Child, Table},
    value::shown,
};
use crate::{
    model::{Rewrite, Transforms},
    rules::{check_regex, check_replacement},
};

/// Longest expression and longest replacement, in characters.
const MAX_TEXT: usize = 1024;

pub(super) static TRANSFORM: Table = Table {
    name: "transform",
    top: false,
    attributes: &[Attribute::new(
        "type",
        AttributeKind::Choice { allowed: &["host-header-rewrite", "url-rewrite"], default: "", later: &[] },
        "What is rewritten in requests that are forwarded. Needed; each type once.",
    )],
    blocks: &[Child::Block(&HOST_HEADER_REWRITE_CONFIG), Child::Block(&URL_REWRITE_CONFIG)],
};

pub(super) static HOST_HEADER_REWRITE_CONFIG: Table = config("host_header_rewrite_config");
pub(super) static URL_REWRITE_CONFIG: Table = config("url_rewrite_config");

const REWRITES: &[Child] = &[Child::Block(&REWRITE)];

const fn config(name: &'static str) -> Table {
    Table { name, top: false, attributes: &[], blocks: REWRITES }
}

pub(super) static REWRITE: Table = Table {
    name: "rewrite",
    top: false,
    attributes: &[
        Attribute::new(
            "regex",
            AttributeKind::Text {
                allowed: "1 to 1024 characters: a regular expression without look-around and back-references",
                default: "",
            },
            "Matched against the host without its port, whatever the case, or against path and query. Needed.",
        ),
        Attribute::new(
            "replace",
            AttributeKind::Text {
                allowed: "at most 1024 characters of visible ASCII, no spaces; `$1` to `$99` are what the groups of the expression caught",
                default: "",
            },
            "What the first match is replaced by. Needed.",
        ),
    ],
    blocks: &[],
};

/// Reads all transforms of a rule.
pub(super) fn build_all(rule: &BlockFields<'_>) -> Transforms {
    let mut transforms = Transforms::default();
    for block in rule.open_children(&TRANSFORM) {
        block.require("type");
        let (transform, table, other) = match block.choice("type") {
            "host-header-rewrite" => (&mut transforms.host, &HOST_HEADER_REWRITE_CONFIG, &URL_REWRITE_CONFIG),
            "url-rewrite" => (&mut transforms.url, &URL_REWRITE_CONFIG, &HOST_HEADER_REWRITE_CONFIG),
            _ => continue,
        };
        if let Some(foreign) = block.child(other.name) {
            let message = format!("`{}` belongs to the other type; allowed: `{}`", other.name, table.name);
            block.fault_in(foreign.position, message);
        }
        if transform.is_some() {
            let message = format!("a second `{}` transform; allowed: one in a rule", block.choice("type"));
            block.fault(message);
        }
        *transform = rewrite(&block, table);
    }
    transforms
}

fn rewrite(block: &BlockFields<'_>, table: &'static Table) -> Option<Rewrite> {
    let config = block.open_child(table);
    if config.position().is_none() || config.child(REWRITE.name).is_none() {
        block.fault(format!("the transform needs {0} {{ rewrite {{ … }} }}; allowed: `{0}`", table.name));
        return None;
    }
    let fields = config.open_child(&REWRITE);
    for name in ["regex", "replace"] {
        fields.require(name);
    }
    let regex = fields.text("regex")?;
    let replace = fields.text("replace")?;
    let fault = |name: &str, wrong: &str| {
        fields.fault_at(name, format!("`{name}` {wrong}; allowed: {}", fields.allowed(name)));
    };
    if regex.is_empty() || regex.chars().count() > MAX_TEXT {
        fault("regex", &format!("= {}", shown(&regex)));
    } else if let Err(wrong) = check_regex(&regex) {
        fault("regex", &wrong);
    } else if let Err(group) = check_replacement(&regex, &replace) {
        fault("replace", &format!("names group {group}, which the expression has not"));
    }
    let odd = replace.chars().find(|character| !('!'..='~').contains(character));
    if let Some(odd) = odd {
        let what = if odd == ' ' { "a space".to_owned() } else { format!("the character {odd:?}") };
        fault("replace", &format!("= {} has {what}", shown(&replace)));
    } else if replace.len() > MAX_TEXT {
        fault("replace", &format!("is of {} characters", replace.len()));
    }
    Some(Rewrite { regex, replace })
}
