//! Types of the kernel that runs, by their names. The kernel tells of a hundred thousand; who needs the number of one reads the text
//! over once, which takes a tenth of the time and of the memory that a picture of all of them does. Must not know: programs.

use std::path::Path;

use aya::{Btf, BtfError, Endianness};

use crate::kernel::sys;

const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// Of the format's: begins its header, in the byte order of the machine.
const MAGIC: u16 = 0xEB9F;
const HEADER: usize = 24;
/// What each type begins with: where its name is, kind and number of parts, size or another type.
const TYPE: usize = 12;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;

/// Types among which that of the arguments of this tracepoint has the kernel's number.
pub(super) fn of_tracepoint(name: &str) -> Result<Btf, BtfError> {
    let name = format!("btf_trace_{name}");
    // What is written otherwise than known here, the library may know.
    let parsed = |text: &[u8]| {
        let one = number_of(text, name.as_bytes()).map(|number| alone(number, name.as_bytes()));
        Btf::parse(one.as_deref().unwrap_or(text), Endianness::default())
    };
    sys::with_text(Path::new(KERNEL), parsed)
        .map_err(|error| BtfError::FileError { path: KERNEL.into(), error })?
}

/// The number of the first name for a type (`typedef`) that is this one; none also where the text is not understood.
fn number_of(text: &[u8], name: &[u8]) -> Option<usize> {
    if u16::from_ne_bytes(*text.first_chunk()?) != MAGIC {
        return None;
    }
    let field = |at: usize| usize::try_from(word(text, at)?).ok();
    let header = field(4)?;
    let part = |start: usize, len: usize| {
        let start = header.checked_add(start)?;
        text.get(start..start.checked_add(len)?)
    };
    let (mut types, strings) = (part(field(8)?, field(12)?)?, part(field(16)?, field(20)?)?);
    let mut number = 1;
    while !types.is_empty() {
        let info = word(types, 4)?;
        if info >> 24 & 0x1F == TYPEDEF && is_named(strings, word(types, 0)?, name) {
            return Some(number);
        }
        types = types.get(TYPE + parts_of(info)?..)?;
        number += 1;
    }
    None
}

fn is_named(strings: &[u8], at: u32, name: &[u8]) -> bool {
    let rest = usize::try_from(at).ok().and_then(|at| strings.get(at..));
    rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.first() == Some(&0))
}

/// Bytes behind what each type begins with.
fn parts_of(info: u32) -> Option<usize> {
    let parts = usize::try_from(info & 0xFFFF).ok()?;
    Some(match info >> 24 & 0x1F {
        // Integers, variables, tags of declarations.
        1 | 14 | 17 => 4,
        // Arrays.
        3 => 12,
        // Structures, unions, sections, long enumerations.
        4 | 5 | 15 | 19 => 12 * parts,
        // Enumerations, prototypes.
        6 | 13 => 8 * parts,
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// A text in which the type of this number has this name, and those before it say nothing.
fn alone(number: usize, name: &[u8]) -> Vec<u8> {
    let types = number * TYPE;
    let strings = name.len() + 2;
    let mut text = Vec::with_capacity(HEADER + types + strings);
    text.extend(MAGIC.to_ne_bytes());
    text.extend([1, 0]);
    for field in [HEADER, 0, types, types, strings] {
        text.extend(u32::try_from(field).unwrap_or(u32::MAX).to_ne_bytes());
    }
    for _ in 1..number {
        text.extend([0, FWD << 24, 0].map(u32::to_ne_bytes).as_flattened());
    }
    text.extend([1, TYPEDEF << 24, 0].map(u32::to_ne_bytes).as_flattened());
    text.push(0);
    text.extend(name);
    text.push(0);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types of every kind, with as many parts as they say, then a `typedef`, which has the name at 7.
    fn text(kinds: &[(u32, usize)]) -> Vec<u8> {
        let mut types = Vec::new();
        for &(kind, words) in kinds {
            let info = kind << 24 | if matches!(kind, 4 | 5 | 6 | 13 | 15 | 19) { 2 } else { 0 };
            types.extend([1, info, 0].map(u32::to_ne_bytes).as_flattened());
            types.extend(vec![0xFF; 4 * words]);
        }
        types.extend([1, TYPEDEF << 24, 1].map(u32::to_ne_bytes).as_flattened());
        types.extend([7, TYPEDEF << 24, 1].map(u32::to_ne_bytes).as_flattened());
        let strings = b"\0other\0wanted\0";
        let mut text = MAGIC.to_ne_bytes().to_vec();
        text.extend([1, 0]);
        for field in [HEADER, 0, types.len(), types.len(), strings.len()] {
            text.extend(u32::try_from(field).unwrap().to_ne_bytes());
        }
        text.extend(types);
        text.extend(strings);
        text
    }

    const KINDS: [(u32, usize); 19] = [
        (1, 1),
        (2, 0),
        (3, 3),
        (4, 6),
        (5, 6),
        (6, 4),
        (7, 0),
        (8, 0),
        (9, 0),
        (10, 0),
        (11, 0),
        (12, 0),
        (13, 4),
        (14, 1),
        (15, 6),
        (16, 0),
        (17, 1),
        (18, 0),
        (19, 6),
    ];

    #[test]
    fn a_type_is_found_behind_those_of_every_kind() {
        let text = text(&KINDS);
        assert_eq!(number_of(&text, b"wanted"), Some(KINDS.len() + 2));
        assert_eq!(number_of(&text, b"other"), Some(8), "the first, and names for types alone");
        assert_eq!(number_of(&text, b"want"), None);
        assert_eq!(number_of(&text, b"wanted\0"), None);
    }

    #[test]
    fn what_is_not_understood_is_not_found() {
        let whole = text(&KINDS);
        for end in 0..whole.len() {
            assert_eq!(number_of(&whole[..end], b"wanted"), None, "{end}");
        }
        assert_eq!(number_of(&text(&[(20, 0)]), b"wanted"), None, "a kind of later kernels");
        let mut wild = whole.clone();
        wild[4..24].fill(0xFF);
        assert_eq!(number_of(&wild, b"wanted"), None);
    }

    #[test]
    fn a_text_of_one_type_keeps_its_number() {
        for number in [1, 2, 40_000] {
            let text = alone(number, b"wanted");
            assert_eq!(number_of(&text, b"wanted"), Some(number));
            assert!(Btf::parse(&text, Endianness::default()).is_ok());
        }
    }
}
