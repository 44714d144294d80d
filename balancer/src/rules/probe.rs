//! What a rule's host and path must at least begin and end with, in words that are compared at once: most rules of
//! a long list are passed over so, without a look at their patterns. Must not know: what else a rule demands.

use super::pattern::Pattern;

/// Bytes that a probe looks at from each end.
const WIDTH: usize = 16;

/// Places of eight bytes in these.
pub(super) const PLACES: usize = 4;

/// The first and the last bytes of a text; where it is shorter, zero, which no pattern has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextEnds {
    first: u128,
    last: u128,
}

impl TextEnds {
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self { first: u128::from_le_bytes(*first), last: u128::from_be_bytes(*last) };
        }
        // A short one is in the first bytes of the one word and the last ones of the other.
        let mut whole = [0; 2 * WIDTH];
        if let Some(middle) = whole.get_mut(WIDTH..WIDTH + text.len()) {
            middle.copy_from_slice(text);
        }
        let first = whole.last_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes));
        let last = whole.get(text.len()..).and_then(<[u8]>::first_chunk);
        Self { first, last: last.map_or(0, |bytes| u128::from_be_bytes(*bytes)) }
    }

    /// The eight bytes at a place: from the beginning, behind these, and the same from the end.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    pub(super) fn at(&self, place: usize) -> u64 {
        let end = if place < 2 { self.first } else { self.last };
        if place.is_multiple_of(2) { end as u64 } else { (end >> 64) as u64 }
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
        // Where the pattern is all of the text nothing comes behind it.
        let beyond = if wildcard.is_whole() { u8::MAX } else { 0 };
        let (wanted_first, mask_first) = word(first.iter(), beyond);
        let (wanted_last, mask_last) = word(last.iter().rev(), beyond);
        Self {
            wanted: TextEnds { first: wanted_first, last: wanted_last },
            mask: TextEnds { first: mask_first, last: mask_last },
        }
    }

    /// What the eight bytes at a place have to be, and which bits of them count.
    pub(super) fn at(&self, place: usize) -> (u64, u64) {
        (self.wanted.at(place), self.mask.at(place))
    }

    /// Whether a text with these ends may match.
    pub(super) fn admits(&self, text: TextEnds) -> bool {
        ((text.first & self.mask.first) ^ self.wanted.first)
            | ((text.last & self.mask.last) ^ self.wanted.last)
            == 0
    }
}

/// The letters that are known, and a mask of them, in which `beyond` stands for what comes behind them.
fn word<'a>(letters: impl Iterator<Item = &'a Option<u8>>, beyond: u8) -> (u128, u128) {
    let (mut wanted, mut mask) = ([0; WIDTH], [beyond; WIDTH]);
    for ((wanted, mask), letter) in wanted.iter_mut().zip(&mut mask).zip(letters) {
        (*wanted, *mask) = letter.map_or((0, 0), |letter| (letter, u8::MAX));
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

    proptest! {
        #[test]
        fn ends_are_the_first_and_the_last_bytes(text in proptest::collection::vec(1..=u8::MAX, 0..40)) {
            let ends = TextEnds::of(&text);
            for (at, (first, last)) in text.iter().zip(text.iter().rev()).enumerate().take(WIDTH) {
                let byte = |place: usize| ends.at(place + at / 8).to_le_bytes()[at % 8];
                prop_assert_eq!((byte(0), byte(2)), (*first, *last));
            }
            for at in text.len()..WIDTH {
                prop_assert_eq!((ends.first.to_le_bytes()[at], ends.last.to_le_bytes()[at]), (0, 0));
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
