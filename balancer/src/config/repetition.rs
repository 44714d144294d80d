//! Blocks that stand for several, by `count` or `for_each`: which they are, and what in a configuration goes by them.
//! Must not know: what any block means.

use super::{
    kinds::{NATIVE, NATIVE_ALONE, native_kind},
    raw::{RawAttribute, RawBlock, RawExpression},
};

/// The attributes that make several blocks of one.
pub(super) const REPEATING: [&str; 2] = ["count", "for_each"];

/// The attribute of a block that makes it several.
pub(super) fn repeating(block: &RawBlock) -> Option<&RawAttribute> {
    block.body.attributes.iter().find(|attribute| REPEATING.contains(&attribute.name.as_str()))
}

/// A block that others refer to: its kind, in whichever spelling, and its label.
pub(super) type Referred<'a> = (&'a str, &'a str);

/// How a block of ours is referred to, where it is a fault that it is several: attachments may be.
pub(super) fn referred(block: &RawBlock) -> Option<Referred<'_>> {
    let name = match block.labels.as_slice() {
        [(kind, _), (label, _)] if block.kind == "resource" => {
            Some((native_kind(kind).filter(|kind| !NATIVE_ALONE.contains(kind))?, label.as_str()))
        }
        [(label, _)] => Some((block.kind.as_str(), label.as_str())),
        _ => None,
    };
    name.filter(|(kind, _)| NATIVE.contains(kind) && *kind != "target_group_attachment")
}

/// The block that a reference leads to.
pub(super) fn referred_by(path: &[String]) -> Option<Referred<'_>> {
    let [kind, label, ..] = path else { return None };
    Some((native_kind(kind).unwrap_or(kind), label))
}

/// Whether a reference says which one of several it is written in: `each.key`, `each.value.port`, `count.index`.
pub(super) fn is_of_each(path: &[String]) -> bool {
    match path {
        [root, part, ..] if root == "count" => part == "index",
        [root, part, ..] if root == "each" => matches!(part.as_str(), "key" | "value"),
        _ => false,
    }
}

/// Whether an expression, or one within it, is such a path.
pub(super) fn has_path(expression: &RawExpression, is_such: &impl Fn(&[String]) -> bool) -> bool {
    let is_one = matches!(expression, RawExpression::Path(path, _) if is_such(path));
    is_one || expression.inner().into_iter().any(|inner| has_path(inner, is_such))
}
