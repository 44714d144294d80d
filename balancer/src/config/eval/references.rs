//! Names and the steps into what they stand for: variables, locals, blocks and their instances.
//! Must not know: what a block means.

use std::{collections::BTreeMap, rc::Rc};

use super::{Evaluated, Evaluator, convert, templates::OLD_TEMPLATE, workspace};
use crate::config::{
    bindings::{Env, OUTPUT, Val, path_text},
    instances::{self, Instances},
    kinds::{NATIVE, native_kind},
    raw::{PathStep, RawBlock, RawExpression, RawValue},
    scope::{BlockName, NamedValue, Remembered, Unknown},
    value::shortened,
};

/// What AWS alone gives a resource, be it written or not.
const OF_AWS: [&str; 2] = ["arn", "id"];
/// Most steps into a value.
const MAX_STEPS: usize = 100;

impl Evaluator<'_, '_> {
    pub(super) fn path(&self, path: &[String], steps: &[PathStep], env: &Env) -> Evaluated {
        self.followed(path, steps, env).map_err(|unknown| match unknown {
            Unknown::NoPart => Unknown::Wrong(no_part(path)),
            unknown => unknown,
        })
    }

    fn followed(&self, path: &[String], steps: &[PathStep], env: &Env) -> Evaluated {
        let root = path.first().map_or("", String::as_str);
        if let Some(bound) = env.get(root) {
            return self.steps(bound.clone(), steps, env);
        }
        if env.is_closed() {
            return Err(Unknown::Wrong(format!(
                "a template has `{}`, which it is not given; allowed: the names that stand beside it",
                shortened(root)
            )));
        }
        match (root, steps) {
            ("var" | "local" | OUTPUT, [PathStep::Attribute(name), rest @ ..]) => {
                let named = [root.to_owned(), name.clone()];
                // What stands there in full is meant in full.
                if let Some((known, _)) = self.scope.known(&named).filter(|(_, indices)| indices.is_empty()) {
                    return self.steps(self.value(&known.expression, &Env::default())?, rest, env);
                }
                if root == "var" && self.scope.lacks_value(name) {
                    return self.steps(Val::Reference(Rc::new(named.to_vec())), rest, env);
                }
                self.steps(self.named(root, name)?, rest, env)
            }
            ("module", [PathStep::Attribute(name), rest @ ..]) if self.scope.call(name).is_some() => {
                let call = self.scope.call(name).ok_or(Unknown::NoPart)?;
                self.value(&call.outputs(rest), env)
            }
            ("path", [PathStep::Attribute(name)]) if matches!(name.as_str(), "module" | "root") => {
                Ok(Val::text("."))
            }
            ("path", [PathStep::Attribute(name)]) if name == "cwd" => {
                let folder = self.scope.faults().folder(self.position).unwrap_or_default();
                Ok(Val::text(folder.to_string_lossy()))
            }
            ("terraform", [PathStep::Attribute(name)]) if name == "workspace" => self.workspace(path),
            ("each" | "count", [PathStep::Attribute(part), ..])
                if matches!(part.as_str(), "key" | "value" | "index") =>
            {
                let by = if root == "each" { "for_each" } else { "count" };
                Err(Unknown::Wrong(format!(
                    "`{}` is known in blocks with `{by}` alone; allowed: `{by}` in the block, or a value",
                    shortened(&path_text(path))
                )))
            }
            _ => self.block_path(root, steps, env),
        }
    }

    /// A variable or a local as a whole.
    fn named(&self, root: &str, name: &str) -> Evaluated {
        let remembered = format!("{root}.{name}");
        match self.scope.remembered(&remembered) {
            Remembered::Worked(value) => return Ok(value),
            Remembered::UnderWay => {
                let wrong = format!(
                    "the value leads through too many variables or parts: `{remembered}` leads to itself; allowed: a value"
                );
                return Err(Unknown::NotHere(wrong));
            }
            Remembered::Never => {}
        }
        let NamedValue { value, kind, argument } = match root {
            "var" => self.scope.variable(name)?,
            OUTPUT => self.scope.output(name)?,
            _ => self.scope.local_value(name)?,
        };
        self.scope.begin(&remembered);
        let outcome = match argument {
            Some(argument) => self.argument(value, kind, &argument),
            None => self.value(&value.expression, &Env::default()).and_then(|value| match kind {
                Some(kind) => super::said(of_kind(value, kind)),
                None => Ok(value),
            }),
        };
        self.scope.end(&remembered, outcome.as_ref().ok());
        outcome
    }

    /// A block, or what is in it.
    fn block_path(&self, root: &str, steps: &[PathStep], env: &Env) -> Evaluated {
        let names = if root == "data" { 2 } else { 1 };
        let mut path = vec![root.to_owned()];
        let named = steps.iter().take(names).map_while(|step| match step {
            PathStep::Attribute(name) => Some(name.clone()),
            _ => None,
        });
        path.extend(named);
        let rest = steps.get(path.len() - 1..).unwrap_or_default();
        let whole = Val::Reference(Rc::new(path.clone()));
        let block = block_name(&path).and_then(|name| self.scope.block(&name));
        let instances = match block.map(|block| (block, self.instances(block))) {
            Some((block, Ok(Instances::By(_)) | Err(_))) if self.scope.has_told_of(block) => {
                return Err(Unknown::Told);
            }
            Some((_, Err(told @ (Unknown::Told | Unknown::TooMuch(_))))) => return Err(told),
            Some((block, Err(wrong))) if is_ours(block) => return Err(wrong),
            Some((_, instances)) => instances.ok(),
            None => Some(Instances::One),
        };
        let base = match instances {
            Some(Instances::Counted(count)) => Val::list(
                (0..count).map(|index| (one_of(&path, &index.to_string()), self.position)).collect(),
            ),
            Some(Instances::Keyed(members)) => Val::object(
                members.keys().map(|key| (key.clone(), one_of(&path, &format!("\"{key}\"")))).collect(),
            ),
            // One of them goes by its name, which the user may know more of; how many there are is not known.
            found => match (self.said_several(&path, rest), found) {
                (Some(several), _) => several,
                (None, Some(Instances::By(by))) if rest.is_empty() => Val::Unknown(by),
                _ => whole,
            },
        };
        self.steps(base, rest, env)
    }

    /// A block that stands in no file and is several by what the user says, where all of them are meant.
    fn said_several(&self, path: &[String], rest: &[PathStep]) -> Option<Val> {
        if !rest.is_empty() || path.len() < 2 {
            return None;
        }
        let several = self.scope.known_several(path)?;
        match &several.expression {
            RawExpression::List(items) => Some(Val::list(
                (0..items.len()).map(|index| (one_of(path, &index.to_string()), self.position)).collect(),
            )),
            RawExpression::Object(items) => Some(Val::object(
                items
                    .iter()
                    .filter_map(|(key, _)| match key {
                        RawExpression::Text(key) => Some((key.clone(), one_of(path, &format!("\"{key}\"")))),
                        _ => None,
                    })
                    .collect(),
            )),
            _ => None,
        }
    }

    /// How many a block is.
    pub(super) fn instances(&self, block: &RawBlock) -> Result<Instances, Unknown> {
        let Some(by) = instances::repeating(block) else { return Ok(Instances::One) };
        // A module may be there more than once.
        let label = block.labels.last().map_or("", |(label, _)| label);
        let name = format!("instances {}.{} {label}", by.position.file, by.position.offset);
        if matches!(self.scope.remembered(&name), Remembered::UnderWay) {
            let wrong = format!("`{}` leads to itself; allowed: a value that is known before", by.name);
            return Err(Unknown::NotHere(wrong));
        }
        self.scope.begin(&name);
        let value = self.top(&by.value, &Env::default());
        self.scope.end(&name, None);
        instances::of(&by.name, &value?)
    }

    pub(super) fn steps(&self, base: Val, steps: &[PathStep], env: &Env) -> Evaluated {
        if steps.len() > MAX_STEPS {
            return Err(super::too_much());
        }
        let mut value = base;
        let mut rest = steps;
        while let Some((step, after)) = rest.split_first() {
            rest = after;
            value = match step {
                PathStep::Attribute(name) => self.attribute(&value, name)?,
                PathStep::Index(index) => self.index(&value, &self.value(index, env)?)?,
                PathStep::OldIndex(index) => {
                    self.index(&value, &Val::whole(usize::try_from(*index).unwrap_or(usize::MAX)))?
                }
                PathStep::FullSplat | PathStep::AttributeSplat => {
                    let count = match step {
                        PathStep::FullSplat => rest.len(),
                        _ => {
                            let is_inner = |step: &&PathStep| {
                                matches!(step, PathStep::Attribute(_) | PathStep::OldIndex(_))
                            };
                            rest.iter().take_while(is_inner).count()
                        }
                    };
                    let (inner, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
                    match self.splat(&value, inner, env)? {
                        Some(list) => {
                            rest = after;
                            list
                        }
                        None => one_of_reference(&value, "*"),
                    }
                }
            };
            self.charge(1)?;
        }
        // What is asked of one of several is known by its whole name.
        if matches!(&value, Val::Reference(path) if steps.is_empty() && path.last().is_some_and(|last| last.starts_with('[')))
        {
            return Ok(value);
        }
        self.known(value)
    }

    /// The steps of each element; nothing where it is not known what the elements are.
    fn splat(&self, value: &Val, inner: &[PathStep], env: &Env) -> Result<Option<Val>, Unknown> {
        let items = match value {
            Val::Null => Vec::new(),
            Val::List(items) | Val::Set(items) => items.to_vec(),
            Val::Reference(path) if self.block_of(path).is_none() => return Ok(None),
            Val::Unknown(_) => return Ok(Some(value.clone())),
            one => vec![(one.clone(), self.position)],
        };
        let each = items.into_iter().map(|(item, at)| Ok((self.steps(item, inner, env)?, at)));
        self.weighed(Val::list(each.collect::<Result<_, Unknown>>()?)).map(Some)
    }

    fn attribute(&self, value: &Val, name: &str) -> Evaluated {
        match value {
            Val::Object(members) => members.get(name).cloned().ok_or(Unknown::NoPart),
            Val::Reference(path) => self.attribute_of_block(path, name),
            Val::Unknown(_) => Ok(value.clone()),
            // As Terraform before 0.12 took it.
            Val::List(items) if items.len() == 1 => match items.first() {
                Some((one @ Val::Reference(_), _)) => self.attribute(one, name),
                _ => Err(Unknown::NoPart),
            },
            Val::List(items) if items.iter().any(|(item, _)| matches!(item, Val::Reference(_))) => {
                Err(Unknown::Wrong(format!(
                    "`{name}` is asked of a block that is several; allowed: an index before it, such as [0] or [*]"
                )))
            }
            _ => Err(Unknown::NoPart),
        }
    }

    /// What is written in the block counts, but for what AWS alone knows.
    fn attribute_of_block(&self, path: &Rc<Vec<String>>, name: &str) -> Evaluated {
        let longer = || {
            let mut longer = path.to_vec();
            longer.push(name.to_owned());
            Val::Reference(Rc::new(longer))
        };
        let Some((block, env)) = self.block_of(path).filter(|_| !OF_AWS.contains(&name)) else {
            return Ok(longer());
        };
        let is_template = || {
            path.first().zip(path.get(1)).is_some_and(|(data, kind)| data == "data" && kind == OLD_TEMPLATE)
        };
        if name == "rendered"
            && is_template()
            && let Some(rendered) = self.rendered(block, &env)
        {
            return rendered;
        }
        let written = block.body.attributes.iter().find(|attribute| attribute.name == name);
        match written.map(|written| self.value(&written.value.expression, &env)) {
            None | Some(Ok(Val::Null)) => Ok(longer()),
            Some(Ok(value)) => Ok(value),
            Some(Err(Unknown::Told)) => Err(Unknown::Told),
            // As AWS will have it.
            Some(Err(_)) => Ok(longer()),
        }
    }

    /// The block that a reference leads to, of several the one that it names, and what is bound in it.
    fn block_of(&self, path: &[String]) -> Option<(&RawBlock, Env)> {
        let (path, key) = match path.split_last() {
            Some((last, path)) if last.starts_with('[') => (path, Some(last)),
            _ => (path, None),
        };
        let is_whole = path.len() == if path.first().is_some_and(|root| root == "data") { 3 } else { 2 };
        let block = block_name(path).filter(|_| is_whole).and_then(|name| self.scope.block(&name))?;
        let env = match (self.instances(block).ok()?, key) {
            (Instances::One, None) => Env::default(),
            (all, Some(key)) => all.env(key)?,
            _ => return None,
        };
        Some((block, env))
    }

    fn index(&self, value: &Val, index: &Val) -> Evaluated {
        if let Some(by) = index.unknown() {
            return Ok(Val::Unknown(by));
        }
        match value {
            Val::List(items) => {
                let number = super::said(convert::to_number(index))?;
                let whole = match number {
                    Val::Number(number) => number.as_whole().and_then(|whole| usize::try_from(whole).ok()),
                    _ => None,
                };
                whole.and_then(|whole| items.get(whole)).map(|(item, _)| item.clone()).ok_or(Unknown::NoPart)
            }
            Val::Object(members) => match super::said(convert::to_text(index))? {
                Val::Text(key) => members.get(&*key).cloned().ok_or(Unknown::NoPart),
                _ => Err(Unknown::NoPart),
            },
            Val::Reference(path) => match (index, self.block_of(path)) {
                // A block is an object.
                (Val::Text(name), Some(_)) => self.attribute_of_block(path, name),
                (_, Some(_)) => Err(Unknown::Wrong(format!(
                    "`{}` is one, and has no index; allowed: the reference without it, or `count` in the block",
                    shortened(&path_text(path))
                ))),
                (Val::Text(name), None) if path.len() == 2 && is_native(path) => {
                    self.attribute_of_block(path, name)
                }
                (Val::Text(key), None) => Ok(one_of_reference(value, &format!("\"{key}\""))),
                (index, None) => match super::said(convert::to_text(index))? {
                    Val::Text(index) => Ok(one_of_reference(value, &index)),
                    _ => Err(Unknown::NoPart),
                },
            },
            Val::Unknown(_) => Ok(value.clone()),
            other => Err(Unknown::Wrong(format!(
                "an index goes into {}; allowed: an index of a list or a map",
                other.kind()
            ))),
        }
    }

    /// What the user says that a reference is.
    pub(super) fn known(&self, value: Val) -> Evaluated {
        let Val::Reference(path) = &value else { return Ok(value) };
        let Some((known, indices)) = self.scope.known(path) else { return Ok(value) };
        let mut found = self.of_user(known)?;
        // All that a splat makes is the list as a whole. What is one value needs no index.
        if indices.iter().any(|index| index == "[*]") {
            return Ok(found);
        }
        for index in indices {
            let index = index.trim_start_matches('[').trim_end_matches(']');
            let key = match index.strip_prefix('"').and_then(|index| index.strip_suffix('"')) {
                Some(key) => Val::text(key),
                None => Val::text(index),
            };
            if matches!(found, Val::List(_) | Val::Object(_)) {
                found = self.index(&found, &key).map_err(|_| {
                    Unknown::NotHere(format!(
                        "`{}` goes into a part of what `terraform_values` says that is not there; allowed: an address \
                         there for each of them",
                        shortened(&path_text(path)).replace("\\\"", "\"")
                    ))
                })?;
            }
        }
        Ok(found)
    }

    /// The workspace that Terraform is in: where nobody says which, its own way is to take the first that there is.
    fn workspace(&self, path: &[String]) -> Evaluated {
        let faults = self.scope.faults();
        if let Some(name) = workspace::of_environment() {
            return Ok(Val::text(name));
        }
        let said = self.known(Val::Reference(Rc::new(path.to_vec())))?;
        if !matches!(said, Val::Reference(_)) || !workspace::is_of_terraform(&faults.file(self.position)) {
            return Ok(said);
        }
        if let Some(name) = faults.folder(self.position).as_deref().and_then(workspace::selected) {
            return Ok(Val::text(name));
        }
        faults.note_once(self.position, workspace::TAKEN_FOR_DEFAULT);
        Ok(Val::text(workspace::DEFAULT))
    }

    fn of_user(&self, known: &RawValue) -> Evaluated {
        self.value(&known.expression, &Env::default())
    }
}

/// What is said of a path into a part that is not there.
fn no_part(path: &[String]) -> String {
    // It stands between backquotes.
    let written = shortened(&path_text(path)).replace("\\\"", "\"");
    let whose = match path.first().map(String::as_str) {
        Some("var" | "local") | None => "a variable",
        Some(_) => "what there is",
    };
    format!(
        "`{written}` goes into a part of {whose} that is not there; allowed: var.NAME, local.NAME or a value"
    )
}

fn is_native(path: &[String]) -> bool {
    path.first().is_some_and(|kind| NATIVE.contains(&kind.as_str()) || native_kind(kind).is_some())
}

fn is_ours(block: &RawBlock) -> bool {
    match block.labels.first() {
        Some((kind, _)) if block.kind == "resource" => native_kind(kind).is_some(),
        _ => NATIVE.contains(&block.kind.as_str()),
    }
}

/// The name of the block that a reference leads to.
fn block_name(path: &[String]) -> Option<BlockName> {
    match path {
        [data, kind, label, ..] if data == "data" => Some((format!("data.{kind}"), label.clone())),
        [root, ..] if matches!(root.as_str(), "data" | "module") => None,
        [kind, label, ..] => Some((native_kind(kind).unwrap_or(kind).to_owned(), label.clone())),
        _ => None,
    }
}

/// One of several blocks.
fn one_of(path: &[String], key: &str) -> Val {
    let mut path = path.to_vec();
    path.push(format!("[{key}]"));
    Val::Reference(Rc::new(path))
}

fn one_of_reference(value: &Val, key: &str) -> Val {
    match value {
        Val::Reference(path) => one_of(path, key),
        value => value.clone(),
    }
}

/// A value of a type, in which lists that are meant to be sets are such.
fn of_kind(value: Val, kind: &RawExpression) -> Result<Val, super::fail::Fail> {
    let RawExpression::Call(name, arguments) = kind else { return Ok(value) };
    Ok(match (name.as_str(), arguments.as_slice(), &value) {
        ("set", [inner], Val::List(items)) => {
            let items: Result<Vec<_>, _> =
                items.iter().map(|(item, at)| Ok((of_kind(item.clone(), inner)?, *at))).collect();
            convert::set(&items?)?
        }
        ("list", [inner], Val::List(items)) => {
            let items: Result<Vec<_>, _> =
                items.iter().map(|(item, at)| Ok((of_kind(item.clone(), inner)?, *at))).collect();
            Val::list(items?)
        }
        ("map", [inner], Val::Object(members)) => {
            let members: Result<BTreeMap<_, _>, _> = members
                .iter()
                .map(|(key, member)| Ok((key.clone(), of_kind(member.clone(), inner)?)))
                .collect();
            Val::object(members?)
        }
        ("optional", [inner, ..], _) => of_kind(value, inner)?,
        ("object", [RawExpression::Object(kinds)], Val::Object(members)) => {
            let mut members: BTreeMap<String, Val> = (***members).clone();
            for (key, kind) in kinds {
                let RawExpression::Text(key) = key else { continue };
                if let Some(member) = members.get_mut(key) {
                    *member = of_kind(member.clone(), &kind.expression)?;
                }
            }
            Val::object(members)
        }
        _ => value,
    })
}
