//! `issensitive`: whether Terraform would mark a value as sensitive. It marks what a variable or `sensitive` says is so, and what is
//! made of that; here no value carries a mark, so that it goes by how the value is written. Where that does not tell, nobody guesses.
//! Must not know: what a value is.

use super::Evaluator;
use crate::config::{
    raw::{Computed, PathStep, RawExpression},
    scope::Unknown,
};

/// How deep locals and arguments are followed.
const MAX_DEPTH: usize = 16;

impl Evaluator<'_, '_> {
    /// Whether a value that is written so is sensitive; nothing where that is not told apart here.
    pub(super) fn is_sensitive(&self, expression: &RawExpression) -> Result<Option<bool>, Unknown> {
        self.marked(expression, 0)
    }

    fn marked(&self, expression: &RawExpression, depth: usize) -> Result<Option<bool>, Unknown> {
        // What leads to nothing sensitive is not sensitive, whatever is made of it.
        if !self.mentions_sensitive(expression, depth)? {
            return Ok(Some(false));
        }
        match expression {
            // The mark is on what is in it, but for that of a key.
            RawExpression::List(_) => Ok(Some(false)),
            RawExpression::Object(items) => self.any_marked(items.iter().map(|(key, _)| key), depth),
            RawExpression::Template(pieces) => self.any_marked(pieces.iter(), depth),
            RawExpression::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
                ("sensitive", _) => Ok(Some(true)),
                ("nonsensitive" | "issensitive", _) => Ok(Some(false)),
                _ => Ok(None),
            },
            RawExpression::Path(path, steps) => match (path.first().map(String::as_str), steps.as_slice()) {
                (Some("var"), [PathStep::Attribute(name), ..]) => {
                    Ok(Some(true).filter(|_| self.scope.is_sensitive(name)))
                }
                (Some("local"), [PathStep::Attribute(name), rest @ ..]) => match self.scope.local(name) {
                    // A part of what is marked is marked; one of what is not may be.
                    Some(local) => {
                        let whole = self.marked(local, depth + 1)?;
                        Ok(whole.filter(|whole| *whole || rest.is_empty()))
                    }
                    None => Ok(None),
                },
                _ => Ok(None),
            },
            RawExpression::Computed(computed) => match &**computed {
                Computed::Unary(_, operand) => self.marked(operand, depth + 1),
                Computed::Binary(one, _, other) => self.any_marked([one, other].into_iter(), depth),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Of several that one is made of.
    fn any_marked<'e>(
        &self,
        parts: impl Iterator<Item = &'e RawExpression>,
        depth: usize,
    ) -> Result<Option<bool>, Unknown> {
        let mut all = Some(false);
        for part in parts {
            match self.marked(part, depth + 1)? {
                Some(true) => return Ok(Some(true)),
                Some(false) => {}
                None => all = None,
            }
        }
        Ok(all)
    }

    /// Whether something sensitive is led to, or may be.
    fn mentions_sensitive(&self, expression: &RawExpression, depth: usize) -> Result<bool, Unknown> {
        self.charge(1)?;
        if depth > MAX_DEPTH {
            return Ok(true);
        }
        let is_named = match expression {
            RawExpression::Path(path, steps) => match (path.first().map(String::as_str), steps.as_slice()) {
                (Some("var"), [PathStep::Attribute(name), ..]) => {
                    // What a module is called with may be anything.
                    self.scope.is_sensitive(name) || name.contains('.')
                }
                (Some("local"), [PathStep::Attribute(name), ..]) => match self.scope.local(name) {
                    Some(local) => self.mentions_sensitive(local, depth + 1)?,
                    None => false,
                },
                (Some("count" | "path" | "terraform"), _) => false,
                // It stands for what is not looked into here.
                _ => true,
            },
            RawExpression::Call(name, _) => name == "sensitive",
            RawExpression::Computed(computed) => {
                matches!(&**computed, Computed::Spread(name, _) if name == "sensitive")
            }
            _ => false,
        };
        if is_named {
            return Ok(true);
        }
        for inner in expression.inner() {
            if self.mentions_sensitive(inner, depth + 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
