//! Repetitions, as Go's encoder finds them at its default level: by chains of places with the same four bytes, one byte on before a
//! match is taken, in a window of 32 KiB that moves on when it is full. Must not know: how they are written.

use super::{
    bits::PackedBits,
    blocks::{self, DeflateToken},
    places::{at, set},
};

const WINDOW: usize = 1 << 15;
const LEAST: usize = 4;
const MOST: usize = 258;
const MOST_TOKENS: usize = 1 << 14;
const HASH_BITS: u32 = 17;
/// A match of four bytes from further away costs more than it saves.
const NEAR: usize = 4096;
/// A match of this length is good enough; one of this is not looked for again one byte on; so many places are looked at.
const NICE: usize = 128;
const LAZY: usize = 16;
const CHAIN: usize = 128;

pub(super) struct RepeatFinder<'t> {
    /// What is to be compressed, and the part of it that is in the window; places are counted from the beginning of the text.
    text: &'t [u8],
    end: usize,
    index: usize,
    block_start: usize,
    /// The last place with each hash, and the one before each place, plus one.
    heads: Vec<u32>,
    before: Vec<u32>,
    head: u32,
    tokens: Vec<DeflateToken>,
    length: usize,
    distance: usize,
    is_byte_open: bool,
    bits: PackedBits,
}

impl<'t> RepeatFinder<'t> {
    /// The text, compressed.
    pub(super) fn compressed(text: &'t [u8]) -> Vec<u8> {
        let mut matcher = Self {
            text,
            end: 0,
            index: 0,
            block_start: 0,
            heads: vec![0; 1 << HASH_BITS],
            before: vec![0; WINDOW],
            head: 0,
            tokens: Vec::new(),
            length: LEAST - 1,
            distance: 0,
            is_byte_open: false,
            bits: PackedBits::default(),
        };
        // The first place in the window.
        let mut base = 0;
        while matcher.end < text.len() {
            matcher.go_on(base, false);
            if matcher.index - base >= 2 * WINDOW - (LEAST + MOST) {
                base += WINDOW;
            }
            matcher.end = text.len().min(base + 2 * WINDOW);
        }
        matcher.go_on(base, true);
        let mut bits = matcher.bits;
        blocks::write_stored(&mut bits, &[], false);
        blocks::write_stored(&mut bits, &[], true);
        bits.into_bytes()
    }

    /// `base`: the first place in the window. `is_all`: nothing comes behind what there is.
    fn go_on(&mut self, base: usize, is_all: bool) {
        loop {
            let ahead = self.end - self.index;
            if ahead < LEAST + MOST && !is_all {
                return;
            }
            if ahead == 0 {
                if std::mem::take(&mut self.is_byte_open) {
                    self.literal();
                }
                return self.write(base, self.index);
            }
            self.note(self.index);
            let (earlier_length, earlier_distance) = (self.length, self.distance);
            (self.length, self.distance) = (LEAST - 1, 0);
            let least = self.index.saturating_sub(WINDOW).max(base);
            if let Some(from) = place(self.head).filter(|from| *from >= least)
                && ahead > earlier_length
                && earlier_length < LAZY
            {
                self.find(base, from, ahead);
            }
            if earlier_length >= LEAST && self.length <= earlier_length {
                self.tokens.push(DeflateToken::Match { length: earlier_length, distance: earlier_distance });
                let next = self.index + earlier_length - 1;
                (self.index + 1..next).for_each(|index| self.note_within(index));
                self.index = next;
                self.is_byte_open = false;
                self.length = LEAST - 1;
                if self.tokens.len() == MOST_TOKENS {
                    self.write(base, self.index);
                }
            } else {
                if self.is_byte_open {
                    self.literal();
                    if self.tokens.len() == MOST_TOKENS {
                        self.write(base, self.index);
                    }
                }
                self.index += 1;
                self.is_byte_open = true;
            }
        }
    }

    /// The byte before this one.
    fn literal(&mut self) {
        self.tokens.push(DeflateToken::Literal(at(self.text, self.index - 1)));
    }

    fn write(&mut self, base: usize, end: usize) {
        if self.tokens.is_empty() {
            return;
        }
        // What has left the window cannot be stored.
        let stored = (self.block_start >= base).then(|| self.text.get(self.block_start..end)).flatten();
        blocks::write(&mut self.bits, &self.tokens, stored);
        self.block_start = end;
        self.tokens.clear();
    }

    /// Notes a place, and which one had the same bytes last; nothing where there are too few bytes.
    fn note(&mut self, index: usize) {
        if let Some(hash) = self.hash(index) {
            self.head = at(&self.heads, hash);
            self.note_hash(index, hash);
        }
    }

    fn note_within(&mut self, index: usize) {
        if let Some(hash) = self.hash(index) {
            self.note_hash(index, hash);
        }
    }

    fn note_hash(&mut self, index: usize, hash: usize) {
        set(&mut self.before, index % WINDOW, at(&self.heads, hash));
        set(&mut self.heads, hash, u32::try_from(index + 1).unwrap_or_default());
    }

    fn hash(&self, index: usize) -> Option<usize> {
        let four = self.text.get(..self.end)?.get(index..)?.first_chunk()?;
        Some((u32::from_be_bytes(*four).wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize)
    }

    /// The longest match from this place or one before it.
    fn find(&mut self, base: usize, from: usize, ahead: usize) {
        let most = ahead.min(MOST);
        let nice = most.min(NICE);
        let least = self.index.saturating_sub(WINDOW).max(base);
        let here = self.text.get(self.index..self.index + most).unwrap_or_default();
        let mut place_before = from;
        for _ in 0..CHAIN {
            let there = self.text.get(place_before..).unwrap_or_default();
            if at(here, self.length) == at(there, self.length) {
                let length = here.iter().zip(there).take_while(|(one, other)| one == other).count();
                if length > self.length && (length > LEAST || self.index - place_before <= NEAR) {
                    (self.length, self.distance) = (length, self.index - place_before);
                    if length >= nice {
                        return;
                    }
                }
            }
            if place_before + WINDOW == self.index {
                return;
            }
            match place(at(&self.before, place_before % WINDOW)) {
                Some(before) if before >= least => place_before = before,
                _ => return,
            }
        }
    }
}

/// A place as it is noted.
fn place(noted: u32) -> Option<usize> {
    (noted as usize).checked_sub(1)
}
