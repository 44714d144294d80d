//! Bits in the order of RFC 1951, section 3.1.1. Must not know: what they mean.

/// What is written, the bits of the last byte aside.
#[derive(Default)]
pub(super) struct PackedBits {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl PackedBits {
    /// The lowest bits of a number, the first of which comes first.
    pub(super) fn put(&mut self, value: usize, count: u32) {
        self.pending |= (value as u64) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Fills up the last byte.
    pub(super) fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }

    /// Bytes, where a byte begins.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
