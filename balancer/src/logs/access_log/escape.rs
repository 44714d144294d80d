//! Text from outside, made fit for a line of a log: nothing in it can end a field or a line.

/// Whether `byte` stands for itself everywhere in a line. Without a branch, so that many are looked at at once.
const fn is_plain(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') <= b'~' - b' ') & (byte != b'"') & (byte != b'\\')
}

/// Whether all of `text` is plain, as nearly all is. Looks at many bytes at a time, without a branch for each.
pub(super) fn are_plain(text: &[u8]) -> bool {
    match text.len() {
        64.. => are_plain_by::<64>(text),
        16.. => are_plain_by::<16>(text),
        _ => are(text),
    }
}

#[inline]
fn are(text: &[u8]) -> bool {
    text.iter().fold(0, |odd, byte| odd | u8::from(!is_plain(*byte))) == 0
}

/// Of at least `N` bytes: where pieces do not come out even the last ones are looked at again, with some of those before them.
#[inline]
fn are_plain_by<const N: usize>(text: &[u8]) -> bool {
    let (pieces, rest) = text.as_chunks::<N>();
    let last = text.last_chunk::<N>().filter(|_| !rest.is_empty());
    pieces.iter().chain(last).all(|piece| are(piece))
}

/// Appends `text` with quotes, backslashes and all that is not visible ASCII or a space as `\xHH`, as ALB writes
/// them. What was so written can be told from what looked like it, since the backslash itself is written so.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    if are_plain(text) {
        return out.extend_from_slice(text);
    }
    let mut rest = text;
    while let Some(index) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, odd) = rest.split_at_checked(index).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, after)) = odd.split_first() else { return };
        out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Appends text to a field without quotes, where a space would end it.
pub(super) fn bare(text: &[u8], out: &mut Vec<u8>) {
    for (index, word) in text.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\\x20");
        }
        escape(word, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &[u8]) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_could_end_a_field_is_written_by_its_number() {
        for (text, wanted) in [
            (&b"GET /a?b=c%20d HTTP/1.1"[..], "GET /a?b=c%20d HTTP/1.1"),
            (b"\"", r"\x22"),
            (b"a\r\nb\tc", r"a\x0D\x0Ab\x09c"),
            (br"\x22", r"\x5Cx22"),
            ("é\u{7f}".as_bytes(), r"\xC3\xA9\x7F"),
            (b"\0", r"\x00"),
        ] {
            assert_eq!(escaped(text), wanted);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_can_end_a_field_and_none_are_lost(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let out = escaped(&text);
            prop_assert!(out.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"'));
            let mut back = Vec::new();
            let mut rest = out.as_bytes();
            while let Some((first, after)) = rest.split_first() {
                if *first == b'\\' {
                    let hex = std::str::from_utf8(&after[1..3]).unwrap();
                    back.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &after[3..];
                } else {
                    back.push(*first);
                    rest = after;
                }
            }
            prop_assert_eq!(back, text);
        }
    }
}
