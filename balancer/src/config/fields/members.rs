//! Maps whose members are looked at. Must not know: what they are for.

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
}
