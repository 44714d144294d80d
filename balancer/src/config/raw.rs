//! Raw blocks: the shape of a configuration with positions, free of the parser's types.
//! Must not know what any block or attribute means.

use std::ops::Range;

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey, Traversal, TraversalOperator, UnaryOperator},
    parser::{parse_expr, parse_template},
    structure::{Block, Body, Structure},
    template::{Directive, Element, Strip},
};

pub(super) use hcl_edit::Number;

use super::source::Position;

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
    pub(super) position: Position,
    pub(super) labels: Vec<(String, Position)>,
    pub(super) body: RawBody,
}

/// `name = value`
#[derive(Debug)]
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
    /// `a.b[0].c`: an index is a step of its own, in its brackets. And the expressions that indices are.
    Path(Vec<String>, Vec<RawExpression>),
    /// `name(…)`
    Call(String, Vec<RawExpression>),
    /// Anything else, by what it is called, with the expressions in it.
    Other(&'static str, Vec<RawExpression>),
    /// What could not be read, which is a fault already noted.
    Unread,
}

impl RawExpression {
    /// The expressions directly in this one.
    pub(super) fn inner(&self) -> Vec<&Self> {
        match self {
            Self::Template(parts) | Self::Path(_, parts) | Self::Call(_, parts) | Self::Other(_, parts) => {
                parts.iter().collect()
            }
            Self::List(items) => items.iter().map(|item| &item.expression).collect(),
            Self::Object(items) => items.iter().flat_map(|(key, value)| [key, &value.expression]).collect(),
            _ => Vec::new(),
        }
    }
}

/// A path as it is written.
pub(super) fn path_text(path: &[String]) -> String {
    let mut text = String::new();
    for step in path {
        if !text.is_empty() && !step.starts_with('[') {
            text.push('.');
        }
        text.push_str(step);
    }
    text
}

/// Where parsed text stands.
#[derive(Clone, Copy)]
enum ParsedFrom<'t> {
    /// In a file, of which this is the text from the position on.
    File(&'t str, Position),
    /// In the text of a JSON file, whose positions are not those of the parser.
    Within(Position),
}

impl ParsedFrom<'_> {
    /// What has no span is said to be at `near`.
    fn position(self, span: Option<Range<usize>>, near: Position) -> Position {
        match self {
            Self::File(_, base) => span.map_or(near, |span| Position {
                file: base.file,
                offset: base.offset.saturating_add(span.start),
            }),
            Self::Within(position) => position,
        }
    }
}

/// Turns parsed text into raw blocks. `text` is what stands in the file from `base` on; the parser was given the same
/// but for some names of keys.
pub(super) fn convert(body: &Body, text: &str, file: usize, base: usize) -> RawBody {
    let start = Position { file, offset: base };
    convert_body(body, ParsedFrom::File(text, start), start)
}

/// The template that a text of JSON is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn template(text: &str, position: Position) -> Result<RawExpression, String> {
    let template = parse_template(text).map_err(|error| error.message().to_owned())?;
    Ok(convert_elements(template.iter(), Blanks::All, ParsedFrom::Within(position), position))
}

/// The expression that a text of JSON is; nothing where it is none.
pub(super) fn expression(text: &str, position: Position) -> Option<RawExpression> {
    let expression = parse_expr(text).ok()?;
    Some(convert_expression(&expression, ParsedFrom::Within(position), position))
}

fn convert_body(body: &Body, origin: ParsedFrom<'_>, near: Position) -> RawBody {
    let mut raw = RawBody::default();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let position = origin.position(attribute.key.span().or(attribute.span()), near);
                raw.attributes.push(RawAttribute {
                    name: attribute.key.as_str().to_owned(),
                    position,
                    value: convert_value(&attribute.value, origin, position),
                    is_no_block: false,
                });
            }
            Structure::Block(block) => raw.blocks.push(convert_block(block, origin, near)),
        }
    }
    raw
}

fn convert_block(block: &Block, origin: ParsedFrom<'_>, near: Position) -> RawBlock {
    let position = origin.position(block.ident.span().or(block.span()), near);
    RawBlock {
        kind: block.ident.as_str().to_owned(),
        position,
        labels: block
            .labels
            .iter()
            .map(|label| (label.as_str().to_owned(), origin.position(label.span(), position)))
            .collect(),
        body: convert_body(&block.body, origin, position),
    }
}

fn convert_value(expression: &Expression, origin: ParsedFrom<'_>, near: Position) -> RawValue {
    let position = origin.position(expression.span(), near);
    RawValue { position, expression: convert_expression(expression, origin, position) }
}

fn convert_expression(expression: &Expression, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let inner = |expression: &Expression| convert_expression(expression, origin, near);
    match expression {
        Expression::Null(_) => RawExpression::Null,
        Expression::Bool(value) => RawExpression::Bool(*value.value()),
        Expression::Number(number) => RawExpression::Number(*number.value()),
        Expression::String(text) => RawExpression::Text(text.value().clone()),
        Expression::StringTemplate(template) => convert_elements(template.iter(), Blanks::All, origin, near),
        // Its indentation is taken off by the parser where it begins with `<<-`.
        Expression::HeredocTemplate(heredoc) => {
            convert_elements(heredoc.template.iter(), Blanks::OfLine, origin, near)
        }
        Expression::Array(array) => {
            RawExpression::List(array.iter().map(|item| convert_value(item, origin, near)).collect())
        }
        Expression::Object(object) => RawExpression::Object(
            object
                .iter()
                .map(|(key, value)| {
                    (convert_key(key, origin, near), convert_value(value.expr(), origin, near))
                })
                .collect(),
        ),
        Expression::Parenthesis(parenthesis) => inner(parenthesis.inner()),
        Expression::Variable(name) => RawExpression::Path(vec![name.as_str().to_owned()], Vec::new()),
        Expression::Traversal(traversal) => convert_traversal(traversal, origin, near),
        Expression::UnaryOp(operation) => match (operation.operator.value(), inner(&operation.expr)) {
            (UnaryOperator::Neg, RawExpression::Number(number)) => RawExpression::Number(-number),
            (_, operand) => RawExpression::Other("an operation", vec![operand]),
        },
        Expression::BinaryOp(operation) => {
            RawExpression::Other("an operation", vec![inner(&operation.lhs_expr), inner(&operation.rhs_expr)])
        }
        Expression::Conditional(conditional) => RawExpression::Other(
            "a conditional",
            [&conditional.cond_expr, &conditional.true_expr, &conditional.false_expr].map(inner).into(),
        ),
        Expression::FuncCall(call) => {
            let name = if call.name.is_namespaced() { String::new() } else { call.name.name.to_string() };
            let mut arguments: Vec<RawExpression> = call.args.iter().map(inner).collect();
            // `f(list...)`: each of its members is an argument.
            if call.args.expand_final() {
                let list = match arguments.pop() {
                    Some(RawExpression::List(items)) => items,
                    other => {
                        return RawExpression::Other("a `...`", arguments.into_iter().chain(other).collect());
                    }
                };
                arguments.extend(list.into_iter().map(|item| item.expression));
            }
            RawExpression::Call(name, arguments)
        }
        Expression::ForExpr(expression) => {
            let mut parts = vec![inner(&expression.intro.collection_expr), inner(&expression.value_expr)];
            parts.extend(expression.key_expr.as_ref().map(inner));
            parts.extend(expression.cond.as_ref().map(|condition| inner(&condition.expr)));
            RawExpression::Other("a `for` expression", parts)
        }
    }
}

/// The key as it stands in the file: the parser may have been given another, since it takes no key twice.
fn convert_key(key: &ObjectKey, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let (span, parsed) = match key {
        ObjectKey::Ident(name) => (name.span(), RawExpression::Text(name.to_string())),
        ObjectKey::Expression(expression) => {
            (expression.span(), convert_expression(expression, origin, near))
        }
    };
    let ParsedFrom::File(text, _) = origin else { return parsed };
    let written = span.and_then(|span| text.get(span)).unwrap_or_default().trim_end();
    match parse_expr(written) {
        Ok(Expression::Variable(name)) => RawExpression::Text(name.as_str().to_owned()),
        Ok(Expression::String(text)) => RawExpression::Text(text.value().clone()),
        Ok(Expression::Number(number)) => RawExpression::Number(*number.value()),
        // As a name they are none of these.
        Ok(Expression::Bool(_) | Expression::Null(_)) if matches!(key, ObjectKey::Ident(_)) => {
            RawExpression::Text(written.to_owned())
        }
        _ => parsed,
    }
}

/// Which blanks of the text beside it a strip marker (`${~ … ~}`) takes away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanks {
    /// All there are.
    All,
    /// Those in the line of the marker, with its end: a heredoc is read line by line.
    OfLine,
}

impl Blanks {
    fn strip_end(self, text: &mut String) {
        let line = if self == Self::All { 0 } else { text.rfind('\n').map_or(0, |newline| newline + 1) };
        let kept = text.get(line..).unwrap_or_default().trim_end().len();
        text.truncate(line + kept);
    }

    fn strip_start(self, text: &str) -> &str {
        let line =
            if self == Self::All { text.len() } else { text.find('\n').map_or(text.len(), |end| end + 1) };
        let blanks = text.get(..line).unwrap_or_default();
        text.get(line - blanks.trim_start().len()..).unwrap_or_default()
    }
}

fn convert_elements<'e>(
    elements: impl Iterator<Item = &'e Element>,
    blanks: Blanks,
    origin: ParsedFrom<'_>,
    near: Position,
) -> RawExpression {
    let mut parts: Vec<RawExpression> = Vec::new();
    let mut is_stripped = false;
    for element in elements {
        let part = match element {
            Element::Literal(text) => {
                let text = text.value().as_str();
                RawExpression::Text(if is_stripped { blanks.strip_start(text) } else { text }.to_owned())
            }
            Element::Interpolation(inner) => {
                if let (Strip::Start | Strip::Both, Some(RawExpression::Text(text))) =
                    (inner.strip, parts.last_mut())
                {
                    blanks.strip_end(text);
                }
                convert_expression(&inner.expr, origin, near)
            }
            Element::Directive(directive) => RawExpression::Other(
                "a template directive",
                convert_directive(directive, blanks, origin, near),
            ),
        };
        parts.push(part);
        is_stripped = matches!(element, Element::Interpolation(inner) if matches!(inner.strip, Strip::End | Strip::Both));
    }
    match parts.as_slice() {
        [] => RawExpression::Text(String::new()),
        [RawExpression::Text(_)] => parts.remove(0),
        _ => RawExpression::Template(parts),
    }
}

/// The expressions in a directive: what it goes by, and the texts that it chooses from or repeats.
fn convert_directive(
    directive: &Directive,
    blanks: Blanks,
    origin: ParsedFrom<'_>,
    near: Position,
) -> Vec<RawExpression> {
    let (by, texts) = match directive {
        Directive::If(choice) => {
            let otherwise = choice.else_expr.as_ref().map(|otherwise| &otherwise.template);
            (&choice.if_expr.cond_expr, [Some(&choice.if_expr.template), otherwise])
        }
        Directive::For(each) => (&each.for_expr.collection_expr, [Some(&each.for_expr.template), None]),
    };
    let texts = texts.into_iter().flatten();
    std::iter::once(convert_expression(by, origin, near))
        .chain(texts.map(|text| convert_elements(text.iter(), blanks, origin, near)))
        .collect()
}

fn convert_traversal(traversal: &Traversal, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let Expression::Variable(first) = &traversal.expr else {
        let inner = convert_expression(&traversal.expr, origin, near);
        return RawExpression::Other("a computed reference", vec![inner]);
    };
    let mut indices = Vec::new();
    let steps = traversal.operators.iter().map(|operator| match operator.value() {
        TraversalOperator::GetAttr(name) => name.as_str().to_owned(),
        TraversalOperator::LegacyIndex(index) => format!("[{}]", index.value()),
        TraversalOperator::Index(index) => {
            let index = convert_expression(index, origin, near);
            let step = match &index {
                RawExpression::Number(number) => format!("[{number}]"),
                RawExpression::Text(key) => format!("[\"{key}\"]"),
                RawExpression::Path(path, _) => format!("[{}]", path_text(path)),
                _ => "[…]".to_owned(),
            };
            indices.push(index);
            step
        }
        TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => "[*]".to_owned(),
    });
    let path = std::iter::once(first.as_str().to_owned()).chain(steps).collect();
    RawExpression::Path(path, indices)
}
