//! Network and Gateway Load Balancers of a folder that has an Application Load Balancer as well: what is theirs alone
//! is left out, and told. Must not know: what a block means beyond that.

use std::collections::HashSet;

use super::{
    eval,
    fields::{BlockContext, OTHER_BALANCERS},
    kinds::{native_kind, spellings},
    names::block_of,
    raw::{RawBlock, RawBody, RawExpression},
    value::Value,
};

/// Most blocks that are named.
const MAX_NAMED: usize = 8;

/// Takes out of the bodies what is of other load balancers. Where nothing else is in them all stays, and is refused by
/// who reads it.
pub(super) fn leave_out(context: &BlockContext<'_>, bodies: &mut [RawBody]) {
    let blocks: Vec<&RawBlock> = bodies.iter().flat_map(|body| &body.blocks).collect();
    let others = Others::among(context, &blocks);
    let left: Vec<&RawBlock> = blocks.iter().copied().filter(|block| others.has(context, block)).collect();
    let (Some(first), false) = (left.first(), others.are_all(&blocks)) else { return };

    let named: Vec<String> = left
        .iter()
        .filter(|block| kind_of(block).is_some_and(|kind| kind != "target_group_attachment"))
        .filter_map(|block| Some(format!("{}.{}", block.labels.first()?.0, block.labels.get(1)?.0)))
        .collect();
    let more = match named.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (are, they) = if named.len() == 1 { ("is", "it is") } else { ("are", "they are") };
    let message = format!(
        "{}{more} {are} of Network or Gateway Load Balancers, which pass on packets on AWS: that is not done here, and {they} \
         left out; leave it to the kernel (IPVS), HAProxy or nginx",
        named.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ")
    );
    context.faults.note(first.position, message);

    let positions: HashSet<_> = left.iter().map(|block| block.position).collect();
    let keys: HashSet<_> = left.iter().map(|block| block.labels.clone()).collect();
    for body in bodies {
        body.blocks.retain(|block| !(positions.contains(&block.position) && keys.contains(&block.labels)));
    }
}

/// The native kind of a resource of ours.
fn kind_of(block: &RawBlock) -> Option<&str> {
    let (resource_type, _) = block.labels.first().filter(|_| block.kind == "resource")?;
    native_kind(resource_type)
}

fn label(block: &RawBlock) -> &str {
    block.labels.get(1).map_or("", |(label, _)| label)
}

/// What other load balancers have, by label.
#[derive(Default)]
struct Others {
    load_balancers: HashSet<String>,
    listeners: HashSet<String>,
    groups: HashSet<String>,
}

impl Others {
    fn among(context: &BlockContext<'_>, blocks: &[&RawBlock]) -> Self {
        let of_kind = |kind: &'static str| blocks.iter().filter(move |block| kind_of(block) == Some(kind));
        let mut others = Self::default();
        let mut own = HashSet::new();
        for block in of_kind("load_balancer") {
            let type_of = text(context, block, "load_balancer_type");
            let is_other = type_of.is_some_and(|it| matches!(&*it, "network" | "gateway"));
            let balancers = if is_other { &mut others.load_balancers } else { &mut own };
            balancers.insert(label(block).to_owned());
        }
        for block in of_kind("listener") {
            let is_other = match reference(context, block, "load_balancer_arn", "load_balancer") {
                Some(owner) if others.load_balancers.contains(&owner) => true,
                // A protocol that an Application Load Balancer does not have is a mistake.
                Some(owner) if own.contains(&owner) => false,
                _ => is_of_other_protocol(context, block),
            };
            if is_other {
                others.listeners.insert(label(block).to_owned());
            }
        }
        // A group that is forwarded to from here is a mistake of who does, whatever its protocol is.
        let mut named_here = HashSet::new();
        for block in blocks {
            let is_left = kind_of(block) == Some("listener") && others.listeners.contains(label(block));
            if matches!(kind_of(block), Some("listener" | "listener_rule")) && !is_left {
                groups_named(block, &mut named_here);
            }
        }
        for block in of_kind("target_group") {
            let is_of_balancer = text(context, block, "target_type").is_some_and(|it| it == "alb");
            let name = label(block).split('[').next().unwrap_or_default();
            if (is_of_balancer || is_of_other_protocol(context, block)) && !named_here.contains(name) {
                others.groups.insert(label(block).to_owned());
            }
        }
        others
    }

    /// Whether a block is theirs.
    fn has(&self, context: &BlockContext<'_>, block: &RawBlock) -> bool {
        match kind_of(block) {
            Some("load_balancer") => self.load_balancers.contains(label(block)),
            Some("listener") => self.listeners.contains(label(block)),
            Some("target_group") => self.groups.contains(label(block)),
            Some("target_group_attachment") => reference(context, block, "target_group_arn", "target_group")
                .is_some_and(|group| self.groups.contains(&group)),
            Some("listener_certificate" | "listener_rule") => {
                reference(context, block, "listener_arn", "listener")
                    .is_some_and(|listener| self.listeners.contains(&listener))
            }
            _ => false,
        }
    }

    /// Whether there is nothing else that requests could come to.
    fn are_all(&self, blocks: &[&RawBlock]) -> bool {
        blocks.iter().all(|block| match kind_of(block) {
            Some("load_balancer") => self.load_balancers.contains(label(block)),
            Some("listener") => self.listeners.contains(label(block)),
            Some("listener_rule") => false,
            _ => !matches!(block.kind.as_str(), "load_balancer" | "listener"),
        })
    }
}

fn value(context: &BlockContext<'_>, block: &RawBlock, name: &str) -> Option<Value> {
    let attribute = block.body.attributes.iter().find(|attribute| attribute.name == name)?;
    eval::resolve(context.scope, &attribute.value, &block.env).ok()
}

fn text(context: &BlockContext<'_>, block: &RawBlock, name: &str) -> Option<String> {
    value(context, block, name)?.as_text()
}

fn is_of_other_protocol(context: &BlockContext<'_>, block: &RawBlock) -> bool {
    text(context, block, "protocol")
        .is_some_and(|protocol| OTHER_BALANCERS.iter().any(|other| other.eq_ignore_ascii_case(&protocol)))
}

/// The label of the block that an attribute refers to.
fn reference(context: &BlockContext<'_>, block: &RawBlock, name: &str, to: &str) -> Option<String> {
    let Value::Reference(path) = value(context, block, name)? else { return None };
    let (kind, label, _) = block_of(&path)?;
    spellings(to).iter().any(|spelling| spelling == kind).then(|| label.into_owned())
}

/// Labels of target groups that stand anywhere in a block, without an index.
fn groups_named(block: &RawBlock, named: &mut HashSet<String>) {
    let mut left: Vec<&RawExpression> =
        block.body.attributes.iter().map(|attribute| &attribute.value.expression).collect();
    while let Some(expression) = left.pop() {
        if let RawExpression::Path(path, _) = expression
            && let [kind, label, ..] = path.as_slice()
            && native_kind(kind) == Some("target_group")
        {
            named.insert(label.clone());
        }
        left.extend(expression.inner());
    }
    block.body.blocks.iter().for_each(|inner| groups_named(inner, named));
}
