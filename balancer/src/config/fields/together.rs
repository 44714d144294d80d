//! One fault for several attributes that are wrong for one reason. Must not know: what the reason is about.

use super::BlockFields;

impl BlockFields<'_> {
    /// Notes that these attributes have a meaning with HTTPS alone, which is one mistake however many there are.
    pub(in crate::config) fn fault_without_https(&self, names: &[&str]) {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let Some(first) = names.first() else { return };
        let (listed, beside) = match quoted.as_slice() {
            [rest @ .., last] if !rest.is_empty() => (format!("{} and {last} are", rest.join(", ")), "them"),
            _ => (format!("{} is", quoted.concat()), "it"),
        };
        self.fault_at(first, format!("{listed} for HTTPS; allowed: `protocol` = \"HTTPS\" beside {beside}"));
    }
}
