//! base64url without padding (RFC 4648, section 5), for the few dozen characters that a cookie's value has: a third of what
//! a codec of any length takes. Every text stands for one value and every value has one text: other alphabets, padding and
//! stray trailing bits are refused. Must not know: what the bytes mean.

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What stands for no six bits.
const NONE: u8 = 0xff;

/// The six bits of each character.
#[allow(clippy::indexing_slicing, reason = "the compiler works it out, and refuses what is out of bounds")]
const BITS: [u8; 256] = {
    let mut bits = [NONE; 256];
    let mut value = 0u8;
    while value < 64 {
        bits[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    bits
};

/// How many characters `length` bytes are.
pub(super) const fn text_len(length: usize) -> usize {
    (length * 4).div_ceil(3)
}

fn bits_of(character: u8) -> u32 {
    u32::from(BITS.get(usize::from(character)).copied().unwrap_or(NONE))
}

fn character_of(bits: u32) -> u8 {
    ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'A')
}

/// Writes the text of `bytes` to the front of `text`, which has room for [`text_len`] characters.
#[inline]
pub(super) fn encode(bytes: &[u8], text: &mut [u8]) {
    debug_assert!(text.len() >= text_len(bytes.len()));
    let (groups, rest) = bytes.as_chunks();
    let mut room = text.chunks_mut(4);
    for (&[a, b, c], out) in groups.iter().zip(&mut room) {
        if let [w, x, y, z] = out {
            let bits = u32::from_be_bytes([0, a, b, c]);
            (*w, *x) = (character_of(bits >> 18), character_of(bits >> 12));
            (*y, *z) = (character_of(bits >> 6), character_of(bits));
        }
    }
    let bits = match *rest {
        [a] => u32::from_be_bytes([0, a, 0, 0]),
        [a, b] => u32::from_be_bytes([0, a, b, 0]),
        _ => return,
    };
    let characters = [bits >> 18, bits >> 12, bits >> 6].map(character_of);
    if let Some(out) = room.next() {
        out.iter_mut().zip(characters.iter().take(rest.len() + 1)).for_each(|(out, c)| *out = *c);
    }
}

/// Writes what `text` stands for to the front of `bytes`. Gives back how many bytes that is; nothing where it is no text of
/// this form, or there is no room.
#[inline]
pub(super) fn decode(text: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let length = text.len() * 3 / 4;
    let (groups, last) = text.as_chunks();
    // Of each there are as many.
    let (rooms, room) = bytes.get_mut(..length)?.as_chunks_mut();
    let mut all = 0;
    for (&[w, x, y, z], [a, b, c]) in groups.iter().zip(rooms) {
        let (w, x, y, z) = (bits_of(w), bits_of(x), bits_of(y), bits_of(z));
        all |= w | x | y | z;
        [_, *a, *b, *c] = (w << 18 | x << 12 | y << 6 | z).to_be_bytes();
    }
    // What is no character has bits that no character has.
    if all > 63 {
        return None;
    }
    let (bits, stray) = match *last {
        [] => return Some(length),
        [w, x] => {
            let (w, x) = (bits_of(w), bits_of(x));
            all |= w | x;
            (w << 18 | x << 12, x & 15)
        }
        [w, x, y] => {
            let (w, x, y) = (bits_of(w), bits_of(x), bits_of(y));
            all |= w | x | y;
            (w << 18 | x << 12 | y << 6, y & 3)
        }
        _ => return None,
    };
    if all > 63 || stray > 0 {
        return None;
    }
    let [_, decoded @ ..] = bits.to_be_bytes();
    room.iter_mut().zip(decoded).for_each(|(out, byte)| *out = byte);
    Some(length)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = vec![b'?'; text_len(bytes.len())];
        encode(bytes, &mut text);
        String::from_utf8(text).unwrap()
    }

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = vec![0; text.len()];
        let length = decode(text, &mut bytes)?;
        bytes.truncate(length);
        Some(bytes)
    }

    #[test]
    fn the_vectors_of_the_rfc_without_their_padding() {
        let vectors = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in vectors {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decoded(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encoded(&[0xfb, 0xef, 0xff]), "--__");
    }

    #[test]
    fn what_is_no_text_of_this_form_is_refused() {
        for text in ["Z", "Zm9vY", "Zg==", "Zh", "Zm9", "Zm9vYmF", "Zm+v", "Zm/v", "Zm9v ", "Zm9\u{e9}"] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"Zm9v", &mut [0; 2]), None, "no room");
    }

    proptest! {
        #[test]
        fn bytes_are_written_as_others_write_them(bytes: Vec<u8>) {
            prop_assert_eq!(encoded(&bytes), URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(decoded(encoded(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn texts_are_read_as_others_read_them(text in "[A-Za-z0-9_=+/-]{0,50}", wild: Vec<u8>) {
            prop_assert_eq!(decoded(text.as_bytes()), URL_SAFE_NO_PAD.decode(&text).ok());
            prop_assert_eq!(decoded(&wild), URL_SAFE_NO_PAD.decode(&wild).ok());
        }
    }
}
