//! What expressions come to, by Terraform's rules: maps in the order of their keys, arms of a conditional of one type,
//! conversions where they are meant, `null` where it may be. What is known to Terraform or AWS alone goes on as such.
//! Must not know: what a value is for.

mod call;
#[cfg(test)]
mod cases;
mod charsets;
mod collections;
mod conform;
mod convert;
mod csv;
mod dates;
mod digests;
mod encoding;
mod fail;
mod files;
mod filesets;
mod format;
mod functions;
mod network;
mod numbers;
mod operators;
mod references;
mod regexes;
mod sensitivity;
mod templates;
#[cfg(test)]
mod tests;
mod texts;
mod workspace;
mod yaml;

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use self::{call::Call, fail::Fail};
use super::{
    bindings::{Env, Item, Val},
    decimal::Decimal,
    raw::{Computed, For, Makes, RawExpression, RawValue},
    scope::{Scope, Unknown},
    source::Position,
    value::{Value, is_huge},
};

/// How deep expressions may lead into each other, through variables, locals and blocks.
const MAX_DEPTH: usize = 120;
/// Most parts that one value may be made of, all that is gone through on the way counted.
const MAX_PARTS: usize = 200_000;
/// The same for all values of a configuration.
const MAX_PARTS_OF_ALL: usize = 20_000_000;
/// Longest text on the way to a value, and as a value.
const MAX_INNER_TEXT: usize = 262_144;
const MAX_TEXT: usize = 4096;

pub(super) type Evaluated = Result<Val, Unknown>;

/// What a value is.
///
/// # Errors
/// Says why it cannot be known.
pub(super) fn resolve(scope: &Scope<'_>, value: &RawValue, env: &Env) -> Result<Value, Unknown> {
    let evaluator = Evaluator::new(scope, value.position);
    let found = evaluator.known(evaluator.top(value, env)?)?;
    evaluator.finished(found)
}

/// The same as it is worked with.
///
/// # Errors
/// Says why it cannot be known.
pub(super) fn evaluate(scope: &Scope<'_>, value: &RawValue, env: &Env) -> Evaluated {
    Evaluator::new(scope, value.position).top(value, env)
}

/// The elements of a value with their keys, where it has such and they are known.
pub(super) fn elements(value: &Val, position: Position) -> Option<Vec<(Val, Item)>> {
    convert::elements(value, position).ok()?.ok()
}

struct Evaluator<'s, 'a> {
    scope: &'s Scope<'a>,
    /// Where the value is written that is worked out.
    position: Position,
    depth: Cell<usize>,
    parts: Cell<usize>,
}

impl<'s, 'a> Evaluator<'s, 'a> {
    fn new(scope: &'s Scope<'a>, position: Position) -> Self {
        Self { scope, position, depth: Cell::new(0), parts: Cell::new(0) }
    }

    /// A value as it is written, with what the user says that its texts are.
    fn top(&self, value: &RawValue, env: &Env) -> Evaluated {
        self.known_texts(self.value(&value.expression, env)?)
    }

    fn known_texts(&self, value: Val) -> Evaluated {
        match &value {
            Val::Text(text) => match self.scope.known_text(text) {
                Some(known) => self.value(&known.expression, &Env::default()),
                None => Ok(value),
            },
            Val::List(items)
                if items.iter().any(
                    |(item, _)| matches!(item, Val::Text(text) if self.scope.known_text(text).is_some()),
                ) =>
            {
                let items = items.iter().map(|(item, at)| Ok((self.known_texts(item.clone())?, *at)));
                Ok(Val::list(items.collect::<Result<_, Unknown>>()?))
            }
            _ => Ok(value),
        }
    }

    fn value(&self, expression: &RawExpression, env: &Env) -> Evaluated {
        self.charge(1)?;
        if self.depth.get() >= MAX_DEPTH {
            return Err(too_much());
        }
        self.depth.set(self.depth.get() + 1);
        let outcome = self.worked_out(expression, env);
        self.depth.set(self.depth.get() - 1);
        outcome
    }

    /// Counts what is done, so that no text grows by its own references without an end.
    fn charge(&self, parts: usize) -> Result<(), Unknown> {
        self.parts.set(self.parts.get().saturating_add(parts));
        if self.parts.get() > MAX_PARTS || self.scope.count(parts) > MAX_PARTS_OF_ALL {
            return Err(too_much());
        }
        Ok(())
    }

    /// A value that was put together, unless it is too large.
    fn weighed(&self, value: Val) -> Evaluated {
        self.charge(value.weight())?;
        match &value {
            Val::Text(text) if text.len() > MAX_INNER_TEXT => Err(too_long(MAX_INNER_TEXT)),
            _ => Ok(value),
        }
    }

    fn worked_out(&self, expression: &RawExpression, env: &Env) -> Evaluated {
        match expression {
            RawExpression::Null => Ok(Val::Null),
            RawExpression::Bool(value) => Ok(Val::Bool(*value)),
            RawExpression::Number(number) => Ok(number_of(*number)),
            RawExpression::Text(text) => self.weighed(Val::text(text.as_str())),
            RawExpression::Template(pieces) => self.template(pieces, env),
            RawExpression::List(items) => {
                let items = items.iter().map(|item| Ok((self.member(&item.expression, env)?, item.position)));
                self.weighed(Val::list(items.collect::<Result<_, Unknown>>()?))
            }
            RawExpression::Object(items) => self.object(items, env),
            RawExpression::Path(path, steps) => self.path(path, steps, env),
            RawExpression::Call(name, arguments) => self.call(name, arguments, false, env),
            RawExpression::Computed(computed) => self.computed(computed, env),
            RawExpression::Unread => Err(Unknown::Told),
        }
    }

    fn computed(&self, computed: &Computed, env: &Env) -> Evaluated {
        match computed {
            Computed::Unary(operator, operand) => {
                said(operators::unary(*operator, &self.value(operand, env)?))
            }
            Computed::Binary(one, operator, other) => self.binary(one, *operator, other, env),
            Computed::Conditional { condition, one, other } => self.conditional(condition, one, other, env),
            Computed::Steps(base, steps) => self.steps(self.value(base, env)?, steps, env),
            Computed::Spread(name, arguments) => self.call(name, arguments, true, env),
            Computed::For(each) => self.each(each, env),
        }
    }

    /// Where the first operand decides, the second one need not be known.
    fn binary(
        &self,
        one: &RawExpression,
        operator: super::raw::BinaryOperator,
        other: &RawExpression,
        env: &Env,
    ) -> Evaluated {
        let one = self.value(one, env)?;
        if let Some(decided) = said(operators::decided(&one, operator))? {
            return Ok(decided);
        }
        let other = self.value(other, env)?;
        self.charge(one.weight().min(other.weight()))?;
        said(operators::binary(&one, operator, &other))
    }

    fn conditional(
        &self,
        condition: &RawExpression,
        one: &RawExpression,
        other: &RawExpression,
        env: &Env,
    ) -> Evaluated {
        let condition = self.value(condition, env)?;
        let is_one = match said(convert::to_truth(&condition)) {
            Ok(Val::Bool(truth)) => truth,
            Ok(Val::Null) => {
                return Err(Unknown::Wrong("the condition is null; allowed: true or false".to_owned()));
            }
            Ok(unknown) => {
                let (one, other) = (self.value(one, env)?, self.value(other, env)?);
                self.charge(one.weight())?;
                let same = matches!(operators::equal(&one, &other), Ok(Some(true)));
                return Ok(if same { one } else { Val::Unknown(unknown.unknown().unwrap_or_default()) });
            }
            Err(wrong) => return Err(wrong),
        };
        let (chosen, left) = if is_one { (one, other) } else { (other, one) };
        let chosen = self.value(chosen, env)?;
        // What is wrong with the arm that is not taken is wrong with nothing.
        let left = match self.value(left, env) {
            Ok(left) => left,
            Err(told @ (Unknown::Told | Unknown::TooMuch(_))) => return Err(told),
            Err(_) => return Ok(chosen),
        };
        self.charge(chosen.weight().saturating_add(left.weight()))?;
        said(convert::as_arm(&chosen, &left))
    }

    fn object(&self, items: &[(RawExpression, RawValue)], env: &Env) -> Evaluated {
        let mut members = BTreeMap::new();
        for (key, value) in items {
            let key = self.value(key, env)?;
            let value = self.member(&value.expression, env)?;
            match said(convert::to_text(&key))? {
                Val::Text(key) => drop(members.insert(key.to_string(), value)),
                Val::Null => {
                    return Err(Unknown::Wrong("null cannot be a key; allowed: text".to_owned()));
                }
                unknown => return Ok(Val::Unknown(unknown.unknown().unwrap_or_default())),
            }
        }
        self.weighed(Val::object(members))
    }

    /// A member of a list or an object. One that cannot be worked out here keeps nobody from the others.
    fn member(&self, expression: &RawExpression, env: &Env) -> Evaluated {
        match self.value(expression, env) {
            Err(Unknown::NotHere(why)) => {
                let why = why.split("; allowed").next().unwrap_or_default();
                Ok(Val::Unknown(format!("what cannot be worked out here ({why})").into()))
            }
            outcome => outcome,
        }
    }

    fn template(&self, pieces: &[RawExpression], env: &Env) -> Evaluated {
        if let [single] = pieces {
            // "${x}" is x, whatever x is.
            return self.value(single, env);
        }
        let mut text = String::new();
        let mut unknown = None;
        for piece in pieces {
            let value = self.value(piece, env)?;
            if matches!(value, Val::Null) {
                let wrong = "null cannot be a part of a text; allowed: text, numbers and truth values";
                return Err(Unknown::Wrong(wrong.to_owned()));
            }
            match said(convert::to_text(&value)).map_err(|wrong| match wrong {
                Unknown::Wrong(_) => Unknown::Wrong(format!(
                    "{} cannot be a part of a text; allowed: text, numbers, and variables that are these",
                    value.kind()
                )),
                other => other,
            })? {
                Val::Text(piece) => text.push_str(&piece),
                value => unknown = unknown.or_else(|| value.unknown()),
            }
            if text.len() > MAX_INNER_TEXT {
                return Err(too_long(MAX_INNER_TEXT));
            }
        }
        match unknown {
            Some(by) => Ok(Val::Unknown(by)),
            None => self.weighed(Val::text(text)),
        }
    }

    fn each(&self, each: &For, env: &Env) -> Evaluated {
        let collection = self.value(&each.collection, env)?;
        let elements = match said(convert::elements(&collection, self.position))? {
            Ok(elements) => elements,
            Err(by) => return Ok(Val::Unknown(by)),
        };
        let mut made = Made::default();
        for (key, (value, at)) in elements {
            let mut inner = env.clone();
            if let Some(name) = &each.key_name {
                inner = inner.with(name, key);
            }
            let inner = inner.with(&each.value_name, value);
            if let Some(condition) = &each.condition {
                match said(convert::to_truth(&self.value(condition, &inner)?))? {
                    Val::Bool(true) => {}
                    Val::Bool(false) => continue,
                    Val::Null => {
                        let wrong = "the condition of a `for` is null; allowed: true or false";
                        return Err(Unknown::Wrong(wrong.to_owned()));
                    }
                    unknown => return Ok(Val::Unknown(unknown.unknown().unwrap_or_default())),
                }
            }
            let value = self.value(&each.value, &inner)?;
            match &each.makes {
                Makes::List => made.items.push((value, at)),
                Makes::Text => match said(convert::to_text(&value))? {
                    Val::Text(text) if made.text.len() + text.len() <= MAX_INNER_TEXT => {
                        made.text.push_str(&text);
                    }
                    Val::Text(_) => return Err(too_long(MAX_INNER_TEXT)),
                    unknown => return Ok(Val::Unknown(unknown.unknown().unwrap_or_default())),
                },
                Makes::Object { key, groups } => match said(convert::to_text(&self.value(key, &inner)?))? {
                    Val::Text(key) => made.add(&key, value, at, *groups)?,
                    Val::Null => {
                        return Err(Unknown::Wrong("null cannot be a key; allowed: text".to_owned()));
                    }
                    unknown => return Ok(Val::Unknown(unknown.unknown().unwrap_or_default())),
                },
            }
        }
        self.weighed(made.into_value(&each.makes))
    }

    fn call(&self, name: &str, arguments: &[RawExpression], spreads: bool, env: &Env) -> Evaluated {
        match name {
            "try" | "can" if !spreads => return self.attempt(name, arguments, env),
            "issensitive" if !spreads => return self.sensitive(arguments, env),
            "templatefile" if !spreads => return self.template_file(arguments, env),
            "templatestring" if !spreads => return self.template_string(arguments, env),
            "abspath" | "pathexpand" if !spreads => return self.of_path(name, arguments, env),
            "fileset" if !spreads => return self.file_set(arguments, env),
            "file" | "fileexists" | "filebase64" if !spreads => {
                return self.of_file(name, arguments, env);
            }
            name if !spreads && digests::of_file(name).is_some() => {
                return self.of_file(name, arguments, env);
            }
            _ => {}
        }
        let mut values = Vec::new();
        for argument in arguments {
            values.push(self.value(argument, env)?);
        }
        if spreads {
            match values.pop() {
                Some(Val::List(items) | Val::Set(items)) => {
                    values.extend(items.iter().map(|(item, _)| item.clone()));
                }
                Some(other) if other.unknown().is_some() => {
                    return Ok(Val::Unknown(other.unknown().unwrap_or_default()));
                }
                _ => {
                    let wrong = "what `...` stands behind is no list; allowed: a list of arguments";
                    return Err(Unknown::Wrong(wrong.to_owned()));
                }
            }
        }
        self.charge(values.iter().map(Val::weight).fold(0, usize::saturating_add))?;
        let call = Call { name, values: &values, position: self.position };
        self.weighed(said(functions::call(&call))?)
    }

    /// `issensitive`.
    fn sensitive(&self, arguments: &[RawExpression], env: &Env) -> Evaluated {
        let [argument] = arguments else {
            let count = arguments.len();
            return Err(Unknown::Wrong(format!("`issensitive` has {count} arguments; allowed: 1 of them")));
        };
        let value = self.value(argument, env)?;
        match (self.is_sensitive(argument)?, value.unknown()) {
            (Some(true), _) => Ok(Val::Bool(true)),
            (_, Some(by)) => Ok(Val::Unknown(by)),
            (Some(false), None) => Ok(Val::Bool(false)),
            (None, None) => Err(Unknown::NotHere(
                "`issensitive` is asked of what is made of something sensitive in a way that is not followed here; allowed: a \
                 variable, a local, a text, or true or false in its place"
                    .to_owned(),
            )),
        }
    }

    /// `try` and `can`: what Terraform would refuse is passed over, what cannot be worked out here is not.
    fn attempt(&self, name: &str, arguments: &[RawExpression], env: &Env) -> Evaluated {
        let mut last = Unknown::Wrong(format!("`{name}` has no arguments; allowed: one or more"));
        for argument in arguments {
            match self.value(argument, env) {
                Ok(_) if name == "can" => return Ok(Val::Bool(true)),
                Ok(value) => return Ok(value),
                Err(Unknown::Wrong(_) | Unknown::NoPart) if name == "can" => return Ok(Val::Bool(false)),
                Err(wrong @ (Unknown::Wrong(_) | Unknown::NoPart)) => last = wrong,
                Err(other) => return Err(other),
            }
        }
        Err(last)
    }

    /// As attributes are given it.
    fn finished(&self, value: Val) -> Result<Value, Unknown> {
        self.charge(value.weight())?;
        Ok(match value {
            Val::Null => Value::Null,
            Val::Bool(truth) => Value::Bool(truth),
            Val::Number(number) => Value::Number(convert::to_parsed(number).ok_or_else(|| {
                Unknown::NotHere(format!(
                    "{number} cannot be written here; allowed: a number with less digits"
                ))
            })?),
            Val::Huge(number) => super::raw::Number::from_f64(number).map_or(Value::Null, Value::Number),
            Val::Text(text) if text.len() > MAX_TEXT => return Err(too_long(MAX_TEXT)),
            Val::Text(text) => Value::Text(text.to_string()),
            Val::List(items) | Val::Set(items) => Value::List(
                items
                    .iter()
                    .map(|(item, at)| Ok((self.finished(item.clone())?, *at)))
                    .collect::<Result<_, Unknown>>()?,
            ),
            Val::Object(_) => Value::Object,
            Val::Reference(path) => Value::Reference(path.to_vec()),
            Val::Unknown(by) => Value::Unknown(by.to_string()),
        })
    }
}

/// What a `for` has made so far.
#[derive(Default)]
struct Made {
    items: Vec<Item>,
    members: BTreeMap<String, Val>,
    groups: BTreeMap<String, Vec<Item>>,
    text: String,
}

impl Made {
    fn add(&mut self, key: &str, value: Val, at: Position, groups: bool) -> Result<(), Unknown> {
        if groups {
            self.groups.entry(key.to_owned()).or_default().push((value, at));
        } else if self.members.insert(key.to_owned(), value).is_some() {
            return Err(Unknown::Wrong(format!(
                "the `for` makes the key {} twice; allowed: keys that differ, or `...` behind the value",
                super::value::shown(key)
            )));
        }
        Ok(())
    }

    fn into_value(self, makes: &Makes) -> Val {
        match makes {
            Makes::List => Val::list(self.items),
            Makes::Text => Val::text(self.text),
            Makes::Object { groups: true, .. } => {
                Val::object(self.groups.into_iter().map(|(key, items)| (key, Val::list(items))).collect())
            }
            Makes::Object { .. } => Val::object(self.members),
        }
    }
}

fn number_of(number: super::raw::Number) -> Val {
    let whole = || number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
    let float = number.as_f64().unwrap_or_default();
    match whole().map(Decimal::from).or_else(|| Decimal::of_float(float)) {
        Some(decimal) if !is_huge(number) => Val::Number(decimal),
        _ => Val::Huge(float),
    }
}

/// What goes by something unknown is itself unknown; all else is told.
fn said<T: FromUnknown>(outcome: Result<T, Fail>) -> Result<T, Unknown> {
    match outcome {
        Ok(value) => Ok(value),
        Err(Fail::Wrong(wrong)) => Err(Unknown::Wrong(wrong)),
        Err(Fail::NotHere(wrong)) => Err(Unknown::NotHere(wrong)),
        Err(Fail::By(by)) => Ok(T::by(by)),
    }
}

/// What stands in the place of a value that is not known.
trait FromUnknown {
    fn by(by: Rc<str>) -> Self;
}

impl FromUnknown for Val {
    fn by(by: Rc<str>) -> Self {
        Self::Unknown(by)
    }
}

impl FromUnknown for Option<Val> {
    fn by(_: Rc<str>) -> Self {
        None
    }
}

impl<T> FromUnknown for Result<T, Rc<str>> {
    fn by(by: Rc<str>) -> Self {
        Err(by)
    }
}

fn too_much() -> Unknown {
    Unknown::TooMuch(format!(
        "the value leads through too many variables or parts; allowed: {MAX_DEPTH} levels, {MAX_PARTS} parts"
    ))
}

fn too_long(most: usize) -> Unknown {
    Unknown::TooMuch(format!("the text is too long; allowed: at most {most} bytes"))
}
