//! What a rule's host and path must at least begin and end with, in words that are compared at once: most rules of
//! a long list are passed over so, without a look at their patterns. Must not know: what else a rule demands.

use std::collections::HashSet;

use super::pattern::Pattern;

/// Bytes that a probe looks at from each end.
const WIDTH: usize = 16;

/// The first and the last bytes of a text; where it is shorter, zero, which no pattern has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextEnds {
    first: u128,
    last: u128,
}

impl TextEnds {
    pub(super) fn of(text: &[u8]) -> Self {
        let (mut first, mut last) = ([0; WIDTH], [0; WIDTH]);
        first.iter_mut().zip(text).for_each(|(slot, byte)| *slot = *byte);
        last.iter_mut().zip(text.iter().rev()).for_each(|(slot, byte)| *slot = *byte);
        Self { first: u128::from_le_bytes(first), last: u128::from_le_bytes(last) }
    }
}

/// What the ends of a text must be like: those bits that every value of a condition agrees on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probe {
    wanted: TextEnds,
    mask: TextEnds,
}

impl Probe {
    /// The probe of a condition with these values; it admits whatever one of them matches.
    pub(super) fn of(values: &[Pattern]) -> Self {
        let mut probes = values.iter().map(Self::of_one);
        let Some(first) = probes.next() else { return Self::default() };
        probes.fold(first, |one, other| {
            let agreed = |one: (u128, u128), other: (u128, u128)| one.1 & other.1 & !(one.0 ^ other.0);
            let mask = TextEnds {
                first: agreed((one.wanted.first, one.mask.first), (other.wanted.first, other.mask.first)),
                last: agreed((one.wanted.last, one.mask.last), (other.wanted.last, other.mask.last)),
            };
            let wanted = TextEnds { first: one.wanted.first & mask.first, last: one.wanted.last & mask.last };
            Self { wanted, mask }
        })
    }

    fn of_one(pattern: &Pattern) -> Self {
        let Pattern::Wildcard(wildcard) = pattern else { return Self::default() };
        let (first, last) = wildcard.ends();
        let (wanted_first, mask_first) = word(first.iter());
        let (wanted_last, mask_last) = word(last.iter().rev());
        Self {
            wanted: TextEnds { first: wanted_first, last: wanted_last },
            mask: TextEnds { first: mask_first, last: mask_last },
        }
    }

    /// Whether a text with these ends may match.
    pub(super) fn admits(&self, text: TextEnds) -> bool {
        ((text.first & self.mask.first) ^ self.wanted.first)
            | ((text.last & self.mask.last) ^ self.wanted.last)
            == 0
    }
}

/// Eight bytes at an end of a host or path.
#[derive(Clone, Copy, Debug)]
struct Lead {
    wanted: u64,
    mask: u64,
}

/// Passes over most rules of a table at a glance: by the eight bytes, of those that probes look at, in which its rules differ most.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Which of the [`words`] of host and path.
    place: usize,
    /// What each rule wants there.
    leads: Vec<Lead>,
}

impl Sieve {
    /// Of rules with these probes of host and path.
    pub(super) fn of(probes: &[(Probe, Probe)]) -> Self {
        let leads = |place: usize| {
            let word = |of: fn(&Probe) -> TextEnds, (host, path): &(Probe, Probe)| {
                word_at(place, of(host), of(path))
            };
            let lead =
                |it| Lead { wanted: word(|probe| probe.wanted, it), mask: word(|probe| probe.mask, it) };
            probes.iter().map(lead).collect::<Vec<_>>()
        };
        let wants =
            |place: &usize| leads(*place).iter().map(|lead| lead.wanted).collect::<HashSet<_>>().len();
        let place = (0..WORDS).max_by_key(wants).unwrap_or(0);
        Self { place, leads: leads(place) }
    }

    /// The rules, in their order, that a request with these ends is not passed over by.
    #[inline]
    pub(super) fn admitted(&self, host: TextEnds, path: TextEnds) -> impl Iterator<Item = usize> {
        let word = word_at(self.place, host, path);
        let leads = self.leads.iter().enumerate();
        leads.filter(move |(_, lead)| word & lead.mask == lead.wanted).map(|(rule, _)| rule)
    }
}

/// Words of eight bytes in the ends of host and path.
const WORDS: usize = 8;

#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn word_at(place: usize, host: TextEnds, path: TextEnds) -> u64 {
    let words = [host.first, host.last, path.first, path.last].map(|end| [end as u64, (end >> 64) as u64]);
    words.as_flattened().get(place).copied().unwrap_or_default()
}

/// The letters that are known, and a mask of them.
fn word<'a>(letters: impl Iterator<Item = &'a Option<u8>>) -> (u128, u128) {
    let (mut wanted, mut mask) = ([0; WIDTH], [0; WIDTH]);
    for ((wanted, mask), letter) in wanted.iter_mut().zip(&mut mask).zip(letters) {
        if let Some(letter) = letter {
            (*wanted, *mask) = (*letter, u8::MAX);
        }
    }
    (u128::from_le_bytes(wanted), u128::from_le_bytes(mask))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{model::TextPattern, rules::pattern::Case};

    fn probe(values: &[&str]) -> Probe {
        let pattern = |text: &&str| {
            Pattern::compile(&TextPattern::Wildcard((*text).to_owned()), Case::Exact).expect("pattern")
        };
        Probe::of(&values.iter().map(pattern).collect::<Vec<_>>())
    }

    #[test]
    fn what_begins_or_ends_otherwise_is_passed_over() {
        let admits = |values: &[&str], text: &str| probe(values).admits(TextEnds::of(text.as_bytes()));
        assert!(
            admits(&["/api/*"], "/api/x") && !admits(&["/api/*"], "/ap") && !admits(&["/api/*"], "/apx/")
        );
        assert!(admits(&["*.example.com"], "a.example.com") && !admits(&["*.example.com"], "a.example.org"));
        assert!(!admits(&["/a/*", "/b/*"], "x/") && admits(&["/a/*", "/b/*"], "/b/"));
    }

    fn sieve(rules: &[(&str, &str)]) -> Sieve {
        let of = |pattern: &str| if pattern.is_empty() { Probe::default() } else { probe(&[pattern]) };
        Sieve::of(&rules.iter().map(|(host, path)| (of(host), of(path))).collect::<Vec<_>>())
    }

    #[test]
    fn a_sieve_goes_by_what_its_rules_differ_in() {
        let admitted = |sieve: &Sieve, host: &str, path: &str| {
            sieve.admitted(TextEnds::of(host.as_bytes()), TextEnds::of(path.as_bytes())).collect::<Vec<_>>()
        };
        // Alike in the first eight bytes of the path.
        let by_path = sieve(&[("", "/api/v1/a*"), ("", "/api/v1/b*"), ("", "/api/v1/c*"), ("x.org", "")]);
        assert_eq!(admitted(&by_path, "x.org", "/api/v1/bc"), [1, 3]);
        assert_eq!(admitted(&by_path, "", "/"), [3]);
        let by_host = sieve(&[("a.*.org", "/*"), ("b.*.org", "/*"), ("*.com", "/*")]);
        assert_eq!(admitted(&by_host, "b.x.org", "/"), [1, 2]);
        assert_eq!(admitted(&sieve(&[("", ""), ("", "")]), "a", "/"), [0, 1]);
        assert!(admitted(&sieve(&[]), "a", "/").is_empty());
    }

    proptest! {
        #[test]
        fn no_match_falls_through_a_sieve(
            rules in proptest::collection::vec(("[ab*?]{0,20}", "/[ab*?]{0,20}"), 0..6),
            host in "[ab]{0,24}",
            path in "/[ab]{0,24}",
        ) {
            let of = |pattern: &str| if pattern.is_empty() { Probe::default() } else { probe(&[pattern]) };
            let probes: Vec<_> = rules.iter().map(|(host, path)| (of(host), of(path))).collect();
            let (host, path) = (TextEnds::of(host.as_bytes()), TextEnds::of(path.as_bytes()));
            let admitted: Vec<_> = Sieve::of(&probes).admitted(host, path).collect();
            for (rule, (host_probe, path_probe)) in probes.iter().enumerate() {
                let may_match = host_probe.admits(host) && path_probe.admits(path);
                prop_assert!(!may_match || admitted.contains(&rule));
            }
        }

        #[test]
        fn no_match_is_passed_over(
            values in proptest::collection::vec("[ab*?]{0,20}", 1..4),
            text in "[ab]{0,24}",
        ) {
            let compile = |text: &String| Pattern::compile(&TextPattern::Wildcard(text.clone()), Case::Exact);
            let patterns: Vec<Pattern> = values.iter().filter_map(compile).collect();
            if patterns.iter().any(|pattern| pattern.matches(text.as_bytes())) {
                prop_assert!(Probe::of(&patterns).admits(TextEnds::of(text.as_bytes())));
            }
        }
    }
}
