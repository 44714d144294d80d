//! Whether two conditions on hosts can both be met by one. Must not know: what for.

use crate::{
    model::{Condition, TextPattern},
    rules::host_regex_matches,
};

/// Whether there is a host that meets the conditions on hosts of both; without one of them any does. Of two regular
/// expressions that is not found out: they are taken to be about different hosts unless they are the same.
pub(super) fn may_meet(one: &[Condition], other: &[Condition]) -> bool {
    hosts(one).all(|one| {
        hosts(other).all(|other| one.iter().any(|one| other.iter().any(|other| overlap(one, other))))
    })
}

fn hosts(conditions: &[Condition]) -> impl Iterator<Item = &[TextPattern]> {
    conditions.iter().filter_map(|condition| match condition {
        Condition::HostHeader(patterns) => Some(patterns.as_slice()),
        _ => None,
    })
}

fn overlap(one: &TextPattern, other: &TextPattern) -> bool {
    match (one, other) {
        (TextPattern::Wildcard(one), TextPattern::Wildcard(other)) => wildcards_overlap(one, other),
        (TextPattern::Regex(one), TextPattern::Regex(other)) => one == other,
        (TextPattern::Regex(regex), TextPattern::Wildcard(text))
        | (TextPattern::Wildcard(text), TextPattern::Regex(regex)) => {
            literal(text).is_some_and(|text| host_regex_matches(regex, &text))
        }
    }
}

/// A piece of a wildcard pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HostPiece {
    Run,
    Any,
    Byte(u8),
}

fn pieces(pattern: &str) -> Vec<HostPiece> {
    let mut pieces = Vec::new();
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        pieces.push(match byte {
            b'*' => HostPiece::Run,
            b'?' => HostPiece::Any,
            b'\\' => HostPiece::Byte(bytes.next().unwrap_or(b'\\')),
            byte => HostPiece::Byte(byte.to_ascii_lowercase()),
        });
    }
    pieces
}

/// The one text that a pattern is like, in lower case; none: there are several.
fn literal(pattern: &str) -> Option<String> {
    let text = pieces(pattern).into_iter().map(|piece| match piece {
        HostPiece::Byte(byte) => Some(char::from(byte)),
        HostPiece::Run | HostPiece::Any => None,
    });
    text.collect()
}

/// Whether there is a text that is like both patterns: tried place by place, so in steps as many as the product of their
/// lengths.
fn wildcards_overlap(one: &str, other: &str) -> bool {
    let (one, other) = (pieces(one), pieces(other));
    // Whether what is left of `one` from here on, and of `other` from each place on, overlap.
    let mut below: Vec<bool> = Vec::new();
    for index in (0..=one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        for beside in (0..=other.len()).rev() {
            let (first, second) = (one.get(index), other.get(beside));
            let down = below.get(beside).copied().unwrap_or(false);
            let right = row.get(beside + 1).copied().unwrap_or(false);
            let both = below.get(beside + 1).copied().unwrap_or(false);
            let meets = match (first, second) {
                (None, None) => true,
                (Some(HostPiece::Run), _) | (_, Some(HostPiece::Run)) => {
                    (first == Some(&HostPiece::Run) && (down || (second.is_some() && right)))
                        || (second == Some(&HostPiece::Run) && (right || (first.is_some() && down)))
                }
                (Some(HostPiece::Byte(one)), Some(HostPiece::Byte(other))) => one == other && both,
                (Some(_), Some(_)) => both,
                _ => false,
            };
            if let Some(cell) = row.get_mut(beside) {
                *cell = meets;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_overlap_when_one_text_is_like_both() {
        for (one, other, overlap) in [
            ("a.example", "A.Example", true),
            ("a.example", "b.example", false),
            ("*.example", "a.example", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("*.a.example", "b.*.example", true),
            ("*.a.example", "*.b.example", false),
            ("api.*", "*.example", true),
            ("api.*", "www.*", false),
            ("?.example", "ab.example", false),
            ("?.example", "*", true),
            ("", "*", true),
            ("", "?", false),
            ("\\*.example", "a.example", false),
            ("\\*.example", "*.example", true),
        ] {
            assert_eq!(wildcards_overlap(one, other), overlap, "{one} {other}");
            assert_eq!(wildcards_overlap(other, one), overlap, "{other} {one}");
        }
    }

    #[test]
    fn an_expression_is_tried_on_what_is_no_pattern() {
        let hosts = |pattern: TextPattern| [Condition::HostHeader(vec![pattern])];
        let regex = |text: &str| hosts(TextPattern::Regex(text.to_owned()));
        let host = |text: &str| hosts(TextPattern::Wildcard(text.to_owned()));
        assert!(may_meet(&regex("^a\\.(x|y)$"), &host("A.x")) && may_meet(&regex("a"), &regex("a")));
        assert!(!may_meet(&regex("^a\\.(x|y)$"), &host("a.z")) && !may_meet(&regex("a"), &regex("b")));
        assert!(may_meet(&regex("a"), &[]) && may_meet(&[], &[]));
    }

    fn is_like(pattern: &[HostPiece], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((HostPiece::Run, rest)), _) => {
                is_like(rest, text) || (!text.is_empty() && is_like(pattern, &text[1..]))
            }
            (Some((HostPiece::Any, rest)), Some((_, text))) => is_like(rest, text),
            (Some((HostPiece::Byte(wanted), rest)), Some((byte, text))) => {
                wanted == byte && is_like(rest, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_every_text(one in "[ab*?]{0,5}", other in "[ab*?]{0,5}") {
            let texts = (0..=10_u32).flat_map(|length| (0..1_u32 << length).map(move |bits| {
                (0..length).map(|index| if bits >> index & 1 == 0 { b'a' } else { b'b' }).collect::<Vec<u8>>()
            }));
            let (first, second) = (pieces(&one), pieces(&other));
            let found = texts.into_iter().any(|text| is_like(&first, &text) && is_like(&second, &text));
            prop_assert_eq!(wildcards_overlap(&one, &other), found);
        }
    }
}
