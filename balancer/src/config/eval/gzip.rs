//! `base64gzip`: RFC 1952 and RFC 1951, byte by byte as Go's `compress/gzip` writes them at its default level, since what is compressed is
//! compared and stored as a text. Must not know: expressions.

mod bits;
mod blocks;
mod codes;
mod matches;
mod places;

use self::matches::RepeatFinder;

/// A member of a gzip file without a name, of no time and no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The polynomial of the checksum, reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The compressed text.
pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut file = HEAD.to_vec();
    file.extend(RepeatFinder::compressed(text));
    file.extend(checksum(text).to_le_bytes());
    // Modulo 2^32, as the format has it; no text is that long.
    file.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
    file
}

fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32| (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg());
    let sum =
        bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)));
    !sum
}
