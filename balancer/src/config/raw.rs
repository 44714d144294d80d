//! Raw blocks: the shape of a configuration with places, free of the parser's types.
//! Must not know what any block or attribute means.

use hcl_edit::{
    Span,
    expr::{Expression, Traversal, TraversalOperator, UnaryOperator},
    structure::{Block, Body, Structure},
    template::{Element, StringTemplate},
};

pub(super) use hcl_edit::Number;

use super::source::Place;

/// What stands in a file or between the braces of a block.
#[derive(Debug, Default)]
pub(super) struct RawBody {
    pub(super) attributes: Vec<RawAttribute>,
    pub(super) blocks: Vec<RawBlock>,
}

/// `kind "label" … { … }`
#[derive(Debug)]
pub(super) struct RawBlock {
    pub(super) kind: String,
    pub(super) place: Place,
    pub(super) labels: Vec<(String, Place)>,
    pub(super) body: RawBody,
}

/// `name = value`
#[derive(Debug)]
pub(super) struct RawAttribute {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) value: RawValue,
}

/// A value as written, and where.
#[derive(Debug)]
pub(super) struct RawValue {
    pub(super) place: Place,
    pub(super) expression: RawExpression,
}

/// What a value is made of, as far as configurations need it.
#[derive(Debug)]
pub(super) enum RawExpression {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// Text with `${…}` in it.
    Template(Vec<RawExpression>),
    List(Vec<RawValue>),
    /// `a.b.c`
    Path(Vec<String>),
    /// Anything else, by what it is called.
    Other(&'static str),
}

/// Turns parsed text into raw blocks. `base` is where in the file the text began.
pub(super) fn convert(body: &Body, file: usize, base: usize) -> RawBody {
    let start = Place { file, offset: base };
    convert_body(body, start, start)
}

/// Spans count from `base`; what has none is said to be at `near`.
fn convert_body(body: &Body, base: Place, near: Place) -> RawBody {
    let mut raw = RawBody::default();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let place = place_of(attribute.key.span().or(attribute.span()), base, near);
                raw.attributes.push(RawAttribute {
                    name: attribute.key.as_str().to_owned(),
                    place,
                    value: convert_value(&attribute.value, base, place),
                });
            }
            Structure::Block(block) => raw.blocks.push(convert_block(block, base, near)),
        }
    }
    raw
}

fn convert_block(block: &Block, base: Place, near: Place) -> RawBlock {
    let place = place_of(block.ident.span().or(block.span()), base, near);
    RawBlock {
        kind: block.ident.as_str().to_owned(),
        place,
        labels: block
            .labels
            .iter()
            .map(|label| (label.as_str().to_owned(), place_of(label.span(), base, place)))
            .collect(),
        body: convert_body(&block.body, base, place),
    }
}

fn convert_value(expression: &Expression, base: Place, near: Place) -> RawValue {
    let place = place_of(expression.span(), base, near);
    RawValue { place, expression: convert_expression(expression, base, place) }
}

fn convert_expression(expression: &Expression, base: Place, near: Place) -> RawExpression {
    match expression {
        Expression::Null(_) => RawExpression::Null,
        Expression::Bool(value) => RawExpression::Bool(*value.value()),
        Expression::Number(number) => RawExpression::Number(*number.value()),
        Expression::String(text) => RawExpression::Text(text.value().clone()),
        Expression::StringTemplate(template) => convert_template(template, base, near),
        Expression::Array(array) => {
            RawExpression::List(array.iter().map(|item| convert_value(item, base, near)).collect())
        }
        Expression::Parenthesis(inner) => convert_expression(inner.inner(), base, near),
        Expression::Variable(name) => RawExpression::Path(vec![name.as_str().to_owned()]),
        Expression::Traversal(traversal) => convert_traversal(traversal),
        Expression::UnaryOp(operation) => {
            match (operation.operator.value(), convert_expression(&operation.expr, base, near)) {
                (UnaryOperator::Neg, RawExpression::Number(number)) => RawExpression::Number(-number),
                _ => RawExpression::Other("an operation"),
            }
        }
        Expression::BinaryOp(_) => RawExpression::Other("an operation"),
        Expression::Conditional(_) => RawExpression::Other("a conditional"),
        Expression::FuncCall(_) => RawExpression::Other("a function call"),
        Expression::ForExpr(_) => RawExpression::Other("a `for` expression"),
        Expression::Object(_) => RawExpression::Other("a map"),
        Expression::HeredocTemplate(_) => RawExpression::Other("a heredoc"),
    }
}

fn convert_template(template: &StringTemplate, base: Place, near: Place) -> RawExpression {
    let pieces = template.iter().map(|element| match element {
        Element::Literal(text) => RawExpression::Text(text.value().clone()),
        Element::Interpolation(inner) => convert_expression(&inner.expr, base, near),
        Element::Directive(_) => RawExpression::Other("a template directive"),
    });
    RawExpression::Template(pieces.collect())
}

fn convert_traversal(traversal: &Traversal) -> RawExpression {
    let Expression::Variable(first) = &traversal.expr else {
        return RawExpression::Other("a computed reference");
    };
    let mut path = vec![first.as_str().to_owned()];
    for operator in &traversal.operators {
        match operator.value() {
            TraversalOperator::GetAttr(name) => path.push(name.as_str().to_owned()),
            _ => return RawExpression::Other("an indexed reference"),
        }
    }
    RawExpression::Path(path)
}

fn place_of(span: Option<std::ops::Range<usize>>, base: Place, near: Place) -> Place {
    span.map_or(near, |span| Place { file: base.file, offset: base.offset.saturating_add(span.start) })
}
