//! Where something stands in a configuration, for messages. Must not know: what stands there.

use std::fmt;

/// Where something was written, as `file:line:column`, for messages; empty: nowhere. It is no part of what was written:
/// all are equal.
#[derive(Clone, Debug, Default)]
pub struct WrittenAt(pub String);

impl PartialEq for WrittenAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for WrittenAt {}

impl fmt::Display for WrittenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
