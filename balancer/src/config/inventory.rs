//! In which file each block stands, and what no listener uses. Must not know: who asks for it.

use super::{
    blocks::{Blocks, FoundBlock},
    fields::BlockContext,
    listener_tls::Certificates,
    names::{Named, Names},
};
use crate::model::Inventory;

/// Of all blocks there are.
pub(super) fn build(
    context: &BlockContext<'_>,
    blocks: &Blocks<'_>,
    load_balancers: &Names<'_>,
    groups: &Names<'_>,
    certificates: &Certificates<'_, '_>,
) -> Inventory {
    let file_of = |found: &FoundBlock<'_>| context.faults.file(found.block.position);
    let files = |names: &Names<'_>| names.entries.iter().map(|named| file_of(&named.found)).collect();
    let by_label = |found: &FoundBlock<'_>| (found.label.to_owned(), file_of(found));
    let stores = &certificates.trust_stores;
    let store = |(built, named): (&Option<_>, &Named<'_>)| Some((built.clone()?, file_of(&named.found)));
    Inventory {
        load_balancers: files(load_balancers),
        target_groups: files(groups),
        listeners: blocks.listeners.iter().map(by_label).collect(),
        rules: blocks.rules.iter().map(by_label).collect(),
        certificates: certificates.built.iter().flatten().cloned().collect(),
        trust_stores: stores.built.iter().zip(&stores.names.entries).filter_map(store).collect(),
    }
}
