//! Patterns over bytes, made ready to match: wildcards (`*`, `?`) in the cheapest form that does, and regular
//! expressions within bounds. Must not know: what is matched.

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::model::TextPattern;

/// Most bytes that a compiled expression may take up: what repeats itself a thousandfold is refused when it is
/// loaded. Matching takes time that grows with the text alone (the engine does not backtrack).
const REGEX_SIZE: usize = 256 << 10;
const REGEX_NESTING: u32 = 32;

/// Whether the case of letters counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Ignored,
}

/// A text pattern, ready to match.
#[derive(Debug)]
pub(super) enum Pattern {
    Wildcard(Wildcard),
    Regex(Box<Regex>),
}

impl Pattern {
    /// Nothing when it is an expression that does not compile, which no configuration holds.
    pub(super) fn compile(pattern: &TextPattern, case: Case) -> Option<Self> {
        match pattern {
            TextPattern::Wildcard(text) => Some(Self::Wildcard(Wildcard::new(text, case))),
            TextPattern::Regex(text) => regex(text, case).ok().map(|regex| Self::Regex(Box::new(regex))),
        }
    }

    /// The one text that is like it, whatever its case; none: there may be others.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        match self {
            Self::Wildcard(wildcard) => wildcard.literal(),
            Self::Regex(_) => None,
        }
    }

    /// Whether the text is like it.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Wildcard(wildcard) => wildcard.matches(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Whether patterns are tried on the text at all: control characters are like nothing (ALB: only visible ASCII
/// is matched).
pub(super) fn is_matchable(text: &[u8]) -> bool {
    // Without a branch, so that many are looked at at once.
    !text.iter().fold(false, |odd, byte| odd | byte.is_ascii_control())
}

pub(super) fn regex(text: &str, case: Case) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .unicode(false)
        .case_insensitive(case == Case::Ignored)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .nest_limit(REGEX_NESTING)
        .build()
}

/// Why an expression cannot be had, in one line.
///
/// # Errors
/// It is none, it needs look-around or back-references, or it is too large when compiled.
pub(crate) fn check_regex(text: &str) -> Result<(), String> {
    regex(text, Case::Ignored).map(drop).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "is too large when compiled".to_owned(),
        // The last line says what; those before it draw the place.
        other => {
            let text = other.to_string();
            let what = text.lines().last().unwrap_or_default();
            format!("is no regular expression: {}", what.trim_start_matches("error: "))
        }
    })
}

/// Whether an expression of a condition on hosts is found in `host`.
pub(crate) fn host_regex_matches(text: &str, host: &str) -> bool {
    regex(text, Case::Ignored).is_ok_and(|regex| regex.is_match(host.as_bytes()))
}

/// A wildcard pattern: what stands between its stars, in order.
#[derive(Debug)]
pub(super) struct Wildcard {
    case: Case,
    /// The whole text when there is no star, else what it begins with.
    first: PatternPiece,
    /// What has to come in between.
    middle: Vec<Search>,
    /// What it ends with; nothing when there is no star.
    last: Option<PatternPiece>,
}

/// A run of characters; nothing stands for any one.
#[derive(Debug, Default)]
struct PatternPiece {
    letters: Vec<Option<u8>>,
    /// The same when no `?` is in it.
    literal: Option<Vec<u8>>,
}

impl PatternPiece {
    fn new(letters: Vec<Option<u8>>) -> Self {
        let literal = letters.iter().copied().collect();
        Self { letters, literal }
    }

    fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether it is all of `text`.
    fn is(&self, text: &[u8], case: Case) -> bool {
        match (&self.literal, case) {
            (Some(literal), Case::Exact) => literal == text,
            (Some(literal), Case::Ignored) => literal.eq_ignore_ascii_case(text),
            (None, _) => {
                text.len() == self.len()
                    && self.letters.iter().zip(text).all(|(letter, byte)| {
                        letter.is_none_or(|letter| match case {
                            Case::Exact => letter == *byte,
                            Case::Ignored => letter.eq_ignore_ascii_case(byte),
                        })
                    })
            }
        }
    }
}

/// A piece that may come anywhere, looked for in time that grows with the text alone.
#[derive(Debug)]
enum Search {
    /// Bytes as they stand.
    Literal(Box<memmem::Finder<'static>>),
    /// Letters of either case, and those that may be any.
    Letters(Box<Letters>),
}

impl Search {
    fn new(piece: PatternPiece, case: Case) -> Self {
        match piece.literal {
            Some(literal) if case == Case::Exact => {
                Self::Literal(Box::new(memmem::Finder::new(&literal).into_owned()))
            }
            _ => Self::Letters(Box::new(Letters::new(&piece.letters, case))),
        }
    }

    /// What follows the piece where it comes first.
    fn past<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        match self {
            Self::Literal(finder) => text.get(finder.find(text)? + finder.needle().len()..),
            Self::Letters(letters) => letters.past(text),
        }
    }
}

/// All beginnings of the piece that end at one index of the text, as the bits of words: the next index is one step
/// away, whatever was seen before (Baeza-Yates and Gonnet, "A new approach to text searching", 1992).
#[derive(Debug)]
struct Letters {
    /// For each byte, which letters of the piece it is like.
    like: [u128; 256],
    /// The letter that is the last one.
    last: u128,
}

impl Letters {
    /// Of at most 128 letters, which no value of a condition is longer than.
    fn new(letters: &[Option<u8>], case: Case) -> Self {
        let mut like = [0; 256];
        for (index, letter) in letters.iter().enumerate().take(128) {
            for (byte, like) in (0..=u8::MAX).zip(&mut like) {
                let is_like = letter.is_none_or(|letter| match case {
                    Case::Exact => letter == byte,
                    Case::Ignored => letter.eq_ignore_ascii_case(&byte),
                });
                *like |= u128::from(is_like) << index;
            }
        }
        Self { like, last: 1 << (letters.len().clamp(1, 128) - 1) }
    }

    fn past<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let mut begun = 0_u128;
        for (index, byte) in text.iter().enumerate() {
            begun = ((begun << 1) | 1) & self.like.get(usize::from(*byte)).copied().unwrap_or(0);
            if begun & self.last != 0 {
                return text.get(index + 1..);
            }
        }
        None
    }
}

impl Wildcard {
    pub(super) fn new(text: &str, case: Case) -> Self {
        let mut pieces = vec![Vec::new()];
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let letter = match byte {
                b'*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                b'?' => None,
                b'\\' => Some(bytes.next().unwrap_or(b'\\')),
                byte => Some(byte),
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(letter);
            }
        }
        let mut pieces = pieces.into_iter().map(PatternPiece::new);
        let first = pieces.next().unwrap_or_default();
        let last = pieces.next_back();
        let middle = pieces.filter(|piece| piece.len() > 0).map(|piece| Search::new(piece, case)).collect();
        Self { case, first, middle, last }
    }

    /// The one text that is like it, whatever its case; none: there may be others.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        self.first.literal.as_deref().filter(|_| self.is_whole())
    }

    /// Whether it has no star, so that only texts of its length are like it.
    pub(super) fn is_whole(&self) -> bool {
        self.last.is_none()
    }

    /// What a text that is like it begins and ends with; nothing stands for any letter.
    pub(super) fn ends(&self) -> (&[Option<u8>], &[Option<u8>]) {
        (&self.first.letters, &self.last.as_ref().unwrap_or(&self.first).letters)
    }

    /// Whether the whole text is like it. Each piece is taken where it comes first, so that nothing is tried
    /// twice: time grows with the text alone.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let Some(last) = &self.last else { return self.first.is(text, self.case) };
        if text.len() < self.first.len() + last.len() {
            return false;
        }
        let Some((start, rest)) = text.split_at_checked(self.first.len()) else { return false };
        let Some((mut rest, end)) = rest.split_at_checked(rest.len() - last.len()) else { return false };
        if !self.first.is(start, self.case) || !last.is(end, self.case) {
            return false;
        }
        for piece in &self.middle {
            let Some(after) = piece.past(rest) else { return false };
            rest = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::hint::black_box;

    use super::*;
    use crate::wire::doubling::{assert_linear, least};

    fn like(pattern: &str, text: &str) -> bool {
        Wildcard::new(pattern, Case::Exact).matches(text.as_bytes())
    }

    #[test]
    fn stars_and_question_marks_are_what_alb_says_they_are() {
        assert!(like("/img/*", "/img/") && like("/img/*", "/img/a/b.png") && !like("/img/*", "/img"));
        assert!(like("*.example.com", "a.b.example.com") && !like("*.example.com", "example.com"));
        assert!(like("a?c", "abc") && !like("a?c", "ac") && !like("a?c", "abbc"));
        assert!(like("*", "") && like("**", "x") && !like("?", "") && like("", "") && !like("", "a"));
        assert!(like("a*a", "aa") && !like("a*a", "a"), "two pieces never share a letter");
        assert!(like("*ab*ab*", "abab") && !like("*ab*ab*", "abb"));
        assert!(like(r"a\*b\?c\\", r"a*b?c\") && !like(r"a\*", "ab"));
    }

    #[test]
    fn long_pieces_that_nearly_fit_everywhere_cost_no_more_than_others() {
        // All but the last letter fits at every index of the text.
        let nearly = |letter: &str| format!("*{}b*", letter.repeat(120));
        for (pattern, case) in
            [(nearly("a"), Case::Exact), (nearly("?"), Case::Exact), (nearly("a"), Case::Ignored)]
        {
            let (near, far) = (Wildcard::new(&pattern, case), Wildcard::new("*z?b*", case));
            let text = |n: usize| vec![b'a'; n];
            assert_linear(text, 8000, |text| assert!(!near.matches(text)));
            // A step of the search is the same for each.
            let steps = |wildcard: &Wildcard| least(9, || _ = black_box(wildcard.matches(&text(16_000))));
            let (near, far) = (steps(&near), steps(&far));
            assert!(near < 4 * far, "{pattern}: {near:?}, another: {far:?}");
        }
        let long = format!("*{}b*", "A".repeat(120));
        assert!(Wildcard::new(&long, Case::Ignored).matches(&[&[b'a'; 300][..], b"B"].concat()));
    }

    #[test]
    fn case_counts_where_it_is_said_to() {
        assert!(!like("/A*", "/a"));
        assert!(Wildcard::new("*.EXAMPLE.c?m", Case::Ignored).matches(b"a.example.COM"));
    }

    #[test]
    fn expressions_that_cannot_be_had_are_refused() {
        for (text, why) in [
            ("(", "unclosed group"),
            ("(?=a)", "look-around"),
            ("(?<!a)b", "look-around"),
            (r"(a)\1", "backreferences"),
            ("(?:a{1000}){1000}", "too large"),
            (r"\p{L}", "Unicode"),
        ] {
            let said = check_regex(text).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
        assert_eq!(check_regex("^/v[0-9]+/.*$"), Ok(()));
    }

    /// The same by trying every way, which is slow and plainly right.
    fn by_trying(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skipped| by_trying(rest, &text[skipped..])),
            [b'?', rest @ ..] => !text.is_empty() && by_trying(rest, &text[1..]),
            [letter, rest @ ..] => text.first() == Some(letter) && by_trying(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn wildcards_agree_with_trying_every_way(pattern in "[ab*?]{0,10}", text in "[ab]{0,12}") {
            prop_assert_eq!(like(&pattern, &text), by_trying(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn pieces_of_either_case_are_found_like_those_of_one(pattern in "[ab*?]{0,10}", text in "[abAB]{0,12}") {
            let lower = Wildcard::new(&pattern, Case::Exact).matches(text.to_ascii_lowercase().as_bytes());
            prop_assert_eq!(Wildcard::new(&pattern.to_ascii_uppercase(), Case::Ignored).matches(text.as_bytes()), lower);
        }

        #[test]
        fn expressions_agree_with_wildcards_that_say_the_same(pattern in "[ab*?]{0,8}", text in "[abAB]{0,10}") {
            let expression = format!("^{}$", pattern.replace('*', ".*").replace('?', "."));
            for case in [Case::Exact, Case::Ignored] {
                let regex = Pattern::compile(&TextPattern::Regex(expression.clone()), case);
                let wildcard = Wildcard::new(&pattern, case).matches(text.as_bytes());
                prop_assert_eq!(regex.map(|regex| regex.matches(text.as_bytes())), Some(wildcard));
            }
        }

        #[test]
        fn no_text_upsets_them(pattern in "[ -~]{0,20}", text: Vec<u8>) {
            let _ = Wildcard::new(&pattern, Case::Ignored).matches(&text);
            let _ = check_regex(&pattern);
        }
    }
}
