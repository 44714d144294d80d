//! Codes by how often what they stand for comes (RFC 1951, section 3.2.2): their lengths by the package-merge algorithm, as Go's
//! encoder goes through it, so that equal counts come to equal lengths. Must not know: what they stand for.

use super::places::{at, set};

/// Longest code there may be.
const MOST_BITS: usize = 16;
/// More than anything comes.
const NEVER: u32 = 0x7fff_ffff;

/// A code, its first bit lowest, and its length; no length where it is not used.
#[derive(Clone, Copy, Default)]
pub(super) struct HuffmanCode {
    pub(super) bits: u16,
    pub(super) length: u32,
}

/// The codes of what comes so often, none longer than `most`.
pub(super) fn codes_of(counts: &[u32], most: usize) -> Vec<HuffmanCode> {
    let mut codes = vec![HuffmanCode::default(); counts.len()];
    let mut used: Vec<(u32, usize)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(value, count)| (*count, value))
        .collect();
    if used.len() <= 2 {
        for (bits, (_, value)) in (0..).zip(&used) {
            set(&mut codes, *value, HuffmanCode { bits, length: 1 });
        }
        return codes;
    }
    used.sort_unstable();
    let mut next = 0_u16;
    for (length, of_length) in (0..).zip(lengths(&used, most)) {
        next = next.wrapping_shl(1);
        if length == 0 {
            continue;
        }
        // What comes least has the longest codes; codes of a length go by what they stand for.
        let mut chunk = used.split_off(used.len().saturating_sub(of_length));
        chunk.sort_unstable_by_key(|(_, value)| *value);
        for (_, value) in chunk {
            set(&mut codes, value, HuffmanCode { bits: next.reverse_bits() >> (16 - length), length });
            next = next.wrapping_add(1);
        }
    }
    codes
}

/// How many bits all of it takes.
pub(super) fn size(codes: &[HuffmanCode], counts: &[u32]) -> usize {
    codes.iter().zip(counts).map(|(code, count)| code.length as usize * *count as usize).sum()
}

/// A row of the algorithm.
#[derive(Clone, Copy, Default)]
struct MergeLevel {
    last: u32,
    next_leaf: u32,
    next_pair: u32,
    needed: usize,
}

/// How many codes there are of each length, from 0 on.
fn lengths(used: &[(u32, usize)], most: usize) -> Vec<usize> {
    let count = |leaf: usize| used.get(leaf).map_or(NEVER, |(count, _)| *count);
    let most = most.min(used.len() - 1);
    let mut levels = [MergeLevel::default(); MOST_BITS + 1];
    let mut leaves = [[0_usize; MOST_BITS + 1]; MOST_BITS + 1];
    for level in 1..=most {
        let next_pair = if level == 1 { NEVER } else { count(0) + count(1) };
        set(&mut levels, level, MergeLevel { last: count(1), next_leaf: count(2), next_pair, needed: 0 });
        leaves.get_mut(level).into_iter().for_each(|row| set(row, level, 2));
    }
    let mut level = most;
    levels.get_mut(most).into_iter().for_each(|top| top.needed = 2 * used.len() - 4);
    while let Some(row) = levels.get_mut(level) {
        if row.next_pair == NEVER && row.next_leaf == NEVER {
            row.needed = 0;
            level += 1;
            levels.get_mut(level).into_iter().for_each(|above| above.next_pair = NEVER);
            continue;
        }
        let before = row.last;
        let is_leaf = row.next_leaf < row.next_pair;
        if is_leaf {
            let next = at(&at(&leaves, level), level) + 1;
            row.last = row.next_leaf;
            row.next_leaf = count(next);
            leaves.get_mut(level).into_iter().for_each(|row| set(row, level, next));
        } else {
            row.last = row.next_pair;
        }
        row.needed = row.needed.saturating_sub(1);
        let (last, is_done) = (row.last, row.needed == 0);
        if !is_leaf {
            let below = at(&leaves, level - 1);
            if let Some(row) = leaves.get_mut(level) {
                row.iter_mut().zip(below).take(level).for_each(|(leaf, below)| *leaf = below);
            }
            levels.get_mut(level - 1).into_iter().for_each(|below| below.needed = 2);
        }
        if is_done {
            if level == most {
                break;
            }
            level += 1;
            levels.get_mut(level).into_iter().for_each(|above| above.next_pair = before + last);
        } else {
            while level > 0 && at(&levels, level - 1).needed > 0 {
                level -= 1;
            }
        }
    }
    let top = at(&leaves, most);
    std::iter::once(0).chain((1..=most).rev().map(|level| at(&top, level) - at(&top, level - 1))).collect()
}
