//! What expressions may lead to: variables with their values, locals, blocks, and what the user says that references of
//! Terraform's are. Must not know: how an expression is worked out.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashMap,
};

use super::{
    bindings::{Env, Val},
    calls::{ARGUMENT, ModuleCall, ModuleCalls},
    conversion::{self, Mismatch},
    fault::Faults,
    kinds::native_kind,
    optional,
    raw::{self, RawAttribute, RawBlock, RawBody, RawExpression, RawValue, path_text},
    source::Position,
    suggest,
    value::{no_value, shown},
};

/// The attribute of the `balancer` block that says what references of Terraform's are.
pub(super) const TERRAFORM_VALUES: &str = "terraform_values";
/// Most hints at near names that are given.
const MAX_HINTS: usize = 500;

/// A `variable` block.
struct Variable<'a> {
    value: Option<Cow<'a, RawValue>>,
    /// What it has unless a file says something else.
    default: Option<&'a RawValue>,
    /// Its type.
    kind: Option<Cow<'a, RawExpression>>,
    /// Whether `null` in the place of a value is one.
    is_nullable: bool,
    /// Whether Terraform tells nobody its value.
    is_sensitive: bool,
    position: Position,
    /// What is bound where the value stands, when that is where a module is called.
    called_in: Option<&'a Env>,
}

/// Kind and label of a block: those of ours in their own spelling, data sources with `data.` before their kind.
pub(super) type BlockName = (String, String);

/// The variables, locals and blocks of all files, and what the user says that Terraform's values are.
pub(super) struct Scope<'a> {
    variables: HashMap<&'a str, Variable<'a>>,
    locals: HashMap<&'a str, &'a RawAttribute>,
    /// The modules that are read, by name.
    calls: &'a ModuleCalls,
    /// What modules give out.
    outputs: HashMap<&'a str, &'a RawValue>,
    known: HashMap<&'a str, &'a RawValue>,
    blocks: HashMap<BlockName, &'a RawBlock>,
    /// What was worked out before, by name; nothing while it is under way.
    memory: RefCell<HashMap<String, Option<Val>>>,
    /// How many parts were worked out for all values together.
    parts: Cell<usize>,
    /// Whether blocks of ours were made as many as they are, so that what keeps them from it was told.
    expanded: Cell<bool>,
    /// How many names were looked for that are near to one that is not there.
    hints: Cell<usize>,
    faults: &'a Faults<'a>,
}

/// Why a value cannot be known.
#[derive(Clone, Debug)]
pub(super) enum Unknown {
    /// What is wrong, for whoever wrote it. Terraform would say so, too.
    Wrong(String),
    /// What cannot be worked out here, whatever Terraform would make of it.
    NotHere(String),
    /// A step into a part that is not there.
    NoPart,
    /// It is too much to be worked out.
    TooMuch(String),
    /// What would have said it could not be read, which is a fault already noted.
    Told,
}

impl Unknown {
    /// What there is to say of it; nothing where it was said already.
    pub(super) fn message(self) -> Option<String> {
        match self {
            Self::Wrong(message) | Self::NotHere(message) | Self::TooMuch(message) => Some(message),
            Self::NoPart => {
                Some("what is asked for is not there; allowed: a part of what there is".to_owned())
            }
            Self::Told => None,
        }
    }
}

impl From<String> for Unknown {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

/// A variable or a local that a name leads to.
pub(super) struct NamedValue<'s> {
    pub(super) value: &'s RawValue,
    /// The type of a variable.
    pub(super) kind: Option<&'s RawExpression>,
    /// What else there is to know of a value that a module is called with.
    pub(super) argument: Option<Argument<'s>>,
}

/// What a module is called with.
pub(super) struct Argument<'s> {
    /// What is bound where it stands.
    pub(super) env: &'s Env,
    /// What counts in the place of `null`, where that is no value.
    pub(super) in_place_of_null: Option<&'s RawValue>,
}

/// Whether something is being worked out, or was.
pub(super) enum Remembered {
    Never,
    UnderWay,
    Worked(Val),
}

impl<'a> Scope<'a> {
    /// Gathers `variable` and `locals` blocks, all that others may refer to, and the `terraform_values` of the `balancer`
    /// block.
    pub(super) fn collect(bodies: &'a [RawBody], calls: &'a ModuleCalls, faults: &'a Faults<'a>) -> Self {
        let mut scope = Self {
            faults,
            calls,
            variables: HashMap::new(),
            locals: HashMap::new(),
            outputs: HashMap::new(),
            known: HashMap::new(),
            blocks: HashMap::new(),
            memory: RefCell::default(),
            parts: Cell::new(0),
            expanded: Cell::new(false),
            hints: Cell::new(0),
        };
        for block in bodies.iter().flat_map(|body| &body.blocks) {
            if let Some(name) = name_of(block) {
                scope.blocks.entry(name).or_insert(block);
            }
            match (block.kind.as_str(), block.labels.first()) {
                ("variable", Some((name, _))) => scope.add_variable(block, name),
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
                ("output", Some((name, _))) if name.starts_with("module.") => {
                    let value = block.body.attributes.iter().find(|attribute| attribute.name == "value");
                    scope.outputs.extend(value.map(|value| (name.as_str(), &value.value)));
                }
                ("balancer", _) => {
                    let known =
                        block.body.attributes.iter().find(|attribute| attribute.name == TERRAFORM_VALUES);
                    scope.known.extend(known.into_iter().flat_map(items));
                }
                _ => {}
            }
        }
        scope
    }

    fn add_variable(&mut self, block: &'a RawBlock, name: &'a str) {
        let attribute = |name: &str| block.body.attributes.iter().find(|attribute| attribute.name == name);
        let is_nullable = attribute("nullable")
            .is_none_or(|nullable| !matches!(nullable.value.expression, RawExpression::Bool(false)));
        let is_sensitive = attribute("sensitive")
            .is_some_and(|sensitive| matches!(sensitive.value.expression, RawExpression::Bool(true)));
        let default = attribute("default").map(|default| &default.value);
        let kind = attribute("type").and_then(|kind| type_of(&kind.value));
        let argument = attribute(ARGUMENT).map(|argument| &argument.value);
        let called_in = argument.map(|_| &block.env);
        let value = argument.or(default).map(Cow::Borrowed);
        let position = block.position;
        let variable = Variable { value, default, kind, is_nullable, is_sensitive, position, called_in };
        if let Some(first) = self.variables.get(name) {
            self.note_second("variable", name, first.position, block.position);
        } else {
            self.variables.insert(name, variable);
        }
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
            // What is worked out is made what it has to be then.
            if variable.called_in.is_none() {
                variable.value = Some(Cow::Owned(typed(value)));
            }
        }
    }

    /// What a local stands for.
    pub(super) fn local(&self, name: &str) -> Option<&'a RawExpression> {
        self.locals.get(name).map(|local| &local.value.expression)
    }

    /// The block of that name.
    pub(super) fn block(&self, name: &BlockName) -> Option<&'a RawBlock> {
        self.blocks.get(name).copied()
    }

    /// Where the files are.
    pub(super) fn faults(&self) -> &'a Faults<'a> {
        self.faults
    }

    /// "Did you mean", as often as it can be of use: looking for a near name takes long.
    fn hint<'n>(&self, name: &str, known: impl Iterator<Item = &'n str>) -> String {
        self.hints.set(self.hints.get().saturating_add(1));
        if self.hints.get() > MAX_HINTS { String::new() } else { suggest::hint(name, known) }
    }

    /// Whether there is a variable of that name whose value is told to nobody.
    pub(super) fn is_sensitive(&self, name: &str) -> bool {
        self.variables.get(name).is_some_and(|variable| variable.is_sensitive)
    }

    /// Whether there is a variable of that name that nothing gives a value. What a module is called with is given, or is missing.
    pub(super) fn lacks_value(&self, name: &str) -> bool {
        let is_without = |variable: &Variable<'_>| variable.value.is_none();
        !self.faults.is_partial() && !name.contains('.') && self.variables.get(name).is_some_and(is_without)
    }

    /// The variable of that name.
    ///
    /// # Errors
    /// Says that there is none, or none with a value.
    pub(super) fn variable(&self, name: &str) -> Result<NamedValue<'_>, Unknown> {
        let wrong = match self.variables.get(name) {
            Some(Variable { value: Some(value), kind, called_in, is_nullable, default, .. }) => {
                let in_place_of_null = default.filter(|_| !is_nullable);
                let argument = called_in.map(|env| Argument { env, in_place_of_null });
                return Ok(NamedValue { value, kind: kind.as_deref(), argument });
            }
            Some(_) => no_value(name),
            None => format!(
                "there is no variable `{name}`{}; allowed: a variable with a default, or a value",
                self.hint(name, self.variables.keys().copied())
            ),
        };
        Err(self.missing(wrong))
    }

    /// The local of that name.
    ///
    /// # Errors
    /// Says that there is none.
    pub(super) fn local_value(&self, name: &str) -> Result<NamedValue<'_>, Unknown> {
        let named =
            self.locals.get(name).map(|local| NamedValue { value: &local.value, kind: None, argument: None });
        named.ok_or_else(|| {
            let hint = self.hint(name, self.locals.keys().copied());
            self.missing(format!(
                "there is no local `{name}`{hint}; allowed: a local that is given, or a value"
            ))
        })
    }

    /// The module of that name, if it is read.
    pub(super) fn call(&self, name: &str) -> Option<&'a ModuleCall> {
        self.calls.get(name)
    }

    /// What a module gives out under that name.
    ///
    /// # Errors
    /// Says that it gives out no such thing.
    pub(super) fn output(&self, name: &str) -> Result<NamedValue<'_>, Unknown> {
        let named = self.outputs.get(name).map(|value| NamedValue { value, kind: None, argument: None });
        named.ok_or_else(|| {
            let (module, output) = name.rsplit_once('.').unwrap_or(("", name));
            let of = |known: &&str| known.rsplit_once('.').is_some_and(|(of, _)| of == module);
            let known = self.outputs.keys().copied().filter(of);
            let hint = self.hint(output, known.filter_map(|known| known.rsplit('.').next()));
            self.missing(format!("{module} has no output `{output}`{hint}; allowed: one that it has"))
        })
    }

    /// It may stand in what could not be read. Terraform lets nobody try it.
    fn missing(&self, wrong: String) -> Unknown {
        if self.faults.is_partial() { Unknown::Told } else { Unknown::NotHere(wrong) }
    }

    /// How many a block of Terraform's is, which stands in no file, by what the user says of it or of a part of it.
    pub(super) fn known_several(&self, path: &[String]) -> Option<&'a RawValue> {
        let name = path_text(path);
        let is_of = |known: &&str| {
            let rest = known.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('.') && !rest.contains('[')))
        };
        let several = self.known.iter().filter(|(known, _)| is_of(known)).map(|(_, value)| *value);
        let mut several = several
            .filter(|value| matches!(value.expression, RawExpression::List(_) | RawExpression::Object(_)));
        several.next()
    }

    /// What was worked out under this name before.
    pub(super) fn remembered(&self, name: &str) -> Remembered {
        match self.memory.borrow().get(name) {
            None => Remembered::Never,
            Some(None) => Remembered::UnderWay,
            Some(Some(value)) => Remembered::Worked(value.clone()),
        }
    }

    /// Notes that it is being worked out.
    pub(super) fn begin(&self, name: &str) {
        self.memory.borrow_mut().insert(name.to_owned(), None);
    }

    /// Notes what it came to; nothing where that may be otherwise another time.
    pub(super) fn end(&self, name: &str, value: Option<&Val>) {
        let mut memory = self.memory.borrow_mut();
        match value {
            Some(value) => drop(memory.insert(name.to_owned(), Some(value.clone()))),
            None => drop(memory.remove(name)),
        }
    }

    /// Notes that blocks of ours were made as many as they are.
    pub(super) fn note_expanded(&self) {
        self.expanded.set(true);
    }

    /// Whether it was told why it is not known how many a block is.
    pub(super) fn has_told_of(&self, block: &RawBlock) -> bool {
        let is_ours = match block.labels.first() {
            Some((kind, _)) if block.kind == "resource" => native_kind(kind).is_some(),
            _ => block.kind != "data",
        };
        self.expanded.get() && is_ours
    }

    /// Counts what is worked out for all values together.
    pub(super) fn count(&self, parts: usize) -> usize {
        self.parts.set(self.parts.get().saturating_add(parts));
        self.parts.get()
    }

    /// What the user says that a text is: ARNs and ids are texts.
    pub(super) fn known_text(&self, text: &str) -> Option<&'a RawValue> {
        self.known.get(text).copied()
    }

    /// What the user says that a reference of Terraform's is: under its own name, or under that of the block as a
    /// whole; an index may be left out. With the indices that were left out, which go into a list or a map.
    pub(super) fn known(&self, path: &[String]) -> Option<(&'a RawValue, Vec<String>)> {
        if self.known.is_empty() {
            return None;
        }
        let (indices, without): (Vec<String>, Vec<String>) =
            path.iter().cloned().partition(|step| step.starts_with('['));
        let find = |path: &[String]| {
            let block = path.split_last().filter(|(last, _)| !last.starts_with('[')).map(|(_, block)| block);
            let mut names = [Some(path), block].into_iter().flatten().map(path_text);
            names.find_map(|name| self.known.get(name.as_str())).copied()
        };
        find(path).map(|known| (known, Vec::new())).or_else(|| find(&without).map(|known| (known, indices)))
    }
}

/// How others refer to a block.
pub(super) fn name_of(block: &RawBlock) -> Option<BlockName> {
    match (block.kind.as_str(), block.labels.as_slice()) {
        ("resource", [(kind, _), (label, _)]) => {
            Some((native_kind(kind).unwrap_or(kind).to_owned(), label.clone()))
        }
        ("data", [(kind, _), (label, _)]) => Some((format!("data.{kind}"), label.clone())),
        ("variable" | "locals" | "module" | "output" | "provider", _) => None,
        (kind, [(label, _)]) => Some((kind.to_owned(), label.clone())),
        _ => None,
    }
}

/// The type of a variable. In JSON, and in old files, it is a text.
fn type_of(value: &RawValue) -> Option<Cow<'_, RawExpression>> {
    match &value.expression {
        RawExpression::Text(text) => raw::convert::expression(text, value.position).map(Cow::Owned),
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
