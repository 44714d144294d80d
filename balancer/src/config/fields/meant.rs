//! What may be meant by what is written wrong in a block. Must not know: what is wrong with it.

use super::{BlockFields, suggest};
use crate::config::{
    elsewhere, eval,
    kinds::{NATIVE, UNLABELLED},
    raw::RawBlock,
    schema::{Attribute, AttributeKind, Child, EVERYWHERE_IGNORED},
    source::Position,
};

/// Most attributes and blocks that are looked at for what they may be meant to be.
const MAX_MEANT: usize = 50;

impl BlockFields<'_> {
    /// Whether something in the block, which is a fault of its own, may be meant to be this attribute or block: it is
    /// written as the other of the two, with another spelling, with more words or fewer, or as `dynamic`. Then it is not missing.
    pub(in crate::config) fn is_meant(&self, name: &str) -> bool {
        let Some(body) = self.block.map(|block| &block.body) else { return false };
        if self.misplaced().is_some_and(|(child, _)| child == name) {
            return true;
        }
        let is_other = |other: &str| {
            self.table.attribute(other).is_none()
                && self.table.child(other).is_none()
                && (suggest::nearest(other, [name]).is_some() || shares_words(other, name))
        };
        body.attributes.iter().take(MAX_MEANT).any(|attribute| {
            let is_other_form =
                attribute.name == name && self.table.attribute(name).is_none() && !attribute.is_no_block;
            is_other_form || is_other(&attribute.name)
        }) || body.blocks.iter().take(MAX_MEANT).any(|child| {
            let is_dynamic = child.kind == "dynamic" && child.labels.iter().any(|(label, _)| label == name);
            let is_inner = self.owner_of_block(&child.kind) == Some(name);
            is_dynamic
                || is_inner
                || (child.kind == name && self.table.child(name).is_none())
                || is_other(&child.kind)
        })
    }

    /// Whether a `dynamic` block makes blocks that are not looked at.
    pub(super) fn makes_ignored(&self, dynamic: &RawBlock) -> bool {
        let Some((made, _)) = dynamic.labels.first() else { return false };
        matches!(self.table.child(made), Some(Child::Ignored(_)))
            || (self.table.top && EVERYWHERE_IGNORED.contains(&made.as_str()))
    }

    /// What is wrong with a `dynamic` block that could not be made into what it stands for.
    pub(super) fn wrong_with_dynamic(&self, dynamic: &RawBlock) -> Option<(Position, String)> {
        let made = dynamic.labels.first().map_or("", |(label, _)| label.as_str());
        let by = dynamic.body.attributes.iter().find(|attribute| attribute.name == "for_each");
        let has_content = dynamic.body.blocks.iter().filter(|inner| inner.kind == "content").count() == 1;
        let (Some(by), true) = (by, has_content) else {
            let message = "a `dynamic` block needs a label, `for_each` and one `content` block; allowed: dynamic \
                           \"NAME\" { for_each = …, content { … } }, or the block itself";
            return Some((dynamic.position, message.to_owned()));
        };
        match eval::resolve(self.context.scope, &by.value, &dynamic.env) {
            Err(unknown) => {
                unknown.message().map(|wrong| (by.value.position, format!("`for_each`: {wrong}")))
            }
            Ok(value) if value.is_foreign() => {
                let message = value.lacking().map(|lacking| format!("`for_each`: {lacking}"));
                let message = message.unwrap_or_else(|| format!(
                    "`for_each` = {value} is not known here, so that it is not known how many `{made}` blocks there are; \
                     allowed: what is known, what it is here under `terraform_values` of the `balancer` block, or \
                     `balancer import --plan`"
                ));
                Some((by.value.position, message))
            }
            Ok(value) => {
                let message =
                    format!("`for_each` = {value} has no elements; allowed: a list, a set or a map");
                Some((by.value.position, message))
            }
        }
    }

    /// Whether the block's type is written as the name of that block in it, but for hyphens.
    pub(super) fn is_type_of(&self, child: &str) -> bool {
        self.table.attribute("type").is_some()
            && self.is_wrong("type")
            && self
                .written("type")
                .and_then(|attribute| self.resolve(&attribute.value).ok()?.as_text())
                .is_some_and(|text| text.replace('-', "_") == child)
    }

    /// Whether a block within this one is of a type that is another service's.
    pub(super) fn is_refused_by_type(&self, child: &RawBlock) -> bool {
        let written = child.body.attributes.iter().find(|attribute| attribute.name == "type");
        written
            .and_then(|written| eval::resolve(self.context.scope, &written.value, &child.env).ok()?.as_text())
            .is_some_and(|text| elsewhere::whose("type", &text).is_some())
    }

    pub(super) fn hint(&self, name: &str) -> String {
        let attributes = self.table.attributes.iter().map(|attribute| attribute.name);
        suggest::hint(name, attributes.chain(self.table.blocks.iter().map(Child::name)))
    }

    /// What is said of a block that this one does not have: which it has, or that it stands for itself.
    pub(super) fn unknown_block(&self, name: &str) -> String {
        let (hint, table) = (self.hint(name), self.table.name);
        if let Some(owner) = self.owner_of_block(name).filter(|_| hint.is_empty()) {
            return format!(
                "`{name}` is no block of {table}, but of its `{owner}` block; allowed: {owner} {{ {name} {{ … }} }}"
            );
        }
        let own = NATIVE.iter().find(|kind| **kind == name || kind.ends_with(&format!("_{name}")));
        if let Some(own) = own.filter(|_| hint.is_empty()) {
            let label = if UNLABELLED.contains(own) { "" } else { " \"LABEL\"" };
            return format!("unknown block `{name}` in {table}; allowed: `{own}{label} {{ … }}`, beside it");
        }
        let blocks: Vec<&str> = self.known_blocks().collect();
        let allowed = if blocks.is_empty() { self.known_names() } else { blocks.join(", ") };
        format!("unknown block `{name}`{hint} in {table}; allowed: {allowed}")
    }

    fn known_blocks(&self) -> impl Iterator<Item = &'static str> {
        let blocks = self.table.blocks.iter();
        blocks.filter(|child| matches!(child, Child::Block(_) | Child::Repeated(_))).map(Child::name)
    }

    /// The names worth telling: not those that are only put up with.
    pub(super) fn known_names(&self) -> String {
        let put_up_with = |attribute: &&Attribute| {
            use AttributeKind::{Former, Ignored, Only};
            matches!(attribute.kind, Ignored | Only { .. } | Former { .. })
        };
        let attributes = self.table.attributes.iter().filter(|attribute| !put_up_with(attribute));
        let names: Vec<&str> =
            attributes.map(|attribute| attribute.name).chain(self.known_blocks()).collect();
        names.join(", ")
    }
}

/// Whether all words of one name stand in the other as well, be they several or one: `target_groups` in
/// `target_group_arn`.
fn shares_words(one: &str, other: &str) -> bool {
    let words = |name: &str| {
        let one_of_each = name.split('_').map(|word| word.strip_suffix('s').unwrap_or(word));
        format!("_{}_", one_of_each.collect::<Vec<_>>().join("_"))
    };
    let (one, other) = (words(one), words(other));
    one.contains(&other) || other.contains(&one)
}
