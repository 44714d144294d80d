//! Names that resemble another one: what a careless reader makes of them after trimming, folding case and taking one
//! separator for another.

use crate::internal_errors::Part as _;

/// How near a name comes to a known one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearness {
    /// It is the same but for case.
    Same,
    /// It has the same letters in the same order.
    Alike,
    /// It is another.
    Far,
}

/// Whether a token may turn out to be alike one of the two names that say how long a body is.
#[inline]
pub(super) fn may_resemble(name: &[u8]) -> bool {
    // Few names are that long, and of those few begin so.
    name.len() >= b"content-length".len()
        && match name.first() {
            Some(b't' | b'T' | b'c' | b'C') => true,
            Some(first) if first.is_ascii_alphanumeric() => false,
            _ => matches!(past_separators(name).first(), Some(b't' | b'T' | b'c' | b'C')),
        }
}

/// How near `name` comes to `known`, which is in lower case.
pub(super) fn nearness(known: &[u8], name: &[u8]) -> Nearness {
    if name.len() < known.len() {
        return Nearness::Far;
    }
    let mut rest = past_separators(name);
    let mut same = rest.len() == known.len() && name.len() == known.len();
    for letter in known {
        if rest.is_empty() {
            return Nearness::Far;
        }
        let (fits, after) = take(*letter, rest);
        rest = match (letter, fits) {
            // Whatever stands for the hyphen, and more of it.
            (b'-', _) => {
                same &= fits;
                past_separators(after)
            }
            (_, true) => past(after, |byte| *byte <= b' '),
            (_, false) => break,
        };
    }
    match rest {
        [] if same => Nearness::Same,
        rest if past_separators(rest).is_empty() => Nearness::Alike,
        _ => Nearness::Far,
    }
}

/// Whether `text` begins with `letter`, and what follows. There are two letters beyond ASCII whose upper case is within it.
fn take(letter: u8, text: &[u8]) -> (bool, &[u8]) {
    match (letter, text) {
        (letter, [first, rest @ ..]) if first.to_ascii_lowercase() == letter => (true, rest),
        (b's', [0xc5, 0xbf, rest @ ..]) | (b'i', [0xc4, 0xb1, rest @ ..]) => (true, rest),
        (_, text) => (false, text.get(1..).unwrap_or_default()),
    }
}

fn past_separators(text: &[u8]) -> &[u8] {
    past(text, |byte| !byte.is_ascii_alphanumeric())
}

/// `text` from the first byte on that is not to be passed over.
fn past(text: &[u8], skip: impl Fn(&u8) -> bool) -> &[u8] {
    let start = text.iter().position(|byte| !skip(byte)).unwrap_or(text.len());
    text.part(start..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_resemble_are_told_from_others() {
        let near = |name: &str| nearness(b"content-length", name.as_bytes());
        assert_eq!(near("Content-Length"), Nearness::Same);
        for alike in [
            "content_length",
            "Content--Length",
            "-content-length",
            "content-length.",
            " Content-Length",
            "content\u{1}-length",
        ] {
            assert_eq!(near(alike), Nearness::Alike, "{alike}");
        }
        for far in ["content-lengths", "x-content-length", "content-type", "contentlength", "content-len_gth"]
        {
            assert_eq!(near(far), Nearness::Far, "{far}");
        }
        assert_eq!(
            nearness(b"transfer-encoding", "tran\u{17f}fer-encod\u{131}ng".as_bytes()),
            Nearness::Alike
        );
    }

    #[test]
    fn what_may_not_resemble_does_not() {
        for name in ["accept-encoding", "sec-fetch-mode", "content-type", "x-content-length-x"] {
            assert!(!may_resemble(name.as_bytes()), "{name}");
        }
        for name in ["Content_Length", "_transfer.encoding", "transfer-encoding-"] {
            assert!(may_resemble(name.as_bytes()), "{name}");
        }
    }
}
