//! Values while they are worked out, and the names that stand for them within a block or a `for`.
//! Must not know: how a value is written, or what it is for.

use std::{collections::BTreeMap, fmt, ops::Deref, rc::Rc};

use super::{decimal::Decimal, source::Position};

/// The root of the name of an output of a module: nobody can write it with a dot in it.
pub(super) const OUTPUT: &str = "output";

/// A value and where it is written.
pub(super) type Item = (Val, Position);

/// What an expression comes to. Copies share what is large.
#[derive(Clone, Debug)]
pub(super) enum Val {
    Null,
    Bool(bool),
    Number(Decimal),
    /// One that no arithmetic is done with: too large.
    Huge(f64),
    Text(Rc<str>),
    /// A list or a tuple.
    List(Rc<Items>),
    /// Each once, and in the order of Terraform's sets.
    Set(Rc<Items>),
    /// A map or an object; by key, as Terraform goes through them.
    Object(Rc<Members>),
    /// A block or a part of one that is known by this name alone.
    Reference(Rc<Vec<String>>),
    /// What goes by something that is not known here, and by what.
    Unknown(Rc<str>),
}

/// The elements of a list, and how much there is in them.
#[derive(Debug)]
pub(super) struct Items {
    items: Vec<Item>,
    weight: usize,
}

/// The members of an object, and how much there is in them.
#[derive(Debug)]
pub(super) struct Members {
    members: BTreeMap<String, Val>,
    weight: usize,
}

impl Deref for Items {
    type Target = [Item];

    fn deref(&self) -> &[Item] {
        &self.items
    }
}

impl Deref for Members {
    type Target = BTreeMap<String, Val>;

    fn deref(&self) -> &BTreeMap<String, Val> {
        &self.members
    }
}

/// How many bytes of a text count as one part.
const BYTES_OF_A_PART: usize = 64;

impl Val {
    /// How many parts there are in it, what is shared as often as it stands there.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::List(items) | Self::Set(items) => items.weight,
            Self::Object(members) => members.weight,
            Self::Text(text) => 1 + text.len() / BYTES_OF_A_PART,
            _ => 1,
        }
    }

    pub(super) fn set(items: Vec<Item>) -> Self {
        Self::Set(Rc::new(weighed(items)))
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into())
    }

    pub(super) fn list(items: Vec<Item>) -> Self {
        Self::List(Rc::new(weighed(items)))
    }

    pub(super) fn object(members: BTreeMap<String, Self>) -> Self {
        let parts = members.iter().map(|(key, member)| member.weight() + key.len() / BYTES_OF_A_PART);
        let weight = parts.fold(1, usize::saturating_add);
        Self::Object(Rc::new(Members { members, weight }))
    }

    pub(super) fn whole(number: usize) -> Self {
        Self::Number(Decimal::from(i128::try_from(number).unwrap_or(i128::MAX)))
    }

    /// What it goes by, where it is not known here.
    pub(super) fn unknown(&self) -> Option<Rc<str>> {
        match self {
            Self::Reference(path) => Some(path_text(path).into()),
            Self::Unknown(by) => Some(Rc::clone(by)),
            _ => None,
        }
    }

    /// The same of it and of all that is in it.
    pub(super) fn unknown_within(&self) -> Option<Rc<str>> {
        match self {
            Self::List(items) | Self::Set(items) => items.iter().find_map(|(item, _)| item.unknown_within()),
            Self::Object(members) => members.values().find_map(Self::unknown_within),
            value => value.unknown(),
        }
    }

    /// Whether they are written the same; what is unknown is the same as itself.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Reference(one), Self::Reference(other)) => one == other,
            (Self::List(one), Self::List(other)) | (Self::Set(one), Self::Set(other)) => {
                Rc::ptr_eq(one, other)
                    || (one.len() == other.len()
                        && one.iter().zip(other.iter()).all(|((one, _), (other, _))| one.is_same(other)))
            }
            (Self::Object(one), Self::Object(other)) => {
                Rc::ptr_eq(one, other)
                    || (one.len() == other.len()
                        && one.iter().zip(other.iter()).all(|((one_key, one), (other_key, other))| {
                            one_key == other_key && one.is_same(other)
                        }))
            }
            _ => false,
        }
    }

    /// What it is called.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) | Self::Huge(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Object(_) => "a map",
            Self::Reference(_) | Self::Unknown(_) => "a value that is not known here",
        }
    }
}

fn weighed(items: Vec<Item>) -> Items {
    let weight = items.iter().map(|(item, _)| item.weight()).fold(1, usize::saturating_add);
    Items { items, weight }
}

/// A path as it is written; what is in a module as Terraform names it, `module.app.aws_lb.main`.
pub(super) fn path_text(path: &[String]) -> String {
    let mut text = String::new();
    // The name of a block of a module begins with that of the module, and only there is a dot in it.
    let at = 1 + usize::from(path.first().is_some_and(|root| root == "data"));
    let name = path.get(at).filter(|name| name.starts_with("module."));
    let rest = match name.and_then(|name| name.rsplit_once('.')) {
        Some((module, name)) => {
            text.push_str(module);
            for step in path.iter().take(at).filter(|root| *root != OUTPUT) {
                text.push('.');
                text.push_str(step);
            }
            text.push('.');
            text.push_str(name);
            path.get(at + 1..).unwrap_or_default()
        }
        None => path,
    };
    for step in rest {
        if !text.is_empty() && !step.starts_with('[') {
            text.push('.');
        }
        text.push_str(step);
    }
    text
}

/// Names and what they stand for, the innermost first.
#[derive(Clone, Default)]
pub(super) struct Env {
    innermost: Option<Rc<Binding>>,
    /// Whether there are no others.
    is_closed: bool,
}

struct Binding {
    name: String,
    value: Val,
    outer: Env,
}

impl Env {
    /// Where nothing is known but what is bound: neither variables nor blocks.
    pub(super) fn closed() -> Self {
        Self { innermost: None, is_closed: true }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The same with one name more.
    pub(super) fn with(&self, name: &str, value: Val) -> Self {
        let binding = Binding { name: name.to_owned(), value, outer: self.clone() };
        Self { innermost: Some(Rc::new(binding)), is_closed: self.is_closed }
    }

    /// What a name stands for.
    pub(super) fn get(&self, name: &str) -> Option<&Val> {
        let mut next = self.innermost.as_deref();
        while let Some(binding) = next {
            if binding.name == name {
                return Some(&binding.value);
            }
            next = binding.outer.innermost.as_deref();
        }
        None
    }
}

/// What is bound may be a secret.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}
