//! Blocks of RFC 1951, section 3.2.3: stored, with fixed codes or with codes of their own, whichever is smallest. Must not know: how
//! repetitions are found.

use super::{
    bits::PackedBits,
    codes::{HuffmanCode, codes_of, size},
    places::{at, set},
};

/// A byte, or how much is repeated from how far before.
#[derive(Clone, Copy)]
pub(super) enum DeflateToken {
    Literal(u8),
    Match { length: usize, distance: usize },
}

/// Codes of bytes, of the end, and of lengths; of distances; of lengths of codes.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const CODE_LENGTHS: usize = 19;
const END: usize = 256;
/// The order in which lengths of codes of lengths are told (section 3.2.7).
const ORDER: [usize; CODE_LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Longest stored block.
const MOST_STORED: usize = 65_535;

/// A code of a length: which one, how many bits follow, and what is in them (section 3.2.5).
fn of_length(length: usize) -> (usize, u32, usize) {
    match length - 3 {
        short @ 0..8 => (257 + short, 0, 0),
        255 => (285, 0, 0),
        long => {
            let extra = long.ilog2() - 2;
            (257 + 4 * extra as usize + (long >> extra), extra, long & ((1 << extra) - 1))
        }
    }
}

/// The same of a distance.
fn of_distance(distance: usize) -> (usize, u32, usize) {
    match distance - 1 {
        short @ 0..4 => (short, 0, 0),
        long => {
            let extra = long.ilog2() - 1;
            (2 * extra as usize + (long >> extra), extra, long & ((1 << extra) - 1))
        }
    }
}

/// Writes a block that is not the last. `stored`: what it holds, if that could be stored.
pub(super) fn write(bits: &mut PackedBits, tokens: &[DeflateToken], stored: Option<&[u8]>) {
    let (mut literals, mut distances) = ([0_u32; LITERALS], [0_u32; DISTANCES]);
    set(&mut literals, END, 1);
    let mut extra = 0_usize;
    for token in tokens {
        match *token {
            DeflateToken::Literal(byte) => count(&mut literals, byte.into()),
            DeflateToken::Match { length, distance } => {
                let ((code, more, _), (far, further, _)) = (of_length(length), of_distance(distance));
                count(&mut literals, code);
                count(&mut distances, far);
                extra += (more + further) as usize;
            }
        }
    }
    let stored = stored.filter(|stored| stored.len() <= MOST_STORED);
    let used = |counts: &[u32]| counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    let (literal_count, mut distance_count) = (used(&literals), used(&distances));
    if distance_count == 0 {
        // A table of none could not be told.
        set(&mut distances, 0, 1);
        distance_count = 1;
    }
    // Only where it could be stored do the bits behind codes count: they are the same in both other forms.
    let extra = if stored.is_some() { extra } else { 0 };
    let own = (codes_of(&literals, 15), codes_of(&distances, 15));
    let fixed = (fixed_literals(), fixed_distances());
    let all =
        |of: &(Vec<HuffmanCode>, Vec<HuffmanCode>)| size(&of.0, &literals) + size(&of.1, &distances) + extra;
    let lengths = own.0.iter().take(literal_count).chain(own.1.iter().take(distance_count));
    let told = ToldLengths::of(&lengths.map(|code| code.length).collect::<Vec<_>>());
    let (fixed_size, own_size) = (3 + all(&fixed), told.size() + all(&own));
    if let Some(stored) = stored.filter(|stored| (stored.len() + 5) * 8 < fixed_size.min(own_size)) {
        write_stored(bits, stored, false);
        return;
    }
    let (literals, distances) = if own_size < fixed_size {
        bits.put(0b100, 3);
        told.write(bits, literal_count, distance_count);
        own
    } else {
        bits.put(0b010, 3);
        fixed
    };
    let put = |bits: &mut PackedBits, code: HuffmanCode| bits.put(code.bits.into(), code.length);
    for token in tokens {
        match *token {
            DeflateToken::Literal(byte) => put(bits, at(&literals, byte.into())),
            DeflateToken::Match { length, distance } => {
                for (codes, (code, more, value)) in
                    [(&literals, of_length(length)), (&distances, of_distance(distance))]
                {
                    put(bits, at(codes, code));
                    bits.put(value, more);
                }
            }
        }
    }
    put(bits, at(&literals, END));
}

/// Writes a stored block.
pub(super) fn write_stored(bits: &mut PackedBits, bytes: &[u8], is_last: bool) {
    bits.put(usize::from(is_last), 3);
    bits.align();
    bits.put(bytes.len(), 16);
    bits.put(!bytes.len() & 0xffff, 16);
    bits.extend(bytes);
}

fn count(counts: &mut [u32], index: usize) {
    counts.get_mut(index).into_iter().for_each(|count| *count += 1);
}

/// Section 3.2.6.
fn fixed_literals() -> Vec<HuffmanCode> {
    (0..288_u16)
        .map(|value| {
            let (code, length) = match value {
                0..144 => (value + 0x30, 8),
                144..256 => (value - 144 + 0x190, 9),
                256..280 => (value - 256, 7),
                _ => (value - 280 + 0xc0, 8),
            };
            HuffmanCode { bits: code.reverse_bits() >> (16 - length), length }
        })
        .collect()
}

fn fixed_distances() -> Vec<HuffmanCode> {
    (0..30_u16).map(|value| HuffmanCode { bits: value.reverse_bits() >> 11, length: 5 }).collect()
}

/// Lengths of codes as they are told (section 3.2.7): codes, and what stands behind them.
struct ToldLengths {
    lengths: Vec<(usize, u32, usize)>,
    codes: Vec<HuffmanCode>,
    counts: [u32; CODE_LENGTHS],
    /// How many of the codes of lengths are told.
    count: usize,
}

impl ToldLengths {
    fn of(lengths: &[u32]) -> Self {
        let mut told = Vec::new();
        for chunk in lengths.chunk_by(|one, other| one == other) {
            let length = chunk.first().map_or(0, |length| *length as usize);
            let mut count = chunk.len();
            if length > 0 {
                told.push((length, 0, 0));
                count -= 1;
                while count >= 3 {
                    let times = count.min(6);
                    told.push((16, 2, times - 3));
                    count -= times;
                }
            } else {
                while count >= 11 {
                    let times = count.min(138);
                    told.push((18, 7, times - 11));
                    count -= times;
                }
                if count >= 3 {
                    told.push((17, 3, count - 3));
                    count = 0;
                }
            }
            told.extend((0..count).map(|_| (length, 0, 0)));
        }
        let mut counts = [0; CODE_LENGTHS];
        told.iter().for_each(|(code, ..)| count(&mut counts, *code));
        let last = ORDER.iter().rposition(|code| at(&counts, *code) > 0).map_or(0, |last| last + 1);
        Self { lengths: told, codes: codes_of(&counts, 7), counts, count: last.max(4) }
    }

    fn size(&self) -> usize {
        let behind: u32 = self.lengths.iter().map(|(_, more, _)| more).sum();
        3 + 5 + 5 + 4 + 3 * self.count + size(&self.codes, &self.counts) + behind as usize
    }

    fn write(&self, bits: &mut PackedBits, literals: usize, distances: usize) {
        bits.put(literals - 257, 5);
        bits.put(distances - 1, 5);
        bits.put(self.count - 4, 4);
        for code in ORDER.iter().take(self.count) {
            bits.put(at(&self.codes, *code).length as usize, 3);
        }
        for (code, more, value) in &self.lengths {
            let code = at(&self.codes, *code);
            bits.put(code.bits.into(), code.length);
            bits.put(*value, *more);
        }
    }
}
