//! A hash of byte strings under a key, to tell clients apart where all that hangs on it is a count. Two multiplications of a word
//! (folded to its width, as in wyhash) for eight bytes; whoever does not know the key finds no two that meet. Must not know: what
//! is hashed.

use super::mix::{halves, mix};

/// A hash that grows by one string after the other.
#[derive(Clone, Copy, Debug)]
pub struct KeyedHash {
    state: u64,
    factor: u64,
}

impl KeyedHash {
    /// Of nothing yet.
    #[must_use]
    pub fn new(key: u64) -> Self {
        Self { state: key, factor: mix(key) | 1 }
    }

    /// Takes `bytes` in. Strings are told apart from what they are together.
    #[inline]
    pub fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add_word(u64::from_le_bytes(*word));
        }
        self.add_word(last_word(rest));
        self.add_word(bytes.len() as u64);
    }

    #[inline]
    fn add_word(&mut self, word: u64) {
        let (lower, upper) = halves(u128::from(self.state ^ word) * u128::from(self.factor));
        // Whatever the word, the next state hangs on the key.
        self.state = (lower ^ upper).wrapping_add(self.factor);
    }

    /// The hash of all that was taken in.
    #[must_use]
    pub fn value(self) -> u64 {
        mix(self.state)
    }
}

/// Less than eight bytes, with zeros behind them, as a word.
#[inline]
fn last_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        // Bytes that are in both come to the same place.
        return u64::from(first) | u64::from(last) << (8 * (bytes.len() - 4));
    }
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_last_bytes_are_a_word_with_zeros_behind_them() {
        for length in 0..8 {
            let bytes = &[0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7][..length];
            let mut padded = [0; 8];
            padded[..length].copy_from_slice(bytes);
            assert_eq!(last_word(bytes), u64::from_le_bytes(padded), "{length}");
        }
    }

    fn hash(key: u64, strings: &[&[u8]]) -> u64 {
        let mut hash = KeyedHash::new(key);
        strings.iter().for_each(|string| hash.add(string));
        hash.value()
    }

    #[test]
    fn strings_are_told_apart() {
        let mut lists: Vec<Vec<Vec<u8>>> = vec![
            vec![],
            vec![vec![]],
            vec![vec![], vec![]],
            vec![b"ab".to_vec()],
            vec![b"a".to_vec(), b"b".to_vec()],
            vec![b"b".to_vec(), b"a".to_vec()],
        ];
        // Also where they differ in one bit, or are longer by zeros.
        let base = b"AWSALB=0123456789abcdefghij".to_vec();
        for (byte, bit) in (0..base.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut other = base.clone();
            other[byte] ^= 1 << bit;
            lists.push(vec![other]);
        }
        lists.extend((0..20).map(|zeros| vec![[&base[..], &vec![0; zeros]].concat()]));
        let hashes: HashSet<u64> =
            lists.iter().map(|list| hash(7, &list.iter().map(Vec::as_slice).collect::<Vec<_>>())).collect();
        assert_eq!(hashes.len(), lists.len());
        assert_ne!(hash(7, &[b"a"]), hash(8, &[b"a"]), "keys differ");
        assert_eq!(hash(7, &[b"a"]), hash(7, &[b"a"]));
    }

    #[test]
    fn every_bit_of_a_string_changes_about_half_of_the_hash() {
        let changed = |bit: usize| {
            let mut other = [0x55_u8; 16];
            other[bit / 8] ^= 1 << (bit % 8);
            (hash(1, &[&[0x55; 16]]) ^ hash(1, &[&other])).count_ones()
        };
        assert!((0..128).all(|bit| (12..=52).contains(&changed(bit))));
    }
}
