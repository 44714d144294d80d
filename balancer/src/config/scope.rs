//! What values come to: `var.x` from `*.tfvars` files and the defaults of `variable` blocks, `local.x` from `locals`, and
//! text put together from them. References to blocks are passed on as they are, unless `terraform_values` says what they
//! are. Must not know which attribute a value is for.

use std::{borrow::Cow, cell::Cell, collections::HashMap};

use super::{
    conversion::{self, Mismatch},
    fault::Faults,
    json,
    kinds::{NATIVE, native_kind},
    optional,
    raw::{self, RawAttribute, RawBody, RawExpression, RawValue, path_text},
    repetition::{Referred, has_path, is_of_each, referred, referred_by, repeating},
    source::Position,
    suggest,
    value::{Value, WAY_OUT, shortened, shown},
};

/// The attribute of the `balancer` block that says what references of Terraform's are.
pub(super) const TERRAFORM_VALUES: &str = "terraform_values";
/// How often a variable may lead to another.
const MAX_DEPTH: usize = 16;
/// Most values one attribute may be made of; stops text that doubles itself by references.
const MAX_PARTS: usize = 10_000;
/// Most hints at near names that are given.
const MAX_HINTS: usize = 500;
/// Longest text a value may be.
const MAX_TEXT: usize = 4096;

/// A `variable` block.
struct Variable<'a> {
    value: Option<Cow<'a, RawValue>>,
    /// What it has unless a file says something else.
    default: Option<&'a RawValue>,
    /// Its type.
    kind: Option<Cow<'a, RawExpression>>,
    /// Whether `null` in the place of a value is one.
    is_nullable: bool,
    position: Position,
}

/// What makes several blocks of one, and whether it does, once that was found out: an override may have taken it back.
struct Repeating<'a> {
    by: &'a RawValue,
    does: Cell<Option<bool>>,
}

/// The variables and locals of all files, and what the user says that Terraform's values are.
pub(super) struct Scope<'a> {
    variables: HashMap<&'a str, Variable<'a>>,
    locals: HashMap<&'a str, &'a RawAttribute>,
    known: HashMap<&'a str, &'a RawValue>,
    /// What makes several blocks of one, by that block.
    repeating: HashMap<Referred<'a>, Repeating<'a>>,
    /// How many names were looked for that are near to one that is not there.
    hints: Cell<usize>,
    faults: &'a Faults<'a>,
}

/// Why a value cannot be known.
#[derive(Debug)]
pub(super) enum Unknown {
    /// What is wrong, for whoever wrote it.
    Wrong(String),
    /// What would have said it could not be read, which is a fault already noted.
    Told,
}

impl From<String> for Unknown {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

impl<'a> Scope<'a> {
    /// Gathers `variable` and `locals` blocks, and the `terraform_values` of the `balancer` block.
    pub(super) fn collect(bodies: &'a [RawBody], faults: &'a Faults<'a>) -> Self {
        let mut scope = Self {
            faults,
            variables: HashMap::new(),
            locals: HashMap::new(),
            known: HashMap::new(),
            repeating: HashMap::new(),
            hints: Cell::new(0),
        };
        for block in bodies.iter().flat_map(|body| &body.blocks) {
            if let Some((name, by)) = referred(block).zip(repeating(block)) {
                scope.repeating.insert(name, Repeating { by: &by.value, does: Cell::new(None) });
            }
            let attribute =
                |name: &str| block.body.attributes.iter().find(|attribute| attribute.name == name);
            match (block.kind.as_str(), block.labels.first()) {
                ("variable", Some((name, _))) => {
                    let is_nullable = attribute("nullable").is_none_or(|nullable| {
                        !matches!(nullable.value.expression, RawExpression::Bool(false))
                    });
                    let default = attribute("default").map(|default| &default.value);
                    let kind = attribute("type").and_then(|kind| type_of(&kind.value));
                    let value = default.map(Cow::Borrowed);
                    let variable = Variable { value, default, kind, is_nullable, position: block.position };
                    if let Some(first) = scope.variables.get(name.as_str()) {
                        scope.note_second("variable", name, first.position, block.position);
                    } else {
                        scope.variables.insert(name, variable);
                    }
                }
                ("locals", _) => {
                    for local in &block.body.attributes {
                        match scope.locals.get(&*local.name) {
                            Some(first) => {
                                scope.note_second("local", &local.name, first.position, local.position)
                            }
                            None => drop(scope.locals.insert(&local.name, local)),
                        }
                    }
                }
                ("balancer", _) => {
                    scope.known.extend(attribute(TERRAFORM_VALUES).into_iter().flat_map(items))
                }
                _ => {}
            }
        }
        scope
    }

    /// As Terraform does, no one of them is taken for the one that is meant.
    fn note_second(&self, kind: &str, name: &str, first: Position, second: Position) {
        let first = self.faults.show(first);
        let message =
            format!("{kind} {} is given twice, first at {first}; allowed: names that differ", shown(name));
        self.faults.add(second, message);
    }

    /// Gives a variable a value, in the place of its default. False when there is no such variable.
    pub(super) fn assign(&mut self, name: &str, value: &'a RawValue) -> bool {
        let Some(variable) = self.variables.get_mut(name) else { return false };
        if variable.is_nullable || !matches!(value.expression, RawExpression::Null) {
            variable.value = Some(Cow::Borrowed(value));
        }
        true
    }

    /// Makes values what the types of their variables say, once all have theirs. A default has to be of the type also where
    /// another value counts.
    pub(super) fn fill_in(&mut self) {
        for variable in self.variables.values_mut() {
            let Some((kind, value)) = variable.kind.as_ref().zip(variable.value.as_ref()) else { continue };
            let typed = |value: &RawValue| {
                typed(value, kind).unwrap_or_else(|(position, wrong)| {
                    self.faults.add(position, wrong);
                    RawValue { position, expression: RawExpression::Unread }
                })
            };
            variable.default.filter(|default| !std::ptr::eq(*default, &**value)).map(typed);
            variable.value = Some(Cow::Owned(typed(value)));
        }
    }

    /// What a local stands for.
    pub(super) fn local(&self, name: &str) -> Option<&'a RawExpression> {
        self.locals.get(name).map(|local| &local.value.expression)
    }

    /// Whether a reference leads to a block that is several, which is that block's fault.
    fn is_to_several(&self, path: &[String]) -> bool {
        let repeating = referred_by(path).and_then(|name| self.repeating.get(&name));
        repeating.is_some_and(|Repeating { by, does }| {
            does.get().unwrap_or_else(|| {
                // What it goes by may lead to the block itself.
                does.set(Some(true));
                let several = !matches!(self.resolve(by, false), Ok(Value::Null));
                does.set(Some(several));
                several
            })
        })
    }

    /// What a value is. `in_several`: it stands in a block that is several, which is a fault already noted.
    ///
    /// # Errors
    /// Says why it cannot be known.
    pub(super) fn resolve(&self, value: &RawValue, in_several: bool) -> Result<Value, Unknown> {
        let resolution = Resolution { scope: self, in_several, parts: Cell::new(0) };
        let written = resolution.value(&value.expression, 0)?;
        resolution.known(written)
    }

    /// "Did you mean", as often as it can be of use: looking for a near name takes long.
    fn hint<'n>(&self, name: &str, known: impl Iterator<Item = &'n str>) -> String {
        self.hints.set(self.hints.get().saturating_add(1));
        if self.hints.get() > MAX_HINTS { String::new() } else { suggest::hint(name, known) }
    }

    /// The value of a variable or local, and the steps into it.
    fn lookup<'s, 'p>(&'s self, path: &'p [String]) -> Result<(&'s RawExpression, &'p [String]), Unknown> {
        self.find(path).map_err(|wrong| match path {
            // It may stand in what could not be read.
            [_, _, ..] if self.faults.is_partial() => Unknown::Told,
            _ => Unknown::Wrong(wrong),
        })
    }

    fn find<'s, 'p>(&'s self, path: &'p [String]) -> Result<(&'s RawExpression, &'p [String]), String> {
        match path {
            [kind, name, steps @ ..] if kind == "var" => match self.variables.get(name.as_str()) {
                Some(Variable { value: Some(value), .. }) => Ok((&value.expression, steps)),
                Some(_) => Err(format!(
                    "`var.{name}` has no default; allowed: a variable with a default, or a value"
                )),
                None => Err(format!(
                    "there is no variable `{name}`{}; allowed: a variable with a default, or a value",
                    self.hint(name, self.variables.keys().copied())
                )),
            },
            [kind, name, steps @ ..] if kind == "local" => {
                self.local(name).map(|local| (local, steps)).ok_or_else(|| {
                    let hint = self.hint(name, self.locals.keys().copied());
                    format!("there is no local `{name}`{hint}; allowed: a local that is given, or a value")
                })
            }
            _ => Err(no_part(path)),
        }
    }

    /// What the user says that a reference of Terraform's is: under its own name, or under that of the block as a
    /// whole; an index may be left out. With the indices that were left out, which go into a list or a map.
    fn known(&self, path: &[String]) -> Option<(&'a RawExpression, Vec<String>)> {
        if self.known.is_empty() {
            return None;
        }
        let (indices, without): (Vec<String>, Vec<String>) =
            path.iter().cloned().partition(|step| step.starts_with('['));
        let find = |path: &[String]| {
            let block = path.split_last().filter(|(last, _)| !last.starts_with('[')).map(|(_, block)| block);
            let mut names = [Some(path), block].into_iter().flatten().map(path_text);
            names.find_map(|name| self.known.get(name.as_str())).map(|value| &value.expression)
        };
        find(path).map(|known| (known, Vec::new())).or_else(|| find(&without).map(|known| (known, indices)))
    }
}

/// The type of a variable. In JSON, and in old files, it is a text.
fn type_of(value: &RawValue) -> Option<Cow<'_, RawExpression>> {
    match &value.expression {
        RawExpression::Text(text) => raw::expression(text, value.position).map(Cow::Owned),
        kind => Some(Cow::Borrowed(kind)),
    }
}

/// What a value is as one of a type.
fn typed(value: &RawValue, kind: &RawExpression) -> Result<RawValue, Mismatch> {
    let mut typed = optional::filled(value, kind).map_err(|wrong| (value.position, wrong))?;
    conversion::convert(&mut typed, kind)?;
    Ok(typed)
}

/// The members of a map that is written as such.
fn items<'a>(attribute: &'a RawAttribute) -> Vec<(&'a str, &'a RawValue)> {
    let RawExpression::Object(items) = &attribute.value.expression else { return Vec::new() };
    let name = |key: &'a RawExpression| match key {
        RawExpression::Text(name) => Some(name.as_str()),
        _ => None,
    };
    items.iter().filter_map(|(key, value)| Some((name(key)?, value))).collect()
}

/// Whether the step is an index that is neither a number nor a text.
fn is_worked_out(step: &str) -> bool {
    let index = step.strip_prefix('[').and_then(|step| step.strip_suffix(']'));
    index.is_some_and(|index| !index.starts_with('"') && index.parse::<usize>().is_err())
}

fn no_part(path: &[String]) -> String {
    // It stands between backquotes.
    let written = shortened(&path_text(path)).replace("\\\"", "\"");
    if path.iter().any(|step| is_worked_out(step)) {
        return format!(
            "`{written}` goes by an index that has to be worked out, which is not understood here; allowed: an index \
             that is written out, var.NAME, local.NAME or a value"
        );
    }
    let whose = match path.first().map(String::as_str) {
        Some("var" | "local") | None => "a variable",
        Some(_) => "what `terraform_values` says",
    };
    format!(
        "`{written}` goes into a part of {whose} that is not there; allowed: var.NAME, local.NAME or a value"
    )
}

/// The resolution of one attribute's value, with a bound on its size.
struct Resolution<'s, 'a> {
    scope: &'s Scope<'a>,
    in_several: bool,
    parts: Cell<usize>,
}

impl Resolution<'_, '_> {
    fn value(&self, expression: &RawExpression, depth: usize) -> Result<Value, Unknown> {
        self.parts.set(self.parts.get() + 1);
        if depth > MAX_DEPTH || self.parts.get() > MAX_PARTS {
            let wrong = format!(
                "the value leads through too many variables or parts; allowed: {MAX_DEPTH} levels, {MAX_PARTS} parts"
            );
            return Err(Unknown::Wrong(wrong));
        }
        match expression {
            RawExpression::Null => Ok(Value::Null),
            RawExpression::Bool(value) => Ok(Value::Bool(*value)),
            RawExpression::Number(number) => Ok(Value::Number(*number)),
            RawExpression::Text(text) => text_value(text.clone()),
            RawExpression::Template(pieces) => self.template(pieces, depth),
            RawExpression::List(items) => items
                .iter()
                .map(|item| Ok((self.value(&item.expression, depth)?, item.position)))
                .collect::<Result<_, Unknown>>()
                .map(Value::List),
            RawExpression::Object(items) => self.object(items, depth),
            RawExpression::Path(_, indices) if self.in_several && indices.iter().any(has_each) => {
                Err(Unknown::Told)
            }
            RawExpression::Path(path, _) => self.path(path, depth),
            RawExpression::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
                ("jsonencode", [argument]) => text_value(json::encode(&self.value(argument, depth)?)?),
                _ => Err(self.not_understood("a function call", expression)),
            },
            RawExpression::Other(what, _) => Err(self.not_understood(what, expression)),
            RawExpression::Unread => Err(Unknown::Told),
        }
    }

    /// What is worked out from blocks that are several, or in one of them, goes with what makes them several.
    fn not_understood(&self, what: &str, expression: &RawExpression) -> Unknown {
        let is_of_several =
            |path: &[String]| (self.in_several && is_of_each(path)) || self.scope.is_to_several(path);
        if has_path(expression, &is_of_several) {
            return Unknown::Told;
        }
        Unknown::Wrong(format!(
            "{what} is not understood here; allowed: a value, var.NAME, local.NAME, a reference to a block, or text of these"
        ))
    }

    fn path(&self, path: &[String], depth: usize) -> Result<Value, Unknown> {
        if matches!(path.first().map(String::as_str), Some("var" | "local")) {
            let (expression, steps) = self.scope.lookup(path)?;
            return self.follow(expression, steps, path, depth + 1);
        }
        let Some((known, indices)) = self.scope.known(path) else {
            let is_one_of_several =
                path.get(2).is_some_and(|step| step.starts_with('[')) && self.scope.is_to_several(path);
            if is_one_of_several || (self.in_several && is_of_each(path)) {
                return Err(Unknown::Told);
            }
            return Ok(Value::Reference(plain(path)));
        };
        // All that a splat or a counted block makes is the list as a whole. What is one value needs no index.
        let is_one = |index: &String| index != "[*]" && !is_worked_out(index);
        if matches!(known, RawExpression::List(_) | RawExpression::Object(_)) && indices.iter().all(is_one) {
            return self.follow(known, &indices, path, depth + 1);
        }
        self.value(known, depth + 1)
    }

    /// Goes into the parts of a value without a look at the others, which may be beyond what is understood.
    fn follow(
        &self,
        expression: &RawExpression,
        steps: &[String],
        path: &[String],
        depth: usize,
    ) -> Result<Value, Unknown> {
        let Some((step, rest)) = steps.split_first() else { return self.value(expression, depth) };
        let bare = step.strip_prefix('[').and_then(|step| step.strip_suffix(']'));
        let name = bare.map_or(step.as_str(), |index| index.trim_matches('"'));
        let part = match expression {
            RawExpression::Object(items) => self.member(items, name, depth),
            RawExpression::List(items) => bare.and_then(|_| items.get(name.parse::<usize>().ok()?)),
            RawExpression::Path(base, _) => {
                let whole: Vec<String> = base.iter().chain(steps).cloned().collect();
                return if depth > MAX_DEPTH { Err(no_part(path).into()) } else { self.path(&whole, depth) };
            }
            RawExpression::Unread => return Err(Unknown::Told),
            // What is worked out has no parts here; why is told.
            RawExpression::Call(..) | RawExpression::Other(..) => {
                self.value(expression, depth)?;
                None
            }
            _ => None,
        };
        self.follow(&part.ok_or_else(|| no_part(path))?.expression, rest, path, depth)
    }

    /// The last member of that name. A key whose value cannot be known is another one.
    fn member<'e>(
        &self,
        items: &'e [(RawExpression, RawValue)],
        name: &str,
        depth: usize,
    ) -> Option<&'e RawValue> {
        let is_named = |key: &RawExpression| match key {
            RawExpression::Text(key) => key == name,
            key => self.value(key, depth).is_ok_and(|key| key.as_text().as_deref() == Some(name)),
        };
        items.iter().rev().find(|(key, _)| is_named(key)).map(|(_, value)| value)
    }

    fn object(&self, items: &[(RawExpression, RawValue)], depth: usize) -> Result<Value, Unknown> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut indices: HashMap<String, usize> = HashMap::new();
        for (key, value) in items {
            let key = self.value(key, depth)?;
            let name = key.as_text().ok_or_else(|| format!("{key} cannot be a key; allowed: text"))?;
            let member = (name.clone(), self.value(&value.expression, depth)?);
            match indices.get(&name).and_then(|index| members.get_mut(*index)) {
                Some(earlier) => *earlier = member,
                None => {
                    indices.insert(name, members.len());
                    members.push(member);
                }
            }
        }
        Ok(Value::Object(members))
    }

    /// The same value, with what the user says that its texts are: ARNs and ids are texts.
    fn known(&self, value: Value) -> Result<Value, Unknown> {
        match value {
            Value::Text(text) => match self.scope.known.get(text.as_str()) {
                Some(known) => self.value(&known.expression, 1),
                None => Ok(Value::Text(text)),
            },
            Value::List(items) if !self.scope.known.is_empty() => items
                .into_iter()
                .map(|(item, position)| Ok((self.known(item)?, position)))
                .collect::<Result<_, Unknown>>()
                .map(Value::List),
            _ => Ok(value),
        }
    }

    fn template(&self, pieces: &[RawExpression], depth: usize) -> Result<Value, Unknown> {
        if let [single] = pieces {
            // "${x}" is x, whatever x is.
            return self.value(single, depth);
        }
        let mut text = String::new();
        for piece in pieces {
            let value = self.value(piece, depth)?;
            let piece = value.as_text().ok_or_else(|| {
                let (wrong, or) = if value.is_foreign() {
                    ("is not known here", WAY_OUT)
                } else {
                    ("cannot be a part of a text", "")
                };
                format!("{value} {wrong}; allowed: text, numbers, and variables that are these{or}")
            })?;
            text.push_str(&piece);
            if text.len() > MAX_TEXT {
                break;
            }
        }
        text_value(text)
    }
}

/// A reference to a block of ours, where `["arn"]` is `.arn`.
fn plain(path: &[String]) -> Vec<String> {
    let mut plain = path.to_vec();
    if let [kind, _, part] = plain.as_mut_slice()
        && native_kind(kind).is_some_and(|kind| NATIVE.contains(&kind)) | NATIVE.contains(&kind.as_str())
        && let Some(name) = part.strip_prefix("[\"").and_then(|part| part.strip_suffix("\"]"))
    {
        *part = name.to_owned();
    }
    plain
}

fn has_each(expression: &RawExpression) -> bool {
    has_path(expression, &is_of_each)
}

fn text_value(text: String) -> Result<Value, Unknown> {
    if text.len() > MAX_TEXT {
        return Err(format!("the text is too long; allowed: at most {MAX_TEXT} bytes").into());
    }
    Ok(Value::Text(text))
}
