//! The fields that a listener puts into every response, whoever made it, laid out once when a configuration is
//! taken up (ALB: HTTP header modification). Must not know: where the values come from.

use crate::model::{HeaderEdits, ResponseFields};

/// A listener's fields, ready to write.
#[derive(Debug)]
pub struct ListenerFields {
    set: Box<[(&'static str, Box<str>)]>,
    server: bool,
}

/// What the balancer calls itself.
const SERVER: (&str, &str) = ("Server", "balancer");

impl Default for ListenerFields {
    fn default() -> Self {
        Self::new(&ResponseFields::default())
    }
}

impl ListenerFields {
    /// Lays them out.
    #[must_use]
    pub fn new(fields: &ResponseFields) -> Self {
        let set = fields.set.iter().map(|(name, value)| (*name, value.as_str().into())).collect();
        Self { set, server: fields.server }
    }

    /// Puts them into a target's response, in the place of fields of these names that it came with.
    pub fn put_into(&self, edits: &mut HeaderEdits) {
        for (name, value) in &self.set {
            edits.set(name, value.as_bytes());
        }
    }

    /// The fields of an answer of the balancer's own, `Server` among them unless it is off.
    pub fn own(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let set = self.set.iter().map(|(name, value)| (*name, &**value));
        self.server.then_some(SERVER).into_iter().chain(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EditOp;

    #[test]
    fn they_are_set_on_what_targets_answer_and_on_own_answers() {
        let fields = |server| {
            let set =
                vec![("X-Frame-Options", "DENY".to_owned()), ("Access-Control-Max-Age", "5".to_owned())];
            ListenerFields::new(&ResponseFields { server, set })
        };
        let mut edits = HeaderEdits::new();
        fields(true).put_into(&mut edits);
        let seen: Vec<_> = edits.iter().map(|edit| (edit.op, edit.name, edit.value.to_vec())).collect();
        assert_eq!(
            seen,
            [
                (EditOp::Set, "X-Frame-Options", b"DENY".to_vec()),
                (EditOp::Set, "Access-Control-Max-Age", b"5".to_vec())
            ]
        );
        let set = [("X-Frame-Options", "DENY"), ("Access-Control-Max-Age", "5")];
        assert_eq!(
            fields(true).own().collect::<Vec<_>>(),
            [[("Server", "balancer")].as_slice(), &set].concat()
        );
        assert_eq!(fields(false).own().collect::<Vec<_>>(), set);
    }

    #[test]
    fn without_any_there_is_nothing_to_edit() {
        let fields = ListenerFields::new(&ResponseFields::default());
        let mut edits = HeaderEdits::new();
        fields.put_into(&mut edits);
        assert!(edits.is_empty());
        assert_eq!(fields.own().collect::<Vec<_>>(), [("Server", "balancer")]);
    }
}
