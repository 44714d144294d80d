//! Maps whose members are looked at, and lists that stand for their members. Must not know: what they are for.

use super::BlockFields;
use crate::config::{optional::key_text, raw::RawExpression, source::Position, value::Value};

impl BlockFields<'_> {
    /// The members of a map that stands where its attribute is, in the order of the text; nothing when there is none. What is no
    /// such map, or not known, is a fault.
    pub(in crate::config) fn members(&self, name: &str) -> Option<Vec<(String, Value, Position)>> {
        let attribute = self.written(name)?;
        let allowed = self.allowed(name);
        let items = match &attribute.value.expression {
            RawExpression::Object(items) => items,
            RawExpression::Null | RawExpression::Unread => return None,
            _ => {
                let message = format!("`{name}` is no map that is written out here; allowed: {allowed}");
                self.fault_at(name, message);
                return None;
            }
        };
        let mut members = Vec::new();
        for (key, value) in items {
            let Some(key) = key_text(key) else {
                self.fault_in(
                    value.position,
                    format!("`{name}` has a key that is no text; allowed: {allowed}"),
                );
                continue;
            };
            match self.resolve(value) {
                Ok(value_there) => members.push((key, value_there, value.position)),
                Err(unknown) => {
                    if let Some(message) = unknown.message() {
                        self.fault_in(value.position, format!("`{name}`: {message}"));
                    }
                }
            }
        }
        Some(members)
    }

    /// The members of a list, those of a list in it that is written as `"${var.names}"` each for themselves, as Terraform before
    /// 0.12 took it. Later ones take no list in a list here.
    pub(super) fn spread_as_of_old(
        &self,
        name: &str,
        items: Vec<(Value, Position)>,
    ) -> Vec<(Value, Position)> {
        let Some(RawExpression::List(written)) = self.raw(name) else { return items };
        let mut spread = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let is_of_old = written.get(index).is_some_and(
                |item| matches!(&item.expression, RawExpression::Template(pieces) if pieces.len() == 1),
            );
            match item {
                (Value::List(inner), _) if is_of_old => spread.extend(inner),
                item => spread.push(item),
            }
        }
        spread
    }
}
