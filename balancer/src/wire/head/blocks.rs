//! How far a name or a value goes, sixteen bytes at a time. Must not know: what stands in a head.

use wide::u8x16;

use super::syntax::TOKEN;
use crate::wire::fields::is_plain_name;

/// How many bytes of a token `bytes` begin with, and whether they are letters, digits and hyphens alone: nearly all are, and
/// shorter than a block.
#[inline]
pub(super) fn token(bytes: &[u8]) -> (usize, bool) {
    let length = bytes.first_chunk().map_or(BLOCK, plain);
    match bytes.get(length) {
        Some(b':') if length < BLOCK => (length, true),
        _ => any_token(bytes),
    }
}

/// Bytes that are looked at at once.
const BLOCK: usize = 16;

/// How many letters, digits and hyphens a block begins with.
#[inline]
fn plain(block: &[u8; BLOCK]) -> usize {
    let block = u8x16::new(*block);
    // What is below wraps to what is far above.
    let is_letter = ((block | u8x16::splat(0x20)) - u8x16::splat(b'a')).simd_le(u8x16::splat(25));
    let is_digit = (block - u8x16::splat(b'0')).simd_le(u8x16::splat(9));
    let is_plain = is_letter | is_digit | block.simd_eq(u8x16::splat(b'-'));
    is_plain.to_bitmask().trailing_ones() as usize
}

#[inline(never)]
fn any_token(bytes: &[u8]) -> (usize, bool) {
    let is_over = |byte: &u8| TOKEN.get(usize::from(*byte)) != Some(&true);
    let length = bytes.iter().position(is_over).unwrap_or(bytes.len());
    (length, bytes.get(..length).is_some_and(is_plain_name))
}

/// How many bytes go before the first that is a control character, DEL or `end`. `end` is a control character or a space.
#[inline]
pub(super) fn run(bytes: &[u8], end: u8) -> usize {
    let last = if end == b' ' { b' ' } else { 0x1f };
    let (blocks, rest) = bytes.as_chunks();
    for (place, block) in blocks.iter().enumerate() {
        let block: &[u8; BLOCK] = block;
        let block = u8x16::new(*block);
        let stops = block.simd_le(u8x16::splat(last)) | block.simd_eq(u8x16::splat(0x7f));
        let stops = stops.to_bitmask();
        if stops != 0 {
            return place * BLOCK + stops.trailing_zeros() as usize;
        }
    }
    blocks.len() * BLOCK + short_run(rest, last)
}

/// The same of what is shorter than a block, where `last` is the last of the characters that end it: eight at a time.
#[inline]
fn short_run(bytes: &[u8], last: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let limit = u64::from(last) + 1;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let del = word ^ (ONES * 0x7f);
        // The lowest bit of each tells right: what borrows goes upwards alone.
        let low = word.wrapping_sub(ONES * limit) & !word & TOPS;
        let stops = low | del.wrapping_sub(ONES) & !del & TOPS;
        if stops != 0 {
            return place * 8 + stops.trailing_zeros() as usize / 8;
        }
    }
    let is_stop = |byte: &u8| *byte <= last || *byte == 0x7f;
    words.len() * 8 + rest.iter().position(is_stop).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::{super::syntax::is_token_byte, *};

    #[test]
    fn a_run_ends_at_control_characters_and_del_wherever_they_stand() {
        for byte in 0..=255 {
            for place in 0..40 {
                let mut bytes = [b'a'; 40];
                bytes[place] = byte;
                let is_stop = byte < 0x20 || byte == 0x7f;
                assert_eq!(run(&bytes, b'\r'), if is_stop { place } else { 40 }, "{byte} {place}");
                assert_eq!(
                    run(&bytes, b' '),
                    if is_stop || byte == b' ' { place } else { 40 },
                    "{byte} {place}"
                );
                bytes[39] = 0;
                assert_eq!(run(&bytes, b'\r'), if is_stop { place } else { 39 }, "{byte} {place}");
            }
        }
    }

    #[test]
    fn a_token_ends_where_its_bytes_do_and_is_plain_where_all_of_them_are() {
        for byte in 0..=255_u8 {
            for (length, place) in (0..40).flat_map(|length| (0..=length).map(move |place| (length, place))) {
                let mut bytes = [&vec![b'Z'; length][..], b": value and more of it"].concat();
                bytes[place] = byte;
                let end = bytes.iter().position(|byte| !is_token_byte(*byte)).expect("a space");
                assert_eq!(token(&bytes).0, end, "{byte} {length} {place}");
                if end > 0 {
                    let is_plain =
                        bytes[..end].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
                    assert_eq!(token(&bytes).1, is_plain, "{byte} {length} {place}");
                }
            }
        }
        for length in 0..20 {
            assert_eq!(token(&vec![b'a'; length]).0, length, "with nothing behind");
        }
    }
}
