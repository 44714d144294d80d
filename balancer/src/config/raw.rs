//! Raw blocks: the shape of a configuration with positions, free of the parser's types.
//! Must not know what any block or attribute means.

mod blanks;
pub(super) mod convert;

pub(super) use hcl_edit::{
    Number,
    expr::{BinaryOperator, UnaryOperator},
};

pub(super) use super::bindings::path_text;
use super::{bindings::Env, source::Position};

/// What stands in a file or between the braces of a block.
#[derive(Clone, Debug, Default)]
pub(super) struct RawBody {
    pub(super) attributes: Vec<RawAttribute>,
    pub(super) blocks: Vec<RawBlock>,
}

/// `kind "label" … { … }`
#[derive(Clone, Debug)]
pub(super) struct RawBlock {
    pub(super) kind: String,
    pub(super) position: Position,
    pub(super) labels: Vec<(String, Position)>,
    pub(super) body: RawBody,
    /// What `each`, `count` and the iterators of `dynamic` blocks stand for in it.
    pub(super) env: Env,
}

/// `name = value`
#[derive(Clone, Debug)]
pub(super) struct RawAttribute {
    pub(super) name: String,
    pub(super) position: Position,
    pub(super) value: RawValue,
    /// An empty list of JSON: where blocks may be, that is none of them.
    pub(super) is_no_block: bool,
}

/// A value as written, and where.
#[derive(Clone, Debug)]
pub(super) struct RawValue {
    pub(super) position: Position,
    pub(super) expression: RawExpression,
}

/// What a value is made of, as far as configurations need it.
#[derive(Clone, Debug)]
pub(super) enum RawExpression {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// Text with `${…}` in it.
    Template(Vec<RawExpression>),
    List(Vec<RawValue>),
    /// `{ key = value }` in the order of the text. Of equal keys the last one counts, as in Terraform.
    Object(Vec<(RawExpression, RawValue)>),
    /// `a.b[0].c`: as it is written, an index a step of its own in its brackets; and the steps after the first.
    Path(Vec<String>, Vec<PathStep>),
    /// `name(…)`
    Call(String, Vec<RawExpression>),
    /// What is worked out in another way.
    Computed(Box<Computed>),
    /// What could not be read, which is a fault already noted.
    Unread,
}

/// A step into a value.
#[derive(Clone, Debug)]
pub(super) enum PathStep {
    /// `.name`
    Attribute(String),
    /// `[key]`
    Index(RawExpression),
    /// `.0`, as it was written of old.
    OldIndex(u64),
    /// `.*`: what follows of attributes, and of indices of old, is of each.
    AttributeSplat,
    /// `[*]`: all that follows is of each.
    FullSplat,
}

/// What is worked out.
#[derive(Clone, Debug)]
pub(super) enum Computed {
    Unary(UnaryOperator, RawExpression),
    Binary(RawExpression, BinaryOperator, RawExpression),
    /// `condition ? one : other`, and `%{ if }` of a text.
    Conditional {
        condition: RawExpression,
        one: RawExpression,
        other: RawExpression,
    },
    /// `f(x)[0].y`
    Steps(RawExpression, Vec<PathStep>),
    /// `f(list...)`: each member of the last is an argument.
    Spread(String, Vec<RawExpression>),
    For(For),
}

/// `[for k, v in collection : value if condition]`, and `%{ for }` of a text.
#[derive(Clone, Debug)]
pub(super) struct For {
    pub(super) key_name: Option<String>,
    pub(super) value_name: String,
    pub(super) collection: RawExpression,
    pub(super) makes: Makes,
    pub(super) value: RawExpression,
    pub(super) condition: Option<RawExpression>,
}

/// What a `for` puts its values into.
#[derive(Clone, Debug)]
pub(super) enum Makes {
    List,
    /// `{for … : key => value}`
    Object {
        key: RawExpression,
        groups: bool,
    },
    /// The values follow each other.
    Text,
}

impl PathStep {
    fn inner(&self) -> Option<&RawExpression> {
        match self {
            Self::Index(index) => Some(index),
            _ => None,
        }
    }
}

impl Computed {
    fn inner(&self) -> Vec<&RawExpression> {
        match self {
            Self::Unary(_, operand) => vec![operand],
            Self::Binary(one, _, other) => vec![one, other],
            Self::Conditional { condition, one, other } => vec![condition, one, other],
            Self::Steps(base, steps) => {
                std::iter::once(base).chain(steps.iter().filter_map(PathStep::inner)).collect()
            }
            Self::Spread(_, arguments) => arguments.iter().collect(),
            Self::For(each) => {
                let key = match &each.makes {
                    Makes::Object { key, .. } => Some(key),
                    _ => None,
                };
                [&each.collection, &each.value].into_iter().chain(key).chain(&each.condition).collect()
            }
        }
    }
}

impl RawExpression {
    /// The expressions directly in this one.
    pub(super) fn inner(&self) -> Vec<&Self> {
        match self {
            Self::Template(parts) | Self::Call(_, parts) => parts.iter().collect(),
            Self::Path(_, steps) => steps.iter().filter_map(PathStep::inner).collect(),
            Self::Computed(computed) => computed.inner(),
            Self::List(items) => items.iter().map(|item| &item.expression).collect(),
            Self::Object(items) => items.iter().flat_map(|(key, value)| [key, &value.expression]).collect(),
            _ => Vec::new(),
        }
    }
}
