//! The code that strings in header blocks are written in (RFC 7541, appendix B). It is canonical: the lengths of its
//! words say which they are.

/// Symbols: the bytes, and the end of a string, which is written nowhere.
const SYMBOLS: usize = 257;
const END: usize = 256;
/// Shortest and longest word, in bits.
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6,
    6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6,
    6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22,
    20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23,
    22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22,
    23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22,
    25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The words in the order of their length, and of each length the first word and where it stands.
struct Code {
    symbols: [u16; SYMBOLS],
    first: [u32; LONGEST + 2],
    index: [u32; LONGEST + 2],
}

static CODE: Code = code();

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "worked out while compiling")]
const fn code() -> Code {
    let mut code = Code { symbols: [0; SYMBOLS], first: [0; LONGEST + 2], index: [0; LONGEST + 2] };
    let (mut length, mut word, mut index) = (1, 0, 0);
    while length <= LONGEST {
        word <<= 1;
        (code.first[length], code.index[length]) = (word, index);
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                code.symbols[index as usize] = symbol as u16;
                (word, index) = (word + 1, index + 1);
            }
            symbol += 1;
        }
        length += 1;
    }
    (code.first[LONGEST + 1], code.index[LONGEST + 1]) = (word << 1, index);
    code
}

/// What is behind the last word of a length, and of all shorter ones, as [`LONGEST`] bits.
static ENDS: [u32; LONGEST + 1] = ends();

#[allow(clippy::indexing_slicing, reason = "worked out while compiling")]
const fn ends() -> [u32; LONGEST + 1] {
    let (code, mut ends, mut length) = (code(), [0; LONGEST + 1], 1);
    while length <= LONGEST {
        let words = code.index[length + 1] - code.index[length];
        ends[length] = (code.first[length] + words) << (LONGEST - length);
        length += 1;
    }
    ends
}

/// The word at the front of `window`, of [`LONGEST`] bits: its length and its symbol.
fn word(window: u32) -> Option<(usize, u16)> {
    let length = (SHORTEST..=LONGEST).find(|length| ENDS.get(*length).is_some_and(|end| window < *end))?;
    let step = (window >> (LONGEST - length)).checked_sub(*CODE.first.get(length)?)?;
    let index = usize::try_from(CODE.index.get(length)? + step).ok()?;
    Some((length, *CODE.symbols.get(index)?))
}

/// Bits that are looked up at once: words of all visible ASCII but a few are no longer.
const AT_ONCE: usize = 10;

/// The symbol that begins with so many bits, and the length of its word; 0 where that is longer.
static BEGINNINGS: [(u8, u8); 1 << AT_ONCE] = beginnings();

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "worked out while compiling")]
const fn beginnings() -> [(u8, u8); 1 << AT_ONCE] {
    let (code, mut beginnings, mut length) = (code(), [(0, 0); 1 << AT_ONCE], SHORTEST);
    while length <= AT_ONCE {
        let (mut index, mut word) = (code.index[length] as usize, code.first[length] as usize);
        while index < code.index[length + 1] as usize {
            let (mut place, end) = (word << (AT_ONCE - length), (word + 1) << (AT_ONCE - length));
            while place < end {
                beginnings[place] = (code.symbols[index] as u8, length as u8);
                place += 1;
            }
            (index, word) = (index + 1, word + 1);
        }
        length += 1;
    }
    beginnings
}

/// Words that are looked up before bits are filled up again: a word of memory has bits for as many, a byte that is not whole aside.
const IN_ROW: usize = 5;

const _: () = assert!(IN_ROW * AT_ONCE <= 56 && LONGEST <= 56);

/// What is left of a string.
struct Bits<'b> {
    rest: &'b [u8],
    /// The bits to come, from the highest on, and how many of them count: those of whole bytes that are in `rest` no more.
    bits: u64,
    count: usize,
}

impl Bits<'_> {
    /// Fills up to 56 bits at least, by one load. False: there is too little left for that.
    #[inline]
    fn fill(&mut self) -> bool {
        let Some(word) = self.rest.first_chunk::<8>() else { return false };
        // What a byte has beyond those that count is there already, or comes again.
        self.bits |= u64::from_be_bytes(*word) >> self.count;
        let bytes = (63 - self.count) / 8;
        self.count += bytes * 8;
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        true
    }

    /// The same byte by byte, as far as there is something left.
    fn fill_slowly(&mut self) {
        while self.count <= 56
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.bits |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
            self.rest = rest;
        }
    }

    /// The symbol to come and the length of its word, if that is one of those that are looked up.
    #[inline]
    fn short(&self) -> Option<(usize, u8)> {
        let place = usize::try_from(self.bits >> (64 - AT_ONCE)).ok()?;
        let (symbol, length) = BEGINNINGS.get(place)?;
        (*length > 0).then_some((usize::from(*length), *symbol))
    }

    /// The same of any word; nothing is one that is none, or the end of a string.
    fn long(&self) -> Option<(usize, u8)> {
        let (length, symbol) = word(u32::try_from(self.bits >> (64 - LONGEST)).ok()?)?;
        // The end of a string is longer than what may be left of it.
        if length > self.count { Some((length, 0)) } else { Some((length, u8::try_from(symbol).ok()?)) }
    }

    #[inline]
    fn pass(&mut self, length: usize) {
        self.bits <<= length;
        self.count -= length;
    }

    /// Takes [`IN_ROW`] symbols that are looked up, for which there are bits in any case. False: there were fewer up to another one.
    #[inline]
    fn row(&mut self, out: &mut Vec<u8>) -> bool {
        let (mut row, mut length) = ([0; IN_ROW], 0);
        for place in &mut row {
            let Some((bits, symbol)) = self.short() else { break };
            self.pass(bits);
            *place = symbol;
            length += 1;
        }
        out.extend_from_slice(&row);
        out.truncate(out.len() - (IN_ROW - length));
        length == IN_ROW
    }
}

/// Appends the string that `coded` stands for; none when it stands for none (RFC 7541, section 5.2), and then what was
/// appended means nothing.
#[must_use]
pub(super) fn decode_into(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.reserve(coded.len() * 8 / SHORTEST + IN_ROW);
    let mut left = Bits { rest: coded, bits: 0, count: 0 };
    loop {
        if !left.fill() {
            left.fill_slowly();
        }
        if left.count >= IN_ROW * AT_ONCE && left.row(out) {
            continue;
        }
        // A word that is long, or one of the last.
        left.fill_slowly();
        let (bits, symbol) = match left.short() {
            Some(short) => short,
            None => left.long()?,
        };
        if bits > left.count {
            // What is left has to be the beginning of the end, and shorter than a byte.
            let is_end = left.count < 8 && left.bits.leading_ones() as usize == left.count;
            return is_end.then_some(());
        }
        out.push(symbol);
        left.pass(bits);
    }
}

const _: () = assert!(END == SYMBOLS - 1);

/// The symbol of a word of so many bits.
#[cfg(test)]
pub(super) fn symbol(word: u32, length: usize) -> Option<u16> {
    let step = word.checked_sub(CODE.first[length])?;
    (step < CODE.index[length + 1] - CODE.index[length])
        .then(|| CODE.symbols[(CODE.index[length] + step) as usize])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode_into(coded, &mut out)?;
        Some(out)
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in text {
            let index = CODE.symbols.iter().position(|symbol| *symbol == u16::from(*byte)).unwrap();
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let word = CODE.first[length] + u32::try_from(index).unwrap() - CODE.index[length];
            bits.extend((0..length).rev().map(|index| (word >> index & 1) as u8));
        }
        while bits.len() % 8 != 0 {
            bits.push(1);
        }
        bits.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        // RFC 7541, appendix C.4 and C.6.
        for (coded, text) in [
            (
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x64, 0x02], "302"),
        ] {
            assert_eq!(decode(coded).unwrap(), text.as_bytes());
            assert_eq!(encode(text.as_bytes()), coded);
        }
    }

    #[test]
    fn what_is_no_string_is_none() {
        for coded in [&[0xff][..], &[0x00, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff], &[0x00]] {
            assert_eq!(decode(coded), None, "{coded:x?}");
        }
        assert_eq!(decode(&[]).unwrap(), b"");
    }

    /// Bit by bit.
    fn decode_slowly(coded: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut word, mut length) = (Vec::new(), 0_u32, 0);
        for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |place| u32::from(byte >> place & 1))) {
            (word, length) = (word << 1 | bit, length + 1);
            if let Some(found) = symbol(word, length) {
                out.push(u8::try_from(found).ok()?);
                (word, length) = (0, 0);
            }
        }
        (length < 8 && word == (1 << length) - 1).then_some(out)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_they_are_bit_by_bit(coded in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&coded), decode_slowly(&coded));
        }

        #[test]
        fn text_with_something_in_it_comes_back(text in "[ -~]{0,60}", odd in any::<u8>(), more in "[ -~]{0,60}") {
            let text = [text.as_bytes(), &[odd], more.as_bytes()].concat();
            let coded = encode(&text);
            prop_assert_eq!(decode(&coded), Some(text));
            for end in coded.len().saturating_sub(9)..coded.len() {
                prop_assert_eq!(decode(&coded[..end]), decode_slowly(&coded[..end]));
            }
        }

        #[test]
        fn every_string_comes_back(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn nothing_panics(coded in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&coded);
        }
    }
}
