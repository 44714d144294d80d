//! What a plan says of references: `planned_values` have the instances and no ARNs, `configuration` has what refers to what,
//! once for all instances of a block, and in the order in which it is written. They are joined by what is known on both
//! sides, and where that does not tell, the reference is lost: a share of traffic at the wrong group would be worse.
//! Must not know: how a configuration is written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::resource::Lead;

/// Deepest nesting of modules.
const MAX_MODULES: usize = 20;
const USE_THE_STATE: &str = "import the state once it is applied (--state)";

/// The attributes that lead to others, in whichever block.
const LEADING: [&str; 6] =
    ["load_balancer_arn", "listener_arn", "target_group_arn", "arn", "certificate_arn", "target_id"];

/// A plan as it is looked up.
pub(super) struct PlannedReferences<'p> {
    /// The expressions of each block, by its address without indices.
    expressions: BTreeMap<String, &'p Map<String, Value>>,
    /// The addresses of all instances, by that of their block.
    instances: BTreeMap<String, Vec<String>>,
    /// What modules are called with, by their addresses without indices, and what they give out.
    calls: BTreeMap<String, &'p Map<String, Value>>,
    outputs: BTreeMap<String, &'p Map<String, Value>>,
}

impl<'p> PlannedReferences<'p> {
    pub(super) fn of(root: &'p Value) -> Self {
        let mut plan = Self {
            expressions: BTreeMap::new(),
            instances: BTreeMap::new(),
            calls: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        if let Some(module) = root.get("configuration").and_then(|root| root.get("root_module")) {
            plan.add_configuration(module, "", 0);
        }
        for values in ["planned_values", "prior_state"] {
            let values = root.get(values).map(|root| root.get("values").unwrap_or(root));
            if let Some(module) = values.and_then(|root| root.get("root_module")) {
                plan.add_instances(module, 0);
            }
        }
        plan.instances.values_mut().for_each(|places| {
            places.sort();
            places.dedup();
        });
        plan
    }

    fn add_configuration(&mut self, module: &'p Value, prefix: &str, depth: usize) {
        for resource in array(module, "resources") {
            let address = resource.get("address").and_then(Value::as_str).unwrap_or_default();
            if let Some(expressions) = resource.get("expressions").and_then(Value::as_object) {
                self.expressions.insert(format!("{prefix}{address}"), expressions);
            }
        }
        let calls = module.get("module_calls").and_then(Value::as_object);
        for (name, call) in calls.into_iter().flatten().filter(|_| depth < MAX_MODULES) {
            let address = format!("{prefix}module.{name}.");
            let object = |of: Option<&'p Value>, name: &str| of?.get(name)?.as_object();
            if let Some(expressions) = object(Some(call), "expressions") {
                self.calls.insert(address.clone(), expressions);
            }
            if let Some(outputs) = object(call.get("module"), "outputs") {
                self.outputs.insert(address.clone(), outputs);
            }
            if let Some(inner) = call.get("module") {
                self.add_configuration(inner, &address, depth + 1);
            }
        }
    }

    fn add_instances(&mut self, module: &Value, depth: usize) {
        for resource in array(module, "resources") {
            let address = resource.get("address").and_then(Value::as_str).unwrap_or_default();
            self.instances.entry(without_indices(address)).or_default().push(address.to_owned());
        }
        for inner in array(module, "child_modules").iter().filter(|_| depth < MAX_MODULES) {
            self.add_instances(inner, depth + 1);
        }
    }

    /// What the attributes of a resource lead to that are not known yet.
    pub(super) fn leads(&self, resource: &Value) -> BTreeMap<String, Lead> {
        let mut leads = BTreeMap::new();
        let place = resource.get("address").and_then(Value::as_str).unwrap_or_default();
        let Some(expressions) = self.expressions.get(&without_indices(place)) else { return leads };
        if let Some(values) = resource.get("values").and_then(Value::as_object) {
            self.in_block(place, values, Some(expressions), "", &mut leads);
        }
        leads
    }

    fn in_block(
        &self,
        place: &str,
        values: &Map<String, Value>,
        written: Option<&Map<String, Value>>,
        path: &str,
        leads: &mut BTreeMap<String, Lead>,
    ) {
        for name in LEADING {
            // What is not known yet is left out; null is known.
            let is_known = values.contains_key(name);
            let expression = written.and_then(|written| written.get(name));
            if let Some(expression) = expression.filter(|_| !is_known) {
                leads.insert(format!("{path}{name}"), self.lead(module_of(place), place, expression, 0));
            }
        }
        for (name, value) in values {
            let Some(blocks) = value.as_array().filter(|blocks| blocks.iter().any(Value::is_object)) else {
                continue;
            };
            let of_block = written.and_then(|written| written.get(name));
            let written = match of_block {
                Some(Value::Array(written)) => written.iter().filter_map(Value::as_object).collect(),
                _ => Vec::new(),
            };
            let joined = joined(blocks, &written);
            for (index, block) in blocks.iter().enumerate() {
                let Some(block) = block.as_object() else { continue };
                let path = format!("{path}{name}.{index}.");
                match joined.as_ref().map(|joined| joined.get(index).copied().flatten()) {
                    Ok(written) => self.in_block(place, block, written, &path, leads),
                    Err(why) => lose(block, why, &path, leads),
                }
            }
        }
    }

    /// What the only reference of an expression stands for where that is written in another module: the variable that its caller
    /// gives a value, or what a module gives out. With the module that it is written in, and whose index counts there.
    fn elsewhere(&self, module: &str, expression: &Value) -> Option<(String, String, &'p Value)> {
        let names: Vec<&str> = array(expression, "references").iter().filter_map(Value::as_str).collect();
        if let [name] = names.as_slice()
            && let Some(variable) = name.strip_prefix("var.")
        {
            let value = self.calls.get(&without_indices(module))?.get(variable)?;
            let call = module.strip_suffix('.')?;
            return Some((module_of(call).to_owned(), call.to_owned(), value));
        }
        // `module.a.out` comes with `module.a`, and with one of several there is `module.a["b"].out` before them.
        let [first, others @ ..] = names.as_slice() else { return None };
        let is_shorter =
            |other: &&str| first.starts_with(*other) || without_indices(first).starts_with(*other);
        if !first.starts_with("module.") || !others.iter().all(is_shorter) {
            return None;
        }
        let (called, output) = first.rsplit_once('.').filter(|(called, _)| called.len() > "module.".len())?;
        let within = format!("{module}{called}.");
        let value = self.outputs.get(&without_indices(&within))?.get(output)?.get("expression")?;
        Some((within, String::new(), value))
    }

    /// The resource that an expression leads to: the only one that it refers to, where nothing else that it goes by could be
    /// unknown as well. `module` is where it is written, `place` whose index `each.key` is.
    fn lead(&self, module: &str, place: &str, expression: &Value, depth: usize) -> Lead {
        if depth < MAX_MODULES
            && let Some((module, place, expression)) = self.elsewhere(module, expression)
        {
            return self.lead(&module, &place, expression, depth + 1);
        }
        let lost = |why: String| Lead::Lost(format!("{why}; {USE_THE_STATE}"));
        let references = array(expression, "references").iter().filter_map(Value::as_str);
        let (others, blocks): (Vec<&str>, Vec<&str>) = references.partition(|name| is_of_no_block(name));
        let named: BTreeSet<(String, Option<&str>)> =
            blocks.iter().filter_map(|name| block_and_index(name)).collect();
        // `x.y["a"].arn` comes with `x.y["a"]` and `x.y`, which are the same.
        let has_index = |block: &String| named.iter().any(|(other, index)| other == block && index.is_some());
        let meant: Vec<_> =
            named.iter().filter(|(block, index)| index.is_some() || !has_index(block)).collect();
        let (block, index) = match meant.as_slice() {
            [(block, index)] => (block, *index),
            [] => {
                let first = others.first().map_or("it", |first| first);
                return lost(format!("{first} is not known before it is applied"));
            }
            several => {
                let several: Vec<String> = several
                    .iter()
                    .map(|(block, index)| format!("{block}{}", index.unwrap_or_default()))
                    .collect();
                return lost(format!("it goes by {}, and which is meant is not said", several.join(" and ")));
            }
        };
        // Variables of a module may be anything.
        let is_known = |name: &&&str| {
            matches!(**name, "each.key" | "count.index") || (module.is_empty() && name.starts_with("var."))
        };
        if let Some(other) = others.iter().find(|name| !is_known(name)) {
            return lost(format!("it goes by {block} and {other}, and which is meant is not said"));
        }
        let all = self.instances.get(&format!("{}{block}", without_indices(module)));
        let all: Vec<&String> = all.into_iter().flatten().filter(|one| module_of(one) == module).collect();
        let wanted = match (index, all.as_slice()) {
            (_, []) => return lost(format!("{block} is not known before it is applied")),
            (Some(index), all) => all.iter().find(|instance| index_of(instance) == index).copied(),
            (None, [one]) => Some(*one),
            (None, all) => self.of_same_index(place, &others, all),
        };
        match wanted {
            Some(wanted) if index.is_none() && others == ["count.index"] && all.len() > 1 => {
                Lead::ByNumber(wanted.clone())
            }
            Some(wanted) => Lead::To(wanted.clone()),
            None => lost(format!("which of {block} is meant is not said in a plan")),
        }
    }

    /// The instance that has the index of the one that refers to it. `x[each.key]` says nothing but the block and `each.key`,
    /// and so does whatever else is made of these: a key that both have is the same one. An index that is counted may be one
    /// more or less, so there have to be as many on both sides.
    fn of_same_index<'i>(
        &self,
        place: &str,
        others: &[&str],
        instances: &[&'i String],
    ) -> Option<&'i String> {
        let as_many = || {
            let own = self.instances.get(&without_indices(place));
            let own = own.into_iter().flatten().filter(|own| module_of(own) == module_of(place));
            own.count() == instances.len()
        };
        let is_joined = match others {
            ["each.key"] => true,
            ["count.index"] => as_many(),
            _ => false,
        };
        let mut same = instances.iter().filter(|instance| index_of(instance) == index_of(place));
        same.next().copied().filter(|_| is_joined)
    }
}

/// Whether a reference leads to no resource.
fn is_of_no_block(name: &str) -> bool {
    let root = name.split(['.', '[']).next().unwrap_or_default();
    matches!(root, "var" | "local" | "each" | "count" | "path" | "terraform" | "module" | "data" | "self")
}

/// All leading attributes of a block are lost.
fn lose(block: &Map<String, Value>, why: &str, path: &str, leads: &mut BTreeMap<String, Lead>) {
    for name in LEADING {
        if !block.contains_key(name) {
            leads.insert(format!("{path}{name}"), Lead::Lost(why.to_owned()));
        }
    }
    for (name, value) in block {
        for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
            if let Some(inner) = inner.as_object() {
                lose(inner, why, &format!("{path}{name}.{index}."), leads);
            }
        }
    }
}

type Written<'p> = &'p Map<String, Value>;

/// Which of the written blocks each of the planned ones is. A set has an order of its own, so they are told apart by what
/// is known on both sides; those that are alike in it may change places when they are alike in all of it.
fn joined<'p>(planned: &[Value], written: &[Written<'p>]) -> Result<Vec<Option<Written<'p>>>, String> {
    if let ([_], [one]) = (planned, written) {
        return Ok(vec![Some(one)]);
    }
    if planned.len() != written.len() {
        return Err(format!(
            "{} blocks are planned and {} are written (`dynamic` blocks are in no plan); {USE_THE_STATE}",
            planned.len(),
            written.len()
        ));
    }
    let known =
        |written: Written<'_>, name: &str| written.get(name).and_then(|is| is.get("constant_value").cloned());
    let mut left: Vec<Option<Written<'p>>> = written.iter().map(|one| Some(*one)).collect();
    let mut all = Vec::new();
    for planned in planned {
        let Some(values) = planned.as_object() else {
            all.push(None);
            continue;
        };
        let simple: Vec<(&String, &Value)> = values
            .iter()
            .filter(|(_, value)| value.is_number() || value.is_string() || value.is_boolean())
            .collect();
        // What is written as a constant has to be what is planned.
        let fits = |one: Written<'_>| {
            simple.iter().all(|(name, value)| match one.get(*name) {
                Some(_) => known(one, name).is_some_and(|known| same(&known, value)),
                None => is_default(name, value),
            })
        };
        let fitting: Vec<usize> = left
            .iter()
            .enumerate()
            .filter(|(_, one)| one.is_some_and(fits))
            .map(|(index, _)| index)
            .collect();
        let Some(first) = fitting.first() else {
            return Err(format!(
                "which of several `{}` blocks leads where is not told by what is known of them in a plan; {USE_THE_STATE}",
                "target_group"
            ));
        };
        all.push(left.get_mut(*first).and_then(Option::take));
    }
    Ok(all)
}

/// What a block has that does not say it.
fn is_default(name: &str, value: &Value) -> bool {
    match name {
        "weight" => same(value, &Value::from(1)),
        _ => value.as_str().is_some_and(str::is_empty) || *value == Value::Bool(false),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    text(one) == text(other)
}

fn array<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// An address without what stands in brackets.
fn without_indices(address: &str) -> String {
    let mut kept = String::new();
    let (mut is_within, mut is_text) = (false, false);
    for letter in address.chars() {
        match letter {
            '"' if is_within => is_text = !is_text,
            '[' if !is_text => is_within = true,
            ']' if !is_text => is_within = false,
            letter if !is_within => kept.push(letter),
            _ => {}
        }
    }
    kept
}

/// The index at the end of an address, in its brackets; empty where it has none.
fn index_of(address: &str) -> &str {
    if !address.ends_with(']') {
        return "";
    }
    let opening = if address.ends_with("\"]") { "[\"" } else { "[" };
    let start = address.rfind(opening).unwrap_or(address.len());
    address.get(start..).unwrap_or_default()
}

/// What stands before the resource in an address: `module.a["b"].`.
fn module_of(address: &str) -> &str {
    let bare = address.strip_suffix(index_of(address)).unwrap_or(address);
    let mut dots = bare.rmatch_indices('.').map(|(at, _)| at);
    dots.next();
    dots.next().map_or("", |dot| bare.get(..=dot).unwrap_or_default())
}

/// The block of a reference, and the index that it names.
fn block_and_index(reference: &str) -> Option<(String, Option<&str>)> {
    let mut dots = reference.match_indices('.').map(|(at, _)| at);
    let first = dots.next()?;
    let rest = reference.get(first + 1..)?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let block = reference.get(..first + 1 + end)?;
    let after = rest.get(end..)?;
    let index = after.starts_with('[').then(|| after.find(']').and_then(|end| after.get(..=end))).flatten();
    Some((block.to_owned(), index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (address, bare, index, module) in [
            ("aws_lb.a", "aws_lb.a", "", ""),
            ("aws_lb.a[0]", "aws_lb.a", "[0]", ""),
            ("aws_lb.a[\"x.y[1]\"]", "aws_lb.a", "[\"x.y[1]\"]", ""),
            ("module.m[\"k\"].aws_lb.a[1]", "module.m.aws_lb.a", "[1]", "module.m[\"k\"]."),
        ] {
            assert_eq!(
                (without_indices(address).as_str(), index_of(address), module_of(address)),
                (bare, index, module),
                "{address}"
            );
        }
        assert_eq!(block_and_index("aws_lb.a[0].arn"), Some(("aws_lb.a".to_owned(), Some("[0]"))));
        assert_eq!(block_and_index("aws_lb.a.arn"), Some(("aws_lb.a".to_owned(), None)));
        assert_eq!(block_and_index("each"), None);
    }
}
