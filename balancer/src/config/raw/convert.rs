//! Text of HCL as it was parsed → raw blocks and expressions.
//! Must not know: what any block or attribute means.

use std::ops::Range;

use hcl_edit::{
    Span,
    expr::{Expression, ForExpr, FuncCall, ObjectKey, Traversal, TraversalOperator},
    parser::{parse_expr, parse_template},
    structure::{Block, Body, Structure},
    template::{Directive, Element, ForDirective, IfDirective, Strip},
};

use super::{
    Computed, For, Makes, PathStep, RawAttribute, RawBlock, RawBody, RawExpression, RawValue, UnaryOperator,
    blanks::Blanks, path_text,
};
use crate::config::{bindings::Env, source::Position};

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
pub(in crate::config) fn convert(body: &Body, text: &str, file: usize, base: usize) -> RawBody {
    let start = Position { file, offset: base };
    convert_body(body, ParsedFrom::File(text, start), start)
}

/// The template that a text of JSON is.
///
/// # Errors
/// What is wrong with it.
pub(in crate::config) fn template(text: &str, position: Position) -> Result<RawExpression, String> {
    let template = parse_template(text).map_err(|error| error.message().to_owned())?;
    Ok(convert_elements(
        template.iter(),
        Blanks::All,
        Stripped::default(),
        ParsedFrom::Within(position),
        position,
    ))
}

/// The template that a file is, for `templatefile`.
///
/// # Errors
/// What is wrong with it.
pub(in crate::config) fn file_template(text: &str, position: Position) -> Result<RawExpression, String> {
    let template = parse_template(text).map_err(|error| error.message().to_owned())?;
    let within = ParsedFrom::Within(position);
    Ok(inner_text(&template, Blanks::OfLine, Stripped::default(), within, position))
}

/// The expression that a text of JSON is; nothing where it is none.
pub(in crate::config) fn expression(text: &str, position: Position) -> Option<RawExpression> {
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
        env: Env::default(),
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
        Expression::StringTemplate(template) => {
            convert_elements(template.iter(), Blanks::All, Stripped::default(), origin, near)
        }
        // Its indentation is taken off by the parser where it begins with `<<-`.
        Expression::HeredocTemplate(heredoc) => {
            convert_elements(heredoc.template.iter(), Blanks::OfLine, Stripped::default(), origin, near)
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
        Expression::UnaryOp(operation) => match (*operation.operator.value(), inner(&operation.expr)) {
            (UnaryOperator::Neg, RawExpression::Number(number)) => RawExpression::Number(-number),
            (operator, operand) => computed(Computed::Unary(operator, operand)),
        },
        Expression::BinaryOp(operation) => {
            let (one, other) = (inner(&operation.lhs_expr), inner(&operation.rhs_expr));
            computed(Computed::Binary(one, *operation.operator.value(), other))
        }
        Expression::Conditional(conditional) => computed(Computed::Conditional {
            condition: inner(&conditional.cond_expr),
            one: inner(&conditional.true_expr),
            other: inner(&conditional.false_expr),
        }),
        Expression::FuncCall(call) => convert_call(call, origin, near),
        Expression::ForExpr(each) => convert_for(each, origin, near),
    }
}

fn computed(what: Computed) -> RawExpression {
    RawExpression::Computed(Box::new(what))
}

fn convert_call(call: &FuncCall, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let name = if call.name.is_namespaced() { String::new() } else { call.name.name.to_string() };
    let arguments = call.args.iter().map(|argument| convert_expression(argument, origin, near)).collect();
    if call.args.expand_final() {
        return computed(Computed::Spread(name, arguments));
    }
    RawExpression::Call(name, arguments)
}

fn convert_for(each: &ForExpr, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let inner = |expression: &Expression| convert_expression(expression, origin, near);
    let makes = match &each.key_expr {
        Some(key) => Makes::Object { key: inner(key), groups: each.grouping },
        None => Makes::List,
    };
    computed(Computed::For(For {
        key_name: each.intro.key_var.as_ref().map(|name| name.as_str().to_owned()),
        value_name: each.intro.value_var.as_str().to_owned(),
        collection: inner(&each.intro.collection_expr),
        makes,
        value: inner(&each.value_expr),
        condition: each.cond.as_ref().map(|condition| inner(&condition.expr)),
    }))
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
        Ok(Expression::Bool(_) | Expression::Null(_)) => RawExpression::Text(written.to_owned()),
        _ => parsed,
    }
}

/// What strip markers take away at the ends of a text, from without.
#[derive(Clone, Copy, Default)]
struct Stripped {
    start: bool,
    end: bool,
}

fn at_start(strip: Strip) -> bool {
    matches!(strip, Strip::Start | Strip::Both)
}

fn at_end(strip: Strip) -> bool {
    matches!(strip, Strip::End | Strip::Both)
}

/// What the markers of an element take away before it and behind it.
fn markers(element: &Element) -> Stripped {
    let (first, last) = match element {
        Element::Literal(_) => return Stripped::default(),
        Element::Interpolation(inner) => (inner.strip, inner.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(choice) => (choice.if_expr.strip, choice.endif_expr.strip),
            Directive::For(each) => (each.for_expr.strip, each.endfor_expr.strip),
        },
    };
    Stripped { start: at_start(first), end: at_end(last) }
}

fn convert_elements<'e>(
    elements: impl Iterator<Item = &'e Element>,
    blanks: Blanks,
    stripped: Stripped,
    origin: ParsedFrom<'_>,
    near: Position,
) -> RawExpression {
    let mut parts: Vec<RawExpression> = Vec::new();
    let mut is_stripped = stripped.start;
    for element in elements {
        let Stripped { start, end } = markers(element);
        if let (true, Some(RawExpression::Text(text))) = (start, parts.last_mut()) {
            blanks.strip_end(text);
        }
        parts.push(match element {
            Element::Literal(text) => {
                let text = text.value().as_str();
                RawExpression::Text(if is_stripped { blanks.strip_start(text) } else { text }.to_owned())
            }
            Element::Interpolation(inner) => convert_expression(&inner.expr, origin, near),
            Element::Directive(directive) => match &**directive {
                Directive::If(choice) => convert_if(choice, blanks, origin, near),
                Directive::For(each) => convert_for_directive(each, blanks, origin, near),
            },
        });
        is_stripped = end;
    }
    if let (true, Some(RawExpression::Text(text))) = (stripped.end, parts.last_mut()) {
        blanks.strip_end(text);
    }
    match parts.as_slice() {
        [] => RawExpression::Text(String::new()),
        [RawExpression::Text(_)] => parts.remove(0),
        _ => RawExpression::Template(parts),
    }
}

/// A text within a directive: always a text, also where it is one value alone.
fn inner_text(
    text: &hcl_edit::template::Template,
    blanks: Blanks,
    stripped: Stripped,
    origin: ParsedFrom<'_>,
    near: Position,
) -> RawExpression {
    match convert_elements(text.iter(), blanks, stripped, origin, near) {
        RawExpression::Template(mut parts) if parts.len() == 1 => {
            parts.push(RawExpression::Text(String::new()));
            RawExpression::Template(parts)
        }
        text => text,
    }
}

fn convert_if(choice: &IfDirective, blanks: Blanks, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let (first, last) = (choice.if_expr.strip, choice.endif_expr.strip);
    let middle = choice.else_expr.as_ref().map_or(last, |other| other.strip);
    let text = |text, start, end| {
        let stripped = Stripped { start: at_end(start), end: at_start(end) };
        inner_text(text, blanks, stripped, origin, near)
    };
    let none = || RawExpression::Text(String::new());
    computed(Computed::Conditional {
        condition: convert_expression(&choice.if_expr.cond_expr, origin, near),
        one: text(&choice.if_expr.template, first, middle),
        other: choice.else_expr.as_ref().map_or_else(none, |other| text(&other.template, other.strip, last)),
    })
}

fn convert_for_directive(
    each: &ForDirective,
    blanks: Blanks,
    origin: ParsedFrom<'_>,
    near: Position,
) -> RawExpression {
    let intro = &each.for_expr;
    let stripped = Stripped { start: at_end(intro.strip), end: at_start(each.endfor_expr.strip) };
    computed(Computed::For(For {
        key_name: intro.key_var.as_ref().map(|name| name.as_str().to_owned()),
        value_name: intro.value_var.as_str().to_owned(),
        collection: convert_expression(&intro.collection_expr, origin, near),
        makes: Makes::Text,
        value: inner_text(&intro.template, blanks, stripped, origin, near),
        condition: None,
    }))
}

fn convert_traversal(traversal: &Traversal, origin: ParsedFrom<'_>, near: Position) -> RawExpression {
    let steps: Vec<PathStep> = traversal
        .operators
        .iter()
        .map(|operator| match operator.value() {
            TraversalOperator::GetAttr(name) => PathStep::Attribute(name.as_str().to_owned()),
            TraversalOperator::LegacyIndex(index) => PathStep::OldIndex(*index.value()),
            TraversalOperator::Index(index) => PathStep::Index(convert_expression(index, origin, near)),
            TraversalOperator::AttrSplat(_) => PathStep::AttributeSplat,
            TraversalOperator::FullSplat(_) => PathStep::FullSplat,
        })
        .collect();
    let Expression::Variable(first) = &traversal.expr else {
        return computed(Computed::Steps(convert_expression(&traversal.expr, origin, near), steps));
    };
    let written = steps.iter().map(step_text);
    let path = std::iter::once(first.as_str().to_owned()).chain(written).collect();
    RawExpression::Path(path, steps)
}

/// A step as it is written.
fn step_text(step: &PathStep) -> String {
    match step {
        PathStep::Attribute(name) => name.clone(),
        PathStep::AttributeSplat | PathStep::FullSplat => "[*]".to_owned(),
        PathStep::OldIndex(index) => format!("[{index}]"),
        PathStep::Index(RawExpression::Number(number)) => format!("[{number}]"),
        PathStep::Index(RawExpression::Text(key)) => format!("[\"{key}\"]"),
        PathStep::Index(RawExpression::Path(path, _)) => format!("[{}]", path_text(path)),
        PathStep::Index(_) => "[…]".to_owned(),
    }
}
