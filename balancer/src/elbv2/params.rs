//! Parameters of the query protocol: `Name=…`, `List.member.N=…`, `List.member.N.Part=…`. Must not know: what they mean.

use std::collections::BTreeMap;

/// Parameters by their full names; a part of them is a view that knows where it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    values: BTreeMap<String, String>,
}

impl Params {
    /// Of these names and values, decoded already.
    #[must_use]
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values }
    }

    /// The value of a parameter, where it is there and not empty: clients send empty ones for what they leave out.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The value of a parameter, empty ones too.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A whole number, where one was given.
    #[must_use]
    pub fn whole(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(whole)
    }

    /// A truth, where one was given.
    #[must_use]
    pub fn truth(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(truth)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The parts of a structure: what begins with `name.`, without that.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        let prefix = format!("{name}.");
        let inside = self.values.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        Self::new(inside.map(|(key, value)| (key[prefix.len()..].to_owned(), value.clone())).collect())
    }

    /// Whether a structure or a list of this name was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name) || !self.part(name).is_empty()
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The structures of a list, `name.member.N.…`, in the order of their numbers. A plain value is under the empty name.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<Self> {
        let mut members: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
        for (key, value) in self.part(name).part("member").values {
            let (number, rest) = key.split_once('.').unwrap_or((&key, ""));
            if let Ok(number) = number.parse() {
                members.entry(number).or_default().insert(rest.to_owned(), value);
            }
        }
        members.into_values().map(Self::new).collect()
    }

    /// The structures of a list with their numbers.
    ///
    /// # Errors
    /// What stands in the place of members' numbers is none, or one of them is written in two ways.
    pub fn strict_list(&self, name: &str) -> Result<Vec<(u64, Self)>, NotMembers> {
        let mut members: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
        for (key, value) in self.part(name).values {
            let number = key.strip_prefix("member.").ok_or(NotMembers)?;
            let (number, rest) = number.split_once('.').unwrap_or((number, ""));
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
            let number = number.parse().ok().filter(|_| is_number).ok_or(NotMembers)?;
            members.entry(number).or_default().insert(rest.to_owned(), value);
        }
        Ok(members.into_iter().map(|(number, values)| (number, Self::new(values))).collect())
    }

    /// The plain values of a list, `name.member.N`, in the order of their numbers.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(|member| member.given("").map(str::to_owned)).collect()
    }
}

/// A list has something else than numbered members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMembers;

/// A whole number, whose size nothing bounds: one that is too large is the largest.
pub(super) fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beyond = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(beyond))
}

/// `true` or `false`, in any case.
pub(super) fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else {
        text.eq_ignore_ascii_case("false").then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn members_come_in_the_order_of_their_numbers() {
        let all: Vec<String> = (1..=12).map(|number| format!("v{number}")).collect();
        let keys: Vec<(String, String)> =
            (1..=12).map(|number| (format!("N.member.{number}"), format!("v{number}"))).collect();
        let pairs: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(params(&pairs).texts("N"), all);
    }

    #[test]
    fn structures_of_lists_have_their_parts() {
        let params = params(&[
            ("Targets.member.1.Id", "a"),
            ("Targets.member.1.Port", "80"),
            ("Targets.member.2.Id", "b"),
            ("TargetsX", "c"),
        ]);
        let targets = params.list("Targets");
        assert_eq!(targets.len(), 2);
        assert_eq!((targets[0].text("Id"), targets[0].text("Port")), (Some("a"), Some("80")));
        assert_eq!((targets[1].text("Id"), targets[1].text("Port")), (Some("b"), None));
        assert!(params.has("Targets") && !params.has("Target"));
    }

    #[test]
    fn numbers_are_whole_and_never_wrap() {
        assert_eq!(whole("0065535"), Some(65535));
        assert_eq!(whole("-1"), Some(-1));
        assert_eq!(whole("99999999999999999999999"), Some(i64::MAX));
        assert_eq!(whole("-99999999999999999999999"), Some(i64::MIN));
        for text in ["", "-", "+1", " 1", "1.0", "1e3", "0x1", "٣"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
