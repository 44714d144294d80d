//! What becomes of which sources, as the kernel's tables of prefixes say it: they know the longest prefix of an address and
//! nothing of the others that it is of. So an entry says what all prefixes together make of it.
//! Must not know: the tables.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use balancer_common::shield::{ALLOWED, FOR_EVER, LENGTHS_V4, LENGTHS_V6};

use crate::model::IpPrefix;

/// Prefixes with their value in the table.
pub(super) type Verdicts = BTreeMap<IpPrefix, u64>;

/// What `allow` and `deny` make of sources. Who is of a prefix that is allowed is allowed; else who is of one that is denied is
/// denied, until the last of those ends. `runtime`: prefixes that are denied until then.
pub(super) fn verdicts<'p>(
    allow: impl IntoIterator<Item = &'p IpPrefix>,
    deny: impl IntoIterator<Item = &'p IpPrefix>,
    runtime: impl IntoIterator<Item = (&'p IpPrefix, &'p u64)>,
) -> Verdicts {
    let mut wanted: Verdicts = runtime.into_iter().map(|(prefix, until)| (*prefix, *until)).collect();
    wanted.extend(deny.into_iter().map(|prefix| (*prefix, FOR_EVER)));
    wanted.extend(allow.into_iter().map(|prefix| (*prefix, ALLOWED)));
    let mut verdicts = Verdicts::new();
    // Those that the next one may be of, from the outermost on: in this order a prefix comes before those within it.
    let mut around: Vec<(IpPrefix, u64)> = Vec::new();
    for (prefix, value) in wanted {
        while around.last().is_some_and(|(outer, _)| !outer.covers(&prefix)) {
            around.pop();
        }
        let outer = around.last().map(|(_, value)| *value);
        let says_nothing = match outer {
            Some(ALLOWED) => true,
            Some(until) => value != ALLOWED && value <= until,
            None => false,
        };
        if !says_nothing {
            verdicts.insert(prefix, value);
            around.push((prefix, value));
        }
    }
    verdicts
}

/// An entry of the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefixEntry {
    /// [`ALLOWED`], or the end of a denial.
    pub(super) value: u64,
    /// Whether it is in the hash, not in the trie.
    pub(super) is_exact: bool,
}

/// Entries by their prefixes.
pub(super) type Entries = BTreeMap<IpPrefix, PrefixEntry>;

/// Entries to write or to remove.
pub(super) type Changes = Vec<(IpPrefix, PrefixEntry)>;

/// Whether prefixes of its length are looked up in the hash.
fn has_length(prefix: &IpPrefix) -> bool {
    let lengths: &[u8] = if prefix.address().is_ipv4() { &LENGTHS_V4 } else { &LENGTHS_V6 };
    lengths.contains(&prefix.bits())
}

/// Where each verdict goes: into the hash where its length can, unless a longer one within it is in the trie, since the hash is
/// looked at first.
pub(super) fn entries(verdicts: Verdicts) -> Entries {
    let is_exact = |prefix: &IpPrefix| {
        let within = verdicts.range((Excluded(prefix), Unbounded)).map(|(inner, _)| inner);
        has_length(prefix) && within.take_while(|inner| prefix.covers(inner)).all(has_length)
    };
    let places: Vec<bool> = verdicts.keys().map(is_exact).collect();
    let placed = verdicts.into_iter().zip(places);
    placed.map(|((prefix, value), is_exact)| (prefix, PrefixEntry { value, is_exact })).collect()
}

/// What makes `new` of `old`: entries to write, and entries to remove.
pub(super) fn difference(old: &Entries, new: &Entries) -> (Changes, Changes) {
    let written = new.iter().filter(|(prefix, entry)| old.get(*prefix) != Some(*entry));
    let removed = old
        .iter()
        .filter(|(prefix, entry)| new.get(*prefix).is_none_or(|now| now.is_exact != entry.is_exact));
    let copy = |(prefix, entry): (&IpPrefix, &PrefixEntry)| (*prefix, *entry);
    (written.map(copy).collect(), removed.map(copy).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> IpPrefix {
        IpPrefix::parse(text).unwrap()
    }

    /// As the kernel looks it up: in the hash by each length, and then in the trie.
    fn looked_up(entries: &Entries, source: IpPrefix) -> Option<u64> {
        let longest = |is_exact| {
            let of =
                entries.iter().filter(|(prefix, entry)| entry.is_exact == is_exact && prefix.covers(&source));
            of.max_by_key(|(prefix, _)| prefix.bits()).map(|(_, entry)| entry.value)
        };
        longest(true).or_else(|| longest(false))
    }

    fn table(allow: &[&str], deny: &[&str], runtime: &[(&str, u64)]) -> Vec<(String, u64)> {
        let parse = |texts: &[&str]| texts.iter().map(|text| prefix(text)).collect::<Vec<_>>();
        let runtime: Verdicts = runtime.iter().map(|(text, until)| (prefix(text), *until)).collect();
        let found = verdicts(&parse(allow), &parse(deny), &runtime);
        found.into_iter().map(|(prefix, value)| (prefix.to_string(), value)).collect()
    }

    #[test]
    fn who_is_allowed_is_not_denied_however_that_is_written() {
        let only_allowed = vec![("10.0.0.0/8".to_owned(), ALLOWED)];
        assert_eq!(table(&["10.0.0.0/8"], &["10.1.0.0/16"], &[("10.1.2.3", 7)]), only_allowed);
        assert_eq!(table(&["10.0.0.0/8"], &["10.0.0.0/8"], &[("10.0.0.0/8", 7)]), only_allowed);
        assert_eq!(
            table(&["10.1.0.0/16"], &["10.0.0.0/8"], &[]),
            [("10.0.0.0/8".to_owned(), FOR_EVER), ("10.1.0.0/16".to_owned(), ALLOWED)]
        );
    }

    #[test]
    fn the_end_of_a_denial_does_not_end_another_one() {
        assert_eq!(table(&[], &["10.0.0.0/8"], &[("10.1.0.0/16", 7)]), [("10.0.0.0/8".to_owned(), FOR_EVER)]);
        let (outer, inner) = (("10.0.0.0/8".to_owned(), 9), ("10.1.0.0/16".to_owned(), 7));
        assert_eq!(table(&[], &[], &[("10.0.0.0/8", 9), ("10.1.0.0/16", 7)]), std::slice::from_ref(&outer));
        assert_eq!(table(&[], &[], &[("10.0.0.0/8", 9), ("10.1.0.0/16", 11)]), [outer, (inner.0, 11)]);
    }

    #[test]
    fn the_hash_has_what_has_nothing_longer_in_the_trie() {
        let deny = [
            "10.0.0.0/8",
            "10.1.1.0/24",
            "10.1.2.0/24",
            "10.1.2.7/32",
            "10.1.3.0/24",
            "10.1.3.0/28",
            "2001:db8:1::/48",
        ];
        let found =
            entries(verdicts(&[], &deny.map(prefix)[1..], &Verdicts::from([(prefix("10.0.0.0/8"), 7)])));
        let exact: Vec<String> =
            found.iter().filter(|(_, entry)| entry.is_exact).map(|(prefix, _)| prefix.to_string()).collect();
        assert_eq!(
            exact,
            ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24", "2001:db8:1::/48"],
            "what is denied anyway is left out"
        );
        let found = entries(verdicts(&[prefix("10.1.3.0/28")], &[prefix("10.1.3.0/24")], &Verdicts::new()));
        assert!(found.values().all(|entry| !entry.is_exact), "{found:?}");
    }

    #[test]
    fn only_what_differs_is_written() {
        let table = |allow: &[&str], deny: &[&str]| {
            let parse = |texts: &[&str]| texts.iter().map(|text| prefix(text)).collect::<Vec<_>>();
            entries(verdicts(&parse(allow), &parse(deny), &Verdicts::new()))
        };
        let old = table(&[], &["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"]);
        let new = table(&["10.0.0.0/8", "198.51.100.0/25"], &["2001:db8::/32", "198.51.100.0/24"]);
        let (written, removed) = difference(&old, &new);
        let told = |entries: &[(IpPrefix, PrefixEntry)]| {
            entries.iter().map(|(prefix, entry)| (prefix.to_string(), entry.is_exact)).collect::<Vec<_>>()
        };
        assert_eq!(
            told(&written),
            [
                ("10.0.0.0/8", false),
                ("198.51.100.0/24", false),
                ("198.51.100.0/25", false),
                ("2001:db8::/32", false)
            ]
            .map(|(prefix, is_exact)| (prefix.to_owned(), is_exact))
        );
        let gone = [("192.0.2.0/24", true), ("198.51.100.0/24", true)];
        assert_eq!(told(&removed), gone.map(|(prefix, is_exact)| (prefix.to_owned(), is_exact)));
        assert_eq!(difference(&new, &new), (vec![], vec![]));
    }

    prop_compose! {
        /// Of a few lengths and addresses, so that many are within others.
        fn any_prefix()(
            v4 in prop::sample::select(vec![0_u8, 8, 23, 24, 25, 31, 32]),
            v6 in prop::sample::select(vec![0_u8, 32, 47, 48, 56, 64, 65, 128]),
            high in 0_u8..2,
            middle in 0_u8..4,
            low: u8,
            is_v4: bool,
        ) -> IpPrefix {
            if is_v4 {
                IpPrefix::of(std::net::Ipv4Addr::new(10, high, middle, low & 0x81).into(), v4)
            } else {
                let words = [0x2001, u16::from(high), u16::from(middle), u16::from(low) << 8 & 0x8100, u16::from(low & 1) << 15];
                let [a, b, c, d, e] = words;
                IpPrefix::of(std::net::Ipv6Addr::new(a, b, c, d, e, 0, 0, u16::from(low & 1)).into(), v6)
            }
        }
    }

    proptest! {
        #[test]
        fn a_lookup_says_what_all_prefixes_together_say(
            allow in prop::collection::vec(any_prefix(), 0..6),
            deny in prop::collection::vec(any_prefix(), 0..6),
            runtime in prop::collection::btree_map(any_prefix(), 1_u64..20, 0..6),
            source in any_prefix(),
        ) {
            let source = IpPrefix::of(source.address(), 128);
            let found = looked_up(&entries(verdicts(&allow, &deny, &runtime)), source);
            let expected = if allow.iter().any(|prefix| prefix.covers(&source)) {
                Some(ALLOWED)
            } else if deny.iter().any(|prefix| prefix.covers(&source)) {
                Some(FOR_EVER)
            } else {
                runtime.iter().filter(|(prefix, _)| prefix.covers(&source)).map(|(_, until)| *until).max()
            };
            prop_assert_eq!(found, expected);
        }
    }
}
