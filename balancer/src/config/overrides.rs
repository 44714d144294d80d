//! Overrides (`override.tf`, `*_override.tf`, and the same with `.hcl`): blocks that are put over those of other files,
//! by Terraform's rules. Files named `.hcl` are not Terraform's, so that they can say what holds on this host alone.
//! Must not know what any block means.

use std::collections::{HashMap, HashSet};

use super::{
    fault::Faults,
    kinds::{NATIVE, NATIVE_ALONE, spellings},
    raw::{RawAttribute, RawBlock, RawBody},
};

/// Kinds of blocks that say nothing here, whatever is put over them.
const PASSED_OVER: [&str; 5] = ["terraform", "provider", "moved", "import", "removed"];
/// Kinds of blocks that an override cannot bring: what it is put over has to be there, so that a name written wrongly
/// is told.
const NEEDS_A_BASE: [&str; 5] = ["resource", "data", "module", "variable", "output"];

/// Puts the blocks of override files, in the order of the files, over those of the others.
pub(super) fn put_over(bodies: &mut Vec<RawBody>, overrides: Vec<RawBody>, faults: &Faults<'_>) {
    if overrides.is_empty() {
        return;
    }
    let mut bases: HashMap<Header, (usize, usize)> = HashMap::new();
    for (file, body) in bodies.iter().enumerate() {
        for (index, block) in body.blocks.iter().enumerate() {
            bases.entry(header(block)).or_insert((file, index));
        }
    }
    let mut locals: HashMap<String, RawAttribute> = HashMap::new();
    for body in overrides {
        for attribute in &body.attributes {
            let message = format!("`{}` stands outside of a block; allowed: blocks only", attribute.name);
            faults.add(attribute.position, message);
        }
        for block in body.blocks {
            if block.kind == "locals" {
                // Of several overrides of one, the last counts.
                locals.extend(block.body.attributes.into_iter().map(|local| (local.name.clone(), local)));
            } else if !PASSED_OVER.contains(&block.kind.as_str()) {
                put_block_over(bodies, &bases, block, faults);
            }
        }
    }
    put_locals_over(bodies, locals, faults);
}

/// Kind and labels: what tells blocks apart.
type Header = (String, Vec<String>);

fn header(block: &RawBlock) -> Header {
    (block.kind.clone(), block.labels.iter().map(|(label, _)| label.clone()).collect())
}

fn put_block_over(
    bodies: &mut Vec<RawBody>,
    bases: &HashMap<Header, (usize, usize)>,
    block: RawBlock,
    faults: &Faults<'_>,
) {
    let base = bases
        .get(&header(&block))
        .and_then(|(file, index)| bodies.get_mut(*file).and_then(|body| body.blocks.get_mut(*index)));
    if let Some(base) = base {
        merge(&mut base.body, block.body);
    } else if let Some(resource) = resource_of(bases, &block) {
        let (kind, label) = (&block.kind, resource.join("\" \""));
        let message = format!(
            "`{kind}` is not what is to be put over here; allowed: resource \"{label}\", as it is written in the other \
             file, or a label of its own"
        );
        faults.add(block.position, message);
    } else if !NEEDS_A_BASE.contains(&block.kind.as_str()) {
        bodies.push(RawBody { attributes: Vec::new(), blocks: vec![block] });
    } else if !faults.is_partial() {
        let labels: Vec<&str> = block.labels.iter().map(|(label, _)| label.as_str()).collect();
        let message = format!(
            "there is no {} {} to put this over; allowed in an override file: blocks that stand in another file, too",
            block.kind,
            labels.join(".")
        );
        faults.add(block.position, message);
    }
}

/// The resource of another file that a block in the balancer's own spelling is probably to be put over: of its kind, and
/// with its label. A trust store stands in for one.
fn resource_of<'b>(bases: &'b HashMap<Header, (usize, usize)>, block: &RawBlock) -> Option<&'b [String]> {
    let [(label, _)] = block.labels.as_slice() else { return None };
    if !NATIVE.contains(&block.kind.as_str()) || NATIVE_ALONE.contains(&block.kind.as_str()) {
        return None;
    }
    let resources = spellings(&block.kind).into_iter().filter(|spelling| *spelling != block.kind);
    let mut headers = resources.map(|kind| ("resource".to_owned(), vec![kind, label.clone()]));
    headers.find_map(|header| bases.get_key_value(&header)).map(|((_, labels), _)| labels.as_slice())
}

/// Attributes take the place of those with their name; nested blocks that of all of their kind.
fn merge(base: &mut RawBody, over: RawBody) {
    // What was written as a block, such as `tags { }`, may be written as an attribute now, and the other way about.
    let replaced: HashSet<&str> = over
        .blocks
        .iter()
        .map(kind_of)
        .chain(over.attributes.iter().filter(|over| !over.is_no_block).map(|over| over.name.as_str()))
        .collect();
    base.blocks.retain(|block| block.kind == "lifecycle" || !replaced.contains(kind_of(block)));
    put_attributes_over(&mut base.attributes, over.attributes);
    for block in over.blocks {
        match base.blocks.iter_mut().find(|first| first.kind == "lifecycle" && block.kind == "lifecycle") {
            Some(lifecycle) => merge(&mut lifecycle.body, block.body),
            None => base.blocks.push(block),
        }
    }
}

/// A `dynamic` block makes blocks of the kind that it is labelled with.
fn kind_of(block: &RawBlock) -> &str {
    match block.labels.first() {
        Some((label, _)) if block.kind == "dynamic" => label,
        _ => &block.kind,
    }
}

fn put_attributes_over(attributes: &mut Vec<RawAttribute>, over: Vec<RawAttribute>) {
    let indices: HashMap<String, usize> =
        attributes.iter().enumerate().map(|(index, base)| (base.name.clone(), index)).collect();
    for attribute in over {
        match indices.get(&attribute.name).and_then(|index| attributes.get_mut(*index)) {
            Some(base) => *base = attribute,
            None => attributes.push(attribute),
        }
    }
}

fn put_locals_over(bodies: &mut [RawBody], mut locals: HashMap<String, RawAttribute>, faults: &Faults<'_>) {
    let blocks = bodies.iter_mut().flat_map(|body| &mut body.blocks).filter(|block| block.kind == "locals");
    for base in blocks.flat_map(|block| &mut block.body.attributes) {
        if let Some(local) = locals.remove(&base.name) {
            *base = local;
        }
    }
    for local in locals.into_values().filter(|_| !faults.is_partial()) {
        let message = format!("there is no local `{}` to put this over", local.name);
        faults.add(local.position, format!("{message}; allowed: locals that stand in another file, too"));
    }
}
