//! Arithmetic on the words of keys: a mix that loses nothing, and the halves of a key.

/// The finalizer of SplitMix64: a bijection whose every output bit hangs on every input bit.
pub(super) const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The halves of a key: lower, upper.
#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
pub(super) const fn halves(key: u128) -> (u64, u64) {
    (key as u64, (key >> 64) as u64)
}
