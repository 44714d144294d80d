//! What stands in a module, under the names that it goes by where all of it is one configuration: `main` of the module `app` is
//! `module.app.main`. Must not know: where modules are, or how many one is.

use crate::config::raw::{Computed, For, Makes, PathStep, RawAttribute, RawBlock, RawBody, RawExpression};

/// Names that are known wherever an expression stands.
const OWN: [&str; 5] = ["each", "count", "self", "terraform", "path"];

/// The names of one module, or of the folder itself.
pub(super) struct Naming<'n> {
    /// `module.app`; empty for the folder itself.
    pub(super) prefix: &'n str,
    /// Its folder, as `path.module` has it; nothing for the folder itself, which is what paths go by.
    pub(super) folder: Option<&'n str>,
}

impl Naming<'_> {
    /// `module.app.NAME`.
    pub(super) fn of(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    pub(super) fn body(&self, body: &mut RawBody, bound: &[String]) {
        for attribute in &mut body.attributes {
            self.attribute(attribute, bound);
        }
        for block in &mut body.blocks {
            self.block(block, bound);
        }
    }

    fn attribute(&self, attribute: &mut RawAttribute, bound: &[String]) {
        self.expression(&mut attribute.value.expression, bound);
    }

    /// A nested block. The iterator of a `dynamic` one is known in what it makes.
    fn block(&self, block: &mut RawBlock, bound: &[String]) {
        if block.kind != "dynamic" {
            return self.body(&mut block.body, bound);
        }
        let named = block.body.attributes.iter().find(|attribute| attribute.name == "iterator");
        let iterator = match named.map(|named| &named.value.expression) {
            Some(RawExpression::Path(path, _)) => path.first().cloned(),
            Some(RawExpression::Text(text)) => Some(text.clone()),
            _ => block.labels.first().map(|(label, _)| label.clone()),
        };
        let inner: Vec<String> = bound.iter().cloned().chain(iterator).collect();
        for attribute in &mut block.body.attributes {
            if attribute.name != "iterator" {
                let bound = if attribute.name == "labels" { &inner } else { bound };
                self.expression(&mut attribute.value.expression, bound);
            }
        }
        for content in &mut block.body.blocks {
            self.block(content, &inner);
        }
    }

    pub(super) fn expression(&self, expression: &mut RawExpression, bound: &[String]) {
        match expression {
            RawExpression::Template(parts) | RawExpression::Call(_, parts) => {
                parts.iter_mut().for_each(|part| self.expression(part, bound));
            }
            RawExpression::List(items) => {
                items.iter_mut().for_each(|item| self.expression(&mut item.expression, bound));
            }
            RawExpression::Object(items) => {
                for (key, value) in items {
                    self.key(key, bound);
                    self.expression(&mut value.expression, bound);
                }
            }
            RawExpression::Path(path, steps) => {
                self.steps(steps, bound);
                if let Some(other) = self.path(path, steps, bound) {
                    *expression = other;
                }
            }
            RawExpression::Computed(computed) => self.computed(computed, bound),
            RawExpression::Null
            | RawExpression::Bool(_)
            | RawExpression::Number(_)
            | RawExpression::Text(_)
            | RawExpression::Unread => {}
        }
    }

    /// A name alone in the place of a key is a text.
    fn key(&self, key: &mut RawExpression, bound: &[String]) {
        if !matches!(key, RawExpression::Path(_, steps) if steps.is_empty()) {
            self.expression(key, bound);
        }
    }

    fn computed(&self, computed: &mut Computed, bound: &[String]) {
        match computed {
            Computed::Unary(_, operand) => self.expression(operand, bound),
            Computed::Binary(one, _, other) => {
                self.expression(one, bound);
                self.expression(other, bound);
            }
            Computed::Conditional { condition, one, other } => {
                for part in [condition, one, other] {
                    self.expression(part, bound);
                }
            }
            Computed::Steps(base, steps) => {
                self.expression(base, bound);
                self.steps(steps, bound);
            }
            Computed::Spread(_, arguments) => {
                arguments.iter_mut().for_each(|argument| self.expression(argument, bound));
            }
            Computed::For(each) => self.each(each, bound),
        }
    }

    fn each(&self, each: &mut For, bound: &[String]) {
        self.expression(&mut each.collection, bound);
        let mut inner = bound.to_vec();
        inner.extend(each.key_name.clone());
        inner.push(each.value_name.clone());
        if let Makes::Object { key, .. } = &mut each.makes {
            self.expression(key, &inner);
        }
        self.expression(&mut each.value, &inner);
        if let Some(condition) = &mut each.condition {
            self.expression(condition, &inner);
        }
    }

    fn steps(&self, steps: &mut [PathStep], bound: &[String]) {
        for step in steps {
            if let PathStep::Index(index) = step {
                self.expression(index, bound);
            }
        }
    }

    /// Names a path anew in its place, or says what stands there instead.
    fn path(&self, path: &mut [String], steps: &mut [PathStep], bound: &[String]) -> Option<RawExpression> {
        let root = path.first()?.clone();
        if bound.contains(&root) {
            return None;
        }
        if let ("path", [PathStep::Attribute(part)]) = (root.as_str(), &*steps)
            && part == "module"
        {
            return self.folder.map(|folder| RawExpression::Text(folder.to_owned()));
        }
        if OWN.contains(&root.as_str()) || self.prefix.is_empty() {
            return None;
        }
        // `data.KIND.NAME`, and all else by the second.
        let at = usize::from(root == "data");
        if let (Some(PathStep::Attribute(step)), Some(word)) = (steps.get_mut(at), path.get_mut(at + 1)) {
            *step = self.of(step);
            word.clone_from(step);
        }
        None
    }
}
