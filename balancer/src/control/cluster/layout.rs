//! Which keys there are. Must not know: what is kept under them.

use std::fmt;

/// Longest prefix, and longest name of a node.
const MOST: usize = 200;

/// The keys under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(String);

impl Layout {
    /// The prefix is without a slash at its end.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(prefix: &str) -> Result<Self, String> {
        let prefix = prefix.trim_end_matches('/');
        let is_plain = |c: char| c.is_ascii_graphic();
        if prefix.is_empty() || prefix.len() > MOST || !prefix.chars().all(is_plain) {
            return Err(format!(
                "allowed: 1 to {MOST} characters of ASCII without spaces, such as /balancer"
            ));
        }
        Ok(Self(prefix.to_owned()))
    }

    /// What nodes may be called.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse_node(name: &str) -> Result<String, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if name.is_empty() || name.len() > MOST || !name.chars().all(is_plain) {
            return Err(format!("allowed: 1 to {MOST} letters, digits, dots, hyphens and underscores"));
        }
        Ok(name.to_owned())
    }

    /// What documents begin with.
    #[must_use]
    pub fn config(&self) -> String {
        format!("{}/config/", self.0)
    }

    /// A document.
    #[must_use]
    pub fn document(&self, name: &str) -> String {
        format!("{}/config/{name}", self.0)
    }

    /// Who has written the documents. By its name it is none of them.
    #[must_use]
    pub fn push_record(&self) -> String {
        self.document(".push")
    }

    /// The sealed secrets of cookies. By its name it is no document.
    #[must_use]
    pub fn sealed_keys(&self) -> String {
        self.document(".keys")
    }

    /// What is begun with by the keys that say which node has which secrets, whether it is there or not.
    #[must_use]
    pub fn key_holders(&self) -> String {
        format!("{}/keyholders/", self.0)
    }

    /// Which secrets a node has.
    #[must_use]
    pub fn key_holder(&self, name: &str) -> String {
        format!("{}/keyholders/{name}", self.0)
    }

    /// What nodes begin with.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}/nodes/", self.0)
    }

    /// A node.
    #[must_use]
    pub fn node(&self, name: &str) -> String {
        format!("{}/nodes/{name}", self.0)
    }

    /// What entries of the history begin with.
    #[must_use]
    pub fn history(&self) -> String {
        format!("{}/history/", self.0)
    }

    /// The number of the entry of the history that is kept under this key; none where it is none.
    #[must_use]
    pub fn number_of(&self, key: &[u8]) -> Option<u64> {
        str::from_utf8(key).ok()?.strip_prefix(&self.history())?.parse().ok()
    }

    /// An entry of the history, and the texts that it is about.
    #[must_use]
    pub fn entry(&self, number: u64) -> (String, String) {
        (format!("{}/history/{number:010}", self.0), format!("{}/texts/{number:010}", self.0))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_below_the_prefix() {
        let layout = Layout::parse("/lb/").unwrap();
        assert_eq!(layout.document("a.hcl"), "/lb/config/a.hcl");
        assert_eq!(layout.entry(7).0, "/lb/history/0000000007");
        assert_eq!(layout.number_of(b"/lb/history/0000000007"), Some(7));
        assert_eq!(layout.number_of(b"/lb/history/x"), None);
        for wrong in ["", "/", "a b", "ä", "x\n", &"x".repeat(201)] {
            assert!(Layout::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "a/b", "a b"] {
            assert!(Layout::parse_node(wrong).is_err(), "{wrong}");
        }
    }
}
