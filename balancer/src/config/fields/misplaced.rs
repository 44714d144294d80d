//! What stands in a block and belongs into a block within it. Must not know: what it is for.

use super::BlockFields;
use crate::config::{
    instances::REPEATING,
    raw::RawAttribute,
    schema::{Child, EVERYWHERE_IGNORED, Table},
};

/// Most attributes that are looked at.
const MAX_LOOKED_AT: usize = 50;

impl<'a> BlockFields<'a> {
    /// Attributes that the block does not have and one block within it has, and that block's name. Nothing where it might as
    /// well be another block.
    pub(super) fn misplaced(&self) -> Option<(&'static str, Vec<&'a RawAttribute>)> {
        let is_unknown = |attribute: &&RawAttribute| {
            let name = attribute.name.as_str();
            let is_everywhere =
                self.table.top && (EVERYWHERE_IGNORED.contains(&name) || REPEATING.contains(&name));
            !is_everywhere && self.table.attribute(name).is_none() && self.table.child(name).is_none()
        };
        let body = &self.block?.body;
        let unknown: Vec<&RawAttribute> =
            body.attributes.iter().take(MAX_LOOKED_AT).filter(is_unknown).collect();
        let of = |table: &Table| -> Vec<&'a RawAttribute> {
            let is_its = |attribute: &&&RawAttribute| table.attribute(&attribute.name).is_some();
            unknown.iter().filter(is_its).copied().collect()
        };
        let found: Vec<_> = self.inner().map(|table| (table.name, of(table))).collect();
        let most = found.iter().map(|(_, its)| its.len()).max().filter(|most| *most > 0)?;
        let mut best = found.into_iter().filter(|(_, its)| its.len() == most);
        best.next().filter(|_| best.next().is_none())
    }

    /// Notes them, as one fault.
    pub(super) fn note_misplaced(&self, child: &str, attributes: &[&RawAttribute]) {
        let Some(first) = attributes.first() else { return };
        let names: Vec<String> = attributes.iter().map(|attribute| format!("`{}`", attribute.name)).collect();
        let (listed, are) = match names.as_slice() {
            [rest @ .., last] if !rest.is_empty() => {
                (format!("{} and {last}", rest.join(", ")), "are no attributes")
            }
            _ => (names.concat(), "is no attribute"),
        };
        let message = format!(
            "{listed} {are} of {}, but of its `{child}` block; allowed: {child} {{ {} = … }}",
            self.table.name, first.name
        );
        self.context.faults.add(first.position, message);
    }

    /// The one block within this one that has a block of that name, which this one has not.
    pub(super) fn owner_of_block(&self, name: &str) -> Option<&'static str> {
        let mut owners = self.inner().filter(|table| table.child(name).is_some());
        let first = owners.next()?;
        (self.table.child(name).is_none() && owners.next().is_none()).then_some(first.name)
    }

    fn inner(&self) -> impl Iterator<Item = &'static Table> + use<> {
        self.table.blocks.iter().filter_map(|child| match child {
            Child::Block(table) | Child::Repeated(table) => Some(*table),
            Child::Ignored(_) | Child::Unsupported(_) => None,
        })
    }
}
