//! Looks at the bytes of names and values, many at a time: every message has all of its looked at. Must not know: what they say.

use wide::u8x16;

const DEL: u8 = 0x7f;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// High bits of bytes, one at least if any byte of `word` is below `least` or that of a DEL. So may be those of bytes that are not of
/// ASCII.
#[inline]
fn odd(word: u64, least: u8) -> u64 {
    word.wrapping_sub(u64::from(least) * ONES) | (word ^ (u64::from(DEL) * ONES)).wrapping_sub(ONES)
}

/// Those of a block that are `last`, below it or DEL.
#[inline]
fn odd_of(block: u8x16, last: u8) -> u8x16 {
    block.simd_le(u8x16::splat(last)) | block.simd_eq(u8x16::splat(DEL))
}

/// Whether `find` finds the high bit of a byte in any word of `bytes`, or `find_of` any byte in a block of them where they are that
/// many. All bytes are in words or blocks, some of them in two.
#[inline]
fn any(bytes: &[u8], find: impl Fn(u64) -> u64, find_of: impl Fn(u8x16) -> u8x16) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let blocks = bytes.as_chunks::<16>().0.iter().map(|block| find_of(u8x16::new(*block)));
        return blocks.fold(find_of(u8x16::new(*last)), |found, block| found | block).to_bitmask() != 0;
    }
    if let Some(last) = bytes.last_chunk::<8>() {
        let words = bytes.as_chunks::<8>().0.iter().map(|word| find(u64::from_le_bytes(*word)));
        return words.fold(find(u64::from_le_bytes(*last)), |found, word| found | word) & HIGH != 0;
    }
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => match *bytes {
            [] => return false,
            [first, .., last] => {
                let middle = bytes.get(1).copied().unwrap_or(first);
                (u64::from(first) * ONES) << 16 | u64::from(middle) << 8 | u64::from(last)
            }
            [only] => u64::from(only) * ONES,
        },
    };
    find(word) & HIGH != 0
}

/// Whether there is no control character but tabs.
#[inline]
pub(super) fn is_text(bytes: &[u8]) -> bool {
    !any(bytes, |word| odd(word, b' ') & !word, |block| odd_of(block, 0x1f)) || is_text_with_tabs(bytes)
}

#[cold]
fn is_text_with_tabs(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (*byte >= b' ' || *byte == b'\t') && *byte != 0x7f)
}

/// Whether there is neither a control character nor a space.
#[inline]
pub(super) fn is_dense(bytes: &[u8]) -> bool {
    !any(bytes, |word| odd(word, b' ' + 1) & !word, |block| odd_of(block, b' '))
}

/// The same, of nothing but ASCII.
#[inline]
pub(super) fn is_graphic(bytes: &[u8]) -> bool {
    let beyond = |block: u8x16| u8x16::splat(DEL).simd_le(block);
    !any(bytes, |word| odd(word, b' ' + 1) | word, |block| odd_of(block, b' ') | beyond(block))
}

/// Whether both are the same. They are short most times, and then no other function is called.
#[inline]
pub(super) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        0..4 => one.iter().zip(other).all(|(one, other)| one == other),
        4..8 => ends_equal::<4>(one, other),
        8..16 => ends_equal::<8>(one, other),
        16..=32 => ends_equal::<16>(one, other),
        _ => one == other,
    }
}

/// Whether both begin and end with the same.
#[inline]
fn ends_equal<const LANES: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<LANES>() == other.first_chunk::<LANES>()
        && one.last_chunk::<LANES>() == other.last_chunk::<LANES>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_looked_at() {
        for length in 0..40 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    // Beside the least and the largest byte that are sound, from which a bit could be borrowed.
                    for around in [b'!', b'~'] {
                        let mut text = vec![around; length];
                        text[place] = byte;
                        let what = format!("{byte} at {place} of {length}");
                        let is_dense_byte = byte > b' ' && byte != 0x7f;
                        assert_eq!(is_text(&text), is_dense_byte || b" \t".contains(&byte), "{what}");
                        assert_eq!(is_dense(&text), is_dense_byte, "{what}");
                        assert_eq!(is_graphic(&text), byte.is_ascii_graphic(), "{what}");
                    }
                }
            }
        }
        assert!(is_text(b"") && is_dense(b"") && is_graphic(b""));
    }

    #[test]
    fn what_is_the_same_is_equal() {
        for length in 0..50 {
            let plain = vec![b'k'; length];
            assert!(is_equal(&plain, &plain.clone()) && !is_equal(&plain, &vec![b'k'; length + 1]));
            for place in 0..length {
                let mut text = plain.clone();
                text[place] = b'x';
                assert!(!is_equal(&text, &plain) && !is_equal(&plain, &text), "{place} of {length}");
            }
        }
    }
}
