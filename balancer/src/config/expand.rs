//! Blocks of ours that stand for several, by `count`, `for_each` or `dynamic`, as the blocks that they stand for.
//! Must not know: what any block or attribute means.

use std::cell::Cell;

use super::{
    bindings::{Env, Val},
    eval,
    fault::Faults,
    instances::{self, Instances, REPEATING},
    kinds::{NATIVE, NATIVE_ALONE, native_kind},
    old_blocks,
    raw::{RawBlock, RawBody, RawExpression},
    scope::Scope,
    source::Position,
    value::lacking,
};

/// Most blocks that are made of those that stand for several.
const MAX_MADE: usize = 20_000;
/// Most attributes and blocks that are copied for them.
const MAX_COPIED: usize = 1_000_000;

/// What is said of a number of blocks that is not known.
pub(super) fn unknown_number(by: &str) -> String {
    format!(
        "goes by {by}, which is not known here; allowed: what is known, what it is here under `terraform_values` of the \
         `balancer` block, or `balancer import --plan`"
    )
}

/// All blocks, with as many of ours as there are.
pub(super) fn expand(bodies: &[RawBody], scope: &Scope<'_>, faults: &Faults<'_>) -> Vec<RawBody> {
    let expansion = Expansion { scope, faults, made: Cell::new(0), copied: Cell::new(0) };
    let expanded = |body: &RawBody| {
        let mut blocks = Vec::new();
        for block in &body.blocks {
            match is_ours(block) {
                true => expansion.top(&old_blocks::as_blocks(block), &mut blocks),
                false if expansion.is_none(block) => {}
                false => blocks.push(block.clone()),
            }
        }
        RawBody { attributes: body.attributes.clone(), blocks }
    };
    let expanded = bodies.iter().map(expanded).collect();
    scope.note_expanded();
    expanded
}

fn is_ours(block: &RawBlock) -> bool {
    match block.labels.first() {
        Some((kind, _)) if block.kind == "resource" => {
            native_kind(kind).is_some_and(|kind| NATIVE.contains(&kind) && !NATIVE_ALONE.contains(&kind))
        }
        _ => NATIVE.contains(&block.kind.as_str()),
    }
}

struct Expansion<'s, 'a> {
    scope: &'s Scope<'a>,
    faults: &'s Faults<'a>,
    made: Cell<usize>,
    copied: Cell<usize>,
}

impl Expansion<'_, '_> {
    /// Whether a resource that one of ours has to stand in for is none.
    fn is_none(&self, block: &RawBlock) -> bool {
        let kind = block.labels.first().and_then(|(kind, _)| native_kind(kind));
        if block.kind != "resource" || !kind.is_some_and(|kind| NATIVE_ALONE.contains(&kind)) {
            return false;
        }
        let Some(by) = instances::repeating(block) else { return false };
        let value = eval::evaluate(self.scope, &by.value, &Env::default());
        let instances = value.and_then(|value| instances::of(&by.name, &value));
        let is_known = matches!(instances, Ok(Instances::Counted(_) | Instances::Keyed(_)));
        is_known && instances.is_ok_and(|instances| instances.all().is_empty())
    }

    fn top(&self, block: &RawBlock, blocks: &mut Vec<RawBlock>) {
        let Some(by) = instances::repeating(block) else {
            return blocks.extend(self.inner(block, &Env::default()));
        };
        let value = eval::evaluate(self.scope, &by.value, &Env::default());
        let instances = match value.and_then(|value| instances::of(&by.name, &value)) {
            Ok(Instances::One) => return blocks.extend(self.inner(block, &Env::default())),
            Ok(Instances::By(source)) => {
                let message = match lacking(&source) {
                    Some(lacking) => format!("`{}`: {lacking}", by.name),
                    None => format!("`{}` {}", by.name, unknown_number(&source)),
                };
                self.faults.add(by.value.position, message);
                return self.faults.note_unread_text();
            }
            Ok(instances) => instances,
            Err(unknown) => {
                if let Some(wrong) = unknown.message() {
                    self.faults.add(by.value.position, format!("`{}`: {wrong}", by.name));
                }
                return self.faults.note_unread_text();
            }
        };
        for (key, env) in instances.all() {
            let Some(mut one) = self.inner(block, &env) else { return };
            if let Some((label, _)) = one.labels.last_mut() {
                label.push_str(&key);
            }
            blocks.push(one);
        }
    }

    /// The block with what its `dynamic` blocks make; nothing when there are too many, which is a fault that is noted.
    fn inner(&self, block: &RawBlock, env: &Env) -> Option<RawBlock> {
        self.made.set(self.made.get() + 1);
        self.copied.set(self.copied.get().saturating_add(1 + block.body.attributes.len()));
        if self.made.get() > MAX_MADE || self.copied.get() > MAX_COPIED {
            if !self.faults.is_partial() {
                let message = format!("the blocks stand for too many; allowed: at most {MAX_MADE}");
                self.faults.add(block.position, message);
            }
            self.faults.note_unread_text();
            return None;
        }
        let is_kept = |name: &str| !REPEATING.contains(&name) || block.labels.is_empty();
        let attributes =
            block.body.attributes.iter().filter(|attribute| is_kept(&attribute.name)).cloned().collect();
        let mut blocks = Vec::new();
        for child in &block.body.blocks {
            if child.kind == "dynamic" {
                self.dynamic(child, env, &mut blocks)?;
            } else {
                blocks.push(self.inner(child, env)?);
            }
        }
        Some(RawBlock {
            kind: block.kind.clone(),
            position: block.position,
            labels: block.labels.clone(),
            body: RawBody { attributes, blocks },
            env: env.clone(),
        })
    }

    /// What a `dynamic` block makes. One of which that is not known stays as it is, and is told by who reads it.
    fn dynamic(&self, dynamic: &RawBlock, env: &Env, blocks: &mut Vec<RawBlock>) -> Option<()> {
        let attribute = |name: &str| dynamic.body.attributes.iter().find(|attribute| attribute.name == name);
        let elements = attribute("for_each")
            .and_then(|by| eval::evaluate(self.scope, &by.value, env).ok())
            .and_then(|value| eval::elements(&value, dynamic.position));
        let contents: Vec<&RawBlock> =
            dynamic.body.blocks.iter().filter(|inner| inner.kind == "content").collect();
        let ([content], Some((made, _)), Some(elements)) =
            (contents.as_slice(), dynamic.labels.first(), elements)
        else {
            blocks.push(RawBlock { env: env.clone(), ..dynamic.clone() });
            return Some(());
        };
        let iterator = attribute("iterator").and_then(|name| name_written(&name.value.expression));
        let iterator = iterator.unwrap_or(made);
        for (key, (value, _)) in elements {
            let both = [("key".to_owned(), key), ("value".to_owned(), value)];
            let env = env.with(iterator, Val::object(both.into_iter().collect()));
            let one = self.inner(content, &env)?;
            blocks.push(RawBlock { kind: made.clone(), position: dynamic.position, ..one });
        }
        Some(())
    }
}

/// What is said where all blocks of ours come to none, and where: at the first, with the variables that it goes by.
pub(super) fn none_left(written: &[RawBody]) -> Option<(Position, String)> {
    let mut ours = written.iter().flat_map(|body| &body.blocks).filter(|block| is_ours(block));
    let (block, by) = ours.find_map(|block| Some((block, instances::repeating(block)?)))?;
    let mut variables: Vec<String> = Vec::new();
    let mut left = vec![&by.value.expression];
    while let Some(expression) = left.pop() {
        if let RawExpression::Path(path, _) = expression
            && let [root, name, ..] = path.as_slice()
            && matches!(root.as_str(), "var" | "local")
        {
            variables.push(format!("`{root}.{name}`"));
        }
        left.extend(expression.inner());
    }
    variables.sort();
    variables.dedup();
    let goes_by = if variables.is_empty() {
        String::new()
    } else {
        format!(", which goes by {}", variables.join(" and "))
    };
    let name: Vec<&str> = block.labels.iter().map(|(label, _)| label.as_str()).collect();
    let message = format!(
        "nothing is configured: `{}` of {} makes none of it{goes_by}; allowed: values by which there is at least one listener or \
         target_group, such as with `-var NAME=VALUE`",
        by.name,
        name.join(".")
    );
    Some((by.value.position, message))
}

/// A name, which is written like a variable.
fn name_written(expression: &RawExpression) -> Option<&str> {
    match expression {
        RawExpression::Path(path, steps) if steps.is_empty() => path.first().map(String::as_str),
        RawExpression::Text(name) => Some(name),
        _ => None,
    }
}
