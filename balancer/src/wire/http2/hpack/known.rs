//! Names of fields that were written not long ago, and what was found of each: most come again with every message. Must not know:
//! how fields are coded.

use crate::wire::many_bytes::is_equal;

/// Longest name that is kept.
const MOST_NAME: usize = 27;
/// Most names that are kept; then it begins anew.
const MOST_NAMES: usize = 24;
/// Places that names are looked for in: two for each.
const PLACES: usize = 64;

/// A name.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownName {
    /// What it begins and ends with.
    ends: NameEnds,
    /// As it was written, and in small letters.
    written: [u8; MOST_NAME],
    small: [u8; MOST_NAME],
    length: u8,
    /// Its index in the static table, or 0.
    index: u8,
    /// Of the field of this name that was written last, its number in the table and one more. 0: such fields are ever new.
    pub(super) last: u64,
}

impl KnownName {
    #[inline]
    pub(super) fn index(&self) -> Option<u8> {
        (self.index > 0).then_some(self.index)
    }

    /// In small letters.
    #[inline]
    pub(super) fn small(&self) -> &[u8] {
        self.small.get(..self.length.into()).unwrap_or_default()
    }

    #[inline]
    fn is(&self, name: &[u8], ends: NameEnds) -> bool {
        self.ends == ends && (name.len() <= ALL_IN_ENDS || self.has_written(name))
    }

    fn has_written(&self, name: &[u8]) -> bool {
        self.written.get(..self.length.into()).is_some_and(|written| is_equal(written, name))
    }
}

/// Longest name that there is nothing of between its ends.
const ALL_IN_ENDS: usize = 16;

/// What a name begins and ends with, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NameEnds {
    first: u64,
    last: u64,
    length: usize,
}

impl NameEnds {
    #[inline]
    fn of(name: &[u8]) -> Self {
        let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
            },
        };
        Self { first, last, length: name.len() }
    }

    /// Where a name is looked for first; the other place is beside it.
    #[inline]
    fn place(self) -> usize {
        let mixed =
            (self.first ^ self.last.rotate_left(29) ^ self.length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // As many bits as there are places.
        usize::try_from(mixed >> (u64::BITS - PLACES.ilog2())).unwrap_or_default()
    }
}

/// The names.
#[derive(Debug)]
pub(super) struct KnownNames {
    /// The how manieth of `names` is there, or 0.
    places: [u8; PLACES],
    names: Vec<KnownName>,
}

impl KnownNames {
    pub(super) fn new() -> Self {
        Self { places: [0; PLACES], names: Vec::new() }
    }

    /// What is known of `name`.
    #[inline]
    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut KnownName> {
        let ends = NameEnds::of(name);
        let first = ends.place();
        let at = |place: usize| {
            let number = self.places.get(place).copied().map_or(0, usize::from).checked_sub(1)?;
            self.names.get(number).filter(|known| known.is(name, ends)).map(|_| number)
        };
        let number = at(first).or_else(|| at(first ^ 1))?;
        self.names.get_mut(number)
    }

    /// Keeps a name, which is a sound one.
    #[cold]
    pub(super) fn add(&mut self, name: &[u8], index: Option<u8>, last: u64) {
        let mut written = [0; MOST_NAME];
        let (Some(room), Ok(length)) = (written.get_mut(..name.len()), u8::try_from(name.len())) else {
            return;
        };
        room.copy_from_slice(name);
        if self.names.len() >= MOST_NAMES {
            self.places = [0; PLACES];
            self.names.clear();
        }
        let ends = NameEnds::of(name);
        let first = ends.place();
        let is_free = |place: &usize| self.places.get(*place) == Some(&0);
        let place = [first, first ^ 1].into_iter().find(is_free).unwrap_or(first);
        let small = written.map(|byte| byte.to_ascii_lowercase());
        self.names.push(KnownName { ends, written, small, length, index: index.unwrap_or(0), last });
        if let (Some(place), Ok(number)) = (self.places.get_mut(place), u8::try_from(self.names.len())) {
            *place = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_as_they_were_written_and_few_at_a_time() {
        let mut names = KnownNames::new();
        assert!(names.get_mut(b"").is_none() && names.get_mut(b"Server").is_none());
        names.add(b"Server", Some(54), 7);
        let known = names.get_mut(b"Server").unwrap();
        assert_eq!((known.index(), known.small(), known.last), (Some(54), &b"server"[..], 7));
        known.last = 8;
        assert_eq!(names.get_mut(b"Server").map(|known| known.last), Some(8));
        assert!(names.get_mut(b"server").is_none() && names.get_mut(b"Serves").is_none());
        names.add(&[b'x'; MOST_NAME + 1], None, 0);
        assert_eq!(names.names.len(), 1, "it is too long");
        let longest = [b'Y'; MOST_NAME];
        names.add(&longest, None, 0);
        assert_eq!(names.get_mut(&longest).map(|known| known.small().to_vec()), Some(vec![b'y'; MOST_NAME]));
        for number in 0..1000 {
            let name = format!("x-{number}");
            names.add(name.as_bytes(), None, number);
            assert_eq!(names.get_mut(name.as_bytes()).map(|known| known.last), Some(number));
            assert!(names.names.len() <= MOST_NAMES);
        }
        assert!(names.get_mut(b"Server").is_none(), "it is long ago");
    }

    #[test]
    fn names_that_differ_anywhere_are_told_apart() {
        for length in 0..=MOST_NAME {
            let name = vec![b'k'; length];
            let mut names = KnownNames::new();
            names.add(&name, None, 1);
            assert!(names.get_mut(&name).is_some());
            assert!(names.get_mut(&vec![b'k'; length + 1]).is_none());
            for place in 0..length {
                let mut other = name.clone();
                other[place] = b'K';
                assert!(names.get_mut(&other).is_none(), "{place} of {length}");
            }
        }
    }

    #[test]
    fn names_that_share_a_place_are_told_apart() {
        let all: Vec<String> = (0..2000).map(|number| format!("n{number}")).collect();
        let one = NameEnds::of(all[0].as_bytes()).place();
        let same: Vec<_> =
            all.iter().filter(|name| NameEnds::of(name.as_bytes()).place() == one).take(3).collect();
        let mut names = KnownNames::new();
        for (last, name) in (1..).zip(&same) {
            names.add(name.as_bytes(), None, last);
        }
        let known =
            |names: &mut KnownNames, at: usize| names.get_mut(same[at].as_bytes()).map(|known| known.last);
        assert_eq!([0, 1, 2].map(|at| known(&mut names, at)), [None, Some(2), Some(3)]);
    }
}
