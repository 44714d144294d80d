//! The fields that a message's Connection fields name, which do not go on (RFC 9110, section 7.6.1). They are found in
//! time that grows with the head alone, however many members meet however many fields.

use std::cmp::Ordering;

use super::lines::{Fields, MAX_FIELDS};
use crate::{
    internal_errors::Part as _,
    wire::fields::{Kind, kind, list},
};

/// Up to so many names are looked for by going through all fields.
const FEW: usize = 4;

/// The fields of a message that its Connection fields name, by index. Fields that never go on whatever Connection
/// says, and Content-Length, which always counts, are not among them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nominated {
    any: bool,
    indices: [u64; MAX_FIELDS.div_ceil(64)],
}

impl Nominated {
    /// Those of a message that has these fields.
    #[must_use]
    #[inline]
    pub fn of(fields: &Fields<'_>) -> Self {
        if fields.nominate() { Self::among(fields) } else { Self::default() }
    }

    fn among(fields: &Fields<'_>) -> Self {
        let mut nominated = Self::default();
        for (number, name) in names(fields).enumerate() {
            if number == FEW {
                return Self::among_many(fields);
            }
            for (index, field) in fields.lines().iter().enumerate() {
                if field.name.eq_ignore_ascii_case(name) {
                    nominated.add(index);
                }
            }
        }
        nominated
    }

    /// Whether the field at `index` is among them.
    #[inline]
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.any && self.indices.get(index / 64).is_some_and(|word| (word >> (index % 64)) & 1 == 1)
    }

    fn add(&mut self, index: usize) {
        if let Some(word) = self.indices.get_mut(index / 64) {
            *word |= 1 << (index % 64);
            self.any = true;
        }
    }

    /// The fields are put into order, and each member is looked for in a few steps.
    #[cold]
    fn among_many(fields: &Fields<'_>) -> Self {
        let mut ordered: Vec<(NameKey<'_>, usize)> = fields
            .lines()
            .iter()
            .enumerate()
            .map(|(index, field)| (NameKey::of(field.name), index))
            .collect();
        ordered.sort_unstable();
        let mut nominated = Self::default();
        for name in names(fields) {
            let wanted = NameKey::of(name);
            let first = ordered.partition_point(|(key, _)| *key < wanted);
            let alike = ordered.part(first..).iter().take_while(|(key, _)| *key == wanted);
            for (_, index) in alike {
                // Fields of one name are named together.
                if nominated.has(*index) {
                    break;
                }
                nominated.add(*index);
            }
        }
        nominated
    }
}

/// Names of fields that are worth looking for.
fn names<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a [u8]> {
    fields.of(Kind::Connection).flat_map(list).filter(|member| {
        !matches!(
            kind(member),
            Kind::Connection | Kind::HopByHop | Kind::TransferEncoding | Kind::Upgrade | Kind::ContentLength
        )
    })
}

/// A name without regard to case: by length and its first bytes as one number, and only then by the rest.
#[derive(Clone, Copy, Debug)]
struct NameKey<'a> {
    front: (usize, u64),
    name: &'a [u8],
}

impl<'a> NameKey<'a> {
    fn of(name: &'a [u8]) -> Self {
        let front =
            name.iter().take(8).fold(0, |front, byte| (front << 8) | u64::from(byte.to_ascii_lowercase()));
        Self { front: (name.len(), front), name }
    }

    fn rest(&self) -> impl Iterator<Item = u8> {
        self.name.iter().skip(8).map(u8::to_ascii_lowercase)
    }
}

impl Ord for NameKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.front.cmp(&other.front).then_with(|| self.rest().cmp(other.rest()))
    }
}

impl PartialOrd for NameKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NameKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for NameKey<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{doubling::assert_linear, head::Request};

    /// The names of the fields of a request with this Connection that go no further.
    fn nominated(connection: &str, names: &[&str]) -> Vec<String> {
        let lines: String = names.iter().map(|name| format!("{name}: 1\r\n")).collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n{lines}\r\n");
        let request = Request::parse(text.as_bytes()).expect("valid");
        let nominated = Nominated::of(&request.fields);
        let lines = request.fields.lines().iter().enumerate().filter(|(index, _)| nominated.has(*index));
        lines.map(|(_, field)| String::from_utf8_lossy(field.name).into_owned()).collect()
    }

    #[test]
    fn few_and_many_members_name_the_same_fields() {
        let names = ["X-One", "x-two", "X-Three", "X-ONE", "X-Forwarded-Foo", "X-Forwarded-Fop", "Te"];
        let filler = ", filler-1, filler-2, filler-3, filler-4, filler-5";
        for more in ["", filler] {
            assert_eq!(nominated(&format!("x-one{more}"), &names), ["X-One", "X-ONE"]);
            assert_eq!(nominated(&format!("close, x-forwarded-FOO{more}"), &names), ["X-Forwarded-Foo"]);
            assert_eq!(
                nominated(&format!("X-TWO, x-two, x-three, te{more}"), &names),
                ["x-two", "X-Three", "Te"]
            );
            assert!(nominated(&format!("x-on, x-one-, keep-alive{more}"), &names).is_empty());
        }
        for kept in ["host-", "content-length", "transfer-encoding"] {
            assert!(nominated(&format!("{kept}{filler}"), &["Content-Length"]).is_empty(), "{kept}");
        }
    }

    #[test]
    fn many_members_and_many_fields_do_not_multiply() {
        assert_linear(
            |n| {
                let members: String = (0..n).map(|number| format!("m{number:03},")).collect();
                let lines: String = (0..n / 20).map(|number| format!("m{number:03}x: v\r\n")).collect();
                format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {members}\r\n{lines}\r\n")
            },
            1600,
            |text| {
                let request = Request::parse(text.as_bytes()).expect("valid");
                assert!(!Nominated::of(&request.fields).any);
            },
        );
    }

    #[test]
    fn a_name_given_often_is_looked_for_as_often_and_no_more() {
        assert_linear(
            |n| {
                let lines = "a: v\r\n".repeat(n / 20);
                format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n{lines}\r\n", "a,".repeat(n))
            },
            1600,
            |text| {
                let request = Request::parse(text.as_bytes()).expect("valid");
                assert!(Nominated::of(&request.fields).has(3));
            },
        );
    }

    proptest! {
        #[test]
        fn what_is_named_is_what_comparing_each_with_each_finds(
            members in proptest::collection::vec("[aAbB-]{1,3}|[aA]{8}[bB]?", 0..12),
            names in proptest::collection::vec("[aAbB-]{1,3}|[aA]{8}[bB]?", 0..20),
        ) {
            let found = nominated(&members.join(","), &names.iter().map(String::as_str).collect::<Vec<_>>());
            let named = |name: &&String| members.iter().any(|member| member.eq_ignore_ascii_case(name));
            prop_assert_eq!(found, names.iter().filter(named).cloned().collect::<Vec<_>>());
        }
    }
}
