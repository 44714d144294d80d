//! Names and values of fields, looked at eight bytes at a time: every response has all of its looked at.

use crate::wire::many_bytes;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;
const SMALL_LETTERS: u64 = 0x20 * ONES;

/// The bytes with small letters in the place of capital ones.
#[inline]
fn small(word: u64) -> u64 {
    let low = word & !HIGH;
    let is_from_a = low + (0x80 - b'A' as u64) * ONES;
    let is_above_z = low + (0x7f - b'Z' as u64) * ONES;
    word | ((is_from_a ^ is_above_z) & !word & HIGH) >> 2
}

/// Calls `each` with all bytes, as words; some of them twice.
#[inline]
fn words(bytes: &[u8], mut each: impl FnMut(u64)) {
    if let Some(last) = bytes.last_chunk::<8>() {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| each(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            each(u64::from_le_bytes(*last));
        }
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        each(u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32);
    } else {
        each(bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
}

/// Whether `name` is `other` whatever the case of either.
#[inline]
pub(super) fn is_same(name: &[u8], other: &[u8]) -> bool {
    if name.len() != other.len() {
        return false;
    }
    if let (Some(last), Some(other_last)) = (name.last_chunk::<8>(), other.last_chunk::<8>()) {
        let is_same = |one: &[u8; 8], other: &[u8; 8]| {
            small(u64::from_le_bytes(*one)) == small(u64::from_le_bytes(*other))
        };
        let (words, other_words) = (name.as_chunks::<8>().0, other.as_chunks::<8>().0);
        return is_same(last, other_last)
            && words.iter().zip(other_words).all(|(one, other)| is_same(one, other));
    }
    let (mut one, mut two) = (0, 0);
    words(name, |word| one = small(word));
    words(other, |word| two = small(word));
    one == two
}

/// Whether `value` has no control character but tabs.
#[inline]
pub(super) fn is_value(value: &[u8]) -> bool {
    many_bytes::is_text(value)
}

/// A number that names which differ in nothing but case have in common, with the same value.
#[inline]
pub(super) fn hash(name: &[u8], value: &[u8]) -> u32 {
    let mut hash = name.len() as u64 ^ (value.len() as u64) << 32;
    let mut add = |word: u64| hash = (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    words(name, |word| add(word | SMALL_LETTERS));
    words(value, add);
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_at_every_place_is_looked_at() {
        for length in 0..40 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'k'; length];
                    let plain = text.clone();
                    text[place] = byte;
                    let is_sound = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
                    assert_eq!(is_value(&text), is_sound, "{byte} at {place} of {length}");
                    assert_eq!(
                        is_same(&text, &plain),
                        byte.eq_ignore_ascii_case(&b'k'),
                        "{byte} at {place} of {length}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn names_are_the_same_whatever_their_case(name in "[!-~]{0,40}", other in "[!-~]{0,40}", value in "[ -~]{0,40}") {
            let capital = name.to_ascii_uppercase();
            prop_assert!(is_same(name.as_bytes(), capital.as_bytes()));
            prop_assert_eq!(hash(name.as_bytes(), value.as_bytes()), hash(capital.as_bytes(), value.as_bytes()));
            prop_assert_eq!(is_same(name.as_bytes(), other.as_bytes()), name.eq_ignore_ascii_case(&other));
        }
    }
}
