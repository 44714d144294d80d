//! Digests of texts and files, in digits or base64. MD5 is here as a name for a text and protects nothing.
//! Must not know: where the bytes come from.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest;

/// The functions of texts.
const OF_TEXTS: [&str; 6] = ["md5", "sha1", "sha256", "sha512", "base64sha256", "base64sha512"];
/// The functions of files; each is that of its contents.
const OF_FILES: [(&str, &str); 6] = [
    ("filemd5", "md5"),
    ("filesha1", "sha1"),
    ("filesha256", "sha256"),
    ("filesha512", "sha512"),
    ("filebase64sha256", "base64sha256"),
    ("filebase64sha512", "base64sha512"),
];

/// Whether a function is one of a text.
pub(super) fn is_of_text(name: &str) -> bool {
    OF_TEXTS.contains(&name)
}

/// Which one of a text a function of a file stands for.
pub(super) fn of_file(name: &str) -> Option<&'static str> {
    OF_FILES.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

/// What one of these functions comes to.
pub(super) fn digest(name: &str, bytes: &[u8]) -> String {
    let (algorithm, is_base64) = match name {
        "sha1" => (&digest::SHA1_FOR_LEGACY_USE_ONLY, false),
        "sha256" => (&digest::SHA256, false),
        "base64sha256" => (&digest::SHA256, true),
        "sha512" => (&digest::SHA512, false),
        "base64sha512" => (&digest::SHA512, true),
        _ => return hex(&md5(bytes)),
    };
    let made = digest::digest(algorithm, bytes);
    if is_base64 { STANDARD.encode(made.as_ref()) } else { hex(made.as_ref()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 9562, section 6.6: the last digit of the first part tells these four.
const NAMESPACES: [(&str, u128); 4] = [("dns", 0), ("url", 1), ("oid", 2), ("x500", 4)];
const FIRST_NAMESPACE: u128 = 0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8;

/// What `uuidv5` takes for a namespace: one of RFC 9562's by name, or a UUID in any of its forms.
pub(super) fn namespace(text: &str) -> Option<u128> {
    if let Some((_, number)) = NAMESPACES.iter().find(|(name, _)| *name == text) {
        return Some(FIRST_NAMESPACE + (number << 96));
    }
    let plain = match text.len() {
        45 if text.get(..9)?.eq_ignore_ascii_case("urn:uuid:") => text.get(9..)?,
        // Terraform does not look at what the braces are.
        38 => text.get(1..37)?,
        32 | 36 => text,
        _ => return None,
    };
    let is_hyphen = |place: usize| plain.as_bytes().get(place) == Some(&b'-');
    if plain.len() == 36 && ![8, 13, 18, 23].into_iter().all(is_hyphen) {
        return None;
    }
    let digits: String = plain.chars().filter(|digit| *digit != '-').collect();
    let is_hex = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u128::from_str_radix(&digits, 16).ok().filter(|_| is_hex)
}

/// RFC 9562, section 5.5: a UUID of version 5.
pub(super) fn uuid(namespace: u128, name: &[u8]) -> String {
    let hashed = [&namespace.to_be_bytes(), name].concat();
    let made = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed);
    let number = made.as_ref().iter().take(16).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    let number = (number & !(0xf << 76)) | (0x5 << 76);
    let number = (number & !(0x3 << 62)) | (0x2 << 62);
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Bytes of a block.
const BLOCK: usize = 64;
/// By how much each step of a round turns (RFC 1321, section 3.4).
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// RFC 1321.
fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % BLOCK != BLOCK - 8 {
        padded.push(0);
    }
    padded.extend((bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    let (blocks, _) = padded.as_chunks::<BLOCK>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..BLOCK {
            let (mixed, place) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let word = words.get(place % 16).copied().unwrap_or_default();
            let sum = a.wrapping_add(mixed).wrapping_add(constant(step)).wrapping_add(word);
            let turn =
                TURNS.get(step / 16).and_then(|round| round.get(step % 4)).copied().unwrap_or_default();
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(turn)));
        }
        for (word, more) in state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(more);
        }
    }
    let mut made = [0; 16];
    for (bytes, word) in made.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    made
}

/// The whole part of 2^32 times the sine of the step's number.
fn constant(step: usize) -> u32 {
    let sine = ((step + 1) as f64).sin().abs();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below 2^32 and not below zero"
    )]
    let constant = (sine * 4_294_967_296.0) as u32;
    constant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_is_that_of_its_rfc() {
        let digits = "1234567890".repeat(8);
        for (text, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (digits.as_str(), "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(digest("md5", text.as_bytes()), expected, "{text}");
        }
        // Where a block is just full, and just not.
        assert_eq!(digest("md5", &[b'x'; 55]), "04364420e25c512fd958a70738aa8f72");
        assert_eq!(digest("md5", &[b'x'; 56]), "668a72d5ba17f08e62dabcafad6db14b");
        assert_eq!(digest("md5", &[b'x'; 64]), "c1bb4f81d892b2d57947682aeb252456");
    }
}
