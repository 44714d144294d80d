//! What a rule's host and path must at least begin and end with, in words that are compared at once: most rules of
//! a long list are passed over so, without a look at their patterns. Must not know: what else a rule demands.

use super::pattern::Pattern;

/// Bytes that a probe looks at from each end.
const WIDTH: usize = 16;

/// The first and the last bytes of a text; where it is shorter, zero, which no pattern has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    first: u128,
    last: u128,
}

impl Ends {
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
    wanted: Ends,
    mask: Ends,
}

impl Probe {
    /// The probe of a condition with these values; it admits whatever one of them matches.
    pub(super) fn of(values: &[Pattern]) -> Self {
        let mut probes = values.iter().map(Self::of_one);
        let Some(first) = probes.next() else { return Self::default() };
        probes.fold(first, |one, other| {
            let agreed = |one: (u128, u128), other: (u128, u128)| one.1 & other.1 & !(one.0 ^ other.0);
            let mask = Ends {
                first: agreed((one.wanted.first, one.mask.first), (other.wanted.first, other.mask.first)),
                last: agreed((one.wanted.last, one.mask.last), (other.wanted.last, other.mask.last)),
            };
            let wanted = Ends { first: one.wanted.first & mask.first, last: one.wanted.last & mask.last };
            Self { wanted, mask }
        })
    }

    fn of_one(pattern: &Pattern) -> Self {
        let Pattern::Wildcard(wildcard) = pattern else { return Self::default() };
        let (first, last) = wildcard.ends();
        let (wanted_first, mask_first) = word(first.iter());
        let (wanted_last, mask_last) = word(last.iter().rev());
        Self {
            wanted: Ends { first: wanted_first, last: wanted_last },
            mask: Ends { first: mask_first, last: mask_last },
        }
    }

    /// Whether a text with these ends may match.
    pub(super) fn admits(&self, text: Ends) -> bool {
        ((text.first & self.mask.first) ^ self.wanted.first)
            | ((text.last & self.mask.last) ^ self.wanted.last)
            == 0
    }
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
        let admits = |values: &[&str], text: &str| probe(values).admits(Ends::of(text.as_bytes()));
        assert!(
            admits(&["/api/*"], "/api/x") && !admits(&["/api/*"], "/ap") && !admits(&["/api/*"], "/apx/")
        );
        assert!(admits(&["*.example.com"], "a.example.com") && !admits(&["*.example.com"], "a.example.org"));
        assert!(!admits(&["/a/*", "/b/*"], "x/") && admits(&["/a/*", "/b/*"], "/b/"));
    }

    proptest! {
        #[test]
        fn no_match_is_passed_over(
            values in proptest::collection::vec("[ab*?]{0,20}", 1..4),
            text in "[ab]{0,24}",
        ) {
            let compile = |text: &String| Pattern::compile(&TextPattern::Wildcard(text.clone()), Case::Exact);
            let patterns: Vec<Pattern> = values.iter().filter_map(compile).collect();
            if patterns.iter().any(|pattern| pattern.matches(text.as_bytes())) {
                prop_assert!(Probe::of(&patterns).admits(Ends::of(text.as_bytes())));
            }
        }
    }
}
